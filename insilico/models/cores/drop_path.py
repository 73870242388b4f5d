"""Stochastic depth: whole branches of a block are left out in training."""

from __future__ import annotations

from torch import Tensor, nn


class DropPath(nn.Module):
    """Set whole rows of a branch to zero in training, and scale those that stay.

    Parameters
    ----------
    probability : float
        Of a row to be dropped; in [0, 1).

    References
    ----------
    Huang et al. 2016, "Deep networks with stochastic depth"; the mode "row" of
    ViV1T-closed-loop, viv1t/model/core/vivit.py.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """Drop rows of ``branch`` (row, …) in training; return it as it is in evaluation."""
        if not self.training or self.probability == 0:
            return branch
        kept = 1 - self.probability
        shape = len(branch), *[1] * (branch.ndim - 1)
        return branch * branch.new_empty(shape).bernoulli_(kept).div_(kept)
