"""How a surround modulates the response to a center: indices, and the pairs that tests rest on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.averaging import Averages
from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.false_discovery import false_discovery_q_values

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Arrangements in the order of tables and figures.
ARRANGED = ("center", "iso", "cross", "shift")
#: Pairs with which a two-sided test can reach 0.05: two in 2^6 exchanges are as extreme as a
#: difference that all six share.
MINIMUM_PAIRS = 6
#: Presentations are paired within these where iso and cross were shown in each of them, and within
#: the first alone where phases were drawn at random.
KINDS = (["direction_deg", "phase_deg"], ["direction_deg"])


@dataclasses.dataclass(frozen=True, eq=False)
class Arranged:
    """Mean responses on a grid of conditions; NaN where something was not shown.

    Attributes
    ----------
    contrast : float array, shape (contrast,)
        Rising.
    diameter_deg : float array, shape (diameter,)
        Rising.
    response, error : float array, shape (neuron, contrast, diameter, arrangement)
        Of :data:`ARRANGED`. Iso has no disc: it is the same at every diameter.
    baseline : float array, shape (neuron,)
        Response to gray.
    """

    contrast: FloatArray
    diameter_deg: FloatArray
    response: FloatArray
    error: FloatArray
    baseline: FloatArray

    @classmethod
    def of(cls, averages: Averages, baseline: FloatArray) -> Arranged:
        """Put averages by contrast, diameter (0 for iso) and arrangement onto the grid."""
        levels = averages.levels
        contrast = np.unique(levels["contrast"])
        diameter_deg = np.unique(levels.loc[levels["arrangement"] != "iso", "diameter_deg"])
        shape = (len(baseline), len(contrast), len(diameter_deg), len(ARRANGED))
        response, error = np.full(shape, np.nan), np.full(shape, np.nan)
        at = np.searchsorted(contrast, levels["contrast"].to_numpy(float))
        size = np.searchsorted(diameter_deg, levels["diameter_deg"].to_numpy(float))
        for row, name in enumerate(levels["arrangement"]):
            if name in ARRANGED:
                sizes = slice(None) if name == "iso" else slice(size[row], size[row] + 1)
                place = slice(None), at[row], sizes, ARRANGED.index(name)
                response[place] = averages.mean[row][:, None]
                error[place] = averages.error[row][:, None]
        return cls(contrast, diameter_deg, response, error, baseline)


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """An iso and a cross response each, equal in direction, and in phase where phases repeat.

    Attributes
    ----------
    kind : int array, shape (pair,)
        Pairs of one number are repeats of each other.
    iso, cross : float array, shape (pair, neuron)
        Cross is the mean over both turns of the surround where both were shown.
    """

    kind: IntArray
    iso: FloatArray
    cross: FloatArray


def pair_presentations(
    responses: FloatArray, conditions: pd.DataFrame, *, contrast: float, diameter_deg: float
) -> Pairs:
    """Pair iso with cross presentations of a contrast and diameter.

    Parameters
    ----------
    responses : float array, shape (presentation, neuron)
    conditions : DataFrame, one row a presentation
        ``arrangement``, ``contrast``, ``diameter_deg``, ``direction_deg``, ``phase_deg`` and
        ``surround_direction_deg``.
    contrast, diameter_deg : float
        Which; iso presentations serve every diameter.

    Returns
    -------
    Pairs
        Within a kind as many as the rarer of the two has presentations; surplus ones are averaged
        into the pairs. None where iso or cross was not shown.
    """
    is_at = conditions["contrast"] == contrast
    is_iso = is_at & (conditions["arrangement"] == "iso")
    is_cross = is_at & (conditions["arrangement"] == "cross")
    is_cross &= conditions["diameter_deg"] == diameter_deg
    # Sorted by turn, so that dealing them in turn gives every pair both.
    sides = [
        conditions[chosen].sort_values("surround_direction_deg", kind="stable")
        for chosen in (is_iso, is_cross)
    ]
    nothing = np.zeros((0, responses.shape[1]))
    if not all(map(len, sides)):
        return Pairs(np.zeros(0, np.int64), nothing, nothing)
    numbers, kinds = _deal(sides[0], sides[1])
    iso, cross = (
        _mean_by(responses[side.index.to_numpy()], number, len(kinds))
        for side, number in zip(sides, numbers, strict=True)
    )
    return Pairs(kinds, iso, cross)


def _deal(iso: pd.DataFrame, cross: pd.DataFrame) -> tuple[list[IntArray], IntArray]:
    """Return the pair that each presentation belongs to, and the kind of each pair."""
    both = pd.concat([iso, cross], keys=["iso", "cross"], names=["side", None])
    for names in KINDS:
        kind = both.groupby(names).ngroup()
        counts = pd.crosstab(kind, both.index.get_level_values("side"))
        if counts.to_numpy().min() > 0:
            break
    else:
        kind = pd.Series(0, index=both.index)
        counts = pd.crosstab(kind, both.index.get_level_values("side"))
    pair_count = counts.min(axis=1).to_numpy()
    first = np.cumsum(pair_count) - pair_count
    numbers = []
    for side in (kind.to_numpy()[: len(iso)], kind.to_numpy()[len(iso) :]):
        repeat = pd.Series(side).groupby(side).cumcount().to_numpy()
        numbers.append(first[side] + repeat % pair_count[side])
    return numbers, np.repeat(np.arange(len(pair_count)), pair_count)


def _mean_by(values: FloatArray, number: IntArray, count: int) -> FloatArray:
    """Return the mean over the rows of each number."""
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, number, values)
    mean: FloatArray = sums / np.bincount(number, minlength=count)[:, None]
    return mean


def indices(arranged: Arranged, *, has_trial_noise: bool) -> dict[str, FloatArray]:
    """Return every index of modulation.

    Parameters
    ----------
    arranged : Arranged
        Mean responses.
    has_trial_noise : bool
        Whether ``arranged.error`` is a standard error.

    Returns
    -------
    dict of float arrays, shape (neuron, contrast, diameter)
        With C, I, X, S the responses to center, iso, cross and shift, and b the baseline:

        - ``cmi``: (X - I) / (X + I), NaN unless X + I is above 0; ``cmi_se`` from the standard
          errors over trials, NaN without trials;
        - ``cmi_above_baseline``: the same of X - b and I - b, NaN unless their sum is above 0;
        - ``iso_suppression``, ``cross_suppression``, ``shift_suppression``: 1 - (I - b) / (C - b)
          and so on: 0 without effect, 1 where nothing is left, negative where the surround
          facilitates; NaN unless C is above b;
        - ``center_relative``, ``iso_relative``, ``cross_relative``, ``shift_relative``: above the
          baseline, over that of the center of the same diameter at the highest contrast.

    References
    ----------
    Keller et al. 2020, doi 10.1016/j.neuron.2020.11.013 (index);
    ViV1T-closed-loop, estimate_contextual_modulation.py (without a baseline).
    """
    baseline = arranged.baseline[:, None, None, None]
    evoked = arranged.response - baseline
    iso, cross = (arranged.response[..., ARRANGED.index(name)] for name in ("iso", "cross"))
    iso_error, cross_error = (
        arranged.error[..., ARRANGED.index(name)] for name in ("iso", "cross")
    )
    # Of (x - i) / (x + i) the slopes are 2 i and -2 x over the squared sum.
    spread = np.hypot(iso * cross_error, cross * iso_error)
    se = 2 * _ratio(_ratio(spread, cross + iso), cross + iso)
    names = dict(zip(ARRANGED, np.moveaxis(evoked, -1, 0), strict=True))
    best = names["center"][:, -1:]
    return {
        "cmi": _ratio(cross - iso, cross + iso),
        "cmi_se": se if has_trial_noise else np.full_like(se, np.nan),
        "cmi_above_baseline": _ratio(cross - iso, names["cross"] + names["iso"]),
        **{
            f"{name}_suppression": 1 - _ratio(names[name], names["center"]) for name in ARRANGED[1:]
        },
        **{f"{name}_relative": _ratio(names[name], best) for name in ARRANGED},
    }


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Return a ratio, NaN unless the denominator is above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def spread_of_index(pairs: Pairs) -> FloatArray:
    """Return the standard deviation of the modulation index over directions and phases.

    Parameters
    ----------
    pairs : Pairs
        Of one contrast and diameter.

    Returns
    -------
    float array, shape (neuron,)
        Over the kinds of pairs in which the neuron answers at all; NaN for fewer than two.
    """
    count = int(pairs.kind.max(initial=-1)) + 1
    index = np.full((count, pairs.iso.shape[1]), np.nan)
    if count:
        iso, cross = (_mean_by(side, pairs.kind, count) for side in (pairs.iso, pairs.cross))
        index = _ratio(cross - iso, cross + iso)
    known = np.isfinite(index)
    number = known.sum(axis=0)
    mean = np.where(known, index, 0).sum(axis=0) / np.maximum(number, 1)
    squares = np.where(known, (index - mean) ** 2, 0).sum(axis=0)
    return np.where(number > 1, np.sqrt(squares / np.maximum(number - 1, 1)), np.nan)


def difference_p_values(
    pairs: Mapping[tuple[float, float], Pairs], *, shuffle_count: int, seed: int
) -> dict[tuple[float, float], tuple[FloatArray, FloatArray]]:
    """Test over trials whether cross and iso differ, for every contrast and diameter.

    Parameters
    ----------
    pairs : mapping of (contrast, diameter) to Pairs
        Of noisy trials.
    shuffle_count, seed : int
        Of the exchanges of iso and cross within pairs.

    Returns
    -------
    dict of (contrast, diameter) to (p-value, q-value), float arrays, shape (neuron,)
        Two-sided, p = (k + 1) / (n + 1); q over the neurons of one contrast and diameter. NaN with
        fewer than :data:`MINIMUM_PAIRS` pairs.
    """
    tested = {}
    for key, sides in pairs.items():
        p_value = np.full(sides.iso.shape[1], np.nan)
        if len(sides.kind) >= MINIMUM_PAIRS:
            p_value = condition_difference_test(
                sides.cross,
                sides.iso,
                is_paired=True,
                shuffle_count=shuffle_count,
                seed=seed,
            ).p_value
        tested[key] = p_value, false_discovery_q_values(p_value)
    return tested
