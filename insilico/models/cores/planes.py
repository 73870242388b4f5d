"""Signals that are the same everywhere in a frame, appended as planes of it."""

from __future__ import annotations

import torch
from torch import Tensor


def append_planes(stimulus: Tensor, state: Tensor | None) -> Tensor:
    """Append each variable of the state as a constant channel after the stimulus' own.

    Parameters
    ----------
    stimulus : float tensor, shape (trial, channel[, frame], y, x)
        Standardized stimulus.
    state : float tensor, shape (trial, variable[, frame]), optional
        One value a trial, and for movies a frame.

    Returns
    -------
    float tensor, shape (trial, channel + variable[, frame], y, x)
        The stimulus itself where there is no state.
    """
    if state is None:
        return stimulus
    planes = state[..., None, None].expand(*state.shape, *stimulus.shape[-2:])
    return torch.cat([stimulus, planes], dim=1)
