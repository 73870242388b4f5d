"""Searching: every candidate is shown to every target, batch by batch, and the best are kept.

Targets that share a region share its stimuli: each candidate is made and shown there once, for the
neurons of all of them. A candidate is kept by its name and its score; the best are drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insilico.errors import ProtocolError, ShapeError, StimulusError
from insilico.progress import progress_bar
from insilico.synthesis.entries import Entry
from insilico.synthesis.finding import Wanted, batch_size, best_entries, group_targets
from insilico.synthesis.levels import Levels
from insilico.synthesis.matching import Matcher
from insilico.synthesis.scoring import Scorer
from insilico.synthesis.sources import Candidates, IntArray

Array = np.ndarray[Any, Any]
#: Pixels, times frames, of the candidates that are drawn at once and kept while every region is
#: looked at: 1,800 images of 36 x 64, or 60 clips of a second.
DRAWN_PIXELS = 2**22
#: So many more than asked for are kept for each target: rounding to bytes may change their order.
SPARE = 2


class Search:
    """A search on its way, which can stop after any batch and go on later.

    Parameters
    ----------
    scorer : Scorer
        How the twin is asked; about which neurons, the targets say.
    candidates : Candidates
        What is searched among.
    targets : sequence of (Objective, Region)
        Whom to find stimuli for, and where. The goal of an objective says whether the candidate
        with the largest or the smallest response is the best.
    levels : Levels
        What every candidate is made to have inside the region, before it is shown.
    top : int
        How many are found for each target.
    remembered : int
        How many are remembered by name, at least those found and :data:`SPARE` more.

    Raises
    ------
    ProtocolError
        If there is no target or ``top`` is below 1.
    ShapeError
        If the candidates were drawn for another number of pixels.
    StimulusError
        If their number of frames is neither 1 nor that of the exposure.
    """

    def __init__(
        self,
        scorer: Scorer,
        candidates: Candidates,
        targets: Sequence[Wanted],
        *,
        levels: Levels,
        top: int = 1,
        remembered: int = 0,
    ) -> None:
        _check(scorer, candidates, targets, top)
        self._scorer, self._candidates, self._levels = scorer, candidates, levels
        self._targets, self._top = list(targets), top
        self._groups = group_targets(self._targets)
        self._batches = _plan(scorer, candidates, len(self._groups))
        self.done = 0
        kept = min(max(top + SPARE, remembered), len(candidates))
        self._scores = torch.full((len(targets), kept), -torch.inf, dtype=torch.float64)
        self._rows = torch.full((len(targets), kept), -1)
        self._fates = torch.zeros((len(self._groups), 3), dtype=torch.int64)
        self._drawn: tuple[slice, Array] | None = None
        self._asked: tuple[int, Scorer, Matcher] | None = None

    @property
    def batch_count(self) -> int:
        """Batches in all: each shows some candidates in one region."""
        return len(self._batches)

    @property
    def is_finished(self) -> bool:
        """Whether every candidate was shown in every region."""
        return self.done == self.batch_count

    def advance(self, batches: int = 1) -> None:
        """Show some more batches."""
        for chunk, group, part in self._batches[self.done : self.done + batches]:
            self._show(chunk, group, part)
            self.done += 1

    def state(self) -> dict[str, Tensor]:
        """Return everything that changes, by name; :meth:`restore` takes it."""
        done = torch.tensor(self.done)
        return {"done": done, "scores": self._scores, "rows": self._rows, "fates": self._fates}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to where :meth:`state` was taken, in a search of the same.

        Raises
        ------
        ShapeError
            If it was taken in a search of other targets.
        """
        if state["scores"].shape != self._scores.shape or len(state["fates"]) != len(self._groups):
            raise ShapeError(
                f"the search was left with scores of shape {tuple(state['scores'].shape)} and goes "
                f"on with {tuple(self._scores.shape)}; go on with the same targets, or start again"
            )
        self.done = int(state["done"])
        self._scores, self._rows, self._fates = (
            state[name].clone() for name in ("scores", "rows", "fates")
        )

    def best(self, target: int) -> IntArray:
        """Return places in the table of the best candidates of a target so far, by their score."""
        rows = self._rows[target].numpy()
        return np.asarray(rows[rows >= 0])

    def entries(self) -> list[list[Entry]]:
        """Return what was found so far for each target, the best first.

        The best candidates are drawn again, rounded to bytes and shown once more: the scores are
        those of the bytes. Their details are the columns of the candidates' table, ``candidate``
        (its name in the index of the table), ``score`` (signed, more is better), ``response``,
        ``steps`` (0), ``candidate_count`` (how many were shown in the region), ``uniform_count``
        and ``unmatched_count`` (how many were not, for lack of contrast or because they cannot have
        the levels). A target for which none could be shown gets one uniform entry of status
        "no_contrast"; one for which every answer is NaN, "no_score".
        """
        found: list[list[Entry]] = [[] for _ in self._targets]
        names = ("candidate_count", "uniform_count", "unmatched_count")
        for place, group in enumerate(self._groups):
            fates = dict(zip(names, self._fates[place].tolist(), strict=True))
            entries = best_entries(
                self._ready(place)[0],
                self._candidates,
                self._levels,
                group=group,
                shortlists=[self.best(member)[: self._top + SPARE] for member in group.members],
                counts={"steps": 0, **fates},
                top=self._top,
            )
            for member, own in zip(group.members, entries, strict=True):
                found[member] = own
        return found

    def _show(self, chunk: slice, place: int, part: slice) -> None:
        """Show a part of a chunk of candidates in the region of a group, and keep the best."""
        if self._drawn is None or self._drawn[0] != chunk:
            # The old ones go before the new ones come.
            self._drawn = None
            rows = np.arange(chunk.start, chunk.stop)
            self._drawn = (chunk, self._candidates.render(rows))
        group = self._groups[place]
        scorer, matcher = self._ready(place)
        with torch.inference_mode():
            shown, fate = matcher.show(self._drawn[1][part])
            fate = fate.cpu()
            self._fates[place] += torch.bincount(fate, minlength=3)
            if len(shown) == 0:
                return
            scores = scorer.combine_all(scorer.responses(shown), group.objectives)
        rows = torch.nonzero(fate == 0).flatten() + chunk.start + part.start
        self._keep(group.members, scores.cpu().double().clone(), rows)

    def _ready(self, place: int) -> tuple[Scorer, Matcher]:
        """Return what asks and what draws for a group; those of the last one are remembered."""
        if self._asked is None or self._asked[0] != place:
            self._asked = None
            group = self._groups[place]
            scorer = self._scorer.only(group.neurons)
            matcher = Matcher(group.region, self._levels, self._scorer.twin.device)
            self._asked = (place, scorer, matcher)
        return self._asked[1:]

    def _keep(self, members: list[int], scores: Tensor, rows: Tensor) -> None:
        """Merge scores (target, candidate) into the best; of equals the first one stays."""
        # A score that is no number is no score.
        scores = torch.cat([self._scores[members], scores.nan_to_num(nan=-torch.inf)], dim=1)
        names = torch.cat([self._rows[members], rows.expand(len(members), -1)], dim=1)
        order = scores.sort(dim=1, descending=True, stable=True).indices
        order = order[:, : self._scores.shape[1]]
        self._scores[members] = scores.gather(1, order)
        self._rows[members] = names.gather(1, order)


def search(
    scorer: Scorer,
    candidates: Candidates,
    targets: Sequence[Wanted],
    *,
    levels: Levels,
    top: int = 1,
    progress: bool = False,
) -> list[list[Entry]]:
    """Find the candidates that drive each target best.

    Parameters
    ----------
    scorer, candidates, targets, levels, top
        As for :class:`Search`.
    progress : bool
        Show a bar.

    Returns
    -------
    list of list of Entry
        For each target those found, the best first; see :meth:`Search.entries`.

    Raises
    ------
    ProtocolError, ShapeError, StimulusError
        As :class:`Search`.
    """
    under_way = Search(scorer, candidates, targets, levels=levels, top=top)
    label = f"{candidates.stimulus_class} search"
    with progress_bar(label, under_way.batch_count, shown=progress) as advance:
        while not under_way.is_finished:
            under_way.advance()
            advance(1)
    return under_way.entries()


def _check(scorer: Scorer, candidates: Candidates, targets: Sequence[Wanted], top: int) -> None:
    if not targets or top < 1:
        raise ProtocolError(
            f"the {top} best candidates were asked for by {len(targets)} targets; ask for 1 or "
            "more, and name at least one target"
        )
    if candidates.screen.shape != scorer.screen.shape:
        raise ShapeError(
            f"the {candidates.stimulus_class} candidates have {candidates.screen.shape} pixels and "
            f"{scorer.twin.name} shows {scorer.screen.shape}; draw them for twin.screen(mouse)"
        )
    if candidates.frame_count not in (1, scorer.exposure.frame_count):
        raise StimulusError(
            f"the {candidates.stimulus_class} candidates have {candidates.frame_count} frames, and "
            f"stimuli of {scorer.exposure.frame_count} are shown; cut them to that, or to 1"
        )


def _plan(scorer: Scorer, candidates: Candidates, groups: int) -> list[tuple[slice, int, slice]]:
    """Return batches: a chunk of candidates, the place of a group, and a part of the chunk.

    A chunk is drawn once and shown in every region; a region is made ready once a chunk, and shows
    it part by part.
    """
    pixels = candidates.frame_count * int(np.prod(candidates.screen.shape))
    step, chunk = batch_size(scorer), max(1, DRAWN_PIXELS // pixels)
    count = len(candidates)
    return [
        (slice(first, min(first + chunk, count)), group, slice(start, start + step))
        for first in range(0, count, chunk)
        for group in range(groups)
        for start in range(0, min(chunk, count - first), step)
    ]
