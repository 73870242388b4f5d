"""Selectivity over cortex and in depth, and the tests over a population."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from insilico.experiments.similarity_tuning import COORDINATES, Tuning
from insilico.statistics.bootstrap import bootstrap_correlations, percentile_interval
from insilico.statistics.false_discovery import false_discovery_q_values

if TYPE_CHECKING:
    from insilico.experiments.similarity import SimilarityProtocol

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Selectivity indices, in the order of tables and figures.
INDICES = ("osi", "dsi")
#: Neurons with which a rank correlation is tested.
MINIMUM_NEURONS = 5
#: Bootstrap draws of the interval of a rank correlation.
DRAWS = 1000
#: What each value of ``status`` of a test means.
TEST_STATUS = {
    "ok": "tested",
    "no_pairs": "no pair of selected neurons lies in the bin",
    "too_few_neurons": "fewer than five selected neurons, or all at one place or of one index",
}


def selectivity_table(tuning: Tuning, protocol: SimilarityProtocol) -> pd.DataFrame:
    """Return the selectivity of the selected neurons along each cortical coordinate.

    Returns
    -------
    DataFrame
        One row a coordinate and bin: ``low_um``, ``high_um``; ``mean_um`` of its neurons;
        ``neuron_count`` with a place and an index; ``selected_count`` and ``selected_share`` of
        them; mean, median, quartiles and standard error of ``osi`` and ``dsi`` over the selected.
    """
    rows = []
    steps = (protocol.map_step_um, protocol.map_step_um, protocol.depth_step_um)
    for coordinate, place, step in zip(COORDINATES, tuning.position_um.T, steps, strict=True):
        measured = np.isfinite(place) & tuning.table["osi"].notna().to_numpy()
        if not measured.any():
            continue
        lowest = place[measured].min()
        # Planes a step apart are one a bin, whatever their depths round to.
        number = np.floor((place - lowest) / step + 1e-6)
        for one in np.unique(number[measured]):
            chosen = measured & (number == one)
            selected = chosen & tuning.is_selected
            rows.append(
                {
                    "coordinate": coordinate,
                    "low_um": lowest + one * step,
                    "high_um": lowest + (one + 1) * step,
                    "mean_um": place[chosen].mean(),
                    "neuron_count": int(chosen.sum()),
                    "selected_count": int(selected.sum()),
                    "selected_share": selected.sum() / chosen.sum(),
                    **_moments(tuning.table[selected]),
                    "error_source": "neurons",
                }
            )
    return pd.DataFrame(rows)


def _moments(table: pd.DataFrame) -> dict[str, float]:
    moments: dict[str, float] = {}
    for index in INDICES:
        values = table[index].dropna().to_numpy(float)
        count = len(values)
        quartiles = np.quantile(values, [0.25, 0.5, 0.75]) if count else [np.nan] * 3
        error = values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
        moments |= {
            f"{index}_mean": values.mean() if count else np.nan,
            f"{index}_standard_error": error,
            f"{index}_quarter": quartiles[0],
            f"{index}_median": quartiles[1],
            f"{index}_three_quarters": quartiles[2],
        }
    return moments


def population_table(
    tuning: Tuning, columns: pd.DataFrame, protocol: SimilarityProtocol
) -> pd.DataFrame:
    """Return the tests over the selected neurons, one row each.

    Parameters
    ----------
    tuning : Tuning
        Who is selected.
    columns : DataFrame
        As :func:`insilico.experiments.similarity_pairs.column_table`.
    protocol : SimilarityProtocol
        Has the seed.

    Returns
    -------
    DataFrame
        ``what`` is tested, ``test``, ``measure`` or index; ``neuron_count``, ``pair_count``;
        ``statistic``, ``effect`` with ``ci_low`` and ``ci_high``; ``p_value``, and ``q_value`` over
        the rows of this table; ``status``.
    """
    rows = [_shuffle_row(row) for row in columns.to_dict("records")]
    rows += [
        _rank_row(tuning, index, number, protocol)
        for index in INDICES
        if tuning.table[index].notna().any()
        for number in range(len(COORDINATES))
    ]
    table = pd.DataFrame(rows)
    table.insert(
        list(table.columns).index("p_value") + 1,
        "q_value",
        false_discovery_q_values(table["p_value"].to_numpy(float)),
    )
    return table


def _shuffle_row(row: dict[Any, Any]) -> dict[str, Any]:
    """Return how similar close pairs are beyond chance."""
    depth = (
        f"below {row['vertical_high_um']:g}"
        if row["vertical_low_um"] == 0
        else f"{row['vertical_low_um']:g} or more"
    )
    where = f"{row['horizontal_low_um']:g} to {row['horizontal_high_um']:g} µm across"
    effect = row["mean"] - row["chance"]
    return {
        "what": f"pairs {where}, {depth} µm in depth, above chance",
        "test": "shuffled_places",
        "measure": row["measure"],
        "neuron_count": row["neuron_count"],
        "pair_count": row["pair_count"],
        "statistic": row["mean"],
        "effect": effect,
        "ci_low": effect - 1.96 * row["standard_error"],
        "ci_high": effect + 1.96 * row["standard_error"],
        "p_value": row["p_value"],
        "error_source": "neurons",
        "status": "ok" if row["pair_count"] else "no_pairs",
    }


def _rank_row(
    tuning: Tuning, index: str, number: int, protocol: SimilarityProtocol
) -> dict[str, Any]:
    """Return how an index of the selected neurons changes along a coordinate."""
    value = tuning.table[index].to_numpy(float)
    place = tuning.position_um[:, number]
    known = tuning.is_selected & np.isfinite(value)
    value, place = value[known], place[known]
    effect = p_value = low = high = np.nan
    is_testable = len(value) >= MINIMUM_NEURONS and np.ptp(value) > 0 and np.ptp(place) > 0
    if is_testable:
        effect, p_value = map(float, stats.spearmanr(value, place))
        ranks = stats.rankdata(value), stats.rankdata(place)
        seed = [protocol.seed, 100 + number, INDICES.index(index)]
        samples = bootstrap_correlations(*ranks, draws=DRAWS, seed=seed)
        low, high = percentile_interval(samples)
    return {
        "what": f"{index} along {COORDINATES[number]}",
        "test": "spearman",
        "measure": index,
        "neuron_count": int(known.sum()),
        "pair_count": 0,
        "statistic": effect,
        "effect": effect,
        "ci_low": low,
        "ci_high": high,
        "p_value": p_value,
        "error_source": "neurons",
        "status": "ok" if is_testable else "too_few_neurons",
    }
