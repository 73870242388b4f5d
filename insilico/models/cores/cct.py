"""The compact convolutional transformer: tokens are pooled features of a convolution."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import CheckpointError, ShapeError
from insilico.models.attention_maps import PatchPlaces
from insilico.models.cores.image_transformer import ImageTransformerCore
from insilico.models.cores.position_encoding import sinusoid
from insilico.models.cores.vit_blocks import BlockSizes, TransformerBlock

TokenPositions = Literal["sine", "learned", "none"]

#: Zeros around the image; and kernel, stride and zeros of the pooling (V1T, cct.py).
PADDING_PX, POOL, POOL_STRIDE, POOL_PADDING = 3, 3, 2, 1
#: Spread of learned positions before training (V1T, cct.py).
LEARNED_SPREAD = 0.2


class CompactTransformerCore(ImageTransformerCore):
    """A convolution, rectified and pooled, whose pixels are the tokens of narrow-headed blocks.

    Parameters
    ----------
    input_channels : int
        Channels of the image.
    image_px : (int, int)
        Rows and columns of the images that enter.
    patch_px, stride_px : int
        Side of the convolution's kernels and their distance, pixels.
    token_width : int
        Channels of a token. All heads together have ``token_width // heads`` channels.
    blocks, heads, feedforward : int
        Number of blocks, of heads, and of hidden units of each feed-forward branch.
    positions : {"sine", "learned", "none"}
        What is added to the tokens.
    state_count : int
        Variables of the state.
    state_enters_blocks : bool
        Whether the state enters every block, or as constant channels of the image.
    mice : tuple of str
        Mice that have each their own behavior networks; empty where all share one in each block.
    token_dropout, block_dropout : float
        Probabilities to drop a value of a token, and a value inside a block.
    drop_path : float
        Probability to drop a whole branch of one image in the last block; it rises evenly from 0 in
        the first.
    compatibility : bool
        Whether logits are scaled by the width of all heads together, and the map has the published,
        guessed shape (24 by 24 where it is 18 by 32).

    Raises
    ------
    ShapeError
        If the heads cannot share the channels, or the image is smaller than a kernel.
    CheckpointError
        If there are no such positions.

    References
    ----------
    Hassani et al. 2021, "Escaping the big data paradigm with compact transformers",
    arXiv:2104.05704; V1T, src/v1t/models/core/cct.py (learned positions and behavior as channels
    fail there).
    """

    positions: Tensor | None

    def __init__(
        self,
        input_channels: int,
        *,
        image_px: tuple[int, int],
        patch_px: int = 8,
        stride_px: int = 1,
        token_width: int = 160,
        blocks: int = 4,
        heads: int = 4,
        feedforward: int = 488,
        positions: TokenPositions = "sine",
        state_count: int = 0,
        state_enters_blocks: bool = True,
        mice: tuple[str, ...] = (),
        token_dropout: float = 0.0229,
        block_dropout: float = 0.2544,
        drop_path: float = 0.0,
        compatibility: bool = False,
    ) -> None:
        rows, columns = (_pooled(size, patch_px, stride_px) for size in image_px)
        super().__init__(
            image_px,
            _token_places((rows, columns), patch_px, stride_px),
            width=token_width,
            leading_tokens=0,
            state_enters_blocks=state_enters_blocks,
            guesses_grid=compatibility,
        )
        planes = 0 if state_enters_blocks else state_count
        self.convolution = nn.Conv2d(
            input_channels + planes,
            token_width,
            patch_px,
            stride=stride_px,
            padding=PADDING_PX,
            bias=False,
        )
        nn.init.kaiming_normal_(self.convolution.weight)
        self._add_positions(positions, rows * columns)
        self.token_dropout = nn.Dropout(token_dropout)
        sizes = BlockSizes(
            width=token_width,
            heads=heads,
            head_width=(head_width := _head_width(token_width, heads)),
            scale=(head_width * (heads if compatibility else 1)) ** -0.5,
            feedforward=feedforward,
            state_count=state_count - planes,
            mice=mice,
            dropout=block_dropout,
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(sizes, drop_path=rate)
            for rate in torch.linspace(0, drop_path, blocks).tolist()
        )

    def _add_positions(self, kind: TokenPositions, count: int) -> None:
        if kind == "sine":
            table = sine_positions(count, self.output_channels)
            self.register_buffer("positions", table, persistent=False)
        elif kind == "learned":
            self.positions = nn.Parameter(torch.empty(count, self.output_channels))
            nn.init.trunc_normal_(self.positions, std=LEARNED_SPREAD)
        elif kind == "none":
            self.register_parameter("positions", None)
        else:
            raise CheckpointError(f"the option positions is {kind!r}; give sine, learned or none")

    def embed(self, images: Tensor) -> Tensor:
        """Return the tokens (image, token, channel) that enter the first block."""
        maps = F.relu(self.convolution(images))
        maps = F.max_pool2d(maps, POOL, stride=POOL_STRIDE, padding=POOL_PADDING)
        tokens = maps.flatten(2).transpose(1, 2)
        if self.positions is not None:
            tokens = tokens + self.positions
        embedded: Tensor = self.token_dropout(tokens)
        return embedded


def sine_positions(count: int, width: int) -> Tensor:
    """Return the waves of :func:`~insilico.models.cores.position_encoding.sinusoid`, as published.

    Parameters
    ----------
    count : int
        Number of tokens.
    width : int
        Channels of a token.

    Returns
    -------
    float tensor, shape (token, channel)
        Sines in even channels, cosines in odd ones.

    References
    ----------
    V1T, src/v1t/models/core/cct.py: angles in double precision.
    """
    return sinusoid(count, width, precision=torch.float64)


def _pooled(size: int, patch_px: int, stride_px: int) -> int:
    """Return how many tokens lie along one axis."""
    mapped = (size + 2 * PADDING_PX - patch_px) // stride_px + 1 if min(patch_px, stride_px) else 0
    if mapped < 1:
        raise ShapeError(
            f"kernels of {patch_px} px at a distance of {stride_px} px do not fit {size} px; give "
            "smaller ones, from 1"
        )
    return (mapped + 2 * POOL_PADDING - POOL) // POOL_STRIDE + 1


def _token_places(grid: tuple[int, int], patch_px: int, stride_px: int) -> PatchPlaces:
    """Return where the pixels of the image lie that a token is pooled from."""
    first = (patch_px - 1) / 2 - PADDING_PX - (POOL_PADDING - (POOL - 1) / 2) * stride_px
    stride = float(POOL_STRIDE * stride_px)
    side = float(patch_px + (POOL - 1) * stride_px)
    return PatchPlaces(grid, (first, first), (stride, stride), (side, side))


def _head_width(token_width: int, heads: int) -> int:
    inner = token_width // heads
    if inner < heads or inner % heads:
        raise ShapeError(
            f"{heads} heads share token_width // heads = {inner} channels; give a token_width that "
            "lets each have as many"
        )
    return inner // heads
