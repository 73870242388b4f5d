"""Pictures of any size on the pixels of a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from insilico.screen import Screen

Array = np.ndarray[Any, Any]
#: Left, top, right and bottom edge in pixels.
Box = tuple[float, float, float, float]

#: Averages all that falls on a pixel, without the ringing of wider filters, which would add levels
#: beyond those of the picture.
FILTER = Image.Resampling.HAMMING


def fit_to_screen(frames: Array, screen: Screen, box: Box | None = None) -> Array:
    """Cut frames to the shape of a screen and resize them to its pixels.

    Parameters
    ----------
    frames : uint8 or floating array, shape (frame, y, x)
        Gray levels.
    screen : Screen
        Whose pixels.
    box : (left, top, right, bottom), optional
        What is cut out, of the shape of the screen; by default the largest part in the middle.

    Returns
    -------
    array, shape (frame, y, x)
        uint8 of uint8, else float32. Frames that have the pixels of the screen stay as they are.
    """
    if frames.shape[-2:] == screen.shape and box is None:
        return frames
    edges = largest_box(frames.shape[-2:], screen) if box is None else box
    size = (screen.width_px, screen.height_px)
    levels = frames if frames.dtype == np.uint8 else frames.astype(np.float32)
    resized = [Image.fromarray(frame).resize(size, FILTER, box=edges) for frame in levels]
    return np.stack([np.asarray(frame) for frame in resized])


def largest_box(shape: tuple[int, int], screen: Screen) -> Box:
    """Return the largest part in the middle of a picture (y, x) that has a screen's shape."""
    height, width = shape
    scale = min(width / screen.width_px, height / screen.height_px)
    cut_height, cut_width = screen.height_px * scale, screen.width_px * scale
    left, top = (width - cut_width) / 2, (height - cut_height) / 2
    return within((left, top, left + cut_width, top + cut_height), shape)


def within(box: Box, shape: tuple[int, ...]) -> Box:
    """Return a part of a picture (y, x) that rounding has not moved beyond its edges."""
    left, top, right, bottom = box
    height, width = shape
    return max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
