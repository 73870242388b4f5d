"""Direction tuning against planted preferences and a dense measurement of the indices."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insilico.experiments import run
from insilico.experiments.direction import DirectionProtocol
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

#: A dense measurement of the noiseless neuron stands for the truth of an index.
DENSE = {
    "direction_count": 72,
    "orientation_count": 90,
    "movie_phase_count": 8,
    "image_phase_count": 24,
}

#: Preferences are compared where the planted index reaches this.
SELECTIVE = 0.3

LIMITS: Limits = {
    "direction error (deg)": ("median", "<=", 2.0),
    "orientation error (deg)": ("median", "<=", 2.0),
    "fitted direction error (deg)": ("median", "<=", 2.0),
    "fitted orientation error (deg)": ("median", "<=", 2.0),
    "OSI": ("correlation", ">=", 0.98),
    "DSI": ("correlation", ">=", 0.98),
    STATUS_CHECK: ("share", ">=", 97.0),
}
#: Indices are reported and held to nothing; see retinotopy's widths.
TRAINED_LIMITS: Limits = {
    "direction error (deg)": ("median", "<=", 10.0),
    "orientation error (deg)": ("median", "<=", 10.0),
    "fitted direction error (deg)": ("median", "<=", 10.0),
    "fitted orientation error (deg)": ("median", "<=", 10.0),
    "OSI": ("correlation", ">=", -np.inf),
    "DSI": ("correlation", ">=", -np.inf),
    STATUS_CHECK: ("share", ">=", 90.0),
}


def compare_direction(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put tuning beside the planted preference and a dense measurement of the indices.

    Parameters
    ----------
    twin : SimulatedV1
        On which it was measured.
    result : Result
        Of direction.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`.
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
    return long_table(twin.kind, "direction", truth, planted, result.neurons)


def direction_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return indices, and errors of the angles of selective neurons around the circle."""
    planted, recovered = wide_table(group, "planted"), wide_table(group, "recovered")
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


COMPARISON = Comparison(
    experiment="direction",
    compare=compare_direction,
    checks=direction_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
)
