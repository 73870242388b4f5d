"""How fast recordings arrive, and how much memory that takes.

``python benchmarks/loader.py RECIPE DATA`` reads batches alone, in the order of training, and then
trains on them: the ratio is how often the loader could feed the training.

``python benchmarks/loader.py --memory FOLDER [GB]`` writes a recording of that size (10 by default)
in the layout of Sensorium 2023, decodes it and reads every training trial twice, in a process of
its own, and prints the peak of its anonymous memory beside that of a process that only imports.
It needs twice the space on disk.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

NEURONS, FRAMES, HEIGHT_PX, WIDTH_PX = 8000, 300, 36, 64
DIFFERENT_TRIALS = 8


def compare(recipe_name, data, cache):
    import torch

    from insilico.recordings import cache_recordings, open_recordings
    from insilico.training.hardware import start_fabric
    from insilico.training.loop import Training
    from insilico.training.recipe import read_training_recipe

    recipe = read_training_recipe(recipe_name)
    recordings = cache_recordings(open_recordings(Path(data)), folder=Path(cache))
    run = Training(recipe, recordings, start_fabric("cpu", precision=recipe.training.precision))
    frames = {"loader": 0, "training": 0}
    seconds = {"loader": 0.0, "training": 0.0}
    for epoch in (1, 2):
        started = time.perf_counter()
        for units in run.order.epoch(epoch):
            for unit in units:
                batch = run.mice[unit.mouse].batch(
                    unit.positions, starts=unit.starts, frame_count=unit.frame_count
                )
                # Touch what was mapped.
                frames["loader"] += int(torch.isfinite(batch.stimulus[..., 0, 0]).sum())
        seconds["loader"] += time.perf_counter() - started
        started = time.perf_counter()
        run._steps(epoch, lambda: None)
        seconds["training"] += time.perf_counter() - started
    rates = {name: frames["loader"] / seconds[name] for name in seconds}
    for name, rate in rates.items():
        print(f"{name}: {rate:,.0f} frames or images a second")
    print(f"the loader alone is {rates['loader'] / rates['training']:.1f} times as fast")


def write_recording(folder, gigabytes):
    """Write padded float32 movies and responses; a few different trials stand for all."""
    random = np.random.default_rng(0)
    for name in ("videos", "responses", "behavior", "pupil_center"):
        (folder / "data" / name).mkdir(parents=True)
    for name in ("neurons", "trials"):
        (folder / "meta" / name).mkdir(parents=True)
    shapes = {
        "videos": (HEIGHT_PX, WIDTH_PX, FRAMES),
        "responses": (NEURONS, FRAMES),
        "behavior": (2, FRAMES),
        "pupil_center": (2, FRAMES),
    }
    trial_bytes = 4 * sum(int(np.prod(shape)) for shape in shapes.values())
    trials = int(gigabytes * 1e9 / trial_bytes)
    for trial in range(trials):
        for name, shape in shapes.items():
            path = folder / "data" / name / f"{trial}.npy"
            if trial < DIFFERENT_TRIALS:
                values = random.gamma(1.0, 5.0, shape)
                np.save(path, (np.round(values) % 256 if name == "videos" else values).astype("f4"))
            else:
                os.link(path.with_name(f"{trial % DIFFERENT_TRIALS}.npy"), path)
    tiers = np.where(np.arange(trials) % 6 == 5, "oracle", "train")
    np.save(folder / "meta/trials/tiers.npy", tiers)
    np.save(folder / "meta/neurons/unit_ids.npy", np.arange(NEURONS))
    place = random.integers(0, 600, (NEURONS, 3))
    np.save(folder / "meta/neurons/cell_motor_coordinates.npy", place)
    return trials * trial_bytes / 1e9


def anonymous_mb(pid):
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) / 1e3
    except OSError:
        pass
    return 0.0


READ = """
import sys
from pathlib import Path
import torch
from insilico.recordings import cache_recording, open_recordings
from insilico.training.data import MouseData
if len(sys.argv) > 1:
    (recording,) = open_recordings(Path(sys.argv[1])).values()
    data = MouseData(
        cache_recording(recording, folder=Path(sys.argv[2])),
        behavior_names=("pupil_size", "running_speed"), uses_pupil=True,
    )
    trials = data.cached.trials_of("train")
    for lap in range(2):
        for first in range(0, len(trials), 8):
            data.batch(trials[first : first + 8])
"""


def peak_mb(*arguments):
    process = subprocess.Popen([sys.executable, "-c", READ, *map(str, arguments)])
    peak = [0.0]

    def watch():
        while process.poll() is None:
            peak[0] = max(peak[0], anonymous_mb(process.pid))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join()
    assert process.returncode == 0
    return peak[0]


def memory(folder, gigabytes):
    work = Path(tempfile.mkdtemp(dir=folder))
    try:
        size = write_recording(work / "mouse", gigabytes)
        empty = peak_mb()
        started = time.perf_counter()
        peak = peak_mb(work / "mouse", work / "cache")
        seconds = time.perf_counter() - started
        print(f"recording: {size:.1f} GB, {NEURONS:,} neurons")
        print(f"decoded, and read twice: {seconds:.0f} s")
        print(f"anonymous memory: {peak:.0f} MB, of which {empty:.0f} MB are imports")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    if sys.argv[1] == "--memory":
        memory(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 10.0)
    else:
        with tempfile.TemporaryDirectory() as kept:
            compare(sys.argv[1], sys.argv[2], kept)
