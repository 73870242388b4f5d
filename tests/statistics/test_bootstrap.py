"""Bootstrap intervals: coverage, seeds and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from insilico.errors import ShapeError, UnitsError
from insilico.statistics import resampling
from insilico.statistics.bootstrap import (
    bootstrap_interval,
    bootstrap_means,
    percentile_interval,
)


def interval_of(values, *, confidence=0.95, draws=2000, seed=0):
    means = bootstrap_means(values[:, None], draws=draws, seed=seed)[:, 0]
    return percentile_interval(means, confidence=confidence)


def test_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=4000)
    low, high = interval_of(values, draws=4000, seed=1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(2)
    intervals = [
        interval_of(rng.normal(size=60), confidence=0.8, draws=500, seed=seed)
        for seed in range(400)
    ]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert covered == pytest.approx(0.8, abs=0.06)


def test_seed_decides_the_samples():
    values = np.random.default_rng(3).normal(size=(50, 1))
    means = bootstrap_means(values, seed=5)
    np.testing.assert_array_equal(bootstrap_means(values, seed=5), means)
    assert not np.array_equal(bootstrap_means(values, seed=6), means)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_values_have_no_interval(count):
    assert np.isnan(interval_of(np.ones(count))).all()


def test_columns_see_the_same_samples_in_blocks_too(monkeypatch):
    values = np.random.default_rng(4).normal(size=30)
    monkeypatch.setattr(resampling, "BLOCK_NUMBERS", 100)
    means = bootstrap_means(np.stack([values, 2 * values + 1], axis=1), draws=50, seed=0)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0] + 1)
    assert len(np.unique(means[:, 0])) == 50


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(UnitsError, match="between 0 and 1"):
        percentile_interval(np.ones(3), confidence=confidence)


def test_no_draws_are_refused():
    with pytest.raises(UnitsError, match="0 bootstrap draws"):
        bootstrap_means(np.ones((2, 1)), draws=0, seed=0)


def covers(values, truth, **options):
    low, high = bootstrap_interval(values, **options)[1:3]
    return low <= truth <= high


def trimmed_mean(samples, *, axis):
    return stats.trim_mean(samples, 0.2, axis=axis)


@pytest.mark.parametrize("statistic", [np.median, np.mean, trimmed_mean])
def test_interval_of_any_statistic_covers_its_truth(statistic):
    rng = np.random.default_rng(5)
    covered = [
        covers(
            rng.normal(size=100),
            0.0,
            statistic=statistic,
            confidence=0.8,
            draws=300,
            seed=seed,
        )
        for seed in range(300)
    ]
    assert np.mean(covered) == pytest.approx(0.8, abs=0.08)


def test_missing_values_are_left_out_and_counted():
    values = np.random.default_rng(6).normal(size=40)
    holed = np.r_[values[:7], np.nan, values[7:], np.nan]
    assert bootstrap_interval(holed, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(holed, seed=1).value_count == 40


def test_no_values_have_neither_estimate_nor_interval():
    interval = bootstrap_interval([np.nan], seed=0)
    assert np.isnan(interval[:3]).all()
    assert interval.value_count == 0


def test_mice_that_differ_widen_the_interval_to_cover_the_mean_of_all_mice():
    rng = np.random.default_rng(7)
    mouse = np.repeat(np.arange(12), 30)
    nested, flat = [], []
    for seed in range(200):
        values = rng.normal(size=12)[mouse] + rng.normal(size=len(mouse))
        options = {"statistic": np.mean, "confidence": 0.8, "draws": 200, "seed": seed}
        nested.append(covers(values, 0.0, mouse=mouse, **options))
        flat.append(covers(values, 0.0, **options))
    assert np.mean(nested) == pytest.approx(0.78, abs=0.1)
    assert np.mean(flat) < 0.45


def test_draws_of_mice_hold_only_their_own_neurons():
    labels = np.array([0, 2, 0, 2, 2, 0, 2])
    rng = np.random.default_rng(8)
    sizes = set()
    for _ in range(50):
        rows = resampling.draw_nested(labels, rng)
        sizes.add(tuple(np.bincount(labels[rows], minlength=3)))
    assert sizes == {(6, 0, 0), (3, 0, 4), (0, 0, 8)}


def test_one_mouse_is_drawn_as_neurons_alone():
    values = np.random.default_rng(9).normal(size=20)
    alone = bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, mouse=["B"] * 20, seed=3) == alone


def test_labels_that_do_not_match_are_refused():
    with pytest.raises(ShapeError, match="one label a value"):
        bootstrap_interval(np.ones(3), mouse=[1, 2], seed=0)
    with pytest.raises(ShapeError, match="one a neuron"):
        bootstrap_interval(np.ones((3, 2)), seed=0)
