"""Where the center disc of each neuron lies, and how much of it the screen shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import NotFittedError, UnitsError
from insilico.experiments.sites import rows_of
from insilico.results import Result
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Columns of a retinotopy result that tell how well each of its maps comes back, by ``map_used``.
RELIABILITY_OF_MAP = {"linear": "linear_reliability", "energy": "energy_reliability"}
#: What makes two screens see a pixel at the same place.
GEOMETRY = ("width_px", "height_px", "width_cm", "height_cm", "distance_cm")


def place_neurons(
    neurons: pd.DataFrame,
    *,
    fields: Result | None,
    sizes: Result | None,
    screen: Screen,
    diameter_deg: float,
) -> pd.DataFrame:
    """Say where each neuron's center disc lies, how large it is, and how much of it is seen.

    Parameters
    ----------
    neurons : DataFrame
        Columns ``mouse`` and ``neuron``.
    fields : Result, optional
        Receptive fields, of retinotopy or dots; without them nothing is placed.
    sizes : Result, optional
        Of the size experiment: a neuron has a disc of its preferred size where that is "ok", and
        one of ``diameter_deg`` elsewhere.
    screen : Screen
        Where the discs are shown.
    diameter_deg : float
        Full visual angle.

    Returns
    -------
    DataFrame, one row a neuron in their order
        ``field_status`` (that of the result; "" without one), ``field_reliability`` (that of the
        map that was fitted, or, in results without any, the share ``r2`` of the map that the fit
        explains), ``x_px`` and ``y_px`` (rounded to a pixel, as shown; NaN where no center is known
        or it lies off the screen: never the center of the screen instead), ``diameter_deg``,
        ``diameter_source`` ("size" or "default") and ``coverage``, the share of the disc's pixels
        that lie on the screen.

    Raises
    ------
    NotFittedError
        If the receptive fields were measured on another screen.
    ProtocolError
        If a result lacks a neuron.
    UnitsError
        If a diameter is out of range.
    """
    if not 0 < diameter_deg < 180:
        raise UnitsError(f"a diameter of {diameter_deg!r} degrees; give one above 0, below 180")
    diameter, source = _diameters(neurons, sizes, diameter_deg)
    nothing = np.full(len(neurons), np.nan)
    status, reliability = np.full(len(neurons), "", object), nothing
    x_px, y_px = nothing, nothing
    if fields is not None:
        _check_screen(fields, screen)
        table = rows_of(fields, neurons)
        status = table["status"].to_numpy(object)
        reliability = _field_reliability(table)
        x_px, y_px = _shown_centers(table, screen)
        # A fit whose center leaves the screen only by rounding is no better than one that did.
        is_lost = (status == "ok") & ~np.isfinite(x_px)
        status = np.where(is_lost, "off_screen", status)
    return pd.DataFrame(
        {
            "field_status": status.astype(str),
            "field_reliability": reliability,
            "x_px": x_px,
            "y_px": y_px,
            "diameter_deg": diameter,
            "diameter_source": source,
            "coverage": disc_coverage(screen, x_px, y_px, diameter_deg=diameter),
        }
    )


def disc_coverage(
    screen: Screen, x_px: ArrayLike, y_px: ArrayLike, *, diameter_deg: ArrayLike
) -> FloatArray:
    """Return the share of each disc's pixels that lie on the screen.

    Parameters
    ----------
    screen : Screen
        Its pixels.
    x_px, y_px : float array, shape (disc,)
        Whole numbers: centers are shown rounded to a pixel.
    diameter_deg : float or float array, shape (disc,)
        Full visual angle, above 0. A pixel belongs to a disc if its center lies within the edge, as
        in :func:`insilico.stimuli.shapes.disc`.

    Returns
    -------
    float array, shape (disc,)
        0 to 1; NaN where a center is NaN.
    """
    places = np.broadcast_arrays(
        np.asarray(x_px, float), np.asarray(y_px, float), screen.radius_px(diameter_deg)
    )
    # Neurons share their rounded centers, and there are far fewer of these.
    unique, which = np.unique(np.stack(places, axis=1), axis=0, return_inverse=True)
    x, y, radius = unique.T[:, :, None]
    rows = np.arange(np.ceil(unique[:, 2].max(initial=0.0)) + 1)
    rows = np.concatenate([-rows[:0:-1], rows])
    # The pixels of one row lie this far to either side: those strictly within the edge.
    reach = np.ceil(np.sqrt(np.maximum(radius**2 - rows**2, 0))) - 1
    reach = np.where(np.abs(rows) < radius, reach, -1)
    right = np.minimum(reach, screen.width_px - 1 - x)
    left = np.minimum(reach, x)
    is_on_screen = (y + rows >= 0) & (y + rows <= screen.height_px - 1)
    seen = np.where(is_on_screen & (reach >= 0), np.maximum(left + right + 1, 0), 0)
    shares = seen.sum(axis=1) / np.where(reach >= 0, 2 * reach + 1, 0).sum(axis=1)
    shares[np.isnan(unique).any(axis=1)] = np.nan
    return np.asarray(shares[which.reshape(-1)])


def _shown_centers(table: pd.DataFrame, screen: Screen) -> tuple[FloatArray, FloatArray]:
    """Return centers rounded to a pixel, NaN unless they lie on the screen."""
    rounded = np.round(table[["x_px", "y_px"]].to_numpy(float))
    is_shown = screen.contains(rounded[:, 0], rounded[:, 1])
    x_px, y_px = np.where(is_shown, rounded.T, np.nan)
    return x_px, y_px


def _field_reliability(table: pd.DataFrame) -> FloatArray:
    """Return how well the map that was fitted comes back; the better one where none was."""
    if "map_used" not in table:
        return np.asarray(table.get("r2", np.full(len(table), np.nan)), dtype=np.float64)
    by_map = {name: table[column].to_numpy(float) for name, column in RELIABILITY_OF_MAP.items()}
    used = table["map_used"].to_numpy(object)
    better = np.fmax(by_map["linear"], by_map["energy"])
    return np.select([used == name for name in by_map], list(by_map.values()), better)


def _diameters(
    neurons: pd.DataFrame, sizes: Result | None, diameter_deg: float
) -> tuple[FloatArray, np.ndarray[Any, Any]]:
    """Return each disc's diameter and where it comes from."""
    diameter = np.full(len(neurons), float(diameter_deg))
    if sizes is None:
        return diameter, np.full(len(neurons), "default", object)
    table = rows_of(sizes, neurons)
    preferred = table["preferred_size_deg"].to_numpy(float)
    # Of other statuses the size is a limit, or nothing; published searches draw an empty disc.
    is_known = (table["status"] == "ok").to_numpy() & (preferred > 0) & (preferred < 180)
    source = np.where(is_known, "size", "default").astype(object)
    return np.where(is_known, preferred, diameter), source


def _check_screen(fields: Result, screen: Screen) -> None:
    """Refuse pixels of another screen."""
    measured = fields.provenance.get("screen")
    if measured is None:
        return
    own = screen.to_dict()
    differ = [name for name in GEOMETRY if not np.isclose(measured[name], own[name])]
    if differ:
        name = differ[0]
        raise NotFittedError(
            f"the {fields.experiment} result was measured on a screen with {name} = "
            f"{measured[name]:g}, and this one has {own[name]:g}; give the result of the same twin"
        )
