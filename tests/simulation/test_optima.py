"""The largest response of a neuron: never exceeded, and reached by a known best stimulus."""

import itertools

import numpy as np
import pytest

from insilico.screen import Screen
from insilico.simulation import SimulatedV1
from insilico.simulation.kernels import spatial_kernels
from insilico.simulation.optima import largest_response, longest_sum

SCREEN = Screen(width_px=32, height_px=18, width_cm=28.25, height_cm=15.9)
WHOLE = np.ones(SCREEN.shape)
FRAMES = 9
#: So little that no pixel leaves the range of the monitor.
RMS_LEVEL = 2.0


def twin_of(kind):
    return SimulatedV1(kind, simple_count=3, energy_count=3, screen=SCREEN, seed=4, device="cpu")


def leveled(values):
    """Return stimuli (stimulus, ...) of mean gray and the given contrast."""
    axes = tuple(range(1, values.ndim))
    values = values - values.mean(axes, keepdims=True)
    return SCREEN.gray + RMS_LEVEL * values / values.std(axes, keepdims=True)


def largest(twin, row, frame_count=None):
    neuron = twin.ground_truth.iloc[[row]]
    options = {"screen": SCREEN, "rms_level": RMS_LEVEL, "frame_count": frame_count}
    return largest_response(neuron, WHOLE, **options)


def mean_responses(twin, stimuli):
    values = twin.respond(stimuli).values
    return values.mean(-1) if twin.kind == "movie" else values


def test_simple_cell_of_images_reaches_it_with_its_own_filter():
    twin = twin_of("image")
    truth = twin.ground_truth
    rows = np.flatnonzero(truth["cell_class"] == "simple")
    filters = spatial_kernels(truth.iloc[rows], SCREEN).real
    reached = mean_responses(twin, leveled(filters).astype(np.float32))[range(3), rows]
    np.testing.assert_allclose(reached, [largest(twin, row) for row in rows], rtol=1e-3)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_no_stimulus_of_the_contrast_drives_a_neuron_more(kind):
    twin = twin_of(kind)
    space = spatial_kernels(twin.ground_truth, SCREEN)
    # The neuron's own Gabors as they turn, at many speeds, forth and back.
    turns = np.exp(1j * np.linspace(-np.pi / 2, np.pi / 2, 25)[:, None] * np.arange(FRAMES))
    own = (space[:, None, None] * turns[None, :, :, None, None]).real.reshape(
        -1, FRAMES, *SCREEN.shape
    )
    shown = leveled(own if kind == "movie" else own[:, 0]).astype(np.float32)
    reached = mean_responses(twin, shown).max(0)
    bounds = np.array([largest(twin, row, FRAMES if kind == "movie" else None) for row in range(6)])
    assert (reached <= 1.001 * bounds).all()
    # They waste contrast on frames that count little, and still come near.
    assert (reached >= 0.4 * bounds).all()


def test_what_lies_beside_the_free_pixels_drives_nothing():
    neuron = twin_of("image").ground_truth.iloc[[0]]
    weights = np.where(np.arange(SCREEN.width_px) < neuron["x_px"].item(), 1.0, 0.0)
    half = largest_response(
        neuron, np.broadcast_to(weights, SCREEN.shape), screen=SCREEN, rms_level=RMS_LEVEL
    )
    assert 0 < half < largest(twin_of("image"), 0)


@pytest.mark.parametrize("rank", [1, 3, 12])
def test_longest_sum_is_that_of_trying_all_sets(rank):
    vectors = np.random.default_rng(rank).standard_normal((10, rank))
    sets = np.array(list(itertools.product([0.0, 1.0], repeat=10)))
    longest = ((sets @ vectors) ** 2).sum(1).max()
    assert longest_sum(vectors @ vectors.T) == pytest.approx(longest)
