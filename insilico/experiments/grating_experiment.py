"""What all experiments with gratings at a place do alike, from sites to presentations."""

from __future__ import annotations

from typing import Any, TypeVar

import pandas as pd

from insilico.experiments.averaging import mean_and_baseline
from insilico.experiments.experiment import Accumulator, Experiment, Setting
from insilico.experiments.gratings import (
    GratingProtocol,
    blank_once,
    grating_conditions,
    grating_sites,
    grating_stimuli,
)
from insilico.experiments.presentations import Measure, Presentations, own
from insilico.experiments.sites import Site
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind, Stimuli

G = TypeVar("G", bound=GratingProtocol)


class GratingExperiment(Experiment[G]):
    """Show the protocol's patterns where neurons look; an experiment adds what it makes of them."""

    def requires(self, protocol: G, kind: Kind) -> tuple[str, ...]:
        """Return the experiments that say where, and in which direction, to show gratings."""
        return protocol.requires()

    def sites(self, setting: Setting[G]) -> list[Site]:
        """Return the places and directions of the gratings."""
        return grating_sites(setting)

    def stimuli(self, protocol: G, screen: Screen, kind: Kind, site: Site | None = None) -> Stimuli:
        """Return the protocol's patterns in every direction and phase; images have one blank."""
        conditions = grating_conditions(protocol, screen, kind, site, protocol.patterns(kind))
        if kind == "image":
            conditions = blank_once(conditions)
        return grating_stimuli(protocol, screen, kind, conditions)

    def window(self, protocol: G, screen: Screen, kind: Kind) -> tuple[int, int] | None:
        """Return the frames from the first baseline to the end of the last window."""
        return None if kind == "image" else protocol.measured_frames(screen)

    def measures(self, setting: Setting[G]) -> dict[str, Measure]:
        """Return what is kept of each presentation: mean responses to pattern and gray."""
        return mean_and_baseline(setting)

    def accumulator(self, setting: Setting[G]) -> Presentations:
        """Return an empty list of presentations."""
        return Presentations(setting, self.measures(setting))

    def presented(
        self, accumulator: Accumulator, setting: Setting[Any]
    ) -> tuple[Presentations, pd.DataFrame]:
        """Return what was accumulated, and its conditions.

        Where no neuron could be placed nothing was shown: then these are the presentations that
        would have been, and nobody answered them.
        """
        presentations = own(accumulator, self.name)
        if presentations.is_empty:
            stimuli = self.stimuli(setting.protocol, setting.screen, setting.kind)
            presentations.add_unasked(stimuli.conditions)
        return presentations, presentations.conditions()
