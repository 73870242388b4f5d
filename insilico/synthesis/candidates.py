"""The neurons that a choice looks at, and what a recording says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import NeuronError, NotFittedError

KEYS = ["mouse", "neuron"]
#: What a recording says of a neuron, in the order of ranking.
RECORDED = ("trial_reliability", "prediction_correlation")
#: Columns that a choice adds; those of an earlier choice are replaced.
OWN_COLUMNS = {
    *RECORDED,
    *("field_status", "field_reliability", "x_px", "y_px", "diameter_deg", "diameter_source"),
    *("coverage", "rank_sum", "rank", "is_chosen", "status", "reason"),
}


def candidate_rows(neurons: pd.DataFrame, named: Sequence[int] | None) -> pd.DataFrame:
    """Return the neurons that are looked at, without columns that a choice adds.

    Parameters
    ----------
    neurons : DataFrame, one row a neuron
        Columns ``mouse`` and ``neuron``.
    named : sequence of int, optional
        Only these, in this order.

    Raises
    ------
    NeuronError
        If the table lacks a column or has a neuron twice, or what is named is not in it.
    """
    if lacking := [name for name in KEYS if name not in neurons]:
        raise NeuronError(
            f"the table of neurons lacks the column {lacking[0]!r}; give the mouse and the index "
            "of each neuron"
        )
    if neurons.duplicated(KEYS).any() or neurons.empty:
        raise NeuronError(
            f"the table of neurons has {len(neurons)} rows and {neurons.duplicated(KEYS).sum()} of "
            "them repeat a neuron; give one or more neurons, each once"
        )
    kept = neurons[[name for name in neurons if name not in OWN_COLUMNS]].reset_index(drop=True)
    if named is None:
        return kept
    asked, mice = np.asarray(named), kept["mouse"].unique()
    if asked.ndim != 1 or not len(asked) or asked.dtype.kind not in "iu":
        raise NeuronError(f"the neurons {named!r} were named; name one or more by their indices")
    if len(mice) > 1 or len(np.unique(asked)) < len(asked):
        raise NeuronError(
            f"the neurons {_listed(asked)} of the mice {', '.join(map(str, mice))} were named; "
            "name neurons of one mouse, each once"
        )
    rows = pd.Index(kept["neuron"]).get_indexer(pd.Index(asked))
    if (rows < 0).any():
        raise NeuronError(
            f"neuron {asked[rows < 0][0]} was named, and the table has {len(kept):,} neurons from "
            f"{kept['neuron'].min()} to {kept['neuron'].max()}; name neurons that it has"
        )
    return kept.iloc[rows].reset_index(drop=True)


def with_recorded(candidates: pd.DataFrame, reliability: pd.DataFrame | None) -> pd.DataFrame:
    """Add what a recording says of each neuron; NaN where it says nothing.

    Parameters
    ----------
    candidates : DataFrame, one row a neuron
        Columns ``mouse`` and ``neuron``.
    reliability : DataFrame, optional
        The same columns, and :data:`RECORDED`.

    Raises
    ------
    NotFittedError
        If a column is lacking, a neuron is there twice, or it holds none of the candidates.
    """
    if reliability is None:
        return candidates.assign(**dict.fromkeys(RECORDED, np.nan))
    columns = [*KEYS, *RECORDED]
    if lacking := [name for name in columns if name not in reliability]:
        raise NotFittedError(
            f"the reliabilities lack the column {lacking[0]!r}; give the table that reliability_of "
            "returns"
        )
    if reliability.duplicated(KEYS).any():
        raise NotFittedError(
            "the reliabilities have several rows of one neuron; give those of one tier of trials"
        )
    joined = candidates.merge(
        reliability[columns], on=KEYS, how="left", indicator="found_in", validate="one_to_one"
    )
    if not (joined["found_in"] == "both").any():
        raise NotFittedError(
            f"the reliabilities are of none of the {len(candidates):,} neurons; give those of the "
            "same mouse"
        )
    return joined.drop(columns="found_in")


def _listed(named: Any) -> str:
    few = ", ".join(str(neuron) for neuron in named[:10])
    return few if len(named) <= 10 else f"{few}, …"
