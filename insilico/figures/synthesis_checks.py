"""Checks of a set: whether other twins agree, restarts agree, and classes are matched."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures.galleries import in_words
from insilico.figures.panels import (
    bin_count_for,
    draw_identity,
    letter_panels,
    plot_histogram,
    plot_points,
    point_size,
    upper_limit,
)
from insilico.figures.style import LIGHT_GRAY, cycle_color, style
from insilico.figures.synthesis_curves import new_panels
from insilico.figures.synthesis_rows import (
    GENERATED,
    SynthesizedStimuli,
    best_rows,
    class_color,
    is_generated,
    ordered,
    response_label,
    table_of,
    values_of,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Beginning of the columns of responses of twins that did not make the stimuli.
TRANSFER = "transfer_"
#: The candidates among which a generated stimulus should be the best.
CANDIDATES = ("natural", "grating")
#: Columns drawn by class, with title and label of the axis.
BY_CLASS = {
    "spectrum_distance": ("distance from natural spectra", "distance (decades)"),
    "luminance_level": ("luminance in the region", "mean gray level"),
    "rms_level": ("contrast in the region", "s.d. of gray levels"),
    "gaze_robustness_1px": ("gaze shifted by 1 px", "robustness (1: insensitive)"),
    "saturated_fraction": ("saturated pixels", "fraction of the region"),
}
#: Columns that say little of controls, which stand in no best place.
OF_GENERATED = ("gaze_robustness_1px",)
#: Columns that should be equal over classes, to this many gray levels.
MATCHED, TOLERANCE_LEVELS = ("luminance_level", "rms_level"), 1.0
COLUMNS = 3


@style()
def plot_checks(stimuli: SynthesizedStimuli) -> Figure:
    """Draw what speaks for and against a set, as far as its table says it.

    Parameters
    ----------
    stimuli : SynthesizedStimuli
        A set. Drawn are the columns ``transfer_<twin>``, ``restart_correlation``,
        ``spectrum_distance``, ``luminance_level``, ``rms_level``, ``gaze_robustness_1px``,
        ``saturated_fraction``, and ``response_quiet`` with ``response_running``.

    Returns
    -------
    Figure
        Transfer is another twin's response to the exciting stimulus, divided by its response to the
        best natural stimulus or grating of the same target. By class every stimulus is a point, and
        a bar the median; bands hold what lies within 1 gray level of the median of what was
        generated, as all of a set should.

    Raises
    ------
    NotFittedError
        If the table says nothing of this.
    """
    panels = _panels(stimuli)
    if not panels:
        raise NotFittedError(
            "the table of the set has no transfer, agreement, spectrum or levels to draw; check "
            "the set first"
        )
    figure, places = new_panels(len(panels), columns=COLUMNS)
    for axes, draw in zip(places, panels, strict=True):
        draw(axes)
    letter_panels(places if len(places) > 1 else [])
    return figure


def has_checks(stimuli: SynthesizedStimuli) -> bool:
    """Whether there is a panel to draw."""
    return bool(_panels(stimuli))


def _panels(stimuli: SynthesizedStimuli) -> list[Callable[[Axes], None]]:
    """Return what draws each panel for which the table has values."""
    table = table_of(stimuli)
    known = {str(name) for name in table.columns[table.notna().any()]}
    panels: list[Callable[[Axes], None]] = []
    if ratios := _transfer_ratios(table):
        panels.append(partial(_draw_transfer, ratios))
    if "restart_correlation" in known and _by_class(table, "restart_correlation", GENERATED):
        panels.append(partial(_draw_agreement, table))
    if {"response_quiet", "response_running"} <= known:
        panels.append(partial(_draw_behavior, table, response_label(stimuli)))
    made = table[is_generated(table)]
    known -= {name for name in OF_GENERATED if name in known and made[name].isna().all()}
    panels += [partial(_draw_by_class, table, name) for name in BY_CLASS if name in known]
    return panels


def _transfer_ratios(table: pd.DataFrame) -> dict[str, FloatArray]:
    """Return transfer by twin, of targets for which it is known."""
    places = best_rows(table, "exciting")
    names = [name for name in CANDIDATES if name in places]
    found = {}
    for column in (str(name) for name in table.columns if str(name).startswith(TRANSFER)):
        if not names:
            continue
        responses = values_of(table, places, column)
        best = responses[names].max(axis=1)
        ratios = (responses["exciting"] / best.where(best > 0)).to_numpy(float)
        if np.isfinite(ratios).any():
            found[column.removeprefix(TRANSFER)] = ratios
    return found


def _draw_transfer(ratios: dict[str, FloatArray], axes: Axes) -> None:
    every = np.concatenate(list(ratios.values()))
    remark = "" if len(ratios) > 1 else f"twin: {next(iter(ratios))}"
    plot_histogram(
        axes,
        ratios,
        limits=(0.0, upper_limit(every, step=0.5)),
        bin_count=bin_count_for(len(every)),
        title="transfer to other twins",
        xlabel="response / response to its\nbest natural stimulus or grating",
        remark=remark,
        colors=[cycle_color(2 + index) for index in range(len(ratios))],
        medians=[float(np.nanmedian(values)) for values in ratios.values()],
    )
    axes.axvline(1, color=LIGHT_GRAY, linewidth=0.6, zorder=0)
    axes.set_ylabel("targets")


def _draw_agreement(table: pd.DataFrame, axes: Axes) -> None:
    # Rounding may leave a correlation just above 1.
    found = _by_class(table, "restart_correlation", GENERATED)
    values = {name: np.minimum(known, 1.0) for name, known in found.items()}
    every = np.concatenate(list(values.values()))
    low = min(0.8, math.floor(10 * float(every.min())) / 10)
    plot_histogram(
        axes,
        values,
        limits=(low, 1.0),
        bin_count=bin_count_for(len(every)),
        title="agreement of restarts",
        xlabel="correlation between restarts",
        colors=[class_color(name) for name in values],
        medians=[float(np.median(known)) for known in values.values()],
    )
    axes.set_ylabel("stimuli")


def _draw_behavior(table: pd.DataFrame, label: str, axes: Axes) -> None:
    made = table[table["stimulus_class"] == "exciting"]
    made = made.dropna(subset=["response_quiet", "response_running"])
    quiet, running = (made[f"response_{state}"].to_numpy(float) for state in ("quiet", "running"))
    plot_points(axes, quiet, running, color=class_color("exciting"), clip_on=False)
    ends = np.concatenate([quiet, running, [0.0]])
    draw_identity(axes, float(ends.min()), 1.04 * float(ends.max()) or 1.0)
    axes.locator_params(nbins=4)
    axes.set(title=f"exciting by behavior, N = {len(made):,}", xlabel=f"quiet: {label}")
    axes.set_ylabel(f"running: {label}".replace(" (", "\n("))


def _by_class(
    table: pd.DataFrame, column: str, classes: tuple[str, ...] = ()
) -> dict[str, FloatArray]:
    """Return the known values of a column by class, in the order of columns."""
    found = {}
    for name in ordered(table["stimulus_class"].unique()):
        values = table.loc[table["stimulus_class"] == name, column].to_numpy(float)
        values = values[np.isfinite(values)]
        if len(values) and (not classes or name in classes):
            found[name] = values
    return found


def _draw_by_class(table: pd.DataFrame, column: str, axes: Axes) -> None:
    """Draw a column by class: every stimulus as a point, with the median."""
    values = _by_class(table, column, GENERATED if column in OF_GENERATED else ())
    for place, (name, known) in enumerate(values.items()):
        # Points of one class stand beside each other in the order of the table.
        beside = place + np.linspace(-0.25, 0.25, len(known)) * (len(known) > 1)
        looks: dict[str, Any] = {"s": point_size(len(known)), "linewidths": 0, "alpha": 0.7}
        axes.scatter(beside, known, color=class_color(name), clip_on=False, **looks)
        axes.plot([place - 0.32, place + 0.32], [np.median(known)] * 2, color="black", zorder=4)
    title, label = BY_CLASS[column]
    every = np.concatenate(list(values.values()))
    axes.set_title(f"{title}, N = {len(every):,}")
    labels = [in_words(name) for name in values]
    axes.set_xticks(range(len(values)), labels, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.5, len(values) - 0.5), ylabel=label)
    axes.set_ylim(min(0.0, 1.05 * float(every.min())), 1.05 * float(every.max()) or 0.01)
    remark = ""
    if column in MATCHED:
        remark = f"\n{every.min():.2f} to {every.max():.2f}"
        _draw_band(axes, values)
    axes.set_xlabel(f"class{remark}")


def _draw_band(axes: Axes, values: dict[str, FloatArray]) -> None:
    """Shade what lies within the tolerance, and do not enlarge less than that."""
    made = [known for name, known in values.items() if name in GENERATED]
    every = np.concatenate(list(values.values()))
    middle = float(np.median(np.concatenate(made or [every])))
    axes.axhspan(
        middle - TOLERANCE_LEVELS, middle + TOLERANCE_LEVELS, color=LIGHT_GRAY, alpha=0.4, zorder=0
    )
    reach = max(2 * TOLERANCE_LEVELS, 1.1 * float(np.abs(every - middle).max()))
    axes.set_ylim(middle - reach, middle + reach)
