"""What a training run says of itself: a row an epoch, in files and in trackers."""

from __future__ import annotations

import csv
import json
import math
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from insilico.errors import RecipeError, RunFolderError, TrainingError
from insilico.files import atomic_file

CSV_FILE = "log.csv"
JSON_FILE = "log.jsonl"
#: The name by which Weights & Biases knows a run, so that a resumed one goes on there.
WANDB_FILE = "wandb.id"
TRACKERS = ("tensorboard", "wandb")

Row = dict[str, Any]


class Tracker(Protocol):
    """A program that watches runs."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Add the numbers of an epoch."""

    def close(self) -> None:
        """Write out what is still in memory."""


class TrainingLog:
    """Rows of numbers, one an epoch, in ``log.csv``, ``log.jsonl`` and trackers.

    Both files are written anew with every row, whole or not at all: a kill at any moment loses at
    most the row being written.

    Parameters
    ----------
    folder : Path
        The run folder. Trackers write below it.
    trackers : sequence of {"tensorboard", "wandb"}
        Programs to tell as well. They start with the first row.
    name : str, optional
        What trackers call the run; the folder's name when omitted.

    Raises
    ------
    RecipeError
        If there is no such tracker.
    TrainingError
        If its package is not installed.
    """

    def __init__(
        self, folder: Path, *, trackers: Sequence[str] = (), name: str | None = None
    ) -> None:
        self.folder = folder
        self._name = name or folder.resolve().name
        self._rows: list[Row] = []
        check_trackers(trackers)
        self._tracker_names = tuple(trackers)
        self._trackers: list[Tracker] | None = None

    @property
    def rows(self) -> list[Row]:
        """Copies of all rows, oldest first."""
        return [dict(row) for row in self._rows]

    def add(self, row: Mapping[str, float | int | str | None]) -> None:
        """Add the row of an epoch.

        Parameters
        ----------
        row : mapping
            Plain numbers and texts by column, "epoch" among them. Rows may differ in their
            columns. A number that is not finite becomes null in ``log.jsonl``.

        Raises
        ------
        RunFolderError
            If a file cannot be written. Both are whole then, with this row or without.
        """
        self._write([*self._rows, dict(row)])
        self._rows.append(dict(row))
        numbers = {
            key: float(value)
            for key, value in row.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and key != "epoch"
        }
        epoch = int(row["epoch"] or 0)
        for tracker in self._started(epoch):
            tracker.log(epoch, numbers)

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on from the rows of an interrupted run: both files hold exactly these afterwards.

        Parameters
        ----------
        rows : iterable of mapping
            As :attr:`rows` gave them, or a state that was saved with them; none for a new run.

        Raises
        ------
        RunFolderError
            If a file cannot be written.
        """
        kept = [dict(row) for row in rows]
        self._write(kept)
        self._rows = kept

    def close(self) -> None:
        """Let trackers write out what they hold; the files are complete at any time."""
        for tracker in self._trackers or []:
            tracker.close()
        self._trackers = None

    def _write(self, rows: list[Row]) -> None:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        try:
            with (
                atomic_file(self.folder / CSV_FILE) as draft,
                draft.open("w", newline="", encoding="utf-8") as file,
            ):
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)
            with atomic_file(self.folder / JSON_FILE) as draft:
                lines = [json.dumps(_finite(row), allow_nan=False) + "\n" for row in rows]
                draft.write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            raise RunFolderError(
                f"the training log in {self.folder} could not be written "
                f"({error.strerror or error}); make room there and resume"
            ) from error

    def _started(self, epoch: int) -> list[Tracker]:
        """Return the trackers, started at this epoch if they were not yet."""
        if self._trackers is None:
            self._trackers = []
            if "tensorboard" in self._tracker_names:
                self._trackers.append(_TensorBoard(self.folder / "tensorboard", epoch))
            if "wandb" in self._tracker_names:
                self._trackers.append(_WeightsAndBiases(self.folder, self._name))
        return self._trackers


class _TensorBoard:
    """Scalars for TensorBoard.

    Parameters
    ----------
    folder : Path
        Of the event files.
    first_epoch : int
        What an interrupted run left of this epoch and later ones is hidden.
    """

    def __init__(self, folder: Path, first_epoch: int) -> None:
        writer = _tensorboard_writer()
        self._writer = writer(str(folder), purge_step=first_epoch)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """Scalars for Weights & Biases; kept below the folder where its server cannot be reached.

    Parameters
    ----------
    folder : Path
        Of its files.
    name : str
        Of the run.
    """

    def __init__(self, folder: Path, name: str) -> None:
        wandb = _wandb()
        options = {
            "project": "insilico",
            "name": name,
            "dir": str(folder),
            "id": _wandb_id(folder),
            "resume": "allow",
        }
        # Without a key it would ask for one, and a job on a cluster would wait for the answer.
        mode = None if wandb.api.api_key else "offline"
        try:
            self._run = wandb.init(**options, mode=mode)
        except wandb.Error:
            self._run = wandb.init(**options, mode="offline")

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=epoch)

    def close(self) -> None:
        self._run.finish()


def check_trackers(names: Sequence[str]) -> None:
    """Import the packages of trackers, so that a missing one is told before the first epoch.

    Raises
    ------
    RecipeError
        If there is no such tracker.
    TrainingError
        If its package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise RecipeError(f"tracker {name!r} is not known; choose of {', '.join(TRACKERS)}")
        try:
            _tensorboard_writer() if name == "tensorboard" else _wandb()
        except ImportError as error:
            raise TrainingError(
                f"tracker {name!r} needs a package that is not installed; "
                f"run 'pip install {name}', or leave the tracker out"
            ) from error


def _tensorboard_writer() -> Any:
    with warnings.catch_warnings():
        # The packages it imports use features of Python that are going away; not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter


def _wandb() -> Any:
    import wandb

    return wandb


def _wandb_id(folder: Path) -> str:
    """Return the identifier of the run in a folder, made where there is none yet."""
    path = folder / WANDB_FILE
    if not path.exists():
        with atomic_file(path) as draft:
            draft.write_text(uuid.uuid4().hex, encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def _finite(row: Row) -> Row:
    """Return a row as JSON can hold it, which knows neither NaN nor infinity."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
