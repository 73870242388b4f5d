"""A cache holds what was recorded, measures it, and is believed only while it is what was built."""

import dataclasses
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from insilico.errors import RecordingError
from insilico.files import atomic_folder
from insilico.recordings import cache_recording, open_recording
from insilico.recordings.cache import _reader, _size_bytes

LAYOUTS = ("sensorium2022", "franke2022", "sensorium2023", "rochefort")


@pytest.fixture
def cached(write_recording, tmp_path):
    """Write a recording and cache it; returns both."""

    def build(layout, **options):
        written = write_recording(layout, **options)
        return written, cache_recording(open_recording(written.path), folder=tmp_path / "cache")

    return build


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_every_trial_are_those_read(cached, layout):
    written, cache = cached(layout)
    recording = open_recording(written.path)
    for position, tier in enumerate(written.tiers):
        rows = cache.rows(position)
        if tier == "none":
            assert rows.start == rows.stop
            continue
        trial = recording.read(position)
        stimulus = np.moveaxis(trial.stimulus, 1, 0) if written.kind == "movie" else trial.stimulus
        assert np.array_equal(cache.stimulus[rows].reshape(stimulus.shape), stimulus)
        count = rows.stop - rows.start
        assert np.array_equal(cache.responses[rows], trial.responses.reshape(5, count).T)
        assert np.array_equal(cache.behavior[rows], trial.behavior.reshape(-1, count).T)
        assert np.array_equal(cache.pupil_center[rows], trial.pupil_center.reshape(2, count).T)
    total = cache.trials["frame_count"].sum()
    assert len(cache.stimulus) == len(cache.responses) == len(cache.behavior) == total
    assert cache.stimulus.dtype == (np.float32 if layout == "sensorium2022" else np.uint8)


def test_frames_of_a_trial_are_counted_from_its_start(cached):
    _, cache = cached("rochefort", frames=12)
    assert cache.rows(1) == slice(12, 23)
    assert cache.rows(1, 2, 5) == slice(14, 17)
    with pytest.raises(RecordingError, match=r"frames 2 to 12 .* it has frames 0 to 11"):
        cache.rows(1, 2, 12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_statistics_are_the_closed_forms_over_the_training_tier(cached, layout):
    written, cache = cached(layout)
    train = [trial for trial, tier in enumerate(written.tiers) if tier == "train"]
    reader = open_recording(written.path).read
    trials = [reader(trial) for trial in train]
    levels = np.concatenate([trial.stimulus.astype(np.float64).ravel() for trial in trials])
    signals = {
        name: np.concatenate(
            [np.atleast_2d(getattr(trial, name).T.astype(np.float64)) for trial in trials]
        )
        for name in ("responses", "behavior", "pupil_center")
    }
    statistics = cache.statistics
    assert statistics.stimulus_mean == pytest.approx(levels.mean(), rel=1e-12)
    assert statistics.stimulus_std == pytest.approx(levels.std(), rel=1e-12)
    assert np.allclose(statistics.response_std, signals["responses"].std(axis=0), rtol=1e-12)
    assert np.allclose(cache.response_mean, signals["responses"].mean(axis=0), rtol=1e-12)
    std = signals["behavior"].std(axis=0)
    assert np.allclose(statistics.behavior_std, std, rtol=1e-12)
    assert np.allclose(statistics.behavior_mean, (signals["behavior"] / std).mean(axis=0))
    assert np.allclose(statistics.pupil_mean, signals["pupil_center"].mean(axis=0), rtol=1e-12)
    assert np.allclose(statistics.pupil_std, signals["pupil_center"].std(axis=0), rtol=1e-12)
    assert set(statistics.sources.values()) == {"measured on 4 training trials"}


def test_neurons_that_hardly_vary_are_divided_by_one_percent_of_the_mean(cached, write_recording):
    written = write_recording("rochefort")
    for trial in range(len(written.tiers)):
        values = np.load(written.file("responses", trial))
        values[2] = 3.0
        np.save(written.file("responses", trial), values)
    cache = cache_recording(open_recording(written.path), folder=written.path.parent / "cache")
    std = cache.responses[: cache.first_row[4]].std(axis=0, dtype=np.float64)
    assert cache.statistics.response_std[2] == pytest.approx(0.01 * std.mean(), rel=1e-6)
    assert cache.statistics.response_std[1] == pytest.approx(std[1], rel=1e-6)


def test_behavior_that_never_varies_is_not_scaled(write_recording, tmp_path):
    written = write_recording("rochefort")
    for trial in range(len(written.tiers)):
        values = np.load(written.file("behavior", trial))
        values[1] = 0.1
        np.save(written.file("behavior", trial), values)
    statistics = cache_recording(open_recording(written.path), folder=tmp_path / "c").statistics
    assert statistics.behavior_std[1] == 1.0
    assert "running_speed did not vary" in statistics.sources["behavior"]


def test_recording_without_training_trials_has_no_statistics(cached):
    _, cache = cached("rochefort", tiers=["live_main", "live_main"])
    assert cache.statistics.response_std is None
    assert np.isnan(cache.response_mean).all()


def test_silent_recording_is_refused_and_leaves_nothing(write_recording, tmp_path):
    written = write_recording("rochefort", tiers=["train", "train"])
    for trial in range(2):
        np.save(written.file("responses", trial), np.ones((5, 12 - trial)))
    with pytest.raises(RecordingError, match="no neuron"):
        cache_recording(open_recording(written.path), folder=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_trials_without_responses_are_left_out(write_recording, tmp_path):
    written = write_recording("sensorium2023")
    np.save(written.file("responses", 8), np.zeros((5, 12)))
    cache = cache_recording(open_recording(written.path), folder=tmp_path / "cache")
    assert cache.trials["has_responses"].tolist() == [True] * 8 + [False, True, False]
    assert cache.trials_of("live_main").tolist() == []
    assert cache.trials_of("validation", "final_bonus").tolist() == [4, 5, 6, 7, 9]


def test_repeats_are_told_from_the_movies_where_files_do_not_say(write_recording, tmp_path):
    written = write_recording("sensorium2023")
    for trial in (4, 7):
        np.save(written.file("stimulus", trial), np.load(written.file("stimulus", 5)))
        for signal in ("responses", "behavior", "pupil_center"):
            np.save(written.file(signal, trial), np.load(written.file(signal, 5)))
    cache = cache_recording(open_recording(written.path), folder=tmp_path / "cache")
    assert cache.trials["stimulus_index"].tolist() == [-1] * 4 + [0, 0, 1, 0, 2, 3, -1]


def test_repeats_in_the_files_are_believed(write_recording, tmp_path):
    written = write_recording("rochefort")
    written.save("trials/video_ids", np.array([0, 1, 2, 3, 9, 9, 8, 8, -1, 8]))
    cache = cache_recording(open_recording(written.path), folder=tmp_path / "cache")
    assert cache.trials["stimulus_index"].tolist() == [0, 1, 2, 3, 9, 9, 8, 8, 10, 8]


def test_folder_and_zip_have_one_content_hash_and_a_changed_one_another(cached, tmp_path):
    written, cache = cached("sensorium2023")
    zipped = open_recording(written.zip(tmp_path / "m.zip"))
    assert cache_recording(zipped, folder=tmp_path / "z").content_sha256 == cache.content_sha256
    values = np.load(written.file("responses", 0))
    values[0, 0] += 1
    np.save(written.file("responses", 0), values)
    changed = cache_recording(open_recording(written.path), folder=tmp_path / "cache")
    assert changed.content_sha256 != cache.content_sha256


def test_second_call_opens_what_is_there(cached, monkeypatch):
    written, cache = cached("sensorium2023")
    recording = open_recording(written.path)
    monkeypatch.setattr("insilico.recordings.cache.decode_trials", pytest.fail)
    again = cache_recording(recording, folder=cache.folder.parent)
    assert again.trials.equals(cache.trials)
    assert again.content_sha256 == cache.content_sha256
    for field in dataclasses.fields(cache.statistics):
        first, second = getattr(cache.statistics, field.name), getattr(again.statistics, field.name)
        assert np.array_equal(first, second), field.name


def test_changed_file_makes_another_cache(cached):
    written, cache = cached("rochefort")
    file = written.file("responses", 0)
    values = np.load(file)
    while True:
        before = file.stat().st_mtime_ns
        np.save(file, values * 2)
        if file.stat().st_mtime_ns != before:
            break
        time.sleep(0.01)
    again = cache_recording(open_recording(written.path), folder=cache.folder.parent)
    assert again.folder != cache.folder
    assert np.array_equal(again.responses[:12], cache.responses[:12] * 2)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_recording_whose_files_changed_since_it_was_opened_is_refused(
    write_recording, tmp_path, form
):
    written = write_recording("rochefort")
    path = written.path if form == "folder" else written.zip(tmp_path / "VIPcre232.zip")
    old = open_recording(path)
    written.save("trials/tiers", np.array(["train"] * 8 + ["live_main"] * 2))
    if form == "folder":
        os.utime(path / "meta/trials/tiers.npy", ns=(0, 0))
    else:
        written.zip(path)
        os.utime(path, ns=(0, 0))
    with pytest.raises(RecordingError, match="changed since it was opened; open it again"):
        cache_recording(old, folder=tmp_path / "cache")
    cache = cache_recording(open_recording(path), folder=tmp_path / "cache")
    assert cache.trials_of("train").tolist() == list(range(8))


@pytest.mark.parametrize(
    "damage",
    ["contents", "missing", "shorter", "small array", "empty", "other version", "no JSON object"],
)
def test_damaged_cache_is_built_again(cached, damage):
    written, cache = cached("sensorium2023")
    contents = cache.folder / "contents.json"
    if damage == "contents":
        contents.write_text(contents.read_text().replace("measured on 4", "measured on 5"))
    elif damage == "missing":
        (cache.folder / "stimulus.npy").unlink()
    elif damage == "shorter":
        data = (cache.folder / "responses.npy").read_bytes()
        (cache.folder / "responses.npy").write_bytes(data[:-4])
    elif damage == "small array":
        data = bytearray((cache.folder / "response_std.npy").read_bytes())
        data[-3] ^= 1
        (cache.folder / "response_std.npy").write_bytes(data)
    elif damage == "empty":
        shutil.rmtree(cache.folder)
        cache.folder.mkdir()
    elif damage == "other version":
        contents.write_text(contents.read_text().replace('version\\": ', 'version\\": 9'))
    else:
        contents.write_text("[1, 2]")
    again = cache_recording(open_recording(written.path), folder=cache.folder.parent)
    assert again.folder == cache.folder
    assert again.statistics.sources == cache.statistics.sources
    assert np.array_equal(again.statistics.response_std, cache.statistics.response_std)
    assert np.load(cache.folder / "stimulus.npy").shape == cache.stimulus.shape


def test_faulty_trial_leaves_no_cache(write_recording, tmp_path):
    written = write_recording("rochefort")
    values = np.load(written.file("responses", 7))
    values[0, 0] = np.nan
    np.save(written.file("responses", 7), values)
    with pytest.raises(RecordingError, match=r"responses.7.npy has 1 values"):
        cache_recording(open_recording(written.path), folder=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_file_is_told_before_anything_is_decoded(write_recording, tmp_path):
    written = write_recording("rochefort")
    for trial in (8, 9):
        written.file("behavior", trial).unlink()
    with pytest.raises(RecordingError, match=r"behavior.8.npy is missing, like 1 more"):
        cache_recording(open_recording(written.path), folder=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_full_disk_is_told_before_anything_is_decoded(write_recording, tmp_path, monkeypatch):
    recording = open_recording(write_recording("rochefort").path)
    usage = shutil._ntuple_diskusage(10**9, 10**9, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(RecordingError, match="free some space or choose another folder"):
        cache_recording(recording, folder=tmp_path / "cache")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_space_for_the_cache_is_known_before_it_is_written(cached, layout):
    written, cache = cached(layout)
    recording = open_recording(written.path)
    signals = ("stimulus", "responses", "behavior", "pupil_center")
    taken = sum(getattr(cache, signal).nbytes for signal in signals)
    asked = _size_bytes(recording, _reader(recording))
    # Padding counts as frames, and in floats even where levels turn out to be whole numbers.
    assert taken <= asked
    assert asked == taken or layout == "sensorium2023"


def test_space_is_that_of_all_stimuli_and_not_of_the_first(write_recording):
    written = write_recording("rochefort")
    recording = open_recording(written.path)
    before = _size_bytes(recording, _reader(recording))
    np.save(written.file("stimulus", 9), written.stimulus[9].astype(np.float64))
    recording = open_recording(written.path)
    frames = sum(movie.shape[-1] for movie in written.stimulus)
    assert _size_bytes(recording, _reader(recording)) - before == frames * 36 * 64 * 3


@pytest.mark.parametrize(
    ("layout", "shape"), [("sensorium2022", (1, 0, 64)), ("rochefort", (36, 0, 12))]
)
def test_empty_first_stimulus_is_refused(write_recording, tmp_path, layout, shape):
    written = write_recording(layout)
    np.save(written.file("stimulus", 0), np.zeros(shape, np.uint8))
    with pytest.raises(RecordingError, match=r"0\.npy has shape"):
        cache_recording(open_recording(written.path), folder=tmp_path / "cache")


def test_draft_of_a_killed_process_is_removed_and_one_in_work_is_not(
    write_recording, tmp_path, monkeypatch
):
    ended = subprocess.Popen("true")
    ended.wait()
    monkeypatch.setattr(os, "getpid", lambda: ended.pid)
    writing = atomic_folder(tmp_path / "cache" / "other-mouse")
    dead = writing.__enter__()  # what is killed never leaves the context
    monkeypatch.undo()
    recording = open_recording(write_recording("rochefort").path)
    with atomic_folder(tmp_path / "cache" / "third-mouse") as draft:
        cache_recording(recording, folder=tmp_path / "cache")
        assert draft.exists()
    assert not dead.exists()


def test_disk_that_fills_while_writing_is_one_sentence(write_recording, tmp_path, monkeypatch):
    recording = open_recording(write_recording("rochefort").path)

    def refuse(self, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("insilico.recordings.writing.RowWriter.write", refuse)
    with pytest.raises(RecordingError, match="No space left on device"):
        cache_recording(recording, folder=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_recording_of_excluded_trials_only_is_refused(write_recording, tmp_path):
    written = write_recording("sensorium2023", tiers=["none", "none"])
    with pytest.raises(RecordingError, match="no trial to read"):
        cache_recording(open_recording(written.path), folder=tmp_path / "cache")


@pytest.mark.parametrize("attempt", range(5))
def test_one_cache_built_by_several_at_once_serves_all(write_recording, tmp_path, attempt):
    recording = open_recording(write_recording("rochefort").path)
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(cache_recording, recording, folder=tmp_path / "cache") for _ in range(4)
        ]
        caches = [job.result() for job in jobs]
    assert len({cache.content_sha256 for cache in caches}) == 1
    assert len({bytes(cache.responses) for cache in caches}) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1
