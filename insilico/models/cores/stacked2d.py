"""The stacked two-dimensional convolutional core of the Sensorium 2022 baselines."""

from __future__ import annotations

import functools
from collections import OrderedDict

from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.cores.core import Core
from insilico.models.cores.planes import append_planes
from insilico.models.cores.regularizers import LaplaceL2Norm
from insilico.models.cores.windows import Margins, Span, add_margins, plan_window


class DepthSeparableConvolution(nn.Module):
    """Mix channels, filter each channel in space, mix channels again; nothing between.

    References
    ----------
    neuralpredictors 0.3.0, layers/conv.py; with biases V1T, src/v1t/models/core/stacked2d.py.
    """

    def __init__(
        self, input_channels: int, output_channels: int, *, kernel: int, bias: bool = False
    ) -> None:
        super().__init__()
        self.in_depth_conv = nn.Conv2d(input_channels, output_channels, 1, bias=bias)
        self.spatial_conv = nn.Conv2d(
            output_channels, output_channels, kernel, groups=output_channels, bias=bias
        )
        self.out_depth_conv = nn.Conv2d(output_channels, output_channels, 1, bias=bias)

    def forward(self, features: Tensor, margins: Margins) -> Tensor:
        """Convolve ``features`` (trial, channel, y, x) after adding zero ``margins``."""
        mixed = add_margins(self.in_depth_conv(features), margins)
        convolved: Tensor = self.out_depth_conv(self.spatial_conv(mixed))
        return convolved


class Convolution(nn.Conv2d):
    """An ordinary convolution without bias, whose zero margins are given with each call."""

    def __init__(self, input_channels: int, output_channels: int, *, kernel: int) -> None:
        super().__init__(input_channels, output_channels, kernel, bias=False)

    def forward(self, features: Tensor, margins: Margins) -> Tensor:  # type: ignore[override]
        """Convolve ``features`` (trial, channel, y, x) after adding zero ``margins``."""
        return super().forward(add_margins(features, margins))


class Stacked2dCore(Core):
    """Convolutions one after another, each with batch normalization and ELU.

    Behavior enters as constant channels after the stimulus.

    The first layer sees only whole kernels (no padding) unless ``pad_input``; later layers keep
    the size of the map. Names of parameters and buffers are those of the published files.

    Parameters
    ----------
    input_channels : int
        Stimulus and behavior channels.
    hidden_channels : int, default 64
        Feature channels of every layer.
    input_kernel, hidden_kernel : int, default 9 and 7
        Odd side of the kernels of the first and of later layers, pixels.
    layers : int, default 4
        Number of layers, 1 or more.
    is_linear : bool, default False
        Whether to leave out every ELU.
    depth_separable : bool, default True
        Whether later layers are depth separable.
    pad_input : bool, default False
        Whether the first layer keeps the size of the map too.
    momentum : float, default 0.9
        Weight of the newest batch in the running statistics (the framework's convention).
    separable_bias : bool, default False
        Whether each convolution of a depth-separable layer has a bias.
    dropout : float, default 0
        Probability to drop a whole channel after each layer but the first and the last.

    Raises
    ------
    ShapeError
        If a kernel is even, or a number of layers or channels is below 1.

    References
    ----------
    neuralpredictors 0.3.0, layers/cores/conv2d.py; defaults: the four published checkpoints of
    sensorium, notebooks/model_tutorial. With biases and dropout: V1T,
    src/v1t/models/core/stacked2d.py.
    """

    #: Larger feature maps no longer fit the cache: on two CPU cores 32 and 64 images took 0.50 ms
    #: each, 128 took 0.9 ms and 256 took 1.6 ms.
    trials_at_once = 32

    def __init__(
        self,
        input_channels: int,
        *,
        hidden_channels: int = 64,
        input_kernel: int = 9,
        hidden_kernel: int = 7,
        layers: int = 4,
        is_linear: bool = False,
        depth_separable: bool = True,
        pad_input: bool = False,
        momentum: float = 0.9,
        separable_bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if input_kernel % 2 == 0 or hidden_kernel % 2 == 0:
            raise ShapeError(
                f"kernels of {input_kernel} and {hidden_kernel} pixels; give odd sizes, so that a "
                "kernel has a center"
            )
        if min(input_channels, hidden_channels, layers, input_kernel, hidden_kernel) < 1:
            raise ShapeError("a core needs at least one layer, one channel and one-pixel kernels")
        self.output_channels = hidden_channels
        self.kernels = (input_kernel, *(layers - 1) * [hidden_kernel])
        self.paddings = (
            input_kernel // 2 if pad_input else 0,
            *(layers - 1) * [hidden_kernel // 2],
        )
        self.features = nn.Sequential()
        for index, kernel in enumerate(self.kernels):
            source = hidden_channels if index else input_channels
            layer: OrderedDict[str, nn.Module] = OrderedDict()
            if depth_separable and index > 0:
                layer["ds_conv"] = DepthSeparableConvolution(
                    source, hidden_channels, kernel=kernel, bias=separable_bias
                )
            else:
                layer["conv"] = Convolution(source, hidden_channels, kernel=kernel)
            layer["norm"] = nn.BatchNorm2d(hidden_channels, momentum=momentum)
            if not is_linear:
                layer["nonlin"] = nn.ELU()
            if dropout > 0 and 0 < index < layers - 1:
                layer["dropout"] = nn.Dropout2d(dropout)
            self.features.add_module(f"layer{index}", nn.Sequential(layer))
        self._input_weights_regularizer = LaplaceL2Norm()
        self._initialize()

    def _initialize(self) -> None:
        """Draw Xavier-normal kernels and start biases at zero, as neuralpredictors does."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` input."""
        loss = self.kernels[0] - 1 - 2 * self.paddings[0]
        return height - loss, width - loss

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of an image; see :meth:`Core.forward`."""
        features = append_planes(stimulus, state)
        for layer, padding in zip(self.features, self.paddings, strict=True):
            run = functools.partial(_apply, layer, margins=(padding,) * 4)  # type: ignore[arg-type]
            features = self._run(layer, run, features)
        return features

    def forward_window(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        rows: slice,
        columns: slice,
        mouse: str = "",
    ) -> Tensor:
        """Return a window of the feature map; see :meth:`Core.forward_window`.

        From the last layer back, the needed range grows by half a kernel, and zeros are added only
        where it leaves the map.
        """
        row_plan = self._plan(rows, stimulus.shape[-2])
        column_plan = self._plan(columns, stimulus.shape[-1])
        (top, bottom), (left, right) = row_plan[0][0], column_plan[0][0]
        features = append_planes(stimulus[..., top:bottom, left:right], state)
        for layer, (_, vertical), (_, horizontal) in zip(
            self.features, row_plan, column_plan, strict=True
        ):
            features = _apply(layer, features, (*horizontal, *vertical))  # type: ignore[arg-type]
        return features

    def _plan(self, window: slice, size: int) -> list[tuple[Span, tuple[int, int]]]:
        strides = (1,) * len(self.kernels)
        return plan_window(
            window, size, kernels=self.kernels, strides=strides, paddings=self.paddings
        )

    def regularizer(self) -> Tensor:
        """Roughness of the first layer's kernels (see :class:`LaplaceL2Norm`)."""
        penalty: Tensor = self._input_weights_regularizer(
            self.features.get_submodule("layer0.conv").weight
        )
        return penalty


def _apply(layer: nn.Sequential, features: Tensor, margins: Margins) -> Tensor:
    """Convolve with the given margins, then normalize and bend."""
    convolution, *rest = layer
    features = convolution(features, margins)
    for module in rest:
        features = module(features)
    return features
