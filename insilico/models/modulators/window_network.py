"""A small network on every window of frames of every neuron."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import CheckpointError
from insilico.models.readouts.readout import read_in_parts


class WindowNetwork(nn.Module):
    """Two linear layers with a GELU between, on every window of frames of every neuron.

    The first layer is computed as a convolution, with the part of the state once for all neurons:
    windows are never copied.

    Parameters
    ----------
    frames : int
        Frames of a window, 1 or more.
    state_count : int, default 0
        Variables beside the neuron's own.
    hidden_units : int
        Units between the layers.
    dropout : float, default 0.0
        Share of them that training silences.

    Attributes
    ----------
    hidden : Linear
        From the value's frames, then those of each variable, oldest first.
    answer : Linear
        From hidden units to one number.

    Raises
    ------
    CheckpointError
        If the window has no frames.
    """

    def __init__(
        self, frames: int, *, state_count: int = 0, hidden_units: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if frames < 1:
            raise CheckpointError(
                "the modulator looks at no frames; raise modulator_history_frames"
            )
        self.frames = frames
        self.hidden = nn.Linear((1 + state_count) * frames, hidden_units)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(hidden_units, 1)

    def forward(self, value: Tensor, state: Tensor | None = None) -> Tensor:
        """Return one number for each neuron and window.

        Parameters
        ----------
        value : float tensor, shape (trial, neuron, frame)
            With the frames that come before the first window's last.
        state : float tensor, shape (trial, variable, frame), optional
            Of the same frames.

        Returns
        -------
        float tensor, shape (trial, neuron, window)
        """
        shared = self.hidden.bias[:, None].expand(len(value), -1, value.shape[2] - self.frames + 1)
        if state is not None:
            shared = shared + F.conv1d(state, self._kernels()[:, 1:])
        return read_in_parts(self._read, shared, value, values_a_neuron=shared.numel())

    def _kernels(self) -> Tensor:
        """Return the first layer as (hidden unit, variable, frame), the value first."""
        return self.hidden.weight.view(len(self.hidden.weight), -1, self.frames)

    def _read(self, shared: Tensor, value: Tensor) -> Tensor:
        own = F.conv1d(value.flatten(0, 1)[:, None], self._kernels()[:, :1])
        hidden = own.view(*value.shape[:2], *own.shape[1:]) + shared[:, None]
        active = self.dropout(F.gelu(hidden))
        return torch.einsum("tnhf,h->tnf", active, self.answer.weight[0]) + self.answer.bias
