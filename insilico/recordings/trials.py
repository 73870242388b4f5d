"""What image and movie recordings share in reading one trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from insilico.errors import RecordingError
from insilico.recordings.npy import Array
from insilico.recordings.source import Source

Float32Array = np.ndarray[Any, np.dtype[np.float32]]

#: Tiers whose responses must be there; those of others were withheld by the competitions.
PUBLIC_TIERS = ("train", "validation")

#: Gray levels are 0-255; resampled stimuli may overshoot by this much.
OVERSHOOT_LEVELS = 1.0

#: Trials, spread over the recording, that tell a recorded signal from one that was set to zero.
PEEKED_TRIALS = 16


@dataclasses.dataclass(frozen=True)
class TrialFiles:
    """The files of a recording's trials.

    Parameters
    ----------
    source : Source
        Where they lie.
    tiers : tuple of str
        Tier of each trial.
    neuron_count : int
        Neurons of every response.
    folders : mapping of str to str
        Folder of each recorded signal, by :data:`insilico.recordings.recording.SIGNALS`.
    withheld : frozenset of str
        Tiers without any file of responses.
    """

    source: Source
    tiers: tuple[str, ...]
    neuron_count: int
    folders: Mapping[str, str] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    withheld: frozenset[str] = frozenset()

    def member(self, signal: str, trial: int) -> str:
        """Return a trial's file of a signal."""
        return f"{self.folders[signal]}/{trial}.npy"

    def describe(self, signal: str, trial: int) -> str:
        """Return the full name of a trial's file of a signal, for messages."""
        return self.source.describe(self.member(signal, trial))

    def needed(self) -> list[str]:
        """Return all files that the trials need; trials of the tier "none" need none."""
        return [
            self.member(signal, trial)
            for signal in self.folders
            for trial, tier in enumerate(self.tiers)
            if tier != "none" and not (signal == "responses" and tier in self.withheld)
        ]

    def foreign(self) -> list[str]:
        """Return the files beside those of the trials that no trial needs."""
        found = []
        for folder in self.folders.values():
            numbers, others = self.source.numbered(folder)
            found += others
            found += [f"{folder}/{number}.npy" for number in sorted(numbers)
                      if number >= len(self.tiers)]  # fmt: skip
        return found

    def demand_trial(self, trial: int) -> None:
        """Refuse the number of a trial that cannot be read.

        Raises
        ------
        RecordingError
            If there is no such trial or it belongs to the tier "none".
        """
        if not 0 <= trial < len(self.tiers):
            raise RecordingError(
                f"{self.source.path} has no trial {trial}; its trials are 0 to "
                f"{len(self.tiers) - 1}"
            )
        if self.tiers[trial] == "none":
            raise RecordingError(
                f"trial {trial} of {self.source.path} belongs to the tier 'none', which is not "
                "read; choose trials of another tier"
            )

    def numbers(
        self, signal: str, trial: int, *, shape: tuple[int | None, ...], axes: str
    ) -> Array:
        """Read a signal of a trial as it is on disk.

        Raises
        ------
        RecordingError
            As :meth:`Source.read_array`, or if the values are no numbers.
        """
        member = self.member(signal, trial)
        values = self.source.read_array(member, shape=shape, axes=axes)
        if values.dtype.kind in "US":
            raise RecordingError(
                f"{self.source.describe(member)} holds texts, numbers were expected; fetch or "
                "write that file again"
            )
        return values

    def finite(self, signal: str, trial: int, values: Array) -> Float32Array:
        """Return recorded values in single precision.

        Raises
        ------
        RecordingError
            If one is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            single = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(single).all():
            bad = int((~np.isfinite(single)).sum())
            raise RecordingError(
                f"{self.describe(signal, trial)} has {bad:,} values that are not finite; mend the "
                "trial or set its tier to 'none'"
            )
        return single

    def responses(self, trial: int, values: Array) -> Float32Array:
        """Return responses in single precision; zeros where they were withheld as NaN.

        Raises
        ------
        RecordingError
            If some are not finite, or all of a tier that must have responses.
        """
        is_hidden = self.tiers[trial] not in PUBLIC_TIERS and values.dtype.kind == "f"
        if is_hidden and np.isnan(values).all():
            return np.zeros(values.shape, np.float32)
        return self.finite("responses", trial, values)

    def levels(self, trial: int, values: Array) -> Array:
        """Return gray levels as uint8 where the file has these, or else in single precision.

        Raises
        ------
        RecordingError
            If a level is not finite or outside 0-255.
        """
        if values.dtype == np.uint8:
            return np.ascontiguousarray(values)
        single = self.finite("stimulus", trial, values)
        low, high = float(single.min()), float(single.max())
        if low < -OVERSHOOT_LEVELS or high > 255 + OVERSHOOT_LEVELS:
            raise RecordingError(
                f"{self.describe('stimulus', trial)} has levels from {low:.4g} to {high:.4g}, gray "
                "levels of 0 to 255 were expected; write that file again in gray levels"
            )
        return single


def find_files(
    source: Source, *, tiers: tuple[str, ...], neuron_count: int, stimulus_folder: str
) -> TrialFiles:
    """Find which signals a recording has.

    A signal whose folder is missing or empty, or whose values are all zero in
    :data:`PEEKED_TRIALS` trials spread over the recording, was not recorded: Sensorium's mouse
    26872-17-20 has its behavior and gaze set to zero.

    References
    ----------
    sensorium, notebooks/dataset_tutorial/README.md.
    """
    folders = {"stimulus": stimulus_folder, "responses": "data/responses"}
    for signal in ("behavior", "pupil_center"):
        numbers, _ = source.numbered(f"data/{signal}")
        chosen = sorted(number for number in numbers if number < len(tiers))
        step = max(1, len(chosen) // PEEKED_TRIALS)
        members = [f"data/{signal}/{number}.npy" for number in chosen[::step]]
        if members and not all(_is_zero(source, member) for member in members):
            folders[signal] = f"data/{signal}"
    answered = {tiers[n] for n in source.numbered("data/responses")[0] if n < len(tiers)}
    withheld = frozenset(set(tiers) - answered - set(PUBLIC_TIERS))
    return TrialFiles(source, tiers, neuron_count, MappingProxyType(folders), withheld)


def first_shape(files: TrialFiles, signal: str, axes: int) -> tuple[int, ...]:
    """Return the shape of a signal's first file that can be read.

    Raises
    ------
    RecordingError
        If none of the first :data:`PEEKED_TRIALS` can be read or has that number of axes.
    """
    fault: RecordingError | None = None
    for number in sorted(files.source.numbered(files.folders[signal])[0])[:PEEKED_TRIALS]:
        try:
            shape = files.source.read_header(files.member(signal, number)).shape
        except RecordingError as error:
            fault = fault or error
            continue
        if len(shape) == axes and 0 not in shape:
            return shape
        fault = fault or RecordingError(
            f"{files.describe(signal, number)} has shape {shape}, {axes} axes were expected; fetch "
            "or write that file again"
        )
    raise fault or RecordingError(
        f"{files.source.path} has no file {files.folders[signal]}/<trial>.npy; fetch it again"
    )


def _is_zero(source: Source, member: str) -> bool:
    """Whether a file holds zeros only; damaged ones are found when their trial is read."""
    try:
        header = source.read_header(member)
        values = source.read_array(member, shape=header.shape, axes="any")
    except RecordingError:
        return False
    # A value that differs from itself is the NaN of padding.
    return values.dtype.kind in "biuf" and not np.any((values != 0) & (values == values))
