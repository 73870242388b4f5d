"""Readouts of ViV1T-closed-loop beside the Gaussian one, plain and with the published names.

None of them uses the shift.

References
----------
ViV1T-closed-loop (github.com/bryanlimy/ViV1T-closed-loop, MIT): viv1t/model/readout/factorized.py,
conv.py, linear.py, attention.py.
"""

from __future__ import annotations

import math

import torch
from reference.closed_loop_cores import as_images, hold
from torch import Tensor, nn

from benchmarks import yardstick
from benchmarks.yardstick import Args


class FactorizedReadout(nn.Module):
    """``factorized``: a mask over space and weights of channels; never a bias."""

    def __init__(self, neurons: int, shape: tuple[int, ...], args: Args) -> None:
        super().__init__()
        hold(self, "reg_scale", torch.tensor(0.0))
        self._features = nn.Parameter(0.001 * torch.randn(neurons, shape[0]))
        self.spatial = nn.Parameter(0.001 * torch.randn(neurons, *shape[1:]))
        self.dropout = nn.Dropout(args["readout_dropout"])

    def forward(self, maps: Tensor, shift: Tensor | None) -> Tensor:
        masked = self.dropout(torch.einsum("bctyx,nyx->btcn", maps, self.spatial))
        return torch.einsum("btcn,nc->bnt", masked, self._features)


class ConvolvedReadout(nn.Module):
    """``conv``: the mean over space, then groups of channels for groups of neurons."""

    def __init__(self, neurons: int, shape: tuple[int, ...], args: Args) -> None:
        super().__init__()
        hold(self, "reg_scale", torch.tensor(0.0))
        self.neurons, groups = neurons, args["readout_groups"]
        outputs = math.ceil(neurons / groups) * groups
        convolution = nn.Conv1d(shape[0], outputs, 1, groups=groups)
        self.layer = nn.Sequential(nn.Dropout1d(args["readout_dropout"]), convolution)

    def forward(self, maps: Tensor, shift: Tensor | None) -> Tensor:
        return self.layer(maps.mean(dim=(3, 4)))[:, : self.neurons]


class LinearReadout(nn.Module):
    """``linear``: the maximum over space, then a matrix."""

    def __init__(self, neurons: int, shape: tuple[int, ...], args: Args) -> None:
        super().__init__()
        hold(self, "reg_scale", torch.tensor(0.0))
        self.linear = nn.Linear(shape[0], neurons)

    def forward(self, maps: Tensor, shift: Tensor | None) -> Tensor:
        return self.linear(maps.amax(dim=(3, 4)).transpose(1, 2)).transpose(1, 2)


class AttentionReadout(nn.Module):
    """``attention``: each neuron asks all positions with one query."""

    def __init__(self, neurons: int, shape: tuple[int, ...], args: Args) -> None:
        super().__init__()
        width = args["readout_emb_dim"]
        # Published: divided by the width of the core, not by that of the keys.
        constants = {"reg_scale": 0.0, "scale": shape[0] ** -0.5, "T": 1.0}
        for name, value in constants.items():
            hold(self, name, torch.tensor(value))
        self.features = nn.Parameter(torch.full((1, width, neurons), 1 / shape[0]))
        self.neuron_query = nn.Parameter(torch.full((1, width, neurons), 1 / shape[0]))
        self.bias = nn.Parameter(torch.zeros(neurons)) if args["readout_bias_mode"] else None

    def forward(self, keys: Tensor, values: Tensor) -> Tensor:
        logits = torch.einsum("jsd,dn->jsn", keys, self.neuron_query[0]) * self.scale / self.T
        read = torch.einsum("jsn,jsd->jdn", logits.softmax(dim=1), values)
        answer = torch.einsum("jdn,dn->jn", read, self.features[0])
        return answer if self.bias is None else answer + self.bias


class AttentionReadouts(yardstick.Readouts):
    """The part of ``attention`` that the mice share."""

    def __init__(self, shape: tuple[int, ...], args: Args) -> None:
        super().__init__(AttentionReadout, shape, args)
        channels, *grid = shape
        rate = 10_000.0 ** -(torch.arange(0, channels // 2, 2) / (channels // 2))
        phase = torch.arange(max(grid))[:, None] * rate
        line = torch.stack((phase.sin(), phase.cos()), dim=-1).flatten(1)
        rows, columns = (line[:count] for count in grid)
        code = torch.cat((rows[:, None].expand(*grid, -1), columns[None].expand(*grid, -1)), dim=-1)
        self.position_embedding = nn.Dropout(0.1)
        hold(self.position_embedding, "twod_pe", code.flatten(0, 1).T.contiguous())
        self.to_kv = nn.Linear(channels, 2 * args["readout_emb_dim"], bias=False)

    def forward(self, maps: Tensor, mouse: str, shift: Tensor | None) -> Tensor:
        embedded = as_images(maps).flatten(2) + self.position_embedding.twod_pe
        embedded = self.position_embedding(embedded)
        answer = self[mouse](*self.to_kv(embedded.transpose(1, 2)).chunk(2, dim=-1))
        return answer.unflatten(0, (len(maps), -1)).transpose(1, 2)
