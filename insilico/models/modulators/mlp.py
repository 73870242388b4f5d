"""The mlp modulator: past values scale the present one; behavior and gaze add to it."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import CheckpointError
from insilico.models.context import Reach
from insilico.models.modulators.modulator import Modulator
from insilico.models.modulators.window_network import WindowNetwork
from insilico.models.network import select_neurons

ModulatorState = Literal["nothing", "behavior", "behavior and gaze"]


class MLPModulator(Modulator):
    """Scale each value by what came before it, then add the effect of behavior and gaze.

    ``y = x · sigmoid(W₂ GELU(W₁ past))``, the same weights for all neurons, then
    ``y + tanh(V₂ GELU(V₁ state))``, V₂ with a row for each neuron; all with biases, and dropout
    after the GELU.

    Parameters
    ----------
    neuron_count : int
        Number of neurons.
    behavior_count : int
        Variables of behavior; gaze has two more.
    history_frames : int, default 5
        Past frames; the present one is not among them.
    history_dropout, state_dropout : float, default 0.0
        Share of hidden units that training silences.
    reads_history : bool, default True
        Whether there is the first part.
    reads_state : {"nothing", "behavior", "behavior and gaze"}
        What the second part reads.

    Raises
    ------
    CheckpointError
        If neither part has something to read, or ``reads_state`` is unknown.

    References
    ----------
    ViV1T (first release), src/viv1t/model/modulators/mlp.py.
    """

    def __init__(
        self,
        neuron_count: int,
        behavior_count: int,
        *,
        history_frames: int = 5,
        history_dropout: float = 0.0,
        reads_history: bool = True,
        reads_state: ModulatorState = "behavior and gaze",
        state_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = {"nothing": 0, "behavior": behavior_count, "behavior and gaze": behavior_count + 2}
        if reads_state not in widths:
            raise CheckpointError(
                f"the option modulator_reads_state is {reads_state!r}; give one of "
                f"{', '.join(widths)}"
            )
        self.state_width = widths[reads_state]
        self.reads_history = reads_history
        if not (reads_history or self.state_width):
            raise CheckpointError(
                "the mlp modulator has nothing to read; set modulator_reads_history or "
                "modulator_reads_state, or modulator to 'none'"
            )
        if reads_history:
            self.history = WindowNetwork(
                history_frames, hidden_units=history_frames, dropout=history_dropout
            )
        if self.state_width:
            self.state_hidden = nn.Linear(self.state_width, self.state_width)
            self.state_dropout = nn.Dropout(state_dropout)
            self.state_answer = nn.Linear(self.state_width, neuron_count)

    @property
    def reach(self) -> Reach:
        """Frames of the history."""
        return Reach(past=self.history.frames if self.reads_history else 0, future=0)

    def forward(self, value: Tensor, state: Tensor, *, neurons: Tensor | None = None) -> Tensor:
        """Return the modulated values; see :meth:`Modulator.forward`."""
        if self.reads_history:
            past = F.pad(value, (self.history.frames, 0))[..., :-1]
            value = value * self.history(past).sigmoid()
        if self.state_width:
            frames = state[:, : self.state_width].transpose(1, 2)
            hidden = self.state_dropout(F.gelu(self.state_hidden(frames)))
            weight = select_neurons(self.state_answer.weight, neurons, axis=0)
            bias = select_neurons(self.state_answer.bias, neurons, axis=0)
            value = value + F.linear(hidden, weight, bias).tanh().transpose(1, 2)
        return value
