"""What recordings hold and what is wrong with them, all of it and with every file named."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import RecordingError
from insilico.progress import progress_bar
from insilico.recordings.decoding import trial_rows
from insilico.recordings.faults import FaultList
from insilico.recordings.measuring import Measurement
from insilico.recordings.opening import find_recordings, open_recording, quick_mouse
from insilico.recordings.recording import TIERS, Recording
from insilico.recordings.repeats import StimulusMatcher
from insilico.recordings.trials import PUBLIC_TIERS, TrialFiles
from insilico.recordings.writing import is_whole

Array = np.ndarray[Any, Any]

#: Responses of one repeated tier that are kept to measure reliability; where a tier has more, it is
#: measured on evenly spaced neurons.
KEPT_BYTES = 64 * 2**20

#: Responses whose reliability is measured together; in double precision and with their means they
#: take some ten times as much memory.
BLOCK_BYTES = 4 * 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class RecordingCheck:
    """What one recording holds and what is wrong with it.

    Parameters
    ----------
    path : Path
        The folder or zip file.
    mouse : str
        Its mouse.
    recording : Recording or None
        None where it cannot be opened.
    tiers : DataFrame, one row a tier
        ``tier``, ``trials``, ``least_frames``, ``most_frames``, ``stimulus_types``, ``stimuli``
        (number of repeated ones), ``least_repeats``, ``most_repeats``, ``reliability`` (mean over
        neurons of the oracle correlation, NaN where nothing is repeated) and
        ``reliability_neurons`` (how many it was measured on).
    faults : list of str
        What is wrong, a sentence each: the recording cannot be used like this.
    warnings : list of str
        What a user should know.
    """

    path: Path
    mouse: str
    recording: Recording | None
    tiers: pd.DataFrame
    faults: list[str]
    warnings: list[str]


def check_recordings(path: Path, *, progress: bool = False) -> list[RecordingCheck]:
    """Read every trial of one recording, or of all in a folder, and note all that is wrong.

    Nothing is written, and memory does not grow with the recordings.

    Parameters
    ----------
    path : Path
        A recording or a folder of recordings.
    progress : bool
        Show a bar.

    Returns
    -------
    list of RecordingCheck
        Sorted by mouse.

    Raises
    ------
    RecordingError
        If there is no recording at the path.
    """
    checks = [check_recording(place, progress=progress) for place in find_recordings(path)]
    checks.sort(key=lambda check: check.mouse)
    for first, second in itertools.pairwise(checks):
        if first.mouse == second.mouse:
            second.faults.append(
                f"{first.path} and {second.path} are both of mouse {first.mouse}; rename the "
                "folder of one"
            )
    if checks:
        checks[0].warnings.extend(_compare(checks))
    return checks


def check_recording(path: Path, *, progress: bool = False) -> RecordingCheck:
    """Read every trial of one recording and note all that is wrong.

    Parameters
    ----------
    path : Path
        Its folder or zip file.
    progress : bool
        Show a bar.
    """
    noted = FaultList()
    recording: Recording | None = None
    with noted.noting():
        recording = open_recording(path)
    if recording is None:
        return RecordingCheck(path, quick_mouse(path), None, pd.DataFrame(), noted.faults, [])
    noted.faults.extend(_foreign_files(recording))
    survey = _Survey(recording)
    total = len(recording.trials)
    with progress_bar(f"checking {recording.mouse}", total, shown=progress) as advance:
        for position in range(total):
            with noted.noting():
                survey.read(position)
            advance(1)
    if not noted.faults:
        # With trials missing, constant signals would be a consequence and no fault of their own.
        with noted.noting():
            survey.measurement.statistics()
    return RecordingCheck(
        path, recording.mouse, recording, survey.table(), noted.faults, survey.warnings()
    )


class _Survey:
    """Takes in the trials of a recording one by one and keeps what the table needs."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.measurement = Measurement(recording)
        self._trials = recording.trials
        self._index = recording.trials["stimulus_index"].to_numpy(np.int64).copy()
        self._frames = np.zeros(len(self._trials), np.int64)
        self._answered = np.zeros(len(self._trials), bool)
        self._tiers = recording.trials["tier"].tolist()
        self._matcher = StimulusMatcher(first=int(self._index.max(initial=-1)) + 1)
        self._kept: dict[str, list[tuple[int, Array]]] = {}
        self._step: dict[str, int] = {}

    def read(self, position: int) -> None:
        """Read a trial; the tier "none" has nothing to read."""
        tier = self._tiers[position]
        if tier == "none":
            return
        number = int(self._trials["trial"].to_numpy()[position])
        rows = trial_rows(self.recording, self.recording.read(number))
        self._frames[position] = len(rows["stimulus"])
        self._answered[position] = rows["responses"].any()
        self.measurement.add(rows, tier=tier, has_responses=bool(self._answered[position]))
        if self._index[position] < 0 and tier != "train":
            levels = rows["stimulus"]
            self._index[position] = self._matcher.index_of(
                levels.astype(np.uint8) if is_whole(levels) else levels
            )
        if self._answered[position] and tier != "train":
            self._keep(position, tier, rows["responses"])

    def _keep(self, position: int, tier: str, responses: Array) -> None:
        """Keep the responses of as many neurons as :data:`KEPT_BYTES` allow."""
        if tier not in self._step:
            expected_bytes = responses.nbytes * self._tiers.count(tier)
            self._step[tier] = -(-expected_bytes // KEPT_BYTES)
        kept = np.array(responses[:, :: self._step[tier]])
        self._kept.setdefault(tier, []).append((position, kept))

    def table(self) -> pd.DataFrame:
        """Return a row for each tier that occurs."""
        occurring = [tier for tier in TIERS if tier in self._tiers]
        return pd.DataFrame([self._tier_row(tier) for tier in occurring])

    def _tier_row(self, tier: str) -> dict[str, Any]:
        chosen = (self._trials["tier"] == tier).to_numpy()
        read = self._frames[chosen & (self._frames > 0)]
        types = self._trials.loc[chosen, "stimulus_type"]
        index = self._index[chosen]
        _, shown = np.unique(index[index >= 0], return_counts=True)
        repeats = shown[shown > 1]
        reliability, neurons = self._reliability(tier)
        return {
            "tier": tier,
            "trials": int(chosen.sum()),
            "least_frames": int(read.min(initial=2**62)) if len(read) else 0,
            "most_frames": int(read.max(initial=0)),
            "stimulus_types": ", ".join(dict.fromkeys(types)),
            "stimuli": len(repeats),
            "least_repeats": int(repeats.min()) if len(repeats) else 0,
            "most_repeats": int(repeats.max(initial=0)),
            "reliability": reliability,
            "reliability_neurons": neurons,
        }

    def _reliability(self, tier: str) -> tuple[float, int]:
        """Return the mean oracle correlation of a tier and the number of neurons behind it."""
        from insilico.statistics.reliability import oracle_correlation

        kept = self._kept.get(tier, [])
        if not kept:
            return float("nan"), 0
        index = self._index[[position for position, _ in kept]]
        neurons = kept[0][1].shape[1]
        total_bytes = sum(responses.nbytes for _, responses in kept)
        width = max(1, neurons * BLOCK_BYTES // total_bytes)
        oracle = np.concatenate(
            [
                oracle_correlation([values[:, start : start + width] for _, values in kept], index)
                for start in range(0, neurons, width)
            ]
        )
        known = oracle[np.isfinite(oracle)]
        return (float(known.mean()) if len(known) else float("nan")), len(known)

    def warnings(self) -> list[str]:
        """Return what a user should know of a recording that can be read."""
        where, found = f"mouse {self.recording.mouse}", []
        if still := self.measurement.constant_neurons.tolist():
            found.append(
                f"{where}: {len(still)} neurons never vary during training (neuron {still[0]}"
                f"{', …' if still[1:] else ''}); their metrics will be NaN"
            )
        for tier in PUBLIC_TIERS:
            chosen = np.array([name == tier for name in self._tiers])
            if not chosen.any():
                found.append(f"{where} has no tier '{tier}'; training needs it")
            silent = np.flatnonzero(chosen & (self._frames > 0) & ~self._answered)
            if len(silent):
                found.append(
                    f"{where}: {len(silent)} trials of the tier '{tier}' have only zero responses "
                    f"(trial {silent[0]}{', …' if silent[1:].size else ''}); they are left out"
                )
        return found


def _foreign_files(recording: Recording) -> list[str]:
    """Name the files beside those of the trials."""
    files = getattr(recording.read, "files", None)
    if not isinstance(files, TrialFiles):
        return []
    return [
        f"{files.source.describe(member)} belongs to no trial of the {len(files.tiers)} in "
        "meta/trials/tiers.npy; remove it or fetch the tables again"
        for member in files.foreign()
    ]


def _compare(checks: Sequence[RecordingCheck]) -> list[str]:
    """Name what differs between mice that one network would have to share."""
    opened = [check.recording for check in checks if check.recording is not None]
    found = []
    for what, values in (
        ("kinds of stimuli", [recording.kind for recording in opened]),
        ("frame sizes", ["{} x {} px".format(*recording.screen.shape) for recording in opened]),
        ("color channels", [", ".join(recording.channel_names) for recording in opened]),
        ("frame rates", [f"{rate:g} Hz" for recording in opened
                         for rate in [recording.rate_hz.get("stimulus")] if rate is not None]),
        ("behavioral variables", [", ".join(recording.behavior_names) or "none"
                                  for recording in opened]),
    ):  # fmt: skip
        if len(distinct := list(dict.fromkeys(values))) > 1:
            found.append(
                f"the mice have different {what} ({'; '.join(distinct)}); train them apart"
            )
    # Images and movies differ in all the rest, too.
    return found[:1] if len({recording.kind for recording in opened}) > 1 else found


def sum_up(checks: Sequence[RecordingCheck]) -> RecordingError | None:
    """Return the error that closes a check in which anything is wrong, or None."""
    faulty = [check for check in checks if check.faults]
    if not faulty:
        return None
    count = sum(len(check.faults) for check in faulty)
    return RecordingError(
        f"{count} fault{'s were' if count > 1 else ' was'} found in {len(faulty)} of {len(checks)} "
        f"recording{'s' if len(checks) > 1 else ''}; mend or fetch again the files named above"
    )
