"""Size tuning by the rules of the published analysis, for comparison with its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insilico.experiments.size_curves import BoolArray, FloatArray, SizeCurves

#: Z-score over sizes above which a curve counts as tuned (its comment says 1.96).
THRESHOLD_Z = 1.98


def published_table(curves: SizeCurves, neurons: pd.DataFrame) -> pd.DataFrame:
    """Return what the published analysis makes of the curves, quirks included.

    Parameters
    ----------
    curves : SizeCurves
        The responses themselves are used: no baseline is subtracted.
    neurons : DataFrame
        Who answered.

    Returns
    -------
    DataFrame, one row a neuron
        ``classic_tuned``: the z-score of the classical curve over its own sizes reaches
        :data:`THRESHOLD_Z` somewhere and stays below it at the blank, which says how peaked a curve
        is and nothing about significance; ``inverse_tuned``: the same of the inverse curve, and
        some hole exceeds the full field by any amount; ``classic_preference_deg`` and
        ``inverse_preference_deg``, the best size shown; ``inverse_tuning_index``, unbounded where
        the full field beats every disc and NaN where it beats everything. Preferences are NaN, and
        not 0, for neurons without responses.

    References
    ----------
    ViV1T-closed-loop, tuning_feedbackRF/estimate_size_tuning_curve.py.
    """
    classical, inverse = curves.response[:, 0], curves.response[:, 1]
    classic_tuned = _is_peaked(classical)
    full = inverse[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse_tuned = (
            classic_tuned & _is_peaked(inverse) & (np.fmax.reduce(inverse[:, 1:], axis=1) > full)
        )
        hole = np.fmax.reduce(inverse, axis=1) - full
        disc = np.fmax.reduce(classical, axis=1) - full
        index = hole / (hole + disc)
    return (
        neurons[["mouse", "neuron"]]
        .reset_index(drop=True)
        .assign(
            classic_tuned=classic_tuned,
            inverse_tuned=inverse_tuned,
            classic_preference_deg=_best(classical, curves.diameter_deg),
            inverse_preference_deg=_best(inverse, curves.diameter_deg),
            inverse_tuning_index=index,
        )
    )


def _is_peaked(curve: FloatArray) -> BoolArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (curve - curve.mean(axis=1, keepdims=True)) / curve.std(axis=1, keepdims=True)
        return (z >= THRESHOLD_Z).any(axis=1) & (z[:, 0] < THRESHOLD_Z)


def _best(curve: FloatArray, diameter_deg: FloatArray) -> FloatArray:
    is_known = np.isfinite(curve).all(axis=1)
    best = np.where(np.isfinite(curve), curve, -np.inf).argmax(axis=1)
    return np.where(is_known, diameter_deg[best], np.nan)
