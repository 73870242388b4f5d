"""Several experiments at once: which of them a twin can answer, and in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from insilico.experiments.experiment import Experiment
from insilico.stimuli.stimuli import Kind

#: On the command line in place of names: every experiment.
ALL = "all"


@dataclasses.dataclass(frozen=True)
class Battery:
    """What is run, and what is not.

    Attributes
    ----------
    experiments : tuple of Experiment
        In an order in which each comes after those it builds on.
    skipped : dict of str to str
        Why each of the others is left out, by name.
    """

    experiments: tuple[Experiment[Any], ...]
    skipped: dict[str, str]


def plan_battery(
    experiments: Sequence[Experiment[Any]],
    protocols: Mapping[str, Any],
    kind: Kind,
    *,
    unanswered: Mapping[str, str] | None = None,
) -> Battery:
    """Order experiments by what builds on what, and leave out what cannot be answered.

    Parameters
    ----------
    experiments : sequence of Experiment
        As asked for; those that do not depend on each other keep this order.
    protocols : mapping of str to Protocol
        Of each of them, by name.
    kind : {"image", "movie"}
        Of the twin, or of the recording.
    unanswered : mapping of str to str, optional
        Reasons that are known already, by name.

    Returns
    -------
    Battery
        An experiment that builds on one that is left out is left out, too. One that builds on an
        experiment that was not asked for stays: a run folder may hold its result.
    """
    asked = {question.name: question for question in experiments}
    skipped = dict(unanswered or {})
    for name, question in asked.items():
        if kind not in question.kinds:
            skipped.setdefault(name, f"it needs {' or '.join(question.kinds)}s")
    needed = {name: asked[name].requires(protocols[name], kind) for name in asked}
    order: list[str] = []
    waiting = [name for name in asked if name not in skipped]
    while waiting:
        for name in waiting:
            if lost := [other for other in needed[name] if other in skipped]:
                skipped[name] = f"it builds on {' and '.join(lost)}"
                break
            if not any(other in waiting for other in needed[name]):
                order.append(name)
                break
        else:
            raise RuntimeError(f"experiments build on each other in a circle: {waiting}")
        waiting.remove(name)
    return Battery(tuple(asked[name] for name in order), skipped)
