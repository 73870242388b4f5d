"""Figure 2 of the ViV1T paper: ``python figures/vivit_figure2.py RUN [RUN] --out F.png``.

Direction tuning of two runs of the same neurons, such as recorded (``insilico run direction
--recording D``) and predicted: example curves, their correlation, width and preferences. One run:
its curves and what its population prefers.
"""

from pathlib import Path

import numpy as np
from composing import letter, load, main, panel
from matplotlib.figure import Figure

from insilico.comparison import compare_runs
from insilico.errors import NotFittedError
from insilico.figures import direction
from insilico.figures.comparison import plot_direction
from insilico.figures.galleries import spread_over_ranks
from insilico.figures.style import PAGE_WIDTH_IN


def draw(runs: list[Path], *, is_same_mouse: bool = False) -> Figure:
    """Return the figure."""
    if len(runs) == 2:
        options = {"experiments": ["direction"], "is_same_mouse": is_same_mouse}
        return plot_direction(compare_runs(*runs, **options))
    result = load(runs[0], "direction")
    if result is None:
        raise NotFittedError(f"{runs[0]} has no direction result; run insilico run direction")
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.6 * PAGE_WIDTH_IN))
    has_directions = direction.has_directions(result)
    polar = {"preferred": {"projection": "polar"}} if has_directions else {}
    layout = [["0", "1", "2", "3"], ["osi", "dsi", "preferred", "width"]]
    panels = figure.subplot_mosaic(layout, per_subplot_kw=polar)
    table = result.neurons
    ok = np.flatnonzero(table["status"] == "ok")
    for place, row in enumerate(ok[spread_over_ranks(table["osi"].iloc[ok], 4)]):
        neuron = int(table["neuron"].iloc[row])
        panel(panels[str(place)], direction.plot_tuning_curve, result, neuron, needs="direction")
    for place in range(len(ok), 4):
        panels[str(place)].set_axis_off()
    panel(panels["osi"], direction.plot_index, result, "osi", needs="direction")
    panel(panels["dsi"], direction.plot_index, result, "dsi", needs="direction")
    panel(panels["preferred"], direction.plot_preferred, result, needs="direction")
    panel(panels["width"], direction.plot_half_widths, result, needs="direction")
    letter([panels["0"], *(panels[name] for name in layout[1])])
    return figure


if __name__ == "__main__":
    main(
        draw,
        "Direction tuning of one run, or of two beside each other.",
        most_runs=2,
        compares=True,
    )
