"""Frequency tuning: which spatial and temporal frequency does a neuron prefer, and how narrowly.

Movie models see gratings of every combination drift in each neuron's preferred direction; the
response is the mean over a window and over starting phases. Image models see still gratings, so
there is no temporal frequency: everything about time is missing, not zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from insilico.errors import ShapeError
from insilico.experiments.averaging import (
    Averages,
    average_presentations,
    baseline_of,
    mean_and_baseline,
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
from insilico.fits.curves import CURVE_STATUS
from insilico.fits.frequency_tuning import fit_frequency_tuning
from insilico.statistics.bootstrap import (
    bootstrap_correlations,
    bootstrap_interval,
    percentile_interval,
)
from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.statistics.frequency_peaks import PEAK_COLUMNS, frequency_peaks
from insilico.statistics.paired import compare_with_zero
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Axes of the surfaces.
AXES = ("spatial_frequency_cpd", "temporal_frequency_hz")
#: A surface that varies by less than this share of its largest response is flat (ours).
FLAT_SHARE = 0.01
#: What the population table summarizes.
SUMMARIZED = (*PEAK_COLUMNS, "speed_exponent")
#: Columns of the fit by the names they have here; each has a standard error.
FIT_NAMES = {
    "preferred_spatial_frequency_cpd": "fitted_spatial_frequency_cpd",
    "preferred_temporal_frequency_hz": "fitted_temporal_frequency_hz",
    "spatial_bandwidth_octaves": "fitted_spatial_bandwidth_octaves",
    "temporal_bandwidth_octaves": "fitted_temporal_bandwidth_octaves",
    "speed_exponent": "speed_exponent",
    "amplitude": "fit_amplitude",
    "baseline": "fit_baseline",
}
#: Fewer neurons than this have no correlation.
MINIMUM_CORRELATED = 4
#: What each value of ``status`` means.
STATUS = {
    "ok": "responses peak within the frequencies shown",
    **UNPLACED,
    "not_finite": "a response is NaN or infinite, or a combination of frequencies was not shown",
    "flat": "responses vary by less than 1 % of the largest, or not at all",
    "at_bound": "responses are highest at the lowest or highest frequency shown: a preference is a "
    "limit only",
}
#: What each value of ``fit_status`` means.
FIT_STATUS = {
    **CURVE_STATUS,
    "poor_fit": "the surface has another shape than a Gaussian of the log frequencies",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrequencyProtocol(GratingProtocol):
    """Values of ``experiments/frequency.toml``; the file explains each.

    Parameters
    ----------
    spatial_frequency_cpd, temporal_frequency_hz : tuple of float
        Every combination is shown; images have no temporal frequency. Rising, above 0; three or
        more along one axis, and along the other one or at least three.
    is_full_field : bool
        Whether the grating fills the screen; the diameter is not read then.
    diameter_deg : float
        Full visual angle of the disc.
    contrast : float
        0 to 1.
    minimum_fit_r2 : float
        Share of a surface's variance that the fit must explain to be called one.
    bootstrap_count, shuffle_count : int
        Draws for errors, and shuffles of the tests, where trials repeat.
    """

    spatial_frequency_cpd: tuple[float, ...]  # type: ignore[assignment] # several here
    temporal_frequency_hz: tuple[float, ...]  # type: ignore[assignment]
    is_full_field: bool
    diameter_deg: float
    contrast: float
    minimum_fit_r2: float
    bootstrap_count: int
    shuffle_count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("spatial_frequency_cpd", "temporal_frequency_hz"):
            values = getattr(self, name)
            require(len(values) > 0, f"name at least one {name}")
            require(len(values) != 2, f"{name} holds two values; name one, or three or more")
            is_rising = min(values) > 0 and bool(np.all(np.diff(values) > 0))
            require(is_rising, f"{name} must rise, from above 0")
        require(len(self.spatial_frequency_cpd) >= 3, "name three spatial_frequency_cpd or more")
        require(0 < self.diameter_deg < 180, "diameter_deg must lie above 0, below 180")
        require(0 < self.contrast <= 1, "contrast must lie above 0, up to 1")
        require(self.minimum_fit_r2 <= 1, "minimum_fit_r2 must be 1 or less")
        require(self.bootstrap_count >= 2, "bootstrap_count must be 2 or more")
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")

    def patterns(self, kind: Kind) -> pd.DataFrame:
        """Return one row a combination of frequencies; images begin with a blank."""
        patterns = combine(
            {
                "arrangement": ["iso" if self.is_full_field else "center"],
                "diameter_deg": [self.diameter_deg],
                "contrast": [self.contrast],
                "spatial_frequency_cpd": self.spatial_frequency_cpd,
                "temporal_frequency_hz": self.temporal_frequency_hz if kind == "movie" else [0.0],
            }
        )
        if kind == "movie":
            return patterns
        return pd.concat([patterns[:1].assign(contrast=0.0), patterns], ignore_index=True)


class Frequency(GratingExperiment[FrequencyProtocol]):
    """Spatial and temporal frequency tuning.

    References
    ----------
    Priebe, Lisberger & Movshon 2006, doi:10.1523/JNEUROSCI.3936-05.2006 (the fit and its exponent).
    Andermann, Kerlin, Roumis, Glickfeld & Reid 2011, doi:10.1016/j.neuron.2011.11.013 (in mice).
    There is no published experiment of frequencies with these models.
    """

    name = "frequency"
    protocol_type = FrequencyProtocol
    summary_columns = (*SUMMARIZED[:4], "speed_exponent")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {
        "direction_deg": (90.0,),
        "spatial_frequency_cpd": (0.015, 0.03, 0.06, 0.12),
        "temporal_frequency_hz": (1.0, 2.0, 4.0),
        "movie_phase_count": 1,
        "image_phase_count": 4,
        "lead_s": 0.5,
    }

    def conclude(
        self, accumulator: Accumulator, setting: Setting[FrequencyProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Average presentations into surfaces over both frequencies, and fit them."""
        presentations, conditions = self.presented(accumulator, setting)
        responses = presentations.collected("mean")
        conditions = _tidy(conditions)
        is_blank = (conditions["contrast"] == 0).to_numpy()
        gray = baseline_of(presentations, responses[is_blank], setting)
        responses, shown = responses[~is_blank], conditions[~is_blank].reset_index(drop=True)
        averages = average_presentations(
            responses, shown, list(AXES), has_trial_noise=setting.has_trial_noise
        )
        surfaces = _surfaces(averages, setting)
        measured = _measure(surfaces, gray, setting)
        measured["status"] = placed_status(setting, measured["status"])
        if setting.has_trial_noise and "before" in mean_and_baseline(setting):
            before = presentations.collected("before")[~is_blank]
            measured |= _tests(responses, before, setting.protocol)
        source = "trials" if setting.has_trial_noise else "fit"
        table = pd.concat(
            [
                setting.neurons.reset_index(drop=True),
                pd.DataFrame(measured).assign(response_to_gray=gray, error_source=source),
            ],
            axis=1,
        )
        setting.on_done(len(table))
        tables = {
            "neurons": table,
            "surfaces": _long(surfaces, averages, setting),
            "population": summarize_population(table, seed=setting.protocol.seed),
        }
        return tables, surfaces


def measure_frequency_tuning(
    surface: FloatArray,
    spatial_frequency_cpd: FloatArray,
    temporal_frequency_hz: FloatArray,
    *,
    gray: FloatArray,
    minimum_fit_r2: float = 0.5,
) -> dict[str, Any]:
    """Measure and fit tuning to both frequencies.

    Parameters
    ----------
    surface : float array, shape (neuron, spatial, temporal)
        Mean responses.
    spatial_frequency_cpd, temporal_frequency_hz : float array, shape (spatial,), (temporal,)
        Rising. A single temporal frequency, or 0 of still gratings, is not measured.
    gray : float array, shape (neuron,)
        Responses to gray, from which half of the height is counted; 0 in place of NaN.
    minimum_fit_r2 : float
        Below it the fit's status is "poor_fit".

    Returns
    -------
    dict of arrays, shape (neuron,)
        ``status``; the columns of :func:`~insilico.statistics.frequency_peaks.frequency_peaks`;
        ``fit_status``, those of :func:`~insilico.fits.frequency_tuning.fit_frequency_tuning` by the
        names :data:`FIT_NAMES` with their standard errors, and ``fit_r2``.
    """
    # Still gratings have no temporal frequency; a single one is not read.
    temporal = temporal_frequency_hz if len(temporal_frequency_hz) > 1 else np.ones(1)
    peaks = frequency_peaks(surface, spatial_frequency_cpd, temporal, floor=gray)
    fit = fit_frequency_tuning(surface, spatial_frequency_cpd, temporal)
    is_poor = fit["status"].isin(["ok", "at_bound"]) & (fit["r2"] < minimum_fit_r2)
    columns = {
        f"{name}{end}": fit[f"{base}{end}"].to_numpy()
        for base, name in FIT_NAMES.items()
        for end in ("", "_se")
    }
    return {
        "status": _status(surface, peaks["is_at_end"].to_numpy()),
        **{name: peaks[name].to_numpy() for name in PEAK_COLUMNS},
        "fit_status": np.where(is_poor, "poor_fit", fit["status"]).astype(str),
        **columns,
        "fit_r2": fit["r2"].to_numpy(),
    }


def _measure(
    surfaces: xr.Dataset, gray: FloatArray, setting: Setting[FrequencyProtocol]
) -> dict[str, Any]:
    """Measure the surfaces; with trial noise, say how far it may have moved their peaks."""
    frequencies = [surfaces[axis].to_numpy() for axis in AXES]
    response = surfaces["response"].to_numpy()
    minimum = setting.protocol.minimum_fit_r2
    measured = measure_frequency_tuning(response, *frequencies, gray=gray, minimum_fit_r2=minimum)
    is_lost = ~np.isin(measured["status"], ["ok", "at_bound"])
    for name in PEAK_COLUMNS:
        measured[name] = np.where(is_lost, np.nan, measured[name])
    if setting.has_trial_noise:
        sem = surfaces["response_sem"].to_numpy()
        errors = peak_errors(response, sem, *frequencies, gray=gray, protocol=setting.protocol)
        for name, error in errors.items():
            measured[f"{name}_se"] = np.where(np.isnan(measured[name]), np.nan, error)
    return measured


def peak_errors(
    surface: FloatArray,
    sem: FloatArray,
    spatial_frequency_cpd: FloatArray,
    temporal_frequency_hz: FloatArray,
    *,
    gray: FloatArray,
    protocol: FrequencyProtocol,
) -> dict[str, FloatArray]:
    """Return standard errors of the peaks: mean responses are drawn again within their errors.

    Parameters
    ----------
    surface, sem : float array, shape (neuron, spatial, temporal)
        Mean responses, and their standard errors over trials.
    spatial_frequency_cpd, temporal_frequency_hz, gray
        As for :func:`measure_frequency_tuning`.
    protocol : FrequencyProtocol
        Number of draws and seed.

    Returns
    -------
    dict of float arrays, shape (neuron,)
        By the names of :data:`~insilico.statistics.frequency_peaks.PEAK_COLUMNS`: standard
        deviations over draws from normal distributions, NaN where an error is unknown or too few
        draws have the quantity.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 6.5 (parametric bootstrap).
    """
    rng = np.random.default_rng([protocol.seed, 19])
    temporal = temporal_frequency_hz if len(temporal_frequency_hz) > 1 else np.ones(1)
    drawn = np.stack(
        [
            frequency_peaks(
                # One draw of the whole grid serves all neurons: they do not depend on each other.
                surface + sem * rng.standard_normal(surface.shape[1:]),
                spatial_frequency_cpd,
                temporal,
                floor=gray,
            )[list(PEAK_COLUMNS)].to_numpy()
            for _ in range(protocol.bootstrap_count)
        ]
    )
    known = np.isfinite(drawn)
    usable = known.sum(axis=0) >= max(2, protocol.bootstrap_count // 2)
    mean = np.where(known, drawn, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    squares = np.where(known, (drawn - mean) ** 2, 0).sum(axis=0)
    error = np.sqrt(squares / np.maximum(known.sum(axis=0) - 1, 1))
    error = np.where(usable, error, np.nan)
    return dict(zip(PEAK_COLUMNS, error.T, strict=True))


def summarize_population(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Return medians of what neurons prefer, and how the two frequencies are related.

    Parameters
    ----------
    table : DataFrame, one row a neuron
        ``mouse``, ``status``, ``fit_status`` and the columns :data:`SUMMARIZED`.
    seed : int
        Of the bootstrap intervals.

    Returns
    -------
    DataFrame, one row a quantity
        Over neurons of status "ok": ``quantity``, ``neuron_count``, ``value`` with its bootstrap
        interval over neurons ``ci_low``, ``ci_high``, ``error_source``; ``test`` and ``p_value``
        where there is one: the speed exponent against 0 (signed rank; of these neurons, those whose
        ``fit_status`` is "ok" too), and the correlation of the logarithms of the preferred
        frequencies (Pearson).
    """
    counted = table[table["status"] == "ok"]
    mouse = counted["mouse"] if len(set(counted["mouse"])) > 1 else None
    source = "neurons" if mouse is None else "mice, then neurons"
    rows = []
    for number, name in enumerate(SUMMARIZED):
        values = counted[name]
        if name == "speed_exponent":
            values = values.where(counted["fit_status"] == "ok")
        interval = bootstrap_interval(values, mouse=mouse, seed=[seed, 16, number])
        rows.append(
            {
                "quantity": name,
                "neuron_count": interval.value_count,
                "value": interval.estimate,
                "ci_low": interval.ci_low,
                "ci_high": interval.ci_high,
                "error_source": source,
                "test": "",
                "p_value": np.nan,
            }
        )
        if name == "speed_exponent" and interval.value_count:
            test = compare_with_zero(values, mouse=mouse, seed=[seed, 17])
            rows[-1] |= {"test": test.test, "p_value": test.p_value}
    return pd.DataFrame([*rows, _correlation(counted, seed)])


def _correlation(counted: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Correlate the logarithms of the preferred frequencies over neurons."""
    spatial, temporal = (np.log2(counted[f"preferred_{axis}"].to_numpy(float)) for axis in AXES)
    known = np.isfinite(spatial) & np.isfinite(temporal)
    row: dict[str, Any] = {
        "quantity": "correlation of the preferred frequencies",
        "neuron_count": int(known.sum()),
        "value": np.nan,
        "ci_low": np.nan,
        "ci_high": np.nan,
        "error_source": "neurons",
        "test": "",
        "p_value": np.nan,
    }
    if known.sum() < MINIMUM_CORRELATED:
        return row
    test = stats.pearsonr(spatial[known], temporal[known])
    drawn = bootstrap_correlations(spatial[known], temporal[known], seed=[seed, 18])
    low, high = percentile_interval(drawn)
    found = {"value": float(test.statistic), "p_value": float(test.pvalue)}
    return row | found | {"ci_low": low, "ci_high": high, "test": "pearson"}


def _tidy(conditions: pd.DataFrame) -> pd.DataFrame:
    """Return conditions without what neurons differ in, and without missing phases."""
    for name in AXES:
        if name not in conditions:
            raise ShapeError(
                f"the conditions of the responses have no column {name!r}; give one row a "
                "presentation with its frequencies"
            )
    tidy = conditions.reset_index(drop=True)
    for name in ("direction_deg", "phase_deg"):
        tidy[name] = tidy[name].fillna(0.0) if name in tidy else 0.0
    if "contrast" not in tidy:
        tidy["contrast"] = 1.0
    return tidy.drop(columns=["surround_direction_deg", "surround_phase_deg"], errors="ignore")


def _surfaces(averages: Averages, setting: Setting[FrequencyProtocol]) -> xr.Dataset:
    """Return mean responses over both frequencies; a combination that was not shown is NaN."""
    levels = [np.unique(averages.levels[axis]) for axis in AXES]
    where = tuple(
        np.searchsorted(values, averages.levels[axis])
        for axis, values in zip(AXES, levels, strict=True)
    )
    error = "response_sem" if setting.has_trial_noise else "spread_over_phases"
    surfaces = {}
    for name, values in (("response", averages.mean), (error, averages.error)):
        filled = np.full((*map(len, levels), values.shape[1]), np.nan)
        filled[where] = values
        surfaces[name] = (("neuron", *AXES), np.moveaxis(filled, -1, 0))
    coords = dict(zip(AXES, levels, strict=True))
    return xr.Dataset(surfaces, coords={"neuron": setting.neurons["neuron"].to_numpy(), **coords})


def _status(
    surface: FloatArray, is_at_end: np.ndarray[Any, np.dtype[np.bool_]]
) -> np.ndarray[Any, Any]:
    flat = surface.reshape(len(surface), -1)
    with np.errstate(invalid="ignore"):
        is_flat = np.ptp(flat, axis=1) <= FLAT_SHARE * np.abs(flat).max(axis=1)
    is_lost = ~np.isfinite(flat).all(axis=1)
    return np.select([is_lost, is_flat, is_at_end], ["not_finite", "flat", "at_bound"], "ok")


def _tests(
    responses: FloatArray, before: FloatArray, protocol: FrequencyProtocol
) -> dict[str, FloatArray]:
    """Test over trials whether gratings are answered at all: more than the gray before them."""
    p_value = condition_difference_test(
        responses,
        before,
        is_paired=True,
        alternative="greater",
        shuffle_count=protocol.shuffle_count,
        seed=protocol.seed,
    ).p_value
    return {"response_p": p_value, "response_q": false_discovery_q_values(p_value)}


def _long(
    surfaces: xr.Dataset, averages: Averages, setting: Setting[FrequencyProtocol]
) -> pd.DataFrame:
    """Return mean responses, one row a neuron and combination that was shown."""
    count, neurons = averages.mean.shape
    keys = setting.neurons[["mouse", "neuron"]]
    error = next(name for name in surfaces.data_vars if name != "response")
    return (
        keys.loc[keys.index.repeat(count)]
        .reset_index(drop=True)
        .assign(
            **{axis: np.tile(averages.levels[axis], neurons) for axis in AXES},
            response=averages.mean.T.reshape(-1),
            **{str(error): averages.error.T.reshape(-1)},
            presentation_count=np.tile(averages.levels["count"], neurons),
        )
    )
