"""What trial noise does to latencies: tests of the response, and errors over trials."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.false_discovery import false_discovery_q_values

if TYPE_CHECKING:
    from insilico.experiments.onset import OnsetProtocol

logger = logging.getLogger(__name__)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What is shown, in the order of tables and arrays.
ARRANGED = ("center", "inverse")
#: Fewer presentations are not tested: exchanging the sides of n pairs gives one-sided p-values of
#: 2^-n or more, with 4 pairs 1/16, which nothing can bring to 0.05; with 5 1/32.
MINIMUM_PRESENTATIONS = 5
#: Numbers of the drawn traces held at a time: 20 million are 160 MB.
DRAWN_NUMBERS = 20_000_000


def response_tests(
    traces: FloatArray,
    shown: np.ndarray[Any, Any],
    time_s: FloatArray,
    protocol: OnsetProtocol,
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Test whether each neuron responds more during the grating than in as much gray before it.

    Parameters
    ----------
    traces : float array, shape (presentation, neuron, frame)
        Of every presentation.
    shown : str array, shape (presentation,)
        Its arrangement.
    time_s : float array, shape (frame,)
        0 where the stimulus begins.
    protocol : OnsetProtocol
        Window, shuffles and seed.

    Returns
    -------
    columns : dict of float arrays, shape (neuron,)
        ``center_p``, ``inverse_p`` and their q-values over neurons, ``center_q``, ``inverse_q``.
    q_value : float array, shape (neuron, arrangement)
        NaN with fewer than :data:`MINIMUM_PRESENTATIONS`, which is logged.
    """
    half = 0.5 * (time_s[1] - time_s[0])
    onset, first, stop = np.searchsorted(
        time_s, np.array([0.0, protocol.window_start_s, protocol.window_end_s]) - half
    )
    # As many frames on both sides, so that without a response they can be exchanged.
    count = min(onset, stop - first)
    columns = {}
    for name in ARRANGED:
        rows = traces[shown == name]
        p_value = np.full(traces.shape[1], np.nan)
        if len(rows) < MINIMUM_PRESENTATIONS:
            logger.warning(
                "too few repeats for a test: the %s grating was shown %d times; show it %d times "
                "or more",
                name,
                len(rows),
                MINIMUM_PRESENTATIONS,
            )
        else:
            p_value = condition_difference_test(
                rows[:, :, first : first + count].mean(axis=2),
                rows[:, :, onset - count : onset].mean(axis=2),
                is_paired=True,
                alternative="greater",
                shuffle_count=protocol.shuffle_count,
                seed=protocol.seed,
            ).p_value
        columns[f"{name}_p"] = p_value
        columns[f"{name}_q"] = false_discovery_q_values(p_value)
    return columns, np.stack([columns[f"{name}_q"] for name in ARRANGED], axis=1)


def latency_errors(
    traces: FloatArray,
    shown: np.ndarray[Any, Any],
    status: np.ndarray[Any, Any],
    latency: Callable[[FloatArray], FloatArray],
    protocol: OnsetProtocol,
) -> dict[str, FloatArray]:
    """Return standard errors of the latencies by drawing presentations again.

    Parameters
    ----------
    traces : float array, shape (presentation, neuron, frame)
        Of every presentation.
    shown : str array, shape (presentation,)
        Its arrangement; presentations are drawn within it, whatever their phase.
    status : str array, shape (neuron, arrangement)
        Errors are given where it is "ok".
    latency : callable
        From mean traces (neuron, arrangement, frame) to latencies (neuron, arrangement).
    protocol : OnsetProtocol
        Number of draws and seed.

    Returns
    -------
    dict of float arrays, shape (neuron,)
        ``center_latency_s_se``, ``inverse_latency_s_se`` and ``difference_s_se``: standard
        deviations over draws.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 6.
    """
    draws = protocol.bootstrap_count
    weights = [
        _draw((shown == name).sum(), draws, [protocol.seed, 31, i])
        for i, name in enumerate(ARRANGED)
    ]
    neuron_count, frame_count = traces.shape[1:]
    drawn = np.full((draws, neuron_count, len(ARRANGED)), np.nan)
    step = max(1, DRAWN_NUMBERS // (draws * frame_count * len(ARRANGED)))
    for first in range(0, neuron_count, step):
        chunk = slice(first, min(first + step, neuron_count))
        means = np.stack(
            [
                np.tensordot(weight, traces[shown == name][:, chunk], axes=1)
                for name, weight in zip(ARRANGED, weights, strict=True)
            ],
            axis=2,
        )
        # The draws stand for neurons: the published rule joins the traces of each.
        flat = latency(means.reshape(-1, len(ARRANGED), frame_count))
        drawn[:, chunk] = flat.reshape(draws, -1, len(ARRANGED))
    columns = {
        f"{name}_latency_s_se": _deviation(drawn[:, :, index], status[:, index] == "ok")
        for index, name in enumerate(ARRANGED)
    }
    both = (status == "ok").all(axis=1)
    columns["difference_s_se"] = _deviation(drawn[:, :, 1] - drawn[:, :, 0], both)
    return columns


def _draw(count: int, draws: int, seed: list[int]) -> FloatArray:
    """Return how much each presentation counts in each draw, shape (draw, presentation)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=draws) / count


def _deviation(drawn: FloatArray, is_wanted: np.ndarray[Any, np.dtype[np.bool_]]) -> FloatArray:
    """Return the standard deviation over draws with a latency, where there are at least two."""
    known = np.isfinite(drawn)
    usable = is_wanted & (known.sum(axis=0) >= 2)
    result = np.full(drawn.shape[1], np.nan)
    result[usable] = np.nanstd(drawn[:, usable], axis=0, ddof=1)
    return result
