"""What a simulated session holds: its options, and the order of its trials."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import RecordingError
from insilico.simulation.responses import RELIABILITY
from insilico.stimuli.stimuli import Kind

#: Numbers of stimuli where the options say nothing.
DEFAULTS: dict[Kind, dict[str, int]] = {
    "movie": {"train_trials": 360, "validation_stimuli": 6, "test_stimuli": 6, "repeats": 8},
    "image": {"train_trials": 3000, "validation_stimuli": 200, "test_stimuli": 100, "repeats": 10},
}
#: Numbers by which the published recordings name their stimuli (ViV1T-closed-loop,
#: viv1t/data/metadata/README.md).
STIMULUS_IDS = {
    "movie": 0,
    "pink_noise": 1,
    "gaussian_dots": 2,
    "random_dots": 3,
    "drifting_gabor": 4,
    "flashed_image": 5,
}
#: Out-of-distribution stimuli by their tier.
BONUS = {
    "live_test_bonus": ("pink_noise", "gaussian_dots"),
    "final_test_bonus": ("random_dots", "drifting_gabor", "flashed_image"),
}
#: Two in three naturalistic training stimuli are dead leaves, the third is 1/f noise.
LEAVES_PER_NOISE = 2
#: Gaussian dots go on for longer than the other movies, 315 frames against 300, as published.
DOTS_LENGTH = 1.05


@dataclasses.dataclass(frozen=True)
class SimulationOptions:
    """All that decides what a simulation writes.

    Parameters
    ----------
    kind : {"movie", "image"}
        Movies in the layout of Sensorium 2023, or images in that of Sensorium 2022.
    mice : int
        Number of mice, each with its own neurons, stimuli, behavior and gaze.
    neurons : int
        Neurons of each mouse, half of them simple and half energy cells.
    seed : int
        Everything is a function of the options.
    reliability : float, optional
        Mean over neurons of the correlation of expected with recorded responses over the repeated
        test trials; :data:`insilico.simulation.responses.RELIABILITY` when left out.
    train_trials : int, optional
        Training trials, each with a stimulus of its own. 360 movies or 3,000 images.
    validation_stimuli : int, optional
        Movies of the tier ``oracle``, each repeated (6), or images of the tier ``validation``, each
        shown once (200).
    test_stimuli : int, optional
        Movies of the tier ``live_test_main`` (6), or images of the tier ``test`` (100); repeated.
    final_stimuli : int
        Movies of the tier ``final_test_main``; repeated.
    bonus_stimuli : int
        Movies of each out-of-distribution type; repeated.
    repeats : int, optional
        Presentations of a repeated stimulus: 8 of a movie, 10 of an image.
    trial_s : float
        Length of a movie. Gaussian dots last 5 % longer, as published.
    gaze_shift_px : float
        Standard deviation of the shift of the receptive fields by the gaze.
    padded : bool
        Write movies as float32 and pad all signals with NaN to the longest trial, as published;
        otherwise each is as long as it is, and movies are uint8.
    image_scale : int
        Write each pixel of an image as a square of so many pixels a side: 1, or 4 for the 144 x 256
        of Sensorium 2022. Images of other sizes would not be read at the size of the screen.

    Raises
    ------
    RecordingError
        If an option is out of range.
    """

    kind: Kind = "movie"
    mice: int = 3
    neurons: int = 150
    seed: int = 0
    reliability: float | None = None
    train_trials: int | None = None
    validation_stimuli: int | None = None
    test_stimuli: int | None = None
    final_stimuli: int = 2
    bonus_stimuli: int = 2
    repeats: int | None = None
    trial_s: float = 10.0
    gaze_shift_px: float = 1.0
    padded: bool = False
    image_scale: int = 1

    def __post_init__(self) -> None:
        if self.kind not in DEFAULTS:
            raise RecordingError(f"the kind {self.kind!r} is unknown; give 'movie' or 'image'")
        filled = {**DEFAULTS[self.kind], "reliability": RELIABILITY[self.kind]}
        for name, value in filled.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        smallest = dict.fromkeys(("mice", "neurons", "train_trials", "test_stimuli"), 1)
        smallest |= {"seed": 0, "repeats": 2}
        smallest |= dict.fromkeys(("validation_stimuli", "final_stimuli", "bonus_stimuli"), 0)
        for name, least in smallest.items():
            _require(getattr(self, name) >= least, name, getattr(self, name), f"{least} or more")
        inside = math.isfinite(self.mean_reliability) and 0 < self.mean_reliability < 1
        _require(inside, "reliability", self.reliability, "a number between 0 and 1, both excluded")
        long = math.isfinite(self.trial_s) and self.trial_s >= 1
        _require(long, "trial_s", self.trial_s, "1 second or more")
        steady = math.isfinite(self.gaze_shift_px) and self.gaze_shift_px >= 0
        _require(steady, "gaze_shift_px", self.gaze_shift_px, "0 or more")
        scale = self.image_scale
        _require(scale in (1, 4), "image_scale", scale, "1, or 4 for the published 144 x 256")

    @property
    def mean_reliability(self) -> float:
        """The reliability asked for, defaults filled in."""
        return float(self.reliability or 0)

    def to_dict(self) -> dict[str, Any]:
        """All options by name, as ``simulation.toml`` holds them."""
        return dataclasses.asdict(self)


def _require(is_met: bool, name: str, value: object, expected: str) -> None:
    if not is_met:
        raise RecordingError(f"{name} is {value!r}; give {expected}")


def plan_trials(options: SimulationOptions, *, mouse: int) -> pd.DataFrame:
    """Lay out the trials of one mouse in the order of their presentation.

    Parameters
    ----------
    options : SimulationOptions
        How many of what.
    mouse : int
        Which mouse, from 0; the order is drawn for each.

    Returns
    -------
    DataFrame, one row a trial
        ``tier`` (as on disk), ``stimulus_type``, ``stimulus`` (equal where the same stimulus is
        shown again; 0, 1, …) and ``source`` (what draws it).
    """
    blocks = _movie_blocks(options) if options.kind == "movie" else _image_blocks(options)
    rows: list[tuple[str, str, int, str]] = []
    stimulus = 0
    for tier, stimulus_type, sources, repeats in blocks:
        for source in sources:
            rows += [(tier, stimulus_type, stimulus, source)] * repeats
            stimulus += 1
    columns = ["tier", "stimulus_type", "stimulus", "source"]
    random = np.random.default_rng([options.seed, mouse, 5])
    return (
        pd.DataFrame(rows, columns=columns)
        .iloc[random.permutation(len(rows))]
        .reset_index(drop=True)
    )


def _naturalistic(count: int | None) -> list[str]:
    every = LEAVES_PER_NOISE + 1
    return ["noise" if number % every == every - 1 else "leaves" for number in range(count or 0)]


def _movie_blocks(options: SimulationOptions) -> list[tuple[str, str, list[str], int]]:
    repeats = options.repeats or 0
    blocks = [
        ("train", "movie", _naturalistic(options.train_trials), 1),
        ("oracle", "movie", _naturalistic(options.validation_stimuli), repeats),
        ("live_test_main", "movie", _naturalistic(options.test_stimuli), repeats),
        ("final_test_main", "movie", _naturalistic(options.final_stimuli), repeats),
    ]
    for tier, types in BONUS.items():
        blocks += [(tier, name, [name] * options.bonus_stimuli, repeats) for name in types]
    return blocks


def _image_blocks(options: SimulationOptions) -> list[tuple[str, str, list[str], int]]:
    return [
        ("train", "image", _naturalistic(options.train_trials), 1),
        ("validation", "image", _naturalistic(options.validation_stimuli), 1),
        ("test", "image", _naturalistic(options.test_stimuli), options.repeats or 0),
    ]
