"""Writing a ``.npy`` file row by row when the number of rows is not known beforehand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from insilico.recordings.npy import MAGIC

Array = np.ndarray[Any, Any]

#: Room for the header, which is written last; a multiple of 64, as the format wants.
HEADER_BYTES = 128

#: Rows that are copied together when the type of a file changes.
ROWS_AT_ONCE = 256


class RowWriter:
    """A ``.npy`` file that grows by rows and holds no more in memory than is being written.

    Written through the file and not through a memory map: on a full disk this raises an error,
    whereas a memory map ends the process.

    Parameters
    ----------
    path : Path
        The file; it is replaced.
    row_shape : tuple of int
        Shape of one row.
    dtype : dtype
        Type on disk.

    Attributes
    ----------
    rows : int
        Rows written.
    """

    def __init__(self, path: Path, *, row_shape: tuple[int, ...], dtype: Any) -> None:
        self.path, self.row_shape, self.dtype = path, row_shape, np.dtype(dtype)
        self.rows = 0
        self._file = path.open("wb")
        self._file.write(bytes(HEADER_BYTES))

    def write(self, rows: Array) -> None:
        """Append rows, shape (row, *row_shape)."""
        self._file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.rows += len(rows)

    def close(self) -> None:
        """Write the header and close the file; a file without it cannot be read."""
        if self._file.closed:
            return
        shape = (self.rows, *self.row_shape)
        text = f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
        header = text.ljust(HEADER_BYTES - 11).encode() + b"\n"
        try:
            self._file.seek(0)
            self._file.write(MAGIC + b"\x01\x00" + len(header).to_bytes(2, "little") + header)
        finally:
            self._file.close()


class LevelWriter:
    """Gray levels as uint8 for as long as all are whole numbers 0-255, else as float32.

    Parameters
    ----------
    path : Path
        The file; it is replaced.
    row_shape : tuple of int
        Channels, rows and columns of a frame.
    """

    def __init__(self, path: Path, *, row_shape: tuple[int, ...]) -> None:
        self.path = path
        self._writer = RowWriter(path, row_shape=row_shape, dtype=np.uint8)

    @property
    def rows(self) -> int:
        """Rows written."""
        return self._writer.rows

    def write(self, rows: Array) -> None:
        """Append frames, shape (row, channel, y, x)."""
        if self._writer.dtype == np.uint8 and not is_whole(rows):
            self._change_to_float()
        self._writer.write(rows)

    def close(self) -> None:
        """Write the header and close the file."""
        self._writer.close()

    def _change_to_float(self) -> None:
        """Start the file again with what it has, once."""
        whole = self._writer
        whole.close()
        draft = self.path.with_suffix(".float32.npy")
        self._writer = RowWriter(draft, row_shape=whole.row_shape, dtype=np.float32)
        if whole.rows:
            written = np.load(self.path, mmap_mode="r")
            for start in range(0, whole.rows, ROWS_AT_ONCE):
                self._writer.write(written[start : start + ROWS_AT_ONCE])
        # The open file keeps its place under its new name.
        draft.replace(self.path)


def is_whole(levels: Array) -> bool:
    """Whether all gray levels are whole numbers 0-255."""
    if levels.dtype == np.uint8:
        return True
    return bool(levels.min() >= 0 and levels.max() <= 255 and np.all(levels == np.rint(levels)))


@contextlib.contextmanager
def closing(*writers: RowWriter | LevelWriter | None) -> Iterator[None]:
    """Close the files when the block has ended, whether well or not."""
    try:
        yield
    finally:
        for writer in writers:
            if writer is not None:
                writer.close()
