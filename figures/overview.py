"""One picture of a run: ``python figures/overview.py RUN OUT.png [NEURON …]``.

Receptive field above tuning curve for a few neurons, and the population beside them. Needs a run of
``insilico run retinotopy direction``, and no model.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from insilico import Result
from insilico.figures.direction import plot_index, plot_tuning_curve
from insilico.figures.maps import plot_map
from insilico.figures.retinotopy import plot_centers
from insilico.figures.style import PAGE_WIDTH_IN, style

EXAMPLES = 4


def choose(retinotopy: Result, direction: Result) -> list[int]:
    """Return neurons of reliable maps and sharp tuning, as many of each kind of map."""
    table = retinotopy.neurons.merge(direction.neurons, on="neuron", suffixes=("", "_tuning"))
    table = table[(table["status"] == "ok") & (table["status_tuning"] == "ok")]
    table["score"] = table["osi"] * table["fit_r2"] * table["r2"]
    kinds = table["map_used"].unique()
    best = [
        table[table["map_used"] == kind].nlargest(EXAMPLES // len(kinds), "score")["neuron"]
        for kind in sorted(kinds, reverse=True)
    ]
    return list(np.concatenate(best))


def draw(retinotopy: Result, direction: Result, neurons: list[int]) -> Figure:
    """Return the figure."""
    figure = Figure(figsize=(1.45 * PAGE_WIDTH_IN, 0.62 * PAGE_WIDTH_IN), layout="constrained")
    columns = len(neurons)
    axes = figure.subplots(2, columns + 1, width_ratios=[1] * columns + [1.7])
    for column, neuron in enumerate(neurons):
        plot_map(retinotopy, neuron, axes[0, column])
        plot_tuning_curve(direction, neuron, axes[1, column])
        axes[1, column].set_xlabel(axes[1, column].get_xlabel().replace(", normal to the bars", ""))
        if column:
            axes[0, column].set_ylabel("")
            axes[1, column].set_ylabel("")
    plot_centers(retinotopy, axes[0, -1])
    plot_index(direction, "osi", axes[1, -1])
    return figure


if __name__ == "__main__":
    run, out, *chosen = sys.argv[1:]
    results = [Result.load(Path(run) / name) for name in ("retinotopy", "direction")]
    with style():
        draw(*results, [int(neuron) for neuron in chosen] or choose(*results)).savefig(out, dpi=200)
