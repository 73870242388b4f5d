"""Spatial and temporal frequency tuning: a two-dimensional Gaussian of the log frequencies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import ShapeError
from insilico.fits.curves import (
    CurveFamily,
    CurveFits,
    check_axis,
    check_enough_points,
    check_responses,
    fit_curves,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
Bounds = tuple[float, float]

#: Columns of the table, before ``status``; each but ``r2`` has a standard error ``_se``.
FREQUENCY_COLUMNS = (
    "preferred_spatial_frequency_cpd",
    "preferred_temporal_frequency_hz",
    "spatial_bandwidth_octaves",
    "temporal_bandwidth_octaves",
    "speed_exponent",
    "preferred_speed_deg_s",
    "amplitude",
    "baseline",
    "r2",
)
#: Preferences may leave the measured range by this many octaves, so that a curve that only rises or
#: falls is found and can be flagged (ours).
MARGIN_OCTAVES = 1.0
#: Bandwidths lie between these multiples of the largest step between frequencies and of their
#: range: narrower, a peak hides between two frequencies; wider, the curve is flat in range (ours).
BANDWIDTH_RANGE = (1.0, 4.0)
#: 0 is separable and 1 speed tuned; the ends leave room for noise around both (ours).
SPEED_EXPONENT_RANGE = (-1.0, 2.0)
#: Full width at half height of a Gaussian over its standard deviation.
WIDTH_PER_SD = 2 * np.sqrt(2 * np.log(2))


def fit_frequency_tuning(
    responses: ArrayLike,
    spatial_frequency_cpd: ArrayLike,
    temporal_frequency_hz: ArrayLike,
    *,
    baseline: bool = True,
) -> pd.DataFrame:
    """Fit a Gaussian of log2 spatial and log2 temporal frequency to each neuron.

    With s and t the distances in octaves from the preferred spatial and temporal frequency, the
    model is ``baseline + amplitude * exp(-s**2 / (2 * a**2) - (t - xi * s)**2 / (2 * b**2))``: the
    preferred temporal frequency rises with spatial frequency to the power xi, the speed exponent.
    Where an axis has a single value, a Gaussian over the other one is fitted.

    Parameters
    ----------
    responses : float array, shape (neuron, spatial, temporal)
        Mean responses, arbitrary units.
    spatial_frequency_cpd : float array, shape (spatial,)
        Cycles per degree, above 0, increasing; one value, or three or more.
    temporal_frequency_hz : float array, shape (temporal,)
        Hertz, above 0, increasing; one value, or three or more.
    baseline : bool
        False for responses from which the blank was subtracted. With few frequencies a free
        baseline trades off with the bandwidths.

    Returns
    -------
    pandas.DataFrame
        One row per neuron: ``preferred_spatial_frequency_cpd`` and
        ``preferred_temporal_frequency_hz``, the peak; ``spatial_bandwidth_octaves`` and
        ``temporal_bandwidth_octaves``, full widths at half height above the baseline, of sections
        through the peak at the other frequency's preferred value; ``speed_exponent``, 0 separable
        to 1 speed tuned; ``preferred_speed_deg_s``, preferred temporal over spatial frequency;
        ``amplitude`` and ``baseline`` in response units; standard errors ``*_se``; ``r2``;
        ``status``, one of :data:`insilico.fits.curves.CURVE_STATUS`. ``at_bound`` says that a
        preference lies outside the measured range, or a bandwidth or the exponent on its bound
        (:data:`BANDWIDTH_RANGE`, :data:`SPEED_EXPONENT_RANGE`). What a single value along an axis
        cannot tell is NaN. Standard errors hold parameters on their bounds fixed, take responses as
        independent with equal variance, and are missing where there are no more points than
        parameters.

    Raises
    ------
    ShapeError
        If the responses are not (neuron, spatial, temporal), an axis has two values, both have one,
        or there are fewer points than parameters.
    UnitsError
        If frequencies are not above 0, not finite or not increasing.

    References
    ----------
    Priebe, Cassanello & Lisberger 2003, doi:10.1523/JNEUROSCI.23-13-05650.2003, and Priebe,
    Lisberger & Movshon 2006, doi:10.1523/JNEUROSCI.3936-05.2006: the two-dimensional Gaussian with
    an exponent for speed. Their skew over temporal frequency is left out and a baseline added; the
    width a is theirs along the ridge, and the section through the peak has ``1 / sqrt(1 / a**2 +
    xi**2 / b**2)``.
    """
    spatial = np.asarray(spatial_frequency_cpd, float)
    temporal = np.asarray(temporal_frequency_hz, float)
    check_responses(responses, (spatial, temporal), "neuron, spatial, temporal")
    check_axis(spatial, "spatial frequencies in cycles per degree", low=0.0, above=True)
    check_axis(temporal, "temporal frequencies in hertz", low=0.0, above=True)
    sizes = len(spatial), len(temporal)
    if max(sizes) < 3 or 2 in sizes:
        raise ShapeError(
            f"{sizes[0]} spatial and {sizes[1]} temporal frequencies; give three or more along one "
            "axis, and one or at least three along the other"
        )
    plane = _Plane(spatial, temporal, baseline)
    parameter_count = len(plane.bounds) + 1 + baseline
    check_enough_points(sizes[0] * sizes[1], parameter_count, "combinations of frequencies")
    flattened = np.reshape(responses, (-1, sizes[0] * sizes[1]))
    fits = fit_curves(plane.family(), flattened)
    table, is_limit = _table(fits, plane)
    return pd.DataFrame({**table, "r2": fits.r2, "status": fits.with_bounds(is_limit).tolist()})


def evaluate_frequency_tuning(
    fit: Mapping[str, Any] | pd.Series | pd.DataFrame,
    spatial_frequency_cpd: ArrayLike,
    temporal_frequency_hz: ArrayLike,
) -> FloatArray:
    """Evaluate fitted frequency tuning.

    Parameters
    ----------
    fit : mapping, row or table
        The columns of :func:`fit_frequency_tuning`; each a number or an array of one common shape.
        An axis along which nothing was fitted (NaN preference) is taken as flat.
    spatial_frequency_cpd : float array, shape (spatial,)
        Where to evaluate, cycles per degree.
    temporal_frequency_hz : float array, shape (temporal,)
        Where to evaluate, hertz.

    Returns
    -------
    float array, shape (..., spatial, temporal)
        Responses in the units of the fit; NaN where there was none.
    """
    spatial_peak, temporal_peak, spatial_width, temporal_width, exponent, _, amplitude, baseline = (
        np.asarray(fit[name], float)[..., None, None] for name in FREQUENCY_COLUMNS[:-1]
    )
    along_spatial = np.log2(np.asarray(spatial_frequency_cpd, float))[:, None]
    along_temporal = np.log2(np.asarray(temporal_frequency_hz, float))
    s = np.nan_to_num(along_spatial - np.log2(spatial_peak))
    t = np.nan_to_num(along_temporal - np.log2(temporal_peak))
    spatial_rate = np.nan_to_num(WIDTH_PER_SD / spatial_width) ** 2
    temporal_rate = np.nan_to_num(WIDTH_PER_SD / temporal_width) ** 2
    exponent = np.nan_to_num(exponent)
    # The section at the peak holds part of the ridge's slope: expand the square.
    quadratic = spatial_rate * s**2 + temporal_rate * (t**2 - 2 * exponent * s * t)
    curve: FloatArray = baseline + amplitude * np.exp(-quadratic / 2)
    return curve


@dataclasses.dataclass(frozen=True)
class _Plane:
    """Shape parameters: for each tuned axis log2 peak and log SD, then the exponent if both are."""

    spatial: FloatArray
    temporal: FloatArray
    has_baseline: bool

    @property
    def has_spatial(self) -> bool:
        return len(self.spatial) > 1

    @property
    def has_temporal(self) -> bool:
        return len(self.temporal) > 1

    @property
    def ranges(self) -> list[tuple[FloatArray, Bounds, Bounds]]:
        """Per tuned axis: log2 frequencies, bounds of the peak and of the log SD."""
        ranges = []
        for frequencies in (self.spatial, self.temporal):
            logs = np.log2(frequencies)
            if len(logs) > 1:
                low, high = BANDWIDTH_RANGE
                widths = np.array([low * np.diff(logs).max(), high * np.ptp(logs)])
                sds = np.log(widths / WIDTH_PER_SD)
                peaks = float(logs[0] - MARGIN_OCTAVES), float(logs[-1] + MARGIN_OCTAVES)
                ranges.append((logs, peaks, (float(sds[0]), float(sds[1]))))
        return ranges

    @property
    def bounds(self) -> tuple[Bounds, ...]:
        per_axis = [bounds for _, *pair in self.ranges for bounds in pair]
        return (*per_axis, SPEED_EXPONENT_RANGE) if len(per_axis) == 4 else tuple(per_axis)

    def family(self) -> CurveFamily:
        """Gaussians at these frequencies; the grid is finer where there is one axis."""
        is_plane = len(self.ranges) == 2
        counts = (7, 3, 6, 3, 4) if is_plane else (15, 6)
        grid = tuple(
            np.linspace(low, high, count)
            for (low, high), count in zip(self.bounds, counts, strict=True)
        )
        return CurveFamily(
            self._plane if is_plane else self._line, grid, self.bounds, self.has_baseline
        )

    def _line(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        logs = self.ranges[0][0]
        spread = np.exp(parameters[:, 1, None])
        z = (logs - parameters[:, 0, None]) / spread
        shape = np.exp(-(z**2) / 2)
        return shape, np.stack([shape * z / spread, shape * z**2], axis=1)

    def _plane(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        peak_s, log_a, peak_t, log_b, exponent = (column[:, None] for column in parameters.T)
        logs_s, logs_t = self.ranges[0][0], self.ranges[1][0]
        s = np.repeat(logs_s, len(logs_t)) - peak_s
        t = np.tile(logs_t, len(logs_s)) - peak_t
        a, b = np.exp(log_a), np.exp(log_b)
        along, across = s / a, (t - exponent * s) / b
        shape = np.exp(-(along**2 + across**2) / 2)
        slopes = [
            along / a - exponent * across / b,
            along**2,
            across / b,
            across**2,
            across * s / b,
        ]
        return shape, shape[:, None] * np.stack(slopes, axis=1)


def _table(fits: CurveFits, plane: _Plane) -> tuple[dict[str, FloatArray], BoolArray]:
    """Columns and whether a preference, a bandwidth or the exponent is a limit only."""
    parameters, errors = fits.parameters, fits.errors
    columns = {
        f"{name}{end}": np.full(len(parameters), np.nan)
        for name in FREQUENCY_COLUMNS[:-1]
        for end in ("", "_se")
    }
    names = [
        ("preferred_spatial_frequency_cpd", "spatial_bandwidth_octaves"),
        ("preferred_temporal_frequency_hz", "temporal_bandwidth_octaves"),
    ]
    tuned = [names[axis] for axis, has in enumerate((plane.has_spatial, plane.has_temporal)) if has]
    is_limit = np.asarray((fits.at_low | fits.at_high).any(axis=1))
    for first, (peak, width) in zip((0, 2), tuned, strict=False):
        frequencies = 2 ** parameters[:, first]
        logs = plane.ranges[first // 2][0]
        peaks = parameters[:, first]
        is_limit = is_limit | (peaks < logs[0]) | (peaks > logs[-1])
        columns[peak] = frequencies
        columns[f"{peak}_se"] = frequencies * np.log(2) * errors[:, first]
        columns[width] = WIDTH_PER_SD * np.exp(parameters[:, first + 1])
        columns[f"{width}_se"] = columns[width] * errors[:, first + 1]
    if len(tuned) == 2:
        columns |= _joint_columns(fits)
    for offset, name in enumerate(("amplitude", "baseline")):
        column = len(plane.bounds) + offset
        columns[name], columns[f"{name}_se"] = parameters[:, column], errors[:, column]
    return columns, is_limit


def _joint_columns(fits: CurveFits) -> dict[str, FloatArray]:
    """Columns that need both axes: section through a slanted ridge, exponent and speed."""
    a, b, exponent = (
        np.exp(fits.parameters[:, 1]),
        np.exp(fits.parameters[:, 3]),
        fits.parameters[:, 4],
    )
    section = 1 / np.sqrt(1 / a**2 + exponent**2 / b**2)
    none = np.zeros_like(section)
    by_log_a, by_log_b = section**3 / a**2, section**3 * exponent**2 / b**2
    by_exponent = -(section**3) * exponent / b**2
    section_gradient = np.stack([none, by_log_a, none, by_log_b, by_exponent], axis=1)
    speed = 2 ** (fits.parameters[:, 2] - fits.parameters[:, 0])
    rate = speed * np.log(2)
    speed_gradient = np.stack([-rate, none, rate], axis=1)
    return {
        "spatial_bandwidth_octaves": WIDTH_PER_SD * section,
        "spatial_bandwidth_octaves_se": WIDTH_PER_SD * fits.standard_error(section_gradient),
        "speed_exponent": exponent,
        "speed_exponent_se": fits.errors[:, 4],
        "preferred_speed_deg_s": speed,
        "preferred_speed_deg_s_se": fits.standard_error(speed_gradient),
    }
