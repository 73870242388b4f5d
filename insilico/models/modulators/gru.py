"""The gru modulator: a recurrent network of all neurons adds to each."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import CheckpointError
from insilico.models.modulators.modulator import Modulator
from insilico.models.network import select_neurons


class GRUModulator(Modulator):
    """Add what a small recurrent network says, which sees all neurons, behavior and gaze.

    ``u_t = x_t + dropout(tanh(V state_t))``, ``h_t = GRU(u_t, h_{t-1})`` from zeros, and
    ``y_t = x_t + tanh(W h_t)``; all with biases.

    Parameters
    ----------
    neuron_count : int
        Number of neurons.
    behavior_count : int
        Variables of behavior; gaze has two more.
    hidden_units : int, default 16
        Size of h; 0 for as many as neurons.
    state_dropout : float, default 0.0
        Share of neurons whose drive by behavior and gaze training silences, drawn anew each frame.

    Raises
    ------
    CheckpointError
        If ``hidden_units`` is negative.

    References
    ----------
    ViV1T (first release), src/viv1t/model/modulators/gru.py.
    """

    mixes_neurons: ClassVar[bool] = True

    def __init__(
        self,
        neuron_count: int,
        behavior_count: int,
        *,
        hidden_units: int = 16,
        state_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if hidden_units < 0:
            raise CheckpointError(
                f"the option modulator_hidden_units is {hidden_units}; give 1 or more, or 0 for as "
                "many as neurons"
            )
        hidden_units = hidden_units or neuron_count
        self.state_drive = nn.Linear(behavior_count + 2, neuron_count)
        self.state_dropout = nn.Dropout(state_dropout)
        self.cell = nn.GRUCell(neuron_count, hidden_units)
        self.answer = nn.Linear(hidden_units, neuron_count)

    def forward(self, value: Tensor, state: Tensor, *, neurons: Tensor | None = None) -> Tensor:
        """Return the modulated values; see :meth:`Modulator.forward`."""
        drive = self.state_dropout(self.state_drive(state.transpose(1, 2)).tanh())
        # The cell frame by frame: the recurrent layer of cuDNN has no gradient in evaluation mode.
        hidden = value.new_zeros(len(value), self.cell.hidden_size)
        memory = []
        for frame in (value.transpose(1, 2) + drive).unbind(1):
            hidden = self.cell(frame, hidden)
            memory.append(hidden)
        weight = select_neurons(self.answer.weight, neurons, axis=0)
        bias = select_neurons(self.answer.bias, neurons, axis=0)
        added = F.linear(torch.stack(memory, dim=1), weight, bias).tanh().transpose(1, 2)
        return select_neurons(value, neurons, axis=1) + added
