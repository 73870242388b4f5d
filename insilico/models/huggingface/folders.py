"""Run folders in a repository: which there are, and which one is meant."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from insilico.errors import DownloadError
from insilico.models.published import (
    BARE_WEIGHTS,
    INFO_FILE,
    OPTIONS_FILE,
    TRAINING_STATE,
    WEIGHTS_FOLDER,
    is_inside,
)

#: Where the weights of a run folder may be.
WEIGHTS = (f"{WEIGHTS_FOLDER}/{BARE_WEIGHTS}", f"{WEIGHTS_FOLDER}/{TRAINING_STATE}")

#: What a model needs of a run folder; optimizer states and logs stay where they are.
RUN_FILES = (OPTIONS_FILE, *WEIGHTS, f"{WEIGHTS_FOLDER}/{INFO_FILE}")

#: Names in one message.
_NAMED = 8


def find_runs(files: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the run folders of a repository, and the files of each that a model needs.

    Parameters
    ----------
    files : collection of str
        All paths inside the repository, with "/".

    Returns
    -------
    dict of str to tuple of str
        Files relative to the folder, by folder; "." is the root. Names that lead out of the
        repository are passed over.
    """
    runs = {}
    for path in map(PurePosixPath, files):
        folder = str(path.parent)
        needed = tuple(file for file in RUN_FILES if join(folder, file) in files)
        if path.name == OPTIONS_FILE and set(needed) & set(WEIGHTS) and is_inside(str(path)):
            runs[folder] = needed
    return dict(sorted(runs.items()))


def choose_run(files: Collection[str], folder: str, *, place: str) -> tuple[str, tuple[str, ...]]:
    """Return the run folder that is meant, and its files.

    Parameters
    ----------
    files : collection of str
        As for :func:`find_runs`.
    folder : str
        A run folder, or nothing where there should be one only.
    place : str
        Where this is, for messages.

    Returns
    -------
    folder : str
    files : tuple of str

    Raises
    ------
    DownloadError
        If there is no run folder, not the one asked for, or several to choose from.
    """
    runs = find_runs(files)
    if not runs:
        raise DownloadError(
            f"{place} holds no run folder ({OPTIONS_FILE} beside {' or '.join(WEIGHTS)}) but "
            f"{_some(files) or 'nothing'}; check the repository, or import a folder that you have"
        )
    if folder and folder not in runs:
        raise DownloadError(f"{place} has no run folder {folder!r}; its run folders: {_some(runs)}")
    if not folder and len(runs) > 1:
        raise DownloadError(
            f"{place} has {len(runs)} run folders; choose one with --folder: {_some(runs)}"
        )
    chosen = folder or next(iter(runs))
    return chosen, runs[chosen]


def join(folder: str, file: str) -> str:
    """Return the path of a file inside the repository."""
    return str(PurePosixPath(folder) / file)


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more
