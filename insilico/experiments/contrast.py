"""Contrast response: how a neuron's answer to a grating grows with contrast, and saturates.

A grating in a disc on the receptive field, or over the whole screen, is shown at several contrasts.
Movie models see it drift; image models see it still, at several phases. Naka and Rushton's function
is fitted to the means, with gray as contrast 0. Gratings have whole gray levels, so at low contrast
they are not quite of the contrast asked for: curves and fits use the contrast that was shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from insilico.errors import ShapeError
from insilico.experiments.averaging import (
    Averages,
    average_presentations,
    baseline_of,
)
from insilico.experiments.experiment import Accumulator, Setting
from insilico.experiments.grating_experiment import GratingExperiment
from insilico.experiments.gratings import (
    GratingProtocol,
    combine,
    placed_status,
)
from insilico.experiments.protocols import require
from insilico.experiments.sites import UNPLACED
from insilico.fits.naka_rushton import fit_naka_rushton
from insilico.statistics.bootstrap import bootstrap_interval
from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.stimuli.contrast import shown_contrast
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: A curve that varies by less than this share of its largest response is flat (ours).
FLAT_SHARE = 0.01
#: Contrasts above 0 with which four parameters can be told from each other.
MINIMUM_CONTRASTS = 5
#: Parameters of the fit that the neurons table has, each with its standard error.
PARAMETERS = ("semi_saturation_contrast", "exponent", "r_max", "baseline")
#: Quantities whose medians the population table has.
SUMMARIZED = ("semi_saturation_contrast", "half_maximum_contrast", "exponent", "supersaturation")
#: What each value of ``status`` means.
STATUS = {
    "ok": "the contrast response function fits, and it saturates within the contrasts shown",
    **UNPLACED,
    "not_finite": "a response is NaN or infinite",
    "flat": "responses vary by less than 1 % of the largest, or not at all",
    "constant_fit": "the response does not grow with contrast: a constant fits as well",
    "no_convergence": "the fit did not converge",
    "at_bound": "half saturation lies beyond the highest contrast, or a parameter on its bound: "
    "limits only; half_maximum_contrast stands",
    "poor_fit": "the curve has another shape, such as a response that falls again",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContrastProtocol(GratingProtocol):
    """Values of ``experiments/contrast.toml``; the file explains each.

    Parameters
    ----------
    contrast : tuple of float
        Contrasts of the grating, above 0 to 1, rising; five or more for the four parameters.
    is_full_field : bool
        Whether the grating fills the screen; the diameter is not read then.
    diameter_deg : float
        Full visual angle of the disc.
    minimum_fit_r2 : float
        Share of a curve's variance that the fit must explain to be called one.
    shuffle_count : int
        Of the tests over trials, where trials repeat.
    """

    contrast: tuple[float, ...]
    is_full_field: bool
    diameter_deg: float
    minimum_fit_r2: float
    shuffle_count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.contrast) >= MINIMUM_CONTRASTS, "name five contrasts or more")
        require(all(0 < c <= 1 for c in self.contrast), "contrasts must lie above 0, up to 1")
        require(bool(np.all(np.diff(self.contrast) > 0)), "contrasts must rise")
        require(0 < self.diameter_deg < 180, "diameter_deg must lie above 0, below 180")
        require(self.minimum_fit_r2 <= 1, "minimum_fit_r2 must be 1 or less")
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")

    def patterns(self, kind: Kind) -> pd.DataFrame:
        """Return one row a contrast; images begin with a blank, of contrast 0."""
        blank = (0.0,) if kind == "image" else ()
        return combine(
            {
                "arrangement": ["iso" if self.is_full_field else "center"],
                "diameter_deg": [self.diameter_deg],
                "contrast": blank + self.contrast,
            }
        )


class Contrast(GratingExperiment[ContrastProtocol]):
    """Contrast response function.

    References
    ----------
    Naka & Rushton 1966, doi:10.1113/jphysiol.1966.sp008003; Albrecht & Hamilton 1982,
    doi:10.1152/jn.1982.48.1.217 (in cortex). The grating: ViV1T-closed-loop,
    viv1t/utils/stimulus.py; there is no published experiment of contrasts with these models.
    """

    name = "contrast"
    protocol_type = ContrastProtocol
    summary_columns = ("semi_saturation_contrast", "exponent", "half_maximum_contrast", "fit_r2")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {
        "centers": "screen",
        "direction_deg": (90.0,),
        "movie_phase_count": 1,
        "image_phase_count": 4,
        "lead_s": 0.5,
    }

    def conclude(
        self, accumulator: Accumulator, setting: Setting[ContrastProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Average presentations into contrast responses, and fit them."""
        presentations, conditions = self.presented(accumulator, setting)
        responses = presentations.collected("mean")
        conditions = _tidy(conditions)
        is_blank = (conditions["contrast"] == 0).to_numpy()
        shown, responses_to_blank = conditions[~is_blank], responses[is_blank]
        averages = average_presentations(
            responses[~is_blank],
            shown.reset_index(drop=True),
            ["contrast"],
            has_trial_noise=setting.has_trial_noise,
        )
        gray = baseline_of(presentations, responses_to_blank, setting)
        measured = measure_contrast_response(
            averages.mean.T,
            shown_contrast(averages.levels["contrast"]),
            gray,
            minimum_fit_r2=setting.protocol.minimum_fit_r2,
        )
        measured["status"] = placed_status(setting, measured["status"])
        if setting.has_trial_noise:
            measured |= _tests(responses[~is_blank], shown, setting.protocol)
        table = pd.concat(
            [setting.neurons.reset_index(drop=True), pd.DataFrame(measured)], axis=1
        ).assign(error_source="fit")
        setting.on_done(len(table))
        tables = {
            "neurons": table,
            "curves": _curves(setting, averages),
            "population": _population(table, seed=setting.protocol.seed),
        }
        return tables, _arrays(averages, gray, setting)


def measure_contrast_response(
    curve: FloatArray, contrast: FloatArray, gray: FloatArray, *, minimum_fit_r2: float = 0.5
) -> dict[str, Any]:
    """Measure and fit contrast responses.

    Parameters
    ----------
    curve : float array, shape (neuron, contrast)
        Mean responses.
    contrast : float array, shape (contrast,)
        As shown, above 0, rising.
    gray : float array, shape (neuron,)
        Responses to gray, which enter the fit as contrast 0; all NaN where unknown.
    minimum_fit_r2 : float
        Below it the status is "poor_fit".

    Returns
    -------
    dict of arrays, shape (neuron,)
        ``status``; of ``baseline + r_max c^exponent / (c^exponent +
        semi_saturation_contrast^exponent)`` each parameter with its standard error, and ``fit_r2``;
        ``half_maximum_contrast``, where the fitted curve is halfway from its baseline to its
        response at the highest contrast, defined whether or not it saturates; ``response_to_gray``;
        and ``supersaturation``, the part of the largest response above gray (or, without it, above
        the fitted baseline) that is lost at the highest contrast: 0 for responses that never fall.

    References
    ----------
    Peirce 2007, doi:10.1167/7.6.13 (supersaturation).
    """
    if np.isfinite(gray).any():
        points, values = np.append(0.0, contrast), np.column_stack([gray, curve])
    else:
        points, values = contrast, curve
    fit = fit_naka_rushton(values, points)
    columns = {name: fit[name].to_numpy() for base in PARAMETERS for name in (base, f"{base}_se")}
    highest = np.where(np.isnan(gray), columns["baseline"], gray)
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = curve.max(axis=1) - highest
        lost = np.where(rise > 0, (curve.max(axis=1) - curve[:, -1]) / rise, np.nan)
    return {
        "status": _status(fit, values, minimum_fit_r2),
        **columns,
        "half_maximum_contrast": half_maximum_contrast(
            columns["semi_saturation_contrast"], columns["exponent"], highest=float(contrast[-1])
        ),
        "supersaturation": lost,
        "response_to_gray": gray,
        "fit_r2": fit["r2"].to_numpy(),
    }


def half_maximum_contrast(
    semi_saturation_contrast: FloatArray, exponent: FloatArray, *, highest: float
) -> FloatArray:
    """Return where a fitted curve reaches half of its rise up to the highest contrast.

    Parameters
    ----------
    semi_saturation_contrast, exponent : float array, shape (neuron,)
        Of the fit.
    highest : float
        Contrast.

    Returns
    -------
    float array, shape (neuron,)
        At most ``semi_saturation_contrast``, to which it tends for curves that saturate long before
        ``highest``.
    """
    # With p = (c / s)^n a curve rises as p / (1 + p), to half of the end at p / (2 + p).
    power = (highest / semi_saturation_contrast) ** exponent
    half: FloatArray = semi_saturation_contrast * (power / (2 + power)) ** (1 / exponent)
    return half


def _status(fit: pd.DataFrame, values: FloatArray, minimum_fit_r2: float) -> np.ndarray[Any, Any]:
    status = fit["status"].to_numpy(dtype=object)
    is_poor = np.isin(status, ["ok", "at_bound"]) & (fit["r2"] < minimum_fit_r2).to_numpy()
    status = np.where(is_poor, "poor_fit", status)
    with np.errstate(invalid="ignore"):
        is_flat = np.ptp(values, axis=1) <= FLAT_SHARE * np.abs(values).max(axis=1)
    return np.where(is_flat & (status != "not_finite"), "flat", status).astype(str)


def _tidy(conditions: pd.DataFrame) -> pd.DataFrame:
    """Return conditions with blanks at contrast 0 and no missing values where they matter."""
    if "contrast" not in conditions:
        raise ShapeError(
            "the conditions of the responses have no column 'contrast'; give one row a "
            "presentation with its contrast, 0 for blanks"
        )
    count = len(set(conditions["contrast"]) - {0.0})
    if count < MINIMUM_CONTRASTS:
        raise ShapeError(
            f"the conditions show {count} contrasts above 0; a contrast response function has four "
            f"parameters, so show {MINIMUM_CONTRASTS} or more"
        )
    tidy = conditions.reset_index(drop=True)
    for name in ("direction_deg", "phase_deg"):
        tidy[name] = tidy[name].fillna(0.0) if name in tidy else 0.0
    return tidy.drop(columns=["surround_direction_deg", "surround_phase_deg"], errors="ignore")


def _tests(
    responses: FloatArray, conditions: pd.DataFrame, protocol: ContrastProtocol
) -> dict[str, FloatArray]:
    """Test over trials whether the higher half of the contrasts is answered differently."""
    levels = np.unique(conditions["contrast"])
    rank = np.searchsorted(levels, conditions["contrast"])
    is_higher, is_lower = rank >= (len(levels) + 1) // 2, rank < len(levels) // 2
    p_value = condition_difference_test(
        responses[is_higher],
        responses[is_lower],
        shuffle_count=protocol.shuffle_count,
        seed=protocol.seed,
    ).p_value
    return {"contrast_p": p_value, "contrast_q": false_discovery_q_values(p_value)}


def _curves(setting: Setting[ContrastProtocol], averages: Averages) -> pd.DataFrame:
    """Return mean responses, one row a neuron and contrast."""
    count, neurons = averages.mean.shape
    keys = setting.neurons[["mouse", "neuron"]]
    asked = averages.levels["contrast"].to_numpy()
    return (
        keys.loc[keys.index.repeat(count)]
        .reset_index(drop=True)
        .assign(
            contrast=np.tile(asked, neurons),
            shown_contrast=np.tile(shown_contrast(asked), neurons),
            response=averages.mean.T.reshape(-1),
            **{_error_name(setting): averages.error.T.reshape(-1)},
            presentation_count=np.tile(averages.levels["count"], neurons),
        )
    )


def _population(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Return medians over the neurons of status "ok", with bootstrap intervals over neurons."""
    counted = table[table["status"] == "ok"]
    mouse = counted["mouse"] if len(set(counted["mouse"])) > 1 else None
    rows = []
    for number, name in enumerate(SUMMARIZED):
        interval = bootstrap_interval(counted[name], mouse=mouse, seed=[seed, 15, number])
        rows.append(
            {
                "quantity": name,
                "neuron_count": interval.value_count,
                "median": interval.estimate,
                "ci_low": interval.ci_low,
                "ci_high": interval.ci_high,
                "error_source": "neurons" if mouse is None else "mice, then neurons",
            }
        )
    return pd.DataFrame(rows)


def _error_name(setting: Setting[ContrastProtocol]) -> str:
    return "response_sem" if setting.has_trial_noise else "spread_over_phases"


def _arrays(averages: Averages, gray: FloatArray, setting: Setting[ContrastProtocol]) -> xr.Dataset:
    """Return the curves over the contrast shown, and their error by its honest name."""
    axes = ("neuron", "shown_contrast")
    asked = averages.levels["contrast"].to_numpy()
    return xr.Dataset(
        {
            "response": (axes, averages.mean.T),
            _error_name(setting): (axes, averages.error.T),
            "response_to_gray": ("neuron", gray),
        },
        coords={
            "neuron": setting.neurons["neuron"].to_numpy(),
            "shown_contrast": shown_contrast(asked),
            "contrast": ("shown_contrast", asked),
        },
    )
