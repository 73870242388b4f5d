"""The figure of still against moving stimuli, from two commands that share a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from insilico.synthesis.stimulus_set import StimulusSet

#: What each kind of stimulus is compared with.
OTHERS = {"mei": "mev", "mev": "mei"}


def save_motion(made: StimulusSet, run: Path) -> None:
    """Draw still against moving where the run folder holds both, and say why where it cannot.

    Parameters
    ----------
    made : StimulusSet
        The set that was just made; its folder gets the figure.
    run : Path
        The run folder, whose sets are all of one mouse and the same neurons.
    """
    from insilico.cli.saving import save_figure
    from insilico.errors import RunFolderError
    from insilico.experiments.run_folder import has_finished
    from insilico.figures.synthesis_motion import differing_values, has_motions, plot_motion
    from insilico.synthesis.stimulus_set import StimulusSet

    what = str(made.protocol["experiment"])
    if not has_finished(run, OTHERS[what]):
        return
    try:
        sets = {what: made, OTHERS[what]: StimulusSet.load(run / OTHERS[what])}
    except RunFolderError as error:
        # The set that was asked for is there.
        _say_none(str(error))
        return
    still, moving = sets["mei"], sets["mev"]
    if differing := differing_values(still, moving):
        _say_none(f"the mei and the mev of {run} differ in {' and '.join(differing)}")
    elif has_motions(still, moving):
        save_figure(plot_motion(still, moving), run / what / "figures", "motion")


def _say_none(reason: str) -> None:
    print(f"no figure of still against moving stimuli: {reason}", file=sys.stderr)
