"""What comes out: responses of neurons, and results with their tables, arrays and provenance.

Nothing here needs a model: a saved result loads and draws its figures without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import tomli_w
import xarray as xr

from insilico.errors import NotFittedError, RunFolderError, ShapeError
from insilico.files import atomic_folder

#: Rises when a reader of the old layout could no longer understand a new one.
RESULT_FORMAT = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Responses:
    """Responses of some neurons to some trials, measured or predicted.

    Parameters
    ----------
    values : float array
        Responses in ``units``, with the axes that ``axes`` names.
    neurons : DataFrame, one row a neuron of the neuron axis
        Columns ``mouse``, ``neuron``, ``neuron_id``, ``kind`` and whatever else is known.
    conditions : DataFrame, optional, one row a presented pattern
        As in :class:`insilico.stimuli.Stimuli`.
    axes : tuple of str
        Names of the axes of ``values``: ("trial", "neuron") for images, a last axis "frame" for
        movies, and a first axis "member" where an ensemble was asked for its members.
    first_frame : int
        The frame of the trial that ``values[..., 0]`` of a movie belongs to.
    frame_rate_hz : float
        Frames per second.
    units : {"recorded", "standardized"}
        Of the responses.
    behavior : mapping
        The behavioral state in which the neurons were asked.
    source : mapping
        Where the responses come from; ``source["type"]`` is "twin" or "recording".
    has_trial_noise : bool
        Whether repeated trials differ, so that tests over trials mean something. A twin is
        noiseless.

    Raises
    ------
    ShapeError
        If the axes are not those of ``values``, or there are other neurons than in the table.
    """

    values: np.ndarray[Any, Any]
    neurons: pd.DataFrame
    conditions: pd.DataFrame | None = None
    axes: tuple[str, ...] = ("trial", "neuron")
    first_frame: int = 0
    frame_rate_hz: float = 30.0
    units: Literal["recorded", "standardized"] = "standardized"
    behavior: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    has_trial_noise: bool = False

    def __post_init__(self) -> None:
        if len(self.axes) != self.values.ndim:
            raise ShapeError(
                f"responses of shape {self.values.shape} were given with the axes "
                f"{', '.join(self.axes)}; name one axis for each number"
            )
        neuron_count = self.values.shape[self.axes.index("neuron")]
        if neuron_count != len(self.neurons):
            raise ShapeError(
                f"responses of shape {self.values.shape} hold {neuron_count} neurons, and the "
                f"neurons table {len(self.neurons)}; give one row a neuron"
            )

    @property
    def kind(self) -> Literal["image", "movie"]:
        """Whether a trial was an image or a movie."""
        return "movie" if "frame" in self.axes else "image"


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """The answer of one experiment.

    Parameters
    ----------
    experiment : str
        Its name.
    tables : mapping of str to DataFrame
        Tidy tables. ``tables["neurons"]`` has one row a neuron with ``status``, errors and
        ``error_source``.
    arrays : Dataset
        Maps and curves, with named axes.
    protocol : mapping
        Every value of the protocol that was used.
    provenance : mapping
        How it was made: package, model, hashes, seed, units, plan, command.
    """

    experiment: str
    tables: Mapping[str, pd.DataFrame]
    arrays: xr.Dataset
    protocol: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def neurons(self) -> pd.DataFrame:
        """The main table, one row a neuron."""
        return self.tables["neurons"]

    @property
    def digest(self) -> str:
        """A hash of protocol and tables: what builds on the result depends on them.

        It is the same after :meth:`save` and :meth:`load`.
        """
        digest = hashlib.sha256(
            json.dumps(dict(self.protocol), sort_keys=True, default=str).encode()
        )
        for name in sorted(self.tables):
            for column, values in _as_stored(self.tables[name]).items():
                digest.update(f"{name}.{column}".encode())
                digest.update(_hashable(values))
        return digest.hexdigest()[:16]

    def row(self, neuron: int) -> int:
        """Return the position of a neuron, by its index in the mouse, in tables and arrays.

        Raises
        ------
        NotFittedError
            If the result does not hold that neuron.
        """
        rows = np.flatnonzero(self.neurons["neuron"] == neuron)
        if len(rows) == 0:
            raise NotFittedError(
                f"the {self.experiment} result holds {len(self.neurons)} neurons, but not neuron "
                f"{neuron}; its table lists the neurons it has"
            )
        return int(rows[0])

    def save(self, folder: Path | str) -> Path:
        """Write the result as a folder of open formats, whole or not at all.

        Parameters
        ----------
        folder : path
            Replaced if it holds a result already.

        Returns
        -------
        Path
            The folder: one ``.parquet`` a table, ``arrays.nc``, ``protocol.toml`` and
            ``provenance.json``.

        Raises
        ------
        RunFolderError
            If it cannot be written, or holds something else than a result.
        """
        folder = Path(folder)
        if _is_foreign(folder):
            raise RunFolderError(
                f"{folder} exists and holds no result, so it is not replaced; choose another folder"
            )
        _require_space(folder, self)
        try:
            with atomic_folder(folder) as draft:
                for name, table in self.tables.items():
                    table.to_parquet(draft / f"{name}.parquet", index=False)
                self.arrays.to_netcdf(draft / "arrays.nc", engine="h5netcdf")
                protocol = tomli_w.dumps(dict(self.protocol))
                (draft / "protocol.toml").write_text(protocol, encoding="utf-8")
                record = {
                    **self.provenance,
                    "format": RESULT_FORMAT,
                    "experiment": self.experiment,
                    "tables": list(self.tables),
                }
                text = json.dumps(record, indent=2) + "\n"
                (draft / "provenance.json").write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunFolderError(
                f"the {self.experiment} result could not be written to {folder}: "
                f"{error.strerror or error}; free space or choose another folder"
            ) from error
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> Result:
        """Read a result that :meth:`save` wrote. Needs no model, no torch and no network.

        Raises
        ------
        RunFolderError
            If the folder is missing, incomplete, damaged or of a newer format.
        """
        folder = Path(folder)
        try:
            record = dict(json.loads((folder / "provenance.json").read_text(encoding="utf-8")))
            if int(record.pop("format")) > RESULT_FORMAT:
                raise RunFolderError(
                    f"{folder} was written by a newer insilico; update this one to read it"
                )
            protocol = tomllib.loads((folder / "protocol.toml").read_text(encoding="utf-8"))
            tables = {
                name: _read_table(folder / f"{name}.parquet") for name in record.pop("tables")
            }
            arrays = _read_arrays(folder / "arrays.nc")
            experiment = record.pop("experiment")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunFolderError(
                f"{folder} is not a complete result folder ({error.strerror}: "
                f"{Path(error.filename).name}); give RUN/EXPERIMENT as 'insilico run' wrote it"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, RunFolderError):
                raise
            raise RunFolderError(
                f"{folder} holds a damaged file ({error}); run the experiment again"
            ) from error
        return cls(
            experiment=experiment,
            tables=tables,
            arrays=arrays,
            protocol=protocol,
            provenance=record,
        )


def _as_stored(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the types of columns that it would have after saving and loading."""
    return pd.read_parquet(io.BytesIO(table.to_parquet(index=False)))


def _hashable(values: pd.Series) -> bytes:
    """Return the values of a column as bytes."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        # NaN has many bit patterns.
        return np.where(np.isnan(numbers), np.nan, numbers).tobytes()
    lacking = values.isna()
    texts = [None if lack else str(value) for value, lack in zip(values, lacking, strict=True)]
    return json.dumps(texts).encode()


def _read_table(path: Path) -> pd.DataFrame:
    # Opened here, so that the error of a missing file carries its name.
    with path.open("rb") as file:
        return pd.read_parquet(file)


def _read_arrays(path: Path) -> xr.Dataset:
    with path.open("rb") as file, xr.open_dataset(file, engine="h5netcdf") as stored:
        return stored.load()


def _is_foreign(folder: Path) -> bool:
    """Whether something is there that :meth:`Result.save` did not write and must not replace."""
    if not folder.is_dir():
        return folder.exists()
    return any(folder.iterdir()) and not (folder / "provenance.json").exists()


def _require_space(folder: Path, result: Result) -> None:
    """Refuse a disk that is about to be full: the HDF5 library does not survive one.

    Raises
    ------
    RunFolderError
        If the arrays and tables, as they are in memory, do not fit.
    """
    place = next(parent for parent in folder.absolute().parents if parent.exists())
    tables = sum(int(table.memory_usage(deep=True).sum()) for table in result.tables.values())
    needed, free = result.arrays.nbytes + tables, shutil.disk_usage(place).free
    if needed > free:
        raise RunFolderError(
            f"the {result.experiment} result needs about {needed / 1e6:.1f} MB and the disk of "
            f"{folder} has {free / 1e6:.1f} MB free; free space or choose another folder"
        )
