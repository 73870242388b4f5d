"""``insilico models``: what there is, and how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts

from insilico.cli.tables import format_table

if TYPE_CHECKING:
    from insilico.models.recipes import Recipe

app = cyclopts.App(name="models", help="List, show, download and import models.")


@app.command(name="list")
def list_models() -> None:
    """List the models of the zoo."""
    from insilico.models.recipes import read_recipes

    header = [
        "name", "input", "species and area", "data", "neurons", "parameters", "license", "weights",
    ]  # fmt: skip
    rows = [
        (
            recipe.name,
            recipe.input,
            recipe.species_area,
            recipe.data,
            recipe.neurons or "-",
            recipe.parameters or "-",
            recipe.license,
            _weights(recipe),
        )
        for recipe in read_recipes()
    ]
    print(format_table(header, rows))
    print("\nBuilt in, with known answers: simulated-v1-image, simulated-v1-movie")


def _weights(recipe: Recipe) -> str:
    if recipe.checkpoint:
        return "shipped"
    if recipe.weights:
        return f"download {recipe.weights.bytes / 1e6:.1f} MB"
    return "train it"


@app.command
def show(name: str) -> None:
    """Print the card of a model.

    Parameters
    ----------
    name : str
        A name from 'insilico models list'.
    """
    from insilico.models import zoo

    print(zoo.card(name))


@app.command
def pull(name: str) -> None:
    """Download a model's published weights, check them, and keep them for use by name.

    Parameters
    ----------
    name : str
        A name from 'insilico models list'.
    """
    from insilico.models import zoo

    print(f"{name} is ready: {zoo.pull(name, progress=True)}")


@app.command(name="import")
def import_model(
    source: Path,
    *,
    out: Path,
    variant: Annotated[str | None, cyclopts.Parameter(name="--as")] = None,
) -> None:
    """Turn published weights into a checkpoint folder that needs nothing else.

    Parameters
    ----------
    source : Path
        A published .pth file.
    out : Path
        The folder to make.
    variant : str, optional
        Model of the zoo that the weights are of; found out from the file when left out.
    """
    from insilico.models.checkpoint import save_checkpoint
    from insilico.models.importers import import_weights
    from insilico.models.network import count_parameters

    checkpoint = import_weights(source, name=variant)
    save_checkpoint(checkpoint, out)
    for mouse in checkpoint.mice.values():
        print(
            f"{checkpoint.name}: mouse {mouse.name}, {len(mouse.neurons):,} neurons, "
            f"{count_parameters(checkpoint.network):,} trainable parameters -> {out}"
        )
        for what, source_text in mouse.statistics.sources.items():
            print(f"  {what}: {source_text}")
