"""``insilico compare``: two models, or predicted against recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts

if TYPE_CHECKING:
    from insilico.results import Result


def compare(
    first: Path,
    second: Path,
    *,
    out: Path = Path("comparison"),
    experiments: Annotated[list[str] | None, cyclopts.Parameter(consume_multiple=True)] = None,
    filter_: Annotated[
        list[str] | None, cyclopts.Parameter(name="--filter", consume_multiple=True)
    ] = None,
    same_mouse: bool = False,
) -> None:
    """Compare two runs of the same neurons: two models, or a model with what was recorded.

    The reference is the recorded run, or else the first. Every table and panel is of the same
    neurons.

    Parameters
    ----------
    first, second : Path
        Run folders as 'insilico run' wrote them, or folders of such folders, one a mouse.
    out : Path
        The folder for tables and figures; an earlier comparison in it is replaced.
    experiments : list of str, optional
        Those to compare; all that both runs have when left out.
    filter_ : list of str, optional
        Which neurons count: ok (status ok in both runs, in every experiment compared), selective
        (DSI of the reference 0.2 or more, and its test passed where it has one; OSI where there are
        no directions), all, or a condition on the reference such as direction.osi>=0.3. When left
        out: ok selective.
    same_mouse : bool
        The two runs are of one mouse under two names.
    """
    from insilico.cli.saving import save_figures
    from insilico.comparison import compare_runs
    from insilico.comparison.filters import DEFAULT

    _refuse_other(out)
    result = compare_runs(
        first,
        second,
        experiments=experiments,
        filters=tuple(filter_) if filter_ else DEFAULT,
        is_same_mouse=same_mouse,
        command=" ".join(sys.argv),
    )
    folder = result.save(out)
    save_figures(result, folder / "figures")
    _tell_protocols(result)
    print(format_comparison(result))
    print(f"\ntables, arrays and figures: {folder}")


def format_comparison(result: Result) -> str:
    """Return which neurons were compared, and how every quantity agrees, as text."""
    from insilico.cli.tables import format_table

    labels = [f"{side}: {result.provenance[side]['label']}" for side in ("reference", "other")]
    steps = result.tables["filter"]
    left = ", ".join(
        f"{step} {count:,}"
        for step, count in zip(steps["step"], steps["neuron_count"].tolist(), strict=True)
    )
    rows = [
        [
            row["experiment"],
            f"{row['words']} ({row['unit']})" if row["unit"] else row["words"],
            row["neuron_count"],
            row["correlation"],
            f"{row['median_difference']:.3g} {row['difference_unit']}".strip(),
            f"{row['ci_low']:.3g} to {row['ci_high']:.3g}",
            row["p_value"],
            row["q_value"],
        ]
        for row in result.tables["quantities"].to_dict("records")
        if row["neuron_count"]
    ]
    header = ["experiment", "quantity", "N", "r", "other - reference", "95 % interval", "p", "q"]
    parts = [
        ", ".join(labels),
        f"neurons: {result.provenance['filter']}",
        f"left after each step: {left}\n",
        format_table(header, rows),
    ]
    if "population" in result.tables:
        tests = result.tables["population"].to_dict("records")
        columns = ("comparison", "neuron_count", "effect", "ci_low", "ci_high", "p_value")
        header = ["tuning curves", "N", "median", "low", "high", "p"]
        parts.append(
            "\n" + format_table(header, [[row[name] for name in columns] for row in tests])
        )
    return "\n".join(parts)


def _tell_protocols(result: Result) -> None:
    """Say on stderr where the two runs were not measured alike."""
    for experiment, differences in result.provenance["protocols_differ_in"].items():
        told = ", ".join(
            f"{key} {'-' if one is None else one} / {'-' if two is None else two}"
            for key, (one, two) in differences.items()
        )
        print(f"the protocols of {experiment} differ: {told}", file=sys.stderr)


def _refuse_other(out: Path) -> None:
    """Refuse a folder that holds something else than a comparison.

    Raises
    ------
    RunFolderError
        If it does.
    """
    import json

    from insilico.comparison import COMPARISON
    from insilico.errors import RunFolderError

    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        record = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
        is_ours = record["experiment"] == COMPARISON
    except (OSError, ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise RunFolderError(
            f"{out} exists and holds no comparison, so it is not replaced; give a new folder to "
            "--out"
        )
