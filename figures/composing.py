"""What the scripts of this folder share: arguments, results, and panels that may be missing."""

import argparse
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico import Result
from insilico.errors import InsilicoError, RunFolderError
from insilico.figures.panels import letter_panels
from insilico.figures.style import GRAY, style


def main(
    draw: Callable[..., Figure], about: str, *, most_runs: int, compares: bool = False
) -> None:
    """Read RUN [RUN …] --out F.png, draw, and save; a mistake is one sentence and exit code 2.

    Scripts that compare two runs also take --same-mouse and hand it on.
    """
    parser = argparse.ArgumentParser(description=about)
    runs = "+" if most_runs > 1 else 1
    parser.add_argument("runs", nargs=runs, type=Path, metavar="RUN", help="run folders")
    parser.add_argument("--out", type=Path, required=True, help="the image to write, such as F.png")
    if compares:
        same = "the runs are of one mouse under two names"
        parser.add_argument("--same-mouse", action="store_true", help=same)
    given = parser.parse_args()
    options = {"is_same_mouse": given.same_mouse} if compares else {}
    if len(given.runs) > most_runs:
        parser.error(f"{len(given.runs)} runs were given; give {most_runs} at most")
    try:
        with style():
            draw(given.runs, **options).savefig(given.out, dpi=200)
    except (InsilicoError, OSError, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    print(given.out)


def load(run: Path, experiment: str) -> Result | None:
    """Return a result of a run folder, or None where it is not there."""
    if not (run / "run.json").exists():
        raise RunFolderError(f"{run} is no run folder; give one that 'insilico run' wrote")
    return Result.load(run / experiment) if (run / experiment).is_dir() else None


def panel(
    axes: Axes,
    plot: Callable[..., Any],
    result: Result | None,
    *values: Any,
    needs: str,
    **options: Any,
) -> None:
    """Draw a panel, or say in its place which result it needs."""
    if result is None:
        note(axes, f"needs insilico run {needs}")
        return
    try:
        plot(result, *values, axes=axes, **options)
    except InsilicoError as error:
        note(axes, str(error))


def note(axes: Axes, sentence: str) -> None:
    """Leave a panel empty but for a sentence, and repeat it on stderr."""
    print(f"left out: {sentence}", file=sys.stderr)
    axes.clear()
    axes.set_axis_off()
    place: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
    axes.text(0.5, 0.5, textwrap.fill(sentence, 26), color=GRAY, fontsize="small", **place)


def name_of(result: Result) -> str:
    """Return what answered: the model's name, or that it was recorded."""
    known = result.provenance
    return "recorded" if "recording" in known else str(known["model"])


def letter(panels: list[Axes]) -> None:
    """Letter the panels that show something."""
    letter_panels([axes for axes in panels if axes.axison])
