"""State dicts: read without running anything, and load completely or not at all."""

from __future__ import annotations

import hashlib
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from insilico.errors import CheckpointError

#: All that zipfile raises on damaged archives but OSError (RuntimeError: a password is needed).
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
    LookupError,
    OverflowError,
)

#: Mismatches named in one message; the rest are counted.
NAMED_MISMATCHES = 5

#: Most values of a tensor that repeats its storage: a few bytes on disk could claim any size.
EXPANDED_LIMIT = 10_000_000


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a plain PyTorch state dict; no object that it may hold is ever executed.

    Parameters
    ----------
    path : Path
        A ``.pth`` or ``.pt`` file in PyTorch's zip format.

    Returns
    -------
    dict of str to tensor
        On the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, foreign or damaged, holds anything but tensors by name, or would
        need pickled objects.
    """
    state = read_archive(path)
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise CheckpointError(
            f"{path} holds {_describe(state)}, not tensors by name; give a file that was saved "
            "with torch.save(model.state_dict(), ...)"
        )
    for name, value in state.items():
        if not _is_plain(value):
            raise CheckpointError(
                f"{path} holds {name!r} as no plain array of numbers, as weights are; give a file "
                "that was saved with torch.save(model.state_dict(), ...)"
            )
    return dict(state)


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor has its numbers on disk, one by one or nearly so."""
    if value.is_nested or value.layout != torch.strided or value.device.type != "cpu":
        return False
    stored = value.untyped_storage().nbytes() // value.element_size()
    return value.numel() <= max(stored, EXPANDED_LIMIT)


def read_archive(path: Path) -> Any:
    """Read tensors and plain values that ``torch.save`` wrote; no object is ever executed.

    Parameters
    ----------
    path : Path
        A file in PyTorch's zip format.

    Returns
    -------
    object
        Tensors on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, foreign or damaged, or would need pickled objects.
    """
    check_archive(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds pickled objects beside its weights, and unpickling could run any code; "
            "give a file that was saved with torch.save(model.state_dict(), ...)"
        ) from error
    except (RuntimeError, ValueError, LookupError, EOFError, TypeError, OSError) as error:
        raise CheckpointError(
            f"{path} is a zip archive but no PyTorch weight file; give a .pth file that was saved "
            "with torch.save(model.state_dict(), ...)"
        ) from error


def check_archive(path: Path) -> None:
    """Refuse what is no intact archive of ``torch.save``; PyTorch ignores the checksums inside.

    Parameters
    ----------
    path : Path
        A file that should be in PyTorch's zip format.

    Raises
    ------
    CheckpointError
        If the file is missing, cut off, damaged, compressed or none; what came instead of a
        download is named.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"{path} {what}; give a .pth file with published weights")
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [
                member.filename
                for member in archive.infolist()
                if member.compress_type != zipfile.ZIP_STORED
            ]
            damaged = None if packed else archive.testzip()
    except _ZIP_FAULTS as error:
        raise CheckpointError(
            f"{path} is cut off or no PyTorch weight file (those are zip archives)"
            f"{_instead(path)}; get it again, or save it again with a current PyTorch"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); check it") from error
    if packed:
        # torch.save never compresses; what does may claim any size.
        raise CheckpointError(
            f"{path} is compressed in its part {packed[0]!r}, as files of torch.save never are; "
            "get it again"
        )
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged in its part {damaged!r}; get it again")


def _instead(path: Path) -> str:
    """Name what lies in the place of weights that were not downloaded, for the message."""
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    if not start:
        return ": it is empty, so its download never began"
    if start.startswith(b"version https://git-lfs"):
        return (
            ": it is a Git LFS pointer, which names the weights and does not hold them ('git lfs "
            "pull' fetches them)"
        )
    if start.startswith((b"<!doctype html", b"<html")):
        return ": it is a web page, so its address was that of a page and not of the file"
    return ""


def _describe(state: object) -> str:
    if isinstance(state, Mapping):
        odd = next(
            name
            for name, value in state.items()
            if not (isinstance(name, str) and isinstance(value, Tensor))
        )
        return f"a mapping whose entry {odd!r} is a {type(state[odd]).__name__}"
    return f"a {type(state).__name__}"


def mismatches(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Name every difference between two state dicts but the values.

    Parameters
    ----------
    expected : mapping of str to tensor
        Of the network that is to be filled.
    found : mapping of str to tensor
        What a file holds.

    Returns
    -------
    list of str
        One phrase for each key that is missing, unexpected, of another shape or dtype, or has
        values that are not finite.
    """
    phrases = [f"{key} is missing" for key in expected if key not in found]
    phrases += [f"{key} is unexpected" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        wanted, given = expected[key], found[key]
        if given.shape != wanted.shape:
            phrases.append(f"{key} has shape {tuple(given.shape)} instead of {tuple(wanted.shape)}")
        elif given.dtype != wanted.dtype:
            phrases.append(f"{key} is {given.dtype} instead of {wanted.dtype}")
        elif not torch.isfinite(given).all():
            phrases.append(f"{key} has values that are not finite")
    return phrases


def load_completely(network: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Fill a network with weights that match it in every key, shape and dtype.

    Parameters
    ----------
    network : nn.Module
        Is left as it was where anything does not match.
    state : mapping of str to tensor
        The weights.
    source : str
        Where they come from, for the message.

    Raises
    ------
    CheckpointError
        If anything does not match; it is named.
    """
    found = mismatches(network.state_dict(), state)
    if found:
        named = "; ".join(found[:NAMED_MISMATCHES])
        rest = len(found) - NAMED_MISMATCHES
        more = f"; and {rest} more" if rest > 0 else ""
        raise CheckpointError(
            f"{source} does not match the network completely, so nothing was loaded: {named}{more}"
        )
    network.load_state_dict(dict(state), strict=True)
