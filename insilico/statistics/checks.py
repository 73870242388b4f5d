"""What every test and interval asks of its arguments, in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


def check_count(count: int, what: str) -> None:
    """Refuse to draw nothing.

    Parameters
    ----------
    count : int
        Number of draws or shuffles.
    what : str
        Its name in the message, in the plural.

    Raises
    ------
    UnitsError
        If ``count`` is below 1.
    """
    if count < 1:
        raise UnitsError(f"{count!r} {what}; give at least 1, better 1000 or more")


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is no probability, such as 95.

    Raises
    ------
    UnitsError
        If ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise UnitsError(f"a confidence of {confidence!r}; give one between 0 and 1, such as 0.95")


def matching_rows(
    first: ArrayLike, second: ArrayLike, trial: ArrayLike | None
) -> tuple[FloatArray, FloatArray, np.ndarray[Any, Any]]:
    """Return two traces in double precision and the trial of each row.

    Parameters
    ----------
    first, second : float array, shape (row,)
        Matching values.
    trial : array, shape (row,), optional
        The trial of each row; each row is its own when left out.

    Returns
    -------
    first, second : float array, shape (row,)
    trial : array, shape (row,)

    Raises
    ------
    ShapeError
        If the shapes disagree.
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    labels = np.arange(len(np.atleast_1d(one))) if trial is None else np.asarray(trial)
    if one.ndim != 1 or two.shape != one.shape or labels.shape != one.shape:
        raise ShapeError(
            f"traces of shapes {one.shape} and {two.shape} with trials of shape {labels.shape}; "
            "give two values and a trial a row"
        )
    return one, two, labels


def check_labels(values: FloatArray, label: ArrayLike | None, what: str) -> np.ndarray[Any, Any]:
    """Return the group of each value as 0, 1, ...; all in one group when left out.

    Parameters
    ----------
    values : float array, shape (neuron, ...)
    label : array, shape (neuron,), optional
        Any labels that can be sorted.
    what : str
        Their name in the message.

    Returns
    -------
    int array, shape (neuron,)

    Raises
    ------
    ShapeError
        If there is not one label a value.
    """
    if label is None:
        return np.zeros(len(values), np.int64)
    labels = np.asarray(label)
    if labels.shape != values.shape[:1]:
        raise ShapeError(
            f"{what} labels of shape {labels.shape} for values of shape {values.shape}; give one "
            "label a value"
        )
    return np.unique(labels, return_inverse=True)[1].ravel()
