"""The zoo: published models by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from insilico.errors import CatalogError
from insilico.models import hub
from insilico.models.checkpoint import FORMAT, save_checkpoint
from insilico.models.huggingface import Access, LocalRun, RunRecord, fetch_run, recorded
from insilico.models.importers import import_weights
from insilico.models.published import FileWeights, FolderWeights, HubWeights
from insilico.models.recipes import Recipe, card, read_recipe, read_recipes

__all__ = ["Recipe", "card", "list_models", "pin_note", "pull", "read_recipe"]


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


def pull(
    name: str,
    *,
    cache: Path | None = None,
    user_folder: Path | None = None,
    progress: bool = False,
    revision: str | None = None,
    folder: str | None = None,
    offline: bool = False,
    endpoint: str | None = None,
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
    revision, folder : str, optional
        Of an entry on the Hugging Face hub that is not pinned: branch, tag or commit, needed the
        first time, and which run folder; see :func:`insilico.models.huggingface.fetch_run`.
    offline : bool
        Use what is in the cache, and no network.
    endpoint : str, optional
        Address of the Hugging Face hub; ``HF_ENDPOINT``, or https://huggingface.co, when left out.

    Returns
    -------
    Path
        The checkpoint folder, ``<cache>/checkpoints/<name>-<recipe>-v1``, where ``<recipe>`` are
        the first 8 digits of the recipe's SHA-256: a changed recipe makes a new checkpoint. From
        the hub it is ``<name>-<recipe>-<run>-v1``, where ``<run>`` stands for the hashes of the run
        folder's files. A shipped checkpoint stays where it is.

    Raises
    ------
    CatalogError
        If there is no such entry, it has no weights, or they cannot be downloaded at all.
    DownloadError
        If the weights cannot be downloaded as they are pinned or were recorded.
    CheckpointError
        If the file does not match the recipe, or the cache cannot be written.
    """
    recipe = read_recipe(name, user_folder=user_folder)
    if (revision or folder) and not isinstance(recipe.weights, HubWeights):
        raise CatalogError(
            f"{name} has one version, which is not on the Hugging Face hub; leave --revision and "
            "--folder out"
        )
    if recipe.checkpoint:
        return recipe.checkpoint
    if isinstance(recipe.weights, HubWeights):
        access = Access(cache, endpoint, offline=offline, progress=progress)
        run = None if revision or folder else recorded(recipe.weights, name, cache=cache)
        target = _checkpoint_folder(recipe, cache, run)
        if run and target.exists():
            return target
        local = fetch_run(recipe.weights, name, revision=revision, folder=folder, access=access)
        return _import_run(recipe, local, cache=cache, user_folder=user_folder)
    if not isinstance(recipe.weights, FileWeights):
        raise CatalogError(_how_to_get(recipe))
    target = _checkpoint_folder(recipe, cache)
    if not target.exists():
        weights = hub.fetch(
            recipe.weights.url,
            sha256=recipe.weights.sha256,
            cache=cache,
            progress=progress,
            offline=offline,
        )
        save_checkpoint(import_weights(weights, name=name, user_folder=user_folder), target)
    return target


def pin_note(name: str, *, cache: Path | None = None, user_folder: Path | None = None) -> str:
    """Return what a user must know of pulled weights that insilico does not pin.

    Parameters
    ----------
    name, cache, user_folder
        As for :func:`pull`.

    Returns
    -------
    str
        Nothing, where every byte is pinned or nothing was pulled.
    """
    recipe = read_recipe(name, user_folder=user_folder)
    if not isinstance(recipe.weights, HubWeights) or recipe.weights.is_pinned:
        return ""
    run = recorded(recipe.weights, name, cache=cache)
    if run is None:
        return ""
    return (
        f"insilico does not pin these weights: they are what {recipe.weights.place} held at "
        f"{run.revision} (commit {run.commit}, folder {run.folder}) when they were first pulled. "
        "Their SHA-256 are recorded; a later pull that yields other bytes is refused."
    )


def _import_run(
    recipe: Recipe, local: LocalRun, *, cache: Path | None, user_folder: Path | None
) -> Path:
    """Return the checkpoint of a run folder from the Hugging Face hub."""
    target = _checkpoint_folder(recipe, cache, local.record)
    if not target.exists():
        checkpoint = import_weights(local.path, name=recipe.name, user_folder=user_folder)
        origin = {
            **checkpoint.origin,
            "repository": local.record.repository,
            "commit": local.record.commit,
            "folder": local.record.folder,
            "files_sha256": dict(local.record.sha256),
            "pinned_by": "insilico" if local.is_pinned else "the first download",
        }
        save_checkpoint(dataclasses.replace(checkpoint, origin=origin), target)
    return target


def _checkpoint_folder(recipe: Recipe, cache: Path | None, run: RunRecord | None = None) -> Path:
    marks = [recipe.name, recipe.fingerprint[:8], *([run.fingerprint[:8]] if run else [])]
    return hub.cache_folder(cache) / "checkpoints" / f"{'-'.join(marks)}-v{FORMAT}"


def _how_to_get(recipe: Recipe) -> str:
    """Say how to come by weights that cannot be downloaded."""
    if isinstance(recipe.weights, FolderWeights):
        return (
            f"the weights of {recipe.name} cannot be downloaded ({recipe.weights.origin}); import "
            f"what you have with '{recipe.weights.command(recipe.name)}'"
        )
    return (
        f"{recipe.name} is a recipe without weights; train it with 'insilico train {recipe.name} "
        "--data D --out RUN'"
    )
