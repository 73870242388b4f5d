"""The progress bar of a download, on stderr."""

from __future__ import annotations

from typing import Any


class DownloadBar:
    """A bar that appears with the first byte, where there is a terminal.

    It has the methods of a tqdm bar that pooch calls while it downloads, and is drawn by rich.

    Attributes
    ----------
    total : int
        Bytes to come; set it before the first :meth:`update`.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        columns = BarColumn(), DownloadColumn(), TimeRemainingColumn(compact=True)
        self.total = 0
        console = Console(stderr=True)
        self._bar = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task: Any = None

    def update(self, count: int) -> None:
        """Advance by a number of bytes."""
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("downloading", total=self.total)
        self._bar.advance(self._task, count)

    def reset(self) -> None:
        """Start again from zero: pooch completes the bar this way."""
        if self._task is not None:
            self._bar.reset(self._task)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()
