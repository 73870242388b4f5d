"""Empty frames and discs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from insilico.screen import Screen


def blank(
    screen: Screen, *, frame_count: int | None = None, dtype: DTypeLike = np.uint8
) -> np.ndarray[Any, Any]:
    """Draw the gray of an empty screen.

    Returns
    -------
    array, shape ([frame,] y, x)
        The screen's gray level everywhere.
    """
    shape = screen.shape if frame_count is None else (frame_count, *screen.shape)
    return np.full(shape, screen.gray, dtype)


def disc(
    screen: Screen, *, diameter_deg: float, center_px: tuple[float, float] | None = None
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mark the pixels inside a disc with a hard edge.

    Parameters
    ----------
    screen : Screen
        Geometry; the tangent law gives the radius about the screen center, and discs elsewhere
        keep that radius.
    diameter_deg : float
        Full visual angle; 0 is an empty disc.
    center_px : (x, y), optional
        Center in pixels; ``(W // 2, H // 2)`` when omitted, as published: half a pixel right of
        and below the true center of a screen with even sides.

    Returns
    -------
    bool array, shape (y, x)
        True strictly inside the radius.

    Raises
    ------
    UnitsError
        If the diameter is negative or reaches 180 degrees.

    References
    ----------
    ViV1T-closed-loop, viv1t/utils/stimulus.py.
    """
    radius = screen.radius_px(diameter_deg)
    x_px, y_px = center_px or (screen.width_px // 2, screen.height_px // 2)
    x = np.arange(screen.width_px) - x_px
    y = (np.arange(screen.height_px) - y_px)[:, None]
    return np.asarray(np.sqrt(x**2 + y**2) < radius)
