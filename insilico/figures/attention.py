"""Where a twin looks: attention over the stimulus, and its center against that of the pupil."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from insilico.errors import NotFittedError
from insilico.figures.maps import label_degrees
from insilico.figures.panels import point_size
from insilico.figures.style import (
    COLUMN_WIDTH_IN,
    GRAY,
    PAGE_WIDTH_IN,
    cycle_color,
    new_axes,
    style,
)
from insilico.results import Result
from insilico.screen import Screen

#: Images of a figure whose trials were not named, and how many stand in a row.
IMAGE_COUNT, IMAGE_COLUMNS = 6, 3
#: Movies of a figure whose trials were not named, and frames of each.
MOVIE_COUNT, FRAME_COUNT = 2, 5
#: Perceptually uniform like the style's own map of values from low to high, and told apart from a
#: gray stimulus at middle values, too.
OVERLAY_MAP = "plasma"
#: How much of the stimulus the map covers where it is highest.
OPACITY = 0.85
#: Mice of the figure of gaze; the table holds all.
MOST_MICE = 4
#: Larger clouds of points are drawn as pixels within vector files, which stay small.
RASTER_COUNT = 2000
#: How axes call what is related.
NAMES = {
    "center_x_deg": "azimuth of attention (deg)",
    "center_y_deg": "elevation of attention (deg)",
    "pupil_x": "pupil center x (recorded units)",
    "pupil_y": "pupil center y (recorded units)",
}


@style()
def plot_maps(result: Result, trials: Sequence[int] | None = None) -> Figure:
    """Draw attention over what was shown, for a handful of trials.

    Parameters
    ----------
    result : Result
        Of :func:`insilico.attention.map_attention`.
    trials : sequence of int, optional
        Positions along the result's axis of trials; some evenly spaced ones when left out.

    Returns
    -------
    Figure
        The stimulus in gray with the map over it, and its center of mass as a cross. Of a movie
        several frames in a row, and below them how attention is shared in time.

    Raises
    ------
    NotFittedError
        If the result does not hold a trial.
    """
    is_movie = "frame" in result.arrays.dims
    count = result.arrays.sizes["trial"]
    if trials is None:
        trials = _spread(count, MOVIE_COUNT if is_movie else IMAGE_COUNT)
    if not len(trials) or any(not 0 <= trial < count for trial in trials):
        raise NotFittedError(
            f"the trials {list(trials)} were to be drawn, and the attention result holds trials 0 "
            f"to {count - 1}; name some of these"
        )
    return _plot_movies(result, trials) if is_movie else _plot_images(result, trials)


@style()
def plot_overlay(
    result: Result, trial: int, axes: Axes | None = None, *, frame: int | None = None
) -> Axes:
    """Draw one stimulus with its attention map over it.

    Parameters
    ----------
    result : Result
        Of :func:`insilico.attention.map_attention`.
    trial : int
        Position along the result's axis of trials.
    axes : Axes, optional
        Where; a new figure when left out.
    frame : int, optional
        Of a movie, counted from its start.

    Returns
    -------
    Axes
        Its data are pixels from the top left, y down; the ticks are in degrees.
    """
    axes = new_axes(axes)
    chosen, row = result.arrays.isel(trial=trial), _rows_of(result, trial)
    if frame is not None:
        chosen, row = chosen.sel(frame=frame), row[row["frame"] == frame]
    axes.imshow(chosen["stimulus"], cmap="gray", vmin=0, vmax=255)
    axes.imshow(chosen["map"], cmap=overlay_colors(), vmin=0, vmax=1)
    axes.plot(
        row["center_x_px"],
        row["center_y_px"],
        "+",
        color="black",
        markersize=5,
        markeredgewidth=0.9,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )
    axes.spines[:].set_visible(True)
    label_degrees(axes, _screen_of(result, trial), tick_count=5)
    axes.set(xlabel="azimuth (deg)", ylabel="elevation (deg)")
    parts = [] if frame is None else [f"{row['time_s'].iloc[0]:.2f} s"]
    if frame is None:
        parts.append(_name_of(result, trial))
    if row["status"].iloc[0] != "ok":
        parts.append(str(row["status"].iloc[0]).replace("_", " "))
    axes.set_title(" · ".join(parts))
    return axes


@style()
def plot_trace(
    result: Result, trial: int, axes: Axes | None = None, *, marked: Sequence[int] = ()
) -> Axes:
    """Draw how attention is shared among the frames of a movie.

    Parameters
    ----------
    result : Result
        Of :func:`insilico.attention.map_attention`.
    trial : int
        Position along the result's axis of trials.
    axes : Axes, optional
        Where; a new figure when left out.
    marked : sequence of int
        Frames to mark.

    Returns
    -------
    Axes
        From 0 to 1 over the frames of the trial. Dashed is what attention would be were all frames
        attended alike, in the same scale of its own: under a causal mask it falls with time,
        because early frames are seen by more.
    """
    axes = new_axes(axes)
    rows = _rows_of(result, trial)
    uniform = (
        result.arrays["temporal_uniform"].isel(trial=trial).sel(frame=rows["frame"].to_numpy())
    )
    for frame in marked:
        at = rows.loc[rows["frame"] == frame, "time_s"].iloc[0]
        axes.axvline(at, color=GRAY, linewidth=0.6, zorder=0)
    axes.plot(rows["time_s"], rows["temporal_attention"], label="attention")
    low, high = float(uniform.min()), float(uniform.max())
    if high > low:
        axes.plot(
            rows["time_s"],
            (uniform - low) / (high - low),
            color=GRAY,
            linestyle="--",
            label="were all frames attended alike",
        )
    axes.set(xlabel="time in the movie (s)", ylabel="attention in time", ylim=(-0.03, 1.03))
    axes.set_xlim(rows["time_s"].iloc[0], rows["time_s"].iloc[-1])
    return axes


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
        With the regression line, the correlation, its interval and p-value, as in the table.

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
    if np.isfinite(test["slope"]):
        ends = np.array([mine[animal].min(), mine[animal].max()])
        axes.plot(ends, test["intercept"] + test["slope"] * ends, color=cycle_color(1))
    axes.set(xlabel=NAMES[animal], ylabel=NAMES[attention], title=_gaze_title(test, mouse))
    axes.margins(0.06)
    return axes


def _gaze_title(test: pd.Series[Any], mouse: str) -> str:
    trials, rows = int(test["trial_count"]), int(test["row_count"])
    movies = f"n = {trials:,} movies, {rows:,} frames"
    counted = f"n = {trials:,} images" if rows == trials else movies
    lines = [f"{mouse} · {counted}"]
    if np.isfinite(test["correlation"]):
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


def _plot_images(result: Result, trials: Sequence[int]) -> Figure:
    columns = min(IMAGE_COLUMNS, len(trials))
    rows = -(-len(trials) // columns)
    width_in = PAGE_WIDTH_IN * max(columns, 2) / IMAGE_COLUMNS
    figure = Figure(figsize=(width_in, 0.185 * PAGE_WIDTH_IN * rows + 0.4))
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[len(trials) :]:
        unused.remove()
    for axes, trial in zip(panels, trials, strict=False):
        plot_overlay(result, trial, axes)
        axes.set(xlabel="", ylabel="")
    figure.supxlabel("azimuth (deg)", fontsize="medium")
    figure.supylabel("elevation (deg)", fontsize="medium")
    _plot_color_scale(figure, panels[: len(trials)], "attention (from lowest to highest)")
    return figure


def _plot_movies(result: Result, trials: Sequence[int]) -> Figure:
    has_time = "temporal_attention" in result.tables["attention"]
    heights = [1.0, 0.85] if has_time else [1.0]
    height_in = len(trials) * sum(heights) * 0.14 * PAGE_WIDTH_IN + 0.4
    figure = Figure(figsize=(PAGE_WIDTH_IN, height_in))
    grid = figure.add_gridspec(
        len(heights) * len(trials), FRAME_COUNT, height_ratios=heights * len(trials)
    )
    panels = []
    for place, trial in enumerate(trials):
        row, kept = place * len(heights), _rows_of(result, trial)["frame"].to_numpy()
        frames = [int(kept[index]) for index in _spread(len(kept), FRAME_COUNT)]
        for column, frame in enumerate(frames):
            axes = plot_overlay(result, trial, figure.add_subplot(grid[row, column]), frame=frame)
            panels.append(axes)
            if column == 0:
                axes.set_ylabel(f"{_name_of(result, trial)}\n{axes.get_ylabel()}")
            else:
                # All show the same screen.
                axes.set(xlabel="", ylabel="", xticks=[], yticks=[])
        if has_time:
            axes = plot_trace(result, trial, figure.add_subplot(grid[row + 1, :]), marked=frames)
            if place == 0:
                axes.legend(
                    loc="upper right",
                    bbox_to_anchor=(1, 1.12),
                    ncols=2,
                    frameon=True,
                    framealpha=1,
                    edgecolor="none",
                )
    _plot_color_scale(figure, panels, "attention (of the highest in the frame)")
    return figure


def overlay_colors() -> ListedColormap:
    """Return the colors of a map that covers more of the stimulus the higher it is."""
    values = np.linspace(0, 1, 256)
    colors = colormaps[OVERLAY_MAP](values)
    colors[:, 3] = OPACITY * np.sqrt(values)
    return ListedColormap(colors, name="overlay")


def _plot_color_scale(figure: Figure, panels: Sequence[Axes], label: str) -> None:
    scale = ScalarMappable(Normalize(0, 1), overlay_colors())
    bar = figure.colorbar(
        scale,
        ax=list(panels),
        location="right",
        shrink=0.7,
        aspect=22,
        pad=0.015,
        ticks=[0, 0.5, 1],
    )
    bar.set_label(label)
    # Colors lie over a gray stimulus there, and so they do here.
    bar.ax.set_facecolor("0.5")
    bar.outline.set_visible(False)


def _spread(count: int, most: int) -> list[int]:
    """Return some of the first numbers, evenly spaced; all where they are few."""
    places = np.linspace(0, count - 1, min(most, count)) if count else np.zeros(0)
    return [int(place) for place in places.round()]


def _rows_of(result: Result, trial: int) -> pd.DataFrame:
    """Return the rows of the table of one trial."""
    arrays, table = result.arrays, result.tables["attention"]
    mouse, number = arrays["mouse"].to_numpy()[trial], arrays["trial"].to_numpy()[trial]
    return table[(table["mouse"] == str(mouse)) & (table["trial"] == number)]


def _name_of(result: Result, trial: int) -> str:
    arrays = result.arrays
    mouse, number = arrays["mouse"].to_numpy()[trial], arrays["trial"].to_numpy()[trial]
    return f"{mouse}, trial {number}"


def _screen_of(result: Result, trial: int) -> Screen:
    mouse = str(result.arrays["mouse"].to_numpy()[trial])
    return Screen.from_dict(result.provenance["screens"][mouse])


def _signed(value: float) -> str:
    # A true minus sign is as wide as a plus.
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
