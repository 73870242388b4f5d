"""The values of a receptive-field measurement."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from insilico.experiments.protocols import Protocol, require
from insilico.experiments.reverse_correlation import GaborBank
from insilico.screen import Screen
from insilico.stimuli.noise import Levels
from insilico.stimuli.stimuli import Kind


@dataclasses.dataclass(frozen=True)
class RetinotopyProtocol(Protocol):
    """Values of ``experiments/retinotopy.toml`` and its variants; the files explain each.

    Parameters
    ----------
    noise_levels : {"uniform", "binary"}
        Distribution of the gray levels.
    image_count : int
        Noise images shown to an image model, and to a movie model that sees them still.
    frame_count : int
        Noise frames with a full history, shown to a movie model.
    lead_s, noise_s : float
        Gray before the noise of each movie trial, and noise per trial.
    lag_s : float
        History that is correlated with a response.
    bank_frequency_cpd : tuple of float
        Spatial frequencies of the Gabor bank.
    bank_orientation_count, bank_sigma_cycles, bank_stride_px
        See :class:`insilico.experiments.reverse_correlation.GaborBank`.
    smoothing_px : float
        Blur with which halves are compared.
    minimum_linear_reliability, minimum_energy_reliability : float
        Split-half correlation that each map must reach to be fitted.
    energy_preference : float
        Where both maps are reliable, the energy map is fitted if it explains more than this share
        of what the linear map explains.
    reliability_goal : float, optional
        Stop when the median neuron's better map reaches it.
    presentation : {"frames", "still"}
        Whether movie models see a new pattern every frame, or one pattern for all of ``noise_s``,
        to which the response is then the mean. Image models know no difference.
    estimator : {"covariance", "gradient"}
        Whether responses are correlated with the noise, or differentiated by its pixels.
    gradient_count : int
        Stimuli at which each neuron is differentiated.
    noise_contrast : float
        Of the noise, in (0, 1]; 1 spans all gray levels.
    minimum_fit_r2 : float
        Share of what repeats in a map that the fit must explain to be called one.
    compatibility : bool
        Also make the published maps and fits of the same responses.
    """

    noise_levels: Levels
    image_count: int
    frame_count: int
    lead_s: float
    noise_s: float
    lag_s: float
    bank_frequency_cpd: tuple[float, ...]
    bank_orientation_count: int
    bank_sigma_cycles: float
    bank_stride_px: int
    smoothing_px: float
    minimum_linear_reliability: float
    minimum_energy_reliability: float
    energy_preference: float
    reliability_goal: float | None = None
    presentation: Literal["frames", "still"] = "frames"
    estimator: Literal["covariance", "gradient"] = "covariance"
    gradient_count: int = 64
    noise_contrast: float = 1.0
    minimum_fit_r2: float = 0.25
    compatibility: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.image_count >= 4 and self.frame_count >= 4, "show at least 4 images or frames")
        require(self.lag_s > 0, "lag_s must be above 0")
        require(self.noise_s > 2 * self.lag_s, "noise_s must be more than twice lag_s")
        require(self.lead_s >= 0, "lead_s must be 0 or more")
        require(len(self.bank_frequency_cpd) > 0, "name at least one bank_frequency_cpd")
        require(min(self.bank_frequency_cpd) > 0, "bank_frequency_cpd must be above 0")
        require(self.bank_orientation_count >= 2, "bank_orientation_count must be 2 or more")
        require(1 <= self.bank_stride_px <= 8, "bank_stride_px lies in [1, 8]")
        require(self.bank_sigma_cycles > 0, "bank_sigma_cycles must be above 0")
        require(self.smoothing_px >= 0, "smoothing_px must be 0 or more")
        if self.reliability_goal is not None:
            require(0 < self.reliability_goal < 1, "reliability_goal lies in (0, 1)")
        for minimum in (self.minimum_linear_reliability, self.minimum_energy_reliability):
            require(0 <= minimum < 1, "a minimum reliability lies in [0, 1)")
        require(self.energy_preference >= 0, "energy_preference must be 0 or more")
        require(self.gradient_count >= 4, "gradient_count must be 4 or more")
        require(0 < self.noise_contrast <= 1, "noise_contrast must lie above 0, up to 1")
        require(0 <= self.minimum_fit_r2 < 1, "minimum_fit_r2 lies in [0, 1)")
        is_gradient = self.estimator == "gradient"
        require(
            not is_gradient or (self.presentation == "frames" and not self.compatibility),
            'the gradient is taken of presentation = "frames", without compatibility',
        )

    def is_still(self, kind: Kind) -> bool:
        """Whether each pattern has one response: an image, or a movie of one image."""
        return kind == "image" or self.presentation == "still"

    def lag_count(self, screen: Screen, kind: Kind) -> int:
        """Return the number of lags, the present frame included; 1 for still patterns."""
        return 1 if self.is_still(kind) else max(1, screen.frames(self.lag_s))

    def bank(self, screen: Screen) -> GaborBank:
        """Return the Gabor bank on a screen."""
        return GaborBank(
            screen,
            self.bank_frequency_cpd,
            orientation_count=self.bank_orientation_count,
            sigma_cycles=self.bank_sigma_cycles,
            stride_px=self.bank_stride_px,
        )

    def noise_moments(self) -> tuple[float, float]:
        """Return mean and standard deviation of the noise, gray levels."""
        spread = 127.5 if self.noise_levels == "binary" else float(np.sqrt((256**2 - 1) / 12))
        return 127.5, self.noise_contrast * spread
