"""Memory does not grow with a recording."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from insilico.recordings import cache_recording, open_recording
from insilico.recordings.check import check_recording

STATUS = Path("/proc/self/status")


def anonymous_bytes():
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@pytest.fixture
def peak():
    """Call a function and return the most anonymous memory it added, in bytes."""

    def measure(function, *arguments, **options):
        before, most, stop = anonymous_bytes(), [0], threading.Event()

        def watch():
            while not stop.is_set():
                most[0] = max(most[0], anonymous_bytes())
                time.sleep(0.002)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            result = function(*arguments, **options)
        finally:
            stop.set()
            thread.join()
        return result, most[0] - before

    return measure


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="anonymous memory is read from /proc, on Linux")
def test_caching_and_checking_300_mb_takes_the_memory_of_a_few_trials(
    write_recording, tmp_path, peak
):
    neurons, frames, trials = 4000, 300, 32
    tiers = ["train"] * (trials // 2) + ["oracle"] * (trials // 2)
    written = write_recording("sensorium2023", tiers=tiers[:1], neurons=neurons, frames=frames)
    # One trial stands for all, by links: 9.6 MB of responses each, 307 MB when all are read.
    for signal in ("stimulus", "responses", "behavior", "pupil_center"):
        for trial in range(1, trials):
            os.link(written.file(signal, 0), written.file(signal, trial))
    written.save("trials/tiers", np.array(tiers))
    recording = open_recording(written.path)
    cache, cached_bytes = peak(cache_recording, recording, folder=tmp_path / "cache")
    assert cache.responses.shape == (trials * frames, neurons)
    assert cached_bytes < 120e6
    _, checked_bytes = peak(check_recording, written.path)
    # The check also keeps 64 MB of responses to measure reliability.
    assert checked_bytes < 250e6
