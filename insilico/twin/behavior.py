"""The behavioral state a twin is asked in: a preset, or the animal's own."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from insilico.errors import ShapeError, UnitsError
from insilico.models.mouse import Mouse
from insilico.models.network import Network
from insilico.twin.units import InputUnits, reason

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
Preset = Literal["mean", "quiet", "running"]

#: How far the presets lie from the mean, in standard deviations of each variable. Our choice: one
#: standard deviation is a state the animal is in often. None is standing still: zero, not the mean.
PRESET_SHIFT: dict[str, dict[str, float | None]] = {
    "mean": {},
    "quiet": {"pupil_size": -1.0, "running_speed": None},
    "running": {"pupil_size": 1.0, "running_speed": 1.0},
}


def behavior_state(
    network: Network, mouse: Mouse, behavior: Preset | FloatArray | None, units: InputUnits
) -> FloatArray | None:
    """Return the standardized behavior, one state for all trials or one a trial.

    Parameters
    ----------
    network : Network
        Its ``behavior_names`` say which variables there are.
    mouse : Mouse
        Its statistics hold the mean state.
    behavior : {"mean", "quiet", "running"}, float array or None
        A preset, one state of shape (variable,), or one a trial, of shape
        (trial, variable[, frame]). None is "mean".
    units : {"gray", "standardized"}
        Arrays are in recorded units with "gray", as the stimulus is.

    Returns
    -------
    float32 array of shape (variable,) or (trial, variable[, frame]), or None
        None for a network that reads no behavior.

    Raises
    ------
    UnitsError
        If the statistics that the state needs are not known, or the preset is unknown.
    ShapeError
        If an array has another number of variables.
    """
    names = network.behavior_names
    if isinstance(behavior, str) and behavior not in PRESET_SHIFT:
        raise UnitsError(f"behavior {behavior!r} is unknown; give {', '.join(PRESET_SHIFT)}")
    if not names:
        if behavior is None or isinstance(behavior, str):
            return None
        raise UnitsError("behavior was given, and this model reads none; leave it out")
    if behavior is None or isinstance(behavior, str):
        return _preset(names, mouse, behavior or "mean")
    state = _checked(np.asarray(behavior), len(names), f"behavior ({', '.join(names)})")
    if units == "standardized":
        return state
    if mouse.statistics.behavior_std is None:
        raise UnitsError(
            f"mouse {mouse.name} has no behavior statistics; give behavior in standardized units "
            "with input_units='standardized', or a preset"
        )
    return state / _along_variables(mouse.statistics.behavior_std, state)


def pupil_state(
    network: Network,
    mouse: Mouse,
    pupil_center: Literal["mean"] | FloatArray | None,
    units: InputUnits,
) -> FloatArray | None:
    """Return the standardized gaze, one for all trials or one a trial.

    Parameters
    ----------
    network, mouse, units
        As for :func:`behavior_state`.
    pupil_center : "mean", float array or None
        The mean gaze, one gaze of shape (2,), or one a trial, of shape (trial, 2[, frame]).

    Returns
    -------
    float32 array of shape (2,) or (trial, 2[, frame]), or None
        None for a network that reads no gaze.

    Raises
    ------
    UnitsError
        If the statistics are not known, the network reads no gaze, or the preset is unknown.
    ShapeError
        If the array has not two coordinates.
    """
    if isinstance(pupil_center, str) and pupil_center != "mean":
        raise UnitsError(f"pupil_center {pupil_center!r} is unknown; give 'mean' or an array")
    is_preset = pupil_center is None or isinstance(pupil_center, str)
    if not network.uses_pupil:
        if is_preset:
            return None
        raise UnitsError("pupil_center was given, and this model reads none; leave it out")
    if is_preset:
        if (source := mouse.statistics.sources.get("pupil", "")).startswith("unknown"):
            raise UnitsError(
                f"the mean gaze of mouse {mouse.name} is not known ({source}); give pupil_center "
                "as an array in standardized units"
            )
        return np.zeros(2, np.float32)
    gaze = _checked(np.asarray(pupil_center), 2, "pupil_center (x, y)")
    if units == "standardized":
        return gaze
    mean, std = mouse.statistics.pupil_mean, mouse.statistics.pupil_std
    if mean is None or std is None:
        raise UnitsError(
            f"mouse {mouse.name} has no pupil statistics; give pupil_center in standardized units "
            "with input_units='standardized', or leave it out for the mean gaze"
        )
    return (gaze - _along_variables(mean, gaze)) / _along_variables(std, gaze)


def _preset(names: tuple[str, ...], mouse: Mouse, preset: str) -> FloatArray:
    mean = mouse.statistics.behavior_mean
    if mean is None:
        raise UnitsError(
            f"mouse {mouse.name} has no behavior statistics, so the state {preset!r} is not known"
            f"{reason(mouse, 'behavior')}; give behavior as an array in standardized units"
        )
    state = np.array(mean, np.float32)
    for name, shift in PRESET_SHIFT[preset].items():
        if name in names:
            index = names.index(name)
            state[index] = 0 if shift is None else state[index] + shift
    return state


def _checked(values: np.ndarray[Any, Any], variable_count: int, what: str) -> FloatArray:
    axis = 0 if values.ndim == 1 else 1
    if values.ndim not in (1, 2, 3) or values.shape[axis] != variable_count:
        raise ShapeError(
            f"{what} has shape {values.shape}; give ({variable_count},), or "
            f"(trial, {variable_count}) for images and (trial, {variable_count}, frame) for movies"
        )
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ShapeError(f"{what} holds NaN or infinite values; give finite numbers")
    return values


def _along_variables(values: Any, like: FloatArray) -> FloatArray:
    column = np.asarray(values, np.float32)
    return column[:, None] if like.ndim == 3 else column
