"""A folder of arrays that is believed only while it is what was written."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_CONTENTS = "contents.json"

#: What reading a damaged folder raises.
_FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError)


def save_arrays(
    folder: Path, *, contents: Mapping[str, Any], arrays: Mapping[str, Array], mapped: Sequence[str]
) -> None:
    """Save small arrays beside large ones, and what is needed to notice damage.

    Parameters
    ----------
    folder : Path
        Must exist.
    contents : mapping
        Anything JSON can hold.
    arrays : mapping of str to array
        Saved as ``<name>.npy`` with a checksum.
    mapped : sequence of str
        Large ``<name>.npy`` that lie there already; their sizes are noted.
    """
    checksums = {}
    for name, values in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        (folder / f"{name}.npy").write_bytes(buffer.getvalue())
        checksums[name] = zlib.crc32(buffer.getvalue())
    sizes = {name: (folder / f"{name}.npy").stat().st_size for name in mapped}
    text = json.dumps({**contents, "checksums": checksums, "sizes": sizes}, sort_keys=True)
    (folder / _CONTENTS).write_text(
        json.dumps({"checksum": zlib.crc32(text.encode()), "contents": text})
    )


def load_arrays(folder: Path) -> tuple[dict[str, Any], dict[str, Array]] | None:
    """Load what :func:`save_arrays` saved, the large arrays as read-only memory maps.

    Returns
    -------
    contents : dict
    arrays : dict of str to array
    None
        Instead of both, if anything is missing, damaged or of another size. The numbers in the
        large arrays are not compared.
    """
    try:
        outer = json.loads((folder / _CONTENTS).read_text())
        if outer["checksum"] != zlib.crc32(outer["contents"].encode()):
            return None
        contents: dict[str, Any] = json.loads(outer["contents"])
        arrays: dict[str, Array] = {}
        for name, checksum in contents.pop("checksums").items():
            data = (folder / f"{name}.npy").read_bytes()
            if zlib.crc32(data) != checksum:
                return None
            arrays[name] = np.load(io.BytesIO(data), allow_pickle=False)
        for name, size in contents.pop("sizes").items():
            if (folder / f"{name}.npy").stat().st_size != size:
                return None
            arrays[name] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except _FAULTS:
        return None
    return contents, arrays
