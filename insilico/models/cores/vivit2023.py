"""The core of the first release of ViV1T: whole patches only, and blocks of several kinds."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.attention_maps import AttentionMaps
from insilico.models.cores.core import Core
from insilico.models.cores.image_patches import guess_grid
from insilico.models.cores.movie_attention import draw_rows, map_movie
from insilico.models.cores.parts import plan_parts
from insilico.models.cores.patch_tokens import PatchEmbedding, PatchGrid
from insilico.models.cores.position_encoding import PositionEncoding
from insilico.models.cores.regularizers import absolute_sum
from insilico.models.cores.vivit2023_blocks import (
    SpatialConvolution,
    StateTransformer,
    TemporalConvolution,
)

FirstReleasePosition = Literal[
    "none", "joint", "learned", "learned_sinusoid", "sinusoid", "convolution"
]

#: Times that fixed waves are there for, whatever the longest movie of training was (ViV1T, first
#: release, src/viv1t/model/core/vivit.py).
WAVE_TIMES = 300


class FirstReleaseViViTCore(Core):
    """Tokens of whole patches, a spatial transformer, and a temporal one that sees both ways.

    A patch of the published network spans 25 frames, and none is padded: the first 24 frames of a
    movie are not answered. Every answer depends on all frames of the movie.

    Frames are independent until the temporal transformer, and patches are independent in it, so
    both stages run over a few frames, or a few patches, at a time: the peak of memory is one tensor
    of tokens.

    Parameters
    ----------
    grid : PatchGrid
        How the movie is cut, without padding.
    channels : int
        Channels of the stimulus.
    behavior_count, gaze_count : int
        Variables of the state that the core reads.
    width : int
        Channels of a token, and of the feature map.
    spatial_depth, temporal_depth : int
        Blocks of each transformer.
    position_encoding : {"none", "joint", "learned", "learned_sinusoid", "sinusoid", "convolution"}
        What tells tokens where and when they are; see
        :class:`~insilico.models.cores.position_encoding.PositionEncoding`. "convolution" adds
        to the tokens after the first block of each transformer what a 3 by 3, or 3 times long,
        convolution of each channel makes of them.
    patch_norm : bool
        Whether patches are normalized before they are mapped; tokens always are.
    state_enters_blocks : bool
        Whether the state is added to the tokens before every block, as what a small network makes
        of all values in the window of a patch; or enters as constant channels of the movie.
    mice : tuple of str
        Mice that have each their own such networks; empty where all share them.
    is_parallel : bool
        Whether attention and feed-forward of a block read the same tokens, or one after the other.
    scales_by_width : bool
        Whether logits of blocks in sequence are divided by the square root of the token's channels
        instead of the head's.
    token_dropout : float
        Probability of an element of a token to be dropped.
    compatibility : bool
        Whether the map has the shape that the published code guesses from the number of patches
        (see :func:`~insilico.models.cores.image_patches.guess_grid`). The guess is right for the
        published sizes; elsewhere it scrambles the map, also inside the spatial convolution.
    **block
        ``heads``, ``head_width``, ``feedforward``, ``feedforward_activation``,
        ``normalizes_queries``, ``attention_dropout``, ``feedforward_dropout`` and ``drop_path`` of
        :class:`~insilico.models.cores.vivit2023_blocks.SequentialBlock`.

    References
    ----------
    ViV1T (first release, github.com/bryanlimy/ViV1T), src/viv1t/model/core/vivit.py.
    """

    #: The tokens of one movie of 300 frames are 54 MB at published sizes; more movies together are
    #: no faster.
    trials_at_once = 1

    def __init__(
        self,
        grid: PatchGrid,
        *,
        channels: int,
        behavior_count: int,
        gaze_count: int,
        width: int,
        spatial_depth: int,
        temporal_depth: int,
        position_encoding: FirstReleasePosition,
        patch_norm: bool,
        state_enters_blocks: bool,
        mice: tuple[str, ...],
        is_parallel: bool,
        scales_by_width: bool,
        token_dropout: float,
        compatibility: bool,
        **block: Any,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.output_channels = width
        self.lost_frames = grid.patch_frames - 1
        self.behavior_count = behavior_count
        self.state_enters_blocks = state_enters_blocks
        state_count = behavior_count + gaze_count
        patches = grid.shape[0] * grid.shape[1]
        self.map_shape = guess_grid(patches) if compatibility else grid.shape
        self.embedding = PatchEmbedding(
            grid,
            channels=channels,
            state_count=0 if state_enters_blocks else state_count,
            width=width,
            norm="layernorm" if patch_norm else None,
        )
        self.token_norm = nn.LayerNorm(width)
        self.token_dropout = nn.Dropout(token_dropout)
        convolves = position_encoding == "convolution"
        has_waves = position_encoding.endswith("sinusoid")
        times = grid.frames(grid.max_frames)
        self.positions = PositionEncoding(
            "none" if position_encoding == "convolution" else position_encoding,
            shape=grid.shape,
            times=max(times, WAVE_TIMES) if has_waves else times,
            width=width,
            dropout=token_dropout,
        )
        if self.positions.times is not None:
            self.longest_movie = grid.longest_movie(self.positions.times)
        shared = {
            "is_parallel": is_parallel,
            "scale": (width if scales_by_width else block["head_width"]) ** -0.5,
            "state_count": state_count * grid.patch_frames * state_enters_blocks,
            "mice": mice,
            **block,
        }
        self.spatial = StateTransformer(
            spatial_depth,
            width,
            positions=SpatialConvolution(width, self.map_shape) if convolves else None,
            **shared,
        )
        self.temporal = StateTransformer(
            temporal_depth,
            width,
            positions=TemporalConvolution(width) if convolves else None,
            **shared,
        )

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` input."""
        if (height, width) != self.grid.frame_px:
            raise ShapeError(
                f"a movie of {height} by {width} px; this core cuts frames of "
                f"{self.grid.frame_px[0]} by {self.grid.frame_px[1]} px, so give that size"
            )
        return self.map_shape

    def output_frames(self, frame_count: int) -> int:
        """Return how many times of a movie are answered."""
        return self.grid.frames(frame_count)

    def regularizer(self) -> Tensor:
        """Sum of all absolute weights; the published training gives it no weight."""
        return absolute_sum(self)

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of a movie; see :meth:`Core.forward`."""
        rows, columns = (slice(0, size) for size in self.map_shape)
        return self.forward_window(stimulus, state, rows=rows, columns=columns, mouse=mouse)

    def forward_window(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        rows: slice,
        columns: slice,
        mouse: str = "",
    ) -> Tensor:
        """Follow only the asked patches through time; see :meth:`Core.forward_window`."""
        windows = self._windows(state)
        planes = None if self.state_enters_blocks else state
        tokens = self._over_patches(stimulus, planes, windows, mouse)
        asked = tokens.view(*tokens.shape[:2], *self.map_shape, -1)[:, :, rows, columns]
        trials, times, height, width, _ = asked.shape
        tokens = self._over_times(asked.flatten(2, 3), windows, mouse)
        return tokens.view(trials, height, width, times, -1).permute(0, 4, 3, 1, 2)

    def attention_maps(
        self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = ""
    ) -> AttentionMaps:
        """Return where, and when, the network looks; see :meth:`ViViTCore.attention_maps`.

        Patches lie where they were cut, whatever grid is guessed.
        """
        windows = self._windows(state)
        embedded = self.embedding(stimulus, None if self.state_enters_blocks else state)
        tokens = self.positions(self.token_norm(embedded))

        def over_patches(rows: slice) -> tuple[Tensor, Tensor]:
            seen = None if windows is None else windows[:, rows].flatten(0, 1)
            part = tokens[:, rows]
            weights, answer = self.spatial.attention(part.flatten(0, 1), seen, mouse=mouse)
            return weights, answer.view(part.shape)

        spatial, answer = draw_rows(over_patches, tokens, weights=_weights(self.spatial, tokens))
        by_patch = answer.transpose(1, 2)

        def over_times(rows: slice) -> tuple[Tensor, Tensor]:
            return self.temporal.attention(by_patch[:, rows], windows, mouse=mouse)

        weights = _weights(self.temporal, by_patch)
        temporal, _ = draw_rows(over_times, by_patch, weights=weights)
        blocks = len(self.temporal.blocks)
        return map_movie(self.grid, spatial, temporal, blocks=blocks, is_causal=False)

    def _windows(self, state: Tensor | None) -> Tensor | None:
        """Return all values under each patch, (trial, time, value), for networks inside the blocks.

        Frame by frame the behavior, then frame by frame the gaze.
        """
        if state is None or not self.state_enters_blocks:
            return None
        cut = state.unfold(2, self.grid.patch_frames, self.grid.stride_frames)
        parts = cut[:, : self.behavior_count], cut[:, self.behavior_count :]
        return torch.cat([part.permute(0, 2, 3, 1).flatten(2) for part in parts], dim=2)

    def _over_patches(
        self, stimulus: Tensor, planes: Tensor | None, windows: Tensor | None, mouse: str
    ) -> Tensor:
        """Return the tokens (trial, time, patch, channel) after the spatial transformer."""
        trials, times = len(stimulus), self.grid.frames(stimulus.shape[2])
        movie, values = self.embedding.pad(stimulus, planes)
        weights = self.embedding.weights()

        def run(
            movie: Tensor, values: Tensor | None, seen: Tensor | None, start: int, count: int
        ) -> Tensor:
            tokens = self.embedding.embed(movie, values, weights, slice(0, count))
            tokens = self.positions(self.token_dropout(self.token_norm(tokens)), start)
            state = None if seen is None else seen.flatten(0, 1)
            rows: Tensor = self.spatial(tokens.flatten(0, 1), state, mouse=mouse)
            return rows.view(tokens.shape)

        length, stride = self.grid.patch_frames, self.grid.stride_frames
        patches = self.grid.shape[0] * self.grid.shape[1]
        spans, run_parts = plan_parts(
            times,
            trials * patches,
            stimulus.device,
            checkpoints=self.checkpoints_activations,
            is_frozen=self.is_frozen,
        )
        calls = []
        for span in spans:
            frames = slice(span.start * stride, (span.stop - 1) * stride + length)
            calls.append(
                (
                    movie[:, :, frames],
                    None if values is None else values[:, :, frames],
                    None if windows is None else windows[:, span],
                    span.start,
                    span.stop - span.start,
                )
            )
        return torch.cat(run_parts(run, calls), dim=1)

    def _over_times(self, tokens: Tensor, windows: Tensor | None, mouse: str) -> Tensor:
        """Return (trial, patch, time, channel) of (trial, time, patch, channel)."""

        def run(part: Tensor) -> Tensor:
            rows: Tensor = self.temporal(part.transpose(1, 2), windows, mouse=mouse)
            return rows

        trials, times, patches, _ = tokens.shape
        spans, run_parts = plan_parts(
            patches,
            trials * times,
            tokens.device,
            checkpoints=self.checkpoints_activations,
            is_frozen=self.is_frozen,
        )
        return torch.cat(run_parts(run, [(tokens[:, :, span],) for span in spans]), dim=1)


def _weights(transformer: StateTransformer, tokens: Tensor) -> int:
    """Return how many numbers the attention of a row of tokens (…, token, channel) has."""
    return transformer.heads * len(transformer.blocks) * tokens.shape[-2] ** 2
