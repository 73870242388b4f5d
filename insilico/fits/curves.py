"""What the curve fits share: baseline plus amplitude times a shape, fitted to many neurons."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError
from insilico.fits.least_squares import LeastSquaresFit, fit_least_squares

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
TextArray = np.ndarray[Any, np.dtype[np.object_]]

#: What each value of a ``status`` column says, in every curve fit.
CURVE_STATUS = {
    "ok": "the fit converged inside its bounds",
    "flat": "every response is the same; no parameters",
    "not_finite": "the curve holds NaN or infinity; no parameters",
    "no_convergence": "the limit of steps was reached; no parameters",
    "constant_fit": "no curve of the family explains more than a constant does; no parameters",
    "at_bound": "the fit converged, but what was asked for lies at the end of what was measured or "
    "allowed: a limit only",
}
#: Local optima of the starting grid that are tried, best first. Of 2,000 size curves, noise-free or
#: noisy, eight missed the best fit of 0.5 % and twelve of 0.1 %, against twenty.
START_COUNT = 12
#: Neurons at a time, which bounds the memory of the grid to some ten megabytes.
CHUNK_NEURONS = 512
#: A shape parameter this close to a bound, as a fraction of its range, counts as lying on it.
BOUND_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class CurveFamily:
    """Curves ``baseline + amplitude * shape``, with an amplitude that is not negative.

    Attributes
    ----------
    shape : callable
        From shape parameters (problem, parameter) to values (problem, point) and slopes (problem,
        parameter, point).
    grid : tuple of float arrays
        Increasing starting values of each shape parameter.
    bounds : tuple of (low, high)
        Of each shape parameter.
    has_baseline : bool
        Without one the curve is ``amplitude * shape``.
    """

    shape: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    grid: tuple[FloatArray, ...]
    bounds: tuple[tuple[float, float], ...]
    has_baseline: bool = True

    def curve(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and slopes by shape parameters, amplitude and baseline, in this order."""
        count = len(self.bounds)
        shape, slopes = self.shape(parameters[:, :count])
        amplitude = parameters[:, count, None]
        columns = [amplitude[:, None] * slopes, shape[:, None]]
        values = amplitude * shape
        if self.has_baseline:
            values = values + parameters[:, count + 1, None]
            columns.append(np.ones_like(shape)[:, None])
        return values, np.concatenate(columns, axis=1)

    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest values of all parameters."""
        rest = [(0.0, np.inf), (-np.inf, np.inf)][: 1 + self.has_baseline]
        low, high = np.array([*self.bounds, *rest]).T
        return low, high

    def starts(self, responses: FloatArray, weights: FloatArray) -> FloatArray:
        """Best local optima of the grid with their exact amplitude and baseline.

        Shape (neuron, start, parameter). The explained sum of squares of every grid point has a
        closed form, since amplitude and baseline are linear.
        """
        nodes = np.array(list(itertools.product(*self.grid)))
        shapes, _ = self.shape(nodes)
        total = weights.sum(axis=1, keepdims=True)
        mean_shape, mean = weights @ shapes.T / total, np.zeros((len(responses), 1))
        if self.has_baseline:
            mean = (weights * responses).sum(axis=1, keepdims=True) / total
        moment = (weights * (responses - mean)) @ shapes.T
        power = weights @ (shapes**2).T
        gram = power - total * mean_shape**2 if self.has_baseline else power
        usable = gram > 1e-12 * power
        amplitude = np.where(usable, np.maximum(moment, 0) / np.where(usable, gram, 1.0), 0.0)
        chosen = self._local_optima(amplitude * moment)
        parts = [nodes[chosen], np.take_along_axis(amplitude, chosen, axis=1)[:, :, None]]
        if self.has_baseline:
            baseline = mean - amplitude * mean_shape
            parts.append(np.take_along_axis(baseline, chosen, axis=1)[:, :, None])
        return np.concatenate(parts, axis=2)

    def _local_optima(self, explained: FloatArray) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Grid nodes no worse than their neighbors along every axis, best first."""
        lengths = [len(values) for values in self.grid]
        table = explained.reshape(-1, *lengths)
        rises = np.ones(table.shape, bool)
        for axis in range(1, table.ndim):
            step = np.diff(table, axis=axis)
            ahead = [slice(None)] * table.ndim
            behind = list(ahead)
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            rises[tuple(ahead)] &= step >= 0
            rises[tuple(behind)] &= step <= 0
        score = np.where(rises.reshape(explained.shape), explained, -1.0)
        count = min(START_COUNT, score.shape[1])
        best = np.argpartition(-score, count - 1, axis=1)[:, :count]
        return np.asarray(best)


@dataclasses.dataclass(frozen=True)
class CurveFits:
    """The fits of all neurons; NaN where there is none.

    Attributes
    ----------
    parameters, errors : float array, shape (neuron, parameter)
        Shape parameters, amplitude and baseline (0 without error where the family has none).
    at_low, at_high : bool array, shape (neuron, shape parameter)
        Which shape parameters lie on a bound.
    r2 : float array, shape (neuron,)
    status : array of str, shape (neuron,)
        Of :data:`CURVE_STATUS`, without ``at_bound``: only the caller knows what that is.
    """

    parameters: FloatArray
    errors: FloatArray
    at_low: BoolArray
    at_high: BoolArray
    r2: FloatArray
    status: TextArray
    _chunks: list[tuple[np.ndarray[Any, np.dtype[np.intp]], LeastSquaresFit]]

    @property
    def is_fitted(self) -> BoolArray:
        """Which neurons have parameters."""
        fitted: BoolArray = self.status == "ok"
        return fitted

    def with_bounds(self, is_limit: BoolArray) -> TextArray:
        """Return the status with ``at_bound`` for the fitted neurons of which that is true."""
        marked: TextArray = np.where(self.is_fitted & is_limit, "at_bound", self.status)
        return marked

    def standard_error(self, gradient: FloatArray) -> FloatArray:
        """Return the standard error of a function of the parameters (delta method).

        Parameters
        ----------
        gradient : float array, shape (neuron, parameter)
            Slope by shape parameters, amplitude and baseline; trailing ones may be left out.

        Returns
        -------
        float array, shape (neuron,)
        """
        error = np.full(len(gradient), np.nan)
        for rows, fit in self._chunks:
            full = np.zeros((len(rows), fit.parameters.shape[1]))
            width = min(full.shape[1], gradient.shape[1])
            full[:, :width] = gradient[rows, :width]
            error[rows] = fit.standard_error(full)
        return np.where(self.is_fitted, error, np.nan)


def fit_curves(
    family: CurveFamily, responses: ArrayLike, *, weights: FloatArray | None = None
) -> CurveFits:
    """Fit a family of curves to every neuron.

    Parameters
    ----------
    family : CurveFamily
        What is fitted.
    responses : float array, shape (neuron, point)
        Arbitrary units.
    weights : float array, shape (neuron, point), optional
        Relative inverse variances; points of weight 0 are left out and may be NaN.

    Returns
    -------
    CurveFits
        One row per neuron, in order.
    """
    curves = np.asarray(responses, float)
    weight = np.ones_like(curves) if weights is None else weights
    curves = np.where(weight > 0, curves, 0.0)
    status = _screen(curves, weight, _resolution(responses))
    count = len(family.bounds)
    parameters = np.full((len(curves), count + 2), np.nan)
    errors, r2 = parameters.copy(), np.full(len(curves), np.nan)
    chunks = []
    usable = np.flatnonzero(status == "ok")
    for first in range(0, len(usable), CHUNK_NEURONS):
        rows = usable[first : first + CHUNK_NEURONS]
        data, here = curves[rows], weight[rows]
        starts = family.starts(data, here)
        fit = fit_least_squares(family.curve, data, starts, bounds=family.limits(), weights=here)
        width = fit.parameters.shape[1]
        parameters[rows, :width], errors[rows, :width] = fit.parameters, fit.parameter_errors()
        parameters[rows, width:] = 0.0
        r2[rows] = fit.r2
        status[rows[fit.parameters[:, count] <= 0]] = "constant_fit"
        status[rows[~fit.converged]] = "no_convergence"
        chunks.append((rows, fit))
    lost = status != "ok"
    parameters[lost], errors[lost], r2[lost] = np.nan, np.nan, np.nan
    at_low, at_high = _on_bounds(parameters[:, :count], family.bounds)
    return CurveFits(parameters, errors, at_low, at_high, r2, status, chunks)


def check_responses(responses: ArrayLike, axes: tuple[FloatArray, ...], names: str) -> None:
    """Refuse responses whose shape does not fit their axes.

    Parameters
    ----------
    responses : float array, shape (neuron, *axes)
        What arrived.
    axes : tuple of float arrays
        Values along each axis.
    names : str
        The axes in words, for the message: ``"neuron, diameter"``.

    Raises
    ------
    ShapeError
        If an axis is not one-dimensional or the lengths differ.
    """
    shape, lengths = np.shape(responses), [axis.shape for axis in axes]
    if len(shape) != 1 + len(axes) or lengths != [(length,) for length in shape[1:]]:
        raise ShapeError(
            f"responses of shape {shape} with axes of shape {', '.join(map(str, lengths))}; give "
            f"({names}) and one value per entry of each axis"
        )


def check_axis(axis: FloatArray, name: str, *, low: float, above: bool = False) -> None:
    """Refuse values along an axis that are not finite, in range and increasing.

    Parameters
    ----------
    axis : float array, shape (point,)
        Values along an axis.
    name : str
        What they are, in the plural with their unit, for the message.
    low : float
        Lowest possible value.
    above : bool
        Whether values must lie above ``low``.

    Raises
    ------
    UnitsError
        If a value is NaN, infinite or too low, or not above the one before it.
    """
    in_range = axis > low if above else axis >= low
    if not (np.isfinite(axis) & in_range).all() or (np.diff(axis) <= 0).any():
        bound = f"above {low:g}" if above else f"of {low:g} or more"
        raise UnitsError(f"{name} of {axis.tolist()}; give finite, increasing numbers {bound}")


def check_enough_points(count: int, parameter_count: int, name: str) -> None:
    """Refuse fewer points than parameters.

    Raises
    ------
    ShapeError
        If the curve has more parameters than points.
    """
    if count < parameter_count:
        raise ShapeError(
            f"{count} {name}; this curve has {parameter_count} parameters, so give at least as many"
        )


def _screen(curves: FloatArray, weights: FloatArray, resolution: float) -> TextArray:
    """Status of the curves before any fit."""
    finite = np.isfinite(curves).all(axis=1)
    shown = weights > 0
    highest = np.where(shown, curves, -np.inf).max(axis=1)
    lowest = np.where(shown, curves, np.inf).min(axis=1)
    with np.errstate(invalid="ignore"):
        flat = highest - lowest <= 8 * resolution * np.maximum(np.abs(highest), np.abs(lowest))
    status = np.where(finite, np.where(flat, "flat", "ok"), "not_finite")
    return np.asarray(status, dtype=object)


def _resolution(values: ArrayLike) -> float:
    """Relative rounding of the numbers as they arrived."""
    dtype = np.asarray(values).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def _on_bounds(
    values: FloatArray, bounds: tuple[tuple[float, float], ...]
) -> tuple[BoolArray, BoolArray]:
    low, high = np.array(bounds).T
    margin = BOUND_TOLERANCE * (high - low)
    return values <= low + margin, values >= high - margin
