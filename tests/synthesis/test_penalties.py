"""Penalties for being unlike nature: closed forms, published numbers, slopes."""

import dataclasses

import numpy as np
import pytest
import torch

from insilico.errors import ShapeError, StimulusError, UnitsError
from insilico.screen import Screen
from insilico.simulation.scenes import dead_leaves_images, dead_leaves_movie, noise_movie
from insilico.synthesis.octaves import octave_bands
from insilico.synthesis.penalties import (
    SpectrumDistance,
    published_kl,
    spectrum_distance,
    total_variation,
)
from insilico.synthesis.power import band_power
from insilico.synthesis.regions import center_disc, surround
from insilico.synthesis.spectra import NaturalSpectrum

SCREEN = Screen()
SMALL = Screen(width_px=16, height_px=9)
IMAGES = NaturalSpectrum.ideal(SCREEN)
MOVIES = NaturalSpectrum.ideal(SCREEN, 30)


def kl_by_hand(movie, log_power):
    """The published distance as its formula reads, in NumPy alone, for one (frame, y, x)."""
    power = np.abs(np.fft.fft2(np.asarray(movie, float), norm="ortho")) ** 2
    statistic = np.log(power + 1e-8).mean(0).ravel()
    natural, shown = (
        np.exp(s - s.max()) / np.exp(s - s.max()).sum() for s in (log_power, statistic)
    )
    return np.sum(natural * np.log(natural / (shown + 1e-8)))


def shares(stimulus, screen=SCREEN):
    """Shares (temporal band, spatial band) of one stimulus (frame, y, x), without a taper."""
    bands = octave_bands(screen, len(stimulus))
    power = band_power(
        torch.as_tensor(stimulus)[None],
        torch.ones(1, 1, *screen.shape, dtype=torch.float64),
        torch.ones(len(stimulus), 1, 1, dtype=torch.float64),
        (torch.as_tensor(bands.spatial), torch.as_tensor(bands.temporal)),
    )
    return power[0].numpy()


@pytest.mark.parametrize("frame_count", [1, 5])
def test_the_published_distance_is_its_formula(frame_count):
    stimuli = np.random.default_rng(1).normal(110, 40, (3, frame_count, 36, 64))
    measured = published_kl(torch.as_tensor(stimuli), IMAGES)
    expected = [kl_by_hand(movie, IMAGES.log_power) for movie in stimuli]
    np.testing.assert_allclose(measured, expected, rtol=1e-6)
    single = published_kl(stimuli.astype(np.float32), IMAGES)
    np.testing.assert_allclose(single, expected, rtol=1e-4)


def test_the_published_distance_takes_odd_widths():
    screen = Screen(width_px=15, height_px=9, width_cm=15, height_cm=9)
    reference = NaturalSpectrum.ideal(screen)
    image = np.random.default_rng(1).normal(110, 40, (1, 9, 15))
    expected = kl_by_hand(image, reference.log_power)
    np.testing.assert_allclose(published_kl(image, reference), [expected], rtol=1e-6)


def test_the_published_distance_of_a_stimulus_from_itself_is_nothing():
    image = dead_leaves_images(SCREEN, seed=[1], count=1)
    reference = NaturalSpectrum.measure(image, SCREEN, frame_count=1, source="one image")
    np.testing.assert_allclose(published_kl(image.astype(float), reference), [0], atol=1e-4)


def test_the_published_distances_of_a_recorded_mouse_come_out(shared_data):
    path = shared_data / "viv1t" / "mouseB" / "statistics" / "video" / "freq.npy"
    log_power = np.load(path, allow_pickle=False).astype(np.float64)
    mouse_b = dataclasses.replace(IMAGES, log_power=log_power, source="mouse B")
    random = np.random.default_rng(0).standard_normal((30, 36, 64))
    movies = np.stack([np.full((30, 36, 64), 127.0), 127 + 10 * random, 127 + 60 * random])
    # Published for mouse A: uniform gray 1.306, white noise of 10 levels 0.70, of 60 levels 0.38.
    np.testing.assert_allclose(published_kl(movies, mouse_b), [1.306, 0.70, 0.38], atol=0.015)


def test_white_noise_has_the_same_power_at_every_frequency():
    noise = np.random.default_rng(2).normal(0, 20, (2000, 16, 16))
    screen = Screen(width_px=16, height_px=16, width_cm=16, height_cm=16)
    bands = octave_bands(screen, 1)
    power = np.mean([shares(image[None], screen)[0] for image in noise], axis=0)
    # The first band is the mean alone, which is removed.
    per_coefficient = power[1:] / bands.spatial.sum(0)[1:]
    np.testing.assert_allclose(per_coefficient * 256, 400, rtol=0.05)


def test_powers_of_all_bands_add_up_to_the_variance():
    movie = np.random.default_rng(3).normal(100, 20, (30, 36, 64))
    np.testing.assert_allclose(shares(movie).sum(), movie.var())


@pytest.mark.parametrize(
    ("cycles_x", "cycles_y", "cycles_t", "spatial_band", "temporal_band"),
    [(1, 0, 0, 0, 0), (3, 0, 2, 1, 1), (0, 4, 5, 2, 2), (12, 3, 9, 3, 3), (20, 0, 1, 4, 0)],
)
def test_a_grating_falls_into_its_band(cycles_x, cycles_y, cycles_t, spatial_band, temporal_band):
    t, y, x = np.ogrid[:30, :36, :64]
    phase = cycles_x * x / 64 + cycles_y * y / 36 - cycles_t * t / 30
    grating = 127 + 100 * np.sin(2 * np.pi * phase)
    power = shares(grating)
    np.testing.assert_allclose(power[temporal_band, spatial_band], 5000, rtol=1e-9)
    np.testing.assert_allclose(power.sum(), 5000, rtol=1e-9)


def test_checkerboards_and_the_finest_stripes_share_the_last_band():
    y, x = np.mgrid[:36, :64]
    for image in ((-1.0) ** (x + y), (-1.0) ** x + 0 * y):
        np.testing.assert_allclose(shares(image[None])[0], [0, 0, 0, 0, 0, 1], atol=1e-12)


def test_a_blank_is_three_decades_from_nature():
    gray = torch.full((1, 36, 64), 127.0)
    np.testing.assert_allclose(spectrum_distance(gray, IMAGES), [3], atol=1e-3)


def test_distances_know_no_contrast_and_no_mean():
    image = dead_leaves_images(SCREEN, seed=[1], count=5).astype(float)
    distance = spectrum_distance(image, IMAGES)
    np.testing.assert_allclose(spectrum_distance(30 + 0.1 * image, IMAGES), distance, rtol=1e-3)


def test_distances_grow_with_white_noise_and_with_stripes():
    natural = dead_leaves_images(SCREEN, seed=[1], count=30).astype(float)
    reference = NaturalSpectrum.measure(
        dead_leaves_images(SCREEN, seed=[2], count=300), SCREEN, frame_count=1, source="leaves"
    )
    noise = np.random.default_rng(4).standard_normal(natural.shape)
    stripes = np.sign(np.sin(2 * np.pi * (np.arange(64) + 0.5) / 4))
    for added in (noise, stripes):
        medians = [
            float(spectrum_distance(natural + amount * added, reference).median())
            for amount in (0, 20, 60, 200)
        ]
        assert np.all(np.diff(medians) > 0)
        assert medians[0] < 0.35
        assert medians[-1] > 0.9


def test_natural_clips_are_near_and_noise_and_stills_are_far():
    clips = [dead_leaves_movie(SCREEN, seed=[seed], frame_count=90) for seed in range(8)]
    reference = NaturalSpectrum.measure(clips[:6], SCREEN, frame_count=30, source="leaves")
    held_out = np.stack([clip[start : start + 30] for clip in clips[6:] for start in (0, 30, 60)])
    natural = spectrum_distance(held_out, reference).median()
    still = np.repeat(held_out[:, :1], 30, axis=1)
    white = np.random.default_rng(5).normal(127, 40, held_out.shape)
    assert natural < 2 * reference.distance_median
    assert natural < 0.6
    assert spectrum_distance(still, reference).min() > 1.5
    assert spectrum_distance(white, reference).min() > 2 * natural


def test_only_pixels_in_the_region_count():
    movie = noise_movie(SCREEN, seed=[1], frame_count=30)[None].astype(float)
    region = center_disc(SCREEN, (20, 15), 50.0)
    changed = np.where(region.mask, movie, 255 - 100 * (np.arange(64) % 2))
    inside = [spectrum_distance(x, MOVIES, region.mask) for x in (movie, changed)]
    np.testing.assert_array_equal(*inside)
    whole = [spectrum_distance(x, MOVIES) for x in (movie, changed)]
    assert abs(whole[0] - whole[1]) > 0.1


def test_every_stimulus_may_have_its_own_region():
    images = torch.as_tensor(dead_leaves_images(SCREEN, seed=[1], count=4)).double()
    masks = np.stack(
        [
            center_disc(SCREEN, (20, 15), 60.0).mask,
            surround(SCREEN, (32, 18), 20.0).mask,
            center_disc(SCREEN, (20, 15), 60.0).mask,
            center_disc(SCREEN, (5, 5), 20.0).mask,
        ]
    )
    together = SpectrumDistance(IMAGES, masks)(images)
    alone = [spectrum_distance(images[i : i + 1], IMAGES, masks[i])[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_natural_noise_is_near_through_discs_of_every_size():
    movie = noise_movie(SCREEN, seed=[1], frame_count=300)
    windows = np.stack([movie[start : start + 30] for start in range(0, 271, 30)])
    reference = NaturalSpectrum.measure([movie], SCREEN, frame_count=30, source="noise")
    for diameter_deg in (20.0, 40.0, 80.0):
        mask = center_disc(SCREEN, (32, 18), diameter_deg).mask
        assert spectrum_distance(windows, reference, mask).median() < 0.2


@pytest.mark.parametrize(
    "penalty",
    [
        lambda x: published_kl(x, NaturalSpectrum.ideal(SMALL)),
        lambda x: spectrum_distance(x, NaturalSpectrum.ideal(SMALL, 4)),
        lambda x: spectrum_distance(
            x, NaturalSpectrum.ideal(SMALL, 4), center_disc(SMALL, (8, 4), 80.0).mask
        ),
        lambda x: total_variation(x, center_disc(SMALL, (8, 4), 80.0).mask),
    ],
    ids=["published_kl", "spectrum_distance", "in a region", "total_variation"],
)
def test_slopes_are_those_of_finite_differences(penalty):
    random = np.random.default_rng(6)
    stimulus = torch.tensor(random.normal(127, 30, (2, 4, 9, 16)), requires_grad=True)
    penalty(stimulus).sum().backward()
    for direction in torch.as_tensor(random.standard_normal((20, *stimulus.shape))):
        up, down = (penalty(stimulus.detach() + step * direction) for step in (1e-4, -1e-4))
        slope = (stimulus.grad * direction).sum((1, 2, 3))
        np.testing.assert_allclose(slope, (up - down) / 2e-4, rtol=1e-4, atol=1e-8)


def test_following_the_slope_brings_noise_to_nature():
    stimulus = torch.tensor(
        np.random.default_rng(7).normal(127, 30, (2, 36, 64)), requires_grad=True
    )
    prepared = SpectrumDistance(IMAGES)
    optimizer = torch.optim.Adam([stimulus], lr=1.0)
    start = prepared(stimulus).detach()
    for _ in range(60):
        optimizer.zero_grad()
        prepared(stimulus).sum().backward()
        optimizer.step()
    assert torch.all(prepared(stimulus) < 0.3 * start)


def test_slopes_are_finite_at_a_blank():
    stimulus = torch.full((1, 30, 36, 64), 127.0, requires_grad=True)
    penalty = spectrum_distance(stimulus, MOVIES) + total_variation(stimulus)
    (penalty + published_kl(stimulus, MOVIES)).sum().backward()
    assert torch.isfinite(stimulus.grad).all()


def test_bytes_and_arrays_are_taken_as_they_are():
    image = dead_leaves_images(SCREEN, seed=[1], count=2)
    for penalty in (lambda x: published_kl(x, IMAGES), lambda x: spectrum_distance(x, IMAGES)):
        np.testing.assert_allclose(penalty(image), penalty(image.astype(np.float64)), rtol=1e-4)
    np.testing.assert_allclose(
        total_variation(image), total_variation(image.astype(np.float64)), rtol=1e-4
    )


def test_total_variation_of_ramps_is_their_slopes():
    t, y, x = np.ogrid[:5, :36, :64]
    ramp = (0.5 * t + 1.5 * y - 2.0 * x)[None]
    smooth = [np.hypot(step, 0.1) - 0.1 for step in (2.0, 1.5, 0.5)]
    moving = total_variation(ramp, smooth_levels=0.1)
    np.testing.assert_allclose(moving, [sum(smooth)], rtol=1e-9)
    weighted = total_variation(ramp, smooth_levels=0.1, time_weight=3.0)
    np.testing.assert_allclose(weighted, [sum(smooth) + 2 * smooth[2]], rtol=1e-9)
    image = total_variation(ramp[:, 0], smooth_levels=0.1)
    np.testing.assert_allclose(image, [smooth[0] + smooth[1]], rtol=1e-9)


def test_total_variation_counts_steps_inside_a_mask_only():
    image = np.full((2, 36, 64), 127.0)
    image[:, :, 30:] = 200
    left, across = np.zeros((2, 36, 64), bool)
    left[:, :30] = True
    across[:, 29:31] = True
    variation = total_variation(image, np.stack([left, across]))
    np.testing.assert_allclose(variation, [0, np.hypot(73, 0.5) - 0.5], atol=1e-12)
    lonely = np.zeros((36, 64), bool)
    lonely[3, 30] = True
    np.testing.assert_array_equal(total_variation(image, lonely), [0, 0])


def test_stimuli_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"\(36, 64\) arrived"):
        published_kl(np.zeros((36, 64)), IMAGES)
    with pytest.raises(ShapeError, match="pixels of the natural spectrum"):
        spectrum_distance(np.zeros((1, 18, 32)), IMAGES)
    with pytest.raises(ShapeError, match="a natural spectrum of 30 frames"):
        spectrum_distance(np.zeros((1, 29, 36, 64)), MOVIES)
    with pytest.raises(ShapeError, match="for 3 masks"):
        spectrum_distance(np.zeros((2, 36, 64)), IMAGES, np.ones((3, 36, 64), bool))
    with pytest.raises(ShapeError, match="masks of shape"):
        spectrum_distance(np.zeros((2, 36, 64)), IMAGES, np.ones((18, 32), bool))
    with pytest.raises(ShapeError, match="3 masks arrived for 2 stimuli"):
        total_variation(np.zeros((2, 36, 64)), np.ones((3, 36, 64), bool))


def test_regions_and_numbers_out_of_range_are_refused():
    mask = np.zeros((36, 64), bool)
    mask[3, :4] = True
    with pytest.raises(StimulusError, match="a region of 4 pixels"):
        spectrum_distance(np.zeros((1, 36, 64)), IMAGES, mask)
    with pytest.raises(UnitsError, match="smooth_levels 0"):
        total_variation(np.zeros((1, 36, 64)), smooth_levels=0)
    with pytest.raises(UnitsError, match="time_weight -1"):
        total_variation(np.zeros((1, 36, 64)), time_weight=-1)
