"""Two runs beside each other: panels of one set of neurons, the reference in black."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from insilico.errors import NotFittedError
from insilico.figures.galleries import IntArray, spread_over_ranks
from insilico.figures.panels import (
    bin_count_for,
    draw_identity,
    letter_panels,
    plot_histogram,
    plot_points,
    upper_limit,
)
from insilico.figures.style import GRAY, PAGE_WIDTH_IN, cycle_color, new_axes, style
from insilico.figures.validation import wrap_to
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Panels in a row of :func:`plot_quantities`.
COLUMNS = 5
#: Interquartile ranges from the quartiles to the end of an axis, at most.
FENCE = 4.0
#: Example neurons of :func:`plot_direction`.
EXAMPLES = 4
SIDES = ("reference", "other")
KINDS = ("direction", "orientation")
#: Bins of the correlation of curves, over [-1, 1] (as published).
CORRELATION_BINS = 20


@style()
def plot_quantities(result: Result) -> Figure:
    """Draw every quantity of one run against the other, with its correlation and difference.

    Parameters
    ----------
    result : Result
        Of a comparison.

    Returns
    -------
    Figure
        One panel a quantity that some neuron has on both sides.

    Raises
    ------
    NotFittedError
        If no neuron has any.
    """
    table = result.tables["quantities"]
    shown = table[table["neuron_count"] > 0]
    if shown.empty:
        raise NotFittedError(
            "no neuron that passes the filter has a value on both sides; compare other experiments"
        )
    rows = math.ceil(len(shown) / COLUMNS)
    columns = min(COLUMNS, len(shown))
    width_in = max(PAGE_WIDTH_IN * columns / COLUMNS, 3.4)
    figure = Figure(figsize=(width_in, rows * 1.95 + 0.6))
    for place, (_, row) in enumerate(shown.iterrows()):
        plot_quantity(result, row, figure.add_subplot(rows, columns, place + 1))
    figure.supxlabel(label_of(result, "reference"), fontsize="medium")
    figure.supylabel(label_of(result, "other"), fontsize="medium")
    state_filter(result, figure)
    return figure


@style()
def plot_quantity(result: Result, row: pd.Series, axes: Axes | None = None) -> Axes:
    """Draw one quantity of one run against the other.

    Parameters
    ----------
    result : Result
        Of a comparison.
    row : Series
        Of its table ``quantities``.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Angles of the other side lie within half a period of the reference. Values far out, beyond
        :data:`FENCE` times the interquartile range, stand on the border and are counted.
    """
    axes = new_axes(axes)
    values = counted_values(result, str(row["experiment"]), str(row["quantity"]))
    one, two = values["reference"].to_numpy(float), values["other"].to_numpy(float)
    period = None if pd.isna(row["period_deg"]) else float(row["period_deg"])
    two = wrap_to(two, one, period_deg=period)
    low, high = _square(np.concatenate([one, two]), is_log=bool(row["is_log"]))
    beyond = int(((np.minimum(one, two) < low) | (np.maximum(one, two) > high)).sum())
    plot_points(axes, np.clip(one, low, high), np.clip(two, low, high), clip_on=False)
    draw_identity(axes, low, high)
    if row["is_log"]:
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(nbins=4)
    unit = f" ({row['unit']})" if row["unit"] else ""
    axes.set_title(f"{row['words']}{unit}\n{_count_text(row)}", fontsize="small")
    remark = f"\n{beyond:,} beyond, on the border" if beyond else ""
    axes.set_xlabel(_agreement_text(row) + remark, fontsize="small")
    return axes


@style()
def plot_direction(result: Result) -> Figure:
    """Draw direction tuning of both runs: curves, their correlation, width and preferences.

    Parameters
    ----------
    result : Result
        Of a comparison with direction tuning.

    Returns
    -------
    Figure
        Examples evenly spaced in the rank of their correlation, from best to worst; every panel is
        of the same neurons.
    """
    kinds = kinds_of(result)
    figure = Figure(figsize=(PAGE_WIDTH_IN, (1.6 + 1.75 * len(kinds)) * PAGE_WIDTH_IN / 7.2 + 0.5))
    parts: Any = figure.subfigures(2, 1, height_ratios=[1, 1.15 * len(kinds)])
    upper, lower = parts
    chosen = example_rows(result, kinds[0])
    panels = list(np.atleast_1d(upper.subplots(1, len(chosen))))
    for axes, row in zip(panels, chosen, strict=True):
        plot_curves(result, int(row), axes, kind=kinds[0])
    for axes in panels[1:]:
        axes.set_ylabel("")
    panels[0].legend(loc="upper right", fontsize="x-small")
    grid = lower.subplots(len(kinds), 4, squeeze=False)
    for line, kind in zip(grid, kinds, strict=True):
        plot_correlation(result, line[0], kind=kind)
        plot_aligned(result, line[1], kind=kind)
        plot_differences(result, line[2], kind=kind)
        plot_pairs(result, line[3], kind=kind)
    letter_panels([panels[0], *grid.flat])
    state_filter(result, figure)
    return figure


@style()
def plot_curves(
    result: Result, row: int, axes: Axes | None = None, *, kind: str = "direction"
) -> Axes:
    """Draw the tuning curves of one neuron on both sides, each as a share of its maximum.

    Parameters
    ----------
    result : Result
        Of a comparison with direction tuning.
    row : int
        Position of the neuron in its tables.
    axes : Axes, optional
        Where; a new figure when left out.
    kind : {"direction", "orientation"}
        Of the curve.

    Returns
    -------
    Axes
        With error bars where trials repeat; as published, the maximum is that of mean plus error.
    """
    axes = new_axes(axes)
    neuron = result.neurons.iloc[row]
    angle_deg = result.arrays[f"{kind}_deg"].to_numpy()
    period = {"direction": 360, "orientation": 180}[kind]
    for side in SIDES:
        curve = result.arrays[f"{kind}_curve"].sel(side=side).isel(neuron=row).to_numpy()
        error = result.arrays[f"{kind}_curve_sem"].sel(side=side).isel(neuron=row).to_numpy()
        scale = float(np.max(curve + np.nan_to_num(error)))
        scale = scale if scale > 0 else 1.0
        # The last angle is the first one again.
        x = np.append(angle_deg, angle_deg[0] + period)
        y, bar = (np.append(values, values[0]) / scale for values in (curve, error))
        _draw_curve(axes, (x, y, bar), side, label=f"{label_of(result, side)} ({side})")
    correlation = float(neuron[f"{kind}_curve_correlation"])
    axes.set_title(f"neuron {neuron['neuron']}\nr = {correlation:.2f}")
    axes.set(xlim=(-0.03 * period, 1.03 * period), xticks=np.arange(0, period + 1, period / 4))
    axes.set(xlabel=f"{kind} (deg)", ylabel="share of maximum")
    # The legend stands above the curves.
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]), top=1.35)
    axes.set_yticks([0, 0.5, 1])
    return axes


@style()
def plot_correlation(result: Result, axes: Axes | None = None, *, kind: str = "direction") -> Axes:
    """Draw the distribution of the correlation of tuning curves, and of shuffled ones.

    Parameters
    ----------
    result : Result
        Of a comparison with direction tuning.
    axes : Axes, optional
        Where; a new figure when left out.
    kind : {"direction", "orientation"}
        Of the curves.

    Returns
    -------
    Axes
        In percent of the neurons; triangles mark medians.
    """
    axes = new_axes(axes)
    table = counted(result)
    name = f"{kind}_curve_correlation"
    groups = {"pairs": table[name], "angles shuffled": table[f"{name}_shuffled"]}
    test = test_row(result, f"{kind} curve correlation - shuffled")
    plot_histogram(
        axes,
        groups,
        limits=(-1, 1),
        bin_count=CORRELATION_BINS,
        title=f"{kind} curves, N = {int(table[name].notna().sum()):,}",
        xlabel="correlation of curves",
        remark=p_text(test["p_value"]),
        colors=(cycle_color(2), GRAY),
        medians=[float(values.median()) for values in groups.values()],
        is_percent=True,
    )
    axes.legend(loc="upper left", fontsize="x-small")
    return axes


@style()
def plot_aligned(result: Result, axes: Axes | None = None, *, kind: str = "direction") -> Axes:
    """Draw the mean of curves whose peaks are put at 0 and scaled to 1, on both sides.

    Parameters
    ----------
    result : Result
        Of a comparison with direction tuning.
    axes : Axes, optional
        Where; a new figure when left out.
    kind : {"direction", "orientation"}
        Of the curves.

    Returns
    -------
    Axes
        With standard errors over neurons, or over mice where there are several.
    """
    axes = new_axes(axes)
    shown = _rows_of(result, "aligned_curves", kind=kind, mouse="all")
    for side in SIDES:
        part = shown[shown["side"] == side]
        curve = (part[name].to_numpy(float) for name in ("angle_deg", "mean", "sem"))
        _draw_curve(axes, tuple(curve), side, label=label_of(result, side))
    half = float(shown["angle_deg"].max())
    test = test_row(result, f"{kind} curve off the peak, neurons: other - reference")
    counts = sorted(set(shown["neuron_count"]))
    axes.set(xlim=(-1.08 * half, 1.08 * half), xticks=np.linspace(-half, half, 5), ylim=(0, 1.06))
    axes.set_title(f"width, N = {' and '.join(f'{count:,}' for count in counts)}")
    axes.set_ylabel(f"share of peak\n(± s.e.m. of {shown['error_source'].iloc[0]})")
    axes.set_xlabel(f"{kind} from the peak (deg)\noff the peak {p_text(test['p_value'])}")
    low = float((shown["mean"] - shown["sem"].fillna(0)).min())
    axes.set_ylim(bottom=min(0.0, 1.1 * low))
    return axes


@style()
def plot_differences(result: Result, axes: Axes | None = None, *, kind: str = "direction") -> Axes:
    """Draw how often the preferred angles of both sides differ by how much.

    Parameters
    ----------
    result : Result
        Of a comparison with direction tuning.
    axes : Axes, optional
        Where; a new figure when left out.
    kind : {"direction", "orientation"}
        Of the preference, the best of the sampled angles.

    Returns
    -------
    Axes
        Mean over mice, with its standard error where there are several; a dash is chance.
    """
    axes = new_axes(axes)
    shown = _rows_of(result, "preference_shares", kind=kind, mouse="all")
    step = float(np.diff(shown["difference_deg"]).min())
    axes.bar(
        shown["difference_deg"],
        100 * shown["share"],
        0.7 * step,
        yerr=100 * shown["sem"] if shown["sem"].notna().any() else None,
        color=cycle_color(2),
        alpha=0.6,
        error_kw={"elinewidth": 0.8},
    )
    axes.hlines(
        100 * shown["chance"],
        shown["difference_deg"] - 0.42 * step,
        shown["difference_deg"] + 0.42 * step,
        color=GRAY,
        linewidth=0.9,
        label="chance",
    )
    axes.set_xticks(_thinned(shown["difference_deg"].to_numpy(float), 5))
    axes.set_title(f"preference, N = {int(shown['neuron_count'].iloc[0]):,}")
    axes.set(xlabel=f"difference in preferred\n{kind} (deg)", ylabel="neurons (%)")
    axes.legend(loc="upper right", fontsize="x-small")
    return axes


@style()
def plot_pairs(result: Result, axes: Axes | None = None, *, kind: str = "direction") -> Axes:
    """Draw which angles neurons prefer on one side and on the other, in percent of all neurons.

    Parameters
    ----------
    result : Result
        Of a comparison with direction tuning.
    axes : Axes, optional
        Where; a new figure when left out.
    kind : {"direction", "orientation"}
        Of the preference, the best of the sampled angles.

    Returns
    -------
    Axes
    """
    axes = new_axes(axes)
    table = _rows_of(result, "preference_pairs", kind=kind)
    count = int(table["neuron_count"].iloc[0])
    wide = table.pivot_table(index="other_deg", columns="reference_deg", values="share")
    angles = wide.columns.to_numpy(float)
    step = float(np.diff(angles).min())
    ends = (angles[0] - step / 2, angles[-1] + step / 2)
    image = axes.imshow(
        100 * wide.to_numpy(), cmap="Greys", vmin=0, extent=(*ends, *ends), origin="lower"
    )
    axes.set(xticks=_thinned(angles, 4), yticks=_thinned(angles, 4))
    axes.set(xlabel="reference (deg)", ylabel="other (deg)")
    axes.set_title(f"preferred {kind}, N = {count:,}")
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.7, pad=0.03)
    bar.set_label("neurons (%)")
    bar.outline.set_visible(False)
    return axes


@style()
def plot_fields(result: Result) -> Figure:
    """Draw the widths of the receptive fields of both runs, and how far apart their centers are.

    Parameters
    ----------
    result : Result
        Of a comparison with retinotopy.

    Returns
    -------
    Figure
        Standard deviations of the fitted Gaussians, full extents, and differences of the centers.
    """
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.62 * PAGE_WIDTH_IN))
    layout: list[Any] = [["sigma_major", "sigma_minor", "x"], ["extent_major", "extent_minor", "y"]]
    panels = figure.subplot_mosaic(layout)
    for name in ("sigma_major", "sigma_minor", "extent_major", "extent_minor"):
        plot_widths(result, f"{name}_deg", panels[name])
    for name in ("x", "y"):
        plot_shift(result, f"{name}_deg", panels[name])
    letter_panels(panels.values())
    state_filter(result, figure)
    return figure


@style()
def plot_widths(result: Result, quantity: str, axes: Axes | None = None) -> Axes:
    """Draw the distribution of a width of receptive fields on both sides.

    Parameters
    ----------
    result : Result
        Of a comparison with retinotopy.
    quantity : str
        Such as "sigma_major_deg" or "extent_major_deg".
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
        Triangles mark medians.
    """
    axes = new_axes(axes)
    values = counted_values(result, "retinotopy", quantity)
    row = quantity_row(result, "retinotopy", quantity)
    both = pd.concat([values[side] for side in SIDES])
    high = upper_limit(both, step=10 if quantity.startswith("extent") else 2)
    medians = [float(values[side].median()) for side in SIDES]
    plot_histogram(
        axes,
        {
            f"{label_of(result, side)}, median {median:.1f}°": values[side]
            for side, median in zip(SIDES, medians, strict=True)
        },
        limits=(0, high),
        bin_count=bin_count_for(len(values)),
        title=f"N = {len(values):,}, {p_text(row['p_value'])}",
        xlabel=f"{row['words']} (deg)",
        colors=[color_of(side) for side in SIDES],
        medians=medians,
    )
    axes.legend(loc="upper right", fontsize="x-small")
    return axes


@style()
def plot_shift(result: Result, quantity: str, axes: Axes | None = None) -> Axes:
    """Draw the distribution of how a coordinate of receptive fields differs, other minus reference.

    Parameters
    ----------
    result : Result
        Of a comparison with retinotopy.
    quantity : {"x_deg", "y_deg"}
        Which coordinate.
    axes : Axes, optional
        Where; a new figure when left out.

    Returns
    -------
    Axes
    """
    axes = new_axes(axes)
    shift = counted_values(result, "retinotopy", quantity)["difference"].to_numpy(float)
    row = quantity_row(result, "retinotopy", quantity)
    reach = upper_limit(np.abs(shift), step=2)
    plot_histogram(
        axes,
        {"difference": shift},
        limits=(-reach, reach),
        bin_count=2 * (bin_count_for(len(shift)) // 2),
        title=f"r = {row['correlation']:.2f}",
        xlabel=f"{row['words']}, other − reference (deg)",
        colors=[cycle_color(2)],
    )
    axes.axvline(0, color="black", linewidth=0.6)
    return axes


def kinds_of(result: Result) -> list[str]:
    """Return the kinds of tuning curves of a comparison.

    Raises
    ------
    NotFittedError
        If it has none.
    """
    kinds = [kind for kind in KINDS if f"{kind}_curve" in result.arrays]
    if not kinds:
        raise NotFittedError(
            "the comparison holds no tuning curves; compare runs with direction at common angles"
        )
    return kinds


def example_rows(result: Result, kind: str, count: int = EXAMPLES) -> IntArray:
    """Return rows of neurons that count, evenly spaced in rank from best to worst correlation."""
    rows = np.flatnonzero((result.neurons["status"] == "ok").to_numpy())
    correlation = result.neurons[f"{kind}_curve_correlation"].to_numpy(float)[rows]
    rows, correlation = rows[np.isfinite(correlation)], correlation[np.isfinite(correlation)]
    return rows[spread_over_ranks(correlation, count)]


def counted(result: Result) -> pd.DataFrame:
    """Return the neurons that pass the filter."""
    return result.neurons[result.neurons["status"] == "ok"]


def counted_values(result: Result, experiment: str, quantity: str) -> pd.DataFrame:
    """Return the values of a quantity that neurons which pass the filter have on both sides."""
    table = _rows_of(result, "values", experiment=experiment, quantity=quantity)
    return table[table["is_counted"] & table["difference"].notna()]


def quantity_row(result: Result, experiment: str, quantity: str) -> pd.Series:
    """Return the row of the table of quantities."""
    return _rows_of(result, "quantities", experiment=experiment, quantity=quantity).iloc[0]


def test_row(result: Result, comparison: str) -> pd.Series:
    """Return the row of a test."""
    return _rows_of(result, "population", comparison=comparison).iloc[0]


def label_of(result: Result, side: str) -> str:
    """Return what a side is called."""
    return str(result.provenance[side]["label"])


def color_of(side: str) -> str:
    """Return the color of a side; call it within :func:`style`."""
    return "black" if side == "reference" else cycle_color(2)


def state_filter(result: Result, figure: Figure) -> None:
    """Say below a figure which neurons it is about."""
    matched, passing = len(result.neurons), len(counted(result))
    text = f"{passing:,} of {matched:,} matched neurons: {result.provenance['filter']}"
    figure.suptitle(_wrapped(text, 120), fontsize="small", color=GRAY)


def p_text(p_value: float) -> str:
    """Write a p-value."""
    return "p undefined" if not np.isfinite(p_value) else f"p = {p_value:.2g}"


def _rows_of(result: Result, table: str, **columns: str) -> pd.DataFrame:
    """Return the rows of a table whose columns have these values."""
    found = result.tables[table]
    for name, value in columns.items():
        found = found[found[name] == value]
    return found


def _draw_curve(axes: Axes, curve: tuple[FloatArray, ...], side: str, *, label: str) -> None:
    """Draw the angles, means and errors of a side; without bars where an error is missing."""
    angle_deg, mean, error = curve
    looks: dict[str, Any] = {"color": color_of(side), "label": label}
    if np.isfinite(error).all():
        axes.errorbar(angle_deg, mean, error, fmt="o-", elinewidth=0.7, **looks)
    else:
        axes.plot(angle_deg, mean, "o-", **looks)


def _thinned(values: FloatArray, most: int) -> FloatArray:
    """Return every value, every second, or so on: at most that many."""
    return values[:: max(1, math.ceil(len(values) / most))]


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


def _count_text(row: pd.Series) -> str:
    text = f"N = {row['neuron_count']:,}"
    if row["neuron_count"] < row["passing_count"]:
        text += f" of {row['passing_count']:,}"
    known = np.isfinite(row["correlation"])
    return f"{text}, r = {row['correlation']:.2f}" if known else f"{text}, all equal"


def _agreement_text(row: pd.Series) -> str:
    unit = f" {row['difference_unit']}" if row["difference_unit"] else ""
    interval = f"[{row['ci_low']:.2g}, {row['ci_high']:.2g}]"
    text = f"Δ {row['median_difference']:.2g}{unit} {interval}".replace("-", "\N{MINUS SIGN}")
    return f"{text}\n{p_text(row['p_value'])}"


def _square(values: FloatArray, *, is_log: bool) -> tuple[float, float]:
    """Return common limits of both axes."""
    scaled = np.log(values) if is_log else values
    quarter, three = np.quantile(scaled, [0.25, 0.75])
    reach = FENCE * (three - quarter) or np.inf
    low, high = max(scaled.min(), quarter - reach), min(scaled.max(), three + reach)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    ends = np.array([low - margin, high + margin])
    first, last = np.exp(ends) if is_log else ends
    return float(first), float(last)
