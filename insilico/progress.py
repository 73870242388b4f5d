"""Progress on the terminal: one bar, on stderr, only where a person is watching."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(label: str, total: int, *, shown: bool) -> Iterator[Callable[..., None]]:
    """Show a bar with the time left while the block runs.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        Steps in all.
    shown : bool
        Draw nothing when False, or when nobody watches stderr.

    Yields
    ------
    callable
        Call it with the number of steps just done, and with ``label`` to say something new.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda steps, label=None: None
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
