"""Recordings of movies: Sensorium 2023, and the Rochefort laboratory's in the same files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from insilico.errors import RecordingError
from insilico.recordings.faults import FaultList
from insilico.recordings.npy import Array
from insilico.recordings.recording import SIGNALS, Layout, Recording, Trial
from insilico.recordings.source import LANDMARK, Source
from insilico.recordings.tables import (
    IntArray,
    read_ids,
    read_neurons,
    read_screen,
    read_tiers,
    rename_tiers,
)
from insilico.recordings.trials import TrialFiles, find_files, first_shape
from insilico.screen import SCREENS
from insilico.variables import MOVIE_BEHAVIOR

#: Words of each layout for tiers (ViV1T-closed-loop, viv1t/data/constants.py).
TIER_NAMES: Mapping[Layout, Mapping[str, str]] = {
    "sensorium2023": {
        "train": "train",
        "oracle": "validation",
        "live_test_main": "live_main",
        "live_test_bonus": "live_bonus",
        "final_test_main": "final_main",
        "final_test_bonus": "final_bonus",
        "none": "none",
    },
    "rochefort": {
        tier: tier
        for tier in (
            "train",
            "validation",
            "live_main",
            "live_bonus",
            "final_main",
            "final_bonus",
            "none",
        )
    },
}

#: Types of stimuli by their number in ``stimulus_ids.npy`` (ViV1T-closed-loop,
#: viv1t/data/constants.py); -1 stands for none.
STIMULUS_TYPES = (
    "movie",
    "pink_noise",
    "gaussian_dots",
    "random_dots",
    "drifting_gabor",
    "flashed_image",
)

#: What Sensorium 2023 showed in the live bonus tier, by mouse (ViV1T-closed-loop,
#: viv1t/data/metadata/stimulus_ids). The final bonus tiers mix two types.
LIVE_BONUS_TYPES = {
    "29156-11-10": "pink_noise",
    "29228-2-10": "drifting_gabor",
    "29234-6-9": "random_dots",
    "29513-3-5": "flashed_image",
    "29514-2-9": "gaussian_dots",
    "29515-10-12": "pink_noise",
    "29623-4-9": "drifting_gabor",
    "29647-19-8": "gaussian_dots",
    "29712-5-9": "random_dots",
    "29755-2-8": "flashed_image",
}


@dataclasses.dataclass(frozen=True)
class MovieReader:
    """Reads one presentation of a movie, without its padding.

    Parameters
    ----------
    files : TrialFiles
        Where the trials lie.
    shape : tuple of int
        Rows and columns of a frame.
    """

    files: TrialFiles
    shape: tuple[int, int]

    def __call__(self, trial: int) -> Trial:
        """Read a trial.

        Raises
        ------
        RecordingError
            If a file is missing, damaged, of another shape or length or holds what is not finite in
            a frame that was shown; the message tells of all files of the trial.
        """
        files, faults = self.files, FaultList()
        files.demand_trial(trial)
        values: dict[str, Array] = {}
        padded: int | None = None
        shown: int | None = None
        with faults.noting():
            video = files.numbers("stimulus", trial, shape=(*self.shape, None), axes="y, x, frame")
            padded = video.shape[-1]
            shown = self._duration(trial, video)
            values["stimulus"] = files.levels(trial, np.moveaxis(video[..., :shown], -1, 0))[None]
        for signal, count, axes in (
            ("responses", files.neuron_count, "neuron, frame"),
            ("behavior", len(MOVIE_BEHAVIOR), "variable, frame"),
            ("pupil_center", 2, "x and y, frame"),
        ):
            if signal in files.folders:
                with faults.noting():
                    values[signal] = self._signal(trial, signal, (count, padded), axes, shown)
        faults.raise_any()
        return Trial(**values)

    def _duration(self, trial: int, video: Array) -> int:
        """Frames before the padding: the first NaN of the top left pixel ends the movie."""
        is_padding = np.isnan(video[0, 0]) if video.dtype.kind == "f" else np.zeros(1, bool)
        if is_padding[0]:
            raise RecordingError(
                f"{self.files.describe('stimulus', trial)} has NaN in its first frame, gray levels "
                "were expected; mend the trial or set its tier to 'none'"
            )
        return int(is_padding.argmax()) if is_padding.any() else video.shape[-1]

    def _signal(
        self,
        trial: int,
        signal: str,
        shape: tuple[int, int | None],
        axes: str,
        shown: int | None,
    ) -> Array:
        """Read what was recorded during the frames that were shown."""
        if signal == "responses" and self.files.tiers[trial] in self.files.withheld:
            return np.zeros((shape[0], shown or 1), np.float32)
        values = self.files.numbers(signal, trial, shape=shape, axes=axes)
        if shown is None:
            # The movie is at fault: nothing tells padding from what should have been recorded.
            return values
        values = values[:, :shown]
        if signal == "responses":
            return self.files.responses(trial, values)
        return self.files.finite(signal, trial, values)


def open_movies(source: Source, *, mouse: str) -> Recording:
    """Open a recording of movies; the words for its tiers tell Sensorium 2023 from Rochefort.

    Parameters
    ----------
    source : Source
        Its files.
    mouse : str
        Name of the mouse.

    Raises
    ------
    RecordingError
        If a table is missing, damaged or does not fit the others; the message tells of all.
    """
    faults = FaultList()
    with faults.noting():
        words = read_tiers(source)
        layout = movie_layout(source, words)
        tiers = rename_tiers(source, words, TIER_NAMES[layout])
    with faults.noting():
        neurons = read_neurons(source, response_axes=2)
    faults.raise_any()
    with faults.noting():
        stimulus_type = _stimulus_types(source, tiers)
    with faults.noting():
        stimulus_index = _video_index(source, tiers)
    files = find_files(
        source, tiers=tuple(tiers), neuron_count=len(neurons), stimulus_folder="data/videos"
    )
    with faults.noting():
        rows, columns, _ = first_shape(files, "stimulus", 3)
        default = SCREENS["rochefort" if layout == "rochefort" else "sensorium"]
        screen = read_screen(source, default=default, shape=(rows, columns))
    faults.raise_any()
    return Recording(
        mouse=mouse,
        kind="movie",
        layout=layout,
        source=source.path,
        screen=screen,
        neurons=neurons,
        trials=pd.DataFrame(
            {
                "trial": np.arange(len(tiers)),
                "tier": tiers,
                "stimulus_type": stimulus_type,
                "stimulus_index": stimulus_index,
            }
        ),
        read=MovieReader(files, (rows, columns)),
        behavior_names=MOVIE_BEHAVIOR if "behavior" in files.folders else (),
        has_pupil="pupil_center" in files.folders,
        rate_hz=MappingProxyType(dict.fromkeys(SIGNALS, screen.frame_rate_hz)),
        start_s=MappingProxyType(dict.fromkeys(SIGNALS, 0.0)),
    )


def movie_layout(source: Source, words: list[str]) -> Layout:
    """Tell the layout of a movie recording from its words for tiers.

    The Rochefort laboratory calls the repeated movies "validation", Sensorium calls them "oracle".
    Where only words occur that both have, ``dynamic`` at the start of the folder's name speaks for
    Sensorium and anything else for Rochefort.

    Raises
    ------
    RecordingError
        If words of both layouts occur.
    """
    sensorium, rochefort = set(TIER_NAMES["sensorium2023"]), set(TIER_NAMES["rochefort"])
    of_sensorium = sorted(set(words) & (sensorium - rochefort))
    of_rochefort = sorted(set(words) & (rochefort - sensorium))
    if of_sensorium and of_rochefort:
        raise RecordingError(
            f"{source.describe(LANDMARK)} mixes tiers of Sensorium 2023 ({of_sensorium[0]}) and of "
            f"Rochefort ({of_rochefort[0]}); use the words of one"
        )
    is_dynamic = source.name.startswith("dynamic") and not of_rochefort
    return "sensorium2023" if of_sensorium or is_dynamic else "rochefort"


def _stimulus_types(source: Source, tiers: list[str]) -> list[str]:
    """Return the type of each trial's stimulus: as the files say, or what is known of the mouse."""
    member = "meta/trials/stimulus_ids.npy"
    if member in source.sizes:
        ids = read_ids(source, member, len(tiers))
        if ids.max() >= len(STIMULUS_TYPES):
            raise RecordingError(
                f"{source.describe(member)} has the stimulus id {ids.max()}; the ids are -1 to "
                f"{len(STIMULUS_TYPES) - 1}"
            )
        return [STIMULUS_TYPES[number] if number >= 0 else "unknown" for number in ids]
    live_bonus = "unknown"
    for key, stimulus in LIVE_BONUS_TYPES.items():
        if source.name.startswith(f"dynamic{key}-"):
            live_bonus = stimulus
    others = {"live_bonus": live_bonus, "final_bonus": "unknown", "none": "unknown"}
    return [others.get(tier, "movie") for tier in tiers]


def _video_index(source: Source, tiers: list[str]) -> IntArray:
    """Return which trials showed the same movie, -1 where the files do not say."""
    member = "meta/trials/video_ids.npy"
    if member not in source.sizes:
        return np.full(len(tiers), -1)
    index = read_ids(source, member, len(tiers))
    index[np.array(tiers) == "none"] = -1
    return index
