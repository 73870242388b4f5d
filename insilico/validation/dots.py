"""Fields mapped by dots against where each neuron's own filter is centered."""

from __future__ import annotations

import numpy as np
import pandas as pd

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

#: The mean map of white and black dots is the neuron's envelope, blurred, only as far as its
#: subfields balance: simple cells are off by some tenths of a pixel.
LIMITS: Limits = {
    "center error (px)": ("median", "<=", 1.0),
    STATUS_CHECK: ("share", ">=", 97.0),
}
TRAINED_LIMITS: Limits = {
    "center error (px)": ("median", "<=", 2.0),
    STATUS_CHECK: ("share", ">=", 80.0),
}


def compare_dots(twin: SimulatedV1, result: Result) -> pd.DataFrame:
    """Put the centers of fields beside those of the neurons' filters.

    Parameters
    ----------
    twin : SimulatedV1
        The neurons, on which or on recordings of which dots were shown.
    result : Result
        Of dots.

    Returns
    -------
    DataFrame
        As :func:`~insilico.validation.comparison.long_table`; recovered centers are missing unless
        the status is "ok".
    """
    truth = twin.ground_truth.iloc[result.neurons["neuron"]].reset_index(drop=True)
    columns = ["x_px", "y_px"]
    recovered = result.neurons[[*columns, "status"]].copy()
    recovered.loc[recovered["status"] != "ok", columns] = np.nan
    return long_table(twin.kind, "dots", truth, truth[columns], recovered)


def dots_checks(group: pd.DataFrame) -> dict[str, FloatArray]:
    """Return distances between centers."""
    error = wide_table(group, "recovered") - wide_table(group, "planted")
    return {"center error (px)": np.hypot(error["x_px"].to_numpy(), error["y_px"].to_numpy())}


COMPARISON = Comparison(
    experiment="dots",
    compare=compare_dots,
    checks=dots_checks,
    limits=LIMITS,
    trained_limits=TRAINED_LIMITS,
)
