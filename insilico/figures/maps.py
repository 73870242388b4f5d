"""Receptive-field maps on the screen: pixels as data, degrees on the axes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from insilico.figures.galleries import neuron_title
from insilico.figures.style import SEQUENTIAL_MAP, SIGNED_MAP, new_axes, style
from insilico.fits.gaussian import ellipse_outline
from insilico.results import Result
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

AZIMUTH_LABEL, ELEVATION_LABEL = "azimuth (deg)", "elevation (deg)"
#: Pixels to each side of the center that a gallery shows. Fields are a few pixels wide.
CROP_PX = 11.0
#: A wider field is shown to this many standard deviations.
CROP_SD = 1.5
#: Steps between ticks on an axis in degrees, smallest first.
DEGREE_STEPS = (1, 2, 5, 10, 20, 30, 45, 90)


@style()
def plot_map(result: Result, neuron: int, axes: Axes | None = None) -> Axes:
    """Draw one neuron's map with its fit.

    The data of the axes are pixels from the top left, y down; the ticks are in degrees. A neuron
    without a fit shows its linear map on the whole screen. Arguments as in
    :mod:`insilico.figures.galleries`.
    """
    row = result.row(neuron)
    fit = result.neurons.iloc[row]
    screen = screen_of(result)
    axes = new_axes(axes)
    shown = _shown_map(result, row)
    axes.imshow(
        shown.values,
        cmap=shown.color_map,
        vmin=shown.limits[0],
        vmax=shown.limits[1],
        extent=shown.extent,
        origin="upper",
    )
    halo = [withStroke(linewidth=2.2, foreground="white")]
    if np.isfinite(fit["x_px"]):
        outline = ellipse_outline(fit)
        axes.plot(*outline, color="black", linewidth=0.9, path_effects=halo, label="fit, 1 SD")
        axes.plot(
            fit["x_px"],
            fit["y_px"],
            "+",
            color="black",
            markersize=4,
            markeredgewidth=0.8,
            path_effects=halo,
            label="center",
        )
    left, right, top, bottom = crop(fit, screen)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.spines[:].set_visible(True)
    label_degrees(axes, screen)
    axes.set(xlabel=AZIMUTH_LABEL, ylabel=ELEVATION_LABEL, title=_title(fit))
    return axes


def plot_color_scale(
    figure: Figure, panels: list[Axes], *, is_energy: bool, units: str = "correlation"
) -> None:
    """Draw the one color scale, beside the panels, of maps that each fill it."""
    scale = ScalarMappable(Normalize(-1, 1), SEQUENTIAL_MAP if is_energy else SIGNED_MAP)
    bar = figure.colorbar(scale, ax=panels, location="right", shrink=0.7, aspect=22, pad=0.015)
    if is_energy:
        bar.set_ticks([-1, 1], labels=["lowest", "highest"])
    else:
        bar.set_ticks([-1, 0, 1], labels=["\N{MINUS SIGN}peak", "0", "+peak"])
    bar.set_label(f"{'energy' if is_energy else 'linear'} map\n({units})")
    bar.outline.set_visible(False)


def label_degrees(axes: Axes, screen: Screen, *, tick_count: int = 4) -> None:
    """Label axes whose data are pixels of a screen in degrees of visual angle.

    Degrees are no linear function of pixels on a flat screen, so round degrees stand where they
    belong and are not evenly spaced.

    Parameters
    ----------
    axes : Axes
        Limits in pixels from the top left, y down, are set already.
    screen : Screen
        Geometry.
    tick_count : int
        Most ticks on an axis.
    """
    x_deg, y_deg = screen.position_deg(axes.get_xlim(), axes.get_ylim())
    x_ticks, y_ticks = (
        round_degrees(float(ends.min()), float(ends.max()), tick_count) for ends in (x_deg, y_deg)
    )
    x_px = screen.position_px(x_ticks, np.zeros_like(x_ticks))[0]
    y_px = screen.position_px(np.zeros_like(y_ticks), y_ticks)[1]
    axes.set_xticks(x_px, [write_signed(tick) for tick in x_ticks])
    axes.set_yticks(y_px, [write_signed(tick) for tick in y_ticks])


def round_degrees(low: float, high: float, tick_count: int) -> FloatArray:
    """Return round values between two angles, at most ``tick_count`` where that is possible."""
    for step in DEGREE_STEPS:
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first + 1 <= tick_count:
            break
    return step * np.arange(first, last + 1, dtype=float)


def used_reliability(table: pd.DataFrame) -> FloatArray:
    """Return the reliability of the map that each fit used; of the better one where none was."""
    linear, energy = (table[f"{name}_reliability"].to_numpy(float) for name in ("linear", "energy"))
    used = table["map_used"].to_numpy()
    return np.select(
        [used == "linear", used == "energy"], [linear, energy], np.fmax(linear, energy)
    )


def screen_of(result: Result) -> Screen:
    """Return the screen that the maps belong to; their data set carries its fields."""
    names = [field.name for field in dataclasses.fields(Screen)]
    return Screen.from_dict({name: result.arrays.attrs[name] for name in names})


def crop(fit: pd.Series, screen: Screen) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of the part of the screen to show, pixels."""
    if not np.isfinite(fit["x_px"]):
        return -0.5, screen.width_px - 0.5, -0.5, screen.height_px - 0.5
    half = max(CROP_PX, CROP_SD * float(fit["sigma_major_px"]))
    sides: list[float] = []
    for center, length in ((fit["x_px"], screen.width_px), (fit["y_px"], screen.height_px)):
        size = min(2 * half, length)
        # At the edge the window moves inward, so that all panels have one scale.
        first = float(np.clip(center - half, -0.5, length - 0.5 - size))
        sides += [first, first + size]
    return sides[0], sides[1], sides[2], sides[3]


@dataclasses.dataclass(frozen=True)
class _ShownMap:
    values: FloatArray
    extent: tuple[float, float, float, float]
    color_map: str
    limits: tuple[float, float]


def _shown_map(result: Result, row: int) -> _ShownMap:
    """Return the map that the fit used, with its place on the screen in pixels."""
    is_energy = result.neurons["map_used"].iloc[row] == "energy"
    name, prefix = ("energy_map", "grid_") if is_energy else ("linear_map", "")
    values = result.arrays[name].isel(neuron=row).to_numpy().astype(float)
    x_px, y_px = (result.arrays[f"{prefix}{axis}_px"].to_numpy() for axis in ("x", "y"))
    half = float(x_px[1] - x_px[0]) / 2
    extent = (
        float(x_px[0]) - half,
        float(x_px[-1]) + half,
        float(y_px[-1]) + half,
        float(y_px[0]) - half,
    )
    if is_energy:
        return _ShownMap(values, extent, SEQUENTIAL_MAP, (float(values.min()), float(values.max())))
    # A silent neuron's map is 0 everywhere and needs limits all the same.
    peak = float(np.abs(values).max()) or 1.0
    return _ShownMap(values, extent, SIGNED_MAP, (-peak, peak))


def _title(fit: pd.Series) -> str:
    shown = "energy" if fit["map_used"] == "energy" else "linear"
    reliability = fit[f"{shown}_reliability"]
    return neuron_title(fit, shown, f"r = {reliability:.2f}" if np.isfinite(reliability) else "")


def write_signed(value: float) -> str:
    """Write a number with a true minus sign, which is as wide as a plus."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
