"""Receptive fields from gradients: how much each pixel moves a response, around many stimuli.

The mean gradient is the linear map: for Gaussian noise it is the covariance of the response with
the noise (Stein's lemma), without the noise of its estimate. A cell that answers a pattern and its
negative alike has gradients of either sign that cancel; the mean square of its gradients is the
energy map. For a sum of squares of two filters in quadrature it is the squared envelope.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ShapeError
from insilico.experiments.experiment import Block, Setting
from insilico.experiments.field_fits import envelope_in_px
from insilico.experiments.field_sums import Coordinates, FieldSums
from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.experiments.reverse_correlation import Maps, combine_components


class GradientSums(FieldSums):
    """First and second moments of gradients, in two halves of the stimuli.

    References
    ----------
    Stein 1981, doi 10.1214/aos/1176345632.
    """

    map_units = ("response per gray level", "squared response per gray level")
    energy_axes = ()

    def __init__(self, setting: Setting[RetinotopyProtocol]) -> None:
        self._setting = setting
        self._lags = setting.protocol.lag_count(setting.screen, setting.kind)
        neurons, pixels = len(setting.neurons), int(np.prod(setting.screen.shape))
        self._sums: dict[str, np.ndarray[Any, Any]] = {
            "count": np.zeros((2, neurons)),
            "gradient": np.zeros((2, neurons, self._lags, pixels), np.float32),
            "square": np.zeros((2, neurons, pixels), np.float32),
        }

    def add(self, block: Block) -> None:
        """Add gradients (trial, neuron[, frame], y, x); even and odd trials are the two halves.

        Raises
        ------
        ShapeError
            If there are responses in place of gradients.
        """
        gradients = block.responses
        axes = 4 if self._setting.kind == "image" else 5
        if gradients.ndim != axes:
            raise ShapeError(
                f"responses of shape {gradients.shape} were given, and only a twin has gradients; "
                'analyze responses with estimator = "covariance"'
            )
        if self._setting.kind == "image":
            gradients = gradients[:, :, None]
        # The present frame is the last one: lags run backward.
        gradients = gradients[:, :, ::-1][:, :, : self._lags]
        gradients = gradients.reshape(*gradients.shape[:3], -1)
        rows = slice(None) if block.rows is None else block.rows
        for half in (0, 1):
            of_half = gradients[(half - block.trials.start) % 2 :: 2]
            self._sums["count"][half, rows] += len(of_half)
            self._sums["gradient"][half, rows] += of_half.sum(0)
            self._sums["square"][half, rows] += np.einsum("tnlp,tnlp->np", of_half, of_half)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the sums."""
        return dict(self._sums)

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up from what :meth:`state` returned."""
        self._sums = {name: np.array(state[name]) for name in self._sums}

    def maps(self, neurons: np.ndarray[Any, Any]) -> tuple[Maps, Maps]:
        """Return mean and mean squared gradients of some neurons.

        ``explained`` is, of the linear map, the share of the mean squared gradient that the mean
        gradient makes up: 1 for a linear neuron, the share of stimuli that it answers for a
        half-rectified one, and 0 where signs cancel; of the energy map it is the rest.
        """
        shape, blur = self._setting.screen.shape, self._setting.protocol.smoothing_px

        def combined(name: str, *, is_signed: bool) -> Maps:
            halves = [self._mean(name, neurons, half) for half in ((0,), (1,))]
            return combine_components(
                self._mean(name, neurons, (0, 1)),
                halves,
                shape=shape,
                smoothing_px=blur,
                is_signed=is_signed,
                lag_count=halves[0].shape[1],
            )

        linear, energy = combined("gradient", is_signed=True), combined("square", is_signed=False)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = linear.explained / np.square(self.spread(neurons))
        return (
            dataclasses.replace(linear, explained=share),
            dataclasses.replace(energy, explained=1 - share),
        )

    def spread(self, neurons: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the root of the mean squared length of the gradient."""
        power = self._sums["square"][:, neurons].sum(0).sum(1, dtype=np.float64)
        return np.asarray(np.sqrt(power / np.maximum(self._sums["count"].sum(0)[neurons], 1)))

    def energy_fit_in_px(self, fit: pd.DataFrame) -> pd.DataFrame:
        """Return the widths of envelopes: the map is their square."""
        return envelope_in_px(fit)

    def energy_coordinates(self) -> Coordinates:
        """Return the pixels of the screen."""
        rows, columns = self._setting.screen.shape
        return {"grid_y_px": np.arange(rows), "grid_x_px": np.arange(columns)}

    def _mean(
        self, name: str, neurons: np.ndarray[Any, Any], halves: tuple[int, ...]
    ) -> np.ndarray[Any, Any]:
        """Return the mean over the stimuli of some halves (neuron, lag or one, pixel)."""
        # Both at once: the sums of all neurons are large, and an index of its own copies them.
        chosen = np.ix_(np.array(halves), neurons)
        total = self._sums[name][chosen].sum(0)
        count = np.maximum(self._sums["count"][chosen].sum(0), 1)
        mean = total.reshape(len(total), -1, total.shape[-1]) / count[:, None, None]
        # Neurons with such values are told by their spread; here they would only warn.
        return np.nan_to_num(mean.astype(np.float32), nan=0, posinf=0, neginf=0)
