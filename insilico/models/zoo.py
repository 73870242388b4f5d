"""The zoo: published models by name."""

from __future__ import annotations

from pathlib import Path

from insilico import catalog
from insilico.errors import CatalogError
from insilico.models import hub
from insilico.models.checkpoint import FORMAT, save_checkpoint
from insilico.models.importers import import_weights
from insilico.models.recipes import Recipe, read_recipe, read_recipes

__all__ = ["Recipe", "card", "list_models", "pull", "read_recipe"]


def list_models(*, user_folder: Path | None = None) -> list[Recipe]:
    """Return every entry of the zoo, sorted by name.

    Parameters
    ----------
    user_folder : Path, optional
        As for :func:`insilico.catalog.entries`.

    Returns
    -------
    list of Recipe

    Raises
    ------
    RecipeError
        If a recipe is wrong.
    """
    return read_recipes(user_folder=user_folder)


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


def pull(
    name: str,
    *,
    cache: Path | None = None,
    user_folder: Path | None = None,
    progress: bool = False,
) -> Path:
    """Return the checkpoint of a zoo entry: shipped, or downloaded once.

    Parameters
    ----------
    name : str
        Name of the entry.
    cache : Path, optional
        Folder for downloads and checkpoints; the platform's cache folder of ``insilico`` when left
        out.
    user_folder : Path, optional
        As for :func:`insilico.catalog.entries`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The checkpoint folder, ``<cache>/checkpoints/<name>-<recipe>-v1``, where ``<recipe>`` are
        the first 8 digits of the recipe's SHA-256: a changed recipe makes a new checkpoint. A
        shipped checkpoint stays where it is.

    Raises
    ------
    CatalogError
        If there is no such entry, or it has no weights.
    DownloadError
        If the weights cannot be downloaded as they are pinned.
    CheckpointError
        If the file does not match the recipe, or the cache cannot be written.
    """
    recipe = read_recipe(name, user_folder=user_folder)
    if recipe.checkpoint:
        return recipe.checkpoint
    if recipe.weights is None:
        raise CatalogError(
            f"{name} is a recipe without weights; train it with 'insilico train {name} --data D "
            "--out RUN'"
        )
    folder = hub.cache_folder(cache) / "checkpoints" / f"{name}-{recipe.fingerprint[:8]}-v{FORMAT}"
    if not folder.exists():
        weights = hub.fetch(
            recipe.weights.url, sha256=recipe.weights.sha256, cache=cache, progress=progress
        )
        save_checkpoint(import_weights(weights, name=name, user_folder=user_folder), folder)
    return folder
