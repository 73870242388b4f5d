"""What only the first release of ViV1T has: blocks in sequence, and behavior inside of them."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.models.cores.drop_path import DropPath
from insilico.models.cores.vit_blocks import INITIAL_SPREAD, BehaviorNetwork, BlockSizes
from insilico.models.cores.vivit_blocks import ActivationKind, ParallelBlock, build_activation


class SequentialBlock(nn.Module):
    """Attention, then feed-forward, each added to the tokens.

    Parameters
    ----------
    width : int
        Channels of a token.
    heads, head_width : int
        Number of heads, and channels of each.
    feedforward : int
        Hidden channels of the feed-forward part.
    feedforward_activation : str
        Of the feed-forward part.
    normalizes_queries : bool
        Whether queries and keys are normalized over all heads together.
    scale : float
        Factor of the logits of the attention.
    attention_dropout, feedforward_dropout, drop_path : float
        Probabilities: of an element of the heads' output and of their projection, of an element
        inside and after the feed-forward part, of a whole row of either branch.

    References
    ----------
    ViV1T (first release), src/viv1t/model/core/vivit.py.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        head_width: int,
        feedforward: int,
        feedforward_activation: ActivationKind = "gelu",
        normalizes_queries: bool = False,
        scale: float,
        attention_dropout: float = 0.0,
        feedforward_dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.scale = heads, scale
        inner = heads * head_width
        hidden = feedforward * (2 if feedforward_activation == "swiglu" else 1)
        self.norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * inner, bias=False)
        self.normalizes_queries = normalizes_queries
        if normalizes_queries:
            self.query_norm, self.key_norm = nn.LayerNorm(inner), nn.LayerNorm(inner)
        self.attention_output = nn.Linear(inner, width)
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward_input = nn.Linear(width, hidden)
        self.activation = build_activation(feedforward_activation)
        self.feedforward_output = nn.Linear(feedforward, width)
        self.feedforward_dropout = nn.Dropout(feedforward_dropout)
        self.drop_path = DropPath(drop_path)
        _start_small(self)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``tokens`` (row, token, channel) after the block; rows do not see each other."""
        tokens = tokens + self.drop_path(self._attend(tokens))
        hidden = self.activation(self.feedforward_input(self.feedforward_norm(tokens)))
        branch = self.feedforward_output(self.feedforward_dropout(hidden))
        answer: Tensor = tokens + self.drop_path(self.feedforward_dropout(branch))
        return answer

    def attention(self, tokens: Tensor) -> Tensor:
        """Return the attention weights (row, head, token, token): rows sum to one."""
        query, key, _ = self._project(tokens)
        return (query @ key.transpose(2, 3) * self.scale).softmax(dim=-1)

    def _project(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (row, head, token, channel)."""
        query, key, value = self.queries_keys_values(self.norm(tokens)).chunk(3, dim=-1)
        if self.normalizes_queries:
            query, key = self.query_norm(query), self.key_norm(key)
        rows, count, _ = tokens.shape
        query, key, value = (
            part.view(rows, count, self.heads, -1).transpose(1, 2) for part in (query, key, value)
        )
        return query, key, value

    def _attend(self, tokens: Tensor) -> Tensor:
        query, key, value = self._project(tokens)
        attended = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        merged = self.attention_dropout(attended.transpose(1, 2).flatten(2))
        branch: Tensor = self.attention_dropout(self.attention_output(merged))
        return branch


class SpatialConvolution(nn.Module):
    """Add to each patch a weighted sum of its neighbors, which tells where the borders are.

    Parameters
    ----------
    width : int
        Channels of a token, each on its own.
    shape : (int, int)
        Rows and columns of patches.

    References
    ----------
    Chu et al. 2021, "Conditional positional encodings for vision transformers", arXiv:2102.10882;
    ViV1T (first release), src/viv1t/model/core/vivit.py.
    """

    def __init__(self, width: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.convolution = nn.Conv2d(width, width, 3, padding=1, groups=width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``tokens`` (row, patch, channel) with their neighbors."""
        maps = tokens.transpose(1, 2).reshape(len(tokens), -1, *self.shape)
        added: Tensor = self.convolution(maps)
        return tokens + added.flatten(2).transpose(1, 2)


class TemporalConvolution(nn.Module):
    """Add to each time a weighted sum of the times before and after it.

    Parameters
    ----------
    width : int
        Channels of a token, each on its own.

    References
    ----------
    As for :class:`SpatialConvolution`.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, 3, padding=1, groups=width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``tokens`` (row, time, channel) with their neighbors."""
        added: Tensor = self.convolution(tokens.transpose(1, 2))
        return tokens + added.transpose(1, 2)


class StateTransformer(nn.Module):
    """Blocks over the tokens of each row, before each of which behavior may be added to all tokens.

    Parameters
    ----------
    depth : int
        Number of blocks.
    width : int
        Channels of a token.
    is_parallel : bool
        Whether attention and feed-forward read the same tokens, or one after the other.
    scale : float
        Factor of the logits of the attention; blocks in parallel always take one over the square
        root of the head's channels.
    state_count : int
        Values of the state that enter before each block; 0 for none.
    mice : tuple of str
        Mice that have each their own behavior networks; empty where all share one.
    positions : nn.Module, optional
        Applied to the rows after the first block.
    **block
        As for :class:`SequentialBlock`.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        *,
        is_parallel: bool,
        scale: float,
        state_count: int = 0,
        mice: tuple[str, ...] = (),
        positions: nn.Module | None = None,
        **block: Any,
    ) -> None:
        super().__init__()
        self.heads: int = block["heads"]
        self.blocks = nn.ModuleList(
            ParallelBlock(width, **block)
            if is_parallel
            else SequentialBlock(width, scale=scale, **block)
            for _ in range(depth)
        )
        sizes = BlockSizes(
            width,
            heads=block["heads"],
            head_width=block["head_width"],
            scale=scale,
            feedforward=block["feedforward"],
            state_count=state_count,
            mice=mice,
        )
        self.behavior = nn.ModuleList(
            BehaviorNetwork(sizes) for _ in range(depth if state_count else 0)
        )
        _start_small(self.behavior)
        self.positions = positions

    def forward(self, tokens: Tensor, state: Tensor | None, *, mouse: str) -> Tensor:
        """Return the tokens after all blocks.

        Parameters
        ----------
        tokens : float tensor, shape (row, token, channel) or (trial, row, token, channel)
            Rows do not see each other.
        state : float tensor, shape (row, value) or (trial, token, value), optional
            What enters: for three axes of tokens, of each row; for four, of each token.
        mouse : str
            Whose behavior networks.

        Returns
        -------
        float tensor
            As the tokens.
        """
        for index in range(len(self.blocks)):
            tokens = self._pass(index, self._enter(index, tokens, state, mouse))
        return tokens

    def attention(
        self, tokens: Tensor, state: Tensor | None, *, mouse: str
    ) -> tuple[Tensor, Tensor]:
        """Return attention and answer at once.

        Parameters
        ----------
        tokens, state, mouse
            As for :meth:`forward`.

        Returns
        -------
        weights : float tensor, shape (row, block, head, token, token)
            Of all rows of all trials; rows of weights sum to one.
        tokens : float tensor
            As :meth:`forward` returns them.
        """
        weights = []
        for index, block in enumerate(self.blocks):
            tokens = self._enter(index, tokens, state, mouse)
            attending = cast(ParallelBlock | SequentialBlock, block)
            weights.append(attending.attention(tokens.flatten(0, -3)))
            tokens = self._pass(index, tokens)
        return torch.stack(weights, dim=1), tokens

    def _enter(self, index: int, tokens: Tensor, state: Tensor | None, mouse: str) -> Tensor:
        """Return what a block is given: tokens, and behavior added to them."""
        if state is None or not self.behavior:
            return tokens
        return tokens + self.behavior[index](state, mouse)

    def _pass(self, index: int, tokens: Tensor) -> Tensor:
        """Return the tokens after a block."""
        rows = self.blocks[index](tokens.flatten(0, -3))
        if index == 0 and self.positions is not None:
            rows = self.positions(rows)
        answer: Tensor = rows.view(tokens.shape)
        return answer


def _start_small(module: nn.Module) -> None:
    """Draw weights of linear maps from a narrow Gaussian, and start their biases at zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=INITIAL_SPREAD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
