"""Progress on stderr: a bar where a person is watching, and elsewhere a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

#: Least and longest time between two lines: work of a minute needs none, and a log of a night
#: should neither be silent nor long. Our choice.
LINE_EVERY_S = 60.0
LONGEST_SILENCE_S = 600.0


@contextlib.contextmanager
def progress_bar(label: str, total: int, *, shown: bool) -> Iterator[Callable[..., None]]:
    """Show how far the block is: a bar with the time left, or lines where stderr is no terminal.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        Steps in all.
    shown : bool
        Say nothing when False.

    Yields
    ------
    callable
        Call it with the number of steps just done, and with ``label`` to say something new.
    """
    if not shown:
        yield lambda steps, label=None: None
        return
    if not sys.stderr.isatty():
        yield ProgressLines(label, total).advance
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(compact=True),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)

        def advance(steps: int, label: str | None = None) -> None:
            if label is not None:
                bar.update(task, description=label)
            bar.advance(task, steps)

        yield advance


class ProgressLines:
    """A line on stderr after the first minute, then for every tenth, or after ten minutes.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        Steps in all.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self, label: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._label, self._total, self._clock = label, total, clock
        self._begun = self._told = clock()
        self._done = self._done_when_told = 0

    def advance(self, steps: int, label: str | None = None) -> None:
        """Count steps that are done, and tell if it is time to."""
        self._done += steps
        self._label = label or self._label
        now = self._clock()
        waited = now - self._told
        is_tenth = 10 * (self._done - self._done_when_told) >= self._total
        is_first = self._told == self._begun
        if waited < LINE_EVERY_S or not (is_first or is_tenth or waited >= LONGEST_SILENCE_S):
            return
        self._told, self._done_when_told = now, self._done
        share = f" ({self._done / self._total:.0%})" if self._total else ""
        print(
            f"{self._label}: {self._done:,} of {self._total:,}{share} after "
            f"{(now - self._begun) / 60:.0f} min",
            file=sys.stderr,
            flush=True,
        )
