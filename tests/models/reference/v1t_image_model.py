"""The published V1T image models in evaluation: cropper, core, shifted readout, ELU + 1.

Names of options and modules are the published ones.

References
----------
``models.md`` 6.1, 6.4 and 7.2 of our specification; names were checked in bryanlimy/V1T,
``src/v1t/models`` (MIT licence).
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from reference.v1t_image_cct import CCT
from reference.v1t_image_convolutions import SpatialTransformer, Stacked2d
from reference.v1t_image_vit import Shape, ViT
from torch import Tensor, nn
from torch.nn import functional as F

#: Rows and columns of the resized image.
RESIZED = (36, 64)

#: Modes that shift the image, and modes that shift the readout.
IMAGE_SHIFT_MODES, READOUT_SHIFT_MODES = (1, 3, 4), (2, 3, 4)


def tanh_network(inputs: int, hidden: int) -> nn.Sequential:
    """Return three linear layers, a tanh after each, that end in a shift (x, y)."""
    widths = [inputs, hidden, hidden, 2]
    layers: list[nn.Module] = []
    for here, there in itertools.pairwise(widths):
        layers += [nn.Linear(here, there), nn.Tanh()]
    return nn.Sequential(*layers)


class ImageShifter(nn.Module):
    """Gaze, and behavior in shift mode 4, to a shift of the image up to 1 - center_crop."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self.reads_behavior = args["shift_mode"] == 4
        self.register_buffer("max_shift", torch.tensor(1 - args["center_crop"]))
        # The published option is missing in shift mode 1, which therefore never ran.
        self.register_buffer("reg_scale", torch.tensor(args.get("cropper_reg_scale", 0.0)))
        self.mlp = tanh_network(5 if self.reads_behavior else 2, 10)

    def forward(self, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        inputs = pupil_center
        if self.reads_behavior:
            inputs = torch.cat([behavior, pupil_center], dim=1)
        return self.mlp(inputs) * self.max_shift


class ImageCropper(nn.Module):
    """Crop the center of the image, resize it, and append planes of behavior in mode 1."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        channels, height, width = args["input_shape"]
        scale = args["center_crop"]
        if scale < 1:
            height, width = int(height * scale), int(width * scale)
        y, x = (torch.linspace(-scale, scale, pixels) for pixels in (height, width))
        grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=2)
        self.register_buffer("grid", grid[None].clone())
        self.image_shifter = None
        if args["shift_mode"] in IMAGE_SHIFT_MODES:
            self.image_shifter = nn.ModuleDict(
                {mouse: ImageShifter(args) for mouse in args["output_shapes"]}
            )
        self.resizes = args["resize_image"] == 1 and args["ds_name"] != "franke2022"
        self.appends_behavior = args["behavior_mode"] == 1
        self.output_shape: Shape = (
            channels + 3 * self.appends_behavior,
            *(RESIZED if self.resizes else (height, width)),
        )

    def forward(self, images: Tensor, mouse: str, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        grid = self.grid.expand(len(images), -1, -1, -1)
        if self.image_shifter is not None:
            grid = grid + self.image_shifter[mouse](behavior, pupil_center)[:, None, None]
        cropped = F.grid_sample(images, grid, mode="nearest", align_corners=True)
        if self.resizes:
            cropped = F.interpolate(
                cropped, RESIZED, mode="bilinear", align_corners=False, antialias=False
            )
        if self.appends_behavior:
            planes = behavior[:, :, None, None].expand(-1, -1, *cropped.shape[2:])
            cropped = torch.cat([cropped, planes], dim=1)
        return cropped


class CoreShifter(nn.Module):
    """Gaze to a shift of the readout's points."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self.register_buffer("reg_scale", torch.tensor(args["shifter_reg_scale"]))
        self.mlp = tanh_network(2, 5)

    def forward(self, pupil_center: Tensor) -> Tensor:
        return self.mlp(pupil_center)


class Gaussian2dReadout(nn.Module):
    """One point of the core's map and one weight a channel for every neuron."""

    def __init__(self, args: dict[str, Any], *, channels: int, neurons: int) -> None:
        super().__init__()
        self.register_buffer("reg_scale", torch.tensor(args["readout_reg_scale"]))
        self.predicts_points = not args["disable_grid_predictor"]
        if self.predicts_points:
            dimensions = args["grid_predictor_dim"]
            self.register_buffer("source_grid", torch.zeros(neurons, dimensions))
            self.mu_transform = nn.Sequential(
                nn.Linear(dimensions, 30), nn.ELU(), nn.Linear(30, 2), nn.Tanh()
            )
        else:
            self._mu = nn.Parameter(torch.empty(1, neurons, 1, 2).uniform_(-0.3, 0.3))
        self.sigma = nn.Parameter(torch.empty(1, neurons, 2, 2).uniform_(-0.1, 0.1))
        self.features = nn.Parameter(torch.full((1, channels, 1, neurons), 1 / channels))
        self.bias = nn.Parameter(torch.zeros(neurons))

    def forward(self, maps: Tensor, shifts: Tensor | None) -> Tensor:
        mu = self.mu_transform(self.source_grid) if self.predicts_points else self._mu[0, :, 0]
        # The clamp comes before the shift: shifted points may leave the map and read zeros.
        points = mu.clamp(-1, 1)[None].expand(len(maps), -1, -1)
        if shifts is not None:
            points = points + shifts[:, None]
        sampled = F.grid_sample(maps, points[:, :, None], align_corners=True)[..., 0]
        return (sampled * self.features[:, :, 0]).sum(dim=1) + self.bias


class ELU1(nn.Module):
    """ELU + 1."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("one", torch.tensor(1.0))

    def forward(self, values: Tensor) -> Tensor:
        return F.elu(values) + self.one


def build_core(args: dict[str, Any], input_shape: Shape) -> nn.Module:
    """Build the core that ``args["core"]`` names; its ``output_shape`` is (channels, y, x)."""
    if args["core"] != "vit" and args["behavior_mode"] == 2:
        raise ValueError("the published code refuses behavior_mode 2 in all cores but vit")
    cores = {"vit": ViT, "cct": CCT, "stn": SpatialTransformer, "stacked2d": Stacked2d}
    return cores[args["core"]](args, input_shape)


class V1TImageModel(nn.Module):
    """One core for all mice, a cropper, shifters and one readout a mouse."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        if args["readout"] != "gaussian2d":
            raise ValueError(f"this reference has no readout {args['readout']!r}")
        self.image_cropper = ImageCropper(args)
        self.core = build_core(args, self.image_cropper.output_shape)
        self.core_shifter = None
        if args["shift_mode"] in READOUT_SHIFT_MODES:
            self.core_shifter = nn.ModuleDict(
                {mouse: CoreShifter(args) for mouse in args["output_shapes"]}
            )
        channels = self.core.output_shape[0]
        self.readouts = nn.ModuleDict(
            {
                mouse: Gaussian2dReadout(args, channels=channels, neurons=neurons)
                for mouse, (neurons,) in args["output_shapes"].items()
            }
        )
        self.elu1 = ELU1()

    def forward(self, images: Tensor, mouse: str, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        cropped = self.image_cropper(images, mouse, behavior, pupil_center)
        maps = self.core(cropped, mouse, behavior, pupil_center)
        shifts = None if self.core_shifter is None else self.core_shifter[mouse](pupil_center)
        return self.elu1(self.readouts[mouse](maps, shifts))


def build(args: dict[str, Any]) -> nn.Module:
    """Build the model of a published run folder, in evaluation mode.

    Parameters
    ----------
    args : dict
        The flat mapping of ``args.yaml``; see :func:`default_args`.

    Returns
    -------
    nn.Module
        ``model(images, mouse, behavior, pupil_center)`` answers (trial, neuron) responses;
        images are (trial, channel, y, x), behavior (trial, 3): pupil dilation, its derivative and
        speed, pupil_center (trial, 2): x and y, all standardized.
    """
    return V1TImageModel(args).eval()
