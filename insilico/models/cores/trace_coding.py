"""What a core makes of behavior and gaze before they enter it as traces."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.backends import cudnn

TraceCoding = Literal["values", "values and differences", "recurrent"]

#: Differences between frames are divided by this, the frame rate of the recordings in Hz. (A rate
#: of change would be multiplied by it; weights trained on these numbers do not care.) ViV1T (first
#: release), src/viv1t/model/core/factorized_baseline.py, behavior mode 6.
DIFFERENCE_DIVISOR = 30.0


class TraceEncoder(nn.Module):
    """Turn the state of a movie into the traces that enter a core.

    Parameters
    ----------
    state_count : int
        Variables of behavior and gaze.
    coding : {"values", "values and differences", "recurrent"}
        The values themselves; the values, then how much each changed since the frame before (zero
        in the first); or the states of a gated recurrent unit as wide as there are variables, which
        has read them since the movie began.

    Attributes
    ----------
    trace_count : int
        Number of traces.

    References
    ----------
    ViV1T (first release), src/viv1t/model/core/factorized_baseline.py, behavior modes 2, 6 and 8.
    """

    def __init__(self, state_count: int, *, coding: TraceCoding) -> None:
        super().__init__()
        self.coding = coding
        self.trace_count = state_count * (2 if coding == "values and differences" else 1)
        if coding == "recurrent" and state_count:
            self.gru = nn.GRU(state_count, state_count, batch_first=True)

    def forward(self, state: Tensor | None) -> Tensor | None:
        """Return the traces (trial, trace, frame) of a state (trial, variable, frame)."""
        if state is None or self.coding == "values":
            return state
        if self.coding == "recurrent":
            return self._recur(state)
        changes = F.pad(state.diff(dim=2), (1, 0)) / DIFFERENCE_DIVISOR
        return torch.cat([state, changes], dim=1)

    def _recur(self, state: Tensor) -> Tensor:
        # The recurrent layer of cuDNN has no gradient in evaluation mode.
        usual = contextlib.nullcontext() if self.training else cudnn.flags(enabled=False)
        with usual:
            states: Tensor = self.gru(state.transpose(1, 2))[0]
        return states.transpose(1, 2)
