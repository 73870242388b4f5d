"""Shifters: from gaze to a displacement of the receptive fields."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from insilico.errors import ShapeError


class MLPShifter(nn.Module):
    """Small tanh network from the pupil center to a shift of all readout points.

    Parameters
    ----------
    hidden_units : int, default 5
        Units of each hidden layer.
    layers : int, default 3
        Linear layers, 1 or more.

    References
    ----------
    neuralpredictors 0.3.0, layers/shifters/mlp.py; defaults: sensorium, models/models.py.
    """

    def __init__(self, *, hidden_units: int = 5, layers: int = 3) -> None:
        super().__init__()
        widths = (2, *(layers - 1) * [hidden_units], 2)
        self.mlp = nn.Sequential()
        for inputs, outputs in itertools.pairwise(widths):
            self.mlp.extend([nn.Linear(inputs, outputs), nn.Tanh()])

    def forward(self, pupil_center: Tensor) -> Tensor:
        """Return the shift of each trial.

        Parameters
        ----------
        pupil_center : float tensor, shape (trial, 2)
            Standardized gaze.

        Returns
        -------
        float tensor, shape (trial, 2)
            In [-1, 1]; the feature map is 2 wide.

        Raises
        ------
        ShapeError
            If there is not one pair a trial.
        """
        if pupil_center.ndim != 2 or pupil_center.shape[1] != 2:
            raise ShapeError(
                f"pupil_center has shape {tuple(pupil_center.shape)}; give one (x, y) a trial"
            )
        shift: Tensor = self.mlp(pupil_center)
        return shift
