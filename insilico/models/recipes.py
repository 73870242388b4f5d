"""Recipes: which network, how it is trained, and where its weights are, in one TOML file."""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from insilico import catalog, configuration
from insilico.errors import CatalogError, RecipeError
from insilico.models.published import FileWeights, Weights, read_weights
from insilico.screen import SCREENS

#: Folder that holds the checkpoint: of a training run, and of a zoo entry whose weights are small
#: enough to ship.
CHECKPOINT_FOLDER = "checkpoint"


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
class About:
    """What a recipe says to people.

    Parameters
    ----------
    architecture : str
        Name in the registry.
    input, species_area, data, license, reference : str
        What goes in, whose neurons, which recordings, under which license, and what to cite.
    mouse : str
        The recording's key, for weights of one mouse.
    neurons, parameters : int
        Number of neurons and of trainable parameters, where there are weights; else 0.
    score : str
        How well it predicts, with the metric; the card says where the number comes from.
    """

    architecture: str
    input: str = ""
    species_area: str = ""
    data: str = ""
    license: str = ""
    reference: str = ""
    mouse: str = ""
    neurons: int = 0
    parameters: int = 0
    score: str = ""


@dataclasses.dataclass(frozen=True)
class Recipe(About):
    """One recipe, of the zoo or of a user.

    Parameters
    ----------
    name : str
        Name of its folder, or of the user's file.
    path : Path
        The file.
    options : mapping
        Options of the architecture that differ from its defaults.
    training : mapping, optional
        How it is trained; None where the weights alone are published.
    weights, assumed : optional
        Of published weights: where they are, and what they do not carry. A single file needs both;
        a run folder brings most of it along.
    """

    name: str = ""
    path: Path = Path()
    options: Mapping[str, Any] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    training: Mapping[str, Any] | None = None
    weights: Weights | None = None
    assumed: Assumed | None = None

    @property
    def folder(self) -> Path:
        """Where recipe and card are."""
        return self.path.parent

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint that ships with the recipe, if one does."""
        folder = self.folder / CHECKPOINT_FOLDER
        return folder if folder.is_dir() else None

    def assumptions(self) -> Assumed:
        """Return what is assumed of published weights.

        Raises
        ------
        RecipeError
            If the recipe is of no published weights.
        """
        if self.assumed is None:
            raise RecipeError(
                f"{self.name} is not a recipe of published weights; give one from 'insilico models "
                "list' that is downloaded"
            )
        return self.assumed

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the recipe file, which includes the hash of the weights."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


_TABLES = ("options", "training", "weights", "assumed")


def read_recipe(source: str | Path, *, user_folder: Path | None = None) -> Recipe:
    """Read one recipe.

    Parameters
    ----------
    source : str or Path
        Name of an entry of the zoo, or the path of a TOML file.
    user_folder : Path, optional
        As for :func:`insilico.catalog.entries`.

    Returns
    -------
    Recipe

    Raises
    ------
    CatalogError
        If there is no such entry.
    RecipeError
        If the recipe cannot be read, is not TOML, or has a key that is missing, unknown or of
        another type.
    """
    path = _locate(source, user_folder)
    values = _read(path)
    tables = {name: values.pop(name) for name in _TABLES if name in values}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise RecipeError(f"{name} in {path} is {table!r}; write it as a table, [{name}]")
    about = _build(About, values, str(path))
    recipe = Recipe(
        **dataclasses.asdict(about),
        name=path.parent.name if path.name == "recipe.toml" else path.stem,
        path=path,
        options=tables.get("options", {}),
        training=tables.get("training"),
        weights=read_weights(tables["weights"], path=path) if "weights" in tables else None,
        assumed=_build(Assumed, tables["assumed"], f"[assumed] of {path}")
        if "assumed" in tables
        else None,
    )
    _check(recipe)
    return recipe


def read_recipes(*, user_folder: Path | None = None) -> list[Recipe]:
    """Read every entry of the zoo, sorted by name."""
    names = catalog.entries("models", user_folder=user_folder)
    return [read_recipe(name, user_folder=user_folder) for name in names]


def card(name: str, *, user_folder: Path | None = None) -> str:
    """Return the card of a zoo entry, its ``README.md``.

    Parameters
    ----------
    name : str
        Name of the entry.
    user_folder : Path, optional
        As for :func:`insilico.catalog.entries`.

    Returns
    -------
    str
        Markdown.

    Raises
    ------
    CatalogError
        If there is no such entry, or it has no card.
    """
    path = catalog.find("models", name, user_folder=user_folder) / "README.md"
    if not path.is_file():
        raise CatalogError(f"the zoo entry {name!r} has no card; write {path}")
    return path.read_text(encoding="utf-8")


def _locate(source: str | Path, user_folder: Path | None) -> Path:
    path = Path(source)
    if path.suffix == ".toml" or path.parent != Path():
        return path
    return catalog.find("models", str(source), user_folder=user_folder) / "recipe.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"the recipe {path} cannot be read ({error.strerror}); give a TOML file or a name from "
            "'insilico models list'"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML ({error}); correct it") from error


def _build(kind: type[Any], values: Mapping[str, Any], what: str) -> Any:
    return configuration.build(kind, values, what=what, error=RecipeError)


def _check(recipe: Recipe) -> None:
    is_file = isinstance(recipe.weights, FileWeights)
    if (is_file and not recipe.assumed) or (recipe.assumed and not recipe.weights):
        missing = "weights" if recipe.assumed else "assumed"
        raise RecipeError(
            f"[{missing}] of {recipe.path} is missing; a published file needs both tables"
        )
    if is_file and not (recipe.mouse and recipe.neurons and recipe.parameters):
        raise RecipeError(
            f"{recipe.path} names weights and lacks mouse, neurons or parameters; add what they "
            "are of"
        )
    if recipe.assumed and recipe.assumed.screen not in SCREENS:
        raise RecipeError(
            f"{recipe.path} assumes the screen {recipe.assumed.screen!r}; give one of "
            f"{', '.join(SCREENS)}"
        )
