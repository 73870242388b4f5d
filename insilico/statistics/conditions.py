"""Does a neuron tell two conditions apart, or a condition from baseline: tests over trials."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import CatalogError, ShapeError
from insilico.statistics.checks import check_count

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Shuffles that equal the observed statistic but for rounding count as reaching it.
TIE_TOLERANCE = 1e-6
#: Squared statistics below it are zero but for rounding; one that matters is near 1.
ZERO_TOLERANCE = 1e-12
#: Variance within conditions below this fraction of the variance of all trials is rounding.
VARIANCE_FLOOR = 1e-8
#: Numbers in one block of shuffled sums, which bounds memory: 2 million are 16 MB.
BLOCK_NUMBERS = 2_000_000

Alternative = Literal["two-sided", "greater"]


class ConditionTest(NamedTuple):
    """Difference between two conditions and its permutation p-value, one entry a neuron."""

    #: float array, shape (neuron,): mean of the first minus mean of the second condition.
    difference: FloatArray
    #: float array, shape (neuron,): in [1 / (shuffle_count + 1), 1]; NaN where the difference is.
    p_value: FloatArray


def condition_difference_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    is_paired: bool = False,
    alternative: Alternative = "two-sided",
    shuffle_count: int = 1000,
    seed: int,
) -> ConditionTest:
    """Test each neuron's difference between two conditions against shuffled trials.

    Whether a neuron responds to a stimulus is the same question: give the responses first, the
    blank trials second (or, paired, the baseline before each response) and
    ``alternative="greater"`` for excitation only.

    Every shuffle serves all neurons, so their p-values are not independent, but each is valid.

    Parameters
    ----------
    first, second : float array, shape (trial, neuron)
        Response of each trial, in one unit. At least two trials of each.
    is_paired : bool
        Whether trial k of both belongs together: a response and its baseline, or two conditions
        that are equal in all else. A shuffle then exchanges the sides of some pairs; otherwise it
        deals all trials to the two conditions anew. Trials of several kinds, such as directions,
        are best paired by kind; shuffled across kinds the test loses power.
    alternative : {"two-sided", "greater"}
        "greater": only a larger first condition counts.
    shuffle_count : int
        Number of shuffles; the smallest p-value is ``1 / (shuffle_count + 1)``, and no smaller than
        the number of distinct shuffles allows (paired: 2 in 2^trials).
    seed : int
        Of the shuffles; they do not depend on the number of neurons.

    Returns
    -------
    ConditionTest
        NaN for neurons with a trial that is not finite.

    Raises
    ------
    ShapeError
        If the shapes do not match, or a condition has fewer than two trials.
    UnitsError
        If ``shuffle_count`` is below 1.
    CatalogError
        If ``alternative`` is neither of the two.

    References
    ----------
    Unpaired, the statistic is Welch's t, so that the test also holds, for many trials, where the
    conditions have one mean but different variances: Janssen 1997,
    doi:10.1016/S0167-7152(97)00043-6; Chung & Romano 2013, doi:10.1214/13-AOS1090. Paired, it is
    the mean difference: Fisher 1935, The Design of Experiments, section 21. The correction by one:
    Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.
    """
    one, two = _check(first, second, is_paired=is_paired, alternative=alternative)
    check_count(shuffle_count, "shuffles")
    with np.errstate(invalid="ignore"):
        difference = one.mean(axis=0) - two.mean(axis=0)
    usable = np.isfinite(one).all(axis=0) & np.isfinite(two).all(axis=0)
    one, two = one[:, usable], two[:, usable]
    trials = (
        _standardize(one - two, center=False)
        if is_paired
        else _standardize(np.concatenate([one, two]), center=True)
    )
    reached = _count_reached(
        trials,
        None if is_paired else len(one),
        is_one_sided=alternative == "greater",
        shuffle_count=shuffle_count,
        rng=np.random.default_rng(seed),
    )
    p_value = np.full(len(difference), np.nan)
    p_value[usable] = (reached + 1) / (shuffle_count + 1)
    return ConditionTest(np.where(usable, difference, np.nan), p_value)


def _check(
    first: ArrayLike, second: ArrayLike, *, is_paired: bool, alternative: str
) -> tuple[FloatArray, FloatArray]:
    """Refuse what cannot be tested."""
    one, two = np.asarray(first, float), np.asarray(second, float)
    if one.ndim != 2 or two.ndim != 2 or one.shape[1] != two.shape[1]:
        raise ShapeError(
            f"responses of shapes {one.shape} and {two.shape}; give (trial, neuron) with the same "
            "neurons in both"
        )
    if is_paired and len(one) != len(two):
        raise ShapeError(
            f"{len(one)} trials paired with {len(two)}; give as many of both, or is_paired=False"
        )
    fewest = min(len(one), len(two))
    if fewest < 2:
        raise ShapeError(
            f"{fewest} trial(s) of a condition; a permutation test needs at least two of each, so "
            "repeat the stimuli"
        )
    if alternative not in ("two-sided", "greater"):
        raise CatalogError(f"no alternative {alternative!r}; choose 'two-sided' or 'greater'")
    return one, two


def _standardize(trials: FloatArray, *, center: bool) -> FloatArray:
    """Return trials with a mean square of 1 in every neuron that has any, about its mean or 0."""
    centered = trials - trials.mean(axis=0) if center else trials
    largest = np.abs(trials).max(axis=0, initial=0.0)
    scale = np.sqrt((centered**2).mean(axis=0))
    # What is left of equal values after the mean is taken out is rounding, not a response.
    is_flat = scale <= 1e-14 * largest
    scaled: FloatArray = np.where(is_flat, 0.0, centered / np.where(is_flat, 1.0, scale))
    return scaled


def _count_reached(
    trials: FloatArray,
    first_count: int | None,
    *,
    is_one_sided: bool,
    shuffle_count: int,
    rng: np.random.Generator,
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Count the shuffles whose statistic reaches the observed one, block by block."""
    trial_count, neuron_count = trials.shape
    reached = np.zeros(neuron_count, np.int64)
    in_order = np.arange(trial_count)[None]
    observed = _statistic(trials, in_order, first_count)[0]
    observed = observed if is_one_sided else np.abs(observed)
    threshold = observed - TIE_TOLERANCE * np.abs(observed) - ZERO_TOLERANCE
    block = max(1, BLOCK_NUMBERS // max(1, neuron_count, trial_count))
    for first in range(0, shuffle_count, block):
        size = min(block, shuffle_count - first)
        draws = rng.random((size, trial_count))
        # Unpaired: the order of the random numbers; paired: those below one half change sign.
        order = draws.argsort(axis=1) if first_count else np.where(draws < 0.5, -1, in_order)
        shuffled = _statistic(trials, order, first_count)
        reached += ((shuffled if is_one_sided else np.abs(shuffled)) >= threshold).sum(axis=0)
    return reached


def _statistic(
    trials: FloatArray, order: np.ndarray[Any, Any], first_count: int | None
) -> FloatArray:
    """Return the squared statistic with its sign, shape (shuffle, neuron).

    ``order`` holds a place for each trial: the first ``first_count`` places are the first
    condition. Paired, without a ``first_count``, it is negative where a pair is exchanged.
    """
    if first_count is None:
        # The sum of squares stays as it is under changes of sign, so the sum alone will do.
        total = np.where(order < 0, -1.0, 1.0) @ trials
        signed: FloatArray = total * np.abs(total) / len(trials)
        return signed
    is_first = (order < first_count).astype(float)
    n, m = first_count, len(trials) - first_count
    total, power = is_first @ trials, is_first @ trials**2
    all_power = (trials**2).sum(axis=0)
    # Centered trials sum to zero, so the second condition's sum is minus that of the first.
    within_first = power - total**2 / n
    within_second = all_power - power - total**2 / m
    variance = within_first / (n * (n - 1)) + within_second / (m * (m - 1))
    floor = VARIANCE_FLOOR / max(n, m)
    difference = total * (1 / n + 1 / m)
    squared: FloatArray = difference * np.abs(difference) / np.maximum(variance, floor)
    return squared
