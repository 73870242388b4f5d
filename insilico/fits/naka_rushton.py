"""Contrast response functions (Naka-Rushton), fitted to all neurons at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import UnitsError
from insilico.fits.curves import (
    CurveFamily,
    check_axis,
    check_enough_points,
    check_responses,
    fit_curves,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Columns of the table, before ``status``; each but ``r2`` has a standard error ``_se``.
NAKA_RUSHTON_COLUMNS = ("r_max", "semi_saturation_contrast", "exponent", "baseline", "r2")
#: The semi-saturation contrast lies between these multiples of the lowest contrast above 0 and of
#: the highest: further out the curve is a power law or a step, whatever the value (ours).
SEMI_SATURATION_RANGE = (0.5, 3.0)
#: Visual cortex has exponents of 2 to 3; 0.5 to 6 holds nearly all fitted ones (Albrecht & Hamilton
#: 1982; the ends are ours).
EXPONENT_RANGE = (0.5, 6.0)


def fit_naka_rushton(
    responses: ArrayLike, contrast: ArrayLike, *, baseline: bool = True
) -> pd.DataFrame:
    """Fit ``baseline + r_max * c**n / (c50**n + c**n)`` to each neuron's contrast response.

    Parameters
    ----------
    responses : float array, shape (neuron, contrast)
        Mean responses, arbitrary units.
    contrast : float array, shape (contrast,)
        Michelson contrasts 0-1, increasing. Responses at 0 are those to a blank.
    baseline : bool
        False for responses from which the blank was subtracted: the curve starts at 0.

    Returns
    -------
    pandas.DataFrame
        One row per neuron: ``r_max``, at infinite contrast above the baseline, and ``baseline`` in
        response units; ``semi_saturation_contrast`` c50, where half of ``r_max`` is reached;
        ``exponent`` n; standard errors ``*_se``; ``r2``; ``status``, one of
        :data:`insilico.fits.curves.CURVE_STATUS`. ``at_bound`` says that c50 lies beyond the
        highest contrast, so that saturation was not reached and c50 and ``r_max`` are extrapolated,
        or that c50 or the exponent lies on its bound (:data:`SEMI_SATURATION_RANGE`,
        :data:`EXPONENT_RANGE`). Standard errors hold parameters on their bounds fixed, take
        responses as independent with equal variance, and are missing where there are no more
        contrasts than parameters. Responses that fall again at high contrast (supersaturation) are
        not described: look at ``r2``.

    Raises
    ------
    ShapeError
        If the responses are not (neuron, contrast), or contrasts are fewer than parameters.
    UnitsError
        If contrasts are outside 0-1, not finite or not increasing.

    References
    ----------
    Naka & Rushton 1966, doi:10.1113/jphysiol.1966.sp008003. Albrecht & Hamilton 1982,
    doi:10.1152/jn.1982.48.1.217: with an exponent, for visual cortex. Peirce 2007,
    doi:10.1167/7.6.13: supersaturation, not fitted here.
    """
    contrasts = np.asarray(contrast, float)
    check_responses(responses, (contrasts,), "neuron, contrast")
    check_axis(contrasts, "contrasts", low=0.0)
    if contrasts.max(initial=0.0) > 1:
        raise UnitsError(f"a contrast of {contrasts.max():g}; give Michelson contrasts from 0 to 1")
    check_enough_points(len(contrasts), 3 + baseline, "contrasts")
    fits = fit_curves(_family(contrasts, baseline), responses)
    semi_saturation = np.exp(fits.parameters[:, 0])
    values = {
        "r_max": (fits.parameters[:, 2], fits.errors[:, 2]),
        "semi_saturation_contrast": (semi_saturation, semi_saturation * fits.errors[:, 0]),
        "exponent": (fits.parameters[:, 1], fits.errors[:, 1]),
        "baseline": (fits.parameters[:, 3], fits.errors[:, 3]),
    }
    table: dict[str, Any] = {}
    for name, (value, error) in values.items():
        table[name], table[f"{name}_se"] = value, error
    is_limit = (fits.at_low | fits.at_high).any(axis=1) | (semi_saturation > contrasts[-1])
    return pd.DataFrame({**table, "r2": fits.r2, "status": fits.with_bounds(is_limit).tolist()})


def evaluate_naka_rushton(
    fit: Mapping[str, Any] | pd.Series | pd.DataFrame, contrast: ArrayLike
) -> FloatArray:
    """Evaluate fitted contrast responses.

    Parameters
    ----------
    fit : mapping, row or table
        The columns of :func:`fit_naka_rushton`; each a number or an array of one common shape.
    contrast : float array, shape (contrast,)
        Where to evaluate, 0-1.

    Returns
    -------
    float array, shape (..., contrast)
        Responses in the units of the fit; NaN where there was none.
    """
    names = ("r_max", "semi_saturation_contrast", "exponent", "baseline")
    r_max, middle, exponent, baseline = (np.asarray(fit[name], float)[..., None] for name in names)
    power = (np.asarray(contrast, float) / middle) ** exponent
    curve: FloatArray = baseline + r_max * power / (1 + power)
    return curve


def _family(contrasts: FloatArray, has_baseline: bool) -> CurveFamily:
    """Shape parameters are log c50 and the exponent."""
    positive = contrasts[contrasts > 0]
    logs = np.full(len(contrasts), -np.inf)
    logs[contrasts > 0] = np.log(positive)
    is_blank = contrasts == 0
    low, high = SEMI_SATURATION_RANGE
    middles = float(np.log(low * positive.min())), float(np.log(high * contrasts.max()))

    def shape(parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        exponent = parameters[:, 1, None]
        distance = np.where(is_blank, 0.0, np.where(is_blank, 0.0, logs) - parameters[:, 0, None])
        part = np.where(is_blank, 0.0, 1 / (1 + np.exp(-exponent * distance)))
        slope = part * (1 - part)
        return part, np.stack([-exponent * slope, distance * slope], axis=1)

    grid = np.linspace(*middles, 12), np.geomspace(*EXPONENT_RANGE, 6)
    return CurveFamily(shape, grid, (middles, EXPONENT_RANGE), has_baseline)
