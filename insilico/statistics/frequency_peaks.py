"""Where responses over two frequencies peak, and where they have fallen to half.

Tuning to frequency is seldom symmetric in octaves: temporal tuning in particular rises slowly and
falls steeply, and the center of a fitted Gaussian then lies below the peak. Interpolating what was
measured asks for no shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.interpolate import make_interp_spline

from insilico.errors import ShapeError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Columns of the table.
PEAK_COLUMNS = (
    "preferred_spatial_frequency_cpd",
    "preferred_temporal_frequency_hz",
    "spatial_bandwidth_octaves",
    "temporal_bandwidth_octaves",
    "spatial_cutoff_cpd",
    "temporal_cutoff_hz",
    "preferred_speed_deg_s",
)
#: Points of the interpolated surface along each axis that has several frequencies.
POINT_COUNT = 65
#: Surfaces interpolated at a time, which bounds memory to some ten megabytes.
CHUNK_SURFACES = 400


def frequency_peaks(
    surface: FloatArray,
    spatial_frequency_cpd: FloatArray,
    temporal_frequency_hz: FloatArray,
    *,
    floor: FloatArray,
) -> pd.DataFrame:
    """Interpolate each neuron's responses over the logarithms of the frequencies; find the peak.

    Parameters
    ----------
    surface : float array, shape (neuron, spatial, temporal)
        Mean responses; neurons with a value that is not finite get NaN.
    spatial_frequency_cpd, temporal_frequency_hz : float array, shape (spatial,), (temporal,)
        Above 0, rising; one value, or three or more. Nothing is said about an axis of one.
    floor : float array, shape (neuron,)
        Response from which half of the height is counted.

    Returns
    -------
    DataFrame, one row a neuron
        :data:`PEAK_COLUMNS`: the peak; full widths at half height of sections through the peak, NaN
        where a side never falls to half within the frequencies shown; the frequency above the peak
        at which it has fallen to half; and temporal over spatial frequency of the peak.
        ``is_at_end``: whether the peak is at the lowest or highest frequency of an axis, so that
        the preference is a limit only.

    Raises
    ------
    ShapeError
        If shapes disagree or an axis has two values.

    Notes
    -----
    Splines, cubic from four frequencies on and else quadratic, not-a-knot, through every measured
    point; between points the peak is that of a parabola. They are linear in the responses, so one
    matrix an axis serves all neurons.
    """
    axes = spatial_frequency_cpd, temporal_frequency_hz
    if surface.ndim != 3 or surface.shape[1:] != (len(axes[0]), len(axes[1])):
        raise ShapeError(
            f"responses of shape {surface.shape} to {len(axes[0])} spatial and {len(axes[1])} "
            "temporal frequencies; give (neuron, spatial, temporal)"
        )
    if 2 in surface.shape[1:]:
        raise ShapeError("two frequencies along an axis have no peak between them; give three")
    logs, matrices = zip(*(_spline(axis) for axis in axes), strict=True)
    columns = np.full((len(surface), len(PEAK_COLUMNS)), np.nan)
    is_at_end = np.zeros(len(surface), bool)
    usable = np.flatnonzero(np.isfinite(surface).all(axis=(1, 2)))
    for first in range(0, len(usable), CHUNK_SURFACES):
        rows = usable[first : first + CHUNK_SURFACES]
        dense = np.einsum("as,nst,bt->nab", matrices[0], surface[rows], matrices[1], optimize=True)
        columns[rows], is_at_end[rows] = _measure(dense, logs, floor[rows])
    return pd.DataFrame(columns, columns=list(PEAK_COLUMNS)).assign(is_at_end=is_at_end)


def _spline(frequencies: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log2 frequencies of the dense points, and the matrix that interpolates there."""
    logs = np.log2(frequencies) if len(frequencies) > 1 else np.zeros(1)
    if len(logs) == 1:
        return logs, np.ones((1, 1))
    dense = np.linspace(logs[0], logs[-1], POINT_COUNT)
    spline = make_interp_spline(logs, np.eye(len(logs)), k=3 if len(logs) > 3 else 2)
    return dense, np.asarray(spline(dense))


def _measure(
    dense: FloatArray, logs: tuple[FloatArray, ...], floor: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Return the columns of :data:`PEAK_COLUMNS`, and whether the peak is at an end."""
    floor = np.nan_to_num(floor)
    best = np.unravel_index(dense.reshape(len(dense), -1).argmax(axis=1), dense.shape[1:])
    rows = np.arange(len(dense))
    sections = dense[rows, :, best[1]], dense[rows, best[0], :]
    half = 0.5 * (dense[rows, best[0], best[1]] + floor)
    columns = np.full((len(dense), len(PEAK_COLUMNS)), np.nan)
    is_at_end = np.zeros(len(dense), bool)
    for axis, (section, log, index) in enumerate(zip(sections, logs, best, strict=True)):
        if len(log) == 1:
            continue
        peak, at_end = _refine(section, log, index)
        above = _crossing(section, log, index, half)
        below = -_crossing(section[:, ::-1], -log[::-1], len(log) - 1 - index, half)
        columns[:, axis] = 2**peak
        columns[:, 2 + axis] = above - below
        columns[:, 4 + axis] = 2**above
        is_at_end |= at_end
    columns[:, 6] = columns[:, 1] / columns[:, 0]
    return columns, is_at_end


def _refine(section: FloatArray, log: FloatArray, best: IntArray) -> tuple[FloatArray, BoolArray]:
    """Return the top of the parabola through the highest point and its neighbors."""
    inner = np.clip(best, 1, len(log) - 2)
    rows = np.arange(len(section))
    below, top, above = (section[rows, inner + step] for step in (-1, 0, 1))
    bend = below - 2 * top + above
    shift = np.where(bend < 0, 0.5 * (below - above) / np.where(bend < 0, bend, 1.0), 0.0)
    is_at_end = inner != best
    step = log[1] - log[0]
    return np.where(is_at_end, log[best], log[inner] + shift * step), is_at_end


def _crossing(section: FloatArray, log: FloatArray, best: IntArray, half: FloatArray) -> FloatArray:
    """Return where sections first fall to half above their peak; NaN where they do not."""
    is_past = np.arange(len(log)) > best[:, None]
    is_below = is_past & (section <= half[:, None])
    first = np.maximum(is_below.argmax(axis=1), 1)
    rows = np.arange(len(section))
    high, low = section[rows, first - 1], section[rows, first]
    drop = high - low
    part = np.where(drop > 0, (high - half) / np.where(drop > 0, drop, 1.0), 0.0)
    crossed = log[first - 1] + part * (log[first] - log[first - 1])
    return np.where(is_below.any(axis=1), crossed, np.nan)
