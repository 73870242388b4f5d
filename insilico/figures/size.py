"""Size tuning: curves of discs and holes with their fits, and what a population prefers."""

from __future__ import annotations

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
    neuron_title,
    response_label,
    spread_over_ranks,
)
from insilico.figures.panels import letter_panels, plot_histogram, plot_status
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, cycle_color, new_axes, style
from insilico.fits.size_curves import evaluate_hole_curve, evaluate_size_curve
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

DIAMETER_LABEL = "diameter of disc or hole (deg)"
#: What is drawn, by the name a reader knows it by.
ARRANGED = {"center": "classical", "inverse": "inverse (hole)"}
#: Parameters that redraw a fitted curve, and our columns that hold them.
SHAPE = {
    "gain": "fit_gain",
    "suppression_strength": "fit_suppression_strength",
    "center_width_deg": "center_width_deg",
    "surround_width_deg": "surround_width_deg",
}
#: Neurons whose sizes and indices are drawn: those with a fitted classical curve.
FITTED = ("ok", "at_bound")
#: Bins of sizes, degrees.
SIZE_BIN_DEG = 10
#: Radius of the disc in the key to the stimuli, in half heights of the screen.
DRAWN_RADIUS = 0.55
#: Index at which holes and discs do equally well against the full field.
EQUAL_INDEX = 0.5


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw classical and inverse curves of single neurons with their fits.

    Chosen as :func:`default_rows` says; see :mod:`insilico.figures.galleries`.
    """
    return draw_gallery(
        result,
        gallery_rows(result, neurons, default_rows(result.neurons)),
        plot_curves,
        xlabel=DIAMETER_LABEL,
        ylabel=response_label(result),
        panel_height_in=1.4,
        legend_columns=4,
    )


@style()
def plot_curves(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses to discs and holes, with fits and preferred sizes.

    Thin bars are the spread over phases, or where trials repeat one standard error; triangles mark
    preferred sizes. A hole of 0 degrees is the full field. Arguments as in
    :mod:`insilico.figures.galleries`.
    """
    row = result.row(neuron)
    table = result.neurons.iloc[row]
    axes = new_axes(axes)
    diameter_deg = result.arrays["shown_diameter_deg"].to_numpy()
    is_noisy = "response_sem" in result.arrays
    bars = "s.e.m. of trials" if is_noisy else "SD over phases"
    baseline = float(result.arrays["baseline"].isel(neuron=row))
    axes.axhline(baseline, color=GRAY, linestyle=":", linewidth=0.7, label="gray")
    for name, label in ARRANGED.items():
        color = _color(name)
        values, errors = (
            result.arrays[array].isel(neuron=row).sel(arrangement=name).to_numpy()
            for array in ("response", "response_sem" if is_noisy else "spread_over_phases")
        )
        axes.errorbar(
            diameter_deg,
            values,
            errors,
            fmt="o",
            color=color,
            markersize=2.6,
            elinewidth=0.5,
            alpha=0.8,
            label=f"{label} ± {bars}",
            zorder=3,
        )
        _plot_fit(axes, result, table, name, baseline)
    axes.set_xlim(-2, diameter_deg.max() + 3)
    axes.set_xticks(np.arange(0, diameter_deg.max() + 1, 30))
    axes.locator_params(axis="y", nbins=4)
    axes.set(
        xlabel=DIAMETER_LABEL,
        ylabel=response_label(result),
        title=_title(table),
    )
    return axes


def _plot_fit(axes: Axes, result: Result, table: pd.Series, name: str, baseline: float) -> None:
    """Draw a fitted curve, and a triangle at its preferred size."""
    label, color = ARRANGED[name], _color(name)
    prefix = "" if name == "center" else "inverse_"
    parameters = {theirs: table[f"{prefix}{ours}"] for theirs, ours in SHAPE.items()}
    evaluate = evaluate_size_curve if name == "center" else evaluate_hole_curve
    dense_deg = np.linspace(0, float(result.arrays["shown_diameter_deg"].max()), 181)
    model = str(result.protocol["fit_model"])
    fitted = evaluate({**parameters, "baseline": 0.0}, dense_deg, model=model)
    if not np.isfinite(fitted).all():
        return
    axes.plot(dense_deg, fitted + baseline, color=color, linewidth=0.9, label=f"{label}, fit")
    _mark_above(axes, table[f"{prefix}preferred_size_deg"], color, label=f"{label}, preferred")


def _mark_above(axes: Axes, size_deg: float, color: str, **looks: Any) -> None:
    """Draw a triangle on the upper border of a panel."""
    above: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    axes.plot([size_deg], [1.0], "v", color=color, markersize=4, **above, **looks)


@style()
def plot_population(result: Result) -> Figure:
    """Draw mean curves of a population, and what it prefers."""
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.6 * PAGE_WIDTH_IN))
    panels = figure.subplot_mosaic(
        [["all", "holes", "sizes"], ["suppression", "index", "status"]],
    )
    plot_mean_curves(result, "all", panels["all"])
    plot_mean_curves(result, "hole_responsive", panels["holes"])
    plot_preferred_sizes(result, panels["sizes"])
    plot_suppression(result, panels["suppression"])
    plot_inverse_tuning(result, panels["index"])
    plot_status(result, panels["status"])
    draw_stimuli(panels["all"])
    letter_panels(panels.values())
    return figure


@style()
def plot_mean_curves(result: Result, group: str, axes: Axes | None = None) -> Axes:
    """Draw the mean of normalized curves over neurons.

    Mean and standard error over neurons of responses above gray, each neuron's in shares of its
    largest classical one; triangles mark the median preferred sizes. Arguments as in
    :mod:`insilico.figures.panels`, and:

    Parameters
    ----------
    group : {"all", "hole_responsive"}
        Over which neurons of a fitted classical curve.
    """
    axes = new_axes(axes)
    curves = result.tables["population_curves"]
    curves = curves[curves["group"] == group]
    table = _fitted(result)
    if group == "hole_responsive":
        table = table[table["is_hole_responsive"]]
    axes.axhline(0, color=GRAY, linestyle=":", linewidth=0.7)
    for name, label in ARRANGED.items():
        color = _color(name)
        curve = curves[(curves["arrangement"] == name) & curves["mean"].notna()]
        axes.errorbar(
            curve["diameter_deg"].to_numpy(float),
            curve["mean"].to_numpy(float),
            curve["sem"].to_numpy(float),
            fmt="-o",
            color=color,
            markersize=2.6,
            linewidth=0.9,
            elinewidth=0.7,
            label=label,
        )
        prefix = "" if name == "center" else "inverse_"
        sizes = table[f"{prefix}preferred_size_deg"].dropna()
        if len(sizes):
            _mark_above(axes, sizes.median(), color)
    which = {"all": "all fitted", "hole_responsive": "hole-responsive"}[group]
    axes.set(
        xlabel=DIAMETER_LABEL,
        ylabel="response above gray\n(of largest classical)",
    )
    # Triangles stand below it.
    axes.set_title(f"{which}, N = {len(table):,}", pad=7)
    axes.set_xticks(np.arange(0, float(curves["diameter_deg"].max()) + 1, 30))
    low, high = axes.get_ylim()
    # Headroom for what stands above the curves.
    axes.set_ylim(min(low, -0.05), max(high, 1.05) * 1.32)
    axes.legend(loc="upper right", fontsize="small")
    return axes


@style()
def plot_preferred_sizes(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distributions of preferred discs and holes.

    Of fitted neurons, for holes those that answer to them. The remark is the test between both
    sizes of the same neurons.
    """
    axes = new_axes(axes)
    table = _fitted(result)
    groups = {
        ARRANGED[name]: table[f"{prefix}preferred_size_deg"]
        for name, prefix in (("center", ""), ("inverse", "inverse_"))
    }
    largest_deg = float(result.arrays["diameter_deg"].max())
    limit = SIZE_BIN_DEG * int(np.ceil(largest_deg / SIZE_BIN_DEG))
    plot_histogram(
        axes,
        groups,
        limits=(0, limit),
        bin_count=limit // SIZE_BIN_DEG,
        title="preferred size",
        xlabel="diameter (deg)",
        remark=_test(result, "preferred size", "hole - disc", "deg"),
        colors=[_color(name) for name in ARRANGED],
    )
    return axes


@style()
def plot_suppression(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the suppression index of fitted neurons."""
    axes = new_axes(axes)
    table = _fitted(result)
    groups = {"": table["suppression_index"]}
    if "suppression_q" in table:
        passes = table["suppression_q"] <= float(result.protocol["significance_q"])
        groups = {
            "suppressed, tested": table.loc[passes, "suppression_index"],
            "others": table.loc[~passes, "suppression_index"],
        }
    plot_histogram(
        axes,
        groups,
        limits=(0, 1),
        bin_count=20,
        title="surround suppression",
        xlabel="suppression index",
    )
    return axes


@style()
def plot_inverse_tuning(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the inverse tuning index.

    Of fitted neurons, those that answer to holes and the others. 0: no hole beats the full field;
    1: no disc does. No test: those that answer to holes were chosen by the same responses.
    """
    axes = new_axes(axes)
    table = _fitted(result)
    holes = table["is_hole_responsive"].to_numpy(bool)
    index = table["inverse_tuning_index"]
    plot_histogram(
        axes,
        {"others": index[~holes], "hole-responsive": index[holes]},
        limits=(0, 1),
        bin_count=15,
        title="inverse tuning index",
        xlabel="0 disc, 1 hole",
        colors=[_color(name) for name in ARRANGED],
    )
    axes.axvline(EQUAL_INDEX, color=GRAY, linestyle="--", linewidth=0.7)
    return axes


def draw_stimuli(axes: Axes) -> None:
    """Draw a disc and a hole in a corner of the panel, as keys to the colors of its curves."""
    for position, name in enumerate(ARRANGED):
        inset = axes.inset_axes((0.04 + 0.17 * position, 0.79, 0.15, 0.15))
        y, x = np.mgrid[-1:1:90j, -1.6:1.6:144j]
        bars, is_disc = np.sign(np.sin(12 * x)), np.hypot(x, y) < DRAWN_RADIUS
        shown = np.where(is_disc == (name == "center"), bars, 0)
        inset.imshow(shown, cmap="gray", vmin=-1, vmax=1)
        inset.set(xticks=[], yticks=[])
        for spine in inset.spines.values():
            spine.set(visible=True, color=_color(name), linewidth=0.8)


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of neurons with a fitted classical curve, spread over their suppression.

    Half of them answer to holes, where as many do. Neurons of any status where none is fitted.
    """
    is_fitted = table["status"].isin(FITTED).to_numpy()
    if not is_fitted.any():
        return np.arange(min(len(table), GALLERY_COUNT))
    holes = is_fitted & table["is_hole_responsive"].to_numpy(bool)
    index = table["suppression_index"].to_numpy(float)
    with_holes, others = np.flatnonzero(holes), np.flatnonzero(is_fitted & ~holes)
    half = GALLERY_COUNT // 2
    hole_count = min(len(with_holes), max(half, GALLERY_COUNT - len(others)))
    chosen = [
        rows[spread_over_ranks(index[rows], count)]
        for rows, count in ((with_holes, hole_count), (others, GALLERY_COUNT - hole_count))
        if len(rows) and count
    ]
    return np.concatenate(chosen)


def _color(name: str) -> str:
    # As in the publication, where the second is red.
    return "black" if name == "center" else cycle_color(1)


def _fitted(result: Result) -> pd.DataFrame:
    return result.neurons[result.neurons["status"].isin(FITTED)]


def _test(result: Result, comparison: str, label: str, unit: str = "") -> str:
    """Return a test of the population table as a line of text; nothing without data."""
    table = result.tables["population"]
    row = table[table["comparison"].str.startswith(comparison)].iloc[0]
    if row["status"] == "no_data":
        return ""
    p = f"{row['p_value']:.2g}" if row["p_value"] >= 1e-4 else "< 0.0001"
    effect = f"{row['effect']:+.2g} {unit}".strip()
    sign = "" if p.startswith("<") else "= "
    return f"{label}: {effect}\np {sign}{p}, N = {int(row['first_count']):,}"


def _title(table: pd.Series) -> str:
    # On one line: triangles stand below it.
    index = table["suppression_index"]
    return neuron_title(table, remark=f"SI {index:.2f}" if np.isfinite(index) else "")
