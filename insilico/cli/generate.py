"""``insilico generate``: most exciting images and movies, with their controls."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts

if TYPE_CHECKING:
    from insilico.recordings import CachedRecording
    from insilico.results import Result
    from insilico.synthesis import Sources
    from insilico.synthesis.protocol import SynthesisProtocol
    from insilico.synthesis.sources import Candidates
    from insilico.synthesis.stimulus_set import StimulusSet
    from insilico.twin import Twin


def generate(
    what: Literal["mei", "mev"],
    *,
    model: str,
    out: Path,
    neurons: str | None = None,
    best: int | None = None,
    population: bool = False,
    against: str | None = None,
    weights: Path | None = None,
    mouse: str | None = None,
    fields: Path | None = None,
    natural: Path | None = None,
    recording: Path | None = None,
    transfer: list[str] | None = None,
    least_repeats: int = 5,
    rule: list[str] | None = None,
    bad_fits: Literal["refuse", "flag", "leave_out"] = "refuse",
    protocol: Path | str | None = None,
    set_: Annotated[list[str] | None, cyclopts.Parameter(name="--set")] = None,
    minutes: float | None = None,
    by: str | None = None,
    device: str = "auto",
) -> None:
    """Make the stimuli that drive neurons most, with matched controls, for the next session.

    Writes RUN/mei or RUN/mev: the bytes (stimuli.npy, lossless movies), a manifest, a table with
    one row a stimulus, previews and figures. The same command continues an interrupted run.

    Parameters
    ----------
    what : str
        mei, a still stimulus, or mev, a moving one.
    model : str
        A name of the zoo or a checkpoint folder.
    out : Path
        The run folder: a new one, or one to continue.
    neurons : str, optional
        Such as 0:10 or 3,5,8; all when left out.
    best : int, optional
        Only so many of them, the most reliable first: by recorded trials with --recording, else by
        their receptive fields.
    population : bool
        One stimulus for all of them together.
    against : str, optional
        Such as 5,6,7: one stimulus that drives the --neurons and not these.
    weights : Path, optional
        A CSV file with the columns neuron and weight: how the neurons of the --population weigh.
    mouse : str, optional
        May be left out where there is one.
    fields : Path, optional
        The run folder of 'insilico run retinotopy' (and size) on the same model, also of more
        neurons. Where discs need receptive fields and none are given, they are measured first.
    natural : Path, optional
        A folder of images (or .npy movies): natural stimuli to search among.
    recording : Path, optional
        The recording the model was trained on: natural stimuli to search among, and trials that
        tell which neurons are reliable and well predicted.
    transfer : list of str, optional
        Other models of the same neurons, which are shown what was made.
    least_repeats : int
        Presentations that a recorded stimulus needs to tell which neurons are reliable.
    rule : list of str, optional
        key=value, a threshold that neurons are chosen by: least_trial_reliability,
        least_prediction_correlation, least_field_reliability or least_coverage. Neurons you named
        are not left out for being unreliable, only flagged in the choice.
    bad_fits : str
        What happens to neurons you named without a usable receptive field, where a disc needs one.
    protocol : Path, optional
        A TOML file or the name of a shipped protocol, such as mev-published.
    set_ : list of str, optional
        key=value, replaces a value of the protocol, such as region=center or rms_level=20.
    minutes : float, optional
        Time for making stimuli; it is spent where it pays most, and the table says how many steps
        each stimulus got. Without it, each gets all its steps.
    by : str, optional
        The same as a time of day, such as 07:00.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    """
    import insilico
    from insilico.cli.run import tell_assumptions, tell_quality
    from insilico.cli.selection import check_together, make_rule, make_selection, tell_idle
    from insilico.experiments.protocols import parse_overrides
    from insilico.synthesis.generate import read_synthesis_protocol
    from insilico.synthesis.making import Clock

    check_together(
        neurons=neurons, against=against, best=best, population=population, weights=weights
    )
    values = read_synthesis_protocol(what, protocol, parse_overrides(set_ or []))
    thresholds = make_rule(rule or [], bad_fits)
    tell_idle(rule or [], best=best, recording=recording, region=values.region)
    seconds = _seconds(minutes, by)
    # A time of day comes however long loading and receptive fields take.
    time_left = None if by is None else Clock(seconds)
    others = _columns(transfer or [])
    twin = insilico.load(model, device=device)
    tell_assumptions(twin, mouse)
    tell_quality(twin)
    name = twin.mouse(mouse).name
    # Mistakes in names come before what takes long: other models, images, recordings.
    selection = make_selection(
        len(twin.mouse(name).neurons),
        thresholds,
        neurons=neurons,
        against=against,
        best=best,
        population=population,
        weights=weights,
    )
    sources = _sources(
        twin,
        name,
        values,
        fields=fields,
        natural=natural,
        recording=recording,
        transfer={column: insilico.load(each, device=device) for column, each in others.items()},
        least_repeats=None if best is None else least_repeats,
    )
    made = insilico.synthesize(
        twin,
        what,
        selection,
        protocol=values,
        mouse=name,
        sources=sources,
        out=out,
        seconds=time_left or seconds,
        progress=True,
        command=" ".join(sys.argv),
    )
    _save_figures(made, out / what / "figures")
    if best is not None:
        print(made.provenance["choice"])
    print(summary(made))
    print(f"stimuli, table, previews and figures: {out / what}")


def summary(made: StimulusSet) -> str:
    """Return what was made: one line a class, and what became of the stimuli."""
    from insilico.cli.tables import format_table

    table = made.table
    rows = []
    keys = ["region", "goal", "stimulus_class"]
    for (region, goal, name), group in table.groupby(keys, sort=False):
        levels = [float(group[column].median()) for column in ("luminance_level", "rms_level")]
        response, blank = (float(group[c].median()) for c in ("response", "blank_response"))
        rows.append((str(region), str(goal), str(name), len(group), response, blank, *levels))
    units = made.provenance.get("output_units", "")
    response_name = f"median response ({units})" if units else "median response"
    header = ["region", "goal", "class", "N", response_name, "to gray", "luminance", "rms"]
    status = table["status"].value_counts()
    counts = ", ".join(f"{name} {count:,}" for name, count in status.items())
    targets = table["target"].nunique()
    steps = table.loc[table["status"].eq("deadline"), "steps"]
    late = f"; time ended after {steps.min():.0f} to {steps.max():.0f} steps" if len(steps) else ""
    return (
        f"{len(made):,} stimuli for {targets:,} {'target' if targets == 1 else 'targets'} "
        f"({counts}{late})\n{format_table(header, rows)}"
    )


def _seconds(minutes: float | None, by: str | None) -> float | None:
    """Return the time there is, in seconds."""
    from insilico.errors import ProtocolError

    if minutes is not None and by is not None:
        raise ProtocolError("both --minutes and --by were given; give one of the two")
    if minutes is not None:
        if minutes <= 0:
            raise ProtocolError(f"--minutes is {minutes:g}; give more than 0")
        return minutes * 60
    if by is None:
        return None
    now = datetime.datetime.now().astimezone()
    try:
        end = datetime.time.fromisoformat(by)
    except ValueError as error:
        raise ProtocolError(f"--by is {by!r}; give a time of day such as 07:00") from error
    then = now.replace(hour=end.hour, minute=end.minute, second=end.second, microsecond=0)
    if then <= now:
        then += datetime.timedelta(days=1)
    return (then - now).total_seconds()


def _sources(
    twin: Twin,
    mouse: str,
    protocol: SynthesisProtocol,
    *,
    fields: Path | None,
    natural: Path | None,
    recording: Path | None,
    transfer: dict[str, Twin],
    least_repeats: int | None,
) -> Sources:
    """Return what synthesis builds on; reliabilities only where presentations are counted."""
    from insilico.synthesis import Sources

    results = {} if fields is None else _results(fields, twin)
    # A folder is looked into before a recording is decoded, which can take long.
    found = None if natural is None else _natural(protocol, twin, mouse, natural, None)
    cached = None if recording is None else _recording(recording, mouse)
    return Sources(
        results=results,
        reliability=None
        if cached is None or least_repeats is None
        else _reliability(twin, cached, mouse, least_repeats),
        natural=_natural(protocol, twin, mouse, None, cached) if natural is None else found,
        transfer=transfer,
    )


def _results(run: Path, twin: Twin) -> dict[str, Result]:
    """Return the receptive fields, and sizes where there are some, of a run on the same twin."""
    from insilico.errors import NotFittedError
    from insilico.results import Result

    found = {
        name: Result.load(run / name) for name in ("retinotopy", "size") if (run / name).is_dir()
    }
    if "retinotopy" not in found:
        raise NotFittedError(
            f"{run} holds no retinotopy; give the folder of 'insilico run retinotopy', or leave "
            "--fields out"
        )
    for name, result in found.items():
        measured = result.provenance.get("weights", {}).get("state_sha256")
        if measured != twin.state_sha256:
            raise NotFittedError(
                f"{run / name} was measured on another model, {result.provenance.get('model')}; "
                f"give a run on {twin.name}, or leave --fields out"
            )
    return found


def _recording(path: Path, mouse: str) -> CachedRecording:
    from insilico.models.hub import cache_folder
    from insilico.recordings import cache_recordings, open_recordings

    opened = open_recordings(path, mice=[mouse])
    return cache_recordings(opened, folder=cache_folder(None) / "recordings", progress=True)[mouse]


def _reliability(twin: Twin, cached: CachedRecording, mouse: str, least_repeats: int) -> Any:
    """Return how reliable recorded neurons are."""
    from insilico.synthesis.recorded_reliability import reliability_of

    return reliability_of(twin, cached, mouse=mouse, least_repeats=least_repeats, progress=True)


def _natural(
    protocol: SynthesisProtocol,
    twin: Twin,
    mouse: str,
    folder: Path | None,
    cached: CachedRecording | None,
) -> Candidates | None:
    """Return natural stimuli to search among: of a folder, or of the recording."""
    from insilico.synthesis.image_folder import folder_clips
    from insilico.synthesis.natural import recorded_clips

    screen = twin.screen(mouse)
    options: dict[str, Any] = {
        "frame_count": protocol.free_frames(protocol.exposure(twin.kind, screen)),
        "stride_frames": protocol.natural_stride_frames,
        "limit": protocol.natural_count,
        "seed": protocol.seed,
    }
    if folder is not None:
        return folder_clips(folder, screen, **options)
    if cached is not None:
        return recorded_clips(cached, screen, **options)
    if "natural" in protocol.controls:
        print(
            "no natural control: give --natural FOLDER or --recording to search among natural "
            "images or clips",
            file=sys.stderr,
        )
    return None


def _columns(models: list[str]) -> dict[str, str]:
    """Return other models by what their columns are called."""
    from insilico.errors import ProtocolError

    columns = {Path(model).name: model for model in models}
    if len(columns) < len(models):
        raise ProtocolError(
            f"--transfer names {len(models)} models and {len(columns)} of them have names of their "
            f"own ({', '.join(columns)}), which their columns need; rename a folder"
        )
    return columns


def _save_figures(made: StimulusSet, folder: Path) -> None:
    from insilico.cli.saving import save_figure
    from insilico.figures.synthesis import draw, figure_names

    for name in figure_names(made):
        save_figure(draw(made, name), folder, name)
