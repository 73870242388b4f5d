"""Selectivity indices against closed forms and the published values."""

from __future__ import annotations

import numpy as np
import pytest

from insilico.errors import ShapeError, UnitsError
from insilico.statistics.selectivity import (
    direction_selectivity_index,
    orientation_selectivity_index,
    preferred_direction_deg,
    preferred_orientation_deg,
)

EIGHT_DEG = np.arange(8) * 45.0
FUNCTIONS = [
    orientation_selectivity_index,
    direction_selectivity_index,
    preferred_direction_deg,
    preferred_orientation_deg,
]


@pytest.mark.parametrize(
    ("name", "function"),
    [("OSI", orientation_selectivity_index), ("DSI", direction_selectivity_index)],
)
def test_index_equals_the_published_one_for_every_recorded_neuron(shared_data, name, function):
    folder = shared_data / "viv1t" / "mouseB"
    published = np.load(folder / f"{name}.npy")
    index = function(np.load(folder / "tuning_curve.npy"), EIGHT_DEG)
    assert index.dtype == np.float64
    np.testing.assert_allclose(index, published, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("curve", "osi", "dsi"),
    [
        ([1, 0, 0, 0, 0, 0, 0, 0], 1, 1),
        ([1, 0, 0, 0, 1, 0, 0, 0], 1, 0),
        ([1, 1, 1, 1, 1, 1, 1, 1], 0, 0),
        ([1, 0, 1, 0, 0, 0, 0, 0], 0, np.sqrt(2) / 2),
    ],
)
def test_index_of_simple_curves(curve, osi, dsi):
    assert orientation_selectivity_index(curve, EIGHT_DEG) == pytest.approx(osi, abs=1e-12)
    assert direction_selectivity_index(curve, EIGHT_DEG) == pytest.approx(dsi, abs=1e-12)


def test_cosine_tuning_has_half_its_modulation_as_index():
    """The mean of (1 + m cos) cos over the circle is m / 2."""
    theta = np.radians(EIGHT_DEG - 20)
    assert direction_selectivity_index(1 + 0.6 * np.cos(theta), EIGHT_DEG) == pytest.approx(0.3)
    osi = orientation_selectivity_index(1 + 0.6 * np.cos(2 * theta), EIGHT_DEG)
    assert osi == pytest.approx(0.3)


def test_preference_is_the_planted_angle():
    planted = np.array([0.0, 17.0, 133.0, 359.0])
    theta = np.radians(EIGHT_DEG - planted[:, None])
    direction = preferred_direction_deg(2 + np.cos(theta), EIGHT_DEG)
    np.testing.assert_allclose(direction, planted, atol=1e-9)
    orientation = preferred_orientation_deg(2 + np.cos(2 * theta), EIGHT_DEG)
    np.testing.assert_allclose(orientation, planted % 180, atol=1e-9)


def test_preference_stays_below_the_period():
    # A hair more at 315 than at 45 degrees: the vector points a hair below 0.
    tiny = np.array([[1, 0.1, 0, 0, 0, 0, 0, 0.1 * (1 + 1e-15)], [1, 0, 0, 0, 0, 0, 0, 1e-17]])
    for function, period in ((preferred_direction_deg, 360), (preferred_orientation_deg, 180)):
        preferred = function(tiny, EIGHT_DEG)
        assert ((preferred >= 0) & (preferred < period)).all()


def test_order_and_extra_axes_do_not_matter():
    curves = np.random.default_rng(0).uniform(size=(3, 5, 8))
    order = np.array([3, 1, 7, 0, 2, 6, 5, 4])
    for function in FUNCTIONS:
        expected = np.stack([function(curve, EIGHT_DEG) for curve in curves])
        shuffled = function(curves[..., order], EIGHT_DEG[order] + 720)
        np.testing.assert_allclose(shuffled, expected, atol=1e-9)


def test_curve_without_an_index_is_nan():
    curves = np.ones((5, 8))
    curves[0] = 0
    curves[1, 2] = np.nan
    curves[2, 2] = -0.1
    curves[3, 2] = np.inf
    for function in (orientation_selectivity_index, direction_selectivity_index):
        assert np.isnan(function(curves, EIGHT_DEG)).tolist() == [True] * 4 + [False]


def test_preference_is_nan_where_vectors_cancel_but_not_for_negative_responses():
    curves = np.ones((3, 8))
    curves[1, 2] = np.nan
    curves[2] = -1 - np.cos(np.radians(EIGHT_DEG))
    preferred = preferred_direction_deg(curves, EIGHT_DEG)
    assert np.isnan(preferred[:2]).all()
    assert preferred[2] == pytest.approx(180)


def test_orientations_over_half_a_turn_are_accepted_for_orientation_only():
    curve, orientations = [1.0, 0.5, 0.0, 0.5], np.arange(4) * 45.0
    assert orientation_selectivity_index(curve, orientations) == pytest.approx(0.5)
    with pytest.raises(UnitsError, match="spaced over 360"):
        direction_selectivity_index(curve, orientations)


@pytest.mark.parametrize(
    "directions",
    [
        [0, 45, 90, 135, 180, 225, 270, 300],
        [0, 0, 90, 135, 180, 225, 270, 315],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 45, 90, 135, 180, 225, 270, np.nan],
    ],
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_uneven_directions_are_refused(function, directions):
    with pytest.raises(UnitsError, match="not evenly spaced"):
        function(np.ones((2, 8)), directions)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("count", [3, 7, 12, 17])
def test_single_precision_directions_count_as_even(function, count):
    directions = (np.arange(count) * 360 / count).astype(np.float32)
    curve = 2 + np.cos(np.radians(directions - 30)) + np.cos(2 * np.radians(directions - 30))
    assert np.isfinite(function(curve, directions))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", [(2, 7), (8, 2), ()])
def test_mismatched_lengths_are_refused(function, shape):
    with pytest.raises(ShapeError, match="one direction per column"):
        function(np.ones(shape), EIGHT_DEG)
