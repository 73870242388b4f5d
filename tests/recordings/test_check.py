"""A check finds everything that is wrong, names every file and tells what is there."""

import numpy as np
import pytest

from insilico.errors import RecordingError
from insilico.recordings import check as check_module
from insilico.recordings.check import check_recording, check_recordings, sum_up


def repeat_movies(written, groups, *, noise, seed=0):
    """Show one movie in each group of trials, with responses that repeat but for noise."""
    rng = np.random.default_rng(seed)
    for group in groups:
        movie = rng.integers(0, 256, (36, 64, 40)).astype(np.uint8)
        driven = rng.normal(size=(5, 40))
        for trial in group:
            np.save(written.file("stimulus", trial), movie)
            responses = driven + noise * rng.normal(size=(5, 40))
            np.save(written.file("responses", trial), responses)
            for signal in ("behavior", "pupil_center"):
                np.save(written.file(signal, trial), rng.normal(5, 1, (2, 40)))


@pytest.mark.parametrize("layout", ["sensorium2022", "franke2022", "sensorium2023", "rochefort"])
def test_sound_recording_has_no_faults(write_recording, layout):
    written = write_recording(layout)
    found = check_recording(written.path)
    assert found.faults == []
    assert found.warnings == []
    assert found.tiers["trials"].sum() == len(written.tiers)
    assert sum_up([found]) is None


def test_repeats_and_their_reliability_are_told(write_recording):
    written = write_recording("rochefort", tiers=["train"] * 2 + ["validation"] * 24)
    repeat_movies(written, [range(2, 14), range(14, 25), [25]], noise=0.5)
    (row,) = check_recording(written.path).tiers.query("tier == 'validation'").to_dict("records")
    assert (row["stimuli"], row["least_repeats"], row["most_repeats"]) == (2, 11, 12)
    # Signal 1, noise variance 1/4: 1 / sqrt((1 + 1/4) (1 + 1/4/11)) for one against eleven.
    assert row["reliability"] == pytest.approx(0.884, abs=0.03)
    assert row["reliability_neurons"] == 5


def test_reliability_of_large_tiers_is_measured_on_some_neurons(write_recording, monkeypatch):
    written = write_recording("rochefort", tiers=["train"] * 2 + ["validation"] * 4)
    repeat_movies(written, [range(2, 6)], noise=0.1)
    monkeypatch.setattr(check_module, "KEPT_BYTES", 4 * 40 * 4 * 3)
    (row,) = check_recording(written.path).tiers.query("tier == 'validation'").to_dict("records")
    assert row["reliability_neurons"] == 3
    assert row["reliability"] > 0.95


def test_every_fault_is_told_with_its_file(write_recording):
    written = write_recording("sensorium2023")
    written.file("behavior", 1).unlink()
    data = written.file("responses", 2).read_bytes()
    written.file("responses", 2).write_bytes(data[:200])
    written.file("stimulus", 2).write_bytes(b"GIF89a, not NumPy")
    np.save(written.file("pupil_center", 3), np.zeros((3, 12)))
    values = np.load(written.file("responses", 5))
    values[1, 1] = np.inf
    np.save(written.file("responses", 5), values)
    np.save(written.file("responses", 11), values)
    (written.path / "data/videos/0 (copy).npy").write_bytes(b"")
    found = check_recording(written.path)
    expected = [
        "data/videos/0 (copy).npy belongs to no trial",
        "data/responses/11.npy belongs to no trial",
        "data/behavior/1.npy is missing",
        "data/videos/2.npy is empty, damaged or no .npy file",
        "data/responses/2.npy is cut off",
        "data/pupil_center/3.npy has shape (3, 12)",
        "data/responses/5.npy has 1 values that are not finite",
    ]
    assert len(found.faults) == len(expected)
    assert all(text in fault for text, fault in zip(expected, found.faults, strict=True))
    assert found.tiers.set_index("tier").loc["train", "trials"] == 4


def test_recording_that_cannot_be_opened_is_told_beside_those_that_can(write_recording, tmp_path):
    write_recording("rochefort")
    written = write_recording("sensorium2022")
    (written.path / "meta/trials/tiers.npy").unlink()
    (tmp_path / "broken.zip").write_bytes(b"x")
    checks = check_recordings(tmp_path)
    assert [one.mouse for one in checks] == ["21067-10-18", "VIPcre232_FOV1_day1", "broken"]
    assert [len(one.faults) for one in checks] == [1, 0, 1]
    assert "2 faults were found in 2 of 3 recordings" in str(sum_up(checks))


def test_neuron_without_variance_is_a_warning(write_recording):
    written = write_recording("rochefort")
    for trial in range(len(written.tiers)):
        values = np.load(written.file("responses", trial))
        values[[1, 3]] = 2.5
        np.save(written.file("responses", trial), values)
    found = check_recording(written.path)
    assert found.faults == []
    assert "2 neurons never vary during training (neuron 1, …)" in found.warnings[0]


def test_gray_stimuli_are_a_fault(write_recording):
    written = write_recording("rochefort", tiers=["train", "validation"])
    np.save(written.file("stimulus", 0), np.full((36, 64, 12), 127, np.uint8))
    assert "same gray" in check_recording(written.path).faults[0]


def test_recording_without_validation_tier_is_a_warning(write_recording):
    found = check_recording(write_recording("rochefort", tiers=["train"] * 3).path)
    assert "no tier 'validation'" in found.warnings[0]


def test_silent_trials_of_a_public_tier_are_a_warning(write_recording):
    written = write_recording("rochefort")
    np.save(written.file("responses", 4), np.zeros((5, 11)))
    assert (
        "trials of the tier 'validation' have only zero"
        in check_recording(written.path).warnings[0]
    )


def test_mice_of_other_frame_rates_and_sizes_are_a_warning(write_recording, tmp_path):
    write_recording("rochefort", name="one")
    written = write_recording("rochefort", name="two", tiers=["train", "validation"])
    (written.path / "meta/screen.toml").write_text("frame_rate_hz = 60")
    for trial in range(2):
        movie = np.load(written.file("stimulus", trial))
        np.save(written.file("stimulus", trial), np.repeat(np.repeat(movie, 2, 0), 2, 1))
    warnings = [text for one in check_recordings(tmp_path) for text in one.warnings]
    assert any("different frame sizes (36 x 64 px; 72 x 128 px)" in text for text in warnings)
    assert any("different frame rates (30 Hz; 60 Hz)" in text for text in warnings)


def test_two_recordings_of_one_mouse_are_a_fault(write_recording, tmp_path):
    write_recording("sensorium2023")
    write_recording("sensorium2023", name="dynamic29156-11-10-Again")
    faults = [text for one in check_recordings(tmp_path) for text in one.faults]
    assert len(faults) == 1
    assert "both of mouse 29156-11-10" in faults[0]


def test_path_that_is_not_there_is_one_fault(tmp_path):
    (found,) = check_recordings(tmp_path / "missing")
    assert "there is no" in found.faults[0]
    with pytest.raises(RecordingError, match="holds no recording"):
        check_recordings(tmp_path)
