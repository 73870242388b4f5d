"""Figure 7 of the ViV1T paper: ``python figures/vivit_figure7.py RUN --out F.png``.

Receptive fields of six neurons, each with the contour at one standard deviation of its fit (0.607
of the peak; the published contour at 0.158 is at 1.92), and the density of all centers. Needs
``insilico run retinotopy``.
"""

from pathlib import Path

from composing import letter, load, main, name_of
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures.fields import plot_center_density
from insilico.figures.maps import plot_map
from insilico.figures.retinotopy import default_rows
from insilico.figures.style import PAGE_WIDTH_IN

EXAMPLES = 6


def draw(runs: list[Path]) -> Figure:
    """Return the figure."""
    (run,) = runs
    result = load(run, "retinotopy")
    if result is None:
        raise NotFittedError(f"{run} has no retinotopy result; run insilico run retinotopy")
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.5 * PAGE_WIDTH_IN))
    left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
    panels = left.subplots(2, 3)
    rows = default_rows(result.neurons)
    chosen = rows[:: max(1, len(rows) // EXAMPLES)][:EXAMPLES]
    for axes, row in zip(panels.flat, chosen, strict=False):
        plot_map(result, int(result.neurons["neuron"].iloc[row]), axes)
        axes.set(xlabel="", ylabel="")
    for axes in panels.flat[len(chosen) :]:
        axes.set_axis_off()
    left.supxlabel("azimuth (deg)", fontsize="medium")
    left.supylabel("elevation (deg)", fontsize="medium")
    density = plot_center_density(result, right.subplots())
    figure.suptitle(f"{name_of(result)}; contours at 1 SD of the fit", fontsize="medium")
    letter([panels[0, 0], density])
    return figure


if __name__ == "__main__":
    main(draw, "Receptive fields of examples, and the density of centers.", most_runs=1)
