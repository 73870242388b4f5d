"""What cores with attention tell of it: which patches answers draw from, and where these lie."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclasses.dataclass(frozen=True)
class PatchPlaces:
    """Where the patches of a core lie on an image.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of patches.
    first_px : (float, float)
        Center (y, x) of the first patch, pixels from the top left; its edges may lie outside.
    stride_px : (float, float)
        Distance (y, x) of neighbors.
    side_px : (float, float)
        Height and width of a patch.
    """

    shape: tuple[int, int]
    first_px: tuple[float, float]
    stride_px: tuple[float, float]
    side_px: tuple[float, float]

    def centers_px(self) -> tuple[FloatArray, FloatArray]:
        """Return y of every row of patches, and x of every column."""
        y_px, x_px = (
            first + stride * np.arange(count, dtype=float)
            for first, stride, count in zip(self.first_px, self.stride_px, self.shape, strict=True)
        )
        return y_px, x_px

    def on(self, scale: tuple[float, float], offset_px: tuple[float, float]) -> PatchPlaces:
        """Return the places on another image, of which pixel 0 is at ``offset_px`` there.

        Parameters
        ----------
        scale : (float, float)
            Pixels (y, x) of the other image to one of this.
        offset_px : (float, float)
            Where (y, x) this image's first pixel center lies on the other.
        """
        first, stride, side = (
            (values[0] * scale[0], values[1] * scale[1])
            for values in (self.first_px, self.stride_px, self.side_px)
        )
        moved = first[0] + offset_px[0], first[1] + offset_px[1]
        return PatchPlaces(self.shape, moved, stride, side)


@dataclasses.dataclass(frozen=True, eq=False)
class AttentionMaps:
    """How much of the stimulus' patches, and of its times, reaches the answer of a core.

    Parameters
    ----------
    spatial : float tensor, shape (trial[, time], row, column)
        Share of each patch, ≥ 0.
    places : PatchPlaces
        Where the patches lie.
    temporal : float tensor, shape (trial, time), optional
        Share of each time, summing to one over all times; None where no time sees another.
    temporal_uniform : float tensor, shape (time,), optional
        The same if every time attended alike to all that it may see. Under a causal mask early
        times are seen by more, so that both fall with time by construction.
    last_frame : int array, shape (time,), optional
        The last frame of the movie that a time's patches reach; None for images.
    moved_px : float tensor, shape (trial, 2), optional
        How far (y, x) patches lie from ``places`` in each trial, where gaze moves what the core
        sees.
    """

    spatial: Tensor
    places: PatchPlaces
    temporal: Tensor | None = None
    temporal_uniform: Tensor | None = None
    last_frame: IntArray | None = None
    moved_px: Tensor | None = None


@runtime_checkable
class Attentive(Protocol):
    """A core whose answers go through attention."""

    def attention_maps(
        self, stimulus: Tensor, state: Tensor | None = None, *, mouse: str = ""
    ) -> AttentionMaps:
        """Return which patches, and times, a stimulus' answers draw from.

        Parameters
        ----------
        stimulus, state, mouse
            As for :meth:`insilico.models.cores.core.Core.forward`; in evaluation mode.
        """
