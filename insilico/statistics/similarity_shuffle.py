"""Are neighbors more alike than neurons that trade places: the chance level of similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from insilico.statistics.checks import check_count
from insilico.statistics.distance_bins import EdgeBinning
from insilico.statistics.pairs import Neurons, pair_blocks, usable_neurons

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Shuffled means that equal the observed one but for rounding count as reaching it.
TIE_TOLERANCE = 1e-12


def similarity_shuffle_test(
    curves: ArrayLike,
    position_um: ArrayLike,
    *,
    horizontal_edges_um: ArrayLike,
    vertical_edges_um: ArrayLike,
    other_curves: ArrayLike | None = None,
    mouse: ArrayLike | None = None,
    shuffle_count: int = 1000,
    seed: int | Sequence[int],
) -> pd.DataFrame:
    """Test the mean similarity in every bin of distance against shuffled places.

    A shuffle deals the places of a mouse to its neurons anew. What neurons have in common wherever
    they lie, such as a preference of the whole population, stays and makes the chance level; what
    depends on distance is lost. A test over pairs (Mann-Whitney against
    the farthest bin, as published) takes pairs that share a neuron as independent. Between bins of
    an evenly sampled field that does little harm (shuffled mouse B: 3 to 5 % of tests below 0.05);
    where neurons lie more densely in some places, it rejects far too often.

    Parameters
    ----------
    curves, position_um, horizontal_edges_um, vertical_edges_um, other_curves, mouse
        As in :func:`insilico.statistics.similarity.similarity_by_distance`. Time and memory grow
        with the pairs in a bin: leave out distances that do not matter.
    shuffle_count : int
        Number of shuffles; the smallest p-value is ``2 / (shuffle_count + 1)``.
    seed : int or sequence of int
        Of the shuffles.

    Returns
    -------
    pandas.DataFrame
        One row a bin: its labels, ``mean`` similarity, ``chance`` and ``chance_sd`` of the shuffled
        means, ``p_value`` (two-sided, twice the smaller side), ``pair_count`` and
        ``shuffle_count``. NaN in bins without pairs.

    Raises
    ------
    ShapeError, UnitsError
        As :func:`insilico.statistics.similarity.similarity_by_distance`; and if ``shuffle_count``
        is below 1.

    References
    ----------
    Published chance level: the mean of 5,000 pairs, not a shuffle (ViV1T-closed-loop,
    tuning_direction/visualize_tuning_similarity.py). The correction by one: Phipson & Smyth 2010,
    doi:10.2202/1544-6115.1585.
    """
    check_count(shuffle_count, "shuffles")
    binning = EdgeBinning(horizontal_edges_um, vertical_edges_um)
    mice = usable_neurons(curves, other_curves, position_um, mouse).by_mouse()
    neighbors = [_neighbors(binning, own.position_um) for own in mice]
    pair_count = np.zeros(binning.count)
    for own, matrix in zip(mice, neighbors, strict=True):
        pair_count += matrix.sum(axis=1).reshape(binning.count, len(own.mouse)).sum(axis=1)
    rng = np.random.default_rng(seed)
    observed, *shuffled = (
        sum(
            (
                _sums(matrix, own if shuffle == 0 else own.choose(rng.permutation(len(own.mouse))))
                for own, matrix in zip(mice, neighbors, strict=True)
            ),
            start=np.zeros(binning.count),
        )
        for shuffle in range(shuffle_count + 1)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, null = observed / pair_count, np.array(shuffled) / pair_count
    return pd.DataFrame(
        {
            **binning.labels,
            "mean": mean,
            "chance": null.mean(axis=0),
            "chance_sd": null.std(axis=0),
            "p_value": np.where(pair_count > 0, _two_sided(mean, null), np.nan),
            "pair_count": pair_count.astype(np.int64),
            "shuffle_count": shuffle_count,
        }
    )


def _two_sided(observed: FloatArray, null: FloatArray) -> FloatArray:
    """Return twice the smaller of both one-sided p-values, at most 1."""
    above = (null >= observed - TIE_TOLERANCE).sum(axis=0) + 1
    below = (null <= observed + TIE_TOLERANCE).sum(axis=0) + 1
    p_value: FloatArray = np.minimum(1.0, 2 * np.minimum(above, below) / (len(null) + 1))
    return p_value


def _neighbors(binning: EdgeBinning, position_um: FloatArray) -> Any:
    """Return which neurons are pairs in which bin: a sparse matrix (bin and neuron, neuron)."""
    count = len(position_um)
    rows, columns = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for own, other, bins in pair_blocks(binning, position_um):
        row, column = np.nonzero(bins < binning.count)
        rows.append((bins[row, column] * count + row + own.start).astype(np.int32))
        columns.append((column + other.start).astype(np.int32))
    row, column = np.concatenate(rows), np.concatenate(columns)
    shape = (binning.count * count, count)
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)


def _sums(neighbors: Any, neurons: Neurons) -> FloatArray:
    """Return the summed similarity of the pairs of every bin."""
    one, two = neurons.curves
    total = _products(neighbors, one, two)
    return total if one is two else (total + _products(neighbors, two, one)) / 2


def _products(neighbors: Any, one: FloatArray, two: FloatArray) -> FloatArray:
    pooled = (neighbors @ two).reshape(-1, *one.shape)
    total: FloatArray = np.einsum("bns,ns->b", pooled, one)
    return total
