"""What every way of mapping receptive fields keeps, and can say of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.experiment import Accumulator
from insilico.experiments.reverse_correlation import Maps

Coordinates = dict[str, np.ndarray[Any, Any]]


class FieldSums(Accumulator):
    """Sums from which the linear and the energy map of every neuron are made.

    Attributes
    ----------
    map_units : str
        Of the linear map; those of the energy map are the same, or their square.
    energy_axes : tuple of str
        Axes of the weights of the components of an energy map, after the neuron's.
    """

    map_units: tuple[str, str]
    energy_axes: tuple[str, ...]

    @abstractmethod
    def maps(self, neurons: np.ndarray[Any, Any]) -> tuple[Maps, Maps]:
        """Return the linear and the energy maps of some neurons, by their position."""

    @abstractmethod
    def spread(self, neurons: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return how much what was measured of some neurons varies; 0 if it never did."""

    @abstractmethod
    def energy_fit_in_px(self, fit: pd.DataFrame) -> pd.DataFrame:
        """Return Gaussians fitted to energy maps as receptive fields in pixels of the screen."""

    @abstractmethod
    def energy_coordinates(self) -> Coordinates:
        """Return ``grid_y_px``, ``grid_x_px`` and the coordinates of :attr:`energy_axes`."""
