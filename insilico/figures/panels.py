"""Panels that experiments share: histograms, status counts, galleries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from insilico.errors import NotFittedError
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, cycle_color, style
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Panels of a gallery whose neurons were not named.
GALLERY_COUNT = 12
GALLERY_COLUMNS = 4

#: Height of a line of a legend, as a fraction of a panel.
LEGEND_LINE = 0.13


def new_gallery(panel_count: int, *, panel_height_in: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of the page's width with that many panels, row by row."""
    columns = min(GALLERY_COLUMNS, panel_count)
    rows = math.ceil(panel_count / columns)
    width_in = PAGE_WIDTH_IN * columns / GALLERY_COLUMNS
    # Half an inch holds what stands above and below the panels.
    figure = Figure(figsize=(max(width_in, 2.2), rows * panel_height_in + 0.5))
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[panel_count:]:
        unused.remove()
    return figure, panels[:panel_count]


def gallery_rows(result: Result, neurons: Iterable[int] | None, default: IntArray) -> IntArray:
    """Return the rows of the named neurons, or the default ones.

    Raises
    ------
    NotFittedError
        If the result does not hold a neuron, or there is none to draw.
    """
    rows = default if neurons is None else np.array([result.row(n) for n in neurons], int)
    if len(rows) == 0:
        raise NotFittedError(
            f"a gallery of no neuron of the {result.experiment} result was asked for; name at "
            "least one"
        )
    return rows


def spread_over_ranks(values: ArrayLike, count: int) -> IntArray:
    """Return positions of up to ``count`` values, evenly spaced in rank from highest to lowest."""
    order = np.argsort(-np.asarray(values, float), kind="stable")
    ranks = np.linspace(0, len(order) - 1, min(count, len(order)))
    chosen: IntArray = order[ranks.round().astype(int)]
    return chosen


def is_ok(table: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each neuron's status is "ok"."""
    return (table["status"] == "ok").to_numpy(bool)


def letter_panels(panels: Iterable[Axes]) -> None:
    """Letter the panels of a figure in the order given."""
    for index, axes in enumerate(panels):
        axes.annotate(
            chr(ord("a") + index),
            (0, 1),
            xycoords="axes fraction",
            xytext=(-22, 6),
            textcoords="offset points",
            fontsize="x-large",
            fontweight="bold",
        )


def plot_histogram(
    axes: Axes,
    groups: Mapping[str, ArrayLike],
    *,
    limits: tuple[float, float],
    bin_count: int,
    title: str,
    xlabel: str,
    remark: str = "",
    colors: Sequence[str] | None = None,
) -> None:
    """Draw histograms of counts over common bins, and say how many values each has.

    Parameters
    ----------
    axes : Axes
        Where.
    groups : mapping of str to float array, shape (neuron,)
        Values by label; missing ones are left out. A single group has its number in the title,
        several have theirs in a legend.
    limits : (float, float)
        Range of the axis. A value beyond it is counted in the outermost bin, and this is said.
    bin_count : int
        Bins within the limits.
    title, xlabel : str
        Of the panel.
    remark : str
        A line below the axis.
    colors : sequence of str, optional
        Of the groups; those of the style's cycle when left out.
    """
    edges = np.linspace(*limits, bin_count + 1)
    handles, texts, beyond, most = [], [], 0, 1
    for index, (label, values) in enumerate(groups.items()):
        known = np.asarray(values, float)
        known = known[np.isfinite(known)]
        beyond += int(((known < edges[0]) | (known > edges[-1])).sum())
        counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
        color = cycle_color(index) if colors is None else colors[index]
        axes.stairs(counts, edges, fill=True, color=color, alpha=0.35, linewidth=0)
        handles.append(axes.stairs(counts, edges, color=color, linewidth=0.9, label=label))
        texts.append(f"N = {len(known):,}")
        most = max(most, int(counts.max()))
    if len(groups) == 1:
        title = f"{title}, {texts[0]}"
    else:
        labels = [f"{label}, {text}" for label, text in zip(groups, texts, strict=True)]
        axes.legend(handles, labels, loc="upper right")
        # Headroom, so that the legend covers no bar.
        most = int(np.ceil(most * (1 + LEGEND_LINE * len(groups))))
    remarks = [f"{beyond:,} beyond, in the outermost bins" if beyond else "", remark]
    axes.set(title=title, xlabel="\n".join(filter(None, [xlabel, *remarks])), ylabel="neurons")
    axes.set(xlim=limits, ylim=(0, 1.05 * most))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))


def bin_count_for(value_count: int) -> int:
    """Return a number of bins that suits a number of values: its square root, 10 to 40."""
    return int(np.clip(math.sqrt(value_count), 10, 40))


def upper_limit(values: ArrayLike, *, step: float) -> float:
    """Return a round end for an axis from 0 that holds all but the widest half percent."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    # A few very wide fits should not squeeze everybody else into two bins.
    highest = float(np.quantile(known, 0.995)) if len(known) else step
    return step * max(1, math.ceil(highest / step))


@style()
def plot_status(result: Result, axes: Axes) -> Axes:
    """Draw how many neurons have each status, as bars with their numbers.

    Parameters
    ----------
    result : Result
        Of any experiment.
    axes : Axes
        Where.

    Returns
    -------
    Axes
    """
    counts = result.neurons["status"].value_counts()
    names = sorted(counts.index, key=lambda name: (name != "ok", -counts[name]))
    places = np.arange(len(names))
    total = len(result.neurons)
    colors = [cycle_color(0) if name == "ok" else GRAY for name in names]
    axes.barh(places, [counts[name] for name in names], color=colors, height=0.65)
    for place, name in zip(places, names, strict=True):
        text = f"{counts[name]:,} ({counts[name] / total:.1%})"
        axes.annotate(
            text,
            (counts[name], place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    axes.set_yticks(places, [name.replace("_", " ") for name in names])
    axes.tick_params(axis="y", length=0)
    # A lone bar should not fill the panel, and numbers need room at the right.
    axes.set_ylim(max(len(names), 4) - 0.5, -0.5)
    axes.set_xlim(0, 1.5 * max(counts.max(), 1))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_title(f"status of {total:,} neurons")
    return axes


def point_size(count: int) -> float:
    """Return the area of a point, in square points, at which that many do not cover each other."""
    return float(np.clip(3000 / max(count, 1), 1.5, 14))


def response_label(result: Result) -> str:
    """Return the label of an axis of responses, with their units."""
    units = result.provenance.get("output_units")
    return {
        "standardized": "response (standardized)",
        "recorded": "response (recorded units)",
    }.get(str(units), "response")


def join_counts(parts: Sequence[tuple[int, str]]) -> str:
    """Write counts that are not 0 as one line."""
    return " · ".join(f"{count:,} {text}" for count, text in parts if count)
