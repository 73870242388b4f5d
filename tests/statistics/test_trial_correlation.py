"""Correlations over frames of trials: their permutation test and their bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from insilico.errors import ShapeError, UnitsError
from insilico.statistics import resampling
from insilico.statistics.bootstrap import bootstrap_correlations, percentile_interval
from insilico.statistics.permutation import correlation_permutation_test, rows_of_equal_trials


def slow_traces(rng, trials, frames):
    """Return two independent traces that wander within trials, and the trial of each row."""
    noise = rng.standard_normal((2, trials, frames))
    walks = scipy.signal.lfilter([1.0], [1.0, -0.98], noise, axis=-1)
    return *walks.reshape(2, -1), np.repeat(np.arange(trials), frames)


def test_p_value_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 12))
    second += first
    trial = np.repeat([4, 2, 9], 4)
    found = correlation_permutation_test(first, second, trial=trial, shuffle_count=99, seed=5)
    # Trials in the order of their labels, as rows: 2, 4, 9.
    rows = np.argsort(trial, kind="stable").reshape(3, 4)
    draw = np.random.default_rng(5)
    shuffled = [
        np.corrcoef(first[rows].ravel(), second[rows[draw.permutation(3)]].ravel())[0, 1]
        for _ in range(99)
    ]
    observed = np.corrcoef(first, second)[0, 1]
    assert found.observed == pytest.approx(observed)
    reached = np.sum(np.abs(shuffled) >= abs(observed) * (1 - 1e-9))
    assert found.p_value == pytest.approx((reached + 1) / 100)


def test_images_get_the_p_value_of_the_correlation():
    rng = np.random.default_rng(1)
    first = rng.standard_normal(60)
    second = 0.3 * first + rng.standard_normal(60)
    found = correlation_permutation_test(first, second, shuffle_count=4000, seed=0)
    expected = scipy.stats.pearsonr(first, second)
    assert found.observed == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.25)


def test_traces_without_relation_are_uniform_although_frames_resemble_each_other():
    by_trial, by_frame = [], []
    for seed in range(150):
        first, second, trial = slow_traces(np.random.default_rng(seed), trials=10, frames=60)
        options = {"shuffle_count": 99, "seed": seed}
        by_trial.append(correlation_permutation_test(first, second, trial=trial, **options).p_value)
        by_frame.append(correlation_permutation_test(first, second, **options).p_value)
    assert scipy.stats.kstest(by_trial, "uniform").pvalue > 0.05
    assert np.mean(np.array(by_trial) <= 0.05) < 0.1
    # Frames taken for samples would find relations nearly everywhere.
    assert np.mean(np.array(by_frame) <= 0.05) > 0.5


def test_planted_relation_is_found_with_the_smallest_p_value():
    first, second, trial = slow_traces(np.random.default_rng(7), trials=12, frames=50)
    found = correlation_permutation_test(first, second + 2 * first, trial=trial, seed=0)
    assert found.observed > 0.8
    assert found.p_value == pytest.approx(1 / 1001)


def test_trials_change_places_with_trials_as_long_only():
    trial = np.array([0, 0, 1, 1, 1, 2, 2, 3])
    groups = [rows.tolist() for rows in rows_of_equal_trials(trial)]
    assert groups == [[[7]], [[0, 1], [5, 6]], [[2, 3, 4]]]
    rng = np.random.default_rng(0)
    alone = np.array([0, 1, 1, 2, 2, 2])  # no two as long: nothing can move
    found = correlation_permutation_test(*rng.standard_normal((2, 6)), trial=alone, seed=0)
    assert found.p_value == 1


def test_constant_trace_has_neither_correlation_nor_p_value():
    found = correlation_permutation_test(np.ones(9), np.arange(9.0), seed=0)
    assert np.isnan(found).all()


def test_interval_covers_the_true_correlation_as_often_as_it_says():
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        first = rng.standard_normal(80)
        second = 0.5 * first + np.sqrt(0.75) * rng.standard_normal(80)
        draws = bootstrap_correlations(first, second, draws=300, seed=seed)
        low, high = percentile_interval(draws, confidence=0.8)
        covered.append(low <= 0.5 <= high)
    assert np.mean(covered) == pytest.approx(0.8, abs=0.08)


def test_drawn_trials_are_drawn_whole(monkeypatch):
    first, second, trial = slow_traces(np.random.default_rng(3), trials=6, frames=20)
    monkeypatch.setattr(resampling, "BLOCK_NUMBERS", 12)
    found = bootstrap_correlations(first, second, trial=trial, draws=30, seed=4)
    draw = np.random.default_rng(4)
    chosen = np.concatenate([draw.integers(6, size=(2, 6)) for _ in range(15)])
    blocks = first.reshape(6, 20), second.reshape(6, 20)
    expected = [np.corrcoef(*(block[one].ravel() for block in blocks))[0, 1] for one in chosen]
    np.testing.assert_allclose(found, expected)


def test_draws_of_one_image_alone_are_left_out():
    found = bootstrap_correlations([1.0, 2.0], [3.0, 5.0], draws=200, seed=0)
    assert 60 < len(found) < 140
    np.testing.assert_allclose(found, 1)


@pytest.mark.parametrize("function", [bootstrap_correlations, correlation_permutation_test])
def test_traces_that_do_not_match_are_refused(function):
    with pytest.raises(ShapeError, match=r"traces of shapes \(3,\) and \(4,\)"):
        function(np.zeros(3), np.zeros(4), seed=0)
    with pytest.raises(ShapeError, match=r"with trials of shape \(2,\)"):
        function(np.zeros(3), np.zeros(3), trial=np.zeros(2), seed=0)


def test_no_draw_and_no_shuffle_are_refused():
    with pytest.raises(UnitsError, match="0 bootstrap draws"):
        bootstrap_correlations(np.arange(3.0), np.arange(3.0), draws=0, seed=0)
    with pytest.raises(UnitsError, match="0 shuffles"):
        correlation_permutation_test(np.arange(3.0), np.arange(3.0), shuffle_count=0, seed=0)
