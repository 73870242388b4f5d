"""Checkpoints: a folder with all that a model needs, and nothing that can run."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import tomli_w
import torch
from safetensors import SafetensorError
from torch import Tensor

from insilico.errors import CheckpointError, InsilicoError
from insilico.files import atomic_folder
from insilico.models import registry
from insilico.models.mouse import Mouse, Statistics
from insilico.models.network import Network
from insilico.models.weights import load_completely
from insilico.screen import Screen

#: Version of the folder layout that this code writes and reads.
FORMAT = 1

WEIGHTS_FILE = "model.safetensors"
MODEL_FILE = "model.toml"
MICE_FOLDER = "mice"

#: Column of a mouse's table on disk that holds :attr:`Statistics.response_std`.
RESPONSE_STD = "response_std"

_MODEL_KEYS = {
    "format": int,
    "name": str,
    "architecture": str,
    "weights_sha256": str,
    "mice": list,
    "options": dict,
    "origin": dict,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network, its mice, and where both come from.

    Parameters
    ----------
    name : str
        How twins and results call it.
    architecture : str
        Name in :mod:`insilico.models.registry`.
    options : dataclass
        Options of the architecture, complete.
    network : Network
        Filled with weights, in evaluation mode.
    mice : mapping of str to Mouse
        The same mice, with as many neurons, as the network's.
    origin : mapping of str to str, int or float
        Where the weights come from.

    Attributes
    ----------
    weights_sha256 : str
        SHA-256 of the weights as ``model.safetensors`` holds them, 64 hexadecimal digits; taken
        when the checkpoint is made, before a twin changes device or precision.

    Raises
    ------
    CheckpointError
        If the mice are not those of the network.
    """

    name: str
    architecture: str
    options: Any
    network: Network
    mice: Mapping[str, Mouse]
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights_sha256: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        counts = {name: len(mouse.neurons) for name, mouse in self.mice.items()}
        if counts != self.network.neuron_counts:
            raise CheckpointError(
                f"the mice of {self.name} have neurons {counts}; its network has "
                f"{self.network.neuron_counts}"
            )
        object.__setattr__(self, "weights_sha256", _sha256(_weight_bytes(self.network)))


def save_checkpoint(checkpoint: Checkpoint, folder: Path, *, replace: bool = False) -> None:
    """Write a checkpoint folder, whole or not at all.

    Parameters
    ----------
    checkpoint : Checkpoint
        What to write.
    folder : Path
        Must not exist yet, unless ``replace``.
    replace : bool
        Whether an existing checkpoint is exchanged for this one.

    Raises
    ------
    CheckpointError
        If the folder exists or cannot be written, or a mouse's name is no file name.
    """
    folder = Path(folder)
    if not (replace and (folder / MODEL_FILE).is_file()):
        check_new(folder)
    for name in checkpoint.mice:
        if not _can_name_file(name):
            raise CheckpointError(
                f"the mouse {name!r} cannot name a file; use letters, digits, '-' and '_'"
            )
    weights = _weight_bytes(checkpoint.network)
    model = {
        "format": FORMAT,
        "name": checkpoint.name,
        "architecture": checkpoint.architecture,
        "weights_sha256": _sha256(weights),
        "mice": list(checkpoint.mice),
        "options": dataclasses.asdict(checkpoint.options),
        "origin": dict(checkpoint.origin),
    }
    try:
        with atomic_folder(folder) as draft:
            (draft / WEIGHTS_FILE).write_bytes(weights)
            (draft / MODEL_FILE).write_text(tomli_w.dumps(model), encoding="utf-8")
            (draft / MICE_FOLDER).mkdir()
            for mouse in checkpoint.mice.values():
                _write_mouse(mouse, draft / MICE_FOLDER)
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {folder} cannot be written ({error.strerror or error}); make room or "
            "give another folder"
        ) from error


def check_new(folder: Path) -> None:
    """Refuse a folder that a checkpoint would overwrite.

    Raises
    ------
    CheckpointError
        If the folder exists.
    """
    if folder.exists():
        raise CheckpointError(f"{folder} exists already; give a folder that does not")


def load_checkpoint(folder: Path, *, device: str | torch.device = "cpu") -> Checkpoint:
    """Read a checkpoint folder completely, or refuse it.

    Parameters
    ----------
    folder : Path
        Written by :func:`save_checkpoint`.
    device : str or torch.device
        Where the network goes.

    Returns
    -------
    Checkpoint
        Its network is in evaluation mode. The global random state is left as it was.

    Raises
    ------
    CheckpointError
        If the folder is missing, is no checkpoint, or its weights are damaged, changed or of
        another network; the message names the file or the keys.
    """
    folder = Path(folder)
    _check_folder(folder)
    model = _read_toml(folder / MODEL_FILE)
    if model.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} has the checkpoint format {model.get('format')!r}; this version reads "
            f"{FORMAT}, so import the model again"
        )
    if model.keys() != _MODEL_KEYS.keys():
        odd = ", ".join(sorted(model.keys() ^ _MODEL_KEYS.keys()))
        raise CheckpointError(
            f"{folder / MODEL_FILE} lacks or should not have: {odd}; import the model again"
        )
    wrong = [key for key, kind in _MODEL_KEYS.items() if not isinstance(model[key], kind)]
    if wrong or not all(_can_name_file(name) for name in model["mice"]):
        raise CheckpointError(
            f"{folder / MODEL_FILE} was changed: {(wrong or ['mice'])[0]} is not what a checkpoint "
            "has there; import the model again"
        )
    mice = {name: _read_mouse(name, folder / MICE_FOLDER) for name in model["mice"]}
    options = registry.parse_options(model["architecture"], model["options"])
    with torch.random.fork_rng(devices=[]):
        network = registry.build(
            model["architecture"],
            options,
            {name: len(mouse.neurons) for name, mouse in mice.items()},
        )
    weights = _read_weights(folder / WEIGHTS_FILE, model["weights_sha256"])
    load_completely(network, weights, source=str(folder / WEIGHTS_FILE))
    return Checkpoint(
        name=model["name"],
        architecture=model["architecture"],
        options=options,
        network=network.eval().to(device),
        mice=mice,
        origin=model["origin"],
    )


def _can_name_file(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w-]+", name) is not None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _weight_bytes(network: Network) -> bytes:
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    return safetensors.torch.save(state)


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        raise CheckpointError(
            f"{folder} is a file; a checkpoint is a folder, which 'insilico models import' makes "
            "from a published weight file"
        )
    if not folder.is_dir():
        raise CheckpointError(f"the checkpoint folder {folder} does not exist; check the path")
    for name, is_there in (
        (MODEL_FILE, Path.is_file),
        (WEIGHTS_FILE, Path.is_file),
        (MICE_FOLDER, Path.is_dir),
    ):
        if not is_there(folder / name):
            raise CheckpointError(
                f"{folder} is no checkpoint: it has no {name}; give a folder that 'insilico models "
                "import' or a training made"
            )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; import the model again") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); import the model again") from error


def _read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    data = path.read_bytes()
    if _sha256(data) != sha256:
        raise CheckpointError(
            f"{path} is cut off or was changed: its SHA-256 is not the {sha256[:8]}… that "
            f"{MODEL_FILE} names; import the model again"
        )
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise CheckpointError(f"{path} holds no weights ({error}); import it again") from error


def _write_mouse(mouse: Mouse, folder: Path) -> None:
    statistics = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in _fields(mouse.statistics).items()
        if value is not None and name != RESPONSE_STD
    }
    statistics["sources"] = dict(mouse.statistics.sources)
    values = {"name": mouse.name, "screen": mouse.screen.to_dict(), "statistics": statistics}
    (folder / f"{mouse.name}.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    table = mouse.neurons
    if mouse.statistics.response_std is not None:
        table = table.assign(**{RESPONSE_STD: mouse.statistics.response_std})
    table.to_parquet(folder / f"{mouse.name}.parquet")


def _read_mouse(name: str, folder: Path) -> Mouse:
    values = _read_toml(folder / f"{name}.toml")
    path = folder / f"{name}.parquet"
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is missing or damaged; import the model again") from error
    try:
        statistics: dict[str, Any] = {
            key: np.asarray(value) if isinstance(value, list) else value
            for key, value in values["statistics"].items()
        }
        if RESPONSE_STD in table:
            statistics[RESPONSE_STD] = table.pop(RESPONSE_STD).to_numpy()
        return Mouse(name, Screen.from_dict(values["screen"]), table, Statistics(**statistics))
    except (KeyError, TypeError, AttributeError, InsilicoError) as error:
        raise CheckpointError(
            f"{folder / name}.toml does not describe a mouse ({error}); import the model again"
        ) from error


def _fields(statistics: Statistics) -> dict[str, Any]:
    return {
        field.name: getattr(statistics, field.name)
        for field in dataclasses.fields(statistics)
        if field.name != "sources"
    }
