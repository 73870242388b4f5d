"""Receptive fields: maps with their fits, and where on the screen a population looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from insilico.figures.panels import (
    GALLERY_COUNT,
    IntArray,
    bin_count_for,
    gallery_rows,
    is_ok,
    join_counts,
    label_degrees,
    letter_panels,
    new_gallery,
    note,
    plot_histogram,
    plot_status,
    point_size,
    spread_over_ranks,
)
from insilico.figures.style import (
    GRAY,
    LIGHT_GRAY,
    PAGE_WIDTH_IN,
    SEQUENTIAL_MAP,
    SIGNED_MAP,
    new_axes,
    style,
)
from insilico.fits.gaussian import ellipse_outline
from insilico.results import Result
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Pixels to each side of the center that a gallery shows. Fields are a few pixels wide.
CROP_PX = 11.0
#: A wider field is shown to this many standard deviations.
CROP_SD = 1.5
#: Larger clouds of points are drawn as pixels within vector files, which stay small.
RASTER_COUNT = 2000


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw maps of single neurons, each with its fit.

    Every panel shows the map that the fit used, the part of the screen around the center, the fitted
    Gaussian at one standard deviation and its center. Each map has its own color scale: linear maps
    are symmetric about 0, energy maps run from their lowest to their highest value.

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment.
    neurons : iterable of int, optional
        Indices in the mouse. When left out, up to 12 neurons with status "ok", half with a linear and
        half with an energy map as far as there are, evenly spaced in the rank of their reliability
        from best to worst. Neurons of any status where none is "ok".

    Returns
    -------
    Figure

    Raises
    ------
    NotFittedError
        If the result does not hold a neuron.
    """
    rows = gallery_rows(result, neurons, default_rows(result.neurons))
    figure, panels = new_gallery(len(rows), panel_height_in=1.65)
    for axes, row in zip(panels, rows, strict=True):
        plot_map(result, int(result.neurons["neuron"].iloc[row]), axes)
        axes.set(xlabel="", ylabel="")
    figure.supxlabel("azimuth (deg)", fontsize="medium")
    figure.supylabel("elevation (deg)", fontsize="medium")
    shown = set(result.neurons["map_used"].iloc[rows])
    if shown - {"energy"}:
        _color_scale(figure, panels, SIGNED_MAP, "linear map (correlation)", _SIGNED_TICKS)
    if "energy" in shown:
        _color_scale(figure, panels, SEQUENTIAL_MAP, "energy map (correlation)", _RANGE_TICKS)
    return figure


@style()
def plot_map(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's map with its fit.

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment.
    neuron : int
        Index in the mouse.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Its data are pixels from the top left, y down; the ticks are in degrees. A neuron without a
        fit shows its linear map on the whole screen.

    Raises
    ------
    NotFittedError
        If the result does not hold the neuron.
    """
    row = result.row(neuron)
    fit = result.neurons.iloc[row]
    screen = screen_of(result)
    axes = new_axes(axes)
    shown = _shown_map(result, row)
    axes.imshow(
        shown.values, cmap=shown.color_map, vmin=shown.limits[0], vmax=shown.limits[1],
        extent=shown.extent, origin="upper",
    )
    halo = [withStroke(linewidth=2.2, foreground="white")]
    if np.isfinite(fit["x_px"]):
        outline = ellipse_outline(fit)
        axes.plot(*outline, color="black", linewidth=0.9, path_effects=halo, label="fit, 1 SD")
        axes.plot(
            fit["x_px"], fit["y_px"], "+", color="black", markersize=4, markeredgewidth=0.8,
            path_effects=halo, label="center",
        )
    left, right, top, bottom = crop(fit, screen)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.spines[:].set_visible(True)
    label_degrees(axes, screen)
    axes.set(xlabel="azimuth (deg)", ylabel="elevation (deg)", title=_title(fit))
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw where a population looks, how wide its fields are, and how many could be mapped.

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment, with any number of neurons.

    Returns
    -------
    Figure
        With two more panels where every neuron's place in cortex is known.
    """
    has_cortex = has_positions(result.neurons)
    layout = [["centers", "status"], ["widths", "reliability"]]
    if has_cortex:
        layout = [["centers", "azimuth", "elevation"], ["widths", "reliability", "status"]]
    height_in = 0.56 * PAGE_WIDTH_IN if has_cortex else 0.68 * PAGE_WIDTH_IN
    figure = Figure(figsize=(PAGE_WIDTH_IN, height_in))
    panels = figure.subplot_mosaic(layout)
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

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        In degrees, with the outline of the monitor. Only neurons of status "ok" are drawn; the title
        counts the others.
    """
    table, screen = result.neurons, screen_of(result)
    axes = new_axes(axes)
    ok = is_ok(table)
    points = _scatter(
        axes, table.loc[ok, ["x_deg", "y_deg"]], used_reliability(table)[ok], limits=(0, 1)
    )
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
    axes.set(xlabel="azimuth (deg)", ylabel="elevation (deg)")
    off_screen = int((table["status"] == "off_screen").sum())
    counts = [
        (int(ok.sum()), "centers"),
        (off_screen, "off the screen"),
        (int((~ok).sum()) - off_screen, "not fitted"),
    ]
    axes.set_title(join_counts(counts))
    bar = axes.figure.colorbar(points, ax=axes, shrink=0.7, aspect=18, pad=0.02)
    bar.set_label("split-half reliability")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return axes


@style()
def plot_widths(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of both standard deviations of the fitted Gaussians, in degrees.

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment; neurons of status "ok" are counted.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
    axes = new_axes(axes)
    table = result.neurons[is_ok(result.neurons)]
    widths = {"major axis": table["sigma_major_deg"], "minor axis": table["sigma_minor_deg"]}
    values = np.concatenate([np.asarray(width, float) for width in widths.values()])
    # A few very wide fits should not squeeze everybody else into two bins.
    highest = float(np.quantile(values, 0.995)) if len(values) else 10.0
    limits = (0.0, float(np.ceil(highest * 1.05)))
    plot_histogram(axes, widths, limits=limits, bin_count=bin_count_for(len(table)))
    axes.set(xlabel="standard deviation of the field (deg)", title="width")
    return axes


@style()
def plot_reliability(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the split-half reliability of both maps, and the threshold.

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment; all neurons are counted.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
    axes = new_axes(axes)
    table = result.neurons
    groups = {f"{name} map": table[f"{name}_reliability"] for name in ("linear", "energy")}
    lowest = np.nanmin(np.concatenate([np.append(values, 0) for values in groups.values()]))
    limits = (float(np.floor(lowest * 10) / 10), 1.0)
    plot_histogram(axes, groups, limits=limits, bin_count=round((limits[1] - limits[0]) / 0.05))
    minimum = float(result.protocol["minimum_reliability"])
    axes.axvline(minimum, color="black", linestyle="--", linewidth=0.8)
    axes.set(xlabel="split-half reliability (r)", title=f"maps; fitted from r = {minimum:g}")
    return axes


@style()
def plot_cortex(result: Result, coordinate: str, axes: Axes | None = None) -> Axes:
    """Draw neurons where they lie in cortex, colored by where they look.

    Parameters
    ----------
    result : Result
        Of the retinotopy experiment, with ``x_um`` and ``y_um`` in its neurons table.
    coordinate : {"azimuth", "elevation"}
        What the color shows.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Only neurons of status "ok" are drawn.
    """
    axes = new_axes(axes)
    table = result.neurons[is_ok(result.neurons)]
    values = table[{"azimuth": "x_deg", "elevation": "y_deg"}[coordinate]].to_numpy(float)
    limits = np.quantile(values, [0.02, 0.98]) if len(values) else np.array([0.0, 1.0])
    points = _scatter(axes, table[["x_um", "y_um"]], values, limits=(limits[0], limits[1]))
    axes.set(xlabel="cortex x (µm)", ylabel="cortex y (µm)", aspect="equal")
    axes.set_title(f"{coordinate}, N = {len(table):,}")
    bar = axes.figure.colorbar(points, ax=axes, shrink=0.7, aspect=18, pad=0.02, extend="both")
    bar.set_label(f"{coordinate} (deg)")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return axes


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of the neurons that a gallery shows by itself; see :func:`plot_gallery`."""
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


def used_reliability(table: pd.DataFrame) -> FloatArray:
    """Return the reliability of the map that each fit used; of the better one where none was."""
    linear, energy = (table[f"{name}_reliability"].to_numpy(float) for name in ("linear", "energy"))
    used = table["map_used"].to_numpy()
    return np.select([used == "linear", used == "energy"], [linear, energy], np.fmax(linear, energy))


def has_positions(table: pd.DataFrame) -> bool:
    """Whether every neuron's place in cortex is known."""
    columns = {"x_um", "y_um"}
    return columns <= set(table) and bool(table[sorted(columns)].notna().to_numpy().all())


def screen_of(result: Result) -> Screen:
    """Return the screen that the maps belong to; their data set carries its fields."""
    names = [field.name for field in dataclasses.fields(Screen)]
    return Screen.from_dict({name: result.arrays.attrs[name] for name in names})


def crop(fit: pd.Series, screen: Screen) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of the part of the screen to show, pixels."""
    if not np.isfinite(fit["x_px"]):
        return -0.5, screen.width_px - 0.5, -0.5, screen.height_px - 0.5
    half = max(CROP_PX, CROP_SD * float(fit["sigma_major_px"]))
    sides: list[float] = []
    for center, length in ((fit["x_px"], screen.width_px), (fit["y_px"], screen.height_px)):
        size = min(2 * half, length)
        # At the edge the window moves inward, so that all panels have one scale.
        first = float(np.clip(center - half, -0.5, length - 0.5 - size))
        sides += [first, first + size]
    return sides[0], sides[1], sides[2], sides[3]


@dataclasses.dataclass(frozen=True)
class _ShownMap:
    values: FloatArray
    extent: tuple[float, float, float, float]
    color_map: str
    limits: tuple[float, float]


def _shown_map(result: Result, row: int) -> _ShownMap:
    """Return the map that the fit used, with its place on the screen in pixels."""
    is_energy = result.neurons["map_used"].iloc[row] == "energy"
    name, prefix = ("energy_map", "grid_") if is_energy else ("linear_map", "")
    values = result.arrays[name].isel(neuron=row).to_numpy().astype(float)
    x_px, y_px = (result.arrays[f"{prefix}{axis}_px"].to_numpy() for axis in ("x", "y"))
    half = float(x_px[1] - x_px[0]) / 2
    extent = (
        float(x_px[0]) - half, float(x_px[-1]) + half, float(y_px[-1]) + half, float(y_px[0]) - half
    )
    if is_energy:
        return _ShownMap(values, extent, SEQUENTIAL_MAP, (float(values.min()), float(values.max())))
    # A silent neuron's map is 0 everywhere and needs limits all the same.
    peak = float(np.abs(values).max()) or 1.0
    return _ShownMap(values, extent, SIGNED_MAP, (-peak, peak))


def _title(fit: pd.Series) -> str:
    used = fit["map_used"]
    reliability = used_reliability(fit.to_frame().T)[0]
    parts = [f"neuron {fit['neuron']}", "linear" if used == "none" else used, f"r = {reliability:.2f}"]
    if fit["status"] != "ok":
        parts.append(str(fit["status"]).replace("_", " "))
    return " · ".join(parts)


def _scatter(
    axes: Axes, places: pd.DataFrame, values: FloatArray, *, limits: tuple[float, float]
) -> Any:
    return axes.scatter(
        *places.to_numpy(float).T,
        c=values,
        cmap=SEQUENTIAL_MAP,
        vmin=limits[0],
        vmax=limits[1],
        s=point_size(len(places)),
        linewidth=0,
        alpha=0.9 if len(places) < RASTER_COUNT else 0.6,
        rasterized=len(places) >= RASTER_COUNT,
    )


def _ticks_within(ends: FloatArray) -> FloatArray:
    reach = int(min(-ends[0], ends[1]) // 20)
    return 20.0 * np.arange(-reach, reach + 1)


_SIGNED_TICKS = ((0.0, 0.5, 1.0), ("−peak", "0", "+peak"))
_RANGE_TICKS = ((0.0, 1.0), ("lowest", "highest"))


def _color_scale(
    figure: Figure,
    panels: list[Axes],
    color_map: str,
    label: str,
    ticks: tuple[tuple[float, ...], tuple[str, ...]],
) -> None:
    """Draw the one scale of maps that each fill it."""
    scale = ScalarMappable(Normalize(0, 1), color_map)
    bar = figure.colorbar(scale, ax=panels, location="right", shrink=0.5, aspect=22, pad=0.015)
    bar.set_ticks(list(ticks[0]), labels=list(ticks[1]))
    bar.set_label(label)
    bar.outline.set_visible(False)  # type: ignore[operator]
