"""Permutation tests: is a selectivity, or a correlation, more than shuffled trials would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import CatalogError, ShapeError
from insilico.statistics.checks import check_count, matching_rows
from insilico.statistics.correlation import correlate_rows
from insilico.statistics.selectivity import (
    HARMONIC,
    check_even_spacing,
    direction_selectivity_index,
    orientation_selectivity_index,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Shuffled indices that equal the observed one but for rounding count as reaching it. The same
#: trials summed in another order differ by less than this fraction.
TIE_TOLERANCE = 1e-10
#: Numbers in one block of shuffled vector sums, which bounds memory: 4 million are 32 MB.
BLOCK_NUMBERS = 4_000_000


class CorrelationTest(NamedTuple):
    """A correlation over the rows of some trials, and its permutation p-value."""

    #: float: Pearson correlation, in [-1, 1]; NaN where either side is constant.
    observed: float
    #: float: two-sided, in [1 / (shuffle_count + 1), 1]; NaN where the correlation is.
    p_value: float


class SelectivityTest(NamedTuple):
    """Observed selectivity and its permutation p-value, one entry per neuron."""

    #: float array, shape (neuron,): the index of the mean tuning curve, in [0, 1] or NaN.
    observed: FloatArray
    #: float array, shape (neuron,): in [1 / (shuffle_count + 1), 1]; NaN where the index is NaN.
    p_value: FloatArray


def selectivity_permutation_test(
    responses: ArrayLike,
    direction_deg: ArrayLike,
    *,
    index: Literal["orientation", "direction"] = "orientation",
    shuffle_count: int = 1000,
    seed: int,
    condition: ArrayLike | None = None,
) -> SelectivityTest:
    """Test each neuron's selectivity against shuffled direction labels.

    Every shuffle permutes the labels of all trials once, for all neurons, and recomputes the index
    of the per-direction means. ``p = (k + 1) / (shuffle_count + 1)`` with k the number of shuffles
    whose index reaches the observed one. Because neurons share the shuffles their p-values are not
    independent, but each is valid.

    Parameters
    ----------
    responses : float array, shape (trial, neuron)
        Response of each trial, arbitrary units.
    direction_deg : float array, shape (trial,)
        Direction of each trial, degrees; the distinct ones evenly spaced, each at least twice. The
        counts may differ: directions weigh equally, as in the mean tuning curve.
    index : {"orientation", "direction"}
        Which selectivity index.
    shuffle_count : int
        Number of shuffles; the smallest p-value is ``1 / (shuffle_count + 1)``.
    seed : int
        Of the shuffles; they do not depend on the number of neurons.
    condition : int array, shape (trial,), optional
        Other parameters of each trial, such as its spatial frequency, as a label. Trials are then
        averaged within each direction and condition first, and labels are shuffled within
        conditions, so that an unbalanced design is not taken for tuning.

    Returns
    -------
    SelectivityTest
        ``observed`` and ``p_value``, each (neuron,). Both are NaN where the index of the mean
        tuning curve is not defined. A shuffle whose summed responses are not positive counts
        against the neuron.

    Raises
    ------
    ShapeError
        If the shapes disagree or a direction has fewer than two trials.
    UnitsError
        If the distinct directions are not evenly spaced or ``shuffle_count`` is below 1.
    CatalogError
        If ``index`` is neither of the two.

    References
    ----------
    ViV1T-closed-loop, tuning_direction/estimate_selectivity_indexes.py (100 shuffles, p = k / n,
    balanced by dropping trials). The correction by one: Phipson & Smyth 2010,
    doi:10.2202/1544-6115.1585.
    """
    trials, direction = np.asarray(responses, float), np.asarray(direction_deg, float)
    labels, distinct = _check(trials, direction, index, shuffle_count)
    group = np.zeros(len(labels), int) if condition is None else np.asarray(condition)
    weight = _weights(labels, group)
    compute_index = (
        orientation_selectivity_index if index == "orientation" else direction_selectivity_index
    )
    observed = compute_index(_mean_curves(trials, labels, weight), distinct)
    # Neurons without an index take no part, so that their NaN cannot spread.
    usable = np.isfinite(observed)
    # Each trial's share of the mean-curve sums: real part, imaginary part, total.
    phase = HARMONIC[index] * np.radians(distinct)
    shares = np.stack([np.cos(phase), np.sin(phase), np.ones(len(distinct))])[:, labels]
    reached = _count_reached(
        trials[:, usable],
        shares * weight,
        group,
        observed[usable],
        shuffle_count=shuffle_count,
        rng=np.random.default_rng(seed),
    )
    p_value = np.full(len(observed), np.nan)
    p_value[usable] = (reached + 1) / (shuffle_count + 1)
    return SelectivityTest(observed, p_value)


def correlation_permutation_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    trial: ArrayLike | None = None,
    shuffle_count: int = 1000,
    seed: int | Sequence[int],
) -> CorrelationTest:
    """Test the correlation of two traces against pairs of one's trials with the other's, shuffled.

    Neighboring frames of a trial resemble each other, so frames are no independent samples: a
    shuffle moves whole trials, and each only to the place of another as long, so that all that
    happens within a trial stays as it is. ``p = (k + 1) / (shuffle_count + 1)`` with k the number
    of shuffles whose correlation is as far from 0 as the observed one.

    Parameters
    ----------
    first, second : float array, shape (row,)
        Matching values.
    trial : array, shape (row,), optional
        The trial of each row; rows of one trial are in order. Each row is its own trial when left
        out.
    shuffle_count : int
        Number of shuffles; the smallest p-value is ``1 / (shuffle_count + 1)``.
    seed : int or sequence of int
        Of the shuffles.

    Returns
    -------
    CorrelationTest

    Raises
    ------
    ShapeError
        If the shapes disagree, or there are fewer than two rows.
    UnitsError
        If ``shuffle_count`` is below 1.

    References
    ----------
    The correction by one: Phipson & Smyth 2010, doi:10.2202/1544-6115.1585. Trials must be
    exchangeable: a drift over the session in both traces passes for a correlation.
    """
    one, two, labels = matching_rows(first, second, trial)
    check_count(shuffle_count, "shuffles")
    observed = float(correlate_rows(one[None], two[None])[0])
    if not np.isfinite(observed):
        return CorrelationTest(observed, float("nan"))
    # Shuffles change neither means nor variances: only the sum of products.
    one, two = one - one.mean(), two - two.mean()
    pairs = [(one[rows], two[rows]) for rows in rows_of_equal_trials(labels)]
    threshold = abs(one @ two) * (1 - TIE_TOLERANCE)
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(shuffle_count):
        sums = (np.vdot(left, right[rng.permutation(len(right))]) for left, right in pairs)
        reached += abs(sum(sums)) >= threshold
    return CorrelationTest(observed, (reached + 1) / (shuffle_count + 1))


def rows_of_equal_trials(trial: ArrayLike) -> list[IntArray]:
    """Return the rows of trials that can be exchanged: as long as each other.

    Parameters
    ----------
    trial : array, shape (row,)
        The trial of each row.

    Returns
    -------
    list of int64 array, shape (trial, frame)
        One a length, the shortest first.
    """
    _, index, length = np.unique(np.asarray(trial), return_inverse=True, return_counts=True)
    order = np.argsort(index.ravel(), kind="stable")
    starts = np.cumsum(length) - length
    return [
        order[starts[length == frames][:, None] + np.arange(frames)] for frames in np.unique(length)
    ]


def _check(
    trials: FloatArray, direction: FloatArray, index: str, shuffle_count: int
) -> tuple[IntArray, FloatArray]:
    """Refuse what cannot be tested; label trials by their direction modulo 360."""
    if trials.ndim != 2 or direction.shape != trials.shape[:1]:
        raise ShapeError(
            f"responses of shape {trials.shape} with directions of shape {direction.shape}; give "
            "(trial, neuron) and one direction per trial"
        )
    if index not in HARMONIC:
        raise CatalogError(f"no selectivity index {index!r}; choose one of {sorted(HARMONIC)}")
    check_count(shuffle_count, "shuffles")
    distinct, labels = np.unique(np.round(direction % 360.0, 6) % 360.0, return_inverse=True)
    fewest = int(np.bincount(labels).min(initial=len(labels)))
    if fewest < 2:
        raise ShapeError(
            f"the rarest direction has {fewest} trial(s); a permutation test needs at least two of "
            "each, so repeat the stimuli or leave that direction out"
        )
    check_even_spacing(distinct, HARMONIC[index])
    return labels, distinct


def _weights(labels: IntArray, group: IntArray) -> FloatArray:
    """Return each trial's weight in the mean of its direction: conditions weigh alike."""
    _, cell, size = np.unique(
        np.stack([labels, group]), axis=1, return_inverse=True, return_counts=True
    )
    pairs = np.unique(np.stack([labels, group]), axis=1)
    conditions = np.bincount(pairs[0].astype(int))
    weight: FloatArray = 1 / (size[cell.ravel()] * conditions[labels])
    return weight


def _mean_curves(trials: FloatArray, labels: IntArray, weight: FloatArray) -> FloatArray:
    """Mean responses per direction, shape (neuron, direction)."""
    membership = (labels == np.arange(labels.max() + 1)[:, None]) * weight
    with np.errstate(invalid="ignore"):
        curves: FloatArray = (membership @ trials).T
    return curves


def _count_reached(
    trials: FloatArray,
    shares: FloatArray,
    group: IntArray,
    observed: FloatArray,
    *,
    shuffle_count: int,
    rng: np.random.Generator,
) -> IntArray:
    """Count the shuffles whose index reaches the observed one, block by block."""
    trial_count, neuron_count = trials.shape
    reached = np.zeros(neuron_count, np.int64)
    block = max(1, BLOCK_NUMBERS // max(1, 3 * max(neuron_count, trial_count)))
    for first in range(0, shuffle_count, block):
        size = min(block, shuffle_count - first)
        orders = np.stack([_shuffle_within(group, rng) for _ in range(size)])
        real, imaginary, total = (share[orders] @ trials for share in shares)
        length = np.hypot(real, imaginary, out=real)
        threshold = observed * (1 - TIE_TOLERANCE) * total
        reached += ((length >= threshold) | (total <= 0)).sum(axis=0)
    return reached


def _shuffle_within(group: IntArray, rng: np.random.Generator) -> IntArray:
    """Return an order of the trials that mixes them within their groups only."""
    if (group == group[0]).all():
        return rng.permutation(len(group))
    order = np.empty(len(group), np.int64)
    order[np.argsort(group, kind="stable")] = np.lexsort((rng.random(len(group)), group))
    return order
