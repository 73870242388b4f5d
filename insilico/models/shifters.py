"""Shifters: from gaze to a displacement of the receptive fields."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from insilico.errors import ShapeError


class MLPShifter(nn.Module):
    """Small tanh network from the gaze, and where asked behavior, to a shift of all readout points.

    Parameters
    ----------
    inputs : int, default 2
        Variables it reads: behavior, if any, then gaze x and y.
    hidden_units : int, default 5
        Units of each hidden layer.
    layers : int, default 3
        Linear layers, 1 or more.

    References
    ----------
    neuralpredictors 0.3.0, layers/shifters/mlp.py; defaults: sensorium, models/models.py.
    """

    def __init__(self, *, inputs: int = 2, hidden_units: int = 5, layers: int = 3) -> None:
        super().__init__()
        self.inputs = inputs
        widths = (inputs, *(layers - 1) * [hidden_units], 2)
        self.mlp = nn.Sequential()
        for width, next_width in itertools.pairwise(widths):
            self.mlp.extend([nn.Linear(width, next_width), nn.Tanh()])

    def forward(self, state: Tensor) -> Tensor:
        """Return the shift of each trial.

        Parameters
        ----------
        state : float tensor, shape (trial, input)
            Standardized behavior, if it is read, then gaze x and y.

        Returns
        -------
        float tensor, shape (trial, 2)
            In [-1, 1]; the feature map is 2 wide.

        Raises
        ------
        ShapeError
            If there is not one value an input and trial.
        """
        if state.ndim != 2 or state.shape[1] != self.inputs:
            raise ShapeError(
                f"what moves the readout has shape {tuple(state.shape)}; give one value a trial "
                f"and input: (trial, {self.inputs})"
            )
        shift: Tensor = self.mlp(state)
        return shift
