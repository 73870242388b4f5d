"""Gradient clipping: at a fixed norm, or at one learned from the gradients themselves."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from insilico.errors import RecipeError

MODES = ("auto", "norm", "none")
#: Percentile of the norms seen so far at which "auto" clips (Seetharaman et al. 2020; and
#: ViV1T-closed-loop).
AUTO_PERCENTILE = 10.0
#: How many norms "auto" remembers (ViV1T-closed-loop).
HISTORY = 100_000


class GradientClipper:
    """Scales gradients down whose total norm is too large.

    Parameters
    ----------
    mode : {"auto", "norm", "none"}
        "auto": AutoClip, at a percentile of the norms of all steps before this one, taken before
        clipping; the first step is not clipped. "norm": at a fixed norm. "none": never.
    value : float, optional
        For "auto" the percentile, 0 to 100, 10 when omitted; for "norm" the largest norm allowed.

    Raises
    ------
    RecipeError
        If there is no such mode, or its value is missing or out of range.

    References
    ----------
    Seetharaman, Wichern, Pardo, Le Roux 2020, "AutoClip: adaptive gradient clipping for source
    separation networks", doi 10.1109/MLSP49062.2020.9231926. They count the present norm among
    those of the history; as ViV1T-closed-loop, we do not.
    """

    def __init__(self, mode: str = "auto", value: float | None = None) -> None:
        self.mode = mode
        self.value = _check(mode, value)
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def clip(self, parameters: Iterable[Tensor]) -> float:
        """Clip the gradients in place.

        Parameters
        ----------
        parameters : iterable of tensor
            All trained parameters; those without a gradient are passed over.

        Returns
        -------
        float
            The total norm before clipping. It is not finite where a gradient is not; such a norm
            is not remembered, and the step should not be taken.
        """
        limit = self.limit()
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        total = float(norm)
        if self.mode == "auto" and math.isfinite(total):
            self._remember(total)
        return total

    def limit(self) -> float:
        """Return the largest norm the next step may have; infinity where nothing is clipped."""
        if self.mode == "norm":
            return self.value
        if self.mode == "none" or not self._sorted:
            return math.inf
        return _quantile(self._sorted, self.value / 100)

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`load_state_dict` needs to go on exactly as before."""
        return {
            "mode": self.mode,
            "value": self.value,
            "norms": torch.tensor(list(self._recent), dtype=torch.float64),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the remembered norms.

        Raises
        ------
        RecipeError
            If the state is that of a clipper with another mode or value.
        """
        if (state["mode"], state["value"]) != (self.mode, self.value):
            raise RecipeError(
                f"gradient clipping is {self.mode!r} at {self.value:g}, but the saved state was "
                f"written with {state['mode']!r} at {state['value']:g}; resume with the same recipe"
            )
        norms = state["norms"].tolist()
        self._recent = deque(norms)
        self._sorted = sorted(norms)

    def _remember(self, norm: float) -> None:
        """Add a norm and forget the oldest, keeping the sorted copy sorted.

        Sorting 100,000 norms at every step would take longer than the step of a small model.
        """
        if len(self._recent) == HISTORY:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(norm)
        bisect.insort(self._sorted, norm)


def _check(mode: str, value: float | None) -> float:
    """Return the value of a mode, its default filled in."""
    if mode not in MODES:
        raise RecipeError(
            f"gradient clipping {mode!r} is not known; choose one of {', '.join(MODES)}"
        )
    if mode == "none":
        return math.inf
    if mode == "auto":
        percentile = AUTO_PERCENTILE if value is None else float(value)
        if not 0 <= percentile <= 100:
            raise RecipeError(
                f"gradient clipping 'auto' got the percentile {percentile:g}; give one of 0 to 100"
            )
        return percentile
    if value is None or not value > 0:
        raise RecipeError(
            f"gradient clipping 'norm' got {value} as the largest norm; give a number above 0"
        )
    return float(value)


def _quantile(ordered: list[float], fraction: float) -> float:
    """Return a quantile of sorted numbers, interpolated linearly and rounded as NumPy does."""
    place = fraction * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    share = place - low
    step = ordered[high] - ordered[low]
    if share >= 0.5:
        return ordered[high] - step * (1 - share)
    return ordered[low] + step * share
