"""From the names of published weights to ours, with every constant checked on the way."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint
from insilico.models.cores.image_patches import guess_grid, patch_grid
from insilico.models.importers.run_folder import RunFolder
from insilico.models.mouse import Mouse
from insilico.models.published import OPTIONS_FILE
from insilico.models.weights import load_completely

T = TypeVar("T")

#: Largest difference of a constant in a file from its known value, relative to the larger of one
#: and that value: tables that were computed on another device differ by rounding.
CONSTANT_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Rename:
    r"""One rule for keys.

    Parameters
    ----------
    pattern : str
        Regular expression of the whole published key.
    name : str
        Ours, with groups of the pattern as ``\1``, ``\2`` …
    reshape : callable, optional
        Turns the published tensor into ours.
    """

    pattern: str
    name: str
    reshape: Callable[[Tensor], Tensor] | None = None


@dataclasses.dataclass(frozen=True)
class Constant:
    """A tensor that published files carry and nobody learned.

    Parameters
    ----------
    pattern : str
        Regular expression of the whole published key.
    value : float, Tensor or None
        What it must be; None for what no answer depends on, whatever it is.
    """

    pattern: str
    value: float | Tensor | None


def translate(
    state: Mapping[str, Tensor],
    *,
    renames: Sequence[Rename],
    constants: Sequence[Constant],
    source: str,
) -> dict[str, Tensor]:
    """Return published weights under our names.

    Parameters
    ----------
    state : mapping of str to tensor
        The published weights.
    renames : sequence of Rename
        The first that fits a key is taken; a key that none fits keeps its name, so that loading
        refuses it.
    constants : sequence of Constant
        Keys that are checked and left out.
    source : str
        Path of the file, for messages.

    Returns
    -------
    dict of str to tensor

    Raises
    ------
    CheckpointError
        If a constant has another value: then the file was written by other code, and its numbers
        would differ.
    """
    translated = {}
    for key, value in state.items():
        if constant := next((one for one in constants if re.fullmatch(one.pattern, key)), None):
            _check(key, value, constant.value, source)
            continue
        for rename in renames:
            if match := re.fullmatch(rename.pattern, key):
                translated[match.expand(rename.name)] = _reshaped(key, value, rename, source)
                break
        else:
            translated[key] = value
    return translated


def _reshaped(key: str, value: Tensor, rename: Rename, source: str) -> Tensor:
    if rename.reshape is None:
        return value
    try:
        return rename.reshape(value).contiguous()
    except (RuntimeError, LookupError, ValueError) as error:
        raise CheckpointError(
            f"{source} has {key} of shape {tuple(value.shape)}, which no run of these options has; "
            "give a run folder whose files belong together"
        ) from error


def _check(key: str, value: Tensor, expected: float | Tensor | None, source: str) -> None:
    if expected is None:
        return
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    given = value.detach().double()
    if given.shape == wanted.shape or (wanted.ndim == 0 and given.numel()):
        limit = CONSTANT_TOLERANCE * max(1.0, wanted.abs().max().item())
        if ((given - wanted).abs() <= limit).all():
            return
    raise CheckpointError(
        f"{source} has another {key} than its options say; it was written by other code than this "
        "importer knows, so nothing was loaded"
    )


@dataclasses.dataclass(frozen=True)
class Part:
    """How one part of a published network becomes ours.

    Parameters
    ----------
    options : mapping
        Options of our architecture.
    renames, constants : sequence
        See :func:`translate`.
    quirks : sequence of str
        What the published code does, and the weights need, that ours would not do; a sentence each.
    additions : mapping of str to tensor
        Weights under our names that the published code does without.
    architecture : str
        Name in the registry, of a core.
    reads_state : bool
        Whether behavior enters a core.
    screen_px : (int, int), optional
        Rows and columns at which the network is shown screens, where that is not the size of the
        published stimuli.
    """

    options: Mapping[str, Any]
    renames: Sequence[Rename] = ()
    constants: Sequence[Constant] = ()
    quirks: Sequence[str] = ()
    additions: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    architecture: str = ""
    reads_state: bool = False
    screen_px: tuple[int, int] | None = None


def choose(
    run: RunFolder, option: str, known: Mapping[Any, T], *, default: int | str | None = None
) -> T:
    """Return what an option of a run names.

    Parameters
    ----------
    run : RunFolder
        Says what the option is.
    option : str
        Its name.
    known : mapping
        What there is, by the published number or name.
    default : int or str, optional
        What an option that is not there stands for; demanded when left out.

    Raises
    ------
    CheckpointError
        If there is no such thing; the message names those that there are.
    """
    kind = type(next(iter(known)))
    value = run.option(option, kind) if default is None else run.option(option, kind, default)
    if value not in known:
        raise CheckpointError(
            f"{run.path / OPTIONS_FILE} has {option}: {value!r}, which this importer does not "
            f"know; it knows {', '.join(map(str, known))}"
        )
    return known[value]


def guessed_grid(image_px: tuple[int, int], *, patch_px: int, stride_px: int) -> list[str]:
    """Return a sentence where the published code guesses the shape of the token grid wrong.

    Parameters
    ----------
    image_px : (int, int)
        Rows and columns that the patches are cut from.
    patch_px, stride_px : int
        Side of a patch, and distance between neighbors.

    Returns
    -------
    list of str
        Empty where the guess is right.
    """
    true = patch_grid(image_px, patch_px=patch_px, stride_px=stride_px)
    guess = guess_grid(true[0] * true[1])
    if guess == true:
        return []
    return [
        f"tokens are laid out on a guessed grid of {guess[0]} by {guess[1]} where the true one is "
        f"{true[0]} by {true[1]}, which scrambles features in space"
    ]


def zeros_for_biases(run: RunFolder) -> dict[str, Tensor]:
    """Return a bias of zero for every mouse whose readout was published without one."""
    return {
        f"readout.{mouse}.bias": torch.zeros(count)
        for mouse, count in run.neuron_counts.items()
        if f"readouts.{mouse}.bias" not in run.state
    }


def describe(parts: Sequence[Part]) -> tuple[str, Any]:
    """Return the architecture that parts make up, and its options.

    Raises
    ------
    CheckpointError
        If an option is impossible; it is named.
    """
    architecture = next(part.architecture for part in parts if part.architecture)
    values = {key: value for part in parts for key, value in part.options.items()}
    return architecture, registry.parse_options(architecture, values)


def build_checkpoint(
    run: RunFolder,
    mice: Mapping[str, Mouse],
    *,
    parts: Sequence[Part],
    name: str,
    origin: Mapping[str, Any],
) -> Checkpoint:
    """Build the network that a run's parts describe, and fill it completely.

    Parameters
    ----------
    run : RunFolder
        Options and weights.
    mice : mapping of str to Mouse
        What is known of each mouse of the run.
    parts : sequence of Part
        One names the architecture; options of later ones win.
    name : str
        Name of the checkpoint.
    origin : mapping
        Where the weights come from; ``quirks`` is added.

    Returns
    -------
    Checkpoint
        Its origin names, under ``quirks``, what the published code does that ours would not, and
        the weights need.

    Raises
    ------
    CheckpointError
        If an option is impossible or a weight does not match; the keys are named.
    """
    architecture, options = describe(parts)
    with torch.random.fork_rng(devices=[]):
        network = registry.build(architecture, options, run.neuron_counts)
    source = str(run.weights_path)
    state = translate(
        run.state,
        renames=[rename for part in parts for rename in part.renames],
        constants=[constant for part in parts for constant in part.constants],
        source=source,
    )
    for part in parts:
        state |= part.additions
    load_completely(network, state, source=source)
    origin = {**origin, "quirks": [quirk for part in parts for quirk in part.quirks]}
    sizes = [part.screen_px for part in parts if part.screen_px]
    shown = {mouse: _at_size(known, *sizes) for mouse, known in mice.items()}
    return Checkpoint(name, architecture, options, network.eval(), shown, origin)


def _at_size(mouse: Mouse, *screen_px: tuple[int, int]) -> Mouse:
    """Return a mouse with its screen at the last of some sizes, or as it is."""
    if not screen_px:
        return mouse
    rows, columns = screen_px[-1]
    screen = dataclasses.replace(mouse.screen, height_px=rows, width_px=columns)
    return dataclasses.replace(mouse, screen=screen)
