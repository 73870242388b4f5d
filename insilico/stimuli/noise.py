"""White noise, each trial from its own seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from insilico.errors import UnitsError
from insilico.screen import Screen

Levels = Literal["uniform", "binary"]


def white_noise(
    screen: Screen,
    *,
    seed: Sequence[int],
    trials: Iterable[int],
    frame_count: int | None = None,
    levels: Levels = "uniform",
    dtype: DTypeLike = np.uint8,
) -> np.ndarray[Any, Any]:
    """Draw independent noise in every pixel.

    Parameters
    ----------
    screen : Screen
        Gives the number of pixels.
    seed : sequence of int
        Identifies the noise as a whole.
    trials : iterable of int
        Which trials to draw. A trial depends on ``seed`` and its own number only, so any part of a
        long measurement can be drawn again alone.
    frame_count : int, optional
        Frames per trial; without it the trials are images.
    levels : {"uniform", "binary"}
        All levels alike, or black and white.
    dtype : dtype
        ``uint8``, or a floating dtype: uniform noise is then continuous in [0, 255), as in the
        published protocol.

    Returns
    -------
    array, shape (trial[, frame], y, x)
        Gray levels 0-255.

    Raises
    ------
    UnitsError
        If ``levels`` is unknown.

    References
    ----------
    ViV1T-closed-loop, tuning_retinotopy/predict_noise.py: continuous uniform levels. Ours are the
    256 levels of a monitor unless a floating dtype is asked for.
    """
    if levels not in ("uniform", "binary"):
        raise UnitsError(f"noise levels {levels!r} are unknown; give 'uniform' or 'binary'")
    shape = screen.shape if frame_count is None else (frame_count, *screen.shape)
    trials = list(trials)
    noise = np.empty((len(trials), *shape), dtype)
    is_float = np.issubdtype(noise.dtype, np.floating)
    for row, trial in enumerate(trials):
        generator = np.random.default_rng([*seed, trial])
        if levels == "binary":
            noise[row] = 255 * generator.integers(0, 2, shape, np.uint8)
        elif is_float:
            noise[row] = 255 * generator.random(shape)
        else:
            noise[row] = generator.integers(0, 256, shape, np.uint8)
    return noise
