"""A gated recurrent unit over the frames of a feature map, with convolutions for weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insilico.errors import ShapeError

#: Frames whose input is convolved together: what enters the gates is three times as large as the
#: state, and for a whole movie would be the largest tensor of a network.
FRAMES_AT_ONCE = 16


class ConvGRU(nn.Module):
    """Each frame moves the state by its update gate towards a candidate; the state starts at zero.

    With convolutions ``*`` that keep the size of the map, and have biases::

        update    = sigmoid(W * x + U * h)        reset = sigmoid(W' * x + U' * h)
        candidate = tanh(W" * x + U" * (reset h))
        h        <- (1 - update) h + update candidate

    Parameters
    ----------
    input_channels, hidden_channels : int
        Channels of the input and of the state.
    input_kernel, hidden_kernel : int
        Odd side of the kernels over the input and over the state, pixels.

    Raises
    ------
    ShapeError
        If a number is below 1 or a kernel is even.

    References
    ----------
    Sinz et al. 2018, "Stimulus domain transfer in recurrent models for large scale cortical
    population prediction on video"; neuralpredictors, layers/rnn_modules/gru_module.py.
    """

    def __init__(
        self, input_channels: int, hidden_channels: int, *, input_kernel: int, hidden_kernel: int
    ) -> None:
        super().__init__()
        if min(input_channels, hidden_channels, input_kernel, hidden_kernel) < 1 or not (
            input_kernel % 2 and hidden_kernel % 2
        ):
            raise ShapeError(
                f"a recurrent unit of {input_channels} and {hidden_channels} channels and kernels "
                f"of {input_kernel} and {hidden_kernel} pixels; give numbers from 1, and odd "
                "kernels, so that they have a center"
            )
        self.hidden_channels = hidden_channels
        for gate in ("update", "reset", "candidate"):
            for source, channels, kernel in (
                ("input", input_channels, input_kernel),
                ("hidden", hidden_channels, hidden_kernel),
            ):
                convolution = nn.Conv2d(channels, hidden_channels, kernel, padding="same")
                nn.init.xavier_normal_(convolution.weight)
                nn.init.zeros_(cast(Tensor, convolution.bias))
                self.add_module(f"{gate}_{source}", convolution)

    def forward(self, features: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return the state after each frame.

        Parameters
        ----------
        features : float tensor, shape (trial, channel, frame, y, x)
            The input.
        hidden : float tensor, shape (trial, hidden channel, y, x), optional
            The state before the first frame; zero when left out.

        Returns
        -------
        float tensor, shape (trial, hidden channel, frame, y, x)
        """
        trials, _, frames, *size = features.shape
        if hidden is None:
            hidden = features.new_zeros(trials, self.hidden_channels, *size)
        weight, bias = self._together("update_input", "reset_input", "candidate_input")
        folded = features.transpose(1, 2).flatten(0, 1)
        driven = F.conv2d(folded, weight, bias, padding="same").view(trials, frames, -1, *size)
        weight, bias = self._together("update_hidden", "reset_hidden")
        gate_channels = 2 * self.hidden_channels
        states = []
        for frame in range(frames):
            gates = F.conv2d(hidden, weight, bias, padding="same")
            gates = torch.sigmoid(gates + driven[:, frame, :gate_channels])
            update, reset = gates.chunk(2, dim=1)
            candidate = self.get_submodule("candidate_hidden")(reset * hidden)
            candidate = torch.tanh(candidate + driven[:, frame, gate_channels:])
            hidden = torch.lerp(hidden, candidate, update)
            states.append(hidden)
        return torch.stack(states, dim=2)

    def _together(self, *names: str) -> tuple[Tensor, Tensor]:
        """Return the weights and biases of several convolutions of one input as those of one."""
        convolutions = [self.get_submodule(name) for name in names]
        return (
            torch.cat([cast(Tensor, convolution.weight) for convolution in convolutions]),
            torch.cat([cast(Tensor, convolution.bias) for convolution in convolutions]),
        )


def in_parts(movie: Tensor) -> tuple[Tensor, ...]:
    """Return the frames of (trial, channel, frame, y, x), ``FRAMES_AT_ONCE`` at a time."""
    return torch.split(movie, FRAMES_AT_ONCE, dim=2)


def recur(gru: ConvGRU, parts: Iterable[Tensor], run: Callable[..., Tensor]) -> Tensor:
    """Return the states after all frames of a movie that comes in parts.

    Parameters
    ----------
    gru : ConvGRU
        The recurrent unit.
    parts : iterable of float tensor, shape (trial, channel, frame, y, x)
        Frames in order.
    run : callable
        ``run(layer, function, *inputs)`` returns ``function(*inputs)``, as a core has it.

    Returns
    -------
    float tensor, shape (trial, hidden channel, frame, y, x)
    """
    states: list[Tensor] = []
    for part in parts:
        before = [states[-1][:, :, -1]] if states else []
        states.append(run(gru, gru, part, *before))
    return torch.cat(states, dim=2)
