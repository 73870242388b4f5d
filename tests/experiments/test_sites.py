"""Sites: a neuron without a fit is asked where it responds, not between two peaks."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from insilico.experiments.sites import preferred_directions
from insilico.results import Result

ANGLES = {"direction": np.arange(0, 360, 45.0), "orientation": np.arange(0, 180, 22.5)}


def tuned(angle, *, has_curves=True):
    """Return a result of three neurons: two peaks and no fit, a fit, and silent."""
    table = pd.DataFrame(
        {"mouse": "m", "neuron": [4, 7, 9], "status": ["poor_fit", "ok", "silent"]}
    )
    for name in ANGLES:
        is_missing = angle == "orientation" and name == "direction"
        table[f"preferred_{name}_deg"] = np.nan if is_missing else [45.0, 45.0, np.nan]
        table[f"fitted_{name}_deg"] = np.nan if is_missing else [10.0, 135.0, np.nan]
    curves = np.zeros((3, 8))
    curves[:2, np.isin(ANGLES[angle], [0, 90])] = [[1.0, 1.1]] * 2
    arrays = xr.Dataset()
    if has_curves:
        axis = f"{angle}_deg"
        arrays = xr.Dataset({"tuning_curve": (("neuron", axis), curves)}, {axis: ANGLES[angle]})
    return Result("direction", {"neurons": table}, arrays, {}, {})


@pytest.mark.parametrize("angle", ["direction", "orientation"])
@pytest.mark.parametrize(("has_curves", "expected"), [(True, 90.0), (False, 45.0)])
def test_without_a_fit_the_largest_response_is_asked_where_it_is_known(angle, has_curves, expected):
    result = tuned(angle, has_curves=has_curves)
    asked = result.neurons.iloc[[2, 0, 1]].reset_index(drop=True)
    preferred = preferred_directions(result, asked, step_deg=45.0)
    np.testing.assert_array_equal(preferred, [np.nan, expected, 135.0])
