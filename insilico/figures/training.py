"""How training went, and how much data it needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from insilico.errors import NotFittedError
from insilico.figures.style import COLUMN_WIDTH_IN, GRAY, LIGHT_GRAY, cycle_color, style

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What a log must have to be drawn.
LOG_COLUMNS = ("epoch", "loss", "validation_correlation")
#: Beginnings of the columns of each mouse, and of each group of parameters.
MOUSE_PREFIX = "validation_correlation_"
RATE_PREFIX = "learning_rate_"
#: What a table of data efficiency must have.
EFFICIENCY_COLUMNS = ("trials", "condition", "correlation", "ci_low", "ci_high")
#: Single epochs are marked up to here; more of them make a line.
MARKED_EPOCHS = 12
#: Numbers of trials closer than this are not both written under the axis.
LEAST_TICK_RATIO = 1.2
MARKERS = ("o", "s", "^", "D")


@style()
def plot_training(log: pd.DataFrame) -> Figure:
    """Draw loss, validation correlation and learning rate over the epochs of a run.

    Parameters
    ----------
    log : DataFrame
        A row an epoch, as in ``log.csv``: ``epoch``, ``loss``, ``validation_correlation``. Drawn
        where present: ``validation_correlation_<mouse>`` of each mouse, ``learning_rate_<group>``
        of each group of parameters, and ``minutes`` since the start, as a second axis on top.

    Returns
    -------
    Figure
        The epoch with the highest validation correlation, whose weights are kept, is marked.

    Raises
    ------
    NotFittedError
        If there is no epoch to draw, or a column is missing.
    """
    _check(log, LOG_COLUMNS, "training log", "train first")
    epochs = log["epoch"].to_numpy(float)
    rates = [name for name in log.columns if name.startswith(RATE_PREFIX)]
    count = 3 if rates else 2
    figure = Figure(figsize=(COLUMN_WIDTH_IN, 0.36 * COLUMN_WIDTH_IN * count + 0.3))
    panels = np.atleast_1d(figure.subplots(count, 1, sharex=True))
    marker = "o" if len(log) <= MARKED_EPOCHS else None
    loss = log["loss"].to_numpy(float)
    panels[0].plot(epochs, loss, color="black", marker=marker)
    panels[0].set_ylabel("training loss\nper response")
    _plot_correlation(log, panels[1], marker=marker)
    if rates:
        _plot_rates(log, rates, panels[2], marker=marker)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(
        MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    panels[-1].set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    if "minutes" in log:
        _add_minutes(panels[0], epochs, log["minutes"].to_numpy(float))
    figure.align_ylabels()
    return figure


@style()
def plot_data_efficiency(table: pd.DataFrame) -> Figure:
    """Draw validation correlation against the number of training trials, a line a condition.

    Parameters
    ----------
    table : DataFrame
        A row a training: ``trials``, number of training trials, above 0; ``condition``, such as
        "frozen core" and "direct training"; ``correlation``, mean over neurons; ``ci_low`` and
        ``ci_high``, its confidence interval over neurons; optionally ``ceiling``, the highest
        correlation that the noise of the recording allows.

    Returns
    -------
    Figure

    Raises
    ------
    NotFittedError
        If there is no row to draw, a column is missing, or a row has no trials.
    """
    _check(table, EFFICIENCY_COLUMNS, "table of data efficiency", "train on some trials first")
    if not (table["trials"] > 0).all():
        raise NotFittedError(
            f"a row of the table of data efficiency has {table['trials'].min():g} trials, and the "
            "axis is logarithmic; leave rows without training out"
        )
    figure = Figure(figsize=(COLUMN_WIDTH_IN, 0.75 * COLUMN_WIDTH_IN))
    axes = figure.add_subplot()
    conditions = list(dict.fromkeys(table["condition"]))
    for index, condition in enumerate(conditions):
        rows = table[table["condition"] == condition].sort_values("trials")
        _plot_condition(rows, str(condition), axes, index=index, count=len(conditions))
    if "ceiling" in table and table["ceiling"].notna().any():
        ceiling = table.drop_duplicates("trials").sort_values("trials")
        axes.plot(
            ceiling["trials"],
            ceiling["ceiling"],
            color=GRAY,
            linestyle="--",
            label="ceiling of the recording",
        )
    _label_efficiency(axes, table["trials"].to_numpy(float))
    return figure


def _plot_correlation(log: pd.DataFrame, axes: Axes, *, marker: str | None) -> None:
    epochs = log["epoch"].to_numpy(float)
    mean = log["validation_correlation"].to_numpy(float)
    mice = [name for name in log.columns if name.startswith(MOUSE_PREFIX)]
    for place, name in enumerate(mice if len(mice) > 1 else []):
        label = f"each of {len(mice)} mice" if place == 0 else None
        thin: dict[str, Any] = {"linewidth": 0.6, "marker": marker, "markersize": 1.5}
        axes.plot(epochs, log[name], color=LIGHT_GRAY, label=label, **thin)
    label = "mean" if len(mice) > 1 else None
    axes.plot(epochs, mean, color=cycle_color(0), marker=marker, label=label)
    axes.set_ylabel("validation\ncorrelation")
    if np.isfinite(mean).any():
        best = int(np.nanargmax(mean))
        axes.axvline(epochs[best], color=GRAY, linewidth=0.6, linestyle=":", zorder=0)
        axes.plot(
            epochs[best],
            mean[best],
            color=cycle_color(1),
            marker="o",
            markersize=4,
            linestyle="none",
            label=f"best: {mean[best]:.3f}, epoch {epochs[best]:.0f}",
            clip_on=False,
            zorder=3,
        )
        _add_legend(axes)


def _plot_rates(log: pd.DataFrame, names: list[str], axes: Axes, *, marker: str | None) -> None:
    """Draw the learning rate of each group, groups that share theirs as one line."""
    groups: dict[tuple[float, ...], list[str]] = {}
    for name in names:
        values = tuple(log[name].to_numpy(float))
        groups.setdefault(values, []).append(name.removeprefix(RATE_PREFIX))
    for index, (values, members) in enumerate(groups.items()):
        label = " and ".join(members) if len(groups) > 1 else None
        color = cycle_color(index + 2) if len(groups) > 1 else "black"
        look: dict[str, Any] = {"color": color, "marker": marker, "drawstyle": "steps-mid"}
        axes.plot(log["epoch"], values, label=label, **look)
    if all(value > 0 for values in groups for value in values):
        axes.set_yscale("log")
    axes.set_ylabel("learning\nrate")
    if len(groups) > 1:
        _add_legend(axes)


def _add_legend(axes: Axes) -> None:
    """Put a legend in one row above a panel, where it covers no line."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3)


def _add_minutes(axes: Axes, epochs: FloatArray, minutes: FloatArray) -> None:
    """Put the minutes of the run on top; epochs of different length are not evenly spaced."""
    # The run starts one epoch before the end of its first.
    epochs = np.concatenate([[epochs[0] - 1], epochs])
    minutes = np.concatenate([[0.0], minutes])
    # Strictly rising, so that there is a way back: a clock may not move between quick epochs.
    clock = np.maximum.accumulate(np.nan_to_num(minutes)) + 1e-6 * np.arange(len(minutes))

    def to_minutes(values: Any) -> FloatArray:
        return _interpolate(np.asarray(values, float), epochs, clock)

    def to_epochs(values: Any) -> FloatArray:
        return _interpolate(np.asarray(values, float), clock, epochs)

    top = axes.secondary_xaxis("top", functions=(to_minutes, to_epochs))
    top.set_xlabel("minutes")
    top.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _interpolate(values: FloatArray, known: FloatArray, there: FloatArray) -> FloatArray:
    """Interpolate linearly, and go on beyond both ends at the mean slope."""
    slope = (there[-1] - there[0]) / (known[-1] - known[0])
    inside = np.interp(values, known, there)
    below = np.minimum(values - known[0], 0) * slope
    above = np.maximum(values - known[-1], 0) * slope
    return np.asarray(inside + below + above)


def _plot_condition(rows: pd.DataFrame, label: str, axes: Axes, *, index: int, count: int) -> None:
    # Conditions stand a little apart, so that their error bars do not cover each other.
    trials = rows["trials"].to_numpy(float) * 1.03 ** (index - (count - 1) / 2)
    mean = rows["correlation"].to_numpy(float)
    low, high = rows["ci_low"].to_numpy(float), rows["ci_high"].to_numpy(float)
    axes.errorbar(
        trials,
        mean,
        yerr=[np.maximum(mean - low, 0), np.maximum(high - mean, 0)],
        color=cycle_color(index),
        marker=MARKERS[index % len(MARKERS)],
        elinewidth=0.6,
        label=label,
    )


def _label_efficiency(axes: Axes, trials: FloatArray) -> None:
    axes.set_xscale("log")
    places = np.unique(trials)
    axes.xaxis.set_major_locator(FixedLocator(places.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    # A number that would run into the one before is left out.
    is_clear = np.append(True, places[1:] / places[:-1] > LEAST_TICK_RATIO)
    axes.set_xticklabels(
        [f"{place:,.0f}" if clear else "" for place, clear in zip(places, is_clear, strict=True)]
    )
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0), high)
    axes.set_xlabel("training trials of the new mouse")
    axes.set_ylabel("validation correlation\n(mean and 95 % interval over neurons)")
    axes.legend(loc="lower right")


def _check(table: pd.DataFrame, columns: tuple[str, ...], what: str, advice: str) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise NotFittedError(
            f"the {what} has no column {missing[0]!r}; it needs {', '.join(columns)}"
        )
    if len(table) == 0:
        raise NotFittedError(f"the {what} has no row to draw; {advice}")
