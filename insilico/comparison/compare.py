"""Compare two runs: one rule of which neurons count, tables, and what figures draw."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

import insilico
from insilico.comparison.decays import decay_tests
from insilico.comparison.filters import DEFAULT, SELECTIVE_INDEX, SELECTIVE_Q, select_neurons
from insilico.comparison.quantities import (
    center_distances,
    compare_quantities,
    values_of_both,
    with_extents,
)
from insilico.comparison.sides import (
    Side,
    both_sides,
    match_neurons,
    protocol_differences,
    read_side,
    shared_experiments,
    take_as_one_mouse,
)
from insilico.comparison.tuning import (
    SIDES,
    Curves,
    aligned_curves,
    curves_of,
    measure_curves,
    preference_pairs,
    preference_shares,
    tuning_tests,
)
from insilico.errors import RunFolderError
from insilico.results import Result
from insilico.screen import Screen

#: The name of results of a comparison.
COMPARISON = "comparison"
SOURCE = (
    "ViV1T-closed-loop, tuning_direction (panels 2B-2D, with one set of neurons, no peak in tests "
    "and missing angles as 0); V1T, misc/plot_aRFs.ipynb (widths, with full extents); the rest ours"
)


def compare_runs(
    first: Path | str,
    second: Path | str,
    *,
    experiments: Sequence[str] | None = None,
    filters: Sequence[str] = DEFAULT,
    is_same_mouse: bool = False,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 1234,
    command: str = "",
) -> Result:
    """Compare two models, or a model with what was recorded, neuron by neuron.

    Parameters
    ----------
    first, second : path
        Run folders, or folders of run folders (one a mouse), of the same mice and neurons. The
        reference is the recorded one, or else the first.
    experiments : sequence of str, optional
        Those to compare; all that both have when left out.
    filters : sequence of str
        Which neurons count, in every table and panel alike: names of
        :data:`insilico.comparison.filters.RULES`, or conditions on the reference such as
        "direction.osi>=0.3".
    is_same_mouse : bool
        Take the one mouse of each run as the same, whatever its names.
    confidence, draws, seed
        Of bootstrap intervals over neurons; the seed also of shuffled curves.
    command : str
        Recorded in the provenance.

    Returns
    -------
    Result
        Tables ``neurons`` (one row a matched neuron; ``status`` says whether it counts or which
        rule it fails), ``values``, ``quantities``, ``filter``; of retinotopy ``fields``; and of
        direction tuning ``aligned_curves``, ``preference_shares``, ``preference_pairs`` and
        ``population``. The latter also tests whether similarity decays alike with distance, if both
        runs hold it; that alone is of the neurons that each run selected for its pairs.

    Raises
    ------
    RunFolderError
        If a folder holds no run or a damaged one, or one was given twice.
    NotFittedError
        If the runs share no mouse, neuron or experiment, or no neuron passes the filter.
    """
    if Path(first).resolve() == Path(second).resolve():
        raise RunFolderError(f"{first} was given twice; give two runs to compare")
    sides = both_sides(read_side(Path(first)), read_side(Path(second)))
    if is_same_mouse:
        sides = take_as_one_mouse(sides[0]), take_as_one_mouse(sides[1])
    compared = shared_experiments(*sides, experiments)
    keys = match_neurons(*sides, compared)
    tables = {name: _tables_of(name, sides, keys) for name in compared}
    selection = select_neurons(filters, tables, labels=(sides[0].label, sides[1].label))
    values = values_of_both(tables, keys, selection)
    options: dict[str, Any] = {"confidence": confidence, "draws": draws}
    found = {
        "neurons": keys.assign(status=selection.first_failed),
        "values": values,
        "quantities": compare_quantities(values, seed=seed, **options),
        "filter": selection.steps,
    }
    if "retinotopy" in tables:
        found["fields"] = center_distances(tables["retinotopy"], keys, selection.passes)
    curves = curves_of(sides, keys) if "direction" in compared else {}
    if curves:
        found |= _tuning_tables(curves, found["neurons"], selection.passes, seed, options)
    if experiments is None or "direction" in experiments:
        # Similarity is of the curves of direction, and cannot be asked for by its own name.
        found |= _population_with(decay_tests(sides, draws=draws, seed=seed), found)
    protocol = {
        "experiment": COMPARISON,
        "source": SOURCE,
        "seed": seed,
        "experiments": compared,
        "filter": list(filters),
        "selective_index": SELECTIVE_INDEX,
        "selective_q": SELECTIVE_Q,
        **options,
    }
    provenance = {
        "package": f"insilico {insilico.__version__}",
        "filter": selection.statement,
        **{name: side.provenance() for name, side in zip(SIDES, sides, strict=True)},
        "protocols_differ_in": protocol_differences(*sides, compared),
        "command": command,
    }
    return Result(COMPARISON, found, _arrays(curves, keys), protocol, provenance)


def _tables_of(
    experiment: str, sides: tuple[Side, Side], keys: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    one, two = (_with_own_extents(side, experiment).table(experiment, keys) for side in sides)
    return one, two


def _with_own_extents(side: Side, experiment: str) -> Side:
    """Add full extents to the neurons of an experiment, each mouse by the screen it saw."""
    results = []
    for result in side.results[experiment]:
        screen = Screen.from_dict(dict(result.provenance["screen"]))
        neurons = with_extents(result.neurons, screen)
        results.append(dataclasses.replace(result, tables={**result.tables, "neurons": neurons}))
    return dataclasses.replace(side, results={**side.results, experiment: tuple(results)})


def _tuning_tables(
    curves: dict[str, Curves],
    neurons: pd.DataFrame,
    passes: Any,
    seed: int,
    options: dict[str, Any],
) -> dict[str, pd.DataFrame]:
    """Return the tables that compare tuning curves, and neurons with their columns."""
    mouse = neurons["mouse"].to_numpy(str)
    measured = {kind: measure_curves(one, seed=seed) for kind, one in curves.items()}
    columns = {name: column for one in measured.values() for name, column in one.items()}
    table = pd.concat([neurons, pd.DataFrame(columns, index=neurons.index)], axis=1)
    aligned = pd.concat(
        [aligned_curves(one, mouse, passes) for one in curves.values()], ignore_index=True
    )
    shares = [preference_shares(one, measured[kind], mouse, passes) for kind, one in curves.items()]
    pairs = [preference_pairs(one, measured[kind], passes) for kind, one in curves.items()]
    return {
        "neurons": table,
        "aligned_curves": aligned,
        "preference_shares": pd.concat(shares, ignore_index=True),
        "preference_pairs": pd.concat(pairs, ignore_index=True),
        "population": tuning_tests(curves, table, aligned, passes, seed=seed, **options),
    }


def _population_with(
    decays: pd.DataFrame, found: dict[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Return the table of tests with further rows; none where there are no further ones."""
    if decays.empty:
        return {}
    tests = [found[name] for name in ("population",) if name in found]
    return {"population": pd.concat([*tests, decays], ignore_index=True)}


def _arrays(curves: dict[str, Curves], keys: pd.DataFrame) -> xr.Dataset:
    """Return the curves of both sides, rows as in the neurons table."""
    arrays: dict[str, Any] = {}
    coordinates: dict[str, Any] = {
        "side": list(SIDES),
        "neuron": keys["neuron"].to_numpy(),
        "mouse": ("neuron", keys["mouse"].to_numpy(str)),
    }
    for kind, one in curves.items():
        axes = ("side", "neuron", f"{kind}_deg")
        arrays[f"{kind}_curve"] = (axes, one.values)
        arrays[f"{kind}_curve_sem"] = (axes, one.errors)
        coordinates[f"{kind}_deg"] = one.angle_deg
    return xr.Dataset(arrays, coords=coordinates)
