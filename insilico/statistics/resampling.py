"""Rows drawn with replacement: alone, or mice first and neurons within each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Numbers drawn at a time, which bounds memory: 2 million indices are 16 MB.
BLOCK_NUMBERS = 2_000_000


def draw_blocks(
    count: int, draws: int, rng: np.random.Generator
) -> Iterator[tuple[slice, IntArray]]:
    """Yield which draws come next and the rows of each, shape (draw, count)."""
    block = max(1, BLOCK_NUMBERS // count)
    for first in range(0, draws, block):
        size = min(block, draws - first)
        yield slice(first, first + size), rng.integers(count, size=(size, count))


def draw_nested(labels: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the rows of one sample: groups drawn, then rows within each."""
    occupied = np.unique(labels)
    return draw_within(labels, rng.choice(occupied, size=len(occupied)), rng)


def draw_within(labels: IntArray, drawn: IntArray, rng: np.random.Generator) -> IntArray:
    """Return rows of the groups that were drawn: of each as many as it has."""
    counts = np.bincount(labels, minlength=int(drawn.max()) + 1)
    order, starts = np.argsort(labels, kind="stable"), np.cumsum(counts) - counts
    size = np.repeat(counts[drawn], counts[drawn])
    return order[np.repeat(starts[drawn], counts[drawn]) + rng.integers(size)]
