"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: The name of a draft says of what it is, and which process of which computer makes it.
_DRAFT = re.compile(r"\.(?P<name>.+)\.(?P<host>[^.]*)\.(?P<pid>\d{1,9})\.part.*")
#: Ends the name of a folder that is being replaced.
RETIRED = ".old"


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
    draft = path.with_name(f".{path.stem}.{_host()}.{os.getpid()}.part{path.suffix}")
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
    # Threads of one process may fill one folder at once, so a random end is added.
    prefix = f".{path.name}.{_host()}.{os.getpid()}.part"
    draft = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        yield draft
        draft.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        _swap(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_drafts(folder: Path, *, is_shared: bool = False) -> None:
    """Remove what writers that were killed left behind in a folder.

    A folder whose replacement was cut short between its two moves comes back.

    Parameters
    ----------
    folder : Path
        Where :func:`atomic_file` and :func:`atomic_folder` have written.
    is_shared : bool
        Whether others may be writing to it at this moment. Then only drafts of processes of this
        computer that have ended are removed; otherwise all are.
    """
    for draft in folder.glob(".*.part*"):
        made = _DRAFT.fullmatch(draft.name)
        if is_shared and (made is None or not _has_ended(made)):
            continue
        # Another process may be removing the same, or it belongs to another user.
        with contextlib.suppress(OSError):
            if not draft.is_dir():
                draft.unlink()
            elif made is not None:
                _discard(draft, folder / made["name"])


def _host() -> str:
    """Name this computer without periods: several may write to one disk."""
    return platform.node().replace(".", "_")


def _has_ended(made: re.Match[str]) -> bool:
    """Whether the process behind a draft is gone; other computers' processes are unknown."""
    if made["host"] != _host():
        return False
    try:
        os.kill(int(made["pid"]), 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)  # others run, but belong to another user
    return False


def _discard(draft: Path, path: Path) -> None:
    """Delete the draft of a folder, or put back the folder that it was about to replace."""
    if draft.suffix == RETIRED and not path.exists():
        draft.replace(path)
    else:
        shutil.rmtree(draft, ignore_errors=True)


def _swap(draft: Path, path: Path) -> None:
    """Move a folder to its place; the one it replaces is deleted only when that has worked."""
    if not path.exists():
        draft.replace(path)
        return
    retired = draft.with_name(f"{draft.name}{RETIRED}")
    path.replace(retired)
    try:
        draft.replace(path)
    except OSError:
        retired.replace(path)
        raise
    shutil.rmtree(retired, ignore_errors=True)
