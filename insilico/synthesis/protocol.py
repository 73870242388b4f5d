"""What is made, and how: the protocol of ``insilico generate``, from a TOML file."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from insilico.errors import StimulusError
from insilico.experiments.protocols import Protocol, require
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind
from insilico.synthesis.levels import Levels
from insilico.synthesis.objectives import Goal
from insilico.synthesis.parametrizations import (
    BandShape,
    Fourier,
    LowRank,
    Parametrization,
    ParametrizationName,
    Pixels,
)
from insilico.synthesis.schedule import Climb, Optimizer
from insilico.synthesis.scoring import Behavior, Exposure, OverFrames, OverViews, Scoring

#: What can be made: still stimuli and moving ones.
MOTION = {"mei": "still", "mev": "moving"}
#: What a protocol writes where a number is left to the optimization.
FREE = 0.0

RegionName = Literal["full", "center", "surround"]
ControlName = Literal["grating", "natural", "noise", "swap"]
CenterSource = Literal["exciting", "natural", "grating"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthesisProtocol(Protocol):
    """Every choice of a synthesis; the shipped files say what each means and where it is from.

    Parameters
    ----------
    experiment : {"mei", "mev"}
        Still or moving stimuli.
    goals : tuple of {"excite", "inhibit"}
        What is made for each target.
    region : {"full", "center", "surround"}
        Where stimuli are free. A surround is made around the center of ``surround_center``.
    surround_center : {"exciting", "natural", "grating"}
        What is held fixed in the disc while its surround is made.
    diameter_deg : float
        Of the disc; 0 is each neuron's own preferred size.
    outer_diameter_deg : float
        Where the surround ends; 0 is the edges of the screen.
    border_deg : float
        Width of the tapered border inside the disc's edge.
    restarts : int
        Stimuli made for each target and goal, from different noise.
    luminance_level, rms_level, lowest_level, highest_level : float
        As for :class:`~insilico.synthesis.levels.Levels`; 0 leaves luminance or contrast free.
    pattern_s, lead_s : float
        How long a stimulus is shown to a twin of movies, and the gray before it.
    over_frames, over_members, over_views, behaviors, shift_px
        As for :class:`~insilico.synthesis.scoring.Scoring`.
    output_units : {"auto", "recorded", "standardized"}
        Of responses.
    parametrization : {"pixels", "fourier", "low-rank"}
        What stimuli are drawn by.
    highest_cpd, highest_hz : float
        Limits of "fourier"; 0 is none.
    band_shape : {"round", "box"}
        Of the spatial limit.
    rank : int
        Of "low-rank".
    optimizer, steps, step_size, momentum, gradient_blur_px, gradient_blur_frames, \
    pattern_blur_px, ramp_steps, ramp_start, sharpen_steps, patience, tolerance
        As for :class:`~insilico.synthesis.schedule.Climb`.
    total_variation, spectrum_distance, published_spectrum : float
        Weights of penalties, in units of the response; 0 turns each off.
    controls : tuple of {"grating", "natural", "noise", "swap"}
        What is put beside each exciting stimulus.
    natural_count : int
        Most natural images or clips that are shown in the search.
    natural_stride_frames : int
        Frames between clips of one movie.
    grating_direction_count, grating_cpd, grating_hz, grating_phase_count
        The gratings of the search.
    targets_per_batch : int
        Targets that climb together; 0 chooses.
    """

    goals: tuple[Goal, ...] = ("excite",)
    region: RegionName = "full"
    surround_center: CenterSource = "exciting"
    diameter_deg: float = 20.0
    outer_diameter_deg: float = FREE
    border_deg: float = 0.0
    restarts: int = 1
    luminance_level: float = 127.0
    rms_level: float = 10.0
    lowest_level: float = 0.0
    highest_level: float = 255.0
    pattern_s: float = 1.0
    lead_s: float = 2.0
    over_frames: OverFrames = "mean"
    over_members: OverViews = "mean"
    over_views: OverViews = "mean"
    behaviors: tuple[Behavior, ...] = ("mean",)
    shift_px: int = 0
    output_units: Literal["auto", "recorded", "standardized"] = "auto"
    parametrization: ParametrizationName = "pixels"
    highest_cpd: float = FREE
    highest_hz: float = FREE
    band_shape: BandShape = "round"
    rank: int = 2
    optimizer: Optimizer = Climb.optimizer
    steps: int = Climb.steps
    step_size: float = Climb.step_size
    momentum: float = Climb.momentum
    gradient_blur_px: float = Climb.gradient_blur_px
    gradient_blur_frames: float = Climb.gradient_blur_frames
    pattern_blur_px: float = Climb.pattern_blur_px
    ramp_steps: int = Climb.ramp_steps
    ramp_start: float = Climb.ramp_start
    sharpen_steps: int = Climb.sharpen_steps
    patience: int = Climb.patience
    tolerance: float = Climb.tolerance
    total_variation: float = 0.0
    spectrum_distance: float = 0.0
    published_spectrum: float = 0.0
    controls: tuple[ControlName, ...] = ("grating", "natural", "noise", "swap")
    natural_count: int = 2000
    natural_stride_frames: int = 5
    grating_direction_count: int = 8
    grating_cpd: tuple[float, ...] = (0.02, 0.04, 0.08)
    grating_hz: tuple[float, ...] = (2.0,)
    grating_phase_count: int = 4
    targets_per_batch: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.experiment in MOTION, f"experiment must be one of {', '.join(MOTION)}")
        require(bool(self.goals), "goals must name excite, inhibit or both")
        require(self.restarts >= 1, "restarts must be 1 or more")
        require(self.pattern_s > 0, "pattern_s must be above 0")
        require(self.lead_s >= 0, "lead_s must be 0 or more")
        require(
            0 <= self.diameter_deg < 180,
            "diameter_deg must be 0 (own preferred size) or more, and below 180",
        )
        require(
            not 0 < self.outer_diameter_deg <= self.diameter_deg,
            "outer_diameter_deg must be 0 (the edges of the screen) or above diameter_deg",
        )
        require(self.natural_count >= 1, "natural_count must be 1 or more")
        require(self.targets_per_batch >= 0, "targets_per_batch must be 0 (chosen) or more")
        is_limited = self.highest_cpd > 0 or self.highest_hz > 0
        require(
            self.parametrization == "fourier" or not is_limited,
            'highest_cpd and highest_hz limit parametrization = "fourier" alone',
        )
        # Those refuse what cannot be met together, by their own names.
        _ = self.levels, self.climb, self.scoring

    @property
    def motion(self) -> str:
        """Whether stimuli are "still" or "moving"."""
        return MOTION[self.experiment]

    @property
    def levels(self) -> Levels:
        """The gray levels that stimuli may have."""
        return Levels(
            self.luminance_level or None,
            self.rms_level or None,
            self.lowest_level,
            self.highest_level,
        )

    @property
    def scoring(self) -> Scoring:
        """How answers become a number."""
        return Scoring(
            over_frames=self.over_frames,
            over_members=self.over_members,
            over_views=self.over_views,
            behaviors=self.behaviors,
            shift_px=self.shift_px,
            output_units=None if self.output_units == "auto" else self.output_units,
        )

    @property
    def climb(self) -> Climb:
        """How stimuli are improved."""
        names = [field.name for field in dataclasses.fields(Climb)]
        return Climb(**{name: getattr(self, name) for name in names})

    def exposure(self, kind: Kind, screen: Screen) -> Exposure:
        """Return how stimuli are shown to twins of a kind.

        Raises
        ------
        StimulusError
            If a twin of images is to see moving stimuli.
        """
        if kind == "image":
            if self.motion == "moving":
                raise StimulusError(
                    "moving stimuli were asked for, and this is a model of images; generate mei, "
                    "or choose a model of movies"
                )
            return Exposure()
        rate = screen.frame_rate_hz
        return Exposure(max(1, round(self.pattern_s * rate)), round(self.lead_s * rate))

    def free_frames(self, exposure: Exposure) -> int:
        """Return how many frames of a stimulus can differ."""
        return exposure.frame_count if self.motion == "moving" else 1

    def drawing(self, screen: Screen, frame_count: int) -> Parametrization:
        """Return what stimuli are drawn by."""
        if self.parametrization == "pixels":
            return Pixels()
        if self.parametrization == "low-rank":
            return LowRank(self.rank)
        return Fourier(
            screen,
            frame_count,
            highest_cpd=self.highest_cpd or None,
            highest_hz=self.highest_hz or None,
            band_shape=self.band_shape,
        )

    @property
    def outer_deg(self) -> float:
        """Where the surround ends."""
        return self.outer_diameter_deg or math.inf
