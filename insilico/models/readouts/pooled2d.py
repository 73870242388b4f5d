"""The pooled readout: every neuron reads one point of the feature map at several scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import ShapeError
from insilico.models.network import select_neurons
from insilico.models.readouts.gaussian2d import read_points
from insilico.models.readouts.readout import Readout, check_channels, check_shift, keep_on_map


class PointPooled2d(Readout):
    """Read the feature map and its averages over larger and larger squares at one learned point.

    The same point is read at every scale: pooling spreads its gradient over the map, so that it
    can find its place without being drawn at random. Names of parameters are the published ones.

    Parameters
    ----------
    channels : int
        Feature channels.
    neuron_count : int
        Number of neurons.
    map_shape : (int, int)
        Rows and columns of the feature map.
    pool_steps : int, default 2
        Averages, one after another; 0 reads the map itself only.
    pool_kernel : int, default 3
        Side of the averaged squares, and their distance.
    initial_position_range : float, default 0.2
        Points start uniformly within plus and minus this; the map is 2 wide.

    Raises
    ------
    ShapeError
        If the map is too small to be pooled so often.

    References
    ----------
    Names, formulas and initial values: neuralpredictors 0.3.0, layers/readouts/point_pooled.py;
    defaults: Lurz_2020_code.
    """

    def __init__(
        self,
        channels: int,
        neuron_count: int,
        *,
        map_shape: tuple[int, int],
        pool_steps: int = 2,
        pool_kernel: int = 3,
        initial_position_range: float = 0.2,
    ) -> None:
        super().__init__()
        if pool_steps < 0 or pool_kernel < 1 or min(map_shape) < pool_kernel**pool_steps:
            raise ShapeError(
                f"a feature map of {map_shape[0]} by {map_shape[1]} cells cannot be pooled "
                f"{pool_steps} times by {pool_kernel}; give fewer pool_steps or a smaller "
                "pool_kernel"
            )
        self.neuron_count = neuron_count
        self.channels = channels
        self.pool_steps = pool_steps
        self.pool_kernel = pool_kernel
        weights = channels * (pool_steps + 1)
        self.grid = nn.Parameter(
            torch.empty(1, neuron_count, 1, 2).uniform_(
                -initial_position_range, initial_position_range
            )
        )
        self.features = nn.Parameter(torch.full((1, weights, 1, neuron_count), 1 / channels))
        self.bias = nn.Parameter(torch.zeros(neuron_count))

    def positions(self, neurons: Tensor | None = None) -> Tensor:
        """Return the point of each neuron.

        Parameters
        ----------
        neurons : int64 tensor, shape (neuron,), optional
            The asked neurons; all when left out.

        Returns
        -------
        float tensor, shape (neuron, 2)
            Points (x, y) in [-1, 1], the centers of the corner cells of the feature map.
        """
        return select_neurons(self.grid[0, :, 0], neurons, axis=0).clamp(-1, 1)

    def forward(
        self,
        features: Tensor,
        *,
        neurons: Tensor | None = None,
        shift: Tensor | None = None,
        state: Tensor | None = None,
    ) -> Tensor:
        """Read each neuron's point at every scale; see :meth:`Readout.forward`.

        The shift is added after points were clamped to the map, so a point may leave it.
        """
        check_channels(features, self.channels)
        if self.training:
            keep_on_map(self.grid)
        points = self.positions(neurons).expand(len(features), -1, -1)
        if shift is not None:
            check_shift(shift, len(features))
            points = points + shift[:, None]
        weights = select_neurons(self.features[0, :, 0], neurons, axis=1)
        value = select_neurons(self.bias, neurons, axis=0).expand(len(features), -1)
        for scale, scale_weights in enumerate(torch.split(weights, self.channels)):
            if scale > 0:
                features = F.avg_pool2d(features, self.pool_kernel)
            value = value + read_points(features, points, scale_weights)
        return value

    def regularizer(self) -> Tensor:
        """Sum of the absolute feature weights."""
        return self.features.abs().sum()
