"""Gratings shown where a neuron looks: what size, surround, contrast and onset have in common."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from insilico.experiments.experiment import Setting
from insilico.experiments.protocols import Protocol, require
from insilico.experiments.sites import (
    Site,
    field_centers,
    group_sites,
    population_center,
    preferred_directions,
)
from insilico.screen import Screen
from insilico.stimuli.patches import grating_patches
from insilico.stimuli.stimuli import Kind, Stimuli

Centers = Literal["neuron", "population", "screen"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GratingProtocol(Protocol):
    """Values of every experiment with gratings at a place; their files explain each.

    Parameters
    ----------
    centers : {"neuron", "population", "screen"}
        Each neuron's receptive field, the median of all, or the middle of the screen.
    center_grid_px : int
        Centers are rounded to multiples of it; neurons at one place share their stimuli.
    direction_deg : tuple of float
        Directions of motion, for image models orientations modulo 180; none for each neuron's own
        preferred one.
    preferred_step_deg : float
        Preferred directions are rounded to multiples of it.
    spatial_frequency_cpd, temporal_frequency_hz : float
        Of the grating.
    movie_phase_count, image_phase_count : int
        Starting phases, evenly spaced.
    lead_s : float
        Gray at the beginning of a trial.
    patterns_per_trial : int
        Patterns shown one after the other in a trial, in a seeded random order if more than one.
    before_s, stimulus_s, after_s : float
        Gray before each pattern, the pattern, and gray after it.
    window_start_s, window_end_s : float
        Part of the pattern that is averaged, from its onset; the end is exclusive.
    """

    centers: Centers
    center_grid_px: int = 1
    direction_deg: tuple[float, ...] = ()
    preferred_step_deg: float = 45.0
    spatial_frequency_cpd: float
    temporal_frequency_hz: float
    movie_phase_count: int
    image_phase_count: int
    lead_s: float
    patterns_per_trial: int = 1
    before_s: float
    stimulus_s: float
    after_s: float = 0.0
    window_start_s: float
    window_end_s: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.center_grid_px >= 1, "center_grid_px must be 1 or more")
        step = self.preferred_step_deg
        require(step > 0 and (180 / step).is_integer(), "preferred_step_deg must divide 180")
        require(self.movie_phase_count >= 1, "movie_phase_count must be 1 or more")
        require(self.image_phase_count >= 3, "image_phase_count must be 3 or more")
        require(self.patterns_per_trial >= 1, "patterns_per_trial must be 1 or more")
        for name in ("lead_s", "before_s", "after_s"):
            require(getattr(self, name) >= 0, f"{name} must be 0 or more")
        require(
            0 <= self.window_start_s < self.window_end_s <= self.stimulus_s,
            "the window must lie within stimulus_s",
        )

    @abstractmethod
    def patterns(self, kind: Kind) -> pd.DataFrame:
        """Return one row a pattern, as :func:`grating_conditions` takes them."""

    def requires(self) -> tuple[str, ...]:
        """Return the experiments that say where and in which direction to show gratings."""
        fields = () if self.centers == "screen" else ("retinotopy",)
        return fields if self.direction_deg else (*fields, "direction")

    def window(self, screen: Screen) -> tuple[int, int]:
        """Return the frames after a pattern's onset that are averaged, the end exclusive."""
        return screen.frames(self.window_start_s), screen.frames(self.window_end_s)

    def onset_frames(self, screen: Screen) -> tuple[int, ...]:
        """Return the frames of a trial at which patterns begin."""
        lead, before = screen.frames(self.lead_s), screen.frames(self.before_s)
        return tuple(
            lead + before + pattern * self._period(screen)
            for pattern in range(self.patterns_per_trial)
        )

    def trial_frames(self, screen: Screen) -> int:
        """Return the length of a trial."""
        return screen.frames(self.lead_s) + self.patterns_per_trial * self._period(screen)

    def measured_frames(self, screen: Screen) -> tuple[int, int]:
        """Return the frames of a trial from the first baseline to the end of the last window."""
        onsets = self.onset_frames(screen)
        return onsets[0] - screen.frames(self.before_s), onsets[-1] + self.window(screen)[1]

    def _period(self, screen: Screen) -> int:
        return sum(map(screen.frames, (self.before_s, self.stimulus_s, self.after_s)))


def place(setting: Setting[Any]) -> pd.DataFrame:
    """Say where, and in which direction, each neuron is asked.

    Parameters
    ----------
    setting : Setting
        Of a :class:`GratingProtocol`; ``given`` holds what its ``requires`` names.

    Returns
    -------
    DataFrame, one row a neuron
        ``status``, "ok" or a key of :data:`~insilico.experiments.sites.UNPLACED`; ``x_px`` and
        ``y_px`` unless the centers are "screen", and ``direction_deg`` where each neuron is asked
        in its own.

    Raises
    ------
    ProtocolError
        If an earlier result lacks a neuron.
    """
    protocol: GratingProtocol = setting.protocol
    neurons = setting.neurons
    places = pd.DataFrame({"status": "ok"}, index=range(len(neurons)))
    if protocol.centers != "screen":
        grid = 1 if protocol.centers == "population" else protocol.center_grid_px
        retinotopy = setting.given["retinotopy"]
        places = field_centers(retinotopy, neurons, setting.screen, grid_px=grid)
        if protocol.centers == "population":
            places = population_center(places)
    if not protocol.direction_deg:
        direction = setting.given["direction"]
        preferred = preferred_directions(direction, neurons, step_deg=protocol.preferred_step_deg)
        is_lost = np.isnan(preferred) & (places["status"] == "ok").to_numpy()
        places["status"] = np.where(is_lost, "no_preference", places["status"])
        places["direction_deg"] = preferred
    return places


def placed_status(
    setting: Setting[Any], status: np.ndarray[Any, np.dtype[np.str_]]
) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Return the status of neurons, overruled by why they could not be asked.

    Parameters
    ----------
    setting : Setting
        Of a :class:`GratingProtocol`. Recorded responses may come without the earlier results that
        would say where stimuli belong: then nothing is overruled.
    status : array of str, shape (neuron,)
        From the responses.

    Returns
    -------
    array of str, shape (neuron,)
    """
    if not set(setting.protocol.requires()) <= set(setting.given):
        return status
    placed = place(setting)["status"].to_numpy()
    return np.where(placed == "ok", status, placed).astype(str)


def grating_sites(setting: Setting[Any]) -> list[Site]:
    """Return the sites of an experiment with gratings; see :func:`place`."""
    return group_sites(place(setting))


def combine(levels: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return every combination of some parameters, one row each, the last one changing fastest."""
    index = pd.MultiIndex.from_product(list(levels.values()), names=list(levels))
    return index.to_frame(index=False)


def grating_conditions(
    protocol: GratingProtocol, screen: Screen, kind: Kind, site: Site | None, patterns: pd.DataFrame
) -> pd.DataFrame:
    """Lay out patterns at a site over directions, phases and trials.

    Parameters
    ----------
    protocol : GratingProtocol
        Directions, phases and timing.
    screen : Screen
        Its middle stands in where the site has no place.
    kind : {"image", "movie"}
        Images have one pattern a trial.
    site : Site, optional
        Place and direction. Without one the stimuli are in the middle of the screen, in the
        protocol's directions, or rightward where each neuron has its own.
    patterns : DataFrame, one row a pattern
        Columns of :data:`~insilico.stimuli.patches.PATCH_COLUMNS` as far as they differ among
        patterns: at least ``arrangement``, ``diameter_deg`` and ``contrast``. ``surround_turn_deg``
        says how the surround's direction differs from the center's, where there is one.

    Returns
    -------
    DataFrame, one row a presented pattern
        ``trial``, ``onset_frame`` and all of PATCH_COLUMNS.
    """
    site = site or Site(np.zeros(0, int))
    own = 0.0 if site.direction_deg is None else site.direction_deg
    count = protocol.image_phase_count if kind == "image" else protocol.movie_phase_count
    repeats = combine(
        {
            "direction_deg": protocol.direction_deg or (own,),
            "phase_deg": list(np.arange(count) * 360 / count),
        }
    )
    rows = repeats.merge(patterns, how="cross")
    middle = screen.width_px // 2, screen.height_px // 2
    defaults = {
        "x_px": float(middle[0]) if site.x_px is None else site.x_px,
        "y_px": float(middle[1]) if site.y_px is None else site.y_px,
        "spatial_frequency_cpd": protocol.spatial_frequency_cpd,
        "temporal_frequency_hz": 0.0 if kind == "image" else protocol.temporal_frequency_hz,
        "surround_turn_deg": 0.0,
    }
    rows = rows.assign(**{name: v for name, v in defaults.items() if name not in rows})
    rows["surround_direction_deg"] = (rows["direction_deg"] + rows["surround_turn_deg"]) % 360
    if "surround_phase_deg" not in rows:
        # A quarter cycle off, so that no surround is in phase with its center by design.
        rows["surround_phase_deg"] = (rows["phase_deg"] + 90) % 360
    return _into_trials(protocol, screen, kind, rows)


def _into_trials(
    protocol: GratingProtocol, screen: Screen, kind: Kind, rows: pd.DataFrame
) -> pd.DataFrame:
    """Add trial and onset; several patterns a trial come in a seeded order, the same at each site.

    Patterns that do not fill the last trial leave gray.
    """
    if kind == "image":
        return rows.assign(trial=np.arange(len(rows)), onset_frame=0)
    onsets = np.array(protocol.onset_frames(screen))
    if len(onsets) > 1:
        order = np.random.default_rng([protocol.seed, 11]).permutation(len(rows))
        rows = rows.iloc[order].reset_index(drop=True)
    trial, pattern = np.divmod(np.arange(len(rows)), len(onsets))
    return rows.assign(trial=trial, onset_frame=onsets[pattern])


def blank_once(conditions: pd.DataFrame) -> pd.DataFrame:
    """Return conditions of images with the first blank, contrast 0, alone: it has no phase."""
    is_again = (conditions["contrast"] == 0).cumsum().gt(1) & (conditions["contrast"] == 0)
    once = conditions[~is_again].reset_index(drop=True)
    return once.assign(trial=np.arange(len(once)))


def grating_stimuli(
    protocol: GratingProtocol, screen: Screen, kind: Kind, conditions: pd.DataFrame
) -> Stimuli:
    """Return the stimuli of conditions as :func:`grating_conditions` lays them out."""
    if kind == "image":
        return Stimuli(kind, screen, conditions, lambda rows: grating_patches(screen, rows))
    frames = screen.frames(protocol.stimulus_s)
    return Stimuli(
        kind,
        screen,
        conditions,
        lambda rows: grating_patches(screen, rows, frame_count=frames),
        pattern_frames=frames,
        trial_frames=protocol.trial_frames(screen),
    )


def average_over(
    values: np.ndarray[Any, Any], conditions: pd.DataFrame, keys: Sequence[str]
) -> tuple[pd.DataFrame, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Average presentations of equal parameters.

    Parameters
    ----------
    values : float array, shape (presentation, neuron, …)
        As :meth:`~insilico.experiments.presentations.Presentations.collected` returns them.
    conditions : DataFrame, one row a presentation
        Holds the keys. NaN is a level like any other, so that no presentation is lost.
    keys : sequence of str
        Parameters by which presentations are told apart.

    Returns
    -------
    levels : DataFrame, one row a cell
        The keys, sorted, and ``count``, presentations in the cell.
    mean : float array, shape (cell, neuron, …)
    spread : float array, shape (cell, neuron, …)
        Standard deviation over the presentations (ddof 1); NaN for a single one. Without trial
        noise it is a spread over phases and directions, and no standard error comes of it.
    """
    cell = conditions.groupby(list(keys), sort=True, dropna=False).ngroup().to_numpy()
    cells = [np.flatnonzero(cell == number) for number in range(cell.max() + 1)]
    mean = np.stack([values[rows].mean(axis=0) for rows in cells])
    spread = np.stack(
        [
            values[rows].std(axis=0, ddof=1) if len(rows) > 1 else np.full_like(values[0], np.nan)
            for rows in cells
        ]
    )
    firsts = [rows[0] for rows in cells]
    levels = conditions[list(keys)].iloc[firsts].reset_index(drop=True)
    return levels.assign(count=[len(rows) for rows in cells]), mean, spread
