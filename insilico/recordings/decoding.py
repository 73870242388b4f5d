"""All trials of a recording, decoded once into arrays and measured on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from insilico.errors import RecordingError
from insilico.models.mouse import Statistics
from insilico.progress import progress_bar
from insilico.recordings.measuring import Measurement
from insilico.recordings.recording import SIGNALS, Recording, Trial
from insilico.recordings.repeats import StimulusMatcher
from insilico.recordings.stored import save_arrays
from insilico.recordings.writing import LevelWriter, RowWriter, closing

Array = np.ndarray[Any, Any]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def trial_rows(recording: Recording, trial: Trial) -> dict[str, Array]:
    """Return each recorded signal of a trial with rows first.

    Returns
    -------
    dict of str to array
        ``stimulus`` (row, channel, y, x), ``responses`` (row, neuron) and, where recorded,
        ``behavior`` (row, variable) and ``pupil_center`` (row, 2).
    """
    signals = {name: getattr(trial, name) for name in SIGNALS}
    known = {name: values for name, values in signals.items() if values is not None}
    if recording.kind == "image":
        return {name: values[None] for name, values in known.items()}
    return {
        name: np.ascontiguousarray(np.moveaxis(values, 1 if name == "stimulus" else -1, 0))
        for name, values in known.items()
    }


def decode_trials(
    recording: Recording, folder: Path, tags: Mapping[str, Any], *, progress: bool
) -> None:
    """Decode all trials into a folder and measure them on the way.

    Parameters
    ----------
    recording : Recording
        What to read; one trial is in memory at a time.
    folder : Path
        Where to write; :func:`~insilico.recordings.stored.load_arrays` reads it.
    tags : mapping
        What the folder is to say of itself.
    progress : bool
        Show a bar.

    Raises
    ------
    RecordingError
        If a trial cannot be read, there is none, or nothing varies.
    """
    measurement = Measurement(recording)
    count = len(recording.trials)
    frame_count, has_responses = np.zeros(count, np.int64), np.zeros(count, bool)
    writers = _open_writers(recording, folder)
    tiers = recording.trials["tier"].tolist()
    with (
        closing(*writers.values()),
        progress_bar(f"reading {recording.mouse}", count, shown=progress) as advance,
    ):
        for position, number in enumerate(recording.trials["trial"].tolist()):
            if tiers[position] != "none":
                rows = trial_rows(recording, recording.read(number))
                frame_count[position] = len(rows["stimulus"])
                has_responses[position] = rows["responses"].any()
                measurement.add(rows, tier=tiers[position], has_responses=has_responses[position])
                for signal, writer in writers.items():
                    writer.write(rows[signal])
            advance(1)
    if not frame_count.any():
        raise RecordingError(f"{recording.source} has no trial to read; fetch it again")
    first_row = np.cumsum(frame_count) - frame_count
    stimulus = np.load(folder / "stimulus.npy", mmap_mode="r", allow_pickle=False)
    statistics = measurement.statistics()
    save_arrays(
        folder,
        contents={
            **tags,
            "content_sha256": measurement.content_sha256,
            "sources": dict(statistics.sources),
        },
        arrays={
            "frame_count": frame_count,
            "has_responses": has_responses,
            "first_row": first_row,
            "stimulus_index": complete_index(recording, stimulus, first_row, frame_count),
            "response_mean": measurement.response_mean,
            **_arrays_of(statistics),
        },
        mapped=tuple(writers),
    )


def complete_index(
    recording: Recording, stimulus: Array, first_row: IntArray, frame_count: IntArray
) -> IntArray:
    """Tell repeats outside the training tier from the stimuli, where the files do not say."""
    index = recording.trials["stimulus_index"].to_numpy(np.int64).copy()
    is_open = (index < 0) & (recording.trials["tier"] != "train").to_numpy() & (frame_count > 0)
    matcher = StimulusMatcher(first=int(index.max(initial=-1)) + 1)
    for position in np.flatnonzero(is_open):
        first = first_row[position]
        index[position] = matcher.index_of(stimulus[first : first + frame_count[position]])
    return index


def _arrays_of(statistics: Statistics) -> dict[str, Array]:
    """Return the numbers that are known."""
    fields = [field.name for field in dataclasses.fields(statistics) if field.name != "sources"]
    return {
        name: np.asarray(value, np.float64)
        for name in fields
        if (value := getattr(statistics, name)) is not None
    }


def _open_writers(recording: Recording, folder: Path) -> dict[str, RowWriter | LevelWriter]:
    shape = (len(recording.channel_names), *recording.screen.shape)
    widths = {
        "responses": len(recording.neurons),
        "behavior": len(recording.behavior_names),
        "pupil_center": 2 * recording.has_pupil,
    }
    return {"stimulus": LevelWriter(folder / "stimulus.npy", row_shape=shape)} | {
        signal: RowWriter(folder / f"{signal}.npy", row_shape=(width,), dtype=np.float32)
        for signal, width in widths.items()
        if width
    }
