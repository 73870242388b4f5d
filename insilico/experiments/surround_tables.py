"""The tables of the surround experiment: one row a neuron, a condition, an index, a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.averaging import Averages
from insilico.experiments.experiment import Setting
from insilico.experiments.flips import Flips
from insilico.experiments.gratings import placed_status
from insilico.experiments.modulation import (
    ARRANGED,
    Arranged,
    Pairs,
    difference_p_values,
    indices,
    pair_presentations,
    spread_of_index,
)
from insilico.experiments.sites import UNPLACED
from insilico.statistics.paired import Comparison, compare_paired, compare_with_zero

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: A center whose response exceeds the baseline by less than this share of it, or of the largest
#: response to any arrangement, evokes none (ours).
EVOKED_SHARE = 0.01
#: What each value of ``status`` means.
STATUS = {
    "ok": "the center evokes a response, and the indices are defined",
    **UNPLACED,
    "not_finite": "a response is NaN or infinite",
    "silent": "iso and cross at the highest contrast do not sum to above 0: no index is defined",
    "unresponsive": "the center alone, at the highest contrast, raises the response above the "
    "baseline by less than 1 % of it, or of the largest response: there is nothing to modulate, "
    "and no test counts the neuron",
}
#: Columns of a comparison that the population table leaves out.
LEFT_OUT = ("second_count",)


def surround_tables(
    setting: Setting[Any],
    averages: Averages,
    baseline: FloatArray,
    presented: tuple[FloatArray, pd.DataFrame],
) -> dict[str, pd.DataFrame]:
    """Return every table of the experiment.

    Parameters
    ----------
    setting : Setting
        Of a :class:`~insilico.experiments.surround.SurroundProtocol`.
    averages : Averages
        By contrast, diameter (0 for iso) and arrangement.
    baseline : float array, shape (neuron,)
        Response to gray.
    presented : (float array, shape (presentation, neuron), DataFrame)
        Responses and their conditions.

    Returns
    -------
    dict of DataFrame
        ``neurons``; ``conditions``, one row a neuron and condition; ``modulation``, one row a
        neuron, contrast and diameter; ``population``, one row a test; ``flips``, one row a
        threshold.
    """
    arranged = Arranged.of(averages, baseline)
    pairs = {
        (contrast, diameter): pair_presentations(
            *presented, contrast=contrast, diameter_deg=diameter
        )
        for contrast in arranged.contrast
        for diameter in arranged.diameter_deg
    }
    values = {**_grid(arranged), **indices(arranged, has_trial_noise=setting.has_trial_noise)}
    values |= _over_pairs(pairs, arranged, setting)
    flips = _flips(pairs, arranged, setting)
    table = _neurons(setting, arranged, values, flips)
    is_counted = (table["status"] == "ok").to_numpy()
    return {
        "neurons": table,
        "conditions": _conditions(setting, averages, baseline),
        "modulation": _modulation(setting, arranged, values),
        "population": _population(table, is_counted, setting, arranged),
        "flips": flips.shares(is_counted),
    }


def _grid(arranged: Arranged) -> dict[str, FloatArray]:
    """Return the mean responses by arrangement, each (neuron, contrast, diameter)."""
    return dict(zip(ARRANGED, np.moveaxis(arranged.response, -1, 0), strict=True))


def _over_pairs(
    pairs: dict[tuple[float, float], Pairs], arranged: Arranged, setting: Setting[Any]
) -> dict[str, FloatArray]:
    """Return what comes of single presentations, each (neuron, contrast, diameter)."""
    shape = arranged.response.shape[:3]
    keys = list(pairs)

    def on_grid(columns: list[FloatArray]) -> FloatArray:
        return np.stack(columns, axis=1).reshape(shape)

    if not setting.has_trial_noise:
        return {"cmi_spread": on_grid([spread_of_index(pairs[key]) for key in keys])}
    protocol = setting.protocol
    tested = difference_p_values(pairs, shuffle_count=protocol.shuffle_count, seed=protocol.seed)
    return {
        "cmi_spread": np.full(shape, np.nan),
        "cross_iso_p": on_grid([tested[key][0] for key in keys]),
        "cross_iso_q": on_grid([tested[key][1] for key in keys]),
    }


def _flips(
    pairs: dict[tuple[float, float], Pairs], arranged: Arranged, setting: Setting[Any]
) -> Flips:
    protocol = setting.protocol
    high, low = (pairs[arranged.contrast[k], protocol.index_diameter_deg] for k in (-1, 0))
    return Flips(
        high,
        low,
        threshold=protocol.flip_threshold,
        shuffle_count=protocol.shuffle_count,
        seed=protocol.seed,
        has_trial_noise=setting.has_trial_noise,
    )


def _neurons(
    setting: Setting[Any], arranged: Arranged, values: dict[str, FloatArray], flips: Flips
) -> pd.DataFrame:
    """Return one row a neuron, about the highest and the lowest contrast at one diameter."""
    at = int(np.searchsorted(arranged.diameter_deg, setting.protocol.index_diameter_deg))
    ends = {"high": -1, "low": 0} if len(arranged.contrast) > 1 else {"high": -1}
    columns = {
        _column(name, end): grid[:, ends[end], at] if end in ends else np.full(len(grid), np.nan)
        for end in ("high", "low")
        for name, grid in values.items()
    }
    table = pd.DataFrame({"baseline": arranged.baseline, **columns})
    table["cmi_change"] = table["cmi_high"] - table["cmi_low"]
    table = pd.concat([table, flips.neurons], axis=1)
    return pd.concat(
        [
            setting.neurons.reset_index(drop=True),
            pd.DataFrame({"status": _status(setting, table)}),
            table,
            pd.DataFrame(
                {"error_source": ["trials" if setting.has_trial_noise else "phases"] * len(table)}
            ),
        ],
        axis=1,
    )


def _column(name: str, end: str) -> str:
    """Return the name of a quantity at one end; "se" and the like come last."""
    value, _, last = name.rpartition("_")
    return f"{value}_{end}_{last}" if last in ("se", "spread", "p", "q") else f"{name}_{end}"


def _status(setting: Setting[Any], table: pd.DataFrame) -> np.ndarray[Any, Any]:
    sides = table[["center_high", "iso_high", "cross_high"]].to_numpy()
    evoked = table["center_high"] - table["baseline"]
    shown = [f"{name}_{end}" for name in ARRANGED for end in ("high", "low")]
    # A simulated neuron's baseline may be 0, and rounding exceeds any share of that.
    least = table[["baseline", *shown]].abs().max(axis=1)
    is_weak = (evoked < EVOKED_SHARE * least) | (evoked <= 0)
    status = np.where(is_weak, "unresponsive", "ok")
    status = np.where(table["iso_high"] + table["cross_high"] <= 0, "silent", status)
    status = np.where(np.isfinite(sides).all(axis=1), status, "not_finite")
    return placed_status(setting, status.astype(str))


def _conditions(setting: Setting[Any], averages: Averages, baseline: FloatArray) -> pd.DataFrame:
    """Return mean responses, one row a neuron and condition."""
    error = "response_sem" if setting.has_trial_noise else "spread_over_phases"
    count = len(averages.levels)
    levels = averages.levels.rename(columns={"count": "presentation_count"})
    repeated = pd.concat([levels] * len(baseline), ignore_index=True)
    columns = {
        "response": averages.mean.T.reshape(-1),
        error: averages.error.T.reshape(-1),
        "above_baseline": (averages.mean - baseline).T.reshape(-1),
    }
    return pd.concat([_keys(setting, count), repeated, pd.DataFrame(columns)], axis=1)


def _modulation(
    setting: Setting[Any], arranged: Arranged, values: dict[str, FloatArray]
) -> pd.DataFrame:
    """Return indices, one row a neuron, contrast and diameter."""
    grid = np.meshgrid(arranged.contrast, arranged.diameter_deg, indexing="ij")
    contrast, diameter = (np.tile(axis.reshape(-1), len(setting.neurons)) for axis in grid)
    columns = {"contrast": contrast, "diameter_deg": diameter}
    columns |= {name: value.reshape(-1) for name, value in values.items()}
    return pd.concat([_keys(setting, grid[0].size), pd.DataFrame(columns)], axis=1)


def _keys(setting: Setting[Any], count: int) -> pd.DataFrame:
    """Return the mouse and index of each neuron, that many rows each."""
    keys = setting.neurons[["mouse", "neuron"]]
    return keys.loc[keys.index.repeat(count)].reset_index(drop=True)


def _population(
    table: pd.DataFrame, is_counted: BoolArray, setting: Setting[Any], arranged: Arranged
) -> pd.DataFrame:
    """Return tests over the neurons of status "ok", at the diameter of the indices."""
    counted = table[is_counted]
    mouse = counted["mouse"] if len(set(counted["mouse"])) > 1 else None
    rows = []
    for number, (name, contrast, first, second) in enumerate(_comparisons(arranged)):
        seed = [setting.protocol.seed, 14, number]
        result: Comparison = (
            compare_with_zero(counted[first], mouse=mouse, seed=seed)
            if second is None
            else compare_paired(counted[first], counted[second], mouse=mouse, seed=seed)
        )
        row = result.to_row()
        count = row.pop("first_count")
        for left_out in LEFT_OUT:
            row.pop(left_out)
        rows.append({"comparison": name, "contrast": contrast, "neuron_count": count, **row})
    return pd.DataFrame(rows)


def _comparisons(arranged: Arranged) -> Iterator[tuple[str, float, str, str | None]]:
    """Yield what is compared: its name, contrast, and columns of the neurons table."""
    ends = {"high": arranged.contrast[-1]}
    if len(arranged.contrast) > 1:
        ends["low"] = arranged.contrast[0]
    for end, contrast in ends.items():
        for first, second in (("cross", "iso"), ("center", "iso"), ("center", "cross")):
            yield f"{first} - {second}", contrast, f"{first}_{end}", f"{second}_{end}"
        yield "cmi", contrast, f"cmi_{end}", None
        yield "cmi_above_baseline", contrast, f"cmi_above_baseline_{end}", None
    if len(ends) > 1:
        yield "cmi at the highest - lowest contrast", np.nan, "cmi_high", "cmi_low"
