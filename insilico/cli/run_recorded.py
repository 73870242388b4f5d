"""``insilico run --recording``: the same experiments, answered by what was recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insilico.experiments.experiment import Experiment
    from insilico.recordings import Recording
    from insilico.results import Result


def the_recording(path: Path | None, *, model: str | None, mouse: str | None) -> Recording:
    """Open the one recording that is meant.

    Raises
    ------
    ProtocolError
        Unless either a model or a recording is given.
    MouseError
        If there are several mice and none is named.
    RecordingError
        As :func:`insilico.recordings.open_recordings`.
    """
    from insilico.errors import MouseError, ProtocolError
    from insilico.recordings import open_recordings

    if path is None and model is not None:
        raise ProtocolError("--metadata describes a recording, and a model was given; leave it out")
    if path is None:
        raise ProtocolError("neither --model nor --recording was given; give one of the two")
    if model is not None:
        raise ProtocolError("both --model and --recording were given; give one of the two")
    recordings = open_recordings(path, mice=None if mouse is None else [mouse])
    if len(recordings) > 1:
        raise MouseError(
            f"{path} has recordings of {len(recordings)} mice and none was named; give --mouse, "
            f"one of {', '.join(recordings)}"
        )
    return next(iter(recordings.values()))


def run_recorded(
    questions: Sequence[Experiment[Any]],
    recording: Recording,
    *,
    metadata: Path | None,
    out: Path,
    protocols: Mapping[str, Path | str],
    overrides: Mapping[str, Mapping[str, Any]],
    neurons: str | None,
    jobs: int | None,
    is_all: bool,
) -> dict[str, str]:
    """Analyze a recording experiment by experiment; return why some were skipped, by name."""
    from insilico.cli.run import answer_battery
    from insilico.errors import ProtocolError
    from insilico.experiments.battery import plan_battery
    from insilico.experiments.recorded import analyze_recording, read_recorded_protocol, unanswered

    if jobs is not None and jobs < 1:
        raise ProtocolError(f"jobs is {jobs}; give 1 or more processes")
    ready = {
        question.name: read_recorded_protocol(
            question, protocols.get(question.name), overrides[question.name]
        )
        for question in questions
    }
    # What is asked for by name is refused with its own sentence.
    lacking = unanswered(recording, metadata) if is_all else {}
    asked = {question.name for question in questions}
    lacking = {name: why for name, why in lacking.items() if name in asked}
    battery = plan_battery(questions, ready, recording.kind, unanswered=lacking)

    def ask(question: Experiment[Any], given: Mapping[str, Any]) -> Result:
        result = analyze_recording(
            question.name,
            recording,
            protocol=ready[question.name],
            neurons=neurons,
            metadata=metadata,
            given=given,
            out=out,
            jobs=jobs or os.cpu_count() or 1,
            command=" ".join(sys.argv),
        )
        _tell_left_out(result.provenance["source"])
        return result

    return answer_battery(battery, ask, ready=ready, kind=recording.kind, out=out, is_all=is_all)


def _tell_left_out(source: Mapping[str, Any]) -> None:
    """Say what of a recording was not used."""
    parts = [f"{count} patterns {name}" for name, count in source.get("not_recognized", {}).items()]
    if count := source.get("beyond_the_trial"):
        parts.append(f"{count} patterns that end after their trial")
    if count := source.get("withheld_trials"):
        parts.append(f"{count} trials without responses")
    if parts:
        print(f"left out: {', '.join(parts)}", file=sys.stderr)
