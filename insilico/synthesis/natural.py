"""Natural images and clips to search among, of a recording or given as arrays.

A clip is kept as the movie it comes from and its first frame, and cut out again when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import RecordingError, StimulusError
from insilico.recordings.cache import CachedRecording
from insilico.recordings.recording import Recording
from insilico.screen import Screen
from insilico.synthesis.clips import (
    PUBLISHED_STRIDE_FRAMES,
    at_most,
    check_length,
    check_movie,
    clip_candidates,
    cut,
)
from insilico.synthesis.sources import Candidates, IntArray

Array = np.ndarray[Any, Any]

#: Types of stimuli in recordings that are natural; the recordings call noise and dots otherwise.
NATURAL_TYPES = ("image", "movie")


def recorded_clips(
    recording: Recording | CachedRecording,
    screen: Screen,
    *,
    frame_count: int = 1,
    stride_frames: int = PUBLISHED_STRIDE_FRAMES,
    tiers: Sequence[str] = ("train",),
    limit: int | None = None,
    seed: int = 0,
) -> Candidates:
    """Return the natural images or clips that a recording showed.

    Parameters
    ----------
    recording : Recording or CachedRecording
        Of images or movies. How long a movie is without its padding is only known when it was read
        with all its signals, which is done once for each; a cached recording knows it.
    screen : Screen
        Where they will be shown; frames of another size are resized.
    frame_count : int
        Frames of a clip; 1 for stills.
    stride_frames : int
        Frames between the starts of clips of one movie, or between stills.
    tiers : sequence of str
        Whose stimuli; by default those of training alone, so that none is found that models are
        tested with.
    limit : int, optional
        Most candidates, drawn at random from all; all by default.
    seed : int
        Which those are is a function of it.

    Returns
    -------
    Candidates
        With columns ``trial`` (number of its files) and ``frame`` (where the clip starts). What was
        shown several times is there once, where the recording says so; trials that are shorter
        than a clip are not there.

    Raises
    ------
    RecordingError
        If it has no natural stimuli in these tiers, none is long enough, or a file is damaged.
    StimulusError
        If stimuli have several channels.
    UnitsError
        If the limit, the stride or the number of frames is below 1.

    References
    ----------
    Clips of 30 frames, every 5 frames, and stills of every fifth frame of training movies:
    ViV1T-closed-loop, most_exciting_stimulus/single_neuron/natural_stimulus. Changed: all
    candidates are not kept in memory, and padding is never shown.
    """
    opened = recording if isinstance(recording, Recording) else recording.recording
    if len(opened.channel_names) > 1:
        raise StimulusError(
            f"the stimuli of {opened.source} have the channels {', '.join(opened.channel_names)}; "
            "search among gray ones"
        )
    trials = _natural_trials(recording.trials, tiers)
    if trials.empty:
        raise RecordingError(
            f"{opened.source} showed no natural image or movie in the tier {', '.join(tiers)}; "
            "choose another tier, or search in a folder of images"
        )
    read = _Reader(recording)
    numbers = trials["trial"].to_numpy(np.int64)
    lengths = read.lengths(numbers)
    if lengths.max() < frame_count:
        raise RecordingError(
            f"the longest {opened.kind} of {opened.source} has {lengths.max()} frames, and clips "
            f"of {frame_count} were asked for; ask for shorter clips or for stills"
        )
    movie, frame = cut(lengths, frame_count=frame_count, stride_frames=stride_frames)
    provenance = {
        "source": "recording",
        "recording": str(opened.source),
        "mouse": opened.mouse,
        "tiers": list(tiers),
        "stride_frames": stride_frames,
        "seed": seed,
    }
    found = clip_candidates(
        read,
        pd.DataFrame({"trial": numbers[movie], "frame": frame}),
        screen,
        frame_count=frame_count,
        provenance=provenance | {"available": len(movie)},
    )
    return at_most(found, limit, seed)


def given_clips(
    movies: Sequence[Array] | Array,
    screen: Screen,
    *,
    frame_count: int = 1,
    stride_frames: int = PUBLISHED_STRIDE_FRAMES,
    limit: int | None = None,
    seed: int = 0,
) -> Candidates:
    """Return natural images or clips of arrays.

    Parameters
    ----------
    movies : sequence of arrays, each of shape (frame, y, x) or (y, x)
        Movies, or images, in gray levels 0-255, uint8 or floating; an array (image, y, x) is a
        sequence of images. A movie ends before its first frame with NaN. What is mapped from disk
        stays there.
    screen, frame_count, stride_frames, limit, seed
        As for :func:`recorded_clips`.

    Returns
    -------
    Candidates
        With columns ``movie`` (its place among those given) and ``frame``.

    Raises
    ------
    ShapeError
        If one is no image or movie of gray levels.
    StimulusError
        If there is none, one is shorter than a clip, or its levels lie outside 0-255 or within 0-1.
    UnitsError
        As :func:`recorded_clips`.
    """
    shown = [check_movie(movie, f"movie {place}") for place, movie in enumerate(movies)]
    for place, frames in enumerate(shown):
        check_length(len(frames), frame_count, f"movie {place}")
    lengths = np.array([len(frames) for frames in shown], np.int64)
    movie, frame = cut(lengths, frame_count=frame_count, stride_frames=stride_frames)
    provenance = {
        "source": "arrays",
        "movies": len(shown),
        "stride_frames": stride_frames,
        "seed": seed,
        "available": len(movie),
    }
    table = pd.DataFrame({"movie": movie, "frame": frame})
    found = clip_candidates(
        shown.__getitem__, table, screen, frame_count=frame_count, provenance=provenance
    )
    return at_most(found, limit, seed)


class _Reader:
    """Reads the frames (frame, y, x) of a trial by its number."""

    def __init__(self, recording: Recording | CachedRecording) -> None:
        self._recording = recording
        numbers = recording.trials["trial"].tolist()
        self._position = {number: position for position, number in enumerate(numbers)}

    def __call__(self, trial: int) -> Array:
        if isinstance(self._recording, CachedRecording):
            return self._recording.stimulus[self._recording.rows(self._position[trial]), 0]
        frames = self._recording.read(trial).stimulus[0]
        return frames[None] if self._recording.kind == "image" else frames

    def lengths(self, trials: IntArray) -> IntArray:
        """Return how many frames each of some trials has."""
        recording = self._recording
        if isinstance(recording, CachedRecording):
            counts = recording.trials["frame_count"].to_numpy(np.int64)
            return counts[[self._position[trial] for trial in trials.tolist()]]
        if recording.kind == "image":
            return np.ones(len(trials), np.int64)
        return np.array([len(self(trial)) for trial in trials.tolist()], np.int64)


def _natural_trials(trials: pd.DataFrame, tiers: Sequence[str]) -> pd.DataFrame:
    """Return the trials of some tiers that showed something natural for the first time."""
    chosen = trials[trials["tier"].isin(tiers) & trials["stimulus_type"].isin(NATURAL_TYPES)]
    is_repeat = chosen.duplicated("stimulus_index") & (chosen["stimulus_index"] >= 0)
    return chosen[~is_repeat]
