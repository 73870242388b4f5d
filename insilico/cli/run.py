"""``insilico run``: experiments on a twin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts

if TYPE_CHECKING:
    from insilico.errors import InsilicoError
    from insilico.experiments.battery import Battery
    from insilico.experiments.experiment import Experiment
    from insilico.results import Result
    from insilico.stimuli.stimuli import Kind


def run(
    experiments: list[str],
    *,
    out: Path,
    model: str | None = None,
    recording: Path | None = None,
    metadata: Path | None = None,
    mouse: str | None = None,
    neurons: str | None = None,
    protocol: list[Path | str] | None = None,
    set_: Annotated[list[str] | None, cyclopts.Parameter(name="--set")] = None,
    behavior: Literal["mean", "quiet", "running"] = "mean",
    device: str = "auto",
    plan: Literal["auto", "plain"] = "auto",
    jobs: int | None = None,
) -> None:
    """Run experiments on a twin or on a recording, and save tables, arrays and figures.

    The same command continues an interrupted run. 'all' runs every experiment that can be answered,
    each after those it builds on; gallery.html in the run folder shows what there is.

    Parameters
    ----------
    experiments : list of str
        all, or one or more of: retinotopy, direction, dots, size, frequency, surround, contrast,
        onset, similarity.
    out : Path
        The run folder: a new one, or one to continue.
    model : str, optional
        A name of the zoo or a checkpoint folder: the experiment asks this model.
    recording : Path, optional
        A recording, or a folder of recordings: the experiment analyzes what was measured. Give
        either a model or a recording.
    metadata : Path, optional
        Published metadata of the recording, where they tell what its trials showed.
    mouse : str, optional
        May be left out where there is one.
    neurons : str, optional
        Such as 0:100 or 3,5,8; all when left out.
    protocol : list, optional
        A TOML file or the name of a shipped protocol, one for each experiment that should not use
        its default.
    set_ : list of str, optional
        key=value, replaces a value of the protocols that have the key, such as image_count=5000;
        experiment.key=value of that one alone, such as size.movie_phase_count=4.
    behavior : str
        State in which the animal is asked, for models that read behavior; a recording was made in
        the animal's own.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    plan : str
        auto computes what reaches the answers; plain computes everything, for comparison.
    jobs : int, optional
        Processes for fits; all processors when left out.
    """
    from insilico.cli.gallery import write_gallery
    from insilico.experiments.battery import ALL

    questions = _questions(experiments)
    sources = _protocols_by_experiment(questions, protocol or [])
    overrides = _overrides_by_experiment(questions, set_ or [])
    options: dict[str, Any] = {
        "out": out,
        "protocols": sources,
        "overrides": overrides,
        "neurons": neurons,
        "jobs": jobs,
        "is_all": ALL in experiments,
    }
    if model is None or recording is not None or metadata is not None:
        from insilico.cli.run_recorded import run_recorded, the_recording

        shown = the_recording(recording, model=model, mouse=mouse)
        skipped = run_recorded(questions, shown, metadata=metadata, **options)
    else:
        twin: dict[str, Any] = {
            "mouse": mouse,
            "behavior": behavior,
            "device": device,
            "plan": plan,
        }
        skipped = _run_twin(questions, model, **twin, **options)
    if {question.name for question in questions} <= set(skipped):
        raise _nothing_answered(len(questions), model or str(recording), model is not None)
    print(f"all figures on one page: {write_gallery(out, skipped)}")


def _run_twin(
    questions: Sequence[Experiment[Any]],
    model: str,
    *,
    mouse: str | None,
    behavior: str,
    device: str,
    plan: Literal["auto", "plain"],
    out: Path,
    protocols: Mapping[str, Path | str],
    overrides: Mapping[str, Mapping[str, Any]],
    neurons: str | None,
    jobs: int | None,
    is_all: bool,
) -> dict[str, str]:
    """Ask a twin experiment by experiment; return why some were skipped, by name."""
    import insilico
    from insilico.errors import ProtocolError, StimulusError
    from insilico.experiments.battery import plan_battery
    from insilico.experiments.protocols import read_protocol

    # With 'all' a refusal only skips its experiment; this one would skip them all.
    if jobs is not None and jobs < 1:
        raise ProtocolError(f"jobs is {jobs}; give 1 or more processes")
    twin = insilico.load(model, device=device)
    tell_assumptions(twin, mouse)
    tell_quality(twin)
    # All are read before the first is run: a mistake in the last one should not cost hours.
    ready = {
        question.name: read_protocol(
            question.protocol_type,
            protocols.get(question.name),
            overrides=overrides[question.name],
            experiment=question.name,
        )
        for question in questions
    }
    battery = plan_battery(questions, ready, twin.kind)
    if not is_all and battery.skipped:
        name, why = next(iter(battery.skipped.items()))
        raise StimulusError(
            f"{twin.name} cannot answer {name}: {why}; choose another model or experiment"
        )

    def ask(question: Experiment[Any], given: Mapping[str, Any]) -> Result:
        return insilico.run(
            question.name,
            twin,
            protocol=ready[question.name],
            mouse=mouse,
            neurons=neurons,
            behavior=behavior,
            plan=plan,
            given=given,
            out=out,
            jobs=jobs,
            progress=True,
            command=" ".join(sys.argv),
        )

    return answer_battery(battery, ask, ready=ready, kind=twin.kind, out=out, is_all=is_all)


def answer_battery(
    battery: Battery,
    ask: Callable[[Experiment[Any], Mapping[str, Any]], Result],
    *,
    ready: Mapping[str, Any],
    kind: Kind,
    out: Path,
    is_all: bool,
) -> dict[str, str]:
    """Ask experiment by experiment, save each, and return why some were skipped, by name."""
    from insilico.cli.saving import save_and_tell

    skipped = tell_skipped(battery.skipped)
    given: dict[str, Any] = {}
    for question in battery.experiments:
        if why := lost(question.requires(ready[question.name], kind), skipped):
            skipped |= tell_skipped({question.name: why})
            continue
        try:
            result = ask(question, given)
        except skippable() as error:
            if not is_all:
                raise
            skipped |= tell_skipped({question.name: str(error)})
            continue
        given[question.name] = result
        save_and_tell(result, out)
    return skipped


def skippable() -> tuple[type[InsilicoError], ...]:
    """Return the errors that are about one experiment: 'all' goes on after them."""
    from insilico import errors

    return (
        errors.NotFittedError,
        errors.ProtocolError,
        errors.RecordingError,
        errors.ShapeError,
        errors.StimulusError,
        errors.UnitsError,
    )


def lost(needed: Iterable[str], skipped: Iterable[str]) -> str:
    """Return why an experiment cannot be run after some others were skipped, or nothing."""
    names = sorted(set(needed) & set(skipped))
    return f"it builds on {' and '.join(names)}" if names else ""


def _nothing_answered(count: int, who: str, is_model: bool) -> InsilicoError:
    from insilico.errors import RecordingError, StimulusError

    kind, other = (StimulusError, "model") if is_model else (RecordingError, "recording")
    return kind(
        f"{who} answers none of the {count} experiments asked for, for the reasons above; give "
        f"another {other} or change the protocols"
    )


def tell_skipped(skipped: Mapping[str, str]) -> dict[str, str]:
    """Say on stderr what is not run, one line each, and return it by name."""
    for name, why in skipped.items():
        print(f"skipped {name}: {why}", file=sys.stderr)
    return dict(skipped)


def _questions(names: Sequence[str]) -> list[Experiment[Any]]:
    """Return the experiments of some names, each once; "all" stands for every one."""
    from insilico.experiments import EXPERIMENTS, find_experiment
    from insilico.experiments.battery import ALL

    asked = [find_experiment(name) for name in dict.fromkeys(names) if name != ALL]
    return [find_experiment(name) for name in EXPERIMENTS] if ALL in names else asked


def _protocols_by_experiment(
    questions: Sequence[Experiment[Any]], sources: Sequence[Path | str]
) -> dict[str, Path | str]:
    """Give each protocol to the experiment it names."""
    from insilico.errors import ProtocolError
    from insilico.experiments.protocols import experiment_of

    chosen: dict[str, Path | str] = {}
    for source in sources:
        name = experiment_of(source)
        if name not in [question.name for question in questions]:
            raise ProtocolError(
                f"the protocol {source} is for {name}, which is not run; add it to the experiments "
                "or leave the protocol out"
            )
        chosen[name] = source
    return chosen


def _overrides_by_experiment(
    questions: Sequence[Experiment[Any]], assignments: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Give each value to every experiment whose protocol has the key, or to the one it names."""
    import dataclasses

    from insilico.experiments.protocols import parse_overrides

    fields = {
        question.name: {field.name for field in dataclasses.fields(question.protocol_type)}
        for question in questions
    }
    values: dict[str, dict[str, Any]] = {name: {} for name in fields}
    # Those that name their experiment come last, and so win.
    for key, value in sorted(parse_overrides(assignments).items(), key=lambda item: "." in item[0]):
        for name in _experiments_with(key, fields):
            values[name][key.rpartition(".")[2]] = value
    return values


def _experiments_with(key: str, fields: Mapping[str, set[str]]) -> list[str]:
    """Return the experiments that a key, or experiment.key, is meant for."""
    from insilico.configuration import SIMILAR_KEYS, nearest
    from insilico.errors import ProtocolError
    from insilico.experiments.protocols import file_of

    experiment, dot, field = key.rpartition(".")
    if dot and experiment not in fields:
        raise ProtocolError(
            f"--set {key}: {experiment!r} is not run; {nearest(experiment, list(fields))}"
            f"what is run is {', '.join(fields)}"
        )
    among = {experiment: fields[experiment]} if dot else fields
    if not (found := [name for name, names in among.items() if field in names]):
        known = sorted(set.union(*among.values()))
        whose = (
            f"the protocol of {experiment} has no such key" if dot else "no protocol has that key"
        )
        where = file_of(next(iter(among)) if len(among) == 1 else None)
        raise ProtocolError(
            f"--set {key}: {whose}; {nearest(field, known, most=SIMILAR_KEYS)}{where} lists them"
        )
    return found


def tell_assumptions(twin: Any, mouse: str | None) -> None:
    """Say on stderr what is assumed of a mouse's statistics and screen."""
    statistics = twin.mouse(mouse).statistics
    for what, source in statistics.sources.items():
        if source.startswith("assumed"):
            print(f"{what}: {source}", file=sys.stderr)


def tell_quality(twin: Any, *, has_errors: bool = True) -> None:
    """Say how well a twin predicts: no error bar of an experiment on it includes that."""
    correlation = twin.provenance.get("validation_correlation")
    if correlation is None:
        return
    of_errors = "; errors below are of the measurement on the twin, and not of the twin"
    print(
        f"{twin.name}: validation correlation {correlation:.3f}{of_errors if has_errors else ''}",
        file=sys.stderr,
    )
