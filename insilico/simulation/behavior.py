"""A mouse that runs in bouts, whose pupil follows, and whose gaze drifts and jumps.

Everything is drawn for a whole session at once and cut into trials, so that states last over trials
as they do in a recording. Levels are those of a published mouse (ViV1T-closed-loop,
viv1t/data/metadata/statistics/mouseB): pupil dilation 48 ± 12 (24 to 86), running speed 0.3 ± 1.2
with a median of 0.004 and peaks above 10, gaze (152, 140) ± 6. Their units are those of the
recordings, which the publications do not state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.signal

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Mean duration of rest and of a running bout, seconds; times and levels here are our choice, of
#: the order of head-fixed mice on a wheel.
REST_S = 25.0
BOUT_S = 6.0
#: A bout's speed: median and spread of its logarithm; and how fast speed follows.
BOUT_SPEED = 2.0
BOUT_SPEED_LOG_STD = 0.6
SPEED_TAU_S = 0.5
#: Residual speed at rest.
REST_SPEED = 0.004
#: Pupil: level at rest, what running adds at most, and slow fluctuations of its own.
DILATION_REST = 44.0
DILATION_RUNNING = 22.0
DILATION_STD = 9.0
DILATION_RANGE = (24.0, 86.0)
DILATION_TAU_S = 8.0
DILATION_LAG_S = 1.5
#: Speed at which half of the effect of running is reached, in the pupil and in the responses.
HALF_SPEED = 1.0
#: Gaze: mean, standard deviation, its slow drift and its saccades.
GAZE_MEAN = (152.0, 140.0)
GAZE_STD = 6.0
GAZE_DRIFT_SHARE = 0.4
GAZE_TAU_S = 20.0
SACCADE_RATE_HZ = 0.2
#: After a saccade the gaze keeps this much of the earlier one's displacement.
SACCADE_MEMORY = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class Session:
    """Behavior over a session.

    Attributes
    ----------
    dilation, speed : float array, shape (sample,)
        Pupil dilation and running speed.
    gaze : float array, shape (2, sample)
        Pupil center, horizontal and vertical.
    """

    dilation: FloatArray
    speed: FloatArray
    gaze: FloatArray


def draw_session(*, seed: Sequence[int], sample_count: int, rate_hz: float) -> Session:
    """Draw the behavior of one session.

    Parameters
    ----------
    seed : sequence of int
        The session is a function of the arguments.
    sample_count : int
        Number of samples.
    rate_hz : float
        Samples per second.

    Returns
    -------
    Session
    """
    random = np.random.default_rng([*seed, 21])
    speed = _running(random, sample_count, rate_hz)
    running = arousal(speed)
    own = _wander(random, sample_count, DILATION_TAU_S * rate_hz)
    dilation = DILATION_REST + DILATION_STD * own
    dilation += DILATION_RUNNING * _follow(running, DILATION_LAG_S * rate_hz)
    gaze = np.stack([_look(random, mean, sample_count, rate_hz) for mean in GAZE_MEAN])
    return Session(np.clip(dilation, *DILATION_RANGE), speed, gaze)


def arousal(speed: FloatArray) -> FloatArray:
    """Return the effect of running, 0 at rest and towards 1 at high speed."""
    return np.asarray(speed / (speed + HALF_SPEED))


def dilation_score(dilation: FloatArray) -> FloatArray:
    """Return the dilation as a number between -1 and 1, 0 near its mean."""
    return np.asarray(np.tanh((dilation - 48.0) / 24.0))


def _running(random: np.random.Generator, count: int, rate_hz: float) -> FloatArray:
    """Return the speed: bouts of random speed and duration between rests."""
    target = np.zeros(count)
    start = int(random.exponential(REST_S) * rate_hz)
    while start < count:
        stop = start + 1 + int(random.exponential(BOUT_S) * rate_hz)
        target[start:stop] = BOUT_SPEED * np.exp(BOUT_SPEED_LOG_STD * random.standard_normal())
        start = stop + 1 + int(random.exponential(REST_S) * rate_hz)
    smooth = _follow(target, SPEED_TAU_S * rate_hz)
    jitter = np.exp(0.3 * _wander(random, count, 0.5 * rate_hz))
    return smooth * jitter + REST_SPEED * random.random(count)


def _look(random: np.random.Generator, mean: float, count: int, rate_hz: float) -> FloatArray:
    """Return one coordinate of the gaze: drift and saccades."""
    jumps = np.flatnonzero(random.random(count) < SACCADE_RATE_HZ / rate_hz)
    kept = 0.0
    held = np.zeros(count)
    for start in [0, *jumps]:
        fresh = random.standard_normal() * np.sqrt(1 - SACCADE_MEMORY**2)
        kept = SACCADE_MEMORY * kept + fresh
        held[start:] = kept
    drift = _wander(random, count, GAZE_TAU_S * rate_hz)
    both = np.sqrt(GAZE_DRIFT_SHARE) * drift + np.sqrt(1 - GAZE_DRIFT_SHARE) * held
    return mean + GAZE_STD * both


def _wander(random: np.random.Generator, count: int, tau_samples: float) -> FloatArray:
    """Return an Ornstein-Uhlenbeck path of mean 0 and variance 1."""
    keep = np.exp(-1 / tau_samples)
    kicks = random.standard_normal(count) * np.sqrt(1 - keep**2)
    kicks[:1] /= np.sqrt(1 - keep**2)
    return np.asarray(scipy.signal.lfilter([1.0], [1.0, -keep], kicks))


def _follow(target: FloatArray, tau_samples: float) -> FloatArray:
    """Return a path that approaches its target exponentially."""
    keep = np.exp(-1 / tau_samples)
    return np.asarray(scipy.signal.lfilter([1 - keep], [1.0, -keep], target))
