"""The published ViV1T, as its formulas read: never optimized; every speed ratio is against it.

Plain PyTorch from the formulas of the paper and of its code, with the published names of options
and weights, so that ``ckpt/model.pt`` of a published run folder loads with ``strict=True``. Patches
are unfolded, normalized and projected; all frames, patches, registers and neurons are computed.
Nothing of insilico is imported: what insilico computes is compared with this, and timed against it.

References
----------
ViV1T-closed-loop (github.com/bryanlimy/ViV1T-closed-loop, MIT): viv1t/model/model.py (assembly),
viv1t/model/core/vivit.py (tokens, transformers), viv1t/model/modules.py (block, positions, norms,
output), viv1t/model/readout/gaussian.py, viv1t/model/shifter.py; options: train.py. Comments that
begin with "Published:" mark what one would not expect but what its numbers depend on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Args = Mapping[str, Any]

#: Variables of behavior and of gaze that join the video as planes, by ``core_behavior_mode``.
PLANES = {0: 0, 1: 2, 2: 4}


class SwiGLU(nn.Module):
    """First half of the features, gated by the second."""

    def forward(self, features: Tensor) -> Tensor:
        """Halve the last axis."""
        value, gate = features.chunk(2, dim=-1)
        return F.silu(gate) * value


class DynamicTanh(nn.Module):
    """``tanh(alpha x) weight + bias`` in place of a norm."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 0.5))
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape."""
        return torch.tanh(self.alpha * features) * self.weight + self.bias


NORMS = {"layernorm": nn.LayerNorm, "rmsnorm": nn.RMSNorm, "dyt": DynamicTanh}
ACTIVATIONS = {
    "none": nn.Identity,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "swiglu": SwiGLU,
}


def with_planes(video: Tensor, behavior: Tensor, pupil_center: Tensor, mode: int) -> Tensor:
    """Video, behavior, pupil center along channels; a scalar a frame fills a plane."""
    scalars = torch.cat((behavior, pupil_center), dim=1)[:, : PLANES[mode]]
    planes = scalars[..., None, None].expand(*scalars.shape, *video.shape[-2:])
    return torch.cat((video, planes), dim=1)


def drop_rows(features: Tensor, *, probability: float, training: bool) -> Tensor:
    """Stochastic depth: each row of the batch is dropped as a whole or divided by 1 - p."""
    if not training:
        return features
    rows = features.new_ones(len(features), *[1] * (features.ndim - 1))
    return features * F.dropout(rows, probability)


# Tokens and positions (viv1t/model/core/vivit.py: Tokenizer; viv1t/model/modules.py)


class Patches(nn.Module):
    """Overlapping patches of space and time, as vectors (channel, frame, y, x), to tokens."""

    def __init__(self, channels: int, kernel: tuple[int, ...], args: Args) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, strides(args)
        size = math.prod(kernel)
        if args["core_patch_mode"] == 1:  # one output channel for each pixel of a patch
            one_hot = torch.eye(size).reshape(size, 1, *kernel)
            self.register_buffer("weight", one_hot.repeat(channels, 1, 1, 1, 1))
        self.norm = NORMS[args["core_norm"]](channels * size)
        self.linear = nn.Linear(channels * size, args["core_emb_dim"])

    def forward(self, video: Tensor) -> Tensor:
        """(trial, channel, frame, y, x) to (trial, frame, patch, feature)."""
        if hasattr(self, "weight"):
            pixels = F.conv3d(video, self.weight, stride=self.stride, groups=video.shape[1])
            patches = pixels.flatten(3).permute(0, 2, 3, 1)
        else:
            for axis, (size, step) in enumerate(zip(self.kernel, self.stride, strict=True)):
                video = video.unfold(axis + 2, size, step)
            patches = video.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4).flatten(2, 3)
        return self.linear(self.norm(patches))


class ConvolvedPatches(nn.Sequential):
    """Tokens by one convolution, without a norm of the patches."""

    def forward(self, video: Tensor) -> Tensor:
        """(trial, channel, frame, y, x) to (trial, frame, patch, feature)."""
        return super().forward(video).flatten(3).permute(0, 2, 3, 1)


class Sinusoid(nn.Module):
    """Sines in even features, cosines in odd ones, over frames (axis 1) or patches (axis 2)."""

    def __init__(self, length: int, features: int, *, axis: int, dropout: float) -> None:
        super().__init__()
        self.axis, self.dropout = axis, dropout
        rate = torch.exp(torch.arange(0, features, 2) * (-math.log(10_000.0) / features))
        phase = torch.arange(length)[:, None] * rate
        table = torch.stack((phase.sin(), phase.cos()), dim=-1).flatten(1)
        self.register_buffer(
            "pos_encoding", table[None, :, None] if axis == 1 else table[None, None]
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Add the first rows of the table, then drop out."""
        table = self.pos_encoding.narrow(self.axis, 0, tokens.shape[self.axis])
        return F.dropout(tokens + table, self.dropout, self.training)


class PlaneSinusoid(nn.Module):
    """Fixed sines and cosines of column and row."""

    def __init__(self, rows: int, columns: int, features: int) -> None:
        super().__init__()
        rate = 10_000.0 ** -(torch.arange(features // 4) / (features / 4))
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        # Published: the first half of the features tells the column, the second the row.
        phases = [axis.flatten()[:, None] * rate for axis in (column, row)]
        table = torch.cat([f(phase) for phase in phases for f in (torch.sin, torch.cos)], dim=1)
        self.register_buffer("pos_emb", table, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Add the table to all frames."""
        return tokens + self.pos_emb


class Tokenizer(nn.Module):
    """Movie and behavior to tokens (trial, frame, patch, feature)."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        features, self.mode = args["core_emb_dim"], args["core_behavior_mode"]
        self.padding, (frames, *self.grid) = geometry(args)
        self.dropout, self.encoding = args["core_p_dropout"], args["core_pos_encoding"]
        channels = args["input_shapes"]["video"][0] + PLANES[self.mode]
        if args["core_patch_mode"] == 2:
            convolution = nn.Conv3d(channels, features, kernel_size(args), strides(args))
            self.tokenizer = ConvolvedPatches(convolution)
        else:
            self.tokenizer = Patches(channels, kernel_size(args), args)
        self.norm = NORMS[args["core_norm"]](features)
        self._add_positions(frames, math.prod(self.grid), args)

    def _add_positions(self, frames: int, patches: int, args: Args) -> None:
        features, sine = args["core_emb_dim"], {"dropout": self.dropout}
        if self.encoding == 1:
            self.pos_embedding = nn.Parameter(torch.randn(1, frames, patches, features))
        if self.encoding in (2, 3, 6):
            self.spatial_pos_embedding = nn.Parameter(torch.randn(1, 1, patches, features))
        if self.encoding == 2:
            self.temporal_pos_embedding = nn.Parameter(torch.randn(1, frames, 1, features))
        if self.encoding == 4:
            self.spatial_pos_embedding = Sinusoid(patches, features, axis=2, **sine)
        if self.encoding in (3, 4):
            self.temporal_pos_encoding = Sinusoid(args["max_frame"], features, axis=1, **sine)
        if self.encoding == 7:
            self.spatial_pos_embedding = PlaneSinusoid(*self.grid, features)

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        """Zeros are padded after behavior joined, so they hide it there, too."""
        planes = with_planes(video, behavior, pupil_center, self.mode)
        tokens = self.norm(self.tokenizer(F.pad(planes, self.padding)))
        shape = tokens.shape
        tokens = F.dropout1d(tokens.flatten(1, 2), self.dropout, self.training).reshape(shape)
        if self.encoding == 1:
            tokens = tokens + self.pos_embedding[:, : shape[1]]
        if self.encoding in (2, 3, 6):
            tokens = tokens + self.spatial_pos_embedding
        if self.encoding == 2:
            tokens = tokens + self.temporal_pos_embedding[:, : shape[1]]
        if self.encoding in (4, 7):
            tokens = self.spatial_pos_embedding(tokens)
        return self.temporal_pos_encoding(tokens) if self.encoding in (3, 4) else tokens


def kernel_size(args: Args) -> tuple[int, int, int]:
    """Frames, rows and columns of a patch."""
    size = args["core_spatial_patch_size"]
    return args["core_temporal_patch_size"], size, size


def strides(args: Args) -> tuple[int, int, int]:
    """Frames, rows and columns from a patch to the next."""
    stride = args["core_spatial_patch_stride"]
    return args["core_temporal_patch_stride"], stride, stride


def geometry(args: Args) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Zeros left, right, top, bottom, before and after; frames, rows and columns of tokens."""
    # Published: zeros in time are counted for max_frame frames, however long the movie is.
    sizes = (args["max_frame"], *args["input_shapes"]["video"][2:])
    axes = list(zip(sizes, kernel_size(args), strides(args), strict=True))
    need = [0, 0, 0]
    if args["core_pad_frame"]:
        need = [(math.ceil(d / step) - 1) * step + size - d for d, size, step in axes]
    front, rows, columns = need
    padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2, front, 0)
    grid = ((d + n - size) // step + 1 for n, (d, size, step) in zip(need, axes, strict=True))
    return padding, tuple(grid)


# Factorized transformer (viv1t/model/core/vivit.py: ViViT; viv1t/model/modules.py)


class Rotary(nn.Module):
    """Rotation by position and a scale in the manner of xPos; registers stay as they are."""

    def __init__(self, features: int, tokens: int, registers: int) -> None:
        super().__init__()
        self.registers = registers
        pair = torch.arange(0, features, 2).float()
        self.register_buffer("inv_freq", 10_000.0 ** -(pair / features))
        self.register_buffer("scale", (pair + 0.4 * features) / (1.4 * features))
        self._tabulate(tokens)

    def _tabulate(self, length: int) -> None:
        position = torch.arange(length, dtype=self.scale.dtype, device=self.scale.device)[:, None]
        phase = (position * self.inv_freq).repeat(1, 2)
        scale = (self.scale ** ((position - length // 2) / 512)).repeat(1, 2)
        for name, table in {"sine": phase.sin(), "cosine": phase.cos(), "xpos": scale}.items():
            self.register_buffer(name, table, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Turn queries or keys (sequence, head, token, feature)."""
        count = vectors.shape[2] - self.registers
        if count > len(self.sine):
            # Published: the longer table has another center, and is kept for later calls.
            self._tabulate(count)
        vectors, registers = vectors.split((count, self.registers), dim=2)
        first, second = vectors.chunk(2, dim=-1)
        turned = torch.cat((-second, first), dim=-1)
        # Published: the scale multiplies queries and keys alike; xPos would divide the keys.
        rotated = (vectors * self.cosine[:count] + turned * self.sine[:count]) * self.xpos[:count]
        return torch.cat((rotated, registers.to(rotated.dtype)), dim=2)


class Block(nn.Module):
    """Attention and feed-forward side by side, from one norm and one projection."""

    def __init__(self, args: Args, *, tokens: int, rotary: bool, causal: bool) -> None:
        super().__init__()
        features, hidden = args["core_emb_dim"], args["core_ff_dim"]
        self.heads, width = args["core_num_heads"], args["core_head_dim"]
        activation, inner = args["core_ff_activation"], self.heads * width
        self.causal, self.fused = causal, bool(args["core_flash_attention"])
        self.dropout, self.drop_path = args["core_mha_dropout"], args["core_drop_path"]
        self.checkpointing = bool(args.get("grad_checkpointing"))
        self.parts = (inner, inner, inner, 2 * hidden if activation == "swiglu" else hidden)
        norm = NORMS[args["core_norm"]]
        self.register_buffer("scale", torch.tensor(width**-0.5))
        self.norm = norm(features)
        self.fused_linear = nn.Linear(features, sum(self.parts), bias=False)
        self.attn_out = nn.Linear(inner, features, bias=False)
        dropout = nn.Dropout(args["core_ff_dropout"])
        feed_forward = nn.Linear(hidden, features, bias=False)
        self.ff_out = nn.Sequential(ACTIVATIONS[activation](), dropout, feed_forward)
        for linear in (self.fused_linear, self.attn_out, feed_forward):
            nn.init.trunc_normal_(linear.weight, std=0.02)
        self.norm_q, self.norm_k, self.rotary_position_embedding = None, None, None
        if args.get("core_norm_qk"):
            self.norm_q, self.norm_k = norm(inner), norm(inner)
        if rotary:
            self.rotary_position_embedding = Rotary(width, tokens, args.get("core_reg_tokens", 0))

    def forward(self, tokens: Tensor) -> Tensor:
        """(sequence, token, feature) to the same."""
        if self.checkpointing:
            return checkpoint(self._forward, tokens, use_reentrant=False)
        return self._forward(tokens)

    def _forward(self, tokens: Tensor) -> Tensor:
        query, key, value, hidden = self.fused_linear(self.norm(tokens)).split(self.parts, dim=-1)
        if self.norm_q is not None:
            query, key = self.norm_q(query), self.norm_k(key)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        if self.rotary_position_embedding is not None:
            query, key = map(self.rotary_position_embedding, (query, key))
        attended = F.dropout(self._attend(query, key, value), self.dropout, self.training)
        drop = {"probability": self.drop_path, "training": self.training}
        attention = drop_rows(self.attn_out(attended.transpose(1, 2).flatten(2)), **drop)
        return tokens + attention + drop_rows(self.ff_out(hidden), **drop)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.fused:
            return F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        logits = (query * self.scale) @ key.transpose(-2, -1)
        if self.causal:
            later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1)
            logits = logits.masked_fill(later, -math.inf)
        return logits.softmax(dim=-1) @ value


class Transformer(nn.Module):
    """Blocks one after the other, with registers at the end of each sequence."""

    def __init__(self, args: Args, *, depth: int, **options: Any) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(args, **options) for _ in range(depth))

    def forward(self, tokens: Tensor, registers: Tensor | None) -> Tensor:
        """(sequence, token, feature) to the same; registers (token, feature) do not return."""
        count = tokens.shape[1]
        if registers is not None:
            tokens = torch.cat((tokens, registers.expand(len(tokens), -1, -1)), dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[:, :count]


class Vivit(nn.Module):
    """Attention over the patches of a frame, then over the frames of a patch."""

    def __init__(self, frames: int, patches: int, args: Args) -> None:
        super().__init__()
        registers, features = args.get("core_reg_tokens", 0), args["core_emb_dim"]
        encoding = args["core_pos_encoding"]
        causal = bool(args.get("core_use_causal_attention"))
        self.register_buffer("reg_scale", torch.tensor(0.0))
        self.reg_s_tokens = nn.Parameter(torch.randn(registers, features)) if registers else None
        self.reg_t_tokens = nn.Parameter(torch.randn(registers, features)) if registers else None
        space = {"tokens": patches, "rotary": encoding == 5, "causal": False}
        time = {"tokens": frames, "rotary": encoding in (5, 6, 7), "causal": causal}
        self.spatial_transformer = Transformer(args, depth=args["core_spatial_depth"], **space)
        self.temporal_transformer = Transformer(args, depth=args["core_temporal_depth"], **time)

    def forward(self, tokens: Tensor) -> Tensor:
        """(trial, frame, patch, feature) to the same."""
        trials = len(tokens)
        tokens = self.spatial_transformer(tokens.flatten(0, 1), self.reg_s_tokens)
        tokens = tokens.unflatten(0, (trials, -1)).transpose(1, 2)
        tokens = self.temporal_transformer(tokens.flatten(0, 1), self.reg_t_tokens)
        return tokens.unflatten(0, (trials, -1)).transpose(1, 2)


class VivitCore(nn.Module):
    """The core ``vivit``; ``output_shape`` is (channel, y, x)."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        self.tokenizer = Tokenizer(args)
        frames, rows, columns = geometry(args)[1]
        self.vivit = Vivit(frames, rows * columns, args)
        self.activation = ACTIVATIONS[args["core_activation"]]()
        self.output_shape = (args["core_emb_dim"], rows, columns)

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        """(trial, 1, frame, y, x) and (trial, 2, frame) to (trial, channel, frame, y, x)."""
        tokens = self.vivit(self.tokenizer(video, behavior, pupil_center))
        maps = tokens.permute(0, 3, 1, 2).unflatten(-1, self.output_shape[1:])
        return self.activation(maps)


# What each mouse has of its own (viv1t/model/readout, shifter.py, modules.py)


class Shifter(nn.Module):
    """Gaze, or behavior and gaze, to a shift (x, y) between -1 and 1."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        self.mode, hidden = args["shifter_mode"], args["shifter_size"]
        self.register_buffer("reg_scale", torch.tensor(0.0))
        widths = [2 * self.mode, *[hidden] * (args["shifter_layers"] - 1), 2]
        layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.Tanh())]
        self.mlp = nn.Sequential(*layers)

    def forward(self, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        """(trial, 2, frame) each to (trial, 2, frame)."""
        state = pupil_center if self.mode == 1 else torch.cat((behavior, pupil_center), dim=1)
        return self.mlp(state.transpose(1, 2)).transpose(1, 2)


class GaussianReadout(nn.Module):
    """Each neuron reads one position, drawn from a Gaussian in training."""

    def __init__(self, neurons: int, shape: tuple[int, ...], args: Args) -> None:
        super().__init__()
        self.register_buffer("reg_scale", torch.tensor(0.0))
        self.sigma = nn.Parameter(torch.empty(1, neurons, 2, 2).uniform_(-1, 1))
        self.features = nn.Parameter(torch.full((1, shape[0], neurons), 1 / shape[0]))
        self.bias = nn.Parameter(torch.zeros(neurons)) if args["readout_bias_mode"] else None
        self.mu_transform = None
        if args["readout_grid_mode"]:
            # Cortical coordinates are not an option: they come with the weights.
            self.register_buffer("source_grid", torch.zeros(neurons, args["readout_grid_mode"] + 1))
            layers = nn.Linear(args["readout_grid_mode"] + 1, 30), nn.ELU(), nn.Linear(30, 2)
            self.mu_transform = nn.Sequential(*layers, nn.Tanh())
        else:
            self._mu = nn.Parameter(torch.empty(1, neurons, 1, 2).uniform_(-0.2, 0.2))

    def forward(self, maps: Tensor, shift: Tensor | None) -> Tensor:
        """(trial, channel, frame, y, x) to (trial, neuron, frame)."""
        trials, images = len(maps), maps.transpose(1, 2).flatten(0, 1)
        points = self._points(len(images))
        if shift is not None:  # Published: after the clamp, so a point may leave the map
            points = points + shift.transpose(1, 2).flatten(0, 1)[:, None]
        values = F.grid_sample(images, points[:, :, None], align_corners=True)[..., 0]
        logits = torch.einsum("icn,cn->in", values, self.features[0])
        if self.bias is not None:
            logits = logits + self.bias
        return logits.unflatten(0, (trials, -1)).transpose(1, 2)

    def _points(self, images: int) -> Tensor:
        if self.mu_transform is not None:
            center = self.mu_transform(self.source_grid)
        else:
            with torch.no_grad():
                self._mu.clamp_(-1, 1)
            center = self._mu[0, :, 0]
        noise = center.new_zeros(images, *center.shape)
        if self.training:
            noise.normal_()
        return (center + torch.einsum("ncd,ind->inc", self.sigma[0], noise)).clamp(-1, 1)


class Readouts(nn.ModuleDict):
    """A readout a mouse."""

    def __init__(
        self, readout: Callable[..., nn.Module], shape: tuple[int, ...], args: Args
    ) -> None:
        sizes = {mouse: neurons for mouse, (neurons, _) in args["output_shapes"].items()}
        super().__init__({mouse: readout(size, shape, args) for mouse, size in sizes.items()})

    def forward(self, maps: Tensor, mouse: str, shift: Tensor | None) -> Tensor:
        """(trial, channel, frame, y, x) to (trial, neuron, frame)."""
        return self[mouse](maps, shift)


class ShiftedELU(nn.Module):
    """``ELU(x) + 1``."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("one", torch.tensor(1.0))

    def forward(self, logits: Tensor) -> Tensor:
        """Positive responses."""
        return F.elu(logits) + self.one


class Exponential(nn.Module):
    """``exp(x)``."""

    def forward(self, logits: Tensor) -> Tensor:
        """Positive responses."""
        return torch.exp(logits)


class LearnedSoftplus(nn.Module):
    """``log(1 + exp(b x)) / b``, linear from ``b x = 20`` on."""

    def __init__(self) -> None:
        super().__init__()
        self.log_beta = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("threshold", torch.tensor(20))

    def forward(self, logits: Tensor) -> Tensor:
        """Positive responses."""
        beta = torch.exp(self.log_beta)
        steep = beta * logits
        curved = torch.log1p(torch.exp(torch.minimum(steep, self.threshold))) / beta
        return torch.where(steep < self.threshold, curved, logits)


OUTPUTS = (nn.Identity, ShiftedELU, Exponential, LearnedSoftplus, nn.Sigmoid)


class Model(nn.Module):
    """Core, shifters, readouts and output activations of a published run."""

    def __init__(self, args: Args, *, core: nn.Module, readouts: nn.Module) -> None:
        super().__init__()
        mice, mode = list(args["output_shapes"]), args["output_mode"]
        if args.get("transform_output") == 2 and mode != 0:
            mode = 4
        self.autocast = args.get("autocast", "disable")
        self.core = core
        self.shifters = None
        if args["shifter_mode"]:
            self.shifters = nn.ModuleDict({mouse: Shifter(args) for mouse in mice})
        self.readouts = readouts
        self.output_activation = nn.ModuleDict({mouse: OUTPUTS[mode]() for mouse in mice})

    def forward(self, video: Tensor, mouse: str, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        """Answer with all neurons of a mouse.

        Parameters
        ----------
        video : Tensor, shape (trial, 1, frame, y, x)
            Standardized movie.
        mouse : str
            Letter of the mouse.
        behavior, pupil_center : Tensor, shape (trial, 2, frame)
            Standardized (pupil dilation, running speed) and (x, y) of the pupil.

        Returns
        -------
        Tensor, shape (trial, neuron, answered frame)
            Responses; answered frames are the last ones.
        """
        with self._precision(video):
            maps = self.core(video, behavior, pupil_center)
        maps = maps.to(video.dtype)
        shift = None
        if self.shifters is not None:
            last = slice(-maps.shape[2], None)
            shift = self.shifters[mouse](behavior[..., last], pupil_center[..., last])
        return self.output_activation[mouse](self.readouts(maps, mouse, shift))

    def _precision(self, video: Tensor) -> AbstractContextManager[Any]:
        wanted = self.autocast in ("auto", "enable") and video.is_cuda
        if wanted and torch.cuda.get_device_capability(video.device) >= (8, 0):
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()


def build(args: Args) -> Model:
    """Build the published ViV1T.

    Parameters
    ----------
    args : mapping
        ``args.yaml`` of a published run folder, with ``core: vivit`` and ``readout: gaussian``.

    Returns
    -------
    Model
        With the published initial weights, in training mode; cortical coordinates are zero until
        weights are loaded.

    Raises
    ------
    ValueError
        If the core or the readout is another one.
    """
    if (args["core"], args["readout"]) != ("vivit", "gaussian"):
        raise ValueError(f"core {args['core']!r} with readout {args['readout']!r} is no ViV1T")
    core = VivitCore(args)
    return Model(args, core=core, readouts=Readouts(GaussianReadout, core.output_shape, args))
