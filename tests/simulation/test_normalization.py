import numpy as np
import pytest
import torch

from insilico.simulation import SimulatedV1, SimulatedV1Network, draw_normalization
from insilico.simulation.normalization import RANGES, pool_windows
from insilico.simulation.simulated_v1 import STIMULUS_STD
from insilico.simulation.tuning import measure_selectivity
from insilico.stimuli import disc, drifting_grating, static_grating

OFF = {"contrast_gain": 0.0, "surround_strength": 0.0}


@pytest.fixture(scope="module")
def normalized(population):
    return draw_normalization(population, seed=3)


@pytest.fixture(scope="module")
def central(normalized, screen):
    """The same cells, all in the middle of the screen."""
    x_px, y_px = screen.center_px
    return normalized.assign(x_px=x_px, y_px=y_px)


def answers(population, screen, levels, kind="image"):
    """Answers to gray levels, shape (trial, neuron[, frame])."""
    network = SimulatedV1Network(population, screen=screen, kind=kind).double()
    shown = (torch.from_numpy(np.asarray(levels, np.float64)) - screen.gray) / STIMULUS_STD
    with torch.inference_mode():
        return network(shown[:, None], mouse="simulated").numpy()


def grating_discs(cell, screen, diameters_deg, *, contrast=0.5):
    """Gratings of the cell's own kind behind apertures, four phases each."""
    grating = static_grating(
        screen,
        orientation_deg=cell["orientation_deg"],
        spatial_frequency_cpd=cell["spatial_frequency_cpd"],
        phase_deg=np.arange(0, 360, 90),
        contrast=contrast,
        dtype=np.float64,
    )
    apertures = [disc(screen, diameter_deg=diameter) for diameter in diameters_deg]
    return np.concatenate([np.where(aperture, grating, screen.gray) for aperture in apertures])


def test_drawn_parameters_fill_their_ranges_and_depend_on_the_seed(population, normalized):
    assert list(normalized.columns[: len(population.columns)]) == list(population.columns)
    for name, (low, high) in RANGES.items():
        assert normalized[name].between(low, high).all()
        assert normalized[name].nunique() == len(normalized)
    other = draw_normalization(population, seed=4)
    assert np.all(other["contrast_gain"] != normalized["contrast_gain"])


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_neurons_without_normalization_are_the_plain_ones(kind, population, normalized, screen):
    plain = SimulatedV1Network(population, screen=screen, kind=kind)
    off = SimulatedV1Network(normalized.assign(**OFF), screen=screen, kind=kind)
    assert plain.state_dict().keys() == off.state_dict().keys()
    shape = (2, 1, 36, 64) if kind == "image" else (2, 1, 9, 36, 64)
    stimulus = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        plain(stimulus, mouse="simulated"), off(stimulus, mouse="simulated"), rtol=0, atol=0
    )


def test_windows_are_round_sum_to_1_and_the_surround_spares_the_center(central, screen):
    center, ring = pool_windows(central, screen)
    np.testing.assert_allclose(center.sum((1, 2)), 1)
    np.testing.assert_allclose(ring.sum((1, 2)), 1)
    np.testing.assert_allclose(center, center[:, ::-1, ::-1])
    x, y = (int(position) for position in screen.center_px)
    assert np.all(ring[:, y, x] < 0.1 * ring.max((1, 2)))
    assert np.all(center[:, y, x] > 0.9 * center.max((1, 2)))


def test_large_gratings_are_suppressed_by_the_surround_and_small_ones_are_not(central, screen):
    diameters = [30.0, 120.0]
    for row in range(len(central)):
        cell = central.iloc[[row]].assign(contrast_gain=0.0, surround_strength=1.0)
        levels = grating_discs(central.iloc[row], screen, diameters)
        small, large = (
            answers(some, screen, levels).reshape(2, 4).mean(1)
            for some in (cell, cell.assign(surround_strength=0.0))
        )
        share = small / large
        assert share[0] > 0.7
        assert share[1] < 0.85
        assert share[1] < share[0]


def test_contrast_response_follows_naka_and_rushton(central, screen):
    """With the pool of the drive's own exponent, r(c) = r_max c^n / (c50^n + c^n)."""
    cells = central.assign(surround_strength=0.0, contrast_gain=1.0)
    contrast = np.array([0.1, 0.2, 0.4, 0.8])
    is_energy = (cells["cell_class"] == "energy").to_numpy()
    for row in range(len(cells)):
        cell = cells.iloc[[row]]
        levels = np.concatenate(
            [grating_discs(cells.iloc[row], screen, [170.0], contrast=c)[:1] for c in contrast]
        )
        answer = answers(cell, screen, levels)[:, 0]
        if answer.max() < 1e-3:
            continue  # A simple cell that this phase darkens.
        window = pool_windows(cell, screen)[0, 0]
        shown = (levels - screen.gray) / STIMULUS_STD
        mean = (window * shown).sum((1, 2))
        spread = np.sqrt((window * shown**2).sum((1, 2)) - mean**2)
        exponent = 2 if is_energy[row] else 1
        expected = contrast**exponent / (1 + spread**exponent)
        np.testing.assert_allclose(answer / answer[0], expected / expected[0], rtol=2e-3)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_gray_gives_nothing_and_uniform_light_suppresses_nothing(kind, normalized, screen):
    network = SimulatedV1Network(normalized, screen=screen, kind=kind).double()
    shape = (1, 1, 36, 64) if kind == "image" else (1, 1, 12, 36, 64)
    gray = torch.zeros(shape, dtype=torch.float64)
    assert torch.count_nonzero(network(gray, mouse="simulated")) == 0
    np.testing.assert_allclose(network.neighborhood.normalization(gray), 1, atol=1e-5)
    np.testing.assert_allclose(network.neighborhood.normalization(gray + 1.5), 1, atol=2e-3)


def test_normalization_of_movies_equals_a_plain_loop(normalized, screen):
    cell = normalized.iloc[[0]]
    network = SimulatedV1Network(cell, screen=screen, kind="movie").double()
    movie = torch.randn(20, 36, 64, generator=torch.Generator().manual_seed(1)).double()
    found = network.neighborhood.normalization(movie[None, None])[0, 0].numpy()
    frames, windows = movie.numpy(), pool_windows(cell, screen)[:, 0]
    memory = network.neighborhood.memory[0].numpy()
    exponent = 2 if cell["cell_class"].iloc[0] == "energy" else 1
    strength = cell[["contrast_gain", "surround_strength"]].to_numpy()[0]
    variance = np.array([[(w * f**2).sum() - (w * f).sum() ** 2 for f in frames] for w in windows])
    for now in range(20):
        past = [
            sum(memory[lag] * pool[now - lag] for lag in range(min(now + 1, len(memory))))
            for pool in variance
        ]
        expected = 1 + sum((strength * np.sqrt(past)) ** exponent)
        assert found[now] == pytest.approx(expected, rel=1e-4)


def test_gradients_are_finite_where_the_screen_is_gray(normalized, screen):
    network = SimulatedV1Network(normalized, screen=screen, kind="image")
    image = torch.zeros(1, 1, 36, 64, requires_grad=True)
    network(image, mouse="simulated").sum().backward()
    assert torch.all(torch.isfinite(image.grad))


def test_center_of_the_response_weighted_noise_stays_where_it_was(normalized, screen):
    """Reverse correlation of simple cells, with and without normalization."""
    simple = normalized[normalized["cell_class"] == "simple"].reset_index(drop=True)
    noise = np.random.default_rng(0).integers(0, 256, (6000, 36, 64)).astype(np.float64)
    centers = []
    for cells in (simple, simple.assign(**OFF)):
        answer = answers(cells, screen, noise)
        maps = np.einsum("tn,tyx->nyx", answer - answer.mean(0), noise - 127.5)
        # Signal above the noise of the estimate, in its square.
        energy = np.maximum(maps**2 - 9 * np.median(maps**2, axis=(1, 2), keepdims=True), 0)
        energy /= energy.sum((1, 2), keepdims=True)
        x = (energy * np.arange(64)).sum((1, 2))
        y = (energy * np.arange(36)[:, None]).sum((1, 2))
        centers.append(np.stack([x, y]))
    assert np.median(np.hypot(*(centers[0] - centers[1]))) < 0.15


def test_preferred_direction_stays_where_it_was(normalized, screen):
    directions = np.arange(0, 360, 15)
    movies = drifting_grating(
        screen,
        direction_deg=directions,
        spatial_frequency_cpd=0.04,
        temporal_frequency_hz=2.0,
        frame_count=45,
    )
    preferred = []
    for cells in (normalized, normalized.assign(**OFF)):
        cells = cells.assign(selectivity=1.0)
        curve = answers(cells, screen, movies, kind="movie")[..., 30:].mean(-1).T
        preferred.append(np.angle(curve @ np.exp(1j * np.radians(directions))))
    difference = np.angle(np.exp(1j * (preferred[0] - preferred[1])))
    assert np.degrees(np.abs(difference)).max() < 3


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_measured_selectivity_is_that_of_the_direction_experiment(kind, normalized, screen):
    from insilico.experiments import run

    network = SimulatedV1Network(normalized, screen=screen, kind=kind)
    measured = measure_selectivity(network, screen)
    twin = SimulatedV1(kind, population=normalized, screen=screen)
    quick = {"direction_count": 12, "movie_phase_count": 1, "lead_s": 0.5}
    found = run("direction", twin, overrides=quick, jobs=1).neurons
    assert list(measured) == (["osi"] if kind == "image" else ["osi", "dsi"])
    for index in measured:
        np.testing.assert_allclose(measured[index], found[index], atol=0.03)
