import numpy as np
import pytest

from insilico.screen import Screen
from insilico.simulation import scenes


@pytest.fixture(scope="module")
def movies(screen):
    """Six naturalistic movies of 4 s, shape (movie, frame, y, x)."""
    return np.stack(
        [scenes.dead_leaves_movie(screen, seed=[0, number], frame_count=120) for number in range(6)]
    ).astype(float)


def amplitude_slope(frequency, power, limits):
    """Slope of the logarithm of the amplitude over that of the frequency."""
    inside = (frequency > limits[0]) & (frequency < limits[1])
    return np.polyfit(np.log(frequency[inside]), np.log(power[inside]) / 2, 1)[0]


def test_levels_of_dead_leaves_are_those_of_natural_movies(movies):
    assert 95 < movies.mean() < 135
    assert 50 < movies.std() < 65


def test_dead_leaves_have_edges_and_hide_one_another(movies):
    step = np.abs(np.diff(movies, axis=-1))
    # Most neighbors are alike and some are far apart: surfaces and edges. The median of Gaussian
    # steps would be 0.67 standard deviations.
    assert np.median(step) < 0.35 * np.sqrt(np.mean(step**2))
    assert np.percentile(step, 95) > 60


def test_dead_leaves_move_from_frame_to_frame_and_cut_between_scenes(movies):
    change = np.abs(np.diff(movies, axis=1)).mean((2, 3))
    assert np.all(np.median(change, axis=1) > 2)
    largest = change.max(1)
    assert np.median(largest / np.median(change, axis=1)) > 3


def test_radii_of_leaves_follow_the_cubic_power_law(screen):
    random = np.random.default_rng(0)
    radius = np.concatenate([scenes._radii(random, screen) for _ in range(200)])
    smallest, largest = scenes.RADIUS_PX
    assert radius.min() >= smallest
    assert radius.max() <= largest
    # Under a density of r^-3 the inverse square is uniform.
    share = np.mean(radius > 6)
    expected = (6**-2 - largest**-2) / (smallest**-2 - largest**-2)
    assert share == pytest.approx(expected, rel=0.05)


def test_still_images_differ_and_have_natural_levels(screen):
    images = scenes.dead_leaves_images(screen, seed=[0], count=60).astype(float)
    assert images.shape == (60, 36, 64)
    assert 50 < images.std() < 65
    flat = images.reshape(60, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(60)).max() < 0.5


def test_noise_images_have_an_amplitude_that_falls_with_frequency(screen):
    images = scenes.noise_images(screen, seed=[0], count=200).astype(float)
    # Along x, the power of a slice through a 1/f^2 plane falls with a slope of 1 less.
    spectrum = np.abs(np.fft.rfft(images - images.mean(), axis=2)) ** 2
    slope = amplitude_slope(np.fft.rfftfreq(64), spectrum.mean((0, 1)), (0.04, 0.3))
    assert slope == pytest.approx(-0.5, abs=0.15)


def test_noise_movies_follow_the_written_spectrum_in_space_and_time(screen):
    movies = np.stack(
        [scenes.noise_movie(screen, seed=[0, n], frame_count=256) for n in range(4)]
    ).astype(float)
    assert movies.std() == pytest.approx(scenes.NOISE_STD, rel=0.06)
    window = np.hanning(256)[:, None, None]
    spectrum = np.abs(np.fft.fft2(movies - movies.mean())) ** 2
    radius = np.hypot(np.fft.fftfreq(36)[:, None], np.fft.fftfreq(64)).ravel()
    slope = amplitude_slope(radius, spectrum.mean((0, 1)).ravel(), (0.06, 0.3))
    assert slope == pytest.approx(-1, abs=0.2)
    in_time = np.abs(np.fft.rfft((movies - movies.mean()) * window, axis=1)) ** 2
    slope = amplitude_slope(np.fft.rfftfreq(256, 1 / 30), in_time.mean((0, 2, 3)), (1.0, 6.0))
    assert -1.0 < slope < -0.3


@pytest.mark.parametrize("draw", [scenes.dead_leaves_movie, scenes.noise_movie])
def test_movies_are_a_function_of_their_seed(draw, screen):
    first, again, other = (draw(screen, seed=[3, n], frame_count=20) for n in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.mean(first != other) > 0.5


@pytest.mark.parametrize("draw", [scenes.dead_leaves_images, scenes.noise_images])
def test_images_are_a_function_of_their_seed(draw, screen):
    first, again, other = (draw(screen, seed=[3, n], count=5) for n in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.mean(first != other) > 0.5


@pytest.mark.parametrize("draw", [scenes.dead_leaves_movie, scenes.noise_movie])
def test_movies_fill_screens_of_other_sizes(draw):
    screen = Screen(width_px=32, height_px=18)
    movie = draw(screen, seed=[0], frame_count=7)
    assert movie.shape == (7, 18, 32)
    assert movie.dtype == np.uint8
    assert movie.std() > 10
