"""Which neurons are compared: one rule, stated, and the same for every panel."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.configuration import nearest
from insilico.errors import NotFittedError

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
Tables = Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]

#: Selectivity index from which a neuron counts as selective (ViV1T-closed-loop, tuning_direction:
#: everywhere but in the distributions), and the q-value of its test where trials allow one; the
#: published p <= 0.01 of 100 shuffles controls no false discoveries.
SELECTIVE_INDEX = 0.2
SELECTIVE_Q = 0.05

#: Names of rules, and what they ask for.
RULES = {
    "ok": "status ok in both runs, in every experiment compared",
    "selective": "selective to direction in the reference, or to orientation where a run knows no "
    "direction; nothing is asked where direction tuning is not compared",
    "all": "nothing",
}
#: What is asked for by default.
DEFAULT = ("ok", "selective")
OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"\s*(\w+)\.(\w+)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """Neurons that pass, and how many did at each step.

    Attributes
    ----------
    passes : bool array, shape (neuron,)
        Of the matched neurons.
    first_failed : array of str, shape (neuron,)
        "ok", or the step at which a neuron dropped out.
    steps : DataFrame
        One row a step: ``step``, ``asked`` and ``neuron_count``, neurons that remain.
    statement : str
        The whole rule in words.
    """

    passes: BoolArray
    first_failed: np.ndarray[Any, np.dtype[np.str_]]
    steps: pd.DataFrame
    statement: str


def select_neurons(rules: Sequence[str], tables: Tables, *, labels: tuple[str, str]) -> Selection:
    """Apply rules one after the other.

    Parameters
    ----------
    rules : sequence of str
        Keys of :data:`RULES`, or conditions on the reference such as "direction.osi>=0.3".
    tables : mapping of str to (DataFrame, DataFrame)
        Neurons tables by experiment, of the reference and of the other side; rows match.
    labels : (str, str)
        Of the sides, for the statement.

    Raises
    ------
    NotFittedError
        If a rule is not understood, or no neuron passes.
    """
    count = len(next(iter(tables.values()))[0])
    passes, first_failed = np.ones(count, bool), np.full(count, "ok", dtype="<U80")
    rows = [("matched", f"in both runs: {labels[0]}, {labels[1]}", count)]
    for step, asked, mask in _steps(rules, tables, labels[0]):
        first_failed[passes & ~mask] = step
        passes &= mask
        rows.append((step, asked, int(passes.sum())))
    steps = pd.DataFrame(rows, columns=["step", "asked", "neuron_count"])
    statement = "; ".join(steps["asked"].iloc[1:].drop_duplicates()) or "all matched neurons"
    if not passes.any():
        left = ", ".join(f"{step} {number}" for step, _, number in rows)
        raise NotFittedError(
            f"no neuron passes the filter (left after each step: {left}); compare fewer "
            "experiments with --experiments, or ask for less with --filter"
        )
    return Selection(passes, first_failed.astype(str), steps, statement)


def _steps(
    rules: Sequence[str], tables: Tables, reference: str
) -> list[tuple[str, str, BoolArray]]:
    """Return the name, words and mask of each step."""
    steps = []
    for rule in rules:
        if rule == "ok":
            asked = f"status ok in both runs in {', '.join(tables)}"
            steps += [(f"{name} ok", asked, _are_ok(sides)) for name, sides in tables.items()]
        elif rule == "selective":
            if "direction" in tables:
                asked, mask = _selective(*tables["direction"])
                steps.append(("selective", f"{asked} in the reference ({reference})", mask))
        elif rule != "all":
            steps.append((rule, f"{rule} in the reference ({reference})", _meets(rule, tables)))
    return steps


def _are_ok(sides: tuple[pd.DataFrame, pd.DataFrame]) -> BoolArray:
    return np.logical_and(*((table["status"] == "ok").to_numpy(bool) for table in sides))


def _selective(reference: pd.DataFrame, other: pd.DataFrame) -> tuple[str, BoolArray]:
    knows_directions = all(table["dsi"].notna().any() for table in (reference, other))
    index = "dsi" if knows_directions else "osi"
    mask = (reference[index] >= SELECTIVE_INDEX).to_numpy(bool)
    asked = f"{index.upper()} ≥ {SELECTIVE_INDEX:g}"
    if f"{index}_q" in reference:
        mask = mask & (reference[f"{index}_q"] <= SELECTIVE_Q).to_numpy(bool)
        asked += f" with q ≤ {SELECTIVE_Q:g}"
    return asked, mask


def _meets(rule: str, tables: Tables) -> BoolArray:
    """Whether each neuron meets a condition in the reference.

    Raises
    ------
    NotFittedError
        If the condition is not understood.
    """
    match = CONDITION.fullmatch(rule)
    if match is None:
        raise NotFittedError(
            f"the filter {rule!r} was not understood; {nearest(rule, list(RULES))}give "
            f"{', '.join(RULES)}, or a condition such as direction.osi>=0.3"
        )
    experiment, column, sign, text = match.groups()
    if experiment not in tables:
        raise NotFittedError(
            f"the filter {rule!r} asks for {experiment}, which is not compared; "
            f"{nearest(experiment, list(tables))}what is compared is {', '.join(tables)}"
        )
    table = tables[experiment][0]
    names = [str(name) for name in table]
    if column not in names:
        raise NotFittedError(
            f"the filter {rule!r} asks for a column that {experiment} does not have; "
            f"{nearest(column, names)}it has {', '.join(names)}"
        )
    return np.asarray(OPERATORS[sign](table[column], _value(text, table[column], rule)), bool)


def _value(text: str, column: pd.Series, rule: str) -> Any:
    if not pd.api.types.is_numeric_dtype(column):
        return text
    words = {"true": 1.0, "false": 0.0}
    try:
        return words[text.lower()] if text.lower() in words else float(text)
    except ValueError as error:
        raise NotFittedError(
            f"the filter {rule!r} compares numbers with {text!r}; give a number"
        ) from error
