"""Modulators by name, and their options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from insilico.models.modulators.gru import GRUModulator
from insilico.models.modulators.linear import LinearModulator, ModulatorActivation
from insilico.models.modulators.mlp import MLPModulator, ModulatorState
from insilico.models.modulators.modulator import Modulator
from insilico.models.modulators.window import WindowModulator

ModulatorKind = Literal["none", "mlp", "gru", "window", "linear"]


@dataclasses.dataclass(frozen=True)
class ModulatorOptions:
    """Whether recent values, behavior and gaze change each neuron's value, and how.

    Parameters
    ----------
    modulator : {"none", "mlp", "gru", "window", "linear"}
        Kind of modulator; movies only.
    modulator_history_frames : int
        Past frames that "mlp" and "window" look at.
    modulator_history_dropout : float
        Dropout of what "mlp" and "window" make of them.
    modulator_reads_history : bool
        Whether "mlp" looks at past values.
    modulator_reads_state : {"nothing", "behavior", "behavior and gaze"}
        What "mlp" adds the effect of; the others read both.
    modulator_state_dropout : float
        Dropout of what "mlp" and "gru" make of behavior and gaze.
    modulator_hidden_units : int
        Size of the memory of "gru"; 0 for as many as neurons.
    modulator_activation : {"identity", "sigmoid", "tanh"}
        Of what "linear" adds.

    References
    ----------
    ViV1T (first release), train.py: modulators 1 to 4 and their defaults.
    """

    modulator: ModulatorKind = "none"
    modulator_history_frames: int = 5
    modulator_history_dropout: float = 0.0
    modulator_reads_history: bool = True
    modulator_reads_state: ModulatorState = "behavior and gaze"
    modulator_state_dropout: float = 0.0
    modulator_hidden_units: int = 16
    modulator_activation: ModulatorActivation = "tanh"


def _mlp(options: ModulatorOptions, neuron_count: int, behavior_count: int) -> Modulator:
    return MLPModulator(
        neuron_count,
        behavior_count,
        history_frames=options.modulator_history_frames,
        history_dropout=options.modulator_history_dropout,
        reads_history=options.modulator_reads_history,
        reads_state=options.modulator_reads_state,
        state_dropout=options.modulator_state_dropout,
    )


def _gru(options: ModulatorOptions, neuron_count: int, behavior_count: int) -> Modulator:
    return GRUModulator(
        neuron_count,
        behavior_count,
        hidden_units=options.modulator_hidden_units,
        state_dropout=options.modulator_state_dropout,
    )


def _window(options: ModulatorOptions, neuron_count: int, behavior_count: int) -> Modulator:
    return WindowModulator(
        behavior_count,
        history_frames=options.modulator_history_frames,
        history_dropout=options.modulator_history_dropout,
    )


def _linear(options: ModulatorOptions, neuron_count: int, behavior_count: int) -> Modulator:
    return LinearModulator(neuron_count, behavior_count, activation=options.modulator_activation)


#: Builders by kind, which take the options, the number of neurons and that of behavioral variables.
MODULATORS: dict[str, Callable[[ModulatorOptions, int, int], Modulator]] = {
    "mlp": _mlp,
    "gru": _gru,
    "window": _window,
    "linear": _linear,
}
