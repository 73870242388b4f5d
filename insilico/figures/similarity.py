"""Similarity over cortex: against distance, in narrow columns, and among neighbors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from insilico.figures.galleries import (
    GALLERY_COUNT,
    IntArray,
    gallery_rows,
    is_ok,
    new_gallery,
    spread_over_ranks,
)
from insilico.figures.panels import letter_panels, plot_status
from insilico.figures.style import (
    GRAY,
    LIGHT_GRAY,
    PAGE_WIDTH_IN,
    SIGNED_MAP,
    cycle_color,
    new_axes,
    style,
)
from insilico.fits.decay import evaluate_decay
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What measures are called in figures.
NAMES = {
    "orientation_similarity": "orientation tuning similarity",
    "direction_similarity": "direction tuning similarity",
    "signal_correlation": "signal correlation",
}
#: Depth differences from dark, near, to light, far.
DEPTH_MAP = "Blues_r"
DARKEST, LIGHTEST = 0.05, 0.72
#: q-value up to which a bin is starred: 5 % false discoveries.
STARRED_Q = 0.05
SIGN = "\N{PLUS-MINUS SIGN}"
DASH = "\N{EN DASH}"
UM = "\N{MICRO SIGN}m"


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw the curves of single neurons and of their nearest neighbors.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    neurons : iterable of int, optional
        Indices in the mouse. When left out, up to 12 neurons that have neighbors, evenly spaced in
        the rank of their similarity to them from highest to lowest; others where there are none.

    Returns
    -------
    Figure

    Raises
    ------
    NotFittedError
        If the result does not hold a neuron.
    """
    rows = gallery_rows(result, neurons, default_rows(result.neurons))
    figure, panels = new_gallery(len(rows), panel_height_in=1.35)
    for axes, row in zip(panels, rows, strict=True):
        plot_neighbors(result, int(result.neurons["neuron"].iloc[row]), axes)
        axes.set(xlabel="", ylabel="")
    axis = _angle_axis(result)
    label = "direction of motion (deg)" if axis == "direction_deg" else "orientation (deg)"
    figure.supxlabel(label, fontsize="medium")
    figure.supylabel("response (mean 0, standard deviation 1)", fontsize="medium")
    scale = ScalarMappable(Normalize(-1, 1), SIGNED_MAP)
    bar = figure.colorbar(scale, ax=panels, aspect=30, shrink=0.6, pad=0.02)
    bar.set_label(f"neighbor's {NAMES[_gallery_measure(result)]}")
    bar.outline.set_visible(False)
    return figure


@style()
def plot_neighbors(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's curve in black, and those of its nearest neighbors by their similarity.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    neuron : int
        Index in the mouse.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Without error bars: the direction result has them. The title has the mean similarity to all
        ``N`` neighbors; at most eight, the nearest, are drawn.

    Raises
    ------
    NotFittedError
        If the result does not hold the neuron.
    """
    row = result.row(neuron)
    axes = new_axes(axes)
    axis, measure = _angle_axis(result), _gallery_measure(result)
    arrays = result.arrays
    angle_deg, shape = arrays[axis].to_numpy(), arrays["curve_shape"].to_numpy()
    neighbors = arrays["neighbor_row"].to_numpy()[row]
    correlation = arrays[f"neighbor_{measure}"].to_numpy()[row]
    colors = ScalarMappable(Normalize(-1, 1), SIGNED_MAP)
    for place, value in zip(neighbors, correlation, strict=True):
        if place >= 0:
            axes.plot(angle_deg, shape[place], color=colors.to_rgba(value), linewidth=0.8)
    axes.plot(angle_deg, shape[row], color="black", linewidth=1.4)
    told = result.neurons.iloc[row]
    mean = told[f"neighbor_{measure}"]
    about = f"r = {mean:.2f}, N = {told['neighbor_count']}" if np.isfinite(mean) else "no neighbor"
    if told["status"] != "ok":
        about = str(told["status"]).replace("_", " ")
    period = 360 if axis == "direction_deg" else 180
    axes.set(xlim=(0, period), xticks=np.arange(0, period + 1, period / 4))
    axes.set(title=f"neuron {neuron}: {about}", xlabel=axis.replace("_", " "), ylabel="response")
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw similarity against distance, in narrow columns, and selectivity by depth.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.

    Returns
    -------
    Figure
        Every panel is of the same neurons; the status panel counts the others.
    """
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.66 * PAGE_WIDTH_IN))
    measures = _measures(result)
    top = [name for name in measures for _ in range(6 // len(measures))]
    layout: list[Any] = [top, ["columns"] * 2 + ["depth"] * 2 + ["status"] * 2]
    panels = figure.subplot_mosaic(layout)
    for number, name in enumerate(measures):
        plot_similarity(result, name, panels[name], has_legend=number == 0)
    plot_columns(result, panels["columns"])
    plot_depth(result, panels["depth"])
    plot_status(result, panels["status"])
    panels["status"].set_xlabel(_filter_line(result))
    letter_panels(panels.values())
    return figure


@style()
def plot_similarity(
    result: Result, measure: str, axes: Axes | None = None, *, has_legend: bool = True
) -> Axes:
    """Draw the mean similarity of pairs against their distance across cortex.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    measure : str
        A key of :data:`NAMES`.
    axes : Axes, optional
        Where; a new figure when left out.
    has_legend : bool
        Say which depth differences the colors mean.

    Returns
    -------
    Axes
        Mean and standard error over neurons, one line a depth difference; the decay fitted to all
        of them together; dotted, the mean of shuffled places.
    """
    axes = new_axes(axes)
    table = result.tables["pairs"]
    table = table[(table["measure"] == measure) & (table["pair_count"] > 0)]
    apart = table[~table["is_pooled"]]
    lines = list(apart.groupby("vertical_low_um"))
    for (_, line), color in zip(lines, _depth_colors(len(lines)), strict=True):
        depth = f"{line['vertical_low_um'].iloc[0]:g}{DASH}{line['vertical_high_um'].iloc[0]:g}"
        axes.errorbar(
            line["horizontal_um"],
            line["mean"],
            line["standard_error"],
            fmt="o-",
            color=color,
            markersize=2,
            linewidth=0.8,
            elinewidth=0.5,
            label=depth,
        )
    _draw_fit(result, measure, axes)
    if len(table):
        axes.axhline(table["chance"].iloc[0], color=GRAY, linestyle=":", linewidth=0.9, zorder=0)
        axes.set_xlim(0, table["horizontal_high_um"].max())
        _limit(axes, apart)
    if has_legend and lines:
        title = f"depth difference ({UM})"
        axes.legend(title=title, title_fontsize="small", loc="upper right", fontsize="x-small")
    pairs = int(table.loc[table["is_pooled"], "pair_count"].sum())
    axes.set_title(f"{NAMES[measure]}\nN = {_selected(result):,}, {pairs:,} pairs")
    axes.set(xlabel=f"horizontal distance ({UM})", ylabel="correlation of pairs")
    return axes


def _draw_fit(result: Result, measure: str, axes: Axes) -> None:
    fits = result.tables["fits"]
    fit = fits[(fits["measure"] == measure) & fits["is_pooled"]].iloc[0]
    if fit["status"] != "ok":
        status = str(fit["status"]).replace("_", " ")
        axes.annotate(f"fit: {status}", (0.03, 0.03), xycoords="axes fraction", fontsize="small")
        return
    pairs = result.tables["pairs"]
    pairs = pairs[(pairs["measure"] == measure) & pairs["is_pooled"] & (pairs["pair_count"] > 0)]
    first, last = pairs["even_horizontal_um"].iloc[[0, -1]]
    dense = np.linspace(first, last, 200)
    axes.plot(dense, evaluate_decay(fit, dense), color="black", linestyle="--", zorder=4)
    text = f"all depths: {fit['length_um']:.0f} {SIGN} {fit['length_um_se']:.0f} {UM}"
    axes.annotate(text, (0.03, 0.03), xycoords="axes fraction", fontsize="small")


def _limit(axes: Axes, table: pd.DataFrame) -> None:
    """Keep the errors of bins of a few pairs from squeezing the others; they may be cut off."""
    if table.empty:
        return
    reliable = table[table["pair_count"] >= table["pair_count"].quantile(0.1)]
    error = reliable["standard_error"].fillna(0)
    seen = [reliable["mean"] - error, reliable["mean"] + error, table["mean"], table["chance"]]
    low, high = pd.concat(seen).min(), pd.concat(seen).max()
    # Room for the line of text below.
    axes.set_ylim(low - 0.17 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3)


@style()
def plot_columns(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the similarity of close pairs, at one depth and along depth, against chance.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Mean and standard error over neurons; gray, the mean and two standard deviations of shuffled
        places; a star where the population table has q of 0.05 or less.
    """
    axes = new_axes(axes)
    table, tests = result.tables["columns"], result.tables["population"]
    tests = tests[tests["test"] == "shuffled_places"]
    measures = _measures(result)
    for number, measure in enumerate(measures):
        rows = table[table["measure"] == measure].reset_index(drop=True)
        q_value = tests.loc[tests["measure"] == measure, "q_value"].to_numpy(float)
        place = np.arange(len(rows)) + 0.26 * (number - (len(measures) - 1) / 2)
        chance: dict[str, Any] = {"fmt": "_", "color": LIGHT_GRAY, "elinewidth": 4, "zorder": 1}
        axes.errorbar(place, rows["chance"], 2 * rows["chance_sd"], markersize=6, **chance)
        color = cycle_color(number)
        label = NAMES[measure].replace(" tuning similarity", "")
        axes.errorbar(
            place, rows["mean"], rows["standard_error"], fmt="o", color=color, label=label, zorder=2
        )
        top = rows["mean"] + rows["standard_error"].fillna(0)
        for x, y, q in zip(place, top, q_value, strict=True):
            if q <= STARRED_Q:
                axes.annotate("*", (x, y), ha="center", va="bottom", color=color)
    rows = table[table["measure"] == measures[0]]
    labels = [
        f"{low:g}{DASH}{high:g}\n{'same' if bottom == 0 else 'along'}\ndepth"
        for low, high, bottom in zip(
            rows["horizontal_low_um"],
            rows["horizontal_high_um"],
            rows["vertical_low_um"],
            strict=True,
        )
    ]
    axes.set_xticks(np.arange(len(labels)), labels)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.margins(y=0.25)
    axes.legend(loc="upper right", fontsize="x-small")
    axes.set_title("close pairs against chance (gray)")
    axes.set_xlabel(f"horizontal distance ({UM}); * q \N{LESS-THAN OR EQUAL TO} {STARRED_Q:g}")
    axes.set_ylabel("correlation of pairs")
    return axes


@style()
def plot_depth(result: Result, axes: Axes | None = None) -> Axes:
    """Draw how selective the selected neurons are, by depth.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Mean and standard error over neurons of each plane, and the rank correlation with depth.
    """
    axes = new_axes(axes)
    plot_along(result, "z_um", axes)
    axes.set(title=f"selectivity by depth, N = {_selected(result):,}", xlabel=f"depth ({UM})")
    return axes


@style()
def plot_along(result: Result, coordinate: str, axes: Axes | None = None) -> Axes:
    """Draw mean selectivity along one cortical coordinate.

    Parameters
    ----------
    result : Result
        Of the similarity experiment.
    coordinate : {"x_um", "y_um", "z_um"}
        Along which.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Mean and standard error over the selected neurons of each bin, and the rank correlation.
    """
    axes = new_axes(axes)
    table, tests = result.tables["selectivity"], result.tables["population"]
    table = table[table["coordinate"] == coordinate]
    highest = 0.0
    for number, index in enumerate(("osi", "dsi")):
        if table[f"{index}_mean"].isna().all():
            continue
        mean, error = table[f"{index}_mean"], table[f"{index}_standard_error"]
        test = tests[tests["what"] == f"{index} along {coordinate}"].iloc[0]
        label = index.upper()
        if test["status"] == "ok":
            label += f": rank r = {test['effect']:.2f}, p = {test['p_value']:.2g}"
        axes.errorbar(
            table["mean_um"], mean, error, fmt="o-", color=cycle_color(number), label=label
        )
        highest = max(highest, float((mean + error.fillna(0)).max()))
    # Headroom for the legend.
    axes.set_ylim(0, 1.35 * highest if highest > 0 else 1)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", fontsize="x-small")
    axes.set(xlabel=f"cortex {coordinate[0]} ({UM})", ylabel="index, mean of selected")
    return axes


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of the neurons that a gallery shows by itself; see :func:`plot_gallery`."""
    value = table["neighbor_orientation_similarity"].to_numpy(float)
    ok = is_ok(table)
    for candidates in (np.flatnonzero(ok & np.isfinite(value)), np.flatnonzero(ok)):
        if len(candidates):
            return candidates[spread_over_ranks(value[candidates], GALLERY_COUNT)]
    return np.arange(min(len(table), GALLERY_COUNT))


def _measures(result: Result) -> list[str]:
    there = set(result.tables["pairs"]["measure"])
    return [name for name in NAMES if name in there]


def _gallery_measure(result: Result) -> str:
    """Return the similarity of the curves that a gallery draws."""
    is_direction = _angle_axis(result) == "direction_deg"
    return "direction_similarity" if is_direction else "orientation_similarity"


def _angle_axis(result: Result) -> str:
    return str(result.arrays["curve_shape"].dims[1])


def _selected(result: Result) -> int:
    return int(result.neurons["is_selected"].sum())


def _filter_line(result: Result) -> str:
    rule = str(result.neurons["neuron_filter"].iloc[0]).replace("_", " ")
    return f"all panels: {rule.replace('<=', chr(0x2264)).replace('>=', chr(0x2265))}"


def _depth_colors(count: int) -> list[Any]:
    places = np.linspace(DARKEST, LIGHTEST, max(count, 2))[:count]
    return [mpl.colormaps[DEPTH_MAP](place) for place in places]
