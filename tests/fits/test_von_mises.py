"""Von Mises fits against planted tuning, and against a dense search."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insilico.errors import ShapeError, UnitsError
from insilico.fits.von_mises import (
    VON_MISES_COLUMNS,
    evaluate_von_mises,
    fit_von_mises,
    half_width_deg,
    resolvable_concentration,
)

DIRECTIONS_DEG = np.arange(16) * 22.5


def planted_tuning(count: int, seed: int, *, opposite: float = 0.8) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(1, 3, count)
    return pd.DataFrame(
        {
            "preferred_deg": rng.uniform(0, 360, count),
            "concentration": rng.uniform(0.6, 10, count),
            "amplitude": amplitude,
            "amplitude_opposite": amplitude * rng.uniform(0, opposite, count),
            "baseline": rng.normal(0, 2, count),
        }
    )


def angle_error_deg(fitted, truth, period_deg=360.0):
    half = period_deg / 2
    return (np.asarray(fitted) - np.asarray(truth) + half) % period_deg - half


def test_noise_free_direction_curve_is_recovered_exactly():
    truth = planted_tuning(200, seed=1)
    fit = fit_von_mises(evaluate_von_mises(truth, DIRECTIONS_DEG), DIRECTIONS_DEG)
    assert fit["status"].eq("ok").all()
    assert np.abs(angle_error_deg(fit["preferred_deg"], truth["preferred_deg"])).max() < 1e-4
    for name in ("concentration", "amplitude", "amplitude_opposite", "baseline"):
        np.testing.assert_allclose(fit[name], truth[name], rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(fit["half_width_deg"], half_width_deg(truth["concentration"]))
    np.testing.assert_allclose(fit["r2"], 1.0)
    assert (fit["preferred_deg"].between(0, 360, inclusive="left")).all()


def test_noise_free_orientation_curve_is_recovered_exactly():
    orientations = np.arange(8) * 22.5
    truth = planted_tuning(200, seed=2).assign(amplitude_opposite=np.nan)
    truth["preferred_deg"] /= 2
    truth["concentration"] = np.minimum(truth["concentration"], 8.0)
    curves = evaluate_von_mises(truth, orientations, period_deg=180)
    fit = fit_von_mises(curves, orientations, period_deg=180, peak_count=1)
    assert fit["status"].eq("ok").all()
    error = angle_error_deg(fit["preferred_deg"], truth["preferred_deg"], 180)
    assert np.abs(error).max() < 1e-4
    np.testing.assert_allclose(fit["concentration"], truth["concentration"], rtol=1e-6)
    assert fit["amplitude_opposite"].isna().all()
    np.testing.assert_allclose(evaluate_von_mises(fit, orientations, period_deg=180), curves)


def test_noisy_fits_are_unbiased_and_their_errors_calibrated():
    truth = planted_tuning(1, seed=3).assign(
        preferred_deg=100.0, concentration=2.5, amplitude=2.0, amplitude_opposite=0.6
    )
    curves = evaluate_von_mises(truth, DIRECTIONS_DEG).repeat(2000, axis=0)
    noise = np.random.default_rng(4).normal(0, 0.05, curves.shape)
    fit = fit_von_mises(curves + noise, DIRECTIONS_DEG)
    error = angle_error_deg(fit["preferred_deg"], 100.0)
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(2000)
    assert error.std() == pytest.approx(fit["preferred_deg_se"].mean(), rel=0.1)
    width = fit["half_width_deg"]
    assert width.mean() == pytest.approx(float(half_width_deg(2.5)), rel=0.01)
    assert width.std() == pytest.approx(fit["half_width_deg_se"].mean(), rel=0.1)


def test_half_width_is_where_the_peak_has_fallen_to_half():
    row = {"preferred_deg": 40.0, "amplitude": 2.0, "amplitude_opposite": 0.0, "baseline": -1.0}
    for concentration in (0.4, 1.0, 7.0, 50.0):
        width = half_width_deg(concentration)
        curve = evaluate_von_mises({**row, "concentration": concentration}, [40 + width])
        assert curve[0] == pytest.approx(-1.0 + 1.0)
        halved = half_width_deg(concentration, period_deg=180)
        assert halved == pytest.approx(width / 2)


def test_half_width_is_missing_where_the_peak_never_falls_to_half():
    truth = planted_tuning(1, seed=5, opposite=0.1).assign(concentration=0.25)
    fit = fit_von_mises(evaluate_von_mises(truth, DIRECTIONS_DEG), DIRECTIONS_DEG).iloc[0]
    assert fit["status"] == "ok"
    assert fit["concentration"] == pytest.approx(0.25, rel=1e-3)
    assert np.isnan(fit["half_width_deg"])
    assert np.isnan(fit["half_width_deg_se"])
    assert np.isfinite(fit["preferred_deg_se"])


def test_curve_that_cannot_be_fitted_is_a_row_with_a_status():
    curves = evaluate_von_mises(planted_tuning(4, seed=6), DIRECTIONS_DEG)
    curves[1] = 0.1
    curves[2, 5] = np.nan
    curves[3, 5] = np.inf
    fit = fit_von_mises(curves, DIRECTIONS_DEG)
    assert fit["status"].tolist() == ["ok", "flat", "not_finite", "not_finite"]
    assert fit.loc[1:, list(VON_MISES_COLUMNS)].isna().all(axis=None)
    assert fit_von_mises(np.zeros((0, 16)), DIRECTIONS_DEG).empty


def test_errors_are_missing_without_spare_angles():
    curves = np.random.default_rng(7).uniform(size=(20, 4))
    fit = fit_von_mises(curves, np.arange(4) * 45.0, period_deg=180, peak_count=1)
    assert fit[["preferred_deg_se", "half_width_deg_se"]].isna().all(axis=None)
    assert fit["preferred_deg"].notna().all()


def test_peak_narrower_than_the_spacing_is_at_bound():
    directions = np.arange(8) * 45.0
    fit = fit_von_mises(np.eye(8) + 0.1, directions)
    assert fit["status"].eq("at_bound").all()
    np.testing.assert_allclose(angle_error_deg(fit["preferred_deg"], directions), 0, atol=1e-3)
    np.testing.assert_allclose(fit["half_width_deg"], 22.5, rtol=1e-6)
    assert fit["half_width_deg_se"].isna().all()


def test_resolvable_concentration_is_half_width_of_half_a_gap():
    assert half_width_deg(resolvable_concentration(np.arange(8) * 45.0)) == pytest.approx(22.5)
    orientations = resolvable_concentration([0, 30, 60, 90, 120, 150], period_deg=180)
    assert half_width_deg(orientations, period_deg=180) == pytest.approx(15.0)


def test_equal_peaks_leave_the_choice_between_two_opposite_directions():
    truth = planted_tuning(20, seed=8).assign(concentration=3.0)
    truth["amplitude_opposite"] = truth["amplitude"]
    fit = fit_von_mises(evaluate_von_mises(truth, DIRECTIONS_DEG), DIRECTIONS_DEG)
    error = angle_error_deg(fit["preferred_deg"], truth["preferred_deg"], period_deg=180)
    assert np.abs(error).max() < 1e-4
    np.testing.assert_allclose(fit["amplitude"], fit["amplitude_opposite"])


def test_fit_follows_units_and_rotation_of_the_curve():
    rng = np.random.default_rng(9)
    curves = evaluate_von_mises(planted_tuning(50, seed=10, opposite=0.5), DIRECTIONS_DEG)
    curves += rng.normal(0, 0.1, curves.shape)
    fit = fit_von_mises(curves, DIRECTIONS_DEG)
    moved = fit_von_mises(1e-4 * curves + 7, DIRECTIONS_DEG + 33)
    error = angle_error_deg(moved["preferred_deg"], fit["preferred_deg"] + 33)
    assert np.abs(error).max() < 1e-2
    np.testing.assert_allclose(moved["amplitude"], 1e-4 * fit["amplitude"], rtol=1e-3)
    np.testing.assert_allclose(moved["baseline"], 1e-4 * fit["baseline"] + 7, rtol=1e-6)


def residual_square(fit: pd.DataFrame, curves: np.ndarray, angles: np.ndarray, period: float):
    return np.square(curves - evaluate_von_mises(fit, angles, period_deg=period)).sum(axis=1)


def dense_search(curve: np.ndarray, angles: np.ndarray, period: float, peaks: int) -> float:
    """Smallest chi-square on a dense grid, by explicit least squares over every subset."""
    high = min(50.0, resolvable_concentration(angles, period_deg=period))
    grid = np.meshgrid(np.arange(0, 360, 1.0), np.geomspace(0.05, high, 60), indexing="ij")
    center, concentration = (axis.ravel()[:, None] for axis in grid)
    cosine = np.cos(np.radians(angles * 360 / period - center))
    peak = np.exp(concentration * (cosine - 1))
    columns = [np.ones_like(peak), peak, np.exp(concentration * (-cosine - 1))][: peaks + 1]
    best = np.square(curve - curve.mean()).sum()
    for used in ([0, 1], [0, 1, 2])[:peaks]:
        design = np.stack([columns[i] for i in used], axis=2)
        q, r = np.linalg.qr(design)
        weights = np.linalg.solve(r, np.einsum("gak,a->gk", q, curve)[..., None])[..., 0]
        chi = np.square(curve - np.einsum("gak,gk->ga", design, weights)).sum(axis=1)
        allowed = (weights[:, 1:] >= 0).all(axis=1)
        if allowed.any():
            best = min(best, chi[allowed].min())
    return float(best)


@pytest.mark.parametrize(
    ("count", "period", "peaks"), [(16, 360.0, 2), (8, 360.0, 2), (8, 180.0, 1)]
)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_point_of_a_dense_grid_fits_better(count, period, peaks, data):
    responses = st.floats(0, 1, allow_subnormal=False).map(lambda value: round(value, 3))
    curve = data.draw(arrays(float, count, elements=responses))
    angles = np.arange(count) * period / count
    fit = fit_von_mises(curve[None], angles, period_deg=period, peak_count=peaks)
    if fit["status"][0] == "flat":
        assert np.ptp(curve) == 0
        return
    assert fit["status"][0] in {"ok", "at_bound"}
    chi = residual_square(fit, curve[None], angles, period)[0]
    total = np.square(curve - curve.mean()).sum()
    assert chi <= dense_search(curve, angles, period, peaks) * (1 + 1e-6) + 1e-9 * total
    assert fit["r2"][0] == pytest.approx(1 - chi / total, abs=1e-9)


def test_random_noise_ends_in_the_best_optimum():
    curves = np.random.default_rng(11).normal(size=(40, 16))
    fit = fit_von_mises(curves, DIRECTIONS_DEG)
    chi = residual_square(fit, curves, DIRECTIONS_DEG, 360.0)
    best = [dense_search(curve, DIRECTIONS_DEG, 360.0, 2) for curve in curves]
    assert (chi <= np.array(best) * (1 + 1e-6)).all()


def test_eight_thousand_neurons_are_fitted_together(capsys):
    truth = planted_tuning(8000, seed=12, opposite=0.5)
    curves = evaluate_von_mises(truth, DIRECTIONS_DEG)
    curves += np.random.default_rng(13).normal(0, 0.05, curves.shape)
    begun = time.perf_counter()
    fit = fit_von_mises(curves, DIRECTIONS_DEG)
    with capsys.disabled():
        print(f" [8,000 curves of 16 directions: {time.perf_counter() - begun:.1f} s] ", end="")
    assert (fit["status"] != "no_convergence").all()
    assert np.abs(angle_error_deg(fit["preferred_deg"], truth["preferred_deg"])).max() < 15


def test_fit_of_published_tuning_curves_converges_for_every_neuron(shared_data):
    curves = np.load(shared_data / "viv1t" / "mouseB" / "tuning_curve.npy")
    fit = fit_von_mises(curves, np.arange(8) * 45.0)
    assert set(fit["status"]) == {"ok", "at_bound"}
    peak = curves.argmax(axis=1) * 45.0
    tuned = fit["r2"] > 0.8
    near_peak = np.abs(angle_error_deg(fit["preferred_deg"], peak)) < 46
    assert near_peak[tuned].mean() > 0.95


@pytest.mark.parametrize(
    ("shape", "angle_count", "message"),
    [
        ((16,), 16, "neuron, angle"),
        ((2, 16), 15, "one angle per column"),
        ((2, 4), 4, "4 distinct angles"),
    ],
)
def test_curves_of_another_shape_are_refused(shape, angle_count, message):
    with pytest.raises(ShapeError, match=message):
        fit_von_mises(np.zeros(shape), np.arange(angle_count) * 22.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period_deg": 90.0}, "period of 90"),
        ({"peak_count": 3}, "3 peaks"),
        ({"concentration_range": (2.0, 1.0)}, "concentration range"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(UnitsError, match=message):
        fit_von_mises(np.zeros((2, 16)), DIRECTIONS_DEG, **options)


def test_angle_that_is_not_finite_is_refused():
    with pytest.raises(UnitsError, match="angle is NaN"):
        fit_von_mises(np.zeros((2, 16)), np.where(DIRECTIONS_DEG > 0, DIRECTIONS_DEG, np.nan))
