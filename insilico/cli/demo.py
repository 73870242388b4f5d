"""``insilico demo``: the tour, offline, on twins of simulated mice and on the mice themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insilico.results import Result
    from insilico.validation import Validation

#: Twins that come with the package, trained on recordings of simulated mice.
TWINS = ("simulated-image-cnn", "simulated-movie-cnn")
EXPERIMENTS = ("retinotopy", "direction")


def demo(*, out: Path = Path("demo"), neurons: int = 40) -> None:
    """Map receptive fields and tuning of two trained twins, beside the neurons they learned from.

    Parameters
    ----------
    out : Path
        The run folder: tables, arrays and figures.
    neurons : int
        Number of neurons of each twin.
    """
    import pandas as pd

    from insilico.cli.saving import save_figure
    from insilico.cli.validate import format_summary
    from insilico.errors import NeuronError
    from insilico.figures.validation import plot_validation

    if neurons < 1:
        raise NeuronError(f"--neurons is {neurons}; give 1 or more")
    print(
        "Two twins, trained on noisy recordings of simulated mice whose neurons are known: the "
        "same experiments on each twin and on its neurons.\n"
    )
    validations = [_compare(name, out / name, neurons) for name in TWINS]
    rows = pd.concat([validation.neurons for validation in validations])
    save_figure(plot_validation(rows), out, "planted-against-recovered")
    print("What training kept, over neurons that respond reliably:")
    print(format_summary(pd.concat([validation.summary for validation in validations])))
    print(
        f"\nLook at {out}/planted-against-recovered.png, at twin-beside-neurons.png in "
        f"{' and '.join(f'{out}/{name}' for name in TWINS)}, and at the figures of each experiment."
    )
    print("Next, on your recordings: insilico recordings check, train, evaluate, run (see README).")


def _compare(name: str, out: Path, count: int) -> Validation:
    """Run every experiment on a twin and on its neurons, and draw one beside the other."""
    import numpy as np

    import insilico
    from insilico.cli.saving import save_figure, save_figures, summary
    from insilico.figures.validation import plot_beside
    from insilico.simulation import shipped_truth
    from insilico.validation import compare_trained

    twin = insilico.load(name)
    mouse = twin.mice[0]
    truth = shipped_truth(name, mouse, kind=twin.kind, screen=twin.screen(mouse))
    every = len(truth.ground_truth)
    chosen = np.unique(np.linspace(0, every - 1, min(count, every)).astype(int))
    options: dict[str, Any] = {"neurons": chosen, "progress": True, "command": "insilico demo"}
    on_twin: dict[str, Result] = {}
    on_neurons: dict[str, Result] = {}
    for experiment in EXPERIMENTS:
        on_twin[experiment] = insilico.run(
            experiment, twin, mouse=mouse, out=out / "twin", **options
        )
        on_neurons[experiment] = insilico.run(experiment, truth, out=out / "neurons", **options)
        save_figures(on_twin[experiment], out / "twin" / experiment / "figures")
    print(f"{name}, {len(chosen)} neurons of {mouse}")
    for result in on_twin.values():
        print(summary(result), "\n")
    save_figure(plot_beside(on_neurons, on_twin), out, "twin-beside-neurons")
    return compare_trained(truth, on_twin)
