"""Decay over distance against planted curves and SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from insilico.errors import ShapeError, UnitsError
from insilico.fits.decay import DECAY_COLUMNS, evaluate_decay, fit_decay

DISTANCES_UM = np.arange(12.5, 400, 25)
PARAMETERS = DECAY_COLUMNS[:-1]


def planted(count, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amplitude": rng.uniform(0.1, 1, count),
            "length_um": rng.uniform(20, 150, count),
            "offset": rng.normal(0, 0.1, count),
        }
    )


def test_noise_free_decays_are_recovered_exactly():
    truth = planted(100, 1)
    fit = fit_decay(DISTANCES_UM, evaluate_decay(truth, DISTANCES_UM))
    assert fit["status"].eq("ok").all()
    for name in PARAMETERS:
        np.testing.assert_allclose(fit[name], truth[name], rtol=1e-6, err_msg=name)


def test_weighted_parameters_scatter_as_their_errors_say():
    pairs = np.linspace(30, 3000, len(DISTANCES_UM))
    truth = planted(1, 2).assign(amplitude=0.4, length_um=60.0, offset=0.05)
    curves = evaluate_decay(truth, DISTANCES_UM).repeat(1000, axis=0)
    noise = np.random.default_rng(3).standard_normal(curves.shape) / np.sqrt(pairs)
    weights = np.broadcast_to(pairs, curves.shape)
    fit = fit_decay(DISTANCES_UM, curves + 0.2 * noise, weights=weights)
    for name in PARAMETERS:
        z = np.abs(fit[name] - truth[name][0]) / fit[f"{name}_se"]
        assert 0.61 < (z < 1).mean() < 0.73, name
        assert 0.90 < (z < 2).mean() < 0.97, name


def test_one_curve_agrees_with_curve_fit_and_needs_no_second_axis():
    curve = evaluate_decay(planted(1, 4).iloc[0], DISTANCES_UM)
    curve = curve + 0.02 * np.random.default_rng(5).standard_normal(curve.shape)
    weights = np.linspace(1, 9, len(curve))
    fit = fit_decay(DISTANCES_UM, curve, weights=weights).iloc[0]
    values, covariance = optimize.curve_fit(
        lambda d, a, length, c: a * np.exp(-d / length) + c,
        DISTANCES_UM,
        curve,
        (0.5, 80, 0),
        sigma=1 / np.sqrt(weights),
    )
    np.testing.assert_allclose(fit[list(PARAMETERS)].to_numpy(float), values, rtol=1e-4)
    errors = fit[[f"{name}_se" for name in PARAMETERS]].to_numpy(float)
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_bin_without_pairs_is_left_out():
    truth = planted(2, 6)
    curves = evaluate_decay(truth, DISTANCES_UM)
    weights = np.ones_like(curves)
    curves[1, 0], weights[1, 0] = np.nan, 0
    fit = fit_decay(DISTANCES_UM, curves, weights=weights)
    assert fit["status"].eq("ok").all()
    np.testing.assert_allclose(fit["length_um"], truth["length_um"], rtol=1e-6)
    assert fit_decay(DISTANCES_UM, curves)["status"].tolist() == ["ok", "not_finite"]


def test_what_does_not_decay_says_so():
    curves = np.stack([DISTANCES_UM, np.full_like(DISTANCES_UM, 0.1), -DISTANCES_UM])
    fit = fit_decay(DISTANCES_UM, curves)
    assert fit["status"].tolist() == ["constant_fit", "flat", "at_bound"]


@given(st.floats(0.01, 100), st.floats(0.1, 10), st.integers(0, 1000))
def test_units_do_not_matter(scale, stretch, seed):
    curves = evaluate_decay(planted(2, seed), DISTANCES_UM)
    first = fit_decay(DISTANCES_UM, curves)
    second = fit_decay(stretch * DISTANCES_UM, scale * curves)
    np.testing.assert_allclose(second["length_um"], stretch * first["length_um"], rtol=1e-5)
    np.testing.assert_allclose(second["amplitude"], scale * first["amplitude"], rtol=1e-5)


def test_impossible_input_is_refused():
    curves = np.ones((2, len(DISTANCES_UM)))
    with pytest.raises(ShapeError, match=r"give \(curve, distance\)"):
        fit_decay(DISTANCES_UM[:-1], curves)
    with pytest.raises(UnitsError, match="increasing"):
        fit_decay(DISTANCES_UM[::-1], curves)
    with pytest.raises(ShapeError, match="2 distances; this curve has 3 parameters"):
        fit_decay(DISTANCES_UM[:2], curves[:, :2])
    with pytest.raises(UnitsError, match="a weight is negative"):
        fit_decay(DISTANCES_UM, curves, weights=-curves)
    with pytest.raises(ShapeError, match="weights of shape"):
        fit_decay(DISTANCES_UM, curves, weights=curves[:1])
    few = np.zeros_like(curves)
    few[:, :2] = 1
    with pytest.raises(ShapeError, match="2 distances with a weight above 0"):
        fit_decay(DISTANCES_UM, curves, weights=few)
