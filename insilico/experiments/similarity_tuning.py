"""What similarity takes from a direction result: curves, means, and who is selective."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from insilico.errors import NotFittedError, ProtocolError
from insilico.experiments.sites import rows_of
from insilico.results import Result

if TYPE_CHECKING:
    from insilico.experiments.similarity import SimilarityProtocol

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Cortical coordinates, micrometers: across cortex and in depth.
COORDINATES = ("x_um", "y_um", "z_um")
#: What is compared between two neurons, in the order of tables and figures.
MEASURES = ("orientation_similarity", "direction_similarity", "signal_correlation")


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """What two neurons are compared by.

    Attributes
    ----------
    curves : float array, shape (neuron, stimulus)
        Mean responses.
    other_curves : float array, shape (neuron, stimulus), or None
        The same from other trials, where the trials were split.
    """

    curves: FloatArray
    other_curves: FloatArray | None = None

    @property
    def trials(self) -> str:
        """What a pair's correlation is of: "all" trials, or those of two "halves"."""
        return "all" if self.other_curves is None else "halves"

    def choose(self, rows: Any) -> Compared:
        """Return some of the neurons."""
        other = self.other_curves
        return Compared(self.curves[rows], None if other is None else other[rows])


@dataclasses.dataclass(frozen=True, eq=False)
class Tuning:
    """A direction result, for the neurons asked about.

    Attributes
    ----------
    table : DataFrame, one row a neuron
        The rows of the direction result.
    position_um : float array, shape (neuron, 3)
        Where they lie.
    is_selected : bool array, shape (neuron,)
        Whether they pass the filter and have a place and a curve: they make the pairs.
    neuron_filter : str
        The filter in words.
    measures : mapping of str to Compared
        By name, of :data:`MEASURES`.
    curve : DataArray, dims (neuron, angle)
        Tuning curves over all trials.
    """

    table: pd.DataFrame
    position_um: FloatArray
    is_selected: BoolArray
    neuron_filter: str
    measures: dict[str, Compared]
    curve: xr.DataArray


def read_tuning(direction: Result, neurons: pd.DataFrame, protocol: SimilarityProtocol) -> Tuning:
    """Return what a direction result says about some neurons.

    Parameters
    ----------
    direction : Result
        Holds all the neurons.
    neurons : DataFrame
        Who is asked about, with their places.
    protocol : SimilarityProtocol
        Says who counts as selective.

    Returns
    -------
    Tuning

    Raises
    ------
    NotFittedError
        If the neurons have no place in cortex, or the result has no means over conditions.
    ProtocolError
        If a neuron is missing from the result, or it has no direction to select by.
    """
    position_um = positions_um(neurons)
    table = rows_of(direction, neurons)
    if "condition_mean" not in direction.arrays:
        raise NotFittedError(
            "the direction result holds no means over conditions, as results of earlier versions "
            "do not; run direction again in a new folder"
        )
    arrays = direction.arrays.isel(neuron=_places(direction, neurons))
    measures = _measures(arrays, split_trials=protocol.split_trials)
    curve = arrays["tuning_curve"]
    passes, neuron_filter = _filter(table, protocol)
    varies = np.ptp(curve.to_numpy(), axis=1) > 0
    is_selected = passes & varies & np.isfinite(position_um).all(axis=1)
    return Tuning(table, position_um, is_selected, neuron_filter, measures, curve)


def positions_um(neurons: pd.DataFrame) -> FloatArray:
    """Return where neurons lie in cortex, x, y and depth.

    Raises
    ------
    NotFittedError
        If that is known of none of them.
    """
    if set(COORDINATES) <= set(neurons):
        position = neurons[list(COORDINATES)].to_numpy(float)
        if len(position) == 0 or np.isfinite(position).all(axis=1).any():
            return position
    there = [name for name in COORDINATES if name in neurons and neurons[name].notna().any()]
    raise NotFittedError(
        f"the neurons have {' and '.join(there) or 'no cortical coordinates'}, and similarity is "
        f"measured against distance across cortex and in depth; give {', '.join(COORDINATES)} in "
        "the model's or recording's table of neurons"
    )


def _places(direction: Result, neurons: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return where neurons are in the arrays of a result that holds them all."""
    keys = ["mouse", "neuron"]
    known = direction.neurons[keys].assign(place=np.arange(len(direction.neurons)))
    return neurons[keys].merge(known, on=keys, how="left")["place"].to_numpy()


def _filter(table: pd.DataFrame, protocol: SimilarityProtocol) -> tuple[BoolArray, str]:
    """Return which neurons count as selective, and the rule."""
    index, test = protocol.selected_by, f"{protocol.selected_by}_{protocol.test}"
    if len(table) and table[index].isna().all() and table["osi"].notna().any():
        raise ProtocolError(
            f"selected_by is {index!r}, and the direction result has none, as still images tell "
            "no direction; give selected_by=osi"
        )
    value = table[index].to_numpy(float)
    if test not in table:
        minimum = protocol.untested_minimum_index
        return value >= minimum, f"{index} >= {minimum:g}"
    passes = table[test].to_numpy(float) <= protocol.test_level
    rule = f"{test} <= {protocol.test_level:g}"
    if protocol.tested_minimum_index > 0:
        passes = passes & (value >= protocol.tested_minimum_index)
        rule += f" and {index} >= {protocol.tested_minimum_index:g}"
    return passes & np.isfinite(value), rule


def _measures(arrays: xr.Dataset, *, split_trials: bool) -> dict[str, Compared]:
    """Return everything two neurons can be compared by; images tell no direction."""
    whole = arrays["tuning_curve"]
    axis = str(whole.dims[1])
    angle_deg = whole[axis].to_numpy().astype(float)
    curves = [whole.to_numpy()]
    signals = [arrays["condition_mean"].to_numpy()]
    if split_trials and "condition_mean_half" in arrays:
        means = np.asarray(arrays["condition_mean_half"].to_numpy(), float)
        of_condition = arrays[f"condition_{axis}"].to_numpy().astype(float)
        half_curves = _average_conditions(means, of_condition, angle_deg)
        # Where nothing repeats, a half lacks some angles; all trials have to do.
        is_whole = np.asarray(np.isfinite(half_curves).all(axis=2))
        if bool(is_whole.any(axis=1).all()):
            curves = list(half_curves)
        shown = np.asarray(np.isfinite(means).any(axis=1))
        both = shown.all(axis=0)
        if both.sum() >= len(angle_deg):
            signals = list(means[..., both])
    measures = {"orientation_similarity": _compared([_fold(c, angle_deg) for c in curves])}
    if axis == "direction_deg":
        measures["direction_similarity"] = _compared(curves)
    return {**measures, "signal_correlation": _compared(signals)}


def _compared(parts: list[FloatArray]) -> Compared:
    return Compared(parts[0], parts[1] if len(parts) > 1 else None)


def _average_conditions(
    means: FloatArray, of_condition: FloatArray, angle_deg: FloatArray
) -> FloatArray:
    """Return curves (half, neuron, angle): means over the conditions of an angle that were shown.

    A condition that one half lacks is missing for all neurons.
    """
    curves = []
    for angle in angle_deg:
        part = means[..., of_condition == angle]
        shown = np.isfinite(part).any(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            curves.append(np.where(shown, part, 0).sum(axis=2) / shown.sum(axis=2))
    return np.stack(curves, axis=-1)


def _fold(curve: FloatArray, angle_deg: FloatArray) -> FloatArray:
    """Return the mean over the directions of each axis of motion: the orientation curve."""
    orientation = np.round(angle_deg % 180, 6)
    axes = np.unique(orientation)
    return np.stack([curve[:, orientation == axis].mean(axis=1) for axis in axes], axis=1)
