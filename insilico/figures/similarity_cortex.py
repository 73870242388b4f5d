"""Where in cortex neurons prefer what: maps of preference and of selectivity."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from insilico.figures.galleries import is_ok
from insilico.figures.panels import letter_panels, point_size
from insilico.figures.similarity import UM, plot_along
from insilico.figures.style import PAGE_WIDTH_IN, SEQUENTIAL_MAP, new_axes, style
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Colors in a ring, of about one lightness: angles have no lowest value, and no color is missing to
#: any kind of color vision altogether (hues of Okabe & Ito 2008).
CYCLIC_COLORS = ("#0072B2", "#CC79A7", "#D55E00", "#E6B000", "#009E73", "#0072B2")
#: Points beyond this number are drawn as a bitmap within a drawing.
RASTER_COUNT = 1000
#: Lengths a scale bar may have, micrometers; the longest below a third of the map is taken.
BARS_UM = (10, 20, 50, 100, 200, 500, 1000)


@style()
def plot_cortex(result: Result) -> Figure:
    """Draw the selected neurons where they lie, by what they prefer and by how selective they are.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.78 * PAGE_WIDTH_IN))
    layout: list[Any] = [["map"] * 2 + ["side"] * 2, ["index"] * 2 + ["x", "y"]]
    panels = figure.subplot_mosaic(layout)
    plot_preference_map(result, panels["map"])
    plot_preference_map(result, panels["side"], is_side=True)
    plot_selectivity_map(result, panels["index"])
    for name in ("x", "y"):
        plot_along(result, f"{name}_um", panels[name])
        panels[name].set_title(f"selectivity along {name}")
    letter_panels(panels.values())
    return figure


@style()
def plot_preference_map(result: Result, axes: Axes | None = None, *, is_side: bool = False) -> Axes:
    """Draw the selected neurons in cortex, colored by their preferred direction or orientation.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    axes : Axes, optional
        Where; a new figure when left out.
    is_side : bool
        Seen from the side, depth downward, and not from above.

    Returns
    -------
    Axes
        Angles of the summed response vector. Without axes; the bar gives the scale.
    """
    axes = new_axes(axes)
    table = result.neurons[is_ok(result.neurons)]
    is_direction = bool(result.neurons["preferred_direction_deg"].notna().any())
    name, period = ("direction", 360) if is_direction else ("orientation", 180)
    values = table[f"preferred_{name}_deg"].to_numpy(float)
    other = "depth_um" if is_side else "y_um"
    scale = ScalarMappable(Normalize(0, period), _cyclic())
    # Depth grows downward.
    up = -1 if is_side else 1
    places = table["x_um"].to_numpy(float), up * table[other].to_numpy(float)
    _scatter(axes, *places, values, scale)
    seen = "from the side, depth downward" if is_side else "from above"
    axes.set_title(f"{seen}, N = {len(table):,}")
    _add_bar(axes, scale, f"preferred {name} (deg)", list(np.arange(0, period + 1, period / 4)))
    return axes


@style()
def plot_selectivity_map(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the selected neurons from above, colored by their orientation selectivity.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
    axes = new_axes(axes)
    table = result.neurons[is_ok(result.neurons)]
    scale = ScalarMappable(Normalize(0, 1), SEQUENTIAL_MAP)
    places = table["x_um"].to_numpy(float), table["y_um"].to_numpy(float)
    _scatter(axes, *places, table["osi"].to_numpy(float), scale)
    axes.set_title(f"from above, N = {len(table):,}")
    _add_bar(axes, scale, "OSI", [0, 0.5, 1])
    return axes


def _cyclic() -> Colormap:
    return LinearSegmentedColormap.from_list("angles", CYCLIC_COLORS)


def _scatter(
    axes: Axes, x: FloatArray, y: FloatArray, values: FloatArray, scale: ScalarMappable
) -> None:
    axes.scatter(
        x,
        y,
        c=scale.to_rgba(values),
        s=1.5 * point_size(len(x)),
        linewidth=0,
        rasterized=len(x) >= RASTER_COUNT,
    )
    axes.set(aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if len(x):
        _draw_scale(axes, x, y)


def _draw_scale(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    """Draw a scale bar below the lower left corner."""
    width = max(float(np.ptp(x)), BARS_UM[0] * 3.0)
    length = max(bar for bar in BARS_UM if bar <= width / 3)
    margin = 0.06 * max(width, float(np.ptp(y)))
    left, bottom = x.min(), y.min() - margin
    axes.plot([left, left + length], [bottom, bottom], color="black", linewidth=1.5)
    axes.annotate(
        f"{length:g} {UM}",
        (left + length, bottom),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
    )


def _add_bar(axes: Axes, scale: ScalarMappable, label: str, ticks: list[float]) -> None:
    bar = axes.figure.colorbar(scale, ax=axes, shrink=0.6, aspect=18, pad=0.02, ticks=ticks)
    bar.set_label(label)
    bar.outline.set_visible(False)
