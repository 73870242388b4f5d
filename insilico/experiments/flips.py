"""Neurons whose surround changes sides with contrast: selected on some trials, tested on others.

A neuron flips where a cross surround exceeds an iso surround at high contrast and the reverse holds
at low contrast, both by a share of the smaller response. Among many neurons noise alone makes
some look so. Where trials repeat, neurons are therefore chosen on one half of them and tested on
the other, and the share that looks so is held against trials whose iso and cross are exchanged.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.modulation import Pairs
from insilico.statistics.bootstrap import bootstrap_interval
from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.statistics.splits import split_trials

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: What each value of ``flip_status`` means.
FLIP_STATUS = {
    "confirmed": "looks like a flip in the trials of selection, and q <= 0.05 in the others",
    "not_confirmed": "looks like a flip in the trials of selection, not so in the others",
    "not_selected": "does not look like a flip in the trials of selection, so it was not tested",
    "too_few_repeats": "iso or cross was shown fewer than ten times at a contrast: the test on one "
    "half of five could not reach 0.05",
    "noiseless": "trials do not differ, so there is nothing to test",
    "one_contrast": "a flip needs two contrasts",
    "not_measured": "responses are missing",
}
#: A confirmed neuron's q-value lies at or below it.
SIGNIFICANCE_LEVEL = 0.05
#: Shares are given for each of these thresholds: 0 to 30 %, as in ViV1T-closed-loop,
#: in_vivo_analysis/grating_contextual_modulation.
THRESHOLDS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
#: Pairs at a contrast with which the test on one half can reach 0.05: of five pairs, one in
#: 2^5 exchanges is as extreme as a difference that they all share.
MINIMUM_PAIRS = 10
#: Numbers in one block of shuffled means, which bounds memory.
BLOCK_NUMBERS = 2_000_000


def is_flip(
    high: tuple[FloatArray, FloatArray], low: tuple[FloatArray, FloatArray], threshold: float
) -> BoolArray:
    """Return which neurons look like a flip.

    Parameters
    ----------
    high, low : (iso, cross) of float arrays, shape (…, neuron)
        Mean responses at the highest and the lowest contrast.
    threshold : float
        Share of the smaller response.

    Returns
    -------
    bool array, shape (…, neuron)
        ``cross - iso >= threshold * iso`` at the highest contrast and the reverse at the lowest; a
        smaller response below 0 has no share, and is none.

    References
    ----------
    ViV1T-closed-loop, tuning_contextual_modulation/visualize_contrast_difference.py: 0.2.
    """
    return _exceeds(high[1], high[0], threshold) & _exceeds(low[0], low[1], threshold)


def _exceeds(larger: FloatArray, smaller: FloatArray, threshold: float) -> BoolArray:
    difference = larger - smaller
    exceeds: BoolArray = (difference > 0) & (smaller >= 0) & (difference >= threshold * smaller)
    return exceeds


@dataclasses.dataclass(frozen=True, eq=False)
class Flips:
    """Which neurons flip, and how many would by chance.

    Attributes
    ----------
    high, low : Pairs
        Of the highest and the lowest contrast.
    threshold : float
        By which iso and cross must differ.
    shuffle_count, seed : int
        Of the tests.
    has_trial_noise : bool
        Whether there is anything to test.
    """

    high: Pairs
    low: Pairs
    threshold: float
    shuffle_count: int
    seed: int
    has_trial_noise: bool

    @functools.cached_property
    def neurons(self) -> pd.DataFrame:
        """One row a neuron.

        ``is_flip``: over all presentations; ``flip_status``, of :data:`FLIP_STATUS`; ``flip_p``:
        the larger of two one-sided permutation p-values over the trials of the test, of the highest
        and the lowest contrast, for the neurons selected on the others; ``flip_q``: over these
        neurons. The last two only with trial noise.

        References
        ----------
        Both differences must hold, so the larger p-value is that of the flip (intersection-union
        test: Berger 1982, doi:10.1080/00401706.1982.10487790). It rejects at its nominal rate where
        one of the two holds, and more rarely where neither does.
        """
        known, untested = self._known(), self._untested()
        p_value = np.full(len(known), np.nan)
        if not untested:
            chosen, tested = self._select_and_test()
            p_value = np.where(chosen & known, tested, np.nan)
        q_value = false_discovery_q_values(p_value)
        status = np.where(q_value <= SIGNIFICANCE_LEVEL, "confirmed", "not_confirmed")
        status = np.where(np.isnan(p_value), untested or "not_selected", status)
        columns = {
            "is_flip": self._looks(self.threshold),
            "flip_status": np.where(known, status, "not_measured").astype(str),
        }
        if self.has_trial_noise:
            columns |= {"flip_p": p_value, "flip_q": q_value}
        return pd.DataFrame(columns)

    def shares(self, is_counted: BoolArray) -> pd.DataFrame:
        """Return how many neurons flip, by threshold.

        Parameters
        ----------
        is_counted : bool array, shape (neuron,)
            Which neurons the shares are of.

        Returns
        -------
        DataFrame, one row a threshold
            ``threshold``, ``neuron_count``, ``share`` with the interval ``ci_low`` to ``ci_high``
            over neurons; ``null_share``, the mean share when iso and cross trials are exchanged at
            random, and ``p_value``, how often it is as large (both NaN without trial noise);
            ``confirmed_share``, of ``flip_status`` "confirmed", at the protocol's threshold.
        """
        thresholds = sorted({*THRESHOLDS, self.threshold})
        counted = is_counted & self._known()
        null = self._null_shares(thresholds, counted)
        confirmed = (self.neurons["flip_status"] == "confirmed").to_numpy()[counted]
        rows = []
        for column, threshold in enumerate(thresholds):
            looks = self._looks(threshold)[counted].astype(float)
            interval = bootstrap_interval(looks, statistic=np.mean, seed=self.seed)
            reached = (null[:, column] >= interval.estimate - 1e-12).sum()
            is_own = threshold == self.threshold and self._untested() == "" and len(looks) > 0
            rows.append(
                {
                    "threshold": threshold,
                    "neuron_count": len(looks),
                    "share": interval.estimate,
                    "ci_low": interval.ci_low,
                    "ci_high": interval.ci_high,
                    "null_share": null[:, column].mean() if len(null) else np.nan,
                    "p_value": (reached + 1) / (len(null) + 1) if len(null) else np.nan,
                    "confirmed_share": confirmed.mean() if is_own else np.nan,
                }
            )
        return pd.DataFrame(rows)

    def _untested(self) -> str:
        """Return why no neuron is tested; empty where they are."""
        if self.high is self.low:
            return "one_contrast"
        if not self.has_trial_noise:
            return "noiseless"
        fewest = min(len(self.high.kind), len(self.low.kind))
        return "too_few_repeats" if fewest < MINIMUM_PAIRS else ""

    def _known(self) -> BoolArray:
        known = np.full(self.high.iso.shape[1], True)
        for pairs in (self.high, self.low):
            known &= np.isfinite(pairs.iso).all(axis=0) & np.isfinite(pairs.cross).all(axis=0)
            known &= len(pairs.kind) > 0
        return known

    def _looks(self, threshold: float) -> BoolArray:
        if self.high is self.low or min(len(self.high.kind), len(self.low.kind)) == 0:
            return np.zeros(self.high.iso.shape[1], bool)
        return is_flip(_means(self.high), _means(self.low), threshold)

    def _select_and_test(self) -> tuple[BoolArray, FloatArray]:
        """Return who looks like a flip in one half of the pairs, and p-values of the other."""
        halves = [_split(pairs, [self.seed, 12, k]) for k, pairs in enumerate(self._both())]
        selection, test = zip(*halves, strict=True)
        chosen = is_flip(_means(selection[0]), _means(selection[1]), self.threshold)
        sides = [(test[0].cross, test[0].iso), (test[1].iso, test[1].cross)]
        p_values = [
            condition_difference_test(
                larger,
                smaller,
                is_paired=True,
                alternative="greater",
                shuffle_count=self.shuffle_count,
                seed=self.seed + 1 + k,
            ).p_value
            for k, (larger, smaller) in enumerate(sides)
        ]
        return chosen, np.maximum(*p_values)

    def _both(self) -> tuple[Pairs, Pairs]:
        return self.high, self.low

    def _null_shares(self, thresholds: list[float], counted: BoolArray) -> FloatArray:
        """Return shares (shuffle, threshold) where iso and cross are exchanged within pairs."""
        if self._untested() or not counted.any():
            return np.zeros((0, len(thresholds)))
        rng = np.random.default_rng([self.seed, 13])
        pair_count = max(len(pairs.kind) for pairs in self._both())
        block = max(1, BLOCK_NUMBERS // max(counted.sum(), pair_count))
        parts = []
        for first in range(0, self.shuffle_count, block):
            size = min(block, self.shuffle_count - first)
            high, low = (_exchanged(pairs, counted, size, rng) for pairs in self._both())
            parts.append(np.stack([is_flip(high, low, t).mean(axis=1) for t in thresholds], axis=1))
        return np.concatenate(parts)


def _means(pairs: Pairs) -> tuple[FloatArray, FloatArray]:
    return pairs.iso.mean(axis=0), pairs.cross.mean(axis=0)


def _split(pairs: Pairs, seed: list[int]) -> tuple[Pairs, Pairs]:
    """Split pairs into halves, kinds alike in both where each repeats."""
    repeats = np.bincount(pairs.kind).min() >= 2
    split = split_trials(pairs.kind if repeats else np.zeros_like(pairs.kind), seed=seed)
    first, second = (Pairs(pairs.kind[half], pairs.iso[half], pairs.cross[half]) for half in split)
    return first, second


def _exchanged(
    pairs: Pairs, counted: BoolArray, size: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return iso and cross means (shuffle, neuron) with sides exchanged in some pairs."""
    iso, cross = pairs.iso[:, counted], pairs.cross[:, counted]
    is_exchanged = rng.random((size, len(iso))) < 0.5
    change = is_exchanged @ (cross - iso) / len(iso)
    return iso.mean(axis=0) + change, cross.mean(axis=0) - change
