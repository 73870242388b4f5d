"""The factorized three-dimensional CNN: movies in, a response a frame and neuron out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.cores.factorized3d import Factorized3dCore
from insilico.models.cores.trace_coding import TraceCoding
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind
from insilico.variables import MOVIE_BEHAVIOR


@dataclasses.dataclass(frozen=True)
class Factorized3dOptions(CoreReadoutOptions):
    """What rebuilds a network of this family.

    The defaults are the core of the closed-loop study; that of Sensorium 2023 has channels (32, 64,
    128), kernels (11, 5, 5) and no padding.

    Parameters
    ----------
    channels, spatial_kernels, temporal_kernels, spatial_strides, pad_input, is_linear, momentum, \
dropout, temporal_ratio, gru_channels, gru_kernel, trace_coding, position_planes
        As for :class:`~insilico.models.cores.factorized3d.Factorized3dCore`.
    others
        As for :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/fcnn.py.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128)
    spatial_kernels: tuple[int, ...] = (11, 5, 5, 5)
    temporal_kernels: tuple[int, ...] = (11, 5, 5, 5)
    spatial_strides: tuple[int, ...] = (1, 1, 1, 1)
    pad_input: bool = True
    is_linear: bool = False
    momentum: float = 0.7
    dropout: float = 0.0
    temporal_ratio: float = 0.001
    gru_channels: int = 0
    gru_kernel: int = 9
    trace_coding: TraceCoding = "values"
    position_planes: bool = False


def _examples() -> dict[str, Example]:
    small = {"height_px": 18, "width_px": 32, "channels": (4, 6), "spatial_kernels": (5, 3)}
    small |= {"temporal_kernels": (4, 3), "spatial_strides": (1, 1)}
    state = {"behavior_names": MOVIE_BEHAVIOR, "has_shifter": True}
    return {
        "cnn": (small, {"mouse-a": 12}),
        "linear": (small | {"is_linear": True}, {"mouse-a": 12}),
        "behavior and gaze": (small | state, {"mouse-a": 12, "mouse-b": 7}),
        "behavior and gaze as planes": (
            small | state | {"has_shifter": False, "core_reads_gaze": True},
            {"mouse-a": 12},
        ),
        "strided": (small | state | {"spatial_strides": (2, 1)}, {"mouse-a": 12}),
        "not padded": (
            small
            | state
            | {"pad_input": False, "spatial_strides": (2, 1), "core_reads_gaze": True},
            {"mouse-a": 12},
        ),
        "recurrent": (
            small | state | {"gru_channels": 5, "gru_kernel": 3, "pad_input": False},
            {"mouse-a": 12},
        ),
        "differences and planes of position": (
            small
            | state
            | {"trace_coding": "values and differences", "core_reads_gaze": True}
            | {"position_planes": True, "spatial_strides": (2, 1)},
            {"mouse-a": 12},
        ),
        "recurrent traces": (
            small | state | {"trace_coding": "recurrent", "position_planes": True},
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
        "depth": (
            small
            | state
            | {"readout": "depth_gaussian", "depth_groups": 2, "output": "exponential"}
            | {"shifter_reads": "behavior and gaze", "initial_sigma": 1.0},
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "state encoder": (
            small | state | {"has_state_encoder": True, "readout_dropout": 0.1, "modulator": "mlp"},
            {"mouse-a": 12},
        ),
        "attention readout": (
            small
            | {"readout": "attention", "key_channels": 6, "readout_compatibility": True}
            | {"behavior_names": MOVIE_BEHAVIOR, "modulator": "window", "output": "softplus"},
            {"mouse-a": 12},
        ),
        "convolutional readout": (
            small | {"readout": "convolutional", "modulator": "linear", "output": "sigmoid"},
            {"mouse-a": 12},
        ),
        "linear readout": (small | {"readout": "linear", "output": "identity"}, {"mouse-a": 12}),
        "recurrent modulator": (
            small | state | {"modulator": "gru", "modulator_hidden_units": 4},
            {"mouse-a": 12, "mouse-b": 7},
        ),
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
            trace_count=options.state_count,
            channels=options.channels,
            spatial_kernels=options.spatial_kernels,
            temporal_kernels=options.temporal_kernels,
            spatial_strides=options.spatial_strides,
            pad_input=options.pad_input,
            is_linear=options.is_linear,
            momentum=options.momentum,
            dropout=options.dropout,
            temporal_ratio=options.temporal_ratio,
            gru_channels=options.gru_channels,
            gru_kernel=options.gru_kernel,
            trace_coding=options.trace_coding,
            position_planes=options.position_planes,
        )
        super().__init__(options, core, neuron_counts)
