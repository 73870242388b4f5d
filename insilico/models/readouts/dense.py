"""The dense readout: all neurons share hidden units that see the whole feature map."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.models.readouts.readout import check_channels, check_map
from insilico.models.readouts.summary import SummaryReadout


class Dense(SummaryReadout):
    """Weight hidden units, half as many as neurons: ``y = W₂ dropout(GELU(W₁ F + c)) + b``.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.
    map_shape : (int, int)
        Rows and columns of the feature map.
    dropout : float, default 0.25
        Share of hidden units that training silences.

    References
    ----------
    V1T, src/v1t/models/readout/dense.py.
    """

    called: ClassVar[str] = "dense"

    def __init__(
        self,
        channels: int,
        neuron_count: int,
        *,
        map_shape: tuple[int, int],
        dropout: float = 0.25,
    ) -> None:
        units = max(1, neuron_count // 2)
        super().__init__(units, neuron_count)
        self.channels = channels
        self.map_shape = map_shape
        self.hidden = nn.Linear(channels * map_shape[0] * map_shape[1], units)
        self.dropout = nn.Dropout(dropout)

    def summarize(self, features: Tensor) -> Tensor:
        """Return the hidden units."""
        check_channels(features, self.channels)
        check_map(features, self.map_shape)
        units: Tensor = self.dropout(F.gelu(self.hidden(features.flatten(1))))
        return units

    def initialize(
        self,
        *,
        position_um: Tensor | None,
        mean_response: Tensor | None,
        inverse: Callable[[Tensor], Tensor],
    ) -> None:
        """Set the bias, and let hidden units rest at zero; see :class:`Readout`."""
        super().initialize(position_um=position_um, mean_response=mean_response, inverse=inverse)
        if mean_response is not None:
            with torch.no_grad():
                self.hidden.bias.zero_()

    def regularizer(self) -> Tensor:
        """Sum of the absolute weights of both layers."""
        return super().regularizer() + self.hidden.weight.abs().sum()
