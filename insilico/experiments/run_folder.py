"""The run folder: one twin's results, and what an interrupted measurement had reached."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import RunFolderError
from insilico.files import atomic_file
from insilico.results import Result

State = dict[str, np.ndarray[Any, Any]]

#: Name of the file that makes a folder a run folder.
RECORD = "run.json"
#: Where unfinished work waits, inside the run folder.
PARTS = "parts"


def fingerprint(values: Any) -> str:
    """Return a hash of plain values; equal values have equal hashes."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Parts:
    """Unfinished work of one experiment; keeps nothing where there is no folder.

    Parameters
    ----------
    folder : Path or None
        Where parts are kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def save_state(self, state: State, trial_count: int, is_finished: bool) -> None:
        """Write down what was accumulated over the first trials."""
        if self.folder is None:
            return
        progress = np.array([trial_count, int(is_finished)])
        with atomic_file(self.folder / "state.npz") as draft:
            np.savez(draft, **state, __progress__=progress)  # type: ignore[arg-type]

    def load_state(self) -> tuple[State, int, bool] | None:
        """Return what :meth:`save_state` wrote, or None.

        Raises
        ------
        RunFolderError
            If the file is damaged.
        """
        if self.folder is None or not (path := self.folder / "state.npz").exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                state = {name: stored[name] for name in stored.files}
            trial_count, is_finished = state.pop("__progress__")
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RunFolderError(
                f"{path} is damaged ({error}); delete it to measure from the start"
            ) from error
        return state, int(trial_count), bool(is_finished)

    def keep(self, name: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a table that an earlier run had finished, or compute and store it."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.parquet"
        if path.exists():
            # A damaged part is no loss: it is computed again.
            with contextlib.suppress(OSError, ValueError):
                return pd.read_parquet(path)
        table = compute()
        with atomic_file(path) as draft:
            table.to_parquet(draft)
        return table


def has_finished(run: Path, experiment: str) -> bool:
    """Whether a run folder holds all of an experiment, with whatever protocol."""
    return _has_finished(run, json.loads((run / RECORD).read_text()), experiment)


def _has_finished(run: Path, record: Mapping[str, Any], experiment: str) -> bool:
    entry = record["experiments"].get(experiment)
    return entry is not None and entry["state"] == "finished" and (run / experiment).exists()


class RunFolder:
    """A folder with the results of one twin: same weights, mouse, neurons, state and units.

    Parameters
    ----------
    path : Path
        The folder.
    record : dict
        Content of ``run.json``.
    """

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self._record = record

    @classmethod
    def open(cls, path: str | Path, identity: Mapping[str, Any], *, command: str) -> RunFolder:
        """Start a run folder, or continue one of the same twin.

        Parameters
        ----------
        path : path
            The folder; made if it does not exist.
        identity : mapping
            What decides the answers beside the protocols.
        command : str
            What the user typed.

        Raises
        ------
        RunFolderError
            If the folder holds another run or other files, or cannot be written.
        """
        path = Path(path)
        wanted = fingerprint(identity)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / RECORD).exists():
                return cls._continue(path, wanted, identity)
            if any(entry for entry in path.iterdir() if not entry.name.startswith(".")):
                raise RunFolderError(
                    f"{path} holds files that are no run of insilico; give a new folder to --out"
                )
            folder = cls(
                path,
                {
                    "format": 1,
                    "fingerprint": wanted,
                    "identity": dict(identity),
                    "command": command,
                    "experiments": {},
                },
            )
            folder._write()
        except OSError as error:
            if isinstance(error, RunFolderError):
                raise
            raise RunFolderError(
                f"the run folder {path} cannot be written ({error.strerror}); choose another"
            ) from error
        return folder

    @classmethod
    def _continue(cls, path: Path, wanted: str, identity: Mapping[str, Any]) -> RunFolder:
        try:
            record = json.loads((path / RECORD).read_text())
            there, is_same = dict(record["identity"]), record["fingerprint"] == wanted
            record["experiments"].items()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunFolderError(
                f"{path / RECORD} is damaged; give a new folder to --out"
            ) from error
        if not is_same:
            keys = sorted(set(identity) | set(there))
            differs = [
                key for key in keys if fingerprint(identity.get(key)) != fingerprint(there.get(key))
            ]
            raise RunFolderError(
                f"{path} holds another run: its {' and '.join(differs) or 'content'} differ; give "
                "a new folder to --out, or delete this one"
            )
        return cls(path, record)

    def finished(
        self, experiment: str, protocol: Mapping[str, Any], given: Mapping[str, str] | None = None
    ) -> Result | None:
        """Return the finished result of an experiment, or None.

        Parameters
        ----------
        experiment : str
            Its name.
        protocol : mapping
            Every value of its protocol.
        given : mapping of str to str, optional
            :attr:`insilico.results.Result.digest` of the earlier results it builds on, by name.

        Raises
        ------
        RunFolderError
            If the folder holds it with another protocol, or built on other results.
        """
        if self.is_finished(experiment, protocol, given):
            return Result.load(self.path / experiment)
        return None

    def is_finished(
        self, experiment: str, protocol: Mapping[str, Any], given: Mapping[str, str] | None = None
    ) -> bool:
        """Whether the folder holds all of an experiment.

        Parameters
        ----------
        experiment, protocol, given
            As for :meth:`finished`.

        Raises
        ------
        RunFolderError
            If the folder holds it with another protocol, or built on other results.
        """
        entry = self._record["experiments"].get(experiment)
        if entry is None or not self._is_started(experiment, entry):
            return False
        self._check(experiment, entry, protocol, given or {})
        return bool(entry["state"] == "finished")

    def result(self, experiment: str) -> Result | None:
        """Return the finished result of an experiment with whatever protocol, or None."""
        if not _has_finished(self.path, self._record, experiment):
            return None
        return Result.load(self.path / experiment)

    def parts(
        self, experiment: str, protocol: Mapping[str, Any], given: Mapping[str, str] | None = None
    ) -> Parts:
        """Note that an experiment is under way, and return where its parts are kept.

        Parameters
        ----------
        experiment, protocol, given
            As for :meth:`finished`.

        Raises
        ------
        RunFolderError
            If the folder holds it with another protocol, or built on other results.
        """
        entry = self._record["experiments"].get(experiment)
        if entry is not None and self._is_started(experiment, entry):
            self._check(experiment, entry, protocol, given or {})
        self._record["experiments"][experiment] = {
            "state": "running",
            "fingerprint": fingerprint(protocol),
            "protocol": dict(protocol),
            "given": dict(given or {}),
        }
        self._write()
        return Parts(self.path / PARTS / experiment)

    def finish(self, result: Result) -> None:
        """Save a result and clear its parts.

        Raises
        ------
        RunFolderError
            If it cannot be written.
        """
        result.save(self.path / result.experiment)
        self.close(result.experiment)

    def close(self, experiment: str) -> None:
        """Note that an experiment is saved, and clear its parts."""
        self._record["experiments"][experiment]["state"] = "finished"
        self._write()
        shutil.rmtree(self.path / PARTS / experiment, ignore_errors=True)
        parts = self.path / PARTS
        if parts.exists() and not any(parts.iterdir()):
            parts.rmdir()

    def _is_started(self, experiment: str, entry: Mapping[str, Any]) -> bool:
        """Whether anything was kept of an experiment: a result, or a part of one."""
        if entry["state"] == "finished":
            return (self.path / experiment).exists()
        return (self.path / PARTS / experiment).exists()

    def _check(
        self,
        experiment: str,
        entry: Mapping[str, Any],
        protocol: Mapping[str, Any],
        given: Mapping[str, str],
    ) -> None:
        if entry["fingerprint"] == fingerprint(protocol):
            self._check_given(experiment, entry, given)
            return
        there = entry["protocol"]
        keys = sorted(set(protocol) | set(there))
        differs = [key for key in keys if protocol.get(key) != there.get(key)]
        raise RunFolderError(
            f"{self.path} holds {experiment} with another protocol: {', '.join(differs)} differ; "
            "give a new folder to --out"
        )

    def _check_given(
        self, experiment: str, entry: Mapping[str, Any], given: Mapping[str, str]
    ) -> None:
        # A folder of an older insilico does not say what it built on, and so is not relied on.
        there = entry.get("given", {})
        changed = [name for name in sorted({*given, *there}) if given.get(name) != there.get(name)]
        if not changed:
            return
        is_finished = entry["state"] == "finished"
        what = self.path / experiment if is_finished else self.path / PARTS / experiment
        raise RunFolderError(
            f"{what} builds on {' and '.join(changed)} as it was before, and "
            f"{'that result has' if len(changed) == 1 else 'those results have'} changed; delete "
            f"{what} to run {experiment} again, or give a new folder to --out"
        )

    def _write(self) -> None:
        with atomic_file(self.path / RECORD) as draft:
            draft.write_text(json.dumps(self._record, indent=2, default=str) + "\n")
