"""Do neurons that lie close together respond alike: similarity of all pairs against distance.

Every pair of neurons of a mouse counts, so 8,000 neurons make 32 million pairs. They are worked
through in blocks and only sums are kept.

Pairs are not independent, since every neuron takes part in thousands of them: the standard error is
that of leaving out one neuron, or one mouse, at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import CatalogError
from insilico.statistics.distance_bins import Binning, EdgeBinning, PublishedBinning
from insilico.statistics.pairs import Neurons, pair_blocks, usable_neurons

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

ErrorSource = Literal["neurons", "mice"]


class PairSums(NamedTuple):
    """Sums over the pairs of every bin; the last bin, of pairs in none, is cut off."""

    #: float array, shape (bin,): of squared similarities.
    squares: FloatArray
    #: float array, shape (neuron, bin): of the similarities of each neuron's pairs.
    total: FloatArray
    #: float array, shape (neuron, bin): each neuron's pairs.
    pairs: FloatArray


def similarity_by_distance(
    curves: ArrayLike,
    position_um: ArrayLike,
    *,
    horizontal_edges_um: ArrayLike,
    vertical_edges_um: ArrayLike,
    other_curves: ArrayLike | None = None,
    mouse: ArrayLike | None = None,
    error_source: ErrorSource = "neurons",
) -> pd.DataFrame:
    """Return the mean correlation of pairs of neurons by their distance in cortex.

    Parameters
    ----------
    curves : float array, shape (neuron, stimulus)
        Tuning curves: the correlation is the tuning similarity. Mean responses to many stimuli: the
        signal correlation.
    position_um : float array, shape (neuron, 3)
        x, y and depth, µm. Horizontal distance is that in x and y; vertical that in depth.
    horizontal_edges_um, vertical_edges_um : float array, shape (bin + 1,)
        Increasing; a distance that equals an edge lies above it. ``[0, inf]`` takes all.
    other_curves : float array, shape (neuron, stimulus), optional
        The same from other trials. A pair's similarity is then the mean of the correlations of one
        neuron's ``curves`` with the other's ``other_curves``: noise that neurons share within a
        trial, and share more the closer they lie, no longer passes for similarity. Noise in the
        curves still pulls it to zero.
    mouse : array, shape (neuron,), optional
        The mouse of each neuron; pairs are within a mouse, and pooled.
    error_source : {"neurons", "mice"}
        What the standard error leaves out one at a time. "mice" needs two at least, and speaks of
        other mice.

    Returns
    -------
    pandas.DataFrame
        One row a bin: ``horizontal_um`` and ``vertical_um``, its center, with ``*_low_um`` and
        ``*_high_um``; ``mean`` and ``sd`` of the pairs' similarity; ``standard_error`` of the mean;
        ``pair_count``; ``neuron_count`` with a pair in the bin; ``error_source``. Without pairs
        ``mean`` is NaN. A neuron whose curve is constant or not finite, or whose position is not
        known, has no pairs.

    Raises
    ------
    ShapeError
        If the shapes disagree or there are fewer than two stimuli.
    UnitsError
        If edges do not increase from 0 or more.
    CatalogError
        If ``error_source`` is not one of the two, or is "mice" with a single mouse.

    References
    ----------
    Question: Ringach et al. 2016, doi:10.1038/ncomms12270. Rules of the published analysis:
    ViV1T-closed-loop, tuning_direction/estimate_tuning_similarity.py; changed: bins are labeled by
    their centers, missing pairs are left out alone, the error is not that of independent pairs.
    Standard error: the jackknife of a mean over pairs, Arvesen 1969, doi:10.1214/aoms/1177697287.
    """
    binning = EdgeBinning(horizontal_edges_um, vertical_edges_um)
    neurons = usable_neurons(curves, other_curves, position_um, mouse)
    return _tabulate(binning, neurons, error_source=error_source)


def published_similarity_by_distance(
    curves: ArrayLike,
    position_um: ArrayLike,
    *,
    mouse: ArrayLike | None = None,
    error_source: ErrorSource = "neurons",
) -> pd.DataFrame:
    """Return the same with the published bins, to compare with published numbers.

    Parameters
    ----------
    curves, position_um, mouse, error_source
        As in :func:`similarity_by_distance`.

    Returns
    -------
    pandas.DataFrame
        As :func:`similarity_by_distance`, with the published labels ``d_um`` and ``v_um`` for the
        bin. ``d_um = 25`` holds horizontal distances up to 12.5 µm, 50 those from 12.5 to 37.5.

    Raises
    ------
    ShapeError, CatalogError
        As :func:`similarity_by_distance`.

    References
    ----------
    ViV1T-closed-loop, tuning_direction/estimate_tuning_similarity.py: pairs below 175 µm,
    ``d = 25 * (round(h / 25) + 1)``, ``v = 50 * round(v / 50)``, halves rounded to even.
    """
    neurons = usable_neurons(curves, None, position_um, mouse)
    return _tabulate(PublishedBinning(neurons.position_um), neurons, error_source=error_source)


def _tabulate(binning: Binning, neurons: Neurons, *, error_source: str) -> pd.DataFrame:
    """Return the table of all pairs, mouse by mouse."""
    mice = neurons.by_mouse()
    if error_source not in ("neurons", "mice"):
        raise CatalogError(f"no error source {error_source!r}; choose 'neurons' or 'mice'")
    if error_source == "mice" and len(mice) < 2:
        raise CatalogError("a standard error over mice needs two or more; choose 'neurons'")
    return summarize_pairs(
        binning.labels, [sum_pairs(binning, mouse) for mouse in mice], error_source=error_source
    )


def summarize_pairs(
    labels: Mapping[str, FloatArray], parts: Sequence[PairSums], *, error_source: str
) -> pd.DataFrame:
    """Turn sums over pairs into a table.

    Parameters
    ----------
    labels : mapping of str to float array, shape (bin,)
        Columns that say what the bins are.
    parts : sequence of PairSums
        One a mouse.
    error_source : {"neurons", "mice"}
        As for :func:`similarity_by_distance`.

    Returns
    -------
    pandas.DataFrame
        As :func:`similarity_by_distance`, with these labels.
    """
    bin_count = len(next(iter(labels.values())))
    nothing = np.zeros((0, bin_count))
    squares = np.sum([np.zeros(bin_count), *(part.squares for part in parts)], axis=0)
    total = np.concatenate([nothing, *(part.total for part in parts)])
    count = np.concatenate([nothing, *(part.pairs for part in parts)])
    neuron_count = (count > 0).sum(axis=0)
    # Each pair is in the sums of both its neurons.
    pair_total, pair_count = total.sum(axis=0) / 2, count.sum(axis=0) / 2
    if error_source == "mice":
        total = np.array([part.total.sum(axis=0) / 2 for part in parts])
        count = np.array([part.pairs.sum(axis=0) / 2 for part in parts])
    mean, sd = _moments(pair_total, squares, pair_count)
    return pd.DataFrame(
        {
            **labels,
            "mean": mean,
            "sd": sd,
            "standard_error": _jackknife_error(pair_total, pair_count, total, count),
            "pair_count": np.rint(pair_count).astype(np.int64),
            "neuron_count": neuron_count,
            "error_source": error_source,
        }
    )


def _moments(
    total: FloatArray, squares: FloatArray, count: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation over pairs; NaN without enough of them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        variance = (squares - count * mean**2) / (count - 1)
    sd = np.sqrt(np.where(count > 1, np.maximum(variance, 0.0), np.nan))
    return mean, sd


def _jackknife_error(
    pair_total: FloatArray, pair_count: FloatArray, total: FloatArray, count: FloatArray
) -> FloatArray:
    """Return the error of the mean over pairs from leaving out one row of sums at a time."""
    deviation = _left_out_deviations(pair_total, pair_count, total, count)
    error: FloatArray = np.sqrt((deviation**2).sum(axis=0))
    return np.where((count > 0).sum(axis=0) > 1, error, np.nan)


def jackknife_covariance(sums: PairSums) -> FloatArray:
    """Return the covariance of the means of the bins, from leaving out one neuron at a time.

    Parameters
    ----------
    sums : PairSums
        Of one mouse.

    Returns
    -------
    float array, shape (bin, bin)
        Bins share neurons, so their means vary together. The diagonal is the squared standard
        error of :func:`similarity_by_distance`; NaN where that is.
    """
    total, count = sums.total, sums.pairs
    deviation = _left_out_deviations(total.sum(axis=0) / 2, count.sum(axis=0) / 2, total, count)
    # A mean that rests on a single pair, or on one neuron's, is gone without it.
    is_known = ((count > 0).sum(axis=0) > 1) & np.isfinite(deviation).all(axis=0)
    deviation = np.where(is_known, deviation, 0.0)
    covariance: FloatArray = deviation.T @ deviation
    return np.where(is_known[:, None] & is_known, covariance, np.nan)


def _left_out_deviations(
    pair_total: FloatArray, pair_count: FloatArray, total: FloatArray, count: FloatArray
) -> FloatArray:
    """Return by how much the mean changes without one row of sums, scaled to add up to variances.

    Rows without a pair in a bin are no part of its sample.
    """
    takes_part = count > 0
    rows = takes_part.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (pair_total - total) / (pair_count - count)
        left = np.where(takes_part, left, 0.0)
        scale = np.sqrt((rows - 1) / rows)
        deviation: FloatArray = np.where(takes_part, left - left.sum(axis=0) / rows, 0.0) * scale
    return deviation


def sum_pairs(binning: Binning, neurons: Neurons) -> PairSums:
    """Sum the similarities of all pairs of one mouse in every bin.

    Parameters
    ----------
    binning : Binning
        Bins of distance.
    neurons : Neurons
        Of one mouse.

    Returns
    -------
    PairSums
        Neurons in the order of ``neurons``.
    """
    one, two = neurons.curves
    # One more bin for the pairs that are in none.
    squares = np.zeros(binning.count + 1)
    total, count = np.zeros((2, len(one), binning.count + 1))
    for rows, columns, bins in pair_blocks(binning, neurons.position_um):
        similarity = one[rows] @ two[columns].T
        if one is not two:
            similarity = (similarity + two[rows] @ one[columns].T) / 2
        _add(
            bins, similarity, squares, (total[rows], total[columns]), (count[rows], count[columns])
        )
    return PairSums(squares[:-1], total[:, :-1], count[:, :-1])


def _add(
    bins: IntArray,
    similarity: FloatArray,
    squares: FloatArray,
    totals: tuple[FloatArray, FloatArray],
    counts: tuple[FloatArray, FloatArray],
) -> None:
    """Add one block of pairs to the sums of both their neurons."""
    width = len(squares)
    squares += np.bincount(bins.ravel(), (similarity**2).ravel(), minlength=width)
    places = [np.arange(length) * width for length in bins.shape]
    for total, count, place in zip(
        totals, counts, (places[0][:, None], places[1][None, :]), strict=True
    ):
        index = (bins + place).ravel()
        total += np.bincount(index, similarity.ravel(), minlength=total.size).reshape(total.shape)
        count += np.bincount(index, minlength=count.size).reshape(count.shape)
