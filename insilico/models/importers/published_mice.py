"""The mice of published models: which recording each is of, and what screen it saw."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.errors import CheckpointError, UnitsError
from insilico.models.importers.run_folder import Release, RunFolder, release
from insilico.screen import SCREENS, Screen

#: Recordings of movies by mouse: Sensorium 2023 and, from K, the Rochefort laboratory
#: (ViV1T-closed-loop, viv1t/data/constants.py; ViV1T, src/viv1t/data/constants.py).
MOVIES: Mapping[str, str] = {
    "A": "29156-11-10",
    "B": "29228-2-10",
    "C": "29234-6-9",
    "D": "29513-3-5",
    "E": "29514-2-9",
    "F": "29515-10-12",
    "G": "29623-4-9",
    "H": "29647-19-8",
    "I": "29712-5-9",
    "J": "29755-2-8",
    "K": "VIPcre232_FOV1_day1",
    "L": "VIPcre232_FOV2_day1",
    "M": "VIPcre233_FOV1_day1",
    "N": "VIPcre233_FOV2_day1",
    "O": "VT288_FOV1_day1",
    "P": "VT289_FOV1_day1",
}

#: Mice of :data:`MOVIES` that saw the Rochefort laboratory's monitor.
ROCHEFORT = frozenset("KLMNOP")

#: Recordings of images by mouse, Sensorium 2022 and Franke 2022, under the letters of the paper and
#: the names that earlier runs have (V1T, src/v1t/data.py).
IMAGES: Mapping[str, str] = {
    "S0": "26872-17-20",
    "S1": "27204-5-13",
    "A": "21067-10-18",
    "B": "22846-10-16",
    "C": "23343-5-17",
    "D": "23656-14-22",
    "E": "23964-4-22",
    "F": "25311-10-26",
    "G": "25340-3-19",
    "H": "25704-2-12",
    "I": "25830-10-4",
    "J": "26085-6-3",
    "K": "26142-2-11",
    "L": "26426-18-13",
    "M": "26470-4-5",
    "N": "26644-6-2",
    "O": "26872-21-6",
    "0": "26872-17-20",
    "1": "27204-5-13",
    "2": "21067-10-18",
    "3": "22846-10-16",
    "4": "23343-5-17",
    "5": "23656-14-22",
    "6": "23964-4-22",
}


def recording_name(which: Release, mouse: str) -> str | None:
    """Return the recording of a published mouse, as :mod:`insilico.recordings` names it.

    Parameters
    ----------
    which : str
        The release: letters mean other mice for images than for movies.
    mouse : str
        Name in the run.

    Returns
    -------
    str or None
        None for mice that were not published.
    """
    if which == "v1t":
        # Franke's mice are called by the start of their folder in earlier runs.
        earlier = mouse.removeprefix("static") if mouse.startswith("static") else None
        return IMAGES.get(mouse, earlier)
    return MOVIES.get(mouse)


def input_shape(run: RunFolder) -> tuple[int, int]:
    """Return the rows and columns of the frames that a run was trained on.

    Raises
    ------
    CheckpointError
        If the options do not say.
    """
    return (run.image_shape if release(run) == "v1t" else run.movie_shape)[-2:]


def published_screen(
    run: RunFolder, mouse: str, *, monitor: Screen | None = None, origin: str = ""
) -> tuple[Screen, str]:
    """Return the screen of a mouse in pixels of the network's input, and where it is known from.

    Parameters
    ----------
    run : RunFolder
        Says how many pixels there are, and how much of the screen the movies were cropped to.
    mouse : str
        Name in the run.
    monitor : Screen, optional
        What its recording says; that of the published mouse otherwise.
    origin : str
        Where ``monitor`` is known from.

    Raises
    ------
    CheckpointError
        If the pixels would not be square, or the crop is no fraction.

    References
    ----------
    Monitors: ViV1T-closed-loop, viv1t/data/constants.py. Crop: viv1t/data/data.py there; V1T crops
    inside the model instead.
    """
    which, (rows, columns) = release(run), input_shape(run)
    if monitor is None:
        is_rochefort = which != "v1t" and mouse in ROCHEFORT
        monitor = SCREENS["rochefort" if is_rochefort else "sensorium"]
        is_published = which != "v1t" and mouse in MOVIES
        origin = "published geometry" if is_published else "assumed: the monitor of Sensorium 2023"
    crop = 1.0 if which == "v1t" else run.option("center_crop", float, default=1.0)
    if not 0 < crop <= 1:
        raise CheckpointError(
            f"the options of {run.path} have center_crop: {crop}, a fraction above 0 and up to 1 "
            "was expected; get args.yaml again"
        )
    if crop < 1:
        origin += f"; the run saw the central {crop:g} of its width and height"
    try:
        screen = dataclasses.replace(
            monitor,
            width_px=columns,
            height_px=rows,
            width_cm=monitor.width_cm * crop,
            height_cm=monitor.height_cm * crop,
        )
    except UnitsError as error:
        raise CheckpointError(
            f"the input of {run.path} has {rows} x {columns} pixels, which does not fit the screen "
            f"of mouse {mouse} ({error})"
        ) from error
    return screen, origin
