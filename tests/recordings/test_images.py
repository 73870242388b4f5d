"""Images are reduced as the published models saw them, and refused where they are none."""

import numpy as np
import pytest
import torch

from insilico.errors import RecordingError
from insilico.recordings import open_recording
from insilico.recordings.images import to_network_size


def test_reduction_is_bilinear_interpolation_without_antialiasing():
    image = np.random.default_rng(1).integers(0, 256, (2, 144, 256)).astype(np.uint8)
    reference = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None].double(), scale_factor=0.25, mode="bilinear"
    )[0]
    assert np.allclose(to_network_size(image), reference.numpy(), rtol=0, atol=1e-12)


def test_reduction_uses_the_central_pixels_of_each_block_only():
    image = np.full((1, 144, 256), 255, np.uint8)
    for row in (1, 2):
        for column in (1, 2):
            image[:, row::4, column::4] = 10 * row + column
    assert np.all(to_network_size(image) == 16.5)


def test_images_of_network_size_stay(write_recording):
    written = write_recording("franke2022")
    recording = open_recording(written.path)
    assert recording.channel_names == ("uv", "green")
    assert recording.read(2).stimulus.dtype == np.uint8


def test_published_images_are_read_at_a_quarter(write_recording):
    written = write_recording("sensorium2022")
    recording = open_recording(written.path)
    assert recording.screen.shape == (36, 64)
    assert np.array_equal(recording.read(3).stimulus, to_network_size(written.stimulus[3]))


def test_image_of_another_size_than_the_others_is_refused(write_recording):
    written = write_recording("franke2022")
    np.save(written.file("stimulus", 3), np.zeros((1, 36, 64)))
    recording = open_recording(written.path)
    with pytest.raises(
        RecordingError, match=r"images.3.npy has shape \(1, 36, 64\), \(2, 36, 64\)"
    ):
        recording.read(3)


def test_three_channels_are_refused(write_recording):
    written = write_recording("franke2022", tiers=["train"])
    np.save(written.file("stimulus", 0), np.zeros((3, 36, 64)))
    with pytest.raises(RecordingError, match="3 channels"):
        open_recording(written.path)


@pytest.mark.parametrize(("value", "sentence"), [(np.nan, "not finite"), (1e300, "not finite")])
@pytest.mark.parametrize("signal", ["stimulus", "responses", "behavior", "pupil_center"])
def test_values_that_are_not_finite_are_refused(write_recording, signal, value, sentence):
    written = write_recording("sensorium2022")
    values = np.load(written.file(signal, 1)).astype(np.float64)
    values.flat[-1] = value
    np.save(written.file(signal, 1), values)
    with pytest.raises(RecordingError, match=rf"1.npy has 1 values that are {sentence}"):
        open_recording(written.path).read(1)


def test_standardized_images_are_refused(write_recording):
    written = write_recording("sensorium2022")
    np.save(written.file("stimulus", 1), np.linspace(-2, 2, 144 * 256).reshape(1, 144, 256))
    with pytest.raises(RecordingError, match="levels from -2 to 2"):
        open_recording(written.path).read(1)


def test_all_faulty_files_of_a_trial_are_told(write_recording):
    written = write_recording("sensorium2022")
    for signal in ("stimulus", "responses", "behavior", "pupil_center"):
        written.file(signal, 1).unlink()
    with pytest.raises(RecordingError) as told:
        open_recording(written.path).read(1)
    assert len(told.value.faults) == 4
    assert "and 3 more" in str(told.value)


def test_withheld_responses_are_zeros_whatever_stands_for_them(write_recording):
    written = write_recording("sensorium2022", tiers=["train", "test", "test", "final_test"])
    np.save(written.file("responses", 1), np.zeros(5))
    np.save(written.file("responses", 2), np.full(5, np.nan))
    written.file("responses", 3).unlink()
    recording = open_recording(written.path)
    assert all(not recording.read(trial).responses.any() for trial in (1, 2, 3))


def test_missing_responses_of_a_public_tier_are_a_fault(write_recording):
    written = write_recording("sensorium2022", tiers=["train", "validation"])
    written.file("responses", 1).unlink()
    with pytest.raises(RecordingError, match=r"responses.1.npy is missing"):
        open_recording(written.path).read(1)


def test_one_missing_file_of_a_tier_with_responses_is_a_fault(write_recording):
    written = write_recording("sensorium2022", tiers=["train", "test", "test"])
    written.file("responses", 1).unlink()
    with pytest.raises(RecordingError, match=r"responses.1.npy is missing"):
        open_recording(written.path).read(1)
