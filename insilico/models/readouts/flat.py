"""The flat readout: every neuron weights every cell of every channel."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from insilico.models.readouts.readout import check_channels, check_map
from insilico.models.readouts.summary import SummaryReadout


class FlatLinear(SummaryReadout):
    """Weight the whole feature map: ``y_n = Σ_cyx w_ncyx F_cyx + b_n``.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.
    map_shape : (int, int)
        Rows and columns of the feature map.

    References
    ----------
    V1T, src/v1t/models/readout, "linear".
    """

    called: ClassVar[str] = "flat"

    def __init__(self, channels: int, neuron_count: int, *, map_shape: tuple[int, int]) -> None:
        super().__init__(channels * map_shape[0] * map_shape[1], neuron_count)
        self.channels = channels
        self.map_shape = map_shape

    def summarize(self, features: Tensor) -> Tensor:
        """Return the map in the order channel, row, column."""
        check_channels(features, self.channels)
        check_map(features, self.map_shape)
        return features.flatten(1)
