"""Tables of similarity: by distance with fitted decays, in narrow columns, and among neighbors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from insilico.experiments.similarity_tuning import Compared, Tuning
from insilico.fits.curves import CURVE_STATUS
from insilico.fits.decay import DECAY_COLUMNS, fit_decay
from insilico.statistics.correlation import correlate_rows
from insilico.statistics.pairs import usable_neurons
from insilico.statistics.similarity_profile import SimilarityProfile, similarity_profile
from insilico.statistics.similarity_shuffle import similarity_shuffle_test

if TYPE_CHECKING:
    from insilico.experiments.similarity import SimilarityProtocol

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: A fitted decay has three parameters; with fewer distances than one more it says nothing.
MINIMUM_DISTANCES = 4
#: Steps with which the fit's answer to each mean is found: far above rounding, far below noise.
STEP = 1e-4
#: What each value of ``status`` of a fitted decay means.
FIT_STATUS = {
    **CURVE_STATUS,
    "too_few_distances": "fewer than four distances have pairs; no parameters",
}
#: Columns that say which profile a row belongs to.
PROFILE = ("vertical_um", "vertical_low_um", "vertical_high_um", "is_pooled")


def pair_tables(tuning: Tuning, protocol: SimilarityProtocol) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mean similarity of all pairs of selected neurons by distance, and its decay.

    Returns
    -------
    pairs : DataFrame
        One row a measure and bin: ``measure`` and the columns of
        :func:`insilico.statistics.similarity_profile.similarity_profile`, and ``chance``.
    fits : DataFrame
        One row a measure and depth difference, and one for all (``is_pooled``): the columns of
        :func:`insilico.fits.decay.fit_decay`, with errors that leave out one neuron at a time.
    """
    pairs, fits = [], []
    position = tuning.position_um[tuning.is_selected]
    for name, compared in tuning.measures.items():
        chosen = compared.choose(tuning.is_selected)
        profile = similarity_profile(
            chosen.curves,
            position,
            other_curves=chosen.other_curves,
            horizontal_edges_um=protocol.horizontal_edges_um,
            vertical_edges_um=protocol.vertical_edges_um,
            is_published=protocol.binning == "published",
        )
        told = {"measure": name, "trials": chosen.trials}
        pairs.append(_with(profile.table.assign(chance=chance_similarity(chosen)), told))
        fits.append(_with(fit_profiles(profile), told))
    return pd.concat(pairs, ignore_index=True), pd.concat(fits, ignore_index=True)


def chance_similarity(compared: Compared) -> float:
    """Return the mean similarity of all pairs: what shuffled places give on average in every bin.

    What neurons have in common wherever they lie is part of it. NaN with fewer than two curves.
    """
    anywhere = np.zeros((len(compared.curves), 3))
    one, two = usable_neurons(compared.curves, compared.other_curves, anywhere, None).curves
    count = len(one)
    if count < 2:
        return float("nan")
    alone = float(np.einsum("ns,ns->", one, two))
    return (float(one.sum(axis=0) @ two.sum(axis=0)) - alone) / (count * (count - 1))


def fit_profiles(profile: SimilarityProfile) -> pd.DataFrame:
    """Fit a decay to every profile, weighted by its pairs.

    Parameters
    ----------
    profile : SimilarityProfile
        Of one measure.

    Returns
    -------
    DataFrame, one row a profile
        The depth difference; ``amplitude``, ``length_um``, ``offset`` and their standard errors
        ``*_se``, from leaving out one neuron at a time, seen through the fit; ``r2``; ``status``;
        ``pair_count``; ``error_source``.
    """
    shape = profile.covariance.shape[:2]
    distance = profile.table["even_horizontal_um"].to_numpy()[: shape[1]]
    mean, count = (
        profile.table[name].to_numpy(float).reshape(shape) for name in ("mean", "pair_count")
    )
    usable = np.flatnonzero((count > 0).sum(axis=1) >= MINIMUM_DISTANCES)
    fitted = pd.DataFrame(
        {name: np.full(shape[0], np.nan) for name in _fit_columns()},
    ).assign(status="too_few_distances")
    if len(usable):
        here = fit_decay(distance, mean[usable], weights=count[usable])
        errors = _errors(distance, mean[usable], count[usable], profile.covariance[usable])
        is_limit = (here["status"] != "ok").to_numpy()
        for name, error in errors.items():
            here[f"{name}_se"] = np.where(is_limit, np.nan, error)
        fitted = fitted.astype({"status": object})
        fitted.loc[usable, here.columns] = here.to_numpy()
    numbers = fitted[_fit_columns()].astype(float)
    which = profile.table[list(PROFILE)].iloc[:: shape[1]].reset_index(drop=True)
    return pd.concat(
        [
            which,
            numbers,
            pd.DataFrame(
                {
                    "status": fitted["status"].astype(str),
                    "pair_count": count.sum(axis=1).astype(np.int64),
                    "error_source": "neurons",
                }
            ),
        ],
        axis=1,
    )


def _fit_columns() -> list[str]:
    parameters = DECAY_COLUMNS[:3]
    return [*(name + suffix for name in parameters for suffix in ("", "_se")), "r2"]


def _errors(
    distance: FloatArray, mean: FloatArray, count: FloatArray, covariance: FloatArray
) -> dict[str, FloatArray]:
    """Return errors of the parameters: those of the means, through the slope of the fit."""
    profiles, bins = mean.shape
    steps = STEP * np.stack([np.eye(bins), -np.eye(bins)])
    moved = mean + steps[:, :, None]
    weights = np.broadcast_to(count, moved.shape).reshape(-1, bins)
    fit = fit_decay(distance, moved.reshape(-1, bins), weights=weights)
    # A bin without pairs has no mean, no weight and no part in the error.
    known = np.where(count[:, :, None] * count[:, None, :] > 0, covariance, 0.0)
    errors = {}
    for name in DECAY_COLUMNS[:3]:
        up, down = fit[name].to_numpy().reshape(2, bins, profiles)
        slope = ((up - down) / (2 * STEP)).T
        variance = np.einsum("pa,pab,pb->p", slope, known, slope)
        errors[name] = np.sqrt(np.where(variance >= 0, variance, np.nan))
    return errors


def column_table(tuning: Tuning, protocol: SimilarityProtocol) -> pd.DataFrame:
    """Return the similarity of close pairs against chance, in one depth and along depth.

    Returns
    -------
    DataFrame
        One row a measure and bin: its borders, ``mean`` and ``standard_error``, ``chance`` and
        ``chance_sd`` over shuffled places, ``p_value``, ``pair_count``, ``neuron_count``,
        ``shuffle_count``.
    """
    tables = []
    position = tuning.position_um[tuning.is_selected]
    edges: dict[str, Any] = {
        "horizontal_edges_um": protocol.column_edges_um,
        "vertical_edges_um": (0.0, protocol.column_depth_um, np.inf),
    }
    for number, (name, compared) in enumerate(tuning.measures.items()):
        chosen = compared.choose(tuning.is_selected)
        profile = similarity_profile(
            chosen.curves, position, other_curves=chosen.other_curves, **edges
        ).table
        profile = profile[~profile["is_pooled"]]
        test = similarity_shuffle_test(
            chosen.curves,
            position,
            other_curves=chosen.other_curves,
            shuffle_count=protocol.shuffle_count,
            seed=[protocol.seed, number],
            **edges,
        )
        # Bins of the test are by horizontal distance first.
        keys = ["horizontal_low_um", "horizontal_high_um", "vertical_low_um", "vertical_high_um"]
        added = ["chance", "chance_sd", "p_value", "shuffle_count"]
        table = profile.merge(test[keys + added], on=keys)
        table = table[
            [*keys, "mean", "standard_error", *added[:3], "pair_count", "neuron_count", added[3]]
        ]
        told = {"measure": name, "trials": chosen.trials}
        tables.append(_with(table.assign(error_source="neurons"), told))
    return pd.concat(tables, ignore_index=True)


def _with(table: pd.DataFrame, told: dict[str, str]) -> pd.DataFrame:
    """Return a table with constant columns in front."""
    return pd.concat([pd.DataFrame(told, index=table.index), table], axis=1)


def neighbor_pairs(tuning: Tuning, *, radius_um: float) -> tuple[IntArray, FloatArray]:
    """Return the pairs of selected neurons within a horizontal distance, at any depth.

    Returns
    -------
    pairs : int array, shape (pair, 2)
        Rows of the neurons table.
    distance_um : float array, shape (pair,)
        Horizontal.
    """
    rows = np.flatnonzero(tuning.is_selected)
    if len(rows) < 2:
        return np.zeros((0, 2), np.int64), np.zeros(0)
    places = tuning.position_um[rows, :2]
    found = cKDTree(places).query_pairs(radius_um, output_type="ndarray")
    found = found[np.lexsort(found.T[::-1])]
    distance = np.linalg.norm(places[found[:, 0]] - places[found[:, 1]], axis=1)
    return rows[found].astype(np.int64), distance


def correlate_pairs(compared: Compared, pairs: IntArray) -> FloatArray:
    """Return the correlation of each pair, the mean of both ways where trials were split."""
    if len(pairs) == 0:
        return np.zeros(0)
    one, two = pairs.T
    other = compared.curves if compared.other_curves is None else compared.other_curves
    correlation = correlate_rows(compared.curves[one], other[two])
    if compared.other_curves is not None:
        correlation = (correlation + correlate_rows(other[one], compared.curves[two])) / 2
    return correlation


def mean_over_pairs(pairs: IntArray, values: FloatArray, neuron_count: int) -> FloatArray:
    """Return the mean of the values of each neuron's pairs; NaN for neurons without one."""
    known = np.isfinite(values)
    both = pairs[known].T.ravel()
    total = np.bincount(both, np.tile(values[known], 2), minlength=neuron_count)
    count = np.bincount(both, minlength=neuron_count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = total / count
    return mean
