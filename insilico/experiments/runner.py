"""Run an experiment on a twin, and continue it where it was stopped."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from insilico.experiments.protocols import Protocol, change_protocol, read_protocol
from insilico.experiments.run_folder import Parts, RunFolder
from insilico.experiments.sites import Site
from insilico.interrupts import finishing_first
from insilico.progress import progress_bar
from insilico.results import Result
from insilico.stimuli.stimuli import Stimuli
from insilico.twin import PreparedTwin, Twin
from insilico.twin.plan import Plan
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
    plan: Plan = "auto",
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
        One of :data:`insilico.experiments.EXPERIMENTS`.
    twin : Twin
        Who is asked.
    protocol : str, Path or Protocol, optional
        A TOML file or the name of a shipped protocol; the experiment's default when left out.
    overrides : mapping, optional
        Values that replace those of the protocol.
    mouse, neurons, behavior
        As for :meth:`insilico.Twin.respond`.
    plan : {"auto", "plain"}
        As for :meth:`insilico.Twin.prepare`.
    given : mapping of str to Result, optional
        Earlier results that the experiment builds on; those that ``out`` holds are found there.
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
    prepare = functools.partial(
        twin.prepare,
        mouse,
        behavior=behavior,
        plan=plan,
        is_gray=True,
        window=question.window(values, screen, twin.kind),
    )
    prepared = prepare(neurons=neurons)
    identity = describe(twin, prepared)
    # Whatever cannot be drawn is refused before anything is written.
    if len(sample := question.stimuli(values, screen, twin.kind)):
        sample.render(range(1))
    folder = None if out is None else RunFolder.open(out, identity, command=command)
    earlier = _earlier(question, values, twin, given or {}, folder)
    digests = {name: result.digest for name, result in earlier.items()}
    if folder is not None and (finished := folder.finished(experiment, values.to_dict(), digests)):
        logger.info("%s is finished already: %s", experiment, folder.path / experiment)
        return finished
    setting = Setting(
        values,
        twin.kind,
        screen,
        prepared.neurons_table(),
        given=earlier,
        jobs=jobs or os.cpu_count() or 1,
    )
    sites = question.sites(setting)
    shows = [question.stimuli(values, screen, twin.kind, site) for site in sites]
    parts = Parts(None) if folder is None else folder.parts(experiment, values.to_dict(), digests)
    setting = dataclasses.replace(setting, keep=parts.keep)
    started = time.monotonic()
    accumulator = question.accumulator(setting)
    measured = _measure(
        [
            _Show(site, stimuli, functools.partial(prepare, neurons=prepared.neurons[site.rows]))
            for site, stimuli in zip(sites, shows, strict=True)
        ],
        accumulator,
        parts,
        ask=functools.partial(question.ask, values),
        label=experiment,
        shown=progress,
    )
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
class _Show:
    """What is shown at a site, and how to get those who see it ready."""

    site: Site
    stimuli: Stimuli
    prepare: Callable[[], PreparedTwin]


@dataclasses.dataclass(frozen=True)
class _Measured:
    trial_count: int
    stimulus_id: str
    is_finished: bool
    plan: dict[str, Any]


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
        "plan": measured.plan or {"name": prepared.plan},
        "seed": setting.protocol.seed,
        "stimulus_id": measured.stimulus_id,
        "trials": measured.trial_count,
        "given": {name: result.digest for name, result in setting.given.items()},
    }


def _protocol(
    question: Experiment[Any],
    protocol: str | Path | Protocol | None,
    overrides: Mapping[str, Any] | None,
) -> Any:
    if isinstance(protocol, Protocol):
        return change_protocol(
            question.protocol_type, protocol, overrides=overrides, experiment=question.name
        )
    return read_protocol(
        question.protocol_type, protocol, overrides=overrides, experiment=question.name
    )


def _earlier(
    question: Experiment[Any], protocol: Any, twin: Twin, given: Given, folder: RunFolder | None
) -> dict[str, Result]:
    """Return the earlier results that an experiment builds on: given ones, or the run folder's."""
    wanted = question.requires(protocol, twin.kind)
    found = {
        name: given.get(name) or (None if folder is None else folder.result(name))
        for name in wanted
    }
    if missing := [name for name in wanted if found[name] is None]:
        raise ProtocolError(
            f"{question.name} builds on {' and '.join(missing)}, which "
            f"{'has' if len(missing) == 1 else 'have'} not been run on these neurons; run first: "
            f"insilico run {' '.join(missing)}, with the same model, neurons and --out"
        )
    return {name: result for name, result in found.items() if result is not None}


def _measure(
    shows: Sequence[_Show],
    accumulator: Accumulator,
    parts: Parts,
    *,
    ask: Callable[..., np.ndarray[Any, Any]],
    label: str,
    shown: bool,
) -> _Measured:
    """Show the stimuli site by site and block by block, from where an earlier run stopped."""
    saved = parts.load_state()
    done, is_finished, is_adding = 0, False, False
    plan: dict[str, Any] = {}
    if saved is not None:
        state, done, is_finished = saved
        accumulator.restore(state)
    digest = hashlib.sha256()
    resumed_at = done
    last_save = time.monotonic()
    total = sum(len(show.stimuli) for show in shows)
    with progress_bar(label, total, shown=shown) as advance:
        advance(done)
        try:
            for before, site, trials, prepared in _blocks(shows, done):
                if is_finished:
                    break
                show = shows[site]
                frames = show.stimuli.render(trials)
                responses = ask(prepared, frames, first_trial=trials.start, on_batch=advance)
                plan = prepared.describe_plan()
                block = make_block(
                    show.stimuli.conditions,
                    trials,
                    responses,
                    first_frame=prepared.first_frame(show.stimuli.trial_frames),
                    frames=lambda frames=frames: frames,  # type: ignore[misc]
                    site=site,
                    rows=show.site.rows,
                )
                with finishing_first():
                    is_adding = True
                    accumulator.add(block)
                    digest.update(np.ascontiguousarray(frames).tobytes())
                    done, is_adding = before + trials.stop, False
                is_finished = done == total or accumulator.is_enough()
                if time.monotonic() - last_save > SAVE_EVERY_S:
                    parts.save_state(accumulator.state(), done, is_finished)
                    last_save = time.monotonic()
        except KeyboardInterrupt:
            # A block that was half added is worth nothing: the last saved state stands.
            if not is_adding:
                parts.save_state(accumulator.state(), done, is_finished)
            raise
    stimulus_id = digest.hexdigest() if resumed_at == 0 else _identify(shows, done)
    return _Measured(done, stimulus_id, is_finished, plan)


def _blocks(shows: Sequence[_Show], done: int) -> Iterator[tuple[int, int, range, PreparedTwin]]:
    """Yield what is still to be shown: trials before the site, its number, trials, and who sees it.

    A twin is made ready once a site, and not for sites that are done.
    """
    before = 0
    for site, show in enumerate(shows):
        rest = [block for block in show.stimuli.blocks() if before + block.start >= done]
        if rest:
            prepared = show.prepare()
            yield from ((before, site, block, prepared) for block in rest)
        before += len(show.stimuli)


def _identify(shows: Sequence[_Show], trial_count: int) -> str:
    """Return the hash of the first trials over all sites; draws them once more."""
    digest = hashlib.sha256()
    for show in shows:
        shown = min(trial_count, len(show.stimuli))
        for frames in show.stimuli.frames(shown):
            digest.update(frames.tobytes())
        trial_count -= shown
    return digest.hexdigest()


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
