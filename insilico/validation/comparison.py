"""What every comparison of planted with recovered values has in common, and where it is found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Literal

import numpy as np
import pandas as pd

from insilico.errors import CatalogError
from insilico.results import Result
from insilico.simulation import SimulatedV1

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: By check: how it is summarized ("median", "correlation" or "share"), a relation, and its limit.
#: A limit of plus or minus infinity is held to nothing.
Limits = Mapping[str, tuple[str, str, float]]

#: Comparisons by experiment or by what is synthesized, each after those it builds on: where they
#: live.
COMPARISONS = {
    "retinotopy": "insilico.validation.retinotopy:COMPARISON",
    "direction": "insilico.validation.direction:COMPARISON",
    "similarity": "insilico.validation.similarity:COMPARISON",
    "dots": "insilico.validation.dots:COMPARISON",
    "size": "insilico.validation.size:COMPARISON",
    "frequency": "insilico.validation.frequency:COMPARISON",
    "surround": "insilico.validation.surround:COMPARISON",
    "contrast": "insilico.validation.contrast:COMPARISON",
    "onset": "insilico.validation.onset:COMPARISON",
    "mei": "insilico.validation.synthesis:MEI",
    "mev": "insilico.validation.synthesis:MEV",
}

#: The check that every experiment has: the share of neurons of status "ok".
STATUS_CHECK = "status ok (%)"

#: Fewer neurons than this are not summarized.
MINIMUM_COUNT = 3

SUMMARY_COLUMNS = (
    "kind",
    "cell_class",
    "experiment",
    "check",
    "summary",
    "count",
    "value",
    "p95",
    "limit",
    "is_met",
)


@dataclasses.dataclass(frozen=True)
class Part:
    """Some neurons of a twin, and what they are shown.

    Attributes
    ----------
    label : str
        Said while it is measured, after the kind of twin.
    neurons : bool array, shape (neuron,), or None
        Which; None for all.
    overrides : mapping
        Values that replace those of the protocol.
    """

    label: str = ""
    neurons: BoolArray | None = None
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def everybody(twin: SimulatedV1) -> list[Part]:
    """Return all neurons as one part, shown what the protocol says."""
    return [Part()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """How one experiment, or synthesis, is held to the truth.

    Attributes
    ----------
    experiment : str
        Its name.
    compare : callable
        ``compare(twin, result)`` puts planted beside recovered values, one row a value, as
        :func:`long_table` lays them out.
    checks : callable
        ``checks(group)`` turns the rows of one kind of twin and one class of cells into values to
        summarize: by check an array (neuron,), or (2, neuron) of planted and recovered values for
        those summarized by a correlation.
    limits : mapping
        What the instrument must reach on the neurons themselves.
    trained_limits : mapping
        What a trained twin must keep of the neurons it was trained on.
    population : {"plain", "contextual"}
        Whether the neurons only have a classical receptive field, or also what lies around it.
    kinds : tuple of str
        The twins that are asked.
    parts : callable
        ``parts(twin)`` says how a twin is measured.
    measure : callable or None
        ``measure(twin)`` measures what is no registered experiment, in place of running one.
    """

    experiment: str
    compare: Callable[[SimulatedV1, Result], pd.DataFrame]
    checks: Callable[[pd.DataFrame], dict[str, FloatArray]]
    limits: Limits
    trained_limits: Limits
    population: Literal["plain", "contextual"] = "plain"
    kinds: tuple[str, ...] = ("image", "movie")
    parts: Callable[[SimulatedV1], list[Part]] = everybody
    measure: Callable[[SimulatedV1], Result] | None = None


def find_comparison(experiment: str) -> Comparison:
    """Return the comparison of an experiment.

    Raises
    ------
    CatalogError
        If it has none.
    """
    if experiment not in COMPARISONS:
        raise CatalogError(
            f"results of {experiment!r} are compared with no truth; there are comparisons of "
            f"{', '.join(COMPARISONS)}"
        )
    module, attribute = COMPARISONS[experiment].split(":")
    found: Comparison = getattr(import_module(module), attribute)
    return found


def without_limits(limits: Limits) -> Limits:
    """Return the same checks, reported and held to nothing."""
    return {
        name: (summary, relation, np.inf if relation == "<=" else -np.inf)
        for name, (summary, relation, _) in limits.items()
    }


def long_table(
    kind: str, experiment: str, truth: pd.DataFrame, planted: pd.DataFrame, recovered: pd.DataFrame
) -> pd.DataFrame:
    """Return one row a value, planted beside recovered.

    Parameters
    ----------
    kind : {"image", "movie"}
        Of the twin.
    experiment : str
        Its name.
    truth : DataFrame, one row a neuron
        Columns ``neuron`` and ``cell_class``.
    planted : DataFrame, one row a neuron
        A column a quantity.
    recovered : DataFrame, one row a neuron
        The same columns, and ``status``.

    Returns
    -------
    DataFrame
        ``kind``, ``cell_class``, ``experiment``, ``quantity``, ``neuron``, ``planted``,
        ``recovered``, ``status``.
    """
    parts = [
        pd.DataFrame(
            {
                "kind": kind,
                "cell_class": truth["cell_class"].to_numpy(),
                "experiment": experiment,
                "quantity": column,
                "neuron": truth["neuron"].to_numpy(),
                "planted": planted[column].to_numpy(float),
                "recovered": recovered[column].to_numpy(float),
                "status": recovered["status"].to_numpy(),
            }
        )
        for column in planted
    ]
    return pd.concat(parts, ignore_index=True)


def wide_table(group: pd.DataFrame, values: str) -> pd.DataFrame:
    """Return planted or recovered values of a long table, a row a neuron, a column a quantity."""
    return group.pivot_table(index="neuron", columns="quantity", values=values, dropna=False)


def summarize(neurons: pd.DataFrame, *, trained: bool = False) -> pd.DataFrame:
    """Turn planted and recovered values into one row a check.

    Parameters
    ----------
    neurons : DataFrame
        As :func:`long_table` lays them out; of any number of experiments.
    trained : bool
        Whether they were recovered from a trained twin, which is held to other limits.

    Returns
    -------
    DataFrame
        Columns :data:`SUMMARY_COLUMNS`.
    """
    rows = []
    for (kind, experiment), group in neurons.groupby(["kind", "experiment"], sort=False):
        limits = _limits(str(experiment), trained)
        if STATUS_CHECK in limits:
            status = group.drop_duplicates("neuron")["status"]
            share = np.where(status == "ok", 100.0, 0.0)
            rows.append(_row(kind, "all", experiment, STATUS_CHECK, share, limits))
    for (kind, cell_class, experiment), group in neurons.groupby(
        ["kind", "cell_class", "experiment"], sort=False
    ):
        limits = _limits(str(experiment), trained)
        for check, values in find_comparison(str(experiment)).checks(group).items():
            rows.append(_row(kind, cell_class, experiment, check, values, limits))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS).sort_values(
        ["kind", "experiment"], kind="stable", ignore_index=True
    )


def _limits(experiment: str, trained: bool) -> Limits:
    comparison = find_comparison(experiment)
    return comparison.trained_limits if trained else comparison.limits


def _row(
    kind: Any, cell_class: Any, experiment: Any, check: str, values: FloatArray, limits: Limits
) -> dict[str, Any]:
    summary, relation, limit = limits[check]
    planted_count = values.shape[-1]
    values = values[..., np.isfinite(np.atleast_2d(values)).all(axis=0)]
    value = p95 = np.nan
    if values.shape[-1] < MINIMUM_COUNT:
        pass  # Too few to say: the value is missing.
    elif summary == "correlation":
        value = float(np.corrcoef(values[0], values[1])[0, 1])
    elif summary == "median":
        value, p95 = float(np.median(values)), float(np.percentile(values, 95))
    else:
        value = float(np.mean(values))
    is_met = not (value > limit if relation == "<=" else value < limit)
    # Nothing recovered where there was something to recover is no success.
    is_met &= np.isfinite(value) or planted_count < MINIMUM_COUNT or not np.isfinite(limit)
    return {
        "kind": kind,
        "cell_class": cell_class,
        "experiment": experiment,
        "check": check,
        "summary": summary,
        "count": values.shape[-1],
        "value": value,
        "p95": float(p95),
        "limit": f"{relation} {limit:g}" if np.isfinite(limit) else "",
        "is_met": bool(is_met),
    }
