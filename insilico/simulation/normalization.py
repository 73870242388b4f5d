"""Contrast gain and divisive surround: what the neighborhood of a receptive field does to it.

A drive ``d`` of exponent ``n`` (1 for rectified simple cells, 2 for energy cells) becomes

    r = d / (1 + (contrast_gain * C)^n + (surround_strength * S)^n)

where ``C`` and ``S`` are the standard deviations of the standardized stimulus under a Gaussian on
the receptive field and under a ring around it. With contrast, ``r`` follows Naka and Rushton's
``c^n / (c50^n + c^n)`` with ``c50 = 1 / contrast_gain``. Both windows are round, on the receptive
field's center, and blind to orientation, so they move neither the center nor a preferred direction.

References
----------
Heeger 1992, doi 10.1017/S0952523800009640; Cavanaugh, Bair & Movshon 2002,
doi 10.1152/jn.00692.2001 (surrounds as division). Using contrast under a window in place of the sum
of many neurons is our simplification.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Parameters that draw nothing in: the plain receptive field. The last four are those of
#: :mod:`insilico.simulation.neighborhood`.
OFF = {
    "contrast_gain": 0.0,
    "surround_strength": 0.0,
    "surround_sigma_px": 8.0,
    "surround_selectivity": 0.0,
    "facilitation": 0.0,
    "hole_strength": 0.0,
    "hole_latency_s": 0.0,
}

#: Standard deviation of a full-contrast grating in standardized units: 127.5 / sqrt(2) gray levels
#: over the 60 that are one unit.
FULL_CONTRAST = 1.5

#: Ranges of the drawn parameters, uniform in between. Contrast is in standardized units: a
#: full-contrast grating has 1.5, a natural movie about 1. Semi-saturation between half of a full
#: contrast and twice of it, and surrounds of two to four times the width of a receptive field that
#: take away up to half of the answer, are of the order of mouse V1 (Self et al. 2014,
#: doi 10.1523/JNEUROSCI.5124-13.2014).
RANGES = {
    "contrast_gain": (0.3, 1.2),
    "surround_strength": (0.2, 1.2),
    "surround_sigma_px": (7.0, 11.0),
}


def draw_normalization(population: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Return the population with contrast gain and a divisive surround for every neuron.

    Parameters
    ----------
    population : DataFrame
        As :func:`insilico.simulation.draw_population` draws it.
    seed : int
        The added columns are a function of the seed and the number of neurons.

    Returns
    -------
    DataFrame
        The same rows with ``contrast_gain`` (the inverse of the semi-saturation contrast),
        ``surround_strength`` and ``surround_sigma_px``; 0 switches the first two off.
    """
    random = np.random.default_rng([seed, 2])
    drawn = {name: random.uniform(*RANGES[name], len(population)) for name in RANGES}
    return population.assign(**drawn)


def column(population: pd.DataFrame, name: str) -> FloatArray:
    """Return a parameter of the neighborhood, off for a population that has none."""
    if name in population:
        return population[name].to_numpy(float)
    return np.full(len(population), OFF[name])


def pool_windows(population: pd.DataFrame, screen: Screen) -> FloatArray:
    """Return the windows under which contrast is measured.

    Parameters
    ----------
    population : DataFrame
        As :func:`draw_normalization` returns it.
    screen : Screen
        Pixels.

    Returns
    -------
    float array, shape (2, neuron, y, x)
        The center, a Gaussian as wide as the receptive field, and the surround, a wider one with a
        hole where the center is. Each sums to 1 over the screen.
    """
    x = np.arange(screen.width_px) - population["x_px"].to_numpy()[:, None, None]
    y = np.arange(screen.height_px)[:, None] - population["y_px"].to_numpy()[:, None, None]
    squared = x**2 + y**2
    widths = population["sigma_along_px"].to_numpy() * population["sigma_across_px"].to_numpy()
    center = np.exp(-0.5 * squared / widths[:, None, None])
    reach = column(population, "surround_sigma_px")[:, None, None]
    # The hole is twice as wide as the center: the classical receptive field does not suppress.
    ring = np.exp(-0.5 * squared / reach**2) * (
        1 - np.exp(-0.125 * squared / widths[:, None, None])
    )
    windows = np.stack([center, ring])
    return np.asarray(windows / windows.sum((2, 3), keepdims=True))
