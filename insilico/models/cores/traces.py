"""Planes that are the same everywhere in a frame, or in every frame, convolved without them."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def map_of_positions(kernels: Tensor, size: tuple[int, ...], spatial: nn.Conv3d) -> Tensor:
    """Convolve two planes that rise from -1 to 1, the first over rows, the other over columns.

    Parameters
    ----------
    kernels : float tensor, shape (channel, 2, y, x)
        Spatial kernels of the planes.
    size : tuple of int
        Rows and columns of the frame.
    spatial : nn.Conv3d
        Has the stride and the padding.

    Returns
    -------
    float tensor, shape (1, channel, 1, y, x)
    """
    rows, columns = (
        torch.linspace(-1, 1, length, device=kernels.device, dtype=kernels.dtype) for length in size
    )
    planes = torch.stack([rows[:, None].expand(*size), columns.expand(*size)])
    stride, padding = spatial.stride[1:], cast(tuple[int, ...], spatial.padding)[1:]
    return F.conv2d(planes[None], kernels, stride=stride, padding=padding)[:, :, None]


def add_traces(seen: Tensor, maps: Tensor, traces: Tensor) -> Tensor:
    """Add the traces' part of a convolution, without ever spreading a trace over a frame.

    The convolution of a plane that is the same everywhere is its value times a fixed map: the sum
    of those kernel weights that lie inside the frame.

    Parameters
    ----------
    seen : float tensor, shape (trial, channel, frame, y, x)
        The stimulus' part.
    maps : float tensor, shape (channel, trace, y, x)
        See :func:`maps_of_ones`.
    traces : float tensor, shape (trial, trace, frame)
        Their values.

    Returns
    -------
    float tensor, shape (trial, channel, frame, y, x)
    """
    if maps.shape[-2:] == (1, 1):
        return seen + torch.einsum("cvyx,tvf->tcfyx", maps, traces)
    trials, width, frames, rows, columns = seen.shape
    over_channels = traces.transpose(1, 2)[:, None].expand(-1, width, -1, -1)
    driven = torch.baddbmm(
        seen.reshape(trials * width, frames, rows * columns),
        over_channels.flatten(0, 1),
        maps.flatten(2).expand(trials, -1, -1, -1).flatten(0, 1),
    )
    return driven.view(trials, width, frames, rows, columns)


def maps_of_ones(kernels: Tensor, size: tuple[int, ...], spatial: nn.Conv3d) -> Tensor:
    """Convolve a frame of ones with each kernel on its own.

    Parameters
    ----------
    kernels : float tensor, shape (channel, trace, y, x)
        Spatial kernels of the traces.
    size : tuple of int
        Rows and columns of the frame.
    spatial : nn.Conv3d
        Has the stride and the padding.

    Returns
    -------
    float tensor, shape (channel, trace, y, x)
        One cell where the map is the same everywhere.
    """
    if not any(spatial.padding):
        return kernels.sum(dim=(-2, -1), keepdim=True)
    ones = kernels.new_ones(1, 1, *size)
    single = kernels.flatten(0, 1)[:, None]
    stride, padding = spatial.stride[1:], cast(tuple[int, ...], spatial.padding)[1:]
    maps = F.conv2d(ones, single, stride=stride, padding=padding)
    return maps.view(*kernels.shape[:2], *maps.shape[-2:])
