"""What a checkpoint knows of one mouse: its neurons, its statistics and its screen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ShapeError, UnitsError
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclasses.dataclass(frozen=True)
class Statistics:
    """How one mouse's recorded units and a network's standardized units are related.

    What is None is not known; asking for a conversion that needs it is refused.

    Parameters
    ----------
    stimulus_mean, stimulus_std : float, optional
        Gray levels 0-255; the network sees ``(level - mean) / std``.
    response_std : float array, shape (neuron,), optional
        The network says ``recorded / response_std``.
    behavior_mean : float array, shape (variable,), optional
        Mean of the **standardized** behavior: the state in which a twin is asked by default.
    behavior_std : float array, shape (variable,), optional
        The network sees ``recorded / std``: behavior is scaled, not centered.
    pupil_mean, pupil_std : float array, shape (2,), optional
        The network sees ``(recorded - mean) / std``; the standardized mean is 0.
    sources : mapping of str to str
        Where each number comes from, by ``stimulus``, ``response``, ``behavior`` and ``pupil``;
        a source that starts with "assumed" was not measured on this mouse.

    References
    ----------
    Transforms: sensorium, datasets/mouse_loaders.py, and neuralpredictors, data/transforms.py.
    """

    stimulus_mean: float | None = None
    stimulus_std: float | None = None
    response_std: FloatArray | None = None
    behavior_mean: FloatArray | None = None
    behavior_std: FloatArray | None = None
    pupil_mean: FloatArray | None = None
    pupil_std: FloatArray | None = None
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("stimulus_mean", "stimulus_std"):
            if (value := getattr(self, name)) is not None:
                if not np.isfinite(value):
                    raise UnitsError(f"{name} is {value}; give a finite number of gray levels")
                object.__setattr__(self, name, float(value))
        for name in ("stimulus_std", "response_std", "behavior_std", "pupil_std"):
            value = getattr(self, name)
            if value is not None and not np.all(np.asarray(value) > 0):
                raise UnitsError(f"{name} must be positive everywhere; got {value}")
        if (self.stimulus_mean is None) != (self.stimulus_std is None):
            raise UnitsError("give stimulus_mean and stimulus_std together, or neither")

    def is_measured(self, what: str) -> bool:
        """Whether the statistics of ``what`` exist and were measured, not assumed."""
        exists = {
            "stimulus": self.stimulus_std is not None,
            "response": self.response_std is not None,
            "behavior": self.behavior_std is not None,
            "pupil": self.pupil_std is not None,
        }[what]
        return exists and not self.sources.get(what, "").startswith("assumed")


@dataclasses.dataclass(frozen=True)
class Mouse:
    """The neurons of one mouse and the conditions under which they were recorded.

    Parameters
    ----------
    name : str
        The recording's own key.
    screen : Screen
        The monitor this mouse looked at, in network-input pixels.
    neurons : DataFrame, one row a neuron
        Columns ``neuron`` (0, 1, …), ``neuron_id`` (the recording's own), ``kind`` and, where
        known, ``x_um``, ``y_um``, ``z_um``, ``area``.
    statistics : Statistics
        Relation of recorded to standardized units.

    Raises
    ------
    ShapeError
        If the neurons are not numbered 0, 1, … in order, or the statistics are of other neurons.
    """

    name: str
    screen: Screen
    neurons: pd.DataFrame
    statistics: Statistics = dataclasses.field(default_factory=Statistics)

    def __post_init__(self) -> None:
        if list(self.neurons.get("neuron", [])) != list(range(len(self.neurons))):
            raise ShapeError(
                f"the neurons table of mouse {self.name} must number its rows 0 to "
                f"{len(self.neurons) - 1} in a column 'neuron'"
            )
        std = self.statistics.response_std
        if std is not None and np.shape(std) != (len(self.neurons),):
            raise ShapeError(
                f"response_std of mouse {self.name} has shape {np.shape(std)}; its neurons table "
                f"has {len(self.neurons)} rows"
            )


def neurons_table(neuron_count: int, **columns: Any) -> pd.DataFrame:
    """Return a neurons table with the columns every table has, and those given.

    Parameters
    ----------
    neuron_count : int
        Number of rows.
    **columns
        Further columns, one value a neuron; ``neuron_id`` and ``kind`` override the defaults
        (the index itself, and "neuron").
    """
    index = np.arange(neuron_count)
    return pd.DataFrame({"neuron": index, "neuron_id": index, "kind": "neuron", **columns})
