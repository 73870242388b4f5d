"""The most that a simulated neuron can answer to any stimulus of given contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.screen import Screen
from insilico.simulation.kernels import spatial_kernels, temporal_kernels
from insilico.simulation.simulated_v1 import STIMULUS_STD

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]

#: Random sets from which the longest sum is looked for, and the steps each may take: of 14 vectors,
#: so many find what trying all sets finds.
RANDOM_STARTS, MOST_STEPS = 1000, 100


def largest_response(
    neuron: pd.DataFrame,
    weights: FloatArray,
    *,
    screen: Screen,
    rms_level: float,
    frame_count: int | None = None,
) -> float:
    """Return the most that a neuron without surround or contrast gain can answer, on average.

    Parameters
    ----------
    neuron : DataFrame, one row
        As :func:`insilico.simulation.draw_population` draws it.
    weights : float array, shape (y, x)
        How much of each pixel is free, 0 to 1.
    screen : Screen
        Pixels and frame rate.
    rms_level : float
        Standard deviation of the free pixels in gray levels. Their mean is gray, and each may be
        as bright or dark as it likes: what a monitor clips can drive the neuron less.
    frame_count : int, optional
        Of a movie, over whose frames the answer is averaged; an image when left out.

    Returns
    -------
    float
        An energy cell answers with the squared length of ``F x``. Of all ``x`` of mean 0 and given
        norm the first right singular vector of ``F``, less its rows' means, is the best. A simple
        cell answers with the sum of ``max(0, f_t x)`` over frames, which is the largest of all sums
        over sets of frames: the best ``x`` lies along the longest sum of filters ``f_t``.
    """
    contrast = rms_level / STIMULUS_STD
    filters = _filters(neuron, weights, screen, frame_count)
    filters -= filters.mean(-1, keepdims=True)
    frames, values = filters.shape[1:]
    if neuron["cell_class"].item() == "energy":
        rows = np.concatenate([filters.real, filters.imag]).reshape(-1, values)
        answer = np.linalg.eigvalsh(rows @ rows.T)[-1] * values * contrast**2
    else:
        rows = filters.sum(0).real
        answer = np.sqrt(longest_sum(rows @ rows.T) * values) * contrast
    return float(neuron["gain"].item() * answer / frames)


def longest_sum(products: FloatArray) -> float:
    """Return the squared length of the longest sum over a set of vectors.

    Parameters
    ----------
    products : float array, shape (vector, vector)
        Their inner products.

    Returns
    -------
    float
        Found from many sets: of each, the vectors that point along its sum are the next set, whose
        sum is no shorter.
    """
    count = len(products)
    runs = np.tril(np.ones((count, count)))
    chance = np.random.default_rng(0).integers(0, 2, (RANDOM_STARTS, count)).astype(float)
    sets = np.concatenate([runs, np.eye(count), chance])
    for _ in range(MOST_STEPS):
        following = (sets @ products > 0).astype(float)
        if (following == sets).all():
            break
        sets = following
    return float(((sets @ products) * sets).sum(1).max())


def _filters(
    neuron: pd.DataFrame, weights: FloatArray, screen: Screen, frame_count: int | None
) -> ComplexArray:
    """Return what each subunit sees at each frame of a stimulus, (subunit, frame, value)."""
    space = (spatial_kernels(neuron, screen)[0] * weights)[weights > 0]
    if frame_count is None:
        return space[None, None]
    time = temporal_kernels(neuron, screen.frame_rate_hz)[0]
    frames = np.arange(frame_count)
    lag = frames[:, None] - frames
    is_seen = (lag >= 0) & (lag < len(time))
    preferred = np.where(is_seen, time[np.clip(lag, 0, len(time) - 1)], 0)
    null = (1 - neuron["selectivity"].item()) * preferred.conj()
    movies = np.einsum("uts,p->utsp", np.stack([preferred, null]), space)
    return np.asarray(movies.reshape(2, frame_count, -1))
