"""Modulators: what recent values, behavior and gaze add to a neuron's value, before the output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor, nn

ModulatorKind = Literal["none", "mlp", "gru", "window", "linear"]


class Modulator(nn.Module, ABC):
    """Changes the values of one mouse's neurons.

    Parameters
    ----------
    neuron_count : int
        Number of neurons.
    state_count : int
        Number of variables of the state: behavior, then gaze x and y.
    """

    @abstractmethod
    def forward(self, value: Tensor, state: Tensor, *, neurons: Tensor | None = None) -> Tensor:
        """Return the modulated values.

        Parameters
        ----------
        value : float tensor, shape (trial, neuron, frame)
            Of the asked neurons.
        state : float tensor, shape (trial, variable, frame)
            Of the same frames.
        neurons : int64 tensor, shape (neuron,), optional
            Which neurons they are; all when left out.

        Returns
        -------
        float tensor, shape (trial, neuron, frame)
        """


MODULATORS: dict[str, type[Modulator]] = {}
