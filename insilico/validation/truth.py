"""The ideal measurement: what an experiment would find in a simulated neuron with endless data.

A receptive field or a selectivity index depends on how it is measured. The truth that a measurement
is held to is therefore the same measurement without its noise: maps in closed form from the
neuron's own filters, tuning from a dense set of gratings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.experiments.reverse_correlation import GaborBank, component_weights
from insilico.results import Result
from insilico.screen import Screen
from insilico.simulation import SimulatedV1
from insilico.simulation.kernels import spatial_kernels, temporal_kernels
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


def ideal_linear_maps(
    population: pd.DataFrame, *, screen: Screen, kind: Kind, protocol: RetinotopyProtocol
) -> FloatArray:
    """Return the linear maps of simple cells without noise.

    White noise correlates with a rectified linear neuron in proportion to its filter (Bussgang's
    theorem for Gaussian input; a filter of many pixels makes its input nearly Gaussian). Lags are
    joined as the experiment joins them.

    Parameters
    ----------
    population : DataFrame
        Simple cells, as drawn by :func:`insilico.simulation.draw_population`.
    screen, kind, protocol
        Of the measurement.

    Returns
    -------
    float array, shape (neuron, y, x)
        In arbitrary units.
    """
    space = spatial_kernels(population, screen).reshape(len(population), 1, -1)
    preferred, null = _subunits(population, screen, kind, protocol)
    components = (space * (preferred + null)[:, :, None]).real
    weights = component_weights(
        components, shape=screen.shape, smoothing_px=protocol.smoothing_px, is_signed=True
    )
    return np.einsum("nc,ncp->np", weights, components).reshape(-1, *screen.shape)


def ideal_energy_maps(
    population: pd.DataFrame, *, screen: Screen, kind: Kind, protocol: RetinotopyProtocol
) -> FloatArray:
    """Return the energy maps of energy cells without noise, on the grid of the bank.

    For Gaussian noise ``n`` and complex filters ``a`` and ``b``, ``cov(|a n|^2, |b n|^2) = |a b|^2
    + |a conj(b)|^2``: the sum over their parts of twice the squared overlap.

    Parameters
    ----------
    population : DataFrame
        Energy cells, as drawn by :func:`insilico.simulation.draw_population`.
    screen, kind, protocol
        Of the measurement.

    Returns
    -------
    float array, shape (neuron, grid row, grid column)
        In arbitrary units.
    """
    bank: GaborBank = protocol.bank(screen)
    space = spatial_kernels(population, screen).reshape(len(population), -1)
    filters = bank.filters()
    overlap = np.abs(np.einsum("np,fgp->nfg", space, filters, optimize=True)) ** 2
    overlap += np.abs(np.einsum("np,fgp->nfg", space, filters.conj(), optimize=True)) ** 2
    preferred, null = _subunits(population, screen, kind, protocol)
    lag_energy = np.abs(preferred) ** 2 + np.abs(null) ** 2
    components = lag_energy[:, :, None, None] * overlap[:, None]
    components = components.reshape(len(population), -1, overlap.shape[2])
    weights = component_weights(
        components,
        shape=bank.grid_shape,
        smoothing_px=protocol.smoothing_px / protocol.bank_stride_px,
        is_signed=False,
    )
    return np.einsum("nc,ncp->np", weights, components).reshape(-1, *bank.grid_shape)


def ideal_gradient_energies(population: pd.DataFrame, *, screen: Screen) -> FloatArray:
    """Return the mean squared gradients of energy cells without noise.

    The gradient of ``|a n|^2`` is ``2 Re(conj(a n) a)``; where the answers of both filters of the
    pair have one variance, its mean square is in proportion to ``|a|^2`` in every pixel.

    Parameters
    ----------
    population : DataFrame
        Energy cells, as drawn by :func:`insilico.simulation.draw_population`.
    screen : Screen
        Of the measurement.

    Returns
    -------
    float array, shape (neuron, y, x)
        In arbitrary units.
    """
    return np.asarray(np.abs(spatial_kernels(population, screen)) ** 2)


def planted_results(twin: SimulatedV1) -> dict[str, Result]:
    """Return what retinotopy and direction would say if they made no error.

    Experiments that build on them can so be asked alone, and asked for the truth: each neuron at
    its own place and in its own direction.

    Parameters
    ----------
    twin : SimulatedV1
        Whose neurons.

    Returns
    -------
    dict of str to Result
        "retinotopy" and "direction", each with no more than the columns that others read. Images
        have no direction, so it is missing there.
    """
    truth = twin.ground_truth
    known = twin.neurons().assign(mouse=twin.mice[0], status="ok")
    widths = np.sort(truth[["sigma_along_px", "sigma_across_px"]].to_numpy(), axis=1)
    fields = known.assign(
        x_px=truth["x_px"],
        y_px=truth["y_px"],
        sigma_major_px=widths[:, 1],
        sigma_minor_px=widths[:, 0],
    )
    direction = truth["direction_deg"] if twin.kind == "movie" else np.nan
    angles = known.assign(preferred_direction_deg=direction, fitted_direction_deg=direction)
    for estimator in ("preferred", "fitted"):
        angles[f"{estimator}_orientation_deg"] = truth["orientation_deg"]
    provenance = {"source": "planted"}
    return {
        name: Result(name, {"neurons": table}, xr.Dataset(), {}, provenance)
        for name, table in (("retinotopy", fields), ("direction", angles))
    }


def _subunits(
    population: pd.DataFrame, screen: Screen, kind: Kind, protocol: RetinotopyProtocol
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the filters of both subunits at the protocol's lags; images have one subunit.

    What a still movie makes of a filter is the sum of all it has let through so far, frame by
    frame; each frame's rectified answer covaries with the image in proportion to that.
    """
    if kind == "image":
        return np.ones((len(population), 1)), np.zeros((len(population), 1))
    time = temporal_kernels(population, screen.frame_rate_hz)
    if protocol.presentation == "still":
        frames = screen.frames(protocol.noise_s)
        passed = np.cumsum(time, axis=1)[:, :frames]
        rest = max(0, frames - passed.shape[1])
        time = passed.sum(1, keepdims=True) + rest * passed[:, -1:]
    time = time[:, : protocol.lag_count(screen, kind)]
    return time, (1 - population["selectivity"].to_numpy()[:, None]) * time.conj()
