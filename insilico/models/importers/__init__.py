"""Importers of published weights: a foreign file in, a checkpoint out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from insilico.errors import CheckpointError
from insilico.models.checkpoint import Checkpoint
from insilico.models.importers import sensorium2022
from insilico.models.recipes import Recipe, read_recipe, read_recipes
from insilico.models.weights import file_sha256, read_state_dict

#: ``recognize(state)`` returns the zoo entry that a file resembles, or None.
_RECOGNIZERS: tuple[Callable[[Mapping[str, Tensor]], str | None], ...] = (sensorium2022.recognize,)

#: ``convert(state, recipe, name=, origin=, source=)`` returns the checkpoint, by architecture.
_CONVERTERS: dict[str, Callable[..., Checkpoint]] = {"sensorium2022": sensorium2022.convert}


def import_weights(
    path: Path, *, name: str | None = None, user_folder: Path | None = None
) -> Checkpoint:
    """Turn a published weight file into a checkpoint.

    The file is recognized by its SHA-256 among the pins of the zoo, else by its keys. Either way
    every key, shape and dtype must be the expected one.

    Parameters
    ----------
    path : Path
        The published file.
    name : str, optional
        Zoo entry whose architecture and assumptions to use; recognized when left out.
    user_folder : Path, optional
        As for :func:`insilico.catalog.entries`.

    Returns
    -------
    Checkpoint
        Named after the zoo entry, or after the file where it is neither pinned nor named.

    Raises
    ------
    CatalogError
        If there is no zoo entry of that name.
    CheckpointError
        If the file is missing, damaged, of no known format, or differs from what its format
        prescribes; the differences are named.
    """
    path = Path(path)
    forced = None if name is None else read_recipe(name, user_folder=user_folder)
    state = read_state_dict(path)
    digest = file_sha256(path)
    recipes = [forced] if forced else read_recipes(user_folder=user_folder)
    pinned = next((recipe for recipe in recipes if digest in _pins(recipe)), None)
    recipe = pinned or forced or _recognize(path, state, user_folder)
    if recipe.architecture not in _CONVERTERS:
        raise CheckpointError(
            f"no importer makes a {recipe.architecture} network; there are importers for "
            f"{', '.join(_CONVERTERS)}"
        )
    return _CONVERTERS[recipe.architecture](
        state,
        recipe,
        name=recipe.name if pinned or forced else path.stem,
        origin=_origin(path, digest, recipe, is_pinned=pinned is not None),
        source=str(path),
    )


def _pins(recipe: Recipe) -> Collection[str]:
    return recipe.weights.pins.values() if recipe.weights else ()


def _recognize(path: Path, state: Mapping[str, Tensor], user_folder: Path | None) -> Recipe:
    for recognize in _RECOGNIZERS:
        if name := recognize(state):
            return read_recipe(name, user_folder=user_folder)
    first = next(iter(state), None)
    raise CheckpointError(
        f"{path} is in no known format (its first key is {first!r}); known are weights of "
        f"{', '.join(_CONVERTERS)}"
    )


def _origin(path: Path, digest: str, recipe: Recipe, *, is_pinned: bool) -> dict[str, Any]:
    """Where the weights come from, as the checkpoint keeps it."""
    origin = {"file": path.name, "file_sha256": digest, "zoo_entry": recipe.name}
    if is_pinned:
        return origin | {
            "recognized_by": "SHA-256 of the published file",
            "url": recipe.weights.place if recipe.weights else "",
            "data": recipe.data,
            "license": recipe.license,
            "reference": recipe.reference,
        }
    return origin | {"recognized_by": "keys and shapes: the file itself is not the published one"}
