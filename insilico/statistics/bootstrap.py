"""Confidence intervals by drawing neurons, or trials, again; seeded and vectorized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError
from insilico.statistics.checks import check_confidence, check_count, check_labels, matching_rows
from insilico.statistics.resampling import draw_blocks, draw_nested, draw_within

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class Statistic(Protocol):
    """What summarizes samples: ``numpy.median``, ``numpy.mean`` or the like."""

    def __call__(self, samples: FloatArray, /, *, axis: int) -> FloatArray:
        """Summarize each sample along one axis."""


class Interval(NamedTuple):
    """A statistic and the range in which it would lie had others been drawn."""

    #: float: the statistic of the values as given; NaN without any.
    estimate: float
    #: float: NaN with fewer than two values.
    ci_low: float
    #: float: NaN with fewer than two values.
    ci_high: float
    #: int: values that counted, which are those that are not NaN.
    value_count: int


def bootstrap_interval(
    values: ArrayLike,
    *,
    statistic: Statistic = np.median,
    mouse: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int | Sequence[int],
) -> Interval:
    """Return a statistic over neurons, or trials, with its percentile interval.

    Parameters
    ----------
    values : float array, shape (neuron,)
        One a neuron, or a trial; NaN are left out.
    statistic : callable
        As ``numpy.median``: takes an array and ``axis``. Of one whose estimate is biased in small
        samples, such as a standard deviation, the interval is too short.
    mouse : array, shape (neuron,), optional
        The mouse of each neuron: mice are drawn first, then neurons within each drawn mouse. The
        interval then speaks of other mice. A handful of mice gives too short a one: with M mice the
        spread between them comes out short by the factor (M - 1) / M, and three are hardly enough.
    confidence : float
        Share of the draws that the interval holds, between 0 and 1.
    draws : int
        Number of samples.
    seed : int or sequence of int
        Of the draws.

    Returns
    -------
    Interval

    Raises
    ------
    ShapeError
        If the values have more than one axis, or there is not one mouse a value.
    UnitsError
        If ``confidence`` is not between 0 and 1 or ``draws`` is below 1.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 (percentile interval).
    Saravanan, Berman & Sober 2020, Neurons, Behavior, Data Analysis, and Theory 3(5),
    arXiv:2007.07797 (mice, then neurons).
    """
    known = np.asarray(values, float)
    if known.ndim != 1:
        raise ShapeError(f"values of shape {known.shape}; give one a neuron, or one a trial")
    labels = check_labels(known, mouse, "mouse")
    labels, known = labels[~np.isnan(known)], known[~np.isnan(known)]
    samples = bootstrap_statistics(
        known[:, None], statistic=statistic, mouse=labels, draws=draws, seed=seed
    )
    low, high = percentile_interval(samples[:, 0], confidence=confidence)
    estimate = float(statistic(known, axis=0)) if len(known) else float("nan")
    return Interval(estimate, low, high, len(known))


def bootstrap_statistics(
    values: FloatArray,
    *,
    statistic: Statistic = np.median,
    mouse: ArrayLike | None = None,
    draws: int = 2000,
    seed: int | Sequence[int],
) -> FloatArray:
    """Return a statistic of samples of neurons, drawn with replacement.

    Parameters
    ----------
    values : float array, shape (neuron, column)
        Without NaN; every column sees the same samples. Trials may stand for neurons.
    statistic : callable
        As ``numpy.median``: takes an array and ``axis``.
    mouse : array, shape (neuron,), optional
        Draw mice first, then as many neurons of each drawn mouse as it has.
    draws : int
        Number of samples.
    seed : int or sequence of int
        Of the draws.

    Returns
    -------
    float array, shape (draw, column)
        NaN with fewer than two neurons, whose statistic cannot vary.

    Raises
    ------
    ShapeError
        If there is not one mouse a value.
    UnitsError
        If ``draws`` is below 1.
    """
    check_count(draws, "bootstrap draws")
    labels = check_labels(values, mouse, "mouse")
    result = np.full((draws, values.shape[1]), np.nan)
    if len(values) < 2:
        return result
    rng = np.random.default_rng(seed)
    if labels.any():
        for draw in range(draws):
            result[draw] = statistic(values[draw_nested(labels, rng)], axis=0)
        return result
    for block, chosen in draw_blocks(len(values), draws, rng):
        for column in range(values.shape[1]):
            result[block, column] = statistic(values[:, column][chosen], axis=1)
    return result


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
    return bootstrap_statistics(values, statistic=np.mean, draws=draws, seed=seed)


def bootstrap_differences(
    first: FloatArray,
    second: FloatArray,
    *,
    statistic: Statistic = np.median,
    mouse: tuple[ArrayLike, ArrayLike] | None = None,
    draws: int = 2000,
    seed: int | Sequence[int],
) -> FloatArray:
    """Return the difference of a statistic between samples of two sets of neurons.

    Parameters
    ----------
    first, second : float array, shape (neuron,)
        Without NaN; other neurons in each, so their numbers may differ.
    statistic : callable
        As ``numpy.median``: takes an array and ``axis``.
    mouse : pair of array, shape (neuron,), optional
        The mouse of each neuron of both sets. One draw of mice serves both, then neurons of each
        set are drawn within each drawn mouse.
    draws : int
        Number of samples.
    seed : int or sequence of int
        Of the draws.

    Returns
    -------
    float array, shape (draw,)
        First minus second; NaN with fewer than two neurons in either set. Draws of mice without a
        neuron of one set are left out.

    Raises
    ------
    ShapeError
        If there is not one mouse a value.
    UnitsError
        If ``draws`` is below 1.
    """
    check_count(draws, "bootstrap draws")
    if min(len(first), len(second)) < 2:
        return np.full(draws, np.nan)
    if mouse is None:
        seeds = np.random.SeedSequence(seed).generate_state(2)
        one, two = (
            bootstrap_statistics(
                values[:, None], statistic=statistic, draws=draws, seed=int(own_seed)
            )[:, 0]
            for values, own_seed in zip((first, second), seeds, strict=True)
        )
        return one - two
    both = np.concatenate([first, second])
    labels = check_labels(both, np.concatenate([np.asarray(part) for part in mouse]), "mouse")
    parts = (labels[: len(first)], labels[len(first) :])
    rng = np.random.default_rng(seed)
    result = np.full(draws, np.nan)
    for draw in range(draws):
        mice = rng.integers(labels.max() + 1, size=labels.max() + 1)
        one, two = (
            values[draw_within(part, mice, rng)]
            for values, part in zip((first, second), parts, strict=True)
        )
        if len(one) and len(two):
            result[draw] = statistic(one, axis=0) - statistic(two, axis=0)
    return result[~np.isnan(result)]


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
    one, two, labels = matching_rows(first, second, trial)
    check_count(draws, "bootstrap draws")
    # About the means, sums of squares keep their digits.
    one, two = one - one.mean(), two - two.mean()
    columns = np.stack([np.ones_like(one), one, two, one * one, two * two, one * two], axis=1)
    _, index = np.unique(labels, return_inverse=True)
    sums = np.zeros((index.max() + 1, columns.shape[1]))
    np.add.at(sums, index.ravel(), columns)
    drawn = np.empty((draws, columns.shape[1]))
    for block, chosen in draw_blocks(len(sums), draws, np.random.default_rng(seed)):
        drawn[block] = sums[chosen].sum(axis=1)
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
    check_confidence(confidence)
    low, high = np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
