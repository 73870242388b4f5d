"""Planted against recovered: the comparisons, and the limits they are held to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments import run
from insilico.experiments.direction import DirectionProtocol
from insilico.experiments.protocols import build_protocol
from insilico.experiments.retinotopy import RetinotopyProtocol, grid_fit_in_px
from insilico.fits.gaussian import fit_gaussians
from insilico.results import Result
from insilico.simulation import SimulatedV1
from insilico.stimuli.stimuli import Kind
from insilico.validation.truth import ideal_energy_maps, ideal_linear_maps

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Noise shown to each class: images to the image twin, frames to the movie twin.
NOISE = {
    ("image", "simple"): {"image_count": 1000},
    ("image", "energy"): {"image_count": 2000},
    ("movie", "simple"): {"frame_count": 5000},
    ("movie", "energy"): {"frame_count": 20000},
}

#: A dense measurement of the noiseless neuron stands for the truth of an index.
DENSE = {
    "direction_count": 72,
    "orientation_count": 90,
    "movie_phase_count": 8,
    "image_phase_count": 24,
}

#: Preferences are compared where the planted index reaches this.
SELECTIVE = 0.3

#: Fewer neurons than this are not summarized.
MINIMUM_COUNT = 3

#: What the instrument must reach: quantity, how it is summarized, and its limit.
LIMITS = {
    "center error (px)": ("median", "<=", 0.3),
    "width error (%)": ("median", "<=", 10.0),
    "direction error (deg)": ("median", "<=", 2.0),
    "orientation error (deg)": ("median", "<=", 2.0),
    "fitted direction error (deg)": ("median", "<=", 2.0),
    "fitted orientation error (deg)": ("median", "<=", 2.0),
    "OSI": ("correlation", ">=", 0.98),
    "DSI": ("correlation", ">=", 0.98),
    "status ok (%)": ("share", ">=", 97.0),
}


#: What a trained twin must keep of the neurons it was trained on. Widths and indices are reported
#: and held to nothing: a network of few parameters smooths what noisy recordings do not pin down.
TRAINED_LIMITS = {
    "center error (px)": ("median", "<=", 1.0),
    "width error (%)": ("median", "<=", np.inf),
    "direction error (deg)": ("median", "<=", 10.0),
    "orientation error (deg)": ("median", "<=", 10.0),
    "fitted direction error (deg)": ("median", "<=", 10.0),
    "fitted orientation error (deg)": ("median", "<=", 10.0),
    "OSI": ("correlation", ">=", -np.inf),
    "DSI": ("correlation", ">=", -np.inf),
    "status ok (%)": ("share", ">=", 90.0),
}

#: Neurons whose expected and recorded responses correlate at least this well are reliable.
RELIABLE = 0.3

SUMMARY_COLUMNS = (
    "kind",
    "cell_class",
    "experiment",
    "check",
    "summary",
    "count",
    "value",
    "p95",
    "limit",
    "is_met",
)

Limits = Mapping[str, tuple[str, str, float]]


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
    jobs: int | None = None,
    progress: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Validation:
    """Run every experiment on simulated neurons and compare with what was planted.

    Parameters
    ----------
    simple_count, energy_count : int
        Size of the population.
    seed : int
        Of the population.
    jobs : int, optional
        Processes for fits.
    progress : bool
        Show progress bars.
    on_step : callable
        Told what is being done.

    Returns
    -------
    Validation
    """
    options: dict[str, Any] = {"jobs": jobs, "progress": progress}
    kinds: tuple[Kind, ...] = ("image", "movie")
    tables = []
    for kind in kinds:
        twin = SimulatedV1(kind, simple_count=simple_count, energy_count=energy_count, seed=seed)
        for cell_class in ("simple", "energy"):
            chosen = (twin.ground_truth["cell_class"] == cell_class).to_numpy()
            if not chosen.any():
                continue
            on_step(f"{kind} twin, {cell_class} cells: retinotopy")
            noise = NOISE[kind, cell_class]
            result = run("retinotopy", twin, overrides=noise, neurons=chosen, **options)
            tables.append(compare_retinotopy(twin, result))
        on_step(f"{kind} twin: direction")
        tables.append(compare_direction(twin, run("direction", twin, **options)))
    neurons = pd.concat(tables, ignore_index=True)
    return Validation(neurons, summarize(neurons))


def compare_with_truth(twin: SimulatedV1, results: Mapping[str, Result]) -> Validation:
    """Compare results that exist already with what was planted.

    Parameters
    ----------
    twin : SimulatedV1
        On which they were measured.
    results : mapping of str to Result
        By experiment.

    Returns
    -------
    Validation
    """
    compare = {"retinotopy": compare_retinotopy, "direction": compare_direction}
    neurons = pd.concat(
        [compare[name](twin, result) for name, result in results.items()], ignore_index=True
    )
    return Validation(neurons, summarize(neurons))


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
    neurons = compare_with_truth(truth, results).neurons
    planted = truth.ground_truth
    reliable = planted.loc[planted["reliability_obtained"] >= RELIABLE, "neuron"]
    chosen = neurons[neurons["neuron"].isin(reliable)].assign(cell_class="all")
    return Validation(neurons, summarize(chosen, limits=TRAINED_LIMITS))


def compare_retinotopy(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put receptive fields beside a Gaussian fitted to each neuron's own noiseless map.

    Returns
    -------
    DataFrame
        Rows as :attr:`Validation.neurons`.
    """
    protocol = build_protocol(RetinotopyProtocol, result.protocol)
    screen = twin.screen()
    truth = twin.ground_truth.iloc[result.neurons["neuron"]].reset_index(drop=True)
    is_simple = (truth["cell_class"] == "simple").to_numpy()
    parts = []
    if is_simple.any():
        maps = ideal_linear_maps(truth[is_simple], screen=screen, kind=twin.kind, protocol=protocol)
        parts.append(fit_gaussians(maps).set_index(np.flatnonzero(is_simple)))
    if not is_simple.all():
        maps = ideal_energy_maps(
            truth[~is_simple], screen=screen, kind=twin.kind, protocol=protocol
        )
        fit = grid_fit_in_px(fit_gaussians(maps), protocol.bank(screen))
        parts.append(fit.set_index(np.flatnonzero(~is_simple)))
    planted = pd.concat(parts).sort_index()
    columns = ["x_px", "y_px", "sigma_major_px", "sigma_minor_px"]
    return _long(twin.kind, "retinotopy", truth, planted[columns], result.neurons)


def compare_direction(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put tuning beside the planted preference and a dense measurement of the indices.

    Returns
    -------
    DataFrame
        Rows as :attr:`Validation.neurons`.
    """
    neurons = result.neurons["neuron"].to_numpy()
    truth = twin.ground_truth.iloc[neurons].reset_index(drop=True)
    protocol = build_protocol(DirectionProtocol, {**result.protocol, **DENSE})
    dense = run("direction", twin, protocol=protocol, neurons=neurons, jobs=1).neurons
    planted = pd.DataFrame(
        {
            "osi": dense["osi"],
            "preferred_orientation_deg": truth["orientation_deg"],
            "fitted_orientation_deg": truth["orientation_deg"],
        }
    )
    if twin.kind == "movie":
        planted["dsi"] = dense["dsi"]
        planted["preferred_direction_deg"] = truth["direction_deg"]
        planted["fitted_direction_deg"] = truth["direction_deg"]
    return _long(twin.kind, "direction", truth, planted, result.neurons)


def summarize(neurons: pd.DataFrame, *, limits: Limits = LIMITS) -> pd.DataFrame:
    """Turn planted and recovered values into one row a check.

    Parameters
    ----------
    neurons : DataFrame
        As :attr:`Validation.neurons`.
    limits : mapping, optional
        By check: how it is summarized, a relation, and what is to be reached.

    Returns
    -------
    DataFrame
        As :attr:`Validation.summary`.
    """
    rows = []
    for (kind, experiment), group in neurons.groupby(["kind", "experiment"], sort=False):
        status = group.drop_duplicates("neuron")["status"]
        share = np.where(status == "ok", 100.0, 0.0)
        rows.append(_row(kind, "all", experiment, "status ok (%)", share, limits))
    for (kind, cell_class, experiment), group in neurons.groupby(
        ["kind", "cell_class", "experiment"], sort=False
    ):
        checks = (
            _retinotopy_checks(group) if experiment == "retinotopy" else _direction_checks(group)
        )
        for check, values in checks.items():
            rows.append(_row(kind, cell_class, experiment, check, values, limits))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS).sort_values(
        ["kind", "experiment"], kind="stable", ignore_index=True
    )


def _long(
    kind: str, experiment: str, truth: pd.DataFrame, planted: pd.DataFrame, recovered: pd.DataFrame
) -> pd.DataFrame:
    """Return one row a value: planted beside recovered."""
    parts = [
        pd.DataFrame(
            {
                "kind": kind,
                "cell_class": truth["cell_class"].to_numpy(),
                "experiment": experiment,
                "quantity": column,
                "neuron": truth["neuron"].to_numpy(),
                "planted": planted[column].to_numpy(float),
                "recovered": recovered[column].to_numpy(float),
                "status": recovered["status"].to_numpy(),
            }
        )
        for column in planted
    ]
    return pd.concat(parts, ignore_index=True)


def _retinotopy_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    planted, recovered = _wide(group, "planted"), _wide(group, "recovered")
    error = recovered - planted
    widths = ["sigma_major_px", "sigma_minor_px"]
    relative = 100 * (error[widths] / planted[widths]).abs()
    return {
        "center error (px)": np.hypot(error["x_px"].to_numpy(), error["y_px"].to_numpy()),
        "width error (%)": relative.to_numpy().reshape(-1),
    }


def _direction_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    planted, recovered = _wide(group, "planted"), _wide(group, "recovered")
    checks: dict[str, FloatArray] = {}
    for index, name, period in (("dsi", "direction", 360.0), ("osi", "orientation", 180.0)):
        if index not in planted:
            continue
        checks[index.upper()] = np.stack([planted[index], recovered[index]])
        selective = planted[index] >= SELECTIVE
        for estimator, check in (("preferred", name), ("fitted", f"fitted {name}")):
            column = f"{estimator}_{name}_deg"
            difference = (recovered[column] - planted[column])[selective]
            checks[f"{check} error (deg)"] = np.abs(
                (difference.to_numpy() + period / 2) % period - period / 2
            )
    return checks


def _wide(group: pd.DataFrame, values: str) -> pd.DataFrame:
    return group.pivot_table(index="neuron", columns="quantity", values=values, dropna=False)


def _row(
    kind: Any, cell_class: Any, experiment: Any, check: str, values: FloatArray, limits: Limits
) -> dict[str, Any]:
    summary, relation, limit = limits[check]
    planted_count = values.shape[-1]
    values = values[..., np.isfinite(np.atleast_2d(values)).all(axis=0)]
    value = p95 = np.nan
    if values.shape[-1] < MINIMUM_COUNT:
        pass  # Too few to say: the value is missing.
    elif summary == "correlation":
        value = float(np.corrcoef(values[0], values[1])[0, 1])
    elif summary == "median":
        value, p95 = float(np.median(values)), float(np.percentile(values, 95))
    else:
        value = float(np.mean(values))
    is_met = not (value > limit if relation == "<=" else value < limit)
    # Nothing recovered where there was something to recover is no success.
    is_met &= np.isfinite(value) or planted_count < MINIMUM_COUNT or not np.isfinite(limit)
    return {
        "kind": kind,
        "cell_class": cell_class,
        "experiment": experiment,
        "check": check,
        "summary": summary,
        "count": values.shape[-1],
        "value": value,
        "p95": float(p95),
        "limit": f"{relation} {limit:g}" if np.isfinite(limit) else "",
        "is_met": bool(is_met),
    }
