"""Before the first step: do recordings, recipe and core fit each other."""

from __future__ import annotations

import dataclasses
import json
import logging
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from insilico.errors import CheckpointError, RecipeError, RecordingError
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint
from insilico.models.modulators.options import ModulatorOptions
from insilico.models.network import Network
from insilico.models.readouts.options import ReadoutOptions
from insilico.training.data import MouseData
from insilico.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from insilico.recordings.cache import CachedRecording

logger = logging.getLogger(__name__)

#: Options that a core may differ in: those of what comes after it, the size of the screen, and what
#: is used in training alone.
FREE_OF_THE_CORE = frozenset(
    field.name for kind in (ReadoutOptions, ModulatorOptions) for field in dataclasses.fields(kind)
) | {
    "height_px",
    "width_px",
    "has_shifter",
    "shifter_reads",
    "shifter_hidden_units",
    "shifter_layers",
    "output",
    "momentum",
    "dropout",
    "token_dropout",
    "block_dropout",
    "attention_dropout",
    "feedforward_dropout",
    "drop_path",
    "temporal_ratio",
    "sparsity_ratio",
}
#: Standardization raises the spread of neurons that hardly vary to this share of the mean spread
#: (sensorium, datasets/mouse_loaders.py), so whoever sits there is constant, or nearly so.
CONSTANT_SHARE = 0.01


def check_recordings(recipe: TrainingRecipe, recordings: Mapping[str, CachedRecording]) -> None:
    """Refuse recordings that cannot train this network together, before anything is computed.

    Parameters
    ----------
    recipe : TrainingRecipe
        The network.
    recordings : mapping of str to CachedRecording
        By mouse.

    Raises
    ------
    RecordingError
        If there is none, or they are of another kind, size or rate than the network or each other,
        or lack trials to train on or to validate with.
    RecipeError
        If the movies are shorter than the network or the burn-in needs.
    """
    if not recordings:
        raise RecordingError("no recording was given; give at least one mouse")
    _check_rates(recordings)
    kind, channels = _input_of(recipe)
    size = recipe.options.height_px, recipe.options.width_px
    for name, cached in recordings.items():
        _check_stimuli(recipe, name, cached, kind=kind, size=size, channels=channels)
        _check_tiers(name, cached)
        _tell_constant(name, cached)


def _check_rates(recordings: Mapping[str, CachedRecording]) -> None:
    screens = {name: cached.recording.screen for name, cached in recordings.items()}
    is_movie = any(cached.recording.kind == "movie" for cached in recordings.values())
    if is_movie and len({screen.frame_rate_hz for screen in screens.values()}) > 1:
        each = ", ".join(f"{name} {screen.frame_rate_hz:g} Hz" for name, screen in screens.items())
        raise RecordingError(
            f"the mice were shown movies at different rates ({each}); train them apart, or resample"
        )


def _check_stimuli(
    recipe: TrainingRecipe,
    name: str,
    cached: CachedRecording,
    *,
    kind: str,
    size: tuple[int, int],
    channels: int,
) -> None:
    recording = cached.recording
    if recording.kind != kind:
        raise RecordingError(
            f"mouse {name} was shown {recording.kind}s, and {recipe.name} is a network for "
            f"{kind}s; choose another recipe or recording"
        )
    if recording.screen.shape != size:
        height, width = recording.screen.shape
        raise RecordingError(
            f"the frames of mouse {name} are {height} x {width} pixels, and the recipe's "
            f"network takes {size[0]} x {size[1]}; give recordings of one size, and --set "
            f"height_px={height} --set width_px={width}"
        )
    if (count := len(recording.channel_names)) != channels:
        raise RecordingError(
            f"the stimuli of mouse {name} have {count} channels "
            f"({', '.join(recording.channel_names)}), and the recipe's network takes {channels}; "
            f"--set stimulus_channels={count}, or give other recordings"
        )


def _check_tiers(name: str, cached: CachedRecording) -> None:
    for tier in ("train", "validation"):
        if not len(cached.trials_of(tier)):
            have = ", ".join(sorted(set(cached.recording.trials["tier"])))
            raise RecordingError(
                f"mouse {name} has no trials with responses in the tier {tier} (its tiers are "
                f"{have}); training needs both train and validation"
            )
    if cached.recording.kind == "image" and len(cached.trials_of("validation")) < 2:
        raise RecordingError(
            f"mouse {name} has one validation image, and a correlation needs two or more; "
            "leave the mouse out, or move trials to its validation tier"
        )


def check_core(recipe: TrainingRecipe, mice: Mapping[str, MouseData], core: Checkpoint) -> None:
    """Refuse a core that computes something else with weights of the same shapes.

    Raises
    ------
    CheckpointError
        If its architecture, an option of it or its frame rate is another.
    """
    if core.architecture != recipe.architecture:
        raise CheckpointError(
            f"the core of {core.name} is a {core.architecture} and the recipe's a "
            f"{recipe.architecture}; give the recipe that it was trained with"
        )
    _check_core_options(recipe, core)
    rates = {mouse.screen.frame_rate_hz for mouse in core.mice.values()}
    trained_at = " and ".join(f"{rate_hz:g}" for rate_hz in sorted(rates))
    for name, data in mice.items():
        rate_hz = data.mouse.screen.frame_rate_hz
        if data.kind == "movie" and rates and rate_hz not in rates:
            raise CheckpointError(
                f"the core of {core.name} was trained at {trained_at} Hz, and mouse {name} was "
                f"recorded at {rate_hz:g} Hz; give a core of that rate"
            )


def _check_core_options(recipe: TrainingRecipe, core: Checkpoint) -> None:
    """Name every option that a core and a recipe differ in, and what makes the recipe fit."""
    names = [field.name for field in dataclasses.fields(recipe.options)]
    wanted, given = (
        {name: getattr(options, name) for name in names if name not in FREE_OF_THE_CORE}
        for options in (recipe.options, core.options)
    )
    different = [name for name in given if given[name] != wanted[name]]
    if different:
        each = ", ".join(f"{name} {given[name]} (recipe: {wanted[name]})" for name in different)
        raise CheckpointError(
            f"the core of {core.name} has other options than the recipe, {each}; give the recipe "
            f"that it was trained with, or add {_assignments(given, different)}"
        )


def _assignments(options: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return what sets some options on a command line, ready for a shell."""
    # Texts, numbers and lists of them are written the same in JSON and in TOML.
    values = {name: json.dumps(options[name], ensure_ascii=False) for name in names}
    return " ".join(f"--set {shlex.quote(f'{name}={text}')}" for name, text in values.items())


def check_lengths(recipe: TrainingRecipe, network: Network, name: str, data: MouseData) -> None:
    """Refuse movies that are too short for the network or the burn-in, or too long for the former.

    Raises
    ------
    RecipeError
        If they are.
    """
    if network.kind == "image":
        return
    options = recipe.training
    shortest = int(data.frames(data.cached.trials_of("train")).min())
    piece = min(options.crop_frames or shortest, shortest)
    if network.response_frames(piece) < 1:
        raise RecipeError(
            f"training takes pieces of {piece} frames of mouse {name}, and the network's temporal "
            "kernels span more; raise crop_frames or shorten the kernels"
        )
    frames = data.frames(data.cached.trials_of("validation"))
    longest = network.longest_movie
    if longest is not None and max(piece, int(frames.max())) > longest:
        raise RecipeError(
            f"movies of mouse {name} have up to {max(piece, int(frames.max()))} frames, and the "
            f"network would learn positions for {longest}; raise max_frames"
        )
    shortest = int(frames.min())
    if shortest <= options.burn_in_frames:
        raise RecipeError(
            f"a validation movie of mouse {name} has {shortest} frames, and burn_in_frames leaves "
            f"out the first {options.burn_in_frames}; lower burn_in_frames"
        )


def _input_of(recipe: TrainingRecipe) -> tuple[str, int]:
    """Return the kind of stimulus that a network takes, and its channels."""
    with torch.random.fork_rng(devices=[]):
        network = registry.build(recipe.architecture, recipe.options, {"mouse": 1})
    return network.kind, network.channels


def _tell_constant(name: str, cached: CachedRecording) -> None:
    std = cached.statistics.response_std
    if std is None:
        return
    count = int(np.count_nonzero(std <= CONSTANT_SHARE * std.mean()))
    if count:
        logger.warning(
            "mouse %s: %d neuron(s) hardly respond in the training trials; they are kept, and left "
            "out of mean correlations where they are constant",
            name,
            count,
        )
