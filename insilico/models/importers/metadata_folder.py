"""Statistics and coordinates of one mouse, in the files that ViV1T-closed-loop ships."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from insilico.errors import CheckpointError, RecordingError
from insilico.recordings.npy import PREFIX_BYTES, parse_array, parse_header
from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Where the folder lies in a checkout of ViV1T-closed-loop, or beside a run.
PLACES = (".", "metadata", "viv1t/data/metadata", "data/metadata")

#: Names of the files' folders, by what they are of.
FOLDERS = {"response": "response", "behavior": "behavior", "pupil": "pupil_center"}

#: Columns of the coordinates (ViV1T-closed-loop, viv1t/data/metadata/README.md).
COORDINATES = ("x_um", "y_um", "z_um")


@dataclasses.dataclass(frozen=True)
class MetadataFolder:
    """Files of one mouse.

    Parameters
    ----------
    statistics : Path
        Folder with ``<signal>/<statistic>.npy``.
    coordinates : Path
        File with the coordinates of all neurons in µm, which may be missing.
    stimulus : str
        Name of the stimulus' folder: "video" or "image".
    """

    statistics: Path
    coordinates: Path
    stimulus: str

    #: The files do not describe the screen.
    screen: Screen | None = dataclasses.field(default=None, init=False)

    @property
    def where(self) -> str:
        """Where the statistics come from, for their source."""
        return f"statistics of the training tier in {self.statistics}"

    def lacks(self, what: str, shape: tuple[int, int]) -> str:
        """Return why ``what`` cannot be known here: never, as missing files are refused instead."""
        return ""

    def columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is known of all neurons, by column of a neurons table."""
        if not self.coordinates.is_file():
            return {}
        values = read_numbers(self.coordinates)
        if values.ndim != 2 or values.shape[1] != len(COORDINATES):
            raise CheckpointError(
                f"{self.coordinates} has shape {values.shape}, (neuron, 3) was expected; get the "
                "file again"
            )
        return dict(zip(COORDINATES, values.T, strict=True))

    def read(self, what: str, statistic: str) -> FloatArray:
        """Return one statistic.

        Parameters
        ----------
        what : {"stimulus", "response", "behavior", "pupil"}
            What it is of.
        statistic : {"mean", "std", "min", "max"}
            Which it is.

        Raises
        ------
        CheckpointError
            If its file is missing or damaged, or a number in it is not finite.
        """
        folder = FOLDERS.get(what, self.stimulus)
        return read_numbers(self.statistics / folder / f"{statistic}.npy")


def find_metadata(folder: Path, mouse: str, *, stimulus: str) -> MetadataFolder | None:
    """Find the files of a mouse.

    Parameters
    ----------
    folder : Path
        A checkout of ViV1T-closed-loop, its folder ``metadata``, a folder of folders
        ``mouse<name>``, or one of these.
    mouse : str
        Its name.
    stimulus : {"video", "image"}
        Name of the stimulus' folder.

    Returns
    -------
    MetadataFolder or None
        None if there are none of this mouse.
    """
    own = f"mouse{mouse}"
    for place in PLACES:
        root = folder / place
        for statistics, coordinates in (
            (root / "statistics" / own, root / "neuron_coordinates" / f"{own}.npy"),
            (root / own / "statistics", root / own / "neuron_coordinates.npy"),
        ):
            if statistics.is_dir():
                return MetadataFolder(statistics, coordinates, stimulus)
    if folder.resolve().name == own and (folder / "statistics").is_dir():
        return MetadataFolder(folder / "statistics", folder / "neuron_coordinates.npy", stimulus)
    return None


def read_numbers(path: Path) -> FloatArray:
    """Read a ``.npy`` file of finite numbers; objects in it are refused.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged, or a value is not finite.
    """
    try:
        with path.open("rb") as file:
            data = file.read()
        header = parse_header(data[:PREFIX_BYTES], size=len(data), what=str(path))
        values = parse_array(header, data[header.offset :], what=str(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; get the whole folder of statistics") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); check it") from error
    except RecordingError as error:
        raise CheckpointError(str(error)) from error
    return finite(values, what=str(path))


def finite(values: np.ndarray[Any, Any], *, what: str) -> FloatArray:
    """Return numbers in double precision.

    Raises
    ------
    CheckpointError
        If they are texts, or one is not finite.
    """
    if values.dtype.kind not in "iuf":
        raise CheckpointError(f"{what} holds no numbers; get the file again")
    numbers: FloatArray = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        bad = int((~np.isfinite(numbers)).sum())
        raise CheckpointError(
            f"{what} has {bad} of {numbers.size} values that are not finite; get the file again"
        )
    return numbers
