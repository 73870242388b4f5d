"""Many patterns at once, given the levels of a set inside one region and shown there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from insilico.synthesis.levels import CORRECTIONS, FINAL_CORRECTIONS, TOLERANCE_LEVELS, Levels
from insilico.synthesis.regions import Region

Array = np.ndarray[Any, Any]

#: A pattern whose standard deviation in the region is below this many gray levels has no contrast
#: to scale: most of it is the rounding to bytes, which alone has 0.29.
UNIFORM_LEVELS = 1.0
#: Before rounding to bytes the levels must be met to this many; the other half is for the rounding.
MATCHED_LEVELS = TOLERANCE_LEVELS / 2


class Matcher:
    """Gives patterns the levels of a set inside a region, and shows them with its background.

    Parameters
    ----------
    region : Region
        Where they are shown.
    levels : Levels
        What gray levels they may have there.
    device : torch.device
        Where this is computed.
    """

    def __init__(self, region: Region, levels: Levels, device: torch.device) -> None:
        self.region, self.levels, self.device = region, levels, device
        rows, columns = (np.flatnonzero(region.mask.any(axis=axis)) for axis in (1, 0))
        # Outside of this part nothing changes; for a small disc it is a hundredth of the screen.
        self._part = (
            ...,
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )
        background = region.background if region.background.ndim == 3 else region.background[None]
        self._background = self._tensor(background)[None]
        self._weights = self._tensor(region.weights[self._part])[None, None]

    def show(self, content: Array) -> tuple[Tensor, Tensor]:
        """Return what is seen of patterns that can have these levels, and what becomes of each.

        Parameters
        ----------
        content : array, shape (stimulus, frame, y, x)
            Gray levels.

        Returns
        -------
        shown : float tensor, shape (kept, frame, y, x)
            Gray levels, background included, before rounding, of the patterns that are kept.
        fate : int64 tensor, shape (stimulus,)
            0 where a pattern is kept, 1 where it is uniform in the region, 2 where no scale and
            offset, with the clipping that follows, gives it these levels.
        """
        pattern = self._tensor(content[self._part])
        inside = self._weights > 0
        fate = torch.zeros(len(pattern), dtype=torch.int64, device=self.device)
        if self.levels.rms_level is not None:
            fate[_moments(pattern, inside)[1] < UNIFORM_LEVELS] = 1
        rows = torch.nonzero(fate == 0).flatten()
        fitted, is_met = self._fit(pattern[rows], CORRECTIONS)
        if not is_met.all():
            missed = torch.nonzero(~is_met).flatten()
            fitted[missed], is_met[missed] = self._fit(pattern[rows[missed]], FINAL_CORRECTIONS)
            fate[rows[~is_met]] = 2
        return self._shown(fitted[is_met]), fate

    def _fit(self, pattern: Tensor, corrections: int) -> tuple[Tensor, Tensor]:
        """Return what is seen in the part, and whether it has the levels."""
        background = self._background[self._part]
        content = self.levels.fit(pattern, self._weights, background, corrections=corrections)
        seen = content * self._weights + background * (1 - self._weights)
        is_met = torch.ones(len(seen), dtype=torch.bool, device=self.device)
        for found, wanted in zip(
            _moments(seen, self._weights > 0),
            (self.levels.luminance_level, self.levels.rms_level),
            strict=True,
        ):
            if wanted is not None:
                is_met &= (found - wanted).abs() <= MATCHED_LEVELS
        return seen, is_met

    def _shown(self, seen: Tensor) -> Tensor:
        shape = (len(seen), seen.shape[1], *self._background.shape[2:])
        shown = self._background.expand(shape).clone()
        shown[self._part] = seen
        return shown

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.array(values, np.float32)).to(self.device)


def _moments(frames: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (stimulus,) over the pixels inside, and all frames."""
    count = inside.sum() * frames.shape[1]
    mean = (frames * inside).sum((1, 2, 3), keepdim=True) / count
    variance = ((frames - mean).square() * inside).sum((1, 2, 3)) / count
    return mean.flatten(), variance.sqrt()
