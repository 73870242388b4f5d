"""A set of stimuli on disk: arrays, tables, movies, and a manifest with the hash of each."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tomli_w

from insilico.errors import RunFolderError
from insilico.files import atomic_file, remove_drafts
from insilico.screen import Screen
from insilico.synthesis.identity import ByteArray, stimulus_digest
from insilico.synthesis.manifest import (
    CONTENT,
    ID,
    MANIFEST,
    MOVIES,
    STIMULI,
    again,
    as_json,
    make_manifest,
    read_manifest,
    says_content,
)
from insilico.synthesis.movies import read_movie, write_movie, write_preview

if TYPE_CHECKING:
    from insilico.synthesis.stimulus_set import StimulusSet

PREVIEWS = "previews"
#: What the manifest vouches for, beside each stimulus. The table for spreadsheets is not read.
_HASHED = (
    "table.parquet",
    "traces.npy",
    "weights.npy",
    "curves.parquet",
    "protocol.toml",
    "provenance.json",
)


def write_folder(stimuli: StimulusSet, folder: Path, *, previews: bool) -> Path:
    """Write a set as :meth:`~insilico.synthesis.stimulus_set.StimulusSet.save` says.

    Raises
    ------
    RunFolderError
        If it cannot be written, or holds files of these names that no set has written.
    """
    if _is_foreign(folder):
        raise RunFolderError(
            f"{folder} holds files that are no set of stimuli, so it is not written to; choose "
            "another folder"
        )
    try:
        for place in (folder, folder / MOVIES, folder / PREVIEWS):
            remove_drafts(place, is_shared=True)
        _write_movies(stimuli, folder, previews)
        _write_files(stimuli, folder)
        _remove_stale(folder, set(stimuli.ids))
    except OSError as error:
        raise RunFolderError(
            f"the set of {len(stimuli)} stimuli could not be written to {folder}: "
            f"{error.strerror or error}; free space or choose another folder"
        ) from error
    return folder


def read_folder(folder: Path) -> dict[str, Any]:
    """Return the fields of a saved set after comparing every byte with the manifest.

    Raises
    ------
    RunFolderError
        If the folder is missing, incomplete, damaged or of a newer format.
    """
    manifest = read_manifest(folder)
    frames = _read_stimuli(folder, manifest)
    content = {name: _read_hashed(folder, name, manifest) for name in _HASHED}
    try:
        provenance = json.loads(content["provenance.json"])
        provenance.pop("content", None)
        return {
            "frames": frames,
            "table": pd.read_parquet(io.BytesIO(content["table.parquet"])),
            "traces": np.load(io.BytesIO(content["traces.npy"]), allow_pickle=False),
            "weights": np.load(io.BytesIO(content["weights.npy"]), allow_pickle=False),
            "curves": pd.read_parquet(io.BytesIO(content["curves.parquet"])),
            "screen": Screen.from_dict(manifest["screen"]),
            "kind": manifest["kind"],
            "frame_rate_hz": manifest["frame_rate_hz"],
            "lead_frames": manifest["lead_frames"],
            "protocol": tomllib.loads(content["protocol.toml"].decode()),
            "provenance": provenance,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{folder} holds a damaged file ({error}); {again(folder)}") from error


def reload_frames(folder: Path | str) -> ByteArray:
    """Read the stimuli of a set from its lossless movies, as a presentation program does.

    Parameters
    ----------
    folder : path
        As :meth:`~insilico.synthesis.stimulus_set.StimulusSet.save` wrote it.

    Returns
    -------
    uint8 array, shape (stimulus, frame, y, x)
        Equal to ``stimuli.npy``: every movie is held to its hash in the manifest.

    Raises
    ------
    RunFolderError
        If the set is not complete or has no movies, or a movie is missing or damaged.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest["kind"] != "movie":
        raise RunFolderError(
            f"{folder} holds images, which have no movies; read them with 'StimulusSet.load'"
        )
    movies: dict[str, ByteArray] = {}
    for entry in manifest["stimuli"]:
        name = entry["stimulus_id"]
        if name not in movies:
            path = _movie(folder, name)
            movies[name] = read_movie(path)
            if stimulus_digest(movies[name]) != entry["sha256"]:
                raise RunFolderError(
                    f"the movie {path} does not show stimulus {name} as it was saved; delete the "
                    "movie and save the set again"
                )
    frames = [movies[entry["stimulus_id"]] for entry in manifest["stimuli"]]
    return np.stack(frames) if frames else np.zeros(manifest["shape"], np.uint8)


def _movie(folder: Path, name: str) -> Path:
    return folder / MOVIES / f"{name}.mkv"


def _write_movies(stimuli: StimulusSet, folder: Path, previews: bool) -> None:
    """Write the movies and previews that are missing; each is named by what it shows."""
    is_movie, rate = stimuli.kind == "movie", stimuli.frame_rate_hz
    endings = ((".gif", ".mp4") if is_movie else (".png",)) if previews else ()
    for name, frames in dict(zip(stimuli.ids, stimuli.movies, strict=True)).items():
        if is_movie and not (path := _movie(folder, name)).exists():
            write_movie(path, frames, frame_rate_hz=rate)
        for ending in endings:
            if not (path := folder / PREVIEWS / f"{name}{ending}").exists():
                write_preview(path, frames, frame_rate_hz=rate)


def _write_files(stimuli: StimulusSet, folder: Path) -> None:
    """Write all other files beside their places, and then move them there, the manifest last."""
    writers = _writers(stimuli)
    with contextlib.ExitStack() as stack:
        # What is entered last is moved to its place first.
        manifest = stack.enter_context(atomic_file(folder / MANIFEST))
        hashes = {}
        for name, write in writers.items():
            draft = stack.enter_context(atomic_file(folder / name))
            write(draft)
            if name in _HASHED:
                with draft.open("rb") as file:
                    hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
        manifest.write_text(as_json(make_manifest(stimuli, hashes)), encoding="utf-8")
        (folder / MANIFEST).unlink(missing_ok=True)


def _writers(stimuli: StimulusSet) -> dict[str, Callable[[Path], object]]:
    """Return how each file is written. The provenance is last, as it says whose files these are."""
    provenance = as_json({**stimuli.provenance, "content": CONTENT})
    protocol = tomli_w.dumps(dict(stimuli.protocol))
    return {
        STIMULI: lambda path: np.save(path, stimuli.frames, allow_pickle=False),
        "table.parquet": lambda path: stimuli.table.to_parquet(path, index=False),
        "table.csv": lambda path: stimuli.table.to_csv(path, index=False),
        "traces.npy": lambda path: np.save(path, stimuli.traces, allow_pickle=False),
        "weights.npy": lambda path: np.save(path, stimuli.weights, allow_pickle=False),
        "curves.parquet": lambda path: stimuli.curves.to_parquet(path, index=False),
        "protocol.toml": lambda path: path.write_text(protocol, encoding="utf-8"),
        "provenance.json": lambda path: path.write_text(provenance, encoding="utf-8"),
    }


def _remove_stale(folder: Path, names: set[str]) -> None:
    """Remove movies and previews of stimuli that are no longer in the set."""
    for path in (*folder.glob(f"{MOVIES}/*.mkv"), *folder.glob(f"{PREVIEWS}/*.*")):
        if ID.fullmatch(path.stem) and path.stem not in names:
            path.unlink(missing_ok=True)


def _is_foreign(folder: Path) -> bool:
    """Whether something is there that no set wrote and saving would replace."""
    if not folder.is_dir():
        return folder.exists()
    # A save that was killed leaves the provenance without a manifest.
    if any(says_content(folder / name) for name in (MANIFEST, "provenance.json")):
        return False
    return any((folder / name).exists() for name in (MANIFEST, STIMULI, "table.csv", *_HASHED))


def _read_stimuli(folder: Path, manifest: Mapping[str, Any]) -> ByteArray:
    """Read the bytes of all stimuli, and hold each to its hash."""
    path, entries = folder / STIMULI, manifest["stimuli"]
    try:
        with path.open("rb") as file:
            frames = np.lib.format.read_array(file, allow_pickle=False)
        if frames.dtype != np.uint8 or list(frames.shape) != manifest["shape"]:
            raise ValueError(f"{frames.dtype} of shape {frames.shape}")
        digests = [stimulus_digest(stimulus) for stimulus in frames]
    except (OSError, EOFError, ValueError, MemoryError) as error:
        raise RunFolderError(
            f"{path} is damaged ({getattr(error, 'strerror', None) or error}); restore it from a "
            f"copy, or {again(folder)}"
        ) from error
    for row, (entry, digest) in enumerate(zip(entries, digests, strict=True)):
        if digest != entry["sha256"]:
            raise RunFolderError(
                f"stimulus {entry['stimulus_id']} (row {row} of {path}) is damaged: its "
                f"bytes have another hash than in {MANIFEST}; restore the file from a copy, or "
                f"{again(folder)}"
            )
    return np.asarray(frames)


def _read_hashed(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    """Read a file and hold it to its hash."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise RunFolderError(
            f"{folder / name} cannot be read ({error.strerror}); restore it from a copy, or "
            f"{again(folder)}"
        ) from error
    if hashlib.sha256(content).hexdigest() != manifest["files"].get(name):
        raise RunFolderError(
            f"{folder / name} is damaged: it has another hash than in {MANIFEST}; restore it from "
            f"a copy, or {again(folder)}"
        )
    return content
