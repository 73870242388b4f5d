"""The state encoder: what behavior and gaze add to the features that every neuron reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insilico.errors import ShapeError, UnitsError


class StateEncoder(nn.Sequential):
    """Small network from behavior and gaze to one vector of features, in (-1, 1).

    Names of parameters are the published ones.

    Parameters
    ----------
    state_count : int
        Variables of behavior and gaze.
    channels : int
        Feature channels, and hidden units.
    dropout : float, default 0.0
        Share of hidden units that training silences.

    References
    ----------
    ViV1T (first release), src/viv1t/model/readout/gaussian2d.py.
    """

    def __init__(self, state_count: int, channels: int, *, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Linear(state_count, channels),
            nn.LayerNorm(channels),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(channels, channels),
            nn.Tanh(),
        )
        self.state_count = state_count

    def check(self, state: Tensor | None, trials: int) -> Tensor:
        """Return the state (trial, variable), which is there and has one row a trial.

        Raises
        ------
        UnitsError
            If there is none.
        ShapeError
            If it is not one value a trial and variable.
        """
        if state is None:
            raise UnitsError("the readout reads behavior and gaze; give its state")
        if state.shape != (trials, self.state_count):
            raise ShapeError(
                f"the state has shape {tuple(state.shape)}; give one value a trial and variable: "
                f"({trials}, {self.state_count})"
            )
        return state

    @torch.no_grad()
    def resting(self) -> Tensor:
        """Return the vector (channel,) of a state of zeros, nothing silenced."""
        was_training = self.training
        state = next(self.parameters()).new_zeros(1, self.state_count)
        answer: Tensor = self.eval()(state)[0]
        self.train(was_training)
        return answer
