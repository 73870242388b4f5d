"""What a twin is shown: trials of a recording in the animal's own state, or own stimuli."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import RecordingError, ShapeError
from insilico.recordings.recording import TIERS, Recording, Trial
from insilico.stimuli.stimuli import Stimuli
from insilico.twin.prepared import check_screen, check_values
from insilico.twin.selection import parse_indices
from insilico.twin.twin import Twin
from insilico.twin.units import InputUnits

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: A state: a preset, one for all trials of shape (variable,), or one a trial.
State = str | FloatArray | None


@dataclasses.dataclass(frozen=True, eq=False)
class ShownTrials:
    """Trials for one mouse, read when they are needed.

    Parameters
    ----------
    mouse : str
        Whose.
    labels : DataFrame, one row a trial
        ``mouse``, ``trial``, and of a recording ``tier``, ``stimulus_type``, ``stimulus_index``.
    read : callable
        ``read(position)`` returns the trial of a row of ``labels``. What it holds of behavior and
        gaze is reported, and shown to the twin unless there is one state for all.
    behavior_names : tuple of str
        Variables of the trials' behavior, in order.
    behavior, pupil_center : str, float array of shape (variable,) or None
        One state for all trials; None is each trial's own.
    input_units : {"gray", "standardized"} or None
        Of stimulus, behavior and gaze; see :meth:`insilico.Twin.respond`.
    is_gray : bool
        Whether the stimulus is known to be in gray levels.
    source : mapping
        What is shown, for the record.
    """

    mouse: str
    labels: pd.DataFrame
    read: Callable[[int], Trial]
    behavior_names: tuple[str, ...] = ()
    behavior: State = None
    pupil_center: State = None
    input_units: InputUnits | None = None
    is_gray: bool = False
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.labels)


def recorded_trials(
    twin: Twin,
    recording: Recording,
    *,
    tiers: Sequence[str] = ("validation",),
    trials: str | None = None,
    behavior: State = None,
    pupil_center: State = None,
) -> ShownTrials:
    """Return trials of a recording, to be shown to its mouse's twin.

    Parameters
    ----------
    twin : Twin
        Asked with the statistics of the recording's mouse.
    recording : Recording
        Of one of its mice. Trials are read one by one, and need no responses.
    tiers : sequence of str
        Which.
    trials : str, optional
        Some of the trials of the tiers, counted from 0 in their order, such as "0:20" or "3,5,8".
    behavior, pupil_center : str or float array (variable,), optional
        One state in place of what was recorded; see :meth:`insilico.Twin.respond`. A mean gaze is
        a control: what still follows the recorded gaze then does so through something else.

    Returns
    -------
    ShownTrials

    Raises
    ------
    MouseError
        If the twin has no such mouse.
    RecordingError
        If the twin is of another kind, frame size, frame rate or number of neurons, reads what was
        not recorded, or there is no such tier or trial.
    ShapeError
        If a state is given for each trial.
    """
    _check_match(twin, recording)
    if behavior is None:
        _check_recorded(twin, recording)
    if pupil_center is None and twin.uses_pupil and not recording.has_pupil:
        raise RecordingError(
            f"{twin.name} follows the gaze, and {recording.source} has no pupil center; show it "
            "with the mean gaze: --pupil mean"
        )
    for what, state in (("behavior", behavior), ("pupil_center", pupil_center)):
        if isinstance(state, np.ndarray) and state.ndim != 1:
            raise ShapeError(
                f"{what} has shape {state.shape}; trials of a recording are shown with their own "
                "state or with one for all, so give one value a variable"
            )
    table = recording.trials.iloc[_choose(recording, tiers, trials)]
    labels = table[["trial", "tier", "stimulus_type", "stimulus_index"]].reset_index(drop=True)
    labels.insert(0, "mouse", recording.mouse)
    numbers = labels["trial"].to_numpy(np.int64)
    return ShownTrials(
        mouse=recording.mouse,
        labels=labels,
        read=lambda position: recording.read(int(numbers[position])),
        behavior_names=recording.behavior_names,
        behavior=behavior,
        pupil_center=pupil_center,
        input_units="gray",
        is_gray=True,
        source={"type": "recording", "recording": str(recording.source), "tiers": list(tiers)},
    )


def given_trials(
    twin: Twin,
    stimuli: Stimuli | np.ndarray[Any, Any],
    *,
    mouse: str | None = None,
    behavior: State = None,
    pupil_center: State = None,
    input_units: InputUnits | None = None,
) -> ShownTrials:
    """Return stimuli of one's own as trials.

    Parameters
    ----------
    twin : Twin
        Whose input they fit.
    stimuli : Stimuli or array, shape (trial[, channel][, frame], y, x)
        As for :meth:`insilico.Twin.respond`.
    mouse : str, optional
        May be left out where there is one.
    behavior, pupil_center : str or float array, optional
        A preset, one state, or one a trial (trial, variable[, frame]); the mean when left out.
    input_units : {"gray", "standardized"}, optional
        Of all of them.

    Returns
    -------
    ShownTrials

    Raises
    ------
    MouseError, ShapeError, StimulusError, UnitsError
        If an argument does not fit the twin.
    """
    known, count = twin.mouse(mouse), len(stimuli)
    if isinstance(stimuli, Stimuli):
        check_screen(stimuli.screen, known.screen)
        stimulus_id, is_gray = stimuli.stimulus_id, True
    else:
        check_values(stimuli)
        stimulus_id = hashlib.sha256(np.ascontiguousarray(stimuli).tobytes()).hexdigest()
        is_gray = stimuli.dtype == np.uint8
    behavior_traces = _traces(behavior, (count, len(twin.behavior_names)), "behavior")
    pupil_traces = _traces(pupil_center, (count, 2), "pupil_center")

    def read(position: int) -> Trial:
        if isinstance(stimuli, Stimuli):
            stimulus = stimuli.render(range(position, position + 1))[0]
        else:
            stimulus = stimuli[position]
        return Trial(
            stimulus,
            np.zeros(0, np.float32),
            None if behavior_traces is None else behavior_traces[position],
            None if pupil_traces is None else pupil_traces[position],
        )

    return ShownTrials(
        mouse=known.name,
        labels=pd.DataFrame({"mouse": known.name, "trial": np.arange(count)}),
        read=read,
        behavior_names=twin.behavior_names,
        behavior=None if behavior_traces is not None else _or_mean(behavior),
        pupil_center=None if pupil_traces is not None else _or_mean(pupil_center),
        input_units=input_units,
        is_gray=is_gray,
        source={"type": "stimuli", "stimulus_id": stimulus_id},
    )


def _or_mean(state: State) -> State:
    return "mean" if state is None else state


def _traces(state: State, expected: tuple[int, int], what: str) -> FloatArray | None:
    """Return a state that was given trial by trial, and None for one that is the same in all."""
    if not isinstance(state, np.ndarray) or state.ndim < 2:
        return None
    if state.shape[:2] != expected:
        raise ShapeError(
            f"{what} has shape {state.shape}, and {expected[0]} trials are shown to a model that "
            f"reads {expected[1]} of its variables; give (trial, variable[, frame]), or one state "
            "for all"
        )
    return state


def _check_match(twin: Twin, recording: Recording) -> None:
    """Refuse a recording that is not of the twin's mouse of that name."""
    mouse, source = twin.mouse(recording.mouse), recording.source
    if recording.kind != twin.kind:
        raise RecordingError(
            f"{source} holds {recording.kind}s and {twin.name} is shown {twin.kind}s; choose a "
            f"model of {recording.kind}s"
        )
    given = (len(recording.neurons), *recording.screen.shape)
    expected = (len(mouse.neurons), *mouse.screen.shape)
    rates = recording.screen.frame_rate_hz, mouse.screen.frame_rate_hz
    if given != expected or (twin.kind == "movie" and not np.isclose(*rates)):
        raise RecordingError(
            f"{source} has {given[0]:,} neurons and frames of {given[1]} x {given[2]} px at "
            f"{rates[0]:g} Hz, and mouse {mouse.name} of {twin.name} {expected[0]:,} and "
            f"{expected[1]} x {expected[2]} px at {rates[1]:g} Hz; use the recording it was "
            "trained on"
        )


def _check_recorded(twin: Twin, recording: Recording) -> None:
    missing = [name for name in twin.behavior_names if name not in recording.behavior_names]
    if missing:
        raise RecordingError(
            f"{twin.name} reads {', '.join(missing)}, and {recording.source} has "
            f"{', '.join(recording.behavior_names) or 'no behavior'}; show it with the mean "
            "behavior: --behavior mean"
        )


def _choose(recording: Recording, tiers: Sequence[str], trials: str | None) -> IntArray:
    """Return the rows of the trials table that are asked for."""
    tier = recording.trials["tier"]
    there = [name for name in TIERS if name != "none" and (tier == name).any()]
    for name in tiers:
        if name not in there:
            raise RecordingError(
                f"{recording.source} has no trials of the tier {name!r}; its tiers are "
                f"{', '.join(there)}"
            )
    positions = np.flatnonzero(tier.isin(tiers)).astype(np.int64)
    if trials is None:
        return positions
    asked = parse_indices(trials, len(positions), what="trial", error=RecordingError)
    if not len(asked) or asked.min() < 0 or asked.max() >= len(positions):
        raise RecordingError(
            f"the trials {trials} were asked for, and the tiers {', '.join(tiers)} of "
            f"{recording.source} have trials 0 to {len(positions) - 1}; name some of these"
        )
    return positions[np.unique(asked)]
