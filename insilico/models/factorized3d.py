"""The factorized three-dimensional CNN: movies in, a response a frame and neuron out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from insilico.errors import ShapeError
from insilico.models.core_readout import CoreReadoutNetwork, CoreReadoutOptions, respond
from insilico.models.cores.factorized3d import Factorized3dCore
from insilico.models.network import Predict
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind

#: Behavioral variables of the published recordings, in the order of their channels
#: (ViV1T-closed-loop, viv1t/model/model.py).
BEHAVIOR_NAMES = ("pupil_size", "running_speed")

#: Movies that pass through the prepared core together on a CPU: on two cores 8 movies of 150 frames
#: took 0.33 s one by one and 0.54 s together.
MOVIES_AT_ONCE = 1


@dataclasses.dataclass(frozen=True)
class Factorized3dOptions(CoreReadoutOptions):
    """What rebuilds a network of this family.

    The defaults are the core of the closed-loop study; that of Sensorium 2023 has channels (32, 64,
    128), kernels (11, 5, 5) and no padding.

    Parameters
    ----------
    pupil_planes : bool
        Whether gaze x and y also enter as constant channels, after behavior.
    channels, spatial_kernels, temporal_kernels, spatial_strides, pad_input, is_linear, momentum, \
dropout, temporal_ratio
        As for :class:`~insilico.models.cores.factorized3d.Factorized3dCore`.
    others
        As for :class:`~insilico.models.core_readout.CoreReadoutOptions`.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/fcnn.py.
    """

    pupil_planes: bool = False
    channels: tuple[int, ...] = (16, 32, 64, 128)
    spatial_kernels: tuple[int, ...] = (11, 5, 5, 5)
    temporal_kernels: tuple[int, ...] = (11, 5, 5, 5)
    spatial_strides: tuple[int, ...] = (1, 1, 1, 1)
    pad_input: bool = True
    is_linear: bool = False
    momentum: float = 0.7
    dropout: float = 0.0
    temporal_ratio: float = 0.001


def _examples() -> dict[str, Example]:
    small = {"height_px": 18, "width_px": 32, "channels": (4, 6), "spatial_kernels": (5, 3)}
    small |= {"temporal_kernels": (4, 3), "spatial_strides": (1, 1)}
    state = {"behavior_names": BEHAVIOR_NAMES, "has_shifter": True}
    return {
        "cnn": (small, {"mouse-a": 12}),
        "linear": (small | {"is_linear": True}, {"mouse-a": 12}),
        "behavior and gaze": (small | state, {"mouse-a": 12, "mouse-b": 7}),
        "behavior and gaze as planes": (
            small | state | {"has_shifter": False, "pupil_planes": True},
            {"mouse-a": 12},
        ),
        "strided": (small | state | {"spatial_strides": (2, 1)}, {"mouse-a": 12}),
        "not padded": (
            small | state | {"pad_input": False, "spatial_strides": (2, 1), "pupil_planes": True},
            {"mouse-a": 12},
        ),
        "free positions": (
            small
            | {"position": "free", "gauss_type": "isotropic", "initial_position_range": 1.0}
            | {"dropout": 0.2},
            {"mouse-a": 12},
        ),
        "factorized readout": (small | {"readout": "factorized"}, {"mouse-a": 12, "mouse-b": 7}),
        "pooled readout": (small | state | {"readout": "pooled"}, {"mouse-a": 12}),
    }


@register("factorized3d", options=Factorized3dOptions, examples=_examples)
class Factorized3d(CoreReadoutNetwork):
    """Space-time separable core, a readout of every frame, and where asked behavior and gaze.

    The response is ``ELU(z) + 1`` of the readout's value. The temporal kernels are not padded: the
    first ``sum(kernel - 1)`` frames of a movie are not answered.

    Parameters
    ----------
    options : Factorized3dOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/fcnn.py; sensorium_2023, sensorium/models/make_model.py
    and video_encoder.py.
    """

    kind: Kind = "movie"
    core: Factorized3dCore
    options: Factorized3dOptions

    def __init__(self, options: Factorized3dOptions, neuron_counts: Mapping[str, int]) -> None:
        core = Factorized3dCore(
            options.stimulus_channels,
            trace_count=len(options.behavior_names) + 2 * options.pupil_planes,
            channels=options.channels,
            spatial_kernels=options.spatial_kernels,
            temporal_kernels=options.temporal_kernels,
            spatial_strides=options.spatial_strides,
            pad_input=options.pad_input,
            is_linear=options.is_linear,
            momentum=options.momentum,
            dropout=options.dropout,
            temporal_ratio=options.temporal_ratio,
        )
        super().__init__(options, core, neuron_counts)
        self.uses_pupil = options.has_shifter or options.pupil_planes

    def response_frames(self, frame_count: int) -> int:
        """Return how many of a movie's last frames are answered; 0 if it is too short."""
        return max(0, frame_count - self.core.lost_frames)

    def forward(
        self,
        stimulus: Tensor,
        *,
        mouse: str,
        neurons: Tensor | None = None,
        behavior: Tensor | None = None,
        pupil_center: Tensor | None = None,
    ) -> Tensor:
        """Predict responses (trial, neuron, frame); see :meth:`Network.forward`.

        Raises
        ------
        MouseError
            If the mouse is unknown.
        ShapeError
            If the movie has another frame size or is too short, or behavior or gaze is not one
            value a trial and frame.
        UnitsError
            If behavior or gaze is missing where the network needs it.
        """
        readout = self._readout_of(mouse)
        self._check_stimulus(stimulus)
        frames = self._answered_frames(stimulus)
        values = self._check_behavior(behavior, stimulus)
        gaze = self._check_gaze(pupil_center, stimulus)
        features = self._run_core(*self._core_inputs(stimulus, values, gaze))
        shift = None
        if gaze is not None:
            shift = self._shift(mouse, _fold(gaze[:, :, -frames:]))
        value = readout(_fold(features), neurons=neurons, shift=shift)
        return respond(_unfold(value, frames))

    def prepare(
        self, mouse: str, *, neurons: Tensor, pupil_center: Tensor | None = None
    ) -> Predict:
        """Fix neurons and gaze; compute only the window of every frame's map that is read.

        See :meth:`Network.prepare`. In training mode, where points are drawn, and for readouts
        that do not read single points, this is the plain path.
        """
        points = self._points(mouse, neurons, pupil_center)
        if points is None:
            return super().prepare(mouse, neurons=neurons, pupil_center=pupil_center)

        def predict_some(stimulus: Tensor, *traces: Tensor) -> Tensor:
            features = self.core.forward_window(
                stimulus, *traces, rows=points.rows, columns=points.columns
            )
            return _unfold(points(_fold(features)), features.shape[2])

        def predict(stimulus: Tensor, behavior: Tensor | None) -> Tensor:
            self._check_stimulus(stimulus)
            self._answered_frames(stimulus)
            values = self._check_behavior(behavior, stimulus)
            gaze = None
            if pupil_center is not None:
                gaze = pupil_center[None, :, None].expand(len(stimulus), -1, stimulus.shape[2])
            inputs = self._core_inputs(stimulus, values, self._check_gaze(gaze, stimulus))
            at_once = MOVIES_AT_ONCE if stimulus.device.type == "cpu" else len(stimulus)
            parts = zip(*(torch.split(one, max(1, at_once)) for one in inputs), strict=True)
            return respond(torch.cat([predict_some(*part) for part in parts]))

        return predict

    def _answered_frames(self, stimulus: Tensor) -> int:
        frames = self.response_frames(stimulus.shape[2])
        if frames < 1:
            raise ShapeError(
                f"the stimulus has {stimulus.shape[2]} frames; the network takes at least "
                f"{self.core.lost_frames + 1}, the span of its temporal kernels"
            )
        return frames

    def _core_inputs(
        self, stimulus: Tensor, behavior: Tensor | None, gaze: Tensor | None
    ) -> tuple[Tensor, ...]:
        planes = gaze if self.options.pupil_planes else None
        traces = [values for values in (behavior, planes) if values is not None]
        return (stimulus, torch.cat(traces, dim=1)) if traces else (stimulus,)


def _fold(values: Tensor) -> Tensor:
    """Make every frame of (trial, channel, frame, …) a row of (row, channel, …)."""
    return values.transpose(1, 2).flatten(0, 1)


def _unfold(value: Tensor, frames: int) -> Tensor:
    """Turn (row, neuron) back into (trial, neuron, frame)."""
    rows, neurons = value.shape
    return value.view(rows // frames, frames, neurons).transpose(1, 2)
