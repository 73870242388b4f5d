"""From a name or a path to a twin."""

from __future__ import annotations

from pathlib import Path

import torch

from insilico import catalog
from insilico.errors import CatalogError
from insilico.models import checkpoint, zoo
from insilico.stimuli.stimuli import Kind
from insilico.twin.twin import Twin

#: Names of the simulated twins, and what they are shown.
SIMULATED = {"simulated-v1-image": "image", "simulated-v1-movie": "movie"}


def load(
    model: str | Path,
    *,
    device: str | torch.device = "auto",
    precision: str = "float32",
    cache: Path | None = None,
) -> Twin:
    """Return a twin from the zoo, from a checkpoint folder, or simulated.

    Parameters
    ----------
    model : str or Path
        A name of the zoo, such as "sensorium2022-cnn", whose weights are downloaded once; the path
        of a checkpoint folder; or "simulated-v1-image" or "simulated-v1-movie".
    device : str or torch.device
        Where it computes; "auto" takes a GPU where there is one.
    precision : {"float32", "float64", "bfloat16"}
        See :class:`insilico.Twin`.
    cache : Path, optional
        Where downloads are kept; the user's cache folder when left out.

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
    name = str(model)
    is_name = isinstance(model, str) and Path(model).name == model
    is_known = is_name and (name in SIMULATED or name in catalog.entries("models"))
    if is_known and Path(name).exists():
        raise CatalogError(
            f"{name!r} is both a model of the zoo and a folder here; write ./{name} for the "
            "folder, or call from elsewhere for the model"
        )
    if is_known and name in SIMULATED:
        from insilico.simulation import SimulatedV1

        kind: Kind = "image" if SIMULATED[name] == "image" else "movie"
        return SimulatedV1(kind, device=device, precision=precision)
    if is_name and not is_known and not Path(name).exists():
        known = [*SIMULATED, *catalog.entries("models")]
        raise CatalogError(
            f"there is no model and no folder {name!r}; the models are {', '.join(known)}, and a "
            "checkpoint is a folder that 'insilico models import' made"
        )
    folder = zoo.pull(name, cache=cache) if is_known else Path(model)
    loaded = checkpoint.load_checkpoint(folder)
    return Twin(
        loaded.network,
        mice=loaded.mice,
        name=loaded.name,
        provenance={"architecture": loaded.architecture, "weights_sha256": loaded.weights_sha256},
        device=device,
        precision=precision,
    )
