import numpy as np
import pytest

from insilico.simulation import probes
from insilico.simulation.session import MOVIES

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


def test_gabors_turn_at_a_new_direction_every_25_frames(screen):
    movie = probes.drifting_gabors(screen, seed=[0], frame_count=75).astype(float) - screen.gray
    change = np.abs(np.diff(movie, axis=0)).mean((1, 2))
    assert np.all(change > 0)
    assert set(np.argsort(change)[-2:]) == {24, 49}
    # The envelope keeps the corners gray.
    assert np.abs(movie[:, 0, 0]).max() < 3


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
