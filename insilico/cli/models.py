"""``insilico models``: what there is, and how to get it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts

from insilico.cli.tables import format_table, terminal_width

if TYPE_CHECKING:
    from insilico.models.recipes import Recipe

app = cyclopts.App(name="models", help="List, show, download and import models.")

#: Columns of the list that a narrow terminal does without, the first one first.
_DISPENSABLE = ("license", "data", "species and area", "parameters", "input")

_LEGEND = (
    "Weights: shipped ones are there; 'insilico models pull NAME' gets those to download and those "
    "on the Hugging Face hub; import is for a folder that you have; the rest you train. "
    "'insilico models show NAME' says where a score comes from.",
    "Built in, with known answers: simulated-v1-image, simulated-v1-movie; with surrounds, answers "
    "to holes and a map over cortex: simulated-v1-context-image, simulated-v1-context-movie",
)


@app.command(name="list")
def list_models() -> None:
    """List the models of the zoo."""
    from insilico.models.recipes import read_recipes

    header = [
        "name", "input", "species and area", "data", "neurons", "parameters", "score", "license",
        "weights",
    ]  # fmt: skip
    rows = [
        (
            recipe.name,
            recipe.input,
            recipe.species_area,
            recipe.data,
            recipe.neurons or None,
            recipe.parameters or None,
            recipe.score or None,
            recipe.license,
            _weights(recipe),
        )
        for recipe in read_recipes()
    ]
    width = terminal_width()
    print(format_table(header, rows, width=width, dispensable=_DISPENSABLE))
    print()
    for line in _LEGEND:
        print(textwrap.fill(line, width or len(line)))


def _weights(recipe: Recipe) -> str:
    if recipe.checkpoint:
        return "shipped"
    return recipe.weights.summary if recipe.weights else "train it"


@app.command
def show(name: str) -> None:
    """Print the card of a model, and what its recipe says.

    Parameters
    ----------
    name : str
        A name from 'insilico models list'.
    """
    from insilico.models.recipes import card, read_recipe

    print(card(name).rstrip())
    print("\n## Recipe\n")
    for key, value in _facts(read_recipe(name)):
        print(f"{key:<16}  {value}")


def _facts(recipe: Recipe) -> list[tuple[str, str]]:
    """Return what the recipe says about a model, leaving out what it does not say."""
    facts = [
        ("architecture", recipe.architecture),
        ("input", recipe.input),
        ("species and area", recipe.species_area),
        ("data", recipe.data),
        ("neurons", f"{recipe.neurons:,}" if recipe.neurons else ""),
        ("parameters", f"{recipe.parameters:,}" if recipe.parameters else ""),
        ("score", recipe.score),
        ("license", recipe.license),
        ("reference", recipe.reference),
        ("weights", _weights(recipe)),
        ("from", recipe.weights.place if recipe.weights else ""),
        ("command", _command(recipe)),
    ]
    return [(key, value) for key, value in facts if value]


def _command(recipe: Recipe) -> str:
    if recipe.checkpoint:
        return f"insilico run retinotopy --model {recipe.name} --out RUN"
    if recipe.weights:
        return recipe.weights.command(recipe.name)
    return f"insilico train {recipe.name} --data D --out RUN"


@app.command
def pull(
    name: str, *, revision: str | None = None, folder: str | None = None, offline: bool = False
) -> None:
    """Download a model's published weights, check them, and keep them for use by name.

    Parameters
    ----------
    name : str
        A name from 'insilico models list'.
    revision : str, optional
        Branch, tag or commit on the Hugging Face hub, such as main; needed the first time where
        the list says "not pinned".
    folder : str, optional
        Which run folder, where the repository has several.
    offline : bool
        Use what was downloaded before, and no network.
    """
    from insilico.models import zoo

    path = zoo.pull(name, revision=revision, folder=folder, offline=offline, progress=True)
    print(f"{name} is ready: {path}")
    if note := zoo.pin_note(name):
        print(note)


@app.command(name="import")
def import_model(
    source: Path,
    *,
    out: Path,
    variant: Annotated[str | None, cyclopts.Parameter(name="--as")] = None,
    mouse: list[str] | None = None,
    statistics: Path | None = None,
    data: Path | None = None,
) -> None:
    """Turn published weights into a checkpoint folder that needs nothing else.

    Parameters
    ----------
    source : Path
        A published .pth file, or the folder of a run of V1T or ViV1T.
    out : Path
        The folder to make.
    variant : str, optional
        Model of the zoo that the weights are of; found out from the file when left out.
    mouse : list of str, optional
        Of a run of several mice those to keep; all when left out.
    statistics : Path, optional
        Folder with the statistics that a run standardized its data by, as ViV1T-closed-loop ships
        them; without it and --data the model takes standardized units only.
    data : Path, optional
        Recordings that a run was trained on, to take statistics and cortical positions from.
    """
    from insilico.models.checkpoint import check_new, save_checkpoint
    from insilico.models.importers import import_weights
    from insilico.models.network import count_parameters

    check_new(out)  # before recordings are measured for minutes
    checkpoint = import_weights(
        source, name=variant, mice=mouse or (), statistics=statistics, data=data, progress=True
    )
    save_checkpoint(checkpoint, out)
    print(
        f"{checkpoint.name}: {checkpoint.architecture}, "
        f"{count_parameters(checkpoint.network):,} parameters -> {out}"
    )
    for one in checkpoint.mice.values():
        print(f"mouse {one.name}: {len(one.neurons):,} neurons")
        for what, source_text in one.statistics.sources.items():
            print(f"  {what}: {source_text}")
    for quirk in checkpoint.origin.get("quirks", ()):
        print(f"reproduced: {quirk}")
