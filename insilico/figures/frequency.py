"""Frequency tuning: heat maps over both frequencies, and what a population prefers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullLocator

from insilico.figures.galleries import (
    IntArray,
    draw_gallery,
    gallery_rows,
    is_ok,
    neuron_title,
    plot_means,
    ranked_rows,
    response_label,
    show_zero,
)
from insilico.figures.panels import (
    letter_panels,
    median_text,
    ok_neurons,
    plot_histogram,
    plot_points,
    plot_status,
    upper_limit,
)
from insilico.figures.style import (
    GRAY,
    PAGE_WIDTH_IN,
    SEQUENTIAL_MAP,
    cycle_color,
    new_axes,
    style,
)
from insilico.fits.frequency_tuning import evaluate_frequency_tuning
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

SPATIAL, TEMPORAL = "spatial_frequency_cpd", "temporal_frequency_hz"
SPATIAL_LABEL = "spatial frequency (cycles/deg)"
TEMPORAL_LABEL = "temporal frequency (Hz)"
#: Heights of the fitted surface, from baseline to peak, at which contours are drawn.
CONTOURS = (0.5, 0.9)
#: Speeds whose lines the population panel shows, degrees per second.
SPEEDS_DEG_S = (10, 100, 1000)
#: Bins of a third of an octave.
BINS_PER_OCTAVE = 3


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw the responses of single neurons over both frequencies with their fits.

    Heat maps, each from the smallest response to the largest; curves where only spatial frequencies
    were shown. Chosen by rank of preferred spatial frequency; see
    :mod:`insilico.figures.galleries`.
    """
    over_both = has_time(result)
    figure = draw_gallery(
        result,
        gallery_rows(result, neurons, default_rows(result.neurons)),
        plot_surface if over_both else plot_curve,
        xlabel=SPATIAL_LABEL,
        ylabel=TEMPORAL_LABEL if over_both else response_label(result),
        panel_height_in=1.55,
        legend_columns=3,
    )
    if over_both:
        # Every panel has its own scale, so the bar says what its ends mean.
        scale = ScalarMappable(Normalize(0, 1), SEQUENTIAL_MAP)
        bar = figure.colorbar(scale, ax=figure.axes, fraction=0.03, aspect=30, ticks=[0, 1])
        bar.set_ticklabels(["least", "most"])
        bar.set_label("response of the neuron")
    return figure


@style()
def plot_surface(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses over both frequencies, its fit and its peak.

    Of several temporal frequencies. Contours are the fit at half and at 90 % of its height.
    Arguments as in :mod:`insilico.figures.galleries`.
    """
    row = result.row(neuron)
    table = result.neurons.iloc[row]
    axes = new_axes(axes)
    surface = result.arrays["response"].isel(neuron=row).to_numpy()
    spatial, temporal = (result.arrays[axis].to_numpy() for axis in (SPATIAL, TEMPORAL))
    axes.pcolormesh(_edges(spatial), _edges(temporal), surface.T, cmap=SEQUENTIAL_MAP)
    dense = [np.geomspace(_edges(a)[0], _edges(a)[-1], 60) for a in (spatial, temporal)]
    fitted = evaluate_frequency_tuning(_fit(table), *dense)
    if np.isfinite(fitted).all():
        height = (fitted - table["fit_baseline"]) / table["fit_amplitude"]
        axes.contour(*dense, height.T, levels=CONTOURS, colors="white", linewidths=0.8)
        # White on white is no legend: there the line has a gray border.
        border = withStroke(linewidth=2.2, foreground=GRAY)
        axes.plot([], [], color="white", path_effects=[border], label="fit at 50 % and 90 %")
    if np.isfinite(table[f"preferred_{SPATIAL}"]):
        axes.plot(
            table[f"preferred_{SPATIAL}"],
            table[f"preferred_{TEMPORAL}"],
            "o",
            color=cycle_color(1),
            markeredgecolor="white",
            markeredgewidth=0.7,
            markersize=4.5,
            label="peak",
            clip_on=False,
        )
    _log_axis(axes, "x", spatial)
    _log_axis(axes, "y", temporal)
    axes.set(xlim=_edges(spatial)[[0, -1]], ylim=_edges(temporal)[[0, -1]])
    axes.set(xlabel=SPATIAL_LABEL, ylabel=TEMPORAL_LABEL, title=_title(table))
    return axes


@style()
def plot_curve(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses over spatial frequencies, at its best temporal one.

    With error bars only where trials repeat and differ. Arguments as in
    :mod:`insilico.figures.galleries`.
    """
    row = result.row(neuron)
    table = result.neurons.iloc[row]
    axes = new_axes(axes)
    spatial = result.arrays[SPATIAL].to_numpy()
    arrays = result.arrays.isel({"neuron": row, TEMPORAL: 0})
    curve = arrays["response"].to_numpy()
    dense = np.geomspace(spatial[0], spatial[-1], 120)
    fitted = evaluate_frequency_tuning(_fit(table), dense, np.ones(1))[:, 0]
    if np.isfinite(fitted).all():
        axes.plot(dense, fitted, color=cycle_color(1), label="Gaussian fit")
    plot_means(axes, spatial, curve, arrays.get("response_sem"))
    if np.isfinite(table[f"preferred_{SPATIAL}"]):
        peak = table[f"preferred_{SPATIAL}"]
        axes.axvline(peak, color=GRAY, linestyle=":", linewidth=0.8, label="peak")
    _log_axis(axes, "x", spatial)
    show_zero(axes)
    axes.set(xlabel=SPATIAL_LABEL, ylabel=response_label(result), title=_title(table))
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw which frequencies a population prefers, how narrowly, and how the two are related.

    Without the panels about time where only spatial frequencies were shown.
    """
    layout: list[Any] = [["spatial", "bandwidth", "status"]]
    if has_time(result):
        layout = [["spatial", "temporal", "both"], ["bandwidth", "exponent", "status"]]
    figure = Figure(figsize=(PAGE_WIDTH_IN, (0.32 * len(layout)) * PAGE_WIDTH_IN))
    panels = figure.subplot_mosaic(layout)
    plot_preferred(result, SPATIAL, panels["spatial"])
    if has_time(result):
        plot_preferred(result, TEMPORAL, panels["temporal"])
        plot_preferred_pairs(result, panels["both"])
        plot_speed_exponents(result, panels["exponent"])
    plot_bandwidths(result, panels["bandwidth"])
    plot_status(result, panels["status"])
    letter_panels(panels.values())
    return figure


@style()
def plot_preferred(result: Result, axis: str, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the preferred frequencies along one axis, in octaves.

    Arguments as in :mod:`insilico.figures.panels`, and:

    Parameters
    ----------
    axis : {"spatial_frequency_cpd", "temporal_frequency_hz"}
        Which frequency.
    """
    axes = new_axes(axes)
    shown = result.arrays[axis].to_numpy()
    low, high = np.log2(shown[0]), np.log2(shown[-1])
    values = ok_neurons(result)[f"preferred_{axis}"]
    plot_histogram(
        axes,
        {axis: np.log2(values)},
        limits=(low, high),
        bin_count=max(4, round(BINS_PER_OCTAVE * (high - low))),
        title="preferred " + axis.split("_", maxsplit=1)[0],
        xlabel=SPATIAL_LABEL if axis == SPATIAL else TEMPORAL_LABEL,
        remark=_median_text(result, f"preferred_{axis}"),
    )
    ticks = _ticks(shown)
    axes.set_xticks(np.log2(ticks), [f"{tick:g}" for tick in ticks])
    return axes


@style()
def plot_preferred_pairs(result: Result, axes: Axes | None = None) -> Axes:
    """Draw each neuron's preferred temporal against its preferred spatial frequency.

    Dashed lines are speeds. Error bars are standard errors over trials, where trials repeat.
    """
    axes = new_axes(axes)
    table = ok_neurons(result)
    spatial, temporal = (result.arrays[axis].to_numpy() for axis in (SPATIAL, TEMPORAL))
    for speed in SPEEDS_DEG_S:
        axes.plot(spatial, speed * spatial, color=GRAY, linestyle="--", linewidth=0.6)
        at = np.clip(temporal[-1] / speed, spatial[0], spatial[-1])
        is_inside = temporal[0] <= speed * at <= temporal[-1]
        if is_inside:
            # Beside the line, within the panel.
            is_top = at < spatial[-1]
            axes.annotate(
                f"{speed}°/s",
                (at, speed * at),
                xytext=(-10, -1) if is_top else (-1, 2),
                textcoords="offset points",
                fontsize="small",
                color=GRAY,
                ha="right",
                va="top" if is_top else "bottom",
            )
    x, y = table[f"preferred_{SPATIAL}"], table[f"preferred_{TEMPORAL}"]
    errors = None
    if f"preferred_{SPATIAL}_se" in table:
        errors = (table[f"preferred_{SPATIAL}_se"], table[f"preferred_{TEMPORAL}_se"])
    plot_points(axes, x, y, errors=errors)
    _log_axis(axes, "x", spatial)
    _log_axis(axes, "y", temporal)
    axes.set(xlim=spatial[[0, -1]], ylim=temporal[[0, -1]], ylabel=TEMPORAL_LABEL)
    row = _population(result, "correlation of the preferred frequencies")
    remark = "too few to correlate"
    if np.isfinite(row["p_value"]):
        remark = f"Pearson r = {row['value']:.2f} (log), p = {row['p_value']:.2g}"
    axes.set_xlabel(f"{SPATIAL_LABEL}\n{remark}")
    axes.set_title(f"both, N = {int(x.notna().sum()):,}")
    return axes


@style()
def plot_bandwidths(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distributions of the full widths at half height."""
    axes = new_axes(axes)
    table = ok_neurons(result)
    names = ["spatial", "temporal"] if has_time(result) else ["spatial"]
    widths = {name: table[f"{name}_bandwidth_octaves"] for name in names}
    missing = [f"{int(width.isna().sum()):,} {name}" for name, width in widths.items()]
    plot_histogram(
        axes,
        widths,
        limits=(0, upper_limit(pd.concat(list(widths.values())), step=1)),
        bin_count=15,
        title="bandwidth",
        xlabel="full width at half height (octaves)",
        remark=f"never fall to half: {', '.join(missing)}",
    )
    return axes


@style()
def plot_speed_exponents(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the speed exponents, 0 for separable and 1 for speed tuning.

    Neurons whose peak and fit are "ok" are counted.
    """
    axes = new_axes(axes)
    chosen = is_ok(result.neurons) & (result.neurons["fit_status"] == "ok").to_numpy()
    row = _population(result, "speed_exponent")
    remark = _median_text(result, "speed_exponent")
    if np.isfinite(row["p_value"]):
        remark += f"\nagainst 0, signed rank p = {row['p_value']:.2g}"
    axes.axvline(0, color=GRAY, linestyle="--", linewidth=0.7)
    axes.axvline(1, color=GRAY, linestyle=":", linewidth=0.7)
    plot_histogram(
        axes,
        {"exponent": result.neurons.loc[chosen, "speed_exponent"]},
        limits=(-1, 2),
        bin_count=30,
        title="speed tuning",
        xlabel="exponent: 0 separable, 1 speed",
        remark=remark,
    )
    return axes


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of the neurons that a gallery shows by itself; see :func:`plot_gallery`."""
    return ranked_rows(table, f"preferred_{SPATIAL}")


def has_time(result: Result) -> bool:
    """Whether several temporal frequencies were shown, and not still gratings."""
    return len(result.arrays[TEMPORAL]) > 1


def _fit(table: pd.Series) -> dict[str, float]:
    """Return the fit by the names that it gave its columns."""
    names = {
        "preferred_spatial_frequency_cpd": "fitted_spatial_frequency_cpd",
        "preferred_temporal_frequency_hz": "fitted_temporal_frequency_hz",
        "spatial_bandwidth_octaves": "fitted_spatial_bandwidth_octaves",
        "temporal_bandwidth_octaves": "fitted_temporal_bandwidth_octaves",
        "speed_exponent": "speed_exponent",
        "preferred_speed_deg_s": "preferred_speed_deg_s",
        "amplitude": "fit_amplitude",
        "baseline": "fit_baseline",
    }
    return {base: table[name] for base, name in names.items()}


def _edges(frequencies: FloatArray) -> FloatArray:
    """Return the borders of the cells of a heat map, half-way in octaves."""
    logs = np.log2(frequencies)
    middles = (logs[:-1] + logs[1:]) / 2
    first, last = logs[0] - (middles[0] - logs[0]), logs[-1] + (logs[-1] - middles[-1])
    return np.asarray(2 ** np.concatenate([[first], middles, [last]]))


def _ticks(frequencies: FloatArray) -> FloatArray:
    """Return round numbers, 1, 2 and 5 in each decade, within the frequencies shown."""
    decades = np.arange(np.floor(np.log10(frequencies[0])), np.ceil(np.log10(frequencies[-1])) + 1)
    ticks = (10.0 ** decades[:, None] * np.array([1, 2, 5])).reshape(-1)
    slack = 1.001
    within = (ticks >= frequencies[0] / slack) & (ticks <= frequencies[-1] * slack)
    return np.asarray(ticks[within])


def _log_axis(axes: Axes, name: str, frequencies: FloatArray) -> None:
    axis = axes.xaxis if name == "x" else axes.yaxis
    (axes.set_xscale if name == "x" else axes.set_yscale)("log")
    axis.set_ticks(_ticks(frequencies))
    axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _population(result: Result, quantity: str) -> pd.Series:
    table = result.tables["population"]
    return table[table["quantity"] == quantity].iloc[0]


def _median_text(result: Result, quantity: str) -> str:
    return median_text(_population(result, quantity), name="value", places=".2g")


def _title(table: pd.Series) -> str:
    spatial, temporal = table[f"preferred_{SPATIAL}"], table[f"preferred_{TEMPORAL}"]
    if not np.isfinite(spatial):
        return neuron_title(table)
    time = f", {temporal:.2g} Hz" if temporal > 0 else ""
    return neuron_title(table, f"{spatial:.2g} cycles/deg{time}")
