"""The tables and statistics of a simulated recording, in the published files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w

from insilico.simulation.ground_truth import TRUTH_FILE
from insilico.simulation.plan import STIMULUS_IDS
from insilico.simulation.responses import Calibration
from insilico.simulation.session import SimulatedSession
from insilico.simulation.tuning import measure_selectivity

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


def write_tables(
    folder: Path,
    session: SimulatedSession,
    population: pd.DataFrame,
    calibration: Calibration,
    obtained: FloatArray,
) -> None:
    """Write what a recording says of its trials, its neurons and its screen, and the truth.

    Parameters
    ----------
    folder : Path
        Of the mouse.
    session : SimulatedSession
        Its trials and neurons.
    population : DataFrame
        All parameters of the neurons, ``spontaneous_rate`` included.
    calibration : Calibration
        Scale and noise of each.
    obtained : float array, shape (neuron,)
        Reliability measured on the written trials.
    """
    trials, count = session.trials, len(population)
    names: dict[str, Any] = {"tiers": trials["tier"].to_numpy(str)}
    if session.options.kind == "movie":
        names["video_ids"] = trials["stimulus"].to_numpy(np.int64)
        names["stimulus_ids"] = trials["stimulus_type"].map(STIMULUS_IDS).to_numpy(np.int64)
    else:
        names["frame_image_id"] = trials["stimulus"].to_numpy(np.int64)
        names["trial_idx"] = np.arange(len(trials))
    coordinates = population[["x_um", "y_um", "z_um"]].to_numpy()
    neurons = {
        "unit_ids": population["neuron_id"].to_numpy(np.int64),
        "cell_motor_coordinates": np.rint(coordinates).astype(np.int64),
        "animal_ids": np.full(count, session.mouse + 1),
    }
    for where, arrays in (("trials", names), ("neurons", neurons)):
        (folder / "meta" / where).mkdir(parents=True, exist_ok=True)
        for name, values in arrays.items():
            np.save(folder / f"meta/{where}/{name}.npy", values)
    selectivity = measure_selectivity(session.network, session.screen)
    population.join(selectivity).assign(
        gain=population["gain"] * calibration.scale,
        scale=calibration.scale,
        events_per_rate=calibration.events_per_rate,
        measurement_std=calibration.measurement_std,
        reliability_obtained=obtained,
    ).to_parquet(folder / TRUTH_FILE, index=False)
    (folder / "meta/screen.toml").write_text(tomli_w.dumps(session.screen.to_dict()))
    facts = {"gaze_matrix_px": session.gaze_matrix.tolist(), "calcium": session.kernel.tolist()}
    (folder / "truth/simulation.toml").write_text(tomli_w.dumps(facts))


def write_statistics(folder: Path, session: SimulatedSession) -> None:
    """Write statistics over the training trials, in the files where the publications have them.

    Parameters
    ----------
    folder : Path
        Of the mouse; stimuli, responses, behavior and gaze are in place.
    session : SimulatedSession
        Which trials are for training.
    """
    train = np.flatnonzero(session.trials["tier"] == "train")
    frames = session.frame_counts[train]
    stimuli = "videos" if session.options.kind == "movie" else "images"
    levels = np.zeros(256, np.int64)
    for trial, count in zip(train, frames, strict=True):
        shown = np.load(folder / f"data/{stimuli}/{trial}.npy")
        shown = shown[..., :count] if stimuli == "videos" else shown
        levels += np.bincount(shown.astype(np.uint8).ravel(), minlength=256)
    _save_statistics(folder / f"meta/statistics/{stimuli}/all", _of_levels(levels))
    for name in ("responses", "behavior", "pupil_center"):
        parts = [np.load(folder / f"data/{name}/{trial}.npy") for trial in train]
        if stimuli == "videos":
            cut = zip(parts, frames, strict=True)
            values = np.concatenate([part[:, :count] for part, count in cut], axis=1)
        else:
            values = np.stack(parts, axis=1)
        measured = {name: getattr(np, name)(values, axis=1) for name in ("min", "max", "median")}
        measured["mean"] = values.mean(axis=1, dtype=np.float64)
        measured["std"] = values.std(axis=1, dtype=np.float64)
        _save_statistics(folder / f"meta/statistics/{name}/all", measured)


def _of_levels(counts: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    """Return statistics of gray levels from how often each occurs."""
    level, total = np.arange(256), counts.sum()
    mean = (counts * level).sum() / total
    cumulative = np.cumsum(counts)
    middle = [
        np.searchsorted(cumulative, rank, side="right") for rank in ((total - 1) // 2, total // 2)
    ]
    shown = np.flatnonzero(counts)
    return {
        "min": shown[0],
        "max": shown[-1],
        "median": np.mean(middle),
        "mean": mean,
        "std": np.sqrt((counts * (level - mean) ** 2).sum() / total),
    }


def _save_statistics(folder: Path, measured: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    for name, values in measured.items():
        np.save(folder / f"{name}.npy", np.asarray(values, np.float32))
