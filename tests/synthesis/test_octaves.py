"""Bands, tapers and the ideal world, held to closed forms and to brute force."""

import numpy as np
import pytest

from insilico.screen import SCREENS, Screen
from insilico.synthesis.octaves import (
    expected_power,
    ideal_covariance,
    ideal_power,
    octave_bands,
    space_taper,
    time_taper,
    unresolved_bands,
)

SCREEN = Screen()
WHOLE = np.ones(SCREEN.shape, bool)


def disc(radius_px):
    y, x = np.mgrid[: SCREEN.height_px, : SCREEN.width_px]
    return np.hypot(x - 30, y - 17) < radius_px


@pytest.mark.parametrize("frame_count", [1, 2, 7, 30])
def test_every_coefficient_belongs_to_one_band(frame_count):
    bands = octave_bands(SCREEN, frame_count)
    assert bands.spatial.sum() == 36 * 64
    assert np.all((bands.spatial > 0).sum(1) == 1)
    assert np.all(bands.temporal.sum(1) == 1)
    assert np.all(bands.spatial.sum(0) > 0)
    assert np.all(bands.temporal.sum(0) > 0)


def test_odd_widths_are_mirrored_whole():
    screen = Screen(width_px=7, height_px=5, width_cm=7, height_cm=5)
    assert octave_bands(screen, 1).spatial.sum() == 35


@pytest.mark.parametrize("sides", [(64, 64), (16, 16), (8, 32), (4, 4)])
def test_every_band_of_a_still_or_moving_world_has_power(sides):
    screen = Screen(width_px=sides[1], height_px=sides[0], width_cm=sides[1], height_cm=sides[0])
    for frame_count in (1, 4, 5, 32):
        whole = np.ones(screen.shape, bool)
        power = ideal_power(screen, whole, frame_count=frame_count, speed_deg_s=20)
        assert np.all(power > 1e-6 * power.sum())


def test_bands_are_octaves_in_degrees_and_hertz():
    bands = octave_bands(SCREEN, 30)
    np.testing.assert_allclose(bands.temporal_edges_hz, [1.875, 3.75, 7.5])
    np.testing.assert_allclose(bands.spatial_edges_cpd[-1], 0.5 / SCREEN.degrees_per_px)
    np.testing.assert_allclose(np.diff(np.log2(bands.spatial_edges_cpd)), 1)
    assert bands.octave_count == 4
    wide = octave_bands(SCREENS["rochefort"], 30)
    ratio = SCREEN.degrees_per_px / SCREENS["rochefort"].degrees_per_px
    np.testing.assert_allclose(wide.spatial_edges_cpd / bands.spatial_edges_cpd, ratio)


def test_tapers_fall_to_the_edges_of_a_region():
    np.testing.assert_allclose(time_taper(30)[:15], np.sin(np.pi * np.arange(1, 16) / 30) ** 2)
    np.testing.assert_allclose(time_taper(30), time_taper(30)[::-1])
    np.testing.assert_array_equal(time_taper(1), [1])
    np.testing.assert_allclose(space_taper(WHOLE)[:, 32], np.r_[time_taper(36)], atol=1e-12)
    taper = space_taper(disc(8))
    assert np.all((taper > 0) == disc(8))
    assert taper[17, 30] == 1


def test_small_regions_merge_the_bands_that_they_cannot_tell_apart():
    bands = octave_bands(SCREEN, 1)
    assert unresolved_bands(WHOLE, bands) == 0
    assert [unresolved_bands(disc(radius), bands) for radius in (17, 9, 3, 2)] == [0, 1, 3, 4]


def test_expected_power_equals_that_of_all_pairs_of_pixels():
    shape = (3, 4, 6)
    random = np.random.default_rng(1)
    lags = [np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in shape]
    t, y, x = np.ix_(*lags)
    covariance = np.exp(-np.sqrt(t**2 + y**2 + 0.5 * x**2) / 2.0)
    window = random.random(shape)
    points = np.indices(shape).reshape(3, -1)
    pair = np.abs(points[:, :, None] - points[:, None])
    between = covariance[tuple(pair)]
    weights = window.ravel()
    seen = weights[:, None] * (np.eye(len(weights)) - weights / weights.sum())
    covered = seen @ between @ seen.T
    transform = np.fft.fftn(np.eye(len(weights)).reshape(-1, *shape), axes=(1, 2, 3))
    transform = transform.reshape(len(weights), -1).T
    brute = np.einsum("ki,ij,kj->k", transform, covered, transform.conj()).real.reshape(shape)
    measured = expected_power(window, covariance)
    np.testing.assert_allclose(measured, brute[..., :4], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(measured.flat[0], 0, atol=1e-9)
    shifted = expected_power(window, covariance + 1e3)
    np.testing.assert_allclose(shifted, measured, rtol=1e-6, atol=1e-6)


def test_white_worlds_have_the_same_power_at_every_frequency():
    white = np.zeros((2, 72, 128))
    white[0, 0, 0] = 9.0
    window = space_taper(WHOLE)[None]
    power = expected_power(window, white)
    # Far from the mean, whose removal touches the lowest frequencies only.
    np.testing.assert_allclose(power[0, 8:28, 8:], 9 * np.sum(window**2), rtol=1e-3)


def test_ideal_images_have_the_same_power_in_every_octave():
    share = np.log10(ideal_power(SCREEN, WHOLE, frame_count=1, speed_deg_s=20))[0]
    np.testing.assert_allclose(share[2:5] - share[3], 0, atol=0.04)


def test_ideal_power_summed_over_time_is_that_of_images():
    still = ideal_power(SCREEN, WHOLE, frame_count=1, speed_deg_s=5)[0]
    moving = ideal_power(SCREEN, WHOLE, frame_count=30, speed_deg_s=5).sum(0)
    ratio = np.log10(still / still.sum()) - np.log10(moving / moving.sum())
    np.testing.assert_allclose(ratio[1:], 0, atol=0.01)


def test_faster_worlds_have_more_power_at_high_temporal_frequencies():
    slow, fast = (
        ideal_power(SCREEN, disc(9), frame_count=30, speed_deg_s=speed) for speed in (5, 40)
    )
    gain = (fast / fast.sum()) / (slow / slow.sum())
    assert np.all(gain[2:, :4] > 2)
    assert np.all(gain[0, 2:] < 1)


def test_ideal_covariance_falls_with_distance_in_space_and_time():
    covariance = ideal_covariance(SCREEN, 30, 20.0)
    assert covariance.shape == (60, 72, 128)
    assert np.all(np.diff(covariance[0, :30, 0]) < 0)
    assert np.all(np.diff(covariance[:30, 0, 0]) < 0)
    np.testing.assert_allclose(covariance[3, 5, 7], covariance[-3, -5, -7])
