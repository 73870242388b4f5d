"""How rough the kernels of a core are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Laplace(nn.Module):
    """The discrete Laplace filter, over each kernel of a convolution with zeros outside.

    References
    ----------
    neuralpredictors 0.3.0, regularizers.py.
    """

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        laplace = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
        self.register_buffer("filter", laplace[None, None])

    def forward(self, kernels: Tensor) -> Tensor:
        """Filter ``kernels`` (output, input, y, x), each on its own."""
        single = kernels.reshape(-1, 1, *kernels.shape[2:])
        return F.conv2d(single, self.filter, padding=1)


class LaplaceL2Norm(nn.Module):
    """Roughness of kernels, Σ(L∗w)² / Σw².

    References
    ----------
    neuralpredictors 0.3.0, regularizers.py, ``LaplaceL2norm`` summed, as the Sensorium 2022
    baselines were trained with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.laplace = Laplace()

    def forward(self, kernels: Tensor) -> Tensor:
        """Return the scalar roughness of ``kernels`` (output, input, y, x)."""
        roughness: Tensor = self.laplace(kernels).square().sum() / kernels.square().sum()
        return roughness


def temporal_roughness(kernels: Tensor) -> Tensor:
    """Return the roughness of temporal kernels, Σ(d∗w)² / Σw² with second differences d.

    Parameters
    ----------
    kernels : float tensor, shape (output, input, lag)
        Zero outside.

    Returns
    -------
    float tensor, scalar
        Between 0 and 16.

    References
    ----------
    neuralpredictors, regularizers.py, ``DepthLaplaceL21d``; its filter is (-1, 4, -1), which
    punishes a constant kernel too, where a second difference is (-1, 2, -1).
    """
    single = kernels.reshape(-1, 1, kernels.shape[-1])
    differences = F.conv1d(single, single.new_tensor([[[-1.0, 2.0, -1.0]]]), padding=1)
    return differences.square().sum() / kernels.square().sum()


def absolute_sum(module: nn.Module) -> Tensor:
    """Return the L1 norm of a module: the sum of the absolute values of all its parameters."""
    sums = [parameter.abs().sum() for parameter in module.parameters()]
    return torch.stack(sums).sum()
