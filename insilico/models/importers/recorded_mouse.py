"""Statistics and neurons of one mouse, from the recording that a model was trained on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from insilico.errors import CheckpointError
from insilico.models.importers.metadata_folder import finite, read_numbers
from insilico.models.importers.published_mice import recording_name
from insilico.models.importers.run_folder import Release
from insilico.progress import progress_bar
from insilico.recordings.decoding import trial_rows
from insilico.recordings.images import ImageReader
from insilico.recordings.moments import StreamingMoments
from insilico.recordings.opening import find_recordings, open_recording, quick_mouse
from insilico.recordings.recording import Recording
from insilico.recordings.source import FolderSource
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Signals of a recording, by what their statistics are of.
SIGNALS = {
    "stimulus": "stimulus",
    "response": "responses",
    "behavior": "behavior",
    "pupil": "pupil_center",
}

#: Folders of the statistics that recordings of images ship, and that V1T was trained with
#: (V1T, src/v1t/data.py).
SHIPPED = {
    "stimulus": "images",
    "response": "responses",
    "behavior": "behavior",
    "pupil": "pupil_center",
}


@dataclasses.dataclass(frozen=True, eq=False)
class RecordedMouse:
    """A mouse as its recording knows it.

    Recordings of images ship their statistics, which are those of the images before they are
    reduced; they are read where they are there. Everything else is measured on the training tier.

    Parameters
    ----------
    recording : Recording
        Opened from files.
    progress : bool
        Show a bar while trials are read.
    """

    recording: Recording
    progress: bool = False

    @property
    def screen(self) -> Screen:
        """The monitor, in pixels of the recording."""
        return self.recording.screen

    @property
    def where(self) -> str:
        """Where the statistics come from, for their source."""
        if self._is_shipped:
            return f"statistics that {self.recording.source} ships"
        count = len(self.recording.trials_of("train"))
        return f"measured on {count:,} training trials of {self.recording.source}"

    def lacks(self, what: str, shape: tuple[int, int]) -> str:
        """Return why the statistics of ``what`` cannot be known here; empty where they can.

        Parameters
        ----------
        what : {"stimulus", "response", "behavior", "pupil"}
            What they are of.
        shape : tuple of int
            Rows and columns of the network's input.
        """
        recording = self.recording
        if what == "behavior" and not recording.behavior_names:
            return f"{recording.source} has no behavior"
        if what == "pupil" and not recording.has_pupil:
            return f"{recording.source} has no gaze"
        if self._is_shipped:
            return ""
        if not len(recording.trials_of("train")):
            return f"{recording.source} has no training trials"
        if what == "stimulus" and recording.screen.shape != shape:
            return (
                f"{recording.source} is read at {recording.screen.shape} pixels, the network sees "
                f"{shape}, and there are no statistics in meta/statistics/{SHIPPED[what]}"
            )
        return ""

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is known of all neurons, by column of a neurons table."""
        table = self.recording.neurons.drop(columns=["neuron", "kind"])
        return {str(name): table[name].to_numpy() for name in table}

    def read(self, what: str, statistic: str) -> FloatArray:
        """Return one statistic.

        Parameters
        ----------
        what : {"stimulus", "response", "behavior", "pupil"}
            What it is of.
        statistic : {"mean", "std", "min", "max"}
            Which it is.

        Raises
        ------
        CheckpointError
            If a file of shipped statistics is damaged.
        RecordingError
            If a trial cannot be read.
        """
        if self._is_shipped:
            return self._read_shipped(what, statistic)
        return self._measured[SIGNALS[what]][statistic]

    @functools.cached_property
    def _is_shipped(self) -> bool:
        return isinstance(self.recording.read, ImageReader) and all(
            self._has_member(_member(what, "std"))
            for what in SHIPPED
            if what in ("stimulus", "response") or not self._is_missing(what)
        )

    def _is_missing(self, what: str) -> bool:
        recording = self.recording
        return not (recording.behavior_names if what == "behavior" else recording.has_pupil)

    def _has_member(self, member: str) -> bool:
        source = self.recording.read.files.source  # type: ignore[attr-defined]
        if isinstance(source, FolderSource):
            return (source.path / member).is_file()
        return member in source.sizes

    def _read_shipped(self, what: str, statistic: str) -> FloatArray:
        source = self.recording.read.files.source  # type: ignore[attr-defined]
        member = _member(what, statistic)
        if isinstance(source, FolderSource):
            return read_numbers(source.path / member)
        header = source.read_header(member)
        values = source.read_array(member, shape=header.shape, axes="any")
        return finite(values, what=source.describe(member))

    @functools.cached_property
    def _measured(self) -> dict[str, dict[str, FloatArray]]:
        return measure(self.recording, progress=self.progress)


def _member(what: str, statistic: str) -> str:
    return f"meta/statistics/{SHIPPED[what]}/all/{statistic}.npy"


def measure(recording: Recording, *, progress: bool = False) -> dict[str, dict[str, FloatArray]]:
    """Measure all signals of a recording over all frames of its training tier.

    Parameters
    ----------
    recording : Recording
        Its training trials pass by once, one at a time; nothing is cached.
    progress : bool
        Show a bar.

    Returns
    -------
    dict of str to dict
        By signal (:data:`insilico.recordings.recording.SIGNALS`), "mean", "std" (population),
        "min" and "max": one number of the stimulus, one a neuron or a variable of the others.

    Raises
    ------
    RecordingError
        If a trial cannot be read.

    References
    ----------
    ViV1T-closed-loop, data/compute_metadata.py.
    """
    moments: dict[str, StreamingMoments] = {}
    extremes: dict[str, tuple[FloatArray, FloatArray]] = {}
    trials = recording.trials_of("train").tolist()
    with progress_bar(f"measuring {recording.mouse}", len(trials), shown=progress) as advance:
        for trial in trials:
            signals = trial_rows(recording, recording.read(trial))
            advance(1)
            if not signals["responses"].any():
                continue  # withheld, as the cache of recordings has it
            for signal, values in signals.items():
                rows = values.reshape(-1, 1) if signal == "stimulus" else values
                moments.setdefault(signal, StreamingMoments(rows.shape[1])).add(rows)
                low, high = rows.min(axis=0), rows.max(axis=0)
                if signal in extremes:
                    low = np.minimum(low, extremes[signal][0])
                    high = np.maximum(high, extremes[signal][1])
                extremes[signal] = low.astype(np.float64), high.astype(np.float64)
    return {
        signal: {
            "mean": found.mean,
            "std": found.std,
            "min": extremes[signal][0],
            "max": extremes[signal][1],
        }
        for signal, found in moments.items()
    }


def find_recording(
    data: Path, mouse: str, *, which: Release, neuron_counts: Mapping[str, int | None]
) -> Recording | None:
    """Find the recording of a run's mouse.

    Parameters
    ----------
    data : Path
        A recording, or a folder of recordings.
    mouse : str
        Its name in the run.
    which : {"v1t", "first_release", "closed_loop"}
        The release, which decides what recordings the letters mean.
    neuron_counts : mapping of str to int or None
        Neurons in the recording of each mouse of the run, None where they are not known. They
        decide where no name does and exactly one recording has as many as exactly one mouse.

    Returns
    -------
    Recording or None
        None if there is none of this mouse.

    Raises
    ------
    CheckpointError
        If two recordings are of this mouse.
    RecordingError
        If the path leads to no recording, or one cannot be opened.
    """
    places = find_recordings(data)
    names = {mouse, f"mouse{mouse}", recording_name(which, mouse)}
    named = [place for place in places if quick_mouse(place) in names]
    if len(named) > 1:
        raise CheckpointError(
            f"{named[0]} and {named[1]} are both of mouse {mouse}; give --data the one that the "
            "model was trained on"
        )
    if named:
        return open_recording(named[0])
    count = neuron_counts.get(mouse)
    if count is None or list(neuron_counts.values()).count(count) != 1:
        return None
    others = {recording_name(which, other) for other in neuron_counts}
    opened = [open_recording(place) for place in places if quick_mouse(place) not in others]
    alike = [recording for recording in opened if len(recording.neurons) == count]
    return alike[0] if len(alike) == 1 else None
