"""Select on some trials, test on others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError

IntArray = np.ndarray[Any, np.dtype[np.int64]]


class TrialSplit(NamedTuple):
    """Two disjoint halves of the trials."""

    #: int64 array, shape (trial,): indices of the trials to select neurons on, increasing.
    selection: IntArray
    #: int64 array, shape (trial,): indices of the trials to test the selected neurons on.
    test: IntArray


def split_trials(condition: ArrayLike, *, seed: int | Sequence[int]) -> TrialSplit:
    """Split trials at random into halves that hold every condition equally often.

    Neurons chosen because their trials show an effect show it in these trials whether it is real
    or not. Choose them on one half, then measure and test the effect on the other.

    Parameters
    ----------
    condition : array, shape (trial,) or (trial, parameter)
        What was shown in each trial: a label, or a row of parameters.
    seed : int or sequence of int
        Of the split.

    Returns
    -------
    TrialSplit
        Within a condition, and in all, the halves differ by at most one trial.

    Raises
    ------
    ShapeError
        If there is no trial, or a condition has only one.

    References
    ----------
    Kriegeskorte et al. 2009, doi:10.1038/nn.2303 (circular analysis).
    """
    labels = np.asarray(condition)
    if labels.ndim not in (1, 2) or labels.size == 0:
        raise ShapeError(
            f"conditions of shape {labels.shape}; give a label, or a row of parameters, a trial"
        )
    _, index, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        raise ShapeError(
            f"{int((counts < 2).sum())} of {len(counts)} conditions have a single trial; give at "
            "least two of each, or leave those conditions out"
        )
    rng = np.random.default_rng(seed)
    # Trials in random order within conditions, conditions in random order: dealt to the halves in
    # turn, odd ones fall to each half in turn too.
    order = np.lexsort((rng.random(len(labels)), rng.permutation(len(counts))[index.ravel()]))
    halves = np.sort(order[0::2]), np.sort(order[1::2])
    swap = int(rng.integers(2))
    return TrialSplit(halves[swap], halves[1 - swap])
