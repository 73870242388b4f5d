"""Planted against recovered: whether the instrument is right."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures.direction import plot_tuning_curve
from insilico.figures.galleries import gallery_rows, spread_over_ranks
from insilico.figures.maps import plot_map
from insilico.figures.panels import point_size
from insilico.figures.style import LIGHT_GRAY, PAGE_WIDTH_IN, cycle_color, style
from insilico.results import Result

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Panels in a row, and how many characters of a title fit above one.
COLUMNS, TITLE_CHARACTERS = 5, 23
#: Neurons beside their twin, unless they are named.
BESIDE_COUNT = 4
#: Marker of each kind of twin, in order of appearance.
MARKERS = ("o", "^", "s", "D")
#: Angles by a part of their name, which ends in "_deg": the period in degrees, and the index that
#: says how well a neuron defines the angle.
ANGLES = {"direction": (360.0, "dsi"), "orientation": (180.0, "osi"), "angle": (180.0, None)}
#: What the last part of a quantity's name says about its unit.
UNITS = {"px": "px", "deg": "deg", "hz": "Hz", "cpd": "cycles/deg", "s": "s", "um": "µm"}


@style()
def plot_validation(rows: pd.DataFrame, *, selective: float = 0.3) -> Figure:
    """Draw planted against recovered values, one panel a quantity.

    Parameters
    ----------
    rows : DataFrame
        One row a value: ``kind`` of twin (marker), ``cell_class`` (color), ``quantity``,
        ``neuron``, ``planted``, ``recovered``. Quantities in degrees with "direction" in their name
        have a period of 360, those with "orientation" or "angle" one of 180.
    selective : float
        Angles of neurons whose planted index (quantity "dsi" or "osi") is below this are drawn in
        gray: they hardly have a preference.

    Returns
    -------
    Figure
        A recovered angle is drawn within half a period of the planted one.

    Raises
    ------
    NotFittedError
        If there is no row to draw.
    """
    if len(rows) == 0:
        raise NotFittedError("there is no planted and recovered value to draw; validate first")
    quantities = list(dict.fromkeys(rows["quantity"]))
    columns = min(COLUMNS, len(quantities))
    height_in = math.ceil(len(quantities) / columns) * PAGE_WIDTH_IN / COLUMNS * 1.14 + 0.35
    figure = Figure(figsize=(max(PAGE_WIDTH_IN * columns / COLUMNS, 2.5), height_in))
    by_label: dict[str, Any] = {}
    for place, quantity in enumerate(quantities):
        axes = figure.add_subplot(math.ceil(len(quantities) / columns), columns, place + 1)
        plot_quantity(rows, quantity, axes, selective=selective)
        by_label |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.supxlabel("planted", fontsize="medium")
    figure.supylabel("recovered", fontsize="medium")
    figure.legend(by_label.values(), by_label.keys(), loc="outside upper center", ncols=5)
    return figure


@style()
def plot_quantity(rows: pd.DataFrame, quantity: str, axes: Axes, *, selective: float = 0.3) -> Axes:
    """Draw planted against recovered values of one quantity; see :func:`plot_validation`."""
    chosen = rows[rows["quantity"] == quantity]
    planted = chosen["planted"].to_numpy(float)
    recovered = chosen["recovered"].to_numpy(float)
    recovered = wrap_to(recovered, planted, period_deg=period_of(quantity))
    is_clear = _is_clear(rows, chosen, selective)
    known = np.isfinite(planted) & np.isfinite(recovered)
    size = point_size(len(chosen))
    classes, kinds = (list(dict.fromkeys(rows[name])) for name in ("cell_class", "kind"))
    for shade, cell_class in enumerate(classes):
        for marker, kind in zip(MARKERS, kinds, strict=False):
            group = ((chosen["cell_class"] == cell_class) & (chosen["kind"] == kind)).to_numpy()
            points: dict[str, Any] = {"s": size, "marker": marker, "linewidth": 0, "alpha": 0.6}
            clear, vague = group & known & is_clear, group & known & ~is_clear
            if vague.any():
                label = f"planted index below {selective:g}"
                axes.scatter(
                    planted[vague], recovered[vague], color=LIGHT_GRAY, label=label, **points
                )
            axes.scatter(
                planted[clear],
                recovered[clear],
                color=cycle_color(shade),
                label=f"{cell_class}, {kind}",
                **points,
            )
    _identity_line(axes, planted[known], recovered[known])
    title = textwrap.fill(_title(quantity), TITLE_CHARACTERS)
    axes.set_title(f"{title}\nN = {int(known.sum()):,}")
    return axes


@style()
def plot_beside(
    on_neurons: Mapping[str, Result],
    on_twin: Mapping[str, Result],
    neurons: Sequence[int] | None = None,
) -> Figure:
    """Draw receptive fields and tuning of neurons above those of a twin trained on them.

    Parameters
    ----------
    on_neurons, on_twin : mapping of str to Result
        "retinotopy" and "direction", measured on the neurons themselves and on the twin.
    neurons : sequence of int, optional
        Which; some of each kind of map when left out.

    Returns
    -------
    Figure
        A column a neuron.

    Raises
    ------
    NotFittedError
        If a result does not hold a neuron, or there is none to draw.
    """
    table = on_neurons["direction"].neurons
    rows = gallery_rows(on_neurons["direction"], neurons, _some_of_each_map(on_neurons))
    chosen = [int(neuron) for neuron in table["neuron"].iloc[rows]]
    figure = Figure(figsize=(PAGE_WIDTH_IN, 1.05 * PAGE_WIDTH_IN))
    panels = figure.subplots(4, len(chosen), squeeze=False, height_ratios=[0.8, 0.8, 1, 1])
    labels = ("neuron", "twin")
    for column, neuron in enumerate(chosen):
        for row, results in enumerate((on_neurons, on_twin)):
            plot_map(results["retinotopy"], neuron, panels[row, column])
            curve = plot_tuning_curve(results["direction"], neuron, panels[row + 2, column])
            # The neuron's name stands above its column already.
            curve.set_title(curve.get_title().removeprefix(f"neuron {neuron}").lstrip(" ·\n"))
        # The same part of the screen.
        upper, lower = panels[0, column], panels[1, column]
        lower.set(xlim=upper.get_xlim(), ylim=upper.get_ylim())
    for axes in panels.flat:
        axes.set_xlabel(axes.get_xlabel().replace(", normal to the bars", ""))
    for axes in panels[:, 1:].flat:
        axes.set_ylabel("")
    for axes in panels[[0, 2]].flat:
        axes.set_xlabel("")
    for axes, name in zip(panels[:, 0], labels * 2, strict=True):
        axes.set_ylabel(f"{name}\n{axes.get_ylabel()}")
    return figure


def _some_of_each_map(results: Mapping[str, Result]) -> IntArray:
    """Return rows of as many neurons of each kind of map, from sharply to broadly selective."""
    table = results["direction"].neurons
    selectivity = table["dsi" if "dsi" in table else "osi"].to_numpy(float)
    maps = results["retinotopy"].neurons["map_used"].to_numpy()
    kinds = [np.flatnonzero(maps == kind) for kind in sorted(set(maps) - {"none"})]
    chosen = [
        rows[spread_over_ranks(selectivity[rows], BESIDE_COUNT // len(kinds))] for rows in kinds
    ]
    return np.concatenate(chosen) if chosen else np.arange(min(BESIDE_COUNT, len(table)))


def period_of(quantity: str) -> float | None:
    """Return the period of an angle in degrees, and None for what is no angle."""
    return _angle(quantity)[0]


def _angle(quantity: str) -> tuple[float | None, str | None]:
    """Return the period and the index of an angle; None of each for what is no angle."""
    parts = ANGLES if quantity.endswith("_deg") else {}
    return next((ANGLES[part] for part in parts if part in quantity), (None, None))


def wrap_to(recovered: FloatArray, planted: FloatArray, *, period_deg: float | None) -> FloatArray:
    """Return recovered angles shifted by whole periods to within half a period of the planted."""
    if period_deg is None:
        return recovered
    half = period_deg / 2
    return planted + (recovered - planted + half) % period_deg - half


def _is_clear(
    rows: pd.DataFrame, chosen: pd.DataFrame, selective: float
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each neuron's planted selectivity defines the angle well."""
    quantity = str(chosen["quantity"].iloc[0])
    _, index = _angle(quantity)
    indices = rows.loc[rows["quantity"] == index, ["kind", "neuron", "planted"]]
    if index is None or len(indices) == 0:
        return np.ones(len(chosen), bool)
    joined = chosen[["kind", "neuron"]].merge(indices, on=["kind", "neuron"], how="left")
    return (joined["planted"] >= selective).to_numpy(bool)


def _identity_line(axes: Axes, planted: FloatArray, recovered: FloatArray) -> None:
    values = np.concatenate([planted, recovered, [0.0] if len(planted) == 0 else []])
    margin = 0.05 * float(np.ptp(values)) or 0.5
    low, high = float(values.min()) - margin, float(values.max()) + margin
    axes.plot([low, high], [low, high], color="black", linewidth=0.6, zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    # The same ticks on both axes.
    axes.locator_params(nbins=4)


def _title(quantity: str) -> str:
    words = quantity.split("_")
    if words[-1] in UNITS and len(words) > 1:
        return f"{' '.join(words[:-1])} ({UNITS[words[-1]]})"
    return " ".join(words) if len(words) > 1 else quantity.upper()
