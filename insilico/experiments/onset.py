"""Response onset: how long a neuron takes to answer a grating, and a hole in one.

A grating in a disc on the receptive field drives a neuron by what comes in from below; a hole in a
full-field grating leaves the receptive field gray, and a neuron that answers to it is driven from
around. Gratings drift, after gray; the latency is that of the mean over phases and directions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import xarray as xr

from insilico.experiments.averaging import average_presentations
from insilico.experiments.experiment import Accumulator, Setting
from insilico.experiments.grating_experiment import GratingExperiment
from insilico.experiments.gratings import (
    GratingProtocol,
    average_over,
    combine,
    placed_status,
)
from insilico.experiments.onset_noise import ARRANGED, latency_errors, response_tests
from insilico.experiments.presentations import Measure, every_frame
from insilico.experiments.protocols import require
from insilico.experiments.sites import UNPLACED, rows_of
from insilico.screen import Screen
from insilico.statistics.latency import LATENCY_STATUS, Latencies, rise_latency, z_latency
from insilico.statistics.paired import compare_paired, compare_unpaired
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
TextArray = np.ndarray[Any, np.dtype[np.str_]]

#: False discovery rate at which a neuron of noisy trials counts as responding (ours).
RESPONSE_Q = 0.05
#: What each value of ``center_status`` and ``inverse_status`` means.
ARRANGED_STATUS = {
    **LATENCY_STATUS,
    "no_hole_response": "size found no answer to holes: whatever the trace does comes from the "
    "grating that reaches into the receptive field",
}
#: What each value of ``status`` means.
STATUS = {
    "ok": "the latency to the classical grating stands; inverse_status speaks of the hole",
    **UNPLACED,
    "hole_only": "no response to the classical grating, but a latency to the hole",
    **{name: text for name, text in LATENCY_STATUS.items() if name != "ok"},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnsetProtocol(GratingProtocol):
    """Values of ``experiments/onset.toml``; the file explains each.

    Parameters
    ----------
    diameter_deg : float
        Full visual angle of the disc, and of the hole.
    contrast : float
        0 to 1.
    method : {"rise", "published"}
        How a latency is read from a trace.
    rise_fraction : float
        Of the way from baseline to peak that marks the onset ("rise").
    minimum_sd : float
        Baseline standard deviations that the onset must stand out by ("rise").
    minimum_share : float
        Share of the neuron's larger response that the smaller one must have ("rise").
    threshold_z : float
        That marks the onset ("published").
    hole_responses : {"size", "own"}
        Who decides which neurons answer to holes: the size experiment, or the trace alone.
    bootstrap_count, shuffle_count : int
        Draws of trials for errors, and shuffles of tests, where trials repeat.
    """

    diameter_deg: float
    contrast: float
    method: Literal["rise", "published"]
    rise_fraction: float
    minimum_sd: float
    minimum_share: float
    threshold_z: float
    hole_responses: Literal["size", "own"]
    bootstrap_count: int
    shuffle_count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.diameter_deg < 180, "diameter_deg must lie above 0, below 180")
        require(0 < self.contrast <= 1, "contrast must lie above 0, up to 1")
        require(self.before_s > 0, "before_s must be above 0: it is the baseline")
        require(0 < self.rise_fraction <= 1, "rise_fraction must lie above 0, up to 1")
        require(self.minimum_sd >= 0, "minimum_sd must be 0 or more")
        require(0 <= self.minimum_share <= 1, "minimum_share lies in [0, 1]")
        require(self.bootstrap_count >= 2, "bootstrap_count must be 2 or more")
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")

    def requires(self) -> tuple[str, ...]:
        """Return the experiments that say where and whom to ask."""
        sizes = ("size",) if self.hole_responses == "size" else ()
        return (*super().requires(), *sizes)

    def patterns(self, kind: Kind) -> pd.DataFrame:
        """Return the grating in a disc and around it."""
        return combine(
            {
                "arrangement": ARRANGED,
                "diameter_deg": [self.diameter_deg],
                "contrast": [self.contrast],
            }
        )


class Onset(GratingExperiment[OnsetProtocol]):
    """Latency of the response to classical and inverse gratings.

    References
    ----------
    Keller, Roth & Scanziani 2020, doi 10.1038/s41586-020-2319-4, Fig. 3: inverse responses are
    later by 50 ms. Stimuli and the rule "published": ViV1T-closed-loop,
    tuning_feedbackRF/predict_onset.py and visualize_response_onset.py. The baseline before the
    grating, the fraction of the rise and the interpolation between frames are ours.
    """

    name = "onset"
    protocol_type = OnsetProtocol
    kinds = ("movie",)
    summary_columns = ("center_latency_s", "inverse_latency_s", "difference_s")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {
        "centers": "screen",
        "direction_deg": (90.0,),
        "hole_responses": "own",
        "movie_phase_count": 2,
        "lead_s": 0.5,
        "stimulus_s": 0.5,
        "window_end_s": 0.5,
    }

    def window(self, protocol: OnsetProtocol, screen: Screen, kind: Kind) -> tuple[int, int]:
        """Return the frames from the first baseline to the end of the last trace."""
        first, stop = _trace_frames(protocol, screen)
        onsets = protocol.onset_frames(screen)
        return onsets[0] + first, onsets[-1] + stop

    def measures(self, setting: Setting[OnsetProtocol]) -> dict[str, Measure]:
        """Return what is kept of each presentation: its trace."""
        frames = _trace_frames(setting.protocol, setting.screen)
        return {"trace": Measure(*frames, reduce=every_frame)}

    def conclude(
        self, accumulator: Accumulator, setting: Setting[OnsetProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Average the traces of each arrangement, and find when they rise."""
        presentations, conditions = self.presented(accumulator, setting)
        traces = presentations.collected("trace")
        protocol, screen = setting.protocol, setting.screen
        time_s = np.arange(*_trace_frames(protocol, screen)) / screen.frame_rate_hz
        shown = conditions["arrangement"].to_numpy()
        mean, error = _mean_traces(traces, conditions, setting)
        found = find_latencies(mean, time_s, protocol)
        columns, status = _judge(found, traces, shown, time_s, setting)
        cells = _latencies_by_phase(traces, conditions, time_s, setting)
        columns |= _spreads(cells, status)
        if setting.has_trial_noise:
            columns |= latency_errors(
                traces, shown, status, lambda means: _latency(means, time_s, protocol), protocol
            )
        table = _neurons_table(found, status, columns, setting)
        setting.on_done(len(table))
        tables = {
            "neurons": table,
            "latencies": cells.drop(columns="row"),
            "population": compare_latencies(table, seed=protocol.seed),
            "mean_traces": _normalized_traces(mean, found, table, time_s),
        }
        return tables, _arrays(mean, error, time_s, setting)


def find_latencies(traces: FloatArray, time_s: FloatArray, protocol: OnsetProtocol) -> Latencies:
    """Read latencies from mean traces by the protocol's method.

    Parameters
    ----------
    traces : float array, shape (neuron, arrangement, frame)
        In the order of :data:`ARRANGED`.
    time_s : float array, shape (frame,)
        0 where the stimulus begins.
    protocol : OnsetProtocol
        Method, window and thresholds.

    Returns
    -------
    Latencies
        Arrays of shape (neuron, arrangement).
    """
    end_s = protocol.window_end_s
    if protocol.method == "published":
        return z_latency(traces, time_s, end_s=end_s, threshold_z=protocol.threshold_z)
    options: dict[str, Any] = {"end_s": end_s, "fraction": protocol.rise_fraction}
    options["minimum_sd"] = protocol.minimum_sd
    found = rise_latency(traces, time_s, **options)
    with np.errstate(invalid="ignore"):
        rise = found.peak - found.baseline
        # The other arrangement of a trace that is not finite still stands.
        least = protocol.minimum_share * np.fmax.reduce(rise, axis=1, keepdims=True)
        # A strict comparison would refuse the only response to a share of 1.
        least = np.nextafter(least, -np.inf)
    return rise_latency(traces, time_s, minimum_rise=least, **options)


def compare_latencies(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Test over neurons whether holes are answered later.

    Parameters
    ----------
    table : DataFrame, one row a neuron
        ``mouse``, ``center_latency_s`` and ``inverse_latency_s``, NaN where there is none.
    seed : int
        Of the bootstrap intervals.

    Returns
    -------
    DataFrame, one row a comparison
        ``comparison`` and the columns of :class:`~insilico.statistics.paired.Comparison`, effects
        in seconds: inverse minus center latency of the same neurons, and, as in the publication,
        of each population by itself. The second takes its samples for independent, though they
        hold the same neurons: read the first.
    """
    inverse, center = table["inverse_latency_s"], table["center_latency_s"]
    mouse = table["mouse"] if len(table["mouse"].unique()) > 1 else None
    both = None if mouse is None else (mouse, mouse)
    rows = {
        "inverse - center, same neurons (s)": compare_paired(
            inverse, center, mouse=mouse, seed=[seed, 21]
        ),
        "as published: inverse - center, each population, samples overlap (s)": compare_unpaired(
            inverse, center, mouse=both, seed=[seed, 22]
        ),
    }
    return pd.DataFrame([{"comparison": name, **row.to_row()} for name, row in rows.items()])


def _trace_frames(protocol: OnsetProtocol, screen: Screen) -> tuple[int, int]:
    """Return the frames of a trace about a pattern's onset, the end exclusive."""
    shown = protocol.stimulus_s + protocol.after_s
    return -screen.frames(protocol.before_s), screen.frames(shown)


def _latency(traces: FloatArray, time_s: FloatArray, protocol: OnsetProtocol) -> FloatArray:
    """Return latencies (neuron, arrangement) of drawn traces, without asking for a response."""
    if protocol.method == "published":
        return find_latencies(traces, time_s, protocol).latency_s
    return rise_latency(
        traces, time_s, end_s=protocol.window_end_s, fraction=protocol.rise_fraction
    ).latency_s


def _mean_traces(
    traces: FloatArray, conditions: pd.DataFrame, setting: Setting[OnsetProtocol]
) -> tuple[FloatArray, FloatArray]:
    """Return mean traces and their errors, (neuron, arrangement, frame)."""
    count, neurons, frames = traces.shape
    averages = average_presentations(
        traces.reshape(count, -1),
        conditions,
        ["arrangement"],
        has_trial_noise=setting.has_trial_noise,
    )
    order = [list(averages.levels["arrangement"]).index(name) for name in ARRANGED]
    mean, error = (
        values[order].reshape(len(ARRANGED), neurons, frames).swapaxes(0, 1)
        for values in (averages.mean, averages.error)
    )
    return mean, error


def _judge(
    found: Latencies,
    traces: FloatArray,
    shown: np.ndarray[Any, Any],
    time_s: FloatArray,
    setting: Setting[OnsetProtocol],
) -> tuple[dict[str, FloatArray], TextArray]:
    """Return tests of the responses, and a status by neuron and arrangement."""
    status = found.status.astype("<U24")
    columns: dict[str, FloatArray] = {}
    if setting.has_trial_noise:
        columns, q_value = response_tests(traces, shown, time_s, setting.protocol)
        # NaN was not tested, and stays what the trace says.
        status[(status == "ok") & (q_value > RESPONSE_Q)] = "no_response"
    if setting.protocol.hole_responses == "size" and "size" in setting.given:
        answers = _answers_to_holes(setting)
        status[(status[:, 1] == "ok") & ~answers, 1] = "no_hole_response"
    return columns, status


def _answers_to_holes(setting: Setting[OnsetProtocol]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    table = rows_of(setting.given["size"], setting.neurons)
    return table["is_hole_responsive"].to_numpy(bool)


def _latencies_by_phase(
    traces: FloatArray,
    conditions: pd.DataFrame,
    time_s: FloatArray,
    setting: Setting[OnsetProtocol],
) -> pd.DataFrame:
    """Return one row a neuron and presented kind of grating, with its own latency."""
    protocol = setting.protocol
    # Where each neuron has its own direction, conditions hold that of the first.
    keys = ["direction_deg", "phase_deg"] if protocol.direction_deg else ["phase_deg"]
    keys = [name for name in keys if name in conditions]
    cells, mean, _ = average_over(traces, conditions, ["arrangement", *keys])
    found = rise_latency(
        mean,
        time_s,
        end_s=protocol.window_end_s,
        fraction=protocol.rise_fraction,
        minimum_sd=protocol.minimum_sd,
    )
    cell, row = np.indices(found.status.shape).reshape(2, -1)
    neurons = setting.neurons[["mouse", "neuron"]].iloc[row].reset_index(drop=True)
    return pd.concat(
        [neurons, cells.iloc[cell].reset_index(drop=True)],
        axis=1,
    ).assign(row=row, latency_s=found.latency_s.reshape(-1), status=found.status.reshape(-1))


def _spreads(cells: pd.DataFrame, status: TextArray) -> dict[str, FloatArray]:
    """Return the standard deviation of latencies over phases, where there is a latency at all."""
    spread = cells.pivot_table(
        index="row", columns="arrangement", values="latency_s", aggfunc="std", dropna=False
    ).reindex(range(len(status)))
    return {
        f"{name}_latency_spread_s": np.where(
            status[:, index] == "ok", spread[name].to_numpy(), np.nan
        )
        for index, name in enumerate(ARRANGED)
    }


def _neurons_table(
    found: Latencies,
    status: TextArray,
    columns: Mapping[str, FloatArray],
    setting: Setting[OnsetProtocol],
) -> pd.DataFrame:
    latency = np.where(status == "ok", found.latency_s, np.nan)
    place_status = placed_status(setting, np.full(len(status), "ok"))
    is_placed = place_status == "ok"
    status = np.where(is_placed[:, None], status, place_status[:, None])
    center, inverse = status.T
    whole = np.where((center == "no_response") & (inverse == "ok"), "hole_only", center)
    values: dict[str, Any] = {
        "status": whole,
        "center_status": center,
        "inverse_status": inverse,
        "center_latency_s": latency[:, 0],
        "inverse_latency_s": latency[:, 1],
        "difference_s": latency[:, 1] - latency[:, 0],
        **columns,
    }
    for index, name in enumerate(ARRANGED):
        for quantity in ("baseline", "baseline_sd", "peak", "threshold"):
            values[f"{name}_{quantity}"] = getattr(found, quantity)[:, index]
    values["error_source"] = "trials" if setting.has_trial_noise else "phases"
    return pd.concat([setting.neurons.reset_index(drop=True), pd.DataFrame(values)], axis=1)


def _normalized_traces(
    mean: FloatArray, found: Latencies, table: pd.DataFrame, time_s: FloatArray
) -> pd.DataFrame:
    """Return mean traces, from baseline 0 to peak 1, over neurons with both latencies."""
    chosen = table["difference_s"].notna().to_numpy()
    baseline, peak = found.baseline[chosen, :, None], found.peak[chosen, :, None]
    normalized = (mean[chosen] - baseline) / (peak - baseline)
    count = len(normalized)
    missing = np.full(normalized.shape[1:], np.nan)
    return pd.DataFrame(
        {
            "arrangement": np.repeat(ARRANGED, len(time_s)),
            "time_s": np.tile(time_s, len(ARRANGED)),
            "mean": (normalized.mean(axis=0) if count else missing).reshape(-1),
            "sem": (
                normalized.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else missing
            ).reshape(-1),
            "neuron_count": count,
        }
    )


def _arrays(
    mean: FloatArray, error: FloatArray, time_s: FloatArray, setting: Setting[OnsetProtocol]
) -> xr.Dataset:
    """Return the mean traces, and the error or the spread with its honest name."""
    dims = ("neuron", "arrangement", "time_s")
    name = "trace_sem" if setting.has_trial_noise else "spread_over_phases"
    return xr.Dataset(
        {"trace": (dims, mean), name: (dims, error)},
        coords={
            "neuron": setting.neurons["neuron"].to_numpy(),
            "arrangement": list(ARRANGED),
            "time_s": time_s,
        },
    )
