"""Contrast response: curves with their fits, and where and how steeply a population saturates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

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
    point_size,
    response_label,
    spread_over_ranks,
    upper_limit,
)
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, cycle_color, new_axes, style
from insilico.fits.naka_rushton import evaluate_naka_rushton
from insilico.results import Result

#: Contrasts that are labeled.
TICKS = (0.01, 0.03, 0.1, 0.3, 1.0)


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw contrast responses of single neurons with their fits.

    Parameters
    ----------
    result : Result
        Of the contrast experiment.
    neurons : iterable of int, optional
        Indices in the mouse. When left out, up to 12 neurons with status "ok", evenly spaced in the
        rank of their semi-saturation contrast. Neurons of any status where none is "ok".

    Returns
    -------
    Figure

    Raises
    ------
    NotFittedError
        If the result does not hold a neuron.
    """
    table = result.neurons
    candidates = np.flatnonzero(is_ok(table)) if is_ok(table).any() else np.arange(len(table))
    ranked = table["semi_saturation_contrast"].iloc[candidates]
    default: IntArray = candidates[spread_over_ranks(ranked, GALLERY_COUNT)]
    rows = gallery_rows(result, neurons, default)
    figure, panels = new_gallery(len(rows), panel_height_in=1.5)
    by_label: dict[str, Any] = {}
    for axes, row in zip(panels, rows, strict=True):
        plot_contrast_response(result, int(table["neuron"].iloc[row]), axes)
        axes.set(xlabel="", ylabel="")
        by_label |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.supxlabel("contrast shown", fontsize="medium")
    figure.supylabel(response_label(result), fontsize="medium")
    figure.legend(by_label.values(), by_label.keys(), loc="outside upper center", ncols=4)
    return figure


@style()
def plot_contrast_response(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses over contrast, and the fitted curve.

    Parameters
    ----------
    result : Result
        Of the contrast experiment.
    neuron : int
        Index in the mouse.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Over the contrast that was shown; the response to gray as a dotted line, the
        semi-saturation contrast as a dashed one. Error bars only where trials repeat: the spread
        over phases is no error of the mean and is not drawn.

    Raises
    ------
    NotFittedError
        If the result does not hold the neuron.
    """
    row, axes = result.row(neuron), new_axes(axes)
    fit, arrays = result.neurons.iloc[row], result.arrays.isel(neuron=row)
    contrast = arrays["shown_contrast"].to_numpy()
    response = arrays["response"].to_numpy()
    dense = np.geomspace(contrast[0] / 1.3, 1.0, 200)
    fitted = evaluate_naka_rushton(fit, dense)
    if np.isfinite(fitted).all():
        axes.plot(dense, fitted, color=cycle_color(1), label="Naka–Rushton fit")
        if dense[0] <= fit["semi_saturation_contrast"] <= 1:
            axes.axvline(
                fit["semi_saturation_contrast"],
                color=cycle_color(1),
                linestyle="--",
                linewidth=0.7,
                label="semi-saturation",
            )
    points: dict[str, Any] = {"color": "black", "label": "mean response", "clip_on": False}
    if "response_sem" in arrays:
        points["label"] = "mean response ± s.e.m. of trials"
        error = arrays["response_sem"].to_numpy()
        axes.errorbar(contrast, response, error, fmt="o", elinewidth=0.7, zorder=3, **points)
    else:
        axes.plot(contrast, response, "o", zorder=3, **points)
    if np.isfinite(arrays["response_to_gray"]):
        gray = float(arrays["response_to_gray"])
        axes.axhline(gray, color=GRAY, linestyle=":", linewidth=0.8, label="gray screen")
    _scale_contrast(axes, dense[0])
    axes.set_ylim(bottom=min(0, *axes.get_ylim()), top=max(0, *axes.get_ylim()))
    axes.locator_params(axis="y", nbins=4)
    axes.set(xlabel="contrast shown", ylabel=response_label(result), title=_title(fit))
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw where a population saturates, how steeply it rises, and who could be measured.

    Parameters
    ----------
    result : Result
        Of the contrast experiment, with any number of neurons.

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.56 * PAGE_WIDTH_IN))
    names: list[Any] = [["semi", "exponent", "both"], ["half", "super", "status"]]
    panels = figure.subplot_mosaic(names)
    plot_contrasts(result, "semi_saturation_contrast", panels["semi"])
    plot_exponents(result, panels["exponent"])
    plot_contrast_and_exponent(result, panels["both"])
    plot_contrasts(result, "half_maximum_contrast", panels["half"])
    plot_supersaturation(result, panels["super"])
    plot_status(result, panels["status"])
    letter_panels(panels.values())
    return figure


@style()
def plot_contrasts(result: Result, quantity: str, axes: Axes | None = None) -> Axes:
    """Draw the distribution of a contrast that describes the curve.

    Parameters
    ----------
    result : Result
        Of the contrast experiment; neurons of status "ok" are counted.
    quantity : {"semi_saturation_contrast", "half_maximum_contrast"}
        Which.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        A triangle at the median.
    """
    axes, table = new_axes(axes), _counted(result)
    titles = {
        "semi_saturation_contrast": ("semi-saturation", "contrast at half of r_max"),
        "half_maximum_contrast": ("half maximum", "contrast at half of the response shown"),
    }
    title, xlabel = titles[quantity]
    plot_histogram(
        axes,
        {title: table[quantity]},
        limits=(0, 1),
        bin_count=20,
        title=title,
        xlabel=xlabel,
        remark=_median_text(result, quantity),
    )
    _mark_median(result, quantity, axes)
    return axes


@style()
def plot_exponents(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the fitted exponents.

    Parameters
    ----------
    result : Result
        Of the contrast experiment; neurons of status "ok" are counted.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        A triangle at the median.
    """
    axes, table = new_axes(axes), _counted(result)
    plot_histogram(
        axes,
        {"exponent": table["exponent"]},
        limits=(0, upper_limit(table["exponent"], step=2)),
        bin_count=20,
        title="steepness",
        xlabel="exponent",
        remark=_median_text(result, "exponent"),
    )
    _mark_median(result, "exponent", axes)
    return axes


@style()
def plot_contrast_and_exponent(result: Result, axes: Axes | None = None) -> Axes:
    """Draw exponents against semi-saturation contrasts, a point a neuron.

    Parameters
    ----------
    result : Result
        Of the contrast experiment; neurons of status "ok" are drawn.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
    axes, table = new_axes(axes), _counted(result)
    axes.scatter(
        table["semi_saturation_contrast"],
        table["exponent"],
        s=point_size(len(table)),
        color=cycle_color(0),
        alpha=0.7,
        linewidths=0,
    )
    lowest = float(np.nanmin([0.05, *table["semi_saturation_contrast"]]))
    _scale_contrast(axes, lowest / 1.2)
    axes.set_ylim(bottom=0)
    axes.set(
        title=f"both, N = {len(table):,}", xlabel="semi-saturation contrast", ylabel="exponent"
    )
    return axes


@style()
def plot_supersaturation(result: Result, axes: Axes | None = None) -> Axes:
    """Draw which part of the largest response is lost at the highest contrast.

    Parameters
    ----------
    result : Result
        Of the contrast experiment; neurons for which it is defined are counted.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
    axes, values = new_axes(axes), result.neurons["supersaturation"]
    never = int((values == 0).sum())
    plot_histogram(
        axes,
        {"supersaturation": values},
        limits=(0, 1),
        bin_count=bin_count_for(len(values)),
        title="supersaturation",
        xlabel="part lost at the highest contrast",
        remark=f"{never:,} never fall",
    )
    return axes


def _counted(result: Result) -> pd.DataFrame:
    return result.neurons[is_ok(result.neurons)]


def _scale_contrast(axes: Axes, lowest: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(lowest, 1.1)
    ticks = [tick for tick in TICKS if tick >= lowest]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])


def _summary(result: Result, quantity: str) -> pd.Series:
    table = result.tables["population"]
    return table[table["quantity"] == quantity].iloc[0]


def _median_text(result: Result, quantity: str) -> str:
    row = _summary(result, quantity)
    if not np.isfinite(row["median"]):
        return ""
    if not np.isfinite(row["ci_low"]):
        return f"median {row['median']:.2f}"
    return f"median {row['median']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"


def _mark_median(result: Result, quantity: str, axes: Axes) -> None:
    axes.plot(
        [_summary(result, quantity)["median"]],
        [0.03],
        "v",
        color="black",
        markersize=5,
        transform=axes.get_xaxis_transform(),
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=4,
    )


def _title(fit: pd.Series) -> str:
    lines = [f"neuron {fit['neuron']}"]
    if fit["status"] != "ok":
        lines[0] += f" · {str(fit['status']).replace('_', ' ')}"
    if np.isfinite(fit["semi_saturation_contrast"]):
        error = fit["semi_saturation_contrast_se"]
        text = f"c50 {fit['semi_saturation_contrast']:.2f}"
        text += f" ± {error:.2f}" if np.isfinite(error) else ""
        lines.append(f"{text} · n {fit['exponent']:.1f}")
    return "\n".join(lines)
