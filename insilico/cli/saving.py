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


def summary(result: Result) -> str:
    """Return how many neurons got which status, and medians of what was measured."""
    from insilico.experiments import find_experiment

    neurons = result.neurons
    counts = neurons["status"].value_counts()
    status = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    good = neurons[neurons["status"] == "ok"]
    rows = [
        (
            name,
            int(good[name].notna().sum()),
            *(float(good[name].quantile(q)) for q in (0.25, 0.5, 0.75)),
        )
        for name in find_experiment(result.experiment).summary_columns
        if good[name].notna().any()
    ]
    table = format_table(["of status ok", "N", "quarter", "median", "three quarters"], rows)
    return f"{result.experiment}: {len(neurons):,} neurons ({status})\n{table}"
