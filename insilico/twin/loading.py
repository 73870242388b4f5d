"""From a name or a path to a twin."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from insilico import catalog
from insilico.errors import CatalogError
from insilico.models import checkpoint, zoo
from insilico.models.importers import import_weights, is_published
from insilico.models.recipes import CHECKPOINT_FOLDER
from insilico.twin.twin import Twin

#: Names of the simulated twins, and the arguments of :class:`insilico.SimulatedV1` that make them.
SIMULATED: dict[str, dict[str, Any]] = {
    "simulated-v1-image": {"kind": "image"},
    "simulated-v1-movie": {"kind": "movie"},
    "simulated-v1-context-image": {"kind": "image", "contextual": True},
    "simulated-v1-context-movie": {"kind": "movie", "contextual": True},
}


def load(
    model: str | Path,
    *,
    device: str | torch.device = "auto",
    precision: str = "float32",
    cache: Path | None = None,
    statistics: Path | None = None,
    data: Path | None = None,
) -> Twin:
    """Return a twin from the zoo, from a checkpoint folder, or simulated.

    Parameters
    ----------
    model : str or Path
        A name of the zoo, such as "sensorium2022-cnn", whose weights are downloaded once; the path
        of a checkpoint folder, of a training run, or of a published weight file or run folder of
        V1T or ViV1T as it is; or a simulated V1: "simulated-v1-image", "simulated-v1-movie", and
        "simulated-v1-context-image" and "simulated-v1-context-movie", with surrounds, answers to
        holes and a map over cortex.
    device : str or torch.device
        Where it computes; "auto" takes a GPU where there is one.
    precision : {"float32", "float64", "bfloat16"}
        See :class:`insilico.Twin`.
    cache : Path, optional
        Where downloads are kept; the user's cache folder when left out.
    statistics, data : Path, optional
        For a published run folder, which does not carry the statistics of its data: a folder of
        them, or the recordings; see :func:`insilico.models.importers.import_weights`. Left aside
        for models that carry their own.

    Returns
    -------
    Twin

    Raises
    ------
    CatalogError
        If the name is unknown, or is both a model of the zoo and a folder.
    CheckpointError
        If the folder is no complete checkpoint.
    DownloadError
        If the weights cannot be downloaded, or are not the pinned ones.

    Examples
    --------
    >>> import insilico
    >>> insilico.load("simulated-v1-image").kind
    'image'
    """
    if _is_known(model, SIMULATED):
        from insilico.simulation import SimulatedV1

        return SimulatedV1(**SIMULATED[str(model)], device=device, precision=precision)
    loaded = open_checkpoint(model, cache=cache, statistics=statistics, data=data)
    # Gradients are of stimuli: those of the weights would double the work.
    loaded.network.requires_grad_(False)
    return Twin(
        loaded.network,
        mice=loaded.mice,
        name=loaded.name,
        provenance={
            "architecture": loaded.architecture,
            "weights_sha256": loaded.weights_sha256,
            "validation_correlation": loaded.origin.get("validation_correlation"),
        },
        device=device,
        precision=precision,
    )


def open_checkpoint(
    model: str | Path,
    *,
    cache: Path | None = None,
    statistics: Path | None = None,
    data: Path | None = None,
    progress: bool = False,
) -> checkpoint.Checkpoint:
    """Return the network of a model and what is known of its mice.

    Parameters
    ----------
    model : str or Path
        As for :func:`load`, but no simulated twin, which has no weights.
    cache, progress
        As for :func:`find_checkpoint`.
    statistics, data
        As for :func:`load`.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CatalogError, CheckpointError, DownloadError
        As for :func:`load`.
    """
    folder = find_checkpoint(model, cache=cache, progress=progress)
    if folder.is_file():
        return import_weights(folder)
    if is_published(folder):
        return import_weights(folder, statistics=statistics, data=data, progress=progress)
    return checkpoint.load_checkpoint(folder)


def find_checkpoint(
    model: str | Path, *, cache: Path | None = None, progress: bool = False
) -> Path:
    """Return the checkpoint folder of a model.

    Parameters
    ----------
    model : str or Path
        A name of the zoo, whose weights are shipped or downloaded once; a checkpoint folder; or the
        folder of a training run, whose best weights are meant.
    cache : Path, optional
        As for :func:`load`.
    progress : bool
        Show the download.

    Returns
    -------
    Path

    Raises
    ------
    CatalogError
        If the name is unknown, is both a model of the zoo and a folder, or is that of a simulated
        twin, which has no weights.
    DownloadError
        If the weights cannot be downloaded, or are not the pinned ones.
    """
    if _is_known(model, catalog.entries("models")):
        return zoo.pull(str(model), cache=cache, progress=progress)
    if _is_known(model, SIMULATED):
        raise CatalogError(
            f"{model} has never seen a recording and has no weights; give a trained model"
        )
    folder = Path(model)
    if isinstance(model, str) and folder.name == model and not folder.exists():
        known = [*SIMULATED, *catalog.entries("models")]
        close = difflib.get_close_matches(model, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise CatalogError(
            f"there is no model and no folder {model!r}; {hint}the models are {', '.join(known)}, "
            "and a checkpoint is a folder that 'insilico train' or 'insilico models import' made"
        )
    is_run = not (folder / checkpoint.MODEL_FILE).exists() and (folder / CHECKPOINT_FOLDER).is_dir()
    return folder / CHECKPOINT_FOLDER if is_run else folder


def _is_known(model: str | Path, names: Collection[str]) -> bool:
    """Whether a model is meant by a name, and not by a path.

    Raises
    ------
    CatalogError
        If it could be either.
    """
    if not isinstance(model, str) or model not in names:
        return False
    if Path(model).exists():
        raise CatalogError(
            f"{model!r} is both a model of the zoo and a folder here; write ./{model} for the "
            "folder, or call from elsewhere for the model"
        )
    return True
