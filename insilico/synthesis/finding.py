"""From the names of the best candidates to what is shown: drawn again, in bytes, scored again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from insilico.synthesis.entries import Entry
from insilico.synthesis.levels import Levels
from insilico.synthesis.objectives import Objective
from insilico.synthesis.regions import Region
from insilico.synthesis.scoring import ASKED_PIXELS, Scorer
from insilico.synthesis.sources import Candidates, IntArray

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Whom a stimulus is searched for, and where it is shown.
Wanted = tuple[Objective, Region]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Targets that see the same stimuli, wherever the centers of their regions are said to be.

    Attributes
    ----------
    regions : list of Region
        One a target, all with the same weights and background.
    members : list of int
        Their places among all targets.
    objectives : list of Objective
        Theirs, in the same order.
    """

    regions: list[Region]
    members: list[int]
    objectives: list[Objective]

    @property
    def region(self) -> Region:
        """Where their stimuli are shown."""
        return self.regions[0]

    @property
    def neurons(self) -> list[int]:
        """All that its objectives are about."""
        return sorted({neuron for objective in self.objectives for neuron in objective.weights})


def group_targets(targets: Sequence[Wanted]) -> list[Group]:
    """Return targets by weights and background, in the order in which these first come."""
    groups: dict[tuple[Any, ...], Group] = {}
    for member, (objective, region) in enumerate(targets):
        # The full field is one for all, and its center is that of each neuron.
        background = region.background
        key = (region.weights.tobytes(), background.shape, background.tobytes())
        group = groups.setdefault(key, Group([], [], []))
        group.regions.append(region)
        group.members.append(member)
        group.objectives.append(objective)
    return list(groups.values())


def batch_size(scorer: Scorer) -> int:
    """Return how many stimuli are shown to a twin at once."""
    pixels = scorer.exposure.frame_count * int(np.prod(scorer.screen.shape))
    return max(1, ASKED_PIXELS // pixels)


def best_entries(
    scorer: Scorer,
    candidates: Candidates,
    levels: Levels,
    *,
    group: Group,
    shortlists: Sequence[IntArray],
    counts: dict[str, int],
    top: int,
) -> list[list[Entry]]:
    """Return the best of a few candidates for each target of a group, by the score of their bytes.

    Parameters
    ----------
    scorer : Scorer
        Whom to ask.
    candidates, levels
        As for :class:`insilico.synthesis.search.Search`.
    group : Group
        The targets.
    shortlists : sequence of int arrays
        For each target, places in the table of the candidates that may be its best.
    counts : dict
        Further details of every entry.
    top : int
        Most entries of a target.
    """
    rows = np.unique(np.concatenate(shortlists))
    if not len(rows):
        return [
            [_nothing(region, objective, candidates, counts)]
            for region, objective in zip(group.regions, group.objectives, strict=True)
        ]
    frames, scores = _shown(scorer, candidates, levels, group=group, rows=rows)
    found = []
    for number, (objective, shortlist) in enumerate(zip(group.objectives, shortlists, strict=True)):
        own = np.searchsorted(rows, shortlist)
        order = own[np.argsort(-scores[number, own], kind="stable")][:top]
        found.append(
            [
                Entry(
                    frames=frames[column],
                    objective=objective,
                    region=group.regions[number],
                    stimulus_class=candidates.stimulus_class,
                    details=_details(candidates, int(rows[column]))
                    | {
                        "score": float(scores[number, column]),
                        "response": objective.sign * float(scores[number, column]),
                    }
                    | counts,
                )
                for column in order
            ]
        )
    return found


def _shown(
    scorer: Scorer, candidates: Candidates, levels: Levels, *, group: Group, rows: IntArray
) -> tuple[list[ByteArray], FloatArray]:
    """Return the bytes of some candidates, and their scores (objective, candidate)."""
    shown: list[ByteArray] = []
    scores = []
    step = batch_size(scorer)
    for start in range(0, len(rows), step):
        drawn = candidates.render(rows[start : start + step])
        contents = drawn[:, 0] if drawn.shape[1] == 1 else drawn
        finished = [levels.finish(content, group.region) for content in contents]
        frames = torch.from_numpy(np.stack(finished).astype(np.float32))
        with torch.inference_mode():
            answers = scorer.responses(frames[:, None] if frames.ndim == 3 else frames)
            scores.append(scorer.combine_all(answers, group.objectives).cpu().numpy())
        shown += finished
    return shown, np.concatenate(scores, axis=1).astype(np.float64)


def _details(candidates: Candidates, row: int) -> dict[str, Any]:
    """Return the columns of a candidate, and its name."""
    table = candidates.table
    columns = {str(name): value for name, value in table.iloc[[row]].to_dict("records")[0].items()}
    return columns | {"candidate": int(table.index[row])}


def _nothing(
    region: Region, objective: Objective, candidates: Candidates, counts: dict[str, int]
) -> Entry:
    """Return the uniform entry of a target for which no candidate could be shown."""
    gray = np.full(region.weights.shape, float(candidates.screen.gray))
    return Entry(
        frames=np.rint(region.compose(gray)).astype(np.uint8),
        objective=objective,
        region=region,
        stimulus_class=candidates.stimulus_class,
        status="no_score" if counts["candidate_count"] else "no_contrast",
        details=counts,
    )
