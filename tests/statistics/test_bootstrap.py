"""Bootstrap intervals: coverage, seeds and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from insilico.errors import ShapeError, UnitsError
from insilico.statistics import bootstrap
from insilico.statistics.bootstrap import bootstrap_mean_interval, bootstrap_means


def test_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=4000)
    interval = bootstrap_mean_interval(values, draws=4000, seed=1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert interval.mean == pytest.approx(values.mean(), abs=1e-12)
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(2)
    intervals = [
        bootstrap_mean_interval(rng.normal(size=60), confidence=0.8, draws=500, seed=seed)
        for seed in range(400)
    ]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.8, abs=0.06)


def test_seed_decides_the_interval():
    values = np.random.default_rng(3).normal(size=50)
    assert bootstrap_mean_interval(values, seed=5) == bootstrap_mean_interval(values, seed=5)
    assert bootstrap_mean_interval(values, seed=5) != bootstrap_mean_interval(values, seed=6)


def test_missing_values_are_left_out():
    values = np.array([1.0, np.nan, 2.0, 3.0, np.nan])
    known = bootstrap_mean_interval(values, seed=0)
    assert known == bootstrap_mean_interval(values[~np.isnan(values)], seed=0)
    assert known.known == 3


def test_too_few_values_have_no_interval():
    one, none = bootstrap_mean_interval([2.0], seed=0), bootstrap_mean_interval([], seed=0)
    assert one.mean == 2.0
    assert np.isnan([one.low, one.high, none.mean, none.low, none.high]).all()


def test_columns_see_the_same_samples_in_blocks_too(monkeypatch):
    values = np.random.default_rng(4).normal(size=30)
    monkeypatch.setattr(bootstrap, "BLOCK_NUMBERS", 100)
    means = bootstrap_means(np.stack([values, 2 * values + 1], axis=1), draws=50, seed=0)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0] + 1)
    assert len(np.unique(means[:, 0])) == 50


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(UnitsError, match="between 0 and 1"):
        bootstrap_mean_interval([1.0, 2.0], confidence=confidence, seed=0)


def test_no_draws_and_tables_are_refused():
    with pytest.raises(UnitsError, match="0 bootstrap draws"):
        bootstrap_mean_interval([1.0, 2.0], draws=0, seed=0)
    with pytest.raises(ShapeError, match=r"shape \(2, 2\)"):
        bootstrap_mean_interval(np.ones((2, 2)), seed=0)
