"""Angles that come around: differences and correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def wrapped_difference(first: ArrayLike, second: ArrayLike, *, period: float) -> FloatArray:
    """Return first minus second the short way around.

    Parameters
    ----------
    first, second : float array
        Angles; shapes broadcast.
    period : float
        Of the angles, in their unit, > 0: 360 for directions in degrees, 180 for orientations.

    Returns
    -------
    float array
        In [-period/2, period/2); NaN where either is.

    Raises
    ------
    UnitsError
        If the period is not positive.
    """
    _check(period)
    half = period / 2
    difference = np.asarray(first, float) - np.asarray(second, float)
    return np.asarray((difference + half) % period - half)


def circular_correlation(first: ArrayLike, second: ArrayLike, *, period: float) -> float:
    """Correlate angles with angles.

    Parameters
    ----------
    first, second : float array, shape (neuron,)
        Pairs with NaN are left out.
    period : float
        As for :func:`wrapped_difference`.

    Returns
    -------
    float
        1 where the second angle is the first plus a constant, -1 where it is a constant minus the
        first, about 0 for independent angles, however they are distributed; NaN below two pairs or
        where either side is constant.

    Raises
    ------
    ShapeError
        If the shapes disagree.
    UnitsError
        If the period is not positive.

    References
    ----------
    Fisher & Lee 1983, doi:10.1093/biomet/70.2.327, the estimate of their eq. 2 in the form of
    Fisher 1993, Statistical Analysis of Circular Data, eq. 6.36.
    """
    _check(period)
    one, two = np.asarray(first, float), np.asarray(second, float)
    if one.ndim != 1 or one.shape != two.shape:
        raise ShapeError(f"angles of shapes {one.shape} and {two.shape}; give two angles a neuron")
    known = np.isfinite(one) & np.isfinite(two)
    a, b = (2 * np.pi * angles[known] / period for angles in (one, two))
    count = len(a)
    product = (np.cos(a) @ np.cos(b)) * (np.sin(a) @ np.sin(b)) - (np.cos(a) @ np.sin(b)) * (
        np.sin(a) @ np.cos(b)
    )
    spread = [
        count**2 - np.cos(2 * side).sum() ** 2 - np.sin(2 * side).sum() ** 2 for side in (a, b)
    ]
    # Equal angles leave rounding of the size of count squared.
    if count < 2 or min(spread) <= 1e-12 * count**2:
        return float("nan")
    return float(np.clip(4 * product / np.sqrt(spread[0] * spread[1]), -1, 1))


def _check(period: float) -> None:
    if not (np.isfinite(period) and period > 0):
        raise UnitsError(f"a period of {period!r}; give a positive number")
