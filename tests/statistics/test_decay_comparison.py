"""Decays are recovered, and told apart no more often than the level says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from insilico.errors import ShapeError, UnitsError
from insilico.statistics.decay_comparison import DECAY_STATUS, compare_decays

DISTANCE_UM = np.arange(12.5, 200, 25)


def decay(distance_um, amplitude=0.3, rate=0.03, baseline=0.04):
    return amplitude * np.exp(-rate * distance_um) + baseline


def log_likelihood(values, predicted):
    variance = np.mean((values - predicted) ** 2)
    return stats.norm.logpdf(values, predicted, np.sqrt(variance)).sum()


def test_planted_decay_is_recovered():
    values = decay(DISTANCE_UM)
    found = compare_decays(DISTANCE_UM, values, DISTANCE_UM, 2 * values, draws=1, seed=0)
    assert found.first[:3] == pytest.approx((0.3, 0.03, 0.04), rel=1e-4)
    assert found.second[:3] == pytest.approx((0.6, 0.03, 0.08), rel=1e-4)
    assert found.status == "ok"


def test_statistic_is_twice_the_gain_in_likelihood_with_own_variances():
    """Against general least squares from scipy, with the variance of each fit its own."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (2, 8))
    first, second = decay(DISTANCE_UM) + noise[0], decay(DISTANCE_UM, rate=0.05) + 2 * noise[1]
    likelihoods = []
    for distance, values in (
        (DISTANCE_UM, first),
        (DISTANCE_UM, second),
        (np.tile(DISTANCE_UM, 2), np.r_[first, second]),
    ):
        best, _ = optimize.curve_fit(decay, distance, values, p0=(0.3, 0.04, 0.04))
        likelihoods.append(log_likelihood(values, decay(distance, *best)))
    expected = 2 * (likelihoods[0] + likelihoods[1] - likelihoods[2])
    found = compare_decays(DISTANCE_UM, first, DISTANCE_UM, second, draws=1, seed=0)
    assert found.statistic == pytest.approx(expected, rel=5e-3)
    assert found.asymptotic_p_value == pytest.approx(stats.chi2.sf(expected, 4), rel=2e-2)
    assert found.degrees_of_freedom == 4


def p_values(rng, count, *, repeats=1, second_rate=0.03, draws=199):
    distance = np.tile(DISTANCE_UM, repeats)
    found = []
    for seed in range(count):
        first, second = (
            decay(distance, rate=rate) + rng.normal(0, 0.02, len(distance))
            for rate in (0.03, second_rate)
        )
        test = compare_decays(distance, first, distance, second, draws=draws, seed=seed)
        found.append((test.p_value, test.asymptotic_p_value))
    return np.array(found)


def test_equal_decays_differ_at_the_nominal_rate_where_the_asymptotic_test_does_not_hold():
    found = p_values(np.random.default_rng(1), 300, draws=99) <= 0.05
    low, high = stats.binom.ppf([5e-4, 1 - 5e-4], 300, 0.05)
    assert low <= found[:, 0].sum() <= high
    assert found[:, 1].sum() > 2 * high


def test_many_points_bring_both_p_values_together():
    found = p_values(np.random.default_rng(2), 20, repeats=30, draws=999)
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=0.07)


def test_different_decays_are_told_apart():
    found = p_values(np.random.default_rng(3), 50, second_rate=0.09)
    assert (found[:, 0] <= 0.05).mean() > 0.6


def test_curve_that_does_not_decay_has_a_status_and_a_level():
    rising = np.linspace(0.1, 0.2, 8)
    found = compare_decays(DISTANCE_UM, decay(DISTANCE_UM), DISTANCE_UM, rising, draws=99, seed=0)
    assert found.status == "flat"
    assert found.second.amplitude == 0
    assert np.isnan(found.second.rate_per_um)
    assert found.second.baseline == pytest.approx(0.15)


def test_constant_curve_has_a_status_and_no_p_value():
    level = np.full(8, 0.1)
    found = compare_decays(DISTANCE_UM, level, DISTANCE_UM, decay(DISTANCE_UM), draws=9, seed=0)
    assert found.status == "constant"
    assert np.isnan([found.statistic, found.p_value, found.asymptotic_p_value]).all()


def test_row_holds_every_number_once():
    noise = np.random.default_rng(4).normal(0, 0.01, (2, 8))
    first, second = decay(DISTANCE_UM) + noise
    row = compare_decays(DISTANCE_UM, first, DISTANCE_UM, second, draws=99, seed=0).to_row()
    assert {"first_rate_per_um", "joint_baseline", "p_value", "second_count"} <= set(row)
    assert all(np.isscalar(value) for value in row.values())
    assert row["status"] in DECAY_STATUS
    assert list(row)[-1] == "status"


def test_unit_and_offset_of_the_values_do_not_matter():
    noise = np.random.default_rng(5).normal(0, 0.02, (2, 8))
    first, second = decay(DISTANCE_UM) + noise
    plain, scaled = (
        compare_decays(
            DISTANCE_UM, scale * first + 7, DISTANCE_UM, scale * second + 7, draws=199, seed=1
        )
        for scale in (1.0, 100.0)
    )
    assert scaled.statistic == pytest.approx(plain.statistic, rel=1e-6)
    assert scaled.p_value == plain.p_value


def test_wrong_curves_are_refused():
    good = decay(DISTANCE_UM)
    with pytest.raises(ShapeError, match="second curve has distances of shape"):
        compare_decays(DISTANCE_UM, good, DISTANCE_UM[:5], good, seed=0)
    with pytest.raises(ShapeError, match="first curve has points that are not finite"):
        compare_decays(DISTANCE_UM, np.full(8, np.nan), DISTANCE_UM, good, seed=0)
    with pytest.raises(ShapeError, match="3 different distances"):
        compare_decays(DISTANCE_UM, good, [1, 1, 2, 3], good[:4], seed=0)
    with pytest.raises(UnitsError, match="0 simulated curves"):
        compare_decays(DISTANCE_UM, good, DISTANCE_UM, good, draws=0, seed=0)
