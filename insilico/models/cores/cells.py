"""Cells of a feature map that somebody reads."""

from __future__ import annotations

import dataclasses

from torch import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """Some cells of a map, each once.

    Attributes
    ----------
    index : int64 tensor, shape (cell,)
        Row times the map's columns plus column, rising.
    map_shape : (int, int)
        Rows and columns of the map.
    rows, columns : slice
        The smallest window that holds them; of one cell where there is none to hold.
    """

    index: Tensor
    map_shape: tuple[int, int]
    rows: slice = dataclasses.field(init=False)
    columns: slice = dataclasses.field(init=False)
    _within: Tensor = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        row = self.index.div(self.map_shape[1], rounding_mode="floor")
        column = self.index % self.map_shape[1]
        rows, columns = _window(row), _window(column)
        within = (row - rows.start) * (columns.stop - columns.start) + column - columns.start
        for name, value in (("rows", rows), ("columns", columns), ("_within", within)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Return their number."""
        return len(self.index)

    def take(self, window: Tensor) -> Tensor:
        """Return the cells (…, cell) of the window (…, row, column) that holds them."""
        # A selection even of all: on a CPU torch 2.13 gets gradients of a BatchNorm3d wrong where
        # its input and its gradient lie in memory in different orders, as those of a view may.
        return window.flatten(-2).index_select(-1, self._within)


def _window(positions: Tensor) -> slice:
    if not len(positions):
        return slice(0, 1)
    return slice(int(positions.min()), int(positions.max()) + 1)
