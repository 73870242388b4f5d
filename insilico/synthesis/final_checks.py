"""Everything that is asked of the stimuli of a set beside their responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from insilico.synthesis.assembly import Checks, FloatArray
from insilico.synthesis.checks import (
    behavior_sensitivity,
    center_share,
    diversity,
    frequency_columns,
    gaze_sensitivity,
    spectrum_columns,
    transfer,
)
from insilico.synthesis.clock import Clock
from insilico.synthesis.entries import Entry
from insilico.synthesis.scoring import Scorer
from insilico.synthesis.targets import Target
from insilico.synthesis.workshop import Workshop
from insilico.twin.twin import Twin


def checks_of(
    workshop: Workshop, targets: Sequence[Target], twins: Mapping[str, Twin], clock: Clock
) -> Checks:
    """Return what checks entries, some at a time.

    Parameters
    ----------
    workshop : Workshop
        Where they were made.
    targets : sequence of Target
        For whom; says where their receptive fields are.
    twins : mapping of str to Twin
        Other twins of the same neurons.
    clock : Clock
        Where its time has ended, twins are asked nothing more: ``is_checked`` is False, and the
        columns of transfer, behavior and gaze are missing or NaN.
    """
    references = list({each.frame_count: each for each in workshop.references}.values())
    place_of = {target.objective.name: (target.x_px, target.y_px) for target in targets}
    gray_level = workshop.screen.gray

    def check(entries: Sequence[Entry], scorer: Scorer, responses: FloatArray) -> pd.DataFrame:
        is_checked = clock.left_s > 0
        columns = [pd.DataFrame({"is_checked": [is_checked] * len(entries)})]
        if is_checked:
            columns += [
                transfer(entries, twins, scorer),
                behavior_sensitivity(entries, scorer),
                gaze_sensitivity(entries, scorer),
            ]
        shares = [
            center_share(entry, *place_of[entry.objective.name], gray_level=gray_level)
            for entry in entries
        ]
        columns += [
            diversity(entries, responses.astype(np.float64)),
            frequency_columns(entries, workshop.screen),
            spectrum_columns(entries, references),
            pd.DataFrame({"center_share": shares}),
        ]
        return pd.concat(columns, axis=1)

    return check
