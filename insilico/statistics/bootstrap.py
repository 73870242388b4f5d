"""Confidence intervals by drawing neurons, or trials, again; seeded and vectorized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Numbers drawn at a time, which bounds memory: 2 million indices are 16 MB.
BLOCK_NUMBERS = 2_000_000


def bootstrap_means(
    values: FloatArray, *, draws: int = 2000, seed: int | Sequence[int]
) -> FloatArray:
    """Return the means of samples of neurons, drawn with replacement.

    They tell how a mean would vary had other neurons of the same animal been recorded, as if they
    were independent; neurons recorded together are not quite.

    Parameters
    ----------
    values : float array, shape (neuron, column)
        Without NaN; every column sees the same samples.
    draws : int
        Number of samples.
    seed : int or sequence of int
        Of the draws.

    Returns
    -------
    float array, shape (draw, column)
        NaN with fewer than two neurons, whose mean cannot vary.

    Raises
    ------
    UnitsError
        If ``draws`` is below 1.
    """
    if draws < 1:
        raise UnitsError(f"{draws!r} bootstrap draws; give at least 1, better 1000 or more")
    count = len(values)
    means = np.full((draws, values.shape[1]), np.nan)
    if count < 2:
        return means
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_NUMBERS // count)
    for first in range(0, draws, block):
        size = min(block, draws - first)
        chosen = rng.integers(count, size=(size, count))
        for column in range(values.shape[1]):
            means[first : first + size, column] = values[:, column][chosen].mean(axis=1)
    return means


def bootstrap_correlations(
    first: ArrayLike,
    second: ArrayLike,
    *,
    trial: ArrayLike | None = None,
    draws: int = 2000,
    seed: int | Sequence[int],
) -> FloatArray:
    """Return the correlations over samples of trials, drawn whole and with replacement.

    Parameters
    ----------
    first, second : float array, shape (row,)
        Matching values, without NaN.
    trial : array, shape (row,), optional
        The trial of each row; each row is its own when left out.
    draws : int
        Number of samples.
    seed : int or sequence of int
        Of the draws.

    Returns
    -------
    float array, shape (draw,)
        Pearson correlations; draws in which either side is constant, such as those of a single
        image, have none and are left out.

    Raises
    ------
    ShapeError
        If the shapes disagree.
    UnitsError
        If ``draws`` is below 1.
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    labels = np.arange(len(one)) if trial is None else np.asarray(trial)
    if one.ndim != 1 or two.shape != one.shape or labels.shape != one.shape:
        raise ShapeError(
            f"traces of shapes {one.shape} and {two.shape} with trials of shape {labels.shape}; "
            "give two values and a trial a row"
        )
    if draws < 1:
        raise UnitsError(f"{draws!r} bootstrap draws; give at least 1, better 1000 or more")
    # About the means, sums of squares keep their digits.
    one, two = one - one.mean(), two - two.mean()
    columns = np.stack([np.ones_like(one), one, two, one * one, two * two, one * two], axis=1)
    _, index = np.unique(labels, return_inverse=True)
    sums = np.zeros((index.max() + 1, columns.shape[1]))
    np.add.at(sums, index.ravel(), columns)
    drawn = np.empty((draws, columns.shape[1]))
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_NUMBERS // len(sums))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        chosen = rng.integers(len(sums), size=(size, len(sums)))
        drawn[start : start + size] = sums[chosen].sum(axis=1)
    count, total_one, total_two, square_one, square_two, product = drawn.T
    power_one, power_two = square_one - total_one**2 / count, square_two - total_two**2 / count
    varies = (power_one > 1e-12 * sums[:, 3].sum()) & (power_two > 1e-12 * sums[:, 4].sum())
    covariance = (product - total_one * total_two / count)[varies]
    correlations: FloatArray = covariance / np.sqrt(power_one * power_two)[varies]
    return np.clip(correlations, -1.0, 1.0)


def percentile_interval(samples: FloatArray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the ends of the central part of some samples; NaN where one is NaN.

    Raises
    ------
    UnitsError
        If ``confidence`` is not between 0 and 1.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 (percentile interval).
    """
    if not 0 < confidence < 1:
        raise UnitsError(f"a confidence of {confidence!r}; give one between 0 and 1, such as 0.95")
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
