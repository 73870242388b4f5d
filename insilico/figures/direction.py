"""Direction and orientation tuning: curves with their fits, and what a population prefers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MultipleLocator

from insilico.errors import ShapeError
from insilico.figures.galleries import (
    IntArray,
    draw_gallery,
    gallery_rows,
    neuron_title,
    plot_means,
    ranked_rows,
    response_label,
    show_zero,
)
from insilico.figures.panels import (
    bin_count_for,
    letter_panels,
    ok_neurons,
    plot_histogram,
    plot_status,
    upper_limit,
)
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, cycle_color, new_axes, style
from insilico.fits.von_mises import evaluate_von_mises
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Bins of 15 degrees, the first one centered on rightward motion.
DIRECTION_BINS = 24
#: Bins of 10 degrees.
ORIENTATION_BINS = 18
#: F1/F0 above which a cell responds like a simple cell (Skottun et al. 1991,
#: doi:10.1016/0042-6989(91)90033-2).
SIMPLE_F1_F0 = 1.0

#: q-value up to which a neuron counts as selective in figures: 5 % false discoveries.
SELECTIVE_Q = 0.05


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw tuning curves of single neurons with their fits.

    Chosen by rank of orientation selectivity; see :mod:`insilico.figures.galleries`.
    """
    return draw_gallery(
        result,
        gallery_rows(result, neurons, default_rows(result.neurons)),
        plot_tuning_curve,
        xlabel=_angle_label(result),
        ylabel=response_label(result),
        panel_height_in=1.35,
        legend_columns=3,
    )


@style()
def plot_tuning_curve(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses and the fitted curve.

    With error bars only where trials repeat and differ. The spread over the phases of a grating is
    no error of the mean and is not drawn. Arguments as in :mod:`insilico.figures.galleries`.
    """
    row = result.row(neuron)
    fit = result.neurons.iloc[row]
    axes = new_axes(axes)
    axis, period_deg = angle_axis(result)
    angle_deg = result.arrays[axis].to_numpy()
    curve = result.arrays["tuning_curve"].isel(neuron=row).to_numpy()
    dense_deg = np.linspace(0, period_deg, 361)
    fitted = evaluate_von_mises(_parameters(fit, axis), dense_deg, period_deg=period_deg)
    if np.isfinite(fitted).all():
        axes.plot(dense_deg, fitted, color=cycle_color(1), label="von Mises fit")
    error = result.arrays.isel(neuron=row).get("tuning_curve_sem")
    plot_means(axes, angle_deg, curve, error)
    axes.set(xlim=(0, period_deg), xticks=np.arange(0, period_deg + 1, period_deg / 4))
    show_zero(axes)
    axes.set(xlabel=_angle_label(result), ylabel=response_label(result), title=_title(fit))
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw how selective a population is, what it prefers, and how many neurons could be measured.

    Without a panel on direction selectivity where only orientations were shown. Recorded Gabors
    tell no modulation; the p-values of their tests take its place.
    """
    layout: list[Any]
    if has_directions(result):
        layout = [["osi", "dsi", "preferred"], ["half_width", "modulation", "status"]]
        polar: dict[Any, dict[str, Any]] = {"preferred": {"projection": "polar"}}
    else:
        layout = [["osi", "osi", "preferred", "preferred", "half_width", "half_width"]]
        layout += [["modulation"] * 3 + ["status"] * 3]
        polar = {}
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.56 * PAGE_WIDTH_IN))
    panels = figure.subplot_mosaic(layout, per_subplot_kw=polar)
    plot_index(result, "osi", panels["osi"])
    if "dsi" in panels:
        plot_index(result, "dsi", panels["dsi"])
    plot_preferred(result, panels["preferred"])
    plot_half_widths(result, panels["half_width"])
    if "osi_p" in result.neurons and result.neurons["f1_f0"].isna().all():
        plot_tests(result, panels["modulation"])
    else:
        plot_modulation(result, panels["modulation"])
    plot_status(result, panels["status"])
    letter_panels(panels.values())
    return figure


@style()
def plot_index(result: Result, index: str, axes: Axes | None = None) -> Axes:
    """Draw the distribution of a selectivity index.

    Neurons of any status for which the index is defined are counted, apart by the q-value of its
    test where there is one. Arguments as in :mod:`insilico.figures.panels`, and:

    Parameters
    ----------
    index : {"osi", "dsi"}
        Which index.
    """
    axes = new_axes(axes)
    plot_histogram(
        axes,
        _by_test(result.neurons, index),
        limits=(0, 1),
        bin_count=20,
        title={"osi": "orientation selectivity", "dsi": "direction selectivity"}[index],
        xlabel=index.upper(),
    )
    return axes


def _by_test(table: pd.DataFrame, index: str) -> dict[str, Any]:
    """Return an index of all neurons, or of those that pass its test and of the others."""
    if f"{index}_q" not in table:
        return {index: table[index]}
    passes = table[f"{index}_q"] <= SELECTIVE_Q
    return {
        f"q \N{LESS-THAN OR EQUAL TO} {SELECTIVE_Q:g}": table.loc[passes, index],
        "others": table.loc[~passes, index],
    }


@style()
def plot_tests(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the p-values of both indices, over trials that repeat with noise."""
    axes = new_axes(axes)
    names = [name for name in ("osi", "dsi") if f"{name}_p" in result.neurons]
    plot_histogram(
        axes,
        {name.upper(): result.neurons[f"{name}_p"] for name in names},
        limits=(0, 1),
        bin_count=20,
        title="permutation tests over trials",
        xlabel="p",
    )
    return axes


@style()
def plot_preferred(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the fitted preferred directions, or orientations.

    Directions go around: 0 is rightward, 90 upward; their axes must be polar. The area of a bar is
    proportional to the number of neurons.

    Raises
    ------
    ShapeError
        If directions are to be drawn on axes that are not polar.
    """
    table = ok_neurons(result)
    if has_directions(result):
        axes = new_axes(axes, projection="polar")
        _polar_histogram(axes, table["fitted_direction_deg"].to_numpy(float))
        axes.set_title(f"preferred direction, N = {len(table):,}")
        return axes
    axes = new_axes(axes)
    plot_histogram(
        axes,
        {"orientation": table["fitted_orientation_deg"]},
        limits=(0, 180),
        bin_count=ORIENTATION_BINS,
        title="preferred orientation",
        xlabel=_angle_label(result),
    )
    axes.set_xticks(np.arange(0, 181, 45))
    return axes


@style()
def plot_half_widths(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the half width at half height of the fitted peaks."""
    axes = new_axes(axes)
    table = ok_neurons(result)
    widths = table["half_width_deg"]
    missing = int(widths.isna().sum())
    plot_histogram(
        axes,
        {"half width": widths},
        limits=(0, upper_limit(widths, step=15)),
        bin_count=bin_count_for(len(table)),
        title="tuning width",
        xlabel="half width at half height (deg)",
        remark=f"{missing:,} never fall to half" if missing else "",
    )
    axes.xaxis.set_major_locator(MultipleLocator(15 if axes.get_xlim()[1] <= 90 else 45))
    return axes


@style()
def plot_modulation(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of F1/F0, which tells simple from complex cells.

    Neurons of any status for which the ratio is defined are counted.

    References
    ----------
    Skottun et al. 1991, doi:10.1016/0042-6989(91)90033-2: the border at 1.
    """
    axes = new_axes(axes)
    ratio = result.neurons["f1_f0"]
    plot_histogram(
        axes,
        {"f1_f0": ratio},
        limits=(0, 2),
        bin_count=bin_count_for(len(ratio)),
        title="modulation",
        xlabel="F1/F0 at the best angle",
        remark="below 1 complex, above simple",
    )
    axes.axvline(SIMPLE_F1_F0, color="black", linestyle="--", linewidth=0.8)
    return axes


def default_rows(table: pd.DataFrame) -> IntArray:
    """Return the rows of the neurons that a gallery shows by itself; see :func:`plot_gallery`."""
    return ranked_rows(table, "osi")


def angle_axis(result: Result) -> tuple[str, float]:
    """Return the name of the axis of the tuning curves, and its period in degrees."""
    if "direction_deg" in result.arrays["tuning_curve"].dims:
        return "direction_deg", 360.0
    return "orientation_deg", 180.0


def has_directions(result: Result) -> bool:
    """Whether directions were shown, and not orientations alone."""
    return angle_axis(result)[0] == "direction_deg"


def _angle_label(result: Result) -> str:
    if has_directions(result):
        return "direction of motion (deg)"
    # In this package orientation is the axis of motion, a quarter turn from the bars.
    return "orientation, normal to the bars (deg)"


def _parameters(fit: pd.Series, axis: str) -> dict[str, float]:
    """Return the fitted parameters by the names that the fit gave them."""
    names = ("concentration", "amplitude", "amplitude_opposite", "baseline")
    return {"preferred_deg": fit[f"fitted_{axis}"], **{name: fit[f"fit_{name}"] for name in names}}


def _title(fit: pd.Series) -> str:
    known = [name for name in ("osi", "dsi") if np.isfinite(fit[name])]
    return neuron_title(fit, *(f"{name.upper()} {fit[name]:.2f}" for name in known))


def _polar_histogram(axes: Axes, direction_deg: FloatArray) -> None:
    """Draw bars around the circle whose area, not length, is proportional to the counts."""
    if not isinstance(axes, PolarAxes):
        raise ShapeError(
            "preferred directions were to be drawn on straight axes, and they go around; make the "
            "axes with projection='polar'"
        )
    width = 360 / DIRECTION_BINS
    centers = width * np.arange(DIRECTION_BINS)
    known = direction_deg[np.isfinite(direction_deg)]
    bins = np.round(known / width).astype(int) % DIRECTION_BINS
    counts = np.bincount(bins, minlength=DIRECTION_BINS)
    axes.bar(
        np.radians(centers[counts > 0]),
        np.sqrt(counts[counts > 0]),
        np.radians(width),
        color=cycle_color(0),
        alpha=0.5,
        edgecolor=cycle_color(0),
        linewidth=0.6,
    )
    most = max(int(counts.max()), 1)
    ticks = np.unique([-(-most // 4), most])
    axes.set_rmax(1.05 * np.sqrt(most))
    axes.set_rticks(np.sqrt(ticks), [f"{tick:,}" for tick in ticks])
    # On the border of two bars, away from the labels of the angles.
    axes.set_rlabel_position(67.5)
    axes.set_thetagrids([0, 90, 180, 270], ["0°", "90°", "180°", "270°"])
    axes.tick_params(pad=-1)
    axes.set_xlabel(f"rings: neurons per {width:g}°")
    axes.spines["polar"].set(linewidth=0.6, color=GRAY)
