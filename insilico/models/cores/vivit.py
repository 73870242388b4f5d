"""The core of ViV1T: a transformer over the patches of each frame, then over the times of each."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from insilico.models.attention_maps import AttentionMaps
from insilico.models.context import Lead, Reach
from insilico.models.cores.cells import Cells
from insilico.models.cores.core import Core
from insilico.models.cores.drop_path import DropPath
from insilico.models.cores.movie_attention import draw_rows, map_movie
from insilico.models.cores.norms import NormKind, build_norm
from insilico.models.cores.parts import plan_parts
from insilico.models.cores.past_times import PastTimes, distinct_times
from insilico.models.cores.patch_tokens import PatchEmbedding, PatchGrid
from insilico.models.cores.position_encoding import PositionEncoding, PositionKind
from insilico.models.cores.regularizers import absolute_sum
from insilico.models.cores.vivit_blocks import (
    ActivationKind,
    ParallelBlock,
    RegisteredTransformer,
    build_activation,
)


class ViViTCore(Core):
    """Tokens of space-time patches, a spatial transformer, and a temporal one.

    Frames are independent until the temporal transformer, and patches are independent in it, so
    both stages run over a few frames, or a few patches, at a time: the working set stays in a CPU's
    cache, and the peak of memory is one tensor of tokens. On the way back a CPU computes each part
    again, and a GPU does where ``checkpoints_activations`` asks for it; see
    :func:`insilico.models.cores.parts.plan_parts`.

    Parameters
    ----------
    grid : PatchGrid
        How the movie is cut.
    channels : int
        Channels of the stimulus.
    state_count : int
        Variables that enter as constant channels.
    width : int
        Channels of a token, and of the feature map.
    spatial_depth, temporal_depth : int
        Blocks of each transformer.
    registers : int
        Learned tokens added to each frame, and to each patch's times.
    is_causal : bool
        Whether a time sees only itself and earlier ones.
    position_encoding : str
        See :class:`~insilico.models.cores.position_encoding.PositionEncoding`.
    patch_norm : bool
        Whether patches are normalized before they are mapped; tokens always are.
    norm : {"layernorm", "rmsnorm", "dyt"}
        All normalizations.
    token_dropout : float
        Probability of a whole token to be dropped.
    activation : str
        After the last block.
    compatibility : bool
        Reproduce the published rotary scale; see
        :class:`~insilico.models.cores.vivit_blocks.RotaryEmbedding`.
    **block
        ``heads``, ``head_width``, ``feedforward``, ``feedforward_activation``,
        ``normalizes_queries`` and dropouts of
        :class:`~insilico.models.cores.vivit_blocks.ParallelBlock`.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/vivit.py.
    """

    #: Parts are as large as the cache allows with one movie; more would only take memory.
    trials_at_once = 1

    def __init__(
        self,
        grid: PatchGrid,
        *,
        channels: int,
        state_count: int,
        width: int,
        spatial_depth: int,
        temporal_depth: int,
        registers: int,
        is_causal: bool,
        position_encoding: PositionKind,
        patch_norm: bool,
        norm: NormKind,
        token_dropout: float,
        activation: ActivationKind,
        compatibility: bool,
        **block: Any,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.output_channels = width
        self.lost_frames = grid.patch_frames - 1 - grid.leading_frames
        self.embedding = PatchEmbedding(
            grid,
            channels=channels,
            state_count=state_count,
            width=width,
            norm=norm if patch_norm else None,
        )
        self.token_norm = build_norm(norm, width)
        self.token_dropout = DropPath(token_dropout, axes=-1)
        times = grid.frames(grid.max_frames)
        self.positions = PositionEncoding(
            position_encoding, shape=grid.shape, times=times, width=width, dropout=token_dropout
        )
        if self.positions.times is not None:
            self.longest_movie = grid.longest_movie(self.positions.times)
        shared = {"registers": registers, "norm": norm, "compatibility": compatibility, **block}
        self.spatial = RegisteredTransformer(
            spatial_depth,
            width,
            length=grid.shape[0] * grid.shape[1],
            is_causal=False,
            has_rotary=position_encoding == "rotary",
            **shared,
        )
        self.temporal = RegisteredTransformer(
            temporal_depth,
            width,
            length=times,
            is_causal=is_causal,
            has_rotary=position_encoding.endswith("rotary"),
            **shared,
        )
        self.activation = build_activation(activation)
        #: Parameters that no answer depends on; see RegisteredTransformer.
        self.idle_parameters = frozenset({"temporal.registers"} if is_causal and registers else ())

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.grid.shape

    def output_frames(self, frame_count: int) -> int:
        """Return how many times of a movie are answered."""
        return self.grid.frames(frame_count)

    def regularizer(self) -> Tensor:
        """Sum of all absolute weights; the published training gives it no weight."""
        return absolute_sum(self)

    def reach(self, frame_count: int) -> Reach:
        """Under a causal mask nothing that comes later; but see the rotary positions.

        Beyond the length they are made for they are centered on the movie, whose end then matters.
        """
        is_steady = self.grid.stride_frames == 1 and (
            self.grid.frames(frame_count) <= self.grid.frames(self.grid.max_frames)
        )
        return Reach(future=0) if self.temporal.is_causal and is_steady else Reach()

    def forward(self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = "") -> Tensor:
        """Return the features of a movie; see :meth:`Core.forward`."""
        movie, values = self.embedding.pad(stimulus, state)
        everything = slice(0, self.grid.frames(stimulus.shape[2]))
        tokens = self._over_patches(movie, values, [everything])
        return _as_map(self._over_times(tokens), self.grid.shape)

    def forward_cells(
        self,
        stimulus: Tensor,
        state: Tensor | None = None,
        *,
        cells: Cells,
        mouse: str = "",
        memory: PastTimes | None = None,
    ) -> Tensor:
        """Follow only the asked patches through time; see :meth:`Core.forward_cells`.

        Times whose patches hold the same frames as those of the time before, as of gray or of a
        still image, are not computed again; where gradients are wanted each frame counts for
        itself.
        """
        if memory is None:
            movie, values = self.embedding.pad(stimulus, state)
        else:
            movie, values = memory.join(self.embedding.pad_frames(stimulus), state)
        times = self.grid.times(movie.shape[2])
        runs, source = [slice(0, times)], None
        is_timed = self.positions.times is not None
        if not (is_timed or (torch.is_grad_enabled() and stimulus.requires_grad)):
            runs, source = self._distinct(movie, values)
        first = 0 if memory is None else memory.count
        tokens = self._over_patches(movie, values, runs, first=first, asked=cells.index)
        if source is not None:
            tokens = tokens[:, source]
        tokens = self._over_times(tokens, memory)
        return tokens.permute(0, 3, 1, 2)

    def remember(self, lead: Lead, *, frame_px: tuple[int, int], cells: Cells) -> PastTimes | None:
        """Return keys and values of the lead's times at the asked patches, and its last frames.

        See :meth:`Core.remember`. Nothing is kept where later frames matter to earlier ones.
        """
        count = self.grid.frames(lead.frame_count)
        if self.reach(lead.frame_count).future is None or count == 0:
            return None
        like = lead.level.new_zeros(1, 1, 1, *frame_px)
        movie, values = self.embedding.pad(lead.frames(like), lead.states(like))
        runs, source = [slice(0, count)], None
        if self.positions.times is None:
            runs, source = self._distinct(movie, values)
        tokens = self._over_patches(movie, values, runs, asked=cells.index)
        if source is not None:
            tokens = tokens[:, source]
        return PastTimes(
            self.temporal,
            tokens[0].transpose(0, 1),
            movie=movie[:, :, count:],
            state=None if values is None else values[:, :, count:],
            kept_bytes=lead.kept_bytes,
        )

    def _distinct(self, movie: Tensor, values: Tensor | None) -> tuple[list[slice], Tensor]:
        """Return runs of times whose patches differ from those of the time before.

        Returns
        -------
        runs : list of slice
        source : int64 tensor, shape (time,)
            Which of the times in all runs holds the same patches.
        """
        changes = (movie[:, :, 1:] != movie[:, :, :-1]).flatten(3).any(dim=(0, 1, 3))
        if values is not None:
            changes |= (values[:, :, 1:] != values[:, :, :-1]).any(dim=(0, 1))
        return distinct_times(
            changes, length=self.grid.patch_frames, stride=self.grid.stride_frames
        )

    def _over_patches(
        self,
        movie: Tensor,
        values: Tensor | None,
        runs: list[slice],
        *,
        first: int = 0,
        asked: Tensor | None = None,
    ) -> Tensor:
        """Return the tokens (trial, time, patch, channel) after the spatial transformer.

        Parameters
        ----------
        movie, values : tensor
            As :meth:`PatchEmbedding.pad` returns them.
        runs : list of slice
            The times that are wanted, counted from the movie's beginning.
        first : int
            When the movie begins.
        asked : int64 tensor, shape (patch,), optional
            All patches when left out.
        """
        weights = self.embedding.weights()

        def run(part: Tensor, part_values: Tensor | None, start: int, count: int) -> Tensor:
            tokens = self.embedding.embed(part, part_values, weights, slice(0, count))
            tokens = self.positions(self.token_dropout(self.token_norm(tokens)), first + start)
            trials = len(tokens)
            return _split(self.spatial(tokens.flatten(0, 1), asked=asked), trials)

        length, stride = self.grid.patch_frames, self.grid.stride_frames
        parts: list[Tensor] = []
        for times in runs:
            spans, run_parts = plan_parts(
                times.stop - times.start,
                self._frame_tokens(movie),
                movie.device,
                checkpoints=self.checkpoints_activations,
                is_frozen=self.is_frozen,
            )
            calls = []
            for span in spans:
                start, stop = times.start + span.start, times.start + span.stop
                frames = slice(start * stride, (stop - 1) * stride + length)
                part_values = None if values is None else values[:, :, frames]
                calls.append((movie[:, :, frames], part_values, start, stop - start))
            parts += run_parts(run, calls)
        return torch.cat(parts, dim=1)

    def _over_times(self, tokens: Tensor, memory: PastTimes | None = None) -> Tensor:
        """Return ``tokens`` (trial, time, patch, channel) after the temporal transformer."""
        trials, times, patches, _ = tokens.shape

        def run(part: Tensor, span: slice) -> Tensor:
            rows = part.transpose(1, 2).flatten(0, 1)
            if memory is None:
                rows = self.temporal(rows)
            else:
                rows = self.temporal.follow(rows, memory.keys_values(span))
            return self.activation(_split(rows, trials).transpose(1, 2))

        spans, run_parts = plan_parts(
            patches,
            trials * times,
            tokens.device,
            checkpoints=self.checkpoints_activations,
            is_frozen=self.is_frozen,
        )
        return torch.cat(run_parts(run, [(tokens[:, :, span], span) for span in spans]), dim=2)

    def attention_maps(
        self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = ""
    ) -> AttentionMaps:
        """Return where, and when, the network looks: attention rollout.

        Parameters
        ----------
        stimulus, state, mouse
            As for :meth:`forward`.

        Returns
        -------
        AttentionMaps
            Of space, for each time the mean over patches of what each draws from every patch; of
            time, the mean over patches and times of what each draws from every time. Both sum to
            one.

        References
        ----------
        Abnar and Zuidema 2020, "Quantifying attention flow in transformers"; ViV1T-closed-loop,
        viv1t/utils/attention_rollout.py.
        """
        tokens = self.positions(self.token_norm(self.embedding(stimulus, state)))
        spatial, tokens = self._draw(self.spatial, tokens)
        temporal, _ = self._draw(self.temporal, tokens.transpose(1, 2))
        return map_movie(
            self.grid,
            spatial,
            temporal,
            blocks=len(self.temporal.blocks),
            is_causal=self.temporal.is_causal,
        )

    def _draw(self, transformer: RegisteredTransformer, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return what tokens (trial, row, token, channel) draw from each, and the answer."""

        def attend(rows: slice) -> tuple[Tensor, Tensor]:
            weights, answer = transformer.attention(tokens[:, rows].flatten(0, 1))
            return weights, _split(answer, len(tokens))

        heads = sum(cast(ParallelBlock, block).heads for block in transformer.blocks)
        count = tokens.shape[2] + transformer.register_count
        return draw_rows(attend, tokens, weights=heads * count**2)

    def _frame_tokens(self, stimulus: Tensor) -> int:
        rows, columns = self.grid.shape
        return len(stimulus) * (rows * columns + self.spatial.register_count)


def _split(rows: Tensor, trials: int) -> Tensor:
    """Turn (trial · item, …) into (trial, item, …)."""
    return rows.view(trials, -1, *rows.shape[1:])


def _as_map(tokens: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return tokens (trial, time, patch, channel) as a map (trial, channel, time, row, column)."""
    return tokens.view(*tokens.shape[:2], *shape, tokens.shape[-1]).permute(0, 4, 1, 2, 3)
