"""How reliably neurons repeat their responses: the ceiling of every prediction.

Everything here takes one array (row, neuron) a trial, as recorded or standardized: a row is a frame
of a movie, and an image has one. Trials with the same ``stimulus_index`` are repeats of one
stimulus; an index of -1 says that the stimulus is not known, so such a trial repeats none. Movies
may differ in length; repeats of one movie are cut to their common length from the start. All
numbers are computed in double precision and are NaN where they are not defined: for a constant
trace, or with too few repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
#: Responses of one trial, (row, neuron), of any floating type.
TrialArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: What a quantity of repeated stimuli varies over: the frames of one movie, averaged over movies
#: afterwards, or all rows of all stimuli at once.
Over = Literal["time", "stimuli"]

#: A variance below the square of this many roundings of the largest value is one of a constant.
ROUNDINGS = 8


def repeat_counts(stimulus_index: ArrayLike) -> IntArray:
    """Count how often each stimulus was shown.

    Parameters
    ----------
    stimulus_index : int array, shape (trial,)
        Equal where the same stimulus was shown; -1 where it is not known.

    Returns
    -------
    int array, shape (stimulus,)
        Trials of each distinct stimulus, by increasing index; each trial of -1 is one of its own
        and comes last.

    Raises
    ------
    ShapeError
        If the indices are not one whole number a trial.
    """
    index = check_index(stimulus_index)
    _, counts = np.unique(index[index >= 0], return_counts=True)
    return np.concatenate([counts, np.ones(int((index < 0).sum()), np.int64)]).astype(np.int64)


def oracle_correlation(recorded: Sequence[TrialArray], stimulus_index: ArrayLike) -> FloatArray:
    """Correlate every repeat with the mean of the others (the jackknife oracle).

    One Pearson correlation over all rows of all repeated trials. It is what a model would reach
    that knows the mean over finitely many repeats, and so lies below the true ceiling.

    Parameters
    ----------
    recorded : sequence of float arrays, shape (row, neuron)
        One a trial.
    stimulus_index : int array, shape (trial,)
        Equal where the same stimulus was shown.

    Returns
    -------
    float array, shape (neuron,)
        In [-1, 1]; NaN for constant neurons and where nothing was repeated.

    Raises
    ------
    ShapeError
        If trials differ in neurons, there is none, or there is not one index a trial.

    References
    ----------
    sensorium, sensorium/utility/measures (np_functions), "oracle". The same over rows for movies.
    """
    check_trials(recorded, stimulus_index=stimulus_index)
    repeats: list[FloatArray] = []
    others: list[FloatArray] = []
    for stack in stack_repeats(recorded, stimulus_index):
        mean_of_others = (stack.sum(axis=0) - stack) / (len(stack) - 1)
        repeats.extend(stack)
        others.extend(mean_of_others)
    if not repeats:
        return np.full(recorded[0].shape[1], np.nan)
    return correlate_columns(
        np.concatenate(repeats), np.concatenate(others), rounding=rounding_of(recorded)
    )


def conservative_oracle(recorded: Sequence[TrialArray], stimulus_index: ArrayLike) -> FloatArray:
    """Estimate the correlation of a single repeat with the mean over repeats.

    ``sqrt(v_m / (v_m + v_n))`` with v_m the variance over stimuli of the mean over repeats and v_n
    the mean over stimuli of the variance over repeats, both population variances. Because the mean
    contains the noise of its own repeats this lies above the true ceiling: a model's fraction of
    it is a conservative one.

    Parameters
    ----------
    recorded, stimulus_index
        As in :func:`oracle_correlation`. Every row of a movie is a stimulus of its own.

    Returns
    -------
    float array, shape (neuron,)
        In [0, 1]; NaN for constant neurons and where fewer than two rows were repeated.

    Raises
    ------
    ShapeError
        As :func:`oracle_correlation`.

    References
    ----------
    sensorium, sensorium/utility/measures (np_functions), "conservative" or "corrected" oracle.
    """
    check_trials(recorded, stimulus_index=stimulus_index)
    moments = repeat_moments(recorded, stimulus_index)
    if len(moments.mean) < 2:
        return np.full(recorded[0].shape[1], np.nan)
    of_means = moments.mean.var(axis=0)
    # The stored variance is the unbiased one; n - 1 of n makes it that of the population.
    within = moments.variance * ((moments.repeats - 1) / moments.repeats)[:, None]
    total = of_means + within.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        oracle: FloatArray = np.sqrt(of_means / np.where(moments.is_constant, np.nan, total))
    return oracle


def explainable_variance_fraction(
    recorded: Sequence[TrialArray], stimulus_index: ArrayLike
) -> FloatArray:
    """Estimate the fraction of the response variance that the stimulus explains (FEV).

    ``(v_total - v_noise) / v_total`` with v_total the variance over all repeated trials and v_noise
    the mean over stimuli of the variance over repeats, both unbiased.

    Parameters
    ----------
    recorded, stimulus_index
        As in :func:`oracle_correlation`. Every row of a movie is a stimulus of its own.

    Returns
    -------
    float array, shape (neuron,)
        At most 1, and below 0 where repeats differ by chance more than stimuli; NaN for constant
        neurons and where fewer than two rows were repeated.

    Raises
    ------
    ShapeError
        As :func:`oracle_correlation`.

    References
    ----------
    sensorium, sensorium/utility/metrics.py; V1T, src/v1t/metrics.py. Neither defines it for movies.
    """
    check_trials(recorded, stimulus_index=stimulus_index)
    total, noise = total_and_noise_variance(recorded, stimulus_index)
    with np.errstate(invalid="ignore"):
        fraction: FloatArray = (total - noise) / total
    return fraction


def signal_power(
    recorded: Sequence[TrialArray],
    stimulus_index: ArrayLike,
    *,
    over: Over | None = None,
    aligned: bool = False,
) -> FloatArray:
    """Estimate the variance of the part of the response that repeats, free of noise bias.

    ``SP = (var(sum of repeats) - sum of var(repeat)) / (R (R - 1))`` with unbiased variances, which
    is the mean covariance of two repeats.

    Parameters
    ----------
    recorded, stimulus_index
        As in :func:`oracle_correlation`.
    over : {"time", "stimuli"}, optional
        Variance over the frames of each stimulus, then the mean over stimuli (movies, the default
        where a trial has several rows), or over all rows of all stimuli (images).
    aligned : bool
        Only over stimuli: whether the first repeats of all stimuli belong together, and the second
        ones, …, as the formula says literally; it then needs equal numbers of repeats. Otherwise
        its mean over all orders of the repeats, ``var(mean) - mean(var_repeats / R)``, because
        repeats of images come in no common order and not always in equal numbers. Over time the
        repeats are trials, and always aligned.

    Returns
    -------
    float array, shape (neuron,)
        Squared units of the responses; around 0 or below it without signal. NaN for constant
        neurons and where nothing was repeated.

    Raises
    ------
    ShapeError
        As :func:`oracle_correlation`; also if aligned repeats over stimuli are of unequal number.

    References
    ----------
    Sahani & Linden 2003, NIPS 15; Schoppe et al. 2016, doi:10.3389/fncom.2016.00010, eqs. 1-6;
    ViV1T-closed-loop, viv1t/metrics.py (over time).
    """
    check_trials(recorded, stimulus_index=stimulus_index)
    if (over or default_over(recorded)) == "time":
        stacks = [stack for stack in stack_repeats(recorded, stimulus_index) if stack.shape[1] > 1]
        if not stacks:
            return np.full(recorded[0].shape[1], np.nan)
        rounding = rounding_of(recorded)
        return mean_of_known(
            np.stack([power_of_stack(stack, rounding=rounding) for stack in stacks])
        )
    return _power_over_stimuli(recorded, stimulus_index, aligned=aligned)


def _power_over_stimuli(
    recorded: Sequence[TrialArray], stimulus_index: ArrayLike, *, aligned: bool
) -> FloatArray:
    moments = repeat_moments(recorded, stimulus_index)
    if len(moments.mean) < 2:
        return np.full(recorded[0].shape[1], np.nan)
    if not aligned:
        noise = (moments.variance / moments.repeats[:, None]).mean(axis=0)
        power = moments.mean.var(axis=0, ddof=1) - noise
        return np.where(moments.is_constant, np.nan, power)
    if len(counts := np.unique(moments.repeats)) > 1:
        raise ShapeError(
            f"stimuli with {counts.min():g} to {counts.max():g} repeats cannot be aligned; leave "
            "aligned out, or keep equally many repeats of each"
        )
    stack = np.concatenate(stack_repeats(recorded, stimulus_index), axis=1)
    return power_of_stack(stack, rounding=rounding_of(recorded))


# What the measures of performance share with those of reliability.


class RepeatMoments(NamedTuple):
    """Mean and variance over the repeats of every row of every repeated stimulus."""

    #: float array, shape (stimulus row, neuron).
    mean: FloatArray
    #: float array, shape (stimulus row, neuron): unbiased.
    variance: FloatArray
    #: float array, shape (stimulus row,).
    repeats: FloatArray
    #: bool array, shape (neuron,): no response differs from another beyond rounding.
    is_constant: BoolArray


def check_index(stimulus_index: ArrayLike) -> IntArray:
    """Return the indices of the stimuli, or refuse what are none."""
    index = np.asarray(stimulus_index)
    if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
        raise ShapeError(
            f"stimulus_index of shape {index.shape} and type {index.dtype}; give one whole number "
            "a trial"
        )
    return index.astype(np.int64)


def check_trials(
    recorded: Sequence[TrialArray],
    *,
    predicted: Sequence[TrialArray] | None = None,
    stimulus_index: ArrayLike | None = None,
) -> None:
    """Refuse trials that do not fit together.

    Raises
    ------
    ShapeError
        If there is no trial, a trial is not (row, neuron) or has other neurons than the first, or
        predictions or indices are not those of the trials.
    """
    if len(recorded) == 0:
        raise ShapeError("no trial was given; give at least one array (row, neuron)")
    shapes = [np.shape(trial) for trial in recorded]
    for shape in shapes:
        if len(shape) != 2 or shape[1] != shapes[0][-1]:
            raise ShapeError(
                f"a trial of shape {shape} was given beside one of {shapes[0]}; give (row, neuron) "
                "with the same neurons in every trial"
            )
    if predicted is not None and (given := [np.shape(trial) for trial in predicted]) != shapes:
        odd = next((pair for pair in zip(given, shapes, strict=False) if pair[0] != pair[1]), None)
        what = f"shape {odd[0]} for one of {odd[1]}" if odd else f"{len(given)} for {len(shapes)}"
        raise ShapeError(f"predicted trials do not match the recorded ones: {what}; give a pair")
    if stimulus_index is not None and len(check_index(stimulus_index)) != len(recorded):
        raise ShapeError(
            f"{len(check_index(stimulus_index))} stimulus indices were given for {len(recorded)} "
            "trials; give one a trial"
        )


def default_over(trials: Sequence[TrialArray]) -> Over:
    """Return what movies (several rows a trial) and images (one) vary over."""
    return "time" if any(len(trial) > 1 for trial in trials) else "stimuli"


def repeat_groups(stimulus_index: ArrayLike) -> list[IntArray]:
    """Return the trials of every stimulus shown at least twice, by increasing index."""
    index = check_index(stimulus_index)
    values, counts = np.unique(index[index >= 0], return_counts=True)
    return [np.flatnonzero(index == value) for value in values[counts > 1]]


def stack_repeats(trials: Sequence[TrialArray], stimulus_index: ArrayLike) -> list[FloatArray]:
    """Return (repeat, row, neuron) for every repeated stimulus, cut to the common length."""
    stacks = []
    for group in repeat_groups(stimulus_index):
        row_count = min(len(trials[trial]) for trial in group)
        stacks.append(np.stack([np.asarray(trials[t][:row_count], float) for t in group]))
    return [stack for stack in stacks if stack.shape[1]]


def repeat_moments(recorded: Sequence[TrialArray], stimulus_index: ArrayLike) -> RepeatMoments:
    """Return mean and variance over repeats, for every row of every repeated stimulus."""
    stacks = stack_repeats(recorded, stimulus_index)
    neuron_count = recorded[0].shape[1]
    if not stacks:
        nothing = np.empty((0, neuron_count))
        return RepeatMoments(nothing, nothing, np.empty(0), np.ones(neuron_count, bool))
    return RepeatMoments(
        np.concatenate([stack.mean(axis=0) for stack in stacks]),
        np.concatenate([stack.var(axis=0, ddof=1) for stack in stacks]),
        np.repeat([float(len(stack)) for stack in stacks], [stack.shape[1] for stack in stacks]),
        is_constant(
            np.concatenate([stack.min(axis=1) for stack in stacks]),
            np.concatenate([stack.max(axis=1) for stack in stacks]),
            rounding=rounding_of(recorded),
        ),
    )


def total_and_noise_variance(
    recorded: Sequence[TrialArray], stimulus_index: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return the variance over all repeated trials and that over repeats, (neuron,) each."""
    moments = repeat_moments(recorded, stimulus_index)
    if len(moments.mean) < 2:
        unknown = np.full(recorded[0].shape[1], np.nan)
        return unknown, unknown
    values = np.concatenate(
        [stack.reshape(-1, stack.shape[2]) for stack in stack_repeats(recorded, stimulus_index)]
    )
    total = np.where(moments.is_constant, np.nan, values.var(axis=0, ddof=1))
    return total, moments.variance.mean(axis=0)


def power_of_stack(stack: FloatArray, *, rounding: float) -> FloatArray:
    """Return the signal power of (repeat, row, neuron) over rows; NaN for constant neurons."""
    repeat_count = len(stack)
    of_sum = stack.sum(axis=0).var(axis=0, ddof=1)
    of_each = stack.var(axis=1, ddof=1).sum(axis=0)
    power = (of_sum - of_each) / (repeat_count * (repeat_count - 1))
    is_flat = [is_constant(repeat, repeat, rounding=rounding) for repeat in stack]
    result: FloatArray = np.where(np.all(is_flat, axis=0), np.nan, power)
    return result


def rounding_of(*trials: Sequence[TrialArray]) -> float:
    """Return the coarsest relative rounding of the types the trials came in."""
    kinds = {np.asarray(trial).dtype for sequence in trials for trial in sequence}
    return max((float(np.finfo(kind).eps) for kind in kinds if kind.kind == "f"), default=2e-16)


def is_constant(lowest: TrialArray, highest: TrialArray, *, rounding: float) -> BoolArray:
    """Whether nothing differs beyond rounding, from ends of some ranges, (range, neuron)."""
    low, high = lowest.min(axis=0), highest.max(axis=0)
    flat: BoolArray = high - low <= ROUNDINGS * rounding * np.maximum(np.abs(low), np.abs(high))
    return flat


def center(values: FloatArray, *, rounding: float) -> tuple[FloatArray, FloatArray]:
    """Return (row, neuron) without its mean, and its sum of squares: NaN where constant."""
    centered = values - values.mean(axis=0)
    # Once more, because the mean of large values is rounded.
    centered -= centered.mean(axis=0)
    power = np.einsum("rn,rn->n", centered, centered)
    largest = np.abs(values).max(axis=0)
    is_flat = power <= len(values) * (ROUNDINGS * rounding * largest) ** 2
    return centered, np.where(is_flat, np.nan, power)


def correlate_columns(first: FloatArray, second: FloatArray, *, rounding: float) -> FloatArray:
    """Return the Pearson correlation of (row, neuron) arrays over rows; NaN where constant."""
    if len(first) < 2:
        return np.full(first.shape[1], np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        one, power_one = center(first, rounding=rounding)
        two, power_two = center(second, rounding=rounding)
        product = np.einsum("rn,rn->n", one, two)
        correlation = product / (np.sqrt(power_one) * np.sqrt(power_two))
    return np.clip(correlation, -1.0, 1.0)


def mean_of_known(values: FloatArray) -> FloatArray:
    """Return the mean over the first axis of what is not NaN; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
