"""Natural spectra: measured, ideal, stored and read again."""

import dataclasses

import numpy as np
import pytest

from insilico.errors import RecordingError, ShapeError, StimulusError, UnitsError
from insilico.screen import SCREENS, Screen
from insilico.simulation.scenes import (
    MOVIE_SPEED_PX_S,
    dead_leaves_images,
    noise_images,
    noise_movie,
)
from insilico.synthesis.penalties import spectrum_distance
from insilico.synthesis.regions import center_disc
from insilico.synthesis.spectra import NaturalSpectrum

SCREEN = Screen()


def published_by_hand(clips, frame_count, stride):
    """The published statistic, window by window and in NumPy alone."""
    spectra = []
    for clip in clips:
        for start in range(0, len(clip) - frame_count + 1, stride):
            window = clip[start : start + frame_count].astype(float)
            power = np.abs(np.fft.fft2(window, norm="ortho")) ** 2
            spectra.append(np.log(power + 1e-8).mean(0).ravel())
    return np.mean(spectra, axis=0), len(spectra)


@pytest.fixture(scope="module")
def movies():
    return [noise_movie(SCREEN, seed=[seed], frame_count=120) for seed in range(4)]


@pytest.fixture(scope="module")
def of_movies(movies):
    return NaturalSpectrum.measure(movies, SCREEN, frame_count=30, source="noise")


def test_the_published_statistic_is_that_of_the_published_windows(movies, of_movies):
    log_power, count = published_by_hand(movies, 30, 5)
    np.testing.assert_allclose(of_movies.log_power, log_power, rtol=1e-9)
    assert of_movies.window_count == count == 4 * 19
    images = NaturalSpectrum.measure(
        movies[:1], SCREEN, frame_count=1, stride_frames=7, source="noise"
    )
    log_power, count = published_by_hand(movies[:1], 1, 7)
    np.testing.assert_allclose(images.log_power, log_power, rtol=1e-9)
    assert images.window_count == count == 18


def test_windows_are_as_many_as_published():
    clip = np.zeros((300, 4, 4), np.uint8)
    clip[..., 0] = 200
    screen = Screen(width_px=4, height_px=4, width_cm=4, height_cm=4)
    counts = [
        NaturalSpectrum.measure([clip], screen, frame_count=n, source="stripe").window_count
        for n in (30, 1)
    ]
    assert counts == [55, 60]


def test_the_published_vector_starts_with_the_mean_level_and_runs_along_rows():
    x = np.arange(64)
    image = 100 + 50 * np.cos(2 * np.pi * 3 * x / 64) + np.zeros((36, 1))
    measured = NaturalSpectrum.measure([image], SCREEN, frame_count=1, source="grating")
    top = np.argsort(measured.log_power)[-3:]
    assert set(top) == {0, 3, 61}
    np.testing.assert_allclose(measured.log_power[0], np.log(2304 * 100**2))


def test_ideal_shares_are_those_of_noise_with_that_spectrum(of_movies):
    speed_deg_s = MOVIE_SPEED_PX_S * SCREEN.degrees_per_px
    ideal = NaturalSpectrum.ideal(SCREEN, 30, speed_deg_s=speed_deg_s)
    # The drawn noise repeats itself soon, which takes from the lowest band.
    np.testing.assert_allclose((of_movies.log_share - ideal.log_share)[:, 1:], 0, atol=0.15)
    images = NaturalSpectrum.measure(
        noise_images(SCREEN, seed=[3], count=200), SCREEN, frame_count=1, source="noise"
    )
    difference = images.log_share - NaturalSpectrum.ideal(SCREEN).log_share
    np.testing.assert_allclose(difference[:, 1:], 0, atol=0.1)


def test_the_ideal_statistic_is_that_of_noise_with_that_spectrum():
    images = noise_images(SCREEN, seed=[4], count=300).astype(float)
    measured = NaturalSpectrum.measure(images, SCREEN, frame_count=1, source="noise").log_power
    rms = np.sqrt(images.var((1, 2)).mean())
    ideal = NaturalSpectrum.ideal(SCREEN, luminance_level=float(images.mean()), rms_level=rms)
    difference = (measured - ideal.log_power).reshape(36, 64)
    np.testing.assert_allclose(difference[0, 0], 0, atol=0.1)
    # Mean over directions; the median of 300 logarithms of noise scatters by 0.07.
    assert abs(np.median(difference[4:])) < 0.1
    # Real coefficients scatter more than the others, and their logarithms lie lower.
    assert abs(difference[18, 32]) < 0.4


def test_the_ideal_mean_level_holds_the_published_share():
    log_power = NaturalSpectrum.ideal(SCREEN).log_power
    share = np.exp(log_power - log_power.max())
    assert 0.86 < share[0] / share.sum() < 0.90


def test_ideal_spectra_say_so():
    assert "Field 1987" in NaturalSpectrum.ideal(SCREEN).source
    assert "moving" not in NaturalSpectrum.ideal(SCREEN).source
    movie = NaturalSpectrum.ideal(SCREEN, 30)
    assert movie.source.startswith("ideal")
    assert "20 deg/s" in movie.source
    assert movie.window_count == 0
    assert np.isnan(movie.distance_median)


@pytest.mark.parametrize("diameter_deg", [40.0, 70.0])
def test_spectra_carry_over_to_a_region(diameter_deg):
    images = dead_leaves_images(SCREEN, seed=[5], count=400)
    whole = NaturalSpectrum.measure(images, SCREEN, frame_count=1, source="leaves")
    mask = center_disc(SCREEN, (32, 18), diameter_deg).mask
    ideal = NaturalSpectrum.ideal(SCREEN)
    carried = whole.log_share_in(mask) - ideal.log_share_in(mask)
    np.testing.assert_allclose(carried, whole.log_share - ideal.log_share)
    seen = spectrum_distance(images, whole, mask).median()
    assert seen < spectrum_distance(images, ideal, mask).median()
    assert seen < 0.35


def test_blank_windows_have_no_octaves():
    clip = noise_movie(SCREEN, seed=[1], frame_count=60)
    blank = np.full_like(clip, 127)
    alone = NaturalSpectrum.measure([clip], SCREEN, frame_count=30, source="noise")
    both = NaturalSpectrum.measure([clip, blank], SCREEN, frame_count=30, source="noise")
    np.testing.assert_allclose(both.log_share, alone.log_share)
    assert both.window_count == 2 * alone.window_count
    with pytest.raises(StimulusError, match="none of them with contrast"):
        NaturalSpectrum.measure([blank], SCREEN, frame_count=30, source="gray")


def test_contrast_and_mean_do_not_change_the_octaves():
    clip = noise_movie(SCREEN, seed=[1], frame_count=60).astype(float)
    low = 40 + 0.2 * clip
    first, second = (
        NaturalSpectrum.measure([x], SCREEN, frame_count=30, source="noise") for x in (clip, low)
    )
    np.testing.assert_allclose(first.log_share, second.log_share, atol=1e-9)


def test_a_saved_spectrum_is_read_again(tmp_path, of_movies):
    path = tmp_path / "natural.npz"
    of_movies.save(path)
    again = NaturalSpectrum.load(path)
    for field in dataclasses.fields(NaturalSpectrum):
        left, right = getattr(of_movies, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(left, right, err_msg=field.name)
    assert again.sha256 == of_movies.sha256
    assert len(again.clips_sha256) == 64


def test_hashes_tell_clips_and_spectra_apart(movies, of_movies):
    other = NaturalSpectrum.measure(movies[::-1], SCREEN, frame_count=30, source="noise")
    assert other.clips_sha256 != of_movies.clips_sha256
    assert other.sha256 != of_movies.sha256
    same = NaturalSpectrum.measure(iter(movies), SCREEN, frame_count=30, source="noise")
    assert same.sha256 == of_movies.sha256


@pytest.mark.parametrize("contents", [b"", b"not an archive", None])
def test_files_that_are_no_spectra_are_refused(tmp_path, contents):
    path = tmp_path / "natural.npz"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(RecordingError, match="cannot be read as a natural spectrum"):
        NaturalSpectrum.load(path)


def test_files_that_hold_pickles_are_refused(tmp_path):
    path = tmp_path / "natural.npz"
    np.savez(path, metadata=np.array([{}], dtype=object), log_power=1, log_share=1)
    with pytest.raises(RecordingError, match="allow_pickle"):
        NaturalSpectrum.load(path)


def test_clips_that_do_not_fit_are_refused():
    measure = NaturalSpectrum.measure
    with pytest.raises(ShapeError, match=r"clip 0 has shape \(20, 64\)"):
        measure([np.zeros((20, 64))], SCREEN, frame_count=1, source="x")
    clips = [np.zeros((30, 36, 64)), np.zeros((7, 36, 64))]
    with pytest.raises(StimulusError, match="clip 1 has 7 frames and a window 30"):
        measure(clips, SCREEN, frame_count=30, source="x")
    with pytest.raises(StimulusError, match="not finite"):
        measure([np.full((36, 64), np.nan)], SCREEN, frame_count=1, source="x")
    with pytest.raises(StimulusError, match="0 windows"):
        measure([], SCREEN, frame_count=1, source="x")
    with pytest.raises(UnitsError, match="stride_frames is 0"):
        measure([], SCREEN, frame_count=1, stride_frames=0, source="x")
    with pytest.raises(UnitsError, match="frame_count is 0"):
        NaturalSpectrum.ideal(SCREEN, 0)
    with pytest.raises(UnitsError, match="rms_level is -1"):
        NaturalSpectrum.ideal(SCREEN, rms_level=-1)


def test_arrays_of_another_screen_are_refused():
    small = Screen(width_px=32, height_px=18)
    with pytest.raises(ShapeError, match="call for"):
        dataclasses.replace(NaturalSpectrum.ideal(SCREEN), screen=small)
    # The same pixels seen from another distance are the same shares.
    other = NaturalSpectrum.ideal(SCREENS["rochefort"])
    np.testing.assert_allclose(other.log_share, NaturalSpectrum.ideal(SCREEN).log_share)
