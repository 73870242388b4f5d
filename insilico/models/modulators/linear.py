"""The linear modulator: behavior and gaze add to the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from insilico.errors import CheckpointError
from insilico.models.modulators.modulator import Modulator
from insilico.models.network import select_neurons

ModulatorActivation = Literal["identity", "sigmoid", "tanh"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda drive: drive,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class LinearModulator(Modulator):
    """Add a function of a weighted sum of behavior and gaze: ``y = x + f(W state)``.

    Parameters
    ----------
    neuron_count : int
        Number of neurons.
    behavior_count : int
        Variables of behavior; gaze has two more.
    activation : {"identity", "sigmoid", "tanh"}, default "tanh"
        The function.

    Raises
    ------
    CheckpointError
        If there is no such function.

    References
    ----------
    ViV1T (first release), src/viv1t/model/modulators/mlp_v3.py.
    """

    def __init__(
        self, neuron_count: int, behavior_count: int, *, activation: ModulatorActivation = "tanh"
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise CheckpointError(
                f"the option modulator_activation is {activation!r}; give one of "
                f"{', '.join(ACTIVATIONS)}"
            )
        self.activation = ACTIVATIONS[activation]
        self.state_weight = nn.Linear(behavior_count + 2, neuron_count, bias=False)

    def forward(self, value: Tensor, state: Tensor, *, neurons: Tensor | None = None) -> Tensor:
        """Return the modulated values; see :meth:`Modulator.forward`."""
        return value + self.activation(
            select_neurons(self.state_weight.weight, neurons, axis=0) @ state
        )
