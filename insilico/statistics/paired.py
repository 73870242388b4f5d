"""Compare two conditions, or one with zero, over neurons: one row of a table a comparison.

The p-values take neurons as independent draws from one population. Neurons of one mouse are not
quite: with several mice, hold a p-value against the interval that draws mice first (``mouse=``),
and against the same comparison in each mouse alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from insilico.errors import ShapeError
from insilico.statistics.bootstrap import (
    bootstrap_differences,
    bootstrap_interval,
    percentile_interval,
)
from insilico.statistics.checks import check_labels

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What each value of ``status`` says about a comparison.
COMPARISON_STATUS = {
    "ok": "tested",
    "few": "tested, but so few values that no outcome reaches 0.05",
    "constant": "nothing differs: every difference is zero, or all values are equal; p is 1",
    "no_data": "no value, or none on one side; p is NaN",
}
#: Above it, a comparison that could not have come out significant has the status "few".
SIGNIFICANCE_LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A test over neurons, its effect and the numbers it rests on."""

    #: str: "wilcoxon_signed_rank" or "mann_whitney".
    test: str
    #: float: median of the paired differences, or difference of the medians; first minus second.
    effect: float
    #: float: lower end of the bootstrap interval of the effect.
    ci_low: float
    #: float: upper end of the bootstrap interval of the effect.
    ci_high: float
    #: str: what was drawn for the interval, "neurons" or "mice, then neurons".
    error_source: str
    #: float: smaller rank sum (signed rank), or U of the first set (Mann-Whitney); NaN if untested.
    statistic: float
    #: float: two-sided, in (0, 1]; NaN without data.
    p_value: float
    #: int: values of the first set that counted; of pairs, both sides are known.
    first_count: int
    #: int: values of the second set that counted; 0 where the comparison is with zero.
    second_count: int
    #: int: pairs, or values, left out because one side is NaN.
    left_out_count: int
    #: int: pairs without a difference, which have no rank.
    zero_count: int
    #: str: one of :data:`COMPARISON_STATUS`.
    status: str

    def to_row(self) -> dict[str, float | int | str]:
        """Return the comparison as a row of a table, columns in the order of the fields."""
        return dataclasses.asdict(self)


def compare_paired(
    first: ArrayLike,
    second: ArrayLike,
    *,
    mouse: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int | Sequence[int],
) -> Comparison:
    """Compare two conditions in the same neurons by Wilcoxon's signed-rank test.

    Parameters
    ----------
    first, second : float array, shape (neuron,)
        Matching values in one unit; neurons with NaN on either side are left out and counted.
    mouse : array, shape (neuron,), optional
        The mouse of each neuron: the interval then draws mice, then neurons within each.
    confidence : float
        Of the interval, between 0 and 1.
    draws : int
        Bootstrap draws.
    seed : int or sequence of int
        Of the draws.

    Returns
    -------
    Comparison
        ``effect`` is the median of first minus second, over all pairs. The test asks whether the
        differences lie symmetrically about zero; for their median it speaks only if they are
        symmetric. Pairs without a difference have no rank.

    Raises
    ------
    ShapeError
        If the shapes disagree, or there is not one mouse a neuron.
    UnitsError
        If ``confidence`` is not between 0 and 1 or ``draws`` is below 1.

    References
    ----------
    Wilcoxon 1945, doi:10.2307/3001968. Exact for up to 50 pairs without ties, and for up to 13 with
    ties; beyond that the normal approximation (scipy.stats.wilcoxon, method "auto").
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    if one.ndim != 1 or two.shape != one.shape:
        raise ShapeError(
            f"paired values of shapes {one.shape} and {two.shape}; give two values a neuron"
        )
    with np.errstate(invalid="ignore"):
        differences = one - two
    options: dict[str, Any] = {"confidence": confidence, "draws": draws, "seed": seed}
    comparison = compare_with_zero(differences, mouse=mouse, **options)
    return dataclasses.replace(comparison, second_count=comparison.first_count)


def compare_with_zero(
    values: ArrayLike,
    *,
    mouse: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int | Sequence[int],
) -> Comparison:
    """Test whether values, such as modulation indices, lie symmetrically about zero.

    Parameters
    ----------
    values : float array, shape (neuron,)
        NaN are left out and counted.
    mouse, confidence, draws, seed
        As in :func:`compare_paired`.

    Returns
    -------
    Comparison
        ``effect`` is the median.

    Raises
    ------
    ShapeError, UnitsError
        As :func:`compare_paired`.

    References
    ----------
    As :func:`compare_paired`.
    """
    known = np.asarray(values, float)
    interval = bootstrap_interval(known, mouse=mouse, confidence=confidence, draws=draws, seed=seed)
    nonzero = known[~np.isnan(known) & (known != 0)]
    statistic, p_value, status = _signed_rank(nonzero, interval.value_count)
    return Comparison(
        test="wilcoxon_signed_rank",
        effect=interval.estimate,
        ci_low=interval.ci_low,
        ci_high=interval.ci_high,
        error_source=_source(mouse),
        statistic=statistic,
        p_value=p_value,
        first_count=interval.value_count,
        second_count=0,
        left_out_count=len(known) - interval.value_count,
        zero_count=interval.value_count - len(nonzero),
        status=status,
    )


def compare_unpaired(
    first: ArrayLike,
    second: ArrayLike,
    *,
    mouse: tuple[ArrayLike, ArrayLike] | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int | Sequence[int],
) -> Comparison:
    """Compare two sets of different neurons by the Mann-Whitney (rank-sum) test.

    Parameters
    ----------
    first, second : float array, shape (neuron,)
        Values in one unit; their numbers may differ. NaN are left out and counted.
    mouse : pair of array, shape (neuron,), optional
        The mouse of each neuron of both sets: the interval then draws mice, then neurons.
    confidence, draws, seed
        As in :func:`compare_paired`.

    Returns
    -------
    Comparison
        ``effect`` is the difference of the medians, first minus second. The test asks whether the
        values of one set tend to be larger; for medians it speaks only if the shapes are alike.

    Raises
    ------
    ShapeError, UnitsError
        As :func:`compare_paired`.

    References
    ----------
    Mann & Whitney 1947, doi:10.1214/aoms/1177730491. Exact where one set has up to eight values and
    none is tied; otherwise the normal approximation with the correction for ties
    (scipy.stats.mannwhitneyu, method "auto").
    """
    sets = [np.asarray(values, float) for values in (first, second)]
    if any(values.ndim != 1 for values in sets):
        raise ShapeError(
            f"values of shapes {sets[0].shape} and {sets[1].shape}; give one a neuron in each set"
        )
    known = [~np.isnan(values) for values in sets]
    one, two = (values[keep] for values, keep in zip(sets, known, strict=True))
    labels = None if mouse is None else _known_labels(sets, mouse, known)
    samples = bootstrap_differences(one, two, mouse=labels, draws=draws, seed=seed)
    low, high = percentile_interval(samples, confidence=confidence)
    statistic, p_value, status = _rank_sum(one, two)
    return Comparison(
        test="mann_whitney",
        effect=float(np.median(one) - np.median(two)) if status != "no_data" else math.nan,
        ci_low=low,
        ci_high=high,
        error_source=_source(mouse),
        statistic=statistic,
        p_value=p_value,
        first_count=len(one),
        second_count=len(two),
        left_out_count=int(sum((~keep).sum() for keep in known)),
        zero_count=0,
        status=status,
    )


def _known_labels(
    sets: list[FloatArray], mouse: tuple[ArrayLike, ArrayLike], known: list[Any]
) -> tuple[Any, Any]:
    for values, labels in zip(sets, mouse, strict=True):
        check_labels(values, labels, "mouse")
    one, two = (np.asarray(labels)[keep] for labels, keep in zip(mouse, known, strict=True))
    return one, two


def _signed_rank(nonzero: FloatArray, count: int) -> tuple[float, float, str]:
    """Return statistic, p-value and status of differences that are not zero."""
    if count == 0:
        return math.nan, math.nan, "no_data"
    if len(nonzero) == 0:
        return math.nan, 1.0, "constant"
    result = stats.wilcoxon(nonzero, method="auto")
    is_few = 2.0 ** (1 - len(nonzero)) > SIGNIFICANCE_LEVEL
    return float(result.statistic), float(result.pvalue), "few" if is_few else "ok"


def _rank_sum(one: FloatArray, two: FloatArray) -> tuple[float, float, str]:
    """Return statistic, p-value and status of two sets without NaN."""
    if not (len(one) and len(two)):
        return math.nan, math.nan, "no_data"
    if np.ptp(np.concatenate([one, two])) == 0:
        return math.nan, 1.0, "constant"
    result = stats.mannwhitneyu(one, two, method="auto")
    is_few = 2 / math.comb(len(one) + len(two), len(one)) > SIGNIFICANCE_LEVEL
    return float(result.statistic), float(result.pvalue), "few" if is_few else "ok"


def _source(mouse: object) -> str:
    return "neurons" if mouse is None else "mice, then neurons"
