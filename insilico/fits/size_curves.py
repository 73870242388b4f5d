"""Size tuning of gratings in a disc or around a hole: bounded fits and the preferred diameter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import erf, erfc

from insilico.errors import UnitsError
from insilico.fits.curves import (
    CurveFamily,
    CurveFits,
    check_axis,
    check_enough_points,
    check_responses,
    fit_curves,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Columns of the table, before ``status``; each but ``r2`` has a standard error ``_se``.
SIZE_COLUMNS = (
    "preferred_diameter_deg",
    "suppression_index",
    "peak_response",
    "baseline",
    "gain",
    "suppression_strength",
    "center_width_deg",
    "surround_width_deg",
    "r2",
)
#: The center's width lies between these multiples of the smallest diameter above 0 and of the
#: largest: narrower, it saturates before the first disc; wider, the largest covers less than erf(1)
#: = 84 % of it, and gain and baseline grow against each other without end (ours).
CENTER_RANGE = (0.25, 0.5)
#: Width of the surround over that of the center. Cavanaugh et al. keep the surround the wider one.
#: As the ratio nears 1, gain and strength grow against each other and the curve changes no more;
#: both ends are ours.
WIDTH_RATIO_RANGE = (1.1, 10.0)
#: Largest strength of divisive suppression: a response divided by 101 (ours).
RATIO_STRENGTH_MAX = 100.0
#: Largest strength of subtractive suppression of a hole's response, relative to its drive (ours).
HOLE_STRENGTH_MAX = 3.0
#: Points on which the fitted curve's peak is sought before it is refined by bisection.
PEAK_POINTS = 257


def fit_size_curves(
    responses: ArrayLike, diameter_deg: ArrayLike, *, model: str = "ratio", baseline: bool = True
) -> pd.DataFrame:
    """Fit classical size tuning: responses to gratings in discs of several diameters d.

    With ``E(w) = erf(d / (2 w))``, the part of a Gaussian field of width w (to 1/e) that a disc
    covers along a line through its center, and ws >= wc the widths of surround and center:

    - ``"ratio"``: ``baseline + gain * E(wc)**2 / (1 + suppression_strength * E(ws)**2)``;
    - ``"difference"``: ``baseline + gain * (E(wc) - suppression_strength * E(ws))``, with a
      strength of at most ws / wc, so that small discs excite.

    Parameters
    ----------
    responses : float array, shape (neuron, diameter)
        Mean responses, arbitrary units.
    diameter_deg : float array, shape (diameter,)
        Increasing, 0 or more. Responses at 0 are those to a blank and fix the baseline.
    model : str
        ``"ratio"`` or ``"difference"``.
    baseline : bool
        False for responses from which the blank was subtracted: the curve starts at 0.

    Returns
    -------
    pandas.DataFrame
        One row per neuron:

        - ``preferred_diameter_deg``: where the fitted curve peaks within the measured range;
        - ``suppression_index``: (peak - response to the largest disc) / (peak - baseline), all of
          the fitted curve: 0 without suppression, 1 where the largest disc is no better than a
          blank, more where it is worse ("difference" only);
        - ``peak_response``, ``baseline`` and ``gain`` in response units; ``gain`` is the response
          of the saturated center alone above the baseline;
        - ``suppression_strength``, without unit; ``center_width_deg`` and ``surround_width_deg``;
        - standard errors ``*_se``; ``r2``; ``status``, one of
          :data:`insilico.fits.curves.CURVE_STATUS`.

        ``at_bound`` says that the fitted curve does not fall within the measured range (the
        preferred diameter is the largest and only a lower limit), that it peaks below the smallest
        disc (an upper limit), or that the center is narrower than that disc resolves. Standard
        errors hold parameters on their bounds fixed, take responses as independent with equal
        variance, estimate it from the residuals, and are missing for what the curve does not
        determine: the width of a surround without strength, or all where there are no more
        diameters than parameters. Where strength, width and gain trade off, those of the single
        parameters are large beside a well-determined preferred diameter.

    Raises
    ------
    ShapeError
        If the responses are not (neuron, diameter), or diameters are fewer than parameters.
    UnitsError
        If diameters are negative, not finite or not increasing, or the model is not known.

    References
    ----------
    Cavanaugh, Bair & Movshon 2002, doi:10.1152/jn.00692.2001: ratio of Gaussians, ``L = ((2 /
    sqrt(pi)) * integral of exp(-(y / w)**2) from 0 to the radius)**2``; its factor w**2 is here
    part of gain and strength. DeAngelis, Freeman & Ohzawa 1994, doi:10.1152/jn.1994.71.1.347, and
    Sceniak et al. 1999, doi:10.1038/11197: difference of integrals of Gaussians. Errors of
    preferred diameter and index: delta method through the condition of the peak (ours). The
    reference code of the in-silico experiments fits no function to its curves.
    """
    return _fit(responses, np.asarray(diameter_deg, float), _Tuning(model, False, baseline))


def fit_hole_curves(
    responses: ArrayLike, diameter_deg: ArrayLike, *, model: str = "ratio", baseline: bool = True
) -> pd.DataFrame:
    """Fit inverse size tuning: responses to a full-field grating with a hole of diameter d.

    What drives the neuron is the grating left around the hole, in a wide field of width ws; what
    suppresses it is the grating left in a narrow center of width wc, which the hole uncovers first.
    With the E of :func:`fit_size_curves`:

    - ``"ratio"``: ``baseline + gain * (1 - E(ws)**2) / (1 + suppression_strength * (1 -
      E(wc)**2))``;
    - ``"difference"``: ``baseline + gain * (1 - E(ws) - suppression_strength * (1 - E(wc)))``.

    The curve starts at the response to the full field, rises as the hole releases the neuron from
    suppression, and falls to the baseline as nothing is left to drive it.

    Parameters
    ----------
    responses : float array, shape (neuron, diameter)
        Mean responses, arbitrary units.
    diameter_deg : float array, shape (diameter,)
        Of the hole, increasing, 0 (full field) or more.
    model, baseline
        As in :func:`fit_size_curves`. The baseline is the response to an endless hole.

    Returns
    -------
    pandas.DataFrame
        Columns as in :func:`fit_size_curves`, with two readings of their own.
        ``suppression_index`` is (peak - response to the full field) / (peak - baseline): 0 where no
        hole beats the full field, 1 where the full field is no better than a blank. ``gain`` is the
        response of the wide field alone. ``at_bound`` says that the curve peaks at the full
        field, below the smallest or at the largest hole, or that the center's width is on a bound.

    Raises
    ------
    ShapeError, UnitsError
        As in :func:`fit_size_curves`.

    References
    ----------
    Keller, Roth & Scanziani 2020, doi:10.1038/s41586-020-2319-4: responses to holes. They fit no
    function; this one is the disc's of Cavanaugh et al. and Sceniak et al. with every integral
    replaced by its complement (ours).
    """
    return _fit(responses, np.asarray(diameter_deg, float), _Tuning(model, True, baseline))


def evaluate_size_curve(
    fit: Mapping[str, Any] | pd.Series | pd.DataFrame,
    diameter_deg: ArrayLike,
    *,
    model: str = "ratio",
) -> FloatArray:
    """Evaluate curves fitted by :func:`fit_size_curves`.

    Parameters
    ----------
    fit : mapping, row or table
        Its columns; each a number or an array of one common shape.
    diameter_deg : float array, shape (diameter,)
        Where to evaluate.
    model : str
        The model of the fit.

    Returns
    -------
    float array, shape (..., diameter)
        Responses in the units of the fit; NaN where there was none.
    """
    return _evaluate(fit, diameter_deg, _Tuning(model, False))


def evaluate_hole_curve(
    fit: Mapping[str, Any] | pd.Series | pd.DataFrame,
    diameter_deg: ArrayLike,
    *,
    model: str = "ratio",
) -> FloatArray:
    """Evaluate curves fitted by :func:`fit_hole_curves`; as :func:`evaluate_size_curve`."""
    return _evaluate(fit, diameter_deg, _Tuning(model, True))


@dataclasses.dataclass(frozen=True)
class _Tuning:
    """Shapes of one model, for discs or holes.

    Shape parameters are log center width, log width ratio, and a third for the strength: log(1 +
    strength) for ratios, strength over its largest value for differences.
    """

    model: str
    is_hole: bool
    has_baseline: bool = True

    def __post_init__(self) -> None:
        if self.model not in ("ratio", "difference"):
            raise UnitsError(f"a model of {self.model!r}; give 'ratio' or 'difference'")

    def family(self, diameters: FloatArray) -> CurveFamily:
        """Curves at these diameters, with bounds and starts that fit them."""
        low = CENTER_RANGE[0] * diameters[diameters > 0].min()
        widths = np.log(low), np.log(CENTER_RANGE[1] * diameters.max())
        ratios = np.log(WIDTH_RATIO_RANGE[0]), np.log(WIDTH_RATIO_RANGE[1])
        strengths = (0.0, np.log1p(RATIO_STRENGTH_MAX) if self.model == "ratio" else 1.0)
        return CurveFamily(
            shape=lambda parameters: self.shape(parameters, diameters),
            grid=tuple(
                np.linspace(low, high, count)
                for (low, high), count in zip((widths, ratios, strengths), (9, 5, 6), strict=True)
            ),
            bounds=(widths, ratios, strengths),
            has_baseline=self.has_baseline,
        )

    def shape(self, parameters: FloatArray, diameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values and slopes; ``diameters`` is (point,) or (problem, point)."""
        log_center, log_ratio = parameters[:, 0, None], parameters[:, 1, None]
        center = self._covered(diameters, log_center)
        surround = self._covered(diameters, log_center + log_ratio)
        (drive, drive_slope), (brake, brake_slope) = (
            (surround, center) if self.is_hole else (center, surround)
        )
        strength, by_third, by_ratio = self.strength(parameters)
        if self.model == "ratio":
            divisor = 1 + strength * brake
            values = drive / divisor
            by_drive, by_brake, by_strength = (
                1 / divisor,
                -values * strength / divisor,
                -values * brake / divisor,
            )
        else:
            values = drive - strength * brake
            by_drive, by_brake, by_strength = np.ones_like(drive), -strength, -brake
        from_drive, from_brake = by_drive * drive_slope, by_brake * brake_slope
        from_surround = from_drive if self.is_hole else from_brake
        slopes = [
            from_drive + from_brake,
            from_surround + by_strength * by_ratio,
            by_strength * by_third,
        ]
        return values, np.stack(np.broadcast_arrays(*slopes), axis=1)

    def _covered(
        self, diameters: FloatArray, log_width: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Covered part of a field, its slope by log width; for holes what is left of it."""
        reach = diameters / (2 * np.exp(log_width))
        part = erf(reach)
        slope = -2 / np.sqrt(np.pi) * reach * np.exp(-(reach**2))
        if self.model == "ratio":
            slope = 2 * part * slope
        if self.is_hole:
            left = erfc(reach)
            return (left * (1 + part) if self.model == "ratio" else left), -slope
        return (part**2 if self.model == "ratio" else part), slope

    def strength(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Strength and its slopes by the third shape parameter and the log ratio, as columns."""
        third, ratio = parameters[:, 2, None], np.exp(parameters[:, 1, None])
        if self.model == "ratio":
            return np.expm1(third), np.exp(third), np.zeros_like(third)
        if self.is_hole:
            largest = np.full_like(third, HOLE_STRENGTH_MAX)
            return third * largest, largest, np.zeros_like(third)
        return third * ratio, ratio, third * ratio

    def third(self, strength: FloatArray, ratio: FloatArray) -> FloatArray:
        """Shape parameter that gives a strength."""
        if self.model == "ratio":
            third: FloatArray = np.log1p(strength)
            return third
        return strength / (HOLE_STRENGTH_MAX if self.is_hole else ratio)

    def peak(self, parameters: FloatArray, diameters: FloatArray) -> FloatArray:
        """Diameter at which the curve is highest within the measured range."""
        grid = np.linspace(diameters[0], diameters[-1], PEAK_POINTS)
        values, _ = self.shape(parameters, grid)
        # The last of equals: a curve that has saturated would rise on if numbers were finer.
        highest = PEAK_POINTS - 1 - values[:, ::-1].argmax(axis=1)
        low, high = grid[np.maximum(highest - 1, 0)], grid[np.minimum(highest + 1, PEAK_POINTS - 1)]
        for _ in range(50):
            middle = (low + high) / 2
            # A wider center at a fixed ratio is the same curve over a smaller diameter.
            rises = self.shape(parameters, middle[:, None])[1][:, 0, 0] <= 0
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        return (low + high) / 2

    def peak_gradient(self, parameters: FloatArray, peak: FloatArray) -> FloatArray:
        """Slope of the peak's diameter by each shape parameter, from the condition of a peak."""
        step = 1e-4
        ahead, behind = (
            self.shape(parameters, (peak * np.exp(sign * step))[:, None])[1][:, :, 0]
            for sign in (1, -1)
        )
        change = ahead - behind
        is_peak = change[:, :1] > 0
        return np.where(
            is_peak, peak[:, None] * change / np.where(is_peak, change[:, :1], 1), np.nan
        )


def _fit(responses: ArrayLike, diameters: FloatArray, tuning: _Tuning) -> pd.DataFrame:
    check_responses(responses, (diameters,), "neuron, diameter")
    check_axis(diameters, "diameters in degrees", low=0.0)
    check_enough_points(len(diameters), 4 + tuning.has_baseline, "diameters")
    fits = fit_curves(tuning.family(diameters), responses)
    table, is_end = _table(fits, tuning, diameters)
    # A center as wide as its bound has not saturated, and a hole's peak is no longer its own.
    limited = fits.at_low[:, 0] | (tuning.is_hole & fits.at_high[:, 0])
    return pd.DataFrame({**table, "status": fits.with_bounds(is_end | limited).tolist()})


def _table(
    fits: CurveFits, tuning: _Tuning, diameters: FloatArray
) -> tuple[dict[str, FloatArray], BoolArray]:
    """Columns and whether the peak is at an end of the measured range."""
    parameters, gain, errors = fits.parameters[:, :3], fits.parameters[:, 3], fits.errors
    peak = np.where(fits.is_fitted, tuning.peak(parameters, diameters), np.nan)
    margin = 1e-6 * (diameters[-1] - diameters[0])
    # Below the smallest disc or hole, a peak of any height fits between it and the blank.
    smallest = diameters[diameters > 0][0]
    is_end = (peak <= smallest - margin) | (peak >= diameters[-1] - margin)
    is_end |= peak <= diameters[0] + margin
    peak_gradient = np.where(is_end[:, None], np.nan, tuning.peak_gradient(parameters, peak))
    height, height_slopes = (part[..., 0] for part in tuning.shape(parameters, peak[:, None]))
    full = np.array([0.0 if tuning.is_hole else diameters[-1]])
    rest, rest_slopes = (part[..., 0] for part in tuning.shape(parameters, full))
    height = np.where(height > 0, height, np.nan)
    index = np.maximum(1 - rest / height, 0.0)
    index_gradient = (rest / height**2)[:, None] * height_slopes - rest_slopes / height[:, None]
    index_gradient[is_end & (index < 1e-6)] = np.nan
    response_gradient = np.concatenate(
        [gain[:, None] * height_slopes, height[:, None], np.ones_like(height)[:, None]], axis=1
    )
    strength, by_third, by_ratio = (part[:, 0] for part in tuning.strength(parameters))
    none = np.zeros_like(strength)
    center, surround = np.exp(parameters[:, 0]), np.exp(parameters[:, 0] + parameters[:, 1])
    ways = {
        "preferred_diameter_deg": (peak, fits.standard_error(peak_gradient)),
        "suppression_index": (index, fits.standard_error(index_gradient)),
        "peak_response": (
            fits.parameters[:, 4] + gain * height,
            fits.standard_error(response_gradient),
        ),
        "baseline": (fits.parameters[:, 4], errors[:, 4]),
        "gain": (gain, errors[:, 3]),
        "suppression_strength": (
            strength,
            fits.standard_error(np.stack([none, by_ratio, by_third], axis=1)),
        ),
        "center_width_deg": (center, center * errors[:, 0]),
        "surround_width_deg": (
            surround,
            fits.standard_error(np.stack([surround, surround, none], axis=1)),
        ),
    }
    columns = {}
    for name, (value, error) in ways.items():
        columns[name], columns[f"{name}_se"] = value, error
    return {**columns, "r2": fits.r2}, is_end


def _evaluate(
    fit: Mapping[str, Any] | pd.Series | pd.DataFrame, diameter_deg: ArrayLike, tuning: _Tuning
) -> FloatArray:
    names = ("center_width_deg", "surround_width_deg", "suppression_strength", "gain", "baseline")
    columns = np.broadcast_arrays(*(np.asarray(fit[name], float) for name in names))
    center, surround, strength, gain, baseline = (column.ravel() for column in columns)
    ratio = surround / center
    parameters = np.stack([np.log(center), np.log(ratio), tuning.third(strength, ratio)], axis=1)
    diameters = np.asarray(diameter_deg, float)
    values, _ = tuning.shape(parameters, diameters)
    curve = baseline[:, None] + gain[:, None] * values
    return curve.reshape(*columns[0].shape, len(diameters))
