"""One simulated mouse: its neurons, its trials, and what each neuron answers in each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insilico.screen import Screen
from insilico.simulation import probes, scenes
from insilico.simulation.behavior import GAZE_STD, Session, draw_session
from insilico.simulation.network import SimulatedV1Network
from insilico.simulation.normalization import draw_normalization
from insilico.simulation.plan import DOTS_LENGTH, SimulationOptions, plan_trials
from insilico.simulation.population import draw_population
from insilico.simulation.responses import behavioral_gain, calcium_kernel, draw_response_model
from insilico.simulation.simulated_v1 import STIMULUS_STD

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

#: What draws each source of a movie.
MOVIES: dict[str, Callable[..., ByteArray]] = {
    "leaves": scenes.dead_leaves_movie,
    "noise": scenes.noise_movie,
    "pink_noise": probes.directional_noise,
    "gaussian_dots": probes.gaussian_dots,
    "random_dots": probes.random_dots,
    "drifting_gabor": probes.drifting_gabors,
    "flashed_image": probes.flashed_images,
}
#: Sources whose movies share a design: each shows another part of it.
DESIGNED = ("gaussian_dots", "drifting_gabor")
IMAGES: dict[str, Callable[..., ByteArray]] = {
    "leaves": scenes.dead_leaves_images,
    "noise": scenes.noise_images,
}
#: Images are drawn and answered in sets of this many.
IMAGE_SET = 250
#: An image is on for 0.5 s and followed by gray (Sensorium 2022); behavior is its mean meanwhile.
IMAGE_S = 0.5
IMAGE_CYCLE_S = 0.9


@dataclasses.dataclass(frozen=True, eq=False)
class TrialState:
    """What a trial brings besides its stimulus.

    Attributes
    ----------
    behavior : float array, shape (variable[, frame])
        As on disk: dilation and speed of movies; dilation, its derivative and speed of images. The
        derivative is the change from the first to the last sample of the presentation, divided by
        :data:`IMAGE_S`.
    pupil_center : float array, shape (2[, frame])
        As on disk.
    gain : float array, shape (neuron, sample)
        By behavior.
    shift_px : float array, shape (2, sample)
        Of the receptive fields, to the right and down.
    """

    behavior: FloatArray
    pupil_center: FloatArray
    gain: FloatArray
    shift_px: FloatArray


class SimulatedSession:
    """The session of one mouse; everything is a function of the options and its number.

    Parameters
    ----------
    options : SimulationOptions
        What to simulate.
    mouse : int
        Which mouse, from 0.

    Attributes
    ----------
    population : DataFrame
        One row a neuron: all its parameters.
    trials : DataFrame
        As :func:`insilico.simulation.plan.plan_trials` returns them.
    gaze_matrix : float array, shape (2, 2)
        Shift of the receptive fields, in pixels right and down, per standardized gaze.
    """

    def __init__(self, options: SimulationOptions, *, mouse: int) -> None:
        self.options = options
        self.mouse = mouse
        self.screen = Screen()
        self.population = _draw_neurons(options, mouse, self.screen)
        self.network = SimulatedV1Network(
            self.population, screen=self.screen, kind=options.kind
        ).eval()
        self.trials = plan_trials(options, mouse=mouse)
        self.kernel = calcium_kernel(options.kind, self.screen.frame_rate_hz)
        self.gaze_matrix = _draw_gaze_matrix(options, mouse)
        self._session = self._draw_session()
        self._gaze_center = self._session.gaze.mean(axis=1, keepdims=True)
        self._kept: dict[int, ByteArray] = {}

    @property
    def frame_counts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Frames of each trial; 1 for images."""
        if self.options.kind == "image":
            return np.ones(len(self.trials), np.int64)
        is_long = (self.trials["stimulus_type"] == "gaussian_dots").to_numpy()
        trial_s = np.where(is_long, DOTS_LENGTH, 1.0) * self.options.trial_s
        return np.rint(trial_s * self.screen.frame_rate_hz).astype(np.int64)

    def stimulus(self, trial: int) -> ByteArray:
        """Draw what a trial shows.

        Returns
        -------
        uint8 array, shape ([frame,] y, x)
        """
        row = self.trials.iloc[trial]
        number = int(row["stimulus"])
        if self.options.kind == "image":
            return self._image(number)
        if number not in self._kept:
            movie = self._movie(row["source"], number, int(self.frame_counts[trial]))
            if row["tier"] == "train":
                return movie
            self._kept[number] = movie
        return self._kept[number]

    def _movie(self, source: str, number: int, frame_count: int) -> ByteArray:
        seed, draw = (self.options.seed, self.mouse), MOVIES[source]
        if source not in DESIGNED:
            return draw(self.screen, seed=(*seed, number), frame_count=frame_count)
        first = int(self.trials.loc[self.trials["source"] == source, "stimulus"].min())
        return draw(self.screen, seed=seed, frame_count=frame_count, movie=number - first)

    def state(self, trial: int) -> TrialState:
        """Return behavior and gaze of a trial, and what they do to the responses."""
        samples = self._samples(trial)
        dilation, speed = self._session.dilation[samples], self._session.speed[samples]
        gaze = self._session.gaze[:, samples]
        behavior = np.stack([dilation, speed])
        if self.options.kind == "image":
            # By the length of the presentation, though its samples span an interval less.
            slope = (dilation[-1] - dilation[0]) / IMAGE_S
            dilation, speed = dilation.mean(keepdims=True), speed.mean(keepdims=True)
            gaze = gaze.mean(axis=1, keepdims=True)
            behavior = np.array([dilation[0], slope, speed[0]])
        shift = self.gaze_matrix @ ((gaze - self._gaze_center) / GAZE_STD)
        return TrialState(
            behavior=behavior,
            pupil_center=gaze[:, 0] if self.options.kind == "image" else gaze,
            gain=behavioral_gain(self.population, dilation, speed),
            shift_px=shift,
        )

    def drive(self, stimuli: ByteArray, shift_px: FloatArray) -> FloatArray:
        """Return the noiseless responses, before behavior changes their gain.

        Parameters
        ----------
        stimuli : uint8 array, shape (sample, y, x)
            The frames of a movie, or images.
        shift_px : float array, shape (2, sample)
            Of the receptive fields.

        Returns
        -------
        float32 array, shape (neuron, sample)
        """
        standardized = (torch.from_numpy(stimuli).float() - self.screen.gray) / STIMULUS_STD
        seen = shift_view(standardized, torch.from_numpy(shift_px).float())
        with torch.inference_mode():
            if self.options.kind == "movie":
                return self.network(seen[None, None], mouse="simulated")[0].numpy()
            return self.network(seen[:, None], mouse="simulated").T.numpy()

    def _image(self, number: int) -> ByteArray:
        """Draw an image with the others of its source and set, and keep these for later."""
        if number not in self._kept:
            table = self.trials.drop_duplicates("stimulus").set_index("stimulus")["source"]
            source = table[number]
            alike = np.sort(table.index[table == source].to_numpy())
            first = int(np.searchsorted(alike, number)) // IMAGE_SET * IMAGE_SET
            chosen = alike[first : first + IMAGE_SET]
            seed = (self.options.seed, self.mouse, first)
            images = IMAGES[source](self.screen, seed=seed, count=IMAGE_SET)
            self._kept.update(zip(chosen.tolist(), images, strict=False))
        return self._kept[number]

    def _samples(self, trial: int) -> slice:
        if self.options.kind == "image":
            rate = self.screen.frame_rate_hz
            start = trial * round(IMAGE_CYCLE_S * rate)
            return slice(start, start + round(IMAGE_S * rate))
        counts = self.frame_counts
        start = int(counts[:trial].sum())
        return slice(start, start + int(counts[trial]))

    def _draw_session(self) -> Session:
        rate_hz = self.screen.frame_rate_hz
        sample_count = int(self.frame_counts.sum())
        if self.options.kind == "image":
            sample_count = len(self.trials) * round(IMAGE_CYCLE_S * rate_hz)
        seed = (self.options.seed, self.mouse)
        return draw_session(seed=seed, sample_count=sample_count, rate_hz=rate_hz)


def shift_view(frames: Tensor, shift_px: Tensor) -> Tensor:
    """Return what receptive fields see that are shifted over the screen.

    Parameters
    ----------
    frames : float tensor, shape (sample, y, x)
        Standardized stimulus; beyond the screen it is gray, 0.
    shift_px : float tensor, shape (2, sample)
        To the right and down; fractions interpolate linearly.

    Returns
    -------
    float tensor, shape (sample, y, x)
        The frames moved left and up by the shift.
    """
    height, width = frames.shape[1:]
    x = torch.arange(width) + shift_px[0, :, None]
    y = torch.arange(height) + shift_px[1, :, None]
    # grid_sample counts from -1 to 1 between the centers of the outermost pixels.
    across = (2 * x / (width - 1) - 1)[:, None, :].expand(-1, height, -1)
    down = (2 * y / (height - 1) - 1)[:, :, None].expand(-1, -1, width)
    grid = torch.stack([across, down], dim=-1)
    moved = torch.nn.functional.grid_sample(
        frames[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return moved[:, 0]


def _draw_neurons(options: SimulationOptions, mouse: int, screen: Screen) -> pd.DataFrame:
    simple_count = options.neurons - options.neurons // 2
    seed = _population_seed(options.seed, mouse)
    population = draw_population(
        simple_count=simple_count, energy_count=options.neurons // 2, screen=screen, seed=seed
    )
    population = draw_normalization(population, seed=seed)
    return draw_response_model(population, reliability=options.mean_reliability, seed=seed)


def _population_seed(seed: int, mouse: int) -> int:
    """Return a seed of its own for each mouse, far from the small ones that people type."""
    return int(np.random.SeedSequence([seed, mouse, 4]).generate_state(1)[0])


def _draw_gaze_matrix(options: SimulationOptions, mouse: int) -> FloatArray:
    """Draw how gaze maps to the screen: nearly upright, scales within some 15 % of each other."""
    random = np.random.default_rng([options.seed, mouse, 6])
    angle = 0.2 * random.standard_normal()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(options.gaze_shift_px * turn @ np.diag(random.uniform(0.85, 1.15, 2)))
