"""From numbers to a pattern: pixels, the half spectrum with limits, or few patterns times courses.

Each has two functions: ``draw`` makes patterns from its numbers, ``fit`` finds the numbers that
come nearest to a pattern. ``draw(fit(pattern))`` is the projection onto all that it can draw.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from insilico.errors import ProtocolError
from insilico.screen import Screen

ParametrizationName = Literal["pixels", "fourier", "low-rank"]
PARAMETRIZATIONS = get_args(ParametrizationName)

BandShape = Literal["round", "box"]


class Parametrization(Protocol):
    """Numbers of shape (stimulus, ...) and patterns of shape (stimulus, frame, y, x)."""

    def fit(self, pattern: Tensor) -> tuple[Tensor, ...]:
        """Return the numbers whose pattern is nearest to one."""
        ...

    def draw(self, numbers: tuple[Tensor, ...]) -> Tensor:
        """Return the pattern of some numbers; differentiable."""
        ...


class Pixels:
    """Every pixel of every frame is a number."""

    def fit(self, pattern: Tensor) -> tuple[Tensor, ...]:
        """Return the pattern itself."""
        return (pattern,)

    def draw(self, numbers: tuple[Tensor, ...]) -> Tensor:
        """Return the pattern itself."""
        return numbers[0]


@dataclasses.dataclass(frozen=True)
class Fourier:
    """Real and imaginary parts of the half spectrum, within limits.

    The published parametrization keeps numbers for the whole spectrum of a real pattern, of which
    86 % never matter (ViV1T-closed-loop, single_neuron/generate_center_surround.py); this is the
    half that does.

    Parameters
    ----------
    screen : Screen
        Gives pixels, degrees and frames per second.
    frame_count : int
        Frames of a pattern; 1 where it is still.
    highest_cpd : float or None
        Largest spatial frequency, in cycles per degree at the screen center; None is no limit.
    highest_hz : float or None
        Largest temporal frequency of moving patterns; None is no limit.
    band_shape : {"round", "box"}
        Whether the spatial limit is of the frequency itself, or, as published, of its horizontal
        and vertical parts.
    """

    screen: Screen
    frame_count: int = 1
    highest_cpd: float | None = None
    highest_hz: float | None = None
    band_shape: BandShape = "round"

    def __post_init__(self) -> None:
        lowest = 1 / max(self.screen.shape) / self.screen.degrees_per_px
        if self.highest_cpd is not None and self.highest_cpd < lowest:
            raise ProtocolError(
                f"highest_cpd is {self.highest_cpd:g}, below the {lowest:.4f} cycles per degree "
                "of one cycle across the screen, so only uniform frames are left; raise it"
            )
        if self.highest_hz is not None and self.highest_hz < 0:
            raise ProtocolError(f"highest_hz is {self.highest_hz:g}; give 0 or more")

    @property
    def kept(self) -> Tensor:
        """Which entries (frame, y, x // 2 + 1) of the half spectrum are within limits."""
        return _kept(self)

    def fit(self, pattern: Tensor) -> tuple[Tensor, ...]:
        """Return real and imaginary parts (stimulus, entry, 2) of a pattern's kept frequencies."""
        spectrum = torch.fft.rfftn(pattern, dim=(1, 2, 3), norm="ortho")
        return (torch.view_as_real(spectrum[:, self.kept.to(pattern.device)]).contiguous(),)

    def draw(self, numbers: tuple[Tensor, ...]) -> Tensor:
        """Return the pattern of kept frequencies; all others are 0."""
        values = torch.view_as_complex(numbers[0])
        kept = self.kept.to(values.device)
        spectrum = values.new_zeros(len(values), *kept.shape).masked_scatter(
            kept.expand(len(values), *kept.shape), values
        )
        size = (self.frame_count, *self.screen.shape)
        return torch.fft.irfftn(spectrum, s=size, dim=(1, 2, 3), norm="ortho")


@functools.lru_cache(maxsize=8)
def _kept(band: Fourier) -> Tensor:
    height, width = band.screen.shape
    rate = torch.fft.fftfreq(band.frame_count).abs()[:, None, None] * band.screen.frame_rate_hz
    y = torch.fft.fftfreq(height).abs()[None, :, None] / band.screen.degrees_per_px
    x = torch.fft.rfftfreq(width).abs()[None, None, :] / band.screen.degrees_per_px
    spatial = torch.hypot(x, y) if band.band_shape == "round" else torch.maximum(x, y)
    # A limit that is itself a frequency of the grid keeps it, whatever was lost to rounding.
    slack = 1 + 1e-6
    kept = spatial <= (math.inf if band.highest_cpd is None else band.highest_cpd * slack)
    return kept & (rate <= (math.inf if band.highest_hz is None else band.highest_hz * slack))


@dataclasses.dataclass(frozen=True)
class LowRank:
    """A sum of few spatial patterns, each with its own course in time.

    A rank of 1 flickers in place, 2 can drift: a drifting grating is two patterns in quadrature.

    Parameters
    ----------
    rank : int
        Number of patterns, at least 1.
    """

    rank: int = 2

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ProtocolError(f"rank is {self.rank}; give 1 or more spatial patterns")

    def fit(self, pattern: Tensor) -> tuple[Tensor, ...]:
        """Return courses (stimulus, frame, rank) and patterns (stimulus, rank, y, x)."""
        height, width = pattern.shape[2:]
        left, sizes, right = torch.linalg.svd(pattern.flatten(2), full_matrices=False)
        rank = min(self.rank, sizes.shape[1])
        root = sizes[:, :rank].sqrt()
        courses = left[:, :, :rank] * root[:, None]
        return courses, (right[:, :rank] * root[..., None]).unflatten(2, (height, width))

    def draw(self, numbers: tuple[Tensor, ...]) -> Tensor:
        """Return the sum of patterns times courses."""
        courses, patterns = numbers
        return torch.einsum("sfr,sryx->sfyx", courses, patterns)
