"""Whatever is done to its bytes, a recording is read unchanged or refused; never anything else."""

import contextlib
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insilico.errors import RecordingError
from insilico.recordings import cache_recording, open_recording
from insilico.recordings.check import check_recording

#: What can happen to a file: bits turn, the end is lost, zeros or noise replace a part.
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "zero", "noise", "double"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 2**32 - 1),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data, steps):
    data = bytearray(data)
    for what, where, seed in steps:
        place = int(where * len(data))
        if what == "flip" and data:
            data[place] ^= 1 << seed % 8
        elif what == "cut":
            del data[place:]
        elif what == "double":
            data[place:place] = data[: seed % 400]
        elif what == "zero":
            data[place : place + 16] = bytes(len(data[place : place + 16]))
        else:
            length = len(data[place : place + 16])
            data[place : place + 16] = np.random.default_rng(seed).bytes(length)
    return bytes(data)


def contents(recording):
    """Return all trials as bytes."""
    numbers = recording.trials.loc[recording.trials["tier"] != "none", "trial"]
    return [
        tuple(
            None if part is None else (part.shape, part.tobytes()) for part in vars(trial).values()
        )
        for trial in map(recording.read, numbers)
    ]


@pytest.fixture(params=["sensorium2022", "sensorium2023"])
def small(write_recording, request):
    tiers = {
        "sensorium2022": ["train", "train", "test"],
        "sensorium2023": ["train", "oracle", "none"],
    }
    return write_recording(request.param, tiers=tiers[request.param], frames=4, neurons=3)


# The fixtures are only read; every example writes its own damaged copy over the last one.
reused = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=150,
)


@reused
@given(steps=DAMAGE)
def test_damaged_zip_is_refused_or_means_the_same(small, tmp_path, steps):
    whole = tmp_path / "whole.zip"
    if not whole.exists():
        small.zip(whole)
    expected = contents(open_recording(whole))
    (tmp_path / "damaged.zip").write_bytes(damaged(whole.read_bytes(), steps))
    with contextlib.suppress(RecordingError):
        recording = open_recording(tmp_path / "damaged.zip")
        # A damaged directory can lose whole signals or trials, but no number can change.
        for number in recording.trials["trial"].tolist()[: len(expected)]:
            with contextlib.suppress(RecordingError):
                trial = recording.read(number)
                found = [
                    None if part is None else (part.shape, part.tobytes())
                    for part in vars(trial).values()
                ]
                assert all(
                    part in (None, original)
                    for part, original in zip(found, expected[number], strict=True)
                    if part is None or any(part[1])
                )


@reused
@given(
    file=st.sampled_from(
        [
            "data/{stimuli}/0.npy",
            "data/responses/0.npy",
            "data/behavior/1.npy",
            "data/pupil_center/0.npy",
            "meta/trials/tiers.npy",
            "meta/neurons/unit_ids.npy",
            "meta/neurons/cell_motor_coordinates.npy",
        ]
    ),
    steps=DAMAGE,
)
def test_damaged_file_of_a_folder_is_read_or_refused(small, tmp_path, file, steps):
    broken = tmp_path / "broken"
    shutil.rmtree(broken, ignore_errors=True)
    shutil.copytree(small.path, broken)
    path = broken / file.format(stimuli="images" if small.kind == "image" else "videos")
    # Damage the header more often than the megabytes behind it.
    data = path.read_bytes()
    path.write_bytes(damaged(data[:200], steps) + data[200:])
    with contextlib.suppress(RecordingError):
        contents(open_recording(broken))
    found = check_recording(broken)
    assert all(isinstance(fault, str) and "\n" not in fault for fault in found.faults)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
)
@given(
    file=st.sampled_from(["contents.json", "stimulus.npy", "first_row.npy", "response_std.npy"]),
    steps=DAMAGE,
)
def test_damaged_cache_is_built_again_or_was_not_damaged(small, tmp_path, file, steps):
    recording = open_recording(small.path)
    cache = cache_recording(recording, folder=tmp_path / "cache")
    path = cache.folder / file
    data = path.read_bytes()
    path.write_bytes(damaged(data[:128], steps) + data[128:])
    again = cache_recording(recording, folder=tmp_path / "cache")
    assert again.statistics.sources == cache.statistics.sources
    assert again.first_row.tolist() == cache.first_row.tolist()
    assert np.array_equal(again.statistics.response_std, cache.statistics.response_std)
    assert again.stimulus.shape == cache.stimulus.shape
    assert again.stimulus.dtype == cache.stimulus.dtype


@pytest.mark.parametrize("name", ["mouse.zip", "mouse"])
@given(data=st.binary(max_size=500))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_place_of_a_recording_are_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RecordingError):
        open_recording(tmp_path / name)
