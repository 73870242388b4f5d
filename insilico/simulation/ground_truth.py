"""The truth that lies beside a simulated recording, and the neurons it describes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pandas as pd

from insilico.errors import RecordingError
from insilico.screen import Screen
from insilico.simulation.simulated_v1 import SimulatedV1
from insilico.stimuli.stimuli import Kind

#: File with the parameters of the neurons, in the folder of a mouse.
TRUTH_FILE = Path("meta/neurons/ground_truth.parquet")


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
        If the folder holds no simulated recording.
    """
    path = folder / TRUTH_FILE
    if not path.is_file():
        raise RecordingError(
            f"{folder} has no {TRUTH_FILE}; give the folder of one mouse that "
            "'insilico simulate' wrote"
        )
    return pd.read_parquet(path)


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
        If the folder holds no simulated recording.
    """
    population = read_ground_truth(folder)
    screen = Screen.from_dict(tomllib.loads((folder / "meta/screen.toml").read_text()))
    kind: Kind = "movie" if (folder / "data/videos").is_dir() else "image"
    return SimulatedV1(kind, population=population, screen=screen)
