"""What the published metadata say of a recording's trials: their movies, Gabors and dots.

::

    METADATA/stimulus_ids/mouseB.npy                    (trial,) type of each trial's stimulus
            /video_ids/mouseB.npy                       (trial,) equal where a movie was repeated
            /ood_features/drifting_gabor/mouseB/33.npy  (frame, 3) direction, wavelength, frequency
            /ood_features/gaussian_dots/mouseA/37.npy   (frame, 4) x, y, radius, 1 if black

There is one file of features a movie, under the number of one of the trials that showed it.

References
----------
ViV1T-closed-loop, viv1t/data/metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import RecordingError
from insilico.recordings.movies import STIMULUS_TYPES
from insilico.recordings.recording import Recording

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

FEATURES = "ood_features"
#: Columns of the features of each type of stimulus that has any we read.
FEATURE_COLUMNS = {"drifting_gabor": 3, "gaussian_dots": 4}


def known_trials(recording: Recording, metadata: Path | None = None) -> pd.DataFrame:
    """Return the trials of a recording, with what metadata add where its own files say nothing.

    Parameters
    ----------
    recording : Recording
        Of movies.
    metadata : Path, optional
        Folder of the published metadata.

    Returns
    -------
    DataFrame, one row a trial
        As :attr:`Recording.trials`.

    Raises
    ------
    RecordingError
        If a file does not fit the recording.
    """
    trials = recording.trials.copy()
    kind = _ids(recording, metadata, "stimulus_ids", len(STIMULUS_TYPES))
    if kind is not None:
        named = np.array([*STIMULUS_TYPES, "unknown"])[kind]
        is_unsaid = (trials["stimulus_type"] == "unknown") & (trials["tier"] != "none")
        trials["stimulus_type"] = np.where(is_unsaid, named, trials["stimulus_type"])
    movie = _ids(recording, metadata, "video_ids", None)
    if movie is not None and (trials["stimulus_index"] < 0).all():
        trials["stimulus_index"] = np.where(trials["tier"] == "none", -1, movie)
    return trials


def published_features(
    recording: Recording, stimulus_type: str, *, trials: pd.DataFrame, metadata: Path | None = None
) -> dict[int, FloatArray]:
    """Return the published features of the movies of a type, by trial.

    Parameters
    ----------
    recording : Recording
        Of movies.
    stimulus_type : {"drifting_gabor", "gaussian_dots"}
        Which.
    trials : DataFrame
        As :func:`known_trials` returns them.
    metadata : Path, optional
        Folder of the published metadata; the recording's own folder ``meta`` is searched too.

    Returns
    -------
    dict of int to float array, shape (frame, feature)
        Of every trial of which its movie's features are known; empty where there are none.

    Raises
    ------
    RecordingError
        If a file is damaged, or describes a trial with another type of stimulus.
    """
    folder = _find(recording, metadata, f"{FEATURES}/{stimulus_type}", suffix="")
    if folder is None:
        return {}
    rows = trials[trials["stimulus_type"] == stimulus_type]
    shown = dict(zip(rows["trial"].tolist(), rows["stimulus_index"].tolist(), strict=True))
    by_trial: dict[int, FloatArray] = {}
    by_movie: dict[int, FloatArray] = {}
    for path in sorted(folder.glob("*.npy")):
        if not path.stem.isdigit() or int(path.stem) not in shown:
            raise RecordingError(
                f"{path} describes a trial that showed no {stimulus_type} in {recording.source}; "
                "give the metadata of this recording"
            )
        trial = int(path.stem)
        by_trial[trial] = _features(path, FEATURE_COLUMNS[stimulus_type])
        if shown[trial] >= 0:
            by_movie[shown[trial]] = by_trial[trial]
    return {
        trial: by_trial[trial] if trial in by_trial else by_movie[movie]
        for trial, movie in shown.items()
        if trial in by_trial or movie in by_movie
    }


def require_metadata(recording: Recording, metadata: Path | None) -> None:
    """Refuse a folder of metadata that says nothing of a recording.

    Raises
    ------
    RecordingError
        If nothing in it is of the recording's mouse.
    """
    if metadata is None:
        return
    places = [("stimulus_ids", ".npy"), ("video_ids", ".npy")]
    places += [(f"{FEATURES}/{name}", "") for name in FEATURE_COLUMNS]
    if all(_find(recording, metadata, where, suffix=suffix) is None for where, suffix in places):
        raise RecordingError(
            f"{metadata} has no metadata of mouse {recording.mouse}; give the folder that holds "
            f"stimulus_ids, video_ids and {FEATURES}, with files of "
            f"{' or '.join(_names(recording.mouse))}"
        )


def _names(mouse: str) -> list[str]:
    """Return what published files may call a mouse: its name, or the letter of the paper."""
    # The importers, where letters are listed, need torch.
    from insilico.models.importers.published_mice import MOVIES

    letters = [letter for letter, name in MOVIES.items() if name == mouse]
    return [*(f"mouse{letter}" for letter in letters), f"mouse{mouse}", mouse]


def _find(recording: Recording, metadata: Path | None, where: str, *, suffix: str) -> Path | None:
    """Return a mouse's file or folder of metadata, those given before the recording's own."""
    for root in filter(None, (metadata, recording.source / "meta")):
        folder = Path(root) / where
        if not folder.is_dir():
            continue
        for name in _names(recording.mouse):
            path = folder / f"{name}{suffix}"
            if path.is_file() if suffix else path.is_dir():
                return path
    return None


def _ids(
    recording: Recording, metadata: Path | None, name: str, end: int | None
) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Read one whole number a trial, -1 for none."""
    path = _find(recording, metadata, name, suffix=".npy")
    if path is None:
        return None
    ids = _read(path)
    count = len(recording.trials)
    # Files end with the last trial of any mouse, or with that of their own.
    is_whole = ids.ndim == 1 and ids.dtype.kind in "iu" and len(ids) >= count
    if not is_whole or (ids[count:] != -1).any():
        raise RecordingError(
            f"{path} has {ids.dtype} values of shape {ids.shape}, whole numbers of the {count} "
            f"trials of {recording.source} were expected; give the metadata of this recording"
        )
    ids = ids[:count].astype(np.int64)
    if ids.min(initial=0) < -1 or (end is not None and ids.max(initial=0) >= end):
        raise RecordingError(
            f"{path} has the id {ids[np.argmax(np.abs(ids))]}, numbers from -1"
            f"{'' if end is None else f' to {end - 1}'} were expected; fetch that file again"
        )
    return ids


def _features(path: Path, columns: int) -> FloatArray:
    values = _read(path)
    if values.ndim != 2 or values.shape[1] != columns or values.dtype.kind not in "iuf":
        raise RecordingError(
            f"{path} has {values.dtype} values of shape {values.shape}, numbers of shape (frame, "
            f"{columns}) were expected; fetch that file again"
        )
    return values.astype(np.float64)


def _read(path: Path) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, EOFError, ValueError) as error:
        raise RecordingError(f"{path} cannot be read ({error}); fetch that file again") from error
