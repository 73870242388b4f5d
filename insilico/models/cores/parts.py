"""Some rows at a time: what the blocks of a transformer work on, and what they keep of it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

#: Tokens that pass through the blocks together. On a CPU small working sets stay in the cache; a
#: GPU wants many.
CPU_TOKENS, GPU_TOKENS = 1 << 11, 1 << 20


def cut(count: int, tokens: int, device: torch.device) -> list[slice]:
    """Return what passes through the blocks together.

    Parameters
    ----------
    count : int
        Number of frames, or of patches.
    tokens : int
        Tokens of each, over all trials.
    device : torch.device
        Where they are.

    Returns
    -------
    list of slice
        One after another; together all of them.
    """
    at_once = max(1, (CPU_TOKENS if device.type == "cpu" else GPU_TOKENS) // tokens)
    return [slice(start, min(start + at_once, count)) for start in range(0, count, at_once)]


def runner(device: torch.device, parts: int, *, checkpoints: bool) -> Callable[..., Tensor]:
    """Return how to run a part: ``run(function, *inputs)``.

    Parameters
    ----------
    device : torch.device
        A CPU computes several parts again on the way back, which is faster there than to fetch
        what it would have kept: 20 frames of ViV1T, forward and backward on two cores, took 7 s in
        0.5 GB against 18 s in 3 GB.
    parts : int
        How many there are.
    checkpoints : bool
        Whether every device is to compute parts again.

    Returns
    -------
    callable
        Returns ``function(*inputs)``.
    """
    is_large = device.type == "cpu" and parts > 1
    if torch.is_grad_enabled() and (checkpoints or is_large):
        return functools.partial(checkpoint, use_reentrant=False)
    return lambda function, *inputs: function(*inputs)
