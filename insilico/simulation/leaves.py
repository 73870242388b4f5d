"""Opaque shapes painted one over the other: what dead leaves are made of."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from insilico.screen import Screen

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]
FloatArray = np.ndarray[Any, np.dtype[np.float32]]

#: Level of the few gaps between leaves: the mean of natural movies, as in the scenes.
BACKGROUND = 113.0


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One leaf in every row (a frame of a movie, or an image); all arrays of shape (row,).

    ``x_px`` and ``y_px`` are its center; ``radius_px`` its larger half axis, the same in all rows;
    ``aspect`` the ratio of the half axes; ``angle`` that of the larger axis, radians; ``level`` its
    gray level; ``texture_depth`` the amplitude of its grating, with wave vector ``texture_x``,
    ``texture_y`` in radians per pixel and ``texture_phase``.
    """

    radius_px: float
    is_box: bool
    x_px: FloatArray
    y_px: FloatArray
    aspect: FloatArray
    angle: FloatArray
    level: FloatArray
    texture_depth: FloatArray
    texture_x: FloatArray
    texture_y: FloatArray
    texture_phase: FloatArray


def paint(leaves: list[Leaf], screen: Screen, rows: int) -> ByteArray:
    """Paint leaves one over the other, each in all rows at once.

    Parameters
    ----------
    leaves : list of Leaf
        The farthest first.
    screen : Screen
        Pixels.
    rows : int
        Frames, or images.

    Returns
    -------
    uint8 array, shape (row, y, x)
        Gray levels 0-255.
    """
    largest = max((leaf.radius_px for leaf in leaves), default=0.0)
    pad = 2 * (int(np.ceil(largest * np.sqrt(2))) + 1)
    height, width = screen.shape
    canvas = np.full((rows, height + 2 * pad, width + 2 * pad), BACKGROUND, np.float32)
    for leaf in leaves:
        _paint_leaf(canvas, leaf, screen, pad)
    shown = canvas[:, pad : pad + height, pad : pad + width]
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def _paint_leaf(canvas: FloatArray, leaf: Leaf, screen: Screen, pad: int) -> None:
    """Blend one leaf into the windows of the canvas that it touches; edges are a pixel wide."""
    reach = leaf.radius_px * (np.sqrt(2) if leaf.is_box else 1)
    half = int(np.ceil(reach)) + 1
    left = np.rint(leaf.x_px).astype(int)
    top = np.rint(leaf.y_px).astype(int)
    row = np.flatnonzero(
        (left + half >= 0)
        & (left - half < screen.width_px)
        & (top + half >= 0)
        & (top - half < screen.height_px)
    )
    if len(row) == 0:
        return
    side = 2 * half + 1
    windows = np.lib.stride_tricks.sliding_window_view(canvas, (side, side), (1, 2), writeable=True)
    place = (row, top[row] - half + pad, left[row] - half + pad)
    offset = np.arange(-half, half + 1, dtype=np.float32)
    right = (offset + (left - leaf.x_px)[row, None].astype(np.float32))[:, None, :]
    down = (offset + (top - leaf.y_px)[row, None].astype(np.float32))[:, :, None]
    below = windows[place]
    level = _levels(leaf, row, right, down)
    below += _opacity(leaf, row, right, down) * (level - below)
    windows[place] = below


def _opacity(leaf: Leaf, row: Any, right: FloatArray, down: FloatArray) -> FloatArray:
    """Return 1 inside, 0 outside, and in between the share of the pixel that is covered."""
    cosine, sine = np.cos(leaf.angle[row])[:, None, None], np.sin(leaf.angle[row])[:, None, None]
    long = leaf.radius_px
    short = leaf.radius_px * leaf.aspect[row][:, None, None]
    along = right * cosine + down * sine
    across = down * cosine - right * sine
    if leaf.is_box:
        outside = np.maximum(np.abs(along) - long, np.abs(across) - short)
    else:
        outside = (np.sqrt((along / long) ** 2 + (across / short) ** 2) - 1) * short
    return np.asarray(np.clip(0.5 - outside, 0, 1))


def _levels(leaf: Leaf, row: Any, right: FloatArray, down: FloatArray) -> FloatArray:
    level = leaf.level[row][:, None, None]
    depth = leaf.texture_depth[row]
    if not depth.any():
        return level
    kx, ky = leaf.texture_x[row][:, None, None], leaf.texture_y[row][:, None, None]
    phase = leaf.texture_phase[row][:, None, None]
    return np.asarray(level + depth[:, None, None] * np.sin(kx * right + ky * down + phase))
