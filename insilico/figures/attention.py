"""Where a twin looks: attention over the stimulus, and how it is shared in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from insilico.errors import NotFittedError
from insilico.figures.maps import label_degrees
from insilico.figures.overlays import (
    OverlayScale,
    draw_color_bar,
    draw_overlay,
    published_scale,
    relative_scale,
)
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, new_axes, style
from insilico.results import Result
from insilico.screen import Screen

#: Images of a figure whose trials were not named, and how many stand in a row.
IMAGE_COUNT, IMAGE_COLUMNS = 6, 3
#: Movies of a figure whose trials were not named, and frames of each.
MOVIE_COUNT, FRAME_COUNT = 2, 5
#: Space above the first row of frames, inches.
TOP_IN = 0.08
#: A map within this range of even attention is called nearly even.
NEARLY_EVEN = 0.9, 1.1


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
        several frames in a row, and below them how attention is shared in time. All panels have one
        scale: attention relative to even attention. Results of published scaling show theirs.

    Raises
    ------
    NotFittedError
        If the result does not hold a trial, or was saved without relative maps.
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
    result: Result,
    trial: int,
    axes: Axes | None = None,
    *,
    frame: int | None = None,
    scale: OverlayScale | None = None,
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
    scale : OverlayScale, optional
        Of all panels; that of this map's own range when left out.

    Returns
    -------
    Axes
        Its data are pixels from the top left, y down; the ticks are in degrees.
    """
    axes = new_axes(axes)
    chosen, row = result.arrays.isel(trial=trial), _rows_of(result, trial)
    if frame is not None:
        chosen, row = chosen.sel(frame=frame), row[row["frame"] == frame]
    scale = scale or _scale_of(result, row)
    draw_overlay(axes, chosen["stimulus"], chosen[scale.array].to_numpy(), scale)
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
    elif _is_nearly_even(row.iloc[0]):
        parts.append("nearly even")
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
        From 0 to 1 over the frames of the trial. Dashed is what attention would be if all frames
        counted alike, from 0 to 1 over its own range: under a causal mask it falls with time,
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
            label="if all frames counted alike",
        )
    axes.set(xlabel="time in the movie (s)", ylabel="attention in time", ylim=(-0.03, 1.03))
    first, last = rows["time_s"].iloc[0], rows["time_s"].iloc[-1]
    # Marks of the first and the last frame are drawn whole.
    aside = 0.01 * (last - first) or 0.01
    axes.set_xlim(first - aside, last + aside)
    return axes


def _plot_images(result: Result, trials: Sequence[int]) -> Figure:
    columns = min(IMAGE_COLUMNS, len(trials))
    rows = -(-len(trials) // columns)
    width_in = PAGE_WIDTH_IN * min((columns + 0.4) / IMAGE_COLUMNS, 1)
    figure = Figure(figsize=(width_in, 0.185 * PAGE_WIDTH_IN * rows + 0.4))
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[len(trials) :]:
        unused.remove()
    scale = _scale_of(result, pd.concat([_rows_of(result, trial) for trial in trials]))
    for place, (axes, trial) in enumerate(zip(panels, trials, strict=False)):
        plot_overlay(result, trial, axes, scale=scale)
        if place % columns:
            axes.set_ylabel("")
    draw_color_bar(figure, panels[: len(trials)], scale)
    return figure


def _plot_movies(result: Result, trials: Sequence[int]) -> Figure:
    has_time = "temporal_attention" in result.tables["attention"]
    heights = [1.0, 0.85] if has_time else [1.0]
    height_in = len(trials) * sum(heights) * 0.14 * PAGE_WIDTH_IN + 0.6
    figure = Figure(figsize=(PAGE_WIDTH_IN, height_in))
    # Titles of the first row would touch the edge.
    top = {"rect": (0, 0, 1, 1 - TOP_IN / height_in), "hspace": 0.03}
    if (engine := figure.get_layout_engine()) is not None:
        engine.set(**top)
    grid = figure.add_gridspec(
        len(heights) * len(trials), FRAME_COUNT, height_ratios=heights * len(trials)
    )
    chosen = [_frames_of(result, trial) for trial in trials]
    scale = _scale_of(result, pd.concat(chosen))
    panels: list[Axes] = []
    for place, (trial, rows) in enumerate(zip(trials, chosen, strict=True)):
        row, frames = place * len(heights), [int(frame) for frame in rows["frame"]]
        for column, frame in enumerate(frames):
            axes = figure.add_subplot(grid[row, column])
            panels.append(plot_overlay(result, trial, axes, frame=frame, scale=scale))
            if column == 0:
                axes.set_ylabel(f"{_name_of(result, trial)}\n{axes.get_ylabel()}")
            else:
                # All show the same screen.
                axes.set(xlabel="", ylabel="", xticks=[], yticks=[])
        if has_time:
            axes = plot_trace(result, trial, figure.add_subplot(grid[row + 1, :]), marked=frames)
            if place == 0:
                axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    draw_color_bar(figure, panels, scale)
    return figure


def _frames_of(result: Result, trial: int) -> pd.DataFrame:
    """Return the rows of the frames of a movie that are drawn."""
    rows = _rows_of(result, trial)
    return rows.iloc[_spread(len(rows), FRAME_COUNT)]


def _scale_of(result: Result, rows: pd.DataFrame) -> OverlayScale:
    """Return the one scale of the maps of some rows of the table."""
    if result.protocol.get("compatibility"):
        return published_scale(is_movie="frame" in result.arrays.dims)
    if "relative" not in result.arrays:
        raise NotFittedError(
            "the attention result holds no relative maps, as those of earlier versions do not; map "
            "the attention again"
        )
    return relative_scale(rows["lowest_relative"].min(), rows["highest_relative"].max())


def _is_nearly_even(row: pd.Series[Any]) -> bool:
    low, high = NEARLY_EVEN
    return bool(low <= row["lowest_relative"] and row["highest_relative"] <= high)


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
