"""Run an experiment on a twin, and continue it where it was stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import insilico
from insilico.errors import ProtocolError, StimulusError
from insilico.experiments.experiment import (
    Accumulator,
    Experiment,
    Given,
    Setting,
    find_experiment,
    make_block,
)
from insilico.experiments.protocols import Protocol, read_protocol
from insilico.experiments.run_folder import Parts, RunFolder
from insilico.progress import progress_bar
from insilico.results import Result
from insilico.stimuli.stimuli import Stimuli
from insilico.twin import PreparedTwin, Twin
from insilico.twin.selection import NeuronSelection

logger = logging.getLogger(__name__)

#: A long measurement writes down how far it is about this often.
SAVE_EVERY_S = 60.0


def run(
    experiment: str,
    twin: Twin,
    *,
    protocol: str | Path | Protocol | None = None,
    overrides: Mapping[str, Any] | None = None,
    mouse: str | None = None,
    neurons: NeuronSelection = None,
    behavior: Any = None,
    given: Given | None = None,
    out: str | Path | None = None,
    jobs: int | None = None,
    progress: bool = False,
    command: str = "",
) -> Result:
    """Run one experiment on a twin.

    Parameters
    ----------
    experiment : str
        "retinotopy" or "direction".
    twin : Twin
        Who is asked.
    protocol : str, Path or Protocol, optional
        A TOML file or the name of a shipped protocol; the experiment's default when left out.
    overrides : mapping, optional
        Values that replace those of the protocol.
    mouse, neurons, behavior
        As for :meth:`insilico.Twin.respond`.
    given : mapping of str to Result, optional
        Earlier results that the experiment builds on.
    out : path, optional
        A run folder: the result is saved in it, and an interrupted measurement is continued.
    jobs : int, optional
        Processes for fits; all processors when left out.
    progress : bool
        Show progress on stderr.
    command : str
        Recorded in the provenance.

    Returns
    -------
    Result

    Raises
    ------
    ProtocolError, CatalogError, MouseError, NeuronError, UnitsError
        If an argument does not fit.
    RunFolderError
        If ``out`` holds another run, or cannot be written.

    Examples
    --------
    >>> import insilico
    >>> twin = insilico.SimulatedV1("image", simple_count=4, energy_count=0)
    >>> result = insilico.run("direction", twin, jobs=1)
    >>> list(result.neurons["status"])
    ['ok', 'ok', 'ok', 'ok']
    """
    question = find_experiment(experiment)
    _check_request(question, twin, jobs)
    values = _protocol(question, protocol, overrides)
    screen = twin.screen(mouse)
    prepared = twin.prepare(
        mouse,
        neurons=neurons,
        behavior=behavior,
        is_gray=True,
        window=question.window(values, screen, twin.kind),
    )
    identity = describe(twin, prepared)
    stimuli = question.stimuli(values, screen, twin.kind, given)
    # Whatever cannot be drawn is refused before anything is written.
    stimuli.render(range(1))
    folder = None if out is None else RunFolder.open(out, identity, command=command)
    if folder is not None and (finished := folder.finished(experiment, values.to_dict())):
        logger.info("%s is finished already: %s", experiment, folder.path / experiment)
        return finished
    parts = Parts(None) if folder is None else folder.parts(experiment, values.to_dict())
    setting = Setting(
        values,
        twin.kind,
        screen,
        prepared.neurons_table(),
        given=given or {},
        jobs=jobs or os.cpu_count() or 1,
        keep=parts.keep,
    )
    started = time.monotonic()
    accumulator = question.accumulator(setting)
    measured = _measure(stimuli, prepared, accumulator, parts, label=experiment, shown=progress)
    tables, arrays = _conclude(question, accumulator, setting, measured, parts, shown=progress)
    provenance = {
        **identity,
        **_record(prepared, measured, setting),
        "command": command,
        "seconds": round(time.monotonic() - started, 2),
    }
    result = Result(experiment, tables, arrays, values.to_dict(), provenance)
    if folder is not None:
        folder.finish(result)
    return result


def describe(twin: Twin, prepared: PreparedTwin) -> dict[str, Any]:
    """Return what decides the answers beside the protocol: weights, neurons, state, units."""
    statistics = prepared.mouse.statistics
    state = [prepared.behavior, prepared.pupil_center]
    return {
        "model": twin.name,
        "weights": {**twin.provenance, "state_sha256": twin.state_sha256},
        "mouse": prepared.mouse.name,
        "neuron_count": len(prepared.neurons),
        "neurons_sha256": hashlib.sha256(prepared.neurons.tobytes()).hexdigest(),
        "behavior": [None if values is None else np.asarray(values).tolist() for values in state],
        "input_units": prepared.stimulus_units.name,
        "output_units": prepared.response_units.name,
        "response_std_sha256": None
        if prepared.response_units.std is None
        else hashlib.sha256(prepared.response_units.std.tobytes()).hexdigest(),
        "stimulus_statistics": {
            "mean": float(prepared.stimulus_units.mean),
            "std": float(prepared.stimulus_units.std),
            "source": statistics.sources.get("stimulus", "given"),
        },
        "precision": prepared.precision,
        "screen": prepared.mouse.screen.to_dict(),
    }


@dataclasses.dataclass(frozen=True)
class _Measured:
    trial_count: int
    stimulus_id: str
    is_finished: bool


def _check_request(question: Experiment[Any], twin: Twin, jobs: int | None) -> None:
    if twin.kind not in question.kinds:
        raise StimulusError(
            f"{question.name} needs {' or '.join(question.kinds)}s, and {twin.name} is a model of "
            f"{twin.kind}s; choose another model or experiment"
        )
    if jobs is not None and jobs < 1:
        raise ProtocolError(f"jobs is {jobs}; give 1 or more processes")


def _record(prepared: PreparedTwin, measured: _Measured, setting: Setting[Any]) -> dict[str, Any]:
    """Return how a measurement was made, as far as it does not decide the answers."""
    return {
        "package": f"insilico {insilico.__version__}",
        "device": str(prepared.device),
        "plan": prepared.plan,
        "seed": setting.protocol.seed,
        "stimulus_id": measured.stimulus_id,
        "trials": measured.trial_count,
        "given": sorted(setting.given),
    }


def _protocol(
    question: Experiment[Any],
    protocol: str | Path | Protocol | None,
    overrides: Mapping[str, Any] | None,
) -> Any:
    if isinstance(protocol, Protocol):
        if not isinstance(protocol, question.protocol_type):
            raise ProtocolError(
                f"a protocol of {protocol.experiment} was given to {question.name}; give one of "
                f"{question.name}"
            )
        return dataclasses.replace(protocol, **(overrides or {}))
    return read_protocol(
        question.protocol_type, protocol, overrides=overrides, experiment=question.name
    )


def _measure(
    stimuli: Stimuli,
    prepared: PreparedTwin,
    accumulator: Accumulator,
    parts: Parts,
    *,
    label: str,
    shown: bool,
) -> _Measured:
    """Show the stimuli block by block, from where an earlier run stopped."""
    saved = parts.load_state()
    done, is_finished, is_adding = 0, False, False
    if saved is not None:
        state, done, is_finished = saved
        accumulator.restore(state)
    digest = hashlib.sha256()
    resumed_at = done
    last_save = time.monotonic()
    with progress_bar(label, len(stimuli), shown=shown) as advance:
        advance(done)
        try:
            for trials in stimuli.blocks():
                if is_finished or trials.start < done:
                    continue
                frames = stimuli.render(trials)
                responses = prepared.respond(frames, first_trial=trials.start, on_batch=advance)
                first_frame = prepared.first_frame(stimuli.trial_frames)
                block = make_block(
                    stimuli.conditions,
                    trials,
                    responses,
                    first_frame=first_frame,
                    frames=lambda frames=frames: frames,  # type: ignore[misc]
                )
                with _finishing_first():
                    is_adding = True
                    accumulator.add(block)
                    digest.update(np.ascontiguousarray(frames).tobytes())
                    done, is_adding = trials.stop, False
                is_finished = done == len(stimuli) or accumulator.is_enough()
                if time.monotonic() - last_save > SAVE_EVERY_S:
                    parts.save_state(accumulator.state(), done, is_finished)
                    last_save = time.monotonic()
        except KeyboardInterrupt:
            # A block that was half added is worth nothing: the last saved state stands.
            if not is_adding:
                parts.save_state(accumulator.state(), done, is_finished)
            raise
    stimulus_id = digest.hexdigest() if resumed_at == 0 else stimuli.identify(done)
    return _Measured(done, stimulus_id, is_finished)


def _conclude(
    question: Experiment[Any],
    accumulator: Accumulator,
    setting: Setting[Any],
    measured: _Measured,
    parts: Parts,
    *,
    shown: bool,
) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
    """Turn what was accumulated into tables and arrays; a stop here loses no measurement."""
    label = f"{question.name}: analysis"
    with progress_bar(label, len(setting.neurons), shown=shown) as advance:
        try:
            return question.conclude(accumulator, dataclasses.replace(setting, on_done=advance))
        except KeyboardInterrupt:
            parts.save_state(accumulator.state(), measured.trial_count, measured.is_finished)
            raise


@contextlib.contextmanager
def _finishing_first() -> Iterator[None]:
    """Hold back Ctrl-C until the block is done, so that no trial is counted half or twice."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt
