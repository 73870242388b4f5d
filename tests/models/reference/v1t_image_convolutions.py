"""The published cores ``stn`` and ``stacked2d`` of the V1T image models in evaluation.

Nothing here is optimized and nothing is shared with the package: our own cores are compared
with these. Names of modules are the published ones, so that a published state dict loads strictly.
What is random in training (dropout, stochastic depth) is left out; ``nn.Identity`` stands where
the published code counts a layer without weights.

References
----------
``models.md`` 6.3 and 7.2 of our specification; names of keys and options were checked in
bryanlimy/V1T, ``src/v1t/models/core/{stn,stacked2d}.py`` (MIT licence).
"""

from __future__ import annotations

from typing import Any

import torch
from reference.v1t_image_vit import Shape
from torch import Tensor, nn
from torch.nn import functional as F


class SpatialTransformer(nn.Module):
    """An affine view of the image, chosen by a small network, then residual convolutions."""

    def __init__(self, args: dict[str, Any], input_shape: Shape) -> None:
        super().__init__()
        channels, height, width = input_shape
        filters = args["num_filters"]
        self.register_buffer("reg_scale", torch.tensor(args["core_reg_scale"]))
        self.localization = nn.Sequential(
            nn.Conv2d(channels, 8, 7),
            nn.MaxPool2d(2, 2),
            nn.ReLU(),
            nn.Conv2d(8, 10, 5),
            nn.MaxPool2d(2, 2),
            nn.ReLU(),
        )
        rows, columns = (((side - 6) // 2 - 4) // 2 for side in (height, width))
        self.regressor = nn.Sequential(
            nn.Flatten(), nn.Linear(10 * rows * columns, 32), nn.ReLU(), nn.Linear(32, 6)
        )
        self.cnn = nn.ModuleDict()
        for number in range(1, args["num_layers"] + 1):
            first = number == 1
            block = nn.ModuleDict()
            block["conv"] = nn.Conv2d(
                channels if first else filters,
                filters,
                9 if first else 3,
                padding=0 if first else 1,
            )
            block["batchnorm"] = nn.BatchNorm2d(filters)
            self.cnn[f"block{number}"] = block
        self.output_shape = (filters, height - 8, width - 8)

    def forward(self, images: Tensor, mouse: str, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        theta = self.regressor(self.localization(images)).reshape(-1, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=True)
        maps = F.grid_sample(images, grid, align_corners=True)
        for name, block in self.cnn.items():
            answer = F.gelu(block["batchnorm"](block["conv"](maps)))
            maps = answer if name == "block1" else answer + maps
        return maps


class Stacked2d(nn.Module):
    """The convolutional baseline: 64 channels, separable after the first layer, the last kept."""

    def __init__(self, args: dict[str, Any], input_shape: Shape) -> None:
        super().__init__()
        if args["behavior_mode"] not in (0, 1):
            raise ValueError("the published stacked2d refuses behavior modes above 1")
        channels, height, width = input_shape
        self.linear = args["linear"]
        laplace = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
        self._input_weights_regularizer = nn.Module()
        self._input_weights_regularizer.laplace = nn.Module()
        self._input_weights_regularizer.laplace.register_buffer("filter", laplace[None, None])
        self.register_buffer("gamma_input", torch.tensor(args["core_reg_input"]))
        self.register_buffer("gamma_hidden", torch.tensor(args["core_reg_hidden"]))
        self.features = nn.ModuleDict()
        for number in range(args["num_layers"]):
            layer = nn.ModuleDict()
            if number == 0:
                layer["conv"] = nn.Conv2d(channels, 64, 9, bias=False)
            else:
                layer["ds_conv"] = nn.Sequential()
                layer["ds_conv"].add_module("in_depth_conv", nn.Conv2d(64, 64, 1))
                layer["ds_conv"].add_module(
                    "spatial_conv", nn.Conv2d(64, 64, 7, padding=3, groups=64)
                )
                layer["ds_conv"].add_module("out_depth_conv", nn.Conv2d(64, 64, 1))
            layer["norm"] = nn.BatchNorm2d(64, momentum=0.9)
            self.features[f"layer{number}"] = layer
        self.output_shape = (64, height - 8, width - 8)

    def forward(self, images: Tensor, mouse: str, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        maps = images
        for layer in self.features.values():
            for module in layer.values():
                maps = module(maps)
            if not self.linear:
                maps = F.elu(maps)
        return maps
