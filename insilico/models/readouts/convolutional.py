"""The convolutional readout: every neuron weights the mean of each channel of its group."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from insilico.errors import CheckpointError
from insilico.models.network import select_neurons
from insilico.models.readouts.readout import check_channels
from insilico.models.readouts.summary import SummaryReadout


class GroupedConvolution(SummaryReadout):
    """Weight the mean of each channel over the map, neurons in groups with channels of their own.

    This is a one by one convolution of the mean in groups: with ``k`` neurons a group, rounded up,
    neuron ``n`` reads the channels of group ``n // k`` alone.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.
    groups : int, default 1
        Groups of neurons, and of channels.
    dropout : float, default 0.0
        Share of channels that training silences, drawn for each image or frame.

    Raises
    ------
    CheckpointError
        If channels cannot be divided into so many groups.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/readout, "conv". There are as many outputs there as fill all
    groups, of which the first are the neurons; here there are the neurons alone.
    """

    called: ClassVar[str] = "convolutional"

    def __init__(
        self, channels: int, neuron_count: int, *, groups: int = 1, dropout: float = 0.0
    ) -> None:
        if groups < 1 or channels % groups:
            raise CheckpointError(
                f"the option readout_groups is {groups}, and there are {channels} feature "
                "channels; give a divisor of their number"
            )
        super().__init__(channels // groups, neuron_count)
        self.channels = channels
        self.groups = groups
        self.dropout = nn.Dropout(dropout)

    def summarize(self, features: Tensor) -> Tensor:
        """Return the mean of each channel."""
        check_channels(features, self.channels)
        means: Tensor = self.dropout(features.mean(dim=(2, 3)))
        return means

    def weights(self, neurons: Tensor | None = None) -> Tensor:
        """Return the weight of each channel, zero outside the neuron's group."""
        weight = select_neurons(self.weight, neurons, axis=0)
        if self.groups == 1:
            return weight
        every = torch.arange(self.neuron_count, device=weight.device)
        group = select_neurons(every, neurons, axis=0) // -(-self.neuron_count // self.groups)
        placed = weight.new_zeros(len(weight), self.groups, weight.shape[1])
        placed[torch.arange(len(weight), device=weight.device), group] = weight
        return placed.flatten(1)
