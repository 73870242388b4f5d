"""Confidence intervals by drawing neurons again, seeded and vectorized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from insilico.errors import UnitsError

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
