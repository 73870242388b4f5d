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
#: As many on a GPU that computes parts again: there the peak of memory is what the blocks keep of
#: one part on the way back, about 0.1 MB a token at the sizes of ViV1T.
RECOMPUTED_TOKENS = 1 << 15


def cut(count: int, at_once: int) -> list[slice]:
    """Return slices that together are ``range(count)``, at most ``at_once`` long and at least 1."""
    step = max(1, at_once)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def plan_parts(
    count: int, tokens: int, device: torch.device, *, checkpoints: bool
) -> tuple[list[slice], Callable[..., Tensor]]:
    """Return what passes through the blocks together, and how to run it.

    Parameters
    ----------
    count : int
        Number of frames, or of patches.
    tokens : int
        Tokens of each, over all trials.
    device : torch.device
        Where they are. A CPU computes several parts again on the way back, which is faster there
        than to fetch what it would have kept: 20 frames of ViV1T, forward and backward on two
        cores, took 7 s in 0.5 GB against 18 s in 3 GB.
    checkpoints : bool
        Whether every device is to compute parts again.

    Returns
    -------
    spans : list of slice
        One after another; together all of them.
    run : callable
        ``run(function, *inputs)`` returns ``function(*inputs)``.
    """
    is_cpu, has_gradient = device.type == "cpu", torch.is_grad_enabled()
    on_gpu = RECOMPUTED_TOKENS if checkpoints and has_gradient else GPU_TOKENS
    spans = cut(count, (CPU_TOKENS if is_cpu else on_gpu) // tokens)
    if has_gradient and (checkpoints or (is_cpu and len(spans) > 1)):
        return spans, functools.partial(checkpoint, use_reentrant=False)
    return spans, _run


def _run(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    return function(*inputs)
