"""Architectures by name."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from insilico import configuration
from insilico.errors import CatalogError, CheckpointError, InsilicoError
from insilico.models.network import Network

#: Options and neuron counts of one small network.
Example = tuple[Mapping[str, Any], Mapping[str, int]]
Class = TypeVar("Class", bound=Callable[..., Network])


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One way to build a network.

    Attributes
    ----------
    name : str
        How checkpoints and recipes call it.
    builder : callable
        ``builder(options, neuron_counts)`` returns a :class:`~insilico.models.network.Network`.
    options : type
        Frozen dataclass of everything but the mice.
    examples : callable
        Returns small networks for the contract suite, by name.
    """

    name: str
    builder: Callable[..., Network]
    options: type[Any]
    examples: Callable[[], Mapping[str, Example]]


_ARCHITECTURES: dict[str, Architecture] = {}


def register(
    name: str, *, options: type[Any], examples: Callable[[], Mapping[str, Example]]
) -> Callable[[Class], Class]:
    """Register the decorated network under a name.

    Parameters
    ----------
    name : str
        How checkpoints and recipes call it.
    options : type
        Dataclass that the network takes first; its second argument is neuron counts by mouse.
    examples : callable
        Returns options and neuron counts of small networks, by name, for the contract suite.

    Returns
    -------
    callable
        Decorator that leaves the class as it is.
    """

    def decorate(builder: Class) -> Class:
        _ARCHITECTURES[name] = Architecture(name, builder, options, examples)
        return builder

    return decorate


def architectures() -> dict[str, Architecture]:
    """Return all architectures by name, those that modules of ``architectures`` register."""
    from insilico.models import architectures as home

    for module in pkgutil.iter_modules(home.__path__, f"{home.__name__}."):
        importlib.import_module(module.name)
    return dict(_ARCHITECTURES)


def find_architecture(name: str) -> Architecture:
    """Return one architecture.

    Raises
    ------
    CatalogError
        If none has that name.
    """
    known = architectures()
    if name not in known:
        raise CatalogError(
            f"there is no architecture {name!r}; the architectures are {', '.join(sorted(known))}"
        )
    return known[name]


def parse_options(architecture: str, values: Mapping[str, Any]) -> Any:
    """Turn a table of options, as files hold it, into the architecture's dataclass.

    Parameters
    ----------
    architecture : str
        Name of the architecture.
    values : mapping
        Options that differ from the defaults.

    Returns
    -------
    dataclass
        Of the architecture's own type.

    Raises
    ------
    CatalogError
        If the architecture is unknown.
    CheckpointError
        If an option is unknown or of the wrong type.
    """
    return configuration.build(
        find_architecture(architecture).options,
        values,
        what=architecture,
        error=CheckpointError,
    )


def build(architecture: str, options: Any, neuron_counts: Mapping[str, int]) -> Network:
    """Build a network with random weights.

    Parameters
    ----------
    architecture : str
        Name of the architecture.
    options : mapping or dataclass
        Options that differ from the defaults, or the architecture's own dataclass.
    neuron_counts : mapping of str to int
        Number of neurons by mouse.

    Returns
    -------
    Network
        In training mode, as every new module.

    Raises
    ------
    CatalogError
        If the architecture is unknown.
    CheckpointError
        If an option is unknown, of the wrong type or impossible.
    """
    found = find_architecture(architecture)
    if isinstance(options, Mapping):
        options = parse_options(architecture, options)
    try:
        return found.builder(options, neuron_counts)
    except InsilicoError:
        raise
    except (ArithmeticError, RuntimeError, ValueError) as error:
        # Sizes below 1, probabilities above 1, more numbers than the machine holds.
        raise CheckpointError(
            f"no {architecture} can be built with these options ({str(error).splitlines()[0]}); "
            "correct the one that is out of its range"
        ) from error


def example_networks() -> Iterator[tuple[str, Network]]:
    """Yield small random networks of every architecture, for the contract suite."""
    for architecture in architectures().values():
        for name, (options, neuron_counts) in architecture.examples().items():
            yield (
                f"{architecture.name}: {name}",
                build(architecture.name, options, neuron_counts),
            )
