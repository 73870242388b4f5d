"""Contrast responses against a dense measurement of the same noiseless neurons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insilico.experiments import run
from insilico.experiments.contrast import ContrastProtocol
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
    without_limits,
)
from insilico.validation.truth import planted_results

#: A measurement at the planted place (to the pixel) and direction (to the degree), at more phases
#: and twice as many contrasts, stands for the truth: the disc reaches into the surround, so a
#: neuron's planted gain alone does not say where it saturates.
DENSE = {
    "preferred_step_deg": 1.0,
    "movie_phase_count": 4,
    "image_phase_count": 16,
    "contrast": np.geomspace(0.02, 1.0, 16).clip(max=1.0).tolist(),
}

#: Quantities that are compared.
COMPARED = ("semi_saturation_contrast", "half_maximum_contrast", "exponent")

LIMITS: Limits = {
    "semi-saturation error (%)": ("median", "<=", 20.0),
    "half-maximum error (%)": ("median", "<=", 20.0),
    "exponent error (%)": ("median", "<=", 20.0),
    STATUS_CHECK: ("share", ">=", 80.0),
}
#: A trained twin may saturate elsewhere: natural movies hold few low contrasts.
TRAINED_LIMITS = without_limits(LIMITS)


def compare_contrast(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put fitted contrast responses beside those of a dense measurement.

    Parameters
    ----------
    twin : SimulatedV1
        On which it was measured.
    result : Result
        Of contrast.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`. Planted values are NaN for neurons
        that saturate in no contrast shown, even densely.
    """
    neurons = result.neurons["neuron"].to_numpy()
    truth = twin.ground_truth.iloc[neurons].reset_index(drop=True)
    protocol = build_protocol(ContrastProtocol, {**result.protocol, **DENSE, "direction_deg": []})
    dense = run(
        "contrast",
        twin,
        protocol=protocol,
        neurons=neurons,
        given=planted_results(twin),
        jobs=1,
    ).neurons
    planted = dense[list(COMPARED)].where(dense["status"] == "ok")
    return long_table(twin.kind, "contrast", truth, planted, result.neurons)


def contrast_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return relative errors in percent, of neurons whose own fit stands."""
    planted = wide_table(group, "planted")
    stands = group.assign(recovered=group["recovered"].where(group["status"] == "ok"))
    error = 100 * ((wide_table(stands, "recovered") - planted) / planted).abs()
    return {
        "semi-saturation error (%)": error["semi_saturation_contrast"].to_numpy(),
        "half-maximum error (%)": error["half_maximum_contrast"].to_numpy(),
        "exponent error (%)": error["exponent"].to_numpy(),
    }


COMPARISON = Comparison(
    experiment="contrast",
    compare=compare_contrast,
    checks=contrast_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
    population="contextual",
)
