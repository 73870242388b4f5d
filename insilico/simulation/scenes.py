"""Naturalistic stimuli made here: dead leaves that move, and noise with the spectrum of nature.

Dead leaves are opaque shapes of power-law sizes that hide one another, the simplest model of images
with edges, occlusion and scale invariance; here every leaf also moves. ``1/f`` movies have the
second-order statistics of natural ones and nothing else. Both are functions of their seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft

from insilico.screen import Screen
from insilico.simulation.leaves import Leaf, paint

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]
FloatArray = np.ndarray[Any, np.dtype[np.float32]]

#: Leaf radii in pixels. The density falls with the cube of the radius, which makes the images look
#: alike at every magnification (Lee, Mumford & Huang 2001, doi 10.1023/A:1011109015675).
RADIUS_PX = (2.0, 18.0)
#: Leaves drawn per scene, as a multiple of what would cover its area once: few gaps remain.
COVERAGE = 3.0
#: Share of leaves with a sinusoidal texture, and its period.
TEXTURED_SHARE = 0.4
TEXTURE_PERIOD_PX = (4.0, 14.0)
#: Share of leaves that move on their own, and the standard deviations of their velocity and of the
#: camera's, in pixels per second. With the periods above they reach the 1.5-4 Hz that the simulated
#: neurons prefer.
MOVING_SHARE = 0.6
LEAF_SPEED_PX_S = 14.0
CAMERA_SPEED_PX_S = 12.0
CAMERA_TAU_S = 0.6
#: Near leaves follow the camera more than far ones.
PARALLAX = (0.3, 1.3)
#: Scenes of a movie last this long between cuts.
SCENE_S = (1.5, 4.0)
#: Mean and spread of the levels of one scene. Over scenes they give a mean near 113 and a standard
#: deviation near 58, those of the published movies (ViV1T-closed-loop, viv1t/data/metadata).
SCENE_MEAN = (85.0, 141.0)
SCENE_SPREAD = (48.0, 85.0)

#: Slope of the amplitude spectrum over spatial frequency, and the speed that exchanges space for
#: time, in pixels per second: ``1 / sqrt(fx^2 + fy^2 + (ft / speed)^2)^slope``. In space alone the
#: slope is 1 (Field 1987, doi 10.1364/JOSAA.4.002379); integrating over temporal frequency takes
#: 1/2 from the slope of the amplitude, hence 1.5.
MOVIE_SLOPE = 1.5
IMAGE_SLOPE = 1.0
MOVIE_SPEED_PX_S = 12.0
NOISE_MEAN = 113.0
NOISE_STD = 58.0


def dead_leaves_movie(screen: Screen, *, seed: Sequence[int], frame_count: int) -> ByteArray:
    """Draw scenes of moving, occluding shapes, with cuts in between.

    Parameters
    ----------
    screen : Screen
        Pixels and frame rate.
    seed : sequence of int
        The movie is a function of the seed, the screen and the number of frames.
    frame_count : int
        Frames in all.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.

    References
    ----------
    Lee, Mumford & Huang 2001, doi 10.1023/A:1011109015675. Motion, textures and numbers are ours.
    """
    random = np.random.default_rng([*seed, 11])
    movie = np.empty((frame_count, *screen.shape), np.uint8)
    start = 0
    while start < frame_count:
        scene_frames = max(1, screen.frames(random.uniform(*SCENE_S)))
        rows = min(scene_frames, frame_count - start)
        movie[start : start + rows] = paint(_moving_leaves(random, screen, rows), screen, rows)
        start += rows
    return movie


def dead_leaves_images(screen: Screen, *, seed: Sequence[int], count: int) -> ByteArray:
    """Draw independent still images of occluding shapes.

    Parameters
    ----------
    screen : Screen
        Pixels.
    seed : sequence of int
        The set of images is a function of the seed, the screen and the count. All images of one
        call use the same sizes, in the same order from back to front; everything else differs.
    count : int
        Number of images.

    Returns
    -------
    uint8 array, shape (image, y, x)
        Gray levels 0-255.
    """
    random = np.random.default_rng([*seed, 12])
    return paint(_still_leaves(random, screen, count), screen, count)


def noise_movie(screen: Screen, *, seed: Sequence[int], frame_count: int) -> ByteArray:
    """Draw Gaussian noise with the space-time spectrum of natural movies.

    Parameters
    ----------
    screen, seed, frame_count
        As for :func:`dead_leaves_movie`.

    Returns
    -------
    uint8 array, shape (frame, y, x)
        Gray levels 0-255.

    References
    ----------
    Dong & Atick 1995, doi 10.1088/0954-898X/6/3/003, for the inseparable form of the spectrum; the
    constants are explained beside them.
    """
    random = np.random.default_rng([*seed, 13])
    # Fourier synthesis is periodic; the part that wraps around is drawn and left out.
    shape = (frame_count * 5 // 4, screen.height_px * 5 // 4, screen.width_px * 5 // 4)
    shape = tuple(scipy.fft.next_fast_len(length, real=True) for length in shape)
    frequency = _frequency(shape, (screen.frame_rate_hz / MOVIE_SPEED_PX_S, 1.0, 1.0))
    noise = _colored(random, shape, frequency, MOVIE_SLOPE)
    return _to_levels(noise[:frame_count, : screen.height_px, : screen.width_px])


def noise_images(screen: Screen, *, seed: Sequence[int], count: int) -> ByteArray:
    """Draw independent images of Gaussian noise with a ``1/f`` amplitude spectrum.

    Parameters
    ----------
    screen, seed, count
        As for :func:`dead_leaves_images`.

    Returns
    -------
    uint8 array, shape (image, y, x)
        Gray levels 0-255.

    References
    ----------
    Field 1987, doi 10.1364/JOSAA.4.002379.
    """
    random = np.random.default_rng([*seed, 14])
    shape = tuple(
        scipy.fft.next_fast_len(length * 4 // 3, real=True)
        for length in (screen.height_px, screen.width_px)
    )
    frequency = _frequency(shape, (1.0, 1.0))
    noise = np.stack([_colored(random, shape, frequency, IMAGE_SLOPE) for _ in range(count)])
    return _to_levels(noise[:, : screen.height_px, : screen.width_px])


def _frequency(shape: tuple[int, ...], scale: tuple[float, ...]) -> FloatArray:
    """Return the length of the frequency vector, each axis in units of its own."""
    axes = [np.fft.fftfreq(length) for length in shape[:-1]] + [np.fft.rfftfreq(shape[-1])]
    squared = [(axis * unit) ** 2 for axis, unit in zip(axes, scale, strict=True)]
    total = np.sqrt(sum(np.ix_(*squared))).astype(np.float32)
    total.flat[0] = np.inf  # No mean: the level is set later.
    return total


def _colored(
    random: np.random.Generator, shape: tuple[int, ...], frequency: FloatArray, slope: float
) -> FloatArray:
    white = scipy.fft.rfftn(random.standard_normal(shape, np.float32))
    return np.asarray(scipy.fft.irfftn(white * frequency**-slope, s=shape))


def _to_levels(noise: FloatArray) -> ByteArray:
    """Scale noise so that its expected spread over a whole stimulus set is that of nature."""
    scaled = noise * np.float32(NOISE_STD / noise.std()) + np.float32(NOISE_MEAN)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _moving_leaves(random: np.random.Generator, screen: Screen, rows: int) -> list[Leaf]:
    """Draw the leaves of one scene, the farthest first, and where they are in each frame."""
    radius, (height, width) = _radii(random, screen), _world(screen)
    count = len(radius)
    seconds = np.arange(rows) / screen.frame_rate_hz
    own = random.standard_normal((2, count)) * LEAF_SPEED_PX_S
    own *= random.random(count) < MOVING_SHARE
    camera = _camera_path(random, screen, rows)
    near = np.linspace(*PARALLAX, count)
    start = random.random((2, count)) * [[width], [height]]
    position = start[:, :, None] + own[:, :, None] * seconds + camera[:, None] * near[:, None]
    # Leaves that drift out of the world come back at its other side, far from the screen.
    x = position[0] % width - RADIUS_PX[1]
    y = position[1] % height - RADIUS_PX[1]
    looks = _looks(random, (count, 1), (1, 1))
    return _leaves(random, radius, x, y, looks)


def _still_leaves(random: np.random.Generator, screen: Screen, rows: int) -> list[Leaf]:
    radius, (height, width) = _radii(random, screen), _world(screen)
    shape = (len(radius), rows)
    x = random.random(shape) * width - RADIUS_PX[1]
    y = random.random(shape) * height - RADIUS_PX[1]
    return _leaves(random, radius, x, y, _looks(random, shape, (1, rows)))


def _world(screen: Screen) -> tuple[float, float]:
    """Height and width of the area that holds leaves: the screen and a margin of one radius."""
    return screen.height_px + 2 * RADIUS_PX[1], screen.width_px + 2 * RADIUS_PX[1]


def _radii(random: np.random.Generator, screen: Screen) -> FloatArray:
    """Draw radii with a density that falls with their cube, enough to cover the world."""
    smallest, largest = RADIUS_PX
    mean_area = 2 * np.pi * np.log(largest / smallest) / (smallest**-2 - largest**-2)
    height, width = _world(screen)
    count = round(COVERAGE * height * width / mean_area)
    between = random.uniform(largest**-2, smallest**-2, count)
    return np.asarray(between**-0.5, np.float32)


def _camera_path(random: np.random.Generator, screen: Screen, rows: int) -> np.ndarray[Any, Any]:
    """Return the camera's displacement in pixels, shape (2, frame): a velocity that wanders."""
    keep = np.exp(-1 / (CAMERA_TAU_S * screen.frame_rate_hz))
    velocity = np.empty((2, rows))
    velocity[:, 0] = random.standard_normal(2)
    kicks = random.standard_normal((2, rows)) * np.sqrt(1 - keep**2)
    for frame in range(1, rows):
        velocity[:, frame] = keep * velocity[:, frame - 1] + kicks[:, frame]
    return np.cumsum(velocity, axis=1) * CAMERA_SPEED_PX_S / screen.frame_rate_hz


def _looks(
    random: np.random.Generator, shape: tuple[int, int], scene: tuple[int, int]
) -> dict[str, FloatArray]:
    """Draw shapes, levels and textures; mean and spread are shared by the leaves of a scene."""
    mean, spread = random.uniform(*SCENE_MEAN, scene), random.uniform(*SCENE_SPREAD, scene)
    period = _log_uniform(random, TEXTURE_PERIOD_PX, shape)
    texture_angle = random.uniform(0, np.pi, shape)
    is_textured = random.random(shape) < TEXTURED_SHARE
    drawn = {
        "aspect": random.uniform(0.35, 1.0, shape),
        "angle": random.uniform(0, np.pi, shape),
        "level": np.clip(mean + spread * random.standard_normal(shape), 0, 255),
        "texture_depth": is_textured * random.uniform(0.3, 1.2, shape) * spread,
        "texture_x": 2 * np.pi / period * np.cos(texture_angle),
        "texture_y": 2 * np.pi / period * np.sin(texture_angle),
        "texture_phase": random.uniform(0, 2 * np.pi, shape),
    }
    return {name: np.asarray(values, np.float32) for name, values in drawn.items()}


def _log_uniform(
    random: np.random.Generator, limits: tuple[float, float], shape: tuple[int, int]
) -> np.ndarray[Any, Any]:
    low, high = limits
    return np.asarray(low * (high / low) ** random.random(shape))


def _leaves(
    random: np.random.Generator,
    radius: FloatArray,
    x: np.ndarray[Any, Any],
    y: np.ndarray[Any, Any],
    looks: dict[str, FloatArray],
) -> list[Leaf]:
    is_box = random.random(len(radius)) < 0.5
    rows = x.shape[1]
    looks = {name: np.broadcast_to(values, (len(radius), rows)) for name, values in looks.items()}
    return [
        Leaf(
            radius_px=float(radius[row]),
            is_box=bool(is_box[row]),
            x_px=x[row].astype(np.float32),
            y_px=y[row].astype(np.float32),
            **{name: values[row] for name, values in looks.items()},
        )
        for row in range(len(radius))
    ]
