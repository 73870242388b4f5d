"""The full Gaussian readout: every neuron reads the feature map at one point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import UnitsError
from insilico.models.network import select_neurons
from insilico.models.readouts.cortex import normalize_cortex, position_predictor
from insilico.models.readouts.points import PointReadout
from insilico.models.readouts.readout import (
    Readout,
    check_channels,
    check_shift,
    keep_on_map,
    read_in_parts,
)
from insilico.models.readouts.state_encoder import StateEncoder

GaussType = Literal["full", "uncorrelated", "isotropic"]

#: Shape of one neuron's ``sigma`` by kind of Gaussian.
SIGMA_SHAPES: dict[str, tuple[int, int]] = {
    "full": (2, 2),
    "uncorrelated": (1, 2),
    "isotropic": (1, 1),
}


class FullGaussian2d(Readout):
    """Read features at a point that is drawn from a Gaussian in training, its mean in evaluation.

    The mean is a parameter of each neuron, or predicted from its place in the cortex. Where asked,
    a state encoder adds one vector, computed from behavior and gaze, to the features that every
    neuron reads. Names of parameters and buffers are those of the published files.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.
    position : {"cortex", "free"}
        Whether the mean is predicted from cortical position or is a parameter.
    gauss_type : {"full", "uncorrelated", "isotropic"}
        Covariance of the training-time samples.
    predictor_hidden_units : int, default 30
        Hidden units of the predictor.
    initial_sigma : float, default 0.1
        Spread of the samples before training; the map is 2 wide.
    initial_position_range : float, default 0.3
        Free means start uniformly within plus and minus this.
    cortex_axes : {2, 3}
        Whether the mean is predicted from cortical x and y, or from depth too.
    state_count : int, default 0
        Variables of behavior and gaze that a state encoder reads; 0 for no encoder.
    state_dropout : float, default 0.0
        Share of the state encoder's hidden units that training silences.

    Attributes
    ----------
    source_grid : float tensor, shape (neuron, axis)
        Normalized cortical positions
        (see :func:`~insilico.models.readouts.cortex.normalize_cortex`); zeros until they are set
        or loaded. Only with ``position="cortex"``.

    Raises
    ------
    UnitsError
        If ``position``, ``gauss_type`` or ``cortex_axes`` is unknown.

    References
    ----------
    Lurz et al. 2021, "Generalization in data-driven models of primary visual cortex"; names,
    formulas and initial values: neuralpredictors 0.3.0, layers/readouts/gaussian.py; defaults: the
    published checkpoints of sensorium, notebooks/model_tutorial. The movie networks start from an
    ``initial_sigma`` of 1 and an ``initial_position_range`` of 0.2 (ViV1T-closed-loop,
    viv1t/model/readout). State encoder: ViV1T (first release), src/viv1t/model/readout.
    """

    source_grid: Tensor
    mu_transform: nn.Module

    def __init__(
        self,
        channels: int,
        neuron_count: int,
        *,
        position: Literal["cortex", "free"] = "cortex",
        gauss_type: GaussType = "full",
        predictor_hidden_units: int = 30,
        initial_sigma: float = 0.1,
        initial_position_range: float = 0.3,
        cortex_axes: int = 2,
        state_count: int = 0,
        state_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if position not in ("cortex", "free"):
            raise UnitsError(f"the readout's position is {position!r}; give 'cortex' or 'free'")
        if gauss_type not in SIGMA_SHAPES:
            raise UnitsError(f"gauss_type is {gauss_type!r}; give one of {', '.join(SIGMA_SHAPES)}")
        if cortex_axes not in (2, 3):
            raise UnitsError(
                f"cortex_axes is {cortex_axes}; give 2 for cortical x and y, or 3 with depth"
            )
        self.neuron_count = neuron_count
        self.gauss_type = gauss_type
        self.position = position
        sigma = torch.full((1, neuron_count, *SIGMA_SHAPES[gauss_type]), initial_sigma)
        if gauss_type == "full":
            sigma.uniform_(-initial_sigma, initial_sigma)
        self.sigma = nn.Parameter(sigma)
        self._features = nn.Parameter(torch.full((1, channels, 1, neuron_count), 1 / channels))
        self.bias = nn.Parameter(torch.zeros(neuron_count))
        if position == "cortex":
            self.register_buffer("source_grid", torch.zeros(neuron_count, cortex_axes))
            self.mu_transform = position_predictor(cortex_axes, predictor_hidden_units)
        else:
            start = torch.empty(1, neuron_count, 1, 2)
            start.uniform_(-initial_position_range, initial_position_range)
            self._mu = nn.Parameter(start)
        self.reads_state = state_count > 0
        if self.reads_state:
            self.state_encoder = StateEncoder(state_count, channels, dropout=state_dropout)

    def positions(self, neurons: Tensor | None = None) -> Tensor:
        """Return the mean point of each neuron.

        Parameters
        ----------
        neurons : int64 tensor, shape (neuron,), optional
            The asked neurons; all when left out.

        Returns
        -------
        float tensor, shape (neuron, 2)
            Points (x, y) in [-1, 1], the centers of the corner cells of the feature map.
        """
        if self.position == "cortex":
            means = self._predict_positions(neurons)
        else:
            means = select_neurons(self._mu[0, :, 0], neurons, axis=0)
        return means.clamp(-1, 1)

    def _predict_positions(self, neurons: Tensor | None) -> Tensor:
        """Return the points (neuron, 2) that cortical positions stand for."""
        points: Tensor = self.mu_transform(select_neurons(self.source_grid, neurons, axis=0))
        return points

    def sample(self, trials: int, neurons: Tensor | None = None) -> Tensor:
        """Draw a point for each trial and neuron, clamped to the map.

        Parameters
        ----------
        trials : int
            Points per neuron.
        neurons : int64 tensor, shape (neuron,), optional
            The asked neurons; all when left out.

        Returns
        -------
        float tensor, shape (trial, neuron, 2)
        """
        means = self.positions(neurons)
        sigma = select_neurons(self.sigma[0], neurons, axis=0)
        noise = torch.randn(trials, *means.shape, device=means.device, dtype=means.dtype)
        if self.gauss_type == "full":
            spread = torch.einsum("nij,tnj->tni", sigma, noise)
        else:
            spread = sigma[:, 0] * noise
        return (means + spread).clamp(-1, 1)

    def forward(
        self,
        features: Tensor,
        *,
        neurons: Tensor | None = None,
        shift: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """Read each neuron's point of a feature map; see :meth:`Readout.forward`.

        The shift is added to every point after it was clamped to the map; a point may leave the
        map, where features are zero.

        Raises
        ------
        ShapeError
            If the map has other channels, or shift or state is not one row a trial.
        UnitsError
            If there is a state encoder, and no state.
        """
        check_channels(features, self._features.shape[1])
        trials = len(features)
        if self.training and self.position == "free":
            keep_on_map(self._mu)
        points = (
            self.sample(trials, neurons)
            if self.training
            else self.positions(neurons).expand(trials, -1, -1)
        )
        if shift is not None:
            check_shift(shift, trials)
            points = points + shift[:, None]
        weights = select_neurons(self._features[0, :, 0], neurons, axis=1)
        value = read_points(features, points, weights) + select_neurons(self.bias, neurons, axis=0)
        if self.reads_state:
            value = value + self.state_encoder(self.state_encoder.check(state, trials)) @ weights
        return value

    def at_fixed_points(
        self, map_shape: tuple[int, int], *, neurons: Tensor, shift: Tensor | None = None
    ) -> PointReadout:
        """Return the evaluation-mode readout for one shift; see :meth:`Readout.at_fixed_points`.

        Parameters are copied into it: gradients flow to the features alone.
        """
        with torch.no_grad():
            points = self.positions(neurons)
            return PointReadout(
                points if shift is None else points + shift,
                select_neurons(self._features[0, :, 0], neurons, axis=1).T,
                select_neurons(self.bias, neurons, axis=0),
                map_shape=map_shape,
            )

    def initialize(
        self,
        *,
        position_um: Tensor | None,
        mean_response: Tensor | None,
        inverse: Callable[[Tensor], Tensor],
    ) -> None:
        """Set the bias, and the cortical positions where they are used; see :class:`Readout`.

        With a state encoder, the mean response is the answer to a feature map and a state of zeros.
        """
        super().initialize(position_um=position_um, mean_response=mean_response, inverse=inverse)
        if mean_response is not None and self.reads_state:
            with torch.no_grad():
                self.bias.sub_(self.state_encoder.resting() @ self._features[0, :, 0])
        if self.position != "cortex":
            return
        if position_um is not None:
            self._check_rows("position_um", position_um, ndim=2)
            self._place(position_um)
        elif self.neuron_count > 1 and not self.source_grid.any():
            raise UnitsError(
                "the readout predicts receptive fields from cortical positions, and none are "
                "given; give position_um, or set the option position to 'free'"
            )

    def _place(self, position_um: Tensor) -> None:
        """Set cortical positions."""
        axes = self.source_grid.shape[1]
        if position_um.shape[1] < axes:
            raise UnitsError(
                f"the readout predicts receptive fields from {axes} cortical coordinates, and "
                f"position_um has {position_um.shape[1]}; give depths too, or set the option "
                "cortex_axes to 2"
            )
        self.source_grid.copy_(normalize_cortex(position_um[:, :axes].to(self.source_grid)))

    def regularizer(self) -> Tensor:
        """Sum of the absolute feature weights."""
        return self._features.abs().sum()


def read_points(features: Tensor, points: Tensor, weights: Tensor) -> Tensor:
    """Interpolate a map at points of each trial, and weight its channels.

    Parameters
    ----------
    features : float tensor, shape (trial, channel, y, x)
        Zero outside.
    points : float tensor, shape (trial, neuron, 2)
        (x, y); -1 and 1 are the centers of the corner cells.
    weights : float tensor, shape (channel, neuron)
        Weight of each channel.

    Returns
    -------
    float tensor, shape (trial, neuron)
    """
    return read_in_parts(_read_points, features, points, weights)


def _read_points(features: Tensor, points: Tensor, weights: Tensor) -> Tensor:
    sampled = F.grid_sample(features, points[:, :, None], align_corners=True)[..., 0]
    return (sampled * weights).sum(dim=1)
