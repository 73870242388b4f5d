"""Size tuning where trials repeat: tests of single neurons, and errors over trials."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from insilico.experiments.averaging import VARIED
from insilico.experiments.size_curves import (
    CENTER_COLUMNS,
    INVERSE_COLUMNS,
    FloatArray,
    IntArray,
    SizeCurves,
    fit_both,
    hole_responses,
)
from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.statistics.splits import split_trials

logger = logging.getLogger(__name__)

#: A size must be shown this often: half of the trials choose it, the other half test it. Exchanging
#: the sides of n pairs gives one-sided p-values of 2^-n or more: with 4 pairs 1/16, which nothing
#: can bring to 0.05; with the 5 of ten presentations 1/32.
MINIMUM_TRIALS = 10


def can_be_tested(curves: SizeCurves) -> bool:
    """Say whether every size was shown often enough to be chosen on some trials, tested on others.

    Gray counts as shown before every pattern; where no gray was measured, blanks must repeat too.
    """
    cells = curves.conditions.groupby(["arrangement", "diameter_deg"]).size()
    fewest = int(cells.min())
    has_gray = curves.gray is not None or ("center", 0.0) in cells
    if fewest < MINIMUM_TRIALS or not has_gray:
        logger.warning(
            "too few repeats for a test: the rarest size was shown %d times%s; show each %d "
            "times or more",
            fewest,
            "" if has_gray else ", and gray never",
            MINIMUM_TRIALS,
        )
    return fewest >= MINIMUM_TRIALS and has_gray


def trial_tests(curves: SizeCurves, protocol: Any) -> dict[str, FloatArray]:
    """Test whether a disc excites each neuron, a larger one suppresses it, and a hole excites it.

    The size in question is the best one on half of the trials; the tests are on the other half, so
    that a size which only happens to be the largest is not tested on its own luck.

    Parameters
    ----------
    curves : SizeCurves
        With trials that repeat; see :func:`can_be_tested`.
    protocol : SizeProtocol
        Rules, shuffles and seed.

    Returns
    -------
    dict of float array, shape (neuron,)
        ``response_p`` (best disc above gray), ``suppression_p`` (best disc above the largest),
        ``hole_p`` (best hole above gray and above the full field: the larger of the two p-values)
        and their q-values over neurons. A neuron whose best disc is the largest, or without a hole
        that counts, has 1 there.

    References
    ----------
    The larger of two p-values: Berger 1982, doi:10.1080/00401706.1982.10487790
    (intersection-union test). Halves: :func:`insilico.statistics.splits.split_trials`.
    """
    labels = curves.conditions.groupby(["arrangement", "diameter_deg"]).ngroup().to_numpy()
    halves = split_trials(labels, seed=[protocol.seed, 41])
    chosen = _mean_curves(curves, halves.selection)
    best_disc = np.nan_to_num(chosen[:, 0], nan=-np.inf)[:, 1:].argmax(axis=1) + 1
    best_hole = hole_responses(chosen, field_share=protocol.field_share).best
    largest = len(curves.diameter_deg) - 1
    tested = _Tested(curves, halves.test, protocol)
    p_values = {
        "response_p": tested.compare("center", best_disc, None),
        "suppression_p": tested.compare("center", best_disc, ("center", largest)),
        "hole_p": np.maximum(
            tested.compare("inverse", best_hole, None),
            tested.compare("inverse", best_hole, ("inverse", 0)),
        ),
    }
    q_values = {
        name.replace("_p", "_q"): false_discovery_q_values(p) for name, p in p_values.items()
    }
    return p_values | q_values


class _Tested:
    """Compares sizes on the trials that had no say in choosing them."""

    def __init__(self, curves: SizeCurves, test: IntArray, protocol: Any) -> None:
        self.curves, self.test, self.protocol = curves, test, protocol

    def compare(
        self, arrangement: str, best: IntArray, other: tuple[str, int] | None
    ) -> FloatArray:
        """Return p-values of each neuron's best size above another; above gray without one."""
        p_value = np.full(len(best), np.nan)
        for position in np.unique(best):
            asked = best == position
            rows = self._rows(arrangement, position)
            if (arrangement, position) == other or (arrangement, position) == ("inverse", 0):
                p_value[asked] = 1.0  # Nothing exceeds itself.
                continue
            first = self.curves.trials[np.ix_(rows, asked)]
            if other is None:
                second, is_paired = self._gray(rows, asked)
            else:
                second = self.curves.trials[np.ix_(self._rows(*other), asked)]
                is_paired = False
            p_value[asked] = condition_difference_test(
                first,
                second,
                is_paired=is_paired,
                alternative="greater",
                shuffle_count=self.protocol.shuffle_count,
                seed=self.protocol.seed,
            ).p_value
        is_known = np.isfinite(self.curves.trials).all(axis=0)
        return np.where(is_known, p_value, np.nan)

    def _rows(self, arrangement: str, position: int) -> IntArray:
        shown = self.curves.rows(arrangement, self.curves.diameter_deg[position])
        return np.intersect1d(shown, self.test)

    def _gray(self, rows: IntArray, asked: Any) -> tuple[FloatArray, bool]:
        """Return the gray before these presentations, or else that of the blanks."""
        if self.curves.gray is not None:
            return self.curves.gray[np.ix_(rows, asked)], True
        return self.curves.trials[np.ix_(self._rows("center", 0), asked)], False


def _mean_curves(curves: SizeCurves, rows: IntArray) -> FloatArray:
    """Return mean responses above gray over some presentations, (neuron, 2, diameter)."""
    conditions = curves.conditions.iloc[rows]
    found = np.full(curves.response.shape, np.nan)
    gray = found[:, 0, 0] if curves.gray is None else curves.gray[rows].mean(axis=0)
    for place, arrangement in enumerate(("center", "inverse")):
        of = (conditions["arrangement"] == arrangement).to_numpy()
        for position, diameter in enumerate(curves.diameter_deg):
            at = rows[of & (conditions["diameter_deg"] == diameter).to_numpy()]
            if len(at):
                found[:, place, position] = curves.trials[at].mean(axis=0)
    found[:, 0, 0] = np.where(np.isnan(found[:, 0, 0]), gray, found[:, 0, 0])
    return found - (found[:, 0, 0] if curves.gray is None else gray)[:, None, None]


def bootstrap_errors(curves: SizeCurves, protocol: Any) -> dict[str, FloatArray] | None:
    """Return standard errors over trials of what the fits say.

    Parameters
    ----------
    curves : SizeCurves
        With trials that repeat.
    protocol : SizeProtocol
        Fit, draws and seed.

    Returns
    -------
    dict of float array, shape (neuron,), or None
        By our names of what has an error: the standard deviation over draws of trials within sizes,
        of those draws whose fit stands; None where a size was shown once.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 6.
    """
    cells = _cells(curves)
    if min(map(len, cells)) < 2:
        return None
    rng = np.random.default_rng([protocol.seed, 42])
    columns = CENTER_COLUMNS, INVERSE_COLUMNS
    draws: dict[str, list[FloatArray]] = {name: [] for part in columns for name in part.values()}
    for _ in range(protocol.bootstrap_count):
        rows = np.concatenate([rng.choice(cell, len(cell)) for cell in cells])
        fits = fit_both(
            _mean_curves(curves, rows), curves.shown_diameter_deg, model=protocol.fit_model
        )
        for part, fit in zip(columns, fits, strict=True):
            for theirs, ours in part.items():
                draws[ours].append(fit[theirs].to_numpy(float))
    return {name: _spread(np.array(values)) for name, values in draws.items()}


def _cells(curves: SizeCurves) -> list[IntArray]:
    """Return presentations of one size, and of one phase and direction where these repeat too."""
    keys = ["arrangement", "diameter_deg"]
    varied = [name for name in VARIED if name in curves.conditions]
    for names in ([*keys, *varied], keys):
        labels = curves.conditions.groupby(names, dropna=False).ngroup().to_numpy()
        cells = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        if min(map(len, cells)) > 1:
            break
    return cells


def _spread(draws: FloatArray) -> FloatArray:
    """Return the standard deviation over draws that have a value; NaN where half have none."""
    count = np.isfinite(draws).sum(axis=0)
    known = np.where(np.isfinite(draws), draws, 0.0)
    mean = known.sum(axis=0) / np.maximum(count, 1)
    square = np.where(np.isfinite(draws), (draws - mean) ** 2, 0.0).sum(axis=0)
    spread = np.sqrt(square / np.maximum(count - 1, 1))
    return np.where(count > len(draws) / 2, spread, np.nan)
