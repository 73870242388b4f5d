"""The manifest of a set of stimuli: what a presentation program needs, and the hash of each."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from insilico.errors import RunFolderError
from insilico.synthesis.identity import ID_DIGITS

if TYPE_CHECKING:
    from insilico.synthesis.stimulus_set import StimulusSet

#: Written last: a folder without it holds no finished set.
MANIFEST = "manifest.json"
STIMULI = "stimuli.npy"
MOVIES = "movies"
#: Rises when a reader of the old layout could no longer understand a new one.
SET_FORMAT = 1
#: What manifest and provenance call the content of the folder, so that nothing else is replaced.
CONTENT = "insilico stimulus set"
ID = re.compile(f"[0-9a-f]{{{ID_DIGITS}}}")
_KEYS = ("kind", "screen", "frame_rate_hz", "lead_frames", "shape", "files")


def again(folder: Path) -> str:
    """Return how to replace a damaged set: a finished one is not made once more."""
    return f"delete the folder {folder} and generate the set again"


def make_manifest(stimuli: StimulusSet, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest of a set, with one entry a row of its table.

    Parameters
    ----------
    stimuli : StimulusSet
        The set.
    hashes : mapping of str to str
        SHA-256 of files of the set, by name.
    """
    return {
        "content": CONTENT,
        "format": SET_FORMAT,
        "kind": stimuli.kind,
        "screen": stimuli.screen.to_dict(),
        "frame_rate_hz": float(stimuli.frame_rate_hz),
        "lead_frames": int(stimuli.lead_frames),
        "array": STIMULI,
        "shape": list(stimuli.frames.shape),
        "sha256_of": "the shape of one stimulus, such as '30x36x64', a line feed, and its uint8 "
        f"gray levels row by row; stimulus_id is the first {ID_DIGITS} digits",
        "files": dict(hashes),
        "stimuli": _entries(stimuli),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder, and check that nothing is missing in it.

    Raises
    ------
    RunFolderError
        If there is none, or it is damaged, of something else or of a newer format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "holds no finished set of stimuli" if folder.is_dir() else "is no folder"
        raise RunFolderError(
            f"{folder} {what} ({MANIFEST} is written last, and is not there); run 'insilico "
            "generate' with this folder again, or give another"
        ) from error
    except OSError as error:
        raise RunFolderError(
            f"{path} cannot be read ({error.strerror}); make it readable, or {again(folder)}"
        ) from error
    except ValueError as error:
        raise RunFolderError(f"{path} is damaged ({error}); {again(folder)}") from error
    if not isinstance(manifest, dict) or manifest.get("content") != CONTENT:
        raise RunFolderError(
            f"{path} is of no set of stimuli; give a folder that 'insilico generate' wrote"
        )
    _check(path, manifest)
    return manifest


def says_content(path: Path) -> bool:
    """Whether a JSON file says that it belongs to a set of stimuli."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(path.read_bytes())
        return isinstance(content, dict) and content.get("content") == CONTENT
    return False


def as_json(values: Mapping[str, Any]) -> str:
    """Return values as JSON to be read by people too; what JSON does not know becomes text."""
    return json.dumps(values, indent=2, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """Return what JSON knows in place of what it does not."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)


def _entries(stimuli: StimulusSet) -> list[dict[str, Any]]:
    table, is_movie = stimuli.table, stimuli.kind == "movie"
    controlled = table["control_of"] if "control_of" in table else pd.Series("", table.index)
    controls: dict[str, list[str]] = {}
    for control, of in zip(stimuli.ids, controlled, strict=True):
        controls.setdefault(str(of), []).append(control)
    facts = table[["mouse", "neuron", "motion", "stimulus_class"]].to_dict("records")
    return [
        {
            "row": row,
            "stimulus_id": name,
            "sha256": digest,
            "file": f"{MOVIES}/{name}.mkv" if is_movie else None,
            **{str(key): value for key, value in fact.items()},
            "controls": controls.get(name, []),
        }
        for row, (name, digest, fact) in enumerate(
            zip(stimuli.ids, stimuli.digests, facts, strict=True)
        )
    ]


def _check(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise where the manifest lacks what reading the set needs."""
    try:
        if manifest["format"] > SET_FORMAT:
            raise RunFolderError(
                f"{path} was written by a newer insilico; update this one to read it"
            )
        entries = manifest["stimuli"]
        lacking = [key for key in _KEYS if key not in manifest]
        is_named = all(ID.fullmatch(each["stimulus_id"]) and each["sha256"] for each in entries)
        has_hashes = isinstance(manifest.get("files"), dict)
        is_whole = not lacking and is_named and has_hashes and len(entries) == manifest["shape"][0]
    except (KeyError, TypeError, IndexError) as error:
        raise RunFolderError(f"{path} is damaged ({error!r}); {again(path.parent)}") from error
    if not is_whole:
        raise RunFolderError(
            f"{path} is damaged: it does not name all stimuli and files; {again(path.parent)}"
        )
