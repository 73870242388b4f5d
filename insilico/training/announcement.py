"""What a run tells before its first epoch ends: its size, and how long an epoch will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from insilico.training.logs import CSV_FILE

if TYPE_CHECKING:
    from insilico.training.loop import Training

#: Steps after which the pace is told, or fewer once so many seconds have passed. Our choice.
FIRST_STEPS = 5
PATIENCE_S = 60.0


class Announcement:
    """Two lines on stderr, beside the progress bar where there is one: size, then pace.

    Parameters
    ----------
    run : Training
        Set up, or loaded to go on.
    folder : Path
        Of the run; the second line names its log.
    is_shown : bool
        Say nothing when False.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        run: Training,
        folder: Path,
        *,
        is_shown: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._folder, self._clock = run, folder, clock
        self._is_open = is_shown
        self._moments: list[float] = []

    def start(self) -> None:
        """Tell the size; call it before the first step."""
        if self._is_open:
            _say(describe_size(self._run))
            self._moments.append(self._clock())

    def step(self) -> None:
        """Call it after each step; one of the first tells the pace."""
        if not self._is_open:
            return
        self._moments.append(self._clock())
        count, total = len(self._moments) - 1, self._run.order.step_count
        is_late = count > 1 and self._moments[-1] - self._moments[0] >= PATIENCE_S
        if is_late or count >= min(FIRST_STEPS, total):
            _say(self._pace())
            self._is_open = False

    def _pace(self) -> str:
        # The first step also sets up the device and compiles, so it counts where it is alone.
        counted = self._moments[1:] if len(self._moments) > 2 else self._moments
        step_s = (counted[-1] - counted[0]) / (len(counted) - 1)
        epoch_min = step_s * self._run.order.step_count / 60
        epochs = self._run.recipe.training.epochs - self._run.epoch
        return (
            f"{_short(step_s)} s a step, about {_short(epoch_min)} min an epoch before its "
            f"validation, at most {_count(epochs, 'epoch')}{' more' if self._run.epoch else ''}; "
            f"each adds a row to {self._folder / CSV_FILE}"
        )


def describe_size(run: Training) -> str:
    """Return what is trained on how much, in one line.

    Parameters
    ----------
    run : Training
        Before a step, or between epochs.
    """
    parameters = sum(p.numel() for p in run.network.parameters() if p.requires_grad)
    neurons = sum(len(data.mouse.neurons) for data in run.mice.values())
    trials = sum(map(len, run.train_trials.values()))
    resumed = f"; going on after epoch {run.epoch}" if run.epoch else ""
    return (
        f"{run.recipe.name}: {_count(parameters, 'trainable parameter')}, "
        f"{_count(len(run.mice), 'mouse', 'mice')} with {_count(neurons, 'neuron')}, "
        f"{_count(trials, 'training trial')}, {_count(run.order.step_count, 'step')} an epoch, on "
        f"{run.fabric.device}{resumed}"
    )


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def _count(number: int, one: str, several: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def _say(line: str) -> None:
    # Looked up at each call: a progress bar takes the place of stderr while it is shown.
    print(line, file=sys.stderr, flush=True)
