"""How reliably recorded neurons repeat themselves, and how well a twin predicts them.

These two numbers decide which neurons are worth a stimulus of their own. Both come from held-out
stimuli that were shown several times: that the same trials choose the neurons makes later reports
on them optimistic, so report performance on other trials.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from insilico.errors import RecordingError, UnitsError
from insilico.models.checkpoint import Checkpoint
from insilico.progress import progress_bar
from insilico.recordings.recording import TIERS
from insilico.statistics.performance import correlation_to_average
from insilico.statistics.reliability import (
    FloatArray,
    TrialArray,
    center,
    check_trials,
    default_over,
    explainable_variance_fraction,
    mean_of_known,
    repeat_groups,
    rounding_of,
    stack_repeats,
)
from insilico.training.evaluation import HELD_OUT, LEAST_REPEATED_IMAGES, check_match
from insilico.training.prediction import BURN_IN_FRAMES
from insilico.twin.selection import NeuronSelection, choose_neurons

if TYPE_CHECKING:
    from insilico.recordings.cache import CachedRecording
    from insilico.twin import Twin

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Presentations that a stimulus needs to count (ViV1T-closed-loop,
#: most_exciting_stimulus/estimate_neuron_reliability.py, where fewer are an error).
LEAST_REPEATS = 5
#: Tiers of stimuli from outside the training distribution; they count only if they are named.
OTHER_STIMULI = ("live_bonus", "final_bonus")
#: Images that a twin is asked for at once.
IMAGES_AT_ONCE = 256


def pair_correlation(recorded: Sequence[TrialArray], stimulus_index: ArrayLike) -> FloatArray:
    """Return how well single repeats of the same stimulus agree.

    Movies: the Pearson correlation over frames of every pair of repeats, averaged over the pairs
    and then over movies. Images have one row, so two repeats agree over images: the expected
    correlation of two of them is the fraction of variance that the image explains.

    Parameters
    ----------
    recorded : sequence of float arrays, shape (row, neuron)
        One a trial.
    stimulus_index : int array, shape (trial,)
        Equal where the same stimulus was shown; -1 where it is not known.

    Returns
    -------
    float array, shape (neuron,)
        In [-1, 1]; pairs in which a repeat is constant do not count, and it is NaN where none does.

    Raises
    ------
    ShapeError
        If trials differ in neurons, there is none, or there is not one index a trial.

    References
    ----------
    ViV1T-closed-loop, most_exciting_stimulus/estimate_neuron_reliability.py (movies). Images:
    :func:`insilico.statistics.reliability.explainable_variance_fraction`.
    """
    check_trials(recorded, stimulus_index=stimulus_index)
    if default_over(recorded) == "stimuli":
        return explainable_variance_fraction(recorded, stimulus_index)
    rounding = rounding_of(recorded)
    stacks = stack_repeats(recorded, stimulus_index)
    if not stacks:
        return np.full(recorded[0].shape[1], np.nan)
    return mean_of_known(np.stack([_mean_of_pairs(stack, rounding) for stack in stacks]))


def _mean_of_pairs(stack: FloatArray, rounding: float) -> FloatArray:
    """Return the mean correlation of all pairs of (repeat, row, neuron) over rows.

    With z-scores z of unit length, (|sum z|^2 - number) / (number (number - 1)): all pairs at once.
    """
    total, count = np.zeros(stack.shape[1:]), np.zeros(stack.shape[2])
    for repeat in stack:
        with np.errstate(invalid="ignore", over="ignore"):
            centered, power = center(repeat, rounding=rounding)
        is_known = ~np.isnan(power)
        total += np.where(is_known, centered / np.sqrt(np.where(is_known, power, 1.0)), 0.0)
        count += is_known
    pairs = np.einsum("rn,rn->n", total, total) - count
    mean = np.where(count > 1, pairs / np.maximum(count * (count - 1), 1), np.nan)
    return np.clip(mean, -1.0, 1.0)


def reliability_of(
    twin: Twin,
    cached: CachedRecording,
    *,
    mouse: str | None = None,
    neurons: NeuronSelection = None,
    tier: str | None = None,
    least_repeats: int = LEAST_REPEATS,
    burn_in_frames: int = BURN_IN_FRAMES,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure trial reliability and prediction correlation of a recording's neurons.

    The twin sees each trial with the animal's own behavior and gaze. Movies pass by one stimulus at
    a time, all its repeats cut to the shortest, so memory does not grow with the recording.

    Parameters
    ----------
    twin : Twin
        Trained on these neurons, or simulated with them.
    cached : CachedRecording
        One mouse.
    mouse : str, optional
        Whose neurons of the twin; the recording's mouse when left out.
    neurons : selection, optional
        As for :meth:`insilico.Twin.respond`.
    tier : str, optional
        Which trials; when left out the first held-out tier, validation before test, whose natural
        stimuli were repeated.
    least_repeats : int
        Presentations that a stimulus needs to count, 2 or more.
    burn_in_frames : int
        Frames at the start of each movie that are not judged.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame, one row a neuron
        ``mouse``, ``neuron``, ``neuron_id``, ``trial_reliability``
        (:func:`pair_correlation`), ``prediction_correlation`` (of the means over repeats;
        :func:`insilico.statistics.performance.correlation_to_average`), ``tier``,
        ``stimulus_count`` and ``repeat_count`` (of the stimulus with the fewest). NaN where a trace
        is constant or not finite.

    Raises
    ------
    MouseError, NeuronError, RecordingError
        If the recording is not of the twin's mouse, or nothing was repeated often enough.
    UnitsError
        If a number is out of range.

    References
    ----------
    ViV1T-closed-loop, most_exciting_stimulus/estimate_neuron_reliability.py. A NaN of one neuron
    stays with that neuron.
    """
    if least_repeats < 2 or burn_in_frames < 0:
        raise UnitsError(
            f"least_repeats is {least_repeats} and burn_in_frames {burn_in_frames}; give 2 or more "
            "repeats, and a burn-in of 0 frames or more"
        )
    name = mouse or cached.recording.mouse
    _check_twin(twin, name, cached)
    rows = choose_neurons(neurons, len(cached.recording.neurons))
    used, groups = _repeated(cached, tier, least_repeats)
    asked = _Asked(twin, name, cached, rows)
    measure = _measure_images if cached.recording.kind == "image" else _measure_movies
    with progress_bar("reliability", len(groups), shown=progress) as advance:
        trial_reliability, prediction = measure(asked, groups, burn_in_frames, advance)
    table = cached.recording.neurons.iloc[rows]
    return pd.DataFrame(
        {
            "mouse": name,
            "neuron": rows,
            "neuron_id": table["neuron_id"].to_numpy(),
            "trial_reliability": trial_reliability,
            "prediction_correlation": prediction,
            "tier": used,
            "stimulus_count": len(groups),
            "repeat_count": min(map(len, groups)),
        }
    )


@dataclasses.dataclass(frozen=True)
class _Asked:
    """Some neurons of a twin, and the recording in which they were recorded."""

    twin: Twin
    mouse: str
    cached: CachedRecording
    neurons: IntArray

    def trials(self, positions: IntArray, burn_in: int) -> tuple[list[Any], list[Any]]:
        """Return what was predicted and recorded in some trials, (row, neuron) each."""
        cached, is_image = self.cached, self.cached.recording.kind == "image"
        frames = int(cached.trials["frame_count"].to_numpy()[positions].min())
        at = [cached.rows(int(position), 0, frames) for position in positions]

        def take(values: Any) -> Any:
            # (trial, frame, feature, …) becomes (trial, feature[, frame], …).
            stacked = np.stack([values[one] for one in at])
            return stacked[:, 0] if is_image else np.moveaxis(stacked, 1, 2)

        state = {name: take(values) for name, values in self._state().items()}
        answer = self.twin.respond(
            take(cached.stimulus),
            mouse=self.mouse,
            neurons=self.neurons,
            input_units="gray",
            **state,
        )
        if is_image:
            recorded = [cached.responses[one][:, self.neurons] for one in at]
            return [values[None] for values in answer.values], recorded
        skipped = max(burn_in, answer.first_frame)
        predicted = [values[:, skipped - answer.first_frame :].T for values in answer.values]
        recorded = [
            cached.responses[one.start + skipped : one.start + skipped + len(predicted[0])]
            for one in at
        ]
        return predicted, [trial[:, self.neurons] for trial in recorded]

    def _state(self) -> dict[str, Any]:
        """Return the recorded behavior and gaze that the twin reads, by argument."""
        cached, state = self.cached, {}
        if self.twin.behavior_names:
            known = list(cached.recording.behavior_names)
            columns = [known.index(name) for name in self.twin.behavior_names if name in known]
            if cached.behavior is None or len(columns) < len(self.twin.behavior_names):
                raise RecordingError(
                    f"{self.twin.name} reads {', '.join(self.twin.behavior_names)}, and "
                    f"{cached.recording.source} has {', '.join(known) or 'no behavior'}; use the "
                    "recording it was trained on"
                )
            state["behavior"] = cached.behavior[:, columns]
        if self.twin.uses_pupil:
            if cached.pupil_center is None:
                raise RecordingError(
                    f"{self.twin.name} follows the gaze, and {cached.recording.source} has no "
                    "pupil_center; use the recording it was trained on"
                )
            state["pupil_center"] = cached.pupil_center
        return state


def _measure_movies(
    asked: _Asked, groups: Sequence[IntArray], burn_in: int, advance: Any
) -> tuple[FloatArray, FloatArray]:
    """Average both numbers over movies, which are looked at one after the other."""
    reliabilities, predictions = [], []
    for group in groups:
        predicted, recorded = asked.trials(group, burn_in)
        if len(predicted[0]) < 2:
            raise RecordingError(
                f"a repeated movie of {asked.cached.recording.source} ends within the burn-in of "
                f"{burn_in} frames; give a shorter burn-in"
            )
        index = np.zeros(len(group), np.int64)
        reliabilities.append(pair_correlation(recorded, index))
        predictions.append(correlation_to_average(predicted, recorded, index, over="time"))
        advance(1)
    return mean_of_known(np.stack(reliabilities)), mean_of_known(np.stack(predictions))


def _measure_images(
    asked: _Asked, groups: Sequence[IntArray], burn_in: int, advance: Any
) -> tuple[FloatArray, FloatArray]:
    """Return both numbers, which correlate over images."""
    if len(groups) < LEAST_REPEATED_IMAGES:
        raise RecordingError(
            f"{len(groups)} images of {asked.cached.recording.source} were repeated often enough, "
            f"and a correlation over images needs {LEAST_REPEATED_IMAGES}; name another tier"
        )
    positions = np.concatenate(groups)
    index = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    predicted: list[Any] = []
    recorded: list[Any] = []
    for first in range(0, len(positions), IMAGES_AT_ONCE):
        made = asked.trials(positions[first : first + IMAGES_AT_ONCE], burn_in)
        predicted += made[0]
        recorded += made[1]
    advance(len(groups))
    return pair_correlation(recorded, index), correlation_to_average(predicted, recorded, index)


def _check_twin(twin: Twin, name: str, cached: CachedRecording) -> None:
    """Refuse a recording of other neurons, as an evaluation does."""
    mice = {known: twin.mouse(known) for known in twin.mice}
    model = Checkpoint(twin.name, "twin", None, twin.networks[0], mice)
    check_match(model, name, cached.recording)


def _repeated(
    cached: CachedRecording, tier: str | None, least_repeats: int
) -> tuple[str, list[IntArray]]:
    """Return a tier and the trials of each of its stimuli that was shown often enough.

    Raises
    ------
    RecordingError
        If there is none.
    """
    present = [name for name in TIERS if name in set(cached.trials["tier"])]
    if tier is not None and tier not in present:
        raise RecordingError(
            f"{cached.recording.source} has no trials of the tier {tier!r}; the tiers are "
            f"{', '.join(present)}"
        )
    tiers = [tier] if tier else [name for name in HELD_OUT if name not in OTHER_STIMULI]
    index, largest = cached.trials["stimulus_index"].to_numpy(np.int64), 0
    for name in tiers:
        positions = cached.trials_of(name)
        groups = [positions[group] for group in repeat_groups(index[positions])]
        largest = max([largest, *map(len, groups)])
        if often := [group for group in groups if len(group) >= least_repeats]:
            return name, often
    raise RecordingError(
        f"no stimulus of {cached.recording.source} was shown {least_repeats} times in the tiers "
        f"{', '.join(tiers)} (at most {max(largest, 1)} times, with responses); lower "
        "least_repeats or choose neurons by their receptive fields"
    )
