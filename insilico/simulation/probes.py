"""Movies unlike the naturalistic ones: the out-of-distribution stimuli of the published recordings.

Each movie is a row of patterns that follow one another: drifting Gabors, single dots, random-dot
kinematograms, directional pink noise, flashed images. The kinds are those of Sensorium 2023; the
numbers are ours unless said. Gabors and dots follow a design over all movies of their kind, so that
few movies cover it evenly; the parameters of the others are drawn anew for each pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.fft

from insilico.screen import Screen
from insilico.simulation.scenes import dead_leaves_images
from insilico.stimuli import dots, gabors

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]
FloatArray = np.ndarray[Any, np.dtype[np.float32]]

#: How long one pattern is shown, seconds: the publications give 25 frames for Gabors, about 9 for
#: dots and the length of a movie, and no more.
DOT_S = 0.3
KINEMATOGRAM_S = 2.0
NOISE_S = 0.9
FLASH_S = (0.3, 0.5)
#: Gray between flashed images.
GAP_S = (0.3, 0.5)

#: Wavelength and frequency, by their place in the bank, of three Gabors in each direction. A movie
#: or two show one of these rows in all directions, six movies show all: 72 Gabors, of which the
#: pairs occur as often as in the published movies, 9 a direction and 56 distinct ones
#: (ViV1T-closed-loop, viv1t/data/metadata/ood_features/drifting_gabor; which follow each other is
#: ours).
GABOR_PAIRS = (((0, 2), (1, 1), (2, 0)), ((0, 2), (1, 0), (2, 1)), ((0, 1), (1, 2), (2, 0)))

#: Where dots are shown, as shares of the screen's width and height, and how large they are: those
#: of the published movies, x 8.5 to 54.5 and y 7.5 to 28.5 of 64 x 36 px, radius mostly 4.5 to 5
#: (ViV1T-closed-loop, viv1t/data/metadata/ood_features/gaussian_dots).
DOT_SPAN_X = (8.5 / 63, 54.5 / 63)
DOT_SPAN_Y = (7.5 / 35, 28.5 / 35)
DOT_RADIUS_PX = (4.5, 5.0)
#: Steps of a sequence that fills a square evenly, however many of its points are taken: powers of
#: the inverse of the plastic number (Roberts 2018, "The unreasonable effectiveness of quasirandom
#: sequences").
EVEN_STEPS = np.array([0.7548776662466927, 0.5698402909980532])

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


def drifting_gabors(
    screen: Screen, *, seed: Sequence[int], frame_count: int, movie: int = 0
) -> ByteArray:
    """Draw the published Gabor patches at the screen center, a new one every 25 frames.

    Parameters
    ----------
    screen : Screen
        Pixels, and the frame rate.
    seed : sequence of int
        Movies of one seed share a design; each is a function of the arguments.
    frame_count : int
        Frames in all.
    movie : int
        Which movie of the design, from 0: any 8 Gabors that follow each other from the first one
        on have all directions, any 24 all wavelengths and frequency levels in each direction.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255; frames after the last whole Gabor show the beginning of another.
    """
    count = -(-frame_count // gabors.BLOCK_FRAMES)
    # The next movie goes on where the whole Gabors of this one end.
    first = movie * (frame_count // gabors.BLOCK_FRAMES)
    shown = np.array([_gabor(seed, first + block) for block in range(count)])
    levels = gabors.drifting_gabors(
        screen, direction_deg=shown[:, 0], wavelength=shown[:, 1], frequency=shown[:, 2]
    )
    # Truncated, as the published formula is (viv1t/utils/stimulus.py).
    return levels.reshape(-1, *screen.shape)[:frame_count].astype(np.uint8)


def _gabor(seed: Sequence[int], number: int) -> tuple[float, float, float]:
    """Return direction, wavelength and frequency of a Gabor by its place in the design."""
    directions, pairs = len(gabors.DIRECTIONS_DEG), len(GABOR_PAIRS[0])
    row, place = divmod(number, directions)
    order = np.random.default_rng([*seed, 41, row]).permutation(directions)
    direction = int(order[place])
    wavelength, frequency = GABOR_PAIRS[row // pairs % len(GABOR_PAIRS)][(row + direction) % pairs]
    return (
        gabors.DIRECTIONS_DEG[direction],
        gabors.WAVELENGTHS[wavelength],
        gabors.FREQUENCIES[frequency],
    )


def gaussian_dots(
    screen: Screen, *, seed: Sequence[int], frame_count: int, movie: int = 0
) -> ByteArray:
    """Draw one dot with a Gaussian profile at a time, half of them black and half white.

    Parameters
    ----------
    screen, seed, frame_count, movie
        As for :func:`drifting_gabors`; the dots of each polarity cover the screen evenly.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.
    """
    length = max(1, screen.frames(DOT_S))
    count = -(-frame_count // length)
    random = np.random.default_rng([*seed, 42])
    # The start of each polarity's sequence, shared by all movies.
    start = random.random((2, 2))
    # Neighbors in the sequence are far apart, and black and white ones follow each other anyhow.
    order = np.random.default_rng([*seed, 42, movie]).permutation(count)
    number = movie * count + order
    polarity = number % 2
    place = (start[polarity] + (number // 2)[:, None] * EVEN_STEPS) % 1
    spans = (DOT_SPAN_X, screen.width_px), (DOT_SPAN_Y, screen.height_px)
    x, y = (
        (low + (high - low) * place[:, axis]) * (pixels - 1)
        for axis, ((low, high), pixels) in enumerate(spans)
    )
    radius = np.random.default_rng([*seed, 43, movie]).uniform(*DOT_RADIUS_PX, count)
    levels = dots.gaussian_dots(
        screen, x_px=x, y_px=y, radius_px=radius, polarity=1 - 2 * polarity, amplitude=AMPLITUDE
    )
    return np.rint(levels).astype(np.uint8).repeat(length, axis=0)[:frame_count]


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


def _seconds(screen: Screen, frames: int) -> np.ndarray[Any, Any]:
    return np.arange(frames) / screen.frame_rate_hz
