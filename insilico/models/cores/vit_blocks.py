"""Blocks of the image transformers: behavior, attention and feed-forward, each added in turn."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.models.cores.drop_path import DropPath

#: What dropout of the attention sets to zero: single weights of the softmax, or single values of
#: what the heads answer.
AttentionDropout = Literal["weights", "values"]

#: Key of the behavior network that all mice share.
SHARED = "shared"
#: Fused attention works on so many channels at a time: heads are padded with zeros to a multiple.
#: On a CPU 155 channels get 6 % faster, 14 % with gradients, and narrow heads slower; a GPU has no
#: fused kernel for such widths (PyTorch, sdp_utils.cpp, ``minimum_gemm_alignment``).
CHANNELS_AT_ONCE, WIDE_HEAD = 16, 64
#: Spread of every linear map of a block before training (V1T, src/v1t/models/core/vit.py).
INITIAL_SPREAD = 0.02


@dataclasses.dataclass(frozen=True)
class BlockSizes:
    """What every block of one transformer is built from.

    Parameters
    ----------
    width : int
        Channels of a token.
    heads, head_width : int
        Attention heads, and channels of each.
    scale : float
        Factor of the logits of the attention, and where it is learned its first value.
    feedforward : int
        Hidden units of the feed-forward branch.
    is_local : bool
        Whether each head learns its scale and no token attends to itself.
    has_bias : bool
        Whether linear maps but those to queries, keys and values have a bias.
    state_count : int
        Variables of the state that enters the blocks; 0 where none does.
    mice : tuple of str
        Mice that have each their own behavior network; empty where all share one.
    dropout : float
        Probability, in both branches.
    attention_dropout : {"weights", "values"}
        What is dropped inside the attention.
    """

    width: int
    heads: int
    head_width: int
    scale: float
    feedforward: int
    is_local: bool = False
    has_bias: bool = True
    state_count: int = 0
    mice: tuple[str, ...] = ()
    dropout: float = 0.0
    attention_dropout: AttentionDropout = "weights"


class SelfAttention(nn.Module):
    """Every token asks all tokens, after a layer norm.

    Fused attention is used throughout: on one CPU core, 1,654 tokens and four heads of 155 channels
    took 105 ms an image, which is what the multiplications alone take, against 190 ms for a
    softmax that is written to memory.

    References
    ----------
    V1T, src/v1t/models/core/vit.py and cct.py; Lee et al. 2021, "Vision transformer for small-size
    datasets", arXiv:2112.13492, for local attention.
    """

    def __init__(self, sizes: BlockSizes) -> None:
        super().__init__()
        self.heads, self.head_width = sizes.heads, sizes.head_width
        self.is_local = sizes.is_local
        self.dropped = sizes.attention_dropout
        inner = sizes.heads * sizes.head_width
        self.norm = nn.LayerNorm(sizes.width)
        self.queries_keys_values = nn.Linear(sizes.width, 3 * inner, bias=False)
        self.project = nn.Linear(inner, sizes.width, bias=sizes.has_bias)
        self.dropout = nn.Dropout(sizes.dropout)
        self.fixed_scale = sizes.scale
        if sizes.is_local:
            self.scale = nn.Parameter(torch.full((sizes.heads,), sizes.scale))

    def forward(self, tokens: Tensor, asking: Tensor | None = None) -> Tensor:
        """Return what is added to the tokens.

        Parameters
        ----------
        tokens : float tensor, shape (image, token, channel)
            All tokens.
        asking : int64 tensor, shape (token,), optional
            Which of them ask; all when left out.

        Returns
        -------
        float tensor, shape (image, asking token, channel)
        """
        queries, keys, values = self._heads(self.norm(tokens), asking)
        drops_weights = self.training and self.dropped == "weights"
        if self.is_local:
            queries = queries * self.scale[:, None, None]
        answers = F.scaled_dot_product_attention(
            self._pad(queries),
            self._pad(keys),
            self._pad(values),
            attn_mask=self._others(tokens, asking) if self.is_local else None,
            dropout_p=self.dropout.p if drops_weights else 0.0,
            scale=1.0 if self.is_local else self.fixed_scale,
        )[..., : self.head_width]
        if self.dropped == "values":
            answers = self.dropout(answers)
        projected: Tensor = self.dropout(self.project(answers.transpose(1, 2).flatten(2)))
        return projected

    def weights(self, tokens: Tensor) -> Tensor:
        """Return how much each token attends to each in evaluation, (image, head, token, token)."""
        queries, keys, _ = self._heads(self.norm(tokens), None)
        scale = self.scale[:, None, None] if self.is_local else self.fixed_scale
        logits = (queries * scale) @ keys.transpose(-1, -2)
        if self.is_local:
            logits.diagonal(dim1=-2, dim2=-1).fill_(-torch.inf)
        return logits.softmax(dim=-1)

    def _heads(self, normed: Tensor, asking: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (image, head, token, channel)."""
        if asking is None:
            parts = self.queries_keys_values(normed).chunk(3, dim=-1)
        else:
            inner = self.heads * self.head_width
            weight = self.queries_keys_values.weight
            asked = F.linear(normed[:, asking], weight[:inner])
            parts = asked, *F.linear(normed, weight[inner:]).chunk(2, dim=-1)
        queries, keys, values = (
            part.view(*part.shape[:2], self.heads, self.head_width).transpose(1, 2)
            for part in parts
        )
        return queries, keys, values

    def _pad(self, heads: Tensor) -> Tensor:
        if heads.device.type == "cpu" and self.head_width < WIDE_HEAD:
            return heads
        return F.pad(heads, (0, -self.head_width % CHANNELS_AT_ONCE))

    def _others(self, tokens: Tensor, asking: Tensor | None) -> Tensor:
        """Return which tokens each asking token may see: all but itself, (asking token, token)."""
        every = torch.arange(tokens.shape[1], device=tokens.device)
        return (every if asking is None else asking)[:, None] != every


class FeedForward(nn.Module):
    """Two linear maps of each token around a GELU, after a layer norm."""

    def __init__(self, sizes: BlockSizes) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.width)
        self.expand = nn.Linear(sizes.width, sizes.feedforward, bias=sizes.has_bias)
        self.contract = nn.Linear(sizes.feedforward, sizes.width, bias=sizes.has_bias)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return what is added to the tokens (image, token, channel)."""
        hidden = self.dropout(F.gelu(self.expand(self.norm(tokens))))
        branch: Tensor = self.dropout(self.contract(hidden))
        return branch


class BehaviorNetwork(nn.Module):
    """From the state to one vector in [-1, 1], the same for all tokens of an image.

    References
    ----------
    V1T, src/v1t/models/core/vit.py: half as many hidden units as a token has channels.
    """

    def __init__(self, sizes: BlockSizes) -> None:
        super().__init__()
        self.is_shared = not sizes.mice
        hidden = sizes.width // 2
        self.networks = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(sizes.state_count, hidden, bias=sizes.has_bias),
                    nn.Tanh(),
                    nn.Linear(hidden, sizes.width, bias=sizes.has_bias),
                    nn.Tanh(),
                )
                for name in sizes.mice or (SHARED,)
            }
        )

    def forward(self, state: Tensor, mouse: str) -> Tensor:
        """Return the vector (image, 1, channel) of a state (image, variable)."""
        vector: Tensor = self.networks[SHARED if self.is_shared else mouse](state)
        return vector[:, None]


class TransformerBlock(nn.Module):
    """Behavior, attention and feed-forward, each added to the tokens in turn.

    Parameters
    ----------
    sizes : BlockSizes
        What it is built from.
    drop_path : float
        Probability that an image leaves out a branch in training.

    References
    ----------
    Li et al. 2023, "V1T: large-scale mouse V1 response prediction using a vision transformer",
    arXiv:2302.03023; V1T, src/v1t/models/core/vit.py and cct.py.
    """

    def __init__(self, sizes: BlockSizes, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.behavior = BehaviorNetwork(sizes) if sizes.state_count else None
        self.attention = SelfAttention(sizes)
        self.feedforward = FeedForward(sizes)
        self.drop_path = DropPath(drop_path)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=INITIAL_SPREAD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(
        self,
        tokens: Tensor,
        state: Tensor | None = None,
        asking: Tensor | None = None,
        *,
        mouse: str = "",
    ) -> Tensor:
        """Return the tokens after the block.

        Parameters
        ----------
        tokens : float tensor, shape (image, token, channel)
            All tokens.
        state : float tensor, shape (image, variable), optional
            What the behavior network reads, where there is one.
        asking : int64 tensor, shape (token,), optional
            Which tokens are asked for; all when left out.
        mouse : str
            Whose behavior network.

        Returns
        -------
        float tensor, shape (image, asked token, channel)
        """
        tokens = self.enter(tokens, state, mouse=mouse)
        kept = tokens if asking is None else tokens[:, asking]
        kept = kept + self.drop_path(self.attention(tokens, asking))
        answer: Tensor = kept + self.drop_path(self.feedforward(kept))
        return answer

    def enter(self, tokens: Tensor, state: Tensor | None, *, mouse: str) -> Tensor:
        """Add behavior to the tokens: what the attention is given."""
        if self.behavior is None or state is None:
            return tokens
        entered: Tensor = tokens + self.behavior(state, mouse)
        return entered
