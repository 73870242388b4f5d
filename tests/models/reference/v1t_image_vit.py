"""The published core ``vit`` of the V1T image models in evaluation, as plain as its facts.

Nothing here is optimized and nothing is shared with the package: our own core is compared with
this one. Names of modules are the published ones, so that a published state dict loads strictly.
What is random in training (dropout, stochastic depth) is left out; ``nn.Identity`` stands where
the published code counts a layer without weights.

References
----------
``models.md`` 6.2 and 7.2 of our specification; names of keys and options were checked in
bryanlimy/V1T, ``src/v1t/models/core/vit.py`` (MIT licence).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

#: Image channels, rows and columns that enter a core.
Shape = tuple[int, int, int]


def find_shape(patches: int) -> tuple[int, int]:
    """Guess rows and columns from the number of patches, as the published code does.

    Rows start at the rounded-up square root and fall until they divide the patches, whatever the
    true grid is: 1,653 patches are 29 x 57, and 120 patches of a grid of 8 x 15 become 10 x 12.
    """
    rows = math.ceil(math.sqrt(patches))
    while patches % rows != 0:
        rows -= 1
    return rows, patches // rows


def to_map(tokens: Tensor) -> Tensor:
    """Lay (trial, token, channel) out as (trial, channel, y, x) on the guessed grid."""
    trials, count, channels = tokens.shape
    rows, columns = find_shape(count)
    return tokens.transpose(1, 2).reshape(trials, channels, rows, columns)


def behavior_inputs(mode: int, behavior: Tensor, pupil_center: Tensor) -> Tensor:
    """Return the 3 (mode 2) or 5 (modes 3 and 4) values that the behavior network reads."""
    return behavior if mode == 2 else torch.cat([behavior, pupil_center], dim=1)


class BehaviorMLP(nn.Module):
    """Behavior to one vector of the embedding: shared, or one network a mouse in mode 4."""

    def __init__(self, args: dict[str, Any], *, bias: bool) -> None:
        super().__init__()
        mode, width = args["behavior_mode"], args["emb_dim"]
        if mode not in (2, 3, 4):
            raise ValueError(f"the published behavior network does not exist in mode {mode}")
        self.separate = mode == 4
        names = list(args["output_shapes"]) if self.separate else ["share"]
        inputs = 3 if mode == 2 else 5
        self.models = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(inputs, width // 2, bias=bias),
                    nn.Tanh(),
                    nn.Identity(),
                    nn.Linear(width // 2, width, bias=bias),
                    nn.Tanh(),
                )
                for name in names
            }
        )

    def forward(self, values: Tensor, mouse: str) -> Tensor:
        return self.models[mouse if self.separate else "share"](values)


class DropPath(nn.Module):
    """Stochastic depth; in evaluation only the constant that the checkpoint carries."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.register_buffer("keep_prop", torch.tensor(1 - rate))


class Patches(nn.Module):
    """Square windows in raster order, each flattened channel by channel, row by row."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, images: Tensor) -> Tensor:
        windows = images.unfold(2, self.size, self.stride).unfold(3, self.size, self.stride)
        # (trial, channel, row, column, y, x) -> (trial, row x column, channel x y x x)
        return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


class Raster(nn.Module):
    """(trial, channel, y, x) to (trial, y x x, channel)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(2).transpose(1, 2)


class ShiftedImages(nn.Module):
    """The image and four copies moved diagonally by half a patch, zero where nothing moved in."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.pixels = size // 2

    def forward(self, images: Tensor) -> Tensor:
        down_right, down_left, up_right, up_left = (1, 1), (1, -1), (-1, 1), (-1, -1)
        moved = [self._move(images, *way) for way in (down_right, down_left, up_right, up_left)]
        return torch.cat([images, *moved], dim=1)

    def _move(self, images: Tensor, down: int, right: int) -> Tensor:
        pixels, (height, width) = self.pixels, images.shape[2:]
        framed = nn.functional.pad(images, [pixels] * 4)
        top, left = pixels - down * pixels, pixels - right * pixels
        return framed[:, :, top : top + height, left : left + width]


class PatchEmbedding(nn.Module):
    """Patches to tokens, one CLS token before them, a learned position on each."""

    def __init__(self, args: dict[str, Any], input_shape: Shape) -> None:
        super().__init__()
        channels, height, width = input_shape
        size, stride, embedding = args["patch_size"], args["patch_stride"], args["emb_dim"]
        values = channels * size**2
        # The published layer norm of mode 2 counts channels + 4 images, right for one channel.
        if args["patch_mode"] == 2 and channels != 1:
            raise ValueError("the published patch_mode 2 fails on images of several channels")
        layers: dict[int, list[nn.Module]] = {
            0: [Patches(size, stride), nn.Identity(), nn.Linear(values, embedding)],
            1: [nn.Conv2d(channels, embedding, size, stride), Raster()],
            2: [
                ShiftedImages(size),
                Patches(size, stride),
                nn.Identity(),
                nn.LayerNorm(5 * values),
                nn.Linear(5 * values, embedding),
            ],
            3: [
                Patches(size, stride),
                nn.Identity(),
                nn.LayerNorm(values),
                nn.Linear(values, embedding),
                nn.LayerNorm(embedding),
            ],
        }
        self.count = ((height - size) // stride + 1) * ((width - size) // stride + 1)
        self.cls_token = nn.Parameter(torch.randn(1, 1, embedding))
        self.pos_embedding = nn.Parameter(torch.randn(self.count + 1, embedding))
        self.projection = nn.Sequential(*layers[args["patch_mode"]])

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.projection(images)
        cls = self.cls_token.expand(len(tokens), 1, -1)
        return torch.cat([cls, tokens], dim=1) + self.pos_embedding


class WideAttention(nn.Module):
    """Attention of heads that are each as wide as the whole embedding."""

    def __init__(self, args: dict[str, Any], tokens: int) -> None:
        super().__init__()
        width, self.heads = args["emb_dim"], args["num_heads"]
        self.local = args["use_lsa"]
        if self.local:
            self.scale = nn.Parameter(torch.full((self.heads,), width**-0.5))
            diagonal = torch.arange(tokens)
            self.register_buffer("mask", torch.stack([diagonal, diagonal], dim=1))
            self.register_buffer("max_value", torch.tensor(torch.finfo(torch.float32).max))
        else:
            self.register_buffer("scale", torch.tensor(width**-0.5))
        self.layer_norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * self.heads * width, bias=False)
        bias = not args["disable_bias"]
        self.projection = nn.Sequential(
            nn.Linear(self.heads * width, width, bias=bias), nn.Identity()
        )

    def forward(self, tokens: Tensor) -> Tensor:
        queries, keys, values = self.to_qkv(self.layer_norm(tokens)).chunk(3, dim=2)
        width = tokens.shape[2]
        scales = self.scale.expand(self.heads)
        answers = []
        for head in range(self.heads):
            own = slice(head * width, (head + 1) * width)
            logits = queries[:, :, own] @ keys[:, :, own].transpose(1, 2) * scales[head]
            if self.local:
                diagonal = torch.eye(tokens.shape[1], dtype=torch.bool)
                logits = logits.masked_fill(diagonal, -torch.finfo(torch.float32).max)
            answers.append(torch.softmax(logits, dim=2) @ values[:, :, own])
        return self.projection(torch.cat(answers, dim=2))


class FeedForward(nn.Module):
    """Layer norm and two linear layers around a GELU."""

    def __init__(self, width: int, hidden: int, *, bias: bool) -> None:
        super().__init__()
        self.model = feed_forward(width, hidden, bias=bias)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens)


def feed_forward(width: int, hidden: int, *, bias: bool = True) -> nn.Sequential:
    """Return the layers of a feed-forward branch, numbered as published."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden, bias=bias),
        nn.GELU(),
        nn.Identity(),
        nn.Linear(hidden, width, bias=bias),
        nn.Identity(),
    )


class ViTTransformer(nn.Module):
    """Blocks of behavior, attention and feed-forward, each added to the tokens."""

    def __init__(self, args: dict[str, Any], tokens: int) -> None:
        super().__init__()
        bias = not args["disable_bias"]
        self.blocks = nn.ModuleList()
        for _ in range(args["num_blocks"]):
            block = nn.ModuleDict()
            block["mha"] = WideAttention(args, tokens)
            block["mlp"] = FeedForward(args["emb_dim"], args["mlp_dim"], bias=bias)
            if args["behavior_mode"] in (2, 3, 4):
                block["b-mlp"] = BehaviorMLP(args, bias=bias)
            self.blocks.append(block)
        self.drop_path = DropPath(args["drop_path"])

    def forward(self, tokens: Tensor, mouse: str, values: Tensor) -> Tensor:
        for block in self.blocks:
            if "b-mlp" in block:
                tokens = tokens + block["b-mlp"](values, mouse)[:, None]
            tokens = tokens + block["mha"](tokens)
            tokens = tokens + block["mlp"](tokens)
        return tokens


class ViT(nn.Module):
    """The core called V1T: a vision transformer that reads behavior in every block."""

    def __init__(self, args: dict[str, Any], input_shape: Shape) -> None:
        super().__init__()
        self.behavior_mode = args["behavior_mode"]
        self.register_buffer("reg_scale", torch.tensor(args["core_reg_scale"]))
        self.patch_embedding = PatchEmbedding(args, input_shape)
        self.transformer = ViTTransformer(args, self.patch_embedding.count + 1)
        self.output_shape = (args["emb_dim"], *find_shape(self.patch_embedding.count))

    def forward(self, images: Tensor, mouse: str, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        values = behavior_inputs(self.behavior_mode, behavior, pupil_center)
        tokens = self.transformer(self.patch_embedding(images), mouse, values)
        return to_map(tokens[:, 1:])
