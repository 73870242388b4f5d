"""What twins say of stimuli that are made: in other twins, states and places, and over restarts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insilico.errors import MouseError, NeuronError, ProtocolError, StimulusError
from insilico.synthesis.entries import Entry
from insilico.synthesis.objectives import CLASS_OF_GOAL, Objective
from insilico.synthesis.pattern_checks import (
    as_movie,
    center_share,
    frequency_columns,
    is_still,
    level_columns,
    spectrum_columns,
)
from insilico.synthesis.regions import FloatArray
from insilico.synthesis.scoring import ASKED_PIXELS, Behavior, Scorer, Scoring
from insilico.twin.prepared import check_screen
from insilico.twin.twin import Twin

__all__ = [
    "behavior_sensitivity",
    "center_share",
    "check_twins",
    "diversity",
    "frequency_columns",
    "gaze_sensitivity",
    "is_still",
    "level_columns",
    "responses_to",
    "spectrum_columns",
    "transfer",
]

#: States of the animal that responses are compared in.
STATES: tuple[Behavior, ...] = ("quiet", "running")
#: Distances, in pixels, by which gaze is off; 1 is 3.4 degrees on the monitor of Sensorium.
GAZE_PX = (1, 2)


def responses_to(entries: Sequence[Entry], scorer: Scorer) -> FloatArray:
    """Return what the neurons of each stimulus do when its bytes are shown.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli; a still one is shown on every frame of a movie.
    scorer : Scorer
        Asks a twin about all of their neurons.

    Returns
    -------
    float array, shape (stimulus,)
        The number that the objective is about, without the sign of its goal.

    Raises
    ------
    StimulusError
        If a stimulus has another number of frames than the scorer shows.
    """
    signs = np.array([entry.objective.sign for entry in entries])
    return _signed(entries, scorer, scorer.scores)[0] * signs


def transfer(entries: Sequence[Entry], twins: Mapping[str, Twin], scorer: Scorer) -> pd.DataFrame:
    """Show the same bytes to other twins of the same neurons.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli.
    twins : mapping of str to Twin
        By the names of their columns.
    scorer : Scorer
        The one that they were made with: says which mouse and neurons, how long stimuli are shown
        and how answers become a number.

    Returns
    -------
    DataFrame, one row a stimulus
        ``transfer_<name>``: the response of that twin, in its own units; compare it with its
        responses to other stimuli.

    Raises
    ------
    MouseError
        If a twin lacks the mouse.
    NeuronError
        If it lacks a neuron, or its neurons are others.
    StimulusError
        If it takes images and the stimuli are movies, or the reverse.
    UnitsError
        If it was trained on another screen.
    """
    check_twins(twins, scorer)
    columns = {}
    for name, twin in twins.items():
        other = _asking(twin, scorer, scorer.scoring)
        columns[f"transfer_{name}"] = responses_to(entries, other)
    return pd.DataFrame(columns, index=range(len(entries)))


def check_twins(twins: Mapping[str, Twin], scorer: Scorer) -> None:
    """Refuse twins that cannot be shown the stimuli of a scorer.

    Raises
    ------
    MouseError, NeuronError, StimulusError, UnitsError
        As :func:`transfer`.
    """
    for name, twin in twins.items():
        _check_same_neurons(name, twin, scorer)


def behavior_sensitivity(entries: Sequence[Entry], scorer: Scorer) -> pd.DataFrame:
    """Show stimuli to the animal at rest and while it runs.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli.
    scorer : Scorer
        The one that they were made with.

    Returns
    -------
    DataFrame, one row a stimulus
        ``response_quiet`` and ``response_running``; NaN for a twin that reads no behavior.
    """
    columns = {}
    for state in STATES:
        if scorer.twin.behavior_names:
            asked = _rescored(scorer, behaviors=(state,))
            columns[f"response_{state}"] = responses_to(entries, asked)
        else:
            columns[f"response_{state}"] = np.full(len(entries), np.nan)
    return pd.DataFrame(columns)


def gaze_sensitivity(
    entries: Sequence[Entry], scorer: Scorer, *, distances_px: Sequence[int] = GAZE_PX
) -> pd.DataFrame:
    """Show stimuli displaced to the left, right, up and down, as if the eye had moved.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli.
    scorer : Scorer
        The one that they were made with; its twin need not know of gaze.
    distances_px : sequence of int
        How far, 1 or more; the edge left open is gray.

    Returns
    -------
    DataFrame, one row a stimulus
        ``gaze_robustness_<n>px``: the least of the four responses, divided by that in place. Of
        stimuli to inhibit, the response in place divided by the largest of the four. 1 is
        insensitive, and more can be where a stimulus is not in its best place; NaN where what is
        divided by is not above 0.

    Raises
    ------
    ProtocolError
        If a distance is below 1.
    """
    if any(distance < 1 for distance in distances_px):
        raise ProtocolError(f"distances_px is {list(distances_px)}; give 1 or more pixels each")
    signs = np.array([entry.objective.sign for entry in entries])
    columns = {}
    for distance in distances_px:
        asked = _rescored(scorer, shift_px=int(distance))
        in_place, *displaced = _signed(entries, asked, _by_shift(asked)) * signs
        worst = np.min(np.array(displaced) * signs, axis=0) * signs
        over, under = np.where(signs > 0, (worst, in_place), (in_place, worst))
        is_known = under > 0
        robustness = np.divide(over, under, out=np.full(len(entries), np.nan), where=is_known)
        columns[f"gaze_robustness_{distance}px"] = robustness
    return pd.DataFrame(columns)


def diversity(entries: Sequence[Entry], responses: FloatArray) -> pd.DataFrame:
    """Compare the stimuli that different starts made of one target.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli. Generated ones with the same objective, region, class and motion are restarts
        of one another.
    responses : float array, shape (stimulus,)
        As :func:`responses_to` returns them.

    Returns
    -------
    DataFrame, one row a stimulus, the same in all rows of one target
        ``restart_count``; ``restart_correlation``, the correlation of gray levels inside the region
        and over frames, averaged over pairs; ``restart_response_spread``, the standard deviation of
        responses (ddof 1) divided by the size of their mean. NaN for controls, single starts, and
        where all is uniform.
    """
    groups: dict[Any, list[int]] = {}
    for row, entry in enumerate(entries):
        if entry.stimulus_class in CLASS_OF_GOAL.values():
            groups.setdefault(_target_key(entry), []).append(row)
    columns = {
        name: np.full(len(entries), np.nan)
        for name in ("restart_count", "restart_correlation", "restart_response_spread")
    }
    for rows in groups.values():
        columns["restart_count"][rows] = len(rows)
        if len(rows) > 1:
            columns["restart_correlation"][rows] = _mean_correlation([entries[r] for r in rows])
            mean = abs(responses[rows].mean())
            spread = responses[rows].std(ddof=1) / mean if mean > 0 else np.nan
            columns["restart_response_spread"][rows] = spread
    return pd.DataFrame(columns)


Ask = Callable[[Tensor, Sequence[Objective]], Tensor]


def _signed(entries: Sequence[Entry], scorer: Scorer, ask: Ask) -> FloatArray:
    """Return scores (view, stimulus) of stimuli, asked some at a time without gradients."""
    count = scorer.exposure.frame_count
    if not entries:
        return np.empty((1 + 4 * bool(scorer.scoring.shift_px), 0))
    step = max(1, ASKED_PIXELS // (count * scorer.screen.width_px * scorer.screen.height_px))
    scores = []
    with torch.inference_mode():
        for start in range(0, len(entries), step):
            part = entries[start : start + step]
            shown = np.stack([_shown(entry, count) for entry in part]).astype(np.float32)
            asked = ask(torch.from_numpy(shown), [entry.objective for entry in part])
            scores.append(np.atleast_2d(asked.cpu().numpy()))
    return np.concatenate(scores, axis=1).astype(np.float64)


def _shown(entry: Entry, frame_count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a stimulus (frame, y, x) as it is shown."""
    frames = as_movie(entry)
    if len(frames) not in (1, frame_count):
        raise StimulusError(
            f"a stimulus for {entry.objective.name!r} has {len(frames)} frames and {frame_count} "
            "are shown; give still stimuli, or movies of that length"
        )
    return np.broadcast_to(frames, (frame_count, *frames.shape[1:]))


def _by_shift(scorer: Scorer) -> Ask:
    """Return a function that scores (shift, stimulus) each displacement apart."""
    shifts = len(scorer.scoring.shifts)

    def ask(frames: Tensor, objectives: Sequence[Objective]) -> Tensor:
        responses = scorer.responses(frames)
        return torch.stack(
            [scorer.combine(responses[shift::shifts], objectives) for shift in range(shifts)]
        )

    return ask


def _rescored(scorer: Scorer, **changes: Any) -> Scorer:
    """Return who asks the same twin about the same neurons, in another way."""
    return _asking(scorer.twin, scorer, dataclasses.replace(scorer.scoring, **changes))


def _asking(twin: Twin, scorer: Scorer, scoring: Scoring) -> Scorer:
    neurons: list[int] = scorer.neurons.tolist()
    return Scorer(twin, scorer.mouse, neurons, exposure=scorer.exposure, scoring=scoring)


def _check_same_neurons(name: str, twin: Twin, scorer: Scorer) -> None:
    mouse, neurons = scorer.mouse, scorer.neurons
    if twin.kind != scorer.twin.kind:
        raise StimulusError(
            f"the twin {name!r} takes {twin.kind}s and the stimuli are {scorer.twin.kind}s; test "
            "transfer on twins of the same kind"
        )
    if mouse not in twin.mice:
        raise MouseError(
            f"the twin {name!r} has no mouse {mouse!r} to test transfer on, but "
            f"{', '.join(twin.mice)}; give twins of the same neurons"
        )
    check_screen(scorer.screen, twin.screen(mouse))
    theirs = twin.mouse(mouse).neurons["neuron_id"].to_numpy()
    own = scorer.twin.mouse(mouse).neurons["neuron_id"].to_numpy()
    if neurons.max() >= len(theirs) or (theirs[neurons] != own[neurons]).any():
        raise NeuronError(
            f"neurons of mouse {mouse!r} in the twin {name!r} ({len(theirs)}) are not those that "
            "the stimuli were made for; give twins of the same neurons"
        )


def _target_key(entry: Entry) -> tuple[Any, ...]:
    objective = entry.objective
    weights = tuple(sorted(objective.weights.items()))
    return (
        *(objective.goal, objective.name, weights, objective.function),
        *(entry.region.name, entry.region.weights.tobytes()),
        *(entry.stimulus_class, is_still(entry)),
    )


def _mean_correlation(entries: Sequence[Entry]) -> float:
    """Return the correlation of gray levels inside one region, averaged over pairs."""
    inside = [as_movie(entry)[..., entry.region.mask].astype(np.float64) for entry in entries]
    longest = max(map(len, inside))
    levels = np.stack([np.broadcast_to(one, (longest, one.shape[1])).ravel() for one in inside])
    centered = levels - levels.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centered, axis=1, keepdims=True)
    if (length == 0).any():
        return float("nan")
    unit = centered / length
    return float((unit @ unit.T)[np.triu_indices(len(unit), 1)].mean())
