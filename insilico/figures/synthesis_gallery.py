"""The contact sheet of a set: what drives each target, beside its controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures.galleries import GALLERY_COUNT, in_words, spread_over_ranks
from insilico.figures.style import PAGE_WIDTH_IN, style
from insilico.figures.synthesis_pictures import (
    Look,
    blank_per_frame,
    common_look,
    draw_gray_screen,
    draw_pictures,
    draw_scale,
    draw_trace,
    limit_traces,
    moving_frames,
    scale_deg,
    write_look,
    write_number,
)
from insilico.figures.synthesis_rows import (
    SynthesizedStimuli,
    class_color,
    gallery_places,
    panel_name,
    response_label,
    table_of,
    target_name,
    varies,
)

#: Inches: names of targets, what surrounds the sheet, and what stands around pictures in a row.
NAMES_IN, RIGHT_IN, TOP_IN = 0.95, 0.08, 0.22
NUMBER_IN, BELOW_PICTURE_IN, TRACE_IN, GAP_IN = 0.13, 0.08, 0.27, 0.07
COLUMN_GAP_IN, TIME_IN, CAPTION_LINE_IN = 0.1, 0.26, 0.12
#: Inches: the tallest and the smallest picture of a row, and the sheet that it should fit.
PICTURE_HEIGHT_IN, LEAST_PICTURE_IN, PAGE_HEIGHT_IN = 1.0, 0.3, 9.4
#: Inches: a sheet of one column still holds its caption.
LEAST_WIDTH_IN = 3.6


@style()
def plot_gallery(stimuli: SynthesizedStimuli, neurons: Iterable[int] | None = None) -> Figure:
    """Draw the exciting and inhibiting stimuli of each target beside its controls.

    Parameters
    ----------
    stimuli : SynthesizedStimuli
        A set.
    neurons : iterable of int, optional
        Indices in the mouse; when left out up to 12 targets, evenly spaced in rank of the response
        to what was made for them.

    Returns
    -------
    Figure
        A row a target, or a target, region and motion, where a set has several; a column a class.
        Of several restarts or candidates the best is shown. The border of the region is outlined,
        and the response, a number of the table, stands above. Of movies three frames are shown, and
        below them the predicted response with that to a gray screen as a dashed line; the traces
        of a row have one scale. Gray levels are those of the screen; those of a set of low contrast
        are stretched by one number for all, which the caption says.

    Raises
    ------
    NotFittedError
        If there is no stimulus, or nothing was made for a named neuron.
    """
    places = _chosen(stimuli, neurons)
    shown = places.to_numpy(float)
    look = common_look(stimuli, shown[np.isfinite(shown)].astype(int).tolist())
    has_traces = stimuli.traces.shape[1] > 1
    caption = _caption(stimuli, look, shown_count=len(places), has_traces=has_traces)
    sheet = _Sheet(*places.shape, look.aspect, len(caption), has_traces)
    figure = Figure(figsize=(sheet.width_in, sheet.height_in))
    figure.set_layout_engine("none")
    for line in range(len(places)):
        _draw_row(figure, sheet, line, stimuli, places.iloc[line], look=look)
    for column, name in enumerate(places.columns):
        _write(figure, sheet, sheet.center(column), sheet.height_in - 0.05, in_words(name))
    draw_scale(figure.axes[0], stimuli.screen, look)
    for line, text in enumerate(reversed(caption)):
        _write(figure, sheet, 0.08, 0.16 + line * CAPTION_LINE_IN, text, size="small", to="left")
    return figure


@dataclasses.dataclass(frozen=True)
class _Sheet:
    """Where everything stands, inches from the bottom left.

    A layout by hand: a solver takes many seconds for so many axes.
    """

    row_count: int
    column_count: int
    aspect: float
    caption_lines: int
    has_traces: bool

    @property
    def bottom_in(self) -> float:
        """Height of caption and axis of time."""
        return 0.16 + self.caption_lines * CAPTION_LINE_IN + TIME_IN * self.has_traces

    @property
    def below_in(self) -> float:
        """Height of all that stands below the pictures of a row."""
        return GAP_IN + (BELOW_PICTURE_IN + TRACE_IN) * self.has_traces

    @property
    def picture_in(self) -> float:
        """Height of a picture, so that the sheet fits a page if it can."""
        width = PAGE_WIDTH_IN - NAMES_IN - RIGHT_IN - COLUMN_GAP_IN * (self.column_count - 1)
        height = (PAGE_HEIGHT_IN - TOP_IN - self.bottom_in) / self.row_count
        fitting = max(height - NUMBER_IN - self.below_in, LEAST_PICTURE_IN)
        return min(PICTURE_HEIGHT_IN, width / self.column_count / self.aspect, fitting)

    @property
    def cell_in(self) -> float:
        """Width of a cell."""
        return self.picture_in * self.aspect

    @property
    def row_in(self) -> float:
        """Height of a row."""
        return NUMBER_IN + self.picture_in + self.below_in

    @property
    def width_in(self) -> float:
        """Width of the sheet."""
        cells = self.column_count * (self.cell_in + COLUMN_GAP_IN) - COLUMN_GAP_IN
        return max(NAMES_IN + cells + RIGHT_IN, LEAST_WIDTH_IN)

    @property
    def height_in(self) -> float:
        """Height of the sheet."""
        return TOP_IN + self.row_count * self.row_in + self.bottom_in

    def left(self, column: int) -> float:
        """Return where a column begins."""
        return NAMES_IN + column * (self.cell_in + COLUMN_GAP_IN)

    def center(self, column: int) -> float:
        """Return the middle of a column."""
        return self.left(column) + self.cell_in / 2

    def top(self, line: int) -> float:
        """Return where a row begins."""
        return self.height_in - TOP_IN - line * self.row_in

    def add_axes(self, figure: Figure, column: int, bottom: float, height: float) -> Axes:
        """Add axes as wide as a cell."""
        width, whole = self.width_in, self.height_in
        return figure.add_axes(
            (self.left(column) / width, bottom / whole, self.cell_in / width, height / whole)
        )


def _chosen(stimuli: SynthesizedStimuli, neurons: Iterable[int] | None) -> pd.DataFrame:
    """Return the places of the stimuli of the sheet, a row a target and a column a class."""
    table = table_of(stimuli)
    places = gallery_places(table)
    first = places.bfill(axis=1).iloc[:, 0].to_numpy(int)
    if neurons is None:
        responses = table["response"].to_numpy(float)[first]
        lines = spread_over_ranks(responses, GALLERY_COUNT)
        return places.iloc[lines].dropna(axis=1, how="all")
    own, asked = table["neuron"].to_numpy(int)[first], [int(index) for index in neurons]
    missing = [f"neuron {index}" for index in asked if index not in own]
    if missing or not asked:
        raise NotFittedError(
            f"{(missing or ['no neuron'])[0]} was to be drawn, and the set was made for "
            f"{len(set(own)):,} neurons from {own.min()} to {own.max()}; name some of these"
        )
    found = np.concatenate([np.flatnonzero(own == index) for index in asked])
    return places.iloc[found].dropna(axis=1, how="all")


def _draw_row(
    figure: Figure,
    sheet: _Sheet,
    line: int,
    stimuli: SynthesizedStimuli,
    places: pd.Series[float],
    *,
    look: Look,
) -> None:
    """Draw the stimuli of one target and what is known of it."""
    traces: list[Axes] = []
    own = -1
    for column, (name, place) in enumerate(places.items()):
        if np.isnan(place):
            continue
        row, top = int(place), sheet.top(line)
        own = row if own < 0 else own
        response = stimuli.table["response"].iloc[row]
        _write(
            figure, sheet, sheet.center(column), top - 0.01, write_number(response), size="small"
        )
        bottom = top - NUMBER_IN - sheet.picture_in
        draw_pictures(sheet.add_axes(figure, column, bottom, sheet.picture_in), stimuli, row, look)
        if sheet.has_traces:
            axes = sheet.add_axes(figure, column, bottom - BELOW_PICTURE_IN - TRACE_IN, TRACE_IN)
            draw_trace(axes, stimuli, row, color=class_color(str(name)))
            draw_gray_screen(axes, blank_per_frame(stimuli, row))
            traces.append(axes)
    _write(
        figure,
        sheet,
        0.08,
        sheet.top(line) - NUMBER_IN,
        _name(stimuli, own),
        size="small",
        to="left",
    )
    for index, axes in enumerate(traces):
        limit_traces(traces) if not index else axes.tick_params(labelleft=False)
        axes.tick_params(labelbottom=line == sheet.row_count - 1 and not index)
    if traces and line == sheet.row_count - 1:
        traces[0].set_xlabel("time (s)", fontsize="small")


def _write(
    figure: Figure,
    sheet: _Sheet,
    x_in: float,
    y_in: float,
    text: str,
    *,
    size: str = "medium",
    to: str = "center",
) -> None:
    """Write text below a place."""
    figure.text(x_in / sheet.width_in, y_in / sheet.height_in, text, fontsize=size, ha=to, va="top")


def _name(stimuli: SynthesizedStimuli, row: int) -> str:
    """Return what is known of the target of a row."""
    table = table_of(stimuli)
    stimulus = table.iloc[row]
    lines = [target_name(table, row), panel_name(stimulus.to_dict(), table)]
    if stimulus["status"] != "ok":
        lines.append(in_words(stimulus["status"]))
    if np.isfinite(blank := stimulus.get("blank_response", np.nan)):
        lines.append(f"gray: {write_number(blank)}")
    return "\n".join(filter(None, lines))


def _caption(
    stimuli: SynthesizedStimuli, look: Look, *, shown_count: int, has_traces: bool
) -> list[str]:
    """Return what the numbers, lines and grays of the sheet are."""
    table = table_of(stimuli)
    total = len(gallery_places(table))
    several = [name for name in ("region", "motion") if varies(table, name)]
    noun = "target" if total == 1 else "targets"
    what = " and ".join([noun, *(f"{name}s" for name in several)])
    counted = f"{shown_count:,} of {total:,}" if shown_count < total else f"{total:,}"
    gray = "; gray: to a gray screen" if "blank_response" in table else ""
    screen = stimuli.screen
    bar = f"bar: {scale_deg(look, screen):g} deg"
    lines = [
        f"{counted} {what}; numbers: {response_label(stimuli)}{gray}",
        f"{write_look(look, screen)}; {bar}",
    ]
    if look.width_px < screen.width_px:
        lines.append(
            f"shown: {look.width_px} x {look.height_px} px of the screen's "
            f"{screen.width_px} x {screen.height_px} about each stimulus"
        )
    if look.picture_count > 1:
        frames = ", ".join(str(frame) for frame in moving_frames(stimuli))
        lines.append(f"frames {frames} of {stimuli.frames.shape[1]}, arrow: time")
    if has_traces:
        lines.append("traces: predicted response, one scale a row; dashed: to a gray screen")
    return lines
