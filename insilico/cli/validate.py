"""``insilico validate``: planted against recovered."""

from __future__ import annotations

import sys
from pathlib import Path


def validate(
    *, simple: int = 100, energy: int = 100, seed: int = 0, out: Path | None = None
) -> None:
    """Run every experiment on neurons whose tuning is known, and compare.

    Exit code 1 if a check misses its limit.

    Parameters
    ----------
    simple : int
        Number of simulated simple cells.
    energy : int
        Number of simulated energy cells.
    seed : int
        Of the population.
    out : Path, optional
        Folder for the tables and the figure.
    """
    from insilico.validation import validate as compare

    validation = compare(
        simple_count=simple,
        energy_count=energy,
        seed=seed,
        progress=True,
        on_step=lambda step: print(step, file=sys.stderr),
    )
    print(format_summary(validation.summary))
    if out is not None:
        from insilico.cli.saving import save_figure
        from insilico.figures.validation import plot_validation

        out.mkdir(parents=True, exist_ok=True)
        validation.neurons.to_parquet(out / "neurons.parquet", index=False)
        validation.summary.to_csv(out / "summary.csv", index=False)
        save_figure(plot_validation(validation.neurons), out, "validation")
        print(f"tables and figure: {out}")
    if not validation.is_met:
        raise SystemExit(1)


def format_summary(summary) -> str:  # type: ignore[no-untyped-def]
    """Return the checks as a table of text."""
    from insilico.cli.tables import format_table

    header = ["twin", "experiment", "cells", "check", "how", "N", "value", "95 %", "limit", ""]
    columns = [
        "kind",
        "experiment",
        "cell_class",
        "check",
        "summary",
        "count",
        "value",
        "p95",
        "limit",
        "is_met",
    ]
    rows = [
        (*row[:-1], "MISSED" if not row[-1] else "met" if row[-2] else "")
        for row in summary[columns].itertuples(index=False, name=None)
    ]
    return format_table(header, rows)
