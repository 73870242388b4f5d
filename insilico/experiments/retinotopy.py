"""Where a neuron looks: receptive fields by white-noise reverse correlation.

Noise fills the screen, a new pattern every image or every frame. Each neuron gets two maps (see
:mod:`insilico.experiments.reverse_correlation`): the linear map and the energy map. The one that
comes back in both halves of the trials is fitted with a rotated two-dimensional Gaussian.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import xarray as xr

from insilico.errors import ShapeError
from insilico.experiments.experiment import Accumulator, Block, Experiment, Setting
from insilico.experiments.protocols import Protocol, require
from insilico.experiments.reverse_correlation import (
    EnergyFeatures,
    GaborBank,
    LaggedCovariance,
    Maps,
    combine_components,
)
from insilico.experiments.sites import Site
from insilico.fits.errors import errors_from_halves
from insilico.fits.gaussian import fit_gaussians
from insilico.screen import Screen
from insilico.stimuli.noise import Levels, white_noise
from insilico.stimuli.stimuli import Kind, Stimuli

#: Tells the noise of this experiment from other noise of the same seed.
NOISE_STREAM = 7

#: Neurons per part of the analysis: an interrupted run repeats at most one part, and the working
#: memory beyond the sums stays small.
CHUNK_NEURONS = 500

#: What each value of ``status`` means.
STATUS = {
    "ok": "fitted, on the screen, with standard errors",
    "silent": "the response never varied",
    "not_finite": "a response is NaN or infinite",
    "unreliable": "neither map comes back in the other half of the trials",
    "no_convergence": "the fit did not converge",
    "no_errors": "the fit gave no standard errors",
    "at_bound": "the fit ran into a bound of a width or of the center",
    "off_screen": "the fitted center lies off the screen",
}


@dataclasses.dataclass(frozen=True)
class RetinotopyProtocol(Protocol):
    """Values of ``experiments/retinotopy.toml``; the file explains each.

    Parameters
    ----------
    noise_levels : {"uniform", "binary"}
        Distribution of the gray levels.
    image_count : int
        Noise images shown to an image model.
    frame_count : int
        Noise frames with a full history, shown to a movie model.
    lead_s, noise_s : float
        Gray before the noise of each movie trial, and noise per trial.
    lag_s : float
        History that is correlated with a response.
    bank_frequency_cpd : tuple of float
        Spatial frequencies of the Gabor bank.
    bank_orientation_count, bank_sigma_cycles, bank_stride_px
        See :class:`insilico.experiments.reverse_correlation.GaborBank`.
    smoothing_px : float
        Blur with which halves are compared.
    minimum_linear_reliability, minimum_energy_reliability : float
        Split-half correlation that each map must reach to be fitted.
    energy_preference : float
        Where both maps are reliable, the energy map is fitted if it explains more than this share
        of what the linear map explains.
    reliability_goal : float, optional
        Stop when the median neuron's better map reaches it.
    """

    noise_levels: Levels
    image_count: int
    frame_count: int
    lead_s: float
    noise_s: float
    lag_s: float
    bank_frequency_cpd: tuple[float, ...]
    bank_orientation_count: int
    bank_sigma_cycles: float
    bank_stride_px: int
    smoothing_px: float
    minimum_linear_reliability: float
    minimum_energy_reliability: float
    energy_preference: float
    reliability_goal: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.image_count >= 4 and self.frame_count >= 4, "show at least 4 images or frames")
        require(self.lag_s > 0, "lag_s must be above 0")
        require(self.noise_s > 2 * self.lag_s, "noise_s must be more than twice lag_s")
        require(self.lead_s >= 0, "lead_s must be 0 or more")
        require(len(self.bank_frequency_cpd) > 0, "name at least one bank_frequency_cpd")
        require(min(self.bank_frequency_cpd) > 0, "bank_frequency_cpd must be above 0")
        require(self.bank_orientation_count >= 2, "bank_orientation_count must be 2 or more")
        require(1 <= self.bank_stride_px <= 8, "bank_stride_px lies in [1, 8]")
        require(self.bank_sigma_cycles > 0, "bank_sigma_cycles must be above 0")
        require(self.smoothing_px >= 0, "smoothing_px must be 0 or more")
        if self.reliability_goal is not None:
            require(0 < self.reliability_goal < 1, "reliability_goal lies in (0, 1)")
        for minimum in (self.minimum_linear_reliability, self.minimum_energy_reliability):
            require(0 <= minimum < 1, "a minimum reliability lies in [0, 1)")
        require(self.energy_preference >= 0, "energy_preference must be 0 or more")

    def lag_count(self, screen: Screen, kind: Kind) -> int:
        """Return the number of lags, the present frame included; 1 for images."""
        return 1 if kind == "image" else max(1, screen.frames(self.lag_s))

    def bank(self, screen: Screen) -> GaborBank:
        """Return the Gabor bank on a screen."""
        return GaborBank(
            screen,
            self.bank_frequency_cpd,
            orientation_count=self.bank_orientation_count,
            sigma_cycles=self.bank_sigma_cycles,
            stride_px=self.bank_stride_px,
        )


class NoiseSums(Accumulator):
    """Covariances of the responses with the noise and with its energy."""

    #: Trials between two looks at whether the maps are reliable enough, and neurons looked at.
    CHECK_SAMPLES = 2000
    CHECK_NEURONS = 200

    def __init__(self, setting: Setting[RetinotopyProtocol]) -> None:
        protocol, screen = setting.protocol, setting.screen
        self._setting = setting
        self._lead = 0 if setting.kind == "image" else screen.frames(protocol.lead_s)
        lags = protocol.lag_count(screen, setting.kind)
        self._window = self._lead + lags - 1, self._lead + screen.frames(protocol.noise_s)
        bank = protocol.bank(screen)
        pixels = screen.width_px * screen.height_px
        energies = bank.filter_count * bank.grid_shape[0] * bank.grid_shape[1]
        neurons = len(setting.neurons)
        self.energy_of = EnergyFeatures(bank)
        self.linear = LaggedCovariance(pixels, neurons, lags)
        self.energy = LaggedCovariance(energies, neurons, lags)
        self._offset: np.ndarray[Any, Any] | None = None
        self._checked = 0

    def add(self, block: Block) -> None:
        """Add trials; even and odd ones are the two halves."""
        noise = block.frames()
        if self._setting.kind == "image":
            noise, responses = noise[:, None], block.responses[:, :, None]
        else:
            responses = self._with_whole_history(block)
        mean, spread = noise_moments(self._setting.protocol.noise_levels)
        pixels = (
            noise[:, self._lead :].reshape(*noise.shape[:1], -1, self._pixels) - mean
        ) / spread
        pixels = pixels.astype(np.float32)
        if self._offset is None:
            # Any constant near the mean keeps float32 sums of products from cancelling.
            self._offset = responses.mean((0, 2), keepdims=True)
        responses = responses - self._offset
        # Unit-norm filters on noise of unit variance answer with a mean energy of 1.
        energy = self.energy_of(pixels.reshape(-1, self._pixels)) - 1
        energy = energy.reshape(*pixels.shape[:2], -1)
        for half in (0, 1):
            rows = slice((half - block.trials.start) % 2, None, 2)
            if len(pixels[rows]):
                self.linear.add(half, pixels[rows], responses[rows])
                self.energy.add(half, energy[rows], responses[rows])

    def _with_whole_history(self, block: Block) -> np.ndarray[Any, Any]:
        """Return the responses to the frames that have noise at every lag."""
        start, stop = self._window
        first, count = block.first_frame, block.responses.shape[2]
        if first > start or first + count < stop:
            raise ShapeError(
                f"responses to frames {first} to {first + count} were given; retinotopy needs "
                f"frames {start} to {stop} of each trial, the end exclusive"
            )
        return block.responses[:, :, start - first : stop - first]

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return both sums, and the constant that was taken off the responses."""
        offset = np.zeros(0) if self._offset is None else self._offset
        linear = {f"linear_{name}": values for name, values in self.linear.state().items()}
        energy = {f"energy_{name}": values for name, values in self.energy.state().items()}
        return {"offset": offset, "checked": np.array(self._checked), **linear, **energy}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up from what :meth:`state` returned."""
        self._offset = state["offset"] if state["offset"].size else None
        # Looking at other trials than an uninterrupted measurement could stop it elsewhere.
        self._checked = int(state["checked"])
        for name, sums in (("linear", self.linear), ("energy", self.energy)):
            prefix = f"{name}_"
            sums.restore(
                {
                    key[len(prefix) :]: value
                    for key, value in state.items()
                    if key.startswith(prefix)
                }
            )

    def is_enough(self) -> bool:
        """Whether the median neuron's better map is as reliable as the protocol asks."""
        goal = self._setting.protocol.reliability_goal
        if goal is None or self.linear.sample_count < self._checked + self.CHECK_SAMPLES:
            return False
        self._checked = self.linear.sample_count
        count = len(self._setting.neurons)
        some = np.unique(np.linspace(0, count - 1, self.CHECK_NEURONS).astype(int))
        linear, energy = self.maps(some)
        better = np.fmax(linear.reliability, energy.reliability)
        return bool(np.nanmedian(better) >= goal)

    def maps(self, neurons: np.ndarray[Any, Any]) -> tuple[Maps, Maps]:
        """Return the linear and the energy maps of some neurons, by their position."""
        protocol, screen = self._setting.protocol, self._setting.screen
        bank = protocol.bank(screen)
        linear = _combined(self.linear, neurons, screen.shape, protocol.smoothing_px, signed=True)
        energy = _combined(
            self.energy,
            neurons,
            bank.grid_shape,
            protocol.smoothing_px / protocol.bank_stride_px,
            signed=False,
        )
        return linear, energy

    @property
    def _pixels(self) -> int:
        return self._setting.screen.width_px * self._setting.screen.height_px


class Retinotopy(Experiment[RetinotopyProtocol]):
    """Receptive fields by white-noise reverse correlation.

    References ---------- The question and the noise follow ViV1T-closed-loop,
    tuning_retinotopy/predict_noise.py and fit_aRFs.py. Unlike there, noise and responses are
    centered, halves are compared, cells without a linear map get an energy map, the clean signed
    map is fitted within bounds from a start taken from the data, and nobody is dropped: every
    neuron has a row and a status.
    """

    name = "retinotopy"
    protocol_type = RetinotopyProtocol
    summary_columns = ("x_deg", "y_deg", "sigma_major_deg", "sigma_minor_deg")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {"image_count": 1000, "frame_count": 1000}

    def stimuli(
        self, protocol: RetinotopyProtocol, screen: Screen, kind: Kind, site: Site | None = None
    ) -> Stimuli:
        """Return the noise: one image a trial, or movies of fresh frames after gray."""

        def draw(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
            return white_noise(
                screen,
                seed=(protocol.seed, NOISE_STREAM),
                trials=rows["trial"],
                frame_count=None if kind == "image" else screen.frames(protocol.noise_s),
                levels=protocol.noise_levels,
            )

        if kind == "image":
            trials = np.arange(protocol.image_count)
            return Stimuli(kind, screen, pd.DataFrame({"trial": trials, "onset_frame": 0}), draw)
        noise, lead = screen.frames(protocol.noise_s), screen.frames(protocol.lead_s)
        usable = noise - protocol.lag_count(screen, kind) + 1
        # Half of the trials are compared with the other half: an even number, at least two.
        trials = np.arange(2 * -(-protocol.frame_count // (2 * usable)))
        conditions = pd.DataFrame({"trial": trials, "onset_frame": lead})
        return Stimuli(
            kind, screen, conditions, draw, pattern_frames=noise, trial_frames=lead + noise
        )

    def window(
        self, protocol: RetinotopyProtocol, screen: Screen, kind: Kind
    ) -> tuple[int, int] | None:
        """Return the frames whose whole history is noise."""
        if kind == "image":
            return None
        lead = screen.frames(protocol.lead_s)
        first = lead + protocol.lag_count(screen, kind) - 1
        return first, lead + screen.frames(protocol.noise_s)

    def accumulator(self, setting: Setting[RetinotopyProtocol]) -> NoiseSums:
        """Return empty sums."""
        return NoiseSums(setting)

    def conclude(
        self, accumulator: Accumulator, setting: Setting[RetinotopyProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Fit every neuron's map; chunks of neurons bound the memory."""
        if not isinstance(accumulator, NoiseSums):
            raise TypeError("retinotopy concludes from the sums it accumulated itself")
        count = len(setting.neurons)
        tables, maps = [], []
        for start in range(0, count, CHUNK_NEURONS):
            rows = np.arange(start, min(start + CHUNK_NEURONS, count))
            linear, energy = accumulator.maps(rows)
            maps.append((linear, energy))
            spread = accumulator.linear.response_spread()[rows]
            tables.append(
                setting.keep(
                    f"fits-{start:06d}",
                    lambda linear=linear, energy=energy, spread=spread: fit_maps(  # type: ignore[misc]
                        linear, energy, spread, setting
                    ),
                )
            )
            setting.on_done(len(rows))
        fits = pd.concat(tables, ignore_index=True)
        table = pd.concat([setting.neurons.reset_index(drop=True), fits], axis=1)
        return {"neurons": table}, _arrays(maps, setting)


def fit_maps(
    linear: Maps, energy: Maps, spread: np.ndarray[Any, Any], setting: Setting[RetinotopyProtocol]
) -> pd.DataFrame:
    """Choose each neuron's map, fit it and say how that went.

    Parameters
    ----------
    linear, energy : Maps
        Of the same neurons.
    spread : float array, shape (neuron,)
        Standard deviation of the neuron's response; 0 if it never varied.
    setting : Setting
        Protocol, screen and number of processes.

    Returns
    -------
    DataFrame, one row a neuron
        ``status``, ``map_used`` and ``map_reason``, the reliabilities, center and widths in pixels
        and degrees with standard errors, ``angle_deg`` of the longer axis, ``amplitude``,
        ``offset``, ``r2``, ``error_source``.
    """
    protocol, screen = setting.protocol, setting.screen
    varied, finite = spread > 0, np.isfinite(spread)
    used = choose_map(linear, energy, protocol)
    fits = {
        "linear": _fit(linear, used == "linear", setting.jobs),
        "energy": grid_fit_in_px(
            _fit(energy, used == "energy", setting.jobs), protocol.bank(screen)
        ),
    }
    columns = fits["linear"].columns
    fit = pd.DataFrame(index=range(len(used)), columns=columns).astype(fits["linear"].dtypes)
    for name, rows in fits.items():
        if len(rows):
            fit.loc[used == name, columns] = rows.set_index(np.flatnonzero(used == name))
    status = fit.pop("status").astype(object)
    on_screen = screen.contains(fit["x_px"], fit["y_px"])
    status[(status == "ok") & ~on_screen] = "off_screen"
    status[used == "none"] = "unreliable"
    status[~varied] = "silent"
    status[~finite] = "not_finite"
    return pd.DataFrame(
        {
            "status": status.astype(str),
            "map_used": used.astype(str),
            "map_reason": _reasons(used, linear, protocol),
            "linear_reliability": linear.reliability,
            "energy_reliability": energy.reliability,
            "linear_explained": linear.explained,
            "energy_explained": energy.explained,
            **fit_in_degrees(fit, screen),
            **fit,
            "error_source": "halves",
        }
    )


#: Why a map was used.
MAP_REASON = {
    "linear": "the linear map is reliable",
    "energy": "the linear map is not reliable, the energy map is",
    "stronger": "both maps are reliable, and the linear one explains little beside the energy",
    "none": "neither map is reliable",
}


def choose_map(
    linear: Maps, energy: Maps, protocol: RetinotopyProtocol
) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Name the map that each neuron's fit uses.

    Returns
    -------
    array of str, shape (neuron,)
        "linear" where that map is reliable, else "energy" where that one is, else "none". Where
        both are reliable, "energy" if it explains more than ``energy_preference`` times what the
        linear map does: a trained network leaves a trace of a linear map in its energy cells, and
        without noise even a trace is reliable.
    """
    # A missing reliability compares as False.
    has_linear = linear.reliability >= protocol.minimum_linear_reliability
    has_energy = energy.reliability >= protocol.minimum_energy_reliability
    is_trace = has_energy & (energy.explained > protocol.energy_preference * linear.explained)
    return np.where(has_linear & ~is_trace, "linear", np.where(has_energy, "energy", "none"))


def _reasons(
    used: np.ndarray[Any, np.dtype[np.str_]], linear: Maps, protocol: RetinotopyProtocol
) -> list[str]:
    is_trace = (used == "energy") & (linear.reliability >= protocol.minimum_linear_reliability)
    return [MAP_REASON[name] for name in np.where(is_trace, "stronger", used)]


def noise_moments(levels: Literal["uniform", "binary"]) -> tuple[float, float]:
    """Return mean and standard deviation of the noise, gray levels."""
    if levels == "binary":
        return 127.5, 127.5
    return 127.5, float(np.sqrt((256**2 - 1) / 12))


def _combined(
    sums: LaggedCovariance,
    neurons: np.ndarray[Any, Any],
    shape: tuple[int, int],
    smoothing_px: float,
    *,
    signed: bool,
) -> Maps:
    pixels = shape[0] * shape[1]

    def components(*halves: int) -> np.ndarray[Any, Any]:
        # Lags and filters become one component axis in front of the pixels of the map.
        return sums.correlations(halves, neurons).reshape(len(neurons), -1, pixels)

    return combine_components(
        components(0, 1),
        (components(0), components(1)),
        shape=shape,
        smoothing_px=smoothing_px,
        is_signed=signed,
        lag_count=sums.lag_count,
    )


def _fit(maps: Maps, chosen: np.ndarray[Any, Any], jobs: int) -> pd.DataFrame:
    """Fit some maps; the errors are those of the noise that the two halves do not share."""
    fit = fit_gaussians(maps.values[chosen], jobs=jobs)
    errors = errors_from_halves(fit, maps.half_difference[chosen])
    return pd.concat([fit.drop(columns=errors.columns), errors], axis=1)


def grid_fit_in_px(fit: pd.DataFrame, bank: GaborBank) -> pd.DataFrame:
    """Return fits of energy maps, made in steps of the bank's grid, in pixels of the screen."""
    fit = fit.copy()
    lengths = ["x_px", "y_px", "sigma_major_px", "sigma_minor_px"]
    for column in lengths:
        fit[column] *= bank.stride_px
        fit[f"{column}_se"] *= bank.stride_px
    fit["x_px"] += bank.x_px[0]
    fit["y_px"] += bank.y_px[0]
    return fit


def fit_in_degrees(fit: pd.DataFrame, screen: Screen) -> dict[str, Any]:
    """Return center and widths in degrees, with standard errors carried over to first order.

    Parameters
    ----------
    fit : DataFrame, one row a neuron
        ``x_px``, ``y_px``, ``sigma_major_px``, ``sigma_minor_px`` with their ``_se``.
    screen : Screen
        Where the pixels are.

    Returns
    -------
    dict of float array, shape (neuron,)
        ``x_deg``, ``y_deg``, ``sigma_major_deg`` and ``sigma_minor_deg`` with their ``_se``; a
        width is the angle from the center to one standard deviation.
    """
    x_deg, y_deg = screen.position_deg(fit["x_px"], fit["y_px"])
    radians_per_px = screen.cm_per_px / screen.distance_cm
    columns = {"x_deg": x_deg, "y_deg": y_deg}
    for axis, position in (("x", x_deg), ("y", y_deg)):
        # d atan(u) = cos^2(atan(u)) du
        slope = np.degrees(radians_per_px) * np.cos(np.radians(position)) ** 2
        columns[f"{axis}_deg_se"] = slope * fit[f"{axis}_px_se"].to_numpy(float)
    for width in ("sigma_major", "sigma_minor"):
        # The full angle of one standard deviation to either side is twice this.
        columns[f"{width}_deg"] = screen.diameter_deg(fit[f"{width}_px"].to_numpy(float)) / 2
        slope = np.degrees(radians_per_px) * np.cos(np.radians(columns[f"{width}_deg"])) ** 2
        columns[f"{width}_deg_se"] = slope * fit[f"{width}_px_se"].to_numpy(float)
    return columns


def _arrays(maps: list[tuple[Maps, Maps]], setting: Setting[RetinotopyProtocol]) -> xr.Dataset:
    protocol, screen = setting.protocol, setting.screen
    bank = protocol.bank(screen)
    linear = np.concatenate([pair[0].values for pair in maps]).astype(np.float32)
    energy = np.concatenate([pair[1].values for pair in maps]).astype(np.float32)
    linear_weights = np.concatenate([pair[0].weights for pair in maps])
    lags = protocol.lag_count(screen, setting.kind)
    energy_weights = np.concatenate([pair[1].weights for pair in maps])
    energy_weights = energy_weights.reshape(len(energy_weights), lags, -1, bank.orientation_count)
    return xr.Dataset(
        {
            "linear_map": (("neuron", "y_px", "x_px"), linear, {"units": "correlation"}),
            "energy_map": (("neuron", "grid_y_px", "grid_x_px"), energy, {"units": "correlation"}),
            "linear_weight": (("neuron", "lag_s"), linear_weights),
            "energy_weight": (
                ("neuron", "lag_s", "frequency_cpd", "orientation_deg"),
                energy_weights,
            ),
        },
        coords={
            "neuron": setting.neurons["neuron"].to_numpy(),
            "y_px": np.arange(screen.height_px),
            "x_px": np.arange(screen.width_px),
            "grid_y_px": bank.y_px,
            "grid_x_px": bank.x_px,
            "lag_s": np.arange(lags) / screen.frame_rate_hz,
            "frequency_cpd": list(bank.frequency_cpd),
            "orientation_deg": np.arange(bank.orientation_count) * 180 / bank.orientation_count,
        },
        attrs=dict(screen.to_dict()),
    )
