"""What a training run keeps on disk: its identity, its last epoch, its best weights."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
import torch

from insilico.errors import CheckpointError, RunFolderError
from insilico.files import atomic_file, remove_drafts
from insilico.models.recipes import CHECKPOINT_FOLDER
from insilico.models.weights import read_archive

logger = logging.getLogger(__name__)

FORMAT = 1
RECORD_FILE = "run.json"
STATE_FILE = "state.pt"
RECIPE_FILE = "recipe.toml"


@dataclasses.dataclass(frozen=True)
class TrainingFolder:
    """The folder of one training run.

    Parameters
    ----------
    path : Path
        ``run.json`` says what is trained on what; ``state.pt`` is the last finished epoch with all
        that the next one needs; ``recipe.toml`` the complete recipe; ``checkpoint`` the best
        weights so far, as a twin loads them; ``log.csv`` and ``log.jsonl`` a row an epoch.
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Folder of the best weights."""
        return self.path / CHECKPOINT_FOLDER

    @property
    def has_finished_epochs(self) -> bool:
        """Whether a run in the folder can be continued after an epoch."""
        return (self.path / STATE_FILE).exists()

    def begin(
        self,
        identity: Mapping[str, Any],
        *,
        recipe: Mapping[str, Any],
        command: str,
        is_resumed: bool,
    ) -> None:
        """Claim the folder for a run, or check that it holds this very run.

        Parameters
        ----------
        identity : mapping
            What decides the weights: recipe, data, core. Plain values.
        recipe : mapping
            The complete recipe, for people and for the next run.
        command : str
            Written down for people.
        is_resumed : bool
            Whether an existing run is to be continued.

        Raises
        ------
        RunFolderError
            If the folder holds a run that is not to be continued, another run, or something else.
        """
        record = self.path / RECORD_FILE
        if record.exists():
            stored = self._read_record()
            if not is_resumed:
                raise RunFolderError(
                    f"{self.path} holds a training run; add --resume to continue it, or give "
                    "another folder"
                )
            self._compare(stored, identity)
        else:
            self._refuse_other_content()
            if is_resumed:
                logger.info("there is no run in %s to resume; starting anew", self.path)
            content = {"training_run": FORMAT, "command": command, **identity}
            with atomic_file(record) as draft:
                draft.write_text(json.dumps(content, indent=2), encoding="utf-8")
        remove_drafts(self.path)
        # Also of a resumed run: it may have been killed before it came here.
        with atomic_file(self.path / RECIPE_FILE) as draft:
            draft.write_text(tomli_w.dumps(recipe), encoding="utf-8")

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state of a finished epoch, whole or not at all."""
        try:
            with atomic_file(self.path / STATE_FILE) as draft:
                torch.save(dict(state), draft)
        except RuntimeError as error:
            # torch reports a full disk so.
            raise OSError(f"its state could not be written: {error}") from error

    def load(self) -> dict[str, Any] | None:
        """Return the state of the last finished epoch, or None before the first.

        Raises
        ------
        RunFolderError
            If the file is damaged.
        """
        path = self.path / STATE_FILE
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = read_archive(path)
        except CheckpointError as error:
            raise RunFolderError(
                f"{path} is damaged, so the run cannot be resumed; its best weights are in "
                f"{self.checkpoint}, and a new folder starts again"
            ) from error
        return state

    def _refuse_other_content(self) -> None:
        # Drafts of a run that was killed start with a period.
        if self.path.exists() and (
            not self.path.is_dir() or any(not p.name.startswith(".") for p in self.path.iterdir())
        ):
            raise self._no_run()

    def _no_run(self) -> RunFolderError:
        return RunFolderError(
            f"{self.path} exists and is no training run; give a new or empty folder"
        )

    def _read_record(self) -> dict[str, Any]:
        path = self.path / RECORD_FILE
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(stored, dict):
                raise TypeError("no table")
        except (ValueError, TypeError) as error:
            raise RunFolderError(f"{path} is damaged ({error}); give another folder") from error
        if stored.get("training_run") != FORMAT:
            raise self._no_run()
        return stored

    def _compare(self, stored: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        wanted = json.loads(json.dumps(identity))
        different = [name for name in wanted if stored.get(name) != wanted[name]]
        if different:
            name = different[0]
            difference = _difference(name, stored.get(name), wanted[name])
            raise RunFolderError(
                f"{self.path} holds another run: {difference}; resume with what it was started "
                "with, or give another folder"
            )


def _difference(name: str, stored: Any, wanted: Any) -> str:
    """Return the first difference between two plain values, with the way to it."""
    while isinstance(stored, dict) and isinstance(wanted, dict):
        keys = sorted(stored.keys() | wanted.keys())
        key = next(key for key in keys if stored.get(key) != wanted.get(key))
        name, stored, wanted = f"{name}.{key}", stored.get(key), wanted.get(key)
    return f"its {name} is {_short(stored)}, now {_short(wanted)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 40 else f"{text[:12]}…"
