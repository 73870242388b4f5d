"""Importers of published weights: a foreign file or run folder in, a checkpoint out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from insilico.errors import CheckpointError, MouseError
from insilico.models.checkpoint import Checkpoint
from insilico.models.importers import closed_loop, first_release, sensorium2022, v1t
from insilico.models.importers.run_folder import (
    Release,
    RunFolder,
    is_run_folder,
    read_run_folder,
    release,
)
from insilico.models.importers.statistics import find_statistics
from insilico.models.importers.translation import Part, build_checkpoint
from insilico.models.published import BARE_WEIGHTS, TRAINING_STATE
from insilico.models.recipes import Recipe, read_recipe, read_recipes
from insilico.models.weights import file_sha256, read_state_dict

__all__ = ["import_weights", "is_published"]

#: ``recognize(state)`` returns the zoo entry that a file resembles, or None.
_RECOGNIZERS: tuple[Callable[[Mapping[str, Tensor]], str | None], ...] = (sensorium2022.recognize,)

#: ``convert(state, recipe, name=, origin=, source=)`` returns the checkpoint, by architecture.
_CONVERTERS: dict[str, Callable[..., Checkpoint]] = {"sensorium2022": sensorium2022.convert}

#: ``parts(run)`` translates a run, by the code that wrote it.
_RUNS: dict[Release, Callable[[RunFolder], list[Part]]] = {
    "closed_loop": closed_loop.parts,
    "first_release": first_release.parts,
    "v1t": v1t.parts,
}

#: What the code that wrote a run folder is called.
_RELEASES: dict[Release, str] = {
    "closed_loop": "ViV1T-closed-loop",
    "first_release": "ViV1T, first release",
    "v1t": "V1T",
}


def is_published(path: Path) -> bool:
    """Whether a path is a published weight file or run folder, and not a checkpoint of ours."""
    return path.is_file() or is_run_folder(path)


def import_weights(
    path: Path,
    *,
    name: str | None = None,
    mice: Sequence[str] = (),
    statistics: Path | None = None,
    data: Path | None = None,
    user_folder: Path | None = None,
    progress: bool = False,
) -> Checkpoint:
    """Turn a published weight file or run folder into a checkpoint.

    A file is recognized by its SHA-256 among the pins of the zoo, else by its keys; a run folder by
    its options. Either way every key, shape and dtype must be the expected one.

    Parameters
    ----------
    path : Path
        The published file, or the folder of a run of V1T or ViV1T.
    name : str, optional
        Zoo entry whose architecture and assumptions to use for a file, and whose name to give;
        recognized when left out.
    mice : sequence of str, optional
        Of a run of several mice those to keep; all when left out.
    statistics, data : Path, optional
        For a run folder, which does not carry them: a folder of statistics, or recordings; see
        :func:`insilico.models.importers.statistics.find_statistics`.
    user_folder : Path, optional
        As for :func:`insilico.catalog.entries`.
    progress : bool
        Show a progress bar while recordings are measured.

    Returns
    -------
    Checkpoint
        Named after the zoo entry, or after the file or folder where it is neither pinned nor named.

    Raises
    ------
    CatalogError
        If there is no zoo entry of that name.
    CheckpointError
        If the file is missing, damaged, of no known format, or differs from what its format
        prescribes; the differences are named.
    MouseError
        If the run has not the asked mice.
    """
    path = Path(path)
    if path.is_dir():
        recipe = None if name is None else read_recipe(name, user_folder=user_folder)
        run = _with_mice(read_run_folder(path), mice)
        checkpoint = _convert_run(
            run, name=name, statistics=statistics, data=data, progress=progress
        )
        if recipe is not None:
            _check_recipe(run, checkpoint, recipe)
        return checkpoint
    for what, given in {"statistics": statistics, "data": data, "mouse": mice}.items():
        if given:
            raise CheckpointError(
                f"{path} is a weight file, which the zoo knows all about; give --{what} with the "
                "folder of a run only"
            )
    return _import_file(path, name=name, user_folder=user_folder)


def _convert_run(
    run: RunFolder,
    *,
    name: str | None,
    statistics: Path | None,
    data: Path | None,
    progress: bool,
) -> Checkpoint:
    known = {
        mouse: find_statistics(
            run, mouse, count, statistics=statistics, data=data, progress=progress
        )
        for mouse, count in run.neuron_counts.items()
    }
    which = release(run)
    origin = _run_origin(run, which, name)
    title = name or run.path.resolve().name
    return build_checkpoint(run, known, parts=_RUNS[which](run), name=title, origin=origin)


def _check_recipe(run: RunFolder, checkpoint: Checkpoint, recipe: Recipe) -> None:
    given = checkpoint.architecture, checkpoint.network.channels
    wanted = recipe.architecture, recipe.options.get("stimulus_channels", 1)
    if given != wanted:
        raise CheckpointError(
            f"{run.path} is a {given[0]} network for {given[1]} stimulus channel(s), and the zoo's "
            f"{recipe.name} is {wanted[0]} for {wanted[1]}; give another name, or none"
        )


def _with_mice(run: RunFolder, mice: Sequence[str]) -> RunFolder:
    """Return a run without the mice that were not asked for."""
    if missing := [mouse for mouse in mice if mouse not in run.mice]:
        raise MouseError(
            f"{run.path} has no mouse {missing[0]!r}; its mice are {', '.join(run.mice)}"
        )
    return run.only(mice) if mice else run


def _run_origin(run: RunFolder, which: Release, name: str | None) -> dict[str, Any]:
    """Where the weights come from, as the checkpoint keeps it."""
    origin: dict[str, Any] = {
        "file": str(run.weights_path.relative_to(run.path)),
        "file_sha256": run.weights_sha256,
        "zoo_entry": name or "",
        "recognized_by": f"a run folder of {_RELEASES[which]}",
    }
    if "best_correlation" in run.info:
        origin["validation_correlation"] = float(run.info["best_correlation"])
    if "epoch" in run.info:
        origin["epoch"] = int(run.info["epoch"])
    return origin


def _import_file(path: Path, *, name: str | None, user_folder: Path | None) -> Checkpoint:
    forced = None if name is None else read_recipe(name, user_folder=user_folder)
    if path.name in (BARE_WEIGHTS, TRAINING_STATE) and is_run_folder(path.parent.parent):
        raise CheckpointError(
            f"{path} is the weights of a run; give the folder of the run, {path.parent.parent}"
        )
    state = read_state_dict(path)
    digest = file_sha256(path)
    recipes = [forced] if forced else read_recipes(user_folder=user_folder)
    pinned = next((recipe for recipe in recipes if digest in _pins(recipe)), None)
    recipe = pinned or forced or _recognize(path, state, user_folder)
    if recipe.architecture not in _CONVERTERS:
        raise CheckpointError(
            f"no importer makes a {recipe.architecture} network of a single file; give a run "
            f"folder, or a file of {', '.join(_CONVERTERS)}"
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
