"""Writing figures and telling where results are; only the command line writes image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from insilico.cli.tables import format_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from insilico.results import Result

#: Every figure is written as a bitmap to look at and as a drawing to publish.
FORMATS = ("png", "pdf")


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Write one figure in every format, each file whole or not at all."""
    from insilico.figures.style import style
    from insilico.files import atomic_file

    for suffix in FORMATS:
        with style(), atomic_file(folder / f"{name}.{suffix}") as draft:
            figure.savefig(draft)


def save_figures(result: Result, folder: Path) -> None:
    """Draw and write every figure of a result that is not there yet."""
    from insilico.figures import draw, figure_names

    for name in figure_names(result):
        if not all((folder / f"{name}.{suffix}").exists() for suffix in FORMATS):
            save_figure(draw(result, name), folder, name)


def save_and_tell(result: Result, run: Path) -> None:
    """Draw the figures of a result of a run, and print its summary and where it lies."""
    from insilico.experiments.experiment import result_folder

    folder = result_folder(run, result.experiment)
    save_figures(result, folder / "figures")
    print(summary(result))
    print(f"tables, arrays and figures: {folder}\n")


#: Columns of :func:`medians`.
MEDIANS = ("of status ok", "N", "quarter", "median", "three quarters")


def summary(result: Result) -> str:
    """Return how many neurons got which status, and medians of what was measured."""
    status = ", ".join(f"{name} {count:,}" for name, count in status_counts(result).items())
    table = format_table(MEDIANS, medians(result))
    return f"{result.experiment}: {len(result.neurons):,} neurons ({status})\n{table}"


def status_counts(result: Result) -> dict[str, int]:
    """Return how many neurons have each status, the most frequent first."""
    counts = result.neurons["status"].value_counts()
    return {str(name): int(count) for name, count in counts.items()}


def medians(result: Result) -> list[tuple[str, int, float, float, float]]:
    """Return the quartiles of what an experiment is summed up by, over neurons of status "ok"."""
    from insilico.experiments import find_experiment

    good = result.neurons[result.neurons["status"] == "ok"]
    rows = []
    for name in find_experiment(result.experiment).summary_columns:
        if good[name].notna().any():
            quarter, median, three = (float(good[name].quantile(q)) for q in (0.25, 0.5, 0.75))
            rows.append((name, int(good[name].notna().sum()), quarter, median, three))
    return rows
