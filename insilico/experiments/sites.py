"""Where on the screen, and in which direction, some neurons are asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ProtocolError
from insilico.results import Result
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: What the status of a neuron that no site asks means.
UNPLACED = {
    "no_receptive_field": "retinotopy gave no usable receptive field, so nothing was shown",
    "off_screen": "the receptive field's center lies off the screen, so nothing was shown",
    "no_preference": "direction gave no preferred direction, so nothing was shown",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """What is the same for neurons that share their stimuli.

    Attributes
    ----------
    rows : int array, shape (neuron,)
        Rows of the neurons table.
    x_px, y_px : float or None
        Center of the stimuli; None where they have none.
    direction_deg : float or None
        Direction of motion, for still gratings the orientation; None where the protocol decides.
    """

    rows: IntArray
    x_px: float | None = None
    y_px: float | None = None
    direction_deg: float | None = None


def one_site(neuron_count: int) -> list[Site]:
    """Return the site of stimuli that are the same for all neurons."""
    return [Site(np.arange(neuron_count))]


def group_sites(places: pd.DataFrame) -> list[Site]:
    """Join neurons that are shown the same.

    Parameters
    ----------
    places : DataFrame, one row a neuron
        ``status`` ("ok", or why the neuron is not asked) and any of ``x_px``, ``y_px`` and
        ``direction_deg``, as they are to be shown.

    Returns
    -------
    list of Site
        In order of their values; neurons of other status are in none.
    """
    keys = [name for name in ("x_px", "y_px", "direction_deg") if name in places]
    placed = places[places["status"] == "ok"]
    if not keys:
        return [Site(placed.index.to_numpy())] if len(placed) else []
    return [
        Site(
            rows.index.to_numpy(),
            **dict(zip(keys, map(float, rows[keys].iloc[0]), strict=True)),
        )
        for _, rows in placed.groupby(keys)
    ]


def field_centers(
    retinotopy: Result, neurons: pd.DataFrame, screen: Screen, *, grid_px: int
) -> pd.DataFrame:
    """Return the receptive-field centers, rounded as they are shown.

    Parameters
    ----------
    retinotopy : Result
        Holds all the neurons.
    neurons : DataFrame
        Who is asked; columns ``mouse`` and ``neuron``.
    screen : Screen
        Centers must lie on it.
    grid_px : int
        Centers are rounded to multiples of it, halves to even multiples.

    Returns
    -------
    DataFrame, one row a neuron
        ``status``, and ``x_px``, ``y_px``, NaN unless it is "ok".

    Raises
    ------
    ProtocolError
        If a neuron is missing from the result.

    References
    ----------
    Rounding to whole pixels: ViV1T-closed-loop, viv1t/utils/stimulus.py, where centers off the
    screen are not told apart and -1 stands for a missing one.
    """
    table = rows_of(retinotopy, neurons)
    center = table[["x_px", "y_px"]].to_numpy(float)
    is_fitted = (table["status"] == "ok").to_numpy() & np.isfinite(center).all(axis=1)
    rounded = grid_px * np.round(center / grid_px)
    is_on_screen = is_fitted & screen.contains(rounded[:, 0], rounded[:, 1])
    status = np.where(is_on_screen, "ok", np.where(is_fitted, "off_screen", "no_receptive_field"))
    status = np.where((table["status"] == "off_screen").to_numpy(), "off_screen", status)
    x_px, y_px = np.where(is_on_screen, rounded.T, np.nan)
    return pd.DataFrame({"status": status, "x_px": x_px, "y_px": y_px})


def population_center(places: pd.DataFrame) -> pd.DataFrame:
    """Put all placed neurons at the median of their centers, rounded to a pixel.

    The published analysis takes the mean, which one bad fit can move.
    """
    is_placed = places["status"] == "ok"
    middle = places.loc[is_placed, ["x_px", "y_px"]].median().round()
    return places.assign(
        x_px=np.where(is_placed, middle["x_px"], np.nan),
        y_px=np.where(is_placed, middle["y_px"], np.nan),
    )


def preferred_directions(
    direction: Result, neurons: pd.DataFrame, *, step_deg: float
) -> FloatArray:
    """Return each neuron's preferred direction, or orientation where there is none, rounded.

    Parameters
    ----------
    direction : Result
        Holds all the neurons.
    neurons : DataFrame
        Who is asked.
    step_deg : float
        Rounded to multiples of it, so that neurons can share stimuli.

    Returns
    -------
    float array, shape (neuron,)
        The fitted angle where the fit stands, else that of the largest response, or of the vector
        sum where the result has no tuning curves; NaN for neurons without a vector sum. Of peaks
        at 0 and 90 degrees the vector sum points to 45, where the neuron does not respond.
    """
    table = rows_of(direction, neurons)
    is_still = bool(table["preferred_direction_deg"].isna().all())
    angle, period = ("orientation", 180) if is_still else ("direction", 360)
    fitted = table[f"fitted_{angle}_deg"].where(table["status"].isin(["ok", "at_bound"]))
    summed = table[f"preferred_{angle}_deg"]
    largest = _largest_responses(direction, neurons, axis=f"{angle}_deg").where(summed.notna())
    angle_deg = fitted.fillna(largest).fillna(summed).to_numpy(float)
    return np.asarray(step_deg * np.round(angle_deg / step_deg) % period)


def _largest_responses(direction: Result, neurons: pd.DataFrame, *, axis: str) -> pd.Series[float]:
    """Return the angle of each neuron's largest mean response; NaN where there is no curve."""
    keys = ["mouse", "neuron"]
    angles = direction.neurons[keys].assign(angle_deg=np.nan)
    if "tuning_curve" in direction.arrays and axis in direction.arrays:
        curves = direction.arrays["tuning_curve"].transpose("neuron", axis).to_numpy()
        best = np.nan_to_num(curves, nan=-np.inf).argmax(axis=1)
        angle_deg = direction.arrays[axis].to_numpy()[best]
        angles["angle_deg"] = np.where(np.isfinite(curves).any(axis=1), angle_deg, np.nan)
    return neurons[keys].merge(angles, on=keys, how="left")["angle_deg"]


def rows_of(result: Result, neurons: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a result's table for some neurons, in their order.

    Raises
    ------
    ProtocolError
        If one is missing.
    """
    keys = ["mouse", "neuron"]
    found = neurons[keys].merge(result.neurons, on=keys, how="left", indicator="found_in")
    missing = found.loc[found["found_in"] != "both", "neuron"]
    if len(missing):
        raise ProtocolError(
            f"the {result.experiment} result lacks {len(missing)} of the {len(neurons)} neurons, "
            f"such as neuron {missing.iloc[0]}; run {result.experiment} for the same mouse and "
            "neurons"
        )
    return found.drop(columns="found_in")
