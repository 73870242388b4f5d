"""Experiments and synthesis on simulated neurons, held to what was planted in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import pandas as pd
import xarray as xr

from insilico import simulation
from insilico.experiments import find_experiment, read_protocol, run
from insilico.results import Result
from insilico.screen import Screen
from insilico.simulation import SimulatedV1
from insilico.stimuli.stimuli import Kind
from insilico.validation.comparison import (
    COMPARISONS,
    Comparison,
    find_comparison,
    summarize,
)

#: Neurons whose expected and recorded responses correlate at least this well are reliable.
RELIABLE = 0.3

#: As many plain neurons come on one with a surround: stimuli at its own place take long.
CONTEXTUAL_SHARE = 3


@dataclasses.dataclass(frozen=True)
class Validation:
    """Planted against recovered.

    Attributes
    ----------
    neurons : DataFrame
        One row a value: ``kind``, ``cell_class``, ``experiment``, ``quantity``, ``neuron``,
        ``planted``, ``recovered``, ``status``.
    summary : DataFrame
        One row a check: ``kind``, ``cell_class``, ``check``, ``count``, ``value``, ``p95``,
        ``limit``, ``is_met``.
    """

    neurons: pd.DataFrame
    summary: pd.DataFrame

    @property
    def is_met(self) -> bool:
        """Whether every check reaches its limit."""
        return bool(self.summary["is_met"].all())


def validate(
    *,
    simple_count: int = 100,
    energy_count: int = 100,
    seed: int = 0,
    experiments: Sequence[str] = tuple(COMPARISONS),
    jobs: int | None = None,
    progress: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Validation:
    """Run experiments on simulated neurons and compare with what was planted.

    Retinotopy, direction, dots and most exciting stimuli are held to neurons that have only a
    classical receptive field, the others to neurons with what lies around it. The latter first map
    receptive fields and directions as anybody would, so their errors carry on.

    Parameters
    ----------
    simple_count, energy_count : int
        Size of the plain population; the contextual one is a third of it.
    seed : int
        Of the population.
    experiments : sequence of str
        Which, or "mei" and "mev"; all that have a comparison by default.
    jobs : int, optional
        Processes for fits.
    progress : bool
        Show progress bars.
    on_step : callable
        Told what is being done.

    Returns
    -------
    Validation

    Raises
    ------
    CatalogError
        If an experiment has no comparison.
    """
    options: dict[str, Any] = {"jobs": jobs, "progress": progress}
    comparisons = [find_comparison(name) for name in experiments]
    tables = []
    for kind in get_args(Kind):
        for population in ("plain", "contextual"):
            asked = [c for c in comparisons if c.population == population and kind in c.kinds]
            if not asked:
                continue
            twin = _twin(kind, population, (simple_count, energy_count), seed)
            results: dict[str, Result] = {}
            for comparison in asked:
                _measure(comparison, twin, results, on_step=on_step, options=options)
                tables.append(comparison.compare(twin, results[comparison.experiment]))
    neurons = pd.concat(tables, ignore_index=True)
    return Validation(neurons, summarize(neurons))


def compare_with_truth(
    twin: SimulatedV1, results: Mapping[str, Result], *, trained: bool = False
) -> Validation:
    """Compare results that exist already with what was planted.

    Parameters
    ----------
    twin : SimulatedV1
        On which they were measured.
    results : mapping of str to Result
        By experiment.
    trained : bool
        Whether they were measured on a trained twin, which is held to other limits.

    Returns
    -------
    Validation
    """
    parts = [find_comparison(name).compare(twin, result) for name, result in results.items()]
    neurons = pd.concat(parts, ignore_index=True)
    return Validation(neurons, summarize(neurons, trained=trained))


def compare_trained(truth: SimulatedV1, results: Mapping[str, Result]) -> Validation:
    """Compare what a trained twin shows with the neurons of the recording it was trained on.

    Parameters
    ----------
    truth : SimulatedV1
        The neurons of one mouse; see :func:`insilico.simulation.population_twin`.
    results : mapping of str to Result
        By experiment, measured on the trained twin with this mouse.

    Returns
    -------
    Validation
        Every neuron is in the table; the summary is over those of reliability
        :data:`RELIABLE` and above, simple and energy cells together.
    """
    neurons = compare_with_truth(truth, results, trained=True).neurons
    planted = truth.ground_truth
    reliable = planted.loc[planted["reliability_obtained"] >= RELIABLE, "neuron"]
    chosen = neurons[neurons["neuron"].isin(reliable)].assign(cell_class="all")
    return Validation(neurons, summarize(chosen, trained=True))


def _twin(kind: Kind, population: str, counts: tuple[int, int], seed: int) -> SimulatedV1:
    simple, energy = counts
    if population == "plain":
        return SimulatedV1(kind, simple_count=simple, energy_count=energy, seed=seed)
    drawn = simulation.draw_contextual_population(
        simple_count=simple // CONTEXTUAL_SHARE,
        energy_count=energy // CONTEXTUAL_SHARE,
        screen=Screen(),
        seed=seed,
    )
    return SimulatedV1(kind, population=drawn)


def _measure(
    comparison: Comparison,
    twin: SimulatedV1,
    results: dict[str, Result],
    *,
    on_step: Callable[[str], None],
    options: Mapping[str, Any],
) -> None:
    """Run an experiment, and before it what it builds on, unless that has been done."""
    name = comparison.experiment
    if comparison.measure is not None:
        on_step(f"{twin.kind} twin: {name}")
        results[name] = comparison.measure(twin)
        return
    question = find_experiment(name)
    protocol = read_protocol(question.protocol_type, None, experiment=name)
    for needed in question.requires(protocol, twin.kind):
        if needed not in results:
            earlier = find_comparison(needed)
            _measure(earlier, twin, results, on_step=on_step, options=options)
    parts = []
    for part in comparison.parts(twin):
        on_step(f"{twin.kind} twin{part.label}: {name}")
        parts.append(
            run(
                name,
                twin,
                protocol=protocol,
                overrides=part.overrides,
                neurons=part.neurons,
                given=results,
                **options,
            )
        )
    results[name] = join_results(parts)


def join_results(parts: Sequence[Result]) -> Result:
    """Join results of one experiment on different neurons of a mouse.

    Parameters
    ----------
    parts : sequence of Result
        One or more.

    Returns
    -------
    Result
        The first, with the neurons of all in its table; of several parts nothing else is kept.
    """
    if len(parts) == 1:
        return parts[0]
    table = pd.concat([part.neurons for part in parts], ignore_index=True)
    return dataclasses.replace(parts[0], tables={"neurons": table}, arrays=xr.Dataset())
