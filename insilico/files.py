"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Write a file beside its final place, and move it there only when it is complete.

    Parameters
    ----------
    path : Path
        The final place; an existing file is replaced.

    Yields
    ------
    Path
        Where to write, with the same suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a folder beside its final place, and move it there only when it is complete.

    Parameters
    ----------
    path : Path
        The final place; an existing folder is replaced.

    Yields
    ------
    Path
        The folder to fill.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield draft
        draft.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        _swap(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _swap(draft: Path, path: Path) -> None:
    """Move a folder to its place; the one it replaces is deleted only when that has worked."""
    if not path.exists():
        draft.replace(path)
        return
    retired = draft.with_name(f"{draft.name}.old")
    path.replace(retired)
    try:
        draft.replace(path)
    except OSError:
        retired.replace(path)
        raise
    shutil.rmtree(retired, ignore_errors=True)
