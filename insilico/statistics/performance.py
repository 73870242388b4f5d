"""How well predicted responses match recorded ones, neuron by neuron.

Trials, repeats and NaN are as in :mod:`insilico.statistics.reliability`: one array (row, neuron) a
trial, predicted and recorded in the same units, with rows after the burn-in only. Every measure but
the Poisson loss is free of scale: it is the same in recorded and in standardized units.

The published code adds 1e-8 to standard deviations and so calls the correlation of a constant trace
0. Here it is NaN and left out of averages; ``compatibility=True`` reproduces the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import CatalogError, ShapeError
from insilico.statistics.reliability import (
    FloatArray,
    Over,
    TrialArray,
    center,
    check_trials,
    correlate_columns,
    default_over,
    mean_of_known,
    power_of_stack,
    rounding_of,
    signal_power,
    stack_repeats,
    total_and_noise_variance,
)

#: What the published correlations add to a standard deviation (ViV1T-closed-loop, viv1t/metrics.py;
#: sensorium, sensorium/utility/measures).
PUBLISHED_EPSILON = 1e-8
#: Signal power that a normalized correlation needs, as a fraction of the variance of single trials.
#: The published threshold is 1e-4 in squared units of whatever the responses are in
#: (ViV1T-closed-loop, viv1t/metrics.py): of standardized responses, whose variance is about 1, this
#: is the same.
MINIMUM_SIGNAL_FRACTION = 1e-4
PUBLISHED_SIGNAL_POWER = 1e-4
#: Neurons below this fraction of explainable variance are left out of the mean FEVE
#: (sensorium, sensorium/utility/metrics.py).
MINIMUM_FEV = 0.15


def correlation(
    predicted: Sequence[TrialArray],
    recorded: Sequence[TrialArray],
    *,
    compatibility: bool = False,
) -> FloatArray:
    """Correlate over all rows of all trials at once: the measure that training watches.

    Parameters
    ----------
    predicted, recorded : sequences of float arrays, shape (row, neuron)
        One a trial; lengths may differ between trials.
    compatibility : bool
        Whether constant traces give 0, as published.

    Returns
    -------
    float array, shape (neuron,)
        In [-1, 1]; NaN where either trace is constant.

    Raises
    ------
    ShapeError
        If predicted and recorded trials do not match, or there is none.

    References
    ----------
    "correlation" of ViV1T-closed-loop, viv1t/metrics.py (the Sensorium 2023 score); for images the
    "single-trial correlation" of sensorium, sensorium/utility/scores.py.
    """
    check_trials(recorded, predicted=predicted)
    return _correlate(
        np.concatenate([np.asarray(trial, float) for trial in predicted]),
        np.concatenate([np.asarray(trial, float) for trial in recorded]),
        rounding=rounding_of(predicted, recorded),
        compatibility=compatibility,
    )


def single_trial_correlation(
    predicted: Sequence[TrialArray],
    recorded: Sequence[TrialArray],
    *,
    over: Literal["time", "trials"] | None = None,
    compatibility: bool = False,
) -> FloatArray:
    """Correlate each trial over time, and average over trials; images: correlate over trials.

    Parameters
    ----------
    predicted, recorded : sequences of float arrays, shape (row, neuron)
        One a trial.
    over : {"time", "trials"}, optional
        "time" is the definition for movies and the default where a trial has several rows;
        "trials" that for images, the same as :func:`correlation`.
    compatibility : bool
        Whether a trial in which either trace is constant counts as 0, as published. Otherwise it
        is left out of the mean.

    Returns
    -------
    float array, shape (neuron,)
        In [-1, 1]; NaN where no trial has a correlation.

    Raises
    ------
    ShapeError
        If predicted and recorded trials do not match, or there is none.

    References
    ----------
    Movies: ViV1T-closed-loop, viv1t/metrics.py. Images: sensorium, sensorium/utility/scores.py;
    V1T, src/v1t/metrics.py.
    """
    check_trials(recorded, predicted=predicted)
    over = over or ("time" if default_over(recorded) == "time" else "trials")
    if over == "trials":
        return correlation(predicted, recorded, compatibility=compatibility)
    rounding = rounding_of(predicted, recorded)
    by_trial = [
        _correlate(
            np.asarray(one, float),
            np.asarray(two, float),
            rounding=rounding,
            compatibility=compatibility,
        )
        for one, two in zip(predicted, recorded, strict=True)
    ]
    return mean_of_known(np.stack(by_trial))


def correlation_to_average(
    predicted: Sequence[TrialArray],
    recorded: Sequence[TrialArray],
    stimulus_index: ArrayLike,
    *,
    over: Over | None = None,
    compatibility: bool = False,
) -> FloatArray:
    """Correlate the means over repeats; only stimuli shown at least twice count.

    Parameters
    ----------
    predicted, recorded : sequences of float arrays, shape (row, neuron)
        One a trial.
    stimulus_index : int array, shape (trial,)
        Equal where the same stimulus was shown.
    over : {"time", "stimuli"}, optional
        Over the frames of each movie, then the mean over movies (the default where a trial has
        several rows), or over all rows of all stimuli (images).
    compatibility : bool
        Whether constant means count as 0, as published.

    Returns
    -------
    float array, shape (neuron,)
        In [-1, 1]; NaN where nothing was repeated (published: 0) or the means are constant.

    Raises
    ------
    ShapeError
        If predictions, recordings and indices do not match, or there is no trial.

    References
    ----------
    Movies: ViV1T-closed-loop, viv1t/metrics.py. Images: sensorium, sensorium/utility/scores.py.
    """
    check_trials(recorded, predicted=predicted, stimulus_index=stimulus_index)
    rounding = rounding_of(predicted, recorded)
    pairs = _mean_pairs(predicted, recorded, stimulus_index)
    if not pairs:
        return np.full(recorded[0].shape[1], np.nan)
    if (over or default_over(recorded)) == "stimuli":
        pairs = [tuple(np.concatenate(side) for side in zip(*pairs, strict=True))]
    by_stimulus = [
        _correlate(one, two, rounding=rounding, compatibility=compatibility) for one, two in pairs
    ]
    return mean_of_known(np.stack(by_stimulus))


def normalized_correlation(
    predicted: Sequence[TrialArray],
    recorded: Sequence[TrialArray],
    stimulus_index: ArrayLike,
    *,
    over: Over | None = None,
    aligned: bool = False,
    compatibility: bool = False,
) -> FloatArray:
    """Correlate the means over repeats, divided by the best that their noise allows.

    ``cov(p, y) / sqrt(var(p) * SP)`` with p and y the means over repeats of predicted and recorded
    responses and SP the signal power of the recorded ones. A model that predicts the noiseless
    response is expected near 1. Single neurons can exceed it because SP is an estimate, and so can
    a model that reads the behavior, which varies between repeats and counts as noise.

    Parameters
    ----------
    predicted, recorded : sequences of float arrays, shape (row, neuron)
        One a trial.
    stimulus_index : int array, shape (trial,)
        Equal where the same stimulus was shown.
    over : {"time", "stimuli"}, optional
        Over the frames of each movie, then the mean over movies where it is defined (the default
        where a trial has several rows), or over all rows of all stimuli (images).
    aligned : bool
        Which estimate of the signal power is taken over stimuli; see
        :func:`insilico.statistics.reliability.signal_power`.
    compatibility : bool
        Whether NaN is given where SP is at most 1e-4 in squared units of the responses, as
        published, so that the result depends on their scale. Otherwise where it is at most 1e-4 of
        the mean variance of single trials.

    Returns
    -------
    float array, shape (neuron,)
        NaN where nothing was repeated (published: 0), or there is no signal power or the mean
        prediction is constant for every stimulus.

    Raises
    ------
    ShapeError
        If predictions, recordings and indices do not match, or there is no trial.

    References
    ----------
    Schoppe et al. 2016, doi:10.3389/fncom.2016.00010; movies: ViV1T-closed-loop, viv1t/metrics.py.
    V1T, src/v1t/metrics.py has another one, across neurons for each image, which it does not
    report and which gives no number a neuron.
    """
    check_trials(recorded, predicted=predicted, stimulus_index=stimulus_index)
    rounding = rounding_of(predicted, recorded)
    stacks = stack_repeats(recorded, stimulus_index)
    pairs = _mean_pairs(predicted, recorded, stimulus_index)
    if (over or default_over(recorded)) == "time":
        values = [
            _normalize(
                pair,
                power_of_stack(stack, rounding=rounding),
                stack.var(axis=1, ddof=1).mean(axis=0),
                rounding=rounding,
                compatibility=compatibility,
            )
            for pair, stack in zip(pairs, stacks, strict=True)
            if stack.shape[1] > 1
        ]
        unknown = np.full((1, recorded[0].shape[1]), np.nan)
        return mean_of_known(np.stack(values) if values else unknown)
    power = signal_power(recorded, stimulus_index, over="stimuli", aligned=aligned)
    if np.isnan(power).all():
        return power
    total, _ = total_and_noise_variance(recorded, stimulus_index)
    joined = tuple(np.concatenate(side) for side in zip(*pairs, strict=True))
    return _normalize(joined, power, total, rounding=rounding, compatibility=compatibility)


def feve(
    predicted: Sequence[TrialArray],
    recorded: Sequence[TrialArray],
    stimulus_index: ArrayLike,
) -> FloatArray:
    """Estimate the fraction of the explainable variance that the prediction explains (FEVE).

    ``1 - (mean((y - p)^2) - v_noise) / (v_total - v_noise)`` over repeated trials, with the
    variances of :func:`insilico.statistics.reliability.explainable_variance_fraction`. Its mean
    over neurons is taken where that fraction is at least :data:`MINIMUM_FEV`.

    Parameters
    ----------
    predicted, recorded : sequences of float arrays, shape (row, neuron)
        One a trial, in the same units.
    stimulus_index : int array, shape (trial,)
        Equal where the same stimulus was shown. Every row of a movie is a stimulus of its own.

    Returns
    -------
    float array, shape (neuron,)
        Around 1 for a perfect model, more if it also knows what differs between repeats, such as
        the behavior; 0 for the mean response, negative for worse. NaN where no variance is
        explainable or fewer than two rows were repeated.

    Raises
    ------
    ShapeError
        If predictions, recordings and indices do not match, or there is no trial.

    References
    ----------
    sensorium, sensorium/utility/metrics.py; V1T, src/v1t/metrics.py. Neither defines it for movies.
    """
    check_trials(recorded, predicted=predicted, stimulus_index=stimulus_index)
    total, noise = total_and_noise_variance(recorded, stimulus_index)
    measured = stack_repeats(recorded, stimulus_index)
    if not measured:
        return total
    errors = [
        ((one - two) ** 2).reshape(-1, one.shape[2])
        for one, two in zip(stack_repeats(predicted, stimulus_index), measured, strict=True)
    ]
    explainable = total - noise
    # Noise as large as everything leaves rounding, or a negative number, to divide by.
    has_signal = explainable > 1e-12 * total
    unexplained = np.concatenate(errors).mean(axis=0) - noise
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction: FloatArray = 1 - unexplained / np.where(has_signal, explainable, np.nan)
    return fraction


def fraction_oracle(correlations: ArrayLike, oracle: ArrayLike) -> float:
    """Fit the line through 0 of a model's correlations on the oracle's, over neurons.

    Parameters
    ----------
    correlations : float array, shape (neuron,)
        Of the model, over all rows at once (:func:`correlation`), as the oracle is.
    oracle : float array, shape (neuron,)
        Of the same trials.

    Returns
    -------
    float
        The slope, ``sum(o r) / sum(o^2)`` over neurons for which both are known; NaN without any.

    Raises
    ------
    ShapeError
        If there are not as many of the one as of the other.

    References
    ----------
    sensorium, sensorium/utility/measures (np_functions); Lurz et al. 2020,
    lurz2020/utility/measures.py.
    """
    r, o = np.asarray(correlations, float), np.asarray(oracle, float)
    if r.shape != o.shape or r.ndim != 1:
        raise ShapeError(
            f"correlations of shape {r.shape} with an oracle of shape {o.shape}; give one of each "
            "a neuron"
        )
    known = np.isfinite(r) & np.isfinite(o)
    power = float(o[known] @ o[known])
    return float(r[known] @ o[known]) / power if power > 0 else float("nan")


def poisson_loss(
    predicted: Sequence[TrialArray],
    recorded: Sequence[TrialArray],
    *,
    reduction: Literal["row", "trial"] = "row",
) -> FloatArray:
    """Return the negative Poisson log-likelihood, less the term without the prediction.

    ``p - y ln p`` with 1e-8 added to both p and y. It is not free of scale: compare it only
    between models of the same neurons in the same units.

    Parameters
    ----------
    predicted : sequence of float arrays, shape (row, neuron)
        Not negative.
    recorded : sequence of float arrays, shape (row, neuron)
        Negative responses enter as they are, as published.
    reduction : {"row", "trial"}
        Mean over all rows, which does not grow with the length of movies; or, as published, the
        sum over the rows of a trial and the mean over trials.

    Returns
    -------
    float array, shape (neuron,)
        NaN where a prediction is negative.

    Raises
    ------
    ShapeError
        If predicted and recorded trials do not match, or there is none.
    CatalogError
        If ``reduction`` is neither of the two.

    References
    ----------
    ViV1T-closed-loop, viv1t/metrics.py, which also sums over neurons.
    """
    check_trials(recorded, predicted=predicted)
    if reduction not in ("row", "trial"):
        raise CatalogError(f"no reduction {reduction!r}; choose 'row' or 'trial'")
    total = np.zeros(recorded[0].shape[1])
    for one, two in zip(predicted, recorded, strict=True):
        rate = np.asarray(one, float) + PUBLISHED_EPSILON
        with np.errstate(invalid="ignore", divide="ignore"):
            loss = rate - (np.asarray(two, float) + PUBLISHED_EPSILON) * np.log(rate)
        total += np.where(rate > 0, loss, np.nan).sum(axis=0)
    count = len(recorded) if reduction == "trial" else sum(len(trial) for trial in recorded)
    return total / count if count else np.full_like(total, np.nan)


def _correlate(
    first: FloatArray, second: FloatArray, *, rounding: float, compatibility: bool
) -> FloatArray:
    if not compatibility:
        return correlate_columns(first, second, rounding=rounding)
    one = (first - first.mean(axis=0)) / (first.std(axis=0) + PUBLISHED_EPSILON)
    two = (second - second.mean(axis=0)) / (second.std(axis=0) + PUBLISHED_EPSILON)
    published: FloatArray = (one * two).mean(axis=0)
    return published


def _mean_pairs(
    predicted: Sequence[TrialArray], recorded: Sequence[TrialArray], stimulus_index: ArrayLike
) -> list[tuple[FloatArray, ...]]:
    """Return the means over repeats, (row, neuron), of predicted and recorded responses."""
    return [
        (one.mean(axis=0), two.mean(axis=0))
        for one, two in zip(
            stack_repeats(predicted, stimulus_index),
            stack_repeats(recorded, stimulus_index),
            strict=True,
        )
    ]


def _normalize(
    pair: tuple[FloatArray, ...],
    power: FloatArray,
    total: FloatArray,
    *,
    rounding: float,
    compatibility: bool,
) -> FloatArray:
    """Divide the covariance of the means over rows by what the signal power allows."""
    predicted, recorded = pair
    centered, of_predicted = center(predicted, rounding=rounding)
    degrees = len(predicted) - 1
    covariance = np.einsum("rn,rn->n", centered, recorded - recorded.mean(axis=0)) / degrees
    floor = PUBLISHED_SIGNAL_POWER if compatibility else MINIMUM_SIGNAL_FRACTION * total
    epsilon = PUBLISHED_EPSILON if compatibility else 0.0
    if compatibility:
        of_predicted = np.where(np.isnan(of_predicted), 0.0, of_predicted)
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = np.where(power > floor, power, np.nan)
        value: FloatArray = covariance / (np.sqrt(of_predicted / degrees * usable) + epsilon)
    return value
