"""Batches of one mouse in standardized units, and the order in which training sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from insilico.errors import RecordingError
from insilico.models.mouse import Mouse, Statistics

if TYPE_CHECKING:
    from insilico.recordings.cache import CachedRecording

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Some trials of one mouse, in standardized units.

    Parameters
    ----------
    stimulus : float tensor, shape (trial, channel[, frame], y, x)
    responses : float tensor, shape (trial, neuron[, frame])
    behavior : float tensor, shape (trial, variable[, frame]), optional
    pupil_center : float tensor, shape (trial, 2[, frame]), optional
    """

    stimulus: Tensor
    responses: Tensor
    behavior: Tensor | None
    pupil_center: Tensor | None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return Batch(*(None if value is None else value.to(device) for value in values))  # type: ignore[arg-type]


class MouseData:
    """Trials of one cached recording, as a network wants them.

    Parameters
    ----------
    cached : CachedRecording
        Memory-mapped: asking for a batch reads its trials and no more.
    mouse : Mouse, optional
        Whose statistics standardize, such as those of a checkpoint; the recording's own when left
        out.
    behavior_names : sequence of str
        Variables that the network reads, in its order.
    uses_pupil : bool
        Whether the network reads the gaze.

    Attributes
    ----------
    mouse : Mouse
        What a checkpoint keeps of this mouse.
    mean_response : float array, shape (neuron,)
        Mean standardized response over the training trials.

    Raises
    ------
    RecordingError
        If the recording lacks a variable that the network reads.
    """

    def __init__(
        self,
        cached: CachedRecording,
        *,
        mouse: Mouse | None = None,
        behavior_names: Sequence[str] = (),
        uses_pupil: bool = False,
    ) -> None:
        self.cached = cached
        self.kind = cached.recording.kind
        self._variables = _columns(cached, behavior_names)
        self._uses_pupil = uses_pupil
        if uses_pupil and cached.pupil_center is None:
            raise RecordingError(
                f"the network follows the gaze, and {cached.recording.source} has no pupil_center; "
                "train with --set has_shifter=false"
            )
        self.mouse = mouse or Mouse(
            cached.recording.mouse,
            cached.recording.screen,
            cached.recording.neurons,
            _statistics(cached.statistics, self._variables, uses_pupil=uses_pupil),
        )
        self._response_scale = _as_float32(1 / _known(self.mouse, "response_std"))
        self.mean_response = cached.response_mean * self._response_scale
        self._frames = cached.trials["frame_count"].to_numpy()

    def frames(self, positions: IntArray) -> IntArray:
        """Return the number of frames of each trial; 1 for an image."""
        return np.asarray(self._frames[positions])

    def batch(
        self,
        positions: IntArray,
        *,
        starts: IntArray | None = None,
        frame_count: int | None = None,
    ) -> Batch:
        """Return some trials.

        Parameters
        ----------
        positions : int64 array, shape (trial,)
            Rows of the trials table.
        starts : int64 array, shape (trial,), optional
            First frame of each movie; 0 when left out.
        frame_count : int, optional
            Frames of each movie; those of the shortest when left out.

        Returns
        -------
        Batch
            On the CPU.
        """
        if self.kind == "image":
            rows = self.cached.first_row[positions]

            def take(values: FloatArray) -> FloatArray:
                return _as_float32(values[rows])

        else:
            starts = np.zeros(len(positions), np.int64) if starts is None else starts
            count = frame_count or int((self.frames(positions) - starts).min())
            firsts = self.cached.first_row[positions] + starts

            def take(values: FloatArray) -> FloatArray:
                return _as_float32(np.stack([values[first : first + count] for first in firsts]))

        statistics = self.mouse.statistics
        stimulus = take(self.cached.stimulus)
        stimulus -= np.float32(_known(self.mouse, "stimulus_mean"))
        stimulus /= np.float32(_known(self.mouse, "stimulus_std"))
        responses = take(self.cached.responses)
        responses *= self._response_scale
        behavior = pupil = None
        if self._variables and self.cached.behavior is not None:
            behavior = take(self.cached.behavior)[..., self._variables]
            behavior = _as_float32(behavior / _known(self.mouse, "behavior_std"))
        if self._uses_pupil and self.cached.pupil_center is not None:
            pupil = take(self.cached.pupil_center) - _known(self.mouse, "pupil_mean")
            pupil = _as_float32(pupil / statistics.pupil_std)
        return Batch(*map(self._tensor, (stimulus, responses, behavior, pupil)))  # type: ignore[arg-type]

    def _tensor(self, values: FloatArray | None) -> Tensor | None:
        """Turn (trial[, frame], feature, …) into (trial, feature[, frame], …)."""
        if values is None:
            return None
        tensor = torch.from_numpy(values)
        return tensor if self.kind == "image" else tensor.transpose(1, 2)


def choose_trials(cached: CachedRecording, limit: int, *, seed: int) -> IntArray:
    """Return the positions of the training trials, or of some of them.

    Parameters
    ----------
    cached : CachedRecording
        One mouse.
    limit : int
        How many are drawn, without replacement; 0 takes all. Of two limits with the same seed, the
        larger one includes the trials of the smaller.
    seed : int
        Of the draw.
    """
    trials = cached.trials_of("train")
    if not limit:
        return trials
    return np.sort(np.random.default_rng(seed).permutation(trials)[:limit])


@dataclasses.dataclass(frozen=True)
class Unit:
    """What passes through the network at once: part of one mouse's batch in one step.

    Parameters
    ----------
    mouse : str
        Whose trials.
    positions : int64 array, shape (trial,)
        Rows of its trials table.
    starts : int64 array, shape (trial,)
        First frame of each.
    frame_count : int
        Frames of each; 1 for images.
    batch_size : int
        Trials of the whole batch it is a part of.
    seed : int
        For everything that is drawn while it passes through.
    """

    mouse: str
    positions: IntArray
    starts: IntArray
    frame_count: int
    batch_size: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Order:
    """The order of training, a function of its arguments and the epoch alone.

    One step takes one batch of every mouse; an epoch lasts until the mouse with the most trials has
    been seen once, while the others begin again, reshuffled (ViV1T-closed-loop, viv1t/data and
    cycle_ds.py). Nothing runs on from one epoch to the next, so any epoch can be repeated alone.

    Parameters
    ----------
    trials : mapping of str to int64 array
        Positions of the training trials, by mouse.
    frames : mapping of str to int64 array
        Frames of each of those trials.
    batch_size, micro_batch_size : int
        Trials of a mouse in one step, and how many of them pass through the network at once.
    crop_frames : int
        A random piece of this many frames is taken from each movie; 0 takes whole movies.
    epoch_steps : int
        Steps of an epoch; 0 ends it when the mouse with most trials has been seen once.
    seed : int
        Of the shuffling, of the pieces and of the network's own draws.
    """

    trials: Mapping[str, IntArray]
    frames: Mapping[str, IntArray]
    batch_size: int
    micro_batch_size: int
    crop_frames: int
    seed: int
    epoch_steps: int = 0

    @property
    def step_count(self) -> int:
        """Optimizer steps in an epoch."""
        return self.epoch_steps or max(
            -(-len(trials) // self.batch_size) for trials in self.trials.values()
        )

    def epoch(self, epoch: int) -> Iterator[list[Unit]]:
        """Yield the units of each step of one epoch, counted from 1."""
        for step in range(self.step_count):
            yield [
                unit
                for number, mouse in enumerate(self.trials)
                for unit in self._units(mouse, number, epoch, step)
            ]

    def _units(self, mouse: str, number: int, epoch: int, step: int) -> Iterator[Unit]:
        batches = -(-len(self.trials[mouse]) // self.batch_size)
        lap, batch = divmod(step, batches)
        shuffled = np.random.default_rng([self.seed, epoch, number, lap]).permutation(
            len(self.trials[mouse])
        )
        chosen = shuffled[batch * self.batch_size : (batch + 1) * self.batch_size]
        random = np.random.default_rng([self.seed, epoch, number, step, 1])
        frame_count = int(self.frames[mouse][chosen].min())
        if self.crop_frames:
            frame_count = min(frame_count, self.crop_frames)
        starts = random.integers(0, self.frames[mouse][chosen] - frame_count + 1)
        size = self.micro_batch_size or len(chosen)
        for first in range(0, len(chosen), size):
            part = slice(first, first + size)
            yield Unit(
                mouse,
                self.trials[mouse][chosen[part]],
                starts[part],
                frame_count,
                len(chosen),
                int(random.integers(2**62)),
            )


def _columns(cached: CachedRecording, behavior_names: Sequence[str]) -> list[int]:
    recorded = cached.recording.behavior_names
    if missing := [name for name in behavior_names if name not in recorded]:
        raise RecordingError(
            f"the network reads {', '.join(missing)}, and {cached.recording.source} has "
            f"{', '.join(recorded) or 'no behavior'}; train with --set behavior_names=[]"
        )
    return [recorded.index(name) for name in behavior_names]


def _statistics(measured: Statistics, variables: list[int], *, uses_pupil: bool) -> Statistics:
    """Keep the statistics of what the network reads."""
    behavior: dict[str, Any] = {"behavior_mean": None, "behavior_std": None}
    if variables and measured.behavior_mean is not None and measured.behavior_std is not None:
        behavior = {
            "behavior_mean": measured.behavior_mean[variables],
            "behavior_std": measured.behavior_std[variables],
        }
    pupil: dict[str, Any] = {} if uses_pupil else {"pupil_mean": None, "pupil_std": None}
    return dataclasses.replace(measured, **behavior, **pupil)


def _known(mouse: Mouse, name: str) -> Any:
    value = getattr(mouse.statistics, name)
    if value is None:
        raise RecordingError(
            f"{name} of mouse {mouse.name} is not known, so its trials cannot be standardized; use "
            "a checkpoint that was trained on recordings"
        )
    return value


def _as_float32(values: Any) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float32)
