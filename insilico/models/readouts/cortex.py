"""From a neuron's place in the cortex to the point of the feature map that it reads."""

from __future__ import annotations

from torch import Tensor, nn


def position_predictor(axes: int, hidden_units: int) -> nn.Sequential:
    """Build the network from normalized cortical coordinates to a point of the map.

    Parameters
    ----------
    axes : int
        Cortical coordinates: 2 for x and y, 3 with depth.
    hidden_units : int
        Hidden units.

    Returns
    -------
    Sequential
        Takes (neuron, axis) and returns (neuron, 2), (x, y) in [-1, 1].

    References
    ----------
    neuralpredictors 0.3.0, layers/readouts/gaussian.py, ``init_grid_predictor``.
    """
    return nn.Sequential(
        nn.Linear(axes, hidden_units), nn.ELU(), nn.Linear(hidden_units, 2), nn.Tanh()
    )


def normalize_cortex(position_um: Tensor) -> Tensor:
    """Center cortical positions on each axis and divide by the largest distance on any.

    Parameters
    ----------
    position_um : float tensor, shape (neuron, 2 or 3)
        Cortical x, y and depth, micrometers.

    Returns
    -------
    float tensor, shape (neuron, 2 or 3)
        In [-1, 1]: the predictor's input; zeros where all neurons are at one place.

    References
    ----------
    neuralpredictors 0.3.0, layers/readouts/gaussian.py, ``init_grid_predictor``; with depth:
    ViV1T-closed-loop, viv1t/model/readout, ``readout_grid_mode`` 2.
    """
    centered = position_um - position_um.mean(dim=0, keepdim=True)
    farthest = centered.abs().max()
    return centered / farthest if farthest > 0 else centered
