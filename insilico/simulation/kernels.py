"""Filters of the simulated neurons: Gabors in space, a damped oscillation in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]

#: Length of the temporal filter. The envelope below has fallen to 1 % of its peak by then.
KERNEL_S = 0.5
#: Time constant and order of the temporal envelope ``(t / tau)^n exp(-t / tau)``, a gamma function
#: as in models of motion energy (Adelson & Bergen 1985, doi 10.1364/JOSAA.2.000284). Our values
#: give an integration time of about 0.1 s.
ENVELOPE_TAU_S = 0.03
ENVELOPE_ORDER = 2
#: Amplitude of a full-contrast grating in standardized units: 127.5 gray levels, 60 to the unit.
FULL_AMPLITUDE = 2.125


def spatial_kernels(population: pd.DataFrame, screen: Screen) -> ComplexArray:
    """Return each neuron's pair of Gabors in quadrature, as one complex filter.

    Parameters
    ----------
    population : DataFrame
        As :func:`insilico.simulation.draw_population` draws it.
    screen : Screen
        Pixels.

    Returns
    -------
    complex array, shape (neuron, y, x)
        The real part is the neuron's own phase. Both parts are blind to uniform light; the mean
        of their squared norms is 1.
    """
    column = {name: population[name].to_numpy()[:, None, None] for name in _SPATIAL}
    right = np.arange(screen.width_px) - column["x_px"]
    up = column["y_px"] - np.arange(screen.height_px)[:, None]
    angle = np.radians(column["direction_deg"])
    along = right * np.cos(angle) + up * np.sin(angle)
    across = up * np.cos(angle) - right * np.sin(angle)
    radius = (along / column["sigma_along_px"]) ** 2 + (across / column["sigma_across_px"]) ** 2
    envelope = np.exp(-0.5 * radius ** column["envelope_exponent"])
    radians_per_px = 2 * np.pi * screen.cycles_per_px(column["spatial_frequency_cpd"])
    carrier = np.exp(1j * (radians_per_px * along + np.radians(column["phase_deg"])))
    gabor = envelope * carrier
    balance = gabor.sum((1, 2), keepdims=True) / envelope.sum((1, 2), keepdims=True)
    gabor -= balance * envelope
    power = (np.abs(gabor) ** 2).sum((1, 2), keepdims=True) / 2
    return np.asarray(gabor / np.sqrt(power))


def temporal_kernels(population: pd.DataFrame, frame_rate_hz: float) -> ComplexArray:
    """Return each neuron's temporal filter, as one complex filter over lags.

    Parameters
    ----------
    population : DataFrame
        As :func:`insilico.simulation.draw_population` draws it.
    frame_rate_hz : float
        Frames per second.

    Returns
    -------
    complex array, shape (neuron, lag)
        Lag 0 is the frame on the screen. Real and imaginary part oscillate a quarter cycle apart
        at the neuron's temporal frequency; the squared norm is 1.

    Notes
    -----
    ``latency_s`` is the onset of the filter: every lag up to it has weight 0, every later one does
    not. A change in frame ``k`` therefore alters no answer before frame
    ``k + floor(latency_s * frame_rate_hz) + 1``, and this one in all neurons that see it. The
    filter then rises as ``t^2``, to its peak 0.06 s after the latency; an experiment that waits for
    the answer to cross a threshold finds an onset that is later by a time which depends on the
    threshold (the running sum of the envelope passes 10 % after 0.033 s, one half after 0.080 s),
    and is compared with the noiseless neuron asked the same way.
    """
    lag_s = np.arange(round(KERNEL_S * frame_rate_hz)) / frame_rate_hz
    since = lag_s - population["latency_s"].to_numpy()[:, None]
    scaled = np.maximum(since, 0) / ENVELOPE_TAU_S
    envelope = scaled**ENVELOPE_ORDER * np.exp(-scaled)
    turn = 2 * np.pi * population["temporal_frequency_hz"].to_numpy()[:, None] * since
    kernel = envelope * np.exp(1j * turn)
    return np.asarray(kernel / np.linalg.norm(kernel, axis=1, keepdims=True))


def grating_drive(population: pd.DataFrame, screen: Screen, *, is_movie: bool) -> FloatArray:
    """Return the mean drive by a full-contrast grating of each neuron's own kind.

    Parameters
    ----------
    population : DataFrame
        As :func:`insilico.simulation.draw_population` draws it.
    screen : Screen
        Pixels and frame rate; the grating fills it.
    is_movie : bool
        Whether the grating drifts in the preferred direction at the preferred frequencies, and the
        mean is over a cycle once it has settled; otherwise it stands still, and the mean is over
        phases.

    Returns
    -------
    float array, shape (neuron,)
        In the units of :meth:`insilico.simulation.SimulatedV1Network.drive`, in closed form: a
        grating ``Re(A e^(i (k x - w t)))`` is seen as two turning complex numbers, which each
        temporal filter multiplies by its transfer function.
    """
    space = spatial_kernels(population, screen)
    angle = np.radians(population["direction_deg"].to_numpy())[:, None, None]
    cycles_per_px = screen.cycles_per_px(population["spatial_frequency_cpd"].to_numpy())
    right, up = np.arange(screen.width_px), -np.arange(screen.height_px)[:, None]
    along = right * np.cos(angle) + up * np.sin(angle)
    wave = np.exp(2j * np.pi * cycles_per_px[:, None, None] * along) * FULL_AMPLITUDE / 2
    # What turns with exp(-i w t), and with exp(i w t).
    seen = np.stack([(space * wave).sum((1, 2)), (space * wave.conj()).sum((1, 2))])
    subunits = seen[None]
    if is_movie:
        time = temporal_kernels(population, screen.frame_rate_hz)
        turn = 2 * np.pi * population["temporal_frequency_hz"].to_numpy() / screen.frame_rate_hz
        lagged = np.exp(1j * turn[:, None] * np.arange(time.shape[1]))
        weight = 1 - population["selectivity"].to_numpy()
        filters = np.stack([time, weight[:, None] * time.conj()])
        transfer = [(filters * lagged).sum(-1), (filters * lagged.conj()).sum(-1)]
        subunits = seen * np.stack(transfer, axis=1)
    energy = (np.abs(subunits) ** 2).sum((0, 1))
    forth, back = subunits.sum(0)
    rectified = np.abs(forth + back.conj()) / np.pi
    return np.asarray(np.where(population["cell_class"] == "energy", energy, rectified))


_SPATIAL = (
    "x_px",
    "y_px",
    "direction_deg",
    "spatial_frequency_cpd",
    "sigma_along_px",
    "sigma_across_px",
    "envelope_exponent",
    "phase_deg",
)
