"""Gaussian blur over the pixels and frames of many patterns at once."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: The kernel ends at this many standard deviations.
KERNEL_SIGMAS = 3.0


def blur(patterns: Tensor, *, sigma_px: float = 0.0, sigma_frames: float = 0.0) -> Tensor:
    """Blur each frame, and each pixel over time; edges are reflected.

    Parameters
    ----------
    patterns : float tensor, shape (stimulus, frame, y, x)
        Of any unit.
    sigma_px, sigma_frames : float
        Standard deviations; 0 leaves space or time as they are.

    Returns
    -------
    float tensor, shape (stimulus, frame, y, x)
    """
    for axis, sigma in ((3, sigma_px), (2, sigma_px), (1, sigma_frames)):
        if sigma > 0 and patterns.shape[axis] > 1:
            patterns = _blur_axis(patterns, axis, sigma)
    return patterns


def _blur_axis(patterns: Tensor, axis: int, sigma: float) -> Tensor:
    lines = patterns.movedim(axis, -1)
    # A reflection cannot be wider than what it reflects.
    radius = min(math.ceil(KERNEL_SIGMAS * sigma), lines.shape[-1] - 1)
    kernel = _kernel(sigma, radius).to(lines)
    padded = F.pad(lines.reshape(-1, 1, lines.shape[-1]), (radius, radius), mode="reflect")
    return F.conv1d(padded, kernel[None, None]).reshape(lines.shape).movedim(-1, axis)


@functools.lru_cache(maxsize=32)
def _kernel(sigma: float, radius: int) -> Tensor:
    place = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-((place / sigma) ** 2) / 2)
    return kernel / kernel.sum()
