"""Tests of conditions over trials: exact where all shuffles can be listed, nominal, powerful."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from insilico.errors import CatalogError, ShapeError, UnitsError
from insilico.statistics import conditions
from insilico.statistics.conditions import condition_difference_test


def test_paired_p_value_is_the_share_of_all_sign_changes():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.6, 1, (7, 5)), rng.normal(0, 1, (7, 5))
    signs = np.array(list(itertools.product([1, -1], repeat=7)))
    sums = signs @ (first - second)
    observed = (first - second).sum(axis=0)
    result = condition_difference_test(first, second, is_paired=True, shuffle_count=40000, seed=1)
    expected = (np.abs(sums) >= np.abs(observed) - 1e-9).mean(axis=0)
    np.testing.assert_allclose(result.p_value, expected, atol=0.012)
    np.testing.assert_allclose(result.difference, observed / 7)
    greater = condition_difference_test(
        first, second, is_paired=True, alternative="greater", shuffle_count=40000, seed=1
    )
    np.testing.assert_allclose(greater.p_value, (sums >= observed - 1e-9).mean(axis=0), atol=0.012)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_unpaired_p_value_is_the_share_of_all_deals(alternative):
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.8, 2, (4, 5)), rng.normal(0, 1, (5, 5))
    both = np.concatenate([first, second])

    def welch(chosen):
        rest = np.setdiff1d(np.arange(9), chosen)
        t = stats.ttest_ind(both[list(chosen)], both[rest], equal_var=False).statistic
        return np.abs(t) if alternative == "two-sided" else t

    deals = np.array([welch(chosen) for chosen in itertools.combinations(range(9), 4)])
    expected = (deals >= welch(range(4)) - 1e-9).mean(axis=0)
    result = condition_difference_test(
        first, second, alternative=alternative, shuffle_count=40000, seed=2
    )
    np.testing.assert_allclose(result.p_value, expected, atol=0.012)


@pytest.mark.parametrize("is_paired", [True, False])
def test_result_depends_neither_on_blocks_nor_on_other_neurons(monkeypatch, is_paired):
    rng = np.random.default_rng(2)
    first, second = rng.gamma(2.0, size=(2, 10, 30))
    options = {"is_paired": is_paired, "shuffle_count": 99, "seed": 3}
    whole = condition_difference_test(first, second, **options)
    monkeypatch.setattr(conditions, "BLOCK_NUMBERS", 200)
    some = condition_difference_test(first[:, 4:9], second[:, 4:9], **options)
    np.testing.assert_array_equal(some.p_value, whole.p_value[4:9])
    other = condition_difference_test(first, second, **{**options, "seed": 4})
    assert (other.p_value != whole.p_value).any()


@pytest.mark.parametrize("is_paired", [True, False])
def test_scale_and_offset_of_a_neuron_do_not_matter(is_paired):
    rng = np.random.default_rng(3)
    first, second = rng.gamma(2.0, size=(2, 12, 20))
    scale, offset = 10.0 ** rng.uniform(-6, 6, 20), rng.normal(size=20)
    options = {"is_paired": is_paired, "shuffle_count": 199, "seed": 0}
    plain = condition_difference_test(first, second, **options)
    moved = condition_difference_test(first * scale + offset, second * scale + offset, **options)
    np.testing.assert_allclose(moved.p_value, plain.p_value)


@pytest.mark.parametrize("is_paired", [True, False])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_silent_and_equal_neurons_have_p_one(is_paired, alternative):
    """Means that agree only up to rounding are equal: every shuffle reaches them."""
    first = np.stack([np.zeros(6), np.full(6, 0.1), [0.1, 0.2, 0.3, 0.1, 0.2, 0.3]], axis=1)
    second = np.stack([np.zeros(6), np.full(6, 0.1), [0.3, 0.2, 0.1, 0.3, 0.1, 0.2]], axis=1)
    result = condition_difference_test(
        first, second, is_paired=is_paired, alternative=alternative, shuffle_count=99, seed=0
    )
    assert (result.p_value[:2] == 1).all()
    assert result.p_value[2] == 1 if alternative == "two-sided" else result.p_value[2] > 0.4


@pytest.mark.parametrize("is_paired", [True, False])
def test_neuron_that_always_responds_reaches_the_smallest_p_value(is_paired):
    """Without any noise too, where the statistic would be infinite."""
    first = np.stack([np.full(20, 5.0), 5 + np.random.default_rng(4).normal(size=20)], axis=1)
    result = condition_difference_test(
        first, np.zeros((20, 2)), is_paired=is_paired, shuffle_count=999, seed=0
    )
    np.testing.assert_allclose(result.p_value, 1 / 1000)


def test_greater_ignores_a_smaller_first_condition():
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 1, (20, 1)), rng.normal(3, 1, (20, 1))
    options = {"shuffle_count": 199, "seed": 0}
    assert condition_difference_test(first, second, **options).p_value == 1 / 200
    assert condition_difference_test(first, second, alternative="greater", **options).p_value == 1


def test_neuron_with_a_missing_trial_is_nan_and_leaves_the_others_alone():
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(2, 9, 3))
    clean = condition_difference_test(first[:, 2:], second[:, 2:], seed=0)
    first[0, 0], second[3, 1] = np.nan, np.inf
    result = condition_difference_test(first, second, seed=0)
    for values in result:
        assert np.isnan(values).tolist() == [True, True, False]
    assert result.p_value[2] == clean.p_value[0]


def test_mismatched_trials_are_refused():
    with pytest.raises(ShapeError, match="the same neurons in both"):
        condition_difference_test(np.ones((5, 2)), np.ones((5, 3)), seed=0)
    with pytest.raises(ShapeError, match="5 trials paired with 4"):
        condition_difference_test(np.ones((5, 2)), np.ones((4, 2)), is_paired=True, seed=0)
    with pytest.raises(ShapeError, match=r"1 trial\(s\) of a condition"):
        condition_difference_test(np.ones((5, 2)), np.ones((1, 2)), seed=0)


def test_impossible_options_are_refused():
    with pytest.raises(UnitsError, match="0 shuffles"):
        condition_difference_test(np.ones((5, 2)), np.ones((5, 2)), shuffle_count=0, seed=0)
    with pytest.raises(CatalogError, match="'less'"):
        condition_difference_test(np.ones((5, 2)), np.ones((5, 2)), alternative="less", seed=0)
