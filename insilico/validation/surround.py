"""Modulation by the surround against a dense measurement of the same noiseless neurons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insilico.experiments import run
from insilico.experiments.protocols import build_protocol
from insilico.experiments.surround import SurroundProtocol
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

#: A measurement at the planted place (to the pixel) and direction (to the degree), at more phases,
#: stands for the truth: how a surround modulates depends on the size of the disc, so no parameter
#: of the neuron says it.
DENSE = {"preferred_step_deg": 1.0, "movie_phase_count": 4, "image_phase_count": 24}

#: A neuron is clearly modulated where one of cross and iso is half as large again as the other, an
#: index of 0.2 (ours). Below it, a center that is off by a pixel or two (a simple cell's map is
#: that of its strongest subfield) can turn the sign.
CLEAR = 0.2

#: Quantities that are compared.
COMPARED = ("cmi_high", "cmi_low", "iso_suppression_high", "cross_suppression_high", "is_flip")

#: Correlations of indices are those of the whole chain: for simple cells the error is that of the
#: receptive field's center.
LIMITS: Limits = {
    "sign of cross - iso, high contrast (%)": ("share", ">=", 95.0),
    "sign of cross - iso, low contrast (%)": ("share", ">=", 95.0),
    "modulation index, high contrast": ("correlation", ">=", 0.75),
    "modulation index, low contrast": ("correlation", ">=", 0.75),
    "iso suppression": ("correlation", ">=", 0.85),
    "cross suppression": ("correlation", ">=", 0.85),
    "flip or none (%)": ("share", ">=", 85.0),
    STATUS_CHECK: ("share", ">=", 85.0),
}
#: A trained twin saw natural movies, which hardly ever separate a center from its surround.
TRAINED_LIMITS = without_limits(LIMITS)


def compare_surround(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put indices of modulation beside those of a dense measurement.

    Parameters
    ----------
    twin : SimulatedV1
        On which it was measured.
    result : Result
        Of surround.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`.
    """
    neurons = result.neurons["neuron"].to_numpy()
    truth = twin.ground_truth.iloc[neurons].reset_index(drop=True)
    protocol = build_protocol(SurroundProtocol, {**result.protocol, **DENSE, "direction_deg": []})
    dense = run(
        "surround",
        twin,
        protocol=protocol,
        neurons=neurons,
        given=planted_results(twin),
        jobs=1,
    ).neurons
    return long_table(twin.kind, "surround", truth, dense[list(COMPARED)], result.neurons)


def surround_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return signs that are right, and indices for their correlation."""
    is_asked = ~group["status"].isin(["no_receptive_field", "off_screen", "no_preference"])
    planted = wide_table(group, "planted")
    recovered = wide_table(group.assign(recovered=group["recovered"].where(is_asked)), "recovered")
    checks: dict[str, FloatArray] = {}
    for end in ("high", "low"):
        name = f"cmi_{end}"
        sign = np.sign(planted[name]) == np.sign(recovered[name])
        is_clear = (planted[name].abs() >= CLEAR) & recovered[name].notna()
        right = np.where(sign, 100.0, 0.0)[is_clear]
        checks[f"sign of cross - iso, {end} contrast (%)"] = right
        checks[f"modulation index, {end} contrast"] = np.stack([planted[name], recovered[name]])
    for name in ("iso", "cross"):
        column = f"{name}_suppression_high"
        checks[f"{name} suppression"] = np.stack([planted[column], recovered[column]])
    is_known = recovered["is_flip"].notna()
    is_same = (planted["is_flip"] == recovered["is_flip"])[is_known]
    checks["flip or none (%)"] = np.where(is_same, 100.0, 0.0)
    return checks


COMPARISON = Comparison(
    experiment="surround",
    compare=compare_surround,
    checks=surround_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
    population="contextual",
)
