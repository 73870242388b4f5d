"""Octave bands of spatial and temporal frequency, and what a 1/f^2 world puts into them.

The power of a stimulus is read through a taper, after its tapered mean was removed, and summed over
octaves that end at the finest grating that the screen can show. What an ideal world would show
through any taper is computed, not simulated, so a small disc is compared with a small disc.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.special

from insilico.screen import Screen

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Highest frequency that samples carry, in cycles per sample.
NYQUIST = 0.5
#: The ideal world is periodic, as all that is computed by Fourier transforms; a period is this many
#: times the screen, so that its longest waves are longer than what is shown.
PERIOD = 4
#: Phase, in radians, beyond which nothing is left in common.
FAR = 700.0


@dataclasses.dataclass(frozen=True, eq=False)
class OctaveBands:
    """Which Fourier coefficients of a stimulus belong to which octave.

    Parameters
    ----------
    spatial : float array, shape (bin, spatial band)
        Weight of every coefficient of a half spectrum, rows of y and then x: 0, 1, or 2 where its
        mirror image is left out of the half spectrum.
    temporal : float array, shape (frame frequency, temporal band)
        Weight of every temporal frequency, 0 or 1.
    spatial_edges_cpd : float array, shape (spatial band - 1,)
        Where one band ends and the next begins, cycles per degree at the screen center. The last
        band holds what lies beyond the highest frequency along the axes: checkerboards.
    temporal_edges_hz : float array, shape (temporal band - 1,)
        The same in hertz; empty for images. The first band holds what stands still.
    """

    spatial: FloatArray
    temporal: FloatArray
    spatial_edges_cpd: FloatArray
    temporal_edges_hz: FloatArray

    @property
    def octave_count(self) -> int:
        """Whole octaves of spatial frequency; one band lies below and one beyond them."""
        return len(self.spatial_edges_cpd) - 1


@functools.lru_cache(maxsize=8)
def octave_bands(screen: Screen, frame_count: int) -> OctaveBands:
    """Divide the frequencies of a stimulus into octaves.

    Parameters
    ----------
    screen : Screen
        Pixels, degrees and frame rate.
    frame_count : int
        Frames of the stimulus; 1 is an image.

    Returns
    -------
    OctaveBands
        As many octaves as the shorter side of the screen and the movie resolve.
    """
    height, width = screen.shape
    octaves = _octaves(min(height, width) / 2)
    edges = _octave_edges(octaves, 0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frame_edges = _octave_edges(_octaves(frame_count / 2), 1)
    weights = np.tile(mirror_weights(width), height)[:, None]
    return OctaveBands(
        _members(frequency.ravel(), edges) * weights,
        _members(np.abs(np.fft.fftfreq(frame_count)), frame_edges),
        np.asarray(edges / screen.degrees_per_px),
        np.asarray(frame_edges * screen.frame_rate_hz),
    )


def mirror_weights(width: int) -> FloatArray:
    """Return how many coefficients every column of a half spectrum stands for, 1 or 2."""
    column = np.arange(width // 2 + 1)
    return np.where((2 * column) % width == 0, 1.0, 2.0)


def depth_px(mask: BoolArray) -> FloatArray:
    """Return the distance of every pixel of a region from the nearest one beside it.

    Parameters
    ----------
    mask : bool array, shape (y, x)
        Pixels of the region; all beyond the screen lies beside it.

    Returns
    -------
    float array, shape (y, x)
        In pixels; 0 outside, 1 or more inside.
    """
    padded = np.pad(mask, 1)
    return np.asarray(scipy.ndimage.distance_transform_edt(padded)[1:-1, 1:-1], np.float64)


def space_taper(mask: BoolArray) -> FloatArray:
    """Return a raised cosine that falls from the depth of a region to its edges.

    Over a strip or a disc this is Hann's window; it lends no region the sharp edge that spreads low
    frequencies over all others.

    Parameters
    ----------
    mask : bool array, shape (y, x)
        Pixels of the region.

    Returns
    -------
    float array, shape (y, x)
        0 outside to 1 where it is deepest.

    References
    ----------
    Harris 1978, doi 10.1109/PROC.1978.10837, for Hann's window; one that follows the edge of a
    region is ours.
    """
    depth = depth_px(mask)
    return np.asarray(np.sin(np.pi / 2 * depth / depth.max()) ** 2)


def time_taper(frame_count: int) -> FloatArray:
    """Return Hann's window over the frames of a movie, and 1 for an image."""
    frame = np.arange(frame_count)
    depth = np.minimum(frame + 1, frame_count - frame)
    return np.asarray(np.sin(np.pi / 2 * depth / depth.max()) ** 2)


def unresolved_bands(mask: BoolArray, bands: OctaveBands) -> int:
    """Return how many bands of the screen are one through a small region, less one.

    Through a disc of 12 pixels, waves of 36 and of 24 pixels cannot be told apart: such bands
    would count one difference several times.

    Parameters
    ----------
    mask : bool array, shape (y, x)
        Pixels of the region.
    bands : OctaveBands
        Of the whole screen.

    Returns
    -------
    int
        Index of the first band that stands for itself and all below it; 0 for the whole screen.
    """
    return max(bands.octave_count - _octaves(float(depth_px(mask).max())), 0)


def ideal_power(
    screen: Screen, mask: BoolArray, *, frame_count: int, speed_deg_s: float
) -> FloatArray:
    """Return what a world of power 1/f^2 shows, on average, in every band.

    Parameters
    ----------
    screen : Screen
        Pixels, degrees and frame rate.
    mask : bool array, shape (y, x)
        The region that is looked at.
    frame_count : int
        Frames of the stimulus; 1 is an image.
    speed_deg_s : float
        Median speed of what moves; see :func:`ideal_covariance`.

    Returns
    -------
    float array, shape (temporal band, spatial band)
        Expected power, arbitrary units.
    """
    bands = octave_bands(screen, frame_count)
    window = time_taper(frame_count)[:, None, None] * space_taper(mask)
    covariance = ideal_covariance(screen, frame_count, speed_deg_s)
    power = expected_power(window, covariance).reshape(frame_count, -1)
    return np.asarray(bands.temporal.T @ power @ bands.spatial)


def expected_power(window: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the mean power of a stationary world seen through a window, its mean removed.

    Parameters
    ----------
    window : float array, shape (frame, y, x)
        What the world is multiplied by.
    covariance : float array, shape (2 * frame, 2 * y, 2 * x)
        Covariance of two points by their distance, negative distances last. A constant added to it
        changes nothing, as the mean is removed.

    Returns
    -------
    float array, shape (frame, y, x // 2 + 1)
        Mean squared modulus of the Fourier coefficients of ``window * (world - mean)``, where the
        mean is that over the window; 0 or more, 0 at the zero frequency.

    Notes
    -----
    With ``w`` the window, ``C`` the covariance and ``W`` the transform of ``w`` over its sum, the
    mean is ``F[(w correlated with w) C] - 2 Re(conj(W) F[w (w * C)]) + |W|^2 sum(w (w * C))``.
    """
    shape, double = window.shape, covariance.shape
    padded = scipy.fft.rfftn(window, double)
    correlated = scipy.fft.irfftn(np.abs(padded) ** 2, double)
    whole = scipy.fft.rfftn(correlated * covariance).real[::2, ::2, ::2]
    blurred = scipy.fft.irfftn(padded * scipy.fft.rfftn(covariance), double)
    weighted = window * blurred[tuple(slice(length) for length in shape)]
    of_mean = scipy.fft.rfftn(window) / window.sum()
    cross = (np.conj(of_mean) * scipy.fft.rfftn(weighted)).real
    return np.maximum(whole - 2 * cross + np.abs(of_mean) ** 2 * weighted.sum(), 0)


@functools.lru_cache(maxsize=4)
def ideal_covariance(screen: Screen, frame_count: int, speed_deg_s: float) -> FloatArray:
    """Return the covariance of a world with power 1/f^2 whose parts move at all speeds.

    Parameters
    ----------
    screen : Screen
        Pixels, degrees and frame rate.
    frame_count : int
        Frames; 1 is an image.
    speed_deg_s : float
        Median speed.

    Returns
    -------
    float array, shape (2 * frame, 2 * y, 2 * x)
        As :func:`expected_power` takes it, arbitrary units.

    Notes
    -----
    Images have power ``1 / f^2``. Movies have ``1 / (f^2 + (w / v)^2)^(3/2)`` at spatial frequency
    ``f`` and temporal frequency ``w``: images of power ``1 / f^2`` that move in all directions with
    speeds ``u`` of density ``2 u v^2 / (v^2 + u^2)^2``, whose median is ``v``. Summed over ``w`` it
    is ``1 / f^2``, summed over ``f`` it is ``1 / w``. From one frame to another ``t`` seconds later
    that is ``z K1(z) / f^2`` with ``z = 2 pi f v t`` and ``K1`` a modified Bessel function.

    References
    ----------
    Field 1987, doi 10.1364/JOSAA.4.002379: power 1/f^2. Dong & Atick 1995,
    doi 10.1088/0954-898X/6/3/003: objects in motion make space and time inseparable, and power a
    function of f times one of w/f. The density of speeds is ours.
    """
    height, width = (PERIOD * length for length in screen.shape)
    rows, columns = np.ix_(scipy.fft.fftfreq(height), scipy.fft.rfftfreq(width))
    frequency = np.hypot(rows, columns)
    power = np.zeros_like(frequency)  # the mean level has none, as it is removed
    np.divide(1, frequency**2, out=power, where=frequency > 0)
    phase = 2 * np.pi * frequency * speed_deg_s / screen.degrees_per_px / screen.frame_rate_hz
    frames, *pixels = (np.r_[0:length, -length:0] for length in (frame_count, *screen.shape))
    by_lag = [
        scipy.fft.irfft2(power * _coherence(phase * lag), (height, width))[np.ix_(*pixels)]
        for lag in range(frame_count + 1)
    ]
    return np.stack(by_lag)[np.abs(frames)]


def _coherence(phase: FloatArray) -> FloatArray:
    """Return ``z K1(z)``, 1 at 0, of what has moved by so many radians at the median speed."""
    moved = np.where(phase > 0, np.minimum(phase, FAR), 1)
    return np.where(phase > 0, moved * scipy.special.k1(moved), 1)


def _octaves(half_length: float) -> int:
    """Return the octaves from a wave a little shorter than the whole to the finest of all.

    The longest wave, and what is slower, stays out of them: it is all that the first band has.
    """
    return max(math.ceil(math.log2(half_length)) - 1, 0)


def _octave_edges(first: int, last: int) -> FloatArray:
    """Return the highest frequency of samples halved ``first`` to ``last`` times."""
    return np.asarray(NYQUIST / 2.0 ** np.arange(first, last - 1, -1), np.float64)


def _members(frequency: FloatArray, edges: FloatArray) -> FloatArray:
    return np.asarray(np.eye(len(edges) + 1)[np.digitize(frequency, edges)])
