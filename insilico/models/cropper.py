"""The image cropper: which part of the screen a core sees, at which size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import CheckpointError
from insilico.models.shifters import MLPShifter

CropSampling = Literal["nearest", "bilinear"]

#: Hidden units and linear layers of an image shifter (V1T, src/v1t/models/image_cropper.py).
SHIFTER_HIDDEN_UNITS, SHIFTER_LAYERS = 10, 3


class ImageCropper(nn.Module):
    """Cut out the center of an image, moved with the gaze where asked, and resize it.

    Parameters
    ----------
    image_px, output_px : (int, int)
        Rows and columns of the image, and of what the core sees.
    mice : sequence of str
        Mice that have each a shifter.
    center_crop : float, default 1
        Height and width that are cut out, of the whole; in (0, 1].
    shifter_inputs : int, default 0
        Variables that move the cut-out: 2 for the gaze, more with behavior before it; 0 for none.
    sampling : {"nearest", "bilinear"}
        How pixels are cut out. "nearest" is as published, and gives the shifter no gradient: it
        stays as it was initialized.

    Attributes
    ----------
    grid : float tensor, shape (row, column, 2)
        Points (x, y) that are cut out where nothing moves them; the image is 2 wide.

    Raises
    ------
    CheckpointError
        If the crop is not in (0, 1], leaves no pixel, or there is no such sampling.

    References
    ----------
    V1T, src/v1t/models/image_cropper.py. The shift is at most what the crop leaves free, so it is
    nothing where all is seen; resizing is bilinear without antialiasing.
    """

    grid: Tensor

    def __init__(
        self,
        image_px: tuple[int, int],
        output_px: tuple[int, int],
        *,
        mice: Sequence[str] = (),
        center_crop: float = 1.0,
        shifter_inputs: int = 0,
        sampling: CropSampling = "nearest",
    ) -> None:
        super().__init__()
        if sampling not in ("nearest", "bilinear"):
            raise CheckpointError(
                f"the option crop_sampling is {sampling!r}; give nearest or bilinear"
            )
        self.image_px, self.output_px = image_px, output_px
        self.sampling = sampling
        self.max_shift = 1 - center_crop
        grid = crop_grid(image_px, center_crop)
        self.register_buffer("grid", grid, persistent=False)
        self.shows_all = center_crop == 1 and not shifter_inputs
        self.shifter: nn.ModuleDict | None = None
        if shifter_inputs:
            self.shifter = nn.ModuleDict(
                {
                    mouse: MLPShifter(
                        inputs=shifter_inputs,
                        hidden_units=SHIFTER_HIDDEN_UNITS,
                        layers=SHIFTER_LAYERS,
                    )
                    for mouse in mice
                }
            )

    def forward(self, images: Tensor, moved_by: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return what the core sees.

        Parameters
        ----------
        images : float tensor, shape (trial, channel, y, x)
            Whole images; zero outside.
        moved_by : float tensor, shape (trial, variable), optional
            What the shifter reads: behavior, if it does, then gaze; needed where there is one.
        mouse : str
            Whose shifter.

        Returns
        -------
        float tensor, shape (trial, channel, row, column)
        """
        if not self.shows_all:
            images = self._crop(images, moved_by, mouse=mouse)
        if tuple(images.shape[-2:]) == self.output_px:
            return images
        return F.interpolate(images, self.output_px, mode="bilinear", align_corners=False)

    def place_px(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return where the core's pixels lie on the image where nothing moves them.

        Returns
        -------
        scale : (float, float)
            Pixels (y, x) of the image to one of the core's.
        offset_px : (float, float)
            Place (y, x) of the center of the core's first pixel.
        """
        rows, columns = self.grid.shape[:2]
        scales, offsets = [], []
        for size, cut, shown, ends in zip(
            self.image_px,
            (rows, columns),
            self.output_px,
            (self.grid[[0, -1], 0, 1], self.grid[0, [0, -1], 0]),
            strict=True,
        ):
            first, last = ((ends.double() + 1) / 2 * (size - 1)).tolist()
            step = (last - first) / max(cut - 1, 1)
            # Resized pixels have their centers inside those that they are made of.
            scales.append(step * cut / shown)
            offsets.append(first + step * (cut / shown - 1) / 2)
        return (scales[0], scales[1]), (offsets[0], offsets[1])

    def moved_px(self, moved_by: Tensor | None, *, mouse: str = "") -> Tensor | None:
        """Return how far (trial, (y, x)) the shifter moves the cut-out, pixels of the image."""
        if self.shifter is None:
            return None
        half_px = [(size - 1) / 2 for size in reversed(self.image_px)]
        shift: Tensor = self.shifter[mouse](moved_by) * self.max_shift
        return (shift * shift.new_tensor(half_px)).flip(-1)

    def _crop(self, images: Tensor, moved_by: Tensor | None, *, mouse: str) -> Tensor:
        grid = self.grid.to(images.dtype).expand(len(images), -1, -1, -1)
        if self.shifter is not None:
            grid = grid + (self.shifter[mouse](moved_by) * self.max_shift)[:, None, None]
        return F.grid_sample(images, grid, mode=self.sampling, align_corners=True)


def crop_grid(image_px: tuple[int, int], center_crop: float) -> Tensor:
    """Return the points that a crop of the center takes.

    Parameters
    ----------
    image_px : (int, int)
        Rows and columns of the image.
    center_crop : float
        Height and width that are cut out, of the whole; in (0, 1].

    Returns
    -------
    float tensor, shape (row, column, 2)
        Points (x, y); -1 and 1 are the centers of the corner pixels. As many as fit: ``⌊crop ·
        pixels⌋`` along each axis.

    Raises
    ------
    CheckpointError
        If the crop is not in (0, 1], or leaves no pixel.

    References
    ----------
    V1T, src/v1t/models/image_cropper.py, ``build_grid``.
    """
    rows, columns = crop_shape(image_px, center_crop)
    y, x = (torch.linspace(-center_crop, center_crop, count) for count in (rows, columns))
    return torch.stack([x.expand(rows, -1), y[:, None].expand(-1, columns)], dim=2)


def crop_shape(image_px: tuple[int, int], center_crop: float) -> tuple[int, int]:
    """Return rows and columns that a crop of the center has: ``⌊crop · pixels⌋``.

    Raises
    ------
    CheckpointError
        If the crop is not in (0, 1], or leaves no pixel.
    """
    is_share = 0 < center_crop <= 1
    rows, columns = (int(size * center_crop) if is_share else 0 for size in image_px)
    if min(rows, columns) < 1:
        raise CheckpointError(
            f"the option center_crop is {center_crop}; give a number above 0 and up to 1 that "
            f"leaves pixels of {image_px[0]} x {image_px[1]}"
        )
    return rows, columns
