"""Which neurons get a stimulus of their own: gates, a rank, and the reasons, frozen on disk.

Choose once, before anything is generated; every later run loads the same list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import insilico
from insilico import configuration
from insilico.errors import NeuronError, NotFittedError, RunFolderError
from insilico.files import atomic_folder
from insilico.results import Result
from insilico.screen import Screen
from insilico.synthesis.candidates import KEYS, RECORDED, candidate_rows, with_recorded
from insilico.synthesis.gates import (
    FAULTS,
    MISPLACED,
    ChoiceRule,
    fault_texts,
    find_faults,
    refuse_all,
    refuse_misplaced,
)
from insilico.synthesis.placing import place_neurons
from insilico.synthesis.ranking import population_weights, rank_neurons

__all__ = ["STATUS", "Choice", "ChoiceRule", "choose", "population_weights"]

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: The name of choices among results.
CHOICE = "choice"
#: The list as text, beside the tables.
READABLE_FILE = "choice.txt"
#: What each value of ``status`` means.
STATUS = {
    "chosen": "passes every gate, and is among the best",
    "flagged": "was named and is chosen in spite of the faults that its reason states",
    "passed": "passes every gate, and others are better",
    **FAULTS,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """The neurons that were chosen, those that were not, and why.

    Parameters
    ----------
    table : DataFrame, one row a candidate
        All columns of the neurons; ``trial_reliability``, ``prediction_correlation``; the columns
        of :func:`insilico.synthesis.placing.place_neurons`; ``rank_sum`` (of the average ranks; NaN
        where a measure is not known), ``rank`` (1 is the best of those that can be used; NaN for
        the others), ``is_chosen``, ``status`` (:data:`STATUS`) and ``reason``.
    rule : ChoiceRule
        The gates.
    settings : mapping
        ``count``, ``named``, ``diameter_deg`` and ``ranked_by``.
    provenance : mapping
        Package, screen, and hashes of what the choice builds on.
    """

    table: pd.DataFrame
    rule: ChoiceRule
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def chosen(self) -> pd.DataFrame:
        """The rows that were chosen, the best first and flagged ones last."""
        chosen = self.table[self.table["is_chosen"]]
        return chosen.sort_values("rank", kind="stable", ignore_index=True)

    @property
    def digest(self) -> str:
        """A hash of list, reasons and rule; the same after saving and loading."""
        return self.as_result().digest

    @property
    def statement(self) -> str:
        """The whole choice in one sentence."""
        table, ranked_by = self.table, self.settings["ranked_by"]
        counts = table["status"].value_counts()
        left = ", ".join(f"{counts[name]:,} {name}" for name in STATUS if name in counts)
        by = (
            " and ".join(name.replace("_", " ") for name in ranked_by)
            or "the order they were named"
        )
        wanted = self.settings.get("count")
        few = f" (of {wanted:,} wanted)" if wanted and table["is_chosen"].sum() < wanted else ""
        return (
            f"{table['is_chosen'].sum():,} of {len(table):,} neurons are chosen{few}, ordered by "
            f"{by}: {left}"
        )

    def as_result(self) -> Result:
        """Return the choice as a result, the form in which it is stored."""
        protocol = {"experiment": CHOICE, **self.settings, **configuration.to_plain(self.rule)}
        return Result(CHOICE, {"neurons": self.table}, xr.Dataset(), protocol, self.provenance)

    def save(self, folder: Path | str) -> Path:
        """Freeze the choice in a folder, whole or not at all.

        Parameters
        ----------
        folder : path
            New, empty, or one that holds this very choice.

        Returns
        -------
        Path
            The folder: ``neurons.parquet``, ``protocol.toml``, ``provenance.json``, and
            ``choice.txt`` to read.

        Raises
        ------
        RunFolderError
            If the folder holds another choice or something else, or cannot be written.
        """
        folder = Path(folder)
        if (folder / "provenance.json").exists():
            if Choice.load(folder).digest == self.digest:
                return folder
            raise RunFolderError(
                f"{folder} holds another choice of neurons, and a frozen list is not replaced; "
                "load it, or choose another folder"
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunFolderError(
                f"{folder} exists and holds no choice of neurons; choose another folder"
            )
        try:
            with atomic_folder(folder) as draft:
                self.as_result().save(draft)
                (draft / READABLE_FILE).write_text(self._readable(), encoding="utf-8")
        except OSError as error:
            if isinstance(error, RunFolderError):
                raise
            raise RunFolderError(
                f"the choice of neurons could not be written to {folder}: "
                f"{error.strerror or error}; free space or choose another folder"
            ) from error
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> Choice:
        """Read a choice that :meth:`save` froze.

        Raises
        ------
        RunFolderError
            If the folder is missing, damaged, or holds something else.
        """
        result = Result.load(folder)
        values = dict(result.protocol)
        if values.pop("experiment", None) != CHOICE:
            raise RunFolderError(
                f"{folder} holds a {result.experiment} result and no choice of neurons; give the "
                "folder that a choice was saved to"
            )
        names = {field.name for field in dataclasses.fields(ChoiceRule)}
        rule = {name: values.pop(name) for name in names & set(values)}
        return cls(
            result.neurons,
            configuration.build(ChoiceRule, rule, what="the choice", error=RunFolderError),
            values,
            result.provenance,
        )

    def _readable(self) -> str:
        """Return the list as text: the chosen in their order, then the others in theirs."""
        others = self.table[~self.table["is_chosen"]].sort_values("rank", kind="stable")
        rows = [
            f"{mouse}\t{neuron}\t{'' if np.isnan(rank) else int(rank)}\t{status}\t{reason}"
            for part in (self.chosen, others)
            for mouse, neuron, rank, status, reason in part[
                [*KEYS, "rank", "status", "reason"]
            ].itertuples(index=False)
        ]
        head = [self.statement, "", "mouse\tneuron\trank\tstatus\treason"]
        return "\n".join([*head, *rows]) + "\n"


def choose(
    neurons: pd.DataFrame,
    *,
    screen: Screen,
    rule: ChoiceRule | None = None,
    count: int | None = None,
    named: Sequence[int] | None = None,
    reliability: pd.DataFrame | None = None,
    fields: Result | None = None,
    sizes: Result | None = None,
    diameter_deg: float = 20.0,
) -> Choice:
    """Choose neurons by rank, or check those that were named.

    Neurons that pass every gate are ranked. With a recording the measures are trial reliability and
    prediction correlation, without one the reliability of receptive fields. Each measure gives
    every candidate for whom all measures are known an average rank, and the ranks are added; that
    gates and discs do not enter keeps the order the same whatever they are. Of equal sums the
    neuron with the larger first measure comes first, then that with the larger reliability of its
    receptive field, then that which comes first in the table.

    Parameters
    ----------
    neurons : DataFrame, one row a candidate
        Columns ``mouse`` and ``neuron``, and whatever else is to be kept.
    screen : Screen
        Where stimuli are shown.
    rule : ChoiceRule, optional
        The gates.
    count : int, optional
        How many; all that pass when left out, and fewer where fewer pass.
    named : sequence of int, optional
        Neurons that were asked for: nobody else is looked at, and bad fits are treated as
        ``rule.on_bad_fit`` says. What is merely unreliable is chosen and flagged.
    reliability : DataFrame, optional
        Columns ``mouse``, ``neuron``, ``trial_reliability``, ``prediction_correlation``, as
        :func:`insilico.synthesis.recorded_reliability.reliability_of` returns it.
    fields : Result, optional
        Receptive fields, of retinotopy or dots. Without them nothing is asked of places, which
        suits stimuli that fill the screen.
    sizes : Result, optional
        Of the size experiment, for discs of the preferred size.
    diameter_deg : float
        Of the other discs; 20 as published.

    Returns
    -------
    Choice
        Every candidate, with its reason.

    Raises
    ------
    NeuronError
        If the table of neurons lacks a column or holds a neuron twice, a named neuron does not
        exist or is named twice, or the count is below 1.
    NotFittedError
        If no neuron passes, a named one has a bad fit that is to be refused, or there is nothing to
        rank by.
    ProtocolError, UnitsError
        If a result lacks a neuron, or a number is out of range.

    References
    ----------
    ViV1T-closed-loop, most_exciting_stimulus/estimate_neuron_reliability.py, which adds ordinal
    ranks, so that ties go to the neuron of lower index twice.
    """
    rule = rule or ChoiceRule()
    if count is not None and (named is not None or count < 1):
        raise NeuronError(
            f"{count} neurons are to be chosen{'' if named is None else ' of those named'}; give a "
            "count of 1 or more, or name neurons, not both"
        )
    candidates = candidate_rows(neurons, named)
    measures: tuple[str, ...] = RECORDED if reliability is not None else ("field_reliability",)
    if reliability is None and fields is None:
        if named is None:
            raise NotFittedError(
                "neither reliabilities of a recording nor receptive fields were given, so nothing "
                "ranks the neurons; give one of the two, or name neurons"
            )
        measures = ()
    placed = place_neurons(
        candidates, fields=fields, sizes=sizes, screen=screen, diameter_deg=diameter_deg
    )
    table = pd.concat([with_recorded(candidates, reliability), placed], axis=1)
    table["rank_sum"], order = rank_neurons(table, measures)
    faults = find_faults(table, rule, measures, has_fields=fields is not None)
    settings = {
        **({} if count is None else {"count": int(count)}),
        **({} if named is None else {"named": [int(neuron) for neuron in named]}),
        "diameter_deg": float(diameter_deg),
        "ranked_by": list(measures),
    }
    table = _decide(table, faults, order, rule=rule, count=count, is_named=named is not None)
    return Choice(table, rule, settings, _provenance(screen, reliability, fields, sizes))


def _decide(
    table: pd.DataFrame,
    faults: pd.DataFrame,
    place: IntArray,
    *,
    rule: ChoiceRule,
    count: int | None,
    is_named: bool,
) -> pd.DataFrame:
    """Add rank, decision, status and reason."""
    is_faulty = faults.any(axis=1).to_numpy()
    is_misplaced = faults[MISPLACED].any(axis=1).to_numpy()
    texts = fault_texts(table, faults, rule)
    if is_named and rule.on_bad_fit == "refuse":
        refuse_misplaced(table, texts, is_misplaced)
    can_be_used = ~is_faulty
    if is_named:
        can_be_used = ~is_misplaced | (rule.on_bad_fit == "flag")
    if not can_be_used.any():
        refuse_all(table, faults, rule)
    order = np.lexsort([place, is_faulty, ~can_be_used])[: can_be_used.sum()]
    rank = np.full(len(table), np.nan)
    rank[order] = np.arange(1, len(order) + 1)
    is_chosen = rank <= (count or len(table))
    status = np.where(is_chosen, np.where(is_faulty, "flagged", "chosen"), "passed")
    first = np.array(list(FAULTS))[faults.to_numpy().argmax(axis=1)]
    status = np.where(is_faulty & ~is_chosen, first, status)
    good = f"passes every gate, as {len(order):,} of {len(table):,} do"
    words = {
        "chosen": "was named and passes every gate" if is_named else good,
        "passed": f"passes every gate, and the {count} that were asked for are better",
    }
    reasons = [words.get(name, text) for name, text in zip(status, texts, strict=True)]
    return table.assign(rank=rank, is_chosen=is_chosen, status=status.astype(str), reason=reasons)


def _provenance(
    screen: Screen, reliability: pd.DataFrame | None, fields: Result | None, sizes: Result | None
) -> dict[str, Any]:
    """Say what the choice builds on, by hashes."""
    given = {} if fields is None else {fields.experiment: fields.digest}
    if sizes is not None:
        given[sizes.experiment] = sizes.digest
    if reliability is not None:
        table = reliability[[*KEYS, *RECORDED]].reset_index(drop=True)
        given["reliability"] = Result("", {"neurons": table}, xr.Dataset(), {}, {}).digest
    return {
        "package": f"insilico {insilico.__version__}",
        "screen": screen.to_dict(),
        "given": given,
    }
