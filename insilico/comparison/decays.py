"""Do both sides' similarities of neurons decay alike with their distance in cortex."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.comparison.sides import Side
from insilico.results import Result
from insilico.statistics.decay_comparison import MINIMUM_DISTANCES, compare_decays

#: The experiment whose pairs are compared.
SIMILARITY = "similarity"
#: What stands in the column ``status`` where no decay can be fitted.
TOO_FEW_DISTANCES = "too_few_distances"


def decay_tests(sides: tuple[Side, Side], *, draws: int, seed: int) -> pd.DataFrame:
    """Test, for each measure of similarity, one decay with distance against one a side.

    A point is the mean of a mouse's pairs at a distance across cortex, over all depths. The pairs
    are those of the neurons that each similarity result selected by its own filter: means of pairs
    cannot be taken again for other neurons.

    Parameters
    ----------
    sides : (Side, Side)
        The reference and the other one.
    draws, seed
        Of simulated curves.

    Returns
    -------
    DataFrame, one row a measure that both sides have
        Columns of :func:`insilico.comparison.tuning.tuning_tests`, where ``neuron_count`` is the
        smaller number of selected neurons of both sides, ``left_out_count`` the bins without
        pairs, and there is no effect; those of
        :meth:`insilico.statistics.decay_comparison.DecayComparison.to_row`, "first" read as
        ``reference`` and "second" as ``other``; and ``neuron_filter``. Empty where the sides share
        no mouse with similarity.
    """
    by_mouse = [
        {
            str(result.neurons["mouse"].iloc[0]): result
            for result in side.results.get(SIMILARITY, ())
        }
        for side in sides
    ]
    shared = [mouse for mouse in by_mouse[0] if mouse in by_mouse[1]]
    if not shared:
        return pd.DataFrame()
    one, two = (_pooled([results[mouse] for mouse in shared]) for results in by_mouse)
    measures = [name for name in one["measure"].unique() if name in set(two["measure"])]
    rows = [
        _row(name, *(side[side["measure"] == name] for side in (one, two)), draws=draws, seed=seed)
        for name in measures
    ]
    return pd.DataFrame(rows)


def _pooled(results: list[Result]) -> pd.DataFrame:
    """Return mean similarities over all depths, rows of all mice."""
    table = pd.concat(
        [result.tables["pairs"].assign(result=index) for index, result in enumerate(results)],
        ignore_index=True,
    )
    return table[table["is_pooled"].astype(bool)]


def _row(
    measure: str, reference: pd.DataFrame, other: pd.DataFrame, *, draws: int, seed: int
) -> dict[str, Any]:
    known = [side[side["mean"].notna()] for side in (reference, other)]
    rules = dict.fromkeys(str(rule) for side in known for rule in side["neuron_filter"])
    row: dict[str, Any] = {
        "comparison": f"{measure.replace('_', ' ')} over distance: one decay or two",
        "neuron_count": min(
            int(side.groupby("result")["selected_neurons"].first().sum()) for side in known
        ),
        "test": "likelihood_ratio",
        "effect": np.nan,
        "ci_low": np.nan,
        "ci_high": np.nan,
        "error_source": "simulated curves",
        "left_out_count": len(reference) + len(other) - sum(map(len, known)),
        "zero_count": 0,
        "neuron_filter": "; ".join(rules),
    }
    if min(side["even_horizontal_um"].nunique() for side in known) < MINIMUM_DISTANCES:
        return row | {"statistic": np.nan, "p_value": np.nan, "status": TOO_FEW_DISTANCES}
    points = [side[name] for side in known for name in ("even_horizontal_um", "mean")]
    found = compare_decays(*points, draws=draws, seed=seed).to_row()
    return row | {
        name.replace("first_", "reference_").replace("second_", "other_"): value
        for name, value in found.items()
    }
