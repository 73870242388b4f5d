"""How well a model predicts recordings: single trials, what repeats, and what can be explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures.panels import letter_panels, plot_histogram, point_size
from insilico.figures.style import GRAY, LIGHT_GRAY, PAGE_WIDTH_IN, cycle_color, new_axes, style
from insilico.results import Result

#: A tier and a stimulus type.
Group = tuple[str, str]

#: Larger clouds of points are drawn as pixels within vector files, which stay small.
RASTER_COUNT = 2000
#: The shape of a distribution needs this many values; fewer are drawn as points.
SHAPE_COUNT = 10
#: Histograms of more mice than this hide each other; then all mice are one.
MOST_HISTOGRAMS = 4


@style()
def plot_performance(result: Result) -> Figure:
    """Draw how well single trials, repeated stimuli and explainable variance are predicted.

    Parameters
    ----------
    result : Result
        Of an evaluation.

    Returns
    -------
    Figure
        At the top the single-trial correlation of every neuron by tier and stimulus type; below,
        for the first of them with repeats, the correlation against the oracle and the explained
        fraction of the explainable variance. Where nothing was repeated there is the top alone.
    """
    has_repeats = not result.neurons["oracle"].isna().all()
    layout: list[Any] = [["all", "all"], ["oracle", "explained"]][: 1 + has_repeats]
    height_in = (0.66 if has_repeats else 0.3) * PAGE_WIDTH_IN
    figure = Figure(figsize=(PAGE_WIDTH_IN, height_in))
    panels = figure.subplot_mosaic(layout, height_ratios=[1, 1.3][: 1 + has_repeats])
    plot_by_tier(result, panels["all"])
    if has_repeats:
        plot_oracle(result, panels["oracle"])
        plot_explained(result, panels["explained"])
        letter_panels(panels.values())
    return figure


@style()
def plot_by_tier(
    result: Result, axes: Axes | None = None, *, metric: str = "single_trial_correlation"
) -> Axes:
    """Draw the distribution over neurons of a metric, by tier, stimulus type and mouse.

    Parameters
    ----------
    result : Result
        Of an evaluation.
    axes : Axes, optional
        Where; a new figure when left out.
    metric : str
        A column of the neurons table.

    Returns
    -------
    Axes
        Shapes are distributions, dots the means and lines their intervals over neurons, as in the
        summary.
    """
    axes = new_axes(axes)
    groups, mice = groups_of(result.neurons), mice_of(result)
    step = min(0.84 / len(mice), 0.4)
    for place, group in enumerate(groups):
        table = rows_of(result, group)
        for index, mouse in enumerate(mice):
            x = place + (index - (len(mice) - 1) / 2) * step
            values = table.loc[table["mouse"] == mouse, metric].dropna().to_numpy(float)
            _draw_distribution(axes, values, x, width=0.9 * step, color=cycle_color(index))
            row = _summary(result, mouse, group, metric)
            axes.plot([x, x], row[["ci_low", "ci_high"]].astype(float), color="k", linewidth=1.2)
            axes.plot(x, row["mean"], "o", color="k", markersize=2.4)
    axes.axhline(0, color=LIGHT_GRAY, linewidth=0.5, zorder=0)
    axes.set_xticks(range(len(groups)), ["\n".join(_words(*group)) for group in groups])
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.5, len(groups) - 0.5), xlabel="tier and stimuli", ylabel=_name(metric))
    neurons = result.neurons[["mouse", "neuron"]].drop_duplicates()
    confidence = float(result.protocol["confidence"])
    axes.set_title(f"{len(neurons):,} neurons; mean with {confidence:.0%} interval over neurons")
    if len(mice) > 1:
        handles = [
            axes.fill_between([], [], color=cycle_color(i), alpha=0.45) for i in range(len(mice))
        ]
        labels = [_mouse_name(mouse) for mouse in mice]
        axes.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return axes


@style()
def plot_oracle(result: Result, axes: Axes | None = None, *, group: Group | None = None) -> Axes:
    """Draw the correlation of every neuron against its oracle, with the slope through zero.

    Parameters
    ----------
    result : Result
        Of an evaluation.
    axes : Axes, optional
        Where; a new figure when left out.
    group : (str, str), optional
        Tier and stimulus type; the first with repeats when left out.

    Returns
    -------
    Axes
        One line a mouse: its slope is the fraction of the oracle that the model reaches, as in the
        summary. The dashed line is a fraction of 1.

    Raises
    ------
    NotFittedError
        If nothing was repeated.
    """
    axes = new_axes(axes)
    group = group or first_repeated(result)
    table = rows_of(result, group).dropna(subset=["correlation", "oracle"])
    values = table[["correlation", "oracle"]].to_numpy(float)
    low = np.floor(10 * min(0.0, values.min(initial=0.0))) / 10
    high = np.ceil(10 * max(0.1, values.max(initial=0.1))) / 10
    axes.plot([low, high], [low, high], color=GRAY, linestyle="--", linewidth=0.8)
    axes.axhline(0, color=LIGHT_GRAY, linewidth=0.5, zorder=0)
    axes.axvline(0, color=LIGHT_GRAY, linewidth=0.5, zorder=0)
    mice = mice_of(result)
    for index, mouse in enumerate(mice):
        part, color = table[table["mouse"] == mouse], cycle_color(index)
        if part.empty:
            continue
        axes.scatter(
            part["oracle"],
            part["correlation"],
            s=point_size(len(table)),
            color=color,
            linewidth=0,
            alpha=0.7 if len(table) < RASTER_COUNT else 0.4,
            rasterized=len(table) >= RASTER_COUNT,
        )
        slope = float(_summary(result, mouse, group, "fraction_oracle")["mean"])
        name = f"{_mouse_name(mouse)}: " if len(mice) > 1 else ""
        # The line stays within the panel, whatever its slope.
        end = high / max(1.0, slope)
        axes.plot([0, end], [0, slope * end], color=color, label=f"{name}slope {slope:.2f}")
    axes.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
    axes.set(xlabel="oracle correlation", ylabel="correlation of the model")
    axes.set_title(f"{', '.join(_words(*group))}; N = {len(table):,}")
    if len(table):
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes


@style()
def plot_explained(result: Result, axes: Axes | None = None, *, group: Group | None = None) -> Axes:
    """Draw the distribution of the explained fraction of the explainable variance (FEVE).

    Parameters
    ----------
    result : Result
        Of an evaluation.
    axes : Axes, optional
        Where; a new figure when left out.
    group : (str, str), optional
        Tier and stimulus type; the first with repeats when left out.

    Returns
    -------
    Axes
        Of neurons whose explainable fraction is large enough to count; a remark says how many.

    Raises
    ------
    NotFittedError
        If nothing was repeated.
    """
    axes = new_axes(axes)
    group = group or first_repeated(result)
    table = rows_of(result, group)
    counted, mice = table[table["is_explainable"]], mice_of(result)
    by_mouse = {_mouse_name(m): counted.loc[counted["mouse"] == m, "feve"] for m in mice}
    minimum = float(result.protocol["minimum_fev"])
    plot_histogram(
        axes,
        by_mouse if 1 < len(mice) <= MOST_HISTOGRAMS else {"all": counted["feve"]},
        limits=(-0.5, 1.25),
        bin_count=35,
        title=", ".join(_words(*group)),
        xlabel="explained fraction of the explainable variance (FEVE)",
        remark=f"{len(counted):,} of {len(table):,} neurons have FEV ≥ {minimum:g}",
    )
    return axes


def mice_of(result: Result) -> list[str]:
    """Return the mice of an evaluation, in order."""
    return list(dict.fromkeys(result.neurons["mouse"]))


def groups_of(table: pd.DataFrame) -> list[Group]:
    """Return the tiers and stimulus types of a neurons table, in order."""
    return list(dict.fromkeys(zip(table["tier"], table["stimulus_type"], strict=True)))


def rows_of(result: Result, group: Group) -> pd.DataFrame:
    """Return the neurons of one tier and stimulus type.

    Raises
    ------
    NotFittedError
        If there is none.
    """
    table = result.neurons
    chosen = table[(table["tier"] == group[0]) & (table["stimulus_type"] == group[1])]
    if chosen.empty:
        raise NotFittedError(
            f"the evaluation has no {', '.join(group)}; it has "
            f"{'; '.join(', '.join(each) for each in groups_of(table)) or 'nothing'}"
        )
    return chosen


def first_repeated(result: Result) -> Group:
    """Return the first tier and stimulus type of the table in which stimuli were repeated.

    Raises
    ------
    NotFittedError
        If nothing was repeated.
    """
    known = result.neurons.dropna(subset=["oracle"])
    if known.empty:
        raise NotFittedError(
            "no stimulus of this evaluation was repeated, so there is no oracle to draw; evaluate "
            "a tier with repeats"
        )
    return groups_of(known)[0]


def _summary(result: Result, mouse: str, group: Group, metric: str) -> pd.Series[Any]:
    """Return a row of the summary; an empty one where the mouse has none."""
    table = result.tables["summary"]
    wanted = {"mouse": mouse, "tier": group[0], "stimulus_type": group[1], "metric": metric}
    rows = table[np.all([table[name] == value for name, value in wanted.items()], axis=0)]
    return rows.iloc[0] if len(rows) else pd.Series(np.nan, index=["mean", "ci_low", "ci_high"])


def _draw_distribution(
    axes: Axes, values: np.ndarray[Any, Any], x: float, *, width: float, color: str
) -> None:
    if len(values) < SHAPE_COUNT or np.ptp(values) == 0:
        axes.scatter(np.full(len(values), x), values, s=4, color=color, alpha=0.5, linewidth=0)
        return
    parts = axes.violinplot(values, [x], widths=width, showextrema=False)
    bodies: Any = parts["bodies"]
    for body in bodies:
        body.set(facecolor=color, alpha=0.45, linewidth=0)


def _name(metric: str) -> str:
    return metric.replace("single_trial", "single-trial").replace("_", " ")


def _mouse_name(mouse: str) -> str:
    """Return "mouse A" for the mouse "A", and "mouse-1" for the mouse "mouse-1"."""
    return mouse if mouse.startswith("mouse") else f"mouse {mouse}"


def _words(*names: str) -> list[str]:
    return [name.replace("_", " ") for name in names]
