"""Natural images and clips to search among, of a folder of files."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from insilico.errors import StimulusError, UnitsError
from insilico.screen import Screen
from insilico.synthesis.clips import (
    PUBLISHED_STRIDE_FRAMES,
    at_most,
    check_length,
    check_movie,
    cut,
)
from insilico.synthesis.resizing import Box, fit_to_screen, within
from insilico.synthesis.sources import Candidates

Array = np.ndarray[Any, Any]

#: Files that are read as images, by their endings, and those that are read as movies.
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MOVIE_ENDING = ".npy"
#: What reading a damaged or foreign file raises.
FAULTS = (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError)


def folder_clips(
    folder: Path | str,
    screen: Screen,
    *,
    frame_count: int = 1,
    stride_frames: int = PUBLISHED_STRIDE_FRAMES,
    crops_per_image: int = 1,
    limit: int | None = None,
    seed: int = 0,
) -> Candidates:
    """Return natural images or clips of the files in a folder and the folders in it.

    Parameters
    ----------
    folder : path
        Of images (:data:`IMAGE_ENDINGS`), which are made gray by their luma (ITU-R BT.601), and of
        ``.npy`` files of gray levels 0-255: a movie (frame, y, x), which is taken to have the frame
        rate of the screen, or an image (y, x).
    screen : Screen
        To whose shape and pixels frames are cut and resized.
    frame_count, stride_frames, limit, seed
        As for :func:`~insilico.synthesis.natural.recorded_clips`.
    crops_per_image : int
        How many parts are cut out of each image: first the largest in its middle, then others of
        random place and size, down to one picture element a pixel. A few large photographs make
        thousands of candidates this way.

    Returns
    -------
    Candidates
        With columns ``file`` (its path in the folder), ``frame`` and ``crop``.

    Raises
    ------
    ShapeError
        If a ``.npy`` file is no image or movie of gray levels.
    StimulusError
        If there is no such file, one cannot be read, is shorter than a clip, or has levels outside
        0-255 or within 0-1.
    UnitsError
        If a number is below 1.
    """
    folder = Path(folder)
    if crops_per_image < 1:
        raise UnitsError(f"{crops_per_image} crops of each image were asked for; give 1 or more")
    files = _files(folder)
    lengths = [1 if _is_image(path) else len(read_frames(path)) for path in files]
    for path, length in zip(files, lengths, strict=True):
        check_length(length, frame_count, str(path))
    number, frame = cut(
        np.array(lengths, np.int64), frame_count=frame_count, stride_frames=stride_frames
    )
    repeats = np.array([crops_per_image if _is_image(path) else 1 for path in files])[number]
    first = np.repeat(np.cumsum(repeats) - repeats, repeats)
    names = np.array([path.relative_to(folder).as_posix() for path in files], object)
    table = pd.DataFrame(
        {
            "file": names[number].repeat(repeats),
            "frame": frame.repeat(repeats),
            "crop": np.arange(repeats.sum()) - first,
        }
    )
    read_once = functools.lru_cache(maxsize=2)(read_frames)

    def draw(rows: pd.DataFrame) -> Array:
        clips = []
        for name, start, crop in rows[["file", "frame", "crop"]].itertuples(index=False):
            frames = read_once(folder / name)[start : start + frame_count]
            box = crop_box(frames.shape[1:], screen, (seed, *name.encode(), crop)) if crop else None
            clips.append(fit_to_screen(frames, screen, box))
        return np.stack(clips)

    provenance = {
        "source": "folder",
        "folder": str(folder),
        "files": len(files),
        "stride_frames": stride_frames,
        "crops_per_image": crops_per_image,
        "seed": seed,
        "available": len(table),
    }
    found = at_most(
        Candidates("natural", screen, table, draw, frame_count, provenance), limit, seed
    )
    for name in found.table["file"].unique():
        _check_opens(folder / name)
    return found


def read_frames(path: Path) -> Array:
    """Read the gray levels (frame, y, x) of an image or a ``.npy`` movie, the latter mapped.

    Raises
    ------
    ShapeError, StimulusError
        As :func:`folder_clips`.
    """
    try:
        if not _is_image(path):
            frames = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with Image.open(path) as image:
                frames = _gray(ImageOps.exif_transpose(image))
    except FAULTS as error:
        raise _unreadable(path, error) from error
    return check_movie(frames, str(path))


def crop_box(shape: tuple[int, ...], screen: Screen, seed: tuple[int, ...]) -> Box:
    """Return a random part of a picture, of the shape of a screen.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the picture.
    screen : Screen
        Whose shape.
    seed : tuple of int
        The part is a function of it.

    Returns
    -------
    left, top, right, bottom : float
        Sizes are as likely by their logarithm: natural images look alike at every magnification.
    """
    random = np.random.default_rng(seed)
    height, width = shape
    most = min(width / screen.width_px, height / screen.height_px)
    scale = max(most, 1.0) ** random.uniform() * min(most, 1.0)
    cut_width, cut_height = scale * screen.width_px, scale * screen.height_px
    left, top = random.uniform() * (width - cut_width), random.uniform() * (height - cut_height)
    return within((left, top, left + cut_width, top + cut_height), shape)


def _files(folder: Path) -> list[Path]:
    endings = (*IMAGE_ENDINGS, MOVIE_ENDING)
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise StimulusError(
            f"{folder}, where natural images or movies were to be, {what}; give a folder of files "
            f"that end in {', '.join(endings)}"
        )
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in endings and path.is_file() and not path.name.startswith(".")
    ]
    if not found:
        raise StimulusError(
            f"{folder} holds no image or movie; give a folder of files that end in "
            f"{', '.join(endings)}"
        )
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() != MOVIE_ENDING


def _check_opens(path: Path) -> None:
    """Refuse what is no image now, and not in the middle of a search."""
    if not _is_image(path):
        return
    try:
        with Image.open(path):
            pass
    except FAULTS as error:
        raise _unreadable(path, error) from error


def _gray(image: Image.Image) -> Array:
    """Return gray levels (y, x); pictures of 16 bits are scaled, not cut off."""
    if image.mode.startswith("I;16"):
        return np.asarray(image, np.float32) * np.float32(255 / 65535)
    if image.mode in ("I", "F"):
        return np.asarray(image, np.float32)
    return np.asarray(image.convert("L"))


def _unreadable(path: Path, error: Exception) -> StimulusError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return StimulusError(
        f"{path} cannot be read as an image or movie ({reason}); mend it or take it out of the "
        "folder"
    )
