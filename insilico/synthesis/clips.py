"""Clips cut out of movies that are read one by one, and what is asked of movies."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ShapeError, StimulusError, UnitsError
from insilico.screen import Screen
from insilico.synthesis.resizing import fit_to_screen
from insilico.synthesis.sources import Candidates, IntArray

Array = np.ndarray[Any, Any]

#: Frames between clips of one movie, and between its stills, as published (ViV1T-closed-loop,
#: most_exciting_stimulus/single_neuron/natural_stimulus).
PUBLISHED_STRIDE_FRAMES = 5
#: Resampled gray levels may overshoot by this much.
OVERSHOOT_LEVELS = 1.0


def clip_candidates(
    read: Callable[[int], Array],
    table: pd.DataFrame,
    screen: Screen,
    *,
    frame_count: int,
    provenance: Mapping[str, Any],
) -> Candidates:
    """Return clips of movies that are read when they are needed.

    Parameters
    ----------
    read : callable
        Gives the frames (frame, y, x) of a movie by its number. The last two movies stay in memory.
    table : DataFrame, one row a clip
        First the number of the movie, under a name of its own, and ``frame``, where the clip
        starts; sorted, so that a search reads each movie once.
    screen : Screen
        To whose pixels clips are resized.
    frame_count : int
        Frames of each.
    provenance : mapping
        As for :class:`~insilico.synthesis.sources.Candidates`.
    """
    read_once = functools.lru_cache(maxsize=2)(read)

    def draw(rows: pd.DataFrame) -> Array:
        places = zip(rows.iloc[:, 0].tolist(), rows["frame"].tolist(), strict=True)
        clips = [read_once(movie)[frame : frame + frame_count] for movie, frame in places]
        return np.stack([fit_to_screen(clip, screen) for clip in clips])

    return Candidates("natural", screen, table, draw, frame_count, provenance)


def cut(lengths: IntArray, *, frame_count: int, stride_frames: int) -> tuple[IntArray, IntArray]:
    """Return where clips start that lie within movies.

    Parameters
    ----------
    lengths : int array, shape (movie,)
        Frames of each movie.
    frame_count, stride_frames : int
        Frames of a clip, and between the starts of clips.

    Returns
    -------
    movie, frame : int arrays, shape (clip,)
        Movies that are shorter than a clip have none.

    Raises
    ------
    UnitsError
        If either is below 1.
    """
    if frame_count < 1 or stride_frames < 1:
        raise UnitsError(
            f"clips of {frame_count} frames every {stride_frames} frames were asked for; give 1 or "
            "more of each"
        )
    counts = np.maximum((lengths - frame_count) // stride_frames + 1, 0)
    movie = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return movie, within * stride_frames


def at_most(candidates: Candidates, limit: int | None, seed: int) -> Candidates:
    """Return at most so many candidates, drawn at random, in their order.

    Parameters
    ----------
    candidates : Candidates
        All there are.
    limit : int or None
        Most of them; None keeps all.
    seed : int
        Which they are is a function of it.

    Raises
    ------
    UnitsError
        If the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UnitsError(f"at most {limit} candidates were asked for; give 1 or more")
    if limit is None or limit >= len(candidates):
        return candidates
    random = np.random.default_rng([seed, len(candidates)])
    return candidates.select(np.sort(random.choice(len(candidates), limit, replace=False)))


def check_movie(movie: Array, what: str) -> Array:
    """Return the frames (frame, y, x) of a movie or image, without padding.

    Parameters
    ----------
    movie : array, shape (frame, y, x) or (y, x)
        Gray levels; the first frame with NaN ends it.
    what : str
        Its name, for messages.

    Raises
    ------
    ShapeError
        If it is no image or movie of gray levels.
    StimulusError
        If its levels lie outside 0-255 or within 0-1.
    """
    frames = movie[None] if movie.ndim == 2 else movie
    is_floating = frames.dtype.kind == "f"
    if frames.ndim != 3 or 0 in frames.shape or not (is_floating or frames.dtype == np.uint8):
        raise ShapeError(
            f"{what} has shape {movie.shape} and type {movie.dtype}; give gray levels, uint8 or "
            "floating, of shape (frame, y, x), or (y, x) for an image"
        )
    if not is_floating:
        return frames
    # Frame by frame: a movie on disk need not fit into memory.
    ranges = np.array([(frame.min(), frame.max()) for frame in frames], np.float64)
    is_shown = np.logical_and.accumulate(np.isfinite(ranges).all(axis=1))
    low, high = ranges[is_shown].min(initial=np.inf), ranges[is_shown].max(initial=-np.inf)
    if low < -OVERSHOOT_LEVELS or high > 255 + OVERSHOOT_LEVELS or high <= 1:
        raise StimulusError(
            f"{what} has {is_shown.sum()} frames before the first NaN, with levels from {low:.4g} "
            f"to {high:.4g}; give gray levels of 0 to 255"
        )
    return frames[: int(is_shown.sum())]


def check_length(length: int, frame_count: int, what: str) -> None:
    """Refuse a movie that is shorter than a clip.

    Raises
    ------
    StimulusError
        If it is.
    """
    if length < frame_count:
        raise StimulusError(
            f"{what} has {length} {'frame' if length == 1 else 'frames'}, and clips of "
            f"{frame_count} were asked for; leave it out, or ask for shorter clips or for stills"
        )
