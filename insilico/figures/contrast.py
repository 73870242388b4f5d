"""Contrast response: curves with their fits, and where and how steeply a population saturates."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from insilico.figures.galleries import (
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
    median_text,
    ok_neurons,
    plot_histogram,
    plot_points,
    plot_status,
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

    Chosen by rank of semi-saturation contrast; see :mod:`insilico.figures.galleries`.
    """
    default = ranked_rows(result.neurons, "semi_saturation_contrast")
    return draw_gallery(
        result,
        gallery_rows(result, neurons, default),
        plot_contrast_response,
        xlabel="contrast shown",
        ylabel=response_label(result),
        panel_height_in=1.5,
        legend_columns=4,
    )


@style()
def plot_contrast_response(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses over contrast, and the fitted curve.

    Over the contrast that was shown; the response to gray as a dotted line, the semi-saturation
    contrast as a dashed one. Arguments as in :mod:`insilico.figures.galleries`.
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
    plot_means(axes, contrast, response, arrays.get("response_sem"))
    if np.isfinite(arrays["response_to_gray"]):
        gray = float(arrays["response_to_gray"])
        axes.axhline(gray, color=GRAY, linestyle=":", linewidth=0.8, label="gray screen")
    _scale_contrast(axes, dense[0])
    show_zero(axes)
    axes.set(xlabel="contrast shown", ylabel=response_label(result), title=_title(fit))
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw where a population saturates, how steeply it rises, and who could be measured."""
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.56 * PAGE_WIDTH_IN))
    panels = figure.subplot_mosaic([["semi", "exponent", "both"], ["half", "super", "status"]])
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
    """Draw the distribution of a contrast that describes the curve, with its median.

    Arguments as in :mod:`insilico.figures.panels`, and:

    Parameters
    ----------
    quantity : {"semi_saturation_contrast", "half_maximum_contrast"}
        Which contrast.
    """
    titles = {
        "semi_saturation_contrast": ("semi-saturation", "contrast at half of r_max"),
        "half_maximum_contrast": ("half maximum", "contrast at half of the response shown"),
    }
    title, xlabel = titles[quantity]
    axes, row = new_axes(axes), _summary(result, quantity)
    plot_histogram(
        axes,
        {title: ok_neurons(result)[quantity]},
        limits=(0, 1),
        bin_count=20,
        title=title,
        xlabel=xlabel,
        remark=median_text(row),
        medians=[row["median"]],
    )
    return axes


@style()
def plot_exponents(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the fitted exponents, with its median."""
    axes, row = new_axes(axes), _summary(result, "exponent")
    exponents = ok_neurons(result)["exponent"]
    plot_histogram(
        axes,
        {"exponent": exponents},
        limits=(0, upper_limit(exponents, step=2)),
        bin_count=20,
        title="steepness",
        xlabel="exponent",
        remark=median_text(row),
        medians=[row["median"]],
    )
    return axes


@style()
def plot_contrast_and_exponent(result: Result, axes: Axes | None = None) -> Axes:
    """Draw exponents against semi-saturation contrasts, a point a neuron."""
    axes, table = new_axes(axes), ok_neurons(result)
    plot_points(axes, table["semi_saturation_contrast"], table["exponent"])
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

    Neurons of any status for which it is defined are counted.
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


def _title(fit: pd.Series) -> str:
    semi, error = fit["semi_saturation_contrast"], fit["semi_saturation_contrast_se"]
    if not np.isfinite(semi):
        return neuron_title(fit)
    uncertainty = f" ± {error:.2f}" if np.isfinite(error) else ""
    return neuron_title(fit, f"c50 {semi:.2f}{uncertainty}", f"n {fit['exponent']:.1f}")
