"""Center and surround: responses to each arrangement, and how surrounds modulate a population."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico.figures.galleries import (
    draw_gallery,
    gallery_rows,
    in_words,
    neuron_title,
    ranked_rows,
    response_label,
)
from insilico.figures.panels import (
    draw_identity,
    letter_panels,
    ok_neurons,
    plot_histogram,
    plot_points,
    plot_status,
    point_size,
    upper_limit,
)
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, cycle_color, new_axes, style
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Ends of the contrasts, as the columns of the neurons table are called, and the order of colors.
ENDS = ("high", "low")
#: Arrangements whose suppression is drawn.
SURROUNDED = ("iso", "cross", "shift")
#: Bins of the modulation index: 12 over -1.5 to 1.5, as in ViV1T-closed-loop,
#: tuning_contextual_modulation/visualize_contextual_modulation.py.
INDEX_LIMITS, INDEX_BINS = (-1.5, 1.5), 12
#: A raw index of responses that are not negative lies within 1.
RAW_LIMITS, RAW_BINS = (-1.0, 1.0), 16


@style()
def plot_gallery(result: Result, neurons: Iterable[int] | None = None) -> Figure:
    """Draw the responses of single neurons to each arrangement.

    Chosen by rank of the modulation index at the highest contrast; see
    :mod:`insilico.figures.galleries`.
    """
    return draw_gallery(
        result,
        gallery_rows(result, neurons, ranked_rows(result.neurons, "cmi_high")),
        plot_arrangements,
        xlabel="center and surround",
        ylabel=response_label(result),
        panel_height_in=1.5,
        legend_columns=3,
    )


@style()
def plot_arrangements(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's mean responses to center, iso, cross and shift.

    At the diameter that the indices are about, the highest contrast by the left axis and the lowest
    by an axis of its own on the right, both with zero at one height; the response to gray as a
    dotted line. Bars are standard errors where trials repeat; the thin ones of a noiseless twin are
    standard deviations over directions and phases, and may be cut. Arguments as in
    :mod:`insilico.figures.galleries`.
    """
    row, axes = result.row(neuron), new_axes(axes)
    arrays = result.arrays.isel(neuron=row)
    arrays = arrays.sel(diameter_deg=result.protocol["index_diameter_deg"])
    has_trials = "response_sem" in arrays
    source = "s.e.m. of trials" if has_trials else "s.d. over phases"
    names = list(arrays["arrangement"].to_numpy())
    ends = _ends(result)
    sides = [axes, *(axes.twinx() for _ in ends[1:])]
    for index, (side, end) in enumerate(zip(sides, ends, strict=True)):
        at = arrays.sel(contrast=_contrast(result, end))
        side.errorbar(
            np.arange(len(names)) + 0.16 * (index - (len(ends) - 1) / 2),
            at["response"].to_numpy(),
            at["response_sem" if has_trials else "spread_over_phases"].to_numpy(),
            fmt="o",
            color=cycle_color(index),
            elinewidth=1.0 if has_trials else 0.4,
            label=f"{_contrast_label(result, end)} ± {source}{', right axis' * index}",
            zorder=3,
        )
        gray: dict[str, Any] = {"color": cycle_color(index), "linewidth": 0.6, "linestyle": ":"}
        side.axhline(float(arrays["baseline"]), label="gray screen" if not index else None, **gray)
        side.tick_params(axis="y", colors=cycle_color(index))
        side.spines["right"].set_visible(index > 0)
    _limit(sides, [arrays.sel(contrast=_contrast(result, end)) for end in ends])
    axes.set_xticks(np.arange(len(names)), names)
    axes.set(xlim=(-0.5, len(names) - 0.5), xlabel="center and surround")
    axes.set(ylabel=response_label(result), title=_title(result.neurons.iloc[row]))
    return axes


@style()
def plot_population(result: Result) -> Figure:
    """Draw how surrounds modulate a population, and how that changes with contrast."""
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.68 * PAGE_WIDTH_IN))
    names: list[Any] = [
        ["scatter", "index", "evoked"],
        ["suppression", "contrast", "flips"],
        ["status"] * 3,
    ]
    panels = figure.subplot_mosaic(names, height_ratios=[1, 1, 0.45])
    plot_iso_against_cross(result, panels["scatter"])
    plot_index(result, panels["index"])
    plot_index(result, panels["evoked"], above_baseline=True)
    plot_suppression(result, panels["suppression"])
    plot_contrasts(result, panels["contrast"])
    plot_flips(result, panels["flips"])
    plot_status(result, panels["status"])
    letter_panels(panels.values())
    return figure


@style()
def plot_iso_against_cross(result: Result, axes: Axes | None = None) -> Axes:
    """Draw iso against cross responses, a point a neuron and contrast.

    Above the baseline, over the response to the center at the highest contrast; the largest half
    percent stand on the border. With the paired test of the table "population".
    """
    axes, table = new_axes(axes), ok_neurons(result)
    columns = [f"{name}_relative_{end}" for name in ("cross", "iso") for end in _ends(result)]
    limit = max(1.0, upper_limit(table[columns].to_numpy(), step=0.5))
    lowest = 0.0
    for index, end in enumerate(_ends(result)):
        cross, iso = (table[f"{name}_relative_{end}"].to_numpy(float) for name in ("cross", "iso"))
        lowest = min(lowest, *_finite(cross), *_finite(iso), 0.0)
        plot_points(
            axes,
            np.clip(cross, -limit, limit),
            np.clip(iso, -limit, limit),
            color=cycle_color(index),
            label=_test_label(result, "cross - iso", end),
        )
    # Headroom for the legend.
    draw_identity(axes, max(lowest, -limit) * 1.05, 1.3 * limit)
    axes.set(
        title=f"iso and cross, N = {len(table):,}",
        xlabel="cross (of high center)",
        ylabel="iso (of high center)",
    )
    axes.legend(loc="upper left", fontsize="x-small", handletextpad=0.1, borderpad=0)
    return axes


@style()
def plot_index(result: Result, axes: Axes | None = None, *, above_baseline: bool = False) -> Axes:
    """Draw the distribution of the contextual modulation index, with its medians.

    Arguments as in :mod:`insilico.figures.panels`, and:

    Parameters
    ----------
    above_baseline : bool
        The index of responses above the baseline; else that of the raw responses, as published.
    """
    axes, table = new_axes(axes), ok_neurons(result)
    name = "cmi_above_baseline" if above_baseline else "cmi"
    ends = _ends(result)
    groups = {_test_label(result, name, end): table[f"{name}_{end}"] for end in ends}
    tests = result.tables["population"]
    tests = tests[tests["comparison"] == name]
    effects = dict(zip(tests["contrast"], tests["effect"], strict=True))
    plot_histogram(
        axes,
        groups,
        limits=INDEX_LIMITS if above_baseline else RAW_LIMITS,
        bin_count=INDEX_BINS if above_baseline else RAW_BINS,
        title="modulation above baseline" if above_baseline else "modulation index",
        xlabel="(cross − iso) / (cross + iso)",
        medians=[effects.get(_contrast(result, end), np.nan) for end in ends],
    )
    axes.axvline(0, color=GRAY, linewidth=0.7, zorder=0)
    return axes


@style()
def plot_suppression(result: Result, axes: Axes | None = None) -> Axes:
    """Draw how much of the center's response each surround takes away.

    Boxes from the first to the third quartile with the median; whiskers to the last value within
    1.5 times their length; values beyond are not drawn.
    """
    axes, table = new_axes(axes), ok_neurons(result)
    ends = _ends(result)
    for index, end in enumerate(ends):
        color, label = cycle_color(index), _contrast_label(result, end)
        for place, name in enumerate(SURROUNDED):
            values = _finite(table[f"{name}_suppression_{end}"])
            at = place + 0.36 * (index - (len(ends) - 1) / 2)
            _draw_box(axes, at, values, color, label=label if place == 0 else "")
    axes.axhline(0, color=GRAY, linewidth=0.7, zorder=0)
    axes.set_xticks(range(len(SURROUNDED)), SURROUNDED)
    axes.set(
        title=f"suppression, N = {len(table):,}",
        xlabel="surround (negative: facilitation)",
        ylabel="1 − surround / center",
    )
    # Room for the legend above the boxes.
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.3 * (high - low))
    axes.legend(loc="upper right", fontsize="x-small", borderpad=0)
    return axes


def _draw_box(axes: Axes, place: float, values: FloatArray, color: str, *, label: str) -> None:
    # matplotlib's own boxes look up a backend, and import pyplot with it.
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else [np.nan] * 3
    looks: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.6, "alpha": 0.6}
    axes.bar(place, high - low, 0.3, bottom=low, color=color, label=label, **looks)
    axes.plot([place - 0.15, place + 0.15], [median, median], color="black")
    reach = 1.5 * (high - low)
    for end, beyond in (
        (low, values[(values < low) & (values >= low - reach)]),
        (high, values[(values > high) & (values <= high + reach)]),
    ):
        if len(beyond):
            last = beyond[np.abs(beyond - end).argmax()]
            axes.plot([place, place], [end, last], color="black", linewidth=0.6)


@style()
def plot_contrasts(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the modulation index at the highest against that at the lowest contrast.

    Neurons that look like a flip filled; with the paired test of the table "population".
    """
    axes, table = new_axes(axes), ok_neurons(result)
    looks = table["is_flip"].to_numpy(bool)
    for chosen, face in ((~looks, "none"), (looks, cycle_color(2))):
        plot_points(
            axes,
            table["cmi_low"].to_numpy(float)[chosen],
            table["cmi_high"].to_numpy(float)[chosen],
            s=point_size(len(table)),
            facecolors=face,
            edgecolors=GRAY if face == "none" else face,
            linewidths=0.6,
            alpha=1,
            label=f"{'flip' if face != 'none' else 'no flip'}, {int(chosen.sum()):,}",
        )
    for line in (axes.axhline, axes.axvline):
        line(0, color=GRAY, linewidth=0.5, zorder=0)
    draw_identity(axes, -1.05, 1.05)
    axes.set(title="index and contrast")
    test = _p_text(result, "cmi at the highest - lowest contrast")
    axes.set(xlabel="\n".join(filter(None, ["index, low contrast", test])))
    axes.set(ylabel="index, high contrast")
    axes.legend(loc="lower right", fontsize="x-small", handletextpad=0.1, borderpad=0)
    return axes


@style()
def plot_flips(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the share of neurons that look like a flip, by the threshold asked for.

    With the interval over neurons; where trials repeat, also the share with iso and cross exchanged
    at random, and the share confirmed on other trials.
    """
    axes, shares = new_axes(axes), result.tables["flips"]
    threshold = 100 * shares["threshold"]
    axes.fill_between(
        threshold, 100 * shares["ci_low"], 100 * shares["ci_high"], color=cycle_color(2), alpha=0.25
    )
    axes.plot(threshold, 100 * shares["share"], "o-", color=cycle_color(2), label="observed")
    if shares["null_share"].notna().any():
        axes.plot(threshold, 100 * shares["null_share"], "--", color=GRAY, label="exchanged")
    own = shares[shares["threshold"] == result.protocol["flip_threshold"]].iloc[0]
    if np.isfinite(own["confirmed_share"]):
        axes.plot(
            100 * own["threshold"],
            100 * own["confirmed_share"],
            "s",
            color="black",
            label="confirmed",
        )
    remark = f"p = {own['p_value']:.2g} at {100 * own['threshold']:g} %"
    label = "iso and cross differ by at least (%)"
    axes.set(
        title=f"flips, N = {int(own['neuron_count']):,}",
        xlabel="\n".join([label, remark]) if np.isfinite(own["p_value"]) else label,
        ylabel="neurons (%)",
    )
    # Headroom for the legend.
    axes.set_ylim(bottom=0, top=1.35 * max(10.0, axes.get_ylim()[1]))
    axes.legend(loc="upper right", fontsize="x-small")
    return axes


def _ends(result: Result) -> tuple[str, ...]:
    """Return the ends of the contrasts, of which there is one for a single contrast."""
    return ENDS if result.arrays.sizes["contrast"] > 1 else ENDS[:1]


def _contrast(result: Result, end: str) -> float:
    contrasts = result.arrays["contrast"].to_numpy()
    return float(contrasts.max() if end == "high" else contrasts.min())


def _contrast_label(result: Result, end: str) -> str:
    return f"contrast {_contrast(result, end):g}"


def _test_label(result: Result, comparison: str, end: str) -> str:
    test = _p_text(result, comparison, _contrast(result, end))
    return ", ".join(filter(None, [_contrast_label(result, end), test]))


def _p_text(result: Result, comparison: str, contrast: float | None = None) -> str:
    """Write the p-value of a row of the population table; nothing where there is none."""
    table = result.tables["population"]
    rows = table[table["comparison"] == comparison]
    if contrast is not None:
        rows = rows[rows["contrast"] == contrast]
    if rows.empty or rows["p_value"].isna().all():
        return ""
    return f"p = {rows['p_value'].iloc[0]:.1g}"


def _finite(values: Any) -> FloatArray:
    known = np.asarray(values, float)
    return known[np.isfinite(known)]


def _limit(sides: list[Axes], arrays: list[xr.Dataset]) -> None:
    """Let each axis hold its means and standard errors, with zero at one height."""
    reach = []
    for shown in arrays:
        error = shown["response_sem"] if "response_sem" in shown else 0.2 * shown["response"]
        error = error.fillna(0.0)
        gray = float(shown["baseline"])
        ends = [*_finite(shown["response"] + error), *_finite(shown["response"] - error)]
        reach.append((min([*ends, 0.0, gray]), max([*ends, 0.0, gray])))
    below = max((-low / (high - low) for low, high in reach if high > low), default=0.0)
    for side, (low, high) in zip(sides, reach, strict=True):
        top = high if below < 1 else -low
        top = 1.08 * max(top, 1e-12)
        side.set_ylim(-top * max(below / (1 - below) if below < 1 else 1.0, 0.08), top)
        side.locator_params(axis="y", nbins=4)


def _title(row: pd.Series) -> str:
    remark = ""
    if row["status"] == "ok" and row["is_flip"]:
        tested = in_words(row["flip_status"])
        remark = f"flip, {tested}" if "confirmed" in tested else "flip"
    known = [f"{row[name]:.2f}" for name in ("cmi_high", "cmi_low") if np.isfinite(row[name])]
    return neuron_title(row, f"CMI {' / '.join(known)}" if known else "", remark=remark)
