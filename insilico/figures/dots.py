"""Responses to single dots: maps of white and black ones with their fit, and a population."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from insilico.figures.galleries import IntArray, gallery_rows, in_words, ranked_rows
from insilico.figures.maps import AZIMUTH_LABEL, ELEVATION_LABEL, screen_of, write_signed
from insilico.figures.panels import (
    bin_count_for,
    letter_panels,
    ok_neurons,
    plot_histogram,
    plot_status,
)
from insilico.figures.retinotopy import draw_centers, plot_widths
from insilico.figures.style import (
    GRAY,
    PAGE_WIDTH_IN,
    SEQUENTIAL_MAP,
    SIGNED_MAP,
    cycle_color,
    new_axes,
    style,
)
from insilico.fits.gaussian import ellipse_outline
from insilico.results import Result

#: Neurons of a gallery, and how many stand beside each other; each has a panel a map.
GALLERY_NEURONS = 8
NEURONS_A_ROW = 2
SHOWN_MAPS = ("white", "black", "combined")
#: Panels of a population, by a letter of its layout.
PANELS = {
    "c": "centers",
    "w": "widths",
    "p": "polarity",
    "i": "selectivity",
    "l": "latency",
    "q": "test",
    "s": "status",
}
#: Degrees between ticks.
TICK_STEP_DEG = 30


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw the maps of single neurons: white dots, black dots and both, with the fit.

    The three maps of a neuron have one color scale, from their lowest to their highest response.
    The fitted Gaussian at one standard deviation, with the standard error of its center, is that of
    the combined map. Chosen by rank of how well their fit describes the map; see
    :mod:`insilico.figures.galleries`.
    """
    rows = gallery_rows(result, neurons, default_rows(result.neurons))
    lines = math.ceil(len(rows) / NEURONS_A_ROW)
    columns = min(len(rows), NEURONS_A_ROW) * len(SHOWN_MAPS)
    width_in = PAGE_WIDTH_IN * columns / (NEURONS_A_ROW * len(SHOWN_MAPS))
    figure = Figure(figsize=(width_in, 0.85 * lines + 0.4))
    panels = figure.subplots(lines, columns, squeeze=False).reshape(-1, len(SHOWN_MAPS))
    for index, row in enumerate(rows):
        for name, axes in zip(SHOWN_MAPS, panels[index], strict=True):
            plot_map(result, int(result.neurons["neuron"].iloc[row]), axes, dots=name)
            axes.set(xlabel="", ylabel="")
        for axes in panels[index][1:]:
            axes.set_yticklabels([])
        panels[index][0].set_title(_title(result.neurons.iloc[row]) + "\nwhite", loc="left")
        for name, axes in zip(SHOWN_MAPS[1:], panels[index][1:], strict=True):
            axes.set_title(name, loc="left")
    for axes in panels[len(rows) :].reshape(-1):
        axes.remove()
    figure.supxlabel(AZIMUTH_LABEL, fontsize="medium")
    figure.supylabel(ELEVATION_LABEL, fontsize="medium")
    return figure


@style()
def plot_map(
    result: Result, neuron: int, axes: Axes | None = None, *, dots: str = "combined"
) -> Axes:
    """Draw one map of a neuron, with the fit of the combined one.

    The data of the axes are pixels from the top left, y down; the ticks are in degrees. Arguments
    as in :mod:`insilico.figures.galleries`, and:

    Parameters
    ----------
    dots : {"combined", "white", "black"}
        Which dots.
    """
    row = result.row(neuron)
    fit, screen = result.neurons.iloc[row], screen_of(result)
    maps = {name: result.arrays[f"{name}_map"].isel(neuron=row).to_numpy() for name in SHOWN_MAPS}
    known = np.concatenate([values[np.isfinite(values)] for values in maps.values()])
    limits = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    x_px, y_px = (result.arrays[f"{axis}_px"].to_numpy() for axis in "xy")
    axes = new_axes(axes)
    axes.imshow(
        maps[dots],
        cmap=SEQUENTIAL_MAP,
        vmin=limits[0],
        vmax=limits[1] if limits[1] > limits[0] else limits[0] + 1,
        extent=(x_px[0] - 0.5, x_px[-1] + 0.5, y_px[-1] + 0.5, y_px[0] - 0.5),
        origin="upper",
    )
    if fit["status"] == "ok":
        halo = [withStroke(linewidth=1.8, foreground="white")]
        axes.plot(*ellipse_outline(fit), color="black", linewidth=0.8, path_effects=halo)
        axes.errorbar(
            fit["x_px"], fit["y_px"], fit["y_px_se"], fit["x_px_se"], color="black", linewidth=0.8
        )
    steps = TICK_STEP_DEG * np.arange(-2, 3)
    ticks_x, ticks_y = screen.position_px(steps, steps)
    for axis, ticks, extent in ((axes.xaxis, ticks_x, x_px), (axes.yaxis, ticks_y, y_px)):
        is_shown = (ticks >= extent[0] - 0.5) & (ticks <= extent[-1] + 0.5)
        axis.set_ticks(ticks[is_shown], [write_signed(step) for step in steps[is_shown]])
    axes.set(xlim=(x_px[0] - 0.5, x_px[-1] + 0.5), ylim=(y_px[-1] + 0.5, y_px[0] - 0.5))
    axes.set(xlabel=AZIMUTH_LABEL, ylabel=ELEVATION_LABEL)
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw where a population responds to dots, how widely, to which, and how many do.

    With a panel on the latency where several were tried, and on the test where trials repeat.
    """
    has_latency = len(result.tables["latency"]) > 1
    has_test = "responsive_p" in result.neurons
    # The latency stands beside the centers unless the test needs a line anyhow.
    lines = ["ccllss" if has_latency and not has_test else "ccccss", "wwppii"]
    if has_test:
        lines.append("lllqqq" if has_latency else "qqqqqq")
    layout: list[Any] = [[PANELS[letter] for letter in line] for line in lines]
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.31 * PAGE_WIDTH_IN * len(lines)))
    panels = figure.subplot_mosaic(layout)
    draw_centers(
        result,
        panels["centers"],
        result.neurons["polarity_index"].to_numpy(float),
        limits=(-1, 1),
        label="black \N{LEFT RIGHT ARROW} white",
        color_map=SIGNED_MAP,
        lost=("outside", "outside the dots"),
    )
    plot_widths(result, panels["widths"])
    plot_polarity(result, panels["polarity"])
    plot_selectivity(result, panels["selectivity"])
    if "latency" in panels:
        plot_latency(result, panels["latency"])
    if "test" in panels:
        plot_test(result, panels["test"])
    plot_status(result, panels["status"])
    letter_panels(panels.values())
    return figure


@style()
def plot_polarity(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the polarity index of neurons of status "ok"."""
    axes = new_axes(axes)
    table = ok_neurons(result)
    plot_histogram(
        axes,
        {"index": table["polarity_index"]},
        limits=(-1, 1),
        bin_count=bin_count_for(len(table)),
        title="polarity",
        xlabel="(white \N{MINUS SIGN} black) / (white + black)",
    )
    axes.axvline(0, color=GRAY, linewidth=0.8, linestyle="--")
    return axes


@style()
def plot_selectivity(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the spatial selectivity index of neurons of status "ok"."""
    axes = new_axes(axes)
    table = ok_neurons(result)
    values = table["ssi"].dropna().to_numpy(float)
    low, high = (math.floor(values.min()), math.ceil(values.max())) if len(values) else (0, 1)
    plot_histogram(
        axes,
        {"index": table["ssi"]},
        limits=(low, max(high, low + 1)),
        bin_count=bin_count_for(len(table)),
        title="spatial selectivity",
        xlabel="SSI",
    )
    return axes


@style()
def plot_latency(result: Result, axes: Axes | None = None) -> Axes:
    """Draw how much of the responses tells dots apart at each latency; the one used is marked."""
    axes = new_axes(axes)
    table = result.tables["latency"]
    milliseconds = 1000 * table["latency_s"]
    axes.plot(milliseconds, 100 * table["share"], "o-", color=cycle_color(0), markersize=2.5)
    used = table["is_used"].to_numpy(bool)
    axes.plot(milliseconds[used], 100 * table["share"][used], "o", color=cycle_color(1))
    axes.set(xlabel="latency (ms)\nused: colored", ylabel="variance over dots (%)")
    axes.set(title="latency", ylim=(0, None))
    return axes


@style()
def plot_test(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the p-values of the test over trials."""
    axes = new_axes(axes)
    plot_histogram(
        axes,
        {"p": result.neurons["responsive_p"]},
        limits=(0, 1),
        bin_count=20,
        title="test over trials",
        xlabel="p",
    )
    return axes


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of the neurons that a gallery shows by itself; see :func:`plot_gallery`."""
    return ranked_rows(table, "r2", count=GALLERY_NEURONS)


def _title(fit: pd.Series) -> str:
    # On one line: the names of the maps stand below it.
    told = f"R² {fit['r2']:.2f}" if fit["status"] == "ok" else in_words(fit["status"])
    return f"neuron {fit['neuron']} · {told}"
