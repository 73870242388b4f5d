"""The simulated neurons as a network: linear filters, then rectification or energy.

Every neuron looks through a complex Gabor ``g(x)`` and, for movies, a complex temporal filter
``h(lag)``. With ``z(t)`` the stimulus seen through ``g``, the two subunits

    w_preferred(t) = sum_lag h(lag) z(t - lag)      w_null(t) = sum_lag conj(h(lag)) z(t - lag)

answer motion in the preferred and in the opposite direction. A neuron of selectivity ``d`` weighs
the null subunit by ``1 - d``: a simple cell is the rectified real part of the weighted sum, an
energy cell the weighted sum of squared moduli (Adelson & Bergen 1985, doi 10.1364/JOSAA.2.000284).
For images there is one subunit, ``z`` itself.

Contrast gain, the surround and answers to holes (:mod:`insilico.simulation.neighborhood`) act
between :meth:`SimulatedV1Network.drive` and the returned response where the population has them.
Behavior, calcium and noise belong to the recording (:mod:`insilico.simulation.responses`), not to
the neuron.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insilico.models.context import Reach
from insilico.models.network import Network, select_neurons
from insilico.screen import Screen
from insilico.simulation.kernels import spatial_kernels, temporal_kernels
from insilico.simulation.neighborhood import Neighborhood
from insilico.simulation.normalization import column
from insilico.stimuli.stimuli import Kind


class SimulatedV1Network(Network):
    """Answers of a simulated population.

    Parameters
    ----------
    population : DataFrame
        As :func:`insilico.simulation.draw_population` draws it, with the columns of
        :func:`insilico.simulation.draw_normalization` and
        :func:`insilico.simulation.draw_contextual_population` where neurons have a contrast gain,
        a surround or answers to holes.
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
    neighborhood: Neighborhood | None

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
        self.neighborhood = None
        if any(column(population, name).any() for name in _STRENGTHS):
            self.neighborhood = Neighborhood(population, screen=screen, is_movie=kind == "movie")

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons of the one mouse."""
        return {self.mouse: len(self.is_energy)}

    def reach(self, frame_count: int) -> Reach:
        """Return the past that the temporal filters span, all delays included; none in images."""
        return Reach(past=self.preferred.shape[-1] - 1 if self.kind == "movie" else 0, future=0)

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
        answer = self.drive(stimulus, neurons)
        if self.neighborhood is not None:
            answer = self.neighborhood(answer, stimulus, neurons)
        return answer * (gain[:, None] if self.kind == "movie" else gain)

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

    def _keep(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32))


#: Columns that bring the neighborhood into play where one of them is not 0.
_STRENGTHS = ("contrast_gain", "surround_strength", "facilitation", "hole_strength")


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
