"""Means over presentations with an honest error: of trials where they repeat, else a spread."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.experiment import Setting
from insilico.experiments.gratings import average_over
from insilico.experiments.presentations import Measure, Presentations

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: In what presentations of one condition differ by design; what is left between them is noise.
VARIED = (
    "direction_deg",
    "phase_deg",
    "surround_direction_deg",
    "surround_phase_deg",
    "spatial_frequency_cpd",
    "temporal_frequency_hz",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Averages:
    """Mean responses of some conditions.

    Attributes
    ----------
    levels : DataFrame, one row a condition
        Its parameters and ``count``, its presentations.
    mean : float array, shape (condition, neuron)
        Over variants (directions, phases) of equal weight, however often each was shown.
    error : float array, shape (condition, neuron)
        With trial noise the standard error of the mean. Without it the standard deviation over
        variants, which says how much they differ and is no error of the mean.
    """

    levels: pd.DataFrame
    mean: FloatArray
    error: FloatArray


def average_presentations(
    values: FloatArray, conditions: pd.DataFrame, keys: Sequence[str], *, has_trial_noise: bool
) -> Averages:
    """Average presentations of equal parameters, each variant with equal weight.

    Parameters
    ----------
    values : float array, shape (presentation, neuron)
        As :meth:`~insilico.experiments.presentations.Presentations.collected` returns them.
    conditions : DataFrame, one row a presentation
        Holds the keys and those of :data:`VARIED` in which presentations differ; NaN is a level.
    keys : sequence of str
        Parameters by which conditions are told apart.
    has_trial_noise : bool
        Whether equal presentations differ.

    Returns
    -------
    Averages
        The standard error is that of a mean of means where every variant was shown twice or more;
        where phases were drawn at random, the spread over all presentations divided by the root of
        their number, which counts differences between phases as noise.
    """
    varied = [name for name in VARIED if name in conditions and name not in keys]
    cells, cell_mean, cell_spread = average_over(values, conditions, [*keys, *varied])
    counts = cells["count"].to_numpy(float)
    levels, mean, spread = average_over(cell_mean, cells, keys)
    plain_levels, _, plain_spread = average_over(values, conditions, keys)
    if has_trial_noise:
        plain_count = plain_levels["count"].to_numpy(float)[:, None]
        spread = plain_spread / np.sqrt(plain_count)
        if counts.min() >= 2:
            _, variance, _ = average_over(cell_spread**2 / counts[:, None], cells, keys)
            spread = np.sqrt(variance / levels["count"].to_numpy(float)[:, None])
    return Averages(levels.assign(count=plain_levels["count"]), mean, spread)


def mean_and_baseline(setting: Setting[Any]) -> dict[str, Measure]:
    """Return what is kept of presented gratings.

    Parameters
    ----------
    setting : Setting
        Of a :class:`~insilico.experiments.gratings.GratingProtocol`.

    Returns
    -------
    dict of Measure
        "mean" over the protocol's window and, of movies with gray before each pattern, "before",
        the mean over that gray.
    """
    measures = {"mean": Measure(*setting.protocol.window(setting.screen))}
    before = setting.screen.frames(setting.protocol.before_s)
    if setting.kind == "movie" and before:
        measures["before"] = Measure(-before, 0)
    return measures


def baseline_of(
    presentations: Presentations, blanks: FloatArray, setting: Setting[Any]
) -> FloatArray:
    """Return the mean response to gray: before the patterns of movies, else to blanks.

    Parameters
    ----------
    presentations : Presentations
        With the measures of :func:`mean_and_baseline`.
    blanks : float array, shape (presentation, neuron)
        Responses to blank patterns.
    setting : Setting
        Of the analysis.

    Returns
    -------
    float array, shape (neuron,)
        NaN where neither was shown.
    """
    if "before" in mean_and_baseline(setting):
        blanks = presentations.collected("before")
    if not len(blanks):
        return np.full(len(setting.neurons), np.nan)
    return np.asarray(blanks.mean(axis=0))
