"""Direction and orientation tuning: what does a neuron prefer, and how sharply.

Movie models see drifting gratings; the response is the mean over a window. Image
models see still gratings at several phases; the response is the mean over phases, so there is an
orientation but no direction, and the direction selectivity index is missing, not zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import xarray as xr

from insilico.experiments.condition_means import condition_means
from insilico.experiments.experiment import Accumulator, Experiment, Setting
from insilico.experiments.presentations import (
    Measure,
    Presentations,
    mean_over_frames,
    mean_over_recorded_frames,
    own,
)
from insilico.experiments.protocols import Protocol, require
from insilico.experiments.sites import Site
from insilico.fits.von_mises import fit_von_mises
from insilico.screen import Screen
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.statistics.permutation import selectivity_permutation_test
from insilico.statistics.selectivity import (
    direction_selectivity_index,
    orientation_selectivity_index,
    preferred_direction_deg,
    preferred_orientation_deg,
)
from insilico.stimuli.gratings import drifting_grating, static_grating
from insilico.stimuli.stimuli import Kind, Stimuli

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: A curve that varies by less than this share of its mean has no preference worth a name (ours).
FLAT_SHARE = 0.01
#: What each value of ``status`` means.
STATUS = {
    "ok": "indices defined and the tuning curve fitted",
    "silent": "the summed response is not positive, or a response is negative: no index is defined",
    "flat": "the tuning curve varies by less than 1 % of its mean, or not at all",
    "not_finite": "a response is NaN or infinite",
    "no_convergence": "the fit did not converge; the indices stand",
    "at_bound": "the peak is narrower than the angles can resolve; the indices stand",
    "poor_fit": "the curve has another shape, such as two unequal peaks; the indices stand",
}


#: Columns that still images leave missing.
ABOUT_DIRECTION = (
    "dsi",
    "preferred_direction_deg",
    "fitted_direction_deg",
    "fitted_direction_deg_se",
)
#: Columns of the von Mises fit that are kept, with ``fit_`` in front.
FIT_PARAMETERS = ("concentration", "amplitude", "amplitude_opposite", "baseline", "r2")


@dataclasses.dataclass(frozen=True)
class DirectionProtocol(Protocol):
    """Values of ``experiments/direction.toml``; the file explains each.

    Parameters
    ----------
    direction_count : int
        Directions of motion over 360 degrees, for movie models.
    orientation_count : int
        Orientations over 180 degrees, for image models.
    spatial_frequency_cpd, temporal_frequency_hz : tuple of float
        Every combination is shown; tuning curves average over them.
    contrast : float
        0 to 1.
    movie_phase_count, image_phase_count : int
        Starting phases, evenly spaced.
    lead_s, stimulus_s : float
        Gray before each grating, and how long it drifts.
    window_start_s, window_end_s : float
        Part of the drift that is averaged, from its onset; the end is exclusive.
    minimum_fit_r2 : float
        Share of a tuning curve's variance that the fit must explain to be called one.
    shuffle_count : int
        Shuffles of the permutation tests, where trials repeat.
    latency_s : float
        How much later than the drift the responses are looked at; 0 as published.
    """

    direction_count: int
    orientation_count: int
    spatial_frequency_cpd: tuple[float, ...]
    temporal_frequency_hz: tuple[float, ...]
    contrast: float
    movie_phase_count: int
    image_phase_count: int
    lead_s: float
    stimulus_s: float
    window_start_s: float
    window_end_s: float
    minimum_fit_r2: float
    shuffle_count: int
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        # A direction curve has five parameters, an orientation curve four.
        require(self.direction_count >= 5, "direction_count must be 5 or more")
        require(self.orientation_count >= 4, "orientation_count must be 4 or more")
        require(0 <= self.contrast <= 1, "contrast lies in [0, 1]")
        require(self.lead_s >= 0, "lead_s must be 0 or more")
        require(len(self.spatial_frequency_cpd) > 0, "name at least one spatial_frequency_cpd")
        require(len(self.temporal_frequency_hz) > 0, "name at least one temporal_frequency_hz")
        require(self.movie_phase_count >= 1, "movie_phase_count must be 1 or more")
        require(self.image_phase_count >= 3, "image_phase_count must be 3 or more")
        require(
            0 <= self.window_start_s < self.window_end_s <= self.stimulus_s,
            "the window must lie within stimulus_s",
        )
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")
        require(self.latency_s >= 0, "latency_s must be 0 or more")

    def window(self, screen: Screen) -> tuple[int, int]:
        """Return the frames after a grating's onset that are averaged, the end exclusive."""
        late = screen.frames(self.latency_s)
        return (
            late + screen.frames(self.window_start_s),
            late + screen.frames(self.window_end_s),
        )


class Direction(Experiment[DirectionProtocol]):
    """Direction and orientation tuning.

    References
    ----------
    Indices: ViV1T-closed-loop, tuning_direction/estimate_selectivity_indexes.py. The fit, its half
    width, F1/F0 and the +1 of the permutation tests are not from there.
    """

    name = "direction"
    protocol_type = DirectionProtocol
    summary_columns = ("osi", "dsi", "half_width_deg", "f1_f0")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {
        "direction_count": 8,
        "orientation_count": 8,
        "movie_phase_count": 1,
    }

    def stimuli(
        self, protocol: DirectionProtocol, screen: Screen, kind: Kind, site: Site | None = None
    ) -> Stimuli:
        """Return one grating a trial: drifting after gray for movies, still for images."""
        conditions = grating_conditions(protocol, kind)
        if kind == "image":
            return Stimuli(kind, screen, conditions, _draw_still(screen))
        lead, frames = screen.frames(protocol.lead_s), screen.frames(protocol.stimulus_s)
        return Stimuli(
            kind,
            screen,
            conditions.assign(onset_frame=lead),
            _draw_drifting(screen, frames),
            pattern_frames=frames,
            trial_frames=lead + max(frames, protocol.window(screen)[1]),
        )

    def window(
        self, protocol: DirectionProtocol, screen: Screen, kind: Kind
    ) -> tuple[int, int] | None:
        """Return the frames that are averaged."""
        if kind == "image":
            return None
        lead = screen.frames(protocol.lead_s)
        first, stop = protocol.window(screen)
        return lead + first, lead + stop

    def accumulator(self, setting: Setting[DirectionProtocol]) -> Presentations:
        """Return an empty list of presentations."""
        protocol, screen = setting.protocol, setting.screen
        window = protocol.window(screen)

        def modulation(responses: FloatArray, conditions: pd.DataFrame) -> FloatArray:
            # Of recorded Gabors only the order of the frequencies is known.
            if setting.kind == "image" or "temporal_frequency_hz" not in conditions:
                return np.full(responses.shape[:2], np.nan)
            turns = conditions["temporal_frequency_hz"].to_numpy() / screen.frame_rate_hz
            return np.stack(
                [_modulation(shown, turn) for shown, turn in zip(responses, turns, strict=True)]
            )

        # Only a recorded trial can end before the window does.
        mean = mean_over_recorded_frames if setting.has_trial_noise else mean_over_frames
        return Presentations(
            setting,
            {
                "mean": Measure(*window, reduce=mean),
                "first_harmonic": Measure(*window, reduce=modulation),
            },
        )

    def conclude(
        self, accumulator: Accumulator, setting: Setting[DirectionProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Average presentations into tuning curves, and measure and fit these."""
        presentations = own(accumulator, self.name)
        conditions = presentations.conditions()
        responses = presentations.collected("mean")
        harmonics = presentations.collected("first_harmonic")
        is_image = setting.kind == "image"
        axis = "orientation_deg" if is_image else "direction_deg"
        angle_deg = np.unique(conditions[axis])
        curve = _average(responses, conditions, axis, angle_deg)
        measured = (
            measure_orientation_tuning(curve, angle_deg)
            if is_image
            else measure_direction_tuning(curve, angle_deg)
        )
        if is_image:
            measured["f1_f0"] = _phase_modulation(responses, conditions, curve, angle_deg)
        else:
            modulation = _average(harmonics, conditions, axis, angle_deg)
            measured["f1_f0"] = _at_peak(modulation, curve)
        is_poor = measured["fit_r2"] < setting.protocol.minimum_fit_r2
        measured["status"] = np.where(
            (measured["status"] == "ok") & is_poor, "poor_fit", measured["status"]
        )
        is_flat = np.ptp(curve, axis=1) < FLAT_SHARE * np.abs(curve.mean(axis=1))
        measured["status"] = np.where(
            np.isin(measured["status"], ["ok", "poor_fit"]) & is_flat, "flat", measured["status"]
        )
        if setting.has_trial_noise:
            measured |= _permutation_tests(responses, conditions, axis, setting.protocol)
        table = pd.concat(
            [
                setting.neurons.reset_index(drop=True),
                pd.DataFrame(measured).assign(error_source="fit"),
            ],
            axis=1,
        )
        setting.on_done(len(table))
        return {"neurons": table}, _arrays(curve, responses, conditions, axis, setting)


def grating_conditions(protocol: DirectionProtocol, kind: Kind) -> pd.DataFrame:
    """Return every combination of angle, frequencies and phase, one row a trial."""
    if kind == "image":
        axis, count, period_deg = "orientation_deg", protocol.orientation_count, 180
        temporal_hz, phases = [0.0], protocol.image_phase_count
    else:
        axis, count, period_deg = "direction_deg", protocol.direction_count, 360
        temporal_hz, phases = list(protocol.temporal_frequency_hz), protocol.movie_phase_count
    levels = [
        np.arange(count) * period_deg / count,
        np.array(protocol.spatial_frequency_cpd),
        np.array(temporal_hz),
        np.arange(phases) * 360 / phases,
    ]
    values = [grid.reshape(-1) for grid in np.meshgrid(*levels, indexing="ij")]
    names = [axis, "spatial_frequency_cpd", "temporal_frequency_hz", "phase_deg"]
    return pd.DataFrame(
        {
            "trial": np.arange(len(values[0])),
            "onset_frame": 0,
            **dict(zip(names, values, strict=True)),
            "contrast": protocol.contrast,
        }
    )


def measure_direction_tuning(curve: FloatArray, direction_deg: FloatArray) -> dict[str, Any]:
    """Measure tuning to the direction of motion.

    Parameters
    ----------
    curve : float array, shape (neuron, direction)
        Mean responses.
    direction_deg : float array, shape (direction,)
        Evenly spaced over 360 degrees.

    Returns
    -------
    dict of arrays, shape (neuron,)
        ``status``; ``osi``, ``dsi``; preferred direction and orientation by the vector sum and by
        the fit of two von Mises peaks of one width, 180 degrees apart, with its standard error;
        ``half_width_deg`` at half height, with its standard error, missing where the fit never
        falls to half; ``fit_r2``.
    """
    fit = fit_von_mises(curve, direction_deg, period_deg=360.0, peak_count=2)
    return {
        **_orientation_columns(curve, direction_deg, fit),
        "dsi": direction_selectivity_index(curve, direction_deg),
        "preferred_direction_deg": preferred_direction_deg(curve, direction_deg),
        "fitted_direction_deg": fit["preferred_deg"].to_numpy(),
        "fitted_direction_deg_se": fit["preferred_deg_se"].to_numpy(),
    }


def measure_orientation_tuning(curve: FloatArray, orientation_deg: FloatArray) -> dict[str, Any]:
    """Measure tuning to orientation alone.

    Parameters
    ----------
    curve : float array, shape (neuron, orientation)
        Mean responses.
    orientation_deg : float array, shape (orientation,)
        Evenly spaced over 180 degrees.

    Returns
    -------
    dict of arrays, shape (neuron,)
        As :func:`measure_direction_tuning`, with one von Mises peak and with everything that
        concerns direction missing.
    """
    fit = fit_von_mises(curve, orientation_deg, period_deg=180.0, peak_count=1)
    return _orientation_columns(curve, orientation_deg, fit)


def _orientation_columns(
    curve: FloatArray, angle_deg: FloatArray, fit: pd.DataFrame
) -> dict[str, Any]:
    """Return what both kinds of tuning have; a direction's orientation is its axis of motion."""
    osi = orientation_selectivity_index(curve, angle_deg)
    missing = np.full(len(curve), np.nan)
    return {
        "status": _status(osi, fit),
        "osi": osi,
        # Directions take these places; they keep the columns of both tables in one order.
        **dict.fromkeys(ABOUT_DIRECTION[:2], missing),
        "preferred_orientation_deg": preferred_orientation_deg(curve, angle_deg),
        **dict.fromkeys(ABOUT_DIRECTION[2:], missing),
        "fitted_orientation_deg": fit["preferred_deg"].to_numpy() % 180,
        "fitted_orientation_deg_se": fit["preferred_deg_se"].to_numpy(),
        **{f"fit_{name}": fit[name].to_numpy() for name in FIT_PARAMETERS},
        "half_width_deg": fit["half_width_deg"].to_numpy(),
        "half_width_deg_se": fit["half_width_deg_se"].to_numpy(),
    }


def _status(osi: FloatArray, fit: pd.DataFrame) -> np.ndarray[Any, Any]:
    status = fit["status"].to_numpy(dtype=object)
    status[(status == "ok") & np.isnan(osi)] = "silent"
    return status.astype(str)


def _modulation(window: FloatArray, cycles_per_frame: float) -> FloatArray:
    """Return the amplitude of a sinusoid fitted together with the mean, for each neuron.

    Fitting both keeps the mean out of the amplitude where the window is not whole cycles; a window
    of less than one cycle cannot tell them apart.
    """
    frames = window.shape[1]
    if cycles_per_frame * frames < 1 - 1e-9:
        return np.full(len(window), np.nan)
    angle = 2 * np.pi * cycles_per_frame * np.arange(frames)
    design = np.stack([np.ones(frames), np.cos(angle), np.sin(angle)], axis=1)
    mean_cosine_sine = window @ np.linalg.pinv(design).T
    return np.hypot(mean_cosine_sine[:, 1], mean_cosine_sine[:, 2])


def _average(
    values: FloatArray, conditions: pd.DataFrame, axis: str, angle_deg: FloatArray
) -> FloatArray:
    """Return the mean over presentations at each angle, first within equal conditions.

    Averaging within conditions first keeps an unbalanced design from confounding angle with
    frequency (a quirk of the published analysis of recorded gratings).

    Returns
    -------
    float array, shape (neuron, angle)
    """
    keys = [axis, *_other_parameters(conditions, axis)]
    cells = pd.DataFrame(values).groupby([conditions[key].to_numpy() for key in keys]).mean()
    return cells.groupby(level=0).mean().reindex(angle_deg).to_numpy().T


def _other_parameters(conditions: pd.DataFrame, axis: str) -> list[str]:
    names = ("spatial_frequency_cpd", "temporal_frequency_hz", "frequency_level", "contrast")
    return [name for name in names if name in conditions and name != axis]


def _at_peak(modulation: FloatArray, curve: FloatArray) -> FloatArray:
    """Return modulation over mean at each neuron's best angle."""
    best = np.argmax(np.nan_to_num(curve, nan=-np.inf), axis=1)
    rows = np.arange(len(curve))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = modulation[rows, best] / curve[rows, best]
    return np.where(curve[rows, best] > 0, ratio, np.nan)


def _phase_modulation(
    responses: FloatArray, conditions: pd.DataFrame, curve: FloatArray, angle_deg: FloatArray
) -> FloatArray:
    """Return F1/F0 over the phases of still gratings, averaged over spatial frequencies."""
    phase = np.radians(conditions["phase_deg"].to_numpy())[:, None]
    keys = ["orientation_deg", "spatial_frequency_cpd"]
    cells = [conditions[key].to_numpy() for key in keys]
    real, imaginary = (
        pd.DataFrame(responses * wave(phase)).groupby(cells).mean() for wave in (np.cos, np.sin)
    )
    harmonic = 2 * (real**2 + imaginary**2) ** 0.5
    return _at_peak(harmonic.groupby(level=0).mean().reindex(angle_deg).to_numpy().T, curve)


def _permutation_tests(
    responses: FloatArray, conditions: pd.DataFrame, axis: str, protocol: DirectionProtocol
) -> dict[str, FloatArray]:
    """Return p- and q-values of both indices over repeated trials."""
    angle_deg = conditions[axis].to_numpy()
    if np.unique(angle_deg, return_counts=True)[1].min() < 2:
        return {}  # Nothing repeats: there is no noise to test against.
    indices: list[Literal["orientation", "direction"]] = ["orientation"]
    if axis == "direction_deg":
        indices.append("direction")
    parameters = _other_parameters(conditions, axis)
    condition = conditions.groupby(parameters).ngroup().to_numpy() if parameters else None
    columns = {}
    for index in indices:
        test = selectivity_permutation_test(
            responses,
            angle_deg,
            index=index,
            shuffle_count=protocol.shuffle_count,
            seed=protocol.seed,
            condition=condition,
        )
        columns[f"{index[0]}si_p"] = test.p_value
        columns[f"{index[0]}si_q"] = false_discovery_q_values(test.p_value)
    return columns


def _arrays(
    curve: FloatArray,
    responses: FloatArray,
    conditions: pd.DataFrame,
    axis: str,
    setting: Setting[DirectionProtocol],
) -> xr.Dataset:
    """Return the tuning curves, the spread over presentations with its honest name, and means.

    The means over every condition, phases apart, are what signal correlations rest on.
    """
    angle_deg = np.unique(conditions[axis])
    keys = [axis, *_other_parameters(conditions, axis)]
    cells = pd.DataFrame(responses).groupby([conditions[key].to_numpy() for key in keys])
    by_angle = cells.var().groupby(level=0)
    if setting.has_trial_noise:
        # The curve is a mean of cell means, so its variance is that of a mean of means.
        variance = cells.var().div(cells.size(), axis=0)
        error = variance.groupby(level=0).sum(min_count=1).pow(0.5)
        name, values = "tuning_curve_sem", error.div(by_angle.size(), axis=0)
    else:
        name, values = "spread_over_phases", by_angle.mean().pow(0.5)
    phase = [name for name in ("phase_deg",) if name in conditions]
    means = condition_means(
        responses, conditions, [*keys, *phase], has_trial_noise=setting.has_trial_noise
    )
    return means.assign(
        {
            "tuning_curve": (("neuron", axis), curve),
            name: (("neuron", axis), values.reindex(angle_deg).to_numpy().T),
        }
    ).assign_coords({"neuron": setting.neurons["neuron"].to_numpy(), axis: angle_deg})


def _draw_still(screen: Screen) -> Any:
    def draw(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        return static_grating(
            screen,
            orientation_deg=rows["orientation_deg"],
            spatial_frequency_cpd=rows["spatial_frequency_cpd"],
            phase_deg=rows["phase_deg"],
            contrast=rows["contrast"],
        )

    return draw


def _draw_drifting(screen: Screen, frames: int) -> Any:
    def draw(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        return drifting_grating(
            screen,
            direction_deg=rows["direction_deg"],
            spatial_frequency_cpd=rows["spatial_frequency_cpd"],
            temporal_frequency_hz=rows["temporal_frequency_hz"],
            phase_deg=rows["phase_deg"],
            contrast=rows["contrast"],
            frame_count=frames,
        )

    return draw
