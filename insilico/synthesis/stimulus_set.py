"""A set of stimuli that were generated or found: their bytes, and what is known of each."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import InsilicoError, RunFolderError, ShapeError, StimulusError
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind
from insilico.synthesis.identity import ID_DIGITS, ByteArray, stimulus_digest, stimulus_id
from insilico.synthesis.manifest import again
from insilico.synthesis.set_folder import read_folder, reload_frames, write_folder

Float32Array = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["StimulusSet", "no_curves", "reload_frames", "stimulus_digest", "stimulus_id"]

#: What the table says of every stimulus, at least.
COLUMNS = ("stimulus_id", "mouse", "neuron", "motion", "stimulus_class")
CURVE_COLUMNS = ("stimulus_id", "step", "score")


def no_curves() -> pd.DataFrame:
    """Return the optimization curves of stimuli that were not optimized."""
    types = {"stimulus_id": "str", "step": "int64", "score": "float64"}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})


@dataclasses.dataclass(frozen=True, eq=False)
class StimulusSet:
    """Stimuli of one screen, their table and the responses that were predicted to them.

    Parameters
    ----------
    frames : uint8 array, shape (stimulus[, frame], y, x)
        Gray levels 0-255, with frames for movie twins. The pattern only, without gray lead; a
        still pattern of a movie twin is repeated over its frames.
    table : DataFrame, one row a stimulus, in the order of ``frames``
        Has ``stimulus_id`` (see :func:`stimulus_id`), ``mouse``, ``neuron`` (-1 for populations),
        ``motion``, ``stimulus_class`` and whatever else is known. Equal bytes may stand in several
        rows, such as where two searches found the same clip.
    traces : float32 array, shape (stimulus, frame)
        Response of the stimulus's own target predicted for each frame, from the bytes; one frame
        for image twins.
    weights : float32 array, shape (stimulus, y, x)
        How much of each pixel is the stimulus's own, 0 to 1; beside it lies the background.
    curves : DataFrame
        Columns ``stimulus_id``, ``step``, ``score``: how the optimization went; may be empty.
    screen : Screen
        Where they are shown.
    kind : {"image", "movie"}
        Of the twin.
    frame_rate_hz : float
        Frames per second.
    lead_frames : int
        Gray frames before the pattern that the predictions are made with, 0 or more.
    protocol : mapping
        Every value of the protocol.
    provenance : mapping
        How they were made.

    Raises
    ------
    ShapeError
        If arrays, tables and screen do not fit each other.
    StimulusError
        If the table or curves lack a column, or an id is not that of the bytes.
    """

    frames: ByteArray
    table: pd.DataFrame
    traces: Float32Array
    weights: Float32Array
    _: dataclasses.KW_ONLY
    curves: pd.DataFrame = dataclasses.field(default_factory=no_curves)
    screen: Screen
    kind: Kind
    frame_rate_hz: float
    lead_frames: int = 0
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_arrays()
        self._check_values()
        for name, table, columns in (
            ("table", self.table, COLUMNS),
            ("curves", self.curves, CURVE_COLUMNS),
        ):
            if lacking := [column for column in columns if column not in table]:
                raise StimulusError(
                    f"the {name} of a stimulus set has no column {', '.join(lacking)}; give "
                    f"{', '.join(columns)}"
                )
        for row, (given, digest) in enumerate(zip(self.ids, self.digests, strict=True)):
            if given != digest[:ID_DIGITS]:
                raise StimulusError(
                    f"row {row} of the table names stimulus {given}, and its bytes are those of "
                    f"{digest[:ID_DIGITS]}; name each stimulus by 'stimulus_id(frames)'"
                )

    def __len__(self) -> int:
        """Return the number of stimuli."""
        return len(self.frames)

    @property
    def ids(self) -> list[str]:
        """The id of each stimulus, in order."""
        return self.table["stimulus_id"].tolist()

    @functools.cached_property
    def digests(self) -> list[str]:
        """The whole hash of each stimulus, in order."""
        return [stimulus_digest(frames) for frames in self.frames]

    @property
    def movies(self) -> ByteArray:
        """The stimuli as movies, shape (stimulus, frame, y, x); an image is one frame long."""
        return self.frames if self.kind == "movie" else self.frames[:, None]

    def select(self, mask: ArrayLike) -> StimulusSet:
        """Return some of the stimuli, with their curves.

        Parameters
        ----------
        mask : bool array, shape (stimulus,), or int array
            Which, or their rows in the order wanted.

        Raises
        ------
        ShapeError
            If a mask has another length, or a row is not there.
        """
        rows = np.asarray(mask)
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        is_number = rows.dtype.kind in "iu" or rows.size == 0
        if rows.ndim != 1 or not is_number or not np.isin(rows, np.arange(len(self))).all():
            raise ShapeError(
                f"a choice of shape {rows.shape} and type {rows.dtype} was made among {len(self)} "
                "stimuli; give one truth value for each, or rows from 0"
            )
        rows = rows.astype(np.int64)
        table = self.table.iloc[rows].reset_index(drop=True)
        is_kept = self.curves["stimulus_id"].isin(table["stimulus_id"])
        return dataclasses.replace(
            self,
            frames=self.frames[rows],
            table=table,
            traces=self.traces[rows],
            weights=self.weights[rows],
            curves=self.curves[is_kept].reset_index(drop=True),
        )

    @classmethod
    def concatenate(cls, sets: Sequence[StimulusSet]) -> StimulusSet:
        """Put sets of one screen, rate and protocol behind each other.

        Where their provenances differ, the new one lists them as ``parts``.

        Raises
        ------
        StimulusError
            If there is none, or they were not made alike.
        """
        if not sets:
            raise StimulusError("no sets of stimuli were given to put together; give at least one")
        if differing := _differing(sets):
            raise StimulusError(
                f"the sets of stimuli differ in their {' and '.join(differing)}, so they are not "
                "put together; give sets that were made alike"
            )
        provenance = [dict(each.provenance) for each in sets]
        is_same = all(each == provenance[0] for each in provenance)
        return dataclasses.replace(
            sets[0],
            frames=np.concatenate([each.frames for each in sets]),
            table=_stacked([each.table for each in sets]),
            traces=np.concatenate([each.traces for each in sets]),
            weights=np.concatenate([each.weights for each in sets]),
            curves=_stacked([each.curves for each in sets]),
            provenance=provenance[0] if is_same else {"parts": provenance},
        )

    def save(self, folder: Path | str, *, previews: bool = True) -> Path:
        """Write the set as a folder of open formats; whatever else is in the folder stays.

        Saving again writes only the movies and previews that are missing, and removes those of
        stimuli that are gone. The manifest is written last: while it is missing, there is no set.

        Parameters
        ----------
        folder : path
            Where; a set that is there is replaced.
        previews : bool
            Whether to write enlarged pictures to look at.

        Returns
        -------
        Path
            The folder: ``stimuli.npy``, lossless ``movies`` of movie twins, ``previews``,
            ``table.parquet`` and ``table.csv``, ``traces.npy``, ``weights.npy``,
            ``curves.parquet``, ``protocol.toml``, ``provenance.json`` and ``manifest.json``.

        Raises
        ------
        RunFolderError
            If it cannot be written, or holds files of these names that no set has written.
        """
        return write_folder(self, Path(folder), previews=previews)

    @classmethod
    def load(cls, folder: Path | str) -> StimulusSet:
        """Read a set that :meth:`save` wrote, and check every byte of it.

        Needs no model, no torch and no movie.

        Raises
        ------
        RunFolderError
            If the folder is missing, incomplete, damaged or of a newer format.
        """
        fields = read_folder(Path(folder))
        try:
            return cls(**fields)
        except (InsilicoError, TypeError) as error:
            raise RunFolderError(
                f"the files of {folder} do not fit each other ({error}); {again(Path(folder))}"
            ) from error

    def _check_arrays(self) -> None:
        count, axes = len(self.table), {"image": 3, "movie": 4}.get(self.kind)
        if axes is None:
            raise StimulusError(
                f"a stimulus set of kind {self.kind!r} was asked for; give 'image' or 'movie'"
            )
        expected = "(stimulus, frame, y, x)" if axes == 4 else "(stimulus, y, x)"
        if self.frames.ndim != axes or self.frames.dtype != np.uint8:
            raise ShapeError(
                f"stimuli of shape {self.frames.shape} and type {self.frames.dtype} were given for "
                f"{self.kind} twins; give uint8 gray levels of shape {expected}"
            )
        if self.frames.shape[-2:] != self.screen.shape:
            raise ShapeError(
                f"stimuli of shape {self.frames.shape} were given for a screen of "
                f"{self.screen.height_px} x {self.screen.width_px} pixels; draw them on that screen"
            )
        for name, array, rest in (
            ("stimuli", self.frames, self.frames.shape[1:]),
            ("weights", self.weights, self.screen.shape),
            ("traces", self.traces, self.traces.shape[1:2]),
        ):
            if array.shape != (count, *rest) or (name == "traces" and array.ndim != 2):
                raise ShapeError(
                    f"{name} of shape {array.shape} were given with a table of {count} rows; give "
                    f"one row a stimulus, weights (stimulus, y, x) and traces (stimulus, frame)"
                )

    def _check_values(self) -> None:
        for name, array in (("traces", self.traces), ("weights", self.weights)):
            if array.dtype != np.float32:
                raise ShapeError(f"{name} of type {array.dtype} were given; give float32")
        if not np.all((self.weights >= 0) & (self.weights <= 1)):
            raise StimulusError(
                f"weights from {self.weights.min():g} to {self.weights.max():g} were given; give "
                "0 where a pixel is background, 1 where it is the stimulus's own"
            )
        if not self.frame_rate_hz > 0 or self.lead_frames < 0:
            raise StimulusError(
                f"a set with {self.frame_rate_hz!r} frames per second and {self.lead_frames!r} "
                "gray frames before each stimulus was asked for; give more than 0, and 0 or more"
            )


def _differing(sets: Sequence[StimulusSet]) -> list[str]:
    """Return in what sets differ that have to be made alike."""

    def facts(each: StimulusSet) -> dict[str, Any]:
        return {
            "kind": each.kind,
            "screen": each.screen,
            "frame rate": each.frame_rate_hz,
            "lead frames": each.lead_frames,
            "frames": each.frames.shape[1:],
            "frames of traces": each.traces.shape[1:],
            "protocol": dict(each.protocol),
        }

    first, *others = [facts(each) for each in sets]
    return [name for name, value in first.items() if any(each[name] != value for each in others)]


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    # A table without rows has no say in the types of columns.
    filled = [table for table in tables if len(table)] or list(tables[:1])
    return pd.concat(filled, ignore_index=True)
