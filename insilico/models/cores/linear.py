"""Linear cores: what a readout makes of pixels, without a nonlinearity before it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from insilico.models.context import Reach
from insilico.models.cores.core import Core
from insilico.models.cores.planes import append_planes
from insilico.models.cores.regularizers import absolute_sum


class LinearImageCore(Core):
    """One linear map from all pixels to a map of the same size; the state enters as channels.

    Parameters
    ----------
    input_channels : int
        Channels of the image.
    image_px : (int, int)
        Rows and columns of the images that enter.
    state_count : int
        Variables of the state.

    References
    ----------
    V1T, src/v1t/models/core/linear.py, whose forward pass fails (it reads an attribute that does
    not exist); weights and shapes are the same.
    """

    def __init__(
        self, input_channels: int, *, image_px: tuple[int, int], state_count: int = 0
    ) -> None:
        super().__init__()
        self.output_channels = input_channels + state_count
        values = self.output_channels * math.prod(image_px)
        self.linear = nn.Linear(values, values)

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map: those of the image."""
        return height, width

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of an image; see :meth:`Core.forward`."""
        seen = append_planes(stimulus, state)
        features: Tensor = self._run(self.linear, self.linear, seen.flatten(1))
        return features.view_as(seen)

    def regularizer(self) -> Tensor:
        """Sum of the absolute values of all parameters of the core."""
        return absolute_sum(self)


class PixelwiseCore(Core):
    """A gain and an offset for each channel and pixel of a frame; the state enters as channels.

    Parameters
    ----------
    input_channels : int
        Channels of the movie.
    image_px : (int, int)
        Rows and columns of a frame.
    state_count : int
        Variables of the state.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/linear.py; both start from a normal distribution.
    """

    def __init__(
        self, input_channels: int, *, image_px: tuple[int, int], state_count: int = 0
    ) -> None:
        super().__init__()
        self.output_channels = input_channels + state_count
        self.gain = nn.Parameter(torch.randn(self.output_channels, *image_px))
        self.offset = nn.Parameter(torch.randn(self.output_channels, *image_px))

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map: those of a frame."""
        return height, width

    def reach(self, frame_count: int) -> Reach:
        """Return a frame itself."""
        return Reach(past=0, future=0)

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of a movie; see :meth:`Core.forward`."""
        everywhere = slice(None)
        return self.forward_window(stimulus, state, rows=everywhere, columns=everywhere)

    def forward_window(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        rows: slice,
        columns: slice,
        mouse: str = "",
    ) -> Tensor:
        """Return a window of the feature map; see :meth:`Core.forward_window`."""
        seen = append_planes(stimulus[..., rows, columns], state)
        gain, offset = self.gain[:, None, rows, columns], self.offset[:, None, rows, columns]
        return seen * gain + offset

    def regularizer(self) -> Tensor:
        """Sum of the absolute values of all parameters of the core."""
        return absolute_sum(self)
