"""Bootstrap intervals: coverage, seeds and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from insilico.errors import UnitsError
from insilico.statistics import bootstrap
from insilico.statistics.bootstrap import bootstrap_means, percentile_interval


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
    monkeypatch.setattr(bootstrap, "BLOCK_NUMBERS", 100)
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
