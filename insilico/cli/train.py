"""``insilico train``: recordings and a recipe in, a twin out."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts

from insilico.cli.tables import format_table, terminal_width

if TYPE_CHECKING:
    from insilico.models.checkpoint import Checkpoint
    from insilico.training.recipe import TrainingRecipe

#: Characters of a line of the explanation where no terminal says how many fit.
FILE_WIDTH = 160


def train(
    recipe: str,
    *,
    data: Path | None = None,
    out: Path | None = None,
    mouse: list[str] | None = None,
    core: str | None = None,
    freeze: Literal["core"] | None = None,
    resume: bool = False,
    set_: Annotated[list[str] | None, cyclopts.Parameter(name="--set")] = None,
    track: list[Literal["tensorboard", "wandb"]] | None = None,
    cache: Path | None = None,
    device: str = "auto",
    explain: bool = False,
) -> None:
    """Train a twin on recordings; several processes by torchrun share the work.

    Parameters
    ----------
    recipe : str
        A name from 'insilico models list', or a TOML file.
    data : Path
        A recording, or a folder of recordings.
    out : Path
        The run folder: a new one, or with --resume one to continue.
    mouse : list of str, optional
        Train on these mice alone.
    core : str, optional
        A trained model, by name or folder, whose core to start from.
    freeze : str, optional
        "core" trains readouts and shifters alone, for a new field of view.
    resume : bool
        Continue the run in the folder after its last finished epoch.
    set_ : list of str, optional
        key=value, replaces a value of the recipe, such as epochs=20.
    track : list of str, optional
        tensorboard or wandb, beside the log files.
    cache : Path, optional
        Folder for decoded recordings; the user's cache when left out.
    device : str
        cpu, cuda or mps; auto takes a GPU where there is one.
    explain : bool
        Print the keys of the recipe with their values and meanings, and stop.
    """
    from insilico.configuration import parse_assignments
    from insilico.errors import RecipeError
    from insilico.training.recipe import read_training_recipe

    overrides = parse_assignments(set_ or [], error=RecipeError)
    chosen = read_training_recipe(recipe, overrides=overrides)
    if explain:
        _explain(chosen)
        return
    if data is None or out is None:
        missing = "--data" if data is None else "--out"
        raise RecipeError(
            f"{missing} is missing; give the recordings with --data and the run folder with --out"
        )
    if freeze and core is None:
        raise RecipeError("--freeze core needs a trained core; name it with --core")
    _train(
        chosen,
        data,
        out,
        mice=mouse,
        cache=cache,
        device=device,
        core=_load_core(core, cache),
        is_core_frozen=freeze is not None,
        resume=resume,
        trackers=tuple(track or ()),
    )


def _train(
    recipe: TrainingRecipe,
    data: Path,
    out: Path,
    *,
    mice: list[str] | None,
    cache: Path | None,
    device: str,
    **options: Any,
) -> None:
    from insilico.cli.saving import save_figure
    from insilico.errors import TrainingError
    from insilico.figures.training import plot_training
    from insilico.models import hub
    from insilico.recordings import cache_recordings, open_recordings
    from insilico.training.hardware import start_fabric
    from insilico.training.loop import train as run
    from insilico.training.run_state import TrainingFolder

    fabric = start_fabric(device, precision=recipe.training.precision)
    with fabric.rank_zero_first():
        recordings = cache_recordings(
            open_recordings(data, mice=mice),
            folder=hub.cache_folder(cache) / "recordings",
            progress=True,
        )
    try:
        result = run(
            recipe,
            recordings,
            out,
            fabric=fabric,
            progress=True,
            command=" ".join(sys.argv),
            **options,
        )
    except KeyboardInterrupt as stop:
        if TrainingFolder(out).has_finished_epochs:
            raise TrainingError(
                "stopped; finished epochs are kept, and the same command with --resume continues"
            ) from stop
        raise TrainingError(
            "stopped before the first epoch ended, so nothing of it is kept; the same command with "
            "--resume starts anew"
        ) from stop
    if not fabric.is_global_zero:
        return
    save_figure(plot_training(result.log), out / "figures", "training")
    print(
        f"{recipe.name}: validation correlation {result.validation_correlation:.3f} after epoch "
        f"{result.best_epoch} of {len(result.log)}, {result.log['minutes'].iloc[-1]:.1f} minutes"
    )
    print(f"twin: {result.checkpoint}\nlog and figure: {out}/log.csv, {out}/figures/training.png")
    chosen = "".join(f" --mouse {name}" for name in mice or ())
    print(f"Next: insilico evaluate {out} --data {data} --out {out}{chosen}")


def _load_core(model: str | None, cache: Path | None) -> Checkpoint | None:
    if model is None:
        return None
    from insilico.twin.loading import open_checkpoint

    return open_checkpoint(model, cache=cache, progress=True)


def _explain(recipe: TrainingRecipe) -> None:
    from insilico.errors import CheckpointError
    from insilico.training.recipe import explain, unused_options

    unused: tuple[str, ...] = ()
    note = ""
    try:
        unused = unused_options(recipe)
    except CheckpointError as error:
        # Explaining is how to find the value to correct, so all keys are shown.
        note = f"With these values no network can be built: {error}."
    if unused:
        note = (
            f"Left out, since the readout {recipe.options.readout} and the modulator "
            f"{recipe.options.modulator} do not read them: {', '.join(unused)}. '--set "
            "readout=NAME' and '--set modulator=NAME' beside --explain show those of others."
        )
    width = terminal_width() or FILE_WIDTH
    header = ["key", "value", "takes", "meaning"]
    rows = [row for row in explain(recipe) if row[0].removeprefix("options.") not in unused]
    print(f"{recipe.name}: a network of the architecture {recipe.architecture}\n")
    print(format_table(header, rows, width=width, dispensable=["takes"]))
    if note:
        print(f"\n{textwrap.fill(note, width, break_on_hyphens=False)}")
