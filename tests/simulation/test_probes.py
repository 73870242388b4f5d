import numpy as np
import pandas as pd
import pytest

from insilico.simulation import probes
from insilico.simulation.session import MOVIES
from insilico.stimuli.gabors import drifting_gabors, gabor_bank

DRAWN = {name: draw for name, draw in MOVIES.items() if draw.__module__ == probes.__name__}


@pytest.mark.parametrize("name", DRAWN)
def test_probes_are_bytes_and_a_function_of_their_seed(name, screen):
    first, again, other = (DRAWN[name](screen, seed=[n], frame_count=70) for n in (0, 0, 1))
    assert first.shape == (70, 36, 64)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize("name", DRAWN)
def test_probes_change_over_the_movie_around_gray(name, screen):
    movie = DRAWN[name](screen, seed=[0], frame_count=300).astype(float)
    assert movie.std(axis=0).max() > 20
    assert movie.mean() == pytest.approx(screen.gray, abs=20)


def test_gabors_are_the_published_ones_and_change_every_25_frames(screen):
    movie = probes.drifting_gabors(screen, seed=[0], frame_count=75).astype(float)
    bank = gabor_bank()
    filters = np.floor(drifting_gabors(screen, **{name: bank[name] for name in bank}))
    for block in movie.reshape(3, 25, 36, 64):
        assert (filters == block).all((1, 2, 3)).sum() == 1


def design(seed, movies, blocks=12):
    return [probes._gabor(seed, number) for number in range(movies * blocks)]


@pytest.mark.parametrize("movies", [2, 4, 6])
def test_gabor_movies_show_every_direction_at_the_same_wavelengths_and_frequencies(movies):
    shown = pd.DataFrame(design([3, 1], movies), columns=["direction", "wavelength", "frequency"])
    counts = pd.crosstab(shown["direction"], shown["wavelength"])
    assert (counts == movies / 2).all(axis=None)
    assert counts.shape == (8, 3)
    counts = pd.crosstab(shown["direction"], shown["frequency"])
    assert (counts == movies / 2).all(axis=None)
    pairs = shown.groupby("direction").apply(
        lambda rows: tuple(sorted(zip(rows["wavelength"], rows["frequency"], strict=True)))
    )
    assert len(set(pairs)) == 1


def test_six_gabor_movies_have_the_published_counts():
    shown = pd.DataFrame(design([0, 0], 6), columns=["direction", "wavelength", "frequency"])
    counts = pd.crosstab(shown["wavelength"], shown["frequency"])
    assert counts.to_numpy().tolist() == [[0, 8, 16], [8, 8, 8], [16, 8, 0]]
    assert len(shown.drop_duplicates()) == 56


def test_the_second_gabor_movie_goes_on_where_the_first_ends(screen):
    first, second = (
        probes.drifting_gabors(screen, seed=[5], frame_count=300, movie=number) for number in (0, 1)
    )
    both = probes.drifting_gabors(screen, seed=[5], frame_count=600)
    np.testing.assert_array_equal(np.concatenate([first, second]), both)


def test_dots_of_each_polarity_cover_the_screen_in_two_movies(screen):
    movies = [
        probes.gaussian_dots(screen, seed=[2, 0], frame_count=315, movie=number).astype(float)
        for number in (0, 1)
    ]
    deviation = np.concatenate(movies)[::9] - screen.gray
    peak = np.abs(deviation).reshape(len(deviation), -1).argmax(axis=1)
    y, x = np.unravel_index(peak, screen.shape)
    sign = np.sign(deviation.reshape(len(deviation), -1)[np.arange(len(peak)), peak])
    assert x.min() >= 8
    assert x.max() <= 55
    assert y.min() >= 7
    assert y.max() <= 29
    for polarity in (-1, 1):
        chosen = sign == polarity
        assert chosen.sum() == 35
        apart = np.hypot(*(axis[chosen, None] - axis[chosen] for axis in (x, y)))
        assert (apart + 99 * np.eye(35)).min() > 2
        reach = np.hypot(np.arange(9, 55)[:, None] - x[chosen], 18 - y[chosen])
        assert reach.min(axis=1).max() < 9


def test_one_dot_is_shown_at_a_time_black_or_white(screen):
    movie = probes.gaussian_dots(screen, seed=[1], frame_count=300).astype(int) - screen.gray
    is_white, is_black = (movie > 5).any((1, 2)), (movie < -5).any((1, 2))
    assert np.all(is_white ^ is_black)
    assert 30 < is_white.sum() < 270
    np.testing.assert_array_equal(movie[0], movie[8])
    assert np.any(movie[8] != movie[9])


def test_pink_noise_drifts_along_one_direction_within_a_pattern(screen):
    movie = probes.directional_noise(screen, seed=[0], frame_count=27).astype(float)
    movie -= movie.mean()
    spectrum = np.fft.fft2(movie)
    turn = np.angle(np.sum(spectrum[1:] * spectrum[:-1].conj(), axis=0))
    down, right = np.meshgrid(np.fft.fftfreq(36), np.fft.fftfreq(64), indexing="ij")
    power = (np.abs(spectrum) ** 2).mean(0)
    slow = (np.hypot(down, right) < 0.15) & (np.hypot(down, right) > 0)
    # A drift turns each wave by 2 pi k·v: one velocity explains nearly all phases.
    waves = -2 * np.pi * np.stack([right[slow], down[slow]], axis=1)
    weight = np.sqrt(power[slow])
    velocity, *_ = np.linalg.lstsq(waves * weight[:, None], turn[slow] * weight, rcond=None)
    left = turn[slow] - waves @ velocity
    assert np.hypot(*velocity) * 30 > 0.7 * probes.NOISE_SPEED_PX_S[0]
    assert np.sum((weight * left) ** 2) < 0.2 * np.sum((weight * turn[slow]) ** 2)


def test_most_random_dots_move_together(screen):
    random = np.random.default_rng(0)
    x, y = probes._dot_paths(random, screen, 60)
    step = np.stack([np.diff(x), -np.diff(y)])
    length = np.hypot(*step)
    moving = length < 2 * np.median(length)
    angle = np.arctan2(step[1], step[0])
    heading = np.exp(1j * angle[moving]).mean()
    assert 0.5 < np.abs(heading) < 0.95


def test_flashes_and_gray_alternate(screen):
    movie = probes.flashed_images(screen, seed=[0], frame_count=300)
    is_gray = (movie == screen.gray).all((1, 2))
    edges = np.flatnonzero(np.diff(is_gray.astype(int)))
    durations = np.diff(edges)
    assert is_gray[0]
    assert len(edges) > 15
    assert durations.min() >= 9
    assert durations.max() <= 15
    on = movie[edges[0] + 1 : edges[1] + 1]
    assert np.all(on == on[0])
