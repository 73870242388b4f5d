"""Figure 4 of the ViV1T paper: ``python figures/vivit_figure4.py RUN --out F.png``.

Contextual modulation around one center for the whole population, and how it turns with contrast.
Needs ``insilico run retinotopy direction surround --set surround.centers=population``.
"""

import sys
from pathlib import Path

from composing import letter, load, main, name_of, panel
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures import surround
from insilico.figures.style import PAGE_WIDTH_IN

EXAMPLES = 3


def draw(runs: list[Path]) -> Figure:
    """Return the figure."""
    (run,) = runs
    result = load(run, "surround")
    if result is None:
        raise NotFittedError(f"{run} has no surround result; run insilico run surround")
    centers = result.protocol["centers"]
    if centers != "population":
        print(f"the centers of this run are those of the {centers}", file=sys.stderr)
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.66 * PAGE_WIDTH_IN))
    panels = figure.subplots(2, 3)
    table = result.neurons
    # Neurons that flip come first, then those that turn most with contrast.
    ok = table[table["status"] == "ok"].assign(turn=lambda rows: rows["cmi_high"] - rows["cmi_low"])
    chosen = ok.sort_values(["is_flip", "turn"], ascending=False)["neuron"].iloc[:EXAMPLES]
    for axes, neuron in zip(panels[0], chosen, strict=False):
        panel(axes, surround.plot_arrangements, result, int(neuron), needs="surround")
    for axes in panels[0, len(chosen) :]:
        axes.set_axis_off()
    panel(panels[1, 0], surround.plot_iso_against_cross, result, needs="surround")
    panel(panels[1, 1], surround.plot_contrasts, result, needs="surround")
    panel(panels[1, 2], surround.plot_flips, result, needs="surround")
    figure.suptitle(f"{name_of(result)}, centers of the {centers}", fontsize="medium")
    letter([panels[0, 0], *panels[1]])
    return figure


if __name__ == "__main__":
    main(draw, "Contextual modulation and its turn with contrast.", most_runs=1)
