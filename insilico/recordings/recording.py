"""``Recording``: what was shown to one mouse and what its neurons did, whatever the file format."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

Layout = Literal["sensorium2022", "franke2022", "sensorium2023", "rochefort"]

#: What a trial is for; the readers translate each format's own words
#: (ViV1T-closed-loop, viv1t/data/constants.py).
TIERS = (
    "train",
    "validation",
    "test",
    "final_test",
    "live_main",
    "live_bonus",
    "final_main",
    "final_bonus",
    "none",
)

#: The signals of a trial.
SIGNALS = ("stimulus", "responses", "behavior", "pupil_center")


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One presentation, in recorded units and without padding.

    Parameters
    ----------
    stimulus : float32 or uint8 array, shape (channel[, frame], y, x)
        Gray levels, 0-255.
    responses : float32 array, shape (neuron[, frame])
        Recorded units.
    behavior : float32 array, shape (variable[, frame]), optional
        Recorded units, in the order of :attr:`Recording.behavior_names`.
    pupil_center : float32 array, shape (2[, frame]), optional
        Recorded units: horizontal, vertical.
    """

    stimulus: np.ndarray[Any, Any]
    responses: FloatArray
    behavior: FloatArray | None = None
    pupil_center: FloatArray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """The recording of one mouse; opening it reads its tables and no trial.

    Parameters
    ----------
    mouse : str
        A name that can name a file: letters, digits, ``-`` and ``_``.
    kind : {"image", "movie"}
        What was shown.
    layout : str
        The published format it is stored in.
    source : Path
        The folder or zip file it is read from.
    screen : Screen
        The monitor, in pixels of the stimuli that :meth:`read` returns.
    neurons : DataFrame, one row a neuron
        As for :class:`insilico.models.mouse.Mouse`.
    trials : DataFrame, one row a trial
        ``trial`` (number of its files), ``tier`` (one of :data:`TIERS`), ``stimulus_type`` (such as
        "image", "movie", "pink_noise", "gaussian_dots", "random_dots", "drifting_gabor",
        "flashed_image", "unknown") and ``stimulus_index`` (int64, equal where the same stimulus was
        shown again; -1 where the files do not say).
    read : callable
        ``read(trial)`` returns the :class:`Trial` of that number.
    channel_names : tuple of str
        Color channels of the stimulus.
    behavior_names : tuple of str
        Recorded behavioral variables, in order; empty where there are none.
    has_pupil : bool
        Whether the gaze was recorded.
    rate_hz : mapping of str to float
        Samples per second of each signal of movies, by :data:`SIGNALS`; empty for images.
    start_s : mapping of str to float
        Time of each signal's first sample since the first frame; empty for images. The published
        formats resample every signal to the frames, so rates are equal and starts 0.
    """

    mouse: str
    kind: Kind
    layout: Layout
    source: Path
    screen: Screen
    neurons: pd.DataFrame
    trials: pd.DataFrame
    read: Callable[[int], Trial]
    channel_names: tuple[str, ...] = ("gray",)
    behavior_names: tuple[str, ...] = ()
    has_pupil: bool = False
    rate_hz: Mapping[str, float] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    start_s: Mapping[str, float] = dataclasses.field(default_factory=lambda: MappingProxyType({}))

    def trials_of(self, *tiers: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the numbers of the trials of some tiers, in order."""
        chosen = self.trials["tier"].isin(tiers)
        return self.trials.loc[chosen, "trial"].to_numpy(np.int64)
