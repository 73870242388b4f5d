"""The simulated neurons as a network: linear filters, then rectification or energy.

Every neuron looks through a complex Gabor ``g(x)`` and, for movies, a complex temporal filter
``h(lag)``. With ``z(t)`` the stimulus seen through ``g``, the two subunits

    w_preferred(t) = sum_lag h(lag) z(t - lag)      w_null(t) = sum_lag conj(h(lag)) z(t - lag)

answer motion in the preferred and in the opposite direction. A neuron of selectivity ``d`` weighs
the null subunit by ``1 - d``: a simple cell is the rectified real part of the weighted sum, an
energy cell the weighted sum of squared moduli (Adelson & Bergen 1985, doi 10.1364/JOSAA.2.000284).
For images there is one subunit, ``z`` itself.

Contrast gain and a divisive surround (:mod:`insilico.simulation.normalization`) act between
:meth:`SimulatedV1Network.drive` and the returned response where the population has them. Behavior,
calcium and noise belong to the recording (:mod:`insilico.simulation.responses`), not to the neuron.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insilico.models.network import Network, select_neurons
from insilico.screen import Screen
from insilico.simulation.kernels import spatial_kernels, temporal_kernels
from insilico.simulation.normalization import column, pool_windows
from insilico.stimuli.stimuli import Kind


class SimulatedV1Network(Network):
    """Answers of a simulated population.

    Parameters
    ----------
    population : DataFrame
        As :func:`insilico.simulation.draw_population` draws it, with the columns of
        :func:`insilico.simulation.draw_normalization` where neurons have a contrast gain or a
        surround.
    screen : Screen
        Pixels and frame rate.
    kind : {"image", "movie"}
        What it is shown.
    mouse : str
        The name its neurons go by.
    """

    space: Tensor
    preferred: Tensor
    null: Tensor
    gain: Tensor
    is_energy: Tensor
    windows: Tensor
    strengths: Tensor
    memory: Tensor

    def __init__(
        self, population: pd.DataFrame, *, screen: Screen, kind: Kind, mouse: str = "simulated"
    ) -> None:
        super().__init__()
        self.kind = kind
        self.mouse = mouse
        space = spatial_kernels(population, screen)
        time = temporal_kernels(population, screen.frame_rate_hz)
        selectivity = population["selectivity"].to_numpy()[:, None]
        null = (1 - selectivity) * np.conj(time)
        is_energy = (population["cell_class"] == "energy").to_numpy()
        self._keep("space", np.stack([space.real, space.imag]))
        self._keep("preferred", np.stack([time.real, time.imag]))
        self._keep("null", np.stack([null.real, null.imag]))
        self._keep("gain", population["gain"].to_numpy())
        self.register_buffer("is_energy", torch.tensor(is_energy))
        strengths = np.stack([column(population, name) for name in _STRENGTHS])
        self.is_normalized = bool(strengths.any())
        if self.is_normalized:
            self._keep("windows", pool_windows(population, screen))
            self._keep("strengths", strengths)
            self._keep("memory", np.abs(time) / np.abs(time).sum(1, keepdims=True))

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons of the one mouse."""
        return {self.mouse: len(self.is_energy)}

    def forward(
        self,
        stimulus: Tensor,
        *,
        mouse: str,
        neurons: Tensor | None = None,
        behavior: Tensor | None = None,
        pupil_center: Tensor | None = None,
    ) -> Tensor:
        """Return the noiseless responses, 0 on a gray screen."""
        gain = select_neurons(self.gain, neurons, axis=0)
        drive = self.drive(stimulus, neurons)
        if self.is_normalized:
            drive = drive / self.normalization(stimulus, neurons)
        return drive * (gain[:, None] if self.kind == "movie" else gain)

    def drive(self, stimulus: Tensor, neurons: Tensor | None = None) -> Tensor:
        """Return what the classical receptive field passes on, before any gain.

        Parameters
        ----------
        stimulus : float tensor, shape (trial, 1[, frame], y, x)
            Standardized stimulus.
        neurons : int64 tensor, shape (neuron,), optional
            All when left out.

        Returns
        -------
        float tensor, shape (trial, neuron[, frame])
        """
        is_energy = select_neurons(self.is_energy, neurons, axis=0)
        space = select_neurons(self.space, neurons, axis=1)
        seen = torch.einsum("b...yx,pnyx->pbn...", stimulus[:, 0], space)
        if self.kind == "image":
            simple, energy = seen[0].relu(), seen.square().sum(0)
            return torch.where(is_energy, energy, simple)
        preferred = _filter(seen, select_neurons(self.preferred, neurons, axis=1))
        null = _filter(seen, select_neurons(self.null, neurons, axis=1))
        simple = (preferred[0] + null[0]).relu()
        energy = preferred.square().sum(0) + null.square().sum(0)
        return torch.where(is_energy[:, None], energy, simple)

    def normalization(self, stimulus: Tensor, neurons: Tensor | None = None) -> Tensor:
        """Return what the drive is divided by, 1 on a gray screen.

        Parameters
        ----------
        stimulus, neurons
            As for :meth:`drive`.

        Returns
        -------
        float tensor, shape (trial, neuron[, frame])
        """
        windows = select_neurons(self.windows, neurons, axis=1)
        is_energy = select_neurons(self.is_energy, neurons, axis=0)
        strengths = select_neurons(self.strengths, neurons, axis=1)
        frames = stimulus[:, 0]
        mean = torch.einsum("b...yx,pnyx->pbn...", frames, windows)
        square = torch.einsum("b...yx,pnyx->pbn...", frames.square(), windows)
        variance = square - mean.square()
        if self.kind == "movie":
            variance = _remember(variance, select_neurons(self.memory, neurons, axis=0))
            is_energy, strengths = is_energy[:, None], strengths[..., None]
        # The floor keeps the gradient of the root finite on a gray screen.
        variance = variance.clamp_min(1e-12) * strengths[:, None].square()
        return 1 + torch.where(is_energy, variance, variance.sqrt()).sum(0)

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32))


#: Weights of the center's and of the surround's contrast.
_STRENGTHS = ("contrast_gain", "surround_strength")


def _remember(variance: Tensor, memory: Tensor) -> Tensor:
    """Average over the same past that the drive looks back on; gray comes before the first frame.

    Parameters
    ----------
    variance : float tensor, shape (pool, trial, neuron, frame)
    memory : float tensor, shape (neuron, lag)
        Weights that sum to 1.
    """
    padded = torch.nn.functional.pad(variance.flatten(0, 1), (memory.shape[1] - 1, 0))
    averaged = torch.nn.functional.conv1d(padded, memory.flip(-1)[:, None], groups=len(memory))
    return averaged.view(variance.shape)


def _filter(seen: Tensor, kernel: Tensor) -> Tensor:
    """Convolve complex traces with complex causal filters; gray comes before the first frame.

    Parameters
    ----------
    seen : float tensor, shape (part, trial, neuron, frame)
        Real and imaginary part.
    kernel : float tensor, shape (part, neuron, lag)

    Returns
    -------
    float tensor, shape (part, trial, neuron, frame)
    """
    lags = kernel.shape[-1]
    neuron_count = kernel.shape[1]
    padded = torch.nn.functional.pad(seen, (lags - 1, 0))
    # conv1d correlates, so the filter is reversed in time; one group a neuron.
    weights = kernel.flip(-1)[:, :, None]

    def convolve(trace: Tensor, part: int) -> Tensor:
        return torch.nn.functional.conv1d(trace, weights[part], groups=neuron_count)

    real = convolve(padded[0], 0) - convolve(padded[1], 1)
    imaginary = convolve(padded[0], 1) + convolve(padded[1], 0)
    return torch.stack([real, imaginary])
