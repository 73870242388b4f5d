"""Contrast response fits against planted functions and SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from insilico.errors import ShapeError, UnitsError
from insilico.fits.curves import CURVE_STATUS
from insilico.fits.naka_rushton import (
    EXPONENT_RANGE,
    NAKA_RUSHTON_COLUMNS,
    SEMI_SATURATION_RANGE,
    evaluate_naka_rushton,
    fit_naka_rushton,
)

CONTRASTS = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
PARAMETERS = NAKA_RUSHTON_COLUMNS[:-1]


def planted(count, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "r_max": rng.uniform(1, 5, count),
            "semi_saturation_contrast": rng.uniform(0.05, 0.5, count),
            "exponent": rng.uniform(1, 4, count),
            "baseline": rng.normal(0, 1, count),
        }
    )


def test_noise_free_functions_are_recovered_exactly():
    truth = planted(300, 1)
    curves = evaluate_naka_rushton(truth, CONTRASTS)
    fit = fit_naka_rushton(curves, CONTRASTS)
    assert fit["status"].eq("ok").all()
    for name in PARAMETERS:
        np.testing.assert_allclose(fit[name], truth[name], rtol=1e-6, atol=1e-7, err_msg=name)
    np.testing.assert_allclose(evaluate_naka_rushton(fit, CONTRASTS), curves, atol=1e-7)


def test_noisy_parameters_scatter_as_their_errors_say():
    contrasts = np.linspace(0, 1, 21)
    truth = planted(1, 2).assign(semi_saturation_contrast=0.25, exponent=2.2, r_max=2.0)
    curves = evaluate_naka_rushton(truth, contrasts).repeat(1000, axis=0)
    curves += 0.05 * np.random.default_rng(3).standard_normal(curves.shape)
    fit = fit_naka_rushton(curves, contrasts)
    assert fit["status"].eq("ok").mean() > 0.99
    for name in PARAMETERS:
        z = np.abs(fit[name] - truth[name][0]) / fit[f"{name}_se"]
        assert 0.63 < (z < 1).mean() < 0.73, name
        assert 0.91 < (z < 2).mean() < 0.97, name
    assert fit["semi_saturation_contrast"].median() == pytest.approx(0.25, rel=0.02)


def test_parameters_and_errors_agree_with_curve_fit():
    truth = planted(10, 4)
    curves = evaluate_naka_rushton(truth, CONTRASTS)
    curves += 0.02 * np.random.default_rng(5).standard_normal(curves.shape)
    fit = fit_naka_rushton(curves, CONTRASTS)

    def function(c, *values):
        return evaluate_naka_rushton(dict(zip(PARAMETERS, values, strict=True)), c)

    for row in np.flatnonzero(fit["status"].eq("ok")):
        values, covariance = optimize.curve_fit(
            function, CONTRASTS, curves[row], tuple(truth.iloc[row]), bounds=(-20, 20)
        )
        np.testing.assert_allclose(fit[list(PARAMETERS)].iloc[row], values, rtol=2e-3, atol=1e-4)
        errors = fit[[f"{name}_se" for name in PARAMETERS]].iloc[row]
        np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=2e-2)


def test_function_that_does_not_saturate_is_at_bound():
    truth = planted(20, 6).assign(semi_saturation_contrast=1.5)
    fit = fit_naka_rushton(evaluate_naka_rushton(truth, CONTRASTS), CONTRASTS)
    assert fit["status"].eq("at_bound").all()
    np.testing.assert_allclose(fit["semi_saturation_contrast"], 1.5, rtol=1e-3)


def test_curve_that_cannot_be_fitted_is_a_row_with_a_status():
    curves = evaluate_naka_rushton(planted(4, 7), CONTRASTS)
    curves[1], curves[2, 3], curves[3] = 0.1, np.nan, -CONTRASTS
    fit = fit_naka_rushton(curves, CONTRASTS)
    assert fit["status"].tolist() == ["ok", "flat", "not_finite", "constant_fit"]
    assert fit.drop(columns="status").iloc[1:].isna().all(axis=None)


def test_errors_are_missing_without_spare_contrasts():
    contrasts = np.array([0.0, 0.1, 0.3, 1.0])
    fit = fit_naka_rushton(evaluate_naka_rushton(planted(5, 8), contrasts), contrasts)
    assert fit[[f"{name}_se" for name in PARAMETERS]].isna().all(axis=None)
    assert fit["r2"].min() > 1 - 1e-6


@given(arrays(float, (3, 8), elements=st.floats(-10, 10, width=32)))
def test_any_finite_curve_is_fitted_within_its_bounds(curves):
    fit = fit_naka_rushton(curves, CONTRASTS)
    assert set(fit["status"]) <= set(CURVE_STATUS)
    fitted = fit[fit["status"].isin(["ok", "at_bound"])]
    low, high = SEMI_SATURATION_RANGE
    assert fitted["semi_saturation_contrast"].between(0.02 * low - 1e-9, high + 1e-9).all()
    assert fitted["exponent"].between(*EXPONENT_RANGE).all()
    assert (fitted["r_max"] > 0).all()


@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 1000))
def test_units_of_the_responses_do_not_matter(scale, shift, seed):
    curves = evaluate_naka_rushton(planted(2, seed), CONTRASTS)
    first = fit_naka_rushton(curves, CONTRASTS)
    second = fit_naka_rushton(scale * curves + shift, CONTRASTS)
    for name in ("semi_saturation_contrast", "exponent"):
        np.testing.assert_allclose(second[name], first[name], rtol=1e-4)
    np.testing.assert_allclose(second["r_max"], scale * first["r_max"], rtol=1e-4)


@pytest.mark.parametrize(
    ("contrasts", "error", "message"),
    [
        (CONTRASTS * 100, UnitsError, "a contrast of 100; give Michelson contrasts from 0 to 1"),
        (CONTRASTS[::-1], UnitsError, "increasing"),
        (CONTRASTS[:7], ShapeError, "one value per entry"),
    ],
)
def test_impossible_contrasts_are_refused(contrasts, error, message):
    with pytest.raises(error, match=message):
        fit_naka_rushton(np.ones((2, 8)), contrasts)


def test_fewer_contrasts_than_parameters_are_refused():
    with pytest.raises(ShapeError, match="3 contrasts; this curve has 4 parameters"):
        fit_naka_rushton(np.ones((2, 3)), CONTRASTS[:3])
