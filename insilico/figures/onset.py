"""Response onset: traces with their latencies, and what holes add to them over a population."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico.figures.galleries import (
    GALLERY_COUNT,
    IntArray,
    draw_gallery,
    gallery_rows,
    in_words,
    is_ok,
    response_label,
    spread_over_ranks,
)
from insilico.figures.panels import (
    bin_count_for,
    draw_identity,
    letter_panels,
    median_text,
    plot_histogram,
    plot_points,
    plot_status,
    upper_limit,
)
from insilico.figures.style import GRAY, LIGHT_GRAY, PAGE_WIDTH_IN, cycle_color, new_axes, style
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What is drawn, by the name a reader knows it by.
ARRANGED = {"center": "classical", "inverse": "inverse (hole)"}
#: Seconds drawn of a trace before the onset.
SHOWN_BEFORE_S = 0.2


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw mean traces of single neurons with their thresholds and latencies.

    Chosen as :func:`default_rows` says; see :mod:`insilico.figures.galleries`.
    """
    return draw_gallery(
        result,
        gallery_rows(result, neurons, default_rows(result.neurons)),
        plot_trace,
        xlabel="time from onset (s)",
        ylabel=response_label(result),
        panel_height_in=1.35,
        legend_columns=5,
    )


@style()
def plot_trace(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean traces, their baselines and where they cross their thresholds.

    Bands of one standard error only where trials repeat and differ; the spread over phases is no
    error of the mean and is not drawn. Arguments as in :mod:`insilico.figures.galleries`.
    """
    row = result.row(neuron)
    table = result.neurons.iloc[row]
    axes = new_axes(axes)
    _shade_stimulus(result, axes, "stimulus")
    time_s = result.arrays["time_s"].to_numpy()
    for name, label in ARRANGED.items():
        selection = {"neuron": row, "arrangement": list(ARRANGED).index(name)}
        trace = result.arrays["trace"].isel(selection).to_numpy()
        color = _color(name)
        error = None
        if "trace_sem" in result.arrays:
            error = result.arrays["trace_sem"].isel(selection).to_numpy()
        _plot_band(axes, time_s, trace, error, name)
        if table[f"{name}_status"] == "ok":
            axes.axhline(table[f"{name}_baseline"], color=color, linestyle=":", linewidth=0.6)
            axes.plot(
                table[f"{name}_latency_s"],
                table[f"{name}_threshold"],
                "o",
                color=color,
                markersize=4,
                markerfacecolor="white",
                markeredgewidth=0.9,
                zorder=4,
                label=f"onset, {label}",
            )
    axes.set_xlim(max(time_s[0], -SHOWN_BEFORE_S), time_s[-1])
    axes.locator_params(axis="y", nbins=4)
    axes.locator_params(axis="x", nbins=5)
    axes.set(xlabel="time from onset (s)", ylabel=response_label(result), title=_title(table))
    return axes


def _shade_stimulus(result: Result, axes: Axes, label: str | None = None) -> None:
    stimulus_s = float(result.protocol["stimulus_s"])
    axes.axvspan(0, stimulus_s, color=LIGHT_GRAY, alpha=0.35, linewidth=0, label=label)


def _plot_band(
    axes: Axes, time_s: FloatArray, mean: FloatArray, sem: FloatArray | None, name: str
) -> None:
    """Draw the mean trace of an arrangement, with its standard errors where they are known."""
    color = _color(name)
    axes.plot(time_s, mean, color=color, label=ARRANGED[name])
    if sem is not None:
        axes.fill_between(time_s, mean - sem, mean + sem, color=color, alpha=0.25, linewidth=0)


@style()
def plot_population(result: Result) -> Figure:
    """Draw latencies of a population to classical gratings and holes, and the test between them."""
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.62 * PAGE_WIDTH_IN))
    panels = figure.subplot_mosaic(
        [["scatter", "traces", "difference"], ["latencies", "status", "holes"]]
    )
    plot_latencies_against_each_other(result, panels["scatter"])
    plot_mean_traces(result, panels["traces"])
    plot_difference(result, panels["difference"])
    plot_latencies(result, panels["latencies"])
    plot_status(result, panels["status"])
    table = result.neurons.assign(status=result.neurons["inverse_status"])
    plot_status(dataclasses.replace(result, tables={"neurons": table}), panels["holes"])
    panels["holes"].set_title(f"latency to the hole, {len(table):,} neurons")
    letter_panels(panels.values())
    return figure


@style()
def plot_latencies_against_each_other(result: Result, axes: Axes | None = None) -> Axes:
    """Draw each neuron's latency to the hole against that to the classical grating.

    Neurons with both latencies. Above the identity line the hole is answered later. Error bars are
    standard errors over trials, where trials repeat.
    """
    axes = new_axes(axes)
    table = result.neurons[result.neurons["difference_s"].notna()]
    center_ms, inverse_ms = 1000 * table["center_latency_s"], 1000 * table["inverse_latency_s"]
    limit = upper_limit(pd.concat([center_ms, inverse_ms]), step=50)
    errors = None
    if "difference_s_se" in table:
        errors = (1000 * table["center_latency_s_se"], 1000 * table["inverse_latency_s_se"])
    plot_points(axes, center_ms, inverse_ms, errors=errors)
    draw_identity(axes, 0, limit)
    axes.set(xlabel="latency, classical (ms)", ylabel="latency, inverse (ms)")
    axes.set_title(f"same neurons, N = {len(table):,}")
    return axes


@style()
def plot_mean_traces(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the traces of neurons with both latencies, each scaled from its baseline to its peak.

    Means with bands of one standard error over neurons.
    """
    axes = new_axes(axes)
    table = result.tables["mean_traces"]
    _shade_stimulus(result, axes)
    for name in ARRANGED:
        trace = table[table["arrangement"] == name]
        time_s, mean, sem = (trace[key].to_numpy(float) for key in ("time_s", "mean", "sem"))
        _plot_band(axes, time_s, mean, sem, name)
    axes.set_xlim(max(table["time_s"].min(), -SHOWN_BEFORE_S), table["time_s"].max())
    # Headroom for the legend.
    axes.set_ylim(-0.05, 1.35)
    axes.legend(loc="upper right")
    axes.set(xlabel="time from onset (s)", ylabel="response (share of the rise)")
    axes.set_title(f"mean ± s.e.m., N = {int(table['neuron_count'].max()):,}")
    return axes


@style()
def plot_difference(result: Result, axes: Axes | None = None) -> Axes:
    """Draw by how much later holes are answered, with the test over neurons."""
    axes = new_axes(axes)
    test = result.tables["population"].iloc[0]
    difference_ms = 1000 * result.neurons["difference_s"]
    limit = upper_limit(difference_ms.abs(), step=50)
    axes.axvline(0, color=GRAY, linestyle="--", linewidth=0.7)
    plot_histogram(
        axes,
        {"difference": difference_ms},
        limits=(-limit, limit),
        bin_count=2 * bin_count_for(int(difference_ms.notna().sum())),
        title="inverse − classical",
        xlabel="difference of latencies (ms)",
        remark=_test_text(test),
    )
    if np.isfinite(test["effect"]):
        axes.axvline(1000 * test["effect"], color=_color("inverse"), linewidth=1.0)
    return axes


@style()
def plot_latencies(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distributions of the latencies, each over all neurons that have one.

    The remark is the published test, which takes these overlapping samples for independent.
    """
    axes = new_axes(axes)
    latencies_ms = {
        label: 1000 * result.neurons[f"{name}_latency_s"] for name, label in ARRANGED.items()
    }
    plot_histogram(
        axes,
        latencies_ms,
        limits=(0, upper_limit(pd.concat(list(latencies_ms.values())), step=50)),
        bin_count=20,
        title="latencies",
        xlabel="latency (ms)",
        remark=f"{_p_text(result.tables['population'].iloc[1])}\nas published, samples overlap",
    )
    return axes


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of neurons with both latencies, spread over their difference.

    Of neurons with a classical latency, or of any, where there are none with both.
    """
    has_both = table["difference_s"].notna().to_numpy()
    ok = is_ok(table)
    candidates = np.flatnonzero(has_both if has_both.any() else ok)
    if len(candidates) == 0:
        candidates = np.arange(len(table))
    order = "difference_s" if has_both.any() else "center_latency_s"
    return candidates[spread_over_ranks(table[order].iloc[candidates], GALLERY_COUNT)]


def _color(name: str) -> str:
    return "black" if name == "center" else cycle_color(1)


def _title(table: pd.Series) -> str:
    title = f"neuron {table['neuron']}"
    if np.isfinite(table["difference_s"]):
        return f"{title} · {1000 * table['difference_s']:+.0f} ms"
    what = table["inverse_status"] if table["center_status"] == "ok" else table["status"]
    return f"{title}\n{in_words(what)}"


def _test_text(test: pd.Series) -> str:
    """Write a comparison as its table has it."""
    if not np.isfinite(test["effect"]):
        return "no neuron has both latencies"
    in_ms = 1000 * test[["effect", "ci_low", "ci_high"]].astype(float)
    return f"{median_text(in_ms, name='effect', places='.0f')} ms\n{_p_text(test)}"


def _p_text(test: pd.Series) -> str:
    name = {"wilcoxon_signed_rank": "signed rank", "mann_whitney": "rank sum"}[test["test"]]
    if not np.isfinite(test["p_value"]):
        return f"{name}: no test"
    few = ", too few to reach 0.05" if test["status"] == "few" else ""
    return f"{name} p = {test['p_value']:.2g}{few}"
