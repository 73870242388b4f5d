"""A core for movies whose kernels are separable in space and time."""

from __future__ import annotations

import dataclasses
import functools
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.context import Reach
from insilico.models.cores.conv_gru import ConvGRU, in_parts, recur
from insilico.models.cores.core import Core
from insilico.models.cores.regularizers import LaplaceL2Norm, temporal_roughness
from insilico.models.cores.trace_coding import TraceCoding, TraceEncoder
from insilico.models.cores.traces import add_traces, map_of_positions, maps_of_ones
from insilico.models.cores.windows import add_margins, plan_window


@dataclasses.dataclass(frozen=True)
class Crop:
    """The part of the first layer's map that is computed, of a whole frame of ``size``."""

    size: tuple[int, ...]
    rows: slice
    columns: slice


class Factorized3dCore(Core):
    """Layers of a convolution in space, one in time, batch normalization and ELU.

    Time is never padded: a layer of ``k`` lags answers ``k - 1`` frames fewer, the last ones. Both
    convolutions have a bias. Names of parameters and buffers are those of the published models:
    ``features.layer0.conv_spatial``, ``features.layer1.conv_spatial_1`` and so on.

    Convolutions are plain ``conv3d``. On two CPU cores (batch of 4 movies, 150 frames, 36 by 64 px;
    32 and 64 channels, kernels 11 and 5, first stride 2) forward and backward took 0.41-0.44 s,
    against 0.44-0.52 s with frames folded into the batch, 0.52-0.57 s with channels last, and
    0.85-1.3 s as one matrix product a lag.

    Parameters
    ----------
    input_channels : int
        Stimulus channels.
    trace_count : int, default 0
        Variables of behavior and gaze. They enter as channels after the stimulus, each the same
        everywhere in a frame.
    trace_coding : {"values", "values and differences", "recurrent"}
        What is made of them before; see
        :class:`~insilico.models.cores.trace_coding.TraceEncoder`.
    position_planes : bool, default False
        Whether two more channels say where a pixel is: from -1 to 1 over the rows, and over the
        columns.
    channels : tuple of int
        Feature channels by layer.
    spatial_kernels, temporal_kernels : tuple of int
        Odd side of the spatial kernels, pixels, and lags of the temporal ones, by layer.
    spatial_strides : tuple of int
        Pixels between the centers of neighboring kernels, by layer.
    pad_input : bool, default True
        Whether zeros around every map keep its size; otherwise only whole kernels are seen.
    is_linear : bool, default False
        Whether to leave out batch normalization and ELU.
    momentum : float, default 0.7
        Weight of the newest batch in the running statistics (the framework's convention).
    dropout : float, default 0
        Probability to drop a whole channel after each layer but the last.
    temporal_ratio : float, default 0.001
        Weight of temporal roughness, relative to spatial roughness, in :meth:`regularizer`.
    gru_channels : int, default 0
        Channels of a convolutional recurrent unit after the last layer; 0 for none.
    gru_kernel : int, default 9
        Odd side of its kernels, pixels.

    Raises
    ------
    ShapeError
        If the layers do not match in number, a size is impossible, or a spatial or recurrent kernel
        is even.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/fcnn.py (padded), and sensorium_2023,
    sensorium/models/make_model.py (not padded; its weights of roughness, 10 and 0.01, give the
    ratio; a recurrent unit with the option ``use_gru``). Coded traces and planes of position: ViV1T
    (first release), src/viv1t/model/core/factorized_baseline.py, behavior modes 6 to 9.
    """

    #: On two CPU cores 8 movies of 150 frames took 0.33 s one by one and 0.54 s together.
    trials_at_once = 1

    def __init__(
        self,
        input_channels: int,
        *,
        trace_count: int = 0,
        trace_coding: TraceCoding = "values",
        position_planes: bool = False,
        channels: tuple[int, ...] = (16, 32, 64, 128),
        spatial_kernels: tuple[int, ...] = (11, 5, 5, 5),
        temporal_kernels: tuple[int, ...] = (11, 5, 5, 5),
        spatial_strides: tuple[int, ...] = (1, 1, 1, 1),
        pad_input: bool = True,
        is_linear: bool = False,
        momentum: float = 0.7,
        dropout: float = 0.0,
        temporal_ratio: float = 0.001,
        gru_channels: int = 0,
        gru_kernel: int = 9,
    ) -> None:
        super().__init__()
        _check_sizes(channels, spatial_kernels, temporal_kernels, spatial_strides)
        self.input_channels = input_channels
        self.output_channels = gru_channels or channels[-1]
        self.spatial_kernels = spatial_kernels
        self.spatial_strides = spatial_strides
        self.paddings = tuple(kernel // 2 if pad_input else 0 for kernel in spatial_kernels)
        self.lost_frames = sum(temporal_kernels) - len(temporal_kernels)
        self.temporal_ratio = temporal_ratio
        self.traces = TraceEncoder(trace_count, coding=trace_coding)
        self.position_planes = position_planes
        self.features = nn.Sequential()
        entering = input_channels + self.traces.trace_count + 2 * position_planes
        sources = (entering, *channels)
        for index, width in enumerate(channels):
            suffix = f"_{index}" if index else ""
            layer = nn.Sequential()
            spatial, stride = spatial_kernels[index], spatial_strides[index]
            layer.add_module(
                f"conv_spatial{suffix}",
                nn.Conv3d(
                    sources[index],
                    width,
                    (1, spatial, spatial),
                    stride=(1, stride, stride),
                    padding=(0, self.paddings[index], self.paddings[index]),
                ),
            )
            layer.add_module(
                f"conv_temporal{suffix}", nn.Conv3d(width, width, (temporal_kernels[index], 1, 1))
            )
            if not is_linear:
                layer.add_module("norm", nn.BatchNorm3d(width, momentum=momentum))
                layer.add_module("nonlin", nn.ELU())
            if dropout > 0 and index < len(channels) - 1:
                layer.add_module("dropout", nn.Dropout3d(dropout))
            self.features.add_module(f"layer{index}", layer)
        self._input_weights_regularizer = LaplaceL2Norm()
        self._initialize()
        self.gru = (
            ConvGRU(channels[-1], gru_channels, input_kernel=gru_kernel, hidden_kernel=gru_kernel)
            if gru_channels
            else None
        )

    def _initialize(self) -> None:
        """Draw Xavier-normal kernels and start biases at zero, as the published code does."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(cast(Tensor, module.bias))

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` movie.

        Raises
        ------
        ShapeError
            If a kernel is larger than what it looks at.
        """
        sizes = [height, width]
        for kernel, stride, padding in zip(
            self.spatial_kernels, self.spatial_strides, self.paddings, strict=True
        ):
            sizes = [(size + 2 * padding - kernel) // stride + 1 for size in sizes]
            if min(sizes) < 1:
                raise ShapeError(
                    f"a movie of {height} by {width} px is too small for the spatial kernels "
                    f"{self.spatial_kernels}; give smaller kernels or pad the input"
                )
        return sizes[0], sizes[1]

    def reach(self, frame_count: int) -> Reach:
        """Return the span of the temporal kernels; through a recurrent unit everything before."""
        if self.gru is not None or self.traces.coding == "recurrent":
            return Reach(future=0)
        changes = self.traces.coding == "values and differences"
        return Reach(past=self.lost_frames + changes, future=0)

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of a movie; see :meth:`Core.forward`."""
        features, traces = stimulus, self.traces(state)
        for index, layer in enumerate(self.features):
            run = functools.partial(
                self._answer,
                cast(nn.Sequential, layer),
                traces=None if index else traces,
                with_positions=self.position_planes and not index,
            )
            features = self._run(layer, run, features)
        if self.gru is None:
            return features
        return recur(self.gru, in_parts(features), self._run)

    def forward_window(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        rows: slice,
        columns: slice,
        mouse: str = "",
    ) -> Tensor:
        """Compute only what reaches a window of every map; see :meth:`Core.forward_window`.

        Through a recurrent unit everything reaches it, from a few frames back.
        """
        if self.gru is not None:
            return super().forward_window(stimulus, state, rows=rows, columns=columns, mouse=mouse)
        axes = [
            plan_window(
                window,
                size,
                kernels=self.spatial_kernels,
                strides=self.spatial_strides,
                paddings=self.paddings,
            )
            for window, size in zip((rows, columns), stimulus.shape[-2:], strict=True)
        ]
        spans = [[slice(*span) for span, _ in axis] for axis in axes]
        spans[0].append(rows)
        spans[1].append(columns)
        features, traces = stimulus[..., spans[0][0], spans[1][0]], self.traces(state)
        for index, layer in enumerate(self.features):
            (_, vertical), (_, horizontal) = axes[0][index], axes[1][index]
            features = self._answer(
                cast(nn.Sequential, layer),
                add_margins(features, (*horizontal, *vertical)),
                traces=None if index else traces,
                with_positions=self.position_planes and not index,
                crop=Crop(tuple(stimulus.shape[-2:]), spans[0][1], spans[1][1]),
            )
        return features

    def _answer(
        self,
        layer: nn.Sequential,
        features: Tensor,
        *,
        traces: Tensor | None = None,
        with_positions: bool = False,
        crop: Crop | None = None,
    ) -> Tensor:
        """Run one layer; a crop comes with the margins that it needs, and gets no others."""
        spatial, *rest = layer
        spatial = cast(nn.Conv3d, spatial)
        channels = features.shape[1]
        size = tuple(features.shape[-2:]) if crop is None else crop.size
        seen = F.conv3d(
            features,
            spatial.weight[:, :channels],
            spatial.bias,
            spatial.stride,
            spatial.padding if crop is None else 0,
        )
        if with_positions:
            maps = map_of_positions(spatial.weight[:, -2:, 0], size, spatial)
            seen = seen + (maps if crop is None else maps[..., crop.rows, crop.columns])
        if traces is not None:
            kernels = spatial.weight[:, channels : channels + traces.shape[1], 0]
            maps = maps_of_ones(kernels, size, spatial)
            if crop is not None and maps.shape[-2:] != (1, 1):
                maps = maps[..., crop.rows, crop.columns]
            seen = add_traces(seen, maps, traces)
        for module in rest:
            seen = module(seen)
        return seen

    def regularizer(self) -> Tensor:
        """Roughness of the first layer: spatial, plus ``temporal_ratio`` times temporal."""
        layer = cast(nn.Sequential, self.features[0])
        spatial, temporal = (cast(nn.Conv3d, layer[index]).weight for index in (0, 1))
        roughness: Tensor = self._input_weights_regularizer(spatial[:, :, 0])
        return roughness + self.temporal_ratio * temporal_roughness(temporal[..., 0, 0])


def _check_sizes(
    channels: tuple[int, ...],
    spatial_kernels: tuple[int, ...],
    temporal_kernels: tuple[int, ...],
    spatial_strides: tuple[int, ...],
) -> None:
    by_layer = {
        "channels": channels,
        "spatial_kernels": spatial_kernels,
        "temporal_kernels": temporal_kernels,
        "spatial_strides": spatial_strides,
    }
    for name, sizes in by_layer.items():
        if len(sizes) != len(channels) or not sizes:
            raise ShapeError(
                f"{name} is {tuple(sizes)}; give one number for each of the {len(channels)} layers "
                "that channels names, and at least one layer"
            )
        if min(sizes) < 1:
            raise ShapeError(f"{name} is {tuple(sizes)}; give numbers from 1")
    if any(kernel % 2 == 0 for kernel in spatial_kernels):
        raise ShapeError(
            f"spatial_kernels is {tuple(spatial_kernels)}; give odd sizes, so that a kernel has a "
            "center"
        )
