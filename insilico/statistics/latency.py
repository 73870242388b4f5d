"""When a response begins: threshold crossings of mean traces."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
TextArray = np.ndarray[Any, np.dtype[np.str_]]

#: What each value of ``status`` says about a latency.
LATENCY_STATUS = {
    "ok": "the trace crosses its threshold after the onset",
    "no_response": "the trace does not rise enough, or its threshold lies within the baseline's "
    "noise",
    "before_onset": "the trace is past its threshold when the stimulus begins",
    "not_finite": "the trace holds NaN or infinity",
}
#: A trace that rises by less than this share of its baseline has no response worth a name (ours,
#: as for the tuning curves of direction).
FLAT_SHARE = 0.01


class Latencies(NamedTuple):
    """Latencies with what they rest on; every array has the shape of the traces without frames."""

    #: float array: seconds from the onset; NaN unless the status is "ok".
    latency_s: FloatArray
    #: float array: mean before the onset.
    baseline: FloatArray
    #: float array: standard deviation over the frames before the onset (ddof 1).
    baseline_sd: FloatArray
    #: float array: highest value between the onset and the end of the window.
    peak: FloatArray
    #: float array: the value whose first crossing is the latency.
    threshold: FloatArray
    #: str array: a key of :data:`LATENCY_STATUS`.
    status: TextArray


def rise_latency(
    trace: ArrayLike,
    time_s: ArrayLike,
    *,
    end_s: float,
    fraction: float,
    minimum_sd: float = 0.0,
    minimum_rise: ArrayLike = 0.0,
) -> Latencies:
    """Find when traces have covered a fraction of the way from their baseline to their peak.

    The threshold is relative to the response itself, so that a weak and a strong response of one
    time course have one latency. The crossing is interpolated linearly between two frames.

    Parameters
    ----------
    trace : float array, shape (…, frame)
        Mean responses, arbitrary units.
    time_s : float array, shape (frame,)
        Of each frame, evenly spaced; the first frame of the stimulus is at 0. At least two frames
        lie before it.
    end_s : float
        The peak is sought up to here, exclusive.
    fraction : float
        Of the rise, above 0 and at most 1.
    minimum_sd : float
        Standard deviations of the baseline by which the threshold must exceed its mean.
    minimum_rise : float array, shape (…)
        By which the peak must exceed the baseline; at least :data:`FLAT_SHARE` of the latter is
        asked for anyway.

    Returns
    -------
    Latencies
        A trace that is at its threshold in the first frame of the stimulus has latency 0.

    Raises
    ------
    ShapeError
        If times and frames disagree, or fewer than two frames lie before the onset.
    UnitsError
        If ``fraction`` is out of range, or no frame lies within the window.

    References
    ----------
    The published onset is the first frame at which a z-score over the whole trace, response
    included, reaches 1 (:func:`z_latency`): a threshold that depends on the shape of the response.
    Baseline and fraction of the rise are ours.
    """
    traces, times = np.asarray(trace, float), np.asarray(time_s, float)
    onset, stop = _window(traces, times, end_s)
    if not 0 < fraction <= 1:
        raise UnitsError(f"a fraction of {fraction!r}; give one above 0, at most 1")
    before = traces[..., :onset]
    with np.errstate(invalid="ignore"):
        baseline, baseline_sd = before.mean(axis=-1), before.std(axis=-1, ddof=1)
        peak = traces[..., onset:stop].max(axis=-1)
        rise = peak - baseline
        threshold = baseline + fraction * rise
        least = np.maximum(minimum_rise, FLAT_SHARE * np.abs(baseline))
        # The rounding of single precision is no noise, and no response.
        least = np.maximum(least, 1e-6 * np.abs(traces).max(axis=-1))
        responds = (rise > least) & (fraction * rise >= minimum_sd * baseline_sd)
        is_early = traces[..., onset - 1] >= threshold
        latency = _first_crossing(traces, times, threshold, slice(onset, stop))
    status = np.select(
        [~np.isfinite(traces).all(axis=-1), ~responds, is_early],
        ["not_finite", "no_response", "before_onset"],
        "ok",
    )
    latency = np.where(status == "ok", np.maximum(latency, 0.0), np.nan)
    return Latencies(latency, baseline, baseline_sd, peak, threshold, status)


def z_latency(
    trace: ArrayLike, time_s: ArrayLike, *, end_s: float, threshold_z: float = 1.0
) -> Latencies:
    """Find latencies by the published rule, quirks included.

    All traces of a neuron are joined and z-scored together; the latency is the first frame of the
    stimulus at which z reaches the threshold, without interpolation.

    Parameters
    ----------
    trace : float array, shape (neuron, …, frame)
        Mean responses; of each neuron all conditions.
    time_s, end_s
        As for :func:`rise_latency`.
    threshold_z : float
        Published: 1.

    Returns
    -------
    Latencies
        The status is never "before_onset": the rule looks at frames of the stimulus alone.

    Raises
    ------
    ShapeError, UnitsError
        As for :func:`rise_latency`.

    References
    ----------
    ViV1T-closed-loop, tuning_feedbackRF/visualize_response_onset.py: population standard deviation
    over the 90 frames of both conditions.
    """
    traces, times = np.asarray(trace, float), np.asarray(time_s, float)
    onset, stop = _window(traces, times, end_s)
    joined = tuple(range(1, traces.ndim))
    before, shown = traces[..., :onset], traces[..., onset:stop]
    with np.errstate(invalid="ignore"):
        center = traces.mean(axis=joined, keepdims=True)
        threshold = (center + threshold_z * traces.std(axis=joined, keepdims=True))[..., 0]
        threshold = np.broadcast_to(threshold, traces.shape[:-1]).copy()
        is_above = shown >= threshold[..., None]
        is_flat = np.ptp(traces, axis=joined, keepdims=True)[..., 0] == 0
    status = np.select(
        [~np.isfinite(traces).all(axis=-1), is_flat | ~is_above.any(axis=-1)],
        ["not_finite", "no_response"],
        "ok",
    )
    latency = np.where(status == "ok", times[onset + is_above.argmax(axis=-1)], np.nan)
    return Latencies(
        latency,
        before.mean(axis=-1),
        before.std(axis=-1, ddof=1),
        shown.max(axis=-1),
        threshold,
        status,
    )


def _window(traces: FloatArray, times: FloatArray, end_s: float) -> tuple[int, int]:
    """Return the first frame of the stimulus and the end of the window, exclusive."""
    if times.ndim != 1 or traces.shape[-1:] != times.shape:
        raise ShapeError(
            f"traces of shape {traces.shape} with times of shape {times.shape}; give one time a "
            "frame"
        )
    # Times are multiples of a frame, up to rounding.
    half = 0.5 * (times[1] - times[0]) if len(times) > 1 else 0.0
    onset, stop = np.searchsorted(times, [-half, end_s - half])
    if onset < 2:
        raise ShapeError(
            f"{onset} frame(s) before the onset; a baseline needs at least two, so keep more of "
            "the gray before the stimulus"
        )
    if stop <= onset:
        raise UnitsError(f"a window that ends at {end_s:g} s; give an end after the onset")
    return int(onset), int(stop)


def _first_crossing(
    traces: FloatArray, times: FloatArray, threshold: FloatArray, window: slice
) -> FloatArray:
    """Return the interpolated time at which traces first reach their threshold in a window."""
    first = window.start + (traces[..., window] >= threshold[..., None]).argmax(axis=-1)
    above = np.take_along_axis(traces, first[..., None], axis=-1)[..., 0]
    below = np.take_along_axis(traces, first[..., None] - 1, axis=-1)[..., 0]
    step = above - below
    part = np.where(step > 0, (threshold - below) / np.where(step > 0, step, 1.0), 1.0)
    crossed: FloatArray = times[first - 1] + part * (times[first] - times[first - 1])
    return crossed
