"""Readouts that weight one summary of the feature map for each neuron."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.models.network import select_neurons
from insilico.models.readouts.readout import Readout, refuse_shift


class SummaryReadout(Readout):
    """Weight a vector that all neurons share: ``y_n = w_n · summary(F) + b_n``.

    The summary of a map of zeros is zero once the readout was initialized from responses. Nothing
    moves with the gaze.

    Parameters
    ----------
    width : int
        Length of the vector of each neuron's weights.
    neuron_count : int
        Number of neurons.

    Attributes
    ----------
    weight : float parameter, shape (neuron, width)
        Starts uniformly within plus and minus ``1 / sqrt(width)``, the framework's own start.
    """

    accepts_shift: ClassVar[bool] = False
    #: What the readout is called in messages.
    called: ClassVar[str]

    def __init__(self, width: int, neuron_count: int) -> None:
        super().__init__()
        self.neuron_count = neuron_count
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(neuron_count, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(neuron_count))

    @abstractmethod
    def summarize(self, features: Tensor) -> Tensor:
        """Return one vector (trial, entry) of a feature map (trial, channel, y, x).

        Raises
        ------
        ShapeError
            If the map has another size than the weights.
        """

    def weights(self, neurons: Tensor | None = None) -> Tensor:
        """Return the weight of each entry of the summary.

        Parameters
        ----------
        neurons : int64 tensor, shape (neuron,), optional
            The asked neurons; all when left out.

        Returns
        -------
        float tensor, shape (neuron, entry)
        """
        return select_neurons(self.weight, neurons, axis=0)

    def forward(
        self,
        features: Tensor,
        *,
        neurons: Tensor | None = None,
        shift: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """Weight the summary of a feature map; see :meth:`Readout.forward`.

        Raises
        ------
        ShapeError
            If the map has another size or number of channels.
        UnitsError
            If a shift is given.
        """
        refuse_shift(shift, kind=self.called)
        bias = select_neurons(self.bias, neurons, axis=0)
        return F.linear(self.summarize(features), self.weights(neurons), bias)

    def regularizer(self) -> Tensor:
        """Sum of the absolute weights of the neurons."""
        return self.weight.abs().sum()
