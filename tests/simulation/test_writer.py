import hashlib
import os
import shutil
import subprocess
import tomllib

import numpy as np
import pandas as pd
import pytest
import torch

from insilico.errors import RecordingError, RunFolderError
from insilico.files import atomic_folder
from insilico.recordings import open_recording
from insilico.screen import Screen
from insilico.simulation import (
    SimulationOptions,
    allowed_correlation,
    population_twin,
    read_ground_truth,
    write_recordings,
)
from insilico.simulation import writer as writing
from insilico.simulation.ground_truth import TRUTH_FILE
from insilico.simulation.session import SimulatedSession, shift_view

SMALL = {
    "movie": {
        "kind": "movie",
        "mice": 2,
        "neurons": 9,
        "train_trials": 3,
        "validation_stimuli": 2,
        "test_stimuli": 1,
        "final_stimuli": 0,
        "bonus_stimuli": 1,
        "repeats": 2,
        "trial_s": 2.0,
    },
    "image": {
        "kind": "image",
        "mice": 1,
        "neurons": 30,
        "train_trials": 60,
        "validation_stimuli": 5,
        "test_stimuli": 60,
        "repeats": 5,
    },
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of each kind, and what was said of it."""
    folders = {kind: tmp_path_factory.mktemp(kind) / "out" for kind in SMALL}
    return {
        kind: (out, write_recordings(out, options=SimulationOptions(**SMALL[kind])))
        for kind, out in folders.items()
    }


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def load(folder, name):
    return np.load(folder / f"{name}.npy")


def trial_files(folder, name, trials):
    return [load(folder, f"{name}/{trial}") for trial in trials]


def test_movie_folder_has_the_published_files_and_shapes(written):
    out, mice = written["movie"]
    assert [mouse.mouse for mouse in mice] == ["mouse-1", "mouse-2"]
    folder = out / "mouse-2"
    tiers = load(folder, "meta/trials/tiers")
    assert sorted(set(tiers)) == [
        "final_test_bonus",
        "live_test_bonus",
        "live_test_main",
        "oracle",
        "train",
    ]
    stimulus_ids, video_ids = (load(folder, f"meta/trials/{n}_ids") for n in ("stimulus", "video"))
    assert set(stimulus_ids) == {0, 1, 2, 3, 4, 5}
    for trial, stimulus_id in enumerate(stimulus_ids):
        frames = 63 if stimulus_id == 2 else 60
        shapes = {
            "videos": (36, 64, frames),
            "responses": (9, frames),
            "behavior": (2, frames),
            "pupil_center": (2, frames),
        }
        for name, shape in shapes.items():
            values = load(folder, f"data/{name}/{trial}")
            assert values.shape == shape
            assert values.dtype == (np.uint8 if name == "videos" else np.float32)
            assert values.flags.c_contiguous
        truth = folder / f"truth/responses/{trial}.npy"
        assert truth.exists() == (tiers[trial] != "train")
    assert not (folder / "rates").exists()
    first, second = np.flatnonzero(video_ids == video_ids[tiers == "oracle"][0])
    np.testing.assert_array_equal(
        load(folder, f"data/videos/{first}"), load(folder, f"data/videos/{second}")
    )
    assert load(folder, "meta/neurons/unit_ids").shape == (9,)
    assert load(folder, "meta/neurons/cell_motor_coordinates").shape == (9, 3)
    screen = tomllib.loads((folder / "meta/screen.toml").read_text())
    assert Screen.from_dict(screen) == Screen()


def test_image_folder_has_the_published_files_and_shapes(written):
    folder = written["image"][0] / "mouse-1"
    tiers, image_id = (load(folder, f"meta/trials/{n}") for n in ("tiers", "frame_image_id"))
    assert {tier: (tiers == tier).sum() for tier in set(tiers)} == {
        "train": 60,
        "validation": 5,
        "test": 300,
    }
    shapes = {"images": (1, 36, 64), "responses": (30,), "behavior": (3,), "pupil_center": (2,)}
    for name, shape in shapes.items():
        assert load(folder, f"data/{name}/7").shape == shape
    same = trial_files(folder, "data/images", np.flatnonzero(image_id == image_id[0]))
    assert all(np.array_equal(same[0], other) for other in same)
    images = np.stack(trial_files(folder, "data/images", np.flatnonzero(tiers == "train")))
    assert len(np.unique(images.reshape(60, -1), axis=0)) == 60
    assert not (set(image_id[tiers == "train"]) & set(image_id[tiers != "train"]))


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_statistics_on_disk_are_those_of_the_training_trials(kind, written):
    folder = written[kind][0] / "mouse-1"
    train = np.flatnonzero(load(folder, "meta/trials/tiers") == "train")
    stimuli = "videos" if kind == "movie" else "images"
    join = np.concatenate if kind == "movie" else np.stack
    for name in (stimuli, "responses", "behavior", "pupil_center"):
        values = join(trial_files(folder, f"data/{name}", train), axis=-1).astype(np.float64)
        axis = None if name == stimuli else -1
        for measure in ("min", "max", "median", "mean", "std"):
            expected = getattr(np, measure)(values, axis=axis)
            found = load(folder, f"meta/statistics/{name}/all/{measure}")
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_recordings_are_read_back_by_the_reader(kind, written):
    folder = written[kind][0] / "mouse-1"
    recording = open_recording(folder)
    assert recording.kind == kind
    assert recording.layout == ("sensorium2023" if kind == "movie" else "sensorium2022")
    assert recording.screen == Screen()
    assert len(recording.neurons) == len(read_ground_truth(folder))
    assert recording.has_pupil
    trial = recording.read(0)
    np.testing.assert_array_equal(trial.responses, load(folder, "data/responses/0"))


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_reliability_of_the_written_trials_is_the_asked_one(kind, written):
    folder = written[kind][0] / "mouse-1"
    truth, mouse = read_ground_truth(folder), written[kind][1][0]
    assert mouse.reliability == pytest.approx(0.45 if kind == "image" else 0.4, abs=0.02)
    assert mouse.reliability_obtained == pytest.approx(mouse.reliability, abs=0.06)
    tiers = load(folder, "meta/trials/tiers")
    test = np.flatnonzero(tiers == "test" if kind == "image" else tiers == "oracle")
    expected, drawn = (
        np.concatenate([v.reshape(len(truth), -1) for v in trial_files(folder, n, test)], axis=1)
        for n in ("truth/responses", "data/responses")
    )
    obtained = [np.corrcoef(*pair)[0, 1] for pair in zip(expected, drawn, strict=True)]
    if kind == "image":
        np.testing.assert_allclose(truth["reliability_obtained"], obtained, atol=1e-4)
        # One rare bright image can carry a neuron's correlation; most neurons are near theirs.
        assert np.median(np.abs(obtained - truth["reliability"])) < 0.08
    else:
        # The reliability holds over all repeated natural movies, of which these are a part.
        assert np.mean(obtained) == pytest.approx(0.4, abs=0.12)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_twin_of_the_population_knows_every_parameter_and_answers_in_recorded_units(kind, written):
    folder = written[kind][0] / "mouse-1"
    twin, truth = population_twin(folder), read_ground_truth(folder)
    assert twin.kind == kind
    pd.testing.assert_frame_equal(twin.ground_truth, truth)
    planted = {"x_px", "y_px", "x_deg", "y_deg", "direction_deg", "orientation_deg", "osi"}
    planted |= {"surround_strength", "contrast_gain", "running_gain", "pupil_gain", "reliability"}
    assert planted <= set(truth)
    assert ("dsi" in truth) == (kind == "movie")
    # Without gaze, calcium and behavior the twin still says most of what was expected.
    tiers = load(folder, "meta/trials/tiers")
    test = np.flatnonzero((tiers == "test") | (tiers == "oracle"))[:60]
    expected = trial_files(folder, "truth/responses", test)
    shown = trial_files(folder, "data/images" if kind == "image" else "data/videos", test)
    if kind == "movie":
        shown = [np.moveaxis(movie, -1, 0)[None] for movie in shown]
    answers = twin.respond(np.stack(shown)).values
    answers = np.moveaxis(answers, 1, 0).reshape(len(truth), -1)
    expected = np.moveaxis(np.stack(expected), 1, 0).reshape(len(truth), -1)
    correlation = [np.corrcoef(*pair)[0, 1] for pair in zip(answers, expected, strict=True)]
    assert np.median(correlation) > 0.5
    slope = [np.polyfit(*pair, 1)[0] for pair in zip(answers, expected, strict=True)]
    assert 0.4 < np.median(slope) < 1.6


def test_same_options_write_the_same_bytes_and_another_seed_others(written, tmp_path):
    out, _ = written["movie"]
    write_recordings(tmp_path / "again", options=SimulationOptions(**SMALL["movie"]))
    assert hashes(out) == hashes(tmp_path / "again")
    write_recordings(
        tmp_path / "other", options=SimulationOptions(**{**SMALL["movie"], "mice": 1}, seed=1)
    )
    first, other = hashes(out / "mouse-1"), hashes(tmp_path / "other" / "mouse-1")
    for name in ("data/videos/0.npy", "data/responses/0.npy", str(TRUTH_FILE)):
        assert first[name] != other[name]


def test_mice_differ_in_neurons_stimuli_and_gaze(written):
    out, _ = written["movie"]
    first, second = (hashes(out / name) for name in ("mouse-1", "mouse-2"))
    for name in ("data/videos/0.npy", "truth/simulation.toml", str(TRUTH_FILE)):
        assert first[name] != second[name]


def test_interrupted_run_keeps_finished_mice_and_continues(written, tmp_path, monkeypatch):
    out, options = tmp_path / "out", SimulationOptions(**SMALL["movie"])
    write_mouse = writing._write_mouse

    def stop_at_the_second(folder, session, advance):
        write_mouse(folder, session, advance)
        if session.mouse == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_write_mouse", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write_recordings(out, options=options)
    assert {child.name for child in out.iterdir()} == {"simulation.toml", "mouse-1"}
    kept = (out / "mouse-1" / "data/responses/0.npy").stat().st_mtime_ns
    monkeypatch.undo()
    mice = write_recordings(out, options=options)
    assert mice[0].seconds == 0
    assert mice[1].seconds > 0
    assert (out / "mouse-1" / "data/responses/0.npy").stat().st_mtime_ns == kept
    assert hashes(out) == hashes(written["movie"][0])


def test_draft_of_a_killed_run_is_removed(written, monkeypatch):
    out, _ = written["movie"]
    ended = subprocess.Popen("true")
    ended.wait()
    monkeypatch.setattr(os, "getpid", lambda: ended.pid)
    writing = atomic_folder(out / "mouse-3")
    draft = writing.__enter__()  # what is killed never leaves the context
    monkeypatch.undo()
    write_recordings(out, options=SimulationOptions(**SMALL["movie"]))
    assert not draft.exists()


def test_padded_movies_are_float32_and_end_in_nan(tmp_path):
    options = SimulationOptions(**{**SMALL["movie"], "mice": 1}, padded=True)
    write_recordings(tmp_path / "out", options=options)
    folder = tmp_path / "out" / "mouse-1"
    is_dots = load(folder, "meta/trials/stimulus_ids") == 2
    for trial in (int(np.argmax(is_dots)), int(np.argmin(is_dots))):
        for name in ("videos", "responses", "behavior", "pupil_center"):
            values = load(folder, f"data/{name}/{trial}")
            assert values.dtype == np.float32
            assert values.shape[-1] == 63
            assert np.isnan(values[..., 60:]).all() == (not is_dots[trial])
            assert np.isfinite(values[..., :60]).all()
    statistics = load(folder, "meta/statistics/responses/all/mean")
    assert np.isfinite(statistics).all()
    recording = open_recording(folder)
    assert recording.read(int(np.argmin(is_dots))).responses.shape == (9, 60)


def test_scaled_images_are_read_at_the_size_of_the_screen(tmp_path):
    options = SimulationOptions(
        kind="image", mice=1, neurons=3, train_trials=4, test_stimuli=3, repeats=2, image_scale=4
    )
    write_recordings(tmp_path / "out", options=options)
    folder = tmp_path / "out" / "mouse-1"
    image = load(folder, "data/images/0")
    assert image.shape == (1, 144, 256)
    recording = open_recording(folder)
    np.testing.assert_array_equal(recording.read(0).stimulus, image[:, ::4, ::4])


def test_gaze_moves_what_receptive_fields_see():
    frames = torch.zeros(3, 36, 64)
    frames[:, 10, 20] = 1.0
    shift = torch.tensor([[0.0, 3.0, 0.5], [0.0, -2.0, 0.0]])
    seen = shift_view(frames, shift)
    torch.testing.assert_close(seen[0], frames[0], atol=1e-5, rtol=0)
    # A field 3 px to the right and 2 px up sees there what lies at its own place.
    assert seen[1, 12, 17] == pytest.approx(1, abs=1e-4)
    assert seen[2, 10, 20] == pytest.approx(0.5, abs=1e-4)
    assert seen[2, 10, 19] == pytest.approx(0.5, abs=1e-4)


def test_gaze_shifts_receptive_fields_by_the_asked_spread():
    shifts = []
    for mouse in range(3):
        session = SimulatedSession(SimulationOptions(neurons=2, gaze_shift_px=2.0), mouse=mouse)
        states = [session.state(trial) for trial in range(len(session.trials))]
        shifts.append(np.concatenate([state.shift_px for state in states], axis=1))
        np.testing.assert_allclose(shifts[-1].mean(1), 0, atol=1e-6)
    assert np.mean([shift.std(1) for shift in shifts]) == pytest.approx(2, rel=0.15)


def test_without_gaze_and_behavior_the_expected_response_is_that_of_the_twin(tmp_path):
    options = SimulationOptions(
        kind="image", mice=1, neurons=8, train_trials=2, test_stimuli=40, repeats=2,
        validation_stimuli=0, gaze_shift_px=0.0,
    )  # fmt: skip
    write_recordings(tmp_path / "out", options=options)
    folder = tmp_path / "out" / "mouse-1"
    truth, twin = read_ground_truth(folder), population_twin(folder)
    session = SimulatedSession(options, mouse=0)
    test = np.flatnonzero(load(folder, "meta/trials/tiers") == "test")
    images = np.stack(trial_files(folder, "data/images", test))
    gain = np.stack([session.state(int(trial)).gain[:, 0] for trial in test])
    spontaneous = (truth["scale"] * truth["spontaneous_rate"]).to_numpy()
    floor = truth["measurement_std"].to_numpy() * np.sqrt(0.1)
    expected = gain * (twin.respond(images).values + spontaneous) + floor
    found = np.stack(trial_files(folder, "truth/responses", test))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)


def test_folder_with_other_options_is_refused(written):
    out, _ = written["image"]
    with pytest.raises(RunFolderError, match="holds recordings simulated with other options"):
        write_recordings(out, options=SimulationOptions(**SMALL["image"], seed=5))


def test_folder_with_other_content_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="is not empty and holds no simulation"):
        write_recordings(tmp_path, options=SimulationOptions())
    assert [child.name for child in tmp_path.iterdir()] == ["thesis.txt"]


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunFolderError, match="is a file; name a folder"):
        write_recordings(tmp_path / "out", options=SimulationOptions())


def test_damaged_options_are_refused(tmp_path):
    (tmp_path / "simulation.toml").write_text("= nothing")
    with pytest.raises(RunFolderError, match="cannot be read"):
        write_recordings(tmp_path, options=SimulationOptions())


def test_what_a_perfect_model_reaches_is_the_reliability(written):
    folder = written["image"][0] / "mouse-1"
    np.testing.assert_allclose(
        allowed_correlation(folder, tier="test"),
        read_ground_truth(folder)["reliability_obtained"],
        atol=1e-5,
    )
    folder = written["movie"][0] / "mouse-1"
    allowed = allowed_correlation(folder, tier="validation", burn_in_frames=5)
    assert allowed.shape == (len(read_ground_truth(folder)),)
    assert 0.1 < allowed.mean() < 0.9
    with pytest.raises(RecordingError, match="no expected responses in the tier train"):
        allowed_correlation(folder, tier="train")


@pytest.fixture
def copied(written, tmp_path):
    """A recording that may be damaged."""
    return shutil.copytree(written["image"][0] / "mouse-1", tmp_path / "mouse-1")


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_truncated_truth_is_refused(copied, part):
    data = (copied / TRUTH_FILE).read_bytes()
    (copied / TRUTH_FILE).write_bytes(data[: int(part * len(data))])
    with pytest.raises(RecordingError, match=r"ground_truth\.parquet is damaged"):
        read_ground_truth(copied)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "has no meta.screen.toml; simulate the recording again"),
        ("distance_cm = ", "is no TOML"),
        ("distance_cm = 'far'", "distance_cm is 'far'; give a number"),
    ],
)
def test_twin_of_a_recording_without_its_screen_is_refused(copied, text, sentence):
    (copied / "meta/screen.toml").unlink()
    if text is not None:
        (copied / "meta/screen.toml").write_text(text)
    with pytest.raises(RecordingError, match=sentence):
        population_twin(copied)


def test_folder_without_truth_has_no_twin(tmp_path):
    with pytest.raises(RecordingError, match="give the folder of one mouse"):
        population_twin(tmp_path)
