"""Single dots with a Gaussian profile, brighter or darker than the gray around them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Standard deviations in the radius at which a Gaussian has fallen to half of its height.
HALF_HEIGHT_SD = float(np.sqrt(2 * np.log(2)))


def dot_profiles(
    screen: Screen, *, x_px: ArrayLike, y_px: ArrayLike, radius_px: ArrayLike
) -> FloatArray:
    """Return the profile of each dot, 1 at its center.

    Parameters
    ----------
    screen : Screen
        Pixels of a frame.
    x_px, y_px : float array, shape (dot,)
        Center, pixels from the top left, y down.
    radius_px : float array, shape (dot,)
        At half height, > 0.

    Returns
    -------
    float array, shape (dot, y, x)
        0 to 1.

    Raises
    ------
    ShapeError
        If the parameters are not one-dimensional and of one length.
    UnitsError
        If a radius is not above 0.
    """
    values = [np.asarray(value, np.float64) for value in (x_px, y_px, radius_px)]
    if len({value.shape for value in values}) != 1 or values[0].ndim != 1:
        raise ShapeError(
            f"dots of the shapes {[value.shape for value in values]}; give one center and radius a "
            "dot"
        )
    if not np.all(values[2] > 0):
        raise UnitsError(f"a dot of radius {values[2].min()} px; give radii above 0")
    x, y, radius = (value[:, None, None] for value in values)
    sigma = radius / HALF_HEIGHT_SD
    across = np.arange(screen.width_px) - x
    down = np.arange(screen.height_px)[:, None] - y
    return np.asarray(np.exp(-(across**2 + down**2) / (2 * sigma**2)))


def gaussian_dots(
    screen: Screen,
    *,
    x_px: ArrayLike,
    y_px: ArrayLike,
    radius_px: ArrayLike,
    polarity: ArrayLike,
    amplitude: float,
) -> FloatArray:
    """Draw one dot a frame on the screen's gray.

    Parameters
    ----------
    screen, x_px, y_px, radius_px
        As for :func:`dot_profiles`.
    polarity : float array, shape (dot,)
        1 for white, -1 for black.
    amplitude : float
        Gray levels between the center of a dot and the gray around it, 0 to 127.

    Returns
    -------
    float array, shape (dot, y, x)
        Gray levels 0-255, not rounded.

    Raises
    ------
    ShapeError, UnitsError
        As :func:`dot_profiles`, or if a polarity is neither 1 nor -1.
    """
    sign = np.asarray(polarity, np.float64)
    if not np.all(np.abs(sign) == 1):
        raise UnitsError(f"dots of polarity {np.unique(sign)}; give 1 for white and -1 for black")
    profiles = dot_profiles(screen, x_px=x_px, y_px=y_px, radius_px=radius_px)
    return np.asarray(screen.gray + amplitude * sign[:, None, None] * profiles)
