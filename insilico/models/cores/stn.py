"""A spatial transformer: an affine view of the image, then residual convolutions."""

from __future__ import annotations

import functools
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.cores.core import Core
from insilico.models.cores.planes import append_planes
from insilico.models.cores.regularizers import absolute_sum

#: Kernels of the two convolutions of the localization, their channels, and the side of the pooling
#: after each; hidden units of the regression (V1T, stn.py).
LOCALIZATION_KERNELS, LOCALIZATION_CHANNELS, LOCALIZATION_POOL = (7, 5), (8, 10), 2
REGRESSION_UNITS = 32
#: Kernels of the first convolution, which sees whole kernels only, and of the later ones.
INPUT_KERNEL, HIDDEN_KERNEL = 9, 3


class SpatialTransformerCore(Core):
    """A small network looks at the image and chooses an affine view; a residual CNN reads the view.

    The state enters as channels of the image, which are warped with it.

    Parameters
    ----------
    input_channels : int
        Channels of the image.
    image_px : (int, int)
        Rows and columns of the images that enter.
    state_count : int
        Variables of the state.
    channels : int
        Feature channels of every layer.
    layers : int
        Convolutions of the CNN; every one but the first adds to what it gets.
    dropout : float
        Probability to drop a whole channel after the first layer, and each later one but the last.

    Raises
    ------
    ShapeError
        If the image is too small, or there is no layer.

    References
    ----------
    Jaderberg et al. 2015, "Spatial transformer networks", arXiv:1506.02025; V1T,
    src/v1t/models/core/stn.py.
    """

    #: Larger feature maps no longer fit the cache of a CPU.
    trials_at_once = 8

    def __init__(
        self,
        input_channels: int,
        *,
        image_px: tuple[int, int],
        state_count: int = 0,
        channels: int = 63,
        layers: int = 7,
        dropout: float = 0.1135,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ShapeError(f"a spatial transformer of {layers} layers; give at least one layer")
        self.output_channels = channels
        sources = input_channels + state_count
        self.localization = _localization(sources)
        self.regression = _regression(image_px)
        self.layers = nn.ModuleList()
        for index in range(layers):
            layer: OrderedDict[str, nn.Module] = OrderedDict()
            if index == 0:
                layer["convolution"] = nn.Conv2d(sources, channels, INPUT_KERNEL)
            else:
                layer["convolution"] = nn.Conv2d(
                    channels, channels, HIDDEN_KERNEL, padding=HIDDEN_KERNEL // 2
                )
            layer["norm"] = nn.BatchNorm2d(channels)
            layer["bend"] = nn.GELU()
            if index < max(1, layers - 1):
                layer["dropout"] = nn.Dropout2d(dropout)
            self.layers.append(nn.Sequential(layer))

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` input."""
        return height - INPUT_KERNEL + 1, width - INPUT_KERNEL + 1

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of an image; see :meth:`Core.forward`."""
        features = self._run(self.localization, self.view, append_planes(stimulus, state))
        for index, layer in enumerate(self.layers):
            run = functools.partial(_residual, layer) if index else layer
            features = self._run(layer, run, features)
        return features

    def view(self, images: Tensor) -> Tensor:
        """Return what the CNN sees: ``images`` (image, channel, y, x), turned, moved, scaled."""
        theta = self.regression(self.localization(images)).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=True)
        return F.grid_sample(images, grid, align_corners=True)

    def regularizer(self) -> Tensor:
        """Sum of the absolute values of all parameters of the core."""
        return absolute_sum(self)


def _residual(layer: nn.Module, features: Tensor) -> Tensor:
    answer: Tensor = layer(features)
    return answer + features


def _localization(input_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, kernel in zip(LOCALIZATION_CHANNELS, LOCALIZATION_KERNELS, strict=True):
        layers += [nn.Conv2d(input_channels, channels, kernel), nn.MaxPool2d(LOCALIZATION_POOL)]
        layers.append(nn.ReLU())
        input_channels = channels
    return nn.Sequential(*layers)


def _regression(image_px: tuple[int, int]) -> nn.Sequential:
    """Return the map to the six numbers of a view, which starts as the image itself."""
    rows, columns = image_px
    for kernel in LOCALIZATION_KERNELS:
        rows, columns = ((size - kernel + 1) // LOCALIZATION_POOL for size in (rows, columns))
    if min(rows, columns) < 1:
        raise ShapeError(
            f"images of {image_px[0]} x {image_px[1]} px are too small for the localization of a "
            "spatial transformer; give at least 18 x 18 px"
        )
    last = nn.Linear(REGRESSION_UNITS, 6)
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
    values = LOCALIZATION_CHANNELS[-1] * rows * columns
    return nn.Sequential(nn.Flatten(), nn.Linear(values, REGRESSION_UNITS), nn.ReLU(), last)
