"""Protocols: TOML files a scientist edits, read into frozen dataclasses and checked."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from insilico import catalog, configuration
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
        return configuration.to_plain(self)


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


def change_protocol(
    protocol_type: type[ProtocolType],
    protocol: Protocol,
    *,
    overrides: Mapping[str, Any] | None = None,
    experiment: str,
) -> ProtocolType:
    """Change some values of a protocol that was read before, and check everything.

    Parameters
    ----------
    protocol_type : type
        The experiment's protocol class.
    protocol : Protocol
        It must be of that class.
    overrides : mapping, optional
        Values that replace those of the protocol.
    experiment : str
        The experiment it must be for.

    Raises
    ------
    ProtocolError
        If the protocol is of another experiment, or a key is unknown or of the wrong type.
    """
    if not isinstance(protocol, protocol_type):
        raise ProtocolError(
            f"a protocol of {protocol.experiment} was given to {experiment}; give one of "
            f"{experiment}"
        )
    if not overrides:
        return protocol
    fields = [field.name for field in dataclasses.fields(protocol) if field.init]
    values = {name: getattr(protocol, name) for name in fields}
    return build_protocol(type(protocol), {**values, **overrides})


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
    built: ProtocolType = configuration.build(
        protocol_type,
        values,
        what="the protocol",
        error=ProtocolError,
        listed_in=file_of(values.get("experiment")),
    )
    return built


def file_of(experiment: Any) -> str:
    """Return what messages call the file with all keys of an experiment."""
    return f"experiments/{experiment or 'NAME'}.toml"


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` texts, the values in TOML, with quotes around text optional.

    Raises
    ------
    ProtocolError
        If a text has no ``=``.
    """
    return configuration.parse_assignments(assignments, error=ProtocolError)


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
