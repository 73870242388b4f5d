"""Some rows at a time: what the blocks of a transformer work on, and what they keep of it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from insilico.models.cores.kept_attention import Answers, keeping, reusing, size_bytes

#: Tokens that pass through the blocks together. On a CPU small working sets stay in the cache; a
#: GPU wants many.
CPU_TOKENS, GPU_TOKENS = 1 << 11, 1 << 20
#: As many on a GPU that computes parts again: there the peak of memory is what the blocks keep of
#: one part on the way back, about 0.1 MB a token at the sizes of ViV1T.
RECOMPUTED_TOKENS = 1 << 15
#: Where parts are computed again on threads, the answers of attention are kept up to this size in
#: one call for all parts.
KEPT_BYTES = 256 << 20


def cut(count: int, at_once: int) -> list[slice]:
    """Return slices that together are ``range(count)``, at most ``at_once`` long and at least 1."""
    step = max(1, at_once)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


#: Runs a function on the arguments of each part, and returns what it gave.
RunParts = Callable[[Callable[..., Tensor], Sequence[tuple[Any, ...]]], list[Tensor]]


def plan_parts(
    count: int,
    tokens: int,
    device: torch.device,
    *,
    checkpoints: bool,
    is_frozen: bool = False,
) -> tuple[list[slice], RunParts]:
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
    is_frozen : bool
        Whether nothing but the arguments of the parts is differentiated by. Then, and without
        gradients, each core of a CPU computes parts of its own: forward and backward through the
        spatial blocks of ViV1T took two cores 1.7 s, against 2.1 s with both at every part, and
        against 18 s where other programs kept one of the cores busy and both had to wait for it.

    Returns
    -------
    spans : list of slice
        One after another; together all of them.
    run : callable
        ``run(function, calls)`` returns ``[function(*call) for call in calls]``.
    """
    is_cpu, has_gradient = device.type == "cpu", torch.is_grad_enabled()
    on_gpu = RECOMPUTED_TOKENS if checkpoints and has_gradient else GPU_TOKENS
    spans = cut(count, (CPU_TOKENS if is_cpu else on_gpu) // tokens)
    is_plain = not torch.is_autocast_enabled("cpu")
    if is_cpu and is_plain and len(spans) > 1 and torch.get_num_threads() > 1:
        if not has_gradient:
            return spans, _in_threads
        if is_frozen:
            return spans, _again_in_threads
    if has_gradient and (checkpoints or (is_cpu and len(spans) > 1)):
        return spans, _again
    return spans, _one_by_one


def _one_by_one(function: Callable[..., Tensor], calls: Sequence[tuple[Any, ...]]) -> list[Tensor]:
    return [function(*call) for call in calls]


def _again(function: Callable[..., Tensor], calls: Sequence[tuple[Any, ...]]) -> list[Tensor]:
    """Run parts whose insides are computed again on the way back."""
    return [checkpoint(function, *call, use_reentrant=False) for call in calls]


def _in_threads(function: Callable[..., Tensor], calls: Sequence[tuple[Any, ...]]) -> list[Tensor]:
    """Run parts on all cores, each on one, without gradients."""
    is_inference = torch.is_inference_mode_enabled()

    def run(call: tuple[Any, ...]) -> Tensor:
        # Whether gradients are kept is known to each thread alone.
        with torch.inference_mode(is_inference), torch.no_grad():
            return function(*call)

    return list(_threads(torch.get_num_threads()).map(run, calls))


def _again_in_threads(
    function: Callable[..., Tensor], calls: Sequence[tuple[Any, ...]]
) -> list[Tensor]:
    """Run parts on all cores, and compute their insides again on the way back."""
    arguments = [value for call in calls for value in call if isinstance(value, Tensor)]
    return list(_Together.apply(function, calls, *arguments))  # type: ignore[no-untyped-call]


class _Together(torch.autograd.Function):
    """Parts that are computed at once, forward and, from the start, backward."""

    @staticmethod
    def forward(
        ctx: Any, function: Callable[..., Tensor], calls: Sequence[tuple[Any, ...]], *_: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the parts; the arguments are there once more to be differentiated by."""
        ctx.function, ctx.calls = function, calls
        kept: list[Answers] = [[] for _ in calls]

        def run(call: tuple[Any, ...], answers: Answers) -> Tensor:
            is_enough = sum(map(size_bytes, kept)) > KEPT_BYTES
            with torch.no_grad(), contextlib.nullcontext() if is_enough else keeping(answers):
                return function(*call)

        parts = tuple(_threads(torch.get_num_threads()).map(run, calls, kept))
        ctx.answer_counts = [len(answers) for answers in kept]
        # Saved this way they are let go after the way back.
        ctx.save_for_backward(*(part for answers in kept for answer in answers for part in answer))
        return parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of every argument."""
        saved = iter(ctx.saved_tensors)
        kept = [[(next(saved), next(saved)) for _ in range(n)] for n in ctx.answer_counts]

        def differentiate(
            call: tuple[Any, ...], gradient: Tensor, answers: Answers
        ) -> list[Tensor | None]:
            tensors = [value for value in call if isinstance(value, Tensor)]
            leaves = {
                id(value): value.detach().requires_grad_()
                for value in tensors
                if value.requires_grad
            }
            if not leaves:
                return [None] * len(tensors)
            with torch.enable_grad(), reusing(answers):
                part = ctx.function(*(leaves.get(id(value), value) for value in call))
            found = torch.autograd.grad(part, list(leaves.values()), gradient)
            by_leaf = dict(zip(leaves, found, strict=True))
            return [by_leaf.get(id(value)) for value in tensors]

        found = _threads(torch.get_num_threads()).map(differentiate, ctx.calls, gradients, kept)
        return (None, None, *(gradient for part in found for gradient in part))


def _use_one_core() -> None:
    # What a thread is first asked for it takes from the others, so it is asked before it is told.
    torch.get_num_threads()
    torch.set_num_threads(1)


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    """Return threads that use one core each."""
    pool = ThreadPoolExecutor(count, "parts", initializer=_use_one_core)
    # All of them start now; after that, threads that others make have all cores again.
    barrier = threading.Barrier(count)
    list(pool.map(lambda _: barrier.wait(), range(count)))
    torch.set_num_threads(count)
    return pool
