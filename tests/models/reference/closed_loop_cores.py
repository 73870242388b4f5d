"""Cores of ViV1T-closed-loop beside ViV1T itself, plain and with the published names.

References
----------
ViV1T-closed-loop (github.com/bryanlimy/ViV1T-closed-loop, MIT): viv1t/model/core/fcnn.py,
gru_baseline.py, stacked2d.py, gru.py, v1t.py, linear.py. The Hermite basis follows neuralpredictors
(sinzlab, MIT): layers/hermite.py.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.yardstick import PLANES, Args, drop_rows, with_planes

LAPLACE = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])


def hold(module: nn.Module, path: str, value: Tensor) -> None:
    """Keep a constant of the published code at ``path``, through modules that do nothing else."""
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(module, parent):
            module.add_module(parent, nn.Module())
        module = module.get_submodule(parent)
    module.register_buffer(name, value)


def planes(args: Args) -> int:
    """Channels of the video after behavior joined."""
    return args["input_shapes"]["video"][0] + PLANES[args["core_behavior_mode"]]


def as_images(movie: Tensor) -> Tensor:
    """(trial, channel, frame, y, x) to (trial and frame, channel, y, x)."""
    return movie.transpose(1, 2).flatten(0, 1)


def as_movie(images: Tensor, trials: int) -> Tensor:
    """(trial and frame, channel, y, x) to (trial, channel, frame, y, x)."""
    return images.unflatten(0, (trials, -1)).transpose(1, 2)


class FactorizedCore(nn.Module):
    """``fcnn``: convolutions over space, then over time."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        self.mode, layers = args["core_behavior_mode"], args["core_num_layers"]
        features, channels = nn.Sequential(), planes(args)
        for index in range(layers):
            width = args["core_hidden_dim"] * 2**index
            features.add_module(f"layer{index}", self._layer(index, channels, width, args))
            channels = width
        self.cnn = nn.Module()
        self.cnn.features = features
        hold(self.cnn, "gamma_input_spatial", torch.tensor(0.0))
        hold(self.cnn, "gamma_input_temporal", torch.tensor(0.0))
        hold(self.cnn, "_input_weight_regularizer.laplace.filter", LAPLACE[None, None])
        hold(self.cnn, "temporal_regularizer.laplace.filter", LAPLACE[None, 1:2])
        self.output_shape = (channels, *args["input_shapes"]["video"][2:])

    @staticmethod
    def _layer(index: int, channels: int, width: int, args: Args) -> nn.Sequential:
        where, suffix = ("input", "") if index == 0 else ("hidden", f"_{index}")
        size, frames = args[f"core_spatial_{where}_kernel"], args[f"core_temporal_{where}_kernel"]
        padding = (0, size // 2, size // 2)
        layer = nn.Sequential()
        spatial = nn.Conv3d(channels, width, (1, size, size), padding=padding)
        temporal = nn.Conv3d(width, width, (frames, 1, 1))
        for convolution in (spatial, temporal):
            nn.init.xavier_normal_(convolution.weight)
            nn.init.zeros_(convolution.bias)
        layer.add_module(f"conv_spatial{suffix}", spatial)
        layer.add_module(f"conv_temporal{suffix}", temporal)
        if not args["core_linear"]:
            layer.add_module("norm", nn.BatchNorm3d(width, momentum=0.7))
            layer.add_module("nonlin", nn.ELU())
        if index < max(args["core_num_layers"] - 1, 1):
            layer.add_module(f"dropout{index or ''}", nn.Dropout3d(args["core_dropout"]))
        return layer

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        return self.cnn.features(with_planes(video, behavior, pupil_center, self.mode))


class LinearCore(nn.Module):
    """``linear``: a weight and a bias for each pixel."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        self.mode = args["core_behavior_mode"]
        self.output_shape = (planes(args), *args["input_shapes"]["video"][2:])
        self.weight = nn.Parameter(torch.randn(self.output_shape))
        self.bias = nn.Parameter(torch.randn(self.output_shape))
        hold(self, "reg_scale", torch.tensor(0.0))

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        movie = with_planes(video, behavior, pupil_center, self.mode)
        return self.weight[:, None] * movie + self.bias[:, None]


# Rotation-equivariant convolutions and a convolutional GRU (gru_baseline)


def hermite_basis(size: int) -> tuple[Tensor, list[str], list[int]]:
    """Hermite functions on twice as many points; 'z', 'r' or 'i' and the angular order of each."""
    points, extent = 2 * size, 2 * math.sqrt(size)
    axis = torch.linspace(-1, 1, points, dtype=torch.float64) * extent * (1 - 1 / points)
    row, column = axis[:, None], axis[None, :]
    angle, squared = torch.atan2(row, column), row**2 + column**2
    functions, kinds, orders = [], [], []
    for rank in range(size):
        angular = sorted(abs(order) for order in range(-rank, rank + 1, 2))
        kinds += ["z"] * (rank % 2 == 0) + ["r", "i"] * ((rank + 1) // 2)
        orders += angular
        for kind, mu in zip(kinds[-len(angular) :], angular, strict=True):
            radial = radial_polynomial(mu, (rank - mu) // 2, squared)
            wave = torch.sin(mu * angle) if kind == "i" else torch.cos(mu * angle)
            function = torch.exp(-squared / 4) * squared ** (mu / 2) * radial * wave
            functions.append(function / function.square().sum().sqrt())
    return torch.stack(functions).float(), kinds, orders


def radial_polynomial(mu: int, nu: int, squared: Tensor) -> Tensor:
    """Sum over powers of the squared radius; the gamma functions have whole arguments."""
    factorial = math.factorial
    total = torch.zeros_like(squared)
    for power in range(nu + 1):
        above = factorial(mu + nu) * factorial(nu) * (-2) ** (nu - power)
        below = factorial(mu + power) * factorial(power) * factorial(nu - power)
        total += above / below * squared**power
    return total


def rotation(kinds: list[str], orders: list[int], angle: float) -> Tensor:
    """Matrix that mixes the two functions of each angular order."""
    matrix = torch.eye(len(kinds), dtype=torch.float64)
    for index, (kind, mu) in enumerate(zip(kinds, orders, strict=True)):
        if kind == "r":
            cosine, sine = math.cos(mu * angle), math.sin(mu * angle)
            block = torch.tensor([[cosine, sine], [-sine, cosine]], dtype=torch.float64)
            matrix[index : index + 2, index : index + 2] = block
    return matrix.float()


class HermiteConvolution(nn.Module):
    """One kernel in all rotations, from coefficients of Hermite functions."""

    def __init__(self, channels: int, filters: int, size: int, **options: int) -> None:
        super().__init__()
        self.padding, self.first, rotations = options["padding"], options["first"], options["turns"]
        basis, kinds, orders = hermite_basis(size)
        self.coeffs = nn.Parameter(0.1 * torch.randn(len(basis), channels, filters))
        angles = [2 * math.pi * turn / rotations for turn in range(rotations)]
        fixed = [nn.Parameter(rotation(kinds, orders, angle), False) for angle in angles]
        self.rotate_hermite = nn.Module()
        self.rotate_hermite.H = nn.Parameter(basis, False)
        self.rotate_hermite.Rs = nn.ParameterList(fixed)

    def kernels(self) -> Tensor:
        """(rotation and filter, channel, y, x)."""
        turned = []
        for turn, matrix in enumerate(self.rotate_hermite.Rs):
            coefficients = torch.einsum("ab,bio->aio", matrix, self.coeffs)
            kernel = torch.einsum("ayx,aio->oiyx", self.rotate_hermite.H, coefficients)
            if not self.first:
                step = kernel.shape[1] // len(self.rotate_hermite.Rs)
                kernel = kernel.roll(turn * step, dims=1)
            turned.append(kernel)
        return 4 * F.avg_pool2d(torch.cat(turned), 2)

    def forward(self, images: Tensor) -> Tensor:
        return F.conv2d(images, self.kernels(), padding=self.padding)


class SharedBatchNorm(nn.Module):
    """One mean and variance a filter, over all its rotations."""

    def __init__(self, filters: int, momentum: float) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm1d(filters, momentum=momentum)

    def forward(self, images: Tensor) -> Tensor:
        filters = self.batch_norm.num_features
        turned = images.unflatten(1, (-1, filters)).transpose(1, 2)
        normalized = self.batch_norm(turned.flatten(2)).unflatten(2, (-1, *images.shape[2:]))
        return normalized.transpose(1, 2).flatten(1, 2)


class ConvolutionalGRU(nn.Module):
    """A gated recurrent unit whose six products are convolutions."""

    def __init__(self, channels: int, args: Args) -> None:
        super().__init__()
        width = args["core_rnn_size"]
        hold(self, "gamma_rec", torch.tensor(float(args.get("core_rnn_reg", 0))))
        sources = {
            "input": (channels, args["core_rnn_input_kernel"]),
            "hidden": (width, args["core_rnn_kernel"]),
        }
        for gate in ("reset", "update", "out"):
            for source, (inputs, size) in sources.items():
                convolution = nn.Conv2d(inputs, width, size, padding=size // 2)
                nn.init.xavier_normal_(convolution.weight)
                nn.init.zeros_(convolution.bias)
                self.add_module(f"{gate}_gate_{source}", convolution)

    def forward(self, movie: Tensor) -> Tensor:
        state = movie.new_zeros(len(movie), self.out_gate_hidden.out_channels, *movie.shape[3:])
        states = []
        for frame in movie.unbind(dim=2):
            update = torch.sigmoid(self.update_gate_input(frame) + self.update_gate_hidden(state))
            reset = torch.sigmoid(self.reset_gate_input(frame) + self.reset_gate_hidden(state))
            new = torch.tanh(self.out_gate_input(frame) + self.out_gate_hidden(reset * state))
            state = (1 - update) * state + update * new
            states.append(state)
        return torch.stack(states, dim=2)


class RecurrentCore(nn.Module):
    """``gru_baseline``: a rotation-equivariant network of images, then a GRU over frames."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        self.mode, size = args["core_behavior_mode"], args["core_cnn_input_kernel"]
        filters, turns = args["core_cnn_filters"], args["core_rotations"]
        self.cnn, self.gru = nn.Module(), nn.Module()
        self.cnn.features = nn.Sequential()
        for index in range(args["core_cnn_layers"]):
            hidden, channels = args["core_cnn_hidden_kernel"], filters * turns
            shape = (channels, filters, hidden) if index else (planes(args), filters, size)
            padding = hidden // 2 if index else 0
            layer = nn.Sequential()
            convolution = HermiteConvolution(*shape, padding=padding, first=not index, turns=turns)
            layer.add_module("hermite_conv", convolution)
            layer.add_module("norm", SharedBatchNorm(filters, args["core_momentum"]))
            if index < args["core_cnn_layers"] - 1 and not args["core_linear"]:
                layer.add_module("nonlin", nn.ELU())
            self.cnn.features.add_module(f"layer{index}", layer)
        hold(self.cnn, "_input_weights_regularizer.laplace.filter", LAPLACE[None, None])
        # Published: three options that the training script asks for and does not define.
        for name in ("input", "hidden"):
            strength = torch.tensor(float(args.get(f"core_cnn_{name}_reg", 0)))
            hold(self.cnn, f"gamma_{name}", strength)
        self.gru.conv_gru_cell = ConvolutionalGRU(filters * turns, args)
        height, width = args["input_shapes"]["video"][2:]
        self.output_shape = (args["core_rnn_size"], height - size + 1, width - size + 1)

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        images = as_images(with_planes(video, behavior, pupil_center, self.mode))
        return self.gru.conv_gru_cell(as_movie(self.cnn.features(images), len(video)))


# A transformer of images, frame by frame (v1t)


class ImageAttention(nn.Module):
    """Heads as wide as the embedding."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        width, self.heads = args["core_emb_dim"], args["core_num_heads"]
        self.dropout, self.fused = args["core_t_dropout"], bool(args["core_flash_attention"])
        bias = not args["core_disable_bias"]
        self.layer_norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * self.heads * width, bias=False)
        out = nn.Linear(self.heads * width, width, bias=bias)
        self.projection = nn.Sequential(out, nn.Dropout(self.dropout))
        hold(self, "scale", torch.tensor(width**-0.5))

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.to_qkv(self.layer_norm(tokens)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        if self.fused:
            attended = F.scaled_dot_product_attention(query, key, value)
        else:
            attended = ((query * self.scale) @ key.transpose(-2, -1)).softmax(dim=-1) @ value
        attended = F.dropout(attended, self.dropout, self.training)
        return self.projection(attended.transpose(1, 2).flatten(2))


class ImageBlock(nn.ModuleDict):
    """Behavior is added to all tokens, then attention, then the feed-forward network."""

    def __init__(self, args: Args) -> None:
        width, hidden = args["core_emb_dim"], args["core_mlp_dim"]
        bias, dropout = not args["core_disable_bias"], args["core_t_dropout"]
        inner = (nn.Linear(width, hidden, bias), nn.GELU(), nn.Dropout(dropout))
        outer = (nn.Linear(hidden, width, bias), nn.Dropout(dropout))
        mlp = nn.Module()
        mlp.model = nn.Sequential(nn.LayerNorm(width), *inner, *outer)
        super().__init__({"mha": ImageAttention(args), "mlp": mlp})
        if args["core_behavior_mode"] in (3, 4):
            variables = {3: 2, 4: 4}[args["core_behavior_mode"]]
            first, last = nn.Linear(variables, width // 2, bias), nn.Linear(width // 2, width, bias)
            self["b-mlp"] = nn.Module()
            layers = first, nn.Tanh(), nn.Dropout(0.0), last, nn.Tanh()
            self["b-mlp"].models = nn.Sequential(*layers)
        self.drop_path = args["core_drop_path"]

    def forward(self, tokens: Tensor, state: Tensor) -> Tensor:
        drop = {"probability": self.drop_path, "training": self.training}
        if "b-mlp" in self:
            tokens = tokens + self["b-mlp"].models(state)[:, None]
        tokens = tokens + drop_rows(self["mha"](tokens), **drop)
        return tokens + drop_rows(self["mlp"].model(tokens), **drop)


class ImageTransformerCore(nn.Module):
    """``v1t``: the transformer of images on each frame."""

    def __init__(self, args: Args) -> None:
        super().__init__()
        self.mode, width = args["core_behavior_mode"], args["core_emb_dim"]
        self.size, self.stride = args["core_patch_size"], args["core_patch_stride"]
        self.dropout = args["core_p_dropout"]
        height_width = args["input_shapes"]["video"][2:]
        count = math.prod((d - self.size) // self.stride + 1 for d in height_width)
        channels = args["input_shapes"]["video"][0] + PLANES.get(self.mode, 0)
        pixels = channels * self.size**2
        embedding, transformer = nn.Module(), nn.Module()
        embedding.cls_token = nn.Parameter(torch.randn(1, 1, width))
        embedding.pos_embedding = nn.Parameter(torch.randn(count + 1, width))
        steps = nn.Identity(), nn.Identity(), nn.Linear(pixels, width)  # unfold, swap axes, project
        embedding.projection = nn.Sequential(*steps)
        depth = args["core_num_blocks"]
        transformer.blocks = nn.ModuleList(ImageBlock(args) for _ in range(depth))
        for linear in (part for part in transformer.modules() if isinstance(part, nn.Linear)):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        self.v1t = nn.Module()
        self.v1t.patch_embedding, self.v1t.transformer = embedding, transformer
        hold(self.v1t, "reg_scale", torch.tensor(0.0))
        # Published: rows are the largest divisor of the number of patches up to its square root,
        # rounded up, whatever the true grid is; features may land in the wrong place.
        rows = next(d for d in range(math.ceil(math.sqrt(count)), 0, -1) if count % d == 0)
        self.output_shape = (width, rows, count // rows)

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor) -> Tensor:
        if self.mode in (1, 2):
            video = with_planes(video, behavior, pupil_center, self.mode)
        state = torch.cat((behavior, pupil_center), dim=1) if self.mode == 4 else behavior
        state = state.transpose(1, 2).flatten(0, 1)
        images, embedding = as_images(video), self.v1t.patch_embedding
        patches = F.unfold(images, self.size, stride=self.stride).transpose(1, 2)
        first = embedding.cls_token.expand(len(images), -1, -1)
        tokens = torch.cat((first, embedding.projection(patches)), dim=1) + embedding.pos_embedding
        tokens = F.dropout(tokens, self.dropout, self.training)
        for block in self.v1t.transformer.blocks:
            tokens = block(tokens, state)
        maps = tokens[:, 1:].transpose(1, 2).unflatten(2, self.output_shape[1:])
        return as_movie(maps, len(video))
