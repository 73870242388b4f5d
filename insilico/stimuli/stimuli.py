"""The lazy stimulus set: a table of what is shown when, and a way to draw any part of it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd

from insilico.errors import ShapeError
from insilico.screen import Screen

#: Whether a trial is one image or has frames.
Kind = Literal["image", "movie"]

#: Trials are drawn in blocks of about this many pixels: 1,000 images of 36 x 64, about 10 MB as
#: float32. Larger blocks feed the matrix products of the analysis no faster.
BLOCK_PIXELS = 1000 * 36 * 64


@dataclasses.dataclass(frozen=True, eq=False)
class Stimuli:
    """Trials that are drawn when they are needed, never all at once.

    Parameters
    ----------
    kind : {"image", "movie"}
        Whether a trial has frames.
    screen : Screen
        Where it is shown.
    conditions : DataFrame, one row a presented pattern
        Columns ``trial`` (0, 1, …, in order, none left out; one row a trial for images),
        ``onset_frame`` (within the trial; 0 for images) and the parameters of the pattern.
    draw : callable
        ``draw(rows)`` gives the patterns of some rows of ``conditions``, gray levels 0-255, of
        shape (row, y, x) for images and still patterns and (row, frame, y, x) for moving ones.
    pattern_frames : int
        How long each pattern stays on; 1 for images.
    trial_frames : int
        Frames of a trial. Whatever no pattern covers is the screen's gray: lead, gaps and tail
        belong to the protocol, and nobody else pads.
    is_still : bool
        Whether a pattern keeps still while it is shown.

    Raises
    ------
    ShapeError
        If the trials are not numbered in order, or a pattern does not fit its trial.
    """

    kind: Kind
    screen: Screen
    conditions: pd.DataFrame
    draw: Callable[[pd.DataFrame], np.ndarray[Any, Any]]
    pattern_frames: int = 1
    trial_frames: int = 1
    is_still: bool = False

    def __post_init__(self) -> None:
        trial = self.conditions["trial"].to_numpy()
        steps = np.diff(trial)
        allowed = (1,) if self.kind == "image" else (0, 1)
        if len(trial) and not (np.isin(steps, allowed).all() and trial[0] == 0):
            rows = "one row a trial" if self.kind == "image" else "sorted, none left out"
            raise ShapeError(
                f"the conditions of {self.kind}s must number their trials 0, 1, 2, …: {rows}"
            )
        onset = self.conditions["onset_frame"].to_numpy()
        if np.any(onset < 0) or np.any(onset + self.pattern_frames > self.trial_frames):
            raise ShapeError(
                f"patterns of {self.pattern_frames} frames at onsets up to {onset.max()} do not "
                f"fit trials of {self.trial_frames} frames; lengthen the trial"
            )

    def __len__(self) -> int:
        """Return the number of trials."""
        return int(self.conditions["trial"].iloc[-1]) + 1 if len(self.conditions) else 0

    def render(self, trials: range) -> np.ndarray[Any, Any]:
        """Draw some consecutive trials.

        Parameters
        ----------
        trials : range
            Of step 1, within 0 to ``len(self)``.

        Returns
        -------
        array, shape (trial[, frame], y, x)
            Gray levels 0-255, in the dtype of the patterns.
        """
        first, last = np.searchsorted(self.conditions["trial"], [trials.start, trials.stop])
        rows = self.conditions.iloc[first:last]
        patterns = self.draw(rows)
        if self.kind == "image":
            return patterns
        shape = (len(trials), self.trial_frames, *self.screen.shape)
        frames = np.full(shape, self.screen.gray, patterns.dtype)
        shown = zip(rows["trial"] - trials.start, rows["onset_frame"], patterns, strict=True)
        for trial, onset, pattern in shown:
            frames[trial, onset : onset + self.pattern_frames] = pattern
        return frames

    def blocks(self) -> Iterator[range]:
        """Yield consecutive ranges of trials, each small enough to be drawn at once."""
        pixels = self.trial_frames * self.screen.height_px * self.screen.width_px
        step = max(1, BLOCK_PIXELS // pixels)
        # An even step keeps even and odd trials, the two halves of a measurement, balanced.
        step += step % 2
        for start in range(0, len(self), step):
            yield range(start, min(start + step, len(self)))

    @functools.cached_property
    def stimulus_id(self) -> str:
        """SHA-256 of every frame in order, as bytes of the drawn dtype; draws everything once."""
        return self.identify(len(self))

    def frames(self, trial_count: int) -> Iterator[np.ndarray[Any, Any]]:
        """Draw the first trials, block by block."""
        for block in self.blocks():
            shown = range(block.start, min(block.stop, trial_count))
            if shown:
                yield np.ascontiguousarray(self.render(shown))

    def identify(self, trial_count: int) -> str:
        """Return the hash of the first trials alone; draws them once."""
        digest = hashlib.sha256()
        for frames in self.frames(trial_count):
            digest.update(frames.tobytes())
        return digest.hexdigest()
