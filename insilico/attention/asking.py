"""Asking a twin's networks for their attention, trial by trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from insilico.attention.shown import ShownTrials, State
from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.architectures.core_readout import CoreReadoutNetwork
from insilico.models.attention_maps import AttentionMaps, Attentive, PatchPlaces
from insilico.models.mouse import Mouse
from insilico.recordings.recording import Trial
from insilico.screen import Screen
from insilico.twin.prepared import PreparedTwin
from insilico.twin.twin import Twin
from insilico.twin.units import stimulus_units

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Images that are asked about together.
IMAGES_AT_ONCE = 16
#: Gray levels of a standardized stimulus whose statistics are not known, for pictures: its mean,
#: and levels to a standard deviation, so that three of them reach black and white.
PICTURE_MEAN, PICTURE_STD = 127.0, 42.0


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """One trial, and where the twin looked.

    Parameters
    ----------
    labels : dict
        What names the trial.
    share : float array, shape ([time,] row, column)
        Share of each patch, the mean over the members of an ensemble.
    places : PatchPlaces
        Where the patches lie.
    moved_px : float array, shape (2,)
        How far (y, x) they lie from there in this trial.
    frame : int array, shape (time,), or None
        The frame of the movie that each time belongs to; None for images.
    temporal, temporal_uniform : float array, shape (time,), or None
        Share of each time; and were all attended alike.
    picture : uint8 array, shape ([frame,] y, x)
        The stimulus in gray levels, the mean over channels.
    traces : dict of str to float array, shape () or (frame,)
        ``pupil_x``, ``pupil_y`` and behavior, where known.
    screen : Screen
        Where it was shown.
    """

    labels: dict[str, Any]
    share: FloatArray
    places: PatchPlaces
    moved_px: FloatArray
    frame: IntArray | None
    temporal: FloatArray | None
    temporal_uniform: FloatArray | None
    picture: np.ndarray[Any, np.dtype[np.uint8]]
    traces: dict[str, FloatArray]
    screen: Screen


def demand_attention(twin: Twin) -> None:
    """Refuse a twin without attention.

    Raises
    ------
    CheckpointError
        If a network of it has none; the message names the architectures that do.
    """
    for network in twin.networks:
        if isinstance(network, CoreReadoutNetwork) and isinstance(network.core, Attentive):
            continue
        name = twin.provenance.get("architecture") or type(network).__name__
        raise CheckpointError(
            f"{twin.name} is of the architecture {name}, which has no attention to map; those that "
            f"have are {', '.join(attentive_architectures())}"
        )


def attentive_architectures() -> list[str]:
    """Return the names of all architectures with attention."""
    names = []
    for name, architecture in registry.architectures().items():
        options, neuron_counts = next(iter(architecture.examples().values()))
        with torch.random.fork_rng(devices=[]):
            network = registry.build(name, options, neuron_counts)
        if isinstance(getattr(network, "core", None), Attentive):
            names.append(name)
    return sorted(names)


def ask(twin: Twin, shown: ShownTrials) -> Iterator[Asked]:
    """Show trials to a twin that has attention, one after the other.

    Yields
    ------
    Asked
        One a trial, in order.

    Raises
    ------
    CheckpointError
        If members of an ensemble cut other patches.
    MouseError, ShapeError, StimulusError, UnitsError
        If a trial does not fit the twin.
    """
    size = IMAGES_AT_ONCE if twin.kind == "image" else 1
    for first in range(0, len(shown), size):
        positions = range(first, min(first + size, len(shown)))
        trials = [shown.read(position) for position in positions]
        prepared = twin.prepare(
            shown.mouse,
            neurons=[0],
            behavior=_state(shown.behavior, _behaviors(twin, shown, trials)),  # type: ignore[arg-type]
            pupil_center=_state(shown.pupil_center, _gazes(twin, trials)),  # type: ignore[arg-type]
            input_units=shown.input_units,
            is_gray=shown.is_gray,
            plan="plain",
        )
        stimulus = torch.from_numpy(np.stack([np.array(trial.stimulus) for trial in trials]))
        maps, pictures = _look(prepared, stimulus)
        for index, (position, trial) in enumerate(zip(positions, trials, strict=True)):
            yield Asked(
                labels={str(name): column.iloc[position] for name, column in shown.labels.items()},
                picture=pictures[index],
                traces=_traces(shown, trial),
                screen=prepared.mouse.screen,
                **_of_trial(maps, index),
            )


def state_units(twin: Twin, parts: Sequence[ShownTrials]) -> str:
    """Return the units of the gaze and behavior that trials carry.

    Returns
    -------
    str
        "recorded" or "standardized"; both, joined, where mice differ.
    """
    names = {
        part.input_units or stimulus_units(None, twin.mouse(part.mouse), is_gray=part.is_gray).name
        for part in parts
    }
    words = {"gray": "recorded", "standardized": "standardized"}
    return " or ".join(sorted(words[name] for name in names))


def _look(prepared: PreparedTwin, stimulus: torch.Tensor) -> tuple[list[AttentionMaps], Any]:
    """Return the maps of every member, and pictures of the stimulus."""
    with torch.inference_mode():
        seen, behavior, pupil_center = prepared.standardize(stimulus)
        size = prepared.mouse.screen.shape
        if seen.shape[-2:] != size:
            # A network that also takes larger images makes them smaller like this.
            seen = F.interpolate(seen, size, mode="bilinear", align_corners=False)
        maps = [
            network.attention_maps(
                seen,
                mouse=prepared.mouse.name,
                behavior=behavior,
                pupil_center=pupil_center,
            )
            for network in prepared.networks
            if isinstance(network, CoreReadoutNetwork)
        ]
        if any(one.places != maps[0].places for one in maps):
            raise CheckpointError(
                "members of the ensemble cut the stimulus into different patches, whose attention "
                "has no mean; ask for the maps of each alone"
            )
        return maps, _pictures(seen, prepared.mouse)


def _pictures(seen: torch.Tensor, mouse: Mouse) -> np.ndarray[Any, np.dtype[np.uint8]]:
    statistics = mouse.statistics
    mean, std = PICTURE_MEAN, PICTURE_STD
    if statistics.stimulus_mean is not None and statistics.stimulus_std is not None:
        mean, std = statistics.stimulus_mean, statistics.stimulus_std
    levels = (seen.mean(dim=1) * std + mean).round().clamp(0, 255)
    return levels.to(torch.uint8).cpu().numpy()


def _of_trial(maps: list[AttentionMaps], index: int) -> dict[str, Any]:
    """Return the mean over members of one trial's maps, as fields of :class:`Asked`."""

    def mean_of(name: str, *, by_trial: bool = True) -> FloatArray | None:
        values = [getattr(one, name) for one in maps]
        if values[0] is None:
            return None
        chosen = [value[index] if by_trial else value for value in values]
        return torch.stack(chosen).mean(dim=0).cpu().double().numpy()

    moved_px = mean_of("moved_px")
    return {
        "share": mean_of("spatial"),
        "places": maps[0].places,
        "moved_px": np.zeros(2) if moved_px is None else moved_px,
        "frame": maps[0].last_frame,
        "temporal": mean_of("temporal"),
        "temporal_uniform": mean_of("temporal_uniform", by_trial=False),
    }


def _behaviors(twin: Twin, shown: ShownTrials, trials: list[Trial]) -> FloatArray | None:
    """Return the trials' own behavior, as far as the twin reads it."""
    is_known = set(twin.behavior_names) <= set(shown.behavior_names)
    if not (twin.behavior_names and is_known) or any(trial.behavior is None for trial in trials):
        return None
    columns = [shown.behavior_names.index(name) for name in twin.behavior_names]
    return np.stack([trial.behavior[columns] for trial in trials if trial.behavior is not None])


def _gazes(twin: Twin, trials: list[Trial]) -> FloatArray | None:
    if not twin.uses_pupil or any(trial.pupil_center is None for trial in trials):
        return None
    return np.stack([trial.pupil_center for trial in trials if trial.pupil_center is not None])


def _state(fixed: State, own: FloatArray | None) -> State:
    return own if fixed is None else fixed


def _traces(shown: ShownTrials, trial: Trial) -> dict[str, FloatArray]:
    """Return gaze and behavior of a trial by the names of the table's columns."""
    traces: dict[str, FloatArray] = {}
    if trial.pupil_center is not None:
        traces |= dict(zip(("pupil_x", "pupil_y"), trial.pupil_center, strict=True))
    if trial.behavior is not None:
        traces |= dict(zip(shown.behavior_names, trial.behavior, strict=True))
    return {name: np.asarray(values, float) for name, values in traces.items()}
