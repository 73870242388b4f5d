"""From an image to the vectors of its patches, in raster order."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import CheckpointError, ShapeError

PatchKind = Literal["linear", "convolution", "shifted", "normalized"]


class MappedPatches(nn.Module):
    """One linear map of each patch.

    Parameters
    ----------
    channels, width : int
        Channels of the image, and of a token.
    patch_px, stride_px : int
        Side of a patch and distance between neighbors, pixels.
    is_kaiming : bool
        Whether weights are drawn for a rectifier (Kaiming normal), not as those of any linear map.

    References
    ----------
    V1T, src/v1t/models/core/vit.py, patch modes 0 and 1: they differ in their first weights alone.
    """

    def __init__(
        self, channels: int, width: int, *, patch_px: int, stride_px: int, is_kaiming: bool = False
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, patch_px, stride=stride_px)
        if is_kaiming:
            nn.init.kaiming_normal_(self.convolution.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens (image, patch, channel) of ``images`` (image, channel, y, x)."""
        maps: Tensor = self.convolution(images)
        return maps.flatten(2).transpose(1, 2)


class NormalizedPatches(nn.Module):
    """A layer norm over each patch, then a linear map, and where asked another layer norm.

    A patch is ordered (channel, y, x).

    Parameters
    ----------
    channels, width : int
        Channels of the image, and of a token.
    patch_px, stride_px : int
        Side of a patch and distance between neighbors, pixels.
    is_shifted : bool
        Whether four copies of the image, moved diagonally by half a patch, are seen with it; the
        tokens are then not normalized again.

    References
    ----------
    V1T, src/v1t/models/core/vit.py, patch modes 2 and 3 (mode 2 fails there on images of several
    channels, ours does not); Lee et al. 2021, arXiv:2112.13492, and Kumar et al. 2023, "Dual
    PatchNorm", arXiv:2302.01327.
    """

    def __init__(
        self, channels: int, width: int, *, patch_px: int, stride_px: int, is_shifted: bool = False
    ) -> None:
        super().__init__()
        self.patch_px, self.stride_px = patch_px, stride_px
        self.is_shifted = is_shifted
        values = (5 if is_shifted else 1) * channels * patch_px**2
        self.patch_norm = nn.LayerNorm(values)
        self.linear = nn.Linear(values, width)
        self.token_norm = nn.Identity() if is_shifted else nn.LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens (image, patch, channel) of ``images`` (image, channel, y, x)."""
        if self.is_shifted:
            images = with_diagonal_shifts(images, self.patch_px // 2)
        patches = F.unfold(images, self.patch_px, stride=self.stride_px).transpose(1, 2)
        tokens: Tensor = self.token_norm(self.linear(self.patch_norm(patches)))
        return tokens


def with_diagonal_shifts(images: Tensor, pixels: int) -> Tensor:
    """Append four copies that are moved down-right, down-left, up-right and up-left.

    Parameters
    ----------
    images : float tensor, shape (image, channel, y, x)
        Zero outside.
    pixels : int
        How far they are moved.

    Returns
    -------
    float tensor, shape (image, 5 · channel, y, x)
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (pixels,) * 4)
    corners = [(top, left) for top in (0, 2 * pixels) for left in (0, 2 * pixels)]
    moved = [padded[..., top : top + height, left : left + width] for top, left in corners]
    return torch.cat([images, *moved], dim=1)


def build_patches(
    kind: PatchKind, channels: int, width: int, *, patch_px: int, stride_px: int
) -> MappedPatches | NormalizedPatches:
    """Return one way to turn patches into tokens.

    Parameters
    ----------
    kind : {"linear", "convolution", "shifted", "normalized"}
        Which one.
    channels, width : int
        Channels of the image, and of a token.
    patch_px, stride_px : int
        Side of a patch and distance between neighbors, pixels.

    Raises
    ------
    CheckpointError
        If there is no such kind.
    """
    if kind in ("linear", "convolution"):
        return MappedPatches(
            channels,
            width,
            patch_px=patch_px,
            stride_px=stride_px,
            is_kaiming=kind == "convolution",
        )
    if kind in ("shifted", "normalized"):
        return NormalizedPatches(
            channels, width, patch_px=patch_px, stride_px=stride_px, is_shifted=kind == "shifted"
        )
    raise CheckpointError(
        f"the option patches is {kind!r}; give linear, convolution, shifted or normalized"
    )


def patch_grid(image_px: tuple[int, int], *, patch_px: int, stride_px: int) -> tuple[int, int]:
    """Return rows and columns of the whole patches in an image.

    Raises
    ------
    ShapeError
        If a patch has no pixels, does not fit the image, or does not move.
    """
    if min(patch_px, stride_px) < 1 or patch_px > min(image_px):
        raise ShapeError(
            f"patches of {patch_px} px at a distance of {stride_px} px do not fit images of "
            f"{image_px[0]} x {image_px[1]} px; give patch_px and stride_px from 1, and patches "
            "that fit"
        )
    rows, columns = ((size - patch_px) // stride_px + 1 for size in image_px)
    return rows, columns


def guess_grid(patches: int) -> tuple[int, int]:
    """Guess rows and columns from the number of patches, as published V1T does.

    Rows start at the rounded-up square root and fall until they divide the number. For patches of 8
    px at a distance of 4 px, a true grid of 8 by 15, that is 10 by 12: features are then scrambled
    in space, and weights that were trained so need it.

    References
    ----------
    V1T, src/v1t/models/core/vit.py, ``find_shape``.
    """
    rows = int(patches**0.5)
    rows += rows**2 < patches
    while patches % rows:
        rows -= 1
    return rows, patches // rows
