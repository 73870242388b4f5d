"""Tuning curves of both sides: correlation, preference and width, with the quirks of panels 2B-2D.

The published panels (ViV1T-closed-loop, tuning_direction/visualize_tuning_curve_correlation.py,
visualize_tuning_width.py, visualize_preference_differences.py) choose neurons by other rules from
panel to panel, leave the peak of aligned curves in their test (for orientations), and average an
angle that a mouse lacks over the other mice alone. Here one set of neurons serves all, no peak is
tested, and a share that a mouse lacks is 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.comparison.sides import KEYS, Side
from insilico.statistics.circular import wrapped_difference
from insilico.statistics.correlation import correlate_rows
from insilico.statistics.paired import Comparison, compare_paired

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Periods of the two kinds of curve, degrees.
PERIODS = {"direction": 360.0, "orientation": 180.0}
#: Fewer common angles than this make no curve (ours).
FEWEST_ANGLES = 4
SIDES = ("reference", "other")


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """Tuning curves of matched neurons at the angles that both sides saw.

    Attributes
    ----------
    kind : {"direction", "orientation"}
        Of the angles.
    angle_deg : float array, shape (angle,)
        Evenly spaced.
    values : float array, shape (2, neuron, angle)
        Mean responses: reference, other.
    errors : float array, shape (2, neuron, angle)
        Standard errors over trials; NaN where trials do not repeat.
    """

    kind: str
    angle_deg: FloatArray
    values: FloatArray
    errors: FloatArray

    @property
    def period_deg(self) -> float:
        """The period of the angles."""
        return PERIODS[self.kind]


def curves_of(sides: Sequence[Side], keys: pd.DataFrame) -> dict[str, Curves]:
    """Return the curves that both sides have.

    Parameters
    ----------
    sides : sequence of Side
        Reference and other, with direction results.
    keys : DataFrame
        ``mouse`` and ``neuron``.

    Returns
    -------
    dict of str to Curves
        "direction" where both saw directions, and "orientation": directions half a turn apart are
        averaged. A kind is missing where the sides share fewer than four evenly spaced angles.
    """
    found = {}
    for kind in PERIODS:
        tables = [_collect(side, keys, kind) for side in sides]
        if any(table is None for table in tables):
            continue
        (one, one_error), (two, two_error) = (table for table in tables if table is not None)
        angles = np.array(sorted(set(one.columns) & set(two.columns)), float)
        if len(angles) < FEWEST_ANGLES or not _is_even(angles, PERIODS[kind]):
            continue
        values = np.stack([side[angles].to_numpy(float) for side in (one, two)])
        errors = np.stack([side[angles].to_numpy(float) for side in (one_error, two_error)])
        found[kind] = Curves(kind, angles, values, errors)
    return found


def measure_curves(curves: Curves, *, seed: int) -> dict[str, FloatArray]:
    """Compare the curves of each neuron.

    Parameters
    ----------
    curves : Curves
        Of either kind.
    seed : int
        Of the permutations.

    Returns
    -------
    dict of float array, shape (neuron,)
        ``<kind>_curve_correlation``; the same with the angles of the reference permuted once
        (``…_shuffled``); ``<kind>_preference_reference_deg`` and ``…_other_deg``, the best of the
        sampled angles; ``<kind>_preference_difference_deg``, 0 to half a period; and
        ``<kind>_off_peak_reference`` and ``…_other``, the mean of the curve beside its peak, as a
        share of the peak, which is the larger the broader the tuning.
    """
    one, two = curves.values
    kind, rng = curves.kind, np.random.default_rng([seed, 31])
    best = [_best(side, curves.angle_deg) for side in (one, two)]
    off_peak = [aligned[:, 1:].mean(axis=1) for aligned in map(_aligned, (one, two))]
    return {
        f"{kind}_curve_correlation": correlate_rows(one, two),
        f"{kind}_curve_correlation_shuffled": correlate_rows(rng.permuted(one, axis=1), two),
        f"{kind}_preference_reference_deg": best[0],
        f"{kind}_preference_other_deg": best[1],
        f"{kind}_preference_difference_deg": np.abs(
            wrapped_difference(best[1], best[0], period=curves.period_deg)
        ),
        f"{kind}_off_peak_reference": off_peak[0],
        f"{kind}_off_peak_other": off_peak[1],
    }


def aligned_curves(curves: Curves, mouse: np.ndarray[Any, Any], counted: BoolArray) -> pd.DataFrame:
    """Average curves whose peaks are put at 0 and scaled to 1.

    Parameters
    ----------
    curves : Curves
        Of either kind.
    mouse : array of str, shape (neuron,)
        Of each neuron.
    counted : bool array, shape (neuron,)
        Which neurons count.

    Returns
    -------
    DataFrame, one row a mouse, side and angle
        ``kind``, ``mouse`` ("all" for the mean of the mice), ``side``, ``angle_deg`` from the peak
        (the first and the last are the same), ``mean``, ``sem`` (over neurons; over mice where
        there are several and the mouse is "all"), ``neuron_count`` and ``error_source``.
    """
    rows: list[pd.DataFrame] = []
    step = curves.period_deg / len(curves.angle_deg)
    places = np.arange(len(curves.angle_deg) + 1) - len(curves.angle_deg) // 2
    for name, values in zip(SIDES, curves.values, strict=True):
        # The peak stands first: a turn about it puts it into the middle.
        shown = _aligned(values)[:, places % len(curves.angle_deg)]
        stands = counted & np.isfinite(shown).all(axis=1)
        of_mice = [_mean_and_error(shown[stands & (mouse == one)]) for one in np.unique(mouse)]
        if len(of_mice) > 1:
            means = np.stack([mean for mean, _ in of_mice])
            whole, source = _mean_and_error(means[np.isfinite(means).all(axis=1)]), "mice"
        else:
            whole, source = of_mice[0], "neurons"
        groups = [
            (one, pair, "neurons") for one, pair in zip(np.unique(mouse), of_mice, strict=True)
        ]
        for label, (mean, error), error_source in [("all", whole, source), *groups]:
            inside = stands if label == "all" else stands & (mouse == label)
            rows.append(
                pd.DataFrame({"angle_deg": places * step, "mean": mean, "sem": error}).assign(
                    kind=curves.kind,
                    mouse=label,
                    side=name,
                    neuron_count=int(inside.sum()),
                    error_source=error_source,
                )
            )
    return pd.concat(rows, ignore_index=True)


def preference_shares(
    curves: Curves,
    measured: Mapping[str, FloatArray],
    mouse: np.ndarray[Any, Any],
    counted: BoolArray,
) -> pd.DataFrame:
    """Return how often preferences differ by how much, mouse by mouse.

    Parameters
    ----------
    curves : Curves
        Of either kind.
    measured : mapping
        Of :func:`measure_curves`.
    mouse, counted
        As for :func:`aligned_curves`.

    Returns
    -------
    DataFrame, one row a mouse and difference
        ``kind``, ``mouse`` ("all" for the mean of the mice), ``difference_deg``, ``share`` of the
        neurons (0 where none differs by so much), ``sem`` over mice, ``chance`` (of independent,
        even preferences) and ``neuron_count``.
    """
    count = len(curves.angle_deg)
    step = curves.period_deg / count
    levels = np.arange(count // 2 + 1)
    index = measured[f"{curves.kind}_preference_difference_deg"] / step
    stands = counted & np.isfinite(index)
    shares, numbers = [], []
    for one in np.unique(mouse):
        own = index[stands & (mouse == one)].round().astype(int)
        numbers.append(len(own))
        shares.append(np.bincount(own, minlength=len(levels)) / max(len(own), 1))
    has_any = np.array(numbers) > 0
    mean, error = _mean_and_error(np.stack(shares)[has_any])
    # Every difference but none, and half a turn, comes about in two ways.
    ways = np.where((levels == 0) | (2 * levels == count), 1, 2)
    rows = [
        pd.DataFrame({"difference_deg": levels * step, "share": share, "sem": sem}).assign(
            kind=curves.kind, mouse=label, chance=ways / count, neuron_count=number
        )
        for label, share, sem, number in [
            ("all", mean, error, sum(numbers)),
            *(
                (one, share, np.full(len(levels), np.nan), number)
                for one, share, number in zip(np.unique(mouse), shares, numbers, strict=True)
            ),
        ]
    ]
    return pd.concat(rows, ignore_index=True)


def preference_pairs(
    curves: Curves, measured: Mapping[str, FloatArray], counted: BoolArray
) -> pd.DataFrame:
    """Return which share of all neurons prefers what on both sides, one row a pair of angles."""
    pairs = pd.DataFrame(
        {f"{side}_deg": measured[f"{curves.kind}_preference_{side}_deg"][counted] for side in SIDES}
    ).dropna()
    full = pd.MultiIndex.from_product([curves.angle_deg] * 2, names=list(pairs))
    counts = pairs.value_counts().reindex(full, fill_value=0)
    shares = counts / max(len(pairs), 1)
    return shares.rename("share").reset_index().assign(kind=curves.kind, neuron_count=len(pairs))


def tuning_tests(
    curves: Mapping[str, Curves],
    measured: pd.DataFrame,
    aligned: pd.DataFrame,
    counted: BoolArray,
    **options: Any,
) -> pd.DataFrame:
    """Test curves against shuffled ones, and widths against each other.

    Parameters
    ----------
    curves : mapping of str to Curves
        By kind.
    measured : DataFrame, one row a neuron
        ``mouse`` and the columns of :func:`measure_curves`.
    aligned : DataFrame
        Of :func:`aligned_curves`.
    counted : bool array, shape (neuron,)
        Which neurons count.
    **options
        ``confidence``, ``draws`` and ``seed`` of :func:`insilico.statistics.paired.compare_paired`.

    Returns
    -------
    DataFrame, one row a test
        ``comparison`` and the columns of :class:`~insilico.statistics.paired.Comparison`. "off the
        peak, mice x angles" is the published test on mean curves, whose points are no independent
        draws; that over neurons takes one value a neuron.
    """
    rows: list[dict[str, Any]] = []
    table = measured[counted]
    mouse = table["mouse"] if len(set(table["mouse"])) > 1 else None
    for kind in curves:
        pairs = {
            f"{kind} curve correlation - shuffled": (
                "curve_correlation",
                "curve_correlation_shuffled",
            ),
            f"{kind} curve off the peak, neurons: other - reference": (
                "off_peak_other",
                "off_peak_reference",
            ),
        }
        for name, (first, second) in pairs.items():
            test = compare_paired(
                table[f"{kind}_{first}"], table[f"{kind}_{second}"], mouse=mouse, **options
            )
            rows.append(_row(name, test))
        test = _test_mean_curves(aligned[aligned["kind"] == kind], **options)
        rows.append(_row(f"{kind} curve off the peak, mice x angles: other - reference", test))
    return pd.DataFrame(rows)


def _row(name: str, test: Comparison) -> dict[str, Any]:
    row = test.to_row()
    count = row.pop("first_count")
    row.pop("second_count")
    return {"comparison": name, "neuron_count": count, **row}


def _test_mean_curves(aligned: pd.DataFrame, **options: Any) -> Comparison:
    """Compare mean curves of mice point by point, without the peak, and each angle once."""
    # The first angle is the last one again.
    points = aligned[
        (aligned["mouse"] != "all")
        & (aligned["angle_deg"] != 0)
        & (aligned["angle_deg"] != aligned["angle_deg"].min())
    ]
    wide = points.pivot_table(index=["mouse", "angle_deg"], columns="side", values="mean")
    wide = wide.reindex(columns=list(SIDES))
    test = compare_paired(wide["other"], wide["reference"], **options)
    return dataclasses.replace(test, error_source="mice x angles")


def _collect(side: Side, keys: pd.DataFrame, kind: str) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return curves and errors, a row a key and a column an angle; None where there are none."""
    parts = []
    for result in side.results["direction"]:
        shown = result.arrays["tuning_curve"]
        name = "direction_deg" if "direction_deg" in shown.dims else "orientation_deg"
        index = pd.MultiIndex.from_frame(result.neurons[KEYS])
        angles = shown[name].to_numpy().astype(float)
        curve = pd.DataFrame(shown.to_numpy(), index, angles)
        error = curve * np.nan
        if "tuning_curve_sem" in result.arrays:
            error = pd.DataFrame(result.arrays["tuning_curve_sem"].to_numpy(), index, angles)
        if kind == "direction" and name != "direction_deg":
            return None
        if kind == "orientation" and name == "direction_deg":
            curve = curve.T.groupby(curve.columns % 180).mean().T
            error = (error**2).T.groupby(error.columns % 180).mean().T.div(2).pow(0.5)
        parts.append((curve, error))
    wanted = pd.MultiIndex.from_frame(keys[KEYS])
    # Angles that only some mice saw are no common ones.
    curve, error = (
        pd.concat([part[index] for part in parts], join="inner").reindex(wanted) for index in (0, 1)
    )
    return curve, error


def _is_even(angle_deg: FloatArray, period_deg: float) -> bool:
    gaps = np.diff(np.append(angle_deg, angle_deg[0] + period_deg))
    return bool(np.allclose(gaps, period_deg / len(angle_deg)))


def _best(values: FloatArray, angle_deg: FloatArray) -> FloatArray:
    """Return the angle of the largest response; NaN where one is missing."""
    stands = np.asarray(np.isfinite(values).all(axis=1), bool)
    best = angle_deg[np.argmax(np.where(stands[:, None], values, 0), axis=1)]
    return np.where(stands, best, np.nan)


def _aligned(values: FloatArray) -> FloatArray:
    """Return curves turned so that the peak stands first, as shares of it; NaN without a peak."""
    peak = np.argmax(np.nan_to_num(values, nan=-np.inf), axis=1)
    columns = (peak[:, None] + np.arange(values.shape[1])) % values.shape[1]
    turned = np.take_along_axis(values, columns, axis=1)
    stands = np.asarray(np.isfinite(values).all(axis=1) & (turned[:, 0] > 0), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(stands[:, None], turned / turned[:, :1], np.nan)


def _mean_and_error(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of rows and its standard error; NaN where there are too few."""
    missing = np.full(rows.shape[1], np.nan)
    mean = rows.mean(axis=0) if len(rows) else missing
    error = rows.std(axis=0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else missing
    return mean, error
