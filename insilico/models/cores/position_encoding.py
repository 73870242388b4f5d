"""Positions that are added to tokens."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

PositionKind = Literal[
    "none",
    "joint",
    "learned",
    "learned_sinusoid",
    "sinusoid",
    "rotary",
    "learned_rotary",
    "sincos_rotary",
]

#: Base of the wavelengths (Vaswani et al. 2017, "Attention is all you need").
WAVELENGTH_BASE = 10_000.0

#: What is added in space and in time, by kind; rotary positions turn queries and keys instead.
_ADDED: dict[str, tuple[str, str]] = {
    "none": ("none", "none"),
    "joint": ("joint", "none"),
    "learned": ("learned", "learned"),
    "learned_sinusoid": ("learned", "sinusoid"),
    "sinusoid": ("sinusoid", "sinusoid"),
    "rotary": ("none", "none"),
    "learned_rotary": ("learned", "none"),
    "sincos_rotary": ("sincos", "none"),
}


class PositionEncoding(nn.Module):
    """Add to each token where, and when, it is.

    Parameters
    ----------
    kind : str
        "joint": one learned vector for each time and patch; "learned": one for each patch plus one
        for each time; "sinusoid": fixed waves over patches and over times; "learned_sinusoid":
        learned in space, waves in time; "rotary" and "none": nothing; "learned_rotary" and
        "sincos_rotary": learned vectors, or fixed waves over columns and rows, in space only.
    shape : (int, int)
        Rows and columns of patches.
    times : int
        Largest number of times.
    width : int
        Channels of a token.
    dropout : float
        Probability of an element to be dropped after each wave was added.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/vivit.py and viv1t/model/modules.py, positional encodings 0
    to 7.
    """

    def __init__(
        self,
        kind: PositionKind,
        *,
        shape: tuple[int, int],
        times: int,
        width: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.space_kind, self.time_kind = _ADDED[kind]
        self.times = times if self.time_kind != "none" or self.space_kind == "joint" else None
        patches = shape[0] * shape[1]
        if self.space_kind == "joint":
            self.space: Tensor | None = nn.Parameter(torch.randn(times, patches, width))
        elif self.space_kind == "learned":
            self.space = nn.Parameter(torch.randn(patches, width))
        else:
            waves = None
            if self.space_kind == "sinusoid":
                waves = sinusoid(patches, width)
            elif self.space_kind == "sincos":
                waves = sincos_2d(shape, width)
            self.register_buffer("space", waves, persistent=False)
        if self.time_kind == "learned":
            self.time: Tensor | None = nn.Parameter(torch.randn(times, 1, width))
        else:
            waves = sinusoid(times, width)[:, None] if self.time_kind == "sinusoid" else None
            self.register_buffer("time", waves, persistent=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Return ``tokens`` (trial, time, patch, channel) with the positions from ``start`` on."""
        times = slice(start, start + tokens.shape[1])
        if self.space is not None:
            tokens = tokens + (self.space[times] if self.space_kind == "joint" else self.space)
            if self.space_kind == "sinusoid":
                tokens = self.dropout(tokens)
        if self.time is not None:
            tokens = tokens + self.time[times]
            if self.time_kind == "sinusoid":
                tokens = self.dropout(tokens)
        return tokens


def sinusoid(length: int, width: int, *, precision: torch.dtype = torch.float32) -> Tensor:
    """Return waves over positions: sines in even channels, cosines in odd ones.

    Parameters
    ----------
    length : int
        Positions 0, 1, …
    width : int
        Channels.
    precision : dtype, default float32
        Of the angles before they are rounded to float32. Published codes differ in it, by up to
        5e-5 at position 600.

    Returns
    -------
    float tensor, shape (length, width)
        Sine or cosine of ``position / 10000^(2 ⌊channel / 2⌋ / width)``.

    References
    ----------
    Vaswani et al. 2017, "Attention is all you need", section 3.5.
    """
    rates = torch.exp(
        torch.arange(0, width, 2, dtype=precision) * (-math.log(WAVELENGTH_BASE) / width)
    )
    phases = (torch.arange(length, dtype=precision)[:, None] * rates).float()
    return torch.stack([phases.sin(), phases.cos()], dim=-1).flatten(1)[:, :width]


def sincos_2d(shape: tuple[int, int], width: int) -> Tensor:
    """Return waves over columns in the first half of the channels, and over rows in the second.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    width : int
        Channels; a multiple of 4. Of each half, sines come first.

    Returns
    -------
    float tensor, shape (row · column, width)
    """
    rates = 1 / WAVELENGTH_BASE ** (torch.arange(width // 4) / (width // 4))
    rows, columns = torch.meshgrid(*(torch.arange(size) for size in shape), indexing="ij")
    phases = [positions.flatten()[:, None] * rates for positions in (columns, rows)]
    return torch.cat([wave for one in phases for wave in (one.sin(), one.cos())], dim=1)
