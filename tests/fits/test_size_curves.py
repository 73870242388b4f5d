"""Size and hole curves against planted tuning, a dense search and SciPy."""

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
from insilico.fits.size_curves import (
    SIZE_COLUMNS,
    WIDTH_RATIO_RANGE,
    evaluate_hole_curve,
    evaluate_size_curve,
    fit_hole_curves,
    fit_size_curves,
)

DIAMETERS_DEG = np.array([0.0, 5, 10, 15, 20, 30, 40, 50, 60, 80])
KINDS = {
    "disc": (fit_size_curves, evaluate_size_curve),
    "hole": (fit_hole_curves, evaluate_hole_curve),
}
CASES = [(kind, model) for kind in KINDS for model in ("ratio", "difference")]
PLANTED = ("center_width_deg", "surround_width_deg", "suppression_strength", "gain", "baseline")


def planted_tuning(count, seed, *, kind, model):
    rng = np.random.default_rng(seed)
    center = rng.uniform(4, 12, count)
    ratio = rng.uniform(1.3, 3, count)
    strength = rng.uniform(1, 8, count)
    if model == "difference":
        strength = rng.uniform(0.5, 0.9, count) if kind == "disc" else rng.uniform(0.7, 1.4, count)
    return pd.DataFrame(
        {
            "center_width_deg": center,
            "surround_width_deg": center * ratio,
            "suppression_strength": strength,
            "gain": rng.uniform(1, 10, count),
            "baseline": rng.normal(0, 1, count),
        }
    )


def true_peak(evaluate, truth, model):
    fine = np.linspace(0, 80, 8001)
    return fine[evaluate(truth, fine, model=model).argmax(axis=1)]


@pytest.mark.parametrize(("kind", "model"), CASES)
def test_noise_free_curves_are_recovered_exactly(kind, model):
    fit_curves, evaluate = KINDS[kind]
    truth = planted_tuning(150, 1, kind=kind, model=model)
    curves = evaluate(truth, DIAMETERS_DEG, model=model)
    fit = fit_curves(curves, DIAMETERS_DEG, model=model)
    inside = fit["status"].eq("ok")
    assert inside.mean() > 0.9
    for name in PLANTED:
        np.testing.assert_allclose(fit[name][inside], truth[name][inside], rtol=1e-4, atol=1e-4)
    error = fit["preferred_diameter_deg"] - true_peak(evaluate, truth, model)
    assert np.abs(error).max() < 0.006
    np.testing.assert_allclose(evaluate(fit, DIAMETERS_DEG, model=model), curves, atol=1e-5)
    end = evaluate(truth, [80.0 if kind == "disc" else 0.0], model=model)[:, 0]
    peak = evaluate(truth, np.linspace(0, 80, 8001), model=model).max(axis=1)
    index = (peak - end) / (peak - truth["baseline"])
    np.testing.assert_allclose(fit["suppression_index"], index, atol=1e-5)
    np.testing.assert_allclose(fit["peak_response"], peak, atol=1e-4)


@pytest.mark.parametrize(
    ("noise", "within_one", "within_two"),
    [(0.002, (0.6, 0.74), (0.9, 0.975)), (0.04, (0.55, 0.8), (0.82, 1))],
)
@pytest.mark.parametrize(("kind", "model"), CASES)
def test_noisy_fits_scatter_as_their_errors_say(kind, model, noise, within_one, within_two):
    """Student's t: 0.668 and 0.937; strong noise bends the curve between parameters and data."""
    fit_curves, evaluate = KINDS[kind]
    truth = planted_tuning(400, 2, kind=kind, model=model)
    sizes = np.arange(0.0, 81, 4)
    curves = evaluate(truth, sizes, model=model)
    exact = fit_curves(curves, sizes, model=model)
    spread = noise * np.ptp(curves, axis=1)[:, None]
    noisy = curves + spread * np.random.default_rng(3).standard_normal(curves.shape)
    fit = fit_curves(noisy, sizes, model=model)
    inside = fit["status"].eq("ok") & exact["status"].eq("ok")
    assert inside.mean() > 0.8
    for name in ("preferred_diameter_deg", "suppression_index", "peak_response"):
        z = np.abs((fit[name] - exact[name]) / fit[f"{name}_se"])[inside]
        assert z.notna().mean() > 0.98, name
        assert within_one[0] < (z < 1).mean() < within_one[1], name
        assert within_two[0] < (z < 2).mean() <= within_two[1], name
    relative = fit["preferred_diameter_deg"] / exact["preferred_diameter_deg"] - 1
    assert np.median(np.abs(relative[inside])) < noise


def test_curve_that_does_not_fall_prefers_the_largest_disc_as_a_limit():
    truth = planted_tuning(50, 4, kind="disc", model="ratio").assign(suppression_strength=0.0)
    for model in ("ratio", "difference"):
        sizes = DIAMETERS_DEG[:-2]
        curves = evaluate_size_curve(truth, sizes, model="ratio")
        if model == "difference":
            curves = evaluate_size_curve(truth, sizes, model=model)
        fit = fit_size_curves(curves, sizes, model=model)
        assert fit["status"].eq("at_bound").all()
        np.testing.assert_allclose(fit["preferred_diameter_deg"], sizes[-1])
        np.testing.assert_allclose(fit["suppression_index"], 0, atol=1e-12)
        assert fit["preferred_diameter_deg_se"].isna().all()
        assert fit["r2"].min() > 1 - 1e-6


def test_full_field_that_no_hole_beats_is_a_limit():
    truth = planted_tuning(20, 5, kind="hole", model="ratio").assign(suppression_strength=0.0)
    fit = fit_hole_curves(evaluate_hole_curve(truth, DIAMETERS_DEG), DIAMETERS_DEG)
    assert fit["status"].eq("at_bound").all()
    np.testing.assert_allclose(fit["preferred_diameter_deg"], 0, atol=1e-3)
    np.testing.assert_allclose(fit["suppression_index"], 0, atol=1e-6)


def test_curve_that_cannot_be_fitted_is_a_row_with_a_status():
    truth = planted_tuning(5, 6, kind="disc", model="ratio")
    curves = evaluate_size_curve(truth, DIAMETERS_DEG)
    curves[1] = 0.1
    curves[2, 5] = np.nan
    curves[3, 5] = np.inf
    # Every disc suppresses, and the largest least.
    curves[4] = np.r_[10.0, np.linspace(0.0, -1.0, 9)]
    fit = fit_size_curves(curves, DIAMETERS_DEG)
    expected = ["ok", "flat", "not_finite", "not_finite", "constant_fit"]
    assert fit["status"].tolist() == expected
    assert fit.drop(columns="status").iloc[1:].isna().all(axis=None)
    assert set(expected) < set(CURVE_STATUS)
    empty = fit_size_curves(np.zeros((0, 10)), DIAMETERS_DEG)
    assert empty.empty
    assert list(empty) == list(fit)
    assert set(SIZE_COLUMNS) < set(fit)


def test_peak_below_the_smallest_disc_is_a_limit():
    curve = np.r_[0.0, 9.0, 2.0, np.ones(7)][None]
    fit = fit_size_curves(curve, DIAMETERS_DEG).iloc[0]
    assert fit["status"] == "at_bound"
    assert fit["preferred_diameter_deg"] < 5
    assert np.isnan(fit["preferred_diameter_deg_se"])


def test_float32_rounding_is_flat():
    curve = np.full((1, 10), 0.1, np.float32)
    curve[0, 3] = np.nextafter(np.float32(0.1), np.float32(1))
    assert fit_size_curves(curve, DIAMETERS_DEG)["status"].tolist() == ["flat"]


def test_without_baseline_the_curve_starts_at_zero():
    truth = planted_tuning(30, 7, kind="disc", model="ratio").assign(baseline=0.0)
    sizes = DIAMETERS_DEG[1:6]
    fit = fit_size_curves(evaluate_size_curve(truth, sizes), sizes, baseline=False)
    assert fit["baseline"].eq(0).all()
    assert fit["baseline_se"].isna().all()
    assert fit["r2"].min() > 1 - 1e-6


def test_fit_is_no_worse_than_a_bounded_search_by_scipy():
    rng = np.random.default_rng(8)
    truth = planted_tuning(12, 8, kind="disc", model="ratio")
    curves = evaluate_size_curve(truth, DIAMETERS_DEG)
    curves += 0.1 * np.ptp(curves, axis=1)[:, None] * rng.standard_normal(curves.shape)
    fit = fit_size_curves(curves, DIAMETERS_DEG)
    residual = ((curves - evaluate_size_curve(fit, DIAMETERS_DEG)) ** 2).sum(axis=1)
    low = [1.25, WIDTH_RATIO_RANGE[0], 0, 0, -np.inf]
    high = [40, WIDTH_RATIO_RANGE[1], 100, np.inf, np.inf]

    def miss(p, curve):
        names = (
            "center_width_deg",
            "surround_width_deg",
            "suppression_strength",
            "gain",
            "baseline",
        )
        row = dict(zip(names, (p[0], p[0] * p[1], *p[2:]), strict=True))
        return evaluate_size_curve(row, DIAMETERS_DEG) - curve

    for row, curve in enumerate(curves):
        costs = [
            optimize.least_squares(miss, (c, 2, k, 5, 0), bounds=(low, high), args=(curve,)).cost
            for c in (4, 10)
            for k in (1, 10)
        ]
        assert residual[row] <= 2 * min(costs) * (1 + 1e-4)


@given(arrays(float, (3, 10), elements=st.floats(-10, 10, width=32)))
def test_any_finite_curve_is_fitted_within_its_bounds(curves):
    for fit_curves, model in ((fit_size_curves, "ratio"), (fit_hole_curves, "difference")):
        fit = fit_curves(curves, DIAMETERS_DEG, model=model)
        assert set(fit["status"]) <= set(CURVE_STATUS)
        fitted = fit[fit["status"].isin(["ok", "at_bound"])]
        assert fitted["preferred_diameter_deg"].between(0, 80).all()
        assert (fitted["suppression_index"].dropna() >= 0).all()
        assert fitted["center_width_deg"].between(1.2499, 40.001).all()
        ratio = fitted["surround_width_deg"] / fitted["center_width_deg"]
        assert ratio.between(WIDTH_RATIO_RANGE[0] - 1e-6, WIDTH_RATIO_RANGE[1] + 1e-6).all()
        assert (fitted[["gain", "suppression_strength"]] >= 0).all(axis=None)
        assert fitted["r2"].between(-1e-9, 1 + 1e-9).all()


@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 1000))
def test_units_of_the_responses_do_not_matter(scale, shift, seed):
    truth = planted_tuning(2, seed, kind="disc", model="ratio")
    curves = evaluate_size_curve(truth, DIAMETERS_DEG)
    first = fit_size_curves(curves, DIAMETERS_DEG)
    second = fit_size_curves(scale * curves + shift, DIAMETERS_DEG)
    for name in ("preferred_diameter_deg", "suppression_index"):
        np.testing.assert_allclose(second[name], first[name], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        second["peak_response"],
        scale * first["peak_response"] + shift,
        rtol=1e-5,
        atol=1e-4 * scale,
    )


@given(st.floats(0.1, 10), st.integers(0, 1000))
def test_diameters_scale_with_their_unit(scale, seed):
    truth = planted_tuning(2, seed, kind="hole", model="ratio")
    curves = evaluate_hole_curve(truth, DIAMETERS_DEG)
    first = fit_hole_curves(curves, DIAMETERS_DEG)
    second = fit_hole_curves(curves, scale * DIAMETERS_DEG)
    for name in ("preferred_diameter_deg", "center_width_deg"):
        np.testing.assert_allclose(second[name], scale * first[name], rtol=1e-4)


@pytest.mark.parametrize(
    ("responses", "diameters", "error", "message"),
    [
        (np.ones(10), DIAMETERS_DEG, ShapeError, r"shape \(10,\).*give \(neuron, diameter\)"),
        (np.ones((2, 9)), DIAMETERS_DEG, ShapeError, r"shape \(2, 9\)"),
        (np.ones((2, 4)), DIAMETERS_DEG[:4], ShapeError, "4 diameters.*5 parameters"),
        (np.ones((2, 10)), DIAMETERS_DEG[::-1], UnitsError, "increasing"),
        (np.ones((2, 10)), DIAMETERS_DEG - 1, UnitsError, "0 or more"),
        (
            np.ones((2, 10)),
            np.where(DIAMETERS_DEG > 70, np.nan, DIAMETERS_DEG),
            UnitsError,
            "finite",
        ),
    ],
)
def test_impossible_input_is_refused(responses, diameters, error, message):
    with pytest.raises(error, match=message):
        fit_size_curves(responses, diameters)


def test_unknown_model_is_refused():
    with pytest.raises(UnitsError, match="'sum'; give 'ratio' or 'difference'"):
        fit_size_curves(np.ones((2, 10)), DIAMETERS_DEG, model="sum")
