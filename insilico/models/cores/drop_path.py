"""Dropout of whole rows: stochastic depth, and dropout of tokens."""

from __future__ import annotations

from torch import Tensor, nn


class DropPath(nn.Module):
    """Set whole rows of a branch to zero in training, and scale those that stay.

    Parameters
    ----------
    probability : float
        Of a row to be dropped; in [0, 1).
    axes : int, default 1
        Leading axes that count rows; -1 for all but the last, which drops whole tokens.

    References
    ----------
    Huang et al. 2016, "Deep networks with stochastic depth"; the mode "row" of
    ViV1T-closed-loop, viv1t/model/core/vivit.py.
    """

    def __init__(self, probability: float, *, axes: int = 1) -> None:
        super().__init__()
        self.probability, self.axes = probability, axes

    def forward(self, branch: Tensor) -> Tensor:
        """Drop rows of ``branch`` (row, …) in training; return it as it is in evaluation."""
        if not self.training or self.probability == 0:
            return branch
        kept = 1 - self.probability
        rows = branch.shape[: self.axes]
        shape = *rows, *[1] * (branch.ndim - len(rows))
        return branch * branch.new_empty(shape).bernoulli_(kept).div_(kept)
