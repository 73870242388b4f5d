"""The drifting Gabors of the published movie recordings, and the bank of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import ShapeError
from insilico.screen import Screen
from insilico.stimuli.gratings import HALF_RANGE

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: The published design: frames of a Gabor, directions of motion, wavelengths in half screen
#: heights, and frequencies in cycles per block and column of pixels
#: (ViV1T-closed-loop, tuning_direction/extract_gabor_features.py).
BLOCK_FRAMES = 25
DIRECTIONS_DEG = tuple(45.0 * step for step in range(8))
WAVELENGTHS = (0.18, 0.38, 0.65)
FREQUENCIES = (0.008, 0.022, 0.055)
#: Standard deviation of the envelope, in half screen heights (same source).
ENVELOPE = 0.3


def drifting_gabors(
    screen: Screen, *, direction_deg: ArrayLike, wavelength: ArrayLike, frequency: ArrayLike
) -> FloatArray:
    """Draw Gabor patches in the middle of the screen, as published.

    Parameters
    ----------
    screen : Screen
        Pixels of a frame.
    direction_deg : float array, shape (gabor,)
        Direction of motion: 0 rightward, 90 upward.
    wavelength : float array, shape (gabor,)
        In half screen heights, > 0.
    frequency : float array, shape (gabor,)
        Cycles per block of 25 frames, divided by the screen's width in pixels.

    Returns
    -------
    float array, shape (gabor, frame, y, x)
        Gray levels 0-255, not rounded; :data:`BLOCK_FRAMES` frames.

    Raises
    ------
    ShapeError
        If the parameters are not one-dimensional and of one length.

    References
    ----------
    ViV1T-closed-loop, tuning_direction/extract_gabor_features.py: ``127.5 (1 + exp(-(x^2 + y^2) /
    (2 0.3^2)) cos(2 pi ((x cos a - y sin a) / l + w f t)))`` with ``t`` from 0 to 1 over the block,
    ``y`` from -1 to 1 down the screen and square pixels but for the last column and row. Its angle
    ``a`` is ``direction_deg + 180``.
    """
    values = [np.asarray(value, np.float64) for value in (direction_deg, wavelength, frequency)]
    if len({value.shape for value in values}) != 1 or values[0].ndim != 1:
        raise ShapeError(
            f"Gabor parameters of the shapes {[value.shape for value in values]}; give one of each "
            "a Gabor"
        )
    angle, length, rate = (value[:, None, None, None] for value in values)
    angle = np.radians((angle + 180) % 360)
    aspect = screen.width_px / screen.height_px
    x = np.linspace(-aspect, aspect, screen.width_px)
    y = np.linspace(-1, 1, screen.height_px)[:, None]
    time = np.linspace(0, 1, BLOCK_FRAMES)[:, None, None]
    along = (x * np.cos(angle) - y * np.sin(angle)) / length
    wave = np.cos(2 * np.pi * (along + screen.width_px * rate * time))
    return np.asarray(HALF_RANGE * (1 + np.exp(-(x**2 + y**2) / (2 * ENVELOPE**2)) * wave))


def gabor_bank() -> pd.DataFrame:
    """Return the 72 published Gabors: ``direction_deg``, ``wavelength`` and ``frequency``."""
    grid = pd.MultiIndex.from_product(
        [DIRECTIONS_DEG, WAVELENGTHS, FREQUENCIES],
        names=["direction_deg", "wavelength", "frequency"],
    )
    return grid.to_frame(index=False)


def gabor_spatial_frequency_cpd(screen: Screen, wavelength: ArrayLike) -> FloatArray:
    """Return the cycles per degree, at the screen center, of published wavelengths."""
    wavelength_px = np.asarray(wavelength, float) * (screen.height_px - 1) / 2
    return np.asarray(1 / (wavelength_px * screen.degrees_per_px))
