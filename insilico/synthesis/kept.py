"""Unfinished work on disk: named tensors, written whole, that cannot run code when read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from insilico.errors import RunFolderError
from insilico.files import atomic_file

#: Unfinished work is written down when this much of it would be lost otherwise.
KEEP_EVERY_S = 20.0


def keep(path: Path | None, state: Mapping[str, Tensor]) -> None:
    """Write tensors to a file; nothing without one."""
    if path is None:
        return
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    with atomic_file(path) as draft:
        np.savez(draft, **arrays)  # type: ignore[arg-type]


def kept(path: Path | None) -> dict[str, Tensor] | None:
    """Return the tensors of a file, or None where there is none.

    Raises
    ------
    RunFolderError
        If the file is damaged.
    """
    if path is None or not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: torch.from_numpy(stored[name]) for name in stored.files}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RunFolderError(
            f"{path} is damaged ({error}); delete it to do its work from the start"
        ) from error
