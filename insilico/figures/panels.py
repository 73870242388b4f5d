"""Panels that several experiments share: histograms, status counts, galleries, degrees on a screen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from insilico.errors import NotFittedError
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, cycle_color
from insilico.results import Result
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Panels of a gallery whose neurons were not named.
GALLERY_COUNT = 12
GALLERY_COLUMNS = 4

#: Steps between ticks on an axis in degrees, smallest first.
DEGREE_STEPS = (1, 2, 5, 10, 20, 30, 45, 90)


def new_gallery(panel_count: int, *, panel_height_in: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of the page's width with that many panels, row by row."""
    columns = min(GALLERY_COLUMNS, panel_count)
    rows = math.ceil(panel_count / columns)
    width_in = PAGE_WIDTH_IN * columns / GALLERY_COLUMNS
    # Half an inch holds what stands above and below the panels.
    figure = Figure(figsize=(max(width_in, 2.2), rows * panel_height_in + 0.5))
    axes = [figure.add_subplot(rows, columns, panel + 1) for panel in range(panel_count)]
    return figure, axes


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
    return order[ranks.round().astype(int)]


def is_ok(table: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each neuron's status is "ok"."""
    return (table["status"] == "ok").to_numpy(bool)


def note(axes: Axes, text: str, *, place: str = "upper right") -> None:
    """Write small gray text into a corner of the panel."""
    vertical, horizontal = place.split()
    axes.annotate(
        text,
        (float(horizontal == "right"), float(vertical == "upper")),
        xycoords="axes fraction",
        ha="right" if horizontal == "right" else "left",
        va="top" if vertical == "upper" else "bottom",
        fontsize="small",
        color="0.3",
    )


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
    axes: Axes, groups: Mapping[str, ArrayLike], *, limits: tuple[float, float], bin_count: int
) -> None:
    """Draw histograms of counts over common bins, and say how many values each has.

    Parameters
    ----------
    axes : Axes
        Where.
    groups : mapping of str to float array, shape (neuron,)
        Values by label; missing ones are left out. The label of a single group is not shown.
    limits : (float, float)
        Range of the axis. A value beyond it is counted in the outermost bin, and this is said.
    bin_count : int
        Bins within the limits.
    """
    edges = np.linspace(*limits, bin_count + 1)
    texts, beyond = [], 0
    for index, (label, values) in enumerate(groups.items()):
        known = np.asarray(values, float)
        known = known[np.isfinite(known)]
        beyond += int(((known < edges[0]) | (known > edges[-1])).sum())
        counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
        color = cycle_color(index)
        axes.stairs(counts, edges, fill=True, color=color, alpha=0.35, linewidth=0)
        axes.stairs(counts, edges, color=color, linewidth=0.9, label=label)
        texts.append(f"{label}, N = {len(known):,}" if len(groups) > 1 else f"N = {len(known):,}")
    if beyond:
        texts.append(f"{beyond:,} beyond the axis\nin the last bins")
    axes.set_xlim(*limits)
    axes.set_ylim(bottom=0)
    # Headroom for the text and the legend.
    axes.margins(y=0.25)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("neurons")
    if len(groups) > 1:
        handles = [axes.patches[2 * index + 1] for index in range(len(groups))]
        axes.legend(handles, texts[: len(groups)], loc="upper right")
        texts = texts[len(groups) :]
    if texts:
        note(axes, "\n".join(texts), place="upper right" if len(groups) == 1 else "upper left")


def bin_count_for(value_count: int) -> int:
    """Return a number of bins that suits a number of values: its square root, 10 to 40."""
    return int(np.clip(math.sqrt(value_count), 10, 40))


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
            text, (counts[name], place), xytext=(3, 0), textcoords="offset points", va="center"
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


def label_degrees(axes: Axes, screen: Screen, *, tick_count: int = 5) -> None:
    """Label axes whose data are pixels of a screen in degrees of visual angle.

    Degrees are no linear function of pixels on a flat screen, so round degrees stand where they
    belong and are not evenly spaced.

    Parameters
    ----------
    axes : Axes
        Limits in pixels from the top left, y down, are set already.
    screen : Screen
        Geometry.
    tick_count : int
        Most ticks on an axis.
    """
    x_deg, y_deg = screen.position_deg(axes.get_xlim(), axes.get_ylim())
    x_ticks, y_ticks = (round_degrees(*sorted(ends), tick_count) for ends in (x_deg, y_deg))
    x_px = screen.position_px(x_ticks, np.zeros_like(x_ticks))[0]
    y_px = screen.position_px(np.zeros_like(y_ticks), y_ticks)[1]
    axes.set_xticks(x_px, [_signed(tick) for tick in x_ticks])
    axes.set_yticks(y_px, [_signed(tick) for tick in y_ticks])


def round_degrees(low: float, high: float, tick_count: int) -> FloatArray:
    """Return round values between two angles, at most ``tick_count`` of them if that is possible."""
    for step in DEGREE_STEPS:
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first + 1 <= tick_count:
            break
    return step * np.arange(first, last + 1, dtype=float)


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


def _signed(value: float) -> str:
    # A true minus sign is as wide as a plus.
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
