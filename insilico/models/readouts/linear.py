"""The linear readout: every neuron weights the largest value of each channel."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from insilico.models.readouts.readout import check_channels
from insilico.models.readouts.summary import SummaryReadout


class SpatialMaxLinear(SummaryReadout):
    """Weight the largest value of each channel, wherever it is on the map.

    ``y_n = Σ_c w_nc max_yx F_cyx + b_n``.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/readout, "linear".
    """

    called: ClassVar[str] = "linear"

    def __init__(self, channels: int, neuron_count: int) -> None:
        super().__init__(channels, neuron_count)

    def summarize(self, features: Tensor) -> Tensor:
        """Return the largest value of each channel."""
        check_channels(features, self.weight.shape[1])
        return features.amax(dim=(2, 3))
