"""The attention readout: every neuron looks for its key on the feature map, and reads values."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.models.cores.position_encoding import sinusoid
from insilico.models.network import select_neurons
from insilico.models.readouts.neck import Neck
from insilico.models.readouts.readout import (
    Readout,
    check_channels,
    check_map,
    read_in_parts,
    refuse_shift,
)


class KeyValueNeck(Neck):
    """A key and a value at every position, from the features and a fixed code of the position.

    Keys come multiplied by ``1 / sqrt(key_channels)``, so that their product with a query varies
    alike for any width.

    Parameters
    ----------
    channels : int
        Feature channels of the core.
    map_shape : (int, int)
        Rows and columns of the feature map.
    key_channels : int, default 128
        Channels of a key, and of a value; the map has the keys first.
    dropout : float, default 0.1
        Share of the coded features that training silences.
    compatibility : bool, default False
        Whether keys are multiplied by ``1 / sqrt(channels)``, as in the published code, which
        takes the width of the core for that of the keys.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/readout, "attention".
    """

    is_identity: bool = False
    code: Tensor

    def __init__(
        self,
        channels: int,
        *,
        map_shape: tuple[int, int],
        key_channels: int = 128,
        dropout: float = 0.1,
        compatibility: bool = False,
    ) -> None:
        super().__init__(2 * key_channels)
        self.key_channels = key_channels
        self.scale = (channels if compatibility else key_channels) ** -0.5
        self.register_buffer("code", positional_code(channels, map_shape), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.to_key_value = nn.Linear(channels, 2 * key_channels, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return keys, then values.

        Parameters
        ----------
        features : float tensor, shape (row, channel, y, x)
            The core's output.

        Returns
        -------
        float tensor, shape (row, 2 · key channel, y, x)

        Raises
        ------
        ShapeError
            If the map has another size or number of channels.
        """
        check_channels(features, len(self.code))
        check_map(features, tuple(self.code.shape[1:]))
        weight = self.to_key_value.weight
        scaled = torch.cat([self.scale * weight[: self.key_channels], weight[self.key_channels :]])
        return F.conv2d(self.dropout(features + self.code), scaled[:, :, None, None])


class Attention(Readout):
    """Attend to the positions whose key is like a neuron's query, and weight the values there.

    ``y_n = Σ_d w_dn Σ_p α_np value_dp + b_n`` with ``α_n = softmax_p(Σ_d query_dn key_dp)``.

    Parameters
    ----------
    channels : int
        Channels of keys and values together; see :class:`KeyValueNeck`.
    neuron_count : int
        Number of neurons.

    Attributes
    ----------
    neuron_query, features : float parameters, shape (key channel, neuron)
        Query, and weight of each value channel; both start at one over the number of key channels
        (in the published code, of core channels).

    References
    ----------
    ViV1T-closed-loop, viv1t/model/readout, "attention": one head, and a temperature of 1 that is
    never learned.
    """

    accepts_shift: ClassVar[bool] = False

    def __init__(self, channels: int, neuron_count: int) -> None:
        super().__init__()
        self.neuron_count = neuron_count
        width = channels // 2
        self.neuron_query = nn.Parameter(torch.full((width, neuron_count), 1 / width))
        self.features = nn.Parameter(torch.full((width, neuron_count), 1 / width))
        self.bias = nn.Parameter(torch.zeros(neuron_count))

    def forward(
        self,
        features: Tensor,
        *,
        neurons: Tensor | None = None,
        shift: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """Read the values that each neuron attends to; see :meth:`Readout.forward`.

        Raises
        ------
        ShapeError
            If the map has another number of channels.
        UnitsError
            If a shift is given.
        """
        refuse_shift(shift, kind="attention")
        check_channels(features, 2 * len(self.features))
        positions = features.shape[2] * features.shape[3]
        value = read_in_parts(
            _attend,
            features,
            select_neurons(self.neuron_query, neurons, axis=1),
            select_neurons(self.features, neurons, axis=1),
            values_a_neuron=len(features) * positions,
        )
        return value + select_neurons(self.bias, neurons, axis=0)

    def regularizer(self) -> Tensor:
        """Sum of the absolute weights of values; queries, which only say where, are free."""
        return self.features.abs().sum()


def _attend(features: Tensor, queries: Tensor, weights: Tensor) -> Tensor:
    """Return (row, neuron); values are weighted before they are summed over positions."""
    keys, values = features.flatten(2).chunk(2, dim=1)
    attention = (queries.T @ keys).softmax(dim=-1)
    return (attention * (weights.T @ values)).sum(dim=-1)


def positional_code(channels: int, map_shape: tuple[int, int]) -> Tensor:
    """Return a fixed code of each position of a map.

    The first half of the channels tells the row and the second the column, each by the waves of
    :func:`~insilico.models.cores.position_encoding.sinusoid`.

    Parameters
    ----------
    channels : int
        Any number; published for multiples of 4.
    map_shape : (int, int)
        Rows and columns.

    Returns
    -------
    float tensor, shape (channel, y, x)

    References
    ----------
    ViV1T-closed-loop, viv1t/model/readout, "attention".
    """
    height, width = map_shape
    half = math.ceil(channels / 2)
    rows = sinusoid(height, half).T[:, :, None].expand(-1, -1, width)
    columns = sinusoid(width, half).T[:, None, :].expand(-1, height, -1)
    return torch.cat([rows, columns])[:channels].contiguous()
