"""The tables of the size experiment: a row a neuron, a point of a curve, a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.experiment import Setting
from insilico.experiments.gratings import place, placed_status
from insilico.experiments.sites import UNPLACED
from insilico.experiments.size_curves import (
    ARRANGED,
    CENTER_COLUMNS,
    EVOKED_SHARE,
    INVERSE_COLUMNS,
    BoolArray,
    FloatArray,
    HoleResponses,
    SizeCurves,
    fit_both,
    hole_responses,
    inverse_tuning_index,
)
from insilico.experiments.size_noise import bootstrap_errors, can_be_tested, trial_tests
from insilico.experiments.size_population import compare_population, population_curves
from insilico.experiments.size_published import published_table
from insilico.fits.curves import CURVE_STATUS
from insilico.screen import Screen

TextArray = np.ndarray[Any, np.dtype[np.str_]]

#: What each value of ``status`` and ``inverse_status`` means for the fit of a curve.
FIT_STATUS = {
    "not_finite": "a response is NaN or infinite",
    "no_convergence": CURVE_STATUS["no_convergence"],
    "constant_fit": CURVE_STATUS["constant_fit"],
    "poor_fit": "the fit explains less of the curve than minimum_fit_r2: it has another shape",
}
#: What each value of ``status`` means.
STATUS = {
    "ok": "the classical curve is fitted, and peaks within the measured sizes",
    **UNPLACED,
    "silent": "no disc raises the response above the baseline by 1 % of it or more",
    "no_response": "no disc raises the response above gray, tested over trials",
    "at_bound": "the fitted curve does not fall within the measured sizes, so the preferred size "
    "is a lower limit, or it is narrower than they resolve",
    **FIT_STATUS,
}
#: What each value of ``inverse_status`` means.
INVERSE_STATUS = {
    "ok": "the neuron answers to holes, and the inverse curve is fitted",
    **UNPLACED,
    "no_hole_response": "no hole evokes more than gray and the full field, so no hole is preferred",
    "at_bound": "the fitted curve peaks at the end of the measured sizes: the size is a limit",
    **FIT_STATUS,
}
#: Columns of the fits that only redraw their curves.
SHAPE_COLUMNS = ("gain", "suppression_strength", "r2")


def size_tables(curves: SizeCurves, setting: Setting[Any]) -> dict[str, pd.DataFrame]:
    """Return every table of the experiment.

    Parameters
    ----------
    curves : SizeCurves
        As measured.
    setting : Setting
        Of a :class:`~insilico.experiments.size.SizeProtocol`.

    Returns
    -------
    dict of DataFrame
        ``neurons``; ``curves``, one row a neuron, arrangement and size; ``population``, one row a
        test; ``population_curves``, one row a group, arrangement and size; ``published``, one row a
        neuron, by the rules of the published analysis.
    """
    neurons = neurons_table(curves, setting)
    return {
        "neurons": neurons,
        "curves": _curves_table(curves, setting),
        "population": compare_population(neurons, seed=setting.protocol.seed),
        "population_curves": population_curves(curves, neurons),
        "published": published_table(curves, setting.neurons),
    }


def neurons_table(curves: SizeCurves, setting: Setting[Any]) -> pd.DataFrame:
    """Return one row a neuron: what it prefers, how it is suppressed, what holes do.

    Parameters
    ----------
    curves, setting
        As for :func:`size_tables`.

    Returns
    -------
    DataFrame
        In the order of the setting's neurons.
    """
    protocol, evoked = setting.protocol, curves.evoked
    center, inverse = fit_both(evoked, curves.shown_diameter_deg, model=protocol.fit_model)
    holes = hole_responses(evoked, field_share=protocol.field_share)
    tests: dict[str, FloatArray] = {}
    if setting.has_trial_noise and can_be_tested(curves):
        tests = trial_tests(curves, protocol)
    status = _center_status(center, curves, tests, setting)
    is_hole_responsive = _answers_to_holes(holes, tests, setting) & (status != "no_response")
    inverse_status = _inverse_status(inverse, is_hole_responsive, status, setting)
    columns = {
        "status": status,
        **_fitted(center, CENTER_COLUMNS, "", np.isin(status, ["ok", "at_bound", "poor_fit"])),
        "inverse_status": inverse_status,
        "is_hole_responsive": is_hole_responsive,
        **_fitted(
            inverse,
            INVERSE_COLUMNS,
            "inverse_",
            np.isin(inverse_status, ["ok", "at_bound", "poor_fit"]),
        ),
        "inverse_tuning_index": inverse_tuning_index(evoked),
        "hole_share": holes.share,
        "best_hole_deg": np.where(holes.best > 0, curves.diameter_deg[holes.best], np.nan),
        "full_field_response": evoked[:, 1, 0],
        "baseline": curves.baseline,
        **tests,
    }
    table = pd.DataFrame(columns).assign(**_places(setting), error_source="fit")
    if setting.has_trial_noise and (errors := bootstrap_errors(curves, protocol)) is not None:
        for name, values in errors.items():
            table[f"{name}_se"] = np.where(table[name].isna(), np.nan, values)
        table["error_source"] = "trials"
    return pd.concat([setting.neurons.reset_index(drop=True), table], axis=1)


def _center_status(
    fit: pd.DataFrame, curves: SizeCurves, tests: dict[str, FloatArray], setting: Setting[Any]
) -> TextArray:
    classical = curves.evoked[:, 0]
    status = _fit_status(fit, setting)
    with np.errstate(invalid="ignore"):
        is_silent = ~(np.fmax.reduce(classical, axis=1) > EVOKED_SHARE * np.abs(curves.baseline))
    status[is_silent & np.isfinite(classical).all(axis=1)] = "silent"
    if "response_q" in tests:
        # Without a q-value nothing was tested, and the status stays that of the fit.
        is_lost = tests["response_q"] > setting.protocol.significance_q
        status[is_lost & ~np.isin(status, ["not_finite", "silent"])] = "no_response"
    return placed_status(setting, status.astype(str))


def _inverse_status(
    fit: pd.DataFrame, is_hole_responsive: BoolArray, center: TextArray, setting: Setting[Any]
) -> TextArray:
    status = _fit_status(fit, setting)
    is_measured = ~np.isin(status, ["not_finite"])
    status[~is_hole_responsive & is_measured] = "no_hole_response"
    return placed_status(setting, status.astype(str))


def _fit_status(fit: pd.DataFrame, setting: Setting[Any]) -> TextArray:
    status = fit["status"].to_numpy().astype("<U20")
    # A curve without any change was tested for being silent; whatever is left is not.
    status[status == "flat"] = "constant_fit"
    is_poor = (fit["r2"] < setting.protocol.minimum_fit_r2).to_numpy()
    status[is_poor & np.isin(status, ["ok", "at_bound"])] = "poor_fit"
    return status


def _answers_to_holes(
    holes: HoleResponses, tests: dict[str, FloatArray], setting: Setting[Any]
) -> BoolArray:
    """Whether a hole evokes clearly more than gray and the full field."""
    with np.errstate(invalid="ignore"):
        answers = np.asarray(holes.share >= max(setting.protocol.minimum_hole_share, 1e-9))
        if "hole_q" in tests:
            answers &= ~(tests["hole_q"] > setting.protocol.significance_q)
    return answers


def _fitted(
    fit: pd.DataFrame, columns: dict[str, str], prefix: str, stands: BoolArray
) -> dict[str, FloatArray]:
    """Return columns of a fit by our names, NaN where it says nothing."""
    found: dict[str, FloatArray] = {}
    for theirs, name in columns.items():
        for suffix in ("", "_se"):
            found[f"{name}{suffix}"] = np.where(stands, fit[f"{theirs}{suffix}"], np.nan)
    for name in SHAPE_COLUMNS:
        found[f"{prefix}fit_{name}"] = np.where(stands, fit[name], np.nan)
    return found


def _places(setting: Setting[Any]) -> dict[str, FloatArray]:
    """Return where, and in which direction, each neuron was asked, and what finds room there."""
    count = len(setting.neurons)
    nothing = np.full(count, np.nan)
    found = {"x_px": nothing, "y_px": nothing, "direction_deg": nothing}
    if set(setting.protocol.requires()) <= set(setting.given):
        places = place(setting)
        found |= {name: places[name].to_numpy(float) for name in found if name in places}
        if setting.protocol.centers == "screen":
            found["x_px"] = np.full(count, setting.screen.width_px // 2, float)
            found["y_px"] = np.full(count, setting.screen.height_px // 2, float)
    room = _room_deg(found["x_px"], found["y_px"], setting.screen)
    return {f"shown_{name}": values for name, values in found.items()} | {"whole_until_deg": room}


def _room_deg(x_px: FloatArray, y_px: FloatArray, screen: Screen) -> FloatArray:
    """Return the largest disc about each place that the edge of the screen does not cut."""
    left, right = x_px + 0.5, screen.width_px - 0.5 - x_px
    top, bottom = y_px + 0.5, screen.height_px - 0.5 - y_px
    return screen.diameter_deg(np.minimum.reduce([left, right, top, bottom]))


def _curves_table(curves: SizeCurves, setting: Setting[Any]) -> pd.DataFrame:
    """Return one row a neuron, arrangement and size."""
    neurons, _, sizes = curves.response.shape
    error = "response_sem" if setting.has_trial_noise else "spread_over_phases"
    known = setting.neurons[["mouse", "neuron"]].reset_index(drop=True)
    rows = np.repeat(np.arange(neurons), len(ARRANGED) * sizes)
    return (
        known.iloc[rows]
        .reset_index(drop=True)
        .assign(
            arrangement=np.tile(np.repeat(ARRANGED, sizes), neurons),
            diameter_deg=np.tile(curves.diameter_deg, neurons * len(ARRANGED)),
            shown_diameter_deg=np.tile(curves.shown_diameter_deg, neurons * len(ARRANGED)),
            response=curves.response.reshape(-1),
            evoked=curves.evoked.reshape(-1),
            **{error: curves.error.reshape(-1)},
        )
    )
