"""Correlation of matching rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def correlate_rows(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Pearson correlation of each row of one array with the same row of another.

    Parameters
    ----------
    first, second : float array, shape (row, ...)
        Equal shapes; everything after the first axis is one sample. Computed in double precision
        with one working copy.

    Returns
    -------
    float array, shape (row,)
        In [-1, 1]; NaN where a row is constant, to within the rounding of its dtype, or holds NaN
        or infinity.

    Raises
    ------
    ShapeError
        If the shapes differ, there is no row axis, or a row has fewer than two values.
    """
    one, two = np.asarray(first), np.asarray(second)
    if one.shape != two.shape or one.ndim < 2 or np.prod(one.shape[1:]) < 2:
        raise ShapeError(
            f"rows of shapes {one.shape} and {two.shape}; give two arrays of one shape (row, ...) "
            "with at least two values a row"
        )
    one, two = one.reshape(len(one), -1), two.reshape(len(two), -1)
    work = np.empty(one.shape, float)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        power_two, _ = _center(two, work)
        power_one, left = _center(one, work)
        # `work` sums to zero only up to rounding; take out what a large mean would make of that.
        product = np.einsum("rs,rs->r", work, two) - left * two.mean(axis=1, dtype=float)
        correlation: FloatArray = product / np.sqrt(power_one * power_two)
    return np.clip(correlation, -1.0, 1.0)


def _center(rows: np.ndarray[Any, Any], work: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Write centered rows into ``work``; return their power, NaN where constant, and their sum."""
    np.subtract(rows, rows.mean(axis=1, dtype=float)[:, None], out=work)
    power = np.einsum("rs,rs->r", work, work)
    largest = np.maximum(rows.max(axis=1).astype(float), -rows.min(axis=1).astype(float))
    rounding = 8 * np.finfo(rows.dtype if rows.dtype.kind == "f" else float).eps
    is_constant = power <= rows.shape[1] * (rounding * largest) ** 2
    return np.where(is_constant, np.nan, power), work.sum(axis=1)
