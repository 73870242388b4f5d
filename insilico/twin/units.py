"""Between recorded units and the standardized units that a network sees and says."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from insilico.errors import UnitsError
from insilico.models.mouse import Mouse

InputUnits = Literal["gray", "standardized"]
OutputUnits = Literal["recorded", "standardized"]


@dataclasses.dataclass(frozen=True)
class StimulusUnits:
    """Units in which a stimulus arrives, and how it is standardized."""

    name: InputUnits
    mean: float = 0.0
    std: float = 1.0

    def standardize(self, stimulus: Tensor) -> Tensor:
        """Return what the network sees: ``(level - mean) / std`` of gray levels."""
        return stimulus if self.name == "standardized" else (stimulus - self.mean) / self.std


@dataclasses.dataclass(frozen=True)
class ResponseUnits:
    """Units in which responses leave, and what standardized responses are multiplied by."""

    name: OutputUnits
    std: np.ndarray[Any, Any] | None = None

    def scale(self, responses: Tensor, neurons: np.ndarray[Any, Any], neuron_axis: int) -> Tensor:
        """Turn standardized responses of some neurons into these units."""
        if self.std is None:
            return responses
        shape = [1] * responses.ndim
        shape[neuron_axis] = -1
        std = torch.as_tensor(self.std[neurons], dtype=responses.dtype, device=responses.device)
        return responses * std.reshape(shape)


def stimulus_units(asked: InputUnits | None, mouse: Mouse, *, is_gray: bool) -> StimulusUnits:
    """Decide the units of the stimulus.

    Parameters
    ----------
    asked : {"gray", "standardized"} or None
        What the caller wants. None is gray levels where their statistics were measured on this
        mouse, else standardized.
    mouse : Mouse
        Gives the statistics.
    is_gray : bool
        Whether the stimulus is known to be in gray levels, as every ``Stimuli`` is, whatever was
        asked. Assumed statistics then serve.

    Raises
    ------
    UnitsError
        If gray levels cannot be standardized, because the statistics are not known.
    """
    if asked not in (None, "gray", "standardized"):
        raise UnitsError(f"input_units is {asked!r}; give 'gray' or 'standardized'")
    statistics = mouse.statistics
    if is_gray or (asked is None and statistics.is_measured("stimulus")):
        asked = "gray"
    asked = asked or "standardized"
    if asked == "standardized":
        return StimulusUnits("standardized")
    if statistics.stimulus_mean is None or statistics.stimulus_std is None:
        raise UnitsError(
            f"the stimulus is in gray levels, and mouse {mouse.name} has no stimulus statistics to "
            f"standardize it{reason(mouse, 'stimulus')}; import the model with them, build the "
            "twin with statistics=Statistics(stimulus_mean=..., stimulus_std=...), or give an "
            "array with input_units='standardized'"
        )
    return StimulusUnits("gray", statistics.stimulus_mean, statistics.stimulus_std)


def standardized_gray(mouse: Mouse) -> float:
    """Return what the gray of a mouse's screen is to a network.

    Raises
    ------
    UnitsError
        If the mouse has no stimulus statistics.
    """
    statistics = mouse.statistics
    if statistics.stimulus_mean is None or statistics.stimulus_std is None:
        raise UnitsError(
            f"frames of gray are to come before the stimulus, and mouse {mouse.name} has no "
            f"stimulus statistics to standardize them{reason(mouse, 'stimulus')}; give the gray "
            "with the stimulus, or import the model with statistics"
        )
    return (mouse.screen.gray - statistics.stimulus_mean) / statistics.stimulus_std


def response_units(asked: OutputUnits | None, mouse: Mouse) -> ResponseUnits:
    """Decide the units of the responses: recorded where the statistics allow, else standardized.

    Raises
    ------
    UnitsError
        If recorded units are asked for and their statistics are not known.
    """
    if asked not in (None, "recorded", "standardized"):
        raise UnitsError(f"output_units is {asked!r}; give 'recorded' or 'standardized'")
    std = mouse.statistics.response_std
    if asked == "standardized" or (asked is None and std is None):
        return ResponseUnits("standardized")
    if std is None:
        raise UnitsError(
            f"recorded units were asked for, and mouse {mouse.name} has no response statistics"
            f"{reason(mouse, 'response')}; give output_units='standardized'"
        )
    return ResponseUnits("recorded", np.asarray(std))


def reason(mouse: Mouse, what: str) -> str:
    """Return why a mouse's statistics are not known, where the checkpoint says, for a message."""
    source = mouse.statistics.sources.get(what)
    return f" ({source})" if source else ""
