"""Attention rollout: what each token draws from every token of the input, through all blocks."""

from __future__ import annotations

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
    first, *later = _mix(attention).unbind(dim=1)
    rolled = first
    for block in later:
        rolled = block @ rolled
    return rolled


def draw_from(attention: Tensor, readers: Tensor) -> Tensor:
    """Return what some tokens together draw from every token of the input.

    The same as ``readers @ roll_out(attention)`` without the product of all tokens with all: from
    the last block back to the first it takes a vector and a matrix at a time.

    Parameters
    ----------
    attention : float tensor, shape (row, block, head, token, token)
        As for :func:`roll_out`.
    readers : float tensor, shape (token,)
        Weight of each token that reads the last block.

    Returns
    -------
    float tensor, shape (row, token)
        Sums to the sum of ``readers``.
    """
    mixed = _mix(attention)
    drawn = readers.to(mixed).expand(len(mixed), 1, -1)
    for block in reversed(mixed.unbind(dim=1)):
        drawn = drawn @ block
    return drawn[:, 0]


def draw_evenly(attention: Tensor) -> Tensor:
    """Return what all tokens draw from each, on average; see :func:`draw_from`."""
    count = attention.shape[-1]
    return draw_from(attention, attention.new_full((count,), 1 / count))


def uniform_attention(count: int, *, is_causal: bool, like: Tensor) -> Tensor:
    """Return the attention (1, 1, 1, token, token) of tokens that see all they may alike."""
    allowed = like.new_ones(count, count)
    allowed = allowed.tril() if is_causal else allowed
    return (allowed / allowed.sum(dim=-1, keepdim=True))[None, None, None]


def _mix(attention: Tensor) -> Tensor:
    """Return each block's map (row, block, token, token), with what passes by the attention."""
    mixed = attention.amax(dim=2)
    mixed.diagonal(dim1=-2, dim2=-1).add_(1)
    return mixed.div_(mixed.sum(dim=-1, keepdim=True))
