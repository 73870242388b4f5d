"""Convolutions whose kernels turn: one set of coefficients, seen at several orientations."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.cores.windows import Margins, add_margins

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Samples of the functions for each pixel of a kernel along a side, added up in the kernel
#: (neuralpredictors, layers/hermite.py).
SAMPLES_PER_PIXEL = 2

#: Standard deviation of the coefficients before training (neuralpredictors, layers/cores).
INITIAL_COEFFICIENT = 0.1


@dataclasses.dataclass(frozen=True)
class HermiteBasis:
    """Two-dimensional Hermite functions in polar form, sampled on a square.

    Attributes
    ----------
    functions : float array, shape (function, y, x)
        Sampled at ``SAMPLES_PER_PIXEL`` points a pixel; each has unit Euclidean norm.
    angular_orders : tuple of int
        Periods around the center. An order above 0 comes in pairs, the even (cosine) function
        before the odd one.
    """

    functions: FloatArray
    angular_orders: tuple[int, ...]

    def rotations(self, count: int) -> FloatArray:
        """Return the matrices (rotation, function, function) that turn coefficients.

        Parameters
        ----------
        count : int
            Orientations, evenly spaced over the full circle; the first is unturned.
        """
        size = len(self.angular_orders)
        matrices = np.zeros((count, size, size))
        angles = 2 * np.pi * np.arange(count) / count
        index = 0
        while index < size:
            order = self.angular_orders[index]
            if order == 0:
                matrices[:, index, index] = 1
                index += 1
                continue
            cosine, sine = np.cos(order * angles), np.sin(order * angles)
            matrices[:, index, index] = matrices[:, index + 1, index + 1] = cosine
            matrices[:, index, index + 1] = sine
            matrices[:, index + 1, index] = -sine
            index += 2
        return matrices

    def pixels(self) -> FloatArray:
        """Return the functions summed over the samples of each pixel: (function, y, x)."""
        count, side, _ = self.functions.shape
        pixels = side // SAMPLES_PER_PIXEL
        split = count, pixels, SAMPLES_PER_PIXEL, pixels, SAMPLES_PER_PIXEL
        summed: FloatArray = self.functions.reshape(split).sum(axis=(2, 4))
        return summed


def hermite_basis(kernel: int) -> HermiteBasis:
    """Sample all two-dimensional Hermite functions of ranks 0 to ``kernel - 1``.

    Parameters
    ----------
    kernel : int
        Side of the kernel, pixels.

    Returns
    -------
    HermiteBasis
        ``kernel (kernel + 1) / 2`` functions ``exp(-r²/4) r^μ P(r²)``, times the cosine or sine of
        ``μ`` times the angle, which runs from the column axis to the row axis.

    References
    ----------
    Ustyuzhaninov et al. 2020, "Rotation-invariant clustering of neuronal responses in primary
    visual cortex", ICLR; extent and order: neuralpredictors, layers/hermite.py.
    """
    points = SAMPLES_PER_PIXEL * kernel
    extent = 2 * math.sqrt(kernel) * (1 - 1 / points)
    coordinates = np.linspace(-extent, extent, points)
    rows, columns = coordinates[:, None], coordinates[None]
    squared, angle = rows**2 + columns**2, np.arctan2(rows, columns)
    functions, orders = [], []
    for rank in range(kernel):
        for order in range(rank % 2, rank + 1, 2):
            radial = np.exp(-squared / 4) * squared ** (order / 2) * _radial(order, rank, squared)
            functions.append(radial * np.cos(order * angle))
            orders.append(order)
            if order:
                functions.append(radial * np.sin(order * angle))
                orders.append(order)
    sampled = np.stack(functions)
    sampled /= np.sqrt((sampled**2).sum(axis=(1, 2), keepdims=True))
    return HermiteBasis(sampled, tuple(orders))


def _radial(order: int, rank: int, squared: FloatArray) -> FloatArray:
    """Return the polynomial in r² of one rank and angular order, up to a factor."""
    degree = (rank - order) // 2
    terms = [
        math.comb(degree, power)
        * (-2) ** (degree - power)
        * (math.factorial(order + degree) // math.factorial(order + power))
        * squared**power
        for power in range(degree + 1)
    ]
    return np.sum(terms, axis=0)


class HermiteConvolution(nn.Module):
    """A convolution without bias, each of whose filters looks at several orientations.

    Kernels are sums of Hermite functions, which are turned exactly by mixing coefficients. Later
    layers turn with the map they look at: their input is itself a set of orientations, which goes
    around as the kernel turns.

    Parameters
    ----------
    input_channels : int
        Channels of the input; after the first layer a multiple of ``rotations``.
    filters : int
        Filters; there are ``rotations`` times as many output channels, the filters of one
        orientation side by side.
    kernel : int
        Odd side of the kernels, pixels.
    rotations : int
        Orientations, evenly spaced over the full circle.
    is_first : bool
        Whether the input is a picture, which does not turn with the kernel.

    Attributes
    ----------
    coefficients : float parameter, shape (function, input, filter)
        All that is learned.

    Raises
    ------
    ShapeError
        If the kernel is even, a number is below 1, or orientations do not divide the channels.

    References
    ----------
    Ustyuzhaninov et al. 2020; neuralpredictors, layers/hermite.py. There the functions and the
    matrices are kept with the weights; here they are computed, and multiplied beforehand.
    """

    steered: Tensor

    def __init__(
        self, input_channels: int, filters: int, *, kernel: int, rotations: int, is_first: bool
    ) -> None:
        super().__init__()
        if min(input_channels, filters, kernel, rotations) < 1 or kernel % 2 == 0:
            raise ShapeError(
                f"a turning convolution of {input_channels} channels, {filters} filters, kernel "
                f"{kernel} and {rotations} rotations; give numbers from 1, and an odd kernel"
            )
        if not is_first and input_channels % rotations:
            raise ShapeError(
                f"{input_channels} channels are no whole number for each of {rotations} rotations"
            )
        self.rotations = rotations
        self.turn = 0 if is_first else input_channels // rotations
        basis = hermite_basis(kernel)
        steered = np.einsum("rab,ayx->rbyx", basis.rotations(rotations), basis.pixels())
        self.register_buffer(
            "steered", torch.as_tensor(steered, dtype=torch.float32), persistent=False
        )
        self.coefficients = nn.Parameter(torch.empty(len(basis.functions), input_channels, filters))
        nn.init.normal_(self.coefficients, std=INITIAL_COEFFICIENT)

    def kernels(self) -> Tensor:
        """Return the kernels (rotation · filter, input, y, x)."""
        turned = torch.einsum("rbyx,bif->rfiyx", self.steered, self.coefficients)
        if self.turn:
            turned = torch.stack(
                [kernels.roll(index * self.turn, dims=1) for index, kernels in enumerate(turned)]
            )
        return turned.flatten(0, 1)

    def forward(self, features: Tensor, margins: Margins) -> Tensor:
        """Convolve ``features`` (trial, channel, y, x) after adding zero ``margins``."""
        return F.conv2d(add_margins(features, margins), self.kernels())


class RotationBatchNorm(nn.BatchNorm2d):
    """Batch normalization whose statistics and weights all orientations of a filter share.

    Parameters
    ----------
    filters : int
        Channels of one orientation.
    momentum : float
        Weight of the newest batch in the running statistics (the framework's convention).
    """

    def __init__(self, filters: int, *, momentum: float) -> None:
        super().__init__(filters, momentum=momentum)

    def forward(self, features: Tensor) -> Tensor:
        """Normalize ``features`` (trial, rotation · filter, y, x)."""
        by_rotation = features.reshape(-1, self.num_features, *features.shape[2:])
        return super().forward(by_rotation).view(features.shape)
