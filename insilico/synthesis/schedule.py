"""How stimuli are improved: step by step, from blurred to sharp and from low contrast to high."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from insilico.errors import ProtocolError

Optimizer = Literal["ascent", "adamw"]


@dataclasses.dataclass(frozen=True)
class Climb:
    """How stimuli are improved.

    Parameters
    ----------
    optimizer : {"ascent", "adamw"}
        What makes the steps.
    steps : int
        Most steps of a stimulus.
    step_size : float
        Of ascent: length of a step, in lengths of the stimulus itself (its deviations from gray).
        Of AdamW: learning rate; 0.05 as published.
    momentum : float
        Of ascent, 0 to below 1.
    gradient_blur_px, gradient_blur_frames, pattern_blur_px : float
        Standard deviations by which ascent blurs each gradient, and the pattern after each step.
    ramp_steps : int
        Steps over which the contrast grows geometrically to what is asked, at most half of all; 0
        begins with it.
    ramp_start : float
        Contrast at the beginning of the ramp, as a fraction.
    sharpen_steps : int
        Steps over which the blur of gradients falls to nothing: the last ones before ``patience``,
        or sooner where a stimulus gets no better, at most half of all. Blurred gradients lead
        different noise to one optimum, and sharp ones reach it. 0 blurs them to the end.
    patience : int
        Steps without improvement before that blur falls, and then before the step size is halved;
        after three halvings a stimulus is finished. 0 makes all steps.
    tolerance : float
        An improvement is one by at least this fraction of the score, in one step or in several.
    """

    optimizer: Optimizer = "ascent"
    steps: int = 100
    step_size: float = 0.1
    momentum: float = 0.8
    gradient_blur_px: float = 1.0
    gradient_blur_frames: float = 0.0
    pattern_blur_px: float = 0.4
    ramp_steps: int = 40
    ramp_start: float = 0.1
    sharpen_steps: int = 40
    patience: int = 10
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(Optimizer):
            known = ", ".join(get_args(Optimizer))
            raise ProtocolError(f"optimizer is {self.optimizer!r}; give one of {known}")
        if self.steps < 1:
            raise ProtocolError(f"steps is {self.steps}; give 1 or more")
        blurs = ("gradient_blur_px", "gradient_blur_frames", "pattern_blur_px")
        for name in (*blurs, "ramp_steps", "sharpen_steps", "patience", "tolerance"):
            if not getattr(self, name) >= 0:
                raise ProtocolError(f"{name} is {getattr(self, name):g}; give 0 or more")
        if not (self.step_size > 0 and 0 <= self.momentum < 1 and 0 < self.ramp_start <= 1):
            raise ProtocolError(
                f"step_size is {self.step_size:g}, momentum {self.momentum:g} and ramp_start "
                f"{self.ramp_start:g}; give a step above 0, a momentum from 0 to below 1 and a "
                "start above 0 and at most 1"
            )

    def contrast_at(self, step: int) -> float:
        """Return the fraction of the contrast that is shown at some step."""
        if step >= self.first_steps:
            return 1.0
        return float(self.ramp_start ** (1 - step / self.first_steps))

    @property
    def first_steps(self) -> int:
        """Steps of the contrast ramp: at most half of all, so that few still reach the end."""
        return min(self.ramp_steps, self.steps // 2)

    def blur_share_at(self, step: int) -> float:
        """Return the most of a gradient that is still blurred at some step, 0 to 1."""
        has_blur = self.gradient_blur_px > 0 or self.gradient_blur_frames > 0
        if self.optimizer != "ascent" or not has_blur:
            return 0.0
        if not self.sharpen_steps:
            return 1.0
        last = min(self.sharpen_steps, max(self.steps // 2, 1))
        left = self.steps - self.patience - step
        return min(1.0, max(0.0, left / last))
