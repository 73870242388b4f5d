"""Transformer blocks of ViV1T: attention and feed-forward side by side, with rotary positions."""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.models.cores.drop_path import DropPath
from insilico.models.cores.kept_attention import attend
from insilico.models.cores.norms import NormKind, build_norm

ActivationKind = Literal["none", "tanh", "elu", "relu", "gelu", "silu", "swiglu"]

#: Base of the rotary frequencies, and the constants of the rotary scale (ViV1T-closed-loop,
#: viv1t/model/modules.py; Sun et al. 2022, "A length-extrapolatable transformer", for the scale).
ROTARY_BASE, SCALE_OFFSET, SCALE_LENGTH = 10_000.0, 0.4, 512.0


#: Keys and values of some tokens, each (row, head, token, channel).
KeysValues = tuple[Tensor, Tensor]


class GatedSiLU(nn.Module):
    """The second half of the channels, through SiLU, gates the first (Shazeer 2020, SwiGLU)."""

    def forward(self, values: Tensor) -> Tensor:
        """Return half as many channels."""
        value, gate = values.chunk(2, dim=-1)
        return F.silu(gate) * value


_ACTIVATIONS: dict[ActivationKind, type[nn.Module]] = {
    "none": nn.Identity,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swiglu": GatedSiLU,
}


def build_activation(kind: ActivationKind) -> nn.Module:
    """Return an activation by name."""
    return _ACTIVATIONS[kind]()


class RotaryEmbedding(nn.Module):
    """Turn pairs of channels by an angle that grows with a token's position.

    Queries and keys are also scaled, by a factor that differs among channels and changes with
    position: rising in queries and falling in keys, so that only the distance of two tokens
    counts (xPos). The published code lets both rise, so logits depend on where a pair is as well;
    and it does so where attention looks both ways, for which a factor that falls with distance into
    the past has no meaning. ``compatibility`` reproduces that.

    Parameters
    ----------
    width : int
        Channels of a head; even.
    length : int
        Tokens the positions are centered on. A longer sequence is centered on itself (the published
        code then keeps the longer one's center for all that follow, which makes answers depend on
        what was asked before).
    is_causal : bool
        Whether tokens look into the past only.
    compatibility : bool
        Whether to scale as the published code does.
    """

    tables: Tensor

    def __init__(self, width: int, length: int, *, is_causal: bool, compatibility: bool) -> None:
        super().__init__()
        self.width, self.length = width, length
        self.is_causal, self.compatibility = is_causal, compatibility
        self.register_buffer("tables", self._tables(length), persistent=False)

    def _tables(self, length: int) -> Tensor:
        """Return cosines and sines for queries, then for keys, (4, token, channel).

        Sines of the first half of the channels are negative: they meet the other half.
        In float32 throughout, as the published tables: at position 500 its rounding turns the angle
        by 3e-5, more than weights of that code would forgive.
        """
        pairs = torch.arange(0, self.width, 2).float() / self.width
        positions = torch.arange(length).float()
        angles = torch.outer(positions, 1 / ROTARY_BASE**pairs).repeat(1, 2)
        rises = (2 * torch.arange(self.width // 2) + SCALE_OFFSET * self.width) / (
            (1 + SCALE_OFFSET) * self.width
        )
        powers = (positions - length // 2)[:, None] / SCALE_LENGTH
        scale = (rises**powers).repeat(1, 2)
        query, key = torch.ones_like(scale), torch.ones_like(scale)
        if self.compatibility:
            query = key = scale
        elif self.is_causal:
            query, key = scale, 1 / scale
        sign = torch.tensor([-1.0, 1.0]).repeat_interleave(self.width // 2)
        turned = angles.cos(), sign * angles.sin()
        return torch.stack([part * factor for factor in (query, key) for part in turned])

    def forward(self, heads: Tensor, registers: int = 0, *, first: int = 0) -> Tensor:
        """Turn queries and keys.

        Parameters
        ----------
        heads : float tensor, shape (row, token, 2, head, channel)
            Queries and keys.
        registers : int
            How many of the last tokens have no position, and stay as they are.
        first : int
            Position of the first token.

        Returns
        -------
        float tensor
            Of the same shape.
        """
        stop = first + heads.shape[1] - registers
        tables = self.tables if stop <= self.length else self._tables(stop).to(self.tables)
        cosine, sine = (
            F.pad(tables[part::2, first:stop], (0, 0, 0, registers), value=1.0 - part)
            .transpose(0, 1)
            .unsqueeze(2)
            for part in (0, 1)
        )
        other = heads.reshape(*heads.shape[:-1], 2, -1).flip(-2).flatten(-2)
        return torch.addcmul(heads * cosine, other, sine).to(heads.dtype)


class ParallelBlock(nn.Module):
    """``x + attention(norm(x)) + feedforward(norm(x))``, from one linear map.

    Parameters
    ----------
    width : int
        Channels of a token.
    heads, head_width : int
        Number of heads, and channels of each.
    feedforward : int
        Hidden channels of the feed-forward part.
    feedforward_activation : str
        Of the feed-forward part; "swiglu" doubles its channels before it.
    norm : {"layernorm", "rmsnorm", "dyt"}
        Of the block's input, and where asked of queries and keys.
    normalizes_queries : bool
        Whether queries and keys are normalized over all heads together.
    is_causal : bool
        Whether a token sees only itself and earlier ones.
    rotary : RotaryEmbedding, optional
        Positions of tokens.
    attention_dropout, feedforward_dropout, drop_path : float
        Probabilities: of an element of the heads' output, of a hidden channel, of a whole row of
        either branch.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/vivit.py; Dehghani et al. 2023, "Scaling vision transformers
    to 22 billion parameters", for the parallel form.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        head_width: int,
        feedforward: int,
        feedforward_activation: ActivationKind = "relu",
        norm: NormKind = "layernorm",
        normalizes_queries: bool = False,
        is_causal: bool = False,
        rotary: RotaryEmbedding | None = None,
        attention_dropout: float = 0.0,
        feedforward_dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.head_width, self.is_causal = heads, head_width, is_causal
        inner = heads * head_width
        hidden = feedforward * (2 if feedforward_activation == "swiglu" else 1)
        self.splits = 2 * inner, inner, hidden
        self.norm = build_norm(norm, width)
        self.fused = nn.Linear(width, sum(self.splits), bias=False)
        if normalizes_queries:
            self.query_norm, self.key_norm = build_norm(norm, inner), build_norm(norm, inner)
        self.normalizes_queries = normalizes_queries
        self.rotary = rotary
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.attention_output = nn.Linear(inner, width, bias=False)
        self.activation = build_activation(feedforward_activation)
        self.feedforward_dropout = nn.Dropout(feedforward_dropout)
        self.feedforward_output = nn.Linear(feedforward, width, bias=False)
        self.drop_path = DropPath(drop_path)
        for linear in (self.fused, self.attention_output, self.feedforward_output):
            nn.init.trunc_normal_(linear.weight, std=0.02, a=-2.0, b=2.0)

    def forward(self, tokens: Tensor, registers: int = 0, *, asked: Tensor | None = None) -> Tensor:
        """Return the tokens after the block.

        Parameters
        ----------
        tokens : float tensor, shape (row, token, channel)
            Rows do not see each other.
        registers : int
            How many of the last tokens have no position.
        asked : int64 tensor, shape (asked token,), optional
            Which tokens are returned, all when left out; not under a causal mask.

        Returns
        -------
        float tensor, shape (row, token, channel)
        """
        query, key, value, hidden = self._project(tokens, registers)
        if asked is not None:
            tokens, hidden, query = tokens[:, asked], hidden[:, asked], query[:, :, asked]
        attended = attend(query, key, value, is_causal=self.is_causal)
        return self._join(tokens, attended, hidden)

    def follow(self, tokens: Tensor, before: KeysValues | None) -> tuple[Tensor, KeysValues]:
        """Return tokens after the block, under a causal mask, that follow on others.

        Parameters
        ----------
        tokens : float tensor, shape (row, token, channel)
            The later tokens.
        before : pair of float tensor, shape (group, head, earlier token, channel), or None
            Keys and values of the earlier ones; rows repeat the groups in order.

        Returns
        -------
        tokens : float tensor, shape (row, token, channel)
        keys_values : pair of float tensor, shape (row, head, token, channel)
            Of the later tokens alone.
        """
        first = 0 if before is None else before[0].shape[2]
        query, key, value, hidden = self._project(tokens, 0, first=first)
        keys, values, mask = key, value, None
        if before is not None:
            repeats = len(tokens) // len(before[0])
            keys, values = (
                torch.cat([earlier.repeat(repeats, 1, 1, 1).to(later.dtype), later], dim=2)
                for earlier, later in zip(before, (key, value), strict=True)
            )
            seen = first + tokens.shape[1]
            mask = torch.ones(tokens.shape[1], seen, dtype=torch.bool, device=tokens.device)
            mask = mask.tril(first)
        attended = attend(query, keys, values, attn_mask=mask, is_causal=mask is None)
        return self._join(tokens, attended, hidden), (key, value)

    def _join(self, tokens: Tensor, attended: Tensor, hidden: Tensor) -> Tensor:
        """Add what attention and the feed-forward part found to the tokens."""
        merged = self.attention_dropout(attended.transpose(1, 2).flatten(2))
        hidden = self.feedforward_dropout(self.activation(hidden))
        tokens = tokens + self.drop_path(self.attention_output(merged))
        return tokens + self.drop_path(self.feedforward_output(hidden))

    def attention(self, tokens: Tensor, registers: int = 0) -> Tensor:
        """Return the attention weights (row, head, token, token): rows sum to one."""
        query, key, _, _ = self._project(tokens, registers)
        logits = query @ key.transpose(2, 3) * self.head_width**-0.5
        if self.is_causal:
            ahead = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1)
            logits = logits.masked_fill(ahead, -torch.inf)
        return logits.softmax(dim=-1)

    def _project(
        self, tokens: Tensor, registers: int, *, first: int = 0
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return queries, keys and values (row, head, token, channel), and the hidden channels."""
        paired, value, hidden = self.fused(self.norm(tokens)).split(self.splits, dim=-1)
        if self.normalizes_queries:
            query, key = paired.chunk(2, dim=-1)
            paired = torch.cat([self.query_norm(query), self.key_norm(key)], dim=-1)
        rows, count, _ = tokens.shape
        heads = paired.view(rows, count, 2, self.heads, self.head_width)
        if self.rotary is not None:
            heads = self.rotary(heads, registers, first=first)
        query, key = heads.permute(2, 0, 3, 1, 4)
        value = value.view(rows, count, self.heads, self.head_width).transpose(1, 2)
        return query, key, value, hidden


class RegisteredTransformer(nn.Module):
    """Blocks over tokens and, at the end of each row, registers that are dropped afterwards.

    Parameters
    ----------
    depth : int
        Number of blocks.
    width : int
        Channels of a token.
    length : int
        Tokens of a row, for the center of rotary positions.
    registers : int
        Number of learned registers.
    is_causal, has_rotary, compatibility : bool
        As for :class:`ParallelBlock` and :class:`RotaryEmbedding`.
    others
        As for :class:`ParallelBlock`.

    Attributes
    ----------
    registers : float parameter, shape (register, channel), or None
        Under a causal mask no token comes after them, so none sees them and they are left out; they
        stay parameters, because published weights have them.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        *,
        length: int,
        registers: int,
        is_causal: bool,
        has_rotary: bool,
        compatibility: bool,
        **block: object,
    ) -> None:
        super().__init__()
        head_width = block["head_width"]
        rotary = (
            RotaryEmbedding(
                head_width,  # type: ignore[arg-type]
                length,
                is_causal=is_causal,
                compatibility=compatibility,
            )
            if has_rotary
            else None
        )
        self.is_causal = is_causal
        self.registers = nn.Parameter(torch.randn(registers, width)) if registers else None
        self.blocks: nn.ModuleList = nn.ModuleList(
            ParallelBlock(width, is_causal=is_causal, rotary=rotary, **block)  # type: ignore[arg-type]
            for _ in range(depth)
        )

    @property
    def register_count(self) -> int:
        """Registers that take part."""
        return 0 if self.is_causal or self.registers is None else len(self.registers)

    def forward(self, tokens: Tensor, *, asked: Tensor | None = None) -> Tensor:
        """Return ``tokens`` (row, token, channel) after all blocks; some of them where asked."""
        count = tokens.shape[1]
        tokens = self._with_registers(tokens)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            chosen = asked if index == last else None
            tokens = block(tokens, self.register_count, asked=chosen)
        return tokens[:, :count] if asked is None or last < 0 else tokens

    def remember(self, tokens: Tensor) -> list[KeysValues]:
        """Return the keys and values of ``tokens`` in every block, under a causal mask."""
        kept = []
        for block in self.blocks:
            tokens, keys_values = cast(ParallelBlock, block).follow(tokens, None)
            kept.append(keys_values)
        return kept

    def follow(self, tokens: Tensor, before: list[KeysValues]) -> Tensor:
        """Return ``tokens`` after all blocks that follow on others; see :meth:`remember`."""
        for block, earlier in zip(self.blocks, before, strict=True):
            tokens, _ = cast(ParallelBlock, block).follow(tokens, earlier)
        return tokens

    def attention(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return attention and answer at once.

        Returns
        -------
        weights : float tensor, shape (row, block, head, token, token)
            Without registers, so that rows sum to one or less.
        tokens : float tensor, shape (row, token, channel)
            As :meth:`forward` returns them.
        """
        count = tokens.shape[1]
        tokens = self._with_registers(tokens)
        weights = []
        for block in self.blocks:
            found = cast(ParallelBlock, block).attention(tokens, self.register_count)
            weights.append(found[..., :count, :count])
            tokens = block(tokens, self.register_count)
        return torch.stack(weights, dim=1), tokens[:, :count]

    def _with_registers(self, tokens: Tensor) -> Tensor:
        if self.registers is None or self.is_causal:
            return tokens
        return torch.cat([tokens, self.registers.expand(len(tokens), -1, -1)], dim=1)
