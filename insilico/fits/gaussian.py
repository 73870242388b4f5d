"""One rotated two-dimensional Gaussian per receptive-field map, by lmfit."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import joblib
import lmfit
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage

from insilico.errors import ShapeError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
FitRow = dict[str, float | str]

#: What each value of the ``status`` column says about a neuron's fit.
GAUSSIAN_STATUS = {
    "ok": "the fit converged inside its bounds and its covariance gave standard errors",
    "constant": "every pixel has the same value; no parameters",
    "not_finite": "the map holds NaN or infinity; no parameters",
    "no_convergence": "the evaluation limit was reached; no parameters",
    "no_errors": "the fit converged but its covariance is singular; no standard errors",
    "at_bound": "the center or a width lies on its bound; parameters are not an optimum",
}
#: Parameter columns, in the order in which the model takes them.
GAUSSIAN_PARAMETERS = (
    "amplitude",
    "x_px",
    "y_px",
    "sigma_major_px",
    "sigma_minor_px",
    "angle_deg",
    "offset",
)

#: The center may leave the map by this fraction of its width or height, so that a field whose peak
#: is off the screen is found and can be flagged instead of sticking to the edge (our choice).
CENTER_MARGIN = 0.5
#: Below about a third of a pixel a Gaussian touches one pixel and its width has no meaning (ours).
SIGMA_MIN_PX = 0.3
#: A parameter this close to a bound, as a fraction of its range, counts as lying on it (ours).
BOUND_TOLERANCE = 1e-3
#: Both extremes of a map are tried when the weaker reaches this fraction of the stronger (ours).
RIVAL_FRACTION = 0.75
#: Gaussian smoothing of the map before its extreme is sought: the first suits narrow or striped
#: fields, the second weak broad ones (our choice).
SMOOTHING_PX = (1.0, 2.5)
#: A fit looks at the map this far from its start to every side, in pixels and in widths of the
#: start; beyond, a Gaussian has fallen below 1 % of its height and only its offset is at stake
#: (ours).
WINDOW_PX, WINDOW_SD = 12, 4.0
#: Function evaluations before a start is given up; a map with a field needs about ten (ours).
EVALUATION_LIMIT = 100
#: Relative change of chi-square and of the parameters at which lmfit's ``leastsq`` stops. A change
#: of 1e-7 in chi-square moves no parameter by more than 0.02 standard errors (2,304 pixels).
TOLERANCE = 1e-7
#: Neurons per task: long enough to hide the cost of a process, short enough for a progress bar.
CHUNK_NEURONS = 100


def fit_gaussians(
    maps: ArrayLike, *, jobs: int = 1, on_done: Callable[[int], None] | None = None
) -> pd.DataFrame:
    """Fit one rotated two-dimensional Gaussian with offset to each neuron's map.

    The model is ``offset + amplitude * exp(-((u / sigma_major)**2 + (v / sigma_minor)**2) / 2)``
    with (u, v) the position relative to the center, turned by the angle. The amplitude keeps its
    sign. The start comes from the map: its largest deviation from the median after smoothing, and
    the second moments of the patch above half of it.

    Parameters
    ----------
    maps : float array, shape (neuron, y, x)
        Receptive-field maps, arbitrary units, signed.
    jobs : int
        Worker processes, as in joblib; 1 stays in this process. The result does not depend on it.
    on_done : callable, optional
        Called with the number of neurons finished since the last call.

    Returns
    -------
    pandas.DataFrame
        One row per neuron, in order: ``amplitude`` and ``offset`` in map units; ``x_px``, ``y_px``
        in pixels from the top left, y down; ``sigma_major_px >= sigma_minor_px``; ``angle_deg`` of
        the major axis, counter-clockwise from rightward with y **up**, in [0, 180); each with a
        standard error ``*_se``; ``r2`` on the map as given; ``status``, one of
        :data:`GAUSSIAN_STATUS`. Standard errors take pixels as independent with equal variance.

    Raises
    ------
    ShapeError
        If ``maps`` is not three-dimensional, or has fewer than eight pixels.

    References
    ----------
    Model: ViV1T-closed-loop, tuning_retinotopy/fit_aRFs.py. Changed: the signed map is fitted
    without added noise, widths and center are bounded, the start is taken from the data, and a fit
    carries errors and a status instead of being ranked by width.
    Standard errors: covariance of lmfit's ``leastsq``, scaled by the reduced chi-square.
    """
    maps = np.asarray(maps)
    if maps.ndim != 3 or maps.shape[1] * maps.shape[2] <= len(GAUSSIAN_PARAMETERS):
        raise ShapeError(
            f"the maps have shape {maps.shape}; a Gaussian fit needs (neuron, y, x) with at least "
            f"{len(GAUSSIAN_PARAMETERS) + 1} pixels, so add the missing axis or use larger maps"
        )
    rows: list[FitRow] = []
    for chunk_rows in _fit_chunks(maps, jobs):
        rows.extend(chunk_rows)
        if on_done is not None:
            on_done(len(chunk_rows))
    errors = [f"{name}_se" for name in GAUSSIAN_PARAMETERS]
    return pd.DataFrame(rows, columns=[*GAUSSIAN_PARAMETERS, *errors, "r2", "status"])


def evaluate_gaussian(
    parameters: Mapping[str, Any] | pd.Series | pd.DataFrame, shape: tuple[int, int]
) -> FloatArray:
    """Draw fitted Gaussians on the pixel grid.

    Parameters
    ----------
    parameters : mapping, row or table
        The columns of :func:`fit_gaussians`; each a number or an array of one common shape.
    shape : (int, int)
        Rows and columns of a map.

    Returns
    -------
    float array, shape (..., y, x)
        The model in map units; NaN where a parameter is NaN.
    """
    values = [np.asarray(parameters[name], float)[..., None, None] for name in GAUSSIAN_PARAMETERS]
    amplitude, x, y, sigma_major, sigma_minor, angle_deg, offset = values
    angle = np.radians(angle_deg)
    dx, dy = np.arange(shape[1]) - x, np.arange(shape[0])[:, None] - y
    u = (dx * np.cos(angle) - dy * np.sin(angle)) / sigma_major
    v = (dx * np.sin(angle) + dy * np.cos(angle)) / sigma_minor
    result: FloatArray = offset + amplitude * np.exp(-0.5 * (u * u + v * v))
    return result


def ellipse_outline(
    row: Mapping[str, Any] | pd.Series, *, n_sd: float = 1.0, point_count: int = 73
) -> tuple[FloatArray, FloatArray]:
    """Outline of the ellipse at ``n_sd`` standard deviations, in pixels from the top left.

    The fitted Gaussian has fallen to ``exp(-n_sd**2 / 2)`` of its amplitude there: 0.607 at 1 SD.

    Parameters
    ----------
    row : mapping or row
        One row of :func:`fit_gaussians`.
    n_sd : float
        Radius in standard deviations.
    point_count : int
        Points on the closed outline; the first is repeated as the last.

    Returns
    -------
    x_px, y_px : float array, shape (point,)
        y down.
    """
    turn, angle = np.linspace(0, 2 * np.pi, point_count), np.radians(row["angle_deg"])
    along = n_sd * row["sigma_major_px"] * np.cos(turn)
    across = n_sd * row["sigma_minor_px"] * np.sin(turn)
    return (
        row["x_px"] + along * np.cos(angle) + across * np.sin(angle),
        row["y_px"] - along * np.sin(angle) + across * np.cos(angle),
    )


class _ReusedParameters(lmfit.Parameters):  # type: ignore[misc]
    """lmfit parameters that are not copied for every fit.

    lmfit copies the parameters, each time with a new expression interpreter, and prepares symbolic
    uncertainties after each fit. Both cost more than a tenth of a whole fit and neither is used:
    every value is set again before the next fit.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> _ReusedParameters:
        return self

    def create_uvars(self, covar: Any = None) -> dict[str, Any]:
        return {}


class _GaussianProblem:
    """Residual, analytic Jacobian and bounds of one map size; ``look_at`` sets the data.

    The parameters are those of :data:`GAUSSIAN_PARAMETERS`, with the angle in radians.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        height, width = shape
        self._rows, self._columns = np.indices(shape, dtype=float)
        self.look_at(np.zeros(shape), slice(None), slice(None))
        margin_x, margin_y = CENTER_MARGIN * width, CENTER_MARGIN * height
        self.bounds = {
            "x_px": (-margin_x, width - 1 + margin_x),
            "y_px": (-margin_y, height - 1 + margin_y),
            "sigma_major_px": (SIGMA_MIN_PX, float(max(shape))),
            "sigma_minor_px": (SIGMA_MIN_PX, float(max(shape))),
        }
        self.parameters = _ReusedParameters()
        for name in GAUSSIAN_PARAMETERS:
            low, high = self.bounds.get(name, (-np.inf, np.inf))
            self.parameters.add(name, value=np.clip(1.0, low, high), min=low, max=high)

    def look_at(self, rf_map: FloatArray, rows: slice, columns: slice) -> None:
        """Take the data from a window of a map."""
        self.data = rf_map[rows, columns].ravel()
        self.x_grid = self._columns[rows, columns].ravel()
        self.y_grid = self._rows[rows, columns].ravel()
        self._jacobian = np.ones((len(GAUSSIAN_PARAMETERS), len(self.data)))

    def residual(self, parameters: lmfit.Parameters) -> FloatArray:
        """Model minus data; what the Jacobian at the same point needs is kept."""
        amplitude, x, y, major, minor, angle, offset = [p.value for p in parameters.values()]
        cosine, sine = np.cos(angle), np.sin(angle)
        self._u = (cosine / major) * (self.x_grid - x) - (sine / major) * (self.y_grid - y)
        self._v = (sine / minor) * (self.x_grid - x) + (cosine / minor) * (self.y_grid - y)
        bell = self._u * self._u
        bell += self._v * self._v
        bell *= -0.5
        self._bell = np.exp(bell, out=bell)
        residual: FloatArray = amplitude * bell + (offset - self.data)
        return residual

    def jacobian(self, parameters: lmfit.Parameters) -> FloatArray:
        """Differentiate the residual, one row per parameter.

        MINPACK asks for them only where it has just evaluated the residual, so u, v and the bell
        are at hand.
        """
        amplitude, _, _, major, minor, angle, _ = [p.value for p in parameters.values()]
        cosine, sine = np.cos(angle), np.sin(angle)
        rows, u, v = self._jacobian, self._u, self._v
        slope_u = amplitude * self._bell * u
        slope_v = amplitude * self._bell * v
        rows[0] = self._bell
        rows[1] = (cosine / major) * slope_u + (sine / minor) * slope_v
        rows[2] = (cosine / minor) * slope_v - (sine / major) * slope_u
        np.multiply(slope_u / major, u, out=rows[3])
        np.multiply(slope_v / minor, v, out=rows[4])
        np.multiply(slope_u * (minor / major - major / minor), v, out=rows[5])
        return rows

    def fit(self, start: FloatArray) -> Any:
        """Minimize from one start; ``start`` is clipped a little inside the bounds.

        lmfit maps a bounded parameter through a sine, whose slope vanishes on the bound itself.
        """
        for parameter, value in zip(self.parameters.values(), start, strict=True):
            inset = 0.02 * (parameter.max - parameter.min) if parameter.name in self.bounds else 0.0
            parameter.value = min(max(value, parameter.min + inset), parameter.max - inset)
        minimizer = lmfit.Minimizer(
            self.residual, self.parameters, max_nfev=EVALUATION_LIMIT, nan_policy="propagate"
        )
        return minimizer.leastsq(Dfun=self.jacobian, col_deriv=True, ftol=TOLERANCE, xtol=TOLERANCE)

    def is_at_bound(self, values: Mapping[str, float]) -> bool:
        """Whether the center or a width lies on its bound."""
        return any(
            min(values[name] - low, high - values[name]) < BOUND_TOLERANCE * (high - low)
            for name, (low, high) in self.bounds.items()
        )


def _fit_chunks(maps: np.ndarray[Any, Any], jobs: int) -> Iterator[list[FitRow]]:
    chunks = (maps[first : first + CHUNK_NEURONS] for first in range(0, len(maps), CHUNK_NEURONS))
    if jobs == 1:
        yield from map(_fit_chunk, chunks)
    else:
        pool = joblib.Parallel(n_jobs=jobs, return_as="generator")
        yield from pool(joblib.delayed(_fit_chunk)(chunk) for chunk in chunks)


def _fit_chunk(maps: np.ndarray[Any, Any]) -> list[FitRow]:
    problem = _GaussianProblem(maps.shape[1:])
    rounding = 8 * np.finfo(maps.dtype).eps if maps.dtype.kind == "f" else 0.0
    return [_fit_map(problem, rf_map.astype(float), rounding) for rf_map in maps]


def _fit_map(problem: _GaussianProblem, rf_map: FloatArray, rounding: float) -> FitRow:
    """Fit one map, scaled to unit spread so that tolerances mean the same for every neuron."""
    if not np.isfinite(rf_map).all():
        return {"status": "not_finite"}
    spread = float(rf_map.std())
    if spread <= rounding * np.abs(rf_map).max():
        return {"status": "constant"}
    level = float(np.median(rf_map))
    scaled = (rf_map - level) / spread
    rows = []
    for start in _starts(scaled):
        problem.look_at(scaled, *_window(start))
        rows.append(_row(problem.fit(start), problem))
    unexplained, row = min(
        ((_unexplained(scaled, row), row) for row in rows), key=operator.itemgetter(0)
    )
    if row["status"] == "no_convergence":
        return row
    row["r2"] = 1 - unexplained / float(np.square(scaled - scaled.mean()).sum())
    for name in ("amplitude", "offset", "amplitude_se", "offset_se"):
        row[name] = float(row[name]) * spread + (level if name == "offset" else 0.0)
    return row


def _window(start: FloatArray) -> tuple[slice, slice]:
    """Rows and columns around a start; whatever lies off the map is left out."""
    half = max(WINDOW_PX, math.ceil(WINDOW_SD * start[3]))
    row, column = round(start[2]), round(start[1])
    return slice(max(0, row - half), row + half + 1), slice(
        max(0, column - half), column + half + 1
    )


def _unexplained(rf_map: FloatArray, row: FitRow) -> float:
    """Return the squared residual over the whole map; infinite for a fit that failed."""
    if row["status"] == "no_convergence":
        return math.inf
    return float(np.square(rf_map - evaluate_gaussian(row, rf_map.shape)).sum())


def _row(result: Any, problem: _GaussianProblem) -> FitRow:
    """Parameters, errors and status of one minimization."""
    # 6 to 8 are MINPACK's "no further progress at this precision": an exact fit, not a failure.
    if result.aborted or result.ier not in (1, 2, 3, 4, 6, 7, 8):
        return {"status": "no_convergence"}
    values = {name: float(p.value) for name, p in result.params.items()}
    errors = dict.fromkeys(values, np.nan)
    if result.errorbars:
        errors = {name: float(p.stderr) for name, p in result.params.items()}
    status = "ok" if np.isfinite(list(errors.values())).all() else "no_errors"
    if problem.is_at_bound(values):
        status = "at_bound"
    _order_axes(values, errors)
    labeled = {f"{name}_se": error for name, error in errors.items()}
    return {**values, **labeled, "status": status}


def _order_axes(values: dict[str, float], errors: dict[str, float]) -> None:
    """Make the major width the larger one; the angle follows, in degrees in [0, 180)."""
    major, minor = "sigma_major_px", "sigma_minor_px"
    if values[major] < values[minor]:
        for table in (values, errors):
            table[major], table[minor] = table[minor], table[major]
        values["angle_deg"] += np.pi / 2
    # A tiny negative angle wraps to exactly 180 in floating point, hence the second modulo.
    values["angle_deg"] = math.degrees(values["angle_deg"]) % 180.0 % 180.0
    errors["angle_deg"] = math.degrees(errors["angle_deg"])


def _starts(scaled: FloatArray) -> list[FloatArray]:
    """One start at the extreme of the smoothed map; two where the opposite extreme rivals it.

    The smoothing is the one under which the extreme stands out most from the spread of the map.
    """
    smoothed = [ndimage.gaussian_filter(scaled, width, mode="nearest") for width in SMOOTHING_PX]
    contrast = [np.abs(smooth).max() / smooth.std() for smooth in smoothed]
    chosen = int(np.argmax(contrast))
    smooth, width = smoothed[chosen], SMOOTHING_PX[chosen]
    highest, lowest = int(smooth.argmax()), int(smooth.argmin())
    peaks = sorted((highest, lowest), key=lambda peak: -abs(smooth.flat[peak]))
    if abs(smooth.flat[peaks[1]]) < RIVAL_FRACTION * abs(smooth.flat[peaks[0]]):
        peaks = peaks[:1]
    return [_start(smooth, width, peak) for peak in peaks]


def _start(smooth: FloatArray, width: float, peak: int) -> FloatArray:
    """Start values from the connected patch above half of the extreme at flat index ``peak``.

    Half height of a Gaussian is an ellipse with half-axes sigma * sqrt(2 ln 2), and a filled
    ellipse has the variance (half-axis / 2)**2 along each, hence sigma**2 = variance * 2 / ln 2.
    """
    height = float(smooth.flat[peak])
    patches, _ = ndimage.label(smooth * np.sign(height) > abs(height) / 2)
    rows, columns = np.nonzero(patches == patches.flat[peak])
    dx, dy = columns - columns.mean(), rows.mean() - rows
    # A pixel is a square of variance 1/12; smoothing added its width to that of the field.
    moments = np.array([[dx @ dx, dx @ dy], [dx @ dy, dy @ dy]]) / len(rows) + np.eye(2) / 12
    variances, axes = np.linalg.eigh(moments)
    minor, major = np.sqrt(np.maximum(variances * 2 / np.log(2) - width**2, 0.25))
    angle = np.arctan2(axes[1, 1], axes[0, 1])
    # Equal widths leave the angle undetermined and its derivative zero.
    major = max(major, 1.05 * minor)
    gain = np.sqrt((major**2 + width**2) * (minor**2 + width**2)) / (major * minor)
    return np.array([height * gain, columns.mean(), rows.mean(), major, minor, angle, 0.0])
