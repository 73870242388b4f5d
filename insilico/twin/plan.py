"""What of a trial has to be computed: the execution plan that makes asking a twin fast.

Frames that no answer in the window reaches are not shown; frames of uniform gray at the beginning
are shown once and remembered. What a network allows it says itself (:meth:`Network.reach`); how it
saves the rest is its own affair (:meth:`Network.prepare`).
"""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import torch
from torch import Tensor

from insilico.models.context import KEPT_BYTES, Lead, Reach
from insilico.models.network import Network, Predict

#: How a twin computes: as fast as its network allows, or everything, as the reference.
Plan = Literal["auto", "plain"]
PLANS = get_args(Plan)


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """The part of a trial that is shown.

    Attributes
    ----------
    start, stop : int
        Frames of the trial, the end exclusive.
    remembered : int
        How many of the first of them are gray that was shown once and is remembered.
    """

    start: int
    stop: int
    remembered: int = 0


def plan_excerpt(reach: Reach, window: tuple[int, int], frame_count: int) -> Excerpt:
    """Return the frames that the answers in a window depend on.

    Parameters
    ----------
    reach : Reach
        Of the network, in trials of this length.
    window : (int, int)
        Frames that are answered, the end exclusive.
    frame_count : int
        Frames of the trial.
    """
    start = 0 if reach.past is None else max(0, window[0] - reach.past)
    stop = frame_count if reach.future is None else min(frame_count, window[1] + reach.future)
    return Excerpt(start, stop)


def count_uniform(stimulus: Tensor) -> int:
    """Return how many first frames (trial, channel, frame, y, x) are one level, in all trials."""
    level = stimulus[:1, :, :1, :1, :1]
    is_other = (stimulus != level).flatten(3).any(dim=(0, 1, 3))
    return int((is_other.cumsum(0) == 0).sum())


class FastPath:
    """One network made ready for fixed neurons and a fixed gaze.

    It remembers one lead at a time: the shortest that it has met, which serves longer ones too.

    Parameters
    ----------
    network : Network
        In evaluation mode.
    mouse : str
        Whose neurons.
    neurons : int64 tensor, shape (neuron,)
        Indices of the asked neurons.
    pupil_center : float tensor, shape (2,), or None
        One standardized gaze.
    kept_bytes : int
        Most that is kept of the lead.

    Attributes
    ----------
    shown : Excerpt or None
        What was shown of the last movies.
    """

    def __init__(
        self,
        network: Network,
        mouse: str,
        *,
        neurons: Tensor,
        pupil_center: Tensor | None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._network = network
        self._kept_bytes = kept_bytes
        self._mouse, self._neurons, self._pupil_center = mouse, neurons, pupil_center
        self._predict = self._prepare(None)
        self._lead: Lead | None = None
        self._after_lead: Predict | None = None
        self.shown: Excerpt | None = None

    def _prepare(self, lead: Lead | None) -> Predict:
        return self._network.prepare(
            self._mouse, neurons=self._neurons, pupil_center=self._pupil_center, lead=lead
        )

    def image(self, stimulus: Tensor, behavior: Tensor | None) -> Tensor:
        """Return the responses (trial, neuron) to images."""
        return self._predict(stimulus, behavior)

    def movie(
        self,
        stimulus: Tensor,
        behavior: Tensor | None,
        *,
        window: tuple[int, int],
        gray: Lead | None = None,
        is_steady: bool = True,
    ) -> Tensor:
        """Return the responses (trial, neuron, frame) in a window.

        Parameters
        ----------
        stimulus : float tensor, shape (trial, channel, frame, y, x)
            What is shown after the gray, or from the beginning where there is none.
        behavior : float tensor, shape (trial, variable, frame), or None
            In all frames of the trial.
        window : (int, int)
            Frames of the trial, gray included.
        gray : Lead, optional
            What comes before every stimulus, without a state.
        is_steady : bool
            Whether behavior is the same in all trials and frames.
        """
        before = 0 if gray is None else gray.frame_count
        frame_count = before + stimulus.shape[2]
        reach = self._network.reach(frame_count)
        if gray is not None and (reach.future is None or window[0] < before or not is_steady):
            # The gray does not look the same after every stimulus, or is to be answered itself.
            stimulus = torch.cat([gray.frames(stimulus), stimulus], dim=2)
            gray, before = None, 0
        excerpt = plan_excerpt(reach, window, frame_count)
        first = max(excerpt.start, before)
        shown = stimulus[:, :, first - before : excerpt.stop - before]
        state = None if behavior is None else behavior[:, :, first : excerpt.stop]
        self.shown = excerpt
        if gray is not None:
            answer = self._follow(Lead(before, gray.level, _first(behavior)), shown, state)
        elif is_steady and reach == Reach(None, 0) and not stimulus.requires_grad:
            answer = self._after_uniform(shown, state, window[0])
        else:
            answer = self._predict(shown, state)
        stop = answer.shape[2] - (excerpt.stop - window[1])
        return answer[..., stop - (window[1] - window[0]) : stop]

    def _after_uniform(self, stimulus: Tensor, behavior: Tensor | None, first: int) -> Tensor:
        """Answer a stimulus whose uniform frames before ``first`` are remembered."""
        count = min(count_uniform(stimulus), first)
        if count == 0:
            return self._predict(stimulus, behavior)
        lead = Lead(count, stimulus[0, :, 0, 0, 0], _first(behavior))
        if self._lead is not None and self._lead.frame_count < count and _is_same(self._lead, lead):
            lead = self._lead
        rest = None if behavior is None else behavior[:, :, lead.frame_count :]
        return self._follow(lead, stimulus[:, :, lead.frame_count :], rest)

    def _follow(self, lead: Lead, stimulus: Tensor, behavior: Tensor | None) -> Tensor:
        """Answer a stimulus that follows a lead, which is remembered from the last call."""
        known = self._lead
        is_known = known is not None and known.frame_count == lead.frame_count
        if self._after_lead is None or known is None or not (is_known and _is_same(known, lead)):
            # The old memory goes before the new one comes.
            self._after_lead = None
            lead = dataclasses.replace(lead, kept_bytes=self._kept_bytes)
            self._after_lead, self._lead = self._prepare(lead), lead
        if self.shown is not None:
            self.shown = dataclasses.replace(self.shown, remembered=lead.frame_count)
        return self._after_lead(stimulus, behavior)


def _first(behavior: Tensor | None) -> Tensor | None:
    """Return the state (variable,) of a behavior that does not change."""
    return None if behavior is None else behavior[0, :, 0]


def _is_same(one: Lead, other: Lead) -> bool:
    """Whether two leads differ in nothing but their length."""
    if not torch.equal(one.level, other.level):
        return False
    if one.state is None or other.state is None:
        return one.state is other.state
    return torch.equal(one.state, other.state)
