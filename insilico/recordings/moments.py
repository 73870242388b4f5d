"""Means and variances of data that pass by once, in pieces."""

from __future__ import annotations

from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class StreamingMoments:
    """Mean and population standard deviation over the first axis, piece by piece.

    Each piece is centered on its own mean before it is squared, in double precision, so that a
    large mean costs no digits of a small variance.

    Attributes
    ----------
    count : int
        Rows seen.
    mean : float array, shape (variable,)
        Mean of the rows seen.

    References
    ----------
    Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
    variances", eq. 2.1.
    """

    def __init__(self, variables: int) -> None:
        self.count = 0
        self.mean: FloatArray = np.zeros(variables)
        self._squares: FloatArray = np.zeros(variables)

    def add(self, rows: np.ndarray[Any, Any]) -> None:
        """Take in more rows.

        Parameters
        ----------
        rows : array, shape (row, variable)
            At least one row.
        """
        count = len(rows)
        mean = rows.mean(axis=0, dtype=np.float64)
        squares = np.square(rows - mean).sum(axis=0)
        total = self.count + count
        difference = mean - self.mean
        self.mean = self.mean + difference * (count / total)
        self._squares += squares + np.square(difference) * (self.count * count / total)
        self.count = total

    @property
    def std(self) -> FloatArray:
        """Population standard deviation of the rows seen, 0 before there is one."""
        std: FloatArray = np.sqrt(self._squares / max(self.count, 1))
        return std
