"""How much time there is for making stimuli."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from insilico.errors import StimulusError


class Clock:
    """The time that is left, where there is a deadline.

    Parameters
    ----------
    seconds : float or None
        From now; None is no deadline.
    whole_s : callable, optional
        Of a clock for a part of the time: from seconds that the part should have had to those that
        should have been given in all.

    Attributes
    ----------
    asked_s : float or None
        The seconds.

    Raises
    ------
    StimulusError
        If they are no number.
    """

    def __init__(
        self, seconds: float | None = None, *, whole_s: Callable[[float], float] | None = None
    ) -> None:
        if seconds is not None and math.isnan(seconds):
            raise StimulusError("the time for making stimuli is not a number; give seconds")
        self.asked_s, self._whole_s = seconds, whole_s
        self._begun = time.monotonic()

    @property
    def has_deadline(self) -> bool:
        """Whether time ends."""
        return self.asked_s is not None

    @property
    def used_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._begun

    @property
    def left_s(self) -> float:
        """Seconds left; infinite without a deadline."""
        return float("inf") if self.asked_s is None else self.asked_s - self.used_s

    def whole_s(self, seconds: float) -> float:
        """Return what should have been given in all for this clock to have some seconds."""
        return seconds if self._whole_s is None else self._whole_s(seconds)

    def part(self, share: float) -> Clock:
        """Return a clock for a share of the time left; this one where there is no deadline."""
        if not self.has_deadline:
            return self
        used_s = self.used_s
        return Clock(self.left_s * share, whole_s=lambda s: self.whole_s(used_s + s / share))
