"""Comparisons over neurons: exact p-values, effects, and what cannot be tested."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from insilico.errors import ShapeError, UnitsError
from insilico.statistics.bootstrap import bootstrap_differences
from insilico.statistics.paired import (
    COMPARISON_STATUS,
    compare_paired,
    compare_unpaired,
    compare_with_zero,
)


def exact_signed_rank(differences):
    """Spell out the definition: every choice of signs is as likely."""
    ranks = stats.rankdata(np.abs(differences))
    center = ranks.sum() / 2
    observed = abs(ranks[differences > 0].sum() - center)
    sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
        for signs in itertools.product([0, 1], repeat=len(ranks))
    ]
    return np.mean([abs(one - center) >= observed - 1e-9 for one in sums])


@pytest.mark.parametrize(
    "differences",
    [
        np.array([1.5, -0.2, 3.1, 0.7, 2.2, -0.9, 4.0, 0.1]),
        np.array([1.0, 1.0, -1.0, 2.0, 2.0, 2.0, 3.0, -1.0]),
    ],
    ids=["distinct", "ties"],
)
def test_paired_p_value_counts_all_choices_of_signs(differences):
    second = np.arange(8.0)
    comparison = compare_paired(second + differences, second, seed=0)
    assert comparison.p_value == pytest.approx(exact_signed_rank(differences))
    assert comparison.effect == pytest.approx(np.median(differences))
    assert comparison.status == "ok"
    assert (comparison.first_count, comparison.second_count) == (8, 8)


def test_unpaired_p_value_counts_all_choices_of_sets():
    first, second = np.array([3.1, 4.0, 2.2, 5.5]), np.array([1.0, 0.4, 2.3, 1.7, -0.3])
    both = np.concatenate([first, second])
    ranks = stats.rankdata(both)
    sums = np.array([sum(chosen) for chosen in itertools.combinations(ranks, 4)])
    observed, center = ranks[:4].sum(), 4 * 10 / 2
    expected = np.mean(np.abs(sums - center) >= abs(observed - center))
    comparison = compare_unpaired(first, second, seed=0)
    assert comparison.p_value == pytest.approx(expected)
    assert comparison.effect == pytest.approx(np.median(first) - np.median(second))


def test_missing_values_are_left_out_in_pairs_and_counted():
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 1, 30), rng.normal(0, 1, 30)
    expected = compare_paired(first[3:], second[3:], seed=2)
    first[0] = second[1] = first[2] = second[2] = np.nan
    row = compare_paired(first, second, seed=2).to_row()
    assert row == {**expected.to_row(), "left_out_count": 3}


def test_unpaired_sets_leave_out_their_own_missing_values():
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, 20), rng.normal(0, 1, 30)
    labels = (rng.integers(3, size=21), rng.integers(3, size=31))
    expected = compare_unpaired(first, second, mouse=(labels[0][1:], labels[1][:-1]), seed=0)
    holed = compare_unpaired(np.r_[np.nan, first], np.r_[second, np.nan], mouse=labels, seed=0)
    assert holed.to_row() == {**expected.to_row(), "left_out_count": 2}


def test_nothing_that_differs_has_a_status_and_p_one():
    same = np.full(20, 2.5)
    for comparison in (
        compare_paired(same, same, seed=0),
        compare_with_zero(np.zeros(9), seed=0),
        compare_unpaired(same, same[:7], seed=0),
    ):
        assert (comparison.status, comparison.p_value, comparison.effect) == ("constant", 1.0, 0.0)


def test_pairs_without_a_difference_are_counted_but_not_ranked():
    differences = np.r_[np.zeros(5), [1.0, 2.0, 3.0, -0.5, 4.0, 5.0]]
    comparison = compare_with_zero(differences, seed=0)
    assert (comparison.zero_count, comparison.first_count) == (5, 11)
    assert comparison.p_value == pytest.approx(exact_signed_rank(differences[5:]))
    assert comparison.effect == np.median(differences)


def test_nothing_known_has_a_status_and_no_p_value():
    for comparison in (
        compare_paired([np.nan, 1.0], [1.0, np.nan], seed=0),
        compare_with_zero([], seed=0),
        compare_unpaired([np.nan], [1.0, 2.0], seed=0),
    ):
        assert comparison.status == "no_data"
        assert math.isnan(comparison.p_value)
        assert math.isnan(comparison.effect)


@pytest.mark.parametrize(("count", "status"), [(5, "few"), (6, "ok")])
def test_too_few_pairs_to_reach_significance_are_marked(count, status):
    comparison = compare_with_zero(np.arange(1.0, count + 1), seed=0)
    assert comparison.status == status
    assert (comparison.p_value <= 0.05) == (status == "ok")


@pytest.mark.parametrize(("counts", "status"), [((3, 3), "few"), ((4, 4), "ok")])
def test_too_few_neurons_in_two_sets_are_marked(counts, status):
    first, second = np.arange(counts[0]) + 10.0, np.arange(counts[1], dtype=float)
    comparison = compare_unpaired(first, second, seed=0)
    assert comparison.status == status
    assert (comparison.p_value <= 0.05) == (status == "ok")


def test_interval_covers_the_planted_effect():
    rng = np.random.default_rng(3)
    covered = []
    for seed in range(200):
        first, second = rng.normal(0.5, 1, 60), rng.normal(0, 1, 80)
        one = compare_unpaired(first, second, confidence=0.8, draws=300, seed=seed)
        covered.append(one.ci_low <= 0.5 <= one.ci_high)
    assert np.mean(covered) == pytest.approx(0.82, abs=0.08)


def test_one_draw_of_mice_serves_both_sets():
    """Mice differ a lot, conditions by 1 in every mouse: the mice cancel in the difference."""
    rng = np.random.default_rng(4)
    level = np.repeat([0.0, 50.0, 100.0], 20)
    mouse = np.repeat(["A", "B", "C"], 20)
    first, second = level + 1 + rng.normal(0, 0.1, 60), level + rng.normal(0, 0.1, 60)
    options = {"statistic": np.mean, "draws": 300, "seed": 0}
    joint = bootstrap_differences(first, second, mouse=(mouse, mouse), **options)
    np.testing.assert_allclose(joint, 1.0, atol=0.2)
    assert np.ptp(bootstrap_differences(first, second, **options)) > 10


def test_mice_widen_the_interval():
    rng = np.random.default_rng(5)
    mouse = np.repeat(np.arange(6), 40)
    values = rng.normal(size=6)[mouse] + rng.normal(0, 0.3, len(mouse))
    plain, nested = (compare_with_zero(values, mouse=one, seed=0) for one in (None, mouse))
    assert nested.ci_high - nested.ci_low > 3 * (plain.ci_high - plain.ci_low)
    assert (plain.error_source, nested.error_source) == ("neurons", "mice, then neurons")
    assert nested.p_value == plain.p_value


def test_rows_make_a_table():
    rng = np.random.default_rng(6)
    rows = [
        {"figure": "scatter", **compare_paired(*rng.normal(size=(2, 9)), seed=0).to_row()},
        {"figure": "histogram", **compare_with_zero(rng.normal(size=9), seed=0).to_row()},
        {"figure": "bars", **compare_unpaired(*rng.normal(size=(2, 9)), seed=0).to_row()},
    ]
    table = pd.DataFrame(rows)
    assert table["p_value"].between(0, 1).all()
    assert table.notna().all(axis=None)
    assert set(table["status"]) <= set(COMPARISON_STATUS)


def test_seed_decides_the_interval():
    values = np.random.default_rng(7).normal(size=30)
    first, again, other = (compare_with_zero(values, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert (first.ci_low, first.ci_high) != (other.ci_low, other.ci_high)


def test_mismatched_shapes_are_refused():
    with pytest.raises(ShapeError, match="two values a neuron"):
        compare_paired(np.ones(3), np.ones(4), seed=0)
    with pytest.raises(ShapeError, match="one a neuron in each set"):
        compare_unpaired(np.ones((3, 2)), np.ones(4), seed=0)
    with pytest.raises(ShapeError, match="one label a value"):
        compare_unpaired(np.ones(3), np.ones(4), mouse=([1, 1, 1], [1]), seed=0)


@pytest.mark.parametrize(
    ("option", "message"), [({"draws": 0}, "0 bootstrap"), ({"confidence": 95}, "between 0 and 1")]
)
def test_impossible_options_are_refused(option, message):
    for arguments, compare in (
        ([np.ones(9)], compare_with_zero),
        ([np.ones(9), np.zeros(8)], compare_unpaired),
    ):
        with pytest.raises(UnitsError, match=message):
            compare(*arguments, seed=0, **option)
