"""Frequency tuning against a dense measurement of the noiseless neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments import run
from insilico.experiments.frequency import AXES, FrequencyProtocol
from insilico.experiments.protocols import build_protocol
from insilico.results import Result
from insilico.simulation import SimulatedV1
from insilico.validation.comparison import (
    Comparison,
    FloatArray,
    Limits,
    long_table,
    wide_table,
)
from insilico.validation.truth import planted_results

#: The dense measurement. The simulated neurons have no memory beyond 0.6 s, and gray before the
#: first frame.
DENSE: dict[str, Any] = {
    "movie_phase_count": 4,
    "image_phase_count": 12,
    "lead_s": 0.0,
    "before_s": 0.0,
    "stimulus_s": 1.6,
    "window_start_s": 0.6,
    "window_end_s": 1.6,
}
#: Its frequencies, evenly spaced over the octaves of the protocol: steps of a third, and half.
DENSE_COUNTS = (13, 9)

LIMITS: Limits = {
    "preferred spatial frequency error (%)": ("median", "<=", 10.0),
    "preferred temporal frequency error (%)": ("median", "<=", 15.0),
    "end of the range told (%)": ("share", ">=", 85.0),
}
TRAINED_LIMITS: Limits = {
    "preferred spatial frequency error (%)": ("median", "<=", np.inf),
    "preferred temporal frequency error (%)": ("median", "<=", np.inf),
    "end of the range told (%)": ("share", ">=", -np.inf),
}


def compare_frequency(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put preferred frequencies beside the peak of a dense measurement.

    Parameters
    ----------
    twin : SimulatedV1
        On which it was measured.
    result : Result
        Of frequency.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`. A peak at the end of the frequencies
        is no truth: its planted value is NaN, and ``is_at_end`` is 1.
    """
    neurons = result.neurons["neuron"].to_numpy()
    truth = twin.ground_truth.iloc[neurons].reset_index(drop=True)
    ranges = {
        axis: tuple(np.geomspace(result.protocol[axis][0], result.protocol[axis][-1], count))
        for axis, count in zip(AXES, DENSE_COUNTS, strict=True)
    }
    protocol = build_protocol(FrequencyProtocol, {**result.protocol, **DENSE, **ranges})
    dense = run(
        "frequency",
        twin,
        protocol=protocol,
        neurons=neurons,
        given=planted_results(twin),
        jobs=1,
    )
    peak = surface_peaks(
        dense.arrays["response"].to_numpy(), *(dense.arrays[axis].to_numpy() for axis in AXES)
    )
    planted = pd.DataFrame(
        {f"preferred_{axis}": values for axis, values in zip(AXES, peak, strict=True)}
    )
    tuned = ["preferred_spatial_frequency_cpd"]
    tuned += ["preferred_temporal_frequency_hz"] if twin.kind == "movie" else []
    planted["is_at_end"] = planted[tuned].isna().any(axis=1).astype(float)
    is_at_end = (result.neurons["status"] == "at_bound").astype(float)
    recovered = result.neurons.assign(is_at_end=is_at_end)
    return long_table(twin.kind, "frequency", truth, planted, recovered)


def surface_peaks(
    surface: FloatArray, spatial_frequency_cpd: FloatArray, temporal_frequency_hz: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return where dense surfaces peak, by a parabola through the highest point and its neighbors.

    Parameters
    ----------
    surface : float array, shape (neuron, spatial, temporal)
        Mean responses.
    spatial_frequency_cpd, temporal_frequency_hz : float array, shape (spatial,), (temporal,)
        Evenly spaced in their logarithm.

    Returns
    -------
    spatial, temporal : float arrays, shape (neuron,)
        NaN where the highest point lies at an end.
    """
    best = np.unravel_index(surface.reshape(len(surface), -1).argmax(axis=1), surface.shape[1:])
    rows = np.arange(len(surface))
    sections = surface[rows, :, best[1]], surface[rows, best[0], :]
    axes = spatial_frequency_cpd, temporal_frequency_hz
    spatial, temporal = (
        _peak(section, axis, index)
        for section, axis, index in zip(sections, axes, best, strict=True)
    )
    return spatial, temporal


def _peak(section: FloatArray, frequencies: FloatArray, best: np.ndarray[Any, Any]) -> FloatArray:
    if len(frequencies) < 3:
        return np.full(len(section), np.nan)
    inner = np.clip(best, 1, len(frequencies) - 2)
    rows = np.arange(len(section))
    below, peak, above = (section[rows, inner + step] for step in (-1, 0, 1))
    bend = below - 2 * peak + above
    shift = np.where(bend < 0, 0.5 * (below - above) / np.where(bend < 0, bend, 1.0), 0.0)
    logs = np.log(frequencies)
    found = np.exp(logs[inner] + shift * (logs[1] - logs[0]))
    return np.where(inner == best, found, np.nan)


def frequency_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return relative errors of the preferred frequencies, in percent, of neurons with a peak."""
    planted, recovered = wide_table(group, "planted"), wide_table(group, "recovered")
    has_peak = planted["is_at_end"] == 0
    relative = 100 * (recovered / planted - 1).abs()[has_peak]
    agrees = planted["is_at_end"] == recovered["is_at_end"]
    checks = {"end of the range told (%)": np.where(agrees, 100.0, 0.0)}
    for name, axis in zip(("spatial", "temporal"), AXES, strict=True):
        if planted[f"preferred_{axis}"].notna().any():
            checks[f"preferred {name} frequency error (%)"] = relative[
                f"preferred_{axis}"
            ].to_numpy()
    return checks


COMPARISON = Comparison(
    experiment="frequency",
    compare=compare_frequency,
    checks=frequency_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
    population="contextual",
)
