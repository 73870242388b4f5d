"""The tables of a recording: its neurons, its trials and its screen."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.configuration import build
from insilico.errors import RecordingError, UnitsError
from insilico.models.mouse import neurons_table
from insilico.recordings.npy import Array
from insilico.recordings.source import LANDMARK, Source
from insilico.screen import Screen

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Optional file that says what screen the mouse saw; simulated recordings write it.
SCREEN_FILE = "meta/screen.toml"


def read_neurons(source: Source, *, response_axes: int) -> pd.DataFrame:
    """Read the table of neurons.

    Parameters
    ----------
    source : Source
        The recording's files.
    response_axes : int
        Number of axes of a trial's responses, by which neurons are counted where there is no
        ``unit_ids.npy``.

    Returns
    -------
    DataFrame
        As for :class:`~insilico.models.mouse.Mouse`: ``neuron_id`` where ``unit_ids.npy`` says,
        ``x_um``, ``y_um``, ``z_um`` from ``cell_motor_coordinates.npy``, ``area`` and ``layer``.

    Raises
    ------
    RecordingError
        If a file is damaged or has another number of neurons.
    """
    columns: dict[str, Any] = {}
    if "meta/neurons/unit_ids.npy" in source.sizes:
        ids = source.read_array("meta/neurons/unit_ids.npy", shape=(None,), axes="neuron")
        columns["neuron_id"] = _text(ids)
        count = len(ids)
    else:
        count = _count_neurons(source, response_axes)
    where = "meta/neurons/cell_motor_coordinates.npy"
    if where in source.sizes:
        position = source.read_array(where, shape=(count, 3), axes="neuron, xyz in µm")
        if position.dtype.kind not in "iuf" or not np.all(np.isfinite(position)):
            raise RecordingError(
                f"{source.describe(where)} holds a position that is no finite number; give µm"
            )
        for axis, name in enumerate(("x_um", "y_um", "z_um")):
            columns[name] = position[:, axis].astype(np.float64)
    for name in ("area", "layer"):
        if (where := f"meta/neurons/{name}.npy") in source.sizes:
            columns[name] = _text(source.read_array(where, shape=(count,), axes="neuron"))
    return neurons_table(count, **columns)


def read_tiers(source: Source) -> list[str]:
    """Read what each trial is for, in the file's own words.

    Raises
    ------
    RecordingError
        If the file is missing, damaged or holds no texts.
    """
    tiers = source.read_array(LANDMARK, shape=(None,), axes="trial")
    if tiers.dtype.kind not in "US":
        raise RecordingError(
            f"{source.describe(LANDMARK)} holds values of type {tiers.dtype}; give the tier of "
            "each trial as a text"
        )
    return [str(tier) for tier in _text(tiers)]


def rename_tiers(source: Source, tiers: list[str], names: Mapping[str, str]) -> list[str]:
    """Translate a layout's words for tiers into those of :data:`insilico.recordings.TIERS`.

    Raises
    ------
    RecordingError
        If a word is not known.
    """
    if unknown := sorted(set(tiers) - set(names)):
        raise RecordingError(
            f"{source.describe(LANDMARK)} has the tier {unknown[0]!r}; the tiers of its layout are "
            f"{', '.join(names)}"
        )
    return [names[tier] for tier in tiers]


def read_ids(source: Source, member: str, trial_count: int) -> IntArray:
    """Read which trials showed the same stimulus.

    Returns
    -------
    int array, shape (trial,)
        Whole numbers as the file has them, -1 where it says so or has no number; texts are numbered
        in alphabetical order.

    Raises
    ------
    RecordingError
        If the file is damaged or has another number of trials.
    """
    ids = source.read_array(member, shape=(trial_count,), axes="trial")
    if ids.dtype.kind in "US":
        return np.unique(_text(ids).astype(str), return_inverse=True)[1].astype(np.int64)
    is_known = np.isfinite(ids) & (ids >= 0) & (np.abs(ids.astype(np.float64)) < 2**62)
    return np.where(is_known, np.where(is_known, ids, 0).astype(np.int64), -1)


def read_screen(source: Source, *, default: Screen, shape: tuple[int, int]) -> Screen:
    """Return the screen in pixels of the stimuli.

    Parameters
    ----------
    source : Source
        The recording's files; ``meta/screen.toml`` overrides fields of the default.
    default : Screen
        Geometry of the layout.
    shape : tuple of int
        Rows and columns of the stimuli as they are read.

    Raises
    ------
    RecordingError
        If the file is damaged, has an unknown field or value, or has other pixels than the stimuli,
        or if these pixels would not be square on the default screen.
    """
    height_px, width_px = shape
    fields = {**default.to_dict(), "height_px": height_px, "width_px": width_px}
    if SCREEN_FILE in source.sizes:
        what = source.describe(SCREEN_FILE)
        try:
            fields |= tomllib.loads(source.read_text(SCREEN_FILE))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecordingError(f"{what} is no TOML ({error}); write that file again") from error
    else:
        what = f"the screen of {source.path}"
    try:
        screen: Screen = build(Screen, fields, what=what, error=RecordingError)
    except (UnitsError, OverflowError) as error:
        raise RecordingError(f"{what} is not possible: {error}") from error
    if screen.shape != shape:
        raise RecordingError(
            f"{what} has {screen.height_px} x {screen.width_px} px, the stimuli have {height_px} x "
            f"{width_px} as they are read; leave height_px and width_px out"
        )
    return screen


def mouse_name(folder: str) -> str:
    """Return the name of a mouse from that of its folder.

    ``static21067-10-18-GrayImageNet-94c6…`` is mouse ``21067-10-18``; other names are kept, with
    every character that cannot be in a file's name replaced by ``_``.
    """
    if published := re.match(r"(?:static|dynamic)(\d+-\d+-\d+)(?:-|$)", folder):
        return published[1]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", folder).strip("_") or "mouse"


def _text(values: Array) -> Array:
    """Bytes as text, anything else as it is."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "latin1")
    return values


def _count_neurons(source: Source, response_axes: int) -> int:
    numbers, _ = source.numbered("data/responses")
    if not numbers:
        raise RecordingError(
            f"{source.path} has neither meta/neurons/unit_ids.npy nor responses; fetch it again"
        )
    header = source.read_header(f"data/responses/{min(numbers)}.npy")
    if len(header.shape) != response_axes or 0 in header.shape:
        raise RecordingError(
            f"{source.describe(f'data/responses/{min(numbers)}.npy')} has shape {header.shape}, "
            f"{response_axes} axes were expected; fetch or write that file again"
        )
    return header.shape[0]
