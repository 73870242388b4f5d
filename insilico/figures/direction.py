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
from insilico.figures.panels import (
    GALLERY_COUNT,
    IntArray,
    bin_count_for,
    gallery_rows,
    is_ok,
    letter_panels,
    new_gallery,
    plot_histogram,
    plot_status,
    response_label,
    spread_over_ranks,
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

    Parameters
    ----------
    result : Result
        Of the direction experiment.
    neurons : iterable of int, optional
        Indices in the mouse. When left out, up to 12 neurons with status "ok", evenly spaced in the
        rank of their orientation selectivity from highest to lowest. Neurons of any status where
        none is "ok".

    Returns
    -------
    Figure

    Raises
    ------
    NotFittedError
        If the result does not hold a neuron.
    """
    rows = gallery_rows(result, neurons, default_rows(result.neurons))
    figure, panels = new_gallery(len(rows), panel_height_in=1.35)
    for axes, row in zip(panels, rows, strict=True):
        plot_tuning_curve(result, int(result.neurons["neuron"].iloc[row]), axes)
        axes.set(xlabel="", ylabel="")
    figure.supxlabel(_angle_label(result), fontsize="medium")
    figure.supylabel(response_label(result), fontsize="medium")
    by_label: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        by_label |= dict(zip(labels, handles, strict=True))
    figure.legend(by_label.values(), by_label.keys(), loc="outside upper right", ncols=3)
    return figure


@style()
def plot_tuning_curve(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses and the fitted curve.

    Parameters
    ----------
    result : Result
        Of the direction experiment.
    neuron : int
        Index in the mouse.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        With error bars only where trials repeat and differ. The spread over the phases of a grating
        is no error of the mean and is not drawn.

    Raises
    ------
    NotFittedError
        If the result does not hold the neuron.
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
    points: dict[str, Any] = {"color": "black", "label": "mean response", "clip_on": False}
    if "tuning_curve_sem" in result.arrays:
        error = result.arrays["tuning_curve_sem"].isel(neuron=row).to_numpy()
        points["label"] = "mean response ± s.e.m. of trials"
        axes.errorbar(angle_deg, curve, error, fmt="o", elinewidth=0.7, zorder=3, **points)
    else:
        axes.plot(angle_deg, curve, "o", zorder=3, **points)
    axes.set(xlim=(0, period_deg), xticks=np.arange(0, period_deg + 1, period_deg / 4))
    # A curve without its zero looks more selective than it is.
    axes.set_ylim(bottom=min(0, *axes.get_ylim()), top=max(0, *axes.get_ylim()))
    axes.locator_params(axis="y", nbins=4)
    axes.set(xlabel=_angle_label(result), ylabel=response_label(result), title=_title(fit))
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw how selective a population is, what it prefers, and how many neurons could be measured.

    Parameters
    ----------
    result : Result
        Of the direction experiment, with any number of neurons.

    Returns
    -------
    Figure
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

    Parameters
    ----------
    result : Result
        Of the direction experiment; neurons for which the index is defined are counted, apart by
        the q-value of its test where there is one.
    index : {"osi", "dsi"}
        Which one.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
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
    """Draw the distribution of the p-values of both indices.

    Parameters
    ----------
    result : Result
        Of the direction experiment, on trials that repeat with noise.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
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

    Parameters
    ----------
    result : Result
        Of the direction experiment; neurons of status "ok" are counted.
    axes : Axes, optional
        Where; a new figure when left out. For directions they must be polar.

    Returns
    -------
    Axes
        Directions go around: 0 is rightward, 90 upward. The area of a bar is proportional to the
        number of neurons.

    Raises
    ------
    ShapeError
        If directions are to be drawn on axes that are not polar.
    """
    table = result.neurons[is_ok(result.neurons)]
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
    """Draw the distribution of the half width at half height of the fitted peaks.

    Parameters
    ----------
    result : Result
        Of the direction experiment; neurons of status "ok" with a half width are counted.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
    axes = new_axes(axes)
    table = result.neurons[is_ok(result.neurons)]
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

    Parameters
    ----------
    result : Result
        Of the direction experiment; neurons for which the ratio is defined are counted.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes

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
    ok = is_ok(table)
    candidates = np.flatnonzero(ok) if ok.any() else np.arange(len(table))
    return candidates[spread_over_ranks(table["osi"].iloc[candidates], GALLERY_COUNT)]


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
    parts = [f"neuron {fit['neuron']}"]
    parts += [
        f"{index.upper()} {fit[index]:.2f}" for index in ("osi", "dsi") if np.isfinite(fit[index])
    ]
    if fit["status"] != "ok":
        return " · ".join(parts) + "\n" + str(fit["status"]).replace("_", " ")
    return " · ".join(parts)


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
