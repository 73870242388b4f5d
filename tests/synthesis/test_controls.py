"""Controls: the same spectrum, levels and aperture, and no longer made for the neuron."""

import dataclasses

import numpy as np
import pytest

from insilico.errors import StimulusError
from insilico.screen import Screen
from insilico.synthesis import objectives
from insilico.synthesis.controls import (
    has_donor,
    moved_by,
    noise_control,
    swap_control,
    swap_controls,
)
from insilico.synthesis.entries import Entry
from insilico.synthesis.levels import Levels, measure_levels
from insilico.synthesis.regions import center_disc, full_field, surround

SCREEN = Screen()
LEVELS = Levels(luminance_level=127, rms_level=10)
FREE = Levels()


def gabor(place=(32, 18), *, angle=0.5, frequency=0.12, sigma_px=3.0, phase=0.0, frames=None):
    """Values ([frame,] y, x) of a Gabor, drifting one cycle in 15 frames if it has frames."""
    y, x = np.indices(SCREEN.shape) - np.array([place[1], place[0]])[:, None, None]
    along = x * np.cos(angle) + y * np.sin(angle)
    phases = phase if frames is None else phase + 2 * np.pi * np.arange(frames)[:, None, None] / 15
    return np.exp(-(x**2 + y**2) / (2 * sigma_px**2)) * np.cos(
        2 * np.pi * frequency * along - phases
    )


def entry_of(pattern, region=None, *, neuron=0, levels=LEVELS, **details):
    region = region or full_field(SCREEN)
    frames = levels.finish(127 + 60 * pattern, region)
    return Entry(frames, objectives.neuron(neuron), region, "exciting", details=details)


def response(control, filter_of):
    """What a linear neuron with some filter answers to a stimulus."""
    return float(np.sum((control.frames - 127.0) * filter_of))


def amplitudes(frames):
    return np.abs(np.fft.fftn(frames.astype(float) - frames.mean()))


@pytest.mark.parametrize("frames", [None, 12])
def test_noise_over_the_full_field_has_the_amplitude_spectrum_to_rounding(frames):
    entry = entry_of(gabor(frames=frames))
    noise = noise_control(entry, LEVELS, seed=3)
    assert noise.frames.dtype == np.uint8
    assert noise.frames.shape == entry.frames.shape
    # Rounding has a variance of 1/12 in each pixel, and white noise this amplitude.
    rounding = np.sqrt(entry.frames.size / 12)
    error = amplitudes(noise.frames) - amplitudes(entry.frames)
    assert np.sqrt(np.mean(error**2)) < 1.2 * rounding
    assert amplitudes(entry.frames).max() > 50 * rounding
    assert abs(np.corrcoef(noise.frames.ravel(), entry.frames.ravel())[0, 1]) < 0.5


@pytest.mark.parametrize(
    "region",
    [
        full_field(SCREEN),
        center_disc(SCREEN, (30, 20), 30),
        center_disc(SCREEN, (30, 20), 50, border_deg=8),
        surround(SCREEN, (30, 20), 20),
    ],
    ids=["full", "disc", "tapered", "surround"],
)
def test_noise_has_the_same_levels_and_aperture(region):
    entry = entry_of(gabor((33, 22), sigma_px=8.0, frames=4), region)
    noise = noise_control(entry, FREE, seed=(1, 2))
    differ = np.subtract(measure_levels(noise.frames, region), measure_levels(entry.frames, region))
    assert np.abs(differ).max() < 1
    assert (noise.frames[:, ~region.mask] == 127).all()
    assert noise.status == "ok"
    assert noise.stimulus_class == "noise"
    assert noise.objective is entry.objective
    assert noise.details["seed"] == (1, 2)


def test_a_linear_filter_answers_much_less_to_its_shuffled_self():
    filters = gabor()
    entry = entry_of(filters)
    answers = [response(noise_control(entry, LEVELS, seed=s), filters) for s in range(20)]
    assert np.abs(answers).mean() < 0.15 * response(entry, filters)


def test_an_energy_unit_answers_less_to_noise_in_a_disc_than_to_its_gabor():
    entry = entry_of(gabor(), center_disc(SCREEN, (32, 18), 60))

    def energy(control):
        return np.hypot(response(control, gabor()), response(control, gabor(phase=np.pi / 2)))

    answers = [energy(noise_control(entry, LEVELS, seed=s)) for s in range(20)]
    assert np.mean(answers) < 0.5 * energy(entry)


def test_noise_of_what_stands_still_stands_still():
    entry = entry_of(np.repeat(gabor()[None], 6, axis=0))
    noise = noise_control(entry, LEVELS, seed=0)
    assert (noise.frames == noise.frames[:1]).all()


def test_noise_keeps_how_fast_a_movie_changes():
    entry = entry_of(gabor(frames=30))
    noise = noise_control(entry, LEVELS, seed=0)
    own, shuffled = (
        (amplitudes(one.frames) ** 2).sum((1, 2)) / (amplitudes(one.frames) ** 2).sum()
        for one in (entry, noise)
    )
    np.testing.assert_allclose(shuffled, own, atol=0.01)
    assert own[2] + own[-2] > 0.95  # two cycles in 30 frames


def test_noise_is_a_function_of_its_seed():
    entry = entry_of(gabor())
    first, same, other = (noise_control(entry, LEVELS, seed=s).frames for s in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_noise_of_a_uniform_stimulus_is_blank():
    uniform = entry_of(np.zeros(SCREEN.shape), levels=FREE)
    noise = noise_control(uniform, LEVELS, seed=0)
    assert noise.status == "blank"
    np.testing.assert_array_equal(noise.frames, uniform.frames)


def test_noise_of_black_and_white_keeps_the_mean_and_as_much_contrast_as_it_can():
    stripes = entry_of(np.sign(gabor(sigma_px=1e6)) * 10, levels=FREE)
    noise = noise_control(stripes, FREE, seed=0)
    wanted, reached = (measure_levels(one.frames, stripes.region) for one in (stripes, noise))
    assert abs(wanted[0] - reached[0]) < 1
    assert reached[1] > 0.9 * wanted[1]
    assert noise.status == ("ok" if abs(wanted[1] - reached[1]) <= 1 else "levels_differ")


def test_swapped_stimuli_of_equal_filters_at_other_places_drive_alike():
    region = center_disc(SCREEN, (40, 22), 40)
    mine = entry_of(gabor((40, 22)), region, neuron=0)
    theirs = entry_of(gabor((20, 12)), center_disc(SCREEN, (20, 12), 40), neuron=1)
    swap = swap_control(mine, [mine, theirs], LEVELS, seed=0)
    np.testing.assert_array_equal(swap.frames, mine.frames)
    assert swap.details["donor_neuron"] == 1
    assert (swap.details["shift_x_px"], swap.details["shift_y_px"]) == (20, 10)
    assert swap.stimulus_class == "swap"
    assert swap.objective.neuron == 0


def test_swapped_stimuli_of_the_full_field_move_between_known_places():
    mine = entry_of(gabor((40, 22)), neuron=0, x_px=40.2, y_px=22.0)
    theirs = entry_of(gabor((20, 12)), neuron=1, x_px=20, y_px=12)
    swap = swap_control(mine, [theirs], LEVELS, seed=0)
    filters = gabor((40, 22))
    assert response(swap, filters) == pytest.approx(response(mine, filters), rel=0.02)
    assert swap.details["x_px"] == 40.2
    nowhere = dataclasses.replace(theirs, details={})
    np.testing.assert_array_equal(
        swap_control(mine, [nowhere], LEVELS, seed=0).frames, theirs.frames
    )


def test_swapped_stimuli_have_the_levels_and_the_aperture_of_their_new_place():
    region = center_disc(SCREEN, (50, 25), 50, border_deg=5)
    mine = entry_of(gabor((50, 25), frames=4), region, neuron=0)
    disc = center_disc(SCREEN, (10, 8), 25)
    theirs = entry_of(gabor((10, 8), frames=4), disc, neuron=1, levels=Levels(90, 30))
    swap = swap_control(mine, [theirs], LEVELS, seed=0)
    differ = np.subtract(measure_levels(swap.frames, region), measure_levels(mine.frames, region))
    assert np.abs(differ).max() < 1
    assert swap.status == "ok"
    assert (swap.frames[:, ~region.mask] == 127).all()


def test_the_donor_is_one_of_the_half_least_alike_whatever_their_phase():
    mine = entry_of(gabor(angle=0.0), neuron=0)
    alike = [entry_of(gabor(angle=0.02 * n, phase=np.pi / 2), neuron=n) for n in (1, 2, 3)]
    unlike = [entry_of(gabor(angle=1.5 + 0.02 * n), neuron=n) for n in (4, 5, 6)]
    donors = [*alike, mine, *unlike]
    chosen = {
        control.details["donor_neuron"]
        for control in swap_controls([mine] * 30, donors, LEVELS, seeds=list(range(30)))
    }
    assert chosen == {4, 5, 6}


def test_one_swap_is_the_same_as_many():
    entries = [entry_of(gabor(angle=n), neuron=n) for n in range(4)]
    together = swap_controls(entries, entries, LEVELS, seeds=[(5, n) for n in range(4)])
    alone = [swap_control(one, entries, LEVELS, seed=(5, n)) for n, one in enumerate(entries)]
    for many, single in zip(together, alone, strict=True):
        np.testing.assert_array_equal(many.frames, single.frames)
        assert many.details == single.details


def test_only_stimuli_of_other_neurons_of_the_same_kind_are_donors():
    mine = entry_of(gabor(), neuron=0)
    restart = entry_of(gabor(phase=1.0), neuron=0)
    longer = entry_of(gabor(frames=3), neuron=1)
    elsewhere = entry_of(gabor(), center_disc(SCREEN, (32, 18), 40), neuron=2)
    inhibiting = dataclasses.replace(entry_of(gabor(), neuron=3), stimulus_class="inhibiting")
    donors = [mine, restart, longer, elsewhere, inhibiting]
    assert not has_donor(mine, donors)
    with pytest.raises(StimulusError, match="none of 5 stimuli can be swapped"):
        swap_control(mine, donors, LEVELS, seed=0)
    assert has_donor(mine, [*donors, entry_of(gabor(), neuron=4)])


@pytest.mark.parametrize("shift", [(3, -2), (-70, 0), (0, 40), (0, 0)])
def test_moving_by_whole_pixels_brings_zeros_in(shift):
    pattern = np.random.default_rng(0).normal(size=(2, *SCREEN.shape))
    moved = moved_by(pattern, shift)
    y, x = np.indices(SCREEN.shape)
    source_y, source_x = y - shift[1], x - shift[0]
    is_known = (source_y == source_y % 36) & (source_x == source_x % 64)
    expected = np.where(is_known, pattern[:, source_y % 36, source_x % 64], 0)
    np.testing.assert_array_equal(moved, expected)
