"""The colors of attention over a stimulus: one scale for all panels of a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from insilico.figures.style import SEQUENTIAL_MAP, SIGNED_MAP

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: The stimulus lies beneath in light grays of low contrast (black and white become these), so that
#: its brightness hardly changes the colors over it.
DARKEST, BRIGHTEST = 0.66, 0.94
#: How much the map covers the stimulus where it says least and most.
LEAST_OPACITY, OPACITY = 0.1, 0.95
#: A scale reaches at least to this many times even attention, so that maps within it look even, and
#: at most to the other: a network that attends to one patch alone would leave all others alike.
LEAST_LIMIT, MOST_LIMIT = 1.1, 10.0
#: Ratios that the color bar names, and those about as far below 1.
ABOVE = (1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
BELOW = (0.98, 0.95, 0.91, 0.83, 0.67, 0.5, 0.33, 0.2, 0.1)


@dataclasses.dataclass(frozen=True)
class OverlayScale:
    """How values become colors.

    Parameters
    ----------
    array : str
        Which array of the result is drawn.
    norm : Normalize
        From values to 0 to 1.
    colors : Colormap
        Partly transparent.
    ticks : tuple of float
        Values that the color bar names.
    label : str
        Of the color bar.
    extend : {"neither", "both"}
        Whether values lie beyond the ends.
    """

    array: str
    norm: Normalize
    colors: Colormap
    ticks: tuple[float, ...]
    label: str
    extend: str = "neither"


def relative_scale(lowest: float, highest: float) -> OverlayScale:
    """Return the scale of attention relative to even attention, the same to both sides of 1.

    Parameters
    ----------
    lowest, highest : float
        Range over all panels, times that of even attention.
    """
    found = max(highest, 1 / max(lowest, 1e-12))
    limit = float(np.clip(found, LEAST_LIMIT, MOST_LIMIT))
    pairs = zip(BELOW, ABOVE, strict=True)
    inside = [pair for pair in pairs if 1 / limit <= pair[0] and pair[1] <= limit][-2:]
    ticks = (*(below for below, _ in reversed(inside)), 1.0, *(above for _, above in inside))
    strength = np.abs(np.linspace(-1, 1, 257))
    return OverlayScale(
        "relative",
        LogNorm(1 / limit, limit),
        _transparent(SIGNED_MAP, strength),
        ticks,
        "attention (times that\nof even attention)",
        "both" if found > MOST_LIMIT else "neither",
    )


def published_scale(*, is_movie: bool) -> OverlayScale:
    """Return the scale of maps that each fill it, as published code draws them."""
    rule = "of the highest\nin the frame" if is_movie else "from lowest\nto highest"
    return OverlayScale(
        "map",
        Normalize(0, 1),
        _transparent(SEQUENTIAL_MAP, np.linspace(0, 1, 257)),
        (0.0, 0.5, 1.0),
        f"attention ({rule}, as published)",
    )


def draw_overlay(axes: Axes, stimulus: Any, values: FloatArray, scale: OverlayScale) -> None:
    """Draw a stimulus (y, x) of gray levels, and values over it; NaN leaves it bare."""
    low, high = _beneath()
    axes.imshow(stimulus, cmap="gray", vmin=low, vmax=high)
    axes.imshow(values, cmap=scale.colors, norm=scale.norm)


def draw_color_bar(figure: Figure, panels: Sequence[Axes], scale: OverlayScale) -> None:
    """Draw the one color bar of some panels to their right, in colors as over a mid-gray image."""
    over = scale.colors(np.linspace(0, 1, scale.colors.N))
    gray = (DARKEST + BRIGHTEST) / 2
    solid = over[:, :3] * over[:, 3:] + gray * (1 - over[:, 3:])
    shown = ScalarMappable(scale.norm, ListedColormap(solid))
    bar = figure.colorbar(
        shown,
        ax=list(panels),
        location="right",
        shrink=0.8,
        aspect=22,
        pad=0.015,
        extend=scale.extend,
    )
    bar.set_ticks(list(scale.ticks), labels=[f"{tick:g}" for tick in scale.ticks])
    bar.ax.minorticks_off()
    bar.set_label(scale.label)
    bar.outline.set_visible(False)


def _beneath() -> tuple[float, float]:
    """Return the levels that would be black and white, so that 0 and 255 are the light grays."""
    slope = 255 / (BRIGHTEST - DARKEST)
    return -DARKEST * slope, (1 - DARKEST) * slope


def _transparent(name: str, strength: FloatArray) -> Colormap:
    """Return a color map that covers more of what lies beneath where it says more."""
    colors = colormaps[name](np.linspace(0, 1, len(strength)))
    colors[:, 3] = LEAST_OPACITY + (OPACITY - LEAST_OPACITY) * np.sqrt(strength)
    return ListedColormap(colors, name=f"{name} over a stimulus").with_extremes(bad=(0, 0, 0, 0))
