"""Size tuning of a population: mean curves, and tests over neurons."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from insilico.experiments.size_curves import ARRANGED, BoolArray, FloatArray, SizeCurves
from insilico.statistics.paired import compare_paired, compare_with_zero

#: Index at which holes and discs do equally well against the full field.
EQUAL_INDEX = 0.5


def population_curves(curves: SizeCurves, neurons: pd.DataFrame) -> pd.DataFrame:
    """Average normalized curves over neurons.

    Parameters
    ----------
    curves : SizeCurves
        Of every neuron.
    neurons : DataFrame
        The experiment's table; neurons of status "ok" and "at_bound" count.

    Returns
    -------
    DataFrame, one row a group, arrangement and size
        ``group`` ("all" or "hole_responsive"), ``arrangement``, ``diameter_deg``; ``mean`` and
        ``sem`` over neurons of responses above the baseline, each neuron's divided by its largest
        classical one; ``count`` of neurons.

    References
    ----------
    Normalization: Keller, Roth & Scanziani 2020, doi 10.1038/s41586-020-2319-4, Fig. 1;
    ViV1T-closed-loop, tuning_feedbackRF/visualize_size_tuning_curve.py, without its baseline.
    """
    is_counted = neurons["status"].isin(["ok", "at_bound"]).to_numpy()
    holes = neurons["is_hole_responsive"].to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.fmax.reduce(curves.evoked[:, 0], axis=1)
        normalized = curves.evoked / largest[:, None, None]
    parts = [
        _group(normalized[chosen], curves.diameter_deg, name)
        for name, chosen in (("all", is_counted), ("hole_responsive", is_counted & holes))
    ]
    return pd.concat(parts, ignore_index=True)


def _group(normalized: FloatArray, diameter_deg: FloatArray, name: str) -> pd.DataFrame:
    count = np.isfinite(normalized).sum(axis=0)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # Means of nothing, and the spread of one, are missing; numpy warns of them.
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = np.nanmean(normalized, axis=0)
        sem = np.where(count > 1, np.nanstd(normalized, axis=0, ddof=1), np.nan) / np.sqrt(count)
    return pd.DataFrame(
        {
            "group": name,
            "arrangement": np.repeat(ARRANGED, len(diameter_deg)),
            "diameter_deg": np.tile(diameter_deg, len(ARRANGED)),
            "mean": mean.reshape(-1),
            "sem": sem.reshape(-1),
            "count": count.reshape(-1),
        }
    )


def compare_population(neurons: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Test over neurons what a population does.

    Parameters
    ----------
    neurons : DataFrame
        The experiment's table.
    seed : int
        Of the bootstrap intervals.

    Returns
    -------
    DataFrame, one row a comparison
        ``comparison`` and the columns of :class:`~insilico.statistics.paired.Comparison`: whether
        hole-responsive neurons prefer larger holes than discs, where the fit to the holes stands
        (``inverse_status`` "ok"), and respond more or less to them than to discs ("at_bound" too:
        the size is a limit there, the response is not); whether the inverse tuning index of all
        neurons differs from :data:`EQUAL_INDEX`. Not that of hole-responsive neurons: the responses
        that chose them would be tested on having chosen them.
    """
    is_counted = neurons["status"].isin(["ok", "at_bound"]).to_numpy()
    holes = is_counted & neurons["is_hole_responsive"].to_numpy()

    def chosen(name: str, which: BoolArray) -> FloatArray:
        return neurons.loc[which, name].to_numpy(float)

    def mice(which: BoolArray) -> pd.Series | None:
        mouse = neurons.loc[which, "mouse"]
        return mouse if len(mouse.unique()) > 1 else None

    rows = {}
    for position, (label, name, stands) in enumerate(
        [
            ("size (deg)", "preferred_size_deg", ["ok"]),
            ("response", "peak_response", ["ok", "at_bound"]),
        ]
    ):
        which = holes & neurons["inverse_status"].isin(stands).to_numpy()
        rows[f"preferred {label}, inverse - classical, hole-responsive"] = compare_paired(
            chosen(f"inverse_{name}", which),
            chosen(name, which),
            mouse=mice(which),
            seed=[seed, 31 + position],
        )
    rows[f"inverse tuning index - {EQUAL_INDEX:g}, all"] = compare_with_zero(
        chosen("inverse_tuning_index", is_counted) - EQUAL_INDEX,
        mouse=mice(is_counted),
        seed=[seed, 33],
    )
    return pd.DataFrame([{"comparison": name, **row.to_row()} for name, row in rows.items()])
