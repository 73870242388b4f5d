"""Frames of movies as rows of a batch, so that what reads images reads movies, too."""

from __future__ import annotations

import torch
from torch import Tensor


def join(behavior: Tensor | None, gaze: Tensor | None) -> Tensor | None:
    """Return behavior, then gaze, as one state (trial, variable[, frame])."""
    parts = [part for part in (behavior, gaze) if part is not None]
    return torch.cat(parts, dim=1) if parts else None


def spread(gaze: Tensor | None, stimulus: Tensor) -> Tensor | None:
    """Give one gaze (2,) to every trial, and every frame of a movie."""
    if gaze is None:
        return None
    frames = stimulus.shape[2:-2]
    return gaze.reshape(1, 2, *[1] * len(frames)).expand(len(stimulus), -1, *frames)


def last_frames(values: Tensor | None, frames: int | None) -> Tensor | None:
    """Return the last frames of (trial, variable, frame); an image has none."""
    return values if values is None or frames is None else values[..., -frames:]


def fold(values: Tensor, frames: int | None) -> Tensor:
    """Make every frame of (trial, channel, frame, …) a row of (row, channel, …)."""
    return values if frames is None else values.transpose(1, 2).flatten(0, 1)


def unfold(value: Tensor, frames: int | None) -> Tensor:
    """Turn (row, neuron) back into (trial, neuron, frame)."""
    if frames is None:
        return value
    rows, neurons = value.shape
    return value.view(rows // frames, frames, neurons).transpose(1, 2)
