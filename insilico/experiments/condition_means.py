"""Mean responses to every condition, over all trials and over halves of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def condition_means(
    responses: FloatArray,
    conditions: pd.DataFrame,
    keys: Sequence[str],
    *,
    has_trial_noise: bool,
) -> xr.Dataset:
    """Average presentations within equal conditions.

    Parameters
    ----------
    responses : float array, shape (presentation, neuron)
        One number a presentation.
    conditions : DataFrame, one row a presentation
        ``trial``, ``onset_frame`` and the keys.
    keys : sequence of str
        What makes two conditions equal.
    has_trial_noise : bool
        Whether halves of the trials are worth having.

    Returns
    -------
    Dataset
        ``condition_mean`` (neuron, condition) with the coordinates ``condition_<key>``. With trial
        noise also ``condition_mean_half`` (half, neuron, condition), as :func:`halves_of_trials`
        splits them; NaN where no trial of a half shows a condition.
    """
    values = pd.DataFrame(responses)
    labels = [conditions[key].to_numpy() for key in keys]
    means = values.groupby(labels).mean()
    levels = means.index.to_frame(index=False).set_axis(list(keys), axis=1)
    coordinates = {f"condition_{key}": ("condition", levels[key].to_numpy(float)) for key in levels}
    arrays = xr.Dataset(
        {"condition_mean": (("neuron", "condition"), means.to_numpy().T)}, coords=coordinates
    )
    if has_trial_noise:
        half = halves_of_trials(conditions, keys)
        parts = [
            values[half == which]
            .groupby([label[half == which] for label in labels])
            .mean()
            .reindex(means.index)
            .to_numpy()
            .T
            for which in (0, 1)
        ]
        arrays["condition_mean_half"] = (("half", "neuron", "condition"), np.stack(parts))
    return arrays


def halves_of_trials(conditions: pd.DataFrame, keys: Sequence[str]) -> IntArray:
    """Return the half of each presentation, 0 or 1; a trial is whole in one of them.

    Trials that show the same go to the halves in turn; those that nothing repeats, too, in their
    order. Whatever neurons share within a trial then stays within one half.

    Parameters
    ----------
    conditions : DataFrame, one row a presentation
        ``trial``, ``onset_frame`` and the keys.
    keys : sequence of str
        What makes two presentations show the same.

    Returns
    -------
    int array, shape (presentation,)
    """
    shown = pd.DataFrame(
        {
            "trial": conditions["trial"].to_numpy(),
            "onset_frame": conditions["onset_frame"].to_numpy(),
            "what": conditions.groupby(list(keys)).ngroup().astype(str).to_numpy(),
        }
    )
    programs = shown.sort_values(["trial", "onset_frame"]).groupby("trial")["what"].agg("-".join)
    number, _ = pd.factorize(programs)
    turn = programs.groupby(number).cumcount().to_numpy() + number
    halves = pd.Series(turn % 2, index=programs.index)
    return shown["trial"].map(halves).to_numpy(np.int64)
