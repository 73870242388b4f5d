"""Full-field sinusoidal gratings, drifting or static."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from insilico.errors import UnitsError
from insilico.screen import Screen

#: Half of the gray range: a grating of contrast 1 spans 0 to 255.
HALF_RANGE = 127.5


def drifting_grating(
    screen: Screen,
    *,
    direction_deg: ArrayLike,
    spatial_frequency_cpd: ArrayLike,
    temporal_frequency_hz: ArrayLike,
    frame_count: int,
    phase_deg: ArrayLike = 0.0,
    contrast: ArrayLike = 1.0,
    dtype: DTypeLike = np.uint8,
) -> np.ndarray[Any, Any]:
    """Draw gratings that fill the screen and drift.

    Parameters
    ----------
    screen : Screen
        Where they are shown. The spatial frequency holds at the screen center and is constant per
        pixel: there is no spherical correction.
    direction_deg : float array, shape (…)
        Direction of motion: 0 rightward, 90 upward, counter-clockwise. All parameter arrays
        broadcast against each other.
    spatial_frequency_cpd : float array, shape (…)
        Cycles per degree, > 0.
    temporal_frequency_hz : float array, shape (…)
        Cycles per second, 0 or more.
    frame_count : int
        Number of frames.
    phase_deg : float array, shape (…)
        Phase of the first frame.
    contrast : float array, shape (…)
        Michelson contrast, 0 to 1.
    dtype : dtype
        ``uint8`` for the levels a monitor shows (truncated, not rounded, as published), or a
        floating dtype for the values before truncation.

    Returns
    -------
    array, shape (…, frame, y, x)
        Gray levels 0-255.

    Raises
    ------
    UnitsError
        If a contrast, frequency or the number of frames is out of range, or an angle not finite.

    References
    ----------
    ViV1T-closed-loop, viv1t/utils/stimulus.py:
    ``trunc[127.5 (1 + c cos(k (X cos a - Y sin a) + 2 pi f t + phi))]`` with pixel offsets X and Y
    from (ceil(W/2), ceil(H/2)), y down. Its angle ``a`` is 0 for leftward and 90 for downward
    motion, so ``a = direction_deg + 180``. Evaluated in float64; the original evaluates the angle
    in float32, which moves 8.4e-5 of the pixels by one level.
    """
    _check_grating(spatial_frequency_cpd, temporal_frequency_hz, contrast, frame_count)
    _check_sampling(screen, spatial_frequency_cpd, temporal_frequency_hz)
    if not (np.all(np.isfinite(direction_deg)) and np.all(np.isfinite(phase_deg))):
        raise UnitsError("direction_deg or phase_deg holds NaN or infinity; give finite degrees")
    published_angle = np.radians((np.asarray(direction_deg, np.float64) + 180) % 360)
    angle, radians_per_px, cycles_per_frame, phase, depth = (
        np.asarray(value, np.float64)[..., None, None, None]
        for value in np.broadcast_arrays(
            published_angle,
            2 * np.pi * screen.cycles_per_px(spatial_frequency_cpd),
            np.asarray(temporal_frequency_hz, np.float64) / screen.frame_rate_hz,
            np.radians(np.asarray(phase_deg, np.float64)),
            np.asarray(contrast, np.float64),
        )
    )
    x = np.arange(screen.width_px) - np.ceil(screen.width_px / 2)
    y = (np.arange(screen.height_px) - np.ceil(screen.height_px / 2))[:, None]
    time = np.arange(frame_count)[:, None, None]
    space = radians_per_px * (x * np.cos(angle) - y * np.sin(angle))
    wave = np.cos(space + 2 * np.pi * cycles_per_frame * time + phase)
    levels = HALF_RANGE * (1 + depth * wave)
    if np.dtype(dtype) == np.uint8:
        # A contrast of 1 reaches 255.0 exactly; truncation keeps every level within 0-255.
        levels = np.trunc(levels)
    return np.asarray(levels.astype(dtype))


def static_grating(
    screen: Screen,
    *,
    orientation_deg: ArrayLike,
    spatial_frequency_cpd: ArrayLike,
    phase_deg: ArrayLike = 0.0,
    contrast: ArrayLike = 1.0,
    dtype: DTypeLike = np.uint8,
) -> np.ndarray[Any, Any]:
    """Draw still gratings that fill the screen.

    Parameters
    ----------
    screen, spatial_frequency_cpd, phase_deg, contrast, dtype
        As for :func:`drifting_grating`.
    orientation_deg : float array, shape (…)
        Axis along which the luminance changes, as in ``direction_deg`` modulo 180: 0 is a
        grating of vertical bars.

    Returns
    -------
    array, shape (…, y, x)
        Gray levels 0-255: the first frame of the grating that would drift in that direction.

    Raises
    ------
    UnitsError
        If a contrast or frequency is out of range, or an angle not finite.
    """
    frames = drifting_grating(
        screen,
        direction_deg=orientation_deg,
        spatial_frequency_cpd=spatial_frequency_cpd,
        temporal_frequency_hz=0.0,
        frame_count=1,
        phase_deg=phase_deg,
        contrast=contrast,
        dtype=dtype,
    )
    return np.asarray(frames[..., 0, :, :])


def _check_sampling(
    screen: Screen, spatial_frequency_cpd: ArrayLike, temporal_frequency_hz: ArrayLike
) -> None:
    """Refuse cycles of less than two pixels or frames: they would be shown as others."""
    finest = 0.5 / screen.degrees_per_px
    if np.any(np.asarray(spatial_frequency_cpd, float) > finest):
        raise UnitsError(
            f"a spatial frequency of {np.max(spatial_frequency_cpd):g} cycles per degree was asked "
            f"for; the pixels of this screen show at most {finest:.3g}"
        )
    fastest = screen.frame_rate_hz / 2
    if np.any(np.asarray(temporal_frequency_hz, float) > fastest):
        raise UnitsError(
            f"a temporal frequency of {np.max(temporal_frequency_hz):g} Hz was asked for; at "
            f"{screen.frame_rate_hz:g} frames per second at most {fastest:g} can be shown"
        )


def _check_grating(
    spatial_frequency_cpd: ArrayLike,
    temporal_frequency_hz: ArrayLike,
    contrast: ArrayLike,
    frame_count: int,
) -> None:
    spatial, temporal = (
        np.asarray(value, float) for value in (spatial_frequency_cpd, temporal_frequency_hz)
    )
    if not np.all((spatial > 0) & np.isfinite(spatial)):
        raise UnitsError(
            f"spatial_frequency_cpd is {spatial_frequency_cpd!r}; give cycles per degree above 0"
        )
    if not np.all((temporal >= 0) & np.isfinite(temporal)):
        raise UnitsError(
            f"temporal_frequency_hz is {temporal_frequency_hz!r}; give 0 or more, and use "
            "direction_deg to reverse the motion"
        )
    depth = np.asarray(contrast, float)
    if not np.all((depth >= 0) & (depth <= 1)):
        raise UnitsError(f"contrast is {contrast!r}; give a number from 0 to 1")
    if frame_count < 1:
        raise UnitsError(f"frame_count is {frame_count}; give at least 1")
