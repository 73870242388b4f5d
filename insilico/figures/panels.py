"""Panels that experiments share: histograms, points of a population, status counts.

Every function that draws a panel of a population takes a result of its experiment and ``axes``,
those of a new figure when left out, and returns the axes. Neurons of status "ok" are drawn and
counted in the title unless it says otherwise. Every ``plot_population(result)`` composes such
panels for any number of neurons, and returns the figure. What panels of one neuron share is in
:mod:`insilico.figures.galleries`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from insilico.figures.galleries import in_words, is_ok
from insilico.figures.style import GRAY, cycle_color, style
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Height of a line of a legend, as a fraction of a panel.
LEGEND_LINE = 0.13


def ok_neurons(result: Result) -> pd.DataFrame:
    """Return the rows of the neurons table of status "ok"."""
    return result.neurons[is_ok(result.neurons)]


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
    medians: Sequence[float] = (),
    is_percent: bool = False,
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
    medians : sequence of float
        Of the groups, each marked by a triangle; missing ones are not.
    is_percent : bool
        Draw counts as percent of their group.
    """
    edges = np.linspace(*limits, bin_count + 1)
    handles, texts, beyond, most = [], [], 0, 1.0
    for index, (label, values) in enumerate(groups.items()):
        known = np.asarray(values, float)
        known = known[np.isfinite(known)]
        beyond += int(((known < edges[0]) | (known > edges[-1])).sum())
        counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
        counts = 100 * counts / max(len(known), 1) if is_percent else counts
        color = cycle_color(index) if colors is None else colors[index]
        axes.stairs(counts, edges, fill=True, color=color, alpha=0.35, linewidth=0)
        handles.append(axes.stairs(counts, edges, color=color, linewidth=0.9, label=label))
        texts.append(f"N = {len(known):,}")
        most = max(most, float(counts.max()))
    if len(groups) == 1:
        title = f"{title}, {texts[0]}"
    else:
        labels = [f"{label}, {text}" for label, text in zip(groups, texts, strict=True)]
        # Opaque: marks on the axis end behind it.
        opaque: dict[str, Any] = {"frameon": True, "framealpha": 1, "edgecolor": "none"}
        axes.legend(handles, labels, loc="upper right", **opaque)
        # Headroom, so that the legend covers no bar.
        most = float(np.ceil(most * (1 + LEGEND_LINE * len(groups))))
    remarks = [f"{beyond:,} beyond, in the outermost bins" if beyond else "", remark]
    axes.set(title=title, xlabel="\n".join(filter(None, [xlabel, *remarks])))
    axes.set_ylabel("neurons (%)" if is_percent else "neurons")
    axes.set(xlim=limits, ylim=(0, 1.05 * most))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))
    for index, median in enumerate(medians):
        shade = "black" if len(groups) == 1 else cycle_color(index)
        _mark_below(axes, median, shade if colors is None else colors[index])


def _mark_below(axes: Axes, value: float, color: str) -> None:
    axes.plot(
        [value],
        [0.03],
        "v",
        color=color,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        transform=axes.get_xaxis_transform(),
        zorder=4,
    )


def median_text(
    row: Mapping[str, Any] | pd.Series, *, name: str = "median", places: str = ".2f"
) -> str:
    """Write a median of a table with its interval, ``ci_low`` and ``ci_high``, as far as known.

    Parameters
    ----------
    row : mapping or Series
        Of a population table.
    name : str
        Its column of the median.
    places : str
        How numbers are formatted.
    """
    if not np.isfinite(row[name]):
        return "no neuron"
    if not np.isfinite(row["ci_low"]):
        return f"median {row[name]:{places}}"
    return f"median {row[name]:{places}} [{row['ci_low']:{places}}, {row['ci_high']:{places}}]"


def plot_points(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    errors: tuple[ArrayLike, ArrayLike] | None = None,
    **looks: Any,
) -> None:
    """Draw a point a neuron, smaller the more there are.

    Parameters
    ----------
    axes : Axes
        Where.
    x, y : float array, shape (neuron,)
        Places.
    errors : pair of float array, shape (neuron,), optional
        Standard errors in x and in y, drawn in gray.
    looks
        What differs from points of the style's first color, as matplotlib's ``scatter`` has it.
    """
    if errors is not None:
        axes.errorbar(x, y, errors[1], errors[0], fmt="none", ecolor=GRAY, elinewidth=0.5)
    if "facecolors" not in looks:
        looks.setdefault("color", cycle_color(0))
    own = {"s": point_size(np.size(x)), "alpha": 0.7, "linewidths": 0, "zorder": 3}
    axes.scatter(x, y, **(own | looks))


def draw_identity(axes: Axes, low: float, high: float) -> None:
    """Give both axes of a panel one scale, and draw the line on which x and y are equal."""
    axes.plot([low, high], [low, high], color=GRAY, linestyle="--", linewidth=0.7, zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")


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
    axes.set_yticks(places, [in_words(name) for name in names])
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


def join_counts(parts: Sequence[tuple[int, str]]) -> str:
    """Write counts that are not 0 as one line."""
    return " · ".join(f"{count:,} {text}" for count, text in parts if count)
