"""Recipes of the zoo: ``models/NAME/recipe.toml``, which model it is and where its weights are."""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from insilico import catalog
from insilico.errors import CatalogError
from insilico.screen import SCREENS


@dataclasses.dataclass(frozen=True)
class Weights:
    """Where the published weights of a zoo entry are, and how they are recognized.

    Parameters
    ----------
    url : str
        Address of the file, pinned to one version.
    sha256 : str
        Its SHA-256, 64 hexadecimal digits.
    bytes : int
        Its size.
    """

    url: str
    sha256: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class Assumed:
    """What the weight files do not carry and a twin needs; assumed, with the reason.

    Parameters
    ----------
    screen : str
        One of :data:`insilico.screen.SCREENS`.
    screen_reason : str
        Why this screen.
    stimulus_mean, stimulus_std : float
        Gray levels 0-255; the network sees ``(level - mean) / std``.
    stimulus_reason : str
        Why these numbers.
    """

    screen: str
    screen_reason: str
    stimulus_mean: float
    stimulus_std: float
    stimulus_reason: str


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One entry of the zoo.

    Parameters
    ----------
    name : str
        Name of its folder.
    architecture : str
        Name in the registry.
    options : mapping
        Options of the architecture that differ from its defaults.
    input, species_area, data, license, reference : str
        For people.
    mouse : str
        The recording's key in the weight file.
    neurons, parameters : int
        Number of neurons, and of trainable parameters.
    weights : Weights
        The published file.
    assumed : Assumed
        What the file does not carry.
    folder : Path
        Where recipe and card are.
    """

    name: str
    architecture: str
    options: Mapping[str, Any]
    input: str
    species_area: str
    data: str
    license: str
    reference: str
    mouse: str
    neurons: int
    parameters: int
    weights: Weights
    assumed: Assumed
    folder: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the recipe file, which includes the hash of the weights."""
        return hashlib.sha256((self.folder / "recipe.toml").read_bytes()).hexdigest()


def read_recipe(name: str, *, user_folder: Path | None = None) -> Recipe:
    """Read one entry of the zoo.

    Parameters
    ----------
    name : str
        Name of the entry.
    user_folder : Path, optional
        As for :func:`insilico.catalog.entries`.

    Returns
    -------
    Recipe

    Raises
    ------
    CatalogError
        If there is no such entry, or its recipe is not TOML or has a key that is missing, unknown
        or of another type.
    """
    folder = catalog.find("models", name, user_folder=user_folder)
    path = folder / "recipe.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path} is not TOML ({error}); correct it") from error
    parts = {
        "weights": _table(Weights, values.pop("weights", None), f"[weights] of {path}"),
        "assumed": _table(Assumed, values.pop("assumed", None), f"[assumed] of {path}"),
        "options": values.pop("options", {}),
        "name": name,
        "folder": folder,
    }
    recipe: Recipe = _table(Recipe, values, str(path), given=parts)
    if recipe.assumed.screen not in SCREENS:
        raise CatalogError(
            f"{path} assumes the screen {recipe.assumed.screen!r}; give one of {', '.join(SCREENS)}"
        )
    return recipe


def read_recipes(*, user_folder: Path | None = None) -> list[Recipe]:
    """Read every entry of the zoo, sorted by name."""
    names = catalog.entries("models", user_folder=user_folder)
    return [read_recipe(name, user_folder=user_folder) for name in names]


def _table(
    kind: type[Any], values: Any, where: str, *, given: Mapping[str, Any] = MappingProxyType({})
) -> Any:
    """Build a dataclass from a table that must have exactly its fields."""
    if not isinstance(values, dict):
        raise CatalogError(f"{where} is missing; see the recipes of the zoo for an example")
    wanted = {field.name: field.type for field in dataclasses.fields(kind)}
    wanted = {name: hint for name, hint in wanted.items() if name not in given}
    if missing := sorted(wanted.keys() - values.keys()):
        raise CatalogError(f"{where} lacks {', '.join(missing)}; add it")
    if unknown := sorted(values.keys() - wanted.keys()):
        raise CatalogError(
            f"{where} has the unknown key {', '.join(unknown)}; the keys are {', '.join(wanted)}"
        )
    types: dict[str, Any] = {"str": str, "int": int, "float": (int, float)}
    for name, value in values.items():
        if not isinstance(value, types[str(wanted[name])]) or isinstance(value, bool):
            raise CatalogError(
                f"{name} in {where} is {value!r}; give a value of type {wanted[name]}"
            )
    return kind(**values, **given)
