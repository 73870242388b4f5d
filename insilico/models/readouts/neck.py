"""The neck: what all mice's readouts share, between the core and them."""

from __future__ import annotations

from torch import Tensor, nn


class Neck(nn.Module):
    """What all mice's readouts share, between the core and them; nothing, by default.

    Parameters
    ----------
    channels : int
        Feature channels of the core.

    Attributes
    ----------
    output_channels : int
        Channels that the readouts see.
    is_identity : bool
        Whether features pass unchanged.
    """

    is_identity: bool = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.output_channels = channels

    def forward(self, features: Tensor) -> Tensor:
        """Return the map (row, channel, y, x) that readouts see."""
        return features
