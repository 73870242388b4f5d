"""V1T: a vision transformer that reads behavior in every block."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insilico.models.attention_maps import PatchPlaces
from insilico.models.cores.image_patches import PatchKind, build_patches, patch_grid
from insilico.models.cores.image_transformer import ImageTransformerCore
from insilico.models.cores.vit_blocks import AttentionDropout, BlockSizes, TransformerBlock


class VisionTransformerCore(ImageTransformerCore):
    """Patches with learned positions and a class token, through blocks whose heads are wide.

    Parameters
    ----------
    input_channels : int
        Channels of the image.
    image_px : (int, int)
        Rows and columns of the images that enter.
    patches : {"linear", "convolution", "shifted", "normalized"}
        How a patch becomes a token; see :mod:`insilico.models.cores.image_patches`.
    patch_px, stride_px : int
        Side of a patch and distance between neighbors, pixels.
    token_width : int
        Channels of a token, **and of each head** of the attention.
    blocks, heads, feedforward : int
        Number of blocks, of heads, and of hidden units of each feed-forward branch.
    local_attention : bool
        Whether each head learns its scale and no token attends to itself.
    has_bias : bool
        Whether linear maps of the blocks have a bias (those to queries, keys and values never do).
    state_count : int
        Variables of the state.
    state_enters_blocks : bool
        Whether the state enters every block, or as constant channels of the image.
    mice : tuple of str
        Mice that have each their own behavior networks; empty where all share one in each block.
    token_dropout, block_dropout, drop_path : float
        Probabilities to drop a value of a token, a value inside a block, and a whole branch of one
        image.
    attention_dropout : {"weights", "values"}
        What ``block_dropout`` drops inside the attention.
    compatibility : bool
        Whether the map has the published, guessed shape; see
        :func:`~insilico.models.cores.image_patches.guess_grid`.

    Raises
    ------
    ShapeError
        If patches do not fit the image.
    CheckpointError
        If there is no such kind of patches.

    References
    ----------
    Li et al. 2023, "V1T: large-scale mouse V1 response prediction using a vision transformer",
    arXiv:2302.03023; V1T, src/v1t/models/core/vit.py, and for movies ViV1T-closed-loop,
    viv1t/model/core/v1t.py.
    """

    def __init__(
        self,
        input_channels: int,
        *,
        image_px: tuple[int, int],
        patches: PatchKind = "linear",
        patch_px: int = 8,
        stride_px: int = 1,
        token_width: int = 155,
        blocks: int = 4,
        heads: int = 4,
        feedforward: int = 488,
        local_attention: bool = False,
        has_bias: bool = True,
        state_count: int = 0,
        state_enters_blocks: bool = True,
        mice: tuple[str, ...] = (),
        token_dropout: float = 0.0229,
        block_dropout: float = 0.2544,
        drop_path: float = 0.0,
        attention_dropout: AttentionDropout = "weights",
        compatibility: bool = False,
    ) -> None:
        grid = patch_grid(image_px, patch_px=patch_px, stride_px=stride_px)
        middle, stride, side = (patch_px - 1) / 2, float(stride_px), float(patch_px)
        super().__init__(
            image_px,
            PatchPlaces(grid, (middle, middle), (stride, stride), (side, side)),
            width=token_width,
            leading_tokens=1,
            state_enters_blocks=state_enters_blocks,
            guesses_grid=compatibility,
        )
        planes = 0 if state_enters_blocks else state_count
        self.patches = build_patches(
            patches, input_channels + planes, token_width, patch_px=patch_px, stride_px=stride_px
        )
        self.class_token = nn.Parameter(torch.randn(1, 1, token_width))
        self.positions = nn.Parameter(torch.randn(1 + grid[0] * grid[1], token_width))
        self.token_dropout = nn.Dropout(token_dropout)
        sizes = BlockSizes(
            width=token_width,
            heads=heads,
            head_width=token_width,
            scale=token_width**-0.5,
            feedforward=feedforward,
            is_local=local_attention,
            has_bias=has_bias,
            state_count=state_count - planes,
            mice=mice,
            dropout=block_dropout,
            attention_dropout=attention_dropout,
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(sizes, drop_path=drop_path) for _ in range(blocks)
        )

    def embed(self, images: Tensor) -> Tensor:
        """Return the tokens (image, token, channel) that enter the first block."""
        first = self.class_token.expand(len(images), -1, -1)
        tokens = torch.cat([first, self.patches(images)], dim=1) + self.positions
        embedded: Tensor = self.token_dropout(tokens)
        return embedded
