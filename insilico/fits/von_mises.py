"""Von Mises tuning curves for direction and orientation, fitted to all neurons at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: What each value of the ``status`` column says about a neuron's fit.
VON_MISES_STATUS = {
    "ok": "the fit converged; at the lowest concentration it is a sinusoid, without a half width",
    "flat": "every response is the same; no parameters",
    "not_finite": "the curve holds NaN or infinity; no parameters",
    "no_convergence": "the iteration limit was reached; no parameters",
    "at_bound": "narrower than the angles can resolve: the angle is usable, the width a limit only",
}
#: Columns of the table, before ``status``.
VON_MISES_COLUMNS = (
    "preferred_deg",
    "preferred_deg_se",
    "concentration",
    "amplitude",
    "amplitude_opposite",
    "baseline",
    "half_width_deg",
    "half_width_deg_se",
    "r2",
)

#: Widest bounds of the concentration. Below the first the peak is a sinusoid to within 3 % of its
#: height and amplitude and baseline trade off; at the second the half width is 10 degrees of 360.
#: The upper bound is lowered further to :func:`resolvable_concentration` (our choice).
CONCENTRATION_RANGE = (0.05, 50.0)
#: The opposite peak of a direction curve, as a sign of the cosine; the preferred one comes first.
PEAK_SIGNS = np.array([1.0, -1.0])
#: Starting grid: steps of 5 degrees of the period's 360, and concentrations in equal ratios.
GRID_CENTERS, GRID_CONCENTRATIONS = 72, 16
#: Local optima of the grid that are refined, best first. Against twelve, one missed the best fit of
#: 0.2 % (8 directions) and 1.4 % (16) of 4,000 curves of white noise, four missed none.
START_COUNT = 4
#: Levenberg-Marquardt steps before a fit is given up; most curves need about ten (our choice).
STEP_LIMIT = 200
#: A fit has converged when a full step would lower its chi-square by less than this fraction.
TOLERANCE = 1e-11
#: Neurons at a time, which bounds the memory of the grid to a few megabytes.
CHUNK_NEURONS = 512


def fit_von_mises(
    tuning_curve: ArrayLike,
    angle_deg: ArrayLike,
    *,
    period_deg: float = 360.0,
    peak_count: int = 2,
    concentration_range: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Fit one or two opposite von Mises peaks on a baseline to each neuron's tuning curve.

    With m = 360 / period and theta0 the preferred angle, the model is ``baseline + amplitude *
    exp(k * (cos(m * (theta - theta0)) - 1)) + amplitude_opposite * exp(k * (-cos(m * (theta -
    theta0)) - 1))``: one concentration k, and ``amplitude >= amplitude_opposite >= 0``. Use period
    360 with two peaks for direction, period 180 with one peak for orientation. The baseline may
    have any sign; a neuron suppressed at one angle is described by a broad peak opposite to it.

    Amplitudes and baseline are solved exactly inside the search (variable projection), so only the
    preferred angle and the concentration are searched: a grid, then Levenberg-Marquardt from its
    best local optima.

    Parameters
    ----------
    tuning_curve : float array, shape (neuron, angle)
        Mean responses, arbitrary units.
    angle_deg : float array, shape (angle,)
        Directions or orientations in degrees, in any order and spacing.
    period_deg : float
        360 for directions, 180 for orientations.
    peak_count : int
        2 adds a peak half a period away; 1 does not.
    concentration_range : (float, float), optional
        Bounds of the concentration, > 0. By default :data:`CONCENTRATION_RANGE`, its upper end
        lowered to what the spacing of the angles resolves. Beyond that a peak fits between two
        angles at any height.

    Returns
    -------
    pandas.DataFrame
        One row per neuron: ``preferred_deg`` in [0, period); ``concentration``; ``amplitude``,
        ``amplitude_opposite`` (NaN with one peak) and ``baseline`` in response units;
        ``half_width_deg``, half the width of the peak at half its height above the baseline,
        missing where the peak never falls that low (concentration <= ln(2) / 2); standard errors
        ``*_se``; ``r2``; ``status``, one of :data:`VON_MISES_STATUS`. With equal amplitudes the
        preferred angle and its opposite fit alike and either may be reported. Standard errors hold
        an ``amplitude_opposite`` of 0 and a concentration at its bound fixed, take the responses as
        independent with equal variance, and are missing where there are no more angles than
        parameters.

    Raises
    ------
    ShapeError
        If the curve is not (neuron, angle), or has fewer distinct angles than parameters.
    UnitsError
        If the period, the number of peaks or the concentration range is not possible, or an angle
        is not finite.

    References
    ----------
    Swindale 1998, doi:10.1007/s004220050411: sums of von Mises functions for direction tuning.
    Golub & Pereyra 1973, doi:10.1137/0710036: variable projection; Kaufman 1975,
    doi:10.1007/BF01932995: its simplified Jacobian. Half width: closed form of the model,
    acos(1 - ln(2) / k) / m; standard error by the delta method. The reference code of the in-silico
    experiments fits no such function.
    """
    curves, angles = np.asarray(tuning_curve, float), np.asarray(angle_deg, float)
    _check_shapes(curves, angles)
    _check_options(period_deg, peak_count, concentration_range)
    _check_enough_angles(angles, period_deg, 3 + peak_count)
    if concentration_range is None:
        low, high = CONCENTRATION_RANGE
        resolvable = resolvable_concentration(angles, period_deg=period_deg)
        concentration_range = low, min(high, resolvable)
    search = _Search(2 * np.pi * angles / period_deg, peak_count, concentration_range)
    table = {name: np.full(len(curves), np.nan) for name in VON_MISES_COLUMNS}
    status = np.full(len(curves), "ok", dtype=object)
    finite = np.isfinite(curves).all(axis=1)
    status[~finite] = "not_finite"
    flat = finite & (
        np.ptp(curves, axis=1) <= 8 * _resolution(tuning_curve) * np.abs(curves).max(axis=1)
    )
    status[flat] = "flat"
    usable = np.flatnonzero(finite & ~flat)
    for first in range(0, len(usable), CHUNK_NEURONS):
        chosen = usable[first : first + CHUNK_NEURONS]
        columns, status[chosen] = _fit_chunk(search, curves[chosen], period_deg)
        for name, values in columns.items():
            table[name][chosen] = values
    return pd.DataFrame({**table, "status": status.tolist()})


def evaluate_von_mises(
    fit: Mapping[str, Any] | pd.Series | pd.DataFrame,
    angle_deg: ArrayLike,
    *,
    period_deg: float = 360.0,
) -> FloatArray:
    """Evaluate fitted tuning curves.

    Parameters
    ----------
    fit : mapping, row or table
        The columns of :func:`fit_von_mises`; each a number or an array of one common shape.
    angle_deg : float array, shape (angle,)
        Where to evaluate, degrees.
    period_deg : float
        The period of the fit.

    Returns
    -------
    float array, shape (..., angle)
        Responses in the units of the fit; NaN where there was none.
    """
    names = ("preferred_deg", "concentration", "amplitude", "amplitude_opposite", "baseline")
    values = [np.asarray(fit[name], float)[..., None] for name in names]
    preferred, concentration, amplitude, opposite, baseline = values
    cosine = np.cos(2 * np.pi / period_deg * (np.asarray(angle_deg, float) - preferred))
    curve: FloatArray = baseline + amplitude * np.exp(concentration * (cosine - 1))
    curve += np.nan_to_num(opposite) * np.exp(concentration * (-cosine - 1))
    return curve


def half_width_deg(concentration: ArrayLike, *, period_deg: float = 360.0) -> FloatArray:
    """Half width at half height of a von Mises peak above its baseline, in degrees.

    Parameters
    ----------
    concentration : float array
        Concentrations, > 0.
    period_deg : float
        360 for directions, 180 for orientations.

    Returns
    -------
    float array
        NaN where the peak does not fall to half its height (concentration <= ln(2) / 2).
    """
    cosine = 1 - np.log(2) / np.asarray(concentration, float)
    reaches_half = cosine > -1
    width = np.degrees(np.arccos(np.where(reaches_half, cosine, 1.0))) * period_deg / 360
    return np.where(reaches_half, width, np.nan)


def resolvable_concentration(angle_deg: ArrayLike, *, period_deg: float = 360.0) -> float:
    """Concentration at which a peak is as wide at half height as the largest gap between angles.

    A narrower peak can hide between two neighboring angles, so that neither its place nor its
    height is determined: 9.1 for directions 45 degrees apart, 36 for 22.5 degrees.

    Parameters
    ----------
    angle_deg : float array, shape (angle,)
        Presented angles, degrees.
    period_deg : float
        360 for directions, 180 for orientations.

    Returns
    -------
    float
        ``ln(2) / (1 - cos(gap / 2))``, from the half width of the model.
    """
    phase = np.unique(np.round(np.asarray(angle_deg, float) % period_deg, 6) % period_deg)
    gap = np.diff(phase, append=phase[0] + period_deg).max() * 2 * np.pi / period_deg
    return float(np.log(2) / (1 - np.cos(min(gap / 2, np.pi))))


def _check_options(
    period_deg: float, peak_count: int, concentration_range: tuple[float, float] | None
) -> None:
    if period_deg not in (180.0, 360.0):
        raise UnitsError(
            f"a period of {period_deg!r} degrees; give 360 for directions or 180 for orientations"
        )
    if peak_count not in (1, 2):
        raise UnitsError(f"{peak_count!r} peaks; give 1, or 2 for a peak and its opposite")
    low, high = concentration_range or CONCENTRATION_RANGE
    if not 0 < low < high < np.inf:
        raise UnitsError(
            f"a concentration range of {concentration_range!r}; give two increasing numbers above 0"
        )


def _check_shapes(curves: FloatArray, angles: FloatArray) -> None:
    if curves.ndim != 2 or angles.shape != curves.shape[1:]:
        raise ShapeError(
            f"tuning curves of shape {curves.shape} with angles of shape {angles.shape}; give "
            "(neuron, angle) and one angle per column"
        )
    if not np.isfinite(angles).all():
        raise UnitsError("an angle is NaN or infinite; give every angle in degrees")


def _check_enough_angles(angles: FloatArray, period_deg: float, parameter_count: int) -> None:
    distinct = len(np.unique(np.round(angles % period_deg, 6) % period_deg))
    if distinct < parameter_count:
        raise ShapeError(
            f"{distinct} distinct angles modulo {period_deg:g} degrees; this fit has "
            f"{parameter_count} parameters, so present at least as many angles or fit one peak"
        )


def _resolution(values: ArrayLike) -> float:
    """Relative rounding of the numbers as they arrived."""
    dtype = np.asarray(values).dtype
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


@dataclasses.dataclass
class _Point:
    """All problems at one point of the search; ``problem`` is the first axis throughout."""

    bumps: FloatArray  # (problem, peak, angle), height 1, not centered
    amplitudes: FloatArray  # (problem, peak)
    residual: FloatArray  # (problem, angle), data minus model
    slopes: FloatArray  # (problem, 2, angle) by center and log concentration, amplitudes projected

    @property
    def chi_square(self) -> FloatArray:
        return _dot(self.residual, self.residual)


@dataclasses.dataclass(frozen=True)
class _Search:
    """Least squares over (center, log concentration) at fixed angles, everything in radians."""

    phase: FloatArray
    peak_count: int
    concentration_range: tuple[float, float]

    @property
    def log_range(self) -> tuple[float, float]:
        low, high = np.log(self.concentration_range)
        return float(low), float(high)

    def bumps(self, center: FloatArray, log_concentration: FloatArray) -> FloatArray:
        """Peaks of height 1, shape (problem, peak, angle)."""
        cosine = np.cos(self.phase - center[:, None])[:, None, :]
        signs = PEAK_SIGNS[: self.peak_count, None]
        bumps: FloatArray = np.exp(np.exp(log_concentration)[:, None, None] * (signs * cosine - 1))
        return bumps

    def at(self, curves: FloatArray, center: FloatArray, log_concentration: FloatArray) -> _Point:
        """Best amplitudes, residual and slopes for centered ``curves``."""
        bumps = self.bumps(center, log_concentration)
        centered = bumps - bumps.mean(axis=2, keepdims=True)
        moments = np.einsum("npa,na->pn", centered, curves)
        amplitudes = _nonnegative(moments, np.einsum("npa,nqa->pqn", centered, centered)).T
        residual = curves - np.einsum("np,npa->na", amplitudes, centered)
        shift = self.phase - center[:, None]
        signs = PEAK_SIGNS[: self.peak_count, None]
        weights = np.exp(log_concentration)[:, None, None] * amplitudes[:, :, None] * bumps
        slopes = np.stack(
            [
                (weights * signs * np.sin(shift)[:, None, :]).sum(axis=1),
                (weights * (signs * np.cos(shift)[:, None, :] - 1)).sum(axis=1),
            ],
            axis=1,
        )
        slopes -= slopes.mean(axis=2, keepdims=True)
        return _Point(bumps, amplitudes, residual, _project_out(slopes, centered, amplitudes > 0))

    def free_slopes(self, point: _Point, log_concentration: FloatArray) -> FloatArray:
        """Slopes, without that of a concentration which its bound stops from going downhill."""
        low, high = self.log_range
        push = _dot(point.slopes[:, 1], point.residual)
        stopped = ((log_concentration >= high) & (push > 0)) | (
            (log_concentration <= low) & (push < 0)
        )
        slopes = point.slopes.copy()
        slopes[stopped, 1] = 0.0
        return slopes

    def starts(self, curves: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Best local optima of the grid: centers and log concentrations, (neuron, start)."""
        # Two peaks half a turn apart change places after half a turn: half the grid is enough.
        count = GRID_CENTERS // self.peak_count
        centers = np.arange(count) * (2 * np.pi / GRID_CENTERS)
        logs = np.linspace(*self.log_range, GRID_CONCENTRATIONS)
        bumps = self.bumps(np.repeat(centers, len(logs)), np.tile(logs, len(centers)))
        centered = bumps - bumps.mean(axis=2, keepdims=True)
        moments = np.stack([curves @ centered[:, peak].T for peak in range(self.peak_count)])
        gram = np.einsum("gpa,gqa->pqg", centered, centered)[:, :, None, :]
        amplitudes = _nonnegative(moments, gram)
        # At the optimum the explained sum of squares is the amplitudes times their moments.
        explained = (amplitudes * moments).sum(axis=0).reshape(len(curves), count, len(logs))
        # Centers wrap around, concentrations end.
        padded = np.pad(explained, ((0, 0), (0, 0), (1, 1)), constant_values=-np.inf)
        neighbors = [np.roll(explained, 1, axis=1), np.roll(explained, -1, axis=1)]
        neighbors += [padded[:, :, :-2], padded[:, :, 2:]]
        rises = np.logical_and.reduce([explained >= neighbor for neighbor in neighbors])
        score = np.where(rises, explained, -1.0).reshape(len(curves), -1)
        order = np.argpartition(-score, START_COUNT, axis=1)[:, :START_COUNT]
        return np.repeat(centers, len(logs))[order], np.tile(logs, len(centers))[order]

    def refine(
        self, curves: FloatArray, center: FloatArray, log_concentration: FloatArray
    ) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Levenberg-Marquardt on every problem at once; converged ones drop out."""
        center, log_concentration = center.copy(), log_concentration.copy()
        damping = np.full(len(curves), 1e-3)
        converged = np.zeros(len(curves), bool)
        floor = 1e-26 * _dot(curves, curves)
        for _ in range(STEP_LIMIT):
            some = np.flatnonzero(~converged)
            if not len(some):
                break
            data, here = curves[some], (center[some], log_concentration[some])
            point = self.at(data, *here)
            chi_square = point.chi_square
            slopes = self.free_slopes(point, here[1])
            step, promised, gain = _step(slopes, point.residual, damping[some])
            trial = here[0] + step[:, 0], np.clip(here[1] + step[:, 1], *self.log_range)
            fall = chi_square - self.at(data, *trial).chi_square
            better = fall > 0
            center[some[better]] = trial[0][better]
            log_concentration[some[better]] = trial[1][better]
            damping[some] = _next_damping(damping[some], fall, promised)
            # Where no step of any length goes down, rounding has the last word.
            stuck = damping[some] > 1e9
            converged[some] = (gain <= TOLERANCE * chi_square + floor[some]) | stuck
        return center, log_concentration, converged


def _dot(first: FloatArray, second: FloatArray) -> FloatArray:
    """Inner products along the last axis, shape (problem,)."""
    products: FloatArray = np.einsum("na,na->n", first, second)
    return products


def _next_damping(damping: FloatArray, fall: FloatArray, promised: FloatArray) -> FloatArray:
    """Lengthen steps that kept their promise, shorten those that overshot.

    Where residuals are large the simplified curvature is up to twice too small, and undamped steps
    would swing from side to side without end.
    """
    factor = np.select(
        [fall <= 0, fall < 0.25 * promised, fall < 0.75 * promised], [10.0, 4.0, 1.0], 0.1
    )
    following: FloatArray = np.maximum(damping * factor, 1e-9)
    return following


def _nonnegative(moments: FloatArray, gram: FloatArray) -> FloatArray:
    """Non-negative least squares with one or two columns, by trying every subset.

    ``moments`` is (peak, ...), ``gram`` (peak, peak, ...), broadcast over the rest.
    """
    diagonal = np.stack([gram[peak, peak] for peak in range(len(moments))])
    alone: FloatArray = np.maximum(moments, 0) / np.maximum(diagonal, np.finfo(float).tiny)
    if len(moments) == 1:
        return alone
    best_alone = alone * moments
    first_wins = best_alone[0] >= best_alone[1]
    single = np.stack([np.where(first_wins, alone[0], 0), np.where(first_wins, 0, alone[1])])
    determinant = diagonal[0] * diagonal[1] - gram[0, 1] ** 2
    solvable = determinant > 1e-13 * diagonal[0] * diagonal[1]
    both = np.stack(
        [
            diagonal[1] * moments[0] - gram[0, 1] * moments[1],
            diagonal[0] * moments[1] - gram[0, 1] * moments[0],
        ]
    ) / np.where(solvable, determinant, 1.0)
    return np.where(solvable & (both >= 0).all(axis=0), both, single)


def _project_out(slopes: FloatArray, columns: FloatArray, used: BoolArray) -> FloatArray:
    """Remove from ``slopes`` what the used columns can explain (Gram-Schmidt)."""
    basis: list[FloatArray] = []
    for peak in range(columns.shape[1]):
        column = columns[:, peak] * used[:, peak, None]
        for direction in basis:
            column = column - direction * _dot(direction, column)[:, None]
        length = np.sqrt(_dot(column, column))[:, None]
        basis.append(np.where(length > 0, column / np.where(length > 0, length, 1.0), 0.0))
    for direction in basis:
        slopes = slopes - direction[:, None] * np.einsum("na,nsa->ns", direction, slopes)[..., None]
    return slopes


def _step(
    slopes: FloatArray, residual: FloatArray, damping: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Damped step, shape (problem, 2), the fall in chi-square it promises, and that undamped."""
    hessian = np.einsum("nsa,nta->nst", slopes, slopes)
    gradient = np.einsum("nsa,na->ns", slopes, residual)
    scale = np.sqrt(np.einsum("nss->ns", hessian))
    scale = np.where(scale > 0, scale, 1.0)
    gradient = gradient / scale
    correlation = hessian[:, 0, 1] / (scale[:, 0] * scale[:, 1])

    def solve(diagonal: FloatArray) -> FloatArray:
        determinant = diagonal**2 - correlation**2
        first = diagonal * gradient[:, 0] - correlation * gradient[:, 1]
        second = diagonal * gradient[:, 1] - correlation * gradient[:, 0]
        solution: FloatArray = np.stack([first, second], axis=1) / determinant[:, None]
        return solution

    undamped = solve(np.full(len(slopes), 1 + 1e-12))
    damped = solve(1 + damping)
    promised = np.einsum("ns,ns->n", damped, gradient + damping[:, None] * damped)
    return damped / scale, promised, np.einsum("ns,ns->n", undamped, gradient)


def _fit_chunk(
    search: _Search, curves: FloatArray, period_deg: float
) -> tuple[dict[str, FloatArray], np.ndarray[Any, np.dtype[np.object_]]]:
    """Columns and status of one chunk of finite curves that are not flat."""
    level, spread = curves.mean(axis=1), curves.std(axis=1)
    scaled = (curves - level[:, None]) / spread[:, None]
    centers, logs = search.starts(scaled)
    count = centers.shape[1]
    repeated = np.repeat(scaled, count, axis=0)
    center, log_concentration, converged = search.refine(repeated, centers.ravel(), logs.ravel())
    chi_square = search.at(repeated, center, log_concentration).chi_square
    best = chi_square.reshape(-1, count).argmin(axis=1) + count * np.arange(len(curves))
    center, log_concentration, converged = center[best], log_concentration[best], converged[best]
    point = search.at(scaled, center, log_concentration)
    columns = _columns(search, point, (center, log_concentration), period_deg)
    for name in ("amplitude", "amplitude_opposite", "baseline"):
        columns[name] = columns[name] * spread
    columns["baseline"] = columns["baseline"] + level
    columns["r2"] = 1 - point.chi_square / scaled.shape[1]
    is_narrow = log_concentration >= search.log_range[1] - 1e-6
    status = np.where(is_narrow, "at_bound", "ok").astype(object)
    status[~converged] = "no_convergence"
    return {name: np.where(converged, v, np.nan) for name, v in columns.items()}, status


def _is_at_bound(search: _Search, log_concentration: FloatArray) -> BoolArray:
    low, high = search.log_range
    result: BoolArray = (log_concentration <= low + 1e-6) | (log_concentration >= high - 1e-6)
    return result


def _columns(
    search: _Search, point: _Point, place: tuple[FloatArray, FloatArray], period_deg: float
) -> dict[str, FloatArray]:
    """Table columns in the units of the scaled curve; the larger peak is the preferred one."""
    center, log_concentration = place
    amplitudes = point.amplitudes
    baseline = -(amplitudes * point.bumps.mean(axis=2)).sum(axis=1)
    opposite = np.full(len(center), np.nan)
    if search.peak_count == 2:
        swapped = amplitudes[:, 1] > amplitudes[:, 0]
        center = center + np.pi * swapped
        amplitudes = np.sort(amplitudes, axis=1)[:, ::-1]
        opposite = amplitudes[:, 1]
    concentration = np.exp(log_concentration)
    center_se, log_se = _standard_errors(search, point, log_concentration)
    degrees_per_radian = period_deg / (2 * np.pi)
    width = half_width_deg(concentration, period_deg=period_deg)
    # d acos(1 - ln2 / k) / d log k = -(ln2 / k) / sqrt(1 - (1 - ln2 / k)**2)
    ratio = np.where(np.isfinite(width), np.log(2) / concentration, np.nan)
    width_slope = ratio / np.sqrt(1 - (1 - ratio) ** 2)
    return {
        # A tiny negative angle wraps to the full period in floating point: wrap twice.
        "preferred_deg": center * degrees_per_radian % period_deg % period_deg,
        "preferred_deg_se": center_se * degrees_per_radian,
        "concentration": concentration,
        "amplitude": amplitudes[:, 0],
        "amplitude_opposite": opposite,
        "baseline": baseline,
        "half_width_deg": width,
        "half_width_deg_se": width_slope * log_se * degrees_per_radian,
    }


def _standard_errors(
    search: _Search, point: _Point, log_concentration: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return standard errors of center and log concentration; the latter NaN on its bound.

    The slopes have the amplitudes and the baseline projected out, so the inverse of their 2 x 2
    Gram matrix is this block of the full covariance.
    """
    free = len(search.phase) - (3 + search.peak_count)
    if free <= 0:
        missing = np.full(len(log_concentration), np.nan)
        return missing, missing
    bound = _is_at_bound(search, log_concentration)
    slopes = point.slopes.copy()
    slopes[bound, 1] = 0.0
    gram = np.einsum("nsa,nta->nst", slopes, slopes)
    by_center, by_log, mixed = gram[:, 0, 0], gram[:, 1, 1], gram[:, 0, 1]
    variance = point.chi_square / free
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = variance / by_center
        determinant = by_center * by_log - mixed**2
        center = np.where(bound, alone, variance * by_log / determinant)
        log = np.where(bound, np.nan, variance * by_center / determinant)
        errors = np.sqrt(center), np.sqrt(log)
    center_se, log_se = (np.where(np.isfinite(error), error, np.nan) for error in errors)
    return center_se, log_se
