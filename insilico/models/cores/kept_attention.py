"""Attention whose answers are kept where everything else of a part is computed again.

Of what a block does attention takes longest and leaves least: 160 of about 900 numbers a token that
a way back needs in ViV1T.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

#: What attention answered, and what its way back needs beside that, call by call.
Answers = list[tuple[Tensor, Tensor]]


class _Now(threading.local):
    """What this thread does about answers: keep them in a list, or take them from one."""

    kept: Answers | None = None
    known: Iterator[tuple[Tensor, Tensor]] | None = None


_now = _Now()


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
) -> Tensor:
    """Return ``F.scaled_dot_product_attention``; on a CPU see :func:`keeping`, :func:`reusing`."""
    is_plain = torch.compiler.is_compiling() or attn_mask is not None
    if is_plain or (_now.kept is None and _now.known is None):
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=attn_mask, is_causal=is_causal
        )
    answer = None if _now.known is None else next(_now.known, None)
    if answer is not None:
        answered: Tensor = _Answered.apply(query, key, value, *answer, is_causal)  # type: ignore[no-untyped-call]
        return answered
    # What a CPU computes attention with, which tells both at once.
    answer = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, is_causal
    )
    if _now.kept is not None:
        _now.kept.append(answer)
    return answer[0]


@contextlib.contextmanager
def keeping(answers: Answers) -> Iterator[None]:
    """Add what attention answers in this thread, without gradients, to a list."""
    _now.kept = answers
    try:
        yield
    finally:
        _now.kept = None


@contextlib.contextmanager
def reusing(answers: Sequence[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Answer as in a list, call by call; what comes after its end is computed."""
    _now.known = iter(answers)
    try:
        yield
    finally:
        _now.known = None


def size_bytes(answers: Answers) -> int:
    """Return how much memory answers take."""
    return sum(part.nbytes for answer in answers for part in answer)


class _Answered(torch.autograd.Function):
    """Attention that was answered before."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        answer: Tensor,
        log_sums: Tensor,
        is_causal: bool,
    ) -> Tensor:
        """Return the answer."""
        ctx.save_for_backward(query, key, value, answer, log_sums)
        ctx.is_causal = is_causal
        return answer.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of queries, keys and values."""
        found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            gradient, *ctx.saved_tensors, 0.0, ctx.is_causal
        )
        return (*found, None, None, None)
