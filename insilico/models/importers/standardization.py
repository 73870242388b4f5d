"""How the published runs standardized their data, as :class:`~insilico.models.mouse.Statistics`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from insilico.errors import CheckpointError
from insilico.models.importers.run_folder import Release, RunFolder, release
from insilico.models.published import OPTIONS_FILE
from insilico.recordings.measuring import SMALLEST_RESPONSE_STD
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What statistics are of.
SIGNALS = ("stimulus", "response", "behavior", "pupil")

#: Behavioral variables by release (V1T, data/README.md; ViV1T-closed-loop, data/README.md).
VARIABLE_COUNT: Mapping[Release, int] = {"v1t": 3, "first_release": 2, "closed_loop": 2}

#: Options of ViV1T-closed-loop by which a network reads behavior or gaze unless they are 0.
STATE_OPTIONS = ("core_behavior_mode", "shifter_mode")

#: Values of transform_input and transform_output (ViV1T-closed-loop, viv1t/data/data.py).
TRANSFORMS = ("raw", "standard", "range")

#: A lowest response within this fraction of the highest counts as 0: Sensorium 2023 has -1e-8
#: beside 800 where deconvolution left rounding errors.
NEGLIGIBLE_RESPONSE = 1e-6


class Supply(Protocol):
    """A place that knows a mouse: a folder of statistics or a recording."""

    @property
    def where(self) -> str:
        """Where the statistics come from, for their source."""
        ...

    @property
    def screen(self) -> Screen | None:
        """The monitor, where the place knows it."""
        ...

    def lacks(self, what: str, shape: tuple[int, int]) -> str:
        """Return why the statistics of ``what`` cannot be known; empty where they can."""
        ...

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is known of all neurons, by column of a neurons table."""
        ...

    def read(self, what: str, statistic: str) -> FloatArray:
        """Return "mean", "std", "min" or "max" of one of :data:`SIGNALS`."""
        ...


@dataclasses.dataclass(frozen=True)
class Transform:
    """How a run changed recorded into standardized units.

    Parameters
    ----------
    stimulus, response, state : str
        One of :data:`TRANSFORMS`: not at all, by mean and standard deviation (responses and
        behavior by the latter alone), or by minimum and maximum. Empty where the network reads no
        behavior and no gaze. Anything else says why our statistics cannot describe what was done.
    """

    stimulus: str = "standard"
    response: str = "standard"
    state: str = "standard"


def transform_of(run: RunFolder) -> Transform:
    """Return how a run standardized its data.

    Raises
    ------
    CheckpointError
        If an option is unknown, or the network reads behavior or gaze in a form in which a twin
        could not be asked.

    References
    ----------
    V1T, src/v1t/data.py; ViV1T, src/viv1t/data/data.py and statistics.py; ViV1T-closed-loop,
    viv1t/data/data.py.
    """
    match release(run):
        case "v1t":
            return Transform()
        case "first_release":
            return _first_release(_mode(run, "transform_mode", 5))
    state = TRANSFORMS[_mode(run, "transform_input", 3)]
    is_read = any(run.option(name, int, default=0) for name in STATE_OPTIONS)
    if is_read and state != "standard":
        raise CheckpointError(
            f"{run.path} reads behavior or gaze that was not standardized (transform_input: "
            f"{TRANSFORMS.index(state)}), as the states and the mean gaze are in which twins are "
            "asked; import a run with transform_input: 1"
        )
    return Transform(state, TRANSFORMS[_mode(run, "transform_output", 3)], state if is_read else "")


def _first_release(mode: int) -> Transform:
    """Describe the transforms of the first release, most of which no single number can express."""
    if mode == 0:
        return Transform("raw", "raw", "the run was trained on raw values (transform_mode: 0)")
    each = "pixel of each frame" if mode < 3 else "pixel"
    return Transform(
        f"the run standardized each {each} by its own statistics (transform_mode: {mode}), so gray "
        "levels have no common scale",
        "the run divided each neuron's response in each frame of a trial by its own spread, so "
        "recorded units have no common scale",
        "standard"
        if mode == 3
        else f"the run standardized behavior and gaze otherwise (transform_mode: {mode})",
    )


def _mode(run: RunFolder, name: str, count: int) -> int:
    mode = run.option(name, int)
    if not 0 <= mode < count:
        raise CheckpointError(
            f"{run.path / OPTIONS_FILE} has {name}: {mode}, 0 to {count - 1} was expected; get the "
            "file again"
        )
    return mode


def stimulus_fields(supply: Supply, transform: str) -> dict[str, Any]:
    """Return the fields of :class:`Statistics` that standardize the stimulus.

    Raises
    ------
    CheckpointError
        If a statistic is no single number, or does not let the stimulus vary.
    """
    first, second = ("mean", "std") if transform == "standard" else ("min", "max")
    one, other = _shaped(supply, "stimulus", first, 1), _shaped(supply, "stimulus", second, 1)
    spread = other if transform == "standard" else other - one
    return {
        "stimulus_mean": float(one[0]),
        "stimulus_std": float(_positive(spread, supply, "the stimulus")[0]),
    }


def response_fields(
    supply: Supply, transform: str, select: Callable[[FloatArray], FloatArray]
) -> dict[str, Any]:
    """Return the field of :class:`Statistics` by which responses were divided.

    Parameters
    ----------
    supply : Supply
        Knows all neurons.
    transform : {"standard", "range"}
        What the run did.
    select : callable
        Returns the values of the run's neurons from those of all.

    Returns
    -------
    dict
        Empty where "range" shifted the responses, too.

    Raises
    ------
    CheckpointError
        If no neuron varies or a statistic is negative.
    """
    if transform == "range":
        low, high = select(supply.read("response", "min")), select(supply.read("response", "max"))
        if np.any(np.abs(low) > NEGLIGIBLE_RESPONSE * np.abs(high)):
            return {}
        return {"response_std": _positive(high - low, supply, "a response")}
    std = supply.read("response", "std")
    floor = SMALLEST_RESPONSE_STD * std.mean()
    _positive(np.append(np.where(std == 0, floor, std), floor), supply, "a response")
    return {"response_std": select(np.where(std > floor, std, floor))}


def behavior_fields(supply: Supply, count: int) -> dict[str, Any]:
    """Return the fields of :class:`Statistics` that scale behavior.

    Raises
    ------
    CheckpointError
        If there is another number of variables, or one does not vary.
    """
    std = _positive(_shaped(supply, "behavior", "std", count), supply, "behavior")
    return {"behavior_std": std, "behavior_mean": _shaped(supply, "behavior", "mean", count) / std}


def pupil_fields(supply: Supply) -> dict[str, Any]:
    """Return the fields of :class:`Statistics` that standardize gaze.

    Raises
    ------
    CheckpointError
        If there are not two coordinates, or one does not vary.
    """
    std = _positive(_shaped(supply, "pupil", "std", 2), supply, "gaze")
    return {"pupil_mean": _shaped(supply, "pupil", "mean", 2), "pupil_std": std}


def _shaped(supply: Supply, what: str, statistic: str, count: int) -> FloatArray:
    values = supply.read(what, statistic)
    if values.size != count or values.ndim > 1:
        raise CheckpointError(
            f"the {statistic} of {what} in the {supply.where} has shape {values.shape} instead "
            f"of {count} value{'s' * (count > 1)}; give the statistics of the run's own data"
        )
    return values.reshape(count)


def _positive(values: FloatArray, supply: Supply, what: str) -> FloatArray:
    if not np.all(values > 0):
        raise CheckpointError(
            f"the spread of {what} is {values.min():g} in the {supply.where}, and the run divided "
            "by it, so a positive number was expected; give the statistics of the run's own data"
        )
    return values
