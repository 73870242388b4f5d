"""Opening recordings: which layout it is, which mouse, and how many lie in a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from insilico.errors import RecordingError
from insilico.recordings.images import open_images
from insilico.recordings.movies import open_movies
from insilico.recordings.recording import Recording
from insilico.recordings.source import LANDMARK, Source, find_folder, is_litter, open_source
from insilico.recordings.tables import mouse_name


def open_recording(path: Path, *, mouse: str | None = None) -> Recording:
    """Open the recording of one mouse, whatever its layout; no trial is read.

    Parameters
    ----------
    path : Path
        Its folder, or the zip file of it, which is not unpacked.
    mouse : str, optional
        Name to give the mouse; by default that in the folder's name.

    Returns
    -------
    Recording

    Raises
    ------
    RecordingError
        If the path does not lead to one recording, a table is missing or damaged, or the name
        cannot name a file.

    Examples
    --------
    >>> recording = open_recording(Path("static21067-10-18-GrayImageNet-94c6ff99.zip"))
    >>> recording.mouse
    '21067-10-18'
    """
    source = open_source(Path(path))
    if mouse is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", mouse):
        raise RecordingError(
            f"the name {mouse!r} was given to a mouse; use letters, digits, '-' and '_'"
        )
    name = mouse or mouse_name(source.name)
    return {"images": open_images, "videos": open_movies}[_stimuli(source)](source, mouse=name)


def open_recordings(path: Path, *, mice: Sequence[str] | None = None) -> dict[str, Recording]:
    """Open one recording, or all in a folder.

    Parameters
    ----------
    path : Path
        A recording, or a folder of recordings (folders, zip files, or both; where a zip file lies
        beside the folder unpacked from it, the folder is read). As for :func:`open_recording`, one
        recording may lie a few folders deeper, alone.
    mice : sequence of str, optional
        Which mice to open; all by default.

    Returns
    -------
    dict of str to Recording
        By mouse, sorted.

    Raises
    ------
    RecordingError
        If there is no recording, a mouse is not there or is there twice, or as
        :func:`open_recording`.
    """
    found: dict[str, Recording] = {}
    places = find_recordings(path)
    for place in places:
        # Inside a zip file may be a folder whose name tells another mouse.
        if mice is not None and place.is_dir() and quick_mouse(place) not in mice:
            continue
        recording = open_recording(place)
        if recording.mouse in found:
            raise RecordingError(
                f"{found[recording.mouse].source} and {recording.source} are both of mouse "
                f"{recording.mouse}; rename the folder of one"
            )
        found[recording.mouse] = recording
    if missing := sorted(set(mice or ()) - set(found)):
        there = ", ".join(sorted(filter(None, map(quick_mouse, places))))
        raise RecordingError(f"{path} has no mouse {missing[0]!r}; its mice are {there}")
    return dict(sorted((m, r) for m, r in found.items() if mice is None or m in mice))


def find_recordings(path: Path) -> list[Path]:
    """Return the folders and zip files of the recordings at a path.

    Raises
    ------
    RecordingError
        If there is none.
    """
    path = Path(path)
    if not path.is_dir() or _is_recording(path):
        return [path]
    children = [child for child in sorted(path.iterdir()) if not is_litter(child.name)]
    folders = [child for child in children if child.is_dir() and _is_recording(child)]
    names = {folder.name for folder in folders}
    zips = [
        child for child in children
        if child.suffix.lower() == ".zip" and child.is_file() and child.stem not in names
    ]  # fmt: skip
    if not folders and not zips and (alone := find_folder(path)) is not None:
        return [alone]
    if not folders and not zips:
        raise RecordingError(
            f"{path} holds no recording; give a recording's folder or zip file, or a folder of "
            f"these (a recording has a file {LANDMARK})"
        )
    return sorted(folders + zips)


def quick_mouse(path: Path) -> str:
    """Return the name of a recording's mouse without opening it, as far as its path tells."""
    return mouse_name(path.stem if path.suffix.lower() == ".zip" else path.resolve().name)


def _is_recording(path: Path) -> bool:
    """Whether a folder looks like a recording, be it an incomplete one."""
    return (path / LANDMARK).is_file() or ((path / "data").is_dir() and (path / "meta").is_dir())


def _stimuli(source: Source) -> str:
    """Return the folder of the stimuli: "images" or "videos"."""
    there = [name for name in ("images", "videos") if source.numbered(f"data/{name}")[0]]
    if len(there) != 1:
        what = "both images and videos" if there else "neither data/images nor data/videos"
        raise RecordingError(
            f"{source.path} has {what}; a recording has files of one of them, so fetch it again"
        )
    return there[0]
