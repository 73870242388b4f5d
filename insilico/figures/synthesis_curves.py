"""Optimization curves of a set, and the panels that its figures share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures.galleries import in_words
from insilico.figures.panels import join_counts, letter_panels
from insilico.figures.style import LIGHT_GRAY, PAGE_WIDTH_IN, style
from insilico.figures.synthesis_rows import (
    SynthesizedStimuli,
    class_color,
    is_generated,
    panel_name,
    table_of,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Lines of single targets are fainter the more there are, to here.
LEAST_OPACITY = 0.12
PANEL_HEIGHT_IN = 2.1


@style()
def plot_curves(stimuli: SynthesizedStimuli) -> Figure:
    """Draw how the optimization of each stimulus went.

    Returns
    -------
    Figure
        A panel for each region, motion and goal: the best score so far, from 0 at the first step to
        1 at the last, so that goals and targets share a scale; thin lines end where their stimulus
        was finished. The thick median counts finished stimuli on, at 1. Stimuli that never got
        better than they began have no line; below stands how many have which status.

    Raises
    ------
    NotFittedError
        If the set has no curves.
    """
    table = table_of(stimuli)
    found = _curve_panels(stimuli)
    if not found:
        raise NotFittedError(
            "the set has no optimization curves; draw one that was generated and not found"
        )
    figure, panels = new_panels(len(found))
    for axes, (key, rows, curves) in zip(panels, found, strict=True):
        lines = [line for line in curves if line is not None]
        color = class_color(str(key["stimulus_class"]))
        _draw_progress(axes, lines, color)
        counts = rows["status"].value_counts()
        flat = len(curves) - len(lines)
        parts = [(int(count), in_words(str(name))) for name, count in counts.items()]
        remark = f"{flat:,} without a line: never better than at first" if flat else ""
        name = ", ".join(filter(None, [str(key["stimulus_class"]), panel_name(key, table)]))
        axes.set_title(f"{name}, N = {len(lines):,}")
        axes.set_xlabel("\n".join(filter(None, ["step", f"status: {join_counts(parts)}", remark])))
        axes.set_ylabel("best score so far\n(0 first, 1 final)")
    letter_panels(panels if len(panels) > 1 else [])
    return figure


def has_curves(stimuli: SynthesizedStimuli) -> bool:
    """Whether a set has optimization curves."""
    return bool(_curve_panels(stimuli))


def opacity_of(count: int) -> float:
    """Return the opacity of each of so many lines."""
    return max(LEAST_OPACITY, 1 / math.sqrt(max(count, 1)))


def new_panels(count: int, *, columns: int = 2) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many panels, row by row; a page wide where there are several."""
    columns_used = min(columns, count)
    rows = math.ceil(count / columns_used)
    width = PAGE_WIDTH_IN * columns_used / columns
    figure = Figure(figsize=(width, rows * PANEL_HEIGHT_IN + 0.1))
    panels = list(figure.subplots(rows, columns_used, squeeze=False).flat)
    for unused in panels[count:]:
        unused.remove()
    return figure, panels[:count]


def _curve_panels(
    stimuli: SynthesizedStimuli,
) -> list[tuple[dict[str, Any], pd.DataFrame, list[FloatArray | None]]]:
    """Return what a panel is about, its rows of the table, and the curve of each."""
    table, curves = table_of(stimuli), stimuli.curves
    made = table[is_generated(table)].reset_index(drop=True)
    by_stimulus = {name: _split(curve) for name, curve in curves.groupby("stimulus_id")}
    # Stimuli of equal bytes, such as those of silent neurons, have their curves in their order.
    turn = made.groupby("stimulus_id").cumcount()
    found: dict[int, FloatArray | None] = {}
    for row, (name, number) in enumerate(zip(made["stimulus_id"], turn, strict=True)):
        if number < len(own := by_stimulus.get(name, [])):
            found[row] = _progress(own[number])
    names = ["stimulus_class", "region", "motion"]
    return [
        (dict(zip(names, key, strict=True)), rows, [found[row] for row in rows.index])
        for key, rows in made.loc[list(found)].groupby(names, sort=False)
    ]


def _split(curve: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the curves of one identity, each of which begins where steps stop rising."""
    return [part for _, part in curve.groupby((curve["step"].diff() <= 0).cumsum())]


def _progress(curve: pd.DataFrame) -> FloatArray | None:
    """Return steps and the best score so far from 0 to 1; nothing where it never rises."""
    curve = curve[np.isfinite(curve["score"])]
    if curve.empty:
        return None
    best = np.maximum.accumulate(curve["score"].to_numpy(float))
    gain = best[-1] - best[0]
    if gain <= 0:
        return None
    return np.column_stack([curve["step"].to_numpy(float), (best - best[0]) / gain])


def _draw_progress(axes: Axes, lines: list[FloatArray], color: str) -> None:
    """Draw curves thinly and their median thickly."""
    axes.add_collection(
        LineCollection(lines, colors=color, linewidths=0.5, alpha=opacity_of(len(lines)))
    )
    steps = np.unique(np.concatenate([line[:, 0] for line in lines])) if lines else np.arange(2.0)
    if lines:
        # Between two records the best is the earlier one; a finished stimulus stays at its best.
        held = [
            line[np.maximum(np.searchsorted(line[:, 0], steps, side="right") - 1, 0), 1]
            for line in lines
        ]
        axes.plot(steps, np.median(held, axis=0), color=color, linewidth=1.8, zorder=3)
    axes.axhline(1, color=LIGHT_GRAY, linewidth=0.6, zorder=0)
    axes.set(xlim=(steps[0], max(steps[-1], steps[0] + 1)), ylim=(-0.02, 1.05))
