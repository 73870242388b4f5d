"""Receptive fields from noise and responses: covariances, summed up block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ShapeError
from insilico.experiments.experiment import Block, Setting
from insilico.experiments.field_fits import grid_fit_in_px
from insilico.experiments.field_sums import Coordinates, FieldSums
from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.experiments.reverse_correlation import (
    EnergyFeatures,
    LaggedCovariance,
    Maps,
    combine_components,
)


class NoiseSums(FieldSums):
    """Covariances of the responses with the noise and with its energy."""

    map_units = ("correlation", "correlation")
    energy_axes = ("lag_s", "frequency_cpd", "orientation_deg")

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
        noise, responses = self._noise_and_responses(block)
        mean, spread = self._setting.protocol.noise_moments()
        pixels = (noise.reshape(*noise.shape[:2], self._pixels) - mean) / spread
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

    def _noise_and_responses(self, block: Block) -> tuple[np.ndarray[Any, Any], ...]:
        """Return patterns (trial, frame, y, x) and the responses to the last of them."""
        if self._setting.kind == "image":
            return block.frames()[:, None], block.responses[:, :, None]
        noise, responses = block.frames()[:, self._lead :], self._with_whole_history(block)
        if self._setting.protocol.presentation == "still":
            return noise[:, :1], responses.mean(axis=2, keepdims=True)
        return noise, responses

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

    def spread(self, neurons: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the standard deviation of the responses of some neurons."""
        return self.linear.response_spread()[neurons]

    def energy_fit_in_px(self, fit: pd.DataFrame) -> pd.DataFrame:
        """Return fits made in steps of the bank's grid in pixels of the screen."""
        return grid_fit_in_px(fit, self._setting.protocol.bank(self._setting.screen))

    def energy_coordinates(self) -> Coordinates:
        """Return the grid of the bank, and what its filters differ in."""
        bank = self._setting.protocol.bank(self._setting.screen)
        turns = np.arange(bank.orientation_count)
        return {
            "grid_y_px": bank.y_px,
            "grid_x_px": bank.x_px,
            "frequency_cpd": np.asarray(bank.frequency_cpd),
            "orientation_deg": turns * 180 / bank.orientation_count,
        }

    def published_maps(self, neurons: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the sum of the noise, in units of 0 to 1, weighted by the response to it.

        Neither is centered, and the response to a still movie is the sum over its frames: this is
        the map of ViV1T-closed-loop, tuning_retinotopy/predict_noise.py.

        Parameters
        ----------
        neurons : int array, shape (neuron,)
            Positions of the neurons.

        Returns
        -------
        float array, shape (neuron, y, x)
        """
        sums = {name: values.sum(0) for name, values in self.linear.state().items()}
        mean, spread = self._setting.protocol.noise_moments()
        # What was summed are centered responses and standardized noise; this takes that back.
        offset = np.zeros(1) if self._offset is None else self._offset.reshape(-1)[neurons]
        product = sums["product"][0, neurons] + np.outer(offset, sums["feature"][0])
        total = sums["response"][neurons] + offset * sums["count"]
        frames = 1 if self._setting.kind == "image" else self._window[1] - self._window[0]
        maps = frames * (spread * product + mean * total[:, None]) / 255
        return np.asarray(maps.reshape(-1, *self._setting.screen.shape))

    @property
    def _pixels(self) -> int:
        return self._setting.screen.width_px * self._setting.screen.height_px


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
