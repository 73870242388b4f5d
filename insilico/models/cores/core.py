"""What every core promises, and how its layers trade time for memory in training."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class Core(nn.Module, ABC):
    """Shared features of the stimulus, layer by layer.

    Attributes
    ----------
    output_channels : int
        Feature channels of the last layer.
    checkpoints_activations : bool
        Whether training keeps only the input of each layer, and computes the rest again on the
        way back.
    """

    output_channels: int
    checkpoints_activations: bool = False

    @abstractmethod
    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the feature map of a ``height`` by ``width`` input."""

    @abstractmethod
    def regularizer(self) -> Tensor:
        """Roughness of the first layer's kernels, a scalar."""

    def _run(self, layer: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """Return ``function(*inputs)``, recomputed in backward where that was asked for."""
        if not (self.checkpoints_activations and self.training and torch.is_grad_enabled()):
            return function(*inputs)
        output: Tensor = checkpoint(
            function,
            *inputs,
            use_reentrant=False,
            context_fn=lambda: (contextlib.nullcontext(), _untracked(layer)),
        )
        return output


@contextlib.contextmanager
def _untracked(layer: nn.Module) -> Iterator[None]:
    """Let copies of the running statistics be updated: the first pass has seen this batch."""
    norms = [module for module in layer.modules() if isinstance(module, _BatchNorm)]
    originals = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    for norm, buffers in zip(norms, originals, strict=True):
        for name, value in buffers.items():
            setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for norm, buffers in zip(norms, originals, strict=True):
            for name, value in buffers.items():
                setattr(norm, name, value)
