import numpy as np
import pytest

from insilico.simulation.kernels import spatial_kernels, temporal_kernels


@pytest.fixture(scope="module")
def space(population, screen):
    return spatial_kernels(population, screen)


@pytest.fixture(scope="module")
def time(population, screen):
    return temporal_kernels(population, screen.frame_rate_hz)


def test_spatial_kernels_are_blind_to_uniform_light(space):
    assert np.abs(space.sum((1, 2))).max() < 1e-12


def test_mean_squared_norm_of_the_spatial_parts_is_1(space):
    np.testing.assert_allclose((np.abs(space) ** 2).sum((1, 2)) / 2, 1)


def test_envelope_is_centered_at_the_planted_position(population, space):
    energy = np.abs(space) ** 2
    energy /= energy.sum((1, 2), keepdims=True)
    x_px = (energy * np.arange(64)).sum((1, 2))
    y_px = (energy * np.arange(36)[:, None]).sum((1, 2))
    np.testing.assert_allclose(x_px, population["x_px"], atol=0.4)
    np.testing.assert_allclose(y_px, population["y_px"], atol=0.4)


def test_kernel_of_a_narrow_cell_follows_the_written_formula(population, screen):
    cell = population.iloc[[0]].assign(
        x_px=30.0, y_px=17.0, direction_deg=0.0, phase_deg=0.0, envelope_exponent=1.0
    )
    kernel = spatial_kernels(cell, screen)[0]
    frequency = float(screen.cycles_per_px(cell["spatial_frequency_cpd"])[0])
    sigma_x, sigma_y = float(cell["sigma_along_px"].iloc[0]), float(cell["sigma_across_px"].iloc[0])
    x, y = np.meshgrid(np.arange(64) - 30.0, np.arange(36) - 17.0)
    envelope = np.exp(-(x**2) / (2 * sigma_x**2) - y**2 / (2 * sigma_y**2))
    gabor = envelope * np.exp(2j * np.pi * frequency * x)
    gabor = gabor - envelope * gabor.sum() / envelope.sum()
    gabor *= np.sqrt(2 / (np.abs(gabor) ** 2).sum())
    np.testing.assert_allclose(kernel, gabor, atol=1e-12)


def test_temporal_kernels_start_after_the_latency_and_have_died_down_at_their_end(
    population, screen, time
):
    lag_s = np.arange(time.shape[1]) / screen.frame_rate_hz
    is_early = lag_s <= population["latency_s"].to_numpy()[:, None]
    assert np.all(time[is_early] == 0)
    assert np.all(np.abs(time[:, -1]) < 0.01 * np.abs(time).max(1))


def test_temporal_kernels_have_unit_norm_and_turn_at_the_planted_frequency(
    population, screen, time
):
    np.testing.assert_allclose(np.linalg.norm(time, axis=1), 1)
    turn = np.angle(time[:, 6] / time[:, 5]) * screen.frame_rate_hz / (2 * np.pi)
    np.testing.assert_allclose(turn, population["temporal_frequency_hz"])
