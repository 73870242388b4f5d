"""The truth that lies beside a simulated recording, and the neurons it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insilico import catalog
from insilico.errors import CatalogError, RecordingError
from insilico.recordings.opening import open_recording
from insilico.recordings.tables import SCREEN_FILE
from insilico.screen import Screen
from insilico.simulation.simulated_v1 import SimulatedV1
from insilico.statistics.correlation import correlate_rows
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: File with the parameters of the neurons, in the folder of a mouse.
TRUTH_FILE = Path("meta/neurons/ground_truth.parquet")
#: Folder of a zoo entry with the parameters of the neurons that its twin was trained on, a file a
#: mouse.
SHIPPED_TRUTH = "truth"
#: What reading a damaged table raises; pyarrow's own errors are also of these classes.
_PARQUET_FAULTS = (OSError, ValueError, TypeError, LookupError, NotImplementedError)


def read_ground_truth(folder: Path) -> pd.DataFrame:
    """Return the parameters of the neurons of a simulated recording.

    Parameters
    ----------
    folder : Path
        Of one mouse.

    Returns
    -------
    DataFrame, one row a neuron
        The columns of :func:`insilico.simulation.draw_population`,
        :func:`insilico.simulation.draw_normalization` and
        :func:`insilico.simulation.draw_response_model`, ``spontaneous_rate``,
        ``scale``, ``events_per_rate``, ``measurement_std``, ``reliability_obtained``, and the
        indices ``osi`` and ``dsi`` (movies) as gratings measure them in the noiseless neuron.
        ``gain`` includes the scale: the noiseless neuron answers in recorded units.

    Raises
    ------
    RecordingError
        If the folder holds no simulated recording, or the table is damaged.
    """
    path = folder / TRUTH_FILE
    if not path.is_file():
        raise RecordingError(
            f"{folder} has no {TRUTH_FILE}; give the folder of one mouse that "
            "'insilico simulate' wrote"
        )
    try:
        return pd.read_parquet(path)
    except _PARQUET_FAULTS as error:
        raise RecordingError(
            f"{path} is damaged, a table of neurons was expected; simulate the recording again"
        ) from error


def allowed_correlation(folder: Path, *, tier: str, burn_in_frames: int = 50) -> FloatArray:
    """Return the correlation of expected with recorded responses: what a perfect model reaches.

    Parameters
    ----------
    folder : Path
        Of one simulated mouse.
    tier : str
        Other than "train", such as "validation".
    burn_in_frames : int
        Frames at the start of each movie that are left out, as an evaluation does.

    Returns
    -------
    float array, shape (neuron,)
        Over all frames, or images, of the tier; expected responses follow behavior and gaze.

    Raises
    ------
    RecordingError
        If the folder holds no simulated recording, or no such trials.
    """
    recording = open_recording(folder)
    trials = recording.trials.loc[recording.trials["tier"] == tier, "trial"]
    files = [(f"truth/responses/{trial}.npy", f"data/responses/{trial}.npy") for trial in trials]
    if not files or not (folder / files[0][0]).is_file():
        raise RecordingError(
            f"{folder} has no expected responses in the tier {tier}; 'insilico simulate' writes "
            "them for every tier but train"
        )
    start = burn_in_frames if recording.kind == "movie" else 0
    pairs = [np.stack([np.load(folder / name) for name in pair]) for pair in files]
    values = np.concatenate([np.atleast_3d(pair)[..., start:] for pair in pairs], axis=2)
    # Padding is NaN in every neuron alike.
    expected, recorded = values[..., np.isfinite(values).all(axis=(0, 1))].astype(np.float64)
    return np.asarray(correlate_rows(expected, recorded))


def population_twin(folder: Path) -> SimulatedV1:
    """Return the noiseless neurons behind a simulated recording, as a twin.

    Parameters
    ----------
    folder : Path
        Of one mouse.

    Returns
    -------
    SimulatedV1
        Answers in recorded units, without spontaneous activity, calcium and noise, at rest with a
        pupil of mean size, and with the mean gaze.

    Raises
    ------
    RecordingError
        If the folder holds no simulated recording, or a file is missing or damaged.
    """
    population = read_ground_truth(folder)
    # The reader would go on with the screen of the layout.
    if not (folder / SCREEN_FILE).is_file():
        raise RecordingError(f"{folder} has no {SCREEN_FILE}; simulate the recording again")
    recording = open_recording(folder)
    return SimulatedV1(recording.kind, population=population, screen=recording.screen)


def shipped_truth(model: str, mouse: str, *, kind: Kind, screen: Screen) -> SimulatedV1:
    """Return the noiseless neurons that a shipped twin was trained on, as a twin.

    Parameters
    ----------
    model : str
        A name of the zoo, such as "simulated-movie-cnn".
    mouse : str
        One of its mice.
    kind : {"image", "movie"}
        What it is shown.
    screen : Screen
        Of the recording.

    Returns
    -------
    SimulatedV1
        As of :func:`population_twin`.

    Raises
    ------
    CatalogError
        If the model was not trained on simulated neurons, or has no such mouse.
    """
    folder = catalog.find("models", model) / SHIPPED_TRUTH
    path = folder / f"{mouse}.parquet"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.parquet"))) or "none"
        raise CatalogError(
            f"{model} comes with the truth about no mouse {mouse!r}; with truth are: {known}"
        )
    return SimulatedV1(kind, population=pd.read_parquet(path), screen=screen)
