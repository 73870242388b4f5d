"""The Gabor in a stimulus: where it lies, how it is turned and where it drifts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.optimize

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: The spectrum in which a fit looks for its first wave is that of a frame padded to so many pixels.
SPECTRUM_PX = 128
#: Width at which a fit starts, and how often it may ask for the misfit.
FIRST_SIGMA_PX, MOST_EVALUATIONS = 2.5, 60


@dataclasses.dataclass(frozen=True)
class Gabor:
    """A Gabor that was fitted to a stimulus.

    Attributes
    ----------
    x_px, y_px : float
        Center.
    cycles_per_px : float
        Of the carrier.
    direction_deg : float
        Where it drifts, 0-360, 0 to the right and 90 up; of one frame the axis of the carrier, in
        either of its two directions.
    unexplained : float
        Share of the stimulus's power that the fit leaves, 0 to 1.
    """

    x_px: float
    y_px: float
    cycles_per_px: float
    direction_deg: float
    unexplained: float


def fit_gabor(frames: FloatArray) -> Gabor:
    """Return the Gabor that fits a movie best, each frame with its own phase.

    Of each frame amplitude, phase and the share of the bare envelope are found in closed form; the
    other parameters are started from the energy of the frames and from the peak of its spectrum.

    Parameters
    ----------
    frames : float array, shape (frame, y, x)
        Deviations from gray, not all 0.

    Returns
    -------
    Gabor
    """
    data = frames.reshape(len(frames), -1).T
    length = np.linalg.norm(data)

    def misfit(values: FloatArray) -> FloatArray:
        columns = _parts(values, frames.shape[1:])
        return np.asarray((columns @ _shares(columns, data) - data).ravel() / length)

    start = [*_place(frames), *_wave(frames), FIRST_SIGMA_PX, FIRST_SIGMA_PX]
    fitted = scipy.optimize.least_squares(misfit, start, max_nfev=MOST_EVALUATIONS)
    x_px, y_px, wave_x, wave_y = (float(value) for value in fitted.x[:4])
    shares = _shares(_parts(fitted.x, frames.shape[1:]), data)
    ahead = np.degrees(np.arctan2(-wave_y, wave_x)) + (180 if _drift(shares) < 0 else 0)
    return Gabor(
        x_px=x_px,
        y_px=y_px,
        cycles_per_px=float(np.hypot(wave_x, wave_y) / 2 / np.pi),
        direction_deg=float(ahead % 360),
        unexplained=float(2 * fitted.cost),
    )


def _place(frames: FloatArray) -> tuple[float, float]:
    """Return the center of the energy of all frames."""
    energy = (frames**2).sum(0)
    y, x = np.indices(energy.shape)
    return float((energy * x).sum() / energy.sum()), float((energy * y).sum() / energy.sum())


def _wave(frames: FloatArray) -> tuple[float, float]:
    """Return the strongest wave of all frames, to the right and down, in radians per pixel."""
    size = SPECTRUM_PX
    spectrum = (np.abs(np.fft.fft2(frames, (size, size))) ** 2).sum(0)[:, : size // 2]
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    return float(2 * np.pi * column / size), float(2 * np.pi * np.fft.fftfreq(size)[row])


def _parts(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return an envelope times cosine and sine of its carrier, and the bare one, (pixel, 3)."""
    x_px, y_px, wave_x, wave_y, along_px, across_px = values
    y, x = np.indices(shape)
    right, down = x - x_px, y - y_px
    angle = np.arctan2(wave_y, wave_x)
    ahead = right * np.cos(angle) + down * np.sin(angle)
    beside = down * np.cos(angle) - right * np.sin(angle)
    envelope = np.exp(-((ahead / along_px) ** 2) / 2 - (beside / across_px) ** 2 / 2)
    turn = wave_x * right + wave_y * down
    columns = np.stack([envelope * np.cos(turn), envelope * np.sin(turn), envelope])
    return np.asarray(columns.reshape(3, -1).T)


def _shares(columns: FloatArray, data: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.lstsq(columns, data, rcond=None)[0])


def _drift(shares: FloatArray) -> float:
    """Return how far the carrier moves ahead; frames of high contrast say it."""
    phase = np.unwrap(np.arctan2(shares[1], shares[0]))
    clear = np.hypot(shares[0], shares[1])[:-1]
    return float((np.diff(phase) * clear).sum())
