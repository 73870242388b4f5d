"""How well a trained model predicts recordings: every metric, neuron by neuron, and summaries."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import insilico
from insilico.errors import MouseError, RecordingError, UnitsError
from insilico.models.checkpoint import Checkpoint
from insilico.models.mouse import Mouse
from insilico.progress import progress_bar
from insilico.recordings.cache import CachedRecording
from insilico.recordings.recording import TIERS, Recording
from insilico.results import Result
from insilico.statistics import performance, reliability
from insilico.training.data import MouseData
from insilico.training.prediction import BURN_IN_FRAMES, TrialPrediction, predict_trials
from insilico.training.storage import kept_rows, open_predictions
from insilico.training.summary import CONFIDENCE, DRAWS, summarize

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Tiers that are evaluated unless some are named: those that training does not learn from.
HELD_OUT = tuple(tier for tier in TIERS if tier not in ("train", "none"))
#: Repeated images that a correlation of averages needs.
LEAST_REPEATED_IMAGES = 3
#: Numbers that the metrics take at a time, which bounds the memory of their double precision.
BLOCK_NUMBERS = 2_000_000


@dataclasses.dataclass(frozen=True)
class Group:
    """Trials of one tier and stimulus type, predicted and recorded, in standardized units.

    Parameters
    ----------
    tier, stimulus_type : str
        Which.
    predicted, recorded : list of float32 arrays, shape (row, neuron)
        One a trial.
    stimulus_index : int64 array, shape (trial,)
        Equal where the same stimulus was shown.
    """

    tier: str
    stimulus_type: str
    predicted: list[Any]
    recorded: list[Any]
    stimulus_index: IntArray


def evaluate(
    checkpoint: Checkpoint,
    recordings: Mapping[str, CachedRecording],
    *,
    tiers: Sequence[str] | None = None,
    burn_in_frames: int = BURN_IN_FRAMES,
    predictions: Path | None = None,
    seed: int = 0,
    progress: bool = False,
    command: str = "",
) -> Result:
    """Compare a model's predictions with recorded responses.

    The model sees each trial with the animal's own behavior and gaze, standardized with the
    checkpoint's statistics of that mouse. At most one tier of one mouse is kept, in memory or, if
    it is large, in a file.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model; it computes on the device its network is on.
    recordings : mapping of str to CachedRecording
        Recordings by mouse; each mouse must be one of the model's.
    tiers : sequence of str, optional
        Which tiers; all but "train" and "none" when left out.
    burn_in_frames : int
        Frames at the start of each movie that are not judged; images have none.
    predictions : Path, optional
        An HDF5 file to write the predictions to, whole or not at all; see
        :func:`insilico.training.storage.open_predictions`.
    seed : int
        Of the confidence intervals.
    progress : bool
        Show a progress bar.
    command : str
        Recorded in the provenance.

    Returns
    -------
    Result
        ``tables["neurons"]``, one row a mouse, tier, stimulus type and neuron:
        :data:`insilico.training.summary.METRICS`,
        ``is_explainable`` (whether it counts in the mean FEVE), ``trial_count``,
        ``stimulus_count``, ``repeat_count`` (median over repeated stimuli; 1 without any) and
        ``status``. Every metric is free of units but ``poisson_loss``, which is in recorded units.
        Status is "ok", "too_few_repeats" (only what needs no repeats is known), "too_few_stimuli"
        (less than three repeated images have no correlation of averages),
        "constant_response", "constant_prediction" or "not_finite".

        ``tables["summary"]``, one row a mouse, tier, stimulus type and metric: ``mean`` over the
        ``neuron_count`` neurons for which it is known, with the 95 % bootstrap interval over
        neurons ``ci_low`` to ``ci_high``; and "fraction_oracle", the slope of the correlation on
        the oracle. With several mice also their unweighted mean, as mouse "all mice", whose
        interval is over neurons within mice, not over mice. ``provenance["skipped"]`` says what
        could not be evaluated, and why.

    Raises
    ------
    MouseError
        If a recording is of a mouse the model does not have.
    RecordingError
        If a recording has other neurons, frames, channels or signals than the model, a tier does
        not exist, or no trial is left to evaluate.
    RunFolderError
        If predictions cannot be written.
    UnitsError
        If the burn-in is negative.

    References
    ----------
    Metrics: :mod:`insilico.statistics.performance` and :mod:`insilico.statistics.reliability`.
    Burn-in of 50 frames, raw units and unweighted mean over mice: ViV1T-closed-loop,
    misc/evaluate_response.py. FEVE only where FEV is at least 0.15: sensorium,
    sensorium/utility/metrics.py.
    """
    started = time.monotonic()
    if burn_in_frames < 0:
        raise UnitsError(f"a burn-in of {burn_in_frames} frames; give 0 or more")
    chosen = _check_tiers(tiers, recordings)
    for name, cached in recordings.items():
        check_match(checkpoint, name, cached.recording)
    tables: list[pd.DataFrame] = []
    skipped: list[dict[str, str]] = []
    total = sum(len(cached.trials_of(*chosen)) for cached in recordings.values())
    with (
        open_predictions(predictions, checkpoint, recordings) as keep,
        progress_bar("evaluate", total, shown=progress) as advance,
    ):
        for name, cached in recordings.items():
            mouse = _MouseEvaluation(checkpoint, name, cached, burn_in_frames, skipped)
            for tier in chosen:
                advance(0, label=f"{name} {tier}")
                groups = mouse.groups(tier, functools.partial(_on_made, keep, advance, name))
                tables.extend(map(mouse.measure, groups))
        if not tables:
            raise RecordingError(_nothing_left(chosen, skipped))
    neurons = pd.concat(tables, ignore_index=True)
    names = {name: recordings[name] for name in dict.fromkeys(neurons["mouse"])}
    provenance = {
        **_describe(checkpoint, names),
        "skipped": skipped,
        "command": command,
        "seconds": round(time.monotonic() - started, 2),
    }
    protocol = {
        "tiers": list(chosen),
        "burn_in_frames": burn_in_frames if checkpoint.network.kind == "movie" else 0,
        "minimum_fev": performance.MINIMUM_FEV,
        "confidence": CONFIDENCE,
        "draws": DRAWS,
        "seed": seed,
    }
    summary = summarize(neurons, seed=seed)
    return Result(
        "evaluation", {"neurons": neurons, "summary": summary}, xr.Dataset(), protocol, provenance
    )


def _describe(checkpoint: Checkpoint, recordings: Mapping[str, CachedRecording]) -> dict[str, Any]:
    """Say which model was compared with which recordings, in what units."""
    return {
        "package": f"insilico {insilico.__version__}",
        "model": checkpoint.name,
        "weights": {
            "architecture": checkpoint.architecture,
            "weights_sha256": checkpoint.weights_sha256,
        },
        "recordings": {name: cached.content_sha256 for name, cached in recordings.items()},
        "kind": checkpoint.network.kind,
        "output_units": "recorded",
    }


def _on_made(
    keep: Callable[[str, TrialPrediction], None],
    advance: Callable[..., None],
    mouse: str,
    made: TrialPrediction,
) -> None:
    keep(mouse, made)
    advance(1)


def check_match(checkpoint: Checkpoint, name: str, recording: Recording) -> None:
    """Refuse a recording that the model's mouse of that name was not trained on; no trial is read.

    Raises
    ------
    MouseError
        If the model has no mouse of that name.
    RecordingError
        If kind, neurons, frame size, channels or frame rate differ.
    """
    network = checkpoint.network
    if name not in checkpoint.mice:
        raise MouseError(
            f"the recording {recording.source} is of mouse {name}, and {checkpoint.name} has "
            f"{', '.join(checkpoint.mice)}; name the mice to evaluate with --mouse, or fine-tune "
            "the model on it"
        )
    if recording.kind != network.kind:
        raise RecordingError(
            f"{recording.source} holds {recording.kind}s and {checkpoint.name} predicts "
            f"{network.kind}s; choose a model of {recording.kind}s"
        )
    mouse = checkpoint.mice[name]
    _check_neurons(checkpoint.name, mouse, recording)
    given = (len(recording.channel_names), *recording.screen.shape)
    expected = (network.channels, *mouse.screen.shape)
    if given != expected:
        raise RecordingError(
            f"{recording.source} shows (channel, y, x) = {given} and {checkpoint.name} was trained "
            f"on {expected}; use the recording it was trained on"
        )
    rates = recording.screen.frame_rate_hz, mouse.screen.frame_rate_hz
    if network.kind == "movie" and not np.isclose(*rates):
        raise RecordingError(
            f"{recording.source} has {rates[0]:g} frames per second and {checkpoint.name} was "
            f"trained on {rates[1]:g}; use the recording it was trained on"
        )


def _check_neurons(model: str, mouse: Mouse, recording: Recording) -> None:
    source = recording.source
    recorded = recording.neurons["neuron_id"].to_numpy()
    known = mouse.neurons["neuron_id"].to_numpy()
    if len(recorded) != len(known):
        raise RecordingError(
            f"{source} has {len(recorded):,} neurons and mouse {mouse.name} of {model} has "
            f"{len(known):,}; use the recording it was trained on"
        )
    # Published weights do not carry the recording's own names; then rows can only be counted.
    is_named = not np.array_equal(known, np.arange(len(known)))
    if is_named and (differ := np.flatnonzero(recorded != known)).size:
        first = differ[0]
        raise RecordingError(
            f"{source} has other neurons than mouse {mouse.name} of {model}, or another order: "
            f"neuron {first} is {recorded[first]} and should be {known[first]}; use the recording "
            "it was trained on"
        )


class _MouseEvaluation:
    """Predictions and metrics of one mouse."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        name: str,
        cached: CachedRecording,
        burn_in_frames: int,
        skipped: list[dict[str, str]],
    ) -> None:
        self._network = checkpoint.network
        self._cached = cached
        self._name = name
        self._data = MouseData(
            cached,
            mouse=checkpoint.mice[name],
            behavior_names=checkpoint.network.behavior_names,
            uses_pupil=checkpoint.network.uses_pupil,
        )
        self._burn_in_frames = burn_in_frames
        self._skipped = skipped

    def groups(self, tier: str, on_made: Callable[[TrialPrediction], Any]) -> Iterator[Group]:
        """Predict the trials of a tier, and yield them by stimulus type."""
        positions, row_counts = self._usable(tier)
        if not len(positions):
            return
        shape = (int(row_counts.sum()), len(self._data.mouse.neurons))
        with kept_rows(shape, self._cached.folder.parent) as (predicted, recorded):
            ends = np.cumsum(row_counts)
            made = predict_trials(
                self._network, self._data, positions, burn_in_frames=self._burn_in_frames
            )
            for trial, stop, count in zip(made, ends, row_counts, strict=True):
                predicted[stop - count : stop] = trial.predicted
                recorded[stop - count : stop] = trial.recorded
                on_made(trial)
            rows = self._cached.trials.iloc[positions]
            trials = [
                slice(stop - count, stop) for stop, count in zip(ends, row_counts, strict=True)
            ]
            for kind in dict.fromkeys(rows["stimulus_type"]):
                members = np.flatnonzero(rows["stimulus_type"] == kind)
                yield Group(
                    tier,
                    kind,
                    [predicted[trials[member]] for member in members],
                    [recorded[trials[member]] for member in members],
                    rows["stimulus_index"].to_numpy(np.int64)[members],
                )

    def _usable(self, tier: str) -> tuple[IntArray, IntArray]:
        """Return the trials of a tier that can be judged, and how many rows each has."""
        shown = int((self._cached.trials["tier"] == tier).sum())
        positions = self._cached.trials_of(tier)
        if len(positions) < shown:
            self._skip(tier, f"{shown - len(positions)} of {shown} trials without responses")
        if self._network.kind == "image":
            return positions, np.ones(len(positions), np.int64)
        row_counts = np.array(
            [
                min(frames - self._burn_in_frames, self._network.response_frames(int(frames)))
                for frames in self._data.frames(positions)
            ],
            np.int64,
        )
        is_long = row_counts > 0
        if not is_long.all():
            self._skip(
                tier,
                f"{(~is_long).sum()} of {shown} trials end within the burn-in of "
                f"{self._burn_in_frames} frames",
            )
        return positions[is_long], row_counts[is_long]

    def _skip(self, tier: str, reason: str) -> None:
        self._skipped.append({"mouse": self._name, "tier": tier, "reason": reason})

    def measure(self, group: Group) -> pd.DataFrame:
        """Return the rows of the neurons table of one group of trials."""
        scale = np.asarray(self._data.mouse.statistics.response_std, float)
        row_count = sum(map(len, group.recorded))
        size = max(1, BLOCK_NUMBERS // row_count)
        blocks = [
            measure_block(group, slice(first, first + size), scale)
            for first in range(0, len(scale), size)
        ]
        table = pd.concat(blocks, ignore_index=True)
        counts = reliability.repeat_counts(group.stimulus_index)
        neurons = self._data.mouse.neurons
        labels = {
            "mouse": self._name,
            "tier": group.tier,
            "stimulus_type": group.stimulus_type,
            "neuron": neurons["neuron"].to_numpy(),
            "neuron_id": self._cached.recording.neurons["neuron_id"].to_numpy(),
        }
        numbers = {
            "trial_count": len(group.recorded),
            "stimulus_count": len(counts),
            "repeat_count": float(np.median(counts[counts > 1])) if (counts > 1).any() else 1.0,
        }
        return pd.DataFrame({**labels, **table, **numbers})


def measure_block(group: Group, neurons: slice, response_std: FloatArray) -> pd.DataFrame:
    """Return every metric of some neurons, and their status.

    Parameters
    ----------
    group : Group
        Trials in standardized units.
    neurons : slice
        Which.
    response_std : float array, shape (neuron,)
        Recorded units of one standardized unit, for the Poisson loss.
    """
    predicted = [np.ascontiguousarray(trial[:, neurons]) for trial in group.predicted]
    recorded = [np.ascontiguousarray(trial[:, neurons]) for trial in group.recorded]
    index, scale = group.stimulus_index, response_std[neurons]
    pair = (predicted, recorded)
    fev = reliability.explainable_variance_fraction(recorded, index)
    table = {
        "single_trial_correlation": performance.single_trial_correlation(*pair),
        "correlation": performance.correlation(*pair),
        "correlation_to_average": performance.correlation_to_average(*pair, index),
        "normalized_correlation": performance.normalized_correlation(*pair, index),
        "fev": fev,
        "feve": performance.feve(*pair, index),
        "oracle": reliability.oracle_correlation(recorded, index),
        "conservative_oracle": reliability.conservative_oracle(recorded, index),
        "poisson_loss": performance.poisson_loss(
            [trial * scale for trial in predicted], [trial * scale for trial in recorded]
        ),
    }
    # NaN is not at least anything.
    is_explainable = fev >= performance.MINIMUM_FEV
    groups = reliability.repeat_groups(index)
    status = _status(predicted, recorded, has_repeats=bool(groups))
    if len(recorded[0]) == 1 and 0 < len(groups) < LEAST_REPEATED_IMAGES:
        # Over two images every correlation is 1 or -1.
        for name in ("correlation_to_average", "normalized_correlation"):
            table[name] = np.full(len(status), np.nan)
        status = np.where(status == "ok", "too_few_stimuli", status)
    return pd.DataFrame({**table, "is_explainable": is_explainable, "status": status})


def _status(predicted: list[Any], recorded: list[Any], *, has_repeats: bool) -> Any:
    rounding = reliability.rounding_of(predicted, recorded)

    def is_flat(trials: list[Any]) -> Any:
        ends = (np.stack([end(trial, axis=0) for trial in trials]) for end in (np.min, np.max))
        return reliability.is_constant(*ends, rounding=rounding)

    is_finite = [np.isfinite(trial).all(axis=0) for trial in (*predicted, *recorded)]
    conditions = [~np.all(is_finite, axis=0), is_flat(recorded), is_flat(predicted)]
    names = ["not_finite", "constant_response", "constant_prediction"]
    return np.select(conditions, names, "ok" if has_repeats else "too_few_repeats")


def _check_tiers(
    tiers: Sequence[str] | None, recordings: Mapping[str, CachedRecording]
) -> tuple[str, ...]:
    present = {tier for cached in recordings.values() for tier in cached.trials["tier"]}
    for tier in tiers or ():
        if tier not in present:
            there = ", ".join(name for name in TIERS if name in present) or "none"
            raise RecordingError(
                f"no recording has trials of the tier {tier!r}; the tiers are {there}"
            )
    return tuple(tier for tier in (tiers or HELD_OUT) if tier in present)


def _nothing_left(tiers: Sequence[str], skipped: Sequence[Mapping[str, str]]) -> str:
    why = "; ".join(f"{each['mouse']}, {each['tier']}: {each['reason']}" for each in skipped)
    return (
        f"there is no trial to evaluate in the tiers {', '.join(tiers) or 'held out of training'}"
        f"{f' ({why})' if why else ''}; name others with --tier, such as train"
    )
