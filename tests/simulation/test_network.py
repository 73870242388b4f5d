import numpy as np
import pytest
import torch

from insilico.simulation import SimulatedV1Network, draw_contextual_population
from insilico.simulation.kernels import grating_drive, spatial_kernels, temporal_kernels
from insilico.simulation.network import _filter
from insilico.simulation.simulated_v1 import STIMULUS_STD
from insilico.stimuli import drifting_grating, static_grating


@pytest.fixture(scope="module")
def movie_network(population, screen):
    return SimulatedV1Network(population, screen=screen, kind="movie").double()


@pytest.fixture(scope="module")
def image_network(population, screen):
    return SimulatedV1Network(population, screen=screen, kind="image").double()


@pytest.fixture(scope="module")
def movie():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 1, 20, 36, 64)))


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(np.random.default_rng(1).standard_normal((40, 1, 36, 64)))


def loop_response(cell, screen, frames):
    """Answer of one cell, frame by frame and lag by lag, from the definitions."""
    space = spatial_kernels(cell, screen)[0]
    kernel = temporal_kernels(cell, screen.frame_rate_hz)[0]
    weight = 1 - float(cell["selectivity"].iloc[0])
    seen = [(frame * space).sum() for frame in frames]
    answers = []
    for now in range(len(frames)):
        preferred = null = 0j
        for lag in range(min(now + 1, len(kernel))):
            preferred += kernel[lag] * seen[now - lag]
            null += weight * np.conj(kernel[lag]) * seen[now - lag]
        if cell["cell_class"].iloc[0] == "simple":
            answers.append(max((preferred + null).real, 0))
        else:
            answers.append(abs(preferred) ** 2 + abs(null) ** 2)
    return np.array(answers) * float(cell["gain"].iloc[0])


def test_movie_answers_equal_a_plain_loop_over_frames_and_lags(
    movie_network, population, screen, movie
):
    answer = movie_network(movie, mouse="simulated").numpy()
    for neuron in range(len(population)):
        expected = loop_response(population.iloc[[neuron]], screen, movie[1, 0].numpy())
        np.testing.assert_allclose(answer[1, neuron], expected, rtol=1e-5, atol=1e-5)


def test_complex_filtering_equals_numpy_convolution():
    random = np.random.default_rng(2)
    seen = random.standard_normal((9,)) + 1j * random.standard_normal(9)
    kernel = random.standard_normal(4) + 1j * random.standard_normal(4)

    def parts(values, *shape):
        return torch.from_numpy(np.stack([values.real, values.imag]).reshape(2, *shape))

    filtered = _filter(parts(seen, 1, 1, 9), parts(kernel, 1, 4)).numpy()[:, 0, 0]
    np.testing.assert_allclose(filtered[0] + 1j * filtered[1], np.convolve(seen, kernel)[:9])


def test_later_frames_do_not_alter_earlier_answers(movie_network, movie):
    changed = movie.clone()
    changed[:, :, 12] = movie[:, :, 3]
    before = movie_network(movie, mouse="simulated")
    after = movie_network(changed, mouse="simulated")
    torch.testing.assert_close(before[..., :13], after[..., :13], rtol=0, atol=0)
    assert not torch.allclose(before[..., 13:], after[..., 13:])


def test_answer_begins_after_the_latency(movie_network, population, screen):
    flash = torch.zeros(1, 1, 20, 36, 64, dtype=torch.float64)
    flash[:, :, 0] = torch.from_numpy(np.random.default_rng(3).standard_normal((36, 64)))
    answer = movie_network(torch.cat([flash, -flash]), mouse="simulated").amax(0).numpy()
    first = np.argmax(answer > 0, axis=1)
    expected = np.floor(population["latency_s"] * screen.frame_rate_hz).astype(int) + 1
    np.testing.assert_array_equal(first, expected)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_gray_and_its_absence_of_contrast_give_exactly_nothing(kind, request):
    network = request.getfixturevalue(f"{kind}_network")
    shape = (1, 1, 36, 64) if kind == "image" else (1, 1, 20, 36, 64)
    answer = network(torch.zeros(shape, dtype=torch.float64), mouse="simulated")
    assert torch.count_nonzero(answer) == 0


def test_image_cells_are_blind_to_uniform_light(image_network):
    bright = torch.full((1, 1, 36, 64), 2.0, dtype=torch.float64)
    # Filters are kept in float32.
    assert image_network(bright, mouse="simulated").abs().max() < 1e-4


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_simple_cells_rectify_and_energy_cells_ignore_the_sign(kind, request, population):
    network = request.getfixturevalue(f"{kind}_network")
    stimulus = request.getfixturevalue("images" if kind == "image" else "movie")
    light = network(stimulus, mouse="simulated").numpy()
    dark = network(-stimulus, mouse="simulated").numpy()
    is_simple = (population["cell_class"] == "simple").to_numpy()
    assert np.all((light[:, is_simple] == 0) | (dark[:, is_simple] == 0))
    assert np.any(light[:, is_simple] > 0)
    np.testing.assert_allclose(light[:, ~is_simple], dark[:, ~is_simple])


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_some_neurons_answer_as_they_do_among_all(kind, request):
    network = request.getfixturevalue(f"{kind}_network")
    stimulus = request.getfixturevalue("images" if kind == "image" else "movie")
    chosen = torch.tensor([7, 0, 3])
    some = network(stimulus, mouse="simulated", neurons=chosen)
    torch.testing.assert_close(some, network(stimulus, mouse="simulated")[:, chosen])


@pytest.mark.parametrize("is_contextual", [False, True])
def test_reach_is_exact(is_contextual, population, screen):
    cells = population
    if is_contextual:
        cells = draw_contextual_population(simple_count=6, energy_count=6, screen=screen, seed=0)
    network = SimulatedV1Network(cells, screen=screen, kind="movie").double()
    reach = network.reach(40)
    assert reach.future == 0
    movie = torch.randn(1, 1, 40, 36, 64, generator=torch.Generator().manual_seed(0)).double()
    before = network(movie, mouse="simulated")
    changed = movie.clone()
    changed[:, :, 10] += 3 * torch.randn(36, 64, generator=torch.Generator().manual_seed(1))
    moved = (network(changed, mouse="simulated") - before).abs()[0]
    # Energy cells look back with the whole filter; simple ones may be silent in one frame.
    is_energy = torch.tensor((cells["cell_class"] == "energy").tolist())
    assert torch.count_nonzero(moved[:, :10]) == 0
    assert torch.count_nonzero(moved[:, 10 + reach.past + 1 :]) == 0
    assert torch.all(moved[is_energy, 10 + reach.past] > 0)


def test_images_reach_nothing_but_themselves(image_network):
    reach = image_network.reach(1)
    assert (reach.past, reach.future) == (0, 0)


def test_answers_do_not_depend_on_when_a_movie_is_shown(screen):
    cells = draw_contextual_population(simple_count=4, energy_count=4, screen=screen, seed=1)
    network = SimulatedV1Network(cells, screen=screen, kind="movie").double()
    movie = torch.randn(1, 1, 12, 36, 64, generator=torch.Generator().manual_seed(2)).double()
    later = torch.cat([torch.zeros(1, 1, 9, 36, 64).double(), movie], dim=2)
    torch.testing.assert_close(
        network(later, mouse="simulated")[..., 9:], network(movie, mouse="simulated")
    )


def test_drive_by_a_drifting_grating_is_that_of_the_closed_form(population, screen):
    network = SimulatedV1Network(population, screen=screen, kind="movie").double()
    expected = grating_drive(population, screen, is_movie=True)
    for neuron, cell in population.iterrows():
        phases = np.arange(0, 360, 15)
        movie = drifting_grating(
            screen,
            direction_deg=cell["direction_deg"],
            spatial_frequency_cpd=cell["spatial_frequency_cpd"],
            temporal_frequency_hz=cell["temporal_frequency_hz"],
            phase_deg=phases,
            frame_count=16,
            dtype=np.float64,
        )
        shown = torch.from_numpy((movie - 127.5) / STIMULUS_STD)[:, None]
        found = network.drive(shown, torch.tensor([neuron]))[..., -1].mean()
        assert found == pytest.approx(expected[neuron], rel=0.01)


def test_drive_by_still_gratings_is_that_of_the_closed_form(population, image_network, screen):
    expected = grating_drive(population, screen, is_movie=False)
    for neuron, cell in population.iterrows():
        images = static_grating(
            screen,
            orientation_deg=cell["direction_deg"],
            spatial_frequency_cpd=cell["spatial_frequency_cpd"],
            phase_deg=np.arange(0, 360, 5),
            dtype=np.float64,
        )
        shown = torch.from_numpy((images - 127.5) / STIMULUS_STD)[:, None]
        found = image_network.drive(shown, torch.tensor([neuron])).mean()
        assert found == pytest.approx(expected[neuron], rel=0.01)
