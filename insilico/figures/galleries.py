"""Galleries: one panel for each of several neurons, and what panels of one neuron share.

Every ``plot_gallery(result, neurons=None)`` takes a result of its experiment and the indices of
neurons in the mouse; when these are left out, it shows up to :data:`GALLERY_COUNT` neurons that it
chooses itself. It returns the figure and raises :class:`insilico.errors.NotFittedError` if the
result does not hold a neuron, or there is none to draw.

Every function that draws one neuron takes the result, the neuron's index in the mouse and
``axes``, those of a new figure when left out. It returns the axes and raises
:class:`insilico.errors.NotFittedError` if the result does not hold the neuron.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from insilico.errors import NotFittedError
from insilico.figures.style import PAGE_WIDTH_IN
from insilico.results import Result

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Panels of a gallery whose neurons were not named.
GALLERY_COUNT = 12
GALLERY_COLUMNS = 4
#: Height of a line of a legend above a gallery, inches.
LEGEND_LINE_IN = 0.13
#: Width of a gallery of one panel, inches: its legend must fit.
LEAST_WIDTH_IN = 2.5


def draw_gallery(
    result: Result,
    rows: IntArray,
    draw: Callable[[Result, int, Axes], Axes],
    *,
    xlabel: str,
    ylabel: str,
    panel_height_in: float,
    legend_columns: int = 0,
) -> Figure:
    """Draw neurons, a panel each, with labels and a legend for all of them.

    Parameters
    ----------
    result : Result
        Of any experiment.
    rows : int array, shape (panel,)
        Of the neurons table; see :func:`gallery_rows`.
    draw : callable
        Draws the neuron of an index into axes.
    xlabel, ylabel : str
        Of all panels, which lose their own.
    panel_height_in : float
        Of a row of panels, inches.
    legend_columns : int
        Columns of a legend over the whole width; narrower galleries have fewer. Without a legend
        when 0.

    Returns
    -------
    Figure
        Its first axes are the panels.
    """
    figure, panels = new_gallery(len(rows), panel_height_in=panel_height_in)
    for axes, row in zip(panels, rows, strict=True):
        draw(result, int(result.neurons["neuron"].iloc[row]), axes)
        axes.set(xlabel="", ylabel="")
    figure.supxlabel(xlabel, fontsize="medium")
    figure.supylabel(ylabel, fontsize="medium")
    if legend_columns:
        columns = legend_columns * min(len(panels), GALLERY_COLUMNS) // GALLERY_COLUMNS
        share_legend(figure, columns=max(1, columns))
    return figure


def share_legend(figure: Figure, *, columns: int) -> None:
    """Draw above a figure one legend of what its panels label, each label once.

    The figure grows with the lines of the legend, so that its panels keep their height.
    """
    by_label: dict[str, Any] = {}
    for axes in figure.axes:
        by_label |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(by_label.values(), by_label.keys(), loc="outside upper center", ncols=columns)
    lines = math.ceil(len(by_label) / columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE_IN * max(0, lines - 1))


def new_gallery(panel_count: int, *, panel_height_in: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of the page's width with that many panels, row by row."""
    columns = min(GALLERY_COLUMNS, panel_count)
    rows = math.ceil(panel_count / columns)
    width_in = PAGE_WIDTH_IN * columns / GALLERY_COLUMNS
    # Half an inch holds what stands above and below the panels.
    figure = Figure(figsize=(max(width_in, LEAST_WIDTH_IN), rows * panel_height_in + 0.5))
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


def ranked_rows(table: pd.DataFrame, column: str, *, count: int = GALLERY_COUNT) -> IntArray:
    """Return rows of neurons of status "ok", evenly spaced in rank of a column, highest first.

    Where no neuron is "ok", those of any status are taken; missing values rank last.
    """
    ok = is_ok(table)
    candidates = np.flatnonzero(ok) if ok.any() else np.arange(len(table))
    return candidates[spread_over_ranks(table[column].iloc[candidates], count)]


def spread_over_ranks(values: ArrayLike, count: int) -> IntArray:
    """Return positions of up to ``count`` values, evenly spaced in rank from highest to lowest."""
    order = np.argsort(-np.asarray(values, float), kind="stable")
    ranks = np.linspace(0, len(order) - 1, min(count, len(order)))
    chosen: IntArray = order[ranks.round().astype(int)]
    return chosen


def is_ok(table: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each neuron's status is "ok"."""
    return (table["status"] == "ok").to_numpy(bool)


def plot_means(axes: Axes, x: ArrayLike, mean: ArrayLike, sem: ArrayLike | None) -> None:
    """Draw mean responses of a neuron; error bars where trials repeat, and ``sem`` is known.

    The spread over the phases of a grating is no error of the mean: do not draw it here.
    """
    points: dict[str, Any] = {"color": "black", "clip_on": False, "zorder": 3}
    if sem is None:
        axes.plot(x, mean, "o", label="mean response", **points)
    else:
        label = "mean response ± s.e.m. of trials"
        axes.errorbar(x, mean, sem, fmt="o", elinewidth=0.7, label=label, **points)


def show_zero(axes: Axes) -> None:
    """Extend the axis of responses to 0: a curve without it looks more selective than it is."""
    axes.set_ylim(bottom=min(0, *axes.get_ylim()), top=max(0, *axes.get_ylim()))
    axes.locator_params(axis="y", nbins=4)


def neuron_title(row: pd.Series, *facts: str, remark: str = "") -> str:
    """Return the name of a neuron with its status unless "ok", and below it what is known of it."""
    status = "" if row["status"] == "ok" else in_words(row["status"])
    lines = [(f"neuron {row['neuron']}", status, remark), facts]
    return "\n".join(filter(None, [" · ".join(filter(None, line)) for line in lines]))


def in_words(status: str) -> str:
    """Return a status as a reader sees it."""
    return str(status).replace("_", " ")


def response_label(result: Result) -> str:
    """Return the label of an axis of responses, with their units."""
    units = result.provenance.get("output_units")
    return {
        "standardized": "response (standardized)",
        "recorded": "response (recorded units)",
    }.get(str(units), "response")
