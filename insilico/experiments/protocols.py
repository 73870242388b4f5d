"""Protocols: TOML files a scientist edits, read into frozen dataclasses and checked."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from insilico import catalog
from insilico.errors import ProtocolError


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What every protocol holds.

    Parameters
    ----------
    experiment : str
        The experiment it is for.
    source : str
        Where its values come from.
    seed : int
        Randomness of stimuli and of statistics is a function of it.
    """

    experiment: str
    source: str
    seed: int

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed must be 0 or more")

    def to_dict(self) -> dict[str, Any]:
        """Return all values as plain types; what is None is left out, as TOML has no null."""
        values = dataclasses.asdict(self)
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if value is not None
        }


ProtocolType = TypeVar("ProtocolType", bound=Protocol)


def read_protocol(
    protocol_type: type[ProtocolType],
    source: str | Path | None,
    *,
    overrides: Mapping[str, Any] | None = None,
    experiment: str,
) -> ProtocolType:
    """Read a protocol file, change some values, and check everything.

    Parameters
    ----------
    protocol_type : type
        The experiment's protocol class.
    source : str, Path or None
        A TOML file, the name of a shipped protocol such as "direction-published", or None for the
        experiment's default.
    overrides : mapping, optional
        Values that replace those of the file.
    experiment : str
        The experiment it must be for.

    Returns
    -------
    Protocol
        Of ``protocol_type``.

    Raises
    ------
    ProtocolError
        If the file is missing or no TOML, is for another experiment, or a key is unknown, missing
        or of the wrong type.
    CatalogError
        If no shipped protocol has that name.
    """
    path = _locate(experiment if source is None else source)
    values = {**_read(path), **(overrides or {})}
    if values.get("experiment") != experiment:
        raise ProtocolError(
            f"the protocol {path} is for the experiment {values.get('experiment')!r}, and "
            f"{experiment!r} was asked for; give a protocol of that experiment"
        )
    return build_protocol(protocol_type, values)


def experiment_of(source: str | Path) -> str:
    """Return the experiment that a protocol file, or a shipped protocol, is for.

    Raises
    ------
    ProtocolError
        If the file is missing, no TOML, or names no experiment.
    CatalogError
        If no shipped protocol has that name.
    """
    path = _locate(source)
    values = _read(path)
    if not isinstance(values.get("experiment"), str):
        raise ProtocolError(f'the protocol {path} names no experiment; add experiment = "..."')
    return str(values["experiment"])


def build_protocol(protocol_type: type[ProtocolType], values: Mapping[str, Any]) -> ProtocolType:
    """Build a protocol from plain values.

    Raises
    ------
    ProtocolError
        If a key is unknown, missing or of the wrong type.
    """
    hints = typing.get_type_hints(protocol_type)
    if unknown := sorted(set(values) - set(hints)):
        raise ProtocolError(
            f"the protocol has no key {unknown[0]!r}; its keys are {', '.join(sorted(hints))}"
        )
    needed = {
        field.name
        for field in dataclasses.fields(protocol_type)
        if field.default is dataclasses.MISSING
    }
    if missing := sorted(needed - set(values)):
        raise ProtocolError(f"the protocol lacks the key {missing[0]!r}; add it")
    checked = {key: _convert(key, value, hints[key]) for key, value in values.items()}
    return protocol_type(**checked)


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` texts, the values in TOML, with quotes around text optional.

    Raises
    ------
    ProtocolError
        If a text has no ``=``.
    """
    overrides = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ProtocolError(f"--set {assignment!r} was not understood; write key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        overrides[key.strip()] = value
    return overrides


def require(is_met: bool, requirement: str) -> None:
    """Refuse a protocol value.

    Raises
    ------
    ProtocolError
        Unless ``is_met``.
    """
    if not is_met:
        raise ProtocolError(f"the protocol does not hold together: {requirement}")


def _locate(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix == ".toml" or path.parent != Path():
        return path
    return catalog.find("experiments", str(source))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ProtocolError(
            f"the protocol {path} cannot be read ({error.strerror}); give a TOML file or the name "
            "of a shipped protocol"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the protocol {path} is not valid TOML: {error}") from error


def _convert(key: str, value: Any, hint: Any) -> Any:
    """Return the value as the type its field wants, or refuse it."""
    choices = typing.get_args(hint) if typing.get_origin(hint) is types.UnionType else (hint,)
    for choice in choices:
        origin = typing.get_origin(choice)
        if origin is typing.Literal and value in typing.get_args(choice):
            return value
        if choice is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if choice is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if choice is str and isinstance(value, str):
            return value
        if origin is tuple and isinstance(value, list | tuple):
            element = typing.get_args(choice)[0]
            return tuple(_convert(key, item, element) for item in value)
    wanted = " or ".join(_describe(choice) for choice in choices if choice is not type(None))
    raise ProtocolError(f"the protocol's {key} is {value!r}; give {wanted}")


def _describe(hint: Any) -> str:
    """Return what a field takes, as a user would say it."""
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return "a list such as [0.04, 0.08]"
    return {int: "a whole number", float: "a number", str: "text"}[hint]
