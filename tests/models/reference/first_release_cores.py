"""The cores of the first release of ViV1T (Sensorium 2023), written plainly to compare against.

Every formula is spelled out and nothing is fast: patches are cut one at a time, attention is an
explicit softmax. Evaluation mode only: there is no dropout and no stochastic depth here, since
their random numbers cannot be compared. The modules carry the published names, so a state dict has
the published keys. Where the released code computes something odd, so does this ("as released").
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def indexed(**children: nn.Module) -> nn.ModuleDict:
    """Children named by their position in a published sequence: ``indexed(_1=..., _4=...)``."""
    return nn.ModuleDict({name.lstrip("_"): child for name, child in children.items()})


def constant(module: nn.Module, name: str, value: float) -> None:
    """A number that the published files carry beside the weights."""
    module.register_buffer(name, torch.tensor(value))


def guessed_grid(tokens: int) -> tuple[int, int]:
    """Rows and columns as released: guessed from their product, right or wrong."""
    rows = math.ceil(math.sqrt(tokens))
    while tokens % rows:
        rows -= 1
    return rows, tokens // rows


def windows(size: int, patch: int, stride: int) -> int:
    """How many patches fit without padding."""
    return (size - patch) // stride + 1


def planes(values: Tensor, height: int, width: int) -> Tensor:
    """Each variable as a constant picture: (trial, variable, frame) to (..., frame, y, x)."""
    return values[..., None, None].expand(*values.shape, height, width)


def sinusoid(positions: int, width: int) -> Tensor:
    """Sine in even channels, cosine in odd ones: (position, channel)."""
    table = torch.zeros(positions, width)
    for channel in range(0, width, 2):
        frequency = math.exp(-channel * math.log(10_000.0) / width)
        angle = torch.arange(positions) * frequency
        table[:, channel] = torch.sin(angle)
        table[:, channel + 1] = torch.cos(angle)
    return table


class Positions(nn.Module):
    """A saved table under ``pos_encoding``."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("pos_encoding", table)


class Tokenizer(nn.Module):
    def __init__(self, args: dict[str, Any], channels: int) -> None:
        super().__init__()
        width, self.mode = args["core_emb_dim"], args["core_patch_mode"]
        self.patch, self.stride = args["core_spatial_patch_size"], args["core_spatial_patch_stride"]
        self.frames = args["core_temporal_patch_size"]
        self.frame_stride = args["core_temporal_patch_stride"]
        numbers = channels * self.frames * self.patch**2
        if self.mode == 0:
            self.tokenizer = indexed(
                _1=nn.LayerNorm(numbers), _2=nn.Linear(numbers, width), _3=nn.LayerNorm(width)
            )
        elif self.mode == 2:
            kernel = (self.frames, self.patch, self.patch)
            stride = (self.frame_stride, self.stride, self.stride)
            self.tokenizer = indexed(
                _0=nn.Conv3d(channels, width, kernel, stride), _2=nn.LayerNorm(width)
            )
        else:
            raise ValueError(f"patch mode {self.mode} of the first release cannot be run")
        _, _, height, columns = args["input_shapes"]["video"]
        self.tokens = windows(height, self.patch, self.stride) * windows(
            columns, self.patch, self.stride
        )
        self._add_positions(args, width)

    def _add_positions(self, args: dict[str, Any], width: int) -> None:
        self.positions = args["core_pos_encoding"]
        most = windows(args["max_frame"], self.frames, self.frame_stride)
        if self.positions == 1:
            self.pos_embedding = nn.Parameter(torch.randn(1, most, self.tokens, width))
        if self.positions in (3, 4):
            self.spatial_pos_embedding = nn.Parameter(torch.randn(1, 1, self.tokens, width))
        if self.positions == 3:
            self.temporal_pos_embedding = nn.Parameter(torch.randn(1, most, 1, width))
        if self.positions == 5:
            self.spatial_pos_embedding = Positions(sinusoid(self.tokens, width)[None, None])
        if self.positions in (4, 5):
            self.temporal_pos_encoding = Positions(sinusoid(300, width)[None, :, None])

    def patches(self, stimulus: Tensor) -> Tensor:
        """(trial, channel, frame, y, x) to (trial, answer, token, number)."""
        trials, _, frames, height, width = stimulus.shape
        answers = []
        for t in range(0, frames - self.frames + 1, self.frame_stride):
            tokens = []
            for y in range(0, height - self.patch + 1, self.stride):
                for x in range(0, width - self.patch + 1, self.stride):
                    cube = stimulus[
                        :, :, t : t + self.frames, y : y + self.patch, x : x + self.patch
                    ]
                    tokens.append(cube.reshape(trials, -1))
            answers.append(torch.stack(tokens, dim=1))
        return torch.stack(answers, dim=1)

    def forward(self, stimulus: Tensor) -> Tensor:
        steps = self.tokenizer
        if self.mode == 0:
            tokens = steps["3"](steps["2"](steps["1"](self.patches(stimulus))))
        else:
            tokens = steps["2"](steps["0"](stimulus).flatten(3).permute(0, 2, 3, 1))
        answers = tokens.shape[1]
        if self.positions == 1:
            tokens = tokens + self.pos_embedding[:, :answers]
        if self.positions in (3, 4):
            tokens = tokens + self.spatial_pos_embedding
        if self.positions == 3:
            tokens = tokens + self.temporal_pos_embedding[:, :answers]
        if self.positions == 5:
            tokens = tokens + self.spatial_pos_embedding.pos_encoding
        if self.positions in (4, 5):
            tokens = tokens + self.temporal_pos_encoding.pos_encoding[:, :answers]
        return tokens


def attend(query: Tensor, key: Tensor, value: Tensor, *, heads: int, scale: float) -> Tensor:
    """Softmax attention of (sequence, token, head and channel) tensors, one head at a time."""
    size = query.shape[-1] // heads
    answers = []
    for head in range(heads):
        channels = slice(head * size, (head + 1) * size)
        logits = query[..., channels] @ key[..., channels].transpose(1, 2) * scale
        answers.append(torch.softmax(logits, dim=-1) @ value[..., channels])
    return torch.cat(answers, dim=-1)


def feedforward(hidden: Tensor, kind: str) -> Tensor:
    if kind == "gelu":
        return F.gelu(hidden)
    value, gate = hidden.chunk(2, dim=-1)
    return value * gate * torch.sigmoid(gate)


class BehaviorEncoder(nn.Module):
    """The two-layer network that adds the animal's state to every token of a block."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        mode, width = args["core_behavior_mode"], args["core_emb_dim"]
        numbers = args["core_temporal_patch_size"] * (2 if mode == 3 else 4)
        names = args["mouse_ids"] if mode == 5 else ["share"]
        self.models = nn.ModuleDict(
            {
                name: indexed(_0=nn.Linear(numbers, width // 2), _3=nn.Linear(width // 2, width))
                for name in names
            }
        )

    def forward(self, states: Tensor, mouse: str) -> Tensor:
        steps = self.models[mouse if mouse in self.models else "share"]
        return torch.tanh(steps["3"](torch.tanh(steps["0"](states))))


class Block(nn.Module):
    """What both kinds of block share: the state that is added first, and the saved constants."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self.heads, self.kind = args["core_num_heads"], args["core_ff_activation"]
        self.width, self.inner = args["core_emb_dim"], args["core_head_dim"] * self.heads
        self.mlp = args["core_mlp_dim"]
        self.mlp_in = self.mlp * (2 if self.kind == "swiglu" else 1)
        self.norm_qk, self.head_dim = args["core_norm_qk"], args["core_head_dim"]
        for name in ("drop_path1", "drop_path2"):
            path = nn.Module()
            constant(path, "keep_prob", 1 - args["core_drop_path"])
            self.add_module(name, path)
        self.state_encoder = (
            BehaviorEncoder(args) if args["core_behavior_mode"] in (3, 4, 5) else None
        )

    def add_state(self, tokens: Tensor, states: Tensor | None, mouse: str) -> Tensor:
        """States come with as many tokens as the sequence has, or one for all of them."""
        if self.state_encoder is None:
            return tokens
        return tokens + self.state_encoder(states, mouse)


class ParallelBlock(Block):
    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__(args)
        constant(self, "scale", self.head_dim**-0.5)
        self.norm = nn.LayerNorm(self.width)
        self.fused_linear = nn.Linear(self.width, 3 * self.inner + self.mlp_in, bias=False)
        self.attn_out = nn.Linear(self.inner, self.width, bias=False)
        self.ff_out = indexed(_2=nn.Linear(self.mlp, self.width, bias=False))
        if self.norm_qk:
            self.norm_q, self.norm_k = nn.LayerNorm(self.inner), nn.LayerNorm(self.inner)

    def forward(self, tokens: Tensor, states: Tensor | None, mouse: str) -> Tensor:
        tokens = self.add_state(tokens, states, mouse)
        fused = self.fused_linear(self.norm(tokens))
        query, key, value = fused[..., : 3 * self.inner].chunk(3, dim=-1)
        if self.norm_qk:
            query, key = self.norm_q(query), self.norm_k(key)
        scale = 1 / math.sqrt(self.head_dim)
        mixed = attend(query, key, value, heads=self.heads, scale=scale)
        hidden = feedforward(fused[..., 3 * self.inner :], self.kind)
        return tokens + self.attn_out(mixed) + self.ff_out["2"](hidden)


class Attention(nn.Module):
    def __init__(self, block: Block, flash: bool) -> None:
        super().__init__()
        constant(self, "scale", block.width**-0.5)
        self.heads = block.heads
        # As released: without the fused kernel the logits are scaled by the width of the tokens.
        self.logit_scale = (block.head_dim if flash else block.width) ** -0.5
        self.norm = nn.LayerNorm(block.width)
        self.to_qkv = nn.Linear(block.width, 3 * block.inner, bias=False)
        self.attn_out = indexed(_0=nn.Linear(block.inner, block.width))
        if block.norm_qk:
            self.norm_q, self.norm_k = nn.LayerNorm(block.inner), nn.LayerNorm(block.inner)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.to_qkv(self.norm(tokens)).chunk(3, dim=-1)
        if hasattr(self, "norm_q"):
            query, key = self.norm_q(query), self.norm_k(key)
        mixed = attend(query, key, value, heads=self.heads, scale=self.logit_scale)
        return self.attn_out["0"](mixed)


class SequentialBlock(Block):
    def __init__(self, args: dict[str, Any], convolution: nn.Module | None) -> None:
        super().__init__(args)
        self.attention = Attention(self, flash=args["core_flash_attention"] == 1)
        self.ff = indexed(
            _0=nn.LayerNorm(self.width),
            _1=nn.Linear(self.width, self.mlp_in),
            _4=nn.Linear(self.mlp, self.width),
        )
        self.pos_encoding = None
        if convolution is not None:
            self.pos_encoding = nn.ModuleDict({"pos_embedding": convolution})

    def forward(self, tokens: Tensor, states: Tensor | None, mouse: str) -> Tensor:
        tokens = self.add_state(tokens, states, mouse)
        tokens = tokens + self.attention(tokens)
        hidden = feedforward(self.ff["1"](self.ff["0"](tokens)), self.kind)
        tokens = tokens + self.ff["4"](hidden)
        if self.pos_encoding is None:
            return tokens
        convolution = self.pos_encoding["pos_embedding"]
        picture = tokens.transpose(1, 2)
        if isinstance(convolution, nn.Conv2d):
            picture = picture.unflatten(2, guessed_grid(tokens.shape[1]))
        return tokens + convolution(picture).flatten(2).transpose(1, 2)


class Transformer(nn.Module):
    def __init__(self, args: dict[str, Any], dimension: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        width = args["core_emb_dim"]
        convolutions = {"spatial": nn.Conv2d, "temporal": nn.Conv1d}
        for depth in range(args[f"core_{dimension}_depth"]):
            if args["core_parallel_attention"]:
                self.blocks.append(ParallelBlock(args))
                continue
            convolution = None
            if args["core_pos_encoding"] == 2 and depth == 0:
                convolution = convolutions[dimension](width, width, 3, padding=1, groups=width)
            self.blocks.append(SequentialBlock(args, convolution))

    def forward(self, tokens: Tensor, states: Tensor | None, mouse: str) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, states, mouse)
        return tokens


class ViViT(nn.Module):
    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        constant(self, "reg_scale", 0.0)
        self.mode = args["core_behavior_mode"]
        self.tokenizer = Tokenizer(args, channels=1 + {1: 2, 2: 4}.get(self.mode, 0))
        self.spatial_transformer = Transformer(args, "spatial")
        self.temporal_transformer = Transformer(args, "temporal")

    def states(self, behavior: Tensor, pupil_center: Tensor) -> Tensor | None:
        """What the animal did in the window of each answer: (trial, answer, number)."""
        if self.mode < 3:
            return None
        length, stride = self.tokenizer.frames, self.tokenizer.frame_stride
        answers = []
        for t in range(0, behavior.shape[2] - length + 1, stride):
            # All frames of the behavior, frame by frame, and only then all frames of the gaze.
            window = behavior[:, :, t : t + length].transpose(1, 2).flatten(1)
            if self.mode > 3:
                gaze = pupil_center[:, :, t : t + length].transpose(1, 2).flatten(1)
                window = torch.cat([window, gaze], dim=1)
            answers.append(window)
        return torch.stack(answers, dim=1)

    def forward(self, stimulus: Tensor, states: Tensor | None, mouse: str) -> Tensor:
        tokens = self.tokenizer(stimulus)
        trials, answers, places, _ = tokens.shape
        one_token = None if states is None else states.flatten(0, 1)[:, None]
        tokens = self.spatial_transformer(tokens.flatten(0, 1), one_token, mouse)
        tokens = tokens.unflatten(0, (trials, answers)).transpose(1, 2).flatten(0, 1)
        each_place = None if states is None else states.repeat_interleave(places, dim=0)
        tokens = self.temporal_transformer(tokens, each_place, mouse)
        tokens = tokens.unflatten(0, (trials, places)).permute(0, 3, 2, 1)
        return tokens.unflatten(3, guessed_grid(places))


class ViViTCore(nn.Module):
    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self.vivit = ViViT(args)
        self.channels = args["core_emb_dim"]
        self.grid = guessed_grid(self.vivit.tokenizer.tokens)

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor, mouse: str) -> Tensor:
        layers = [video]
        if self.vivit.mode in (1, 2):
            layers.append(planes(behavior, *video.shape[-2:]))
        if self.vivit.mode == 2:
            layers.append(planes(pupil_center, *video.shape[-2:]))
        states = self.vivit.states(behavior, pupil_center)
        return self.vivit(torch.cat(layers, dim=1), states, mouse)


class FactorizedLayers(nn.Module):
    """Convolutions over space (padded), then over time (not padded), with normalization and ELU."""

    def __init__(self, args: dict[str, Any], channels: int) -> None:
        super().__init__()
        constant(self, "gamma_input_spatial", 0.0)
        constant(self, "gamma_input_temporal", 0.0)
        cross = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
        self._add_filter("_input_weight_regularizer", cross[None, None])
        self._add_filter("temporal_regularizer", torch.tensor([[[-1.0, 4.0, -1.0]]]))
        self.features = nn.ModuleDict()
        for layer in range(args["core_num_layers"]):
            end, place = ("", "input") if layer == 0 else (f"_{layer}", "hidden")
            space = args[f"core_spatial_{place}_kernel"]
            time = args[f"core_temporal_{place}_kernel"]
            width = args["core_hidden_dim"] * 2**layer
            padding = (0, space // 2, space // 2)
            self.features[f"layer{layer}"] = nn.ModuleDict(
                {
                    f"conv_spatial{end}": nn.Conv3d(
                        channels, width, (1, space, space), padding=padding
                    ),
                    f"conv_temporal{end}": nn.Conv3d(width, width, (time, 1, 1)),
                    "norm": nn.BatchNorm3d(width, momentum=0.7),
                }
            )
            channels = width

    def _add_filter(self, name: str, weights: Tensor) -> None:
        laplace, holder = nn.Module(), nn.Module()
        laplace.register_buffer("filter", weights)
        holder.add_module("laplace", laplace)
        self.add_module(name, holder)

    def forward(self, stimulus: Tensor) -> Tensor:
        for layer in self.features.values():
            for step in layer.values():
                stimulus = step(stimulus)
            stimulus = F.elu(stimulus)
        return stimulus


class FactorizedCore(nn.Module):
    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self.mode = args["core_behavior_mode"]
        _, _, height, width = args["input_shapes"]["video"]
        if self.mode in (7, 9):
            rows = torch.linspace(-1, 1, height)[:, None].expand(height, width)
            columns = torch.linspace(-1, 1, width)[None].expand(height, width)
            self.register_buffer("pos_encoding", torch.stack([rows, columns]))
        if self.mode in (8, 9):
            self.modulator = nn.GRU(4, 4, batch_first=True)
        extra = {0: 0, 1: 2, 2: 4, 6: 8, 7: 6, 8: 4, 9: 6}[self.mode]
        self.cnn = FactorizedLayers(args, 1 + extra)
        self.channels = args["core_hidden_dim"] * 2 ** (args["core_num_layers"] - 1)
        self.grid = (height, width)

    def variables(self, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        """The scalars that become pictures: (trial, variable, frame)."""
        if self.mode < 2:
            return behavior[:, : 2 * self.mode]
        both = torch.cat([behavior, pupil_center], dim=1)
        if self.mode in (8, 9):
            return self.modulator(both.transpose(1, 2))[0].transpose(1, 2)
        if self.mode != 6:
            return both
        change = torch.zeros_like(both)
        for frame in range(1, both.shape[2]):
            change[:, :, frame] = (both[:, :, frame] - both[:, :, frame - 1]) / 30
        return torch.cat([behavior, change[:, :2], pupil_center, change[:, 2:]], dim=1)

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor, mouse: str) -> Tensor:
        trials, _, frames, height, width = video.shape
        layers = [video, planes(self.variables(behavior, pupil_center), height, width)]
        if self.mode in (7, 9):
            layers.append(self.pos_encoding[None, :, None].expand(trials, 2, frames, height, width))
        return self.cnn(torch.cat(layers, dim=1))
