"""A twin made ready: fixed mouse, neurons, state and units; what is left is the stimulus."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insilico.errors import ShapeError, StimulusError, UnitsError
from insilico.models.context import Lead
from insilico.models.mouse import Mouse
from insilico.models.network import Network
from insilico.screen import Screen
from insilico.twin.plan import FastPath
from insilico.twin.units import ResponseUnits, StimulusUnits

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Frames of a batch, times pixels: 128 images of 36 x 64. Networks may split a batch further;
#: larger ones gain nothing (``benchmarks/inference.py``).
BATCH_PIXELS = 128 * 36 * 64

PRECISIONS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
}


@dataclasses.dataclass(frozen=True)
class PreparedTwin:
    """Answers for fixed neurons in a fixed state.

    Made by :meth:`insilico.Twin.prepare`; call it with stimuli, again and again.

    Attributes
    ----------
    mouse : Mouse
        Whose neurons.
    neurons : int64 array, shape (neuron,)
        Their indices.
    window : tuple of (int, int) or None
        Frames that are returned, the end exclusive; None is all there are.
    stimulus_units, response_units : StimulusUnits, ResponseUnits
        What goes in and what comes out.
    behavior, pupil_center : float array or None
        Standardized state: one for all trials, or one a trial.
    members : bool
        Whether the networks of an ensemble are kept apart.
    plan : {"fast", "plain"}
        How it is computed; the answers are equal to rounding.
    lead_frames : int
        Frames of gray that come before every stimulus of a movie model, and are not given with it.
    gray_level : float
        That gray, standardized.
    """

    networks: Sequence[Network]
    mouse: Mouse
    neurons: np.ndarray[Any, np.dtype[np.int64]]
    device: torch.device
    precision: str
    window: tuple[int, int] | None
    stimulus_units: StimulusUnits
    response_units: ResponseUnits
    behavior: FloatArray | None
    pupil_center: FloatArray | None
    members: bool
    plan: str
    paths: Sequence[FastPath]
    lead_frames: int = 0
    gray_level: float = 0.0

    @property
    def kind(self) -> str:
        """Whether a trial is an image or a movie."""
        return self.networks[0].kind

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of the responses."""
        members = ("member",) if self.members else ()
        return (*members, "trial", "neuron", *(("frame",) if self.kind == "movie" else ()))

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the stimulus on its way in."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def forward(self, stimulus: Tensor, trials: slice = slice(None)) -> Tensor:
        """Predict responses; differentiable in the stimulus.

        Parameters
        ----------
        stimulus : float tensor, shape (trial[, channel][, frame], y, x)
            In ``stimulus_units``.
        trials : slice
            Which trials these are, where behavior or gaze was given trial by trial.

        Returns
        -------
        float tensor, shape ([member,] trial, neuron[, frame])
            In ``response_units``.

        Raises
        ------
        ShapeError, StimulusError
            If the stimulus has another shape or kind than the twin shows.
        """
        seen, behavior, pupil_center = self.standardize(stimulus, trials)
        with torch.autocast(self.device.type, torch.bfloat16, self.precision == "bfloat16"):
            answers = [
                self._ask(member, seen, behavior, pupil_center)
                for member in range(len(self.networks))
            ]
        stacked = torch.stack([answer.to(self.dtype) for answer in answers])
        responses = stacked if self.members else stacked.mean(0)
        neuron_axis = responses.ndim - (2 if self.kind == "movie" else 1)
        return self.response_units.scale(responses, self.neurons, neuron_axis)

    def standardize(
        self, stimulus: Tensor, trials: slice = slice(None)
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return what a network is given for a stimulus.

        Parameters
        ----------
        stimulus, trials
            As for :meth:`forward`.

        Returns
        -------
        stimulus : float tensor, shape (trial, channel[, frame], y, x)
        behavior : float tensor, shape (trial, variable[, frame]), or None
        pupil_center : float tensor, shape (trial, 2[, frame]), or None
            Standardized, on the device.

        Raises
        ------
        ShapeError, StimulusError
            As :meth:`forward`.
        """
        stimulus = with_channels(stimulus, self.networks[0], self.mouse)
        seen = self.stimulus_units.standardize(stimulus.to(self.device, self.dtype))
        behavior = self._rows(self.behavior, trials, seen)
        return seen, behavior, self._rows(self.pupil_center, trials, seen)

    def describe_plan(self) -> dict[str, Any]:
        """Return how it computes, and what of the last movies it showed to its networks."""
        if not self.paths or self.paths[0].shown is None:
            return {"name": self.plan}
        return {"name": self.plan, "frames": dataclasses.asdict(self.paths[0].shown)}

    def first_frame(self, frame_count: int) -> int:
        """Return the frame of the trial that the first response belongs to."""
        if self.kind == "image":
            return 0
        return self.window[0] if self.window else self._first_available(frame_count)

    def respond(
        self,
        stimulus: np.ndarray[Any, Any],
        *,
        first_trial: int = 0,
        on_batch: Callable[[int], None] | None = None,
    ) -> np.ndarray[Any, Any]:
        """Predict responses to many trials, batch by batch, without gradients.

        Parameters
        ----------
        stimulus : array, shape (trial[, channel][, frame], y, x)
            uint8 or floating, in ``stimulus_units``.
        first_trial : int
            Number of the first of these trials, where the state was given trial by trial.
        on_batch : callable, optional
            Called with the number of trials done, after each batch.

        Returns
        -------
        float array, shape ([member,] trial, neuron[, frame])

        Raises
        ------
        ShapeError, StimulusError
            If the stimulus has another shape, dtype or kind than the twin shows, or holds NaN.
        """
        check_values(stimulus)
        pixels = max(1, int(np.prod(stimulus.shape[1:])))
        step = max(1, BATCH_PIXELS // pixels)
        batches = []
        with torch.inference_mode():
            for start in range(0, len(stimulus), step):
                # A copy: torch would warn of arrays that it may not write to.
                batch = torch.from_numpy(np.array(stimulus[start : start + step], order="C"))
                trials = slice(first_trial + start, first_trial + start + len(batch))
                batches.append(self.forward(batch, trials).cpu().numpy())
                if on_batch is not None:
                    on_batch(len(batch))
        return np.concatenate(batches, axis=1 if self.members else 0)

    def check_trial_count(self, trial_count: int) -> None:
        """Refuse behavior or gaze that was given for another number of trials.

        Raises
        ------
        ShapeError
            If it was given trial by trial, and not for this many.
        """
        for state in (self.behavior, self.pupil_center):
            if state is not None and state.ndim > 1 and len(state) != trial_count:
                raise _wrong_trial_count(len(state), trial_count)

    def neurons_table(self) -> pd.DataFrame:
        """Return the rows of the asked neurons, with a column ``mouse`` in front."""
        table = self.mouse.neurons.iloc[self.neurons].reset_index(drop=True)
        table.insert(0, "mouse", self.mouse.name)
        return table

    def _ask(
        self, member: int, seen: Tensor, behavior: Tensor | None, pupil_center: Tensor | None
    ) -> Tensor:
        """Return the responses of one network, in the window."""
        gray = None
        if self.lead_frames:
            gray = Lead(self.lead_frames, torch.full_like(seen[0, :, 0, 0, 0], self.gray_level))
        if self.plan == "fast":
            path = self.paths[member]
            if self.kind == "image":
                return path.image(seen, behavior)
            is_steady = self.behavior is None or self.behavior.ndim == 1
            window = self._window_of(seen)
            return path.movie(seen, behavior, window=window, gray=gray, is_steady=is_steady)
        whole = seen if gray is None else torch.cat([gray.frames(seen), seen], dim=2)
        responses = self.networks[member](
            whole,
            mouse=self.mouse.name,
            neurons=torch.from_numpy(self.neurons).to(self.device),
            behavior=behavior,
            pupil_center=pupil_center,
        )
        if self.kind == "image":
            return responses
        start, stop = self._window_of(seen)
        available = whole.shape[2] - responses.shape[2]
        return responses[..., start - available : stop - available]

    def _window_of(self, seen: Tensor) -> tuple[int, int]:
        """Return the frames of the trial that are answered: the window, or all there are.

        Raises
        ------
        ShapeError
            If there are no answers to some of them.
        """
        frame_count = self.lead_frames + seen.shape[2]
        available = self._first_available(frame_count)
        start, stop = (available, frame_count) if self.window is None else self.window
        if not available <= start < stop <= frame_count:
            raise ShapeError(
                f"the window of frames {start} to {stop} was asked; movies of {frame_count} frames "
                f"have responses from frame {available} up to frame {frame_count}, end exclusive"
            )
        return start, stop

    def _rows(self, state: FloatArray | None, trials: slice, like: Tensor) -> Tensor | None:
        """Return one standardized state a trial of the batch, and one a frame of a movie."""
        if state is None:
            return None
        rows = torch.as_tensor(state, dtype=like.dtype, device=like.device)
        rows = rows.expand(len(like), -1) if rows.ndim == 1 else rows[trials]
        if len(rows) != len(like):
            raise _wrong_trial_count(len(state), (trials.start or 0) + len(like))
        frames = self.lead_frames + like.shape[2] if self.kind == "movie" else None
        if frames is not None and rows.ndim == 2:
            return rows[..., None].expand(-1, -1, frames)
        if rows.shape[2:] != (() if frames is None else (frames,)):
            raise ShapeError(
                f"behavior or pupil_center has shape {tuple(rows.shape)}; give (trial, variable) "
                + ("for images" if frames is None else f"or (trial, variable, {frames} frames)")
            )
        return rows

    def _first_available(self, frame_count: int) -> int:
        return frame_count - self.networks[0].response_frames(frame_count)


def _wrong_trial_count(given: int, shown: int) -> ShapeError:
    return ShapeError(
        f"behavior or pupil_center was given for {given} trials, and {shown} are shown; give one "
        "row a trial, or one state for all"
    )


def check_screen(drawn_for: Screen, screen: Screen) -> None:
    """Refuse stimuli that were drawn for another monitor: their degrees and hertz would be wrong.

    Raises
    ------
    UnitsError
        If the screens differ.
    """
    if drawn_for == screen:
        return
    theirs, ours = drawn_for.to_dict(), screen.to_dict()
    differs = [
        f"{key} {theirs[key]:g}, not {ours[key]:g}" for key in ours if theirs[key] != ours[key]
    ]
    raise UnitsError(
        f"the stimuli were drawn for another screen ({'; '.join(differs)}); draw them for "
        "twin.screen(mouse), or give their frames as an array"
    )


def check_values(stimulus: np.ndarray[Any, Any]) -> None:
    """Refuse a stimulus that is not numeric or not finite.

    Raises
    ------
    ShapeError
        If the dtype is neither uint8 nor floating.
    StimulusError
        If a pixel is NaN or infinite, or there is no trial.
    """
    is_floating = np.issubdtype(stimulus.dtype, np.floating)
    if not (is_floating or stimulus.dtype == np.uint8):
        raise ShapeError(
            f"the stimulus has dtype {stimulus.dtype}; give uint8 gray levels or floating numbers"
        )
    if stimulus.size == 0 or stimulus.ndim == 0:
        raise StimulusError(
            f"the stimulus has shape {stimulus.shape} and holds no trial; give at least one"
        )
    if is_floating and not np.isfinite(stimulus).all():
        trial = int(np.argwhere(~np.isfinite(stimulus))[0][0])
        raise StimulusError(
            f"trial {trial} of the stimulus holds NaN or infinite pixels; give finite numbers"
        )


def with_channels(stimulus: Tensor, network: Network, mouse: Mouse) -> Tensor:
    """Add the channel axis where it was left out, and refuse every other mismatch.

    Returns
    -------
    tensor, shape (trial, channel[, frame], y, x)

    Raises
    ------
    StimulusError
        If a movie was given to an image model, or the reverse.
    ShapeError
        If the frames have another size, or there are other channels.
    """
    axes = 3 if network.kind == "image" else 4
    wanted = "(trial, y, x)" if network.kind == "image" else "(trial, frame, y, x)"
    shape = tuple(stimulus.shape)
    size = mouse.screen.shape
    fits = shape[-2:] in (size, *network.frame_sizes)
    if stimulus.ndim == axes and fits and network.channels == 1:
        return stimulus.unsqueeze(1)
    if stimulus.ndim == axes + 1 and fits and shape[1] == network.channels:
        return stimulus
    expected = (
        f"this {network.kind} model takes {wanted} with frames of {size[0]} x {size[1]} pixels"
    )
    if network.channels > 1:
        expected += f" and a channel axis of {network.channels} after the trials"
    if stimulus.ndim not in (axes, axes + 1):
        other = "movie" if network.kind == "image" else "image"
        raise StimulusError(f"the stimulus has shape {shape}, as of {other}s; {expected}")
    if network.kind == "image" and stimulus.ndim == 4 and shape[-2:] == size:
        raise StimulusError(
            f"the stimulus has shape {shape}, a movie of {shape[1]} frames; {expected}"
        )
    raise ShapeError(f"the stimulus has shape {shape}; {expected}")
