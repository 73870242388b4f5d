"""Benjamini-Hochberg q-values: the definition, neurons without a test, and the promised rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from insilico.errors import UnitsError
from insilico.statistics.false_discovery import false_discovery_q_values


def test_q_values_are_those_of_the_step_up_procedure():
    p_value = np.array([0.01, 0.04, 0.03, 0.005])
    # Sorted: 0.005*4/1, 0.01*4/2, 0.03*4/3, 0.04*4/4, then the running minimum from the top.
    np.testing.assert_allclose(false_discovery_q_values(p_value), [0.02, 0.04, 0.04, 0.02])


def test_neurons_that_were_not_tested_neither_count_nor_get_a_value():
    p_value = np.array([0.01, np.nan, 0.04, 0.03, np.nan, 0.005])
    q_value = false_discovery_q_values(p_value)
    assert np.isnan(q_value).tolist() == [False, True, False, False, True, False]
    np.testing.assert_allclose(q_value[~np.isnan(p_value)], [0.02, 0.04, 0.04, 0.02])


@pytest.mark.parametrize("p_value", [np.full(3, np.nan), np.empty(0), np.array([[0.2], [1.0]])])
def test_shape_stays_with_nothing_to_test_too(p_value):
    assert false_discovery_q_values(p_value).shape == p_value.shape


def test_false_discoveries_are_as_rare_as_promised():
    rng = np.random.default_rng(0)
    fractions = []
    for _ in range(200):
        effect = np.r_[np.zeros(300), np.full(100, 3.5)]
        p_value = 2 * stats.norm.sf(np.abs(rng.normal(effect)))
        found = false_discovery_q_values(p_value) <= 0.1
        fractions.append((found & (effect == 0)).sum() / max(found.sum(), 1))
        assert found[effect > 0].mean() > 0.5
    # The expectation is 0.1 times the share of true nulls.
    error = np.std(fractions, ddof=1) / np.sqrt(len(fractions))
    assert np.mean(fractions) == pytest.approx(0.075, abs=4 * error)


@pytest.mark.parametrize("wrong", [-0.1, 1.2, 5.0])
def test_numbers_that_are_no_probabilities_are_refused(wrong):
    with pytest.raises(UnitsError, match="probabilities between 0 and 1"):
        false_discovery_q_values([0.5, wrong, np.nan])
