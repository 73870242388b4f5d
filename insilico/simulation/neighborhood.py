"""What lies in and around a receptive field acts on its answer: gain, suppression, holes.

With ``C`` and ``S`` the standard deviations of the standardized stimulus under a Gaussian on the
receptive field and under a ring around it, a drive ``d`` of exponent ``n`` (1 for simple cells, 2
for energy cells) becomes

    r = d (1 + facilitation F) / (1 + (contrast_gain C)^n + (surround_strength T)^n) + hole

The parts, each off in a population without its column:

surround tuned to orientation
    ``T^n = S^n (1 - surround_selectivity (1 - a))`` where ``a`` is the alignment of the ring with
    the center, ``cos^2`` of the angle between two gratings: 1 where the surround goes on with the
    orientation of the center (iso), 0 where it is at right angles to it (cross). Alignment is
    relative to what is shown in the center, not to what the neuron prefers.
facilitation at low contrast
    ``F = T^2 / (T^2 + FACILITATION_FROM^2) * FACILITATION_UNTIL^2 / (FACILITATION_UNTIL^2 + C^2)``:
    a weak surround raises the answer, an aligned one more, until contrast in the center ends it.
hole
    ``hole_strength R (S / S_1)^n (1 + G_1) / (1 + (contrast_gain S)^n) g`` with the gate ``g = S^2
    / (S^2 + HOLE_GATE C^2)`` and ``G_1 = (contrast_gain S_1)^n``: an answer to contrast around a
    gray receptive field, blind to orientation, later than the drive by ``hole_latency_s``. ``S_1``
    is that of a full-contrast grating, and ``R`` what the neuron answers on average to a
    full-contrast grating of its own kind without any surround, so a strength of 1 is a hole answer
    as large as the classical one. It grows and saturates with contrast as that does, and so it
    rises as fast.

In movies ``C^2``, ``S^2`` and ``T^2`` are averages over the same past that the drive looks back on,
and for a hole over that past delayed; there the numerator has the average of ``S``.

References
----------
Division: as in :mod:`insilico.simulation.normalization`. Suppression by a surround of the center's
own orientation: Cavanaugh, Bair & Movshon 2002, doi 10.1152/jn.00693.2001; Keller et al. 2020,
Neuron, doi 10.1016/j.neuron.2020.11.013. Holes: Keller et al. 2020, Nature,
doi 10.1038/s41586-020-2319-4. Alignment is that of two structure tensors (Bigun & Granlund 1987);
the formulas for facilitation and holes are ours, the simplest with these properties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from insilico.models.network import select_neurons
from insilico.screen import Screen
from insilico.simulation.kernels import grating_drive, temporal_kernels
from insilico.simulation.normalization import FULL_CONTRAST, column, pool_windows

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Contrast of the surround, in standardized units, from which it facilitates, and of the center up
#: to which: about 3 % and 20 % of full contrast.
FACILITATION_FROM = 0.05
FACILITATION_UNTIL = 0.3
#: How much more the center counts against a hole than the surround for it: a full-field grating
#: gets 1 in 21 of the answer.
HOLE_GATE = 20.0
#: Floors, in standardized units: of variance, so that the gradient of its root is finite on a gray
#: screen; of variance times a strength, which vanishes beside 1; and of the product of two gradient
#: energies (5 % contrast: 1e-5).
VARIANCE_FLOOR = 1e-12
WEIGHED_FLOOR = 1e-36
ALIGNMENT_FLOOR = 1e-9


class Neighborhood(nn.Module):
    """Turns the drive of a population into its answers.

    Parameters
    ----------
    population : DataFrame
        With the columns of :func:`insilico.simulation.draw_normalization`, and those of
        :func:`insilico.simulation.draw_contextual_population` where neurons have them.
    screen : Screen
        Pixels and frame rate.
    is_movie : bool
        Whether stimuli have frames.
    """

    windows: Tensor
    strengths: Tensor
    is_energy: Tensor
    memory: Tensor
    selectivity: Tensor
    facilitation: Tensor
    hole_size: Tensor
    hole_memory: Tensor

    def __init__(self, population: pd.DataFrame, *, screen: Screen, is_movie: bool) -> None:
        super().__init__()
        self.is_movie = is_movie
        is_energy = (population["cell_class"] == "energy").to_numpy()
        gain = column(population, "contrast_gain")
        hole_size = _hole_size(population, screen, is_movie)
        delayed = population.assign(
            latency_s=population["latency_s"] + column(population, "hole_latency_s")
        )
        values = {
            "windows": pool_windows(population, screen),
            "strengths": np.stack([gain, column(population, "surround_strength")]),
            "memory": _memory(population, screen),
            "selectivity": column(population, "surround_selectivity"),
            "facilitation": column(population, "facilitation"),
            "hole_size": hole_size,
            "hole_memory": _memory(delayed, screen),
        }
        for name, value in values.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        self.register_buffer("is_energy", torch.tensor(is_energy))
        self.is_tuned = bool(values["selectivity"].any())
        self.facilitates = bool(values["facilitation"].any())
        self.has_holes = bool(hole_size.any())

    def forward(self, drive: Tensor, stimulus: Tensor, neurons: Tensor | None = None) -> Tensor:
        """Return the answers, before the neuron's own scale.

        Parameters
        ----------
        drive : float tensor, shape (trial, neuron[, frame])
            What the classical receptive field passes on.
        stimulus : float tensor, shape (trial, 1[, frame], y, x)
            Standardized stimulus.
        neurons : int64 tensor, shape (neuron,), optional
            All when left out.

        Returns
        -------
        float tensor, shape (trial, neuron[, frame])
        """
        shown = self.contrast(stimulus, neurons)
        tuned = self._remember(self._tune(shown, stimulus, neurons), neurons)
        answer = drive / self._division(tuned, neurons)
        if self.facilitates:
            answer = answer * (1 + self._facilitation(tuned, neurons))
        return answer + self._hole(shown, neurons) if self.has_holes else answer

    def normalization(self, stimulus: Tensor, neurons: Tensor | None = None) -> Tensor:
        """Return what the drive is divided by, 1 on a gray screen.

        Parameters
        ----------
        stimulus, neurons
            As for :meth:`forward`.

        Returns
        -------
        float tensor, shape (trial, neuron[, frame])
        """
        shown = self.contrast(stimulus, neurons)
        tuned = self._remember(self._tune(shown, stimulus, neurons), neurons)
        return self._division(tuned, neurons)

    def contrast(self, stimulus: Tensor, neurons: Tensor | None = None) -> Tensor:
        """Return the variance of each frame in the center and in the ring.

        Parameters
        ----------
        stimulus, neurons
            As for :meth:`forward`.

        Returns
        -------
        float tensor, shape (pool, trial, neuron[, frame])
        """
        frames, windows = stimulus[:, 0], select_neurons(self.windows, neurons, axis=1)
        mean = torch.einsum("b...yx,pnyx->pbn...", frames, windows)
        square = torch.einsum("b...yx,pnyx->pbn...", frames.square(), windows)
        return square - mean.square()

    def alignment(self, stimulus: Tensor, neurons: Tensor | None = None) -> Tensor:
        """Return how far the orientation in the ring is that in the center.

        Parameters
        ----------
        stimulus, neurons
            As for :meth:`forward`.

        Returns
        -------
        float tensor, shape (trial, neuron[, frame])
            From 0, at right angles, to 1, the same; 1/2 where either is gray or has no orientation.
        """
        windows = select_neurons(self.windows, neurons, axis=1)
        tensors = structure_tensors(stimulus[:, 0])
        pooled = torch.einsum("fb...yx,pnyx->pfbn...", tensors, windows)
        energy, along, across = (pooled[0] * pooled[1]).unbind(0)
        return 0.5 + 0.5 * (along + across) / (energy + ALIGNMENT_FLOOR)

    def _tune(self, shown: Tensor, stimulus: Tensor, neurons: Tensor | None) -> Tensor:
        """Return the variances with that of the ring weighed by its alignment."""
        if not self.is_tuned:
            return shown
        selectivity = self._of(self.selectivity, neurons)
        share = 1 - selectivity * (1 - self.alignment(stimulus, neurons))
        share = torch.where(self._of(self.is_energy, neurons), share, share.square())
        return torch.stack([shown[0], shown[1] * share])

    def _division(self, variance: Tensor, neurons: Tensor | None) -> Tensor:
        strengths = self._of(self.strengths, neurons, axis=1)
        variance = variance.clamp_min(VARIANCE_FLOOR) * strengths[:, None].square()
        # A strength of 0 must not bring back the root of 0, whose gradient is not finite.
        variance = variance.clamp_min(WEIGHED_FLOOR)
        is_energy = self._of(self.is_energy, neurons)
        return 1 + torch.where(is_energy, variance, variance.sqrt()).sum(0)

    def _facilitation(self, variance: Tensor, neurons: Tensor | None) -> Tensor:
        center, ring = variance.clamp_min(0)
        rise = ring / (ring + FACILITATION_FROM**2)
        end = FACILITATION_UNTIL**2 / (FACILITATION_UNTIL**2 + center)
        return self._of(self.facilitation, neurons) * rise * end

    def _hole(self, shown: Tensor, neurons: Tensor | None) -> Tensor:
        ring_deviation = shown[1].clamp_min(VARIANCE_FLOOR).sqrt() - VARIANCE_FLOOR**0.5
        traces = torch.cat([shown.clamp_min(0), ring_deviation[None]])
        if self.is_movie:
            memory = select_neurons(self.hole_memory, neurons, axis=0)
            traces = filter_traces(traces, memory)
        center, ring, deviation = traces
        is_energy = self._of(self.is_energy, neurons)
        gain = self._of(self.strengths[0], neurons) * ring.clamp_min(VARIANCE_FLOOR).sqrt()
        saturation = 1 + torch.where(is_energy, gain.square(), gain)
        size = torch.where(is_energy, deviation.square(), deviation) / saturation
        gate = ring / (ring + HOLE_GATE * center + VARIANCE_FLOOR)
        return self._of(self.hole_size, neurons) * size * gate

    def _of(self, values: Tensor, neurons: Tensor | None, axis: int = 0) -> Tensor:
        """Return values of the asked neurons, with a last axis for frames where there are any."""
        chosen = select_neurons(values, neurons, axis=axis)
        return chosen[..., None] if self.is_movie else chosen

    def _remember(self, variance: Tensor, neurons: Tensor | None) -> Tensor:
        """Average over the same past that the drive looks back on."""
        if not self.is_movie:
            return variance
        return filter_traces(variance, select_neurons(self.memory, neurons, axis=0))


def structure_tensors(frames: Tensor) -> Tensor:
    """Return gradient energy at each pixel, and how it is oriented.

    Parameters
    ----------
    frames : float tensor, shape (…, y, x)

    Returns
    -------
    float tensor, shape (3, …, y, x)
        ``gx^2 + gy^2``, and this times the cosine and the sine of twice the gradient's angle, from
        differences between a pixel's two neighbors; 0 at the edge of the screen, where one of them
        is unknown.
    """
    right, down = torch.zeros_like(frames), torch.zeros_like(frames)
    right[..., 1:-1] = (frames[..., 2:] - frames[..., :-2]) / 2
    down[..., 1:-1, :] = (frames[..., 2:, :] - frames[..., :-2, :]) / 2
    squares = right.square(), down.square()
    return torch.stack([squares[0] + squares[1], squares[0] - squares[1], 2 * right * down])


def filter_traces(traces: Tensor, kernel: Tensor) -> Tensor:
    """Convolve traces with causal filters; gray comes before the first frame.

    Parameters
    ----------
    traces : float tensor, shape (part, trial, neuron, frame)
    kernel : float tensor, shape (neuron, lag)

    Returns
    -------
    float tensor, shape (part, trial, neuron, frame)
    """
    padded = nn.functional.pad(traces.flatten(0, 1), (kernel.shape[1] - 1, 0))
    # conv1d correlates, so the filter is reversed in time; one group a neuron.
    filtered = nn.functional.conv1d(padded, kernel.flip(-1)[:, None], groups=len(kernel))
    return filtered.view(traces.shape)


def _hole_size(population: pd.DataFrame, screen: Screen, is_movie: bool) -> FloatArray:
    """Return the answer to a hole whose surround has a deviation of 1, before it saturates.

    ``R (1 + G_1)`` is the drive of the neuron's own grating.
    """
    strength = column(population, "hole_strength")
    if not strength.any():
        return strength
    exponent = np.where(population["cell_class"] == "energy", 2, 1)
    classical = grating_drive(population, screen, is_movie=is_movie)
    return np.asarray(strength * classical / FULL_CONTRAST**exponent)


def _memory(population: pd.DataFrame, screen: Screen) -> FloatArray:
    weights = np.abs(temporal_kernels(population, screen.frame_rate_hz))
    return np.asarray(weights / weights.sum(1, keepdims=True))
