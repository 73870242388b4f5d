"""Tuning similarity over cortex: how alike are neurons that lie close together.

Nothing is shown: the tuning curves are those of a direction result, of a twin or of a recording.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import xarray as xr

from insilico.errors import ProtocolError
from insilico.experiments.experiment import Accumulator, Block, Experiment, Setting
from insilico.experiments.protocols import Protocol, require
from insilico.experiments.similarity_pairs import (
    column_table,
    correlate_pairs,
    mean_over_pairs,
    neighbor_pairs,
    pair_tables,
)
from insilico.experiments.similarity_population import (
    INDICES,
    population_table,
    selectivity_table,
)
from insilico.experiments.similarity_tuning import MEASURES, Tuning, positions_um, read_tuning
from insilico.experiments.sites import Site
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind, Stimuli

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: What each value of ``status`` means.
STATUS = {
    "ok": "passes the filter, and takes part in all pairs",
    "not_selective": "does not pass the filter of the protocol",
    "no_index": "direction found no selectivity index: silent, or a response is not finite",
    "no_position": "its place in cortex is not known",
}
#: Nearest neighbors of each neuron that the arrays keep, to look at.
NEAREST_KEPT = 8


@dataclasses.dataclass(frozen=True)
class SimilarityProtocol(Protocol):
    """Values of ``experiments/similarity.toml``; the file explains each.

    Parameters
    ----------
    selected_by : {"osi", "dsi"}
        Index by which neurons are selected, for all numbers and figures alike.
    test : {"q", "p"}
        Where direction tested the index over trials: by q-value (false discovery) or p-value.
    test_level : float
        Highest q- or p-value of a selected neuron.
    tested_minimum_index, untested_minimum_index : float
        Lowest index of a selected neuron, beside a test, and where there is none.
    split_trials : bool
        Correlate one neuron's curve with the other's from other trials, where trials repeat.
    binning : {"edges", "published"}
        Bins by the edges, or those of the published table, which leave the edges aside.
    horizontal_edges_um, vertical_edges_um : tuple of float
        Of the bins of distance across cortex and in depth.
    column_edges_um : tuple of float
        Of the narrow bins across cortex that are tested against chance.
    column_depth_um : float
        Depth difference from which pairs count as lying along depth.
    shuffle_count : int
        Shuffles of these tests.
    neighbor_um : float
        Horizontal distance up to which a neuron is a neighbor.
    map_step_um, depth_step_um : float
        Bins of selectivity along the cortical coordinates.
    """

    selected_by: Literal["osi", "dsi"]
    test: Literal["q", "p"]
    test_level: float
    tested_minimum_index: float
    untested_minimum_index: float
    split_trials: bool
    binning: Literal["edges", "published"]
    horizontal_edges_um: tuple[float, ...]
    vertical_edges_um: tuple[float, ...]
    column_edges_um: tuple[float, ...]
    column_depth_um: float
    shuffle_count: int
    neighbor_um: float
    map_step_um: float
    depth_step_um: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.test_level <= 1, "test_level lies in (0, 1]")
        require(0 <= self.tested_minimum_index <= 1, "tested_minimum_index lies in [0, 1]")
        require(0 <= self.untested_minimum_index <= 1, "untested_minimum_index lies in [0, 1]")
        for name in ("horizontal_edges_um", "vertical_edges_um", "column_edges_um"):
            edges = np.array(getattr(self, name))
            is_rising = len(edges) >= 2 and edges[0] >= 0 and bool((np.diff(edges) > 0).all())
            require(is_rising, f"{name} must be two or more numbers that increase from 0 or more")
        # A decay has three parameters, and with as many bins it fits anything.
        require(len(self.horizontal_edges_um) >= 5, "give five or more horizontal_edges_um")
        for name in ("column_depth_um", "neighbor_um", "map_step_um", "depth_step_um"):
            require(getattr(self, name) > 0, f"{name} must be above 0")
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")


class Unasked(Accumulator):
    """Of an experiment that shows nothing."""

    def add(self, block: Block) -> None:
        """Leave responses aside."""

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return nothing."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up nothing."""


class Similarity(Experiment[SimilarityProtocol]):
    """Tuning similarity and signal correlation against distance in cortex.

    References
    ----------
    Ringach et al. 2016, doi:10.1038/ncomms12270. Published analysis: ViV1T-closed-loop,
    tuning_direction/estimate_tuning_similarity.py and visualize_tuning_similarity.py. Changed: bins
    are labeled by what they hold, chance is shuffled places and no sample of pairs, errors leave
    out neurons and not pairs, and correlations are across halves of the trials.
    """

    name = "similarity"
    protocol_type = SimilarityProtocol
    summary_columns = ("osi", "dsi", *(f"neighbor_{measure}" for measure in MEASURES))
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {"shuffle_count": 50}

    def requires(self, protocol: SimilarityProtocol, kind: Kind) -> tuple[str, ...]:
        """Return direction, whose curves are compared."""
        return ("direction",)

    def sites(self, setting: Setting[SimilarityProtocol]) -> list[Site]:
        """Return no site, and refuse neurons without places."""
        positions_um(setting.neurons)
        return []

    def stimuli(
        self, protocol: SimilarityProtocol, screen: Screen, kind: Kind, site: Site | None = None
    ) -> Stimuli:
        """Return no stimulus."""
        nothing = pd.DataFrame({"trial": np.zeros(0, int), "onset_frame": np.zeros(0, int)})
        return Stimuli(kind, screen, nothing, lambda rows: np.zeros((0, *screen.shape), np.uint8))

    def window(
        self, protocol: SimilarityProtocol, screen: Screen, kind: Kind
    ) -> tuple[int, int] | None:
        """Return no window."""
        return None

    def accumulator(self, setting: Setting[SimilarityProtocol]) -> Unasked:
        """Return what takes in nothing."""
        return Unasked()

    def conclude(
        self, accumulator: Accumulator, setting: Setting[SimilarityProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Compare the curves of the direction result."""
        if "direction" not in setting.given:
            raise ProtocolError(
                "similarity builds on direction, and no direction result was given; give it as "
                "given={'direction': result}"
            )
        protocol = setting.protocol
        tuning = read_tuning(setting.given["direction"], setting.neurons, protocol)
        pairs, fits = pair_tables(tuning, protocol)
        columns = column_table(tuning, protocol)
        neurons, arrays = _among_neighbors(tuning, setting)
        tables = {
            "neurons": neurons,
            "pairs": pairs,
            "fits": fits,
            "columns": columns,
            "selectivity": selectivity_table(tuning, protocol),
            "population": population_table(tuning, columns, protocol),
        }
        setting.on_done(len(neurons))
        rule, count = tuning.neuron_filter, int(tuning.is_selected.sum())
        return {
            name: table.assign(neuron_filter=rule, selected_neurons=count)
            for name, table in tables.items()
        }, arrays


def _among_neighbors(
    tuning: Tuning, setting: Setting[SimilarityProtocol]
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Return the table of neurons, with how similar their neighbors are, and the nearest."""
    neurons, table = setting.neurons.reset_index(drop=True), tuning.table
    pairs, distance = neighbor_pairs(tuning, radius_um=setting.protocol.neighbor_um)
    by_measure = {
        name: correlate_pairs(compared, pairs) for name, compared in tuning.measures.items()
    }
    tests = [f"{index}_{test}" for index in INDICES for test in ("p", "q")]
    missing = np.full(len(neurons), np.nan)
    measured = {
        "status": _status(tuning),
        "is_selected": tuning.is_selected,
        **{index: table[index].to_numpy(float) for index in INDICES},
        **{name: table[name].to_numpy(float) for name in tests if name in table},
        "preferred_direction_deg": table["preferred_direction_deg"].to_numpy(float),
        "preferred_orientation_deg": table["preferred_orientation_deg"].to_numpy(float),
        "depth_um": tuning.position_um[:, 2],
        "neighbor_count": np.bincount(pairs.ravel(), minlength=len(neurons)),
        **{
            f"neighbor_{name}": mean_over_pairs(pairs, by_measure[name], len(neurons))
            if name in by_measure
            else missing
            for name in MEASURES
        },
        "error_source": "none",
    }
    arrays = _nearest(pairs, distance, by_measure, neuron_count=len(neurons))
    arrays = arrays.assign(curve_shape=_shape(tuning.curve).reset_coords(drop=True))
    arrays = arrays.assign_coords(neuron=neurons["neuron"].to_numpy())
    return pd.concat([neurons, pd.DataFrame(measured)], axis=1), arrays


def _status(tuning: Tuning) -> np.ndarray[Any, Any]:
    has_index = tuning.table["osi"].notna().to_numpy()
    has_place = np.isfinite(tuning.position_um).all(axis=1)
    lost = np.where(has_index, np.where(has_place, "not_selective", "no_position"), "no_index")
    return np.where(tuning.is_selected, "ok", lost)


def _shape(curve: xr.DataArray) -> xr.DataArray:
    """Return the curves as a correlation sees them: without their mean, of standard deviation 1."""
    spread = curve.std(str(curve.dims[1]))
    return (curve - curve.mean(str(curve.dims[1]))) / spread.where(spread > 0)


def _nearest(
    pairs: IntArray,
    distance: FloatArray,
    by_measure: Mapping[str, FloatArray],
    *,
    neuron_count: int,
) -> xr.Dataset:
    """Return the nearest neighbors of each neuron: rows of the table, -1 where there are fewer."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    far = np.tile(distance, 2)
    order = np.lexsort([both[:, 1], far, both[:, 0]])
    owner = both[order, 0]
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    kept = rank < NEAREST_KEPT
    place = owner[kept], rank[kept]
    shape = (neuron_count, NEAREST_KEPT)
    neighbor = np.full(shape, -1)
    neighbor[place] = both[order, 1][kept]
    values = {"neighbor_distance_um": far}
    values |= {f"neighbor_{name}": np.tile(found, 2) for name, found in by_measure.items()}
    arrays = {"neighbor_row": (("neuron", "rank"), neighbor)}
    for name, found in values.items():
        table = np.full(shape, np.nan)
        table[place] = found[order][kept]
        arrays[name] = (("neuron", "rank"), table)
    return xr.Dataset(arrays)
