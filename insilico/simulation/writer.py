"""Recordings of simulated mice, in the published layouts and with the truth beside them.

::

    OUT/simulation.toml                       every option
    OUT/mouse-1/data/videos|images/{i}.npy    as published: see insilico.recordings
               /data/{responses,behavior,pupil_center}/{i}.npy
               /meta/trials/{tiers,video_ids,stimulus_ids | frame_image_id,trial_idx}.npy
               /meta/neurons/{unit_ids,cell_motor_coordinates}.npy
               /meta/neurons/ground_truth.parquet     every parameter of every neuron
               /meta/statistics/{…}/all/{min,max,median,mean,std}.npy
               /meta/screen.toml
               /truth/responses/{i}.npy               expected responses, all but training trials
               /truth/simulation.toml                 how gaze moves receptive fields

References
----------
Layouts: ViV1T-closed-loop, data/README.md; V1T, data/README.md and src/v1t/data.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
import torch

from insilico.errors import RunFolderError
from insilico.files import atomic_file, atomic_folder, remove_drafts
from insilico.progress import progress_bar
from insilico.simulation.ground_truth import read_ground_truth
from insilico.simulation.plan import SimulationOptions
from insilico.simulation.responses import (
    Calibration,
    calibrate,
    draw_response,
    expected_response,
)
from insilico.simulation.session import IMAGE_SET, SimulatedSession
from insilico.simulation.tables import write_statistics, write_tables
from insilico.statistics.correlation import correlate_rows

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: File with the options.
OPTIONS_FILE = "simulation.toml"
#: Changes when the same options would write other recordings.
FORMAT = 2


@dataclasses.dataclass(frozen=True)
class SimulatedMouse:
    """What was written of one mouse.

    Attributes
    ----------
    mouse : str
        Name of the mouse and of its folder.
    folder : Path
        Its recording.
    neurons : int
        Number of neurons.
    trials : dict of str to int
        Number of trials by tier, as on disk.
    reliability : float
        Mean over neurons of what was asked.
    reliability_obtained : float
        The same, measured on the trials that were written.
    seconds : float
        Time it took; 0 if an earlier run had written it.
    """

    mouse: str
    folder: Path
    neurons: int
    trials: dict[str, int]
    reliability: float
    reliability_obtained: float
    seconds: float


def write_recordings(
    out: Path, *, options: SimulationOptions, progress: bool = False
) -> list[SimulatedMouse]:
    """Simulate mice and write a recording of each.

    A mouse is written whole or not at all. An interrupted run keeps the finished mice, and the same
    call continues with the others. The same options write the same bytes on the same computer.

    Parameters
    ----------
    out : Path
        New or empty folder, or one that an interrupted run with the same options has left.
    options : SimulationOptions
        What to simulate.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of SimulatedMouse

    Raises
    ------
    RunFolderError
        If the folder holds anything else.
    """
    _claim(out, options)
    remove_drafts(out, is_shared=True)
    written = []
    for mouse in range(options.mice):
        folder = out / f"mouse-{mouse + 1}"
        seconds = 0.0
        if not folder.exists():
            start = time.perf_counter()
            session = SimulatedSession(options, mouse=mouse)
            total = 2 * len(session.trials)
            with (
                _one_thread(),
                atomic_folder(folder) as draft,
                progress_bar(f"simulating {folder.name}", total, shown=progress) as advance,
            ):
                _write_mouse(draft, session, advance)
            seconds = time.perf_counter() - start
        written.append(_describe(folder, seconds))
    return written


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: the same sums on every machine, and no waiting on a busy one.

    The filters are small, and threads that wait for each other on shared cores made them up to a
    hundred times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _claim(out: Path, options: SimulationOptions) -> None:
    """Write the options to a new folder; refuse one of other options or with other content."""
    path = out / OPTIONS_FILE
    asked = {"insilico_simulation": FORMAT, "options": options.to_dict()}
    if out.exists() and not out.is_dir():
        raise RunFolderError(f"{out} is a file; name a folder to write recordings to")
    if path.is_file():
        if _read_options(path) != asked:
            raise RunFolderError(
                f"{out} holds recordings simulated with other options ({path}); give these, or "
                "name another folder"
            )
        return
    if out.exists() and any(not child.name.startswith(".") for child in out.iterdir()):
        raise RunFolderError(
            f"{out} is not empty and holds no {OPTIONS_FILE}; name a new folder for the recordings"
        )
    with atomic_file(path) as draft:
        draft.write_text(tomli_w.dumps(asked))


def _read_options(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({error}); name another folder for the recordings"
        ) from error


def _write_mouse(folder: Path, session: SimulatedSession, advance: Callable[[int], None]) -> None:
    """Write one recording: stimuli and rates first, then responses at the calibrated noise."""
    _write_presentations(folder, session, advance)
    population, calibration = _calibrate(folder, session)
    obtained = _write_responses(folder, session, population, calibration, advance)
    shutil.rmtree(folder / "rates")
    write_tables(folder, session, population, calibration, obtained)
    write_statistics(folder, session)


def _write_presentations(
    folder: Path, session: SimulatedSession, advance: Callable[[int], None]
) -> None:
    """Write stimuli, behavior and gaze, and keep what each neuron is driven by."""
    is_movie = session.options.kind == "movie"
    stimuli = "videos" if is_movie else "images"
    for name in (f"data/{stimuli}", "data/behavior", "data/pupil_center", "rates"):
        (folder / name).mkdir(parents=True)
    step = 1 if is_movie else IMAGE_SET
    longest = session.frame_counts.max()
    for start in range(0, len(session.trials), step):
        trials = range(start, min(start + step, len(session.trials)))
        states = [session.state(trial) for trial in trials]
        shown = [session.stimulus(trial) for trial in trials]
        shift = np.concatenate([state.shift_px for state in states], axis=1)
        drive = session.drive(shown[0] if is_movie else np.stack(shown), shift)
        for column, (trial, state) in enumerate(zip(trials, states, strict=True)):
            on_disk = _stimulus_on_disk(shown[column], session.options)
            signals = {
                stimuli: on_disk,
                "behavior": state.behavior.astype(np.float32),
                "pupil_center": state.pupil_center.astype(np.float32),
            }
            for name, values in signals.items():
                np.save(folder / f"data/{name}/{trial}.npy", _pad(values, session, longest))
            own = drive if is_movie else drive[:, column : column + 1]
            kept = np.stack([own, state.gain]).astype(np.float32)
            np.save(folder / f"rates/{trial}.npy", kept)
        advance(len(trials))


def _stimulus_on_disk(stimulus: np.ndarray[Any, Any], options: SimulationOptions) -> Any:
    if options.kind == "movie":
        return np.ascontiguousarray(np.moveaxis(stimulus, 0, -1))
    return stimulus.repeat(options.image_scale, 0).repeat(options.image_scale, 1)[None]


def _pad(values: Any, session: SimulatedSession, longest: int) -> Any:
    """Pad the frame axis with NaN, as the published movies are."""
    if not session.options.padded or session.options.kind == "image":
        return values
    width = [(0, 0)] * (values.ndim - 1) + [(0, int(longest) - values.shape[-1])]
    return np.pad(values.astype(np.float32), width, constant_values=np.nan)


def _rate(folder: Path, trial: int, spontaneous: FloatArray) -> FloatArray:
    drive, gain = np.load(folder / f"rates/{trial}.npy").astype(np.float64)
    return np.asarray(gain * (drive + spontaneous[:, None]))


def _is_test(session: SimulatedSession) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mark the repeated naturalistic trials, over which the reliability is defined."""
    trials = session.trials
    if session.options.kind == "image":
        return (trials["tier"] == "test").to_numpy()
    return ((trials["tier"] != "train") & (trials["stimulus_type"] == "movie")).to_numpy()


def _calibrate(folder: Path, session: SimulatedSession) -> tuple[pd.DataFrame, Calibration]:
    test = np.flatnonzero(_is_test(session)).tolist()
    drives = [np.load(folder / f"rates/{trial}.npy")[0] for trial in test]
    share = session.population["spontaneous_share"].to_numpy()
    spontaneous = share * np.concatenate(drives, axis=1).mean(axis=1, dtype=np.float64)
    population = session.population.assign(spontaneous_rate=spontaneous)
    rates = [_rate(folder, trial, spontaneous) for trial in test]
    return population, calibrate(rates, kernel=session.kernel, population=population)


def _write_responses(
    folder: Path,
    session: SimulatedSession,
    population: pd.DataFrame,
    calibration: Calibration,
    advance: Callable[[int], None],
) -> FloatArray:
    """Write responses and expected responses; return the reliability of each neuron."""
    for name in ("data/responses", "truth/responses"):
        (folder / name).mkdir(parents=True)
    spontaneous = population["spontaneous_rate"].to_numpy()
    model: dict[str, Any] = {"kernel": session.kernel, "calibration": calibration}
    is_test, is_train = _is_test(session), (session.trials["tier"] == "train").to_numpy()
    longest = session.frame_counts.max()
    pairs: list[FloatArray] = []
    for trial in range(len(session.trials)):
        rate = _rate(folder, trial, spontaneous)
        seed = (session.options.seed, session.mouse, trial)
        drawn = draw_response(rate, **model, seed=seed).astype(np.float32)
        expected = expected_response(rate, **model).astype(np.float32)
        if is_test[trial]:
            pairs.append(np.stack([expected, drawn]))
        files = {"data/responses": drawn}
        if not is_train[trial]:
            files["truth/responses"] = expected
        for name, values in files.items():
            if session.options.kind == "image":
                values = values[:, 0]
            np.save(folder / f"{name}/{trial}.npy", _pad(values, session, longest))
        advance(1)
    return correlate_rows(*np.concatenate(pairs, axis=2).astype(np.float64))


def _describe(folder: Path, seconds: float) -> SimulatedMouse:
    truth = read_ground_truth(folder)
    tiers, counts = np.unique(np.load(folder / "meta/trials/tiers.npy"), return_counts=True)
    return SimulatedMouse(
        mouse=folder.name,
        folder=folder,
        neurons=len(truth),
        trials=dict(zip(tiers.tolist(), counts.tolist(), strict=True)),
        reliability=float(truth["reliability"].mean()),
        reliability_obtained=float(truth["reliability_obtained"].mean()),
        seconds=seconds,
    )
