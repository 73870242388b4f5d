"""A core for movies: frames through turning kernels, then a recurrent unit over the frames."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.context import Reach
from insilico.models.cores.conv_gru import ConvGRU, in_parts, recur
from insilico.models.cores.core import Core
from insilico.models.cores.hermite import HermiteConvolution, RotationBatchNorm
from insilico.models.cores.planes import append_planes
from insilico.models.cores.regularizers import LaplaceL2Norm
from insilico.models.cores.windows import Margins, plan_window


class RotationLayer(nn.Module):
    """Turning convolution, batch normalization and, where asked, ELU.

    Parameters
    ----------
    convolution : HermiteConvolution
        Already built.
    filters : int
        Its filters.
    momentum : float
        Of the batch normalization.
    bends : bool
        Whether ELU follows.
    """

    def __init__(
        self, convolution: HermiteConvolution, *, filters: int, momentum: float, bends: bool
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = RotationBatchNorm(filters, momentum=momentum)
        self.nonlinearity = nn.ELU() if bends else nn.Identity()

    def forward(self, features: Tensor, margins: Margins) -> Tensor:
        """Return the layer's answer to ``features`` (image, channel, y, x) with zero margins."""
        bent: Tensor = self.nonlinearity(self.norm(self.convolution(features, margins)))
        return bent


class RotationGRUCore(Core):
    """Every filter at several orientations, frame by frame; then a convolutional GRU.

    Behavior enters as constant channels after the stimulus. The first layer sees only whole kernels
    (no padding) unless ``pad_input``; later layers keep the size of the map. ELU follows every
    layer but the last. Every frame is answered: the state of the GRU starts at zero.

    Of 2,101,252 numbers that the published code counts in the default core with two planes of
    behavior, 2,035,192 are learned; the rest are the Hermite functions and their rotations, which
    are computed here and not kept.

    Parameters
    ----------
    input_channels : int
        Stimulus and behavior channels.
    filters, rotations : int
        Filters of each layer, and the orientations at which each is seen.
    input_kernel, hidden_kernel : int
        Odd side of the kernels of the first and of later layers, pixels.
    layers : int
        Number of layers of the convolutional part, 1 or more.
    is_linear : bool
        Whether to leave out every ELU.
    pad_input : bool
        Whether the first layer keeps the size of the map too.
    momentum : float
        Weight of the newest batch in the running statistics (the framework's convention).
    gru_channels : int
        Channels of the recurrent unit; 0 for none.
    gru_input_kernel, gru_kernel : int
        Odd side of its kernels over the features and over its state, pixels.
    sparsity_ratio : float
        Weight of the size of later layers' kernels, relative to the roughness of the first
        layer's, in :meth:`regularizer`.

    Raises
    ------
    ShapeError
        If a kernel is even, or a number is below 1 (``gru_channels``: 0).

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/gru_baseline.py, stacked2d.py and gru.py (the defaults);
    sensorium_2023, notebooks/benchmarks_training.ipynb, whose weights of roughness and sparsity,
    500 and 500,000, give the ratio; neuralpredictors, layers/cores/conv2d.py,
    ``RotationEquivariant2dCore``.
    """

    #: The map of one movie of 300 frames is 120 MB with the default sizes.
    trials_at_once = 1

    def __init__(
        self,
        input_channels: int,
        *,
        filters: int = 8,
        rotations: int = 8,
        input_kernel: int = 9,
        hidden_kernel: int = 7,
        layers: int = 4,
        is_linear: bool = False,
        pad_input: bool = False,
        momentum: float = 0.9,
        gru_channels: int = 64,
        gru_input_kernel: int = 9,
        gru_kernel: int = 9,
        sparsity_ratio: float = 1000.0,
    ) -> None:
        super().__init__()
        if layers < 1 or gru_channels < 0:
            raise ShapeError(
                f"a core of {layers} layers and {gru_channels} recurrent channels; give at least "
                "one layer, and no negative number of channels"
            )
        channels = filters * rotations
        self.kernels = (input_kernel, *(layers - 1) * [hidden_kernel])
        self.paddings = (
            input_kernel // 2 if pad_input else 0,
            *(layers - 1) * [hidden_kernel // 2],
        )
        self.sparsity_ratio = sparsity_ratio
        self.features = nn.ModuleList(
            RotationLayer(
                HermiteConvolution(
                    channels if index else input_channels,
                    filters,
                    kernel=kernel,
                    rotations=rotations,
                    is_first=index == 0,
                ),
                filters=filters,
                momentum=momentum,
                bends=not is_linear and index < layers - 1,
            )
            for index, kernel in enumerate(self.kernels)
        )
        self.gru = (
            ConvGRU(channels, gru_channels, input_kernel=gru_input_kernel, hidden_kernel=gru_kernel)
            if gru_channels
            else None
        )
        self.output_channels = gru_channels or channels
        self._input_weights_regularizer = LaplaceL2Norm()

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` input.

        Raises
        ------
        ShapeError
            If the first kernel is larger than what it looks at.
        """
        loss = self.kernels[0] - 1 - 2 * self.paddings[0]
        if min(height, width) <= loss:
            raise ShapeError(
                f"a movie of {height} by {width} px is too small for a kernel of "
                f"{self.kernels[0]} px; give a smaller one, or pad the input"
            )
        return height - loss, width - loss

    def reach(self, frame_count: int) -> Reach:
        """Return a frame itself; through the recurrent unit everything before."""
        return Reach(past=0 if self.gru is None else None, future=0)

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of a movie; see :meth:`Core.forward`."""
        plan = [(padding,) * 4 for padding in self.paddings]
        parts = self._see(append_planes(stimulus, state), plan)
        return (
            torch.cat(list(parts), dim=2) if self.gru is None else recur(self.gru, parts, self._run)
        )

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

        Without a recurrent unit only what reaches the window is computed. With one everything
        reaches it, from a few frames back.
        """
        if self.gru is not None:
            return super().forward_window(stimulus, state, rows=rows, columns=columns, mouse=mouse)
        strides = (1,) * len(self.kernels)
        vertical, horizontal = (
            plan_window(window, size, kernels=self.kernels, strides=strides, paddings=self.paddings)
            for window, size in zip((rows, columns), stimulus.shape[-2:], strict=True)
        )
        (top, bottom), (left, right) = vertical[0][0], horizontal[0][0]
        seen = append_planes(stimulus[..., top:bottom, left:right], state)
        plan = [
            (*beside, *above) for (_, beside), (_, above) in zip(horizontal, vertical, strict=True)
        ]
        return torch.cat(list(self._see(seen, plan)), dim=2)

    def _see(self, seen: Tensor, plan: list[Margins]) -> Iterator[Tensor]:
        """Yield the features of the frames of (trial, channel, frame, y, x), some at a time.

        In training all are normalized together, and yielded in parts for the recurrent unit.
        """
        for part in (seen,) if self.training else in_parts(seen):
            features = part.transpose(1, 2).flatten(0, 1)
            for layer, margins in zip(self.features, plan, strict=True):
                run = functools.partial(layer, margins=margins)
                features = self._run(layer, run, features)
            movie = features.view(len(part), -1, *features.shape[1:]).transpose(1, 2)
            yield from in_parts(movie)

    def regularizer(self) -> Tensor:
        """Roughness of the first layer's kernels, and the mean length of later layers'.

        The length is that of the vector of pixels between one input and one output channel.
        """
        first, *later = (layer.get_submodule("convolution").kernels() for layer in self.features)  # type: ignore[operator]
        penalty: Tensor = self._input_weights_regularizer(first)
        if later:
            lengths = [kernels.square().sum(dim=(2, 3)).sqrt().mean() for kernels in later]
            penalty = penalty + self.sparsity_ratio * torch.stack(lengths).mean()
        return penalty
