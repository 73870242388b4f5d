"""Candidates of a search, drawn when they are needed: what all sources share, and gratings."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ShapeError, StimulusError
from insilico.screen import Screen
from insilico.stimuli.gratings import drifting_grating

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Gratings that drift, as published (ViV1T-closed-loop,
#: most_exciting_stimulus/single_neuron/grating_stimulus).
PUBLISHED_DIRECTIONS_DEG = tuple(45.0 * step for step in range(8))
PUBLISHED_SPATIAL_FREQUENCY_CPD = 0.04
PUBLISHED_TEMPORAL_FREQUENCY_HZ = 2.0
#: Gratings that keep still are searched more densely: a still one has one phase, and a cell that
#: minds the phase answers to no other. The frequencies span what mouse V1 prefers (Niell & Stryker
#: 2008, doi 10.1523/JNEUROSCI.0623-08.2008) as far as 64 pixels of the Sensorium monitor show it.
STILL_DIRECTIONS_DEG = tuple(22.5 * step for step in range(8))
STILL_SPATIAL_FREQUENCIES_CPD = (0.02, 0.04, 0.06, 0.08, 0.12)
STILL_PHASES_DEG = (0.0, 90.0, 180.0, 270.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Stimuli to choose from. None is kept: each is known by a row of numbers, and drawn again.

    Parameters
    ----------
    stimulus_class : {"grating", "natural"}
        What they are.
    screen : Screen
        Where they are shown.
    table : DataFrame, one row a candidate
        What draws it. The columns become columns of what is found, and the index names the
        candidates, also where only some were selected.
    draw : callable
        ``draw(rows)`` gives the candidates of some rows of the table: gray levels 0-255, uint8 or
        floating, of shape (candidate, frame, y, x).
    frame_count : int
        Frames of each; 1 for still ones.
    provenance : mapping
        Where they come from, in words and numbers that JSON can hold.

    Raises
    ------
    StimulusError
        If there is none.
    """

    stimulus_class: str
    screen: Screen
    table: pd.DataFrame
    draw: Callable[[pd.DataFrame], np.ndarray[Any, Any]]
    frame_count: int = 1
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.table.empty:
            raise StimulusError(
                f"there is no {self.stimulus_class} stimulus to search among; give at least one"
            )

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.table)

    def render(self, rows: Sequence[int] | IntArray) -> np.ndarray[Any, Any]:
        """Draw some candidates.

        Parameters
        ----------
        rows : sequence of int
            Places in the table, in any order.

        Returns
        -------
        array, shape (candidate, frame, y, x)
            Gray levels 0-255, in the order of the rows.

        Raises
        ------
        ShapeError
            If they are drawn in another shape than was promised.
        """
        drawn = self.draw(self.table.iloc[np.asarray(rows, np.int64)])
        promised = (len(rows), self.frame_count, *self.screen.shape)
        if drawn.shape != promised:
            raise ShapeError(
                f"{len(rows)} {self.stimulus_class} candidates were drawn with shape "
                f"{drawn.shape}; draw (candidate, frame, y, x) = {promised}"
            )
        return drawn

    def select(self, rows: Sequence[int] | IntArray) -> Candidates:
        """Return some candidates, which keep their names."""
        chosen = self.table.iloc[np.asarray(rows, np.int64)]
        return dataclasses.replace(self, table=chosen)


def gratings(
    screen: Screen,
    *,
    directions_deg: Sequence[float] | None = None,
    spatial_frequencies_cpd: Sequence[float] | None = None,
    temporal_frequencies_hz: Sequence[float] | None = None,
    phases_deg: Sequence[float] | None = None,
    frame_count: int = 1,
) -> Candidates:
    """Return gratings of all combinations of some parameters.

    Parameters
    ----------
    screen : Screen
        Where they are shown.
    directions_deg : sequence of float, optional
        Of motion; where they keep still, the axis along which the luminance changes. By default
        :data:`PUBLISHED_DIRECTIONS_DEG` or :data:`STILL_DIRECTIONS_DEG`.
    spatial_frequencies_cpd : sequence of float, optional
        By default the published one, or those of :data:`STILL_SPATIAL_FREQUENCIES_CPD` that the
        screen can show.
    temporal_frequencies_hz : sequence of float, optional
        By default the published one. Those that keep still have none.
    phases_deg : sequence of float, optional
        Of the first frame. By default 0, as published, or :data:`STILL_PHASES_DEG`.
    frame_count : int
        Frames; 1 keeps them still.

    Returns
    -------
    Candidates
        With columns ``direction_deg``, ``spatial_frequency_cpd``, ``temporal_frequency_hz`` and
        ``phase_deg``. They fill the screen and have full contrast before they are given the levels
        of a set, and are not rounded to bytes before that.

    Raises
    ------
    StimulusError
        If a list is empty, or still gratings are to have a temporal frequency.
    UnitsError
        If a frequency is out of range, or finer or faster than the screen shows.
    """
    is_still = frame_count == 1
    if is_still and any(temporal_frequencies_hz or ()):
        raise StimulusError(
            f"still gratings were given temporal frequencies {tuple(temporal_frequencies_hz or ())}"
            "; leave them out, or ask for more than one frame"
        )
    finest = 0.5 / screen.degrees_per_px
    default = {
        "direction_deg": STILL_DIRECTIONS_DEG if is_still else PUBLISHED_DIRECTIONS_DEG,
        "spatial_frequency_cpd": [f for f in STILL_SPATIAL_FREQUENCIES_CPD if f <= finest]
        if is_still
        else (PUBLISHED_SPATIAL_FREQUENCY_CPD,),
        "temporal_frequency_hz": (0.0,) if is_still else (PUBLISHED_TEMPORAL_FREQUENCY_HZ,),
        "phase_deg": STILL_PHASES_DEG if is_still else (0.0,),
    }
    given = (directions_deg, spatial_frequencies_cpd, temporal_frequencies_hz, phases_deg)
    axes = [
        tuple(own) if values is None else tuple(map(float, values))
        for own, values in zip(default.values(), given, strict=True)
    ]
    table = pd.DataFrame(list(itertools.product(*axes)), columns=list(default))

    def draw(rows: pd.DataFrame) -> np.ndarray[Any, Any]:
        parameters = {name: rows[name].to_numpy(float) for name in default}
        return drifting_grating(screen, **parameters, frame_count=frame_count, dtype=np.float32)

    if not table.empty:
        # What cannot be drawn is refused now, and not in the middle of a search.
        values = table.to_numpy()
        draw(pd.DataFrame([values.min(axis=0), values.max(axis=0)], columns=table.columns))
    return Candidates("grating", screen, table, draw, frame_count, {"source": "gratings"})
