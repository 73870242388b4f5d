"""Bounded nonlinear least squares for many curves at once, with standard errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
#: From parameters (problem, parameter) to the curve (problem, point) and its slopes by every
#: parameter (problem, parameter, point).
Curve = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

#: Levenberg-Marquardt steps before a fit is given up; most curves need ten to thirty (ours).
STEP_LIMIT = 300
#: Every start takes this many steps; then only the best of each neuron go on to the end (ours).
TRIAL_STEPS, FINALISTS = 16, 2
#: A fit has converged when a full step would lower its chi-square by less than this fraction: it
#: would move no parameter by more than a ten-thousandth of a standard error (ours).
TOLERANCE = 1e-10
#: Directions in which the curve moves less than this, squared and relative to the strongest, are
#: not determined by the data (rounding of the scaled normal equations; ours).
SINGULAR = 1e-12
#: A quantity whose direction lies in undetermined ones by more than this has no error (ours).
UNDETERMINED = 1e-6


@dataclasses.dataclass(frozen=True)
class LeastSquaresFit:
    """The best fit of each curve; the first axis is the neuron throughout.

    Attributes
    ----------
    parameters : float array, shape (neuron, parameter)
        Within their bounds.
    chi_square : float array, shape (neuron,)
        Sum of squared residuals, weighted.
    r2 : float array, shape (neuron,)
        Explained part of the weighted variance about the weighted mean.
    converged : bool array, shape (neuron,)
        False where the limit of steps was reached.
    held : bool array, shape (neuron, parameter)
        Parameters that lie on a bound and would leave it.
    directions : float array, shape (neuron, parameter, direction)
        Independent directions of the parameters.
    variances : float array, shape (neuron, direction)
        Variance of the fit along each; infinite where the curve does not determine it.
    """

    parameters: FloatArray
    chi_square: FloatArray
    r2: FloatArray
    converged: BoolArray
    held: BoolArray
    directions: FloatArray
    variances: FloatArray

    def standard_error(self, gradient: FloatArray) -> FloatArray:
        """Return the standard error of a function of the parameters (delta method).

        Parameters
        ----------
        gradient : float array, shape (neuron, parameter)
            Slope of the function by each parameter at the fit.

        Returns
        -------
        float array, shape (neuron,)
            Parameters on a bound are held fixed. NaN where the function depends on those alone,
            where the curve does not determine it, and where there are no more points than
            parameters.
        """
        along = np.einsum("np,npd->nd", np.where(self.held, 0.0, gradient), self.directions)
        length = (along**2).sum(axis=1)
        lost = np.where(np.isinf(self.variances), along**2, 0.0).sum(axis=1)
        known = np.where(np.isinf(self.variances), 0.0, self.variances)
        error = np.sqrt((along**2 * known).sum(axis=1))
        undetermined = (length == 0) | (lost > UNDETERMINED * length)
        return np.where(undetermined | np.isnan(gradient).any(axis=1), np.nan, error)

    def parameter_errors(self) -> FloatArray:
        """Return the standard errors of the parameters, shape (neuron, parameter)."""
        neurons, size = self.parameters.shape
        units = np.broadcast_to(np.eye(size)[:, None, :], (size, neurons, size))
        errors = [self.standard_error(unit) for unit in units]
        return np.stack(errors, axis=1)


def fit_least_squares(
    curve: Curve,
    responses: FloatArray,
    starts: FloatArray,
    *,
    bounds: tuple[FloatArray, FloatArray],
    weights: FloatArray | None = None,
) -> LeastSquaresFit:
    """Fit one curve to each neuron's responses from several starts and keep the best.

    Levenberg-Marquardt with Marquardt's scaling, all neurons and starts side by side; those that
    have converged drop out. A step is cut at the bounds, and a parameter on a bound that downhill
    leads across is held there.

    Parameters
    ----------
    curve : callable
        From parameters (problem, parameter) to values (problem, point) and slopes (problem,
        parameter, point).
    responses : float array, shape (neuron, point)
        Finite wherever the weight is above 0.
    starts : float array, shape (neuron, start, parameter)
        Clipped to the bounds.
    bounds : (float array, float array), each of shape (parameter,)
        Lowest and highest values; infinite where there is none.
    weights : float array, shape (neuron, point), optional
        Not negative; inverse variances up to a factor common to a neuron, which is estimated from
        the residuals. 0 leaves a point out.

    Returns
    -------
    LeastSquaresFit
        Standard errors take residuals as independent and of variance 1 / weight up to that factor.

    References
    ----------
    Marquardt 1963, doi:10.1137/0111030: damping and scaling. Standard errors: inverse of J'WJ times
    the residual variance, with as many degrees of freedom as points less all parameters, held or
    not. Holding parameters at their bounds: projected Newton steps, Bertsekas 1982,
    doi:10.1137/0320018.
    """
    neurons, count, size = starts.shape
    weight = np.ones_like(responses) if weights is None else weights
    root = np.sqrt(weight)
    data = np.where(weight > 0, responses, 0.0)
    neuron = np.repeat(np.arange(neurons), count)
    first = _Problem(curve, data[neuron], root[neuron], bounds)
    tried = first.descend(np.clip(starts.reshape(-1, size), *bounds), TRIAL_STEPS)
    ahead = _smallest(tried.chi_square, neurons, FINALISTS)
    final = _Problem(curve, data[neuron[ahead]], root[neuron[ahead]], bounds)
    descent = final.descend(tried.parameters[ahead], STEP_LIMIT)
    best = _smallest(descent.chi_square, neurons, 1)
    chi_square = descent.chi_square[best]
    gradient, hessian = _normal_equations(descent.slopes[best], descent.residual[best])
    held = _held(descent.parameters[best], gradient, bounds)
    degrees = (weight > 0).sum(axis=1) - size
    noise = np.where(degrees > 0, chi_square / np.maximum(degrees, 1), np.nan)
    directions, variances = _spread(hessian, held, noise)
    mean = (weight * data).sum(axis=1) / weight.sum(axis=1)
    total = (weight * (data - mean[:, None]) ** 2).sum(axis=1)
    return LeastSquaresFit(
        parameters=descent.parameters[best],
        chi_square=chi_square,
        r2=1 - chi_square / np.where(total > 0, total, np.nan),
        converged=descent.converged[best],
        held=held,
        directions=directions,
        variances=variances,
    )


def _smallest(chi_square: FloatArray, neurons: int, count: int) -> np.ndarray[Any, Any]:
    """Problems with the smallest chi-square of each neuron, neuron by neuron."""
    table = chi_square.reshape(neurons, -1)
    order = np.argsort(table, axis=1, kind="stable")[:, :count]
    return (order + table.shape[1] * np.arange(neurons)[:, None]).ravel()


@dataclasses.dataclass
class _Descent:
    """Where every problem stands; changed in place."""

    parameters: FloatArray
    residual: FloatArray  # (problem, point), weighted data minus weighted curve
    slopes: FloatArray  # (problem, parameter, point), weighted
    damping: FloatArray
    converged: BoolArray

    @property
    def chi_square(self) -> FloatArray:
        total: FloatArray = np.einsum("na,na->n", self.residual, self.residual)
        return total


@dataclasses.dataclass(frozen=True)
class _Problem:
    curve: Curve
    data: FloatArray
    root: FloatArray
    bounds: tuple[FloatArray, FloatArray]

    def at(
        self, some: np.ndarray[Any, Any], parameters: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Weighted residuals and slopes of some of the problems."""
        values, slopes = self.curve(parameters)
        root = self.root[some]
        return root * (self.data[some] - values), root[:, None, :] * slopes

    def descend(self, start: FloatArray, limit: int) -> _Descent:
        """Step downhill until every problem has converged or the limit of steps is reached."""
        every = np.arange(len(start))
        state = _Descent(
            start.copy(),
            *self.at(every, start),
            np.full(len(start), 1e-2),
            np.zeros(len(start), bool),
        )
        centered = self.data - self.data.mean(axis=1, keepdims=True)
        floor = 1e-26 * ((self.root * centered) ** 2).sum(axis=1)
        for _ in range(limit):
            some = np.flatnonzero(~state.converged)
            if not len(some):
                break
            self._step(state, some, floor[some])
        return state

    def _step(self, state: _Descent, some: np.ndarray[Any, Any], floor: FloatArray) -> None:
        here, residual, damping = state.parameters[some], state.residual[some], state.damping[some]
        gradient, hessian = _normal_equations(state.slopes[some], residual)
        chi_square = np.einsum("na,na->n", residual, residual)
        low, high = self.bounds
        quadratic = _Quadratic(gradient, hessian, low - here, high - here)
        # Adding a rounded step may cross the bound by a rounding.
        trial = np.clip(here + quadratic.step(damping), low, high)
        gain = quadratic.gain()
        promised = quadratic.fall(trial - here)
        trial_residual, trial_slopes = self.at(some, trial)
        fall = chi_square - np.einsum("na,na->n", trial_residual, trial_residual)
        better = fall > 0
        chosen = some[better]
        state.parameters[chosen] = trial[better]
        state.residual[chosen], state.slopes[chosen] = trial_residual[better], trial_slopes[better]
        state.damping[some] = _next_damping(damping, fall, promised)
        # Where no step of any length goes down, rounding has the last word.
        stuck = ~better & (damping > 1e9)
        state.converged[some] = (gain <= TOLERANCE * chi_square + floor) | stuck


def _normal_equations(slopes: FloatArray, residual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Downhill direction J'r, shape (problem, parameter), and J'J."""
    gradient = (slopes @ residual[:, :, None])[:, :, 0]
    return gradient, slopes @ slopes.transpose(0, 2, 1)


def _held(
    parameters: FloatArray, gradient: FloatArray, bounds: tuple[FloatArray, FloatArray]
) -> BoolArray:
    """Parameters on a bound that downhill leads across, or that have no influence there."""
    low, high = bounds
    held: BoolArray = ((parameters <= low) & (gradient <= 0)) | (
        (parameters >= high) & (gradient >= 0)
    )
    return held


def _scaled(hessian: FloatArray, free: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Scale the normal equations to a diagonal of 1, zero where held; return the units too."""
    scale = np.sqrt(np.einsum("npp->np", hessian))
    scale = np.where(scale > 0, scale, 1.0)
    both = free[:, :, None] & free[:, None, :]
    return np.where(both, hessian, 0.0) / (scale[:, :, None] * scale[:, None, :]), scale


@dataclasses.dataclass(frozen=True)
class _Quadratic:
    """Chi-square near each point as its slopes foresee it, and the room up to the bounds."""

    gradient: FloatArray
    hessian: FloatArray
    room_low: FloatArray
    room_high: FloatArray

    def fall(self, step: FloatArray) -> FloatArray:
        """By how much a step would lower chi-square."""
        curved = (self.hessian @ step[:, :, None])[:, :, 0]
        total: FloatArray = (step * (2 * self.gradient - curved)).sum(axis=1)
        return total

    @property
    def blocked(self) -> BoolArray:
        """Parameters on a bound that downhill leads across."""
        return ((self.room_low >= 0) & (self.gradient <= 0)) | (
            (self.room_high <= 0) & (self.gradient >= 0)
        )

    def gain(self) -> FloatArray:
        """Fall of chi-square by a full step; 0 only at an optimum within the bounds."""
        every, free = np.arange(len(self.gradient)), ~self.blocked
        barely = np.full(len(every), 1e-10)
        full = self._solve(every, np.zeros_like(self.gradient), free, barely)
        return (full * np.where(free, self.gradient, 0.0)).sum(axis=1)

    def step(self, damping: FloatArray) -> FloatArray:
        """Damped step within the bounds.

        A parameter that would cross its bound stops there, and the others are solved again with
        that known: merely cut, a step along a valley would climb its wall.
        """
        stopped = self.blocked
        step = np.zeros_like(self.gradient)
        some = np.arange(len(step))
        for _ in range(step.shape[1] + 1):
            step[some] = self._solve(some, step[some], ~stopped[some], damping[some])
            crossing = ~stopped & ((step < self.room_low) | (step > self.room_high))
            some = np.flatnonzero(crossing.any(axis=1))
            if not len(some):
                break
            step = np.where(crossing, np.clip(step, self.room_low, self.room_high), step)
            stopped |= crossing
        return step

    def _solve(
        self, some: np.ndarray[Any, Any], step: FloatArray, free: BoolArray, damping: FloatArray
    ) -> FloatArray:
        """Free part of the step, given the part that has stopped."""
        known = np.where(free, 0.0, step)
        matrix, scale = _scaled(self.hessian[some], free)
        downhill = self.gradient[some] - (self.hessian[some] @ known[:, :, None])[:, :, 0]
        downhill = np.where(free, downhill, 0.0) / scale
        matrix = matrix + damping[:, None, None] * np.eye(matrix.shape[1])
        return known + np.linalg.solve(matrix, downhill[:, :, None])[:, :, 0] / scale


def _next_damping(damping: FloatArray, fall: FloatArray, promised: FloatArray) -> FloatArray:
    """Lengthen steps that kept their promise, shorten those that overshot."""
    factor = np.select(
        [fall <= 0, fall < 0.25 * promised, fall < 0.75 * promised], [5.0, 2.0, 1.0], 0.3
    )
    following: FloatArray = np.maximum(damping * factor, 1e-9)
    return following


def _spread(
    hessian: FloatArray, held: BoolArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Independent directions of the free parameters and the variance along each."""
    matrix, scale = _scaled(hessian, ~held)
    strength, vectors = np.linalg.eigh(matrix)
    determined = strength > SINGULAR * strength[:, -1:]
    variance = noise[:, None] / np.where(determined, strength, 1.0)
    return vectors / scale[:, :, None], np.where(determined, variance, np.inf)
