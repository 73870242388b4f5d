"""The published core ``cct`` of the V1T image models in evaluation, as plain as its facts.

Nothing here is optimized and nothing is shared with the package: our own core is compared with
this one. Names of modules are the published ones, so that a published state dict loads strictly.
What is random in training (dropout, stochastic depth) is left out; ``nn.Identity`` stands where
the published code counts a layer without weights.

References
----------
``models.md`` 6.3 and 7.2 of our specification; names of keys and options were checked in
bryanlimy/V1T, ``src/v1t/models/core/cct.py`` (MIT licence).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from reference.v1t_image_vit import (
    BehaviorMLP,
    DropPath,
    Shape,
    behavior_inputs,
    feed_forward,
    find_shape,
    to_map,
)
from torch import Tensor, nn
from torch.nn import functional as F


def sine_positions(count: int, width: int) -> Tensor:
    """Return (1, count, width) fixed positions: sine at even channels, cosine at odd ones."""
    angles = np.array(
        [
            [place / 10000 ** (2 * (channel // 2) / width) for channel in range(width)]
            for place in range(count)
        ]
    )
    # The published code rounds the angles before it takes the sine.
    positions = torch.tensor(angles, dtype=torch.float32)
    positions[:, 0::2] = positions[:, 0::2].sin()
    positions[:, 1::2] = positions[:, 1::2].cos()
    return positions[None]


class ConvolutionalTokenizer(nn.Module):
    """Convolution, rectification and pooling; every pixel that is left becomes a token."""

    def __init__(self, args: dict[str, Any], input_shape: Shape) -> None:
        super().__init__()
        channels, height, width = input_shape
        size, stride, embedding = args["patch_size"], args["patch_stride"], args["emb_dim"]
        if args["pos_emb"] not in ("sine", "none"):
            raise ValueError(f"the published code fails with pos_emb {args['pos_emb']}")
        rows, columns = (
            ((side + 2 * 3 - size) // stride + 1 + 2 * 1 - 3) // 2 + 1 for side in (height, width)
        )
        self.count = rows * columns
        if args["pos_emb"] == "sine":
            self.register_buffer("pos_embedding", sine_positions(self.count, embedding))
        else:
            self.pos_embedding = None
        self.conv2d = nn.Conv2d(channels, embedding, size, stride, padding=3, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        pooled = F.max_pool2d(F.relu(self.conv2d(images)), 3, stride=2, padding=1)
        tokens = pooled.flatten(2).transpose(1, 2)
        return tokens if self.pos_embedding is None else tokens + self.pos_embedding


class NarrowAttention(nn.Module):
    """Attention whose heads share emb_dim // num_heads channels, scaled by that inner width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.inner, self.heads = width // heads, heads
        if self.inner % heads != 0:
            raise ValueError(f"{heads} heads do not divide the inner width {self.inner}")
        self.register_buffer("scale", torch.tensor(self.inner**-0.5))
        self.layer_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * self.inner, bias=False)
        self.projection = nn.Sequential(nn.Linear(self.inner, width), nn.Identity())

    def forward(self, tokens: Tensor) -> Tensor:
        queries, keys, values = self.qkv(self.layer_norm(tokens)).chunk(3, dim=2)
        width = self.inner // self.heads
        answers = []
        for head in range(self.heads):
            own = slice(head * width, (head + 1) * width)
            logits = (queries[:, :, own] * self.scale) @ keys[:, :, own].transpose(1, 2)
            answers.append(torch.softmax(logits, dim=2) @ values[:, :, own])
        return self.projection(torch.cat(answers, dim=2))


class CCTBlock(nn.Module):
    """One block of the compact convolutional transformer."""

    def __init__(self, args: dict[str, Any], drop_path: float) -> None:
        super().__init__()
        self.mha = NarrowAttention(args["emb_dim"], args["num_heads"])
        self.mlp = feed_forward(args["emb_dim"], int(args["mlp_dim"]))
        self.drop_path = DropPath(drop_path)
        self.b_mlp = BehaviorMLP(args, bias=True) if args["behavior_mode"] else None

    def forward(self, tokens: Tensor, mouse: str, values: Tensor) -> Tensor:
        if self.b_mlp is not None:
            tokens = tokens + self.b_mlp(values, mouse)[:, None]
        tokens = tokens + self.mha(tokens)
        return tokens + self.mlp(tokens)


class CCTTransformer(nn.Module):
    """The blocks, with stochastic depth that rises from 0 to the rate of the last one."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        # Rates of NumPy make the published constants double precision; a checkpoint shows it.
        rates = np.linspace(0, args["drop_path"], args["num_blocks"])
        self.blocks = nn.ModuleList(CCTBlock(args, rate) for rate in rates)


class CCT(nn.Module):
    """Compact convolutional transformer."""

    def __init__(self, args: dict[str, Any], input_shape: Shape) -> None:
        super().__init__()
        self.behavior_mode = args["behavior_mode"]
        self.register_buffer("reg_scale", torch.tensor(args["core_reg_scale"]))
        self.tokenizer = ConvolutionalTokenizer(args, input_shape)
        self.transformer = CCTTransformer(args)
        self.output_shape = (args["emb_dim"], *find_shape(self.tokenizer.count))

    def forward(self, images: Tensor, mouse: str, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        tokens = self.tokenizer(images)
        values = behavior_inputs(self.behavior_mode, behavior, pupil_center)
        for block in self.transformer.blocks:
            tokens = block(tokens, mouse, values)
        return to_map(tokens)
