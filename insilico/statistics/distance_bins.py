"""Bins of the distance between two neurons in cortex: horizontal and in depth."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Binning of the published table: distance labels step by 25 and 50 µm, pairs from 175 µm on are
#: left out (ViV1T-closed-loop, tuning_direction/estimate_tuning_similarity.py).
PUBLISHED_HORIZONTAL_STEP_UM = 25.0
PUBLISHED_VERTICAL_STEP_UM = 50.0
PUBLISHED_LARGEST_HORIZONTAL_UM = 175.0


class Binning(Protocol):
    """Bins of horizontal and vertical distance."""

    #: Width of the horizontal range, µm: pairs at or beyond it are in no bin.
    largest_um: float
    #: Labels of the bins, µm: columns of the table and their values, one a bin.
    labels: dict[str, FloatArray]

    @property
    def count(self) -> int:
        """Number of bins."""

    def find(self, horizontal_um: FloatArray, vertical_um: FloatArray) -> IntArray:
        """Return the bin of each pair, or the number of bins where there is none."""


class EdgeBinning:
    """Half-open bins between edges: a distance that equals an edge lies above it.

    Parameters
    ----------
    horizontal_edges_um, vertical_edges_um : float array, shape (bin + 1,)
        Increasing, from 0 or more, µm.

    Raises
    ------
    UnitsError
        If they do not increase from 0 or more.
    """

    def __init__(self, horizontal_edges_um: ArrayLike, vertical_edges_um: ArrayLike) -> None:
        self.horizontal = _check_edges(horizontal_edges_um, "horizontal")
        self.vertical = _check_edges(vertical_edges_um, "vertical")
        self.largest_um = float(self.horizontal[-1])
        self.labels: dict[str, FloatArray] = {}
        pairs = {"horizontal": self.horizontal, "vertical": self.vertical}
        low = np.meshgrid(*(edges[:-1] for edges in pairs.values()), indexing="ij")
        high = np.meshgrid(*(edges[1:] for edges in pairs.values()), indexing="ij")
        for name, lowest, highest in zip(pairs, low, high, strict=True):
            self.labels[f"{name}_um"] = (lowest.ravel() + highest.ravel()) / 2
            self.labels[f"{name}_low_um"] = lowest.ravel()
            self.labels[f"{name}_high_um"] = highest.ravel()

    @property
    def count(self) -> int:
        """Number of bins."""
        return (len(self.horizontal) - 1) * (len(self.vertical) - 1)

    def find(self, horizontal_um: FloatArray, vertical_um: FloatArray) -> IntArray:
        """Return the bin of each pair, or the number of bins where there is none."""
        rows, columns = len(self.horizontal) - 1, len(self.vertical) - 1
        row = np.searchsorted(self.horizontal, horizontal_um, side="right") - 1
        column = np.searchsorted(self.vertical, vertical_um, side="right") - 1
        is_outside = (row < 0) | (row >= rows) | (column < 0) | (column >= columns)
        row *= columns
        row += column
        row[is_outside] = self.count
        return row


class PublishedBinning:
    """The published labels, rounded half to even; those of d lie 25 µm above the bins' centers.

    Parameters
    ----------
    position_um : float array, shape (neuron, 3)
        Their range of depth decides the number of bins, µm.

    References
    ----------
    ViV1T-closed-loop, tuning_direction/estimate_tuning_similarity.py.
    """

    def __init__(self, position_um: FloatArray) -> None:
        self.largest_um = PUBLISHED_LARGEST_HORIZONTAL_UM
        depth = position_um[:, 2]
        steps = int(np.rint(np.ptp(depth) / PUBLISHED_VERTICAL_STEP_UM)) if len(depth) else 0
        self.shape = (round(self.largest_um / PUBLISHED_HORIZONTAL_STEP_UM) + 1, steps + 1)
        row, column = np.indices(self.shape)
        self.labels: dict[str, FloatArray] = {
            "d_um": np.asarray(PUBLISHED_HORIZONTAL_STEP_UM * (row.ravel() + 1), float),
            "v_um": np.asarray(PUBLISHED_VERTICAL_STEP_UM * column.ravel(), float),
        }

    @property
    def count(self) -> int:
        """Number of bins."""
        return self.shape[0] * self.shape[1]

    def find(self, horizontal_um: FloatArray, vertical_um: FloatArray) -> IntArray:
        """Return the bin of each pair, or the number of bins where there is none."""
        row = np.rint(horizontal_um / PUBLISHED_HORIZONTAL_STEP_UM).astype(np.int64)
        column = np.rint(vertical_um / PUBLISHED_VERTICAL_STEP_UM).astype(np.int64)
        row *= self.shape[1]
        row += column
        row[horizontal_um >= self.largest_um] = self.count
        return row


def _check_edges(edges_um: ArrayLike, name: str) -> FloatArray:
    edges = np.asarray(edges_um, float)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all() or edges[0] < 0:
        raise UnitsError(
            f"{name} edges {np.array2string(edges, threshold=12)} µm; give at least two that "
            "increase from 0 or more"
        )
    return edges
