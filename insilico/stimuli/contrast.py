"""What contrast a grating of 8-bit gray levels really has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import UnitsError
from insilico.stimuli.gratings import HALF_RANGE

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Evenly spaced phases of a sinusoid that stand for all.
PHASES = 7200


def shown_contrast(contrast: ArrayLike) -> FloatArray:
    """Return the contrast of gratings as they are shown, in whole gray levels.

    A grating of contrast 0.02 spans seven gray levels, truncated as published: what is shown is no
    longer quite a sinusoid, nor quite of the contrast asked for.

    Parameters
    ----------
    contrast : float array, shape (…)
        Michelson contrast asked for, 0 to 1.

    Returns
    -------
    float array, shape (…)
        Amplitude of the sinusoid that fits the shown levels best, over half the gray range. It
        differs from what was asked for by 8 % at 0.01, 3 % at 0.035 and below 1 % from 0.1 on; 0
        stays 0.

    Raises
    ------
    UnitsError
        If a contrast lies outside 0 to 1.

    References
    ----------
    Truncation: ViV1T-closed-loop, viv1t/utils/stimulus.py; see
    :func:`~insilico.stimuli.gratings.drifting_grating`.
    """
    asked = np.asarray(contrast, np.float64)
    if not np.all((asked >= 0) & (asked <= 1)):
        raise UnitsError(f"contrast is {contrast!r}; give numbers from 0 to 1")
    wave = np.cos(2 * np.pi * (np.arange(PHASES) + 0.5) / PHASES)
    levels = np.trunc(HALF_RANGE * (1 + asked[..., None] * wave))
    # About their mean, which keeps a blank at 0 exactly.
    varying = levels - levels.mean(axis=-1, keepdims=True)
    return np.asarray(2 * (varying * wave).mean(axis=-1) / HALF_RANGE)
