"""Gray levels of a stimulus: range, luminance and contrast, exact on the bytes shown."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insilico.errors import ProtocolError
from insilico.synthesis.regions import Region

#: Luminance and contrast of the bytes agree with what was asked to this many gray levels.
TOLERANCE_LEVELS = 1.0
#: Corrections of scale and offset after clipping. Patterns that clip in one pixel of ten agree to
#: 0.01 gray levels after five; the rest serves those near the largest possible contrast.
CORRECTIONS = 12
#: Corrections of a stimulus that is made once.
FINAL_CORRECTIONS = 60
#: A pattern whose standard deviation is below this many gray levels has no contrast to set; the
#: rounding of float32 alone leaves a tenth of it.
UNIFORM_LEVELS = 1e-4


@dataclasses.dataclass(frozen=True)
class Levels:
    """What gray levels a stimulus may have inside its region.

    Parameters
    ----------
    luminance_level : float or None
        Mean gray level over the pixels of the region and all frames; None leaves it free.
    rms_level : float or None
        Standard deviation of the gray levels over the same pixels and frames (RMS contrast times
        the mean); None leaves it free.
    lowest, highest : float
        Darkest and brightest level of the monitor, 0 to 255.

    Raises
    ------
    ProtocolError
        If no stimulus can meet them together.
    """

    luminance_level: float | None = None
    rms_level: float | None = None
    lowest: float = 0.0
    highest: float = 255.0

    def __post_init__(self) -> None:
        if not 0 <= self.lowest < self.highest <= 255:
            raise ProtocolError(
                f"gray levels from {self.lowest:g} to {self.highest:g} were asked for; give "
                "lowest_level below highest_level, both within 0 to 255"
            )
        mean = self.luminance_level
        if mean is not None and not self.lowest < mean < self.highest:
            raise ProtocolError(
                f"luminance_level is {mean:g} and gray levels run from {self.lowest:g} to "
                f"{self.highest:g}; the mean must lie between them"
            )
        if self.rms_level is None:
            return
        largest = self.largest_rms_level
        if not 0 < self.rms_level < largest:
            where = "" if mean is None else f" about a luminance_level of {mean:g}"
            raise ProtocolError(
                f"rms_level is {self.rms_level:g}{where}; a stimulus with levels from "
                f"{self.lowest:g} to {self.highest:g} can have more than 0 and less than "
                f"{largest:.1f}, so change rms_level or luminance_level"
            )

    @property
    def largest_rms_level(self) -> float:
        """Standard deviation of a pattern of nothing but darkest and brightest pixels."""
        span = self.highest - self.lowest
        mean = self.luminance_level
        if mean is None:
            return span / 2
        return math.sqrt((mean - self.lowest) * (self.highest - mean))

    def at_contrast(self, fraction: float) -> Levels:
        """Return the same with a part of the contrast."""
        if self.rms_level is None:
            return self
        return dataclasses.replace(self, rms_level=self.rms_level * fraction)

    def check(self, region: Region) -> None:
        """Refuse a region whose tapered border alone has more contrast than a stimulus may.

        Parameters
        ----------
        region : Region
            Where stimuli are shown; only what it fades into matters.

        Raises
        ------
        ProtocolError
            If a uniform stimulus of this luminance has more contrast there than ``rms_level``.
        """
        if self.rms_level is None or self.luminance_level is None:
            return
        weights, background = region.weights[region.mask], region.background[..., region.mask]
        rest = background * (1 - weights)
        level = (self.luminance_level - rest.mean()) / weights.mean()
        least = float((weights * np.clip(level, self.lowest, self.highest) + rest).std())
        if least > self.rms_level + TOLERANCE_LEVELS:
            raise ProtocolError(
                f"rms_level is {self.rms_level:g}, and a border that fades from a luminance_level "
                f"of {self.luminance_level:g} into the background has {least:.1f} by itself; "
                "change border_deg, luminance_level or rms_level"
            )

    def fit(
        self,
        content: Tensor,
        weights: Tensor,
        background: Tensor,
        *,
        corrections: int = CORRECTIONS,
    ) -> Tensor:
        """Scale, shift and clip patterns so that what is seen of them has these levels.

        Parameters
        ----------
        content : float tensor, shape (stimulus, frame, y, x)
            Gray levels of any range.
        weights : float tensor, shape (stimulus, 1, y, x)
            Of their regions.
        background : float tensor, shape (stimulus, frame or 1, y, x)
            What is seen where the weights are below 1.
        corrections : int
            Corrections of scale and offset after clipping; 0 or more.

        Returns
        -------
        float tensor, shape (stimulus, frame, y, x)
            Content within the range of the monitor. A uniform pattern stays one, whatever contrast
            was asked for; where clipping allows no exact answer, it is the nearest found.
        """
        return self._fit(content, weights, background, corrections)

    def finish(
        self, content: np.ndarray[Any, Any], region: Region
    ) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the bytes that are shown: content in its region, with exact levels there.

        Parameters
        ----------
        content : array, shape ([frame,] y, x)
            Gray levels.
        region : Region
            Where it is shown.

        Returns
        -------
        uint8 array, shape ([frame,] y, x)
            With frames where content or the region's background has them.
        """
        frames = torch.from_numpy(_frames(content))
        background = torch.from_numpy(_frames(region.background))
        weights = torch.from_numpy(np.asarray(region.weights, np.float64))
        fitted = self._fit(frames[None], weights[None, None], background[None], FINAL_CORRECTIONS)
        shown = region.compose(fitted[0].numpy())
        is_still = content.ndim == 2 and region.background.ndim == 2
        return np.rint(shown[0] if is_still else shown).astype(np.uint8)

    def are_met(self, shown: np.ndarray[Any, Any], region: Region) -> bool:
        """Whether bytes ([frame,] y, x) have these levels in a region, to one gray level."""
        pairs = zip(
            measure_levels(shown, region), (self.luminance_level, self.rms_level), strict=True
        )
        return all(
            wanted is None or abs(found - wanted) <= TOLERANCE_LEVELS for found, wanted in pairs
        )

    def _fit(
        self, content: Tensor, weights: Tensor, background: Tensor, corrections: int
    ) -> Tensor:
        if self.rms_level is None and self.luminance_level is None:
            return content.clamp(self.lowest, self.highest)
        mask = (weights > 0).to(content.dtype)
        mean, deviation = _moments(content, mask)
        wanted = deviation if self.rms_level is None else torch.full_like(mean, self.rms_level)
        center = (
            mean if self.luminance_level is None else torch.full_like(mean, self.luminance_level)
        )
        is_uniform = deviation < 2 * UNIFORM_LEVELS
        pattern = torch.where(is_uniform, 0.0, (content - mean) / deviation)
        # Scale and offset are numbers of a stimulus; gradients flow through the pattern alone, and
        # through the contrast where that is free.
        scale = wanted if self.rms_level is None else wanted.detach().clone()
        offset = center if self.luminance_level is None else center.detach().clone()
        with torch.no_grad():
            for _ in range(corrections):
                fitted = (pattern * scale + offset).clamp(self.lowest, self.highest)
                seen_mean, seen_deviation = _moments(
                    fitted * weights + background * (1 - weights), mask
                )
                ratio = wanted / seen_deviation.clamp_min(UNIFORM_LEVELS)
                if self.rms_level is not None:
                    scale = torch.where(is_uniform, scale, scale * ratio.clamp(0.5, 2.0))
                if self.luminance_level is not None:
                    offset = offset + center - seen_mean
        return (pattern * scale + offset).clamp(self.lowest, self.highest)


def measure_levels(frames: np.ndarray[Any, Any], region: Region) -> tuple[float, float]:
    """Return mean and standard deviation of gray levels inside a region, over all frames.

    Parameters
    ----------
    frames : array, shape ([frame,] y, x)
        What is shown.
    region : Region
        Whose mask.
    """
    inside = np.asarray(frames, np.float64)[..., region.mask]
    return float(inside.mean()), float(inside.std())


def _moments(frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (stimulus, 1, 1, 1) over the pixels of a mask."""
    axes = (1, 2, 3)
    count = mask.sum(axes, keepdim=True) * frames.shape[1]
    mean = (frames * mask).sum(axes, keepdim=True) / count
    variance = ((frames - mean).square() * mask).sum(axes, keepdim=True) / count
    # The root of exactly 0 would have no gradient.
    return mean, (variance + UNIFORM_LEVELS**2).sqrt()


def _frames(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return gray levels with an axis of frames."""
    frames = np.asarray(array, np.float64)
    return frames if frames.ndim == 3 else frames[None]
