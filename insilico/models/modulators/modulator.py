"""What every modulator promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from insilico.models.context import Reach


class Modulator(nn.Module, ABC):
    """Changes the values of one mouse's neurons; a frame by no later one.

    Frames before the first answered one count as zeros, in values and in behavior and gaze, as in
    the published code.

    Attributes
    ----------
    mixes_neurons : bool
        Whether a neuron's answer depends on the values of the others. Such a modulator is given
        the values of all neurons, whoever is asked.
    """

    mixes_neurons: ClassVar[bool] = False

    @property
    def reach(self) -> Reach:
        """Frames that an answer depends on: none that follow it, and all before, by default."""
        return Reach(future=0)

    @abstractmethod
    def forward(self, value: Tensor, state: Tensor, *, neurons: Tensor | None = None) -> Tensor:
        """Return the modulated values of the asked neurons.

        Parameters
        ----------
        value : float tensor, shape (trial, neuron, frame)
            Of the asked neurons; of all where the modulator mixes neurons.
        state : float tensor, shape (trial, variable, frame)
            Behavior, then gaze, of the same frames.
        neurons : int64 tensor, shape (neuron,), optional
            Which neurons are asked; all when left out.

        Returns
        -------
        float tensor, shape (trial, neuron, frame)
        """
