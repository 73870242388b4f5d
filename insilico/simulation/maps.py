"""Maps over cortex: neurons near each other prefer similar directions.

Each neuron has a complex number, circular Gaussian, whose angle is its preferred direction. Two
neurons a horizontal distance ``h`` and a depth ``v`` apart have numbers that correlate by

    rho = strength exp(-h / length_um) exp(-v / depth_length_um)

References
----------
Similarity that decays within some 50 micrometers and is stronger along the depth of a column:
Ringach et al. 2016, doi 10.1038/ncomms12270. The lengths are ours, longer across cortex than
measured (:func:`expected_similarity` at 12 and 200 micrometers is 0.67 and 0.06), so that 200
neurons show it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import gamma, hyp2f1

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Correlation of neighbors, and the distances over which it falls to 1/e, across and along depth.
MAP_STRENGTH = 0.9
MAP_LENGTH_UM = 80.0
MAP_DEPTH_LENGTH_UM = 300.0


def draw_map(
    population: pd.DataFrame,
    *,
    seed: int,
    strength: float = MAP_STRENGTH,
    length_um: float = MAP_LENGTH_UM,
    depth_length_um: float = MAP_DEPTH_LENGTH_UM,
) -> pd.DataFrame:
    """Return the population with preferred directions that are mapped over cortex.

    Parameters
    ----------
    population : DataFrame
        As :func:`insilico.simulation.draw_population` draws it.
    seed : int
        The directions are a function of the seed and the cortical positions.
    strength : float
        Correlation of neurons at one place, from 0, no map, to 1.
    length_um, depth_length_um : float
        Distances over which it falls to 1/e, across cortex and along its depth, above 0.

    Returns
    -------
    DataFrame
        The same rows with new ``direction_deg`` and ``orientation_deg``.
    """
    correlation = map_correlation(
        *pair_distances(population),
        strength=strength,
        length_um=length_um,
        depth_length_um=depth_length_um,
    )
    np.fill_diagonal(correlation, 1)
    # Eigenvalues, since neurons at one place make a map of strength 1 singular.
    values, vectors = np.linalg.eigh(correlation)
    white = np.random.default_rng([seed, 7]).standard_normal((2, len(population)))
    field = vectors @ (np.sqrt(np.maximum(values, 0)) * (white[0] + 1j * white[1]))
    direction_deg = np.degrees(np.angle(field)) % 360
    return population.assign(direction_deg=direction_deg, orientation_deg=direction_deg % 180)


def pair_distances(population: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return distances between all neurons.

    Parameters
    ----------
    population : DataFrame
        With ``x_um``, ``y_um`` and ``z_um``.

    Returns
    -------
    horizontal_um, vertical_um : float arrays, shape (neuron, neuron)
    """
    x, y, z = (population[name].to_numpy(float) for name in ("x_um", "y_um", "z_um"))
    horizontal = np.hypot(x[:, None] - x, y[:, None] - y)
    return horizontal, np.abs(z[:, None] - z)


def map_correlation(
    horizontal_um: ArrayLike,
    vertical_um: ArrayLike,
    *,
    strength: float = MAP_STRENGTH,
    length_um: float = MAP_LENGTH_UM,
    depth_length_um: float = MAP_DEPTH_LENGTH_UM,
) -> FloatArray:
    """Return the correlation of the Gaussian map between two places.

    Parameters
    ----------
    horizontal_um, vertical_um : float array, shape (…)
        Distances across cortex and along its depth.
    strength, length_um, depth_length_um
        As for :func:`draw_map`.

    Returns
    -------
    float array, shape (…)
        From 0 to 1.
    """
    distance = np.asarray(horizontal_um) / length_um + np.asarray(vertical_um) / depth_length_um
    return np.asarray(strength * np.exp(-distance))


def expected_similarity(correlation: ArrayLike, *, harmonic: int = 1) -> FloatArray:
    """Return the mean cosine of the difference of two preferences.

    Parameters
    ----------
    correlation : float array, shape (…)
        Of the map, from 0 to 1.
    harmonic : {1, 2}
        1 for directions, 2 for orientations: the cosine of twice the difference.

    Returns
    -------
    float array, shape (…)
        From 0 to 1.

    References
    ----------
    Angles of two circular complex Gaussian numbers of correlation ``rho`` have ``E cos(k d) =
    G(k/2 + 1)^2 / G(k + 1) rho^k F(k/2, k/2; k + 1; rho^2)``, with the gamma function ``G`` and the
    hypergeometric function ``F``; a test holds it to samples.
    """
    rho, half = np.asarray(correlation, float), harmonic / 2
    scale = gamma(half + 1) ** 2 / gamma(harmonic + 1)
    return np.asarray(scale * rho**harmonic * hyp2f1(half, half, harmonic + 1, rho**2))
