"""The window modulator: the last frames of a value, behavior and gaze add to it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from insilico.models.context import Reach
from insilico.models.modulators.modulator import Modulator
from insilico.models.modulators.window_network import WindowNetwork


class WindowModulator(Modulator):
    """Add what a small network says of the last frames of each neuron's value and of the state.

    ``y_t = x_t + tanh(W₂ GELU(W₁ window))`` with biases, and dropout after the GELU. The window
    holds the present and past frames of the value, then of each variable, oldest first. The same
    weights serve all neurons. Hidden units are half as many as entries of the window.

    Parameters
    ----------
    behavior_count : int
        Variables of behavior; gaze has two more.
    history_frames : int, default 5
        Past frames.
    history_dropout : float, default 0.0
        Share of hidden units that training silences.

    References
    ----------
    ViV1T (first release), src/viv1t/model/modulators/mlp_v2.py.
    """

    def __init__(
        self, behavior_count: int, *, history_frames: int = 5, history_dropout: float = 0.0
    ) -> None:
        super().__init__()
        entries = (behavior_count + 3) * (history_frames + 1)
        self.window = WindowNetwork(
            history_frames + 1,
            state_count=behavior_count + 2,
            hidden_units=entries // 2,
            dropout=history_dropout,
        )

    @property
    def reach(self) -> Reach:
        """Frames of the window."""
        return Reach(past=self.window.frames - 1, future=0)

    def forward(self, value: Tensor, state: Tensor, *, neurons: Tensor | None = None) -> Tensor:
        """Return the modulated values; see :meth:`Modulator.forward`."""
        past = self.window.frames - 1
        added: Tensor = self.window(F.pad(value, (past, 0)), F.pad(state, (past, 0)))
        return value + added.tanh()
