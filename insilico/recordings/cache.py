"""Trials decoded once into memory-mapped arrays, so that training never parses files again."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import RecordingError
from insilico.files import atomic_folder, remove_drafts
from insilico.models.mouse import Statistics
from insilico.recordings.decoding import decode_trials
from insilico.recordings.images import ImageReader
from insilico.recordings.movies import MovieReader
from insilico.recordings.recording import SIGNALS, FloatArray, Recording
from insilico.recordings.source import Source, open_source
from insilico.recordings.stored import load_arrays
from insilico.recordings.trials import TrialFiles

Array = np.ndarray[Any, Any]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Changes when the files of a cache or what they mean change; caches of others are built again.
CACHE_VERSION = 1

#: How often a cache is looked for that another process may be moving to its place.
MOVING_TRIES = 10

#: Disk space that must stay free when a cache has been written.
SPARE_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class CachedRecording:
    """A recording with all its trials in memory-mapped arrays.

    A *row* is a frame of a movie, or an image. A *position* is the number of a row of the trials
    table; the rows of a trial follow one another. Trials of the tier "none" have no rows.

    Parameters
    ----------
    recording : Recording
        Neurons, screen, names and rates.
    folder : Path
        Where the arrays lie.
    trials : DataFrame, one row a trial
        That of the recording with ``frame_count`` (1 for images, 0 for the tier "none"),
        ``has_responses`` (False where they are all zero or withheld) and ``stimulus_index``
        completed from the stimuli: every trial outside the training tier has one, and
        trials of the training tier have -1 where the files do not say.
    stimulus : memmap, shape (row, channel, y, x)
        Gray levels: uint8 if all are whole numbers 0-255, else float32.
    responses : float32 memmap, shape (row, neuron)
        Recorded units; zeros where withheld.
    behavior : float32 memmap, shape (row, variable), or None
        Recorded units.
    pupil_center : float32 memmap, shape (row, 2), or None
        Recorded units.
    first_row : int array, shape (trial,)
        Where each trial starts.
    statistics : Statistics
        Measured over all frames of the training trials; nothing is known where there are none.
    response_mean : float array, shape (neuron,)
        Mean response in training trials, recorded units; NaN where there are none.
    content_sha256 : str
        Hash of the decoded trials, the same for a folder and its zip.
    """

    recording: Recording
    folder: Path
    trials: pd.DataFrame
    stimulus: Array
    responses: Array
    behavior: Array | None
    pupil_center: Array | None
    first_row: IntArray
    statistics: Statistics
    response_mean: FloatArray
    content_sha256: str

    def trials_of(self, *tiers: str) -> IntArray:
        """Return the positions of the trials of some tiers that have responses, in order."""
        chosen = self.trials["tier"].isin(tiers) & self.trials["has_responses"]
        return np.flatnonzero(chosen.to_numpy()).astype(np.int64)

    def rows(self, position: int, start: int = 0, stop: int | None = None) -> slice:
        """Return where the frames of a trial lie in the arrays.

        Parameters
        ----------
        position : int
            Row number of the trials table.
        start, stop : int, optional
            First frame and the one after the last, counted in the trial; all by default.

        Raises
        ------
        RecordingError
            If the trial has no such frames.
        """
        frames = int(self.trials["frame_count"].to_numpy()[position])
        stop = frames if stop is None else stop
        if not 0 <= start <= stop <= frames:
            raise RecordingError(
                f"frames {start} to {stop} of trial {position} of mouse {self.recording.mouse} "
                f"were asked for; it has frames 0 to {frames}"
            )
        first = int(self.first_row[position])
        return slice(first + start, first + stop)


def cache_recordings(
    recordings: Mapping[str, Recording], *, folder: Path, progress: bool = False
) -> dict[str, CachedRecording]:
    """Open the caches of several recordings by mouse; see :func:`cache_recording`."""
    return {
        name: cache_recording(recording, folder=folder, progress=progress)
        for name, recording in recordings.items()
    }


def cache_recording(
    recording: Recording, *, folder: Path, progress: bool = False
) -> CachedRecording:
    """Open the cache of a recording, after decoding its trials into it if need be.

    All trials pass by once, one at a time: memory does not grow with the recording.

    Parameters
    ----------
    recording : Recording
        As :func:`~insilico.recordings.opening.open_recording` returns it.
    folder : Path
        Where caches are kept; this one lies in ``<mouse>-<fingerprint>``, where the fingerprint is
        of the names, sizes and times of the recording's files. A damaged one is built again.
    progress : bool
        Show a bar.

    Returns
    -------
    CachedRecording

    Raises
    ------
    RecordingError
        If a trial is missing or damaged, files changed since the recording was opened, nothing
        varies, or the disk has too little room. No cache is left behind then.
    """
    reader = _reader(recording)
    _demand_unchanged(reader.files.source)
    fingerprint = _fingerprint(recording, reader.files.source)
    place = Path(folder) / f"{recording.mouse}-{fingerprint[:8]}"
    remove_drafts(place.parent, is_shared=True)
    if (cached := _open(recording, place, fingerprint)) is not None:
        return cached
    tags = {"version": CACHE_VERSION, "fingerprint": fingerprint}
    _demand_files(reader.files)
    _demand_space(place.parent, _size_bytes(recording, reader))
    try:
        with atomic_folder(place) as draft:
            decode_trials(recording, draft, tags, progress=progress)
            if _open(recording, place, fingerprint) is not None:
                raise FileExistsError("another process has built this cache in the meantime")
    except OSError as error:
        if (cached := _wait_for(recording, place, fingerprint)) is not None:
            return cached
        raise RecordingError(
            f"the cache {place} cannot be written ({error.strerror or error}); free some space or "
            "choose another folder for it"
        ) from error
    if (cached := _wait_for(recording, place, fingerprint)) is None:
        raise RecordingError(f"the cache {place} was changed while it was written; start again")
    return cached


def _wait_for(recording: Recording, place: Path, fingerprint: str) -> CachedRecording | None:
    """Open a cache that another process may just be moving to its place."""
    for _ in range(MOVING_TRIES):
        if (cached := _open(recording, place, fingerprint)) is not None:
            return cached
        time.sleep(0.02)
    return None


def _open(recording: Recording, place: Path, fingerprint: str) -> CachedRecording | None:
    """Open a cache, or return None where it is missing, damaged or of other files."""
    loaded = load_arrays(place)
    if loaded is None:
        return None
    contents, arrays = loaded
    if contents.get("version") != CACHE_VERSION or contents.get("fingerprint") != fingerprint:
        return None
    trials = recording.trials.assign(
        frame_count=arrays["frame_count"],
        has_responses=arrays["has_responses"],
        stimulus_index=arrays["stimulus_index"],
    )
    known = {
        field.name: arrays.get(field.name)
        for field in dataclasses.fields(Statistics)
        if field.name != "sources"
    }
    return CachedRecording(
        recording=recording,
        folder=place,
        trials=trials,
        **{signal: arrays.get(signal) for signal in SIGNALS},  # type: ignore[arg-type]
        first_row=arrays["first_row"],
        statistics=Statistics(**known, sources=contents["sources"]),  # type: ignore[arg-type]
        response_mean=arrays["response_mean"],
        content_sha256=contents["content_sha256"],
    )


def _fingerprint(recording: Recording, source: Source) -> str:
    """Hash what tells whether the files of a recording have changed."""
    lines = [f"cache {CACHE_VERSION}", recording.layout, *source.stamp]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _reader(recording: Recording) -> ImageReader | MovieReader:
    """Return what reads the files of a recording that was opened from disk."""
    if not isinstance(recording.read, ImageReader | MovieReader):
        raise RecordingError(
            f"the recording of mouse {recording.mouse} was not opened from files; write it to a "
            "folder and open that"
        )
    return recording.read


def _demand_unchanged(source: Source) -> None:
    """Refuse old tables over new files: their cache would pass for one of the new files."""
    if open_source(source.path).stamp != source.stamp:
        raise RecordingError(f"files of {source.path} changed since it was opened; open it again")


def _demand_files(files: TrialFiles) -> None:
    """Refuse a recording that lacks files before hours are spent on the others."""
    missing = [member for member in files.needed() if member not in files.source.sizes]
    if missing:
        raise RecordingError(
            f"{files.source.describe(missing[0])} is missing"
            + (f", like {len(missing) - 1} more files" if missing[1:] else "")
            + "; fetch the recording again ('insilico recordings check' lists all)"
        )


def _size_bytes(recording: Recording, reader: ImageReader | MovieReader) -> int:
    """Return the most that the cache of a recording can take on disk."""
    files, frame_values = reader.files, math.prod(reader.shape)
    headers = [
        files.source.read_header(files.member("stimulus", trial))
        for trial, tier in enumerate(files.tiers)
        if tier != "none"
    ]
    rows = sum(header.nbytes // (header.dtype.itemsize * frame_values) for header in headers)
    # Images that are reduced become means of pixels, which are no whole numbers.
    is_whole = reader.shape[-2:] == recording.screen.shape and all(
        header.dtype == np.uint8 for header in headers
    )
    levels = len(recording.channel_names) * math.prod(recording.screen.shape)
    others = len(recording.neurons) + len(recording.behavior_names) + 2 * recording.has_pupil
    return rows * ((1 if is_whole else 4) * levels + 4 * others)


def _demand_space(folder: Path, needed: int) -> None:
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed + SPARE_BYTES:
        raise RecordingError(
            f"the cache needs up to {needed / 1e9:.1f} GB and {existing} has {free / 1e9:.1f} GB "
            "free; free some space or choose another folder for the cache"
        )
