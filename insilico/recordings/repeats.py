"""Which trials showed the same stimulus, told from the stimuli themselves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

#: Two movies are the same if more than this fraction of their frames agree …
SAME_FRACTION = 0.85
#: … within this many gray levels at every pixel (ViV1T-closed-loop, misc/assign_video_ids.py).
SAME_LEVELS = 1.0

#: Every how many frames, rows and columns are compared first. With every fifth frame a pair that
#: agrees in more than 85 % of its frames must agree in some of those compared: nothing is missed.
FRAME_STEP, ROW_STEP, COLUMN_STEP = 5, 6, 8

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class _Known:
    """A stimulus met before, and the few of its pixels that are compared first."""

    frames: Array
    sample: Array
    index: int


class StimulusMatcher:
    """Gives every stimulus an index, the same one when it comes again.

    A stimulus is compared with the first showing of every other. The arrays that :meth:`index_of`
    is given are kept, not copied: slices of a memory-mapped file cost no memory.

    Parameters
    ----------
    first : int
        Index of the first stimulus.
    """

    def __init__(self, first: int = 0) -> None:
        self._next = first
        self._known: list[_Known] = []

    def index_of(self, frames: Array) -> int:
        """Return the index of a stimulus, a new one if it was not met before.

        Parameters
        ----------
        frames : array, shape (frame, channel, y, x)
            Gray levels; an image is one frame.
        """
        sample = _sample(frames)
        for known in self._known:
            if _may_be_same(known, frames, sample) and is_same_stimulus(known.frames, frames):
                return known.index
        self._known.append(_Known(frames, sample, self._next))
        self._next += 1
        return self._known[-1].index


def is_same_stimulus(first: Array, second: Array) -> bool:
    """Whether two movies, or images, agree but for rounding and a few frames.

    Parameters
    ----------
    first, second : arrays, shape (frame, channel, y, x)
        Gray levels. Frames that only the longer one has count as different.

    References
    ----------
    ViV1T-closed-loop, misc/assign_video_ids.py.
    """
    if first.shape[1:] != second.shape[1:]:
        return False
    longest, shortest = max(len(first), len(second)), min(len(first), len(second))
    return _agreeing(first[:shortest], second[:shortest]) > SAME_FRACTION * longest


def _may_be_same(known: _Known, frames: Array, sample: Array) -> bool:
    """Whether so many of the sampled frames agree as those of the same movie must."""
    if known.frames.shape[1:] != frames.shape[1:]:
        return False
    longest = max(len(known.frames), len(frames))
    shortest = min(len(known.sample), len(sample))
    must_agree = shortest - (1 - SAME_FRACTION) * longest
    return shortest > 0 and _agreeing(known.sample[:shortest], sample[:shortest]) >= must_agree


def _sample(frames: Array) -> Array:
    """Copy the few pixels that are compared first."""
    return np.array(frames[::FRAME_STEP, :, ::ROW_STEP, ::COLUMN_STEP])


def _agreeing(first: Array, second: Array) -> int:
    """Count the frames that agree at every pixel."""
    difference = np.abs(np.asarray(first, np.float32) - np.asarray(second, np.float32))
    return int((difference.max(axis=(1, 2, 3)) <= SAME_LEVELS).sum())
