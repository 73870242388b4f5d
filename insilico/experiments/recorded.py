"""What a recording has measured already: its trials as responses, through the same analyses."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import insilico
from insilico import catalog
from insilico.errors import CatalogError, ProtocolError, RecordingError
from insilico.experiments.experiment import (
    EXPERIMENTS,
    Experiment,
    Given,
    Setting,
    find_experiment,
)
from insilico.experiments.protocols import Protocol, change_protocol, read_protocol
from insilico.experiments.run_folder import RunFolder
from insilico.recordings.conditions import presented_dots, presented_gabors
from insilico.recordings.metadata import known_trials, require_metadata
from insilico.recordings.recording import Recording
from insilico.results import Responses, Result

if TYPE_CHECKING:
    from insilico.twin.selection import NeuronSelection

#: A protocol for recordings is called as the experiment's default with this behind.
RECORDED = "-recorded"


@dataclasses.dataclass(frozen=True)
class RecordedStimulus:
    """Trials of a recording that answer an experiment.

    Attributes
    ----------
    stimulus_type : str
        As in :attr:`insilico.recordings.Recording.trials`.
    presented : callable
        ``presented(recording, metadata=…)`` returns what was shown when.
    minimum_window : float
        Share of a pattern's window that must lie within its trial (ours).
    """

    stimulus_type: str
    presented: Callable[..., pd.DataFrame]
    minimum_window: float = 1.0


#: Experiments that trials of a recording answer. Their protocols have a method ``window(screen)``:
#: the frames after a pattern's onset that are needed, the end exclusive.
ANSWERED = {
    # Without the last Gabor of a trial its direction would lack a condition that others have.
    "direction": RecordedStimulus("drifting_gabor", presented_gabors, minimum_window=0.5),
    "dots": RecordedStimulus("gaussian_dots", presented_dots),
}


def analyze_recording(
    experiment: str,
    recording: Recording,
    *,
    protocol: str | Path | Protocol | None = None,
    overrides: Mapping[str, Any] | None = None,
    neurons: NeuronSelection = None,
    metadata: Path | None = None,
    given: Given | None = None,
    out: str | Path | None = None,
    jobs: int = 1,
    command: str = "",
) -> Result:
    """Answer an experiment from the trials of a recording.

    Parameters
    ----------
    experiment : str
        One of :data:`insilico.experiments.EXPERIMENTS`.
    recording : Recording
        Of one mouse.
    protocol : str, Path or Protocol, optional
        A TOML file or the name of a shipped protocol; when left out the one for recordings, such as
        "direction-recorded", or the default where there is none. What it says of stimuli is not
        read: they are those of the recording.
    overrides, neurons
        As for :func:`insilico.run`.
    metadata : Path, optional
        Folder of the published metadata, where conditions are to be taken from it.
    given : mapping of str to Result, optional
        Earlier results of this recording; those that ``out`` holds are found there.
    out : path, optional
        A run folder, in which the result is saved. A finished one is loaded.
    jobs : int
        Processes for fits.
    command : str
        Recorded in the provenance.

    Returns
    -------
    Result
        With errors and tests over trials.

    Raises
    ------
    RecordingError
        If the recording has no trials that answer the experiment, or a file is at fault.
    ProtocolError, CatalogError, NeuronError
        If an argument does not fit, or an earlier result is missing.
    RunFolderError
        If ``out`` holds another run, or cannot be written.
    """
    question = find_experiment(experiment)
    _require_answer(question.name, recording, metadata)
    values = read_recorded_protocol(question, protocol, overrides)
    chosen = _choose(neurons, len(recording.neurons))
    identity = describe_recording(recording, chosen, metadata)
    folder = None if out is None else RunFolder.open(out, identity, command=command)
    earlier = _earlier(question, recording, values, given or {}, folder)
    digests = {name: result.digest for name, result in earlier.items()}
    if folder and (finished := folder.finished(experiment, values.to_dict(), digests)):
        return finished
    if experiment in ANSWERED:
        responses = recorded_responses(
            experiment, recording, values, neurons=chosen, metadata=metadata
        )
        result = question.analyze(responses, values, screen=recording.screen, jobs=jobs)
    else:
        result = _from_earlier(question, recording, values, chosen, earlier, jobs)
    provenance = {
        **identity,
        **result.provenance,
        "output_units": "recorded",
        "package": f"insilico {insilico.__version__}",
        "seed": values.seed,
        "command": command,
    }
    result = dataclasses.replace(result, provenance=provenance)
    if folder is not None:
        folder.parts(experiment, values.to_dict(), digests)
        folder.finish(result)
    return result


def recorded_responses(
    experiment: str,
    recording: Recording,
    protocol: Any,
    *,
    neurons: NeuronSelection = None,
    metadata: Path | None = None,
) -> Responses:
    """Return what a recording's neurons answered to the patterns that an experiment is about.

    Parameters
    ----------
    experiment : str
        A key of :data:`ANSWERED`.
    recording : Recording
        Of movies.
    protocol : Protocol
        Of the experiment; patterns whose window lies for the most part beyond their trial are left
        out.
    neurons : selection, optional
        As for :meth:`insilico.Twin.respond`.
    metadata : Path, optional
        Folder of the published metadata.

    Returns
    -------
    Responses
        With trial noise, in recorded units; NaN after the end of a trial. ``conditions`` has the
        number of the trial in the recording as ``recorded_trial``; ``source`` says what was left
        out and why, and has the hashes of conditions and responses.

    Raises
    ------
    RecordingError
        If there are no such trials, none with known conditions, or their responses were withheld.
    """
    answered = ANSWERED[experiment]
    shown = answered.presented(recording, metadata=metadata)
    counts = _count(shown["status"]) if len(shown) else {}
    shown = shown[shown["status"] == "ok"] if len(shown) else shown
    if shown.empty:
        raise RecordingError(
            f"{recording.source} has no {answered.stimulus_type} trial with a pattern that is known"
            f"{_among(counts)}; give its metadata with --metadata"
        )
    chosen = _choose(neurons, len(recording.neurons))
    values, withheld = _read_responses(recording, np.unique(shown["trial"]), chosen)
    if not values:
        raise RecordingError(
            f"the responses to all {len(withheld)} {answered.stimulus_type} trials of "
            f"{recording.source} are zero, as of trials whose responses were withheld; give a "
            "recording with these responses"
        )
    first, stop = protocol.window(recording.screen)
    length = shown["trial"].map({trial: response.shape[1] for trial, response in values.items()})
    within = (length - shown["onset_frame"]).clip(upper=stop) - first
    is_recorded = within >= answered.minimum_window * (stop - first)
    kept = shown[is_recorded]
    if kept.empty:
        raise RecordingError(
            f"no pattern of the {answered.stimulus_type} trials of {recording.source} lasts for "
            f"the {stop - first} frames that are analyzed, {first} to {stop} after its onset; "
            "shorten the latency or the window of the protocol"
        )
    trials = np.unique(kept["trial"])
    conditions = kept.rename(columns={"trial": "recorded_trial"}).reset_index(drop=True)
    conditions.insert(0, "trial", np.searchsorted(trials, conditions["recorded_trial"]))
    frame_count = int((conditions["onset_frame"] + stop).max())
    stacked = np.stack([_to_length(values[trial], frame_count) for trial in trials.tolist()])
    table = recording.neurons.iloc[chosen].reset_index(drop=True)
    table.insert(0, "mouse", recording.mouse)
    return Responses(
        stacked,
        table,
        conditions,
        axes=("trial", "neuron", "frame"),
        frame_rate_hz=recording.screen.frame_rate_hz,
        units="recorded",
        behavior={"state": "as recorded"},
        source={
            "type": "recording",
            "path": str(recording.source),
            "stimulus_type": answered.stimulus_type,
            "conditions_from": sorted(conditions["conditions_from"].unique()),
            "trials": len(trials),
            "movies": int(conditions["movie"].nunique()),
            "presentations": len(conditions),
            "not_recognized": {key: count for key, count in counts.items() if key != "ok"},
            "beyond_the_trial": int((~is_recorded & length.notna()).sum()),
            "withheld_trials": len(withheld),
            "conditions_sha256": _hash_table(conditions),
            "responses_sha256": hashlib.sha256(stacked.tobytes()).hexdigest(),
        },
        has_trial_noise=True,
    )


def describe_recording(
    recording: Recording, neurons: np.ndarray[Any, np.dtype[np.int64]], metadata: Path | None
) -> dict[str, Any]:
    """Return what tells one recording from another, and which neurons are looked at."""
    return {
        "recording": recording.source.name,
        "layout": recording.layout,
        "mouse": recording.mouse,
        "neuron_count": len(neurons),
        "neurons_sha256": hashlib.sha256(neurons.tobytes()).hexdigest(),
        "recorded_neurons_sha256": _hash_table(recording.neurons),
        "trials_sha256": _hash_table(known_trials(recording, metadata)),
        "metadata": None if metadata is None else str(metadata),
        "screen": recording.screen.to_dict(),
    }


def answerable(trials: pd.DataFrame) -> list[str]:
    """Return the experiments that some trials answer, by the types of their stimuli."""
    types = set(trials.loc[trials["tier"] != "none", "stimulus_type"])
    return [name for name, stimulus in ANSWERED.items() if stimulus.stimulus_type in types]


def unanswered(recording: Recording, metadata: Path | None = None) -> dict[str, str]:
    """Return the experiments that a recording does not answer, and why, by name.

    Parameters
    ----------
    recording : Recording
        Of one mouse.
    metadata : Path, optional
        Folder of the published metadata, where conditions are to be taken from it.

    Returns
    -------
    dict of str to str
        Without experiments that only look at the results of those it answers.
    """
    trials = known_trials(recording, metadata)
    able = answerable(trials)
    counts = _count(trials.loc[trials["tier"] != "none", "stimulus_type"])
    there = ", ".join(f"{name} ({count})" for name, count in counts.items()) or "nothing"
    return {
        name: f"the trials show {there}, and none of its stimuli"
        for name in EXPERIMENTS
        if name not in able
        and not (_builds_on(name, able, recording) and _shows_nothing(name, recording))
    }


def _require_answer(experiment: str, recording: Recording, metadata: Path | None) -> None:
    """Refuse an experiment whose stimuli the recording does not have, and foreign metadata."""
    require_metadata(recording, metadata)
    trials = known_trials(recording, metadata)
    if experiment in answerable(trials):
        return
    if experiment not in ANSWERED and _builds_on(experiment, list(ANSWERED), recording):
        return
    counts = _count(trials.loc[trials["tier"] != "none", "stimulus_type"])
    there = ", ".join(f"{name} ({count})" for name, count in counts.items())
    able = answerable(trials)
    raise RecordingError(
        f"{recording.source} cannot answer {experiment}: its trials show {there or 'nothing'}, "
        + (f"which answer {' and '.join(able)}" if able else "which answer no experiment")
        + "; give --model to ask a model instead"
    )


def _builds_on(experiment: str, others: Sequence[str], recording: Recording) -> bool:
    """Whether an experiment only needs the results of some others."""
    question = find_experiment(experiment)
    needed = question.requires(read_recorded_protocol(question), recording.kind)
    return bool(needed) and set(needed) <= set(others)


def _shows_nothing(experiment: str, recording: Recording) -> bool:
    """Whether an experiment has no stimuli of its own."""
    question = find_experiment(experiment)
    if recording.kind not in question.kinds:
        return False
    values = read_recorded_protocol(question)
    return len(question.stimuli(values, recording.screen, recording.kind)) == 0


def read_recorded_protocol(
    question: Experiment[Any],
    protocol: str | Path | Protocol | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Any:
    """Return a protocol, by default the experiment's own for recordings.

    Parameters
    ----------
    question : Experiment
        Whose.
    protocol, overrides
        As for :func:`analyze_recording`.

    Raises
    ------
    ProtocolError, CatalogError
        As :func:`insilico.experiments.read_protocol`.
    """
    if isinstance(protocol, Protocol):
        return change_protocol(
            question.protocol_type, protocol, overrides=overrides, experiment=question.name
        )
    if protocol is None:
        try:
            catalog.find("experiments", question.name + RECORDED)
            protocol = question.name + RECORDED
        except CatalogError:
            protocol = None
    return read_protocol(
        question.protocol_type, protocol, overrides=overrides, experiment=question.name
    )


def _earlier(
    question: Experiment[Any],
    recording: Recording,
    values: Any,
    given: Given,
    folder: RunFolder | None,
) -> dict[str, Result]:
    """Return the earlier results that an experiment without trials of its own looks at."""
    found: dict[str, Result] = {}
    if question.name in ANSWERED:
        return found
    for name in question.requires(values, recording.kind):
        earlier = given.get(name) or (None if folder is None else folder.result(name))
        if earlier is None:
            raise ProtocolError(
                f"{question.name} builds on {name}, which has not been run on this recording; run "
                f"it first: insilico run {name} {question.name}, with the same options"
            )
        found[name] = earlier
    return found


def _from_earlier(
    question: Experiment[Any],
    recording: Recording,
    values: Any,
    chosen: np.ndarray[Any, np.dtype[np.int64]],
    earlier: Mapping[str, Result],
    jobs: int,
) -> Result:
    """Answer an experiment that only looks at earlier results."""
    table = recording.neurons.iloc[chosen].reset_index(drop=True)
    table.insert(0, "mouse", recording.mouse)
    setting = Setting(
        values, recording.kind, recording.screen, table, earlier, has_trial_noise=True, jobs=jobs
    )
    if question.sites(setting):
        raise RecordingError(
            f"{recording.source} cannot answer {question.name}, which shows stimuli of its own; "
            "give --model to ask a model instead"
        )
    tables, arrays = question.conclude(question.accumulator(setting), setting)
    source = {"type": "recording", "path": str(recording.source)}
    digests = {name: result.digest for name, result in earlier.items()}
    provenance = {"source": source, "units": "recorded", "given": digests}
    return Result(question.name, tables, arrays, values.to_dict(), provenance)


def _read_responses(
    recording: Recording, trials: Any, neurons: np.ndarray[Any, np.dtype[np.int64]]
) -> tuple[dict[int, np.ndarray[Any, Any]], list[int]]:
    """Read the responses of trials; those of withheld trials are zero throughout."""
    values, withheld = {}, []
    for trial in map(int, trials):
        responses = recording.read(trial).responses
        if responses.any():
            values[trial] = responses[neurons]
        else:
            withheld.append(trial)
    return values, withheld


def _choose(neurons: NeuronSelection, neuron_count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    if neurons is None:
        return np.arange(neuron_count)
    # The twin's package needs torch, which takes seconds to import.
    from insilico.twin.selection import choose_neurons

    return choose_neurons(neurons, neuron_count)


def _to_length(responses: np.ndarray[Any, Any], frame_count: int) -> np.ndarray[Any, Any]:
    """Cut off frames that nobody needs, or add NaN where nothing was recorded."""
    missing = max(0, frame_count - responses.shape[1])
    padding = [(0, 0), (0, missing)]
    return np.pad(responses[:, :frame_count], padding, constant_values=np.nan)


def _count(values: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().items()}


def _among(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f" (of its patterns: {told})" if told else ""


def _hash_table(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
