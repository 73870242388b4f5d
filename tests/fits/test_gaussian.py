"""Gaussian fits of maps against planted fields."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from insilico.errors import ShapeError
from insilico.fits.gaussian import (
    GAUSSIAN_PARAMETERS,
    GAUSSIAN_STATUS,
    _GaussianProblem,
    ellipse_outline,
    evaluate_gaussian,
    fit_gaussians,
)

SHAPE = (36, 64)


def planted_fields(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    major = rng.uniform(3.0, 7.0, count)
    return pd.DataFrame(
        {
            "amplitude": rng.choice([-1, 1], count) * rng.uniform(0.5, 2.0, count),
            "x_px": rng.uniform(4, 60, count),
            "y_px": rng.uniform(4, 32, count),
            "sigma_major_px": major,
            "sigma_minor_px": major * rng.uniform(0.4, 0.75, count),
            "angle_deg": rng.uniform(0, 180, count),
            "offset": rng.normal(0, 3, count),
        }
    )


def noisy_maps(fields: pd.DataFrame, signal_to_noise: float, seed: int) -> np.ndarray:
    clean = evaluate_gaussian(fields, SHAPE)
    noise = np.random.default_rng(seed).normal(size=clean.shape)
    return clean + noise * np.abs(fields["amplitude"].to_numpy())[:, None, None] / signal_to_noise


def angle_difference_deg(first, second):
    return np.abs((np.asarray(first) - np.asarray(second) + 90) % 180 - 90)


def gabor(x_px: float, y_px: float, period_px: float, phase_deg: float = 0.0) -> np.ndarray:
    y, x = np.indices(SHAPE)
    envelope = np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / (2 * 5.0**2))
    return envelope * np.cos(2 * np.pi * (x - x_px) / period_px + np.radians(phase_deg))


def test_noise_free_fields_are_recovered_exactly():
    fields = planted_fields(40, seed=1)
    fit = fit_gaussians(evaluate_gaussian(fields, SHAPE))
    assert fit["status"].eq("ok").all()
    for name in GAUSSIAN_PARAMETERS:
        np.testing.assert_allclose(fit[name], fields[name], rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(fit["r2"], 1.0)


def test_sixty_of_sixty_noisy_fields_are_recovered():
    fields = planted_fields(60, seed=2)
    fit = fit_gaussians(noisy_maps(fields, 10.0, seed=3))
    distance = np.hypot(fit["x_px"] - fields["x_px"], fit["y_px"] - fields["y_px"])
    assert (distance < 0.5).sum() == 60
    np.testing.assert_allclose(fit["sigma_major_px"], fields["sigma_major_px"], rtol=0.1)
    np.testing.assert_allclose(fit["sigma_minor_px"], fields["sigma_minor_px"], rtol=0.1)
    assert angle_difference_deg(fit["angle_deg"], fields["angle_deg"]).max() < 10
    assert (np.sign(fit["amplitude"]) == np.sign(fields["amplitude"])).all()


def test_no_center_is_lost_when_noise_is_a_quarter_of_the_peak():
    fields = planted_fields(60, seed=4)
    fit = fit_gaussians(noisy_maps(fields, 4.0, seed=5))
    error = np.hypot(fit["x_px"] - fields["x_px"], fit["y_px"] - fields["y_px"])
    expected = np.hypot(fit["x_px_se"], fit["y_px_se"])
    assert (error < 4 * expected).all()
    assert error.max() < 2


def test_standard_errors_equal_the_spread_over_noise():
    field = pd.DataFrame(
        [
            {
                "amplitude": -1.5,
                "x_px": 40.3,
                "y_px": 14.8,
                "sigma_major_px": 5.0,
                "sigma_minor_px": 2.5,
                "angle_deg": 30.0,
                "offset": 0.4,
            }
        ]
    )
    fit = fit_gaussians(noisy_maps(field.loc[np.zeros(200, int)], 5.0, seed=6))
    assert fit["status"].eq("ok").all()
    for name in GAUSSIAN_PARAMETERS:
        assert fit[name].std() == pytest.approx(fit[f"{name}_se"].mean(), rel=0.2), name
        # The mean of 200 draws lies within four of its own standard errors of the truth.
        assert abs(fit[name].mean() - field[name][0]) < 4 * fit[name].std() / np.sqrt(200) + (
            0.02 * abs(field[name][0])
        )


def test_standard_errors_scale_with_the_units_of_the_map():
    maps = noisy_maps(planted_fields(5, seed=7), 8.0, seed=8)
    fit, scaled = fit_gaussians(maps), fit_gaussians(maps * -1e-6 + 3e-5)
    np.testing.assert_allclose(scaled["amplitude"], fit["amplitude"] * -1e-6, rtol=1e-3)
    np.testing.assert_allclose(scaled["offset_se"], fit["offset_se"] * 1e-6, rtol=1e-3)
    np.testing.assert_allclose(scaled["x_px"], fit["x_px"], atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_jacobian_equals_finite_differences(seed):
    rng = np.random.default_rng(seed)
    problem = _GaussianProblem(SHAPE)
    problem.data = rng.normal(size=SHAPE).ravel()
    point = np.array([rng.normal(), 30.2, 17.1, 5.5, 2.2, rng.uniform(0, 3), rng.normal()])

    def residual_at(values):
        for parameter, value in zip(problem.parameters.values(), values, strict=True):
            parameter.value = value
        return problem.residual(problem.parameters)

    step = 1e-6
    numeric = [
        (residual_at(point + step * unit) - residual_at(point - step * unit)) / (2 * step)
        for unit in np.eye(len(point))
    ]
    residual_at(point)
    np.testing.assert_allclose(problem.jacobian(problem.parameters), numeric, atol=1e-8)


def test_lmfit_scales_the_jacobian_to_its_bounded_parameters():
    """The gradient that MINPACK sees belongs to the sine-transformed parameters."""
    import lmfit

    problem = _GaussianProblem(SHAPE)
    problem.data = np.random.default_rng(0).normal(size=SHAPE).ravel()
    for parameter, value in zip(
        problem.parameters.values(), (1.3, 20.0, 12.0, 6.0, 3.0, 0.4, 0.1), strict=True
    ):
        parameter.value = value
    minimizer = lmfit.Minimizer(problem.residual, problem.parameters)
    inner = np.array(minimizer.prepare_fit()._init_vals_internal)
    minimizer.jacfcn, minimizer.col_deriv = problem.jacobian, True
    minimizer.set_max_nfev(1000)
    residual = minimizer._Minimizer__residual
    residual(inner)
    analytic = minimizer._jacobian(inner).copy()
    step = 1e-6
    numeric = [
        (residual(inner + step * unit) - residual(inner - step * unit)) / (2 * step)
        for unit in np.eye(len(inner))
    ]
    np.testing.assert_allclose(analytic, numeric, atol=1e-7)


def test_map_that_cannot_be_fitted_is_a_row_with_a_status():
    maps = noisy_maps(planted_fields(4, seed=9), 10.0, seed=10)
    maps[1] = 0.1
    maps[2, 3, 4] = np.nan
    fit = fit_gaussians(maps)
    assert fit["status"].tolist() == ["ok", "constant", "not_finite", "ok"]
    assert fit.loc[[1, 2]].drop(columns="status").isna().all(axis=None)
    assert fit.index.tolist() == [0, 1, 2, 3]


def test_single_precision_rounding_does_not_make_a_constant_map_a_field():
    constant = np.full((1, *SHAPE), 0.1, np.float32)
    constant[0, 5, 5] = np.nextafter(np.float32(0.1), np.float32(1))
    assert fit_gaussians(constant)["status"].tolist() == ["constant"]


def test_pure_noise_never_crashes_and_explains_little():
    fit = fit_gaussians(np.random.default_rng(11).normal(size=(30, *SHAPE)))
    assert set(fit["status"]) <= set(GAUSSIAN_STATUS)
    assert fit["r2"].max(skipna=True) < 0.05


def test_isotropic_map_is_fitted_although_its_angle_is_undetermined():
    field = dict(zip(GAUSSIAN_PARAMETERS, (1.0, 30.0, 17.0, 4.0, 4.0, 0.0, 0.0), strict=True))
    fit = fit_gaussians(evaluate_gaussian(field, SHAPE)[None]).iloc[0]
    assert fit["status"] in {"ok", "no_errors"}
    assert fit[["x_px", "y_px", "sigma_major_px"]].tolist() == pytest.approx([30, 17, 4], abs=1e-4)


def test_center_beyond_the_edge_is_found():
    fields = planted_fields(1, seed=12).assign(
        x_px=-3.0, y_px=18.0, sigma_major_px=6.0, sigma_minor_px=4.0
    )
    fit = fit_gaussians(noisy_maps(fields, 30.0, seed=13)).iloc[0]
    assert fit["status"] == "ok"
    assert fit["x_px"] == pytest.approx(-3.0, abs=1.0)


def test_field_far_beyond_the_edge_is_flagged_at_bound():
    field = dict(zip(GAUSSIAN_PARAMETERS, (1.0, -60.0, 17.0, 25.0, 9.0, 0.0, 0.0), strict=True))
    fit = fit_gaussians(evaluate_gaussian(field, SHAPE)[None])
    assert fit["status"].tolist() == ["at_bound"]


@pytest.mark.parametrize("sign", [1, -1])
def test_gabor_map_is_fitted_at_its_central_subfield(sign):
    fit = fit_gaussians(sign * gabor(25.0, 20.0, period_px=10.0)[None]).iloc[0]
    assert fit["status"] == "ok"
    assert np.sign(fit["amplitude"]) == sign
    assert np.hypot(fit["x_px"] - 25, fit["y_px"] - 20) < 0.5
    # The subfield is a vertical bar as long as the envelope. Least squares over a cosine of wave
    # number k maximizes s * exp(-k**2 * s**2), so the flanks narrow the width to 1 / (k sqrt(2)).
    assert fit["sigma_minor_px"] == pytest.approx(10 / (2 * np.pi * np.sqrt(2)), rel=0.05)
    assert fit["sigma_major_px"] == pytest.approx(5.0, abs=1.0)
    assert angle_difference_deg(fit["angle_deg"], 90) < 1


def test_odd_gabor_map_is_fitted_at_one_of_its_two_subfields():
    fit = fit_gaussians(gabor(25.0, 20.0, period_px=12.0, phase_deg=90.0)[None]).iloc[0]
    assert fit["status"] == "ok"
    assert np.sign(fit["amplitude"]) == -np.sign(fit["x_px"] - 25)
    assert abs(fit["x_px"] - 25) == pytest.approx(3.0, abs=1.0)


def test_angle_is_counter_clockwise_with_y_up():
    """A bar from the lower left to the upper right of the screen lies at 45 degrees."""
    y, x = np.indices(SHAPE)
    along, across = (x - 30) - (y - 18), (x - 30) + (y - 18)
    fit = fit_gaussians(np.exp(-(along**2) / 60 - across**2 / 10)[None]).iloc[0]
    assert fit["angle_deg"] == pytest.approx(45.0, abs=1e-3)


def test_two_jobs_give_exactly_the_table_of_one():
    maps = noisy_maps(planted_fields(130, seed=14), 6.0, seed=15)
    done: list[int] = []
    two = fit_gaussians(maps, jobs=2, on_done=done.append)
    pd.testing.assert_frame_equal(two, fit_gaussians(maps), check_exact=True)
    assert done == [100, 30]


def test_no_neurons_give_an_empty_table():
    fit = fit_gaussians(np.zeros((0, *SHAPE)))
    assert fit.empty
    assert {"x_px", "x_px_se", "r2", "status"} <= set(fit.columns)


def test_ellipse_outline_lies_where_the_gaussian_fell_to_one_standard_deviation():
    row = planted_fields(1, seed=16).iloc[0]
    x, y = ellipse_outline(row, n_sd=1.0)
    assert x.shape == (73,)
    values = [
        evaluate_gaussian({**row, "x_px": row["x_px"] - dx, "y_px": row["y_px"] - dy}, (1, 1))
        for dx, dy in zip(x, y, strict=True)
    ]
    expected = row["offset"] + row["amplitude"] * np.exp(-0.5)
    np.testing.assert_allclose(np.ravel(values), expected)


@pytest.mark.parametrize("shape", [(36, 64), (2, 1, 36, 64), (3, 2, 3)])
def test_maps_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r"\(neuron, y, x\)"):
        fit_gaussians(np.zeros(shape))


def test_module_does_not_import_torch():
    code = "import sys, insilico.fits.gaussian; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
