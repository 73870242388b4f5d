"""Movies end where their padding starts, in every signal."""

import numpy as np
import pytest

from insilico.errors import RecordingError
from insilico.recordings import open_recording


def test_padding_ends_every_signal(write_recording):
    written = write_recording("sensorium2023", frames=12)
    assert np.load(written.file("stimulus", 1)).shape == (36, 64, 12)
    trial = open_recording(written.path).read(1)
    assert trial.stimulus.shape == (1, 11, 36, 64)
    assert trial.responses.shape == (5, 11)
    assert trial.behavior.shape == trial.pupil_center.shape == (2, 11)


def test_unpadded_bytes_of_other_lengths_stay_bytes(write_recording):
    recording = open_recording(write_recording("rochefort", frames=12).path)
    assert [recording.read(trial).stimulus.shape[1] for trial in range(3)] == [12, 11, 10]
    assert recording.read(0).stimulus.dtype == np.uint8


def test_fortran_order_and_other_number_types_mean_the_same(write_recording):
    written = write_recording("sensorium2023")
    before = open_recording(written.path).read(1)
    for signal in ("stimulus", "responses"):
        values = np.load(written.file(signal, 1))
        np.save(written.file(signal, 1), np.asfortranarray(values).astype(">f8"))
    after = open_recording(written.path).read(1)
    assert np.array_equal(after.stimulus, before.stimulus)
    assert np.array_equal(after.responses, before.responses)


def test_padding_from_the_first_frame_is_refused(write_recording):
    written = write_recording("sensorium2023")
    np.save(written.file("stimulus", 1), np.full((36, 64, 12), np.nan))
    with pytest.raises(RecordingError, match="NaN in its first frame"):
        open_recording(written.path).read(1)


@pytest.mark.parametrize("signal", ["stimulus", "responses", "behavior", "pupil_center"])
def test_nan_in_a_shown_frame_is_refused(write_recording, signal):
    written = write_recording("sensorium2023")
    values = np.load(written.file(signal, 0))
    values[1, ..., 3] = np.nan
    np.save(written.file(signal, 0), values)
    with pytest.raises(RecordingError, match="not finite; mend the trial or set its tier"):
        open_recording(written.path).read(0)


def test_trial_excluded_by_its_tier_needs_no_files(write_recording):
    written = write_recording("sensorium2023")
    for signal in ("stimulus", "responses", "behavior", "pupil_center"):
        written.file(signal, 10).unlink()
    assert open_recording(written.path).trials["tier"].tolist()[10] == "none"


@pytest.mark.parametrize("signal", ["responses", "behavior", "pupil_center"])
def test_signal_of_another_length_than_the_movie_is_refused(write_recording, signal):
    written = write_recording("rochefort")
    values = np.load(written.file(signal, 0))
    np.save(written.file(signal, 0), values[:, :-1])
    with pytest.raises(RecordingError, match=rf"{signal}.0.npy has shape .*, 12\) was expected"):
        open_recording(written.path).read(0)


def test_responses_of_other_neurons_are_refused(write_recording):
    written = write_recording("rochefort", neurons=5)
    np.save(written.file("responses", 0), np.zeros((4, 12)))
    with pytest.raises(RecordingError, match=r"shape \(4, 12\), \(5, 12\) was expected"):
        open_recording(written.path).read(0)


def test_all_nan_responses_of_a_hidden_tier_are_withheld(write_recording):
    written = write_recording("sensorium2023")
    np.save(written.file("responses", 8), np.full((5, 12), np.nan))
    assert not open_recording(written.path).read(8).responses.any()


def test_texts_instead_of_responses_are_refused(write_recording):
    written = write_recording("rochefort")
    np.save(written.file("responses", 0), np.full((5, 12), "x"))
    with pytest.raises(RecordingError, match="holds texts"):
        open_recording(written.path).read(0)
