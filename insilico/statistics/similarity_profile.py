"""How similarity falls with distance across cortex, at each depth difference and over all."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.statistics.distance_bins import (
    PUBLISHED_HORIZONTAL_STEP_UM,
    PUBLISHED_LARGEST_HORIZONTAL_UM,
    PUBLISHED_VERTICAL_STEP_UM,
    EdgeBinning,
    PublishedBinning,
)
from insilico.statistics.pairs import usable_neurons
from insilico.statistics.similarity import (
    PairSums,
    jackknife_covariance,
    sum_pairs,
    summarize_pairs,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Labels = dict[str, FloatArray]


class SimilarityProfile(NamedTuple):
    """Mean similarity by distance, and how the errors of the means hang together."""

    #: DataFrame: see :func:`similarity_profile`.
    table: pd.DataFrame
    #: float array, shape (profile, horizontal, horizontal): covariance of the means of each
    #: depth difference, and last of all together.
    covariance: FloatArray


def similarity_profile(
    curves: ArrayLike,
    position_um: ArrayLike,
    *,
    horizontal_edges_um: ArrayLike,
    vertical_edges_um: ArrayLike,
    other_curves: ArrayLike | None = None,
    is_published: bool = False,
) -> SimilarityProfile:
    """Return the mean correlation of the pairs of one mouse by their distance in cortex.

    Parameters
    ----------
    curves, position_um, horizontal_edges_um, vertical_edges_um, other_curves
        As in :func:`insilico.statistics.similarity.similarity_by_distance`.
    is_published : bool
        Take the published bins instead of the edges.

    Returns
    -------
    SimilarityProfile
        Its table has one row a bin, horizontal distances within depth differences, and then the
        horizontal distances at all depth differences of the bins together (``is_pooled``). Columns
        as :func:`insilico.statistics.similarity.similarity_by_distance`, and
        ``even_horizontal_um``, the mean distance within the bin of pairs that are spread evenly
        across cortex, which lies above its center: where a fit should take the bin to be.

    Raises
    ------
    ShapeError, UnitsError
        As :func:`insilico.statistics.similarity.similarity_by_distance`.

    References
    ----------
    As there. Mean distance in a ring of radii a and b: 2 (b^3 - a^3) / (3 (b^2 - a^2)).
    """
    neurons = usable_neurons(curves, other_curves, position_um, None)
    if is_published:
        published = PublishedBinning(neurons.position_um)
        shape = published.shape
        labels = _published_labels(published)
        sums = sum_pairs(published, neurons)
    else:
        edges = EdgeBinning(horizontal_edges_um, vertical_edges_um)
        shape = (len(edges.horizontal) - 1, len(edges.vertical) - 1)
        labels = edges.labels
        sums = sum_pairs(edges, neurons)
    grids = {name: values.reshape(shape) for name, values in labels.items()}
    tables, covariances = [], []
    for column in range(shape[1]):
        part = _choose(sums, shape, [column])
        tables.append(_tabulate(part, {name: grid[:, column] for name, grid in grids.items()}))
        covariances.append(jackknife_covariance(part))
    everything = _choose(sums, shape, list(range(shape[1])))
    tables.append(_tabulate(everything, _pooled_labels(grids)).assign(is_pooled=True))
    covariances.append(jackknife_covariance(everything))
    return SimilarityProfile(pd.concat(tables, ignore_index=True), np.stack(covariances))


def _choose(sums: PairSums, shape: tuple[int, int], columns: list[int]) -> PairSums:
    """Return the sums of some depth differences together, shape (..., horizontal)."""
    return PairSums(
        *(part.reshape(*part.shape[:-1], *shape)[..., columns].sum(axis=-1) for part in sums)
    )


def _tabulate(sums: PairSums, labels: Labels) -> pd.DataFrame:
    low, high = labels["horizontal_low_um"], labels["horizontal_high_um"]
    with np.errstate(invalid="ignore"):
        even = 2 * (high**3 - low**3) / (3 * (high**2 - low**2))
    named = {**labels, "even_horizontal_um": even}
    table = summarize_pairs(named, [sums], error_source="neurons")
    table.insert(len(named), "is_pooled", False)
    return table


def _pooled_labels(grids: Labels) -> Labels:
    """Return the labels of all depth differences together."""
    labels = {name: grid[:, 0] for name, grid in grids.items() if name.startswith(("h", "d"))}
    low, high = grids["vertical_low_um"].min(axis=1), grids["vertical_high_um"].max(axis=1)
    return labels | {
        "vertical_um": (low + high) / 2,
        "vertical_low_um": low,
        "vertical_high_um": high,
    }


def _published_labels(binning: PublishedBinning) -> Labels:
    """Return the published labels, and what the bins hold in fact (a border may be in either)."""
    d_um, v_um = binning.labels["d_um"], binning.labels["v_um"]
    half = PUBLISHED_HORIZONTAL_STEP_UM / 2, PUBLISHED_VERTICAL_STEP_UM / 2
    low = np.maximum(d_um - PUBLISHED_HORIZONTAL_STEP_UM - half[0], 0)
    high = np.minimum(d_um - half[0], PUBLISHED_LARGEST_HORIZONTAL_UM)
    bottom, top = np.maximum(v_um - half[1], 0), v_um + half[1]
    return {
        "horizontal_um": (low + high) / 2,
        "horizontal_low_um": low,
        "horizontal_high_um": high,
        "vertical_um": (bottom + top) / 2,
        "vertical_low_um": bottom,
        "vertical_high_um": top,
        **binning.labels,
    }
