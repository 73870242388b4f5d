"""Searching movies in two steps: some clips first, then the neighbors of the best of these."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from insilico.errors import ProtocolError
from insilico.progress import progress_bar
from insilico.synthesis.entries import Entry
from insilico.synthesis.finding import Wanted, group_targets
from insilico.synthesis.levels import Levels
from insilico.synthesis.scoring import Scorer
from insilico.synthesis.search import Search
from insilico.synthesis.sources import Candidates, IntArray

#: Frames between the clips of the first step (spec: coarse-to-fine windows of stride 15, then 5
#: around the best 2 %).
COARSE_STRIDE_FRAMES = 15
#: Part of the clips of the first step whose neighbors are shown in the second.
REFINED_SHARE = 0.02


def coarse_clips(
    candidates: Candidates, *, stride_frames: int = COARSE_STRIDE_FRAMES
) -> Candidates:
    """Return the clips that start at a multiple of some frames.

    Raises
    ------
    ProtocolError
        If the candidates are no clips of movies, or the stride is below 1.
    """
    if "frame" not in candidates.table or stride_frames < 1:
        raise ProtocolError(
            f"{candidates.stimulus_class} candidates were to be thinned to every {stride_frames} "
            "frames; give clips of movies, and 1 frame or more"
        )
    is_kept = candidates.table["frame"].to_numpy() % stride_frames == 0
    return candidates.select(np.flatnonzero(is_kept))


def neighbors(candidates: Candidates, best: Candidates, *, reach_frames: int) -> IntArray:
    """Return where clips lie in a table that start near some others of the same movies.

    Parameters
    ----------
    candidates : Candidates
        Clips.
    best : Candidates
        Some of them.
    reach_frames : int
        Most frames between starts; those that start in the same frame are left out.
    """
    movie = [str(name) for name in candidates.table if name != "frame"]
    table = candidates.table.reset_index(drop=True).rename_axis("row").reset_index()
    pairs = table.merge(best.table, on=movie, suffixes=("", "_of_best"))
    distance = (pairs["frame"] - pairs["frame_of_best"]).abs()
    is_near = (distance > 0) & (distance <= reach_frames)
    return np.unique(pairs.loc[is_near, "row"].to_numpy(np.int64))


def coarse_search(
    scorer: Scorer,
    candidates: Candidates,
    targets: Sequence[Wanted],
    *,
    levels: Levels,
    top: int = 1,
    coarse: Candidates | None = None,
    share: float = REFINED_SHARE,
    reach_frames: int = COARSE_STRIDE_FRAMES - 1,
    progress: bool = False,
) -> list[list[Entry]]:
    """Find the clips that drive each target best, without showing all of them.

    Parameters
    ----------
    scorer, targets, levels, top, progress
        As for :func:`insilico.synthesis.search.search`.
    candidates : Candidates
        All clips that may be found.
    coarse : Candidates, optional
        Those of the first step, such as some drawn at random; by default :func:`coarse_clips`.
    share : float
        Part of these whose neighbors are shown in the second step, above 0 to 1.
    reach_frames : int
        How many frames a neighbor may start before or after.

    Returns
    -------
    list of list of Entry
        As :func:`insilico.synthesis.search.search`; counts are those of both steps. The best of all
        clips is missed where it is no neighbor of one of the best.

    Raises
    ------
    ProtocolError
        If the share is out of range, or the candidates are no clips of movies.
    ShapeError, StimulusError
        As :class:`insilico.synthesis.search.Search`.
    """
    if not 0 < share <= 1:
        raise ProtocolError(f"share is {share:g}; give a part above 0 and at most 1")
    first_clips = coarse_clips(candidates) if coarse is None else coarse
    kept = max(top, math.ceil(share * len(first_clips)))
    first = Search(scorer, first_clips, targets, levels=levels, top=top, remembered=kept)
    _finish(first, "coarse search", progress)
    found = first.entries()
    for group in group_targets(targets):
        best = np.unique(np.concatenate([first.best(member)[:kept] for member in group.members]))
        chosen = first_clips.select(best)
        near = neighbors(candidates, chosen, reach_frames=reach_frames)
        near = near[~np.isin(candidates.table.index[near], first_clips.table.index)]
        if not len(near):
            continue
        second = Search(
            scorer,
            candidates.select(near),
            [targets[member] for member in group.members],
            levels=levels,
            top=top,
        )
        _finish(second, "fine search", progress)
        for member, entries in zip(group.members, second.entries(), strict=True):
            found[member] = _merged(found[member], entries, top)
    return found


def _finish(search: Search, label: str, progress: bool) -> None:
    with progress_bar(label, search.batch_count, shown=progress) as advance:
        while not search.is_finished:
            search.advance()
            advance(1)


def _merged(first: list[Entry], second: list[Entry], top: int) -> list[Entry]:
    """Return the best entries of both steps, with what both have shown."""
    usable = [entry for entry in (*first, *second) if entry.status == "ok"]
    names = ("candidate_count", "uniform_count", "unmatched_count")
    counts = {name: first[0].details[name] + second[0].details[name] for name in names}
    ordered = sorted(usable, key=lambda entry: -entry.details["score"])[:top] or first
    return [dataclasses.replace(entry, details={**entry.details, **counts}) for entry in ordered]
