"""Whether a twin looks where the animal looks: its center of attention against the pupil's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from insilico.errors import NotFittedError
from insilico.figures.panels import point_size
from insilico.figures.style import COLUMN_WIDTH_IN, cycle_color, new_axes, style
from insilico.results import Result

#: Mice of the figure of gaze; the table holds all.
MOST_MICE = 4
#: Larger clouds of points are drawn as pixels within vector files, which stay small.
RASTER_COUNT = 2000
#: How axes call what is related.
NAMES = {"x": "azimuth of attention (deg)", "y": "elevation of attention (deg)"}


@style()
def plot_gaze(result: Result) -> Figure:
    """Draw the center of attention against the center of the pupil, for each mouse and axis.

    Parameters
    ----------
    result : Result
        Of :func:`insilico.attention.relate_to_gaze`.

    Returns
    -------
    Figure
        A row a mouse, of the first four; left horizontal, right vertical. A point is an image, or a
        frame of a movie.
    """
    mice = list(dict.fromkeys(result.tables["attention_gaze"]["mouse"]))[:MOST_MICE]
    width_in = 1.35 * COLUMN_WIDTH_IN
    figure = Figure(figsize=(width_in, 0.48 * width_in * len(mice) + 0.1))
    panels = figure.subplots(len(mice), 2, squeeze=False)
    for row, mouse in zip(panels, mice, strict=True):
        for axes, axis in zip(row, "xy", strict=True):
            plot_gaze_axis(result, mouse, axis, axes)
    return figure


@style()
def plot_gaze_axis(result: Result, mouse: str, axis: str, axes: Axes | None = None) -> Axes:
    """Draw one coordinate of the center of attention against that of the pupil.

    Parameters
    ----------
    result : Result
        Of :func:`insilico.attention.relate_to_gaze`.
    mouse : str
        Whose.
    axis : {"x", "y"}
        Which coordinate.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        With the regression line, the correlation, its interval and p-value, as in the table; where
        nothing could be tested, without them.

    Raises
    ------
    NotFittedError
        If the result does not hold the mouse.
    """
    axes = new_axes(axes)
    attention, animal = f"center_{axis}_deg", f"pupil_{axis}"
    table, points = result.tables["attention_gaze"], result.tables["points"]
    found = table[(table["mouse"] == mouse) & (table["attention"] == attention)]
    if found.empty:
        raise NotFittedError(
            f"the result holds no {attention} of mouse {mouse}; it has mice "
            f"{', '.join(map(str, dict.fromkeys(table['mouse'])))}"
        )
    test, mine = found.iloc[0], points[points["mouse"] == mouse]
    axes.scatter(
        mine[animal],
        mine[attention],
        s=point_size(len(mine)),
        alpha=0.6 if len(mine) < RASTER_COUNT else 0.3,
        linewidth=0,
        rasterized=len(mine) >= RASTER_COUNT,
    )
    if _is_tested(test):
        ends = np.array([mine[animal].min(), mine[animal].max()])
        axes.plot(ends, test["intercept"] + test["slope"] * ends, color=cycle_color(1))
    units = result.provenance.get("state_units")
    xlabel = f"pupil center {axis}" + (f" ({units} units)" if units else "")
    axes.set(xlabel=xlabel, ylabel=NAMES[axis], title=_gaze_title(test, mouse))
    axes.margins(0.06)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return axes


def _is_tested(test: pd.Series[Any]) -> bool:
    # A line through two or three points fits whatever they are.
    return bool(test["status"] == "ok" and np.isfinite(test["correlation"]))


def _gaze_title(test: pd.Series[Any], mouse: str) -> str:
    trials, rows = int(test["trial_count"]), int(test["row_count"])
    movies = f"n = {trials:,} movies, {rows:,} frames"
    counted = f"n = {trials:,} images" if rows == trials else movies
    lines = [f"{mouse} · {counted}"]
    if _is_tested(test):
        numbers = [f"r = {_signed(test['correlation'])}"]
        if np.isfinite(test["p_value"]):
            numbers[0] += f" ({_signed(test['ci_low'])} to {_signed(test['ci_high'])})"
            smallest = 1 / (int(test["shuffle_count"]) + 1)
            # A p-value cannot be smaller than one in all shuffles.
            sign = "≤" if test["p_value"] <= smallest else "="
            numbers.append(f"p {sign} {test['p_value']:.2g}")
        lines.append(", ".join(numbers))
    if test["status"] != "ok":
        lines.append(str(test["status"]).replace("_", " "))
    return "\n".join(lines)


def _signed(value: float) -> str:
    # A true minus sign is as wide as a plus.
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
