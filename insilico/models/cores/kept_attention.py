"""Attention whose answers are kept where everything else of a part is computed again.

Of what a block does attention takes longest and leaves least: 160 of about 900 numbers a token that
a way back needs in ViV1T.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

#: What a CPU computes attention with; it answers with a sum and with what its way back needs.
_OPERATION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default

#: What attention answered, call by call.
Answers = list[tuple[Tensor, ...]]


class _Now(threading.local):
    """What this thread does about answers."""

    mode: TorchDispatchMode | None = None


_now = _Now()


def attend(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    """Return ``F.scaled_dot_product_attention``, within :func:`keeping` and :func:`reusing`."""
    if torch.compiler.is_compiling() or _now.mode is None:
        return F.scaled_dot_product_attention(query, key, value, **options)
    with _now.mode:
        return F.scaled_dot_product_attention(query, key, value, **options)


@contextlib.contextmanager
def keeping(answers: Answers) -> Iterator[None]:
    """Add what attention answers in this thread to a list."""
    yield from _during(_Keep(answers))


@contextlib.contextmanager
def reusing(answers: Answers) -> Iterator[None]:
    """Answer as in a list, call by call; what comes after its end is computed."""
    yield from _during(_Reuse(answers))


def size_bytes(answers: Answers) -> int:
    """Return how much memory answers take."""
    return sum(part.nbytes for answer in answers for part in answer)


def _during(mode: TorchDispatchMode) -> Iterator[None]:
    before, _now.mode = _now.mode, mode
    try:
        yield
    finally:
        _now.mode = before


class _Keep(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, answers: Answers) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answers = answers

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        if func is _OPERATION:
            self._answers.append(answer)
        return answer


class _Reuse(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, answers: Answers) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left = iter(answers)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        answer = next(self._left, None) if func is _OPERATION else None
        if answer is None:
            return func(*args, **(kwargs or {}))
        return tuple(part.detach() for part in answer)
