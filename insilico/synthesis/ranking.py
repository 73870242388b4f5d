"""Orders and weights of neurons, with ties and missing values treated by stated rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from insilico.errors import NotFittedError, ShapeError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def rank_neurons(table: pd.DataFrame, measures: Sequence[str]) -> tuple[FloatArray, IntArray]:
    """Add the average ranks of several measures, and order neurons by the sum.

    Parameters
    ----------
    table : DataFrame, one row a neuron
        Has the measures, of which more is better, and ``field_reliability``.
    measures : sequence of str
        Columns; without any the order is that of the table.

    Returns
    -------
    rank_sum : float array, shape (neuron,)
        Each measure gives 1 to its largest value, and the mean of their ranks to equal ones. NaN
        for neurons that lack a measure, who move nobody's rank.
    place : int array, shape (neuron,)
        From 0, the best: by smallest sum; of equal ones by the larger first measure, the larger
        field reliability, the place in the table. Neurons that lack a measure come last.

    References
    ----------
    ViV1T-closed-loop, most_exciting_stimulus/estimate_neuron_reliability.py adds ordinal ranks,
    which break ties by index.
    """
    count = len(table)
    rank_sum, keys = np.full(count, np.nan), [np.arange(count, dtype=float)]
    if measures:
        values = table[list(measures)].to_numpy(float)
        is_known = np.isfinite(values).all(axis=1)
        if is_known.any():
            rank_sum[is_known] = rankdata(-values[is_known], method="average", axis=0).sum(axis=1)
        by_field = table["field_reliability"].to_numpy(float)
        keys += [-by_field, -values[:, 0], rank_sum]
    order = np.lexsort([np.where(np.isnan(key), np.inf, key) for key in keys])
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    return rank_sum, place


def population_weights(correlation: ArrayLike, usable: ArrayLike) -> FloatArray:
    """Weigh the neurons of a population by how well they are predicted.

    Parameters
    ----------
    correlation : float array, shape (neuron,)
        Prediction correlations; NaN where not known.
    usable : bool array, shape (neuron,)
        Who counts, such as neurons with a usable receptive field.

    Returns
    -------
    float array, shape (neuron,)
        ``max(correlation, 0)`` divided by its sum over usable neurons; 0 for all others and where
        the correlation is not known. They add up to 1.

    Raises
    ------
    NotFittedError
        If no usable neuron has a correlation above 0.
    ShapeError
        If the two do not match.

    References
    ----------
    ViV1T-closed-loop, viv1t/utils/utils.py, where neurons without a receptive field have weights
    too, and one NaN makes all weights of the mouse NaN.
    """
    values, counts = np.asarray(correlation, float), np.asarray(usable)
    if values.ndim != 1 or counts.shape != values.shape or counts.dtype != bool:
        raise ShapeError(
            f"correlations of shape {values.shape} and usable neurons of shape {counts.shape} and "
            f"type {counts.dtype} were given; give one number and one truth value a neuron"
        )
    weights = np.where(counts & np.isfinite(values), np.maximum(np.nan_to_num(values), 0), 0.0)
    total = weights.sum()
    if not total > 0:
        raise NotFittedError(
            f"none of the {counts.sum():,} usable of {len(values):,} neurons has a prediction "
            "correlation above 0, so a population has no weights; choose other neurons"
        )
    return np.asarray(weights / total)
