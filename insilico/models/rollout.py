"""Attention rollout: what each token draws from every token of the input, through all blocks."""

from __future__ import annotations

import torch
from torch import Tensor


def roll_out(attention: Tensor) -> Tensor:
    """Follow attention through all blocks.

    Of each block the largest weight over heads is taken, half of what a token carries on comes past
    the attention, and rows are scaled to sum to one: ``M = (max_h A + I)``, ``R = M_L … M_1``.

    Parameters
    ----------
    attention : float tensor, shape (row, block, head, token, token)
        Weights of each block, from the first; the last axis is what is drawn from.

    Returns
    -------
    float tensor, shape (row, token, token)
        Rows sum to one.

    References
    ----------
    Abnar and Zuidema 2020, "Quantifying attention flow in transformers"; the maximum over heads as
    in V1T, src/v1t/utils/attention_rollout.py.
    """
    mixed = attention.amax(dim=2) + torch.eye(attention.shape[-1], device=attention.device)
    mixed = mixed / mixed.sum(dim=-1, keepdim=True)
    rolled = mixed[:, 0]
    for block in mixed.unbind(dim=1)[1:]:
        rolled = block @ rolled
    return rolled
