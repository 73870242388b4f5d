"""One stimulus that was made or found, before it becomes a row of a set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from insilico.synthesis.objectives import Objective
from insilico.synthesis.regions import Region

#: What a stimulus may be: made for its neuron, or one of the controls.
STIMULUS_CLASSES = {
    "exciting": "made to drive the response as high as can be",
    "inhibiting": "made to drive the response as low as can be",
    "grating": "the best of the gratings shown",
    "natural": "the best of the natural images or clips shown",
    "noise": "the exciting stimulus with the phases of its spectrum shuffled",
    "swap": "the exciting stimulus of another neuron, moved to this neuron's place",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """A stimulus as it will be shown.

    Parameters
    ----------
    frames : uint8 array, shape ([frame,] y, x)
        What is seen, background included.
    objective : Objective
        Whose response it is about.
    region : Region
        Where it is its own.
    stimulus_class : str
        One of :data:`STIMULUS_CLASSES`.
    status : str
        "ok", or why it is less than that.
    details : mapping
        Further columns of its row, such as ``restart``, ``seed``, ``steps``.
    curve : float array, shape (step,)
        Score at each step of its making.
    """

    frames: np.ndarray[Any, np.dtype[np.uint8]]
    objective: Objective
    region: Region
    stimulus_class: str
    status: str = "ok"
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    curve: np.ndarray[Any, np.dtype[np.float32]] = dataclasses.field(
        default_factory=lambda: np.empty(0, np.float32)
    )

    @property
    def key(self) -> tuple[str, str]:
        """What it is made for: name and goal of its objective."""
        return self.objective.key

    @property
    def score(self) -> float:
        """The signed score of what was made or found; nothing is worse than none."""
        return float(self.details.get("score", -np.inf))


def best_of(made: Sequence[Entry], *, all_goals: bool = False) -> list[Entry]:
    """Return the best restart of each target: the one with the highest score at its contrast.

    Parameters
    ----------
    made : sequence of Entry
        What was made; without ``all_goals`` only what excites counts.
    all_goals : bool
        Whether to return one for each goal.
    """
    best: dict[tuple[str, str], Entry] = {}
    for entry in made:
        counts = all_goals or entry.objective.goal == "excite"
        if counts and (entry.key not in best or entry.score > best[entry.key].score):
            best[entry.key] = entry
    return list(best.values())
