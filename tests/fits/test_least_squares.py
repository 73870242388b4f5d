"""The batched solver against SciPy, and the errors it reports against the scatter it makes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from insilico.fits.least_squares import fit_least_squares

X = np.linspace(0, 4, 15)
UNBOUNDED = np.full(3, -np.inf), np.full(3, np.inf)


def decay(parameters):
    """``a * exp(-b * x) + c`` and its slopes."""
    a, b, c = (column[:, None] for column in parameters.T)
    part = np.exp(-b * X)
    return a * part + c, np.stack([part, -a * X * part, np.ones_like(part)], axis=1)


def noisy_decays(count, noise, seed=0, truth=(2.0, 1.2, 0.5)):
    curves, _ = decay(np.tile(truth, (count, 1)))
    return curves + noise * np.random.default_rng(seed).standard_normal(curves.shape)


def starts(count):
    return np.tile([[1.0, 0.5, 0.0], [1.0, 3.0, 1.0]], (count, 1, 1))


def test_parameters_and_errors_agree_with_curve_fit():
    curves = noisy_decays(20, 0.1)
    weights = np.random.default_rng(1).uniform(0.2, 3.0, curves.shape)
    for weight in (None, weights):
        fit = fit_least_squares(decay, curves, starts(20), bounds=UNBOUNDED, weights=weight)
        assert fit.converged.all()
        for row in range(20):
            sigma = None if weight is None else 1 / np.sqrt(weight[row])
            expected, covariance = optimize.curve_fit(
                lambda x, a, b, c: a * np.exp(-b * x) + c,
                X,
                curves[row],
                (1.0, 1.0, 0.0),
                sigma=sigma,
            )
            np.testing.assert_allclose(fit.parameters[row], expected, rtol=1e-4, atol=1e-5)
            errors = fit.parameter_errors()[row]
            np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_bounded_optimum_agrees_with_scipy():
    curves = noisy_decays(30, 0.3, seed=2)
    bounds = np.array([0.0, 0.5, 0.6]), np.array([1.8, 1.1, 2.0])
    fit = fit_least_squares(decay, curves, starts(30), bounds=bounds)
    assert fit.held.any()
    for row, curve in enumerate(curves):
        best = optimize.least_squares(
            lambda p, curve=curve: decay(p[None])[0][0] - curve, (1.0, 1.0, 0.8), bounds=bounds
        )
        assert fit.chi_square[row] <= 2 * best.cost * (1 + 1e-6)
        np.testing.assert_allclose(fit.parameters[row], best.x, atol=2e-3)
    assert np.isnan(fit.parameter_errors()[fit.held]).all()
    assert np.isfinite(fit.parameter_errors()[~fit.held]).all()


def test_errors_have_the_size_of_the_scatter():
    fit = fit_least_squares(decay, noisy_decays(3000, 0.05), starts(3000), bounds=UNBOUNDED)
    z = (fit.parameters - [2.0, 1.2, 0.5]) / fit.parameter_errors()
    # Student's t with 12 degrees of freedom.
    np.testing.assert_allclose((np.abs(z) < 1).mean(axis=0), 0.663, atol=0.03)
    np.testing.assert_allclose((np.abs(z) < 2).mean(axis=0), 0.931, atol=0.02)


def test_error_of_a_function_follows_its_gradient():
    fit = fit_least_squares(decay, noisy_decays(2000, 0.05), starts(2000), bounds=UNBOUNDED)
    sums = fit.parameters[:, 0] + fit.parameters[:, 2]
    error = fit.standard_error(np.tile([1.0, 0.0, 1.0], (2000, 1)))
    assert np.sqrt(np.mean(error**2)) == pytest.approx(sums.std(), rel=0.06)


def test_point_of_weight_zero_is_left_out_even_when_missing():
    curves = noisy_decays(5, 0.1)
    weights = np.ones_like(curves)
    weights[:, 4] = 0
    missing = curves.copy()
    missing[:, 4] = np.nan
    wrong = curves.copy()
    wrong[:, 4] = 100.0
    first, second = (
        fit_least_squares(decay, data, starts(5), bounds=UNBOUNDED, weights=weights)
        for data in (missing, wrong)
    )
    np.testing.assert_array_equal(first.parameters, second.parameters)
    np.testing.assert_array_equal(first.parameter_errors(), second.parameter_errors())
    np.testing.assert_array_equal(first.r2, second.r2)


def test_what_the_curve_does_not_determine_has_no_error():
    def twice(parameters):
        """Only the sum of the first two parameters matters."""
        values = parameters[:, :1] + parameters[:, 1:2] + parameters[:, 2:] * X
        ones = np.ones_like(values)
        return values, np.stack([ones, ones, ones * X], axis=1)

    data = 1 + 2 * X + 0.1 * np.random.default_rng(3).standard_normal((4, len(X)))
    fit = fit_least_squares(twice, data, np.zeros((4, 1, 3)), bounds=UNBOUNDED)
    errors = fit.parameter_errors()
    assert np.isnan(errors[:, :2]).all()
    assert np.isfinite(errors[:, 2]).all()
    assert np.isfinite(fit.standard_error(np.tile([1.0, 1.0, 0.0], (4, 1)))).all()


def test_no_errors_without_more_points_than_parameters():
    weights = np.zeros((2, len(X)))
    weights[:, [0, 5, 14]] = 1
    fit = fit_least_squares(
        decay, noisy_decays(2, 0.0), starts(2), bounds=UNBOUNDED, weights=weights
    )
    np.testing.assert_allclose(fit.parameters, np.tile([2.0, 1.2, 0.5], (2, 1)), rtol=1e-6)
    assert np.isnan(fit.parameter_errors()).all()


def test_unfinished_descent_says_so(monkeypatch):
    monkeypatch.setattr("insilico.fits.least_squares.TRIAL_STEPS", 1)
    monkeypatch.setattr("insilico.fits.least_squares.STEP_LIMIT", 1)
    fit = fit_least_squares(decay, noisy_decays(3, 0.1), starts(3), bounds=UNBOUNDED)
    assert not fit.converged.any()
