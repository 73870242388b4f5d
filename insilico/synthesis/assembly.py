"""From single stimuli to a set: bytes, and the responses that are predicted to these bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from insilico.stimuli.stimuli import Kind
from insilico.synthesis.entries import Entry
from insilico.synthesis.identity import stimulus_id
from insilico.synthesis.levels import measure_levels
from insilico.synthesis.objectives import Objective
from insilico.synthesis.scoring import ASKED_PIXELS, Exposure, Scorer
from insilico.synthesis.stimulus_set import StimulusSet, no_curves

FloatArray = np.ndarray[Any, np.dtype[np.float32]]

#: Makes a scorer for some neurons.
MakeScorer = Callable[[Sequence[int]], Scorer]
#: Further columns (one row an entry) of entries whose neurons the scorer knows, and of what these
#: answer to their bytes.
Checks = Callable[[Sequence[Entry], Scorer, FloatArray], pd.DataFrame]
#: Targets whose stimuli are asked about together: images cost the same for many neurons.
TARGETS_ASKED = {"image": 100, "movie": 1}


def assemble(
    entries: Sequence[Entry],
    make_scorer: MakeScorer,
    *,
    protocol: Mapping[str, Any],
    provenance: Mapping[str, Any],
    checks: Checks | None = None,
) -> StimulusSet:
    """Ask a twin about finished stimuli, and put them into a set.

    Parameters
    ----------
    entries : sequence of Entry
        At least one.
    make_scorer : callable
        Makes a scorer for the neurons of some objectives.
    protocol, provenance : mapping
        Kept with the set.
    checks : callable, optional
        Gives further columns of some entries, one row each.

    Returns
    -------
    StimulusSet
        Its table has a row an entry: where it is, of which class, the ``response`` to its bytes
        (with ``over_frames`` and ``over_views`` of the protocol; the sign of the goal left out),
        ``blank_response`` to uniform gray, levels and ``saturated_fraction`` inside its region, its
        status, and the entry's own details.
    """
    groups = _groups(entries, make_scorer)
    rows: list[dict[str, Any]] = [{} for _ in entries]
    traces: list[FloatArray] = [np.empty(0, np.float32) for _ in entries]
    shown: list[np.ndarray[Any, np.dtype[np.uint8]]] = [entry.frames for entry in entries]
    for scorer, places in groups:
        objectives = [entries[place].objective for place in places]
        frames = [_with_frames(entries[place].frames) for place in places]
        responses, answers = ask(scorer, frames, objectives)
        blank = np.full((1, *scorer.screen.shape), scorer.screen.gray, np.uint8)
        unique = {objective.name: objective for objective in objectives}
        blanks, _ = ask(scorer, [blank] * len(unique), list(unique.values()))
        blank_of = dict(zip(unique, blanks, strict=True))
        further: list[dict[Any, Any]] = [{} for _ in places]
        if checks is not None:
            asked = [entries[place] for place in places]
            further = checks(asked, scorer, responses).to_dict("records")
        for index, place in enumerate(places):
            entry = entries[place]
            shown[place] = present(entry.frames, scorer.twin.kind, scorer.exposure)
            traces[place] = answers[index]
            rows[place] = _row(entry, scorer, shown[place], float(responses[index])) | {
                "blank_response": float(blank_of[entry.objective.name]),
                **further[index],
            }
    scorer = groups[0][0]
    table = pd.DataFrame(rows)
    return StimulusSet(
        np.stack(shown),
        table,
        np.stack(traces),
        np.stack([entry.region.weights for entry in entries]).astype(np.float32),
        curves=_curves(entries, table),
        screen=scorer.screen,
        kind=scorer.twin.kind,
        frame_rate_hz=scorer.screen.frame_rate_hz,
        lead_frames=scorer.exposure.lead_frames,
        protocol=protocol,
        provenance=provenance,
    )


def ask(
    scorer: Scorer,
    frames: Sequence[np.ndarray[Any, Any]],
    objectives: Sequence[Objective],
) -> tuple[FloatArray, FloatArray]:
    """Return responses (stimulus,) and traces (stimulus, frame) to finished stimuli.

    Parameters
    ----------
    scorer : Scorer
        Knows all neurons of the objectives.
    frames : sequence of arrays, shape (frame or 1, y, x)
        Gray levels.
    objectives : sequence of Objective
        One a stimulus.
    """
    pixels = scorer.exposure.frame_count * frames[0][0].size
    step = max(1, ASKED_PIXELS // pixels)
    responses, traces = [], []
    with torch.inference_mode():
        for start in range(0, len(frames), step):
            part = list(objectives[start : start + step])
            # Stills are shown as such: a twin computes them once.
            for same in _same_length(frames[start : start + step]):
                shown = torch.from_numpy(
                    np.stack([frames[start + index] for index in same]).astype(np.float32)
                )
                asked = [part[index] for index in same]
                signs = np.array([objective.sign for objective in asked])
                score = scorer.scores(shown, asked).cpu().numpy() * signs
                responses += list(zip([start + index for index in same], score, strict=True))
                trace = scorer.traces(shown, asked).cpu().numpy()
                traces += list(zip([start + index for index in same], trace, strict=True))
    in_order = [value for _, value in sorted(responses, key=lambda pair: pair[0])]
    traces_in_order = [trace for _, trace in sorted(traces, key=lambda pair: pair[0])]
    # A sign that is taken back leaves a negative zero.
    return np.array(in_order, np.float32) + 0, np.stack(traces_in_order).astype(np.float32)


def present(
    frames: np.ndarray[Any, np.dtype[np.uint8]], kind: Kind, exposure: Exposure
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a stimulus as a set keeps it: an image, or all frames of a movie."""
    if kind == "image":
        return frames if frames.ndim == 2 else frames[0]
    whole = _with_frames(frames)
    return np.array(np.broadcast_to(whole, (exposure.frame_count, *whole.shape[1:])))


def grouped(objectives: Sequence[Objective], size: int) -> list[list[int]]:
    """Return rows of objectives in groups of some targets each, in order."""
    names = list(dict.fromkeys(objective.name for objective in objectives))
    group_of = {name: index // size for index, name in enumerate(names)}
    groups: list[list[int]] = [[] for _ in range(math.ceil(len(names) / size))]
    for row, objective in enumerate(objectives):
        groups[group_of[objective.name]].append(row)
    return groups


def neurons_of(objectives: Sequence[Objective]) -> list[int]:
    """Return all neurons of some objectives, each once."""
    return sorted({index for objective in objectives for index in objective.weights})


def _groups(entries: Sequence[Entry], make_scorer: MakeScorer) -> list[tuple[Scorer, list[int]]]:
    objectives = [entry.objective for entry in entries]
    kind = make_scorer(neurons_of(objectives[:1])).twin.kind
    return [
        (make_scorer(neurons_of([objectives[place] for place in places])), places)
        for places in grouped(objectives, TARGETS_ASKED[kind])
    ]


def _row(
    entry: Entry, scorer: Scorer, shown: np.ndarray[Any, Any], response: float
) -> dict[str, Any]:
    luminance_level, rms_level = measure_levels(shown, entry.region)
    inside = shown[..., entry.region.mask]
    region = entry.region
    return {
        **entry.details,
        "stimulus_id": stimulus_id(shown),
        "mouse": scorer.mouse,
        "neuron": entry.objective.neuron,
        "target": entry.objective.name,
        "motion": "moving" if _is_moving(shown) else "still",
        "stimulus_class": entry.stimulus_class,
        "region": region.name,
        "x_px": region.center_px[0],
        "y_px": region.center_px[1],
        "diameter_deg": region.inner_diameter_deg or region.outer_diameter_deg,
        "outer_diameter_deg": region.outer_diameter_deg,
        "status": entry.status,
        "response": response,
        "luminance_level": luminance_level,
        "rms_level": rms_level,
        "saturated_fraction": float(np.isin(inside, (0, 255)).mean()),
    }


def _is_moving(shown: np.ndarray[Any, Any]) -> bool:
    return shown.ndim == 3 and bool((shown[1:] != shown[:1]).any())


def _curves(entries: Sequence[Entry], table: pd.DataFrame) -> pd.DataFrame:
    tables = [
        pd.DataFrame(
            {
                "stimulus_id": identity,
                "step": np.arange(len(entry.curve)),
                "score": entry.curve.astype(np.float64),
            }
        )
        for entry, identity in zip(entries, table["stimulus_id"], strict=True)
        if len(entry.curve)
    ]
    return pd.concat(tables, ignore_index=True) if tables else no_curves()


def _with_frames(frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return frames if frames.ndim == 3 else frames[None]


def _same_length(frames: Sequence[np.ndarray[Any, Any]]) -> list[list[int]]:
    """Return places of stimuli with the same number of frames."""
    lengths = [len(each) for each in frames]
    return [
        [place for place, length in enumerate(lengths) if length == wanted]
        for wanted in dict.fromkeys(lengths)
    ]
