"""Receptive fields of two models, as on the V1T poster: ``python figures/v1t_poster.py RUN RUN …``.

The same neurons in both models, the density of all centers, and the widths of the fields: standard
deviations, and full extents of four of them (the published numbers are half of these angles). Needs
two runs of ``insilico run retinotopy`` of the same neurons, and ``--out F.png``.
"""

from pathlib import Path

import numpy as np
from composing import letter, load, main
from matplotlib.figure import Figure

from insilico.comparison import compare_runs
from insilico.errors import NotFittedError
from insilico.figures.comparison import label_of, plot_widths, state_filter
from insilico.figures.fields import plot_center_density
from insilico.figures.galleries import spread_over_ranks
from insilico.figures.maps import plot_map
from insilico.figures.style import PAGE_WIDTH_IN

EXAMPLES = 3


def draw(runs: list[Path], *, is_same_mouse: bool = False) -> Figure:
    """Return the figure."""
    if len(runs) != 2:
        raise NotFittedError("one run was given; give two, of the same neurons")
    comparison = compare_runs(*runs, experiments=["retinotopy"], is_same_mouse=is_same_mouse)
    figure = Figure(figsize=(1.15 * PAGE_WIDTH_IN, 0.85 * PAGE_WIDTH_IN))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.9, 1])
    fields = upper.subplots(2, EXAMPLES + 1, width_ratios=[1] * EXAMPLES + [1.5])
    neurons = comparison.neurons[comparison.neurons["status"] == "ok"]["neuron"].to_numpy(int)
    apart = comparison.tables["fields"].query("is_counted")["center_distance_deg"]
    chosen = neurons[spread_over_ranks(-apart.to_numpy(float), EXAMPLES)]
    results = [load(run, "retinotopy") for run in runs]
    for line, result, side in zip(fields, results, ("reference", "other"), strict=True):
        for axes, neuron in zip(line, np.sort(chosen), strict=False):
            plot_map(result, int(neuron), axes)
            axes.set(xlabel="", ylabel="")
        for axes in line[len(chosen) : EXAMPLES]:
            axes.set_axis_off()
        line[0].set_ylabel(f"{label_of(comparison, side)}\nelevation (deg)")
        plot_center_density(result, line[-1])
    widths = lower.subplots(1, 4)
    names = ("sigma_major_deg", "sigma_minor_deg", "extent_major_deg", "extent_minor_deg")
    for axes, name in zip(widths, names, strict=True):
        plot_widths(comparison, name, axes)
    state_filter(comparison, figure)
    letter([fields[0, 0], fields[0, -1], *widths])
    return figure


if __name__ == "__main__":
    main(draw, "Receptive fields and their widths in two models.", most_runs=2, compares=True)
