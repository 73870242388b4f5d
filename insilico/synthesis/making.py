"""Making stimuli batch by batch: kept after every few steps, and spent where time still pays."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from insilico.errors import StimulusError
from insilico.interrupts import finishing_first
from insilico.synthesis.climbing import Climber, Start
from insilico.synthesis.clock import Clock
from insilico.synthesis.kept import KEEP_EVERY_S, keep, kept

FloatArray = np.ndarray[Any, np.dtype[np.float32]]

#: Steps between looks at where time pays most, under a deadline.
ROUND_STEPS = 10
#: Where the last tenth of the steps begins.
LAST_STEPS = 0.9
#: Scores nearer to 0 count as this much when gains are compared.
SMALLEST_SCORE = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """What became of one start.

    Attributes
    ----------
    start : Start
        What was to be made.
    content : float array, shape (frame, y, x)
        Its best pattern so far, gray levels.
    score : float
        That of the pattern, penalties included, at the highest contrast it was shown at.
    steps : int
        How many it was given.
    seconds : float
        Its share of the time of its batch.
    status : str
        "ok" where it got all its steps or stopped getting better, "deadline" where time ended
        first, "silent" where nothing it could be shown had an effect.
    curve : float array, shape (step,)
        Its score at each step.
    """

    start: Start
    content: FloatArray
    score: float
    steps: int
    seconds: float
    status: str
    curve: FloatArray

    @property
    def last_gain(self) -> float:
        """Share of the score that the last tenth of the steps brought; NaN without steps."""
        best = np.fmax.accumulate(self.curve)
        if not len(best) or not best[-1]:
            return float("nan")
        before = best[int(LAST_STEPS * (len(best) - 1))]
        return float((best[-1] - before) / abs(best[-1]))


#: Makes a batch ready to climb.
Prepare = Callable[[Sequence[Start]], Climber]


class Batch:
    """Stimuli that climb together, and the file that keeps how far they are.

    Parameters
    ----------
    starts : sequence of Start
        The stimuli.
    prepare : callable
        Makes them ready to climb.
    path : Path or None
        Where their state is kept.
    """

    def __init__(self, starts: Sequence[Start], prepare: Prepare, path: Path | None) -> None:
        self.starts, self._prepare, self._path = list(starts), prepare, path
        self._climber: Climber | None = None
        self._state: dict[str, torch.Tensor] | None = None
        self._made: list[Made] = []
        self._is_finished = False
        self.seconds = 0.0
        self.gain_per_s = float("inf")
        self._kept_at = time.monotonic()

    @property
    def climber(self) -> Climber:
        """The batch, ready to climb, as far as it was."""
        if self._climber is None:
            self._climber = self._prepare(self.starts)
            if self._state is None:
                self._state = self._load()
            if self._state is not None:
                self._climber.restore(self._state)
        return self._climber

    @property
    def is_begun(self) -> bool:
        """Whether it has made a step, in this run or an earlier one."""
        return self.seconds > 0 or (self._path is not None and self._path.exists())

    @property
    def is_finished(self) -> bool:
        """Whether no stimulus gets more steps."""
        # A batch at rest stays as it is, and asking it would bring its twin back.
        if self._climber is not None or self._state is None:
            self._is_finished = bool(self.climber.is_finished.all())
        return self._is_finished

    def advance(self, steps: int, clock: Clock, on_step: Callable[[int], object]) -> None:
        """Make steps until they are made, all is finished or time ends, and keep what there is."""
        before, begun = self.climber.best_score.clone(), time.monotonic()
        try:
            for _ in range(steps):
                if self.is_finished or clock.left_s <= 0:
                    break
                self._step()
                on_step(1)
        finally:
            # What has not begun has nothing to show either.
            if self.seconds > 0:
                self.keep()
        self.gain_per_s = self._gain(before) / max(time.monotonic() - begun, 1e-9)

    def _step(self) -> None:
        started = time.monotonic()
        with finishing_first():
            self.climber.advance(1)
            self.seconds += time.monotonic() - started
        if time.monotonic() - self._kept_at > KEEP_EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Write down how far the batch is."""
        self._kept_at = time.monotonic()
        seconds = torch.tensor(self.seconds, dtype=torch.float64)
        keep(self._path, {**self.climber.state(), "seconds": seconds})

    def rest(self) -> None:
        """Let go of the twin's memory; how far the batch is stays."""
        if self._climber is None:
            return
        self._made = self.made()
        self._is_finished = bool(self.climber.is_finished.all())
        self._state = self.climber.state()
        self._climber = None

    def made(self) -> list[Made]:
        """Return what became of every start."""
        if self._climber is None and self._made:
            return self._made
        climber = self.climber
        contents = climber.contents().cpu().numpy()
        share = self.seconds / len(self.starts)
        rows = enumerate(self.starts)
        finished, silent = climber.is_finished.tolist(), climber.is_silent.tolist()
        steps = climber.steps.tolist()
        return [
            Made(
                start,
                contents[row],
                float(climber.best_score[row]),
                steps[row],
                share,
                "silent" if silent[row] else "ok" if finished[row] else "deadline",
                climber.scores[: steps[row], row].cpu().numpy(),
            )
            for row, start in rows
        ]

    def _gain(self, before: torch.Tensor) -> float:
        """Return what the last steps brought, relative to the scores, summed over stimuli."""
        after = self.climber.best_score
        known = torch.isfinite(after)
        gain = (after - before.nan_to_num(neginf=0.0)).clamp_min(0)[known]
        return float((gain / after[known].abs().clamp_min(SMALLEST_SCORE)).sum())

    def _load(self) -> dict[str, torch.Tensor] | None:
        state = kept(self._path)
        if state is not None:
            self.seconds = float(state.pop("seconds"))
        return state


def make_all(
    batches: Sequence[Batch],
    *,
    steps: int,
    first_steps: int,
    clock: Clock,
    on_step: Callable[[int], object] = lambda steps: None,
    on_batch: Callable[[Batch], object] = lambda batch: None,
) -> None:
    """Bring batches as far as steps and time allow.

    Without a deadline each gets all its steps, one batch after another, and the result is a
    function of the seed. With one, each first gets a few, in order; then those that gain most per
    second are given more, until nothing gains or time ends.

    Parameters
    ----------
    batches : sequence of Batch
        The most important first.
    steps : int
        Most steps of a batch.
    first_steps : int
        Steps before a stimulus is of use: those of the contrast ramp; 0 where it is from the start.
    clock : Clock
        The time there is.
    on_step, on_batch : callable, optional
        Called with the number of steps just made, and with a batch that has come further.

    Raises
    ------
    StimulusError
        If the time does not suffice for the first batch.
    """
    if not clock.has_deadline:
        for batch in batches:
            batch.advance(steps, clock, on_step)
            on_batch(batch)
            batch.rest()
        return
    if first_steps:
        _check_time(batches[0], first_steps, clock)
    for batch in batches:
        if clock.left_s > 0:
            batch.advance(first_steps, clock, on_step)
            on_batch(batch)
            batch.rest()
    while clock.left_s > 0:
        waiting = [batch for batch in batches if not batch.is_finished]
        if not waiting:
            return
        best = max(waiting, key=lambda batch: batch.gain_per_s)
        best.advance(ROUND_STEPS, clock, on_step)
        on_batch(best)
        best.rest()


def _check_time(batch: Batch, first_steps: int, clock: Clock) -> None:
    """Refuse a deadline that one batch cannot meet, as its first steps tell."""
    if batch.climber.steps.max() > 0:
        return
    used_s, left_s = clock.used_s, clock.left_s
    # These two steps are made even if they end after the deadline, to say what would suffice.
    batch.advance(1, Clock(), lambda steps: None)
    # The second step shows what a step takes once the twin is warm.
    warm = time.monotonic()
    batch.advance(1, Clock(), lambda steps: None)
    step_s = time.monotonic() - warm
    needed_s = left_s - clock.left_s + step_s * max(first_steps - 2, 0)
    if needed_s > left_s:
        neurons = len(batch.starts)
        raise StimulusError(
            f"{max(left_s, 0):.1f} s are left for making, and the first {neurons} "
            f"{'stimulus takes' if neurons == 1 else 'stimuli take'} about {needed_s:.1f} s "
            f"({first_steps} steps of {step_s:.2g} s); give at least "
            f"{clock.whole_s(used_s + needed_s):.1f} s in all, or fewer ramp_steps"
        )
