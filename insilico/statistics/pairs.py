"""All pairs of neurons of a mouse, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError
from insilico.statistics.checks import check_labels
from insilico.statistics.distance_bins import Binning

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Pairs in one block, which bounds memory: 2 million are 16 MB an array, and about ten arrays.
BLOCK_PAIRS = 2_000_000
#: A curve that varies by less than this fraction of its largest value is constant but for rounding.
CONSTANT_TOLERANCE = 1e-12


class Neurons(NamedTuple):
    """Neurons that make pairs, in the order of x."""

    #: pair of float array, shape (neuron, stimulus): without their mean and of length one, so that
    #: products are correlations. Twice the same array where there is one set of trials.
    curves: tuple[FloatArray, FloatArray]
    #: float array, shape (neuron, 3): x, y and depth, µm.
    position_um: FloatArray
    #: int array, shape (neuron,): 0, 1, ... for the mice.
    mouse: IntArray

    def choose(self, neurons: Any) -> Neurons:
        """Return some of the neurons."""
        one, two = self.curves
        first = one[neurons]
        curves = (first, first if one is two else two[neurons])
        return Neurons(curves, self.position_um[neurons], self.mouse[neurons])

    def by_mouse(self) -> list[Neurons]:
        """Return the neurons of each mouse."""
        return [self.choose(self.mouse == mouse) for mouse in np.unique(self.mouse)]


def usable_neurons(
    curves: ArrayLike,
    other_curves: ArrayLike | None,
    position_um: ArrayLike,
    mouse: ArrayLike | None,
) -> Neurons:
    """Return the neurons whose curve varies and is finite and whose position is known.

    Parameters
    ----------
    curves, other_curves : float array, shape (neuron, stimulus)
        Responses, arbitrary units; the second from other trials, or None.
    position_um : float array, shape (neuron, 3)
        x, y and depth, µm.
    mouse : array, shape (neuron,), optional
        The mouse of each neuron; one mouse when left out.

    Returns
    -------
    Neurons

    Raises
    ------
    ShapeError
        If the shapes disagree or there are fewer than two stimuli.
    """
    one = np.asarray(curves, float)
    two = one if other_curves is None else np.asarray(other_curves, float)
    position = np.asarray(position_um, float)
    if one.ndim != 2 or one.shape[1] < 2 or two.shape != one.shape:
        raise ShapeError(
            f"curves of shapes {one.shape} and {two.shape}; give (neuron, stimulus) with at least "
            "two stimuli"
        )
    if position.shape != (len(one), 3):
        raise ShapeError(
            f"positions of shape {position.shape} for {len(one)} neurons; give x, y and depth "
            "of each"
        )
    labels = check_labels(position, mouse, "mouse")
    unit_one = _unit_curves(one)
    unit_two = unit_one if two is one else _unit_curves(two)
    usable = np.isfinite(unit_one).all(1) & np.isfinite(unit_two).all(1)
    usable &= np.isfinite(position).all(1)
    # In the order of x, neurons too far from a block to share a bin with it come last.
    order = np.argsort(position[:, 0], kind="stable")
    everyone = Neurons((unit_one, unit_two), position, labels)
    return everyone.choose(order[usable[order]])


def pair_blocks(
    binning: Binning, position_um: FloatArray
) -> Iterator[tuple[slice, slice, IntArray]]:
    """Yield the bins of all pairs that can be in one, block by block.

    Parameters
    ----------
    binning : Binning
        Bins of distance.
    position_um : float array, shape (neuron, 3)
        Of one mouse, by increasing x, µm.

    Yields
    ------
    rows, columns : slice
        The neurons of the block.
    bins : int array, shape (row, column)
        ``binning.count`` for pairs in no bin, and for those that another place holds: each pair
        comes once, and no neuron with itself.
    """
    x_um, first = position_um[:, 0], 0
    while first < len(x_um):
        last = min(first + max(1, BLOCK_PAIRS // (len(x_um) - first)), len(x_um))
        end = int(np.searchsorted(x_um, x_um[last - 1] + binning.largest_um, side="right"))
        near, far = position_um[first:last, None], position_um[None, first:end]
        horizontal = np.sqrt((near[..., 0] - far[..., 0]) ** 2 + (near[..., 1] - far[..., 1]) ** 2)
        bins = binning.find(horizontal, np.abs(near[..., 2] - far[..., 2]))
        bins[np.tril_indices(bins.shape[0], m=bins.shape[1])] = binning.count
        yield slice(first, last), slice(first, end), bins
        first = last


def _unit_curves(curves: FloatArray) -> FloatArray:
    """Return curves without their mean and of length one; NaN where constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        centered = curves - curves.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centered, axis=1, keepdims=True)
        largest = np.abs(curves).max(axis=1, keepdims=True)
        unit: FloatArray = np.where(
            length > CONSTANT_TOLERANCE * largest, centered / length, np.nan
        )
    return unit
