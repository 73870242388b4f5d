"""Receptive fields: maps with their fits, and where on the screen a population looks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from insilico.figures.galleries import (
    GALLERY_COLUMNS,
    GALLERY_COUNT,
    IntArray,
    draw_gallery,
    gallery_rows,
    is_ok,
    spread_over_ranks,
)
from insilico.figures.maps import (
    AZIMUTH_LABEL,
    ELEVATION_LABEL,
    plot_color_scale,
    plot_map,
    screen_of,
    used_reliability,
)
from insilico.figures.panels import (
    bin_count_for,
    join_counts,
    letter_panels,
    ok_neurons,
    plot_histogram,
    plot_status,
    point_size,
    upper_limit,
)
from insilico.figures.style import (
    GRAY,
    LIGHT_GRAY,
    PAGE_WIDTH_IN,
    SEQUENTIAL_MAP,
    cycle_color,
    new_axes,
    style,
)
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Larger clouds of points are drawn as pixels within vector files, which stay small.
RASTER_COUNT = 2000

#: The two maps of a neuron, in the order in which they are drawn.
MAPS = ("linear", "energy")


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw maps of single neurons, each with its fit.

    Every panel shows the map that the fit used on the part of the screen around the center, the
    fitted Gaussian at one standard deviation and its center. Each map has its own color scale:
    linear maps are symmetric about 0, energy maps run from their lowest to their highest value.
    Chosen as :func:`default_rows` says; see :mod:`insilico.figures.galleries`.
    """
    rows = gallery_rows(result, neurons, default_rows(result.neurons))
    figure = draw_gallery(
        result,
        rows,
        plot_map,
        xlabel=AZIMUTH_LABEL,
        ylabel=ELEVATION_LABEL,
        panel_height_in=1.65,
    )
    panels = list(figure.axes)
    is_energy = (result.neurons["map_used"].iloc[rows] == "energy").to_numpy()
    # Two scales stand one above the other where there are two rows of panels to stand beside.
    has_two = is_energy.any() and not is_energy.all() and len(panels) > GALLERY_COLUMNS
    first = GALLERY_COLUMNS * (math.ceil(len(panels) / GALLERY_COLUMNS) // 2) if has_two else None
    if not is_energy.all():
        units = result.arrays["linear_map"].attrs["units"]
        plot_color_scale(figure, panels[:first], is_energy=False, units=units)
    if is_energy.any():
        units = result.arrays["energy_map"].attrs["units"]
        beside = panels[first:] if has_two else panels
        plot_color_scale(figure, beside, is_energy=True, units=units)
    return figure


@style()
def plot_population(result: Result) -> Figure:
    """Draw where a population looks, how wide its fields are, and how many could be mapped.

    With two more panels where every neuron's place in cortex is known.
    """
    has_cortex = has_positions(result.neurons)
    layout: list[Any] = [["centers", "status"], ["widths", "reliability"]]
    if has_cortex:
        layout = [["centers", "azimuth", "elevation"], ["widths", "reliability", "status"]]
    height_in = 0.56 * PAGE_WIDTH_IN if has_cortex else 0.68 * PAGE_WIDTH_IN
    figure = Figure(figsize=(PAGE_WIDTH_IN, height_in))
    # The screen is wider than cortex is.
    panels = figure.subplot_mosaic(layout, width_ratios=[1.25, 1, 1] if has_cortex else None)
    plot_centers(result, panels["centers"])
    plot_widths(result, panels["widths"])
    plot_reliability(result, panels["reliability"])
    plot_status(result, panels["status"])
    if has_cortex:
        plot_cortex(result, "azimuth", panels["azimuth"])
        plot_cortex(result, "elevation", panels["elevation"])
    letter_panels(panels.values())
    return figure


@style()
def plot_centers(result: Result, axes: Axes | None = None) -> Axes:
    """Draw fitted centers on the screen, colored by the reliability of the map that was used.

    In degrees, with the outline of the monitor. The title counts the neurons without a center.
    """
    axes = new_axes(axes)
    draw_centers(
        result,
        axes,
        used_reliability(result.neurons),
        limits=(0, 1),
        label="reliability of the map",
    )
    return axes


def draw_centers(
    result: Result,
    axes: Axes,
    values: FloatArray,
    *,
    limits: tuple[float, float],
    label: str,
    color_map: str = SEQUENTIAL_MAP,
    lost: tuple[str, str] = ("off_screen", "off the screen"),
) -> None:
    """Draw the centers of neurons of status "ok" on the screen, and count the others.

    Parameters
    ----------
    result : Result
        With ``x_deg`` and ``y_deg`` in its neurons table, and the screen with its arrays.
    axes : Axes
        Where.
    values : float array, shape (neuron,)
        Shown by color.
    limits : (float, float)
        Of the colors.
    label : str
        Of the color scale.
    color_map : str
        Of matplotlib.
    lost : (str, str)
        A status that is counted by itself, and its words.
    """
    table, screen = result.neurons, screen_of(result)
    ok = is_ok(table)
    places = table.loc[ok, ["x_deg", "y_deg"]]
    scale = _scatter(axes, places, values[ok], limits=limits, color_map=color_map)
    edges_x, edges_y = screen.position_deg(
        [-0.5, screen.width_px - 0.5], [screen.height_px - 0.5, -0.5]
    )
    outline = Rectangle(
        (edges_x[0], edges_y[0]), np.ptp(edges_x), np.ptp(edges_y), fill=False, edgecolor=GRAY
    )
    axes.add_patch(outline)
    axes.axhline(0, color=LIGHT_GRAY, linewidth=0.5, zorder=0)
    axes.axvline(0, color=LIGHT_GRAY, linewidth=0.5, zorder=0)
    axes.set(xlim=1.06 * edges_x, ylim=1.06 * edges_y, aspect="equal")
    axes.set(xticks=_ticks_within(edges_x), yticks=_ticks_within(edges_y))
    axes.set(xlabel=AZIMUTH_LABEL, ylabel=ELEVATION_LABEL)
    lost_count = int((table["status"] == lost[0]).sum())
    counts = [
        (int(ok.sum()), "centers"),
        (lost_count, lost[1]),
        (int((~ok).sum()) - lost_count, "not ok"),
    ]
    axes.set_title(join_counts(counts))
    _color_bar(axes, scale, label, extend="neither")


@style()
def plot_widths(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of both standard deviations of the fitted Gaussians, in degrees."""
    axes = new_axes(axes)
    table = ok_neurons(result)
    widths = {"major axis": table["sigma_major_deg"], "minor axis": table["sigma_minor_deg"]}
    plot_histogram(
        axes,
        widths,
        limits=(0, upper_limit(pd.concat(list(widths.values())), step=2)),
        bin_count=bin_count_for(len(table)),
        title="width",
        xlabel="standard deviation of the field (deg)",
    )
    return axes


@style()
def plot_reliability(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the split-half reliability of both maps, and the threshold.

    All neurons are counted.
    """
    axes = new_axes(axes)
    table = result.neurons
    groups = {f"{name} map": table[f"{name}_reliability"] for name in MAPS}
    lowest = np.nanmin(np.concatenate([np.append(values, 0) for values in groups.values()]))
    limits = (float(np.floor(lowest * 10) / 10), 1.0)
    minimum = [float(result.protocol[f"minimum_{name}_reliability"]) for name in MAPS]
    plot_histogram(
        axes,
        groups,
        limits=limits,
        bin_count=round((limits[1] - limits[0]) / 0.05),
        title="reliability of the maps",
        xlabel="split-half correlation",
        remark=f"fitted from {minimum[0]:g} and {minimum[1]:g} (dashed)",
    )
    # It ends below the legend.
    for index, place in enumerate(minimum):
        color = cycle_color(index)
        axes.axvline(place, ymax=0.75, color=color, linestyle="--", linewidth=0.8)
    return axes


@style()
def plot_cortex(result: Result, coordinate: str, axes: Axes | None = None) -> Axes:
    """Draw neurons where they lie in cortex, colored by where they look.

    Their table has ``x_um`` and ``y_um``. Arguments as in :mod:`insilico.figures.panels`, and:

    Parameters
    ----------
    coordinate : {"azimuth", "elevation"}
        What the color shows.
    """
    axes = new_axes(axes)
    table = ok_neurons(result)
    values = table[{"azimuth": "x_deg", "elevation": "y_deg"}[coordinate]].to_numpy(float)
    limits = np.quantile(values, [0.02, 0.98]) if len(values) else np.array([0.0, 1.0])
    scale = _scatter(axes, table[["x_um", "y_um"]], values, limits=(limits[0], limits[1]))
    axes.set(xlabel="cortex x (µm)", ylabel="cortex y (µm)", aspect="equal")
    axes.set_title(f"{coordinate}, N = {len(table):,}")
    _color_bar(axes, scale, f"{coordinate} (deg)", extend="both")
    return axes


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of neurons of status "ok", spread over the reliability of their maps.

    Half with a linear and half with an energy map as far as there are. Neurons of any status where
    none is "ok".
    """
    ok = is_ok(table)
    candidates = np.flatnonzero(ok) if ok.any() else np.arange(len(table))
    is_energy = (table["map_used"].iloc[candidates] == "energy").to_numpy()
    groups = [candidates[~is_energy], candidates[is_energy]]
    half = GALLERY_COUNT // 2
    shares = [GALLERY_COUNT - min(half, len(groups[1])), GALLERY_COUNT - min(half, len(groups[0]))]
    reliability = np.nan_to_num(used_reliability(table), nan=-1)
    chosen = [
        group[spread_over_ranks(reliability[group], share)]
        for group, share in zip(groups, shares, strict=True)
    ]
    return np.concatenate(chosen)


def has_positions(table: pd.DataFrame) -> bool:
    """Whether every neuron's place in cortex is known."""
    columns = {"x_um", "y_um"}
    return columns <= set(table) and bool(table[sorted(columns)].notna().to_numpy().all())


def _scatter(
    axes: Axes,
    places: pd.DataFrame,
    values: FloatArray,
    *,
    limits: tuple[float, float],
    color_map: str = SEQUENTIAL_MAP,
) -> ScalarMappable:
    x, y = places.to_numpy(float).T
    axes.scatter(
        x,
        y,
        c=values,
        cmap=color_map,
        vmin=limits[0],
        vmax=limits[1],
        s=point_size(len(places)),
        linewidth=0,
        alpha=0.9 if len(places) < RASTER_COUNT else 0.6,
        rasterized=len(places) >= RASTER_COUNT,
    )
    # Points are transparent; the colors of a scale are not.
    return ScalarMappable(Normalize(*limits), color_map)


def _color_bar(axes: Axes, scale: ScalarMappable, label: str, *, extend: str) -> None:
    # The panel keeps to the top of its place, where those beside it begin.
    axes.set_anchor("N")
    bar = axes.figure.colorbar(
        scale, ax=axes, shrink=0.7, aspect=18, pad=0.02, extend=extend, anchor=(0, 0.8)
    )
    bar.set_label(label)
    bar.outline.set_visible(False)


def _ticks_within(ends: FloatArray) -> FloatArray:
    reach = int(min(-ends[0], ends[1]) // 20)
    return 20 * np.arange(-reach, reach + 1, dtype=float)
