"""Which neurons pass a test when thousands are tested."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from insilico.errors import UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def false_discovery_q_values(p_value: ArrayLike) -> FloatArray:
    """Return Benjamini-Hochberg q-values: one family, the neurons that have a p-value.

    Of the neurons with ``q <= 0.05`` at most 5 % are expected to be false discoveries. That holds
    for independent tests and for those that depend positively, such as neurons that share shuffles
    or noise.

    Parameters
    ----------
    p_value : float array, any shape
        In [0, 1]. NaN marks neurons that were not tested: they stay NaN and do not count.

    Returns
    -------
    float array, the shape of ``p_value``
        In [0, 1], never below the p-value.

    Raises
    ------
    UnitsError
        If a p-value lies outside [0, 1].

    References
    ----------
    Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x. Positive dependence:
    Benjamini & Yekutieli 2001, doi:10.1214/aos/1013699998.
    """
    values = np.asarray(p_value, float)
    tested = ~np.isnan(values)
    if ((values[tested] < 0) | (values[tested] > 1)).any():
        raise UnitsError(
            f"p-values from {values[tested].min():g} to {values[tested].max():g}; give "
            "probabilities between 0 and 1, and NaN for neurons that were not tested"
        )
    q_values = np.full(values.shape, np.nan)
    if tested.any():
        q_values[tested] = stats.false_discovery_control(values[tested], method="bh")
    return q_values
