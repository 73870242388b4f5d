"""From the noiseless neurons to what a recording holds: behavior, calcium and noise.

With ``r`` the response of :class:`insilico.simulation.SimulatedV1Network` to what the gaze brings
before the receptive field, the expected response of a neuron is

    expected = scale * k * (g (r + spontaneous_rate)) + floor

(``k *`` a causal exponential that sums to 1, for movies; ``g`` the gain by behavior). What is
recorded are events at a Poisson rate proportional to ``g (r + spontaneous_rate)``, each of random
size, through the same exponential, plus measurement noise, of mean ``floor``, that is gamma
distributed like the spurious events of deconvolution: never negative, mostly near 0, with rare
large values, as deconvolved calcium is.

Events are made as frequent as it takes to give each neuron its *reliability*: the correlation,
over the repeated test trials, of the expected with the recorded response.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.signal
import scipy.stats

from insilico.simulation.behavior import arousal, dilation_score
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Default reliability. For images it follows from the published example of Sensorium 2022 (the
#: 7-session model on mouse 21067-10-18: single-trial correlation 0.286, correlation to the average
#: 0.542). With signal variance S, noise variance N and 10 repeats, their squared ratio is
#: (1 + N / 10S) / (1 + N / S) = 0.278, so N / S = 4.05 and the reliability, sqrt(S / (S + N)), is
#: 0.445. Movies are recorded frame by frame and are noisier; no such pair is published, and we take
#: 0.40.
RELIABILITY = {"image": 0.45, "movie": 0.40}
#: Concentration of the beta distribution of reliabilities over neurons: a spread of about 0.12.
RELIABILITY_CONCENTRATION = 15.0

#: Time constant of the events, within what deconvolution at 30 Hz leaves.
CALCIUM_TAU_S = 0.12
#: Sizes of events follow a gamma distribution of this shape and mean 1.
EVENT_SHAPE = 2.0
#: Share of the noise variance that is measurement, and the shape of its gamma distribution: small,
#: so that it is 0 most of the time.
MEASUREMENT_SHARE = 0.1
MEASUREMENT_SHAPE = 0.1
#: Median and log spread over neurons of the standard deviation of the recorded responses: those of
#: a published mouse are 10.7, and 5.7 to 21 for its middle half (viv1t/data/metadata, mouse B).
RESPONSE_STD = 10.7
RESPONSE_STD_LOG_SPREAD = 0.5

#: Ranges of the gains, uniform in between: running multiplies by up to 1 + running_gain, the pupil
#: by 1 ± pupil_gain. Running raises most neurons' responses, up to about twofold (Niell & Stryker
#: 2010, doi 10.1016/j.neuron.2010.01.033).
RUNNING_GAIN = (-0.1, 0.8)
PUPIL_GAIN = (-0.1, 0.4)
SMALLEST_GAIN = 0.2
#: Spontaneous rate, as a share of the neuron's mean response.
SPONTANEOUS_SHARE = (0.02, 0.2)


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """What turns rates into recorded units; all arrays of shape (neuron,).

    Attributes
    ----------
    scale : float array
        Recorded units per unit of rate.
    events_per_rate : float array
        Expected number of events per frame (or image) and unit of rate.
    measurement_std : float array
        Standard deviation of the measurement noise.
    """

    scale: FloatArray
    events_per_rate: FloatArray
    measurement_std: FloatArray

    @property
    def floor(self) -> FloatArray:
        """Mean of the measurement noise."""
        return np.asarray(self.measurement_std * np.sqrt(MEASUREMENT_SHAPE))


def draw_response_model(population: pd.DataFrame, *, reliability: float, seed: int) -> pd.DataFrame:
    """Return the population with gains by behavior, spontaneous activity and reliabilities.

    Parameters
    ----------
    population : DataFrame
        One row a neuron.
    reliability : float
        Mean over neurons, between 0 and 1, both excluded.
    seed : int
        The added columns are a function of the arguments.

    Returns
    -------
    DataFrame
        The same rows with ``running_gain``, ``pupil_gain``, ``spontaneous_share``, ``reliability``
        and ``response_std`` (of the recorded responses over the test trials).
    """
    random = np.random.default_rng([seed, 3])
    count = len(population)
    # Quantiles in random order, not draws: the mean over neurons is the asked one.
    quantile = (random.permutation(count) + 0.5) / count
    shape = RELIABILITY_CONCENTRATION * np.array([reliability, 1 - reliability])
    drawn = scipy.stats.beta(*shape).ppf(quantile)
    return population.assign(
        running_gain=random.uniform(*RUNNING_GAIN, count),
        pupil_gain=random.uniform(*PUPIL_GAIN, count),
        spontaneous_share=random.uniform(*SPONTANEOUS_SHARE, count),
        reliability=np.clip(drawn, 0.02, 0.98),
        response_std=RESPONSE_STD * np.exp(RESPONSE_STD_LOG_SPREAD * random.standard_normal(count)),
    )


def behavioral_gain(
    population: pd.DataFrame, dilation: FloatArray, speed: FloatArray
) -> FloatArray:
    """Return what behavior multiplies the responses by.

    Parameters
    ----------
    population : DataFrame
        With ``running_gain`` and ``pupil_gain``.
    dilation, speed : float array, shape (sample,)
        Pupil dilation and running speed.

    Returns
    -------
    float array, shape (neuron, sample)
        1 at rest with a pupil of mean size; never below :data:`SMALLEST_GAIN`.
    """
    running = population["running_gain"].to_numpy()[:, None] * arousal(speed)
    pupil = population["pupil_gain"].to_numpy()[:, None] * dilation_score(dilation)
    return np.maximum(1 + running + pupil, SMALLEST_GAIN)


def calcium_kernel(kind: Kind, rate_hz: float) -> FloatArray:
    """Return the trace that one event leaves; its sum is 1. Images integrate over time."""
    if kind == "image":
        return np.ones(1)
    keep = np.exp(-1 / (CALCIUM_TAU_S * rate_hz))
    # Cut where a thousandth is left.
    kernel = keep ** np.arange(int(np.ceil(np.log(1e-3) / np.log(keep))))
    return np.asarray(kernel / kernel.sum())


def filter_trace(trace: FloatArray, kernel: FloatArray) -> FloatArray:
    """Convolve along the last axis with a causal kernel; nothing comes before the first sample."""
    if len(kernel) == 1:
        return trace * kernel[0]
    filtered = scipy.signal.oaconvolve(trace, kernel[None, :], axes=-1)[..., : trace.shape[-1]]
    # The transform leaves rounding errors around 0, and rates are not negative.
    return np.maximum(filtered, 0)


def calibrate(
    rates: Sequence[FloatArray], *, kernel: FloatArray, population: pd.DataFrame
) -> Calibration:
    """Set the noise of every neuron so that it has its reliability.

    Parameters
    ----------
    rates : sequence of float array, shape (neuron, sample)
        Rates in the repeated test trials.
    kernel : float array, shape (lag,)
        As :func:`calcium_kernel` returns it.
    population : DataFrame
        With ``reliability`` and ``response_std``.

    Returns
    -------
    Calibration

    Notes
    -----
    With ``m = k * rate``, ``q = k^2 * rate``, scale ``a`` and ``c`` events per rate, a compound
    Poisson process through ``k`` has mean ``a m`` and variance ``a^2 (1 + 1/s) q / c`` (Campbell's
    theorem; ``s`` the shape of the gamma distribution of sizes). The reliability is
    ``rho = sqrt(V / (V + N))`` with ``V = a^2 var(m)`` and ``N`` the mean noise variance, which
    gives ``N``, and with it ``c`` and the measurement noise.
    """
    mean = np.concatenate([filter_trace(rate, kernel) for rate in rates], axis=1)
    square = np.mean(
        np.concatenate([filter_trace(rate, kernel**2) for rate in rates], axis=1), axis=1
    )
    reliability = population["reliability"].to_numpy()
    spread = mean.std(axis=1)
    # A neuron that the test trials leave unmoved has no reliability; it keeps a scale of 1.
    moved = spread > 0
    safe = np.where(moved, spread, 1.0)
    scale = np.where(moved, population["response_std"].to_numpy() * reliability / safe, 1.0)
    noise = (scale * safe) ** 2 * (reliability**-2 - 1)
    events = scale**2 * (1 + 1 / EVENT_SHAPE) * square / ((1 - MEASUREMENT_SHARE) * noise)
    measurement_std = np.sqrt(MEASUREMENT_SHARE * noise)
    return Calibration(scale, np.where(events > 0, events, 1.0), measurement_std)


def expected_response(
    rate: FloatArray, *, kernel: FloatArray, calibration: Calibration
) -> FloatArray:
    """Return the mean over endless repeats with the same stimulus and behavior.

    Parameters
    ----------
    rate : float array, shape (neuron, sample)
        As for :func:`calibrate`.
    kernel, calibration
        As there.

    Returns
    -------
    float array, shape (neuron, sample)
        Recorded units.
    """
    scaled = calibration.scale[:, None] * filter_trace(rate, kernel)
    return np.asarray(scaled + calibration.floor[:, None])


def draw_response(
    rate: FloatArray, *, kernel: FloatArray, calibration: Calibration, seed: Sequence[int]
) -> FloatArray:
    """Draw one trial.

    Parameters
    ----------
    rate, kernel, calibration
        As for :func:`expected_response`.
    seed : sequence of int
        The noise is a function of it.

    Returns
    -------
    float array, shape (neuron, sample)
        Recorded units, 0 or more.
    """
    random = np.random.default_rng([*seed, 31])
    events = random.poisson(rate * calibration.events_per_rate[:, None])
    # The sum of n gamma variables of one shape is a gamma variable of n times that shape.
    sizes = random.standard_gamma(EVENT_SHAPE * events) / EVENT_SHAPE
    unit = (calibration.scale / calibration.events_per_rate)[:, None]
    measured = random.standard_gamma(MEASUREMENT_SHAPE, rate.shape) / np.sqrt(MEASUREMENT_SHAPE)
    measured *= calibration.measurement_std[:, None]
    return np.asarray(unit * filter_trace(sizes, kernel) + measured)
