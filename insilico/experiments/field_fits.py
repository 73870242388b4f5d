"""From maps of receptive fields to centers, widths and a status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.experiment import Setting
from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.experiments.reverse_correlation import GaborBank, Maps, smooth
from insilico.fits.errors import errors_from_halves
from insilico.fits.gaussian import evaluate_gaussian, fit_gaussians
from insilico.screen import Screen
from insilico.statistics.correlation import correlate_rows

#: What each value of ``status`` means.
STATUS = {
    "ok": "fitted, on the screen, with standard errors",
    "silent": "the response never varied, or no pixel ever moved it",
    "not_finite": "a response or a gradient is NaN or infinite",
    "unreliable": "neither map comes back in the other half of the trials",
    "no_convergence": "the fit did not converge",
    "no_errors": "the fit gave no standard errors",
    "at_bound": "the fit ran into a bound of a width or of the center",
    "off_screen": "the fitted center lies off the screen",
    "poor_fit": "what repeats in the map has another shape than a Gaussian",
}


def fit_maps(
    linear: Maps,
    energy: Maps,
    spread: np.ndarray[Any, Any],
    setting: Setting[RetinotopyProtocol],
    *,
    energy_fit_in_px: Callable[[pd.DataFrame], pd.DataFrame],
) -> pd.DataFrame:
    """Choose each neuron's map, fit it and say how that went.

    Parameters
    ----------
    linear, energy : Maps
        Of the same neurons.
    spread : float array, shape (neuron,)
        How much what was measured of the neuron varies; 0 if it never did.
    setting : Setting
        Protocol, screen and number of processes.
    energy_fit_in_px : callable
        Turns fits of energy maps into receptive fields in pixels of the screen.

    Returns
    -------
    DataFrame, one row a neuron
        ``status``, ``map_used`` and ``map_reason``, the reliabilities, center and widths in pixels
        and degrees with standard errors, ``angle_deg`` of the longer axis, ``amplitude``,
        ``offset``, ``r2``, ``signal_r2``, ``error_source``.
    """
    protocol, screen = setting.protocol, setting.screen
    varied, finite = spread > 0, np.isfinite(spread)
    used = choose_map(linear, energy, protocol)
    fits = {
        "linear": _fit(linear, used == "linear", setting.jobs),
        "energy": energy_fit_in_px(_fit(energy, used == "energy", setting.jobs)),
    }
    columns = fits["linear"].columns
    fit = pd.DataFrame(index=range(len(used)), columns=columns).astype(fits["linear"].dtypes)
    for name, rows in fits.items():
        if len(rows):
            fit.loc[used == name, columns] = rows.set_index(np.flatnonzero(used == name))
    status = fit.pop("status").astype(object)
    on_screen = screen.contains(fit["x_px"], fit["y_px"])
    # A fit that describes nothing says nothing of where the field is, off the screen or on it.
    status[(status == "ok") & (fit["signal_r2"] < protocol.minimum_fit_r2)] = "poor_fit"
    status[(status == "ok") & ~on_screen] = "off_screen"
    status[used == "none"] = "unreliable"
    status[~varied] = "silent"
    status[~finite] = "not_finite"
    return pd.DataFrame(
        {
            "status": status.astype(str),
            "map_used": used.astype(str),
            "map_reason": _reasons(used, linear, protocol),
            "linear_reliability": linear.reliability,
            "energy_reliability": energy.reliability,
            "linear_explained": linear.explained,
            "energy_explained": energy.explained,
            **fit_in_degrees(fit, screen),
            **fit,
            "error_source": "halves",
        }
    )


#: Why a map was used.
MAP_REASON = {
    "linear": "the linear map is reliable",
    "energy": "the linear map is not reliable, the energy map is",
    "stronger": "both maps are reliable, and the linear one explains little beside the energy",
    "none": "neither map is reliable",
}


def choose_map(
    linear: Maps, energy: Maps, protocol: RetinotopyProtocol
) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Name the map that each neuron's fit uses.

    Returns
    -------
    array of str, shape (neuron,)
        "linear" where that map is reliable, else "energy" where that one is, else "none". Where
        both are reliable, "energy" if it explains more than ``energy_preference`` times what the
        linear map does: a trained network leaves a trace of a linear map in its energy cells, and
        without noise even a trace is reliable.
    """
    # A missing reliability compares as False.
    has_linear = linear.reliability >= protocol.minimum_linear_reliability
    has_energy = energy.reliability >= protocol.minimum_energy_reliability
    is_trace = has_energy & (energy.explained > protocol.energy_preference * linear.explained)
    return np.where(has_linear & ~is_trace, "linear", np.where(has_energy, "energy", "none"))


def _reasons(
    used: np.ndarray[Any, np.dtype[np.str_]], linear: Maps, protocol: RetinotopyProtocol
) -> list[str]:
    is_trace = (used == "energy") & (linear.reliability >= protocol.minimum_linear_reliability)
    return [MAP_REASON[name] for name in np.where(is_trace, "stronger", used)]


def _fit(maps: Maps, chosen: np.ndarray[Any, Any], jobs: int) -> pd.DataFrame:
    """Fit some maps; the errors are those of the noise that the two halves do not share."""
    fit = fit_gaussians(maps.values[chosen], jobs=jobs)
    errors = errors_from_halves(fit, maps.half_difference[chosen])
    fit["signal_r2"] = _signal_r2(fit, maps, chosen)
    return pd.concat([fit.drop(columns=errors.columns), errors], axis=1)


def _signal_r2(fit: pd.DataFrame, maps: Maps, chosen: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the share of what repeats in each map that its fit explains.

    The share of the map itself, ``r2``, falls with the noise in it: half the images halve it. Here
    map and fit are compared after the blur with which the halves were, and the squared correlation
    is divided by the share of the blurred map that would come back in another measurement, which
    the correlation r of the halves predicts as 2 r / (1 + r).

    References
    ----------
    Correction for attenuation: Spearman 1904, doi 10.2307/1412159. Whole from halves: Spearman
    1910, Brown 1910 (doi 10.1111/j.2044-8295.1910.tb00206.x, 10.1111/j.2044-8295.1910.tb00207.x).
    """
    if not len(fit):
        return np.zeros(0)
    shape = maps.values.shape[1:]
    drawn = smooth(evaluate_gaussian(fit, (shape[0], shape[1])), maps.smoothing_px)
    correlation = correlate_rows(smooth(maps.values[chosen], maps.smoothing_px), drawn)
    reliability = maps.reliability[chosen]
    return np.asarray(correlation**2 * (1 + reliability) / (2 * reliability))


def grid_fit_in_px(fit: pd.DataFrame, bank: GaborBank) -> pd.DataFrame:
    """Return fits of energy maps, made in steps of the bank's grid, in pixels of the screen."""
    fit = fit.copy()
    lengths = ["x_px", "y_px", "sigma_major_px", "sigma_minor_px"]
    for column in lengths:
        fit[column] *= bank.stride_px
        fit[f"{column}_se"] *= bank.stride_px
    fit["x_px"] += bank.x_px[0]
    fit["y_px"] += bank.y_px[0]
    return fit


def envelope_in_px(fit: pd.DataFrame) -> pd.DataFrame:
    """Return the widths of Gaussians whose squares were fitted: squaring narrowed them by √2."""
    widths = ["sigma_major_px", "sigma_minor_px"]
    columns = [*widths, *(f"{width}_se" for width in widths)]
    return fit.assign(**{name: np.sqrt(2) * fit[name] for name in columns})


def fit_in_degrees(fit: pd.DataFrame, screen: Screen) -> dict[str, Any]:
    """Return center and widths in degrees, with standard errors carried over to first order.

    Parameters
    ----------
    fit : DataFrame, one row a neuron
        ``x_px``, ``y_px``, ``sigma_major_px``, ``sigma_minor_px`` with their ``_se``.
    screen : Screen
        Where the pixels are.

    Returns
    -------
    dict of float array, shape (neuron,)
        ``x_deg``, ``y_deg``, ``sigma_major_deg`` and ``sigma_minor_deg`` with their ``_se``; a
        width is the angle from the center to one standard deviation.
    """
    x_deg, y_deg = screen.position_deg(fit["x_px"], fit["y_px"])
    radians_per_px = screen.cm_per_px / screen.distance_cm
    columns = {"x_deg": x_deg, "y_deg": y_deg}
    for axis, position in (("x", x_deg), ("y", y_deg)):
        # d atan(u) = cos^2(atan(u)) du
        slope = np.degrees(radians_per_px) * np.cos(np.radians(position)) ** 2
        columns[f"{axis}_deg_se"] = slope * fit[f"{axis}_px_se"].to_numpy(float)
    for width in ("sigma_major", "sigma_minor"):
        # The full angle of one standard deviation to either side is twice this.
        columns[f"{width}_deg"] = screen.diameter_deg(fit[f"{width}_px"].to_numpy(float)) / 2
        slope = np.degrees(radians_per_px) * np.cos(np.radians(columns[f"{width}_deg"])) ** 2
        columns[f"{width}_deg_se"] = slope * fit[f"{width}_px_se"].to_numpy(float)
    return columns
