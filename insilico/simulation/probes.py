"""Movies unlike the naturalistic ones: the out-of-distribution stimuli of the published recordings.

Each movie is a row of patterns that follow one another, with parameters drawn anew for each:
drifting Gabors, single dots, random-dot kinematograms, directional pink noise, flashed images. The
kinds are those of Sensorium 2023; the numbers are ours unless said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.fft

from insilico.screen import Screen
from insilico.simulation.scenes import dead_leaves_images

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]
FloatArray = np.ndarray[Any, np.dtype[np.float32]]

#: How long one pattern is shown, seconds: the publications give 25 frames for Gabors and the length
#: of a movie, and no more.
GABOR_S = 25 / 30
DOT_S = 0.3
KINEMATOGRAM_S = 2.0
NOISE_S = 0.9
FLASH_S = (0.3, 0.5)
#: Gray between flashed images.
GAP_S = (0.3, 0.5)

GABOR_SIGMA_PX = 10.0
GABOR_PERIOD_PX = (5.0, 16.0)
GABOR_RATE_HZ = (1.0, 5.0)

DOT_RADIUS_PX = (1.5, 7.0)

KINEMATOGRAM_DOTS = 40
KINEMATOGRAM_RADIUS_PX = 2.0
KINEMATOGRAM_SPEED_PX_S = (8.0, 30.0)
#: Share of dots that move together, and the lifetime after which a dot is drawn anew.
COHERENCE = 0.7
LIFETIME_S = 0.6

NOISE_SPEED_PX_S = (5.0, 25.0)
#: Concentration of orientations about the direction of motion.
NOISE_CONCENTRATION = 3.0

#: Half the range of gray levels, about the screen's gray.
AMPLITUDE = 125.0


def drifting_gabors(screen: Screen, *, seed: Sequence[int], frame_count: int) -> ByteArray:
    """Draw Gabor patches at the screen center that drift, a new direction every pattern.

    Parameters
    ----------
    screen : Screen
        Pixels, frame rate and gray.
    seed : sequence of int
        The movie is a function of the arguments.
    frame_count : int
        Frames in all.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.
    """
    random = np.random.default_rng([*seed, 41])
    right, up = _grid(screen)
    envelope = np.exp(-0.5 * (right**2 + up**2) / GABOR_SIGMA_PX**2)

    def pattern(frames: int) -> FloatArray:
        angle = random.uniform(0, 2 * np.pi)
        along = right * np.cos(angle) + up * np.sin(angle)
        period = np.exp(random.uniform(*np.log(GABOR_PERIOD_PX)))
        turns = random.uniform(*GABOR_RATE_HZ) * _seconds(screen, frames)
        phase = along / period - turns[:, None, None] + random.random()
        return np.asarray(AMPLITUDE * envelope * np.cos(2 * np.pi * phase), np.float32)

    return _join(screen, frame_count, GABOR_S, pattern)


def gaussian_dots(screen: Screen, *, seed: Sequence[int], frame_count: int) -> ByteArray:
    """Draw one dot with a Gaussian profile at a time, black or white, anywhere on the screen.

    Parameters
    ----------
    screen, seed, frame_count
        As for :func:`drifting_gabors`.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.
    """
    random = np.random.default_rng([*seed, 42])

    def pattern(frames: int) -> FloatArray:
        x = np.arange(screen.width_px) - random.uniform(0, screen.width_px - 1)
        y = np.arange(screen.height_px) - random.uniform(0, screen.height_px - 1)
        radius = np.exp(random.uniform(*np.log(DOT_RADIUS_PX)))
        dot = np.exp(-0.5 * (x**2 + y[:, None] ** 2) / radius**2)
        sign = random.choice([-1, 1])
        return np.broadcast_to((sign * AMPLITUDE * dot).astype(np.float32), (frames, *dot.shape))

    return _join(screen, frame_count, DOT_S, pattern)


def random_dots(screen: Screen, *, seed: Sequence[int], frame_count: int) -> ByteArray:
    """Draw a random-dot kinematogram: black and white dots, most of them moving together.

    Parameters
    ----------
    screen, seed, frame_count
        As for :func:`drifting_gabors`.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.
    """
    random = np.random.default_rng([*seed, 43])
    levels = np.float32(AMPLITUDE) * random.choice([-1, 1], KINEMATOGRAM_DOTS)

    def pattern(frames: int) -> FloatArray:
        x, y = _dot_paths(random, screen, frames)
        canvas = np.zeros((frames, *screen.shape), np.float32)
        columns = np.arange(screen.width_px, dtype=np.float32)
        rows = np.arange(screen.height_px, dtype=np.float32)[:, None]
        for dot, level in enumerate(levels):
            right = columns - x[dot, :, None, None]
            down = rows - y[dot, :, None, None]
            distance = np.sqrt(right**2 + down**2)
            opacity = np.clip(KINEMATOGRAM_RADIUS_PX + 0.5 - distance, 0, 1)
            canvas += opacity * (level - canvas)
        return canvas

    return _join(screen, frame_count, KINEMATOGRAM_S, pattern)


def directional_noise(screen: Screen, *, seed: Sequence[int], frame_count: int) -> ByteArray:
    """Draw pink noise, oriented and moving in one direction after another.

    Parameters
    ----------
    screen, seed, frame_count
        As for :func:`drifting_gabors`.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.
    """
    random = np.random.default_rng([*seed, 44])
    shape = tuple(scipy.fft.next_fast_len(length * 4 // 3, real=True) for length in screen.shape)
    down, right = np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1]), indexing="ij")
    frequency = np.hypot(down, right)
    frequency[0, 0] = np.inf
    angle = np.arctan2(-down, right)

    def pattern(frames: int) -> FloatArray:
        direction = random.uniform(0, 2 * np.pi)
        speed = random.uniform(*NOISE_SPEED_PX_S)
        oriented = np.exp(NOISE_CONCENTRATION * (np.cos(2 * (angle - direction)) - 1) / 2)
        still = scipy.fft.rfft2(random.standard_normal(shape)) * oriented / frequency
        along = right * np.cos(direction) - down * np.sin(direction)
        turns = along * speed * _seconds(screen, frames)[:, None, None]
        noise = scipy.fft.irfft2(still * np.exp(-2j * np.pi * turns), s=shape)
        noise = noise[:, : screen.height_px, : screen.width_px]
        return np.asarray(noise * (0.45 * AMPLITUDE / noise.std()), np.float32)

    return _join(screen, frame_count, NOISE_S, pattern)


def flashed_images(screen: Screen, *, seed: Sequence[int], frame_count: int) -> ByteArray:
    """Draw naturalistic stills that appear for a moment, with gray in between.

    Parameters
    ----------
    screen, seed, frame_count
        As for :func:`drifting_gabors`.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.
    """
    random = np.random.default_rng([*seed, 45])
    shortest = screen.frames(FLASH_S[0]) + screen.frames(GAP_S[0])
    images = dead_leaves_images(screen, seed=seed, count=frame_count // max(shortest, 1) + 1)
    movie = np.full((frame_count, *screen.shape), screen.gray, np.uint8)
    start = 0
    for image in images:
        start += screen.frames(random.uniform(*GAP_S))
        stop = start + screen.frames(random.uniform(*FLASH_S))
        movie[start:stop] = image
        start = stop
    return movie


def _join(
    screen: Screen, frame_count: int, pattern_s: float, pattern: Callable[[int], FloatArray]
) -> ByteArray:
    """Show patterns one after the other, as deviations from gray."""
    movie = np.empty((frame_count, *screen.shape), np.uint8)
    for start, stop in _segments(frame_count, max(1, screen.frames(pattern_s))):
        levels = np.rint(screen.gray + pattern(stop - start))
        movie[start:stop] = np.clip(levels, 0, 255)
    return movie


def _segments(frame_count: int, length: int) -> Iterator[tuple[int, int]]:
    for start in range(0, frame_count, length):
        yield start, min(start + length, frame_count)


def _dot_paths(
    random: np.random.Generator, screen: Screen, frames: int
) -> tuple[FloatArray, FloatArray]:
    """Return the dots' positions, each of shape (dot, frame)."""
    direction = random.uniform(0, 2 * np.pi)
    speed = random.uniform(*KINEMATOGRAM_SPEED_PX_S)
    own = random.uniform(0, 2 * np.pi, KINEMATOGRAM_DOTS)
    heading = np.where(random.random(KINEMATOGRAM_DOTS) < COHERENCE, direction, own)
    lifetime = max(1, screen.frames(LIFETIME_S))
    age = np.arange(frames) + random.integers(0, lifetime, (KINEMATOGRAM_DOTS, 1))
    # A dot is born somewhere else each time its life is over.
    births = random.random((2, KINEMATOGRAM_DOTS, frames // lifetime + 2))
    seconds = (age % lifetime) / screen.frame_rate_hz
    born = np.take_along_axis(births, np.broadcast_to(age // lifetime, (2, *age.shape)), axis=2)
    x = born[0] * screen.width_px + np.cos(heading)[:, None] * speed * seconds
    y = born[1] * screen.height_px - np.sin(heading)[:, None] * speed * seconds
    return x.astype(np.float32) % screen.width_px, y.astype(np.float32) % screen.height_px


def _grid(screen: Screen) -> tuple[Any, Any]:
    """Return pixels to the right of the screen center, and above it."""
    center_x, center_y = screen.center_px
    return np.arange(screen.width_px) - center_x, (center_y - np.arange(screen.height_px))[:, None]


def _seconds(screen: Screen, frames: int) -> np.ndarray[Any, Any]:
    return np.arange(frames) / screen.frame_rate_hz
