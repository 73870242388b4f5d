"""Response onset against the noiseless neuron at a higher frame rate, and the planted delay."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments import run
from insilico.experiments.onset import OnsetProtocol
from insilico.experiments.protocols import build_protocol
from insilico.results import Result
from insilico.simulation import SimulatedV1
from insilico.validation.comparison import (
    STATUS_CHECK,
    Comparison,
    FloatArray,
    Limits,
    long_table,
    wide_table,
)
from insilico.validation.truth import planted_results

#: The ideal measurement is made at this many times the frame rate, where a frame hardly counts.
FINER = 3
#: What differs in the ideal measurement. The lead is as long as the memory of the neurons.
IDEAL: dict[str, Any] = {
    "preferred_step_deg": 1.0,
    "lead_s": 0.2,
    "hole_responses": "own",
    "minimum_share": 0.0,
    "minimum_sd": 0.0,
}

#: The planted delay is reported and held to nothing: where the grating around a hole reaches into a
#: receptive field, the neuron itself answers before its delay is over, and the ideal measurement
#: says so too. Neurons whose receptive field retinotopy does not find are not asked.
LIMITS: Limits = {
    "center latency error (ms)": ("median", "<=", 1000 / 30),
    "inverse latency error (ms)": ("median", "<=", 1000 / 30),
    "center latency within a frame (%)": ("share", ">=", 95.0),
    "inverse latency within a frame (%)": ("share", ">=", 90.0),
    "inverse - center error (ms)": ("median", "<=", 1000 / 30),
    "planted delay error (ms)": ("median", "<=", np.inf),
    "latency where there is no hole response (%)": ("share", "<=", 5.0),
    STATUS_CHECK: ("share", ">=", 85.0),
}
#: A trained twin may smooth in time what a recording at 30 frames per second does not pin down.
TRAINED_LIMITS: Limits = {
    name: (summary, relation, np.inf if relation == "<=" else -np.inf)
    for name, (summary, relation, _) in LIMITS.items()
}


def compare_onset(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put latencies beside those of the same noiseless neurons, asked without approximation.

    Parameters
    ----------
    twin : SimulatedV1
        On which it was measured.
    result : Result
        Of onset.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`. Beside the latencies, ``delay_s``
        has the planted ``hole_latency_s`` beside the measured difference. Planted values about
        holes are NaN for neurons without an answer to holes.
    """
    truth = twin.ground_truth.iloc[result.neurons["neuron"]].reset_index(drop=True)
    ideal = ideal_latencies(twin, truth, result)
    has_hole = np.zeros(len(truth), bool)
    if "hole_strength" in truth:
        has_hole = (truth["hole_strength"] > 0).to_numpy()
    planted = pd.DataFrame(
        {
            "center_latency_s": ideal["center_latency_s"],
            "inverse_latency_s": ideal["inverse_latency_s"].where(has_hole),
            "difference_s": ideal["difference_s"].where(has_hole),
            "delay_s": truth.get("hole_latency_s", pd.Series(np.nan, truth.index)).where(has_hole),
        }
    )
    recovered = result.neurons.assign(delay_s=result.neurons["difference_s"])
    return long_table(twin.kind, "onset", truth, planted, recovered)


def ideal_latencies(twin: SimulatedV1, truth: pd.DataFrame, result: Result) -> pd.DataFrame:
    """Measure latencies at planted places and directions, at :data:`FINER` frames.

    Parameters
    ----------
    twin : SimulatedV1
        Whose screen.
    truth : DataFrame, one row a neuron
        Its parameters.
    result : Result
        Whose protocol is asked, with :data:`IDEAL` in place of some values.

    Returns
    -------
    DataFrame, one row a neuron
        As the neurons table of onset.
    """
    screen = twin.screen()
    finer = dataclasses.replace(screen, frame_rate_hz=FINER * screen.frame_rate_hz)
    population = truth.assign(neuron=np.arange(len(truth)))
    protocol = build_protocol(OnsetProtocol, {**result.protocol, **IDEAL})
    neurons = SimulatedV1("movie", screen=finer, population=population)
    given = planted_results(neurons)
    return run("onset", neurons, protocol=protocol, given=given, jobs=1).neurons


def onset_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return errors in milliseconds, and the share within one frame of 30 a second."""
    planted, recovered = wide_table(group, "planted"), wide_table(group, "recovered")
    error_ms = 1000 * (recovered - planted).abs()
    has_hole = planted["delay_s"].notna()
    checks = {}
    for name, rows in (("center", slice(None)), ("inverse", has_hole)):
        error = error_ms.loc[rows, f"{name}_latency_s"].to_numpy()
        is_within = np.where(error <= 1000 / 30, 100.0, 0.0)
        checks[f"{name} latency error (ms)"] = error
        checks[f"{name} latency within a frame (%)"] = np.where(np.isnan(error), np.nan, is_within)
    checks["inverse - center error (ms)"] = error_ms.loc[has_hole, "difference_s"].to_numpy()
    checks["planted delay error (ms)"] = error_ms.loc[has_hole, "delay_s"].to_numpy()
    is_found = recovered.loc[~has_hole, "inverse_latency_s"].notna()
    checks["latency where there is no hole response (%)"] = np.where(is_found, 100.0, 0.0)
    return checks


COMPARISON = Comparison(
    experiment="onset",
    compare=compare_onset,
    checks=onset_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
    population="contextual",
    kinds=("movie",),
)
