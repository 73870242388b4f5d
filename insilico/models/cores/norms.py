"""Normalizations of a token, by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

NormKind = Literal["layernorm", "rmsnorm", "dyt"]


class DynamicTanh(nn.Module):
    """``tanh(α x) w + b``: a bend in the place of a normalization.

    Parameters
    ----------
    width : int
        Channels of a token.

    References
    ----------
    Zhu et al. 2025, "Transformers without normalization", arXiv:2503.10622; α starts at 0.5, as in
    ViV1T-closed-loop, viv1t/model/modules.py.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 0.5))
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Bend ``tokens`` (…, channel)."""
        return torch.tanh(self.alpha * tokens) * self.weight + self.bias


def build_norm(kind: NormKind, width: int) -> nn.LayerNorm | nn.RMSNorm | DynamicTanh:
    """Return a normalization over the last axis.

    Parameters
    ----------
    kind : {"layernorm", "rmsnorm", "dyt"}
        Which one. The root mean square has the machine's epsilon, as the framework's default.
    width : int
        Channels of a token.
    """
    if kind == "layernorm":
        return nn.LayerNorm(width)
    if kind == "rmsnorm":
        return nn.RMSNorm(width)
    return DynamicTanh(width)
