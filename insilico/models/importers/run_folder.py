"""Run folders as V1T and ViV1T published them: options and weights, read and not yet translated."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
import yaml
from torch import Tensor

from insilico.errors import CheckpointError
from insilico.models.published import (
    BARE_WEIGHTS,
    INFO_FILE,
    OPTIONS_FILE,
    TRAINING_STATE,
    WEIGHTS_FOLDER,
)
from insilico.models.training_state import read_training_state, strip_compile_prefix
from insilico.models.weights import file_sha256, read_state_dict

T = TypeVar("T")
IntArray = np.ndarray[Any, np.dtype[np.int64]]
Release = Literal["v1t", "first_release", "closed_loop"]

#: Options that only one release writes (the train.py of each).
_OWN_OPTIONS: dict[Release, frozenset[str]] = {
    "v1t": frozenset({"ds_name", "input_shape", "behavior_mode", "shift_mode"}),
    "first_release": frozenset({"ds_mode", "stat_mode", "transform_mode", "critic_mode"}),
    "closed_loop": frozenset({"transform_input", "transform_output", "schedule_free"}),
}

#: Entries of args.yaml by mouse, whose names YAML may have taken for numbers.
_BY_MOUSE = ("output_shapes", "neuron_idx", "train_sizes")

#: Keys of weights that belong to one mouse; an attention readout has two parts for all of them.
_READOUT = re.compile(r"readouts\.(?!to_kv\.|position_embedding\.)([^.]+)\.")

_REQUIRED: Any = object()


@dataclasses.dataclass(frozen=True, eq=False)
class RunFolder:
    """One published run: how it was configured and what it learned.

    Parameters
    ----------
    path : Path
        The folder.
    args : mapping of str to object
        Contents of args.yaml; names of mice are texts.
    state : mapping of str to tensor
        The weights, under the names that the run gave them but for the prefix of compiled modules.
    info : mapping of str to int or float
        Where the run says so, ``epoch`` and ``best_correlation``: the single-trial correlation of
        that epoch on the validation tier.
    weights_path : Path
        The file of the weights.
    weights_sha256 : str
        SHA-256 of that file, 64 hexadecimal digits.
    """

    path: Path
    args: Mapping[str, Any]
    state: Mapping[str, Tensor]
    info: Mapping[str, int | float]
    weights_path: Path
    weights_sha256: str

    @property
    def mice(self) -> tuple[str, ...]:
        """Names of the mice, in the order of the weights."""
        return _mice_of_weights(self.state)

    def only(self, mice: Collection[str]) -> RunFolder:
        """Return the run without weights and options of other mice.

        Parameters
        ----------
        mice : collection of str
            Of the run's mice.
        """
        others = set(self.mice) - set(mice)
        args = dict(self.args)
        for name in (*_BY_MOUSE, "mouse_ids"):
            if isinstance(values := args.get(name), dict):
                args[name] = {mouse: value for mouse, value in values.items() if mouse in mice}
            elif isinstance(values, list):
                args[name] = [mouse for mouse in values if mouse in mice]
        state = {
            key: value for key, value in self.state.items() if not others & set(key.split("."))
        }
        return dataclasses.replace(self, args=args, state=state)

    @overload
    def option(self, name: str, kind: type[T]) -> T: ...
    @overload
    def option(self, name: str, kind: type[T], default: None) -> T | None: ...
    @overload
    def option(self, name: str, kind: type[T], default: T) -> T: ...
    def option(self, name: str, kind: type[T], default: T | None = _REQUIRED) -> T | None:
        """Return an option of the run.

        Parameters
        ----------
        name : str
            Its key in args.yaml.
        kind : type
            What it must be: bool, int, float, str, list or dict. Numbers may be written as texts
            (1e-05 is one in YAML 1.1), whole floats serve as integers, and 0 and 1 as booleans.
        default : optional
            What an option that is not there stands for; without a default it is demanded. Only
            where it is None may the option be null.

        Raises
        ------
        CheckpointError
            If the option is missing or of another kind; the message names file, key and value.
        """
        where = self.path / OPTIONS_FILE
        if name not in self.args:
            if default is _REQUIRED:
                raise CheckpointError(
                    f"{where} has no option {name!r}, a value of type {kind.__name__} was expected;"
                    " get the file again, or add the option that the run was trained with"
                )
            return default
        value = self.args[name]
        if value is None and default is None:
            return None
        converted = _convert(value, kind)
        if converted is None:
            raise CheckpointError(
                f"{where} has {name}: {short(value)}, a value of type {kind.__name__} was "
                "expected; get the file again, or correct the option"
            )
        return converted

    def count(self, name: str) -> int:
        """Return an option of the run that counts or measures something: 1 or more.

        Raises
        ------
        CheckpointError
            If the option is missing or no positive whole number.
        """
        value = self.option(name, int)
        if value < 1:
            raise CheckpointError(
                f"{self.path / OPTIONS_FILE} has {name}: {value}, a positive whole number was "
                "expected; get the file again"
            )
        return value

    @property
    def neuron_counts(self) -> dict[str, int]:
        """Number of neurons by mouse; CheckpointError where the options do not say."""
        shapes = self.option("output_shapes", dict)
        for mouse, shape in shapes.items():
            if not _is_shape(shape) or len(shape) not in (1, 2):
                raise CheckpointError(
                    f"{self.path / OPTIONS_FILE} has output_shapes: {short(shape)} for mouse "
                    f"{mouse}, a list that begins with its number of neurons was expected; get the "
                    "file again"
                )
        return {mouse: shape[0] for mouse, shape in shapes.items()}

    @property
    def movie_shape(self) -> tuple[int, int, int, int]:
        """Channels, frames, rows and columns of a movie; CheckpointError where there are none."""
        shape: Any = self.option("input_shapes", dict).get("video")
        if not _is_shape(shape) or len(shape) != 4:
            raise CheckpointError(
                f"{self.path / OPTIONS_FILE} has input_shapes with video: {short(shape)}, channels,"
                " frames, rows and columns were expected; get the file again"
            )
        channels, frames, rows, columns = shape
        return channels, frames, rows, columns

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an image; CheckpointError where there are none."""
        shape = self.option("input_shape", list)
        if not _is_shape(shape) or len(shape) != 3:
            raise CheckpointError(
                f"{self.path / OPTIONS_FILE} has input_shape: {short(shape)}, channels, rows and "
                "columns were expected; get the file again"
            )
        channels, rows, columns = shape
        return channels, rows, columns

    def neuron_index(self, mouse: str) -> IntArray | None:
        """Return which neurons of a mouse's recording the run has, or None where it does not say.

        Raises
        ------
        CheckpointError
            If they are no numbers of neurons.
        """
        index = (self.option("neuron_idx", dict, default=None) or {}).get(mouse)
        if index is None:
            return None
        is_index = isinstance(index, list) and all(
            type(number) is int and 0 <= number < 2**31 for number in index
        )
        if not is_index:
            raise CheckpointError(
                f"{self.path / OPTIONS_FILE} has neuron_idx: {short(index)} for mouse {mouse}, a "
                "list of whole numbers was expected; get the file again"
            )
        return np.asarray(index, np.int64)


def is_run_folder(path: Path) -> bool:
    """Whether a path looks like a published run folder, be it an incomplete one."""
    path = Path(path)
    weights = path / WEIGHTS_FOLDER
    return (path / OPTIONS_FILE).is_file() or any(
        (weights / name).is_file() for name in (BARE_WEIGHTS, TRAINING_STATE)
    )


def read_run_folder(path: Path) -> RunFolder:
    """Read a run folder that V1T or ViV1T wrote; nothing in it is ever executed.

    Parameters
    ----------
    path : Path
        The folder that holds args.yaml and ckpt.

    Returns
    -------
    RunFolder

    Raises
    ------
    CheckpointError
        If the folder or a file is missing or damaged, there are weights of two formats, or its
        options and its weights are of different mice.

    References
    ----------
    Contents: ViV1T-closed-loop, viv1t/checkpoint.py and viv1t/utils/yaml.py; V1T,
    src/v1t/utils/scheduler.py; ViV1T, src/viv1t/scheduler.py.
    """
    path = Path(path)
    _demand_folder(path)
    args = _read_options(path / OPTIONS_FILE)
    weights_path = _weights_path(path)
    if weights_path.name == BARE_WEIGHTS:
        state = strip_compile_prefix(read_state_dict(weights_path), source=str(weights_path))
        info = _read_info(weights_path.with_name(INFO_FILE), "best_corr")
    else:
        state, values = read_training_state(weights_path)
        info = _known_info(values, "value")
    run = RunFolder(path, args, state, info, weights_path, file_sha256(weights_path))
    _demand_same_mice(run)
    return run


def release(run: RunFolder) -> Release:
    """Tell which code wrote a run folder, from its files, options and keys.

    Raises
    ------
    CheckpointError
        If these contradict one another or are of none.
    """
    by_options = [name for name, own in _OWN_OPTIONS.items() if own & run.args.keys()]
    if run.weights_path.name == BARE_WEIGHTS:
        by_weights: Release = "closed_loop"
    elif any(key.startswith("image_cropper.") for key in run.state):
        by_weights = "v1t"
    else:
        by_weights = "first_release"
    if by_weights not in by_options:
        found = " and ".join(by_options) or "no known release"
        raise CheckpointError(
            f"{run.path / OPTIONS_FILE} has options of {found} and {run.weights_path.name} is of "
            f"{by_weights}; give a run folder whose files were written by one release of V1T or "
            "ViV1T"
        )
    return by_weights


def _demand_folder(path: Path) -> None:
    if not path.exists():
        raise CheckpointError(f"the run folder {path} does not exist; check the path")
    if not path.is_dir():
        raise CheckpointError(
            f"{path} is a file, a run folder was expected; give the folder that holds "
            f"{OPTIONS_FILE} and {WEIGHTS_FOLDER}"
        )
    if (path / OPTIONS_FILE).is_file():
        return
    inner = sorted(
        child.name for child in path.iterdir() if child.is_dir() and is_run_folder(child)
    )
    if inner:
        named = ", ".join(inner[:5]) + (", …" if inner[5:] else "")
        raise CheckpointError(f"{path} holds {len(inner)} run folders ({named}); give one of them")
    raise CheckpointError(
        f"{path} has no {OPTIONS_FILE}, which holds the options of a run; get the whole run folder"
    )


def _read_options(path: Path) -> dict[str, Any]:
    args = _read_yaml(path)
    if not all(isinstance(name, str) for name in args) or _is_pointer(args):
        raise CheckpointError(f"{path} holds no options of a run by name; get the file again")
    for name in _BY_MOUSE:
        if isinstance(args.get(name), dict):
            args[name] = {str(mouse): value for mouse, value in args[name].items()}
    if isinstance(args.get("mouse_ids"), list):
        args["mouse_ids"] = [
            str(mouse) if isinstance(mouse, str | int) else short(mouse)
            for mouse in args["mouse_ids"]
        ]
    return args


def _is_pointer(args: Mapping[str, Any]) -> bool:
    """Whether this is what Git LFS leaves in the place of a file."""
    version = args.get("version")
    return isinstance(version, str) and "git-lfs" in version


def _read_yaml(path: Path) -> dict[Any, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.constructor.ConstructorError as error:
        raise CheckpointError(
            f"{path} holds what is no plain value ({error.problem}), and nothing else is read; get "
            "the file again"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: it is no YAML; get the file again") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); check it") from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{path} holds {short(values)}, options by name were expected; get the file again"
        )
    return values


def _weights_path(path: Path) -> Path:
    folder = path / WEIGHTS_FOLDER
    there = [name for name in (BARE_WEIGHTS, TRAINING_STATE) if (folder / name).exists()]
    if not there:
        raise CheckpointError(
            f"{path} has neither {WEIGHTS_FOLDER}/{BARE_WEIGHTS} nor {WEIGHTS_FOLDER}/"
            f"{TRAINING_STATE}, which hold the weights; get the whole run folder"
        )
    if len(there) > 1:
        raise CheckpointError(
            f"{folder} holds both {BARE_WEIGHTS} and {TRAINING_STATE}, and a run has one; remove "
            "the file that is of another run"
        )
    return folder / there[0]


def _read_info(path: Path, correlation: str) -> dict[str, int | float]:
    return _known_info(_read_yaml(path), correlation) if path.is_file() else {}


def _known_info(values: Mapping[Any, Any], correlation: str) -> dict[str, int | float]:
    found = {"epoch": values.get("epoch"), "best_correlation": values.get(correlation)}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _demand_same_mice(run: RunFolder) -> None:
    where, weights = run.path / OPTIONS_FILE, run.weights_path
    mice = run.mice
    if not mice:
        first = next(iter(run.state), None)
        raise CheckpointError(
            f"{weights} holds no readout of a mouse (its first key is {first!r}); give the run "
            "folder of one model, not of an ensemble or a core"
        )
    if odd := [mouse for mouse in mice if not re.fullmatch(r"[\w-]+", mouse)]:
        raise CheckpointError(
            f"{weights} has a mouse {odd[0]!r}, which cannot name a file; use letters, digits, '-' "
            "and '_'"
        )
    named = run.option("output_shapes", dict, default=None)
    configured = list(named) if named else run.option("mouse_ids", list)
    if set(configured) != set(mice):
        raise CheckpointError(
            f"{where} is of the mice {', '.join(configured)} and {weights} of {', '.join(mice)}; "
            "give a run folder whose files belong together"
        )


def _mice_of_weights(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found[1] for key in state if (found := _READOUT.match(key))))


def _convert(value: Any, kind: type[T]) -> T | None:
    """Return a value as the kind that is asked for, or None where it is of another."""
    try:
        if kind in (int, float) and isinstance(value, str):
            value = float(value)
        if kind is bool and type(value) is int and value in (0, 1):
            value = bool(value)
        elif kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        elif kind is float and type(value) is int:
            value = float(value)
    except (ValueError, OverflowError):
        return None
    is_of_kind = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    return value if is_of_kind else None


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(length) is int and length > 0 for length in value)


def short(value: object) -> str:
    """Repeat a value in a message as far as that helps: YAML can nest lists without end."""
    is_brief = isinstance(value, list) and not any(
        isinstance(item, dict | list) or len(value) > 4 for item in value
    )
    if isinstance(value, dict | list) and not is_brief:
        return f"a {type(value).__name__} of {len(value)}"
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
