import numpy as np
import pandas as pd
import pytest

from insilico import SimulatedV1, Twin
from insilico.models.mouse import Mouse
from insilico.simulation import SimulatedV1Network
from insilico.simulation.kernels import spatial_kernels, temporal_kernels
from insilico.stimuli import drifting_grating, static_grating

#: Two whole cycles of 2 Hz at 30 frames per second, after the answer has settled.
SETTLED = slice(30, 60)
STEP_DEG = 10
DIRECTIONS = np.arange(0, 360, STEP_DEG)


def twin_of(population, screen, kind):
    mouse = SimulatedV1(kind, simple_count=6, energy_count=6, screen=screen, seed=11).mouse()
    return Twin(SimulatedV1Network(population, screen=screen, kind=kind), mice={"simulated": mouse})


@pytest.fixture(scope="module")
def gratings(screen):
    return drifting_grating(
        screen,
        direction_deg=DIRECTIONS,
        spatial_frequency_cpd=0.04,
        temporal_frequency_hz=2.0,
        frame_count=60,
    )


def tuning(population, screen, gratings):
    """Mean settled answer of every cell, shape (neuron, direction)."""
    responses = twin_of(population, screen, "movie").respond(gratings).values
    return responses[:, :, SETTLED].mean(-1).T


def direction_selectivity(curves, population):
    """Peak against opposite, at the planted direction."""
    index = np.round(population["direction_deg"] / STEP_DEG).astype(int).to_numpy() % len(
        DIRECTIONS
    )
    rows = np.arange(len(curves))
    preferred = curves[rows, index]
    null = curves[rows, (index + len(DIRECTIONS) // 2) % len(DIRECTIONS)]
    return (preferred - null) / (preferred + null)


def difference_deg(first, second, period):
    return np.abs((first - second + period / 2) % period - period / 2)


def predicted_answer(cell, screen, direction_deg):
    """Mean answer to a drifting grating of a cell without null subunit, up to a factor.

    A grating seen through the Gabor is a wave that turns forward (strength ``ahead``) and one that
    turns back; the temporal filter passes each with its own strength.
    """
    gabor = spatial_kernels(cell, screen)[0]
    kernel = temporal_kernels(cell, screen.frame_rate_hz)[0]
    angle = np.radians(direction_deg)
    right, up = np.arange(64) - 32, 18 - np.arange(36)[:, None]
    radians_per_px = 2 * np.pi * screen.cycles_per_px(0.04)
    wave = np.exp(1j * radians_per_px * (right * np.cos(angle) + up * np.sin(angle)))
    turn = np.exp(2j * np.pi * 2.0 / screen.frame_rate_hz * np.arange(len(kernel)))
    ahead = (gabor * wave.conj()).sum() * (kernel / turn).sum()
    back = (gabor * wave).sum() * (kernel * turn).sum()
    if cell["cell_class"].iloc[0] == "energy":
        return abs(ahead) ** 2 + abs(back) ** 2
    return abs(ahead + back.conj())


def test_every_selective_cell_prefers_its_planted_direction(population, screen, gratings):
    selective = population.assign(selectivity=1.0)
    best = DIRECTIONS[tuning(selective, screen, gratings).argmax(1)]
    assert difference_deg(best, selective["direction_deg"], 360).max() <= STEP_DEG


def test_tuning_of_selective_cells_has_its_closed_form(population, screen, gratings):
    selective = population.assign(selectivity=1.0)
    curves = tuning(selective, screen, gratings)
    for row, curve in enumerate(curves):
        cell = selective.iloc[[row]]
        predicted = np.array([predicted_answer(cell, screen, angle) for angle in DIRECTIONS])
        np.testing.assert_allclose(curve / curve.max(), predicted / predicted.max(), atol=0.02)
    assert direction_selectivity(curves, selective).min() > 0.2


def test_cells_of_no_selectivity_answer_both_directions_alike(population, screen, gratings):
    balanced = population.assign(selectivity=0.0)
    curves = tuning(balanced, screen, gratings)
    assert np.abs(direction_selectivity(curves, balanced)).max() < 0.02


def test_image_cells_prefer_their_planted_orientation(population, screen):
    twin = twin_of(population, screen, "image")
    orientations = np.arange(0, 180, STEP_DEG)
    phases = np.arange(0, 360, 45)
    for row, cell in population.iterrows():
        frames = static_grating(
            screen,
            orientation_deg=np.repeat(orientations, len(phases)),
            spatial_frequency_cpd=cell["spatial_frequency_cpd"],
            phase_deg=np.tile(phases, len(orientations)),
        )
        curve = twin.respond(frames, neurons=[row]).values.reshape(len(orientations), -1).mean(1)
        best = orientations[curve.argmax()]
        assert difference_deg(best, cell["orientation_deg"], 180) <= STEP_DEG


def test_energy_cells_care_little_for_the_phase_and_simple_cells_much(population, screen):
    twin = twin_of(population, screen, "image")
    for row, cell in population.iterrows():
        frames = static_grating(
            screen,
            orientation_deg=cell["orientation_deg"],
            spatial_frequency_cpd=cell["spatial_frequency_cpd"],
            phase_deg=np.arange(0, 360, 30),
            dtype=np.float32,
        )
        answers = twin.respond(frames, neurons=[row]).values[:, 0]
        modulation = np.ptp(answers) / answers.mean()
        assert modulation < 1 if cell["cell_class"] == "energy" else modulation > 2


def test_image_and_movie_twins_of_one_seed_have_the_same_neurons():
    image, movie = (
        SimulatedV1(kind, simple_count=3, energy_count=2, seed=9) for kind in ("image", "movie")
    )
    pd.testing.assert_frame_equal(image.ground_truth, movie.ground_truth)
    pd.testing.assert_frame_equal(image.neurons(), movie.neurons())
    assert image.kind == "image"
    assert movie.kind == "movie"


def test_truth_cannot_be_changed_from_outside_and_is_not_in_the_neurons_table():
    twin = SimulatedV1("image", simple_count=2, energy_count=2)
    truth = twin.ground_truth
    truth["direction_deg"] = -1
    assert (twin.ground_truth["direction_deg"] >= 0).all()
    assert "direction_deg" not in twin.neurons()


def test_gray_screen_gives_exactly_nothing():
    twin = SimulatedV1("movie", simple_count=2, energy_count=2)
    gray = np.full((1, 20, 36, 64), twin.screen().gray, np.uint8)
    assert not twin.respond(gray).values.any()


def test_its_mouse_says_where_its_statistics_come_from():
    mouse = SimulatedV1("image", simple_count=1, energy_count=0).mouse()
    assert isinstance(mouse, Mouse)
    assert mouse.statistics.is_measured("stimulus")
    assert not mouse.statistics.is_measured("behavior")


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_same_seed_gives_the_same_answers(kind):
    shape = (2, 36, 64) if kind == "image" else (2, 15, 36, 64)
    stimulus = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    first, again = (
        SimulatedV1(kind, simple_count=2, energy_count=2, seed=3).respond(stimulus).values
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
