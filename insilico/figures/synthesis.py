"""Synthesized stimuli: what drives neurons, against controls, still and moving, step by step.

Every function takes a set of stimuli as :mod:`insilico.synthesis.stimulus_set` makes and loads it,
and returns a figure. Classes, columns and motions that a set lacks are left out. No response is
computed and nothing is tested here: ratios and medians are of columns of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from insilico.errors import CatalogError, NotFittedError
from insilico.figures.galleries import in_words
from insilico.figures.panels import letter_panels, point_size
from insilico.figures.style import GRAY, LIGHT_GRAY, style
from insilico.figures.synthesis_checks import has_checks, plot_checks
from insilico.figures.synthesis_curves import has_curves, new_panels, opacity_of, plot_curves
from insilico.figures.synthesis_gallery import plot_gallery
from insilico.figures.synthesis_motion import has_motions, plot_motion
from insilico.figures.synthesis_rows import (
    GENERATED,
    GRAY_SCREEN,
    SynthesizedStimuli,
    class_color,
    is_generated,
    panel_name,
    relative_responses,
    table_of,
)

__all__ = [
    "draw",
    "figure_names",
    "plot_checks",
    "plot_classes",
    "plot_curves",
    "plot_gallery",
    "plot_motion",
]

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Responses beyond these multiples of the reference stand on the border, and are counted.
RATIO_LIMITS = (-0.5, 2.0)
#: Area of the largest point, square points.
POINT_AREA = 6.0


def figure_names(stimuli: SynthesizedStimuli) -> tuple[str, ...]:
    """Return the figures that a set has enough for; see :func:`draw`."""
    return tuple(name for name, (_, has_it) in _figures().items() if has_it(stimuli))


def draw(stimuli: SynthesizedStimuli, name: str) -> Figure:
    """Draw a figure by name.

    Parameters
    ----------
    stimuli : SynthesizedStimuli
        A set.
    name : str
        One of :func:`figure_names`.

    Raises
    ------
    CatalogError
        If this set has no figure of that name.
    """
    figures = _figures()
    if name not in figures or not figures[name][1](stimuli):
        known = ", ".join(figure_names(stimuli)) or "none"
        raise CatalogError(f"this set of stimuli has no figure {name!r}; it has {known}")
    return figures[name][0](stimuli)


@style()
def plot_classes(stimuli: SynthesizedStimuli, tests: pd.DataFrame | None = None) -> Figure:
    """Draw how far controls drive each target, relative to what was made for it.

    Parameters
    ----------
    stimuli : SynthesizedStimuli
        A set.
    tests : DataFrame, optional
        Tests over targets to be written below the classes: ``stimulus_class``, ``p_value``, and
        ``made_for`` ("exciting" or "inhibiting"), ``region`` and ``motion`` as far as a set has
        several.

    Returns
    -------
    Figure
        A panel for each region, motion and goal. Every response is divided by that of the same
        target to its exciting stimulus (to a gray screen where nothing exciting was made); a line
        is a target, a bar the median. Of several controls of a class the one nearest the
        goal counts.

    Raises
    ------
    NotFittedError
        If there is nothing to compare.
    """
    table = table_of(stimuli)
    found = _class_panels(table)
    if not found:
        raise NotFittedError(
            "the set has nothing to compare: no target with a response above 0 has a control or a "
            "response to a gray screen; generate controls, too"
        )
    figure, panels = new_panels(len(found))
    for axes, (made_for, key, ratios, reference) in zip(panels, found, strict=True):
        title = ", ".join(filter(None, [made_for, panel_name(key, table)]))
        p_values = _p_values(tests, key | {"made_for": made_for})
        _draw_classes(axes, ratios, p_values)
        left_out = int(ratios.isna().all(axis=1).sum())
        remark = f"{left_out:,} without a response above 0" if left_out else ""
        axes.set_title(
            "\n".join(filter(None, [f"{title}, N = {len(ratios) - left_out:,}", remark]))
        )
        axes.set_ylabel(f"response / response to\n{_reference_name(reference)}")
    letter_panels(panels if len(panels) > 1 else [])
    return figure


def _figures() -> dict[
    str, tuple[Callable[[SynthesizedStimuli], Figure], Callable[[SynthesizedStimuli], bool]]
]:
    """Return what draws each figure, and whether a set has enough for it."""
    return {
        "gallery": (plot_gallery, lambda stimuli: bool(is_generated(table_of(stimuli)).any())),
        "classes": (plot_classes, lambda stimuli: bool(_class_panels(table_of(stimuli)))),
        "motion": (plot_motion, has_motions),
        "curves": (plot_curves, has_curves),
        "checks": (plot_checks, has_checks),
    }


def _class_panels(
    table: pd.DataFrame,
) -> list[tuple[str, dict[str, Any], pd.DataFrame, str]]:
    """Return goal, region and motion, ratios and reference of each panel with more than a class."""
    found = []
    for made_for in GENERATED:
        ratios, reference = relative_responses(table, made_for)
        for (region, motion), part in ratios.groupby(level=["region", "motion"], sort=False):
            part = part.dropna(axis=1, how="all")
            if part.shape[1] > 1:
                key = {"region": region, "motion": motion}
                found.append((made_for, key, part, reference))
    return found


def _draw_classes(axes: Axes, ratios: pd.DataFrame, p_values: Mapping[str, float]) -> None:
    """Draw a line a target over the classes, and the median of each."""
    places = np.arange(ratios.shape[1])
    values = ratios.dropna(how="all").to_numpy(float)
    low, high = _limits(values)
    shown = np.clip(values, low, high)
    lines = [np.column_stack([places, line])[np.isfinite(line)] for line in shown]
    axes.add_collection(
        LineCollection(lines, colors=GRAY, linewidths=0.5, alpha=opacity_of(len(lines)), zorder=1)
    )
    labels, half = [], 0.05 * len(places)
    for place, name in zip(places, ratios.columns, strict=True):
        column = values[:, place]
        known = column[np.isfinite(column)]
        median = float(np.median(known))
        color = class_color(name)
        points: dict[str, Any] = {"s": min(POINT_AREA, point_size(len(known))), "linewidths": 0}
        ends = np.clip(known, low, high)
        axes.scatter(np.full(len(known), place), ends, color=color, clip_on=False, **points)
        axes.plot([place - half, place + half], [median] * 2, color="black", zorder=4)
        beyond = int(((known < low) | (known > high)).sum())
        label = [in_words(name), f"{median + 0.0:.2g}", f"N = {len(known):,}"]
        label += [f"{beyond:,} beyond"] if beyond else []
        label += [f"p = {p_values[name]:.1g}"] if name in p_values else []
        labels.append("\n".join(label))
    if high >= 1:
        axes.axhline(1, color=LIGHT_GRAY, linewidth=0.6, zorder=0)
    axes.set_xticks(places, labels, fontsize="x-small")
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.5, len(places) - 0.5), ylim=(low, high))
    axes.set_xlabel("class, median over targets")


def _limits(values: FloatArray) -> tuple[float, float]:
    """Return the ends of an axis of ratios that holds 0 and all but the wildest."""
    known = values[np.isfinite(values)]
    low, high = min(0.0, 1.05 * float(known.min())), 1.05 * max(float(known.max()), 0.1)
    return max(low, RATIO_LIMITS[0]), min(high, RATIO_LIMITS[1])


def _p_values(tests: pd.DataFrame | None, key: Mapping[str, Any]) -> dict[str, float]:
    """Return the p-values of one panel by class."""
    if tests is None:
        return {}
    for name, value in key.items():
        if name in tests:
            tests = tests[tests[name] == value]
    known = tests[tests["p_value"].notna()]
    return dict(
        zip(known["stimulus_class"].astype(str), known["p_value"].astype(float), strict=True)
    )


def _reference_name(reference: str) -> str:
    return "a gray screen" if reference == GRAY_SCREEN else f"the {reference} stimulus"
