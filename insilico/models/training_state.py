"""Weights out of the training states that V1T and ViV1T published, with nothing in them run."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insilico.errors import CheckpointError
from insilico.models.pickles import Global, Made, Reference, describe, take_apart
from insilico.models.weights import EXPANDED_LIMIT, check_archive

#: Entry of a training state that holds the state dict (V1T, src/v1t/utils/scheduler.py).
MODEL = "model"

#: Part of a key that ``torch.compile`` adds to the names of the modules inside.
COMPILE_PREFIX = "_orig_mod"

#: Types of PyTorch's storages, as little-endian NumPy types of the same width.
_STORAGES = {
    "DoubleStorage": (torch.float64, "<f8"),
    "FloatStorage": (torch.float32, "<f4"),
    "HalfStorage": (torch.float16, "<f2"),
    "BFloat16Storage": (torch.bfloat16, "<i2"),
    "LongStorage": (torch.int64, "<i8"),
    "IntStorage": (torch.int32, "<i4"),
    "ShortStorage": (torch.int16, "<i2"),
    "CharStorage": (torch.int8, "|i1"),
    "ByteStorage": (torch.uint8, "|u1"),
    "BoolStorage": (torch.bool, "|i1"),
}

_DICTIONARIES = {"builtins.dict", "__builtin__.dict", "collections.OrderedDict"}
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"

#: Most axes of a tensor.
AXES_LIMIT = 16


def read_training_state(path: Path) -> tuple[dict[str, Tensor], dict[str, int | float | str]]:
    """Read the weights out of a training state; no object that it may hold is ever executed.

    V1T and the first release of ViV1T saved their weights beside live objects (the optimizer's and
    the scheduler's), which only unpickling could make again. Here the pickle is taken apart instead
    (:mod:`insilico.models.pickles`): only what stands under "model" is turned into tensors, by code
    of this module.

    Parameters
    ----------
    path : Path
        ``model_state.pt`` as V1T writes it, or a plain state dict, in PyTorch's zip format.

    Returns
    -------
    state : dict of str to tensor
        The weights, on the CPU; the prefix of compiled modules is taken off the keys.
    values : dict of str to int, float or str
        The plain numbers and texts beside them: "epoch" and, where it is a plain number, "value",
        the best validation correlation.

    Raises
    ------
    CheckpointError
        If the file is missing, foreign or damaged, or does not hold tensors by name.

    References
    ----------
    Contents: V1T, src/v1t/utils/scheduler.py. Storages in the archive: PyTorch,
    torch/serialization.py and torch/_utils.py.
    """
    check_archive(path)
    try:
        with zipfile.ZipFile(path) as archive:
            storages = _Storages(archive)
            entries = _entries(take_apart(storages.pickle))
            model = _entries(entries[MODEL]) if MODEL in entries else entries
            state = {key: _tensor(key, made, storages) for key, made in model.items()}
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} holds no training state ({error}); give the model_state.pt of a V1T or ViV1T "
            "run, or a file saved with torch.save(model.state_dict(), ...)"
        ) from error
    values = {
        key: value
        for key, value in entries.items()
        if isinstance(value, int | float | str) and not isinstance(value, bool)
    }
    return strip_compile_prefix(state, source=str(path)), values


def strip_compile_prefix(state: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """Take the prefix of compiled modules off the keys of a state dict, wherever it occurs.

    Parameters
    ----------
    state : mapping of str to tensor
        Contents of a file.
    source : str
        Path of the file, for the message.

    Raises
    ------
    CheckpointError
        If two keys become equal.
    """
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        name = ".".join(part for part in key.split(".") if part != COMPILE_PREFIX)
        if name in plain:
            raise CheckpointError(
                f"{source} holds {name!r} twice, once of a compiled module ({COMPILE_PREFIX}); "
                "save the weights of one of them"
            )
        plain[name] = value
    return plain


def _entries(made: object) -> dict[str, Any]:
    """Return the entries of a dictionary that a pickle would make."""
    path, arguments = _call(made)
    if not isinstance(made, Made) or path not in _DICTIONARIES or arguments:
        raise ValueError(f"tensors by name were expected, {describe(made)} arrived")
    for key, _ in made.items:
        if not isinstance(key, str):
            raise ValueError(f"names are texts, {describe(key)} arrived")
    return dict(made.items)


def _tensor(key: str, made: object, storages: _Storages) -> Tensor:
    """Return the tensor that a pickle would make."""
    path, arguments = _call(made)
    if path == _PARAMETER and arguments:
        path, arguments = _call(arguments[0])
    if path != _TENSOR or len(arguments) < 4 or not isinstance(arguments[0], Reference):
        raise ValueError(f"a tensor was expected under {key[:80]!r}, {describe(made)} arrived")
    shape, strides = _lengths(arguments[2]), _lengths(arguments[3])
    (offset,) = _lengths((arguments[1],))
    if len(shape) != len(strides):
        raise ValueError(f"{key[:80]!r} has a damaged shape")
    storage = storages.read(arguments[0].id)
    count = math.prod(shape)
    if not count:
        return storage.new_empty(shape)
    last = sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if offset + last >= len(storage) or count > max(len(storage), EXPANDED_LIMIT):
        raise ValueError(f"{key[:80]!r} reaches beyond its storage")
    return storage.as_strided(shape, strides, offset).clone(memory_format=torch.contiguous_format)


def _call(made: object) -> tuple[str, tuple[Any, ...]]:
    """Return what a pickle would call, by name, and with what."""
    if isinstance(made, Made) and isinstance(made.maker, Global):
        return made.maker.path, made.arguments
    return "", ()


def _lengths(values: object) -> tuple[int, ...]:
    """Hold what should be the lengths or strides of a tensor's axes to that."""
    if (
        not isinstance(values, tuple)
        or len(values) > AXES_LIMIT
        or not all(type(value) is int and 0 <= value < 2**62 for value in values)
    ):
        raise ValueError("a tensor has a damaged shape")
    return values


class _Storages:
    """The numbers of the tensors in an archive.

    Raises
    ------
    ValueError
        If it is no archive of ``torch.save``.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {member.filename: member for member in archive.infolist()}
        roots = [name.removesuffix("/data.pkl") for name in self._members
                 if name.endswith("/data.pkl")]  # fmt: skip
        if len(roots) != 1 or "/" in roots[0]:
            raise ValueError("it has no single data.pkl, as files of torch.save have")
        self._root = roots[0]
        self.pickle = self._bytes("data.pkl")
        has_order = f"{self._root}/byteorder" in self._members
        self._order = ">" if has_order and self._bytes("byteorder").strip() == b"big" else "<"
        self._known: dict[str, Tensor] = {}

    def read(self, reference: object) -> Tensor:
        """Return the values of a storage, one axis."""
        match reference:
            case ("storage", Global(module="torch", name=name), str(key), _, int(count)):
                pass
            case _:
                raise ValueError("a tensor refers to no storage")
        if name not in _STORAGES or not re.fullmatch(r"\w+", key):
            raise ValueError(f"a tensor has the storage {name[:40]!r}")
        dtype, code = _STORAGES[name]
        if key not in self._known:
            data = self._bytes(f"data/{key}")
            if len(data) != count * dtype.itemsize:
                raise ValueError(f"storage {key} has not the {count:,} values that it should have")
            numbers = np.frombuffer(data, code.replace("<", self._order)).astype(code)
            self._known[key] = torch.from_numpy(numbers).view(dtype)
        values = self._known[key]
        if values.dtype != dtype or len(values) != count:
            raise ValueError(f"storage {key} is described in two ways")
        return values

    def _bytes(self, name: str) -> bytes:
        member = self._members.get(f"{self._root}/{name}")
        if member is None:
            raise ValueError(f"it has no {name}")
        return self._archive.read(member)
