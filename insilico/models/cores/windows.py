"""Which part of every layer's input reaches a window of the feature map."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from insilico.errors import ShapeError

#: Zeros to add around a map: left, right, top, bottom, as :func:`torch.nn.functional.pad` takes it.
Margins = tuple[int, int, int, int]
#: A half-open range of rows or columns.
Span = tuple[int, int]


def plan_window(
    window: slice,
    size: int,
    *,
    kernels: tuple[int, ...],
    strides: tuple[int, ...],
    paddings: tuple[int, ...],
) -> list[tuple[Span, tuple[int, int]]]:
    """Return the input range and the zero margins of every layer, along one axis of the map.

    From the last layer back, the needed range grows by a kernel, and zeros are needed only where it
    leaves the map.

    Parameters
    ----------
    window : slice
        Of the feature map; step 1.
    size : int
        Rows or columns of the stimulus.
    kernels, strides, paddings : tuple of int
        Of every layer, along this axis.

    Raises
    ------
    ShapeError
        If the window is empty or has a step.
    """
    sizes = [size]
    for kernel, stride, padding in zip(kernels, strides, paddings, strict=True):
        sizes.append((sizes[-1] + 2 * padding - kernel) // stride + 1)
    start, stop, step = window.indices(sizes[-1])
    if step != 1 or start >= stop:
        raise ShapeError(f"the window {window} of a map of {sizes[-1]} is empty or has a step")
    plan: list[tuple[Span, tuple[int, int]]] = []
    for index in reversed(range(len(kernels))):
        start = start * strides[index] - paddings[index]
        stop = (stop - 1) * strides[index] - paddings[index] + kernels[index]
        margins = max(0, -start), max(0, stop - sizes[index])
        start, stop = max(0, start), min(stop, sizes[index])
        plan.insert(0, ((start, stop), margins))
    return plan


def add_margins(features: Tensor, margins: Margins) -> Tensor:
    """Surround a map by zeros, without a copy where there are none to add."""
    return F.pad(features, margins) if any(margins) else features
