"""The two sides of a comparison: run folders, read and matched neuron by neuron."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insilico.configuration import nearest
from insilico.errors import NotFittedError, RunFolderError
from insilico.experiments.experiment import EXPERIMENTS
from insilico.experiments.run_folder import RECORD
from insilico.results import Result

#: What tells a neuron.
KEYS = ["mouse", "neuron"]
#: Experiments about pairs of neurons: they have no number a neuron to compare.
ABOUT_PAIRS = ("similarity",)
#: The mouse of both sides where they are told to be one under two names.
SAME_MOUSE = "same mouse"


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """One run, or runs of one source in several mice.

    Attributes
    ----------
    path : Path
        The run folder, or a folder of run folders.
    label : str
        "recorded", or the name of the model.
    is_recorded : bool
        Whether neurons answered, and not a model.
    results : dict of str to tuple of Result
        Finished results by experiment, one a mouse.
    """

    path: Path
    label: str
    is_recorded: bool
    results: Mapping[str, tuple[Result, ...]]

    def table(self, experiment: str, keys: pd.DataFrame) -> pd.DataFrame:
        """Return the neurons table of an experiment, one row for each key.

        Parameters
        ----------
        experiment : str
            A key of ``results``.
        keys : DataFrame
            ``mouse`` and ``neuron``.

        Returns
        -------
        DataFrame
            In the order of the keys; a mouse that did not see the experiment has the status
            "not_run".
        """
        table = pd.concat([result.neurons for result in self.results[experiment]])
        found = table.set_index(KEYS).reindex(pd.MultiIndex.from_frame(keys[KEYS]))
        return found.assign(status=found["status"].fillna("not_run")).reset_index()

    def provenance(self) -> dict[str, Any]:
        """Return where the numbers come from."""
        first = next(iter(self.results.values()))
        known = ("model", "weights", "recording", "layout", "trials_sha256", "package")
        return {
            "run": self.path.name,
            "label": self.label,
            "is_recorded": self.is_recorded,
            "mice": [str(result.provenance["mouse"]) for result in first],
            "experiments": list(self.results),
            **{name: first[0].provenance[name] for name in known if name in first[0].provenance},
        }


def read_side(path: Path) -> Side:
    """Read every finished result of a run folder, or of the run folders of several mice.

    Parameters
    ----------
    path : Path
        As ``insilico run`` wrote it, or a folder of such folders.

    Raises
    ------
    RunFolderError
        If there is no run or no finished experiment, a file is damaged, or two folders hold the
        same mouse.
    """
    folders = (
        [path] if (path / RECORD).exists() else sorted(p.parent for p in path.glob(f"*/{RECORD}"))
    )
    if not folders:
        raise RunFolderError(
            f"{path} is no run folder and holds none; give one that 'insilico run' wrote, or a "
            "folder of them, one a mouse"
        )
    records = [_read_record(folder) for folder in folders]
    mice = [str(record["identity"]["mouse"]) for record in records]
    if len(set(mice)) < len(mice):
        raise RunFolderError(
            f"{path} holds several runs of mouse {max(mice, key=mice.count)}; give one of them"
        )
    results = {
        name: found for name in EXPERIMENTS if (found := tuple(_finished(name, folders, records)))
    }
    if not results:
        raise RunFolderError(
            f"{path} holds no finished experiment; let 'insilico run' finish one first"
        )
    identity = records[0]["identity"]
    is_recorded = "recording" in identity
    label = "recorded" if is_recorded else str(identity.get("model", path.name))
    return Side(path, label, is_recorded, results)


def both_sides(first: Side, second: Side) -> tuple[Side, Side]:
    """Return the reference, which is the recorded side or else the first, and the other one.

    Sides of one label are told apart by their folders.
    """
    if second.is_recorded and not first.is_recorded:
        first, second = second, first
    if first.label == second.label:
        names = [side.path.resolve().name for side in (first, second)]
        if names[0] == names[1]:
            names = [
                f"{side.path.resolve().parent.name}/{side.path.resolve().name}"
                for side in (first, second)
            ]
        first, second = (
            dataclasses.replace(side, label=f"{side.label} ({name})")
            for side, name in zip((first, second), names, strict=True)
        )
    return first, second


def take_as_one_mouse(side: Side) -> Side:
    """Return a side of a single mouse with its name replaced by one that both sides share.

    Raises
    ------
    RunFolderError
        If it holds several mice.
    """
    if max(map(len, side.results.values())) > 1:
        raise RunFolderError(
            f"{side.path} holds several mice, so they cannot be taken as one; compare one mouse at "
            "a time"
        )
    renamed = {}
    for name, (result,) in side.results.items():
        neurons = result.neurons.assign(mouse=SAME_MOUSE)
        renamed[name] = (dataclasses.replace(result, tables={**result.tables, "neurons": neurons}),)
    return dataclasses.replace(side, results=renamed)


def shared_experiments(first: Side, second: Side, wanted: Sequence[str] | None) -> list[str]:
    """Return the experiments that both sides have, or those of them that are wanted.

    Raises
    ------
    NotFittedError
        If one that is wanted is missing on a side, or the sides share none.
    """
    shared = [name for name in first.results if name in second.results and name not in ABOUT_PAIRS]
    for name in wanted or []:
        if name in ABOUT_PAIRS:
            raise NotFittedError(
                f"{name} is about pairs of neurons and has nothing to compare neuron by neuron; "
                f"both runs have {', '.join(shared) or 'none'}"
            )
        if name not in EXPERIMENTS:
            raise NotFittedError(
                f"there is no experiment {name!r}; {nearest(name, shared)}both runs have "
                f"{', '.join(shared) or 'none'}"
            )
        for side in (first, second):
            if name not in side.results:
                raise NotFittedError(
                    f"{side.path} has no finished {name}; run it first: insilico run {name} with "
                    f"--out {side.path}"
                )
    if not shared:
        raise NotFittedError(
            f"{first.path} has {', '.join(first.results)} and {second.path} has "
            f"{', '.join(second.results)}; run an experiment on both to compare them"
        )
    return [name for name in shared if wanted is None or name in wanted]


def match_neurons(first: Side, second: Side, experiments: Sequence[str]) -> pd.DataFrame:
    """Return the neurons that both sides have, matched by mouse and neuron.

    Parameters
    ----------
    first, second : Side
        With the experiments.
    experiments : sequence of str
        Compared ones.

    Returns
    -------
    DataFrame, one row a neuron
        ``mouse``, ``neuron`` and, where known, ``neuron_id`` and the place in cortex.

    Raises
    ------
    NotFittedError
        If none match, or matching ones have other identities.
    """
    tables = [
        pd.concat([result.neurons for name in experiments for result in side.results[name]])
        .drop_duplicates(KEYS)
        .reset_index(drop=True)
        for side in (first, second)
    ]
    mice = [sorted(map(str, table["mouse"].unique())) for table in tables]
    if not set(mice[0]) & set(mice[1]):
        raise NotFittedError(
            f"{first.path} is of mouse {', '.join(mice[0])} and {second.path} of mouse "
            f"{', '.join(mice[1])}; give runs of one mouse, or --same-mouse if these are two names "
            "of one"
        )
    about = [
        name for name in (*KEYS, "neuron_id", "kind", "x_um", "y_um", "z_um") if name in tables[0]
    ]
    matched = tables[0][about].merge(
        tables[1][[*KEYS, *(["neuron_id"] if "neuron_id" in tables[1] else [])]],
        on=KEYS,
        suffixes=("", "_other"),
    )
    if matched.empty:
        raise NotFittedError(
            f"no neuron of {first.path} is in {second.path}, of the same mouse; run both on the "
            "same neurons"
        )
    if "neuron_id_other" in matched:
        one, two = matched["neuron_id"], matched.pop("neuron_id_other")
        differ = np.flatnonzero((one.notna() & two.notna() & (one != two)).to_numpy())
        if len(differ):
            row = differ[0]
            raise NotFittedError(
                f"neuron {matched['neuron'].iloc[row]} is {one.iloc[row]} in {first.path} and "
                f"{two.iloc[row]} in {second.path}; give runs whose neurons are in one order"
            )
    return matched


def protocol_differences(first: Side, second: Side, experiments: Sequence[str]) -> dict[str, Any]:
    """Return keys of the protocols that differ, with both values, by experiment."""
    found: dict[str, Any] = {}
    for name in experiments:
        one, two = (dict(side.results[name][0].protocol) for side in (first, second))
        keys = [key for key in {**one, **two} if one.get(key) != two.get(key) and key != "source"]
        if keys:
            found[name] = {key: [one.get(key), two.get(key)] for key in keys}
    return found


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
        str(record["identity"]["mouse"]), dict(record["experiments"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{folder / RECORD} is damaged; run the experiments again in a new folder"
        ) from error
    return record


def _finished(
    name: str, folders: Sequence[Path], records: Sequence[Mapping[str, Any]]
) -> list[Result]:
    return [
        Result.load(folder / name)
        for folder, record in zip(folders, records, strict=True)
        if record["experiments"].get(name, {}).get("state") == "finished"
    ]
