"""Similarity over cortex against dense noiseless curves, and against the planted map."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from insilico.experiments import read_protocol, run
from insilico.experiments.direction import DirectionProtocol
from insilico.experiments.protocols import build_protocol
from insilico.experiments.similarity import SimilarityProtocol
from insilico.experiments.similarity_pairs import (
    correlate_pairs,
    mean_over_pairs,
    neighbor_pairs,
    pair_tables,
)
from insilico.experiments.similarity_tuning import Compared, Tuning, read_tuning
from insilico.results import Result
from insilico.simulation import SimulatedV1
from insilico.validation.comparison import (
    Comparison,
    FloatArray,
    Limits,
    long_table,
    wide_table,
)
from insilico.validation.direction import DENSE

#: The measure that planted angles alone decide but for the width of tuning, and its harmonic. The
#: similarity of direction curves mixes direction and orientation, as selectivity has it.
HARMONIC = {"orientation_similarity": 2}
#: Angles at which a cosine stands for a planted preference.
COSINE_DEG = np.arange(24) * 15.0

LIMITS: Limits = {
    "orientation similarity to neighbors": ("correlation", ">=", 0.98),
    "direction similarity to neighbors": ("correlation", ">=", 0.98),
    "similarity by distance, error": ("median", "<=", 0.02),
    "decay length error (%)": ("median", "<=", 15.0),
    "orientation similarity by distance, planted map": ("correlation", ">=", 0.9),
}
#: A trained twin smooths over what trials do not pin down; it is reported and held to nothing.
TRAINED_LIMITS: Limits = {
    name: (summary, relation, np.inf if relation == "<=" else -np.inf)
    for name, (summary, relation, _) in LIMITS.items()
}


def compare_similarity(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put similarity beside that of the same neurons' dense curves, and of their planted angles.

    Parameters
    ----------
    twin : SimulatedV1
        On which direction was measured.
    result : Result
        Of similarity.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`, for each neuron its similarity to its
        neighbors. Rows of cell class "all" and of ``neuron`` below 0 are about bins of distance, at
        all depths together, and about fitted lengths: they count the bins and the fits downward.
    """
    neurons = result.neurons
    protocol = build_protocol(SimilarityProtocol, result.protocol)
    dense = dense_tuning(twin, result, protocol)
    truth = twin.ground_truth.iloc[neurons["neuron"]].reset_index(drop=True)
    pairs, _ = neighbor_pairs(dense, radius_um=protocol.neighbor_um)
    planted = pd.DataFrame(
        {
            f"neighbor_{name}": mean_over_pairs(pairs, correlate_pairs(curves, pairs), len(neurons))
            for name, curves in dense.measures.items()
        }
    )
    table, fits = pair_tables(dense, protocol)
    angles, _ = pair_tables(dataclasses.replace(dense, measures=_cosines(truth, dense)), protocol)
    parts = [
        _about_bins(twin.kind, "at_distance", table, result.tables["pairs"], "mean"),
        _about_bins(twin.kind, "planted_map", angles, result.tables["pairs"], "mean"),
        _about_bins(twin.kind, "length_um", fits, result.tables["fits"], "length_um"),
    ]
    return pd.concat(
        [long_table(twin.kind, "similarity", truth, planted, neurons), *parts], ignore_index=True
    )


def dense_tuning(twin: SimulatedV1, result: Result, protocol: SimilarityProtocol) -> Tuning:
    """Measure the noiseless neurons at many directions; those that were selected stay it."""
    neurons = result.neurons[["mouse", "neuron", "x_um", "y_um", "z_um"]]
    measured = read_protocol(DirectionProtocol, None, overrides=DENSE, experiment="direction")
    direction = run(
        "direction", twin, protocol=measured, neurons=neurons["neuron"].to_numpy(), jobs=1
    )
    tuning = read_tuning(direction, neurons, protocol)
    return dataclasses.replace(tuning, is_selected=result.neurons["is_selected"].to_numpy(bool))


def _cosines(truth: pd.DataFrame, dense: Tuning) -> dict[str, Compared]:
    """Return curves whose correlation is the cosine of the difference of planted angles."""
    measures = {}
    for name, harmonic in HARMONIC.items():
        if name in dense.measures:
            angle_deg = COSINE_DEG - truth["direction_deg"].to_numpy()[:, None]
            measures[name] = Compared(np.cos(harmonic * np.radians(angle_deg)))
    return measures


def _about_bins(
    kind: str, what: str, planted: pd.DataFrame, recovered: pd.DataFrame, column: str
) -> pd.DataFrame:
    """Return rows about bins, or about fits; bins of all depths together."""
    is_bin = "horizontal_um" in planted
    parts = []
    for measure in planted["measure"].unique():
        ours, theirs = (table[table["measure"] == measure] for table in (recovered, planted))
        kept = ours["is_pooled"].to_numpy(bool) if is_bin else np.ones(len(ours), bool)
        value = theirs[column].to_numpy(float)
        if not is_bin:
            # A length at its bound is a limit.
            value = np.where(theirs["status"] == "ok", value, np.nan)
        parts.append(
            pd.DataFrame(
                {
                    "kind": kind,
                    "cell_class": "all",
                    "experiment": "similarity",
                    "quantity": f"{measure}_{what}",
                    "neuron": -1 - np.arange(len(ours)),
                    "planted": value,
                    "recovered": ours[column].to_numpy(float),
                    "status": "ok" if is_bin else ours["status"].to_numpy(),
                }
            )[kept]
        )
    return pd.concat(parts, ignore_index=True)


def similarity_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return similarities to neighbors, or what is said of bins and fits."""
    planted, recovered = wide_table(group, "planted"), wide_table(group, "recovered")
    checks: dict[str, FloatArray] = {}
    errors, lengths = [], []
    for column in planted:
        both = np.stack([planted[column], recovered[column]])
        name = str(column)
        measure = " ".join(name.removeprefix("neighbor_").split("_")[:2])
        if name.startswith("neighbor_") and not name.endswith("signal_correlation"):
            checks[f"{measure} to neighbors"] = both
        elif name.endswith("planted_map"):
            checks[f"{measure} by distance, planted map"] = both
        elif name.endswith("at_distance"):
            errors.append(np.abs(both[1] - both[0]))
        elif name.endswith("length_um"):
            lengths.append(100 * np.abs(both[1] / both[0] - 1))
    if errors:
        checks["similarity by distance, error"] = np.concatenate(errors)
        known = np.concatenate(lengths)
        checks["decay length error (%)"] = known[np.isfinite(known)]
    return checks


COMPARISON = Comparison(
    experiment="similarity",
    compare=compare_similarity,
    checks=similarity_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
    population="contextual",
)
