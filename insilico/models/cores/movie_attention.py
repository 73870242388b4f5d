"""Attention of transformers that follow movies: over the patches of a frame, then over times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from insilico.models.attention_maps import AttentionMaps, PatchPlaces
from insilico.models.cores.parts import cut
from insilico.models.cores.patch_tokens import PatchGrid
from insilico.models.rollout import draw_evenly, uniform_attention

#: Attention weights in memory at a time: 64 MB and 1 GB.
CPU_WEIGHTS, GPU_WEIGHTS = 1 << 24, 1 << 28


def draw_rows(
    attend: Callable[[slice], tuple[Tensor, Tensor]], tokens: Tensor, *, weights: int
) -> tuple[Tensor, Tensor]:
    """Return what the tokens of each row draw from each other, some rows at a time.

    Parameters
    ----------
    attend : callable
        ``attend(rows)`` returns the attention (trial · row, block, head, token, token) of some
        rows, and the transformer's answer (trial, row, token, channel).
    tokens : float tensor, shape (trial, row, token, channel)
        What enters; rows do not see each other.
    weights : int
        Numbers of attention in a row: pairs of tokens, in every block and head.

    Returns
    -------
    drawn : float tensor, shape (trial, row, token)
        The mean over the tokens of a row of what each draws from every one; sums to one.
    answer : float tensor, shape (trial, row, token, channel)
    """
    trials, rows = tokens.shape[:2]
    limit = CPU_WEIGHTS if tokens.device.type == "cpu" else GPU_WEIGHTS
    drawn, answers = [], []
    for span in cut(rows, limit // (trials * weights)):
        attention, answer = attend(span)
        drawn.append(draw_evenly(attention).view(trials, -1, attention.shape[-1]))
        answers.append(answer)
    return torch.cat(drawn, dim=1), torch.cat(answers, dim=1)


def map_movie(
    grid: PatchGrid, spatial: Tensor, temporal: Tensor, *, blocks: int, is_causal: bool
) -> AttentionMaps:
    """Return the maps of a core with a spatial and a temporal transformer.

    Parameters
    ----------
    grid : PatchGrid
        How movies are cut.
    spatial : float tensor, shape (trial, time, patch)
        What is drawn from each patch of a frame.
    temporal : float tensor, shape (trial, patch, time)
        What is drawn from each time of a patch.
    blocks : int
        Of the temporal transformer.
    is_causal : bool
        Whether a time sees only itself and earlier ones.

    Returns
    -------
    AttentionMaps
    """
    left, _, top, _ = grid.margins
    middle, stride, side = (grid.patch_px - 1) / 2, float(grid.stride_px), float(grid.patch_px)
    trials, times = spatial.shape[:2]
    uniform = uniform_attention(times, is_causal=is_causal, like=temporal)
    first_frame = grid.patch_frames - 1 - grid.leading_frames
    return AttentionMaps(
        spatial=spatial.view(trials, times, *grid.shape),
        places=PatchPlaces(
            grid.shape, (middle - top, middle - left), (stride, stride), (side, side)
        ),
        temporal=temporal.mean(dim=1),
        temporal_uniform=draw_evenly(uniform.expand(-1, blocks, -1, -1, -1))[0],
        last_frame=first_frame + grid.stride_frames * np.arange(times),
    )
