"""The factorized readout: every neuron has a mask in space and a weight for each channel."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.network import select_neurons
from insilico.models.readouts.readout import (
    Readout,
    check_channels,
    read_in_parts,
    refuse_shift,
)

#: Added to the norm of a mask, so that a mask of zeros stays one.
NORM_OFFSET = 1e-6


class FullFactorized2d(Readout):
    """Sum the feature map under a mask of each neuron, then weight channels.

    ``y_n = Σ_c w_nc Σ_yx m_nyx F_cyx + b_n``. Names of parameters are the published ones. A mask
    cannot move with the gaze.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.
    map_shape : (int, int)
        Rows and columns of the feature map.
    normalize_masks : bool, default True
        Whether masks are divided by their L2 norm.
    initial_noise : float, default 0.001
        Standard deviation of all weights before training.

    References
    ----------
    Klindt et al. 2017, "Neural system identification for large populations separating what and
    where"; names, formulas and initial values: neuralpredictors 0.3.0,
    layers/readouts/factorized.py.
    """

    accepts_shift: ClassVar[bool] = False

    def __init__(
        self,
        channels: int,
        neuron_count: int,
        *,
        map_shape: tuple[int, int],
        normalize_masks: bool = True,
        initial_noise: float = 1e-3,
    ) -> None:
        super().__init__()
        self.neuron_count = neuron_count
        self.normalize_masks = normalize_masks
        self.spatial = nn.Parameter(initial_noise * torch.randn(neuron_count, *map_shape))
        self._features = nn.Parameter(initial_noise * torch.randn(neuron_count, channels))
        self.bias = nn.Parameter(torch.zeros(neuron_count))

    def masks(self, neurons: Tensor | None = None) -> Tensor:
        """Return the mask of each neuron, as it is applied.

        Parameters
        ----------
        neurons : int64 tensor, shape (neuron,), optional
            The asked neurons; all when left out.

        Returns
        -------
        float tensor, shape (neuron, y, x)
        """
        masks = select_neurons(self.spatial, neurons, axis=0)
        if not self.normalize_masks:
            return masks
        return masks / (masks.square().sum(dim=(1, 2), keepdim=True).sqrt() + NORM_OFFSET)

    def forward(
        self,
        features: Tensor,
        *,
        neurons: Tensor | None = None,
        shift: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """Read the feature map under each neuron's mask; see :meth:`Readout.forward`.

        Raises
        ------
        ShapeError
            If the map has another size or number of channels.
        UnitsError
            If a shift is given.
        """
        refuse_shift(shift, kind="factorized")
        check_channels(features, self._features.shape[1])
        if features.shape[2:] != self.spatial.shape[1:]:
            raise ShapeError(
                f"the feature map is {tuple(features.shape[2:])}; the readout has masks of "
                f"{tuple(self.spatial.shape[1:])}"
            )
        masks = self.masks(neurons).flatten(1).T
        weights = select_neurons(self._features, neurons, axis=0).T
        value = read_in_parts(_read_masks, features, masks, weights)
        return value + select_neurons(self.bias, neurons, axis=0)

    def regularizer(self) -> Tensor:
        """Sum over neurons of the L1 norm of the mask times that of the channel weights.

        The published code multiplies the two sums over neurons instead (a column by a row), which
        grows with the square of their number and couples neurons that share nothing.
        """
        masks, weights = self.masks().abs().sum(dim=(1, 2)), self._features.abs().sum(dim=1)
        return (masks * weights).sum()


def _read_masks(features: Tensor, masks: Tensor, weights: Tensor) -> Tensor:
    return ((features.flatten(2) @ masks) * weights).sum(dim=1)
