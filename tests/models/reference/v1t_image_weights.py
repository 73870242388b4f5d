"""Random weights for the published V1T image models, of sizes at which each one matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def randomize(model: nn.Module, *, seed: int) -> None:
    """Draw all that training changes: parameters, statistics of batches, neurons' coordinates.

    Constants that the published code keeps in buffers stay as they are.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = {
        name
        for name, part in model.named_modules()
        if isinstance(part, nn.LayerNorm | nn.BatchNorm2d)
    }
    with torch.no_grad():
        for name, tensor in drawn_tensors(model):
            owner, _, last = name.rpartition(".")
            if owner in norms and last == "weight":
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif last in _DRAWS:
                _DRAWS[last](tensor, generator)
            elif tensor.ndim > 1:
                fan_in = tensor[0].numel()
                gain = 1.5 if tensor.ndim == 2 else 1.0
                tensor.normal_(0, gain * fan_in**-0.5, generator=generator)
            if last == "weight" and owner.endswith("regressor.3"):
                tensor.mul_(0.1)
            if last == "bias" and owner.endswith("regressor.3"):
                tensor.mul_(0.3).add_(torch.tensor([1.0, 0, 0, 0, 1, 0]))


def _normal(spread: float) -> Any:
    return lambda tensor, generator: tensor.normal_(0, spread, generator=generator)


def _uniform(low: float, high: float) -> Any:
    return lambda tensor, generator: tensor.uniform_(low, high, generator=generator)


def _coordinates(tensor: Tensor, generator: torch.Generator) -> None:
    """Center coordinates and divide all by the largest of all columns, as published."""
    tensor.uniform_(0, 1, generator=generator).mul_(
        torch.tensor([600.0, 800.0, 200.0])[: tensor.shape[1]]
    )
    tensor.sub_(tensor.mean(dim=0))
    tensor.div_(tensor.abs().max())


#: How a tensor is drawn, by the last part of its name; other matrices follow their fan-in.
_DRAWS: Mapping[str, Any] = {
    "bias": _normal(0.3),
    "running_mean": _normal(0.3),
    "running_var": _uniform(0.5, 2),
    "num_batches_tracked": lambda tensor, _: tensor.fill_(2765),
    "cls_token": _normal(1),
    "pos_embedding": _normal(1),
    "scale": _uniform(0.1, 0.6),
    # Some points lie outside the map, so that their clamp matters.
    "_mu": _uniform(-1.2, 1.2),
    "sigma": _uniform(-0.1, 0.1),
    "features": _normal(0.3),
    "source_grid": _coordinates,
}


def drawn_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Return all that is no constant of the published code, by name."""
    yield from model.named_parameters()
    learned = ("running_mean", "running_var", "num_batches_tracked", "source_grid")
    yield from ((name, value) for name, value in model.named_buffers() if name.endswith(learned))
