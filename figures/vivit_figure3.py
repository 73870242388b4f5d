"""Figure 3 of the ViV1T paper: ``python figures/vivit_figure3.py RUN [RUN …] --out F.png``.

Feedforward and feedback: size tuning of discs and holes, how much later holes are answered, and
contextual modulation. Needs runs of ``insilico run retinotopy direction size onset surround``; two
rows of panels a run.
"""

from pathlib import Path

from composing import letter, load, main, name_of, panel
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures import onset, size, surround
from insilico.figures.style import PAGE_WIDTH_IN


def draw(runs: list[Path]) -> Figure:
    """Return the figure."""
    figure = Figure(figsize=(1.25 * PAGE_WIDTH_IN, 0.58 * PAGE_WIDTH_IN * len(runs)))
    parts = figure.subfigures(len(runs), 1, squeeze=False)[:, 0]
    lettered: list[Axes] = []
    for run, part in zip(runs, parts, strict=True):
        sizes, onsets, surrounds = (load(run, name) for name in ("size", "onset", "surround"))
        if not (first := sizes or onsets or surrounds):
            raise NotFittedError(
                f"{run} has no size, onset or surround result; run insilico run size onset surround"
            )
        axes = part.subplots(2, 4)
        panel(axes[0, 0], size.plot_mean_curves, sizes, "all", needs="size")
        panel(axes[0, 1], size.plot_mean_curves, sizes, "hole_responsive", needs="size")
        panel(axes[0, 2], size.plot_preferred_sizes, sizes, needs="size")
        panel(axes[0, 3], size.plot_inverse_tuning, sizes, needs="size")
        panel(axes[1, 0], onset.plot_latencies_against_each_other, onsets, needs="onset")
        panel(axes[1, 1], onset.plot_mean_traces, onsets, needs="onset")
        panel(axes[1, 2], surround.plot_iso_against_cross, surrounds, needs="surround")
        panel(axes[1, 3], surround.plot_index, surrounds, needs="surround")
        part.suptitle(name_of(first), fontsize="medium")
        lettered += list(axes.flat)
    letter(lettered)
    return figure


if __name__ == "__main__":
    main(draw, "Size tuning, response onset and contextual modulation.", most_runs=4)
