"""``insilico run``: experiments on a twin."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts

if TYPE_CHECKING:
    from insilico.experiments.experiment import Experiment


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
    jobs: int | None = None,
) -> None:
    """Run experiments on a twin or on a recording, and save tables, arrays and figures.

    The same command continues an interrupted run. Experiments: retinotopy, direction.

    Parameters
    ----------
    experiments : list of str
        One or more of: retinotopy, direction.
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
        key=value, replaces a value of the protocol, such as image_count=5000.
    behavior : str
        State in which the animal is asked, for models that read behavior; a recording was made in
        the animal's own.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    jobs : int, optional
        Processes for fits; all processors when left out.
    """
    import insilico
    from insilico.cli.saving import save_figures, summary
    from insilico.experiments import find_experiment
    from insilico.experiments.experiment import result_folder

    questions = [find_experiment(name) for name in experiments]
    sources = _protocols_by_experiment(questions, protocol or [])
    overrides = _overrides_by_experiment(questions, set_ or [])
    if model is None or recording is not None or metadata is not None:
        from insilico.cli.run_recorded import run_recorded, the_recording

        run_recorded(
            questions,
            the_recording(recording, model=model, mouse=mouse),
            metadata=metadata,
            out=out,
            protocols=sources,
            overrides=overrides,
            neurons=neurons,
            jobs=jobs,
        )
        return
    twin = insilico.load(model, device=device)
    _tell_assumptions(twin, mouse)
    _tell_quality(twin)
    given: dict[str, Any] = {}
    for question in questions:
        result = insilico.run(
            question.name,
            twin,
            protocol=sources.get(question.name),
            overrides=overrides[question.name],
            mouse=mouse,
            neurons=neurons,
            behavior=behavior,
            given=given,
            out=out,
            jobs=jobs,
            progress=True,
            command=" ".join(sys.argv),
        )
        given[question.name] = result
        folder = result_folder(out, question.name)
        save_figures(result, folder / "figures")
        print(summary(result))
        print(f"tables, arrays and figures: {folder}\n")


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
    """Give each value to every experiment whose protocol has the key."""
    import dataclasses

    from insilico.errors import ProtocolError
    from insilico.experiments.protocols import parse_overrides

    fields = {
        question.name: {field.name for field in dataclasses.fields(question.protocol_type)}
        for question in questions
    }
    values = parse_overrides(assignments)
    for key in values:
        if not any(key in names for names in fields.values()):
            known = sorted(set.union(*fields.values()))
            raise ProtocolError(
                f"--set {key}: no protocol has that key; the keys are {', '.join(known)}"
            )
    return {
        name: {key: value for key, value in values.items() if key in names}
        for name, names in fields.items()
    }


def _tell_assumptions(twin: Any, mouse: str | None) -> None:
    statistics = twin.mouse(mouse).statistics
    for what, source in statistics.sources.items():
        if source.startswith("assumed"):
            print(f"{what}: {source}", file=sys.stderr)


def _tell_quality(twin: Any) -> None:
    """Say how well a twin predicts: no error bar of an experiment on it includes that."""
    correlation = twin.provenance.get("validation_correlation")
    if correlation is not None:
        print(
            f"{twin.name}: validation correlation {correlation:.3f}; errors below are of the "
            "measurement on the twin, and not of the twin",
            file=sys.stderr,
        )
