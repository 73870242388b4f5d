"""Reading a feature map at fixed points, as fast as the points allow."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from insilico.models.cores.cells import Cells


@dataclasses.dataclass(frozen=True)
class CellGroup:
    """Neurons whose points lie between the same grid cells.

    Attributes
    ----------
    cells : int64 tensor, shape (cell,)
        Which of the read cells.
    weights : float tensor, shape (cell · channel, neuron)
        Bilinear weight of each cell times the neuron's weight of each channel.
    """

    cells: Tensor
    weights: Tensor


class PointReadout:
    """Linear readout of a feature map at one fixed point a neuron.

    The answer of ``grid_sample`` (bilinear, corners aligned, zeros outside) and a weighted sum
    over channels, in another order: a neuron's interpolation and channel weights are multiplied
    beforehand, and neurons between the same four cells are answered by one matrix product. Only
    the touched cells are needed: the 7,776 neurons of the published CNN touch 97 of 1,568 cells.

    Parameters
    ----------
    positions : float tensor, shape (neuron, 2)
        Points (x, y) of a map whose corner cells lie at -1 and 1. May lie outside.
    features : float tensor, shape (neuron, channel)
        Weight of each channel.
    bias : float tensor, shape (neuron,)
        Added to each neuron's sum.
    map_shape : (int, int)
        Rows and columns of the feature map.

    Attributes
    ----------
    cells : Cells
        The cells of the map that :meth:`__call__` takes.
    """

    def __init__(
        self, positions: Tensor, features: Tensor, bias: Tensor, *, map_shape: tuple[int, int]
    ) -> None:
        rows, row_weights = interpolation(positions[:, 1], map_shape[0])
        columns, column_weights = interpolation(positions[:, 0], map_shape[1])
        self._bias = bias
        down, right = (
            torch.arange(part.shape[1], device=part.device)
            for part in (row_weights, column_weights)
        )
        patch = (down[:, None] * map_shape[1] + right).flatten()
        cell_weights = row_weights[:, :, None] * column_weights[:, None, :]
        weights = cell_weights.flatten(1)[:, :, None] * features[:, None, :]
        keys, members = torch.unique(rows * map_shape[1] + columns, return_inverse=True)
        order = torch.argsort(members, stable=True)
        self._inverse = torch.argsort(order)
        counts = torch.bincount(members, minlength=len(keys)).tolist()
        touched = keys[:, None] + patch
        self.cells = Cells(torch.unique(touched), map_shape)
        self.groups = [
            CellGroup(
                cells=torch.searchsorted(self.cells.index, cells),
                weights=weights[neurons].flatten(1).T.contiguous(),
            )
            for cells, neurons in zip(touched, torch.split(order, counts), strict=True)
        ]

    def __call__(self, values: Tensor) -> Tensor:
        """Read the cells of a feature map.

        Parameters
        ----------
        values : float tensor, shape (trial, channel, cell)
            The map at ``cells``.

        Returns
        -------
        float tensor, shape (trial, neuron)
        """
        if not self.groups:
            return values.new_zeros(len(values), 0)
        read = values.transpose(1, 2).contiguous()
        sums = [read[:, group.cells].flatten(1) @ group.weights for group in self.groups]
        return torch.cat(sums, dim=1)[:, self._inverse] + self._bias


def interpolation(coordinates: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the first cell and the weights of the cells next to points on one axis.

    Linear interpolation gives the cell at ``k`` the weight ``max(0, 1 - |x - k|)``, so the two
    cells of the map that are nearest to a point outside it come out with the weight of zero
    padding by themselves.

    Parameters
    ----------
    coordinates : float tensor, shape (neuron,)
        -1 is the center of the first cell and 1 that of the last.
    size : int
        Number of cells.

    Returns
    -------
    first : int64 tensor, shape (neuron,)
    weights : float tensor, shape (neuron, 2), or (neuron, 1) for a map of one cell
    """
    points = (coordinates + 1) / 2 * (size - 1)
    first = points.floor().clamp(0, max(0, size - 2)).to(torch.int64)
    cells = first[:, None] + torch.arange(min(2, size), device=coordinates.device)
    return first, (1 - (points[:, None] - cells).abs()).clamp(min=0)
