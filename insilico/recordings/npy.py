"""Safe reading of ``.npy`` bytes: nothing is allocated before the header fits the file's size."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, Literal

import numpy as np

from insilico.errors import RecordingError

Array = np.ndarray[Any, Any]

MAGIC = b"\x93NUMPY"

#: Longest header that is read, NumPy's own limit (numpy.lib.format, max_header_size).
HEADER_LIMIT_BYTES = 10_000

#: Bytes of a file that always hold its header if that is not too long.
PREFIX_BYTES = HEADER_LIMIT_BYTES + 12

#: Largest array that is read. One trial of 100,000 neurons and 1,000 frames in double precision has
#: 0.8 GB; what claims to be larger is damaged or hostile.
ARRAY_LIMIT_BYTES = 2**30

#: Booleans, integers, floats and texts. Objects ('O') would be pickles, which can run code;
#: structures and complex numbers are in no recording.
_TYPE = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|[US][1-9]\d{0,3})")

_ENTRY = (
    r"\s*(?:'descr'\s*:\s*'(?P<descr>[^']*)'"
    r"|'fortran_order'\s*:\s*(?P<fortran>True|False)"
    r"|'shape'\s*:\s*\((?P<shape>[\d\s,L]*)\))\s*"
)
_ITEM = re.compile(_ENTRY)


@dataclasses.dataclass(frozen=True)
class Header:
    """What a ``.npy`` file says of itself.

    Parameters
    ----------
    dtype : dtype
        Of the numbers or texts.
    shape : tuple of int
        Length of each axis.
    is_fortran : bool
        Whether the first axis runs fastest.
    offset : int
        Bytes before the first number.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def extent_bytes(self) -> int:
        """Bytes that the numbers would have if no axis were empty; NumPy counts them like this."""
        return math.prod(length for length in self.shape if length) * self.dtype.itemsize


def parse_header(prefix: bytes, *, size: int, what: str) -> Header:
    """Read the header of a ``.npy`` file and hold it to the size of the file.

    Parameters
    ----------
    prefix : bytes
        The first :data:`PREFIX_BYTES` of the file, or all of it if it is shorter.
    size : int
        Bytes of the whole file.
    what : str
        The file's name, for messages.

    Raises
    ------
    RecordingError
        If these are not the bytes of a ``.npy`` file of numbers or texts, the file is cut off or
        too long for its header, or its array is larger than :data:`ARRAY_LIMIT_BYTES`.
    """
    if prefix[:6] != MAGIC or len(prefix) < 10 or prefix[6] not in (1, 2, 3):
        raise RecordingError(
            f"{what} is empty, damaged or no .npy file; fetch or write that file again"
        )
    start = 10 if prefix[6] == 1 else 12
    length = int.from_bytes(prefix[8:start], "little")
    if length > HEADER_LIMIT_BYTES:
        raise RecordingError(
            f"{what} claims a header of {length:,} bytes, at most {HEADER_LIMIT_BYTES:,} are "
            "read; fetch or write that file again"
        )
    header = _parse_text(prefix[start : start + length].decode("latin1"), start + length, what)
    if header.extent_bytes > ARRAY_LIMIT_BYTES:
        raise RecordingError(
            f"{what} claims an array of {header.extent_bytes / 2**30:,.1f} GB, one trial may have "
            f"{ARRAY_LIMIT_BYTES / 2**30:.0f} GB; fetch or write that file again"
        )
    if size != header.offset + header.nbytes:
        state = "cut off" if size < header.offset + header.nbytes else "too long"
        raise RecordingError(
            f"{what} is {state}: {size:,} bytes arrived, its header promises "
            f"{header.offset + header.nbytes:,}; fetch or write that file again"
        )
    return header


def parse_array(header: Header, data: bytes, *, what: str) -> Array:
    """Return the array of a header and the bytes behind it; it cannot be written to.

    Raises
    ------
    RecordingError
        If there are fewer bytes than the header promises, because the file has just shrunk, or a
        text holds what is no character.
    """
    if len(data) != header.nbytes:
        raise RecordingError(f"{what} is cut off: it changed while it was read; start again")
    if header.nbytes == 0:
        return np.empty(header.shape, header.dtype)
    if header.dtype.kind == "U":
        codes = np.frombuffer(data, np.dtype(np.uint32).newbyteorder(header.dtype.byteorder))
        if np.any((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))):
            raise RecordingError(f"{what} holds damaged text; fetch or write that file again")
    order: Literal["C", "F"] = "F" if header.is_fortran else "C"
    return np.frombuffer(data, header.dtype).reshape(header.shape, order=order)


def _parse_text(text: str, offset: int, what: str) -> Header:
    """Read the header's dictionary entry by entry; it is never evaluated."""
    damaged = RecordingError(f"{what} has a damaged .npy header; fetch or write that file again")
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        raise damaged
    values: dict[str, str] = {}
    position, body = 0, body[1:-1].strip().removesuffix(",")
    while position < len(body):
        found = _ITEM.match(body, position)
        if found is None or (found.end() < len(body) and body[found.end()] != ","):
            if "'descr'" in body and re.search(r"'descr'\s*:\s*\[", body):
                raise _foreign_type(what, "a structure")
            raise damaged
        values |= {key: value for key, value in found.groupdict().items() if value is not None}
        position = found.end() + 1
    if values.keys() != {"descr", "fortran", "shape"}:
        raise damaged
    if not _TYPE.fullmatch(values["descr"]):
        raise _foreign_type(what, repr(values["descr"]))
    lengths = [part.strip().rstrip("L") for part in values["shape"].split(",") if part.strip()]
    if not all(length.isdecimal() and len(length) < 16 for length in lengths) or len(lengths) > 8:
        raise damaged
    return Header(
        np.dtype(values["descr"]), tuple(map(int, lengths)), values["fortran"] == "True", offset
    )


def _foreign_type(what: str, type_: str) -> RecordingError:
    return RecordingError(
        f"{what} holds values of type {type_}, numbers or texts were expected (objects are never "
        "loaded, they can run code); save it as a plain array"
    )
