"""What earlier experiments would find in simulated neurons, without any error of theirs."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from insilico.results import Result


def planted_results(truth: pd.DataFrame) -> dict[str, Result]:
    """Return what retinotopy and direction would find without any error.

    Parameters
    ----------
    truth : DataFrame, one row a neuron
        ``neuron``, ``x_px``, ``y_px``, ``direction_deg``, ``orientation_deg``.

    Returns
    -------
    dict of str to Result
        By experiment; only what later experiments read.
    """
    keys = truth[["neuron"]].assign(mouse="simulated", status="ok").reset_index(drop=True)
    angles = {
        f"{estimate}_{name}": truth[name].to_numpy()
        for estimate in ("preferred", "fitted")
        for name in ("direction_deg", "orientation_deg")
    }
    tables = {
        "retinotopy": keys.assign(x_px=truth["x_px"].to_numpy(), y_px=truth["y_px"].to_numpy()),
        "direction": keys.assign(**angles),
    }
    return {
        name: Result(name, {"neurons": table}, xr.Dataset(), {}, {})
        for name, table in tables.items()
    }
