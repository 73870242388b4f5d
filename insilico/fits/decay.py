"""Exponential decay over cortical distance, fitted to several curves at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError
from insilico.fits.curves import (
    CurveFamily,
    check_axis,
    check_enough_points,
    check_responses,
    fit_curves,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Columns of the table, before ``status``; each but ``r2`` has a standard error ``_se``.
DECAY_COLUMNS = ("amplitude", "length_um", "offset", "r2")
#: The length constant lies between these multiples of the smallest step between distances and of
#: their range: shorter, all is over before the second distance; longer, it is a line (ours).
LENGTH_RANGE = (0.25, 3.0)


def fit_decay(
    distance_um: ArrayLike, values: ArrayLike, *, weights: ArrayLike | None = None
) -> pd.DataFrame:
    """Fit ``amplitude * exp(-distance / length) + offset`` to one or several curves.

    Parameters
    ----------
    distance_um : float array, shape (distance,)
        Distances between neurons in micrometers, increasing, 0 or more.
    values : float array, shape (curve, distance) or (distance,)
        Tuning similarity or signal correlation, say.
    weights : float array, shape of ``values``, optional
        Inverse variances up to a factor common to a curve, such as numbers of pairs. Distances of
        weight 0 are left out and may be NaN.

    Returns
    -------
    pandas.DataFrame
        One row per curve: ``amplitude`` (not negative, extrapolated to distance 0) and ``offset``
        in the units of the values; ``length_um``, over which the amplitude falls to 1/e; standard
        errors ``*_se``; ``r2``; ``status``, one of :data:`insilico.fits.curves.CURVE_STATUS`.
        ``at_bound`` says that the length is at its bound (:data:`LENGTH_RANGE`) and only a limit;
        ``constant_fit``, that the values do not fall with distance. Standard errors take the values
        as independent: pairs that share neurons are not, so for tests resample neurons or mice.

    Raises
    ------
    ShapeError
        If the shapes do not agree, or a curve has fewer distances than the three parameters.
    UnitsError
        If distances are negative, not finite or not increasing, or a weight is negative or not
        finite.

    References
    ----------
    ViV1T, tuning similarity: ``A * exp(-B * d) + C`` by penalized likelihood from one start, with B
    in [1e-7, 1e7] per micrometer. Here B = 1 / length, unpenalized, and bounded by what the
    distances resolve.
    """
    distances = np.asarray(distance_um, float)
    if np.ndim(values) == 1:
        values = np.asarray(values)[None]
        weights = None if weights is None else np.asarray(weights)[None]
    check_responses(values, (distances,), "curve, distance")
    check_axis(distances, "distances in micrometers", low=0.0)
    check_enough_points(len(distances), 3, "distances")
    checked = None if weights is None else _check_weights(weights, np.shape(values))
    fits = fit_curves(_family(distances), values, weights=checked)
    length = np.exp(fits.parameters[:, 0])
    table = {
        "amplitude": fits.parameters[:, 1],
        "amplitude_se": fits.errors[:, 1],
        "length_um": length,
        "length_um_se": length * fits.errors[:, 0],
        "offset": fits.parameters[:, 2],
        "offset_se": fits.errors[:, 2],
        "r2": fits.r2,
    }
    is_limit = fits.at_low[:, 0] | fits.at_high[:, 0]
    return pd.DataFrame({**table, "status": fits.with_bounds(is_limit).tolist()})


def evaluate_decay(
    fit: Mapping[str, Any] | pd.Series | pd.DataFrame, distance_um: ArrayLike
) -> FloatArray:
    """Evaluate fitted decays.

    Parameters
    ----------
    fit : mapping, row or table
        The columns of :func:`fit_decay`; each a number or an array of one common shape.
    distance_um : float array, shape (distance,)
        Where to evaluate, micrometers.

    Returns
    -------
    float array, shape (..., distance)
        In the units of the fit; NaN where there was none.
    """
    columns = (np.asarray(fit[name], float)[..., None] for name in DECAY_COLUMNS[:3])
    amplitude, length, offset = columns
    curve: FloatArray = offset + amplitude * np.exp(-np.asarray(distance_um, float) / length)
    return curve


def _check_weights(weights: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    weight = np.asarray(weights, float)
    if weight.shape != shape:
        raise ShapeError(f"weights of shape {weight.shape} for values of shape {shape}; give equal")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise UnitsError("a weight is negative or not finite; give 0 for a value to leave out")
    used = int((weight > 0).sum(axis=1).min(initial=shape[1]))
    check_enough_points(used, 3, "distances with a weight above 0")
    return weight


def _family(distances: FloatArray) -> CurveFamily:
    """Shape parameter is the log of the length constant."""
    low, high = LENGTH_RANGE
    shortest, longest = low * np.diff(distances).min(), high * np.ptp(distances)
    bounds = float(np.log(shortest)), float(np.log(longest))

    def shape(parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        reach = distances / np.exp(parameters[:, :1])
        part = np.exp(-reach)
        return part, (reach * part)[:, None, :]

    return CurveFamily(shape, (np.linspace(*bounds, 40),), (bounds,))
