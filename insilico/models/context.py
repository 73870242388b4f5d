"""What surrounds a frame in time: how far an answer looks, and gray that came before."""

from __future__ import annotations

import dataclasses

from torch import Tensor

#: Most bytes that a twin keeps of a lead. Keys and values of all 576 patches of ViV1T take 1.3 GB
#: for 135 frames of gray.
KEPT_BYTES = 2 << 30


@dataclasses.dataclass(frozen=True)
class Reach:
    """Which frames of a movie the answer to one of them depends on, beside itself.

    Attributes
    ----------
    past, future : int or None
        How many frames before it, and after it; None where there is no limit. A limited past also
        says that it does not matter when in the trial a frame is shown; a limited future, that it
        does not matter how long the trial goes on.
    """

    past: int | None = None
    future: int | None = None

    def through(self, after: Reach) -> Reach:
        """Return the reach of two stages, this one and one that looks at its answers."""
        past = None if self.past is None or after.past is None else self.past + after.past
        future = None if self.future is None or after.future is None else self.future + after.future
        return Reach(past, future)


@dataclasses.dataclass(frozen=True, eq=False)
class Lead:
    """Uniform frames that come before every stimulus, in one constant state.

    Attributes
    ----------
    frame_count : int
        How many.
    level : float tensor, shape (channel,)
        Standardized level of all pixels.
    state : float tensor, shape (variable,), or None
        Standardized behavior, as far as it is read.
    kept_bytes : int
        Most that a network may keep of it; what does not fit is computed anew each time.
    """

    frame_count: int
    level: Tensor
    state: Tensor | None = None
    kept_bytes: int = KEPT_BYTES

    def frames(self, like: Tensor, count: int | None = None) -> Tensor:
        """Return the last frames (trial, channel, frame, y, x), all of them by default."""
        count = self.frame_count if count is None else count
        level = self.level.to(like).view(1, -1, 1, 1, 1)
        return level.expand(len(like), -1, count, *like.shape[-2:])

    def states(self, like: Tensor, count: int | None = None) -> Tensor | None:
        """Return as many frames of the state, (trial, variable, frame)."""
        if self.state is None:
            return None
        count = self.frame_count if count is None else count
        return self.state.to(like).view(1, -1, 1).expand(len(like), -1, count)
