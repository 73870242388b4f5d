"""Readouts, shifters and modulators of the first release of ViV1T, and the network around them.

Plain as the cores in ``first_release_cores``: one frame at a time, evaluation mode only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .first_release_cores import FactorizedCore, ViViTCore, constant, indexed


class GaussianReadout(nn.Module):
    def __init__(self, args: dict[str, Any], *, neurons: int, channels: int) -> None:
        super().__init__()
        constant(self, "reg_scale", 0.0)
        dimensions = {0: 0, 1: 2, 2: 3}[args["readout_grid_mode"]]
        if dimensions:
            self.register_buffer("source_grid", torch.zeros(neurons, dimensions))
            self.mu_transform = indexed(_0=nn.Linear(dimensions, 30), _2=nn.Linear(30, 2))
        else:
            self._mu = nn.Parameter(torch.empty(1, neurons, 1, 2).uniform_(-0.2, 0.2))
        self.sigma = nn.Parameter(torch.empty(1, neurons, 2, 2).uniform_(-1, 1))
        self.features = nn.Parameter(torch.full((1, channels, neurons), 1 / channels))
        bias = nn.Parameter(torch.zeros(neurons)) if args["readout_bias_mode"] else None
        self.register_parameter("bias", bias)
        self.state_encoder = indexed(
            _0=nn.Linear(4, channels), _1=nn.LayerNorm(channels), _4=nn.Linear(channels, channels)
        )

    def points(self) -> Tensor:
        """Where each neuron reads before the gaze moves it: (neuron, x and y)."""
        if not hasattr(self, "source_grid"):
            return self._mu[0, :, 0].clamp(-1, 1)
        steps = self.mu_transform
        return torch.tanh(steps["2"](F.elu(steps["0"](self.source_grid))))

    def forward(self, features: Tensor, states: Tensor, shift: Tensor | None) -> Tensor:
        steps, answers = self.state_encoder, []
        for frame in range(features.shape[2]):
            points = self.points()[None].expand(len(features), -1, -1)
            if shift is not None:
                points = points + shift[:, None, :, frame]
            read = F.grid_sample(features[:, :, frame], points[:, :, None], align_corners=True)
            state = F.gelu(steps["1"](steps["0"](states[:, :, frame])))
            read = read[..., 0] + torch.tanh(steps["4"](state))[:, :, None]
            answers.append((read * self.features).sum(dim=1))
        answer = torch.stack(answers, dim=2)
        return answer if self.bias is None else answer + self.bias[:, None]


class FactorizedReadout(nn.Module):
    def __init__(
        self, args: dict[str, Any], *, neurons: int, channels: int, grid: tuple[int, int]
    ) -> None:
        super().__init__()
        constant(self, "reg_scale", 0.0)
        self._features = nn.Parameter(torch.randn(neurons, channels) * 0.001)
        self.spatial = nn.Parameter(torch.randn(neurons, *grid) * 0.001)

    def forward(self, features: Tensor, states: Tensor, shift: Tensor | None) -> Tensor:
        masked = torch.einsum("bctyx,nyx->bcnt", features, self.spatial)
        return torch.einsum("bcnt,nc->bnt", masked, self._features)


class Shifter(nn.Module):
    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        constant(self, "reg_scale", 0.0)
        self.mlp = nn.ModuleDict()
        inputs = 2 if args["shifter_mode"] == 1 else 4
        for layer in range(args["shifter_layers"]):
            last = layer == args["shifter_layers"] - 1
            outputs = 2 if last else args["shifter_size"]
            self.mlp[str(2 * layer)] = nn.Linear(inputs, outputs)
            inputs = outputs

    def forward(self, values: Tensor) -> Tensor:
        values = values.transpose(1, 2)
        for layer in self.mlp.values():
            values = torch.tanh(layer(values))
        return values.transpose(1, 2)


def past(values: Tensor, frame: int, length: int) -> Tensor:
    """The ``length`` values up to ``frame``, oldest first; zeros before there were any."""
    picked = [
        values[..., at] if at >= 0 else torch.zeros_like(values[..., 0])
        for at in range(frame - length + 1, frame + 1)
    ]
    return torch.stack(picked, dim=-1)


class MlpModulator(nn.Module):
    def __init__(self, args: dict[str, Any], neurons: int) -> None:
        super().__init__()
        constant(self, "history_reg", 0.0)
        constant(self, "behavior_reg", 0.0)
        self.length, self.state = (
            args["modulator_history_size"],
            args["modulator_include_behaviors"],
        )
        self.history_encoder = self.behavior_encoder = None
        if args["modulator_include_history"]:
            first, second = nn.Linear(self.length, self.length), nn.Linear(self.length, 1)
            self.history_encoder = indexed(_0=first, _3=second)
        if self.state:
            inputs = 2 * self.state
            self.behavior_encoder = indexed(
                _0=nn.Linear(inputs, inputs), _3=nn.Linear(inputs, neurons)
            )

    def forward(self, logits: Tensor, states: Tensor) -> Tensor:
        if self.history_encoder is not None:
            steps, gains = self.history_encoder, []
            for frame in range(logits.shape[2]):
                hidden = F.gelu(steps["0"](past(logits, frame - 1, self.length)))
                gains.append(torch.sigmoid(steps["3"](hidden))[..., 0])
            logits = logits * torch.stack(gains, dim=2)
        if self.behavior_encoder is not None:
            steps = self.behavior_encoder
            hidden = F.gelu(steps["0"](states[:, : 2 * self.state].transpose(1, 2)))
            logits = logits + torch.tanh(steps["3"](hidden)).transpose(1, 2)
        return logits


class GruModulator(nn.Module):
    def __init__(self, args: dict[str, Any], neurons: int) -> None:
        super().__init__()
        hidden = args["modulator_hidden_dim"] or neurons
        self.state_encoder = indexed(_0=nn.Linear(4, neurons))
        self.gru_cell = nn.GRUCell(neurons, hidden)
        self.decoder = indexed(_0=nn.Linear(hidden, neurons))

    def forward(self, logits: Tensor, states: Tensor) -> Tensor:
        memory = logits.new_zeros(len(logits), self.gru_cell.hidden_size)
        answers = []
        for frame in range(logits.shape[2]):
            state = torch.tanh(self.state_encoder["0"](states[:, :, frame]))
            memory = self.gru_cell(logits[:, :, frame] + state, memory)
            answers.append(logits[:, :, frame] + torch.tanh(self.decoder["0"](memory)))
        return torch.stack(answers, dim=2)


class WindowModulator(nn.Module):
    def __init__(self, args: dict[str, Any], neurons: int) -> None:
        super().__init__()
        self.length = args["modulator_history_size"] + 1
        inputs = 5 * self.length
        first, second = nn.Linear(inputs, inputs // 2), nn.Linear(inputs // 2, 1)
        self.encoder = indexed(_0=first, _3=second)

    def forward(self, logits: Tensor, states: Tensor) -> Tensor:
        answers = []
        for frame in range(logits.shape[2]):
            own = past(logits, frame, self.length)
            shared = past(states, frame, self.length).flatten(1)
            shared = shared[:, None].expand(-1, logits.shape[1], -1)
            hidden = F.gelu(self.encoder["0"](torch.cat([own, shared], dim=2)))
            answers.append(logits[:, :, frame] + torch.tanh(self.encoder["3"](hidden))[..., 0])
        return torch.stack(answers, dim=2)


class LinearModulator(nn.Module):
    def __init__(self, args: dict[str, Any], neurons: int) -> None:
        super().__init__()
        self.activation = args["modulator_activation"]
        self.modulator = indexed(_0=nn.Linear(4, neurons, bias=False))

    def forward(self, logits: Tensor, states: Tensor) -> Tensor:
        added = self.modulator["0"](states.transpose(1, 2)).transpose(1, 2)
        if self.activation == "tanh":
            added = torch.tanh(added)
        if self.activation == "sigmoid":
            added = torch.sigmoid(added)
        return logits + added


MODULATORS = {1: MlpModulator, 2: GruModulator, 3: WindowModulator, 4: LinearModulator}


class Network(nn.Module):
    """Core, shifters, readouts, modulators and one output function, as released."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        cores = {"vivit": ViViTCore, "factorized_baseline": FactorizedCore}
        self.core = cores[args["core"]](args)
        self.output_mode, self.shifter_mode = args["output_mode"], args["shifter_mode"]
        mice = {mouse: shape[0] for mouse, shape in args["output_shapes"].items()}
        if self.shifter_mode:
            self.shifters = nn.ModuleDict({mouse: Shifter(args) for mouse in mice})
        self.readouts = nn.ModuleDict()
        for mouse, neurons in mice.items():
            size = {"neurons": neurons, "channels": self.core.channels}
            if args["readout"] == "gaussian2d":
                self.readouts[mouse] = GaussianReadout(args, **size)
            else:
                self.readouts[mouse] = FactorizedReadout(args, **size, grid=self.core.grid)
        if args["modulator_mode"]:
            kind = MODULATORS[args["modulator_mode"]]
            self.modulators = nn.ModuleDict({mouse: kind(args, n) for mouse, n in mice.items()})
        if self.output_mode == 0:
            self.output_activation = nn.Module()
            constant(self.output_activation, "one", 1.0)

    def logits(self, video: Tensor, behavior: Tensor, pupil_center: Tensor, mouse: str) -> Tensor:
        features = self.core(video, behavior, pupil_center, mouse)
        states = torch.cat([behavior, pupil_center], dim=1)[..., -features.shape[2] :]
        shift = None
        if self.shifter_mode:
            shift = self.shifters[mouse](states[:, 2:] if self.shifter_mode == 1 else states)
        logits = self.readouts[mouse](features, states, shift)
        if hasattr(self, "modulators"):
            logits = self.modulators[mouse](logits, states)
        return logits

    def forward(self, video: Tensor, behavior: Tensor, pupil_center: Tensor, mouse: str) -> Tensor:
        """Standardized responses, (trial, neuron, answered frame)."""
        logits = self.logits(video, behavior, pupil_center, mouse)
        if self.output_mode == 0:
            return F.elu(logits) + 1
        if self.output_mode == 1:
            return torch.exp(logits)
        return F.softplus(logits)
