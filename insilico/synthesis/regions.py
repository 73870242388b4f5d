"""Where a stimulus may differ from its background: full field, disc, surround, annulus."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from insilico.errors import ShapeError, StimulusError, UnitsError
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: One pixel has no pattern.
FEWEST_PIXELS = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """The part of the screen that a stimulus may fill, and what is seen beside it.

    Parameters
    ----------
    name : str
        Such as "center".
    weights : float array, shape (y, x)
        How much of the stimulus is seen, 0 to 1; between them lies a tapered border.
    background : float array, shape ([frame,] y, x)
        Gray levels seen where the weights are 0, and mixed in where they are below 1.
    inner_diameter_deg, outer_diameter_deg : float
        Full visual angles between which it lies; infinite where it reaches the edges of the screen.
    center_px : (float, float)
        (x, y) about which it lies.

    Raises
    ------
    ShapeError
        If weights and background do not fit each other.
    StimulusError
        If the region has fewer than :data:`FEWEST_PIXELS` pixels.
    """

    name: str
    weights: FloatArray
    background: FloatArray
    inner_diameter_deg: float = 0.0
    outer_diameter_deg: float = math.inf
    center_px: tuple[float, float] = (math.nan, math.nan)

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.background.shape[-2:] != self.weights.shape:
            raise ShapeError(
                f"the region's weights have shape {self.weights.shape} and its background "
                f"{self.background.shape}; give (y, x) and ([frame,] y, x) of one screen"
            )
        if (count := np.count_nonzero(self.mask)) < FEWEST_PIXELS:
            raise StimulusError(
                f"the region {self.name!r} at x = {self.center_px[0]:g}, y = "
                f"{self.center_px[1]:g} px, {self.inner_diameter_deg:g} to "
                f"{self.outer_diameter_deg:g} deg, holds {count} pixels of the screen; "
                f"move or widen it to hold {FEWEST_PIXELS}"
            )

    @functools.cached_property
    def mask(self) -> BoolArray:
        """Pixels (y, x) that the stimulus reaches; luminance and contrast are those in here."""
        return self.weights > 0

    def compose(self, content: np.ndarray[Any, Any]) -> FloatArray:
        """Show content in the region and the background beside it.

        Parameters
        ----------
        content : array, shape ([frame,] y, x)
            Gray levels.

        Returns
        -------
        float64 array, shape ([frame,] y, x)
            Moving where content or background is.
        """
        return np.asarray(content * self.weights + self.background * (1 - self.weights))

    def around(self, fixed: np.ndarray[Any, Any]) -> Region:
        """Return this region with another stimulus as its background.

        Parameters
        ----------
        fixed : array, shape ([frame,] y, x)
            Gray levels, such as the stimulus in the center that a surround is made for.
        """
        return dataclasses.replace(self, background=np.asarray(fixed, np.float64))


def full_field(screen: Screen) -> Region:
    """Return the whole screen."""
    return Region("full", np.ones(screen.shape), np.full(screen.shape, float(screen.gray)))


def center_disc(
    screen: Screen,
    center_px: tuple[float, float],
    diameter_deg: float,
    *,
    border_deg: float = 0.0,
) -> Region:
    """Return a disc, gray around it.

    Parameters
    ----------
    screen : Screen
        Where it is shown.
    center_px : (x, y)
        Its center, rounded to a pixel here, as published.
    diameter_deg : float
        Its full visual angle; 20 as published (ViV1T-closed-loop, ``stimulus_size``).
    border_deg : float
        Width of a raised-cosine border inside the edge; 0 is the published hard edge.

    Raises
    ------
    StimulusError
        If the center lies off the screen or the disc has too few pixels.
    UnitsError
        If a size is out of range.
    """
    return _ring(screen, "center", center_px, 0.0, diameter_deg, border_deg)


def surround(
    screen: Screen,
    center_px: tuple[float, float],
    inner_diameter_deg: float,
    *,
    outer_diameter_deg: float = math.inf,
    border_deg: float = 0.0,
) -> Region:
    """Return all that lies around a disc, as far as another disc or the edges of the screen.

    Parameters
    ----------
    screen, center_px, border_deg
        As for :func:`center_disc`.
    inner_diameter_deg : float
        Full visual angle of the disc that stays free.
    outer_diameter_deg : float
        Where it ends; 60 in the published searches. Infinite is no end.

    Raises
    ------
    StimulusError, UnitsError
        As :func:`center_disc`; also if it ends before it begins.
    """
    name = "surround" if math.isinf(outer_diameter_deg) else "annulus"
    return _ring(screen, name, center_px, inner_diameter_deg, outer_diameter_deg, border_deg)


def _ring(
    screen: Screen,
    name: str,
    center_px: tuple[float, float],
    inner_deg: float,
    outer_deg: float,
    border_deg: float,
) -> Region:
    if not bool(np.all(screen.contains(*center_px))):
        raise StimulusError(
            f"the center x = {center_px[0]:.1f}, y = {center_px[1]:.1f} px lies off the screen of "
            f"{screen.width_px} x {screen.height_px} px; choose another neuron or center"
        )
    if not 0 <= inner_deg < outer_deg:
        raise UnitsError(
            f"a region from {inner_deg:g} to {outer_deg:g} deg was asked for; let it begin at 0 or "
            "more, and end after that"
        )
    center = (float(round(center_px[0])), float(round(center_px[1])))
    x = np.arange(screen.width_px) - center[0]
    y = (np.arange(screen.height_px) - center[1])[:, None]
    distance_deg = screen.diameter_deg(np.hypot(x, y)) / 2
    inside = _edge(outer_deg / 2 - distance_deg, border_deg)
    outside = 1 - _edge(inner_deg / 2 - distance_deg, border_deg) if inner_deg > 0 else 1.0
    return Region(
        name,
        np.asarray(inside * outside, np.float64),
        np.full(screen.shape, float(screen.gray)),
        inner_diameter_deg=inner_deg,
        outer_diameter_deg=outer_deg,
        center_px=center,
    )


def _edge(depth_deg: FloatArray, border_deg: float) -> FloatArray:
    """Return 0 outside, 1 inside, and a raised cosine in a border; hard edges are strict."""
    if border_deg < 0:
        raise UnitsError(f"a border of {border_deg:g} deg was asked for; give 0 or more")
    if border_deg == 0:
        return (depth_deg > 0).astype(np.float64)
    return np.asarray((1 - np.cos(np.pi * np.clip(depth_deg / border_deg, 0, 1))) / 2)
