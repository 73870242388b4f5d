import numpy as np
import pytest
import torch

from insilico.simulation import SimulatedV1Network, draw_contextual_population
from insilico.simulation.kernels import grating_drive, spatial_kernels, temporal_kernels
from insilico.simulation.neighborhood import FACILITATION_FROM, FACILITATION_UNTIL, HOLE_GATE
from insilico.simulation.normalization import FULL_CONTRAST, OFF, pool_windows
from insilico.simulation.simulated_v1 import STIMULUS_STD
from insilico.stimuli import disc, drifting_grating, static_grating

CENTER_PX = (31, 17)
#: A receptive field that a disc of 20 degrees fills, and a surround well outside of it.
SMALL_FIELD = {"sigma_along_px": 1.1, "sigma_across_px": 1.4, "surround_sigma_px": 8.0}
PLAIN = {**OFF, **SMALL_FIELD, "contrast_gain": 2.0}


@pytest.fixture(scope="module")
def contextual(screen):
    return draw_contextual_population(simple_count=8, energy_count=8, screen=screen, seed=0)


@pytest.fixture(scope="module")
def cells(contextual):
    """Two simple and two energy cells alike in all but class: in the middle, rightward, small."""
    few = contextual.groupby("cell_class").head(2).reset_index(drop=True)
    return few.assign(
        x_px=CENTER_PX[0], y_px=CENTER_PX[1], direction_deg=0.0, orientation_deg=0.0,
        spatial_frequency_cpd=0.04, temporal_frequency_hz=2.0, gain=1.0, **PLAIN,
    )  # fmt: skip


def answers(population, screen, levels, kind="image"):
    """Answers to gray levels, shape (trial, neuron[, frame])."""
    network = SimulatedV1Network(population, screen=screen, kind=kind).double()
    shown = (torch.from_numpy(np.asarray(levels, np.float64)) - screen.gray) / STIMULUS_STD
    with torch.inference_mode():
        return network(shown[:, None], mouse="simulated").numpy()


def grating(screen, orientation_deg=0.0, contrast=1.0):
    """Still gratings of eight phases, about the gray of the screen."""
    levels = static_grating(
        screen,
        orientation_deg=orientation_deg,
        spatial_frequency_cpd=0.04,
        phase_deg=np.arange(0, 360, 45),
        contrast=contrast,
        dtype=np.float64,
    )
    return levels - 127.5 + screen.gray


def contextual_answers(population, screen, *, contrast):
    """Mean answers over phases to a disc of 20 degrees alone, with iso, and with cross surround."""
    center = disc(screen, diameter_deg=20.0, center_px=CENTER_PX)
    inside = grating(screen, contrast=contrast)
    surrounds = [screen.gray, inside, grating(screen, 90.0, contrast)]
    return [
        answers(population, screen, np.where(center, inside, surround)).mean(0)
        for surround in surrounds
    ]


def expected_answers(cell, screen, frames, kind):
    """Answers of one cell from the formulas, lag by lag; ``frames`` is (frame, y, x)."""
    row, lags = cell.iloc[0], 1
    exponent = 2 if row["cell_class"] == "energy" else 1
    network = SimulatedV1Network(cell, screen=screen, kind=kind).double()
    shown = torch.from_numpy(frames)
    shown = shown[:, None] if kind == "image" else shown[None, None]
    drive = network.drive(shown).numpy().ravel()
    memories = [np.ones(1), np.ones(1)]
    if kind == "movie":
        later = cell.assign(latency_s=cell["latency_s"] + cell["hole_latency_s"])
        memories = [np.abs(temporal_kernels(some, 30.0))[0] for some in (cell, later)]
        memories = [memory / memory.sum() for memory in memories]
        lags = len(memories[0])
    center, ring = pool_windows(cell, screen)[:, 0]
    reference = grating_drive(cell, screen, is_movie=kind == "movie")[0]
    terms = []
    for frame in frames:
        gx, gy = np.zeros_like(frame), np.zeros_like(frame)
        gx[:, 1:-1] = (frame[:, 2:] - frame[:, :-2]) / 2
        gy[1:-1] = (frame[2:] - frame[:-2]) / 2
        tensor = [[(w * a * b).sum() for a, b in ((gx, gx), (gx, gy), (gy, gy))]
                  for w in (center, ring)]  # fmt: skip
        (cxx, cxy, cyy), (rxx, rxy, ryy) = tensor
        energy = (cxx + cyy) * (rxx + ryy)
        along = ((cxx - cyy) * (rxx - ryy) + 4 * cxy * rxy) / energy if energy > 0 else 0
        variance = [(w * frame**2).sum() - (w * frame).sum() ** 2 for w in (center, ring)]
        terms.append((*variance, (1 + along) / 2))
    found = []
    for now in range(len(frames)):
        past = range(min(now + 1, lags)) if kind == "movie" else range(1)
        c2 = sum(memories[0][lag] * terms[now - lag][0] for lag in past)
        share = 2 / exponent
        t2 = sum(
            memories[0][lag] * terms[now - lag][1]
            * (1 - row["surround_selectivity"] * (1 - terms[now - lag][2])) ** share
            for lag in past
        )  # fmt: skip
        hc2, hs2 = (sum(memories[1][lag] * terms[now - lag][k] for lag in past) for k in (0, 1))
        hs = sum(memories[1][lag] * np.sqrt(terms[now - lag][1]) for lag in past)
        division = 1 + (row["contrast_gain"] ** 2 * c2) ** (exponent / 2)
        division += (row["surround_strength"] ** 2 * t2) ** (exponent / 2)
        rise = t2 / (t2 + FACILITATION_FROM**2)
        end = FACILITATION_UNTIL**2 / (FACILITATION_UNTIL**2 + c2)
        answer = drive[now] * (1 + row["facilitation"] * rise * end) / division
        if hs2 > 0:
            hole = row["hole_strength"] * reference * (hs / FULL_CONTRAST) ** exponent
            hole /= 1 + (row["contrast_gain"] ** 2 * hs2) ** (exponent / 2)
            answer += hole * hs2 / (hs2 + HOLE_GATE * hc2)
        found.append(answer * row["gain"])
    return np.array(found)


@pytest.mark.parametrize("kind", ["image", "movie"])
@pytest.mark.parametrize("contrast", [0.05, 1.0])
def test_answers_are_those_of_the_formulas(kind, contrast, contextual, screen):
    frames = contrast * np.random.default_rng(0).standard_normal((20, 36, 64))
    levels = screen.gray + STIMULUS_STD * frames
    levels = levels if kind == "image" else levels[None]
    for row in range(0, len(contextual), 3):
        cell = contextual.iloc[[row]].assign(
            surround_selectivity=0.7, facilitation=2.0, hole_strength=1.0, hole_latency_s=0.05
        )
        found = answers(cell, screen, levels, kind).ravel()
        expected = expected_answers(cell, screen, frames, kind)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_columns_that_are_off_change_nothing_at_all(kind, contextual, screen):
    """Bit-equal to the same population without them."""
    names = ["surround_selectivity", "facilitation", "hole_strength", "hole_latency_s"]
    without = contextual.drop(columns=names)
    off = without.assign(**{name: OFF[name] for name in names})
    levels = np.random.default_rng(1).integers(0, 256, (2, 36, 64) if kind == "image" else
                                               (1, 18, 36, 64))  # fmt: skip
    one, other = (answers(some, screen, levels, kind) for some in (without, off))
    np.testing.assert_array_equal(one, other)


def test_a_stronger_surround_suppresses_more(cells, screen):
    small, large = disc(screen, diameter_deg=25.0, center_px=CENTER_PX), True
    index = []
    for strength in (0.0, 0.5, 1.0, 2.0, 4.0):
        some = cells.assign(surround_strength=strength)
        near, far = (
            answers(some, screen, np.where(mask, grating(screen), screen.gray)).mean(0)
            for mask in (small, large)
        )
        index.append(1 - far / near)
    assert np.all(np.diff(index, axis=0) > 0.02)
    assert np.all(index[0] < 0.05)
    assert np.all(index[-1] > 0.4)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, 45.0, 60.0, 90.0])
def test_alignment_is_the_squared_cosine_of_the_angle(angle_deg, cells, screen):
    """Where one grating goes over to the other between the center and the ring."""
    network = SimulatedV1Network(
        cells.assign(surround_strength=1.0, surround_sigma_px=11.0), screen=screen, kind="image"
    ).double()
    center = disc(screen, diameter_deg=30.0, center_px=CENTER_PX)
    levels = np.where(center, grating(screen, 20.0), grating(screen, 20.0 + angle_deg))
    shown = (torch.from_numpy(levels) - screen.gray) / STIMULUS_STD
    found = network.neighborhood.alignment(shown[:, None]).mean(0).numpy()
    # The ring sees some of the center, and the border.
    np.testing.assert_allclose(found, np.cos(np.radians(angle_deg)) ** 2, atol=0.13)


def test_alignment_of_a_gray_center_is_a_half(cells, screen):
    network = SimulatedV1Network(cells.assign(surround_strength=1.0), screen=screen, kind="image")
    found = network.neighborhood.alignment(torch.zeros(1, 1, 36, 64))
    torch.testing.assert_close(found, torch.full_like(found, 0.5))


def test_an_iso_surround_suppresses_more_than_a_cross_one_where_planted(cells, screen):
    ratios = []
    for selectivity in (0.0, 0.5, 1.0):
        some = cells.assign(surround_strength=4.0, surround_selectivity=selectivity)
        alone, iso, cross = contextual_answers(some, screen, contrast=1.0)
        assert np.all(np.maximum(iso, cross) < alone)
        ratios.append(cross / iso)
    assert np.all(np.diff(ratios, axis=0) > 0.1)
    assert np.all(ratios[1] > 1.05)


def test_the_surround_flips_with_contrast_where_planted(cells, screen):
    some = cells.assign(surround_strength=4.0, surround_selectivity=0.95, facilitation=3.0)
    alone, iso, cross = contextual_answers(some, screen, contrast=1.0)
    assert np.all((iso < cross) & (cross < alone))
    alone, iso, cross = contextual_answers(some, screen, contrast=0.05)
    assert np.all((iso > 1.2 * cross) & (iso > 1.2 * alone))
    weaker = contextual_answers(some.assign(facilitation=1.0), screen, contrast=0.05)
    assert np.all(weaker[1] < iso)


def test_holes_drive_neurons_by_their_strength_and_full_fields_hardly(cells, screen):
    hole = disc(screen, diameter_deg=35.0, center_px=CENTER_PX)
    levels = [np.where(hole, screen.gray, grating(screen)), grating(screen)]
    by_strength = np.array(
        [
            [answers(cells.assign(hole_strength=strength), screen, some).mean(0) for some in levels]
            for strength in (0.0, 0.5, 1.0)
        ]
    )
    of_hole, of_full_field = (by_strength - by_strength[0]).swapaxes(0, 1)
    np.testing.assert_allclose(of_hole[2], 2 * of_hole[1])
    assert np.all(by_strength[0, 0] < 0.05 * of_hole[2])
    assert np.all(of_full_field[2] < 0.1 * of_hole[2])
    # A strength of 1 is an answer of the size of the classical one.
    share = of_hole[2] / by_strength[0, 1]
    assert np.all((share > 0.4) & (share < 1.5))


def test_answers_to_holes_are_later_by_what_was_planted(cells, screen):
    hole = disc(screen, diameter_deg=45.0, center_px=CENTER_PX)
    movie = drifting_grating(
        screen, direction_deg=0, spatial_frequency_cpd=0.04, temporal_frequency_hz=2, frame_count=24
    )
    movie = np.concatenate([np.full((4, 36, 64), 127), np.where(hole, 127, movie)])[None]

    def hole_answers(latency_s):
        some = cells.assign(latency_s=0.04, hole_strength=1.0, hole_latency_s=latency_s)
        with_holes = answers(some, screen, movie, "movie")[0]
        return with_holes - answers(some.assign(hole_strength=0.0), screen, movie, "movie")[0]

    together, later = hole_answers(0.0), hole_answers(2 / 30)
    # Frame 4 changes; 0.04 s are 1.2 frames.
    assert np.all(np.argmax(together > 0, axis=1) == 6)
    assert np.all(np.argmax(later > 0, axis=1) == 8)
    # The last lags fall out of the filter.
    np.testing.assert_allclose(later[:, 2:], together[:, :-2], rtol=0.02, atol=1e-9)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_gray_gives_nothing_and_finite_gradients(kind, contextual, screen):
    network = SimulatedV1Network(contextual, screen=screen, kind=kind)
    shape = (1, 1, 36, 64) if kind == "image" else (1, 1, 18, 36, 64)
    gray = torch.zeros(shape, requires_grad=True)
    answer = network(gray, mouse="simulated")
    assert torch.count_nonzero(answer) == 0
    answer.sum().backward()
    assert torch.all(torch.isfinite(gray.grad))


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_gradients_are_those_of_finite_differences(kind, contextual, screen):
    network = SimulatedV1Network(contextual, screen=screen, kind=kind).double()
    shape = (1, 1, 36, 64) if kind == "image" else (1, 1, 18, 36, 64)
    generator = torch.Generator().manual_seed(3)
    stimulus, step = (torch.randn(shape, generator=generator).double() for _ in range(2))
    stimulus.requires_grad_()
    (gradient,) = torch.autograd.grad(network(stimulus, mouse="simulated").sum(), stimulus)
    with torch.no_grad():
        up, down = (
            network(stimulus + sign * 1e-5 * step, mouse="simulated").sum() for sign in (1, -1)
        )
    assert (gradient * step).sum() == pytest.approx(float(up - down) / 2e-5, rel=1e-4)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_some_neurons_answer_as_they_do_among_all(kind, contextual, screen):
    network = SimulatedV1Network(contextual, screen=screen, kind=kind).double()
    shape = (2, 1, 36, 64) if kind == "image" else (2, 1, 16, 36, 64)
    stimulus = torch.randn(shape, generator=torch.Generator().manual_seed(4)).double()
    chosen = torch.tensor([9, 0, 4])
    some = network(stimulus, mouse="simulated", neurons=chosen)
    torch.testing.assert_close(some, network(stimulus, mouse="simulated")[:, chosen])


def test_uniform_light_neither_suppresses_nor_drives(contextual, screen):
    network = SimulatedV1Network(contextual, screen=screen, kind="image").double()
    bright = torch.full((1, 1, 36, 64), 1.5, dtype=torch.float64)
    assert network(bright, mouse="simulated").abs().max() < 0.02
    assert spatial_kernels(contextual, screen).sum((1, 2)) == pytest.approx(0, abs=1e-9)
