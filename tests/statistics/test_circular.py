"""Angles that come around."""

import numpy as np
import pytest

from insilico.errors import ShapeError, UnitsError
from insilico.statistics.circular import circular_correlation, wrapped_difference


def test_differences_go_the_short_way_around():
    difference = wrapped_difference([350, 10, 90, np.nan], [10, 350, 80, 0], period=360)
    np.testing.assert_allclose(difference, [-20, 20, 10, np.nan])
    assert wrapped_difference(175, 5, period=180) == pytest.approx(-10)


def test_half_a_turn_has_one_sign():
    assert wrapped_difference(0, 180, period=360) == wrapped_difference(180, 0, period=360) == -180


def test_correlation_is_that_of_the_definition_over_all_pairs():
    rng = np.random.default_rng(0)
    one = rng.uniform(0, 360, 60)
    two = one + rng.normal(0, 40, 60)
    first, second = np.triu_indices(60, 1)
    sines = [np.sin(np.radians(side[first] - side[second])) for side in (one, two)]
    expected = (sines[0] @ sines[1]) / np.sqrt((sines[0] @ sines[0]) * (sines[1] @ sines[1]))
    assert circular_correlation(one, two, period=360) == pytest.approx(expected)


def test_constant_shift_correlates_fully_and_reflection_fully_against():
    angles = np.random.default_rng(1).uniform(0, 180, 40)
    assert circular_correlation(angles, (angles + 70) % 180, period=180) == pytest.approx(1)
    assert circular_correlation(angles, (70 - angles) % 180, period=180) == pytest.approx(-1)


def test_independent_angles_correlate_about_zero_whatever_their_distribution():
    rng = np.random.default_rng(2)
    values = [
        circular_correlation(*rng.vonmises(0, 2, (2, 50)), period=2 * np.pi) for _ in range(300)
    ]
    assert abs(np.mean(values)) < 0.03


@pytest.mark.parametrize("angles", [[], [10.0], [30.0] * 5, [np.nan, 10.0, np.nan]])
def test_too_few_or_equal_angles_have_no_correlation(angles):
    assert np.isnan(circular_correlation(angles, angles, period=360))


def test_wrong_arguments_are_refused():
    with pytest.raises(UnitsError, match="period"):
        wrapped_difference(1, 2, period=0)
    with pytest.raises(ShapeError, match="two angles a neuron"):
        circular_correlation([1, 2], [1, 2, 3], period=360)
