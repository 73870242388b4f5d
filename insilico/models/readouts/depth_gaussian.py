"""The Gaussian readout with a predictor of receptive fields for each imaging plane."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insilico.errors import UnitsError
from insilico.models.network import select_neurons
from insilico.models.readouts.cortex import normalize_cortex, position_predictor
from insilico.models.readouts.gaussian2d import FullGaussian2d, GaussType


class DepthGaussian2d(FullGaussian2d):
    """Read as the Gaussian readout does, each imaging plane with a predictor of its own.

    Planes are the distinct depths of the neurons, from the smallest z to the largest. Neurons keep
    their order.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.
    depth_groups : int
        Number of predictors: imaging planes, or more.
    gauss_type, predictor_hidden_units, initial_sigma, cortex_axes, state_count, state_dropout
        As for :class:`~insilico.models.readouts.gaussian2d.FullGaussian2d`.

    Attributes
    ----------
    source_grid : float tensor, shape (neuron, axis)
        Cortical positions, normalized in each plane alone.
    depth_group : int64 tensor, shape (neuron,)
        Index of each neuron's plane; zeros until they are set or loaded.

    Raises
    ------
    UnitsError
        If there is not one group or more.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/readout, "depth-gaussian". There the forward pass cannot run,
    and neurons would come out in the order of their planes.
    """

    depth_group: Tensor
    mu_transform: nn.ModuleList

    def __init__(
        self,
        channels: int,
        neuron_count: int,
        *,
        depth_groups: int,
        gauss_type: GaussType = "full",
        predictor_hidden_units: int = 30,
        initial_sigma: float = 0.1,
        cortex_axes: int = 2,
        state_count: int = 0,
        state_dropout: float = 0.0,
    ) -> None:
        if depth_groups < 1:
            raise UnitsError(
                f"depth_groups is {depth_groups}; give the number of imaging planes, 1 or more"
            )
        super().__init__(
            channels,
            neuron_count,
            gauss_type=gauss_type,
            initial_sigma=initial_sigma,
            cortex_axes=cortex_axes,
            state_count=state_count,
            state_dropout=state_dropout,
        )
        self.register_buffer("depth_group", torch.zeros(neuron_count, dtype=torch.int64))
        self.mu_transform = nn.ModuleList(
            [position_predictor(cortex_axes, predictor_hidden_units) for _ in range(depth_groups)]
        )

    def _predict_positions(self, neurons: Tensor | None) -> Tensor:
        # Every predictor answers every neuron: cheaper than sorting neurons out, which a GPU would
        # have to wait for.
        grid = select_neurons(self.source_grid, neurons, axis=0)
        points = torch.stack([predict(grid) for predict in self.mu_transform], dim=1)
        group = select_neurons(self.depth_group, neurons, axis=0)
        return points[torch.arange(len(grid), device=grid.device), group]

    def _place(self, position_um: Tensor) -> None:
        if position_um.shape[1] < 3:
            raise UnitsError(
                "the readout groups neurons by depth, and position_um has no z; give depths, or "
                "set the option readout to 'gaussian'"
            )
        depths_um, group = torch.unique(position_um[:, 2], return_inverse=True)
        groups = len(self.mu_transform)
        if len(depths_um) > groups:
            raise UnitsError(
                f"the neurons lie at {len(depths_um)} depths, and there are {groups} groups; set "
                "the option depth_groups to the number of imaging planes, and give every neuron "
                "the depth of its plane"
            )
        self.depth_group.copy_(group)
        axes = self.source_grid.shape[1]
        position_um = position_um[:, :axes].to(self.source_grid)
        for index in range(len(depths_um)):
            members = group.to(position_um.device) == index
            self.source_grid[members] = normalize_cortex(position_um[members])
