"""``insilico generate``: most exciting images and movies, with their controls."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts

if TYPE_CHECKING:
    from insilico.synthesis.stimulus_set import StimulusSet


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
        Such as 5,6,7: one stimulus that drives the --neurons and not these. Discs lie at the mean
        of both groups.
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
        Time for searching, making and checking, from when receptive fields are known; figures come
        after it. It is spent where it pays most, and the table says how many steps each stimulus
        got and which were checked. Without it, each gets all.
    by : str, optional
        The same as a time of day, such as 07:00.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    """
    import insilico
    from insilico.cli.run import tell_assumptions, tell_quality
    from insilico.cli.selection import check_together, make_rule, make_selection, tell_idle
    from insilico.cli.sources import columns_of, read_sources
    from insilico.experiments.protocols import parse_overrides
    from insilico.synthesis.clock import Clock
    from insilico.synthesis.generate import read_synthesis_protocol

    check_together(
        neurons=neurons, against=against, best=best, population=population, weights=weights
    )
    values = read_synthesis_protocol(what, protocol, parse_overrides(set_ or []))
    thresholds = make_rule(rule or [], bad_fits)
    tell_idle(rule or [], best=best, recording=recording, region=values.region)
    seconds = _seconds(minutes, by)
    # A time of day comes however long loading and receptive fields take.
    time_left = None if by is None else Clock(seconds)
    others = columns_of(transfer or [])
    twin = insilico.load(model, device=device)
    tell_assumptions(twin, mouse)
    tell_quality(twin, has_errors=False)
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
    sources = read_sources(
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
    # Of several restarts the best is what goes to the rig.
    signed = table["response"].where(table["goal"] != "inhibit", -table["response"])
    ranked = table.loc[signed.sort_values(ascending=False, kind="stable").index]
    best = ranked.drop_duplicates(["target", *keys]).sort_index()
    for (region, goal, name), group in best.groupby(keys, sort=False):
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
    if left := made.provenance.get("targets_without_time"):
        late += f"; no time for {len(left):,} more targets"
    if unchecked := int((~table["is_checked"]).sum()):
        late += f"; no time to check {unchecked:,} stimuli"
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


def _save_figures(made: StimulusSet, folder: Path) -> None:
    from insilico.cli.motion import save_motion
    from insilico.cli.saving import save_figure
    from insilico.figures.synthesis import draw, figure_names

    for name in figure_names(made):
        save_figure(draw(made, name), folder, name)
    save_motion(made, run=folder.parents[1])
