"""Before the first step: do the recordings fit, and what does the network start from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from insilico.errors import CheckpointError, RecipeError, RecordingError
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint
from insilico.models.network import Network
from insilico.models.weights import load_completely
from insilico.training.data import MouseData
from insilico.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from insilico.recordings.cache import CachedRecording

logger = logging.getLogger(__name__)

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
    rates = {cached.recording.screen.frame_rate_hz for cached in recordings.values()}
    is_movie = any(cached.recording.kind == "movie" for cached in recordings.values())
    if is_movie and len(rates) > 1:
        each = ", ".join(
            f"{name} {cached.recording.screen.frame_rate_hz:g} Hz"
            for name, cached in recordings.items()
        )
        raise RecordingError(
            f"the mice were shown movies at different rates ({each}); train them apart, or resample"
        )
    kind = _kind(recipe)
    size = recipe.options.height_px, recipe.options.width_px
    for name, cached in recordings.items():
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
        for tier in ("train", "validation"):
            if not len(cached.trials_of(tier)):
                have = ", ".join(sorted(set(recording.trials["tier"])))
                raise RecordingError(
                    f"mouse {name} has no trials with responses in the tier {tier} (its tiers are "
                    f"{have}); training needs both train and validation"
                )
        _tell_constant(name, cached)


def build_network(
    recipe: TrainingRecipe,
    recordings: Mapping[str, CachedRecording],
    *,
    core: Checkpoint | None = None,
) -> tuple[Network, dict[str, MouseData]]:
    """Build the network of a recipe for the neurons of some recordings.

    Readouts start from the neurons' cortical positions and mean responses. The random state of the
    process is that of the recipe's seed afterwards.

    Parameters
    ----------
    recipe : TrainingRecipe
        Architecture, options and seed.
    recordings : mapping of str to CachedRecording
        By mouse.
    core : Checkpoint, optional
        Whose core to start from.

    Returns
    -------
    network : Network
        In training mode.
    mice : dict of str to MouseData
        Their trials, standardized.

    Raises
    ------
    CheckpointError
        If the core is of another network.
    RecipeError
        If the movies are shorter than the network or the burn-in needs.
    """
    torch.manual_seed(recipe.training.seed)
    counts = {name: len(cached.recording.neurons) for name, cached in recordings.items()}
    network = registry.build(recipe.architecture, recipe.options, counts)
    mice = {
        name: MouseData(
            cached, behavior_names=network.behavior_names, uses_pupil=network.uses_pupil
        )
        for name, cached in recordings.items()
    }
    for name, data in mice.items():
        network.initialize_readout(
            name,
            position_um=_positions(data),
            mean_response=torch.from_numpy(np.asarray(data.mean_response, np.float32)),
        )
        _check_lengths(recipe, network, name, data)
    if core is not None:
        _load_core(network, core)
    return network, mice


def _kind(recipe: TrainingRecipe) -> str:
    with torch.random.fork_rng(devices=[]):
        return registry.build(recipe.architecture, recipe.options, {"mouse": 1}).kind


def _positions(data: MouseData) -> torch.Tensor | None:
    neurons = data.mouse.neurons
    if not {"x_um", "y_um"} <= set(neurons):
        return None
    return torch.tensor(neurons[["x_um", "y_um"]].to_numpy(np.float32))


def _check_lengths(recipe: TrainingRecipe, network: Network, name: str, data: MouseData) -> None:
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
    shortest = int(data.frames(data.cached.trials_of("validation")).min())
    if shortest <= options.burn_in_frames:
        raise RecipeError(
            f"a validation movie of mouse {name} has {shortest} frames, and burn_in_frames leaves "
            f"out the first {options.burn_in_frames}; lower burn_in_frames"
        )


def core_of(network: Network) -> nn.Module:
    """Return what all mice of a network share.

    Raises
    ------
    CheckpointError
        If nothing is.
    """
    core = getattr(network, "core", None)
    if not isinstance(core, nn.Module):
        raise CheckpointError(
            f"a {type(network).__name__} has no core to start from; give another checkpoint"
        )
    return core


def _load_core(network: Network, core: Checkpoint) -> None:
    state = core_of(core.network).state_dict()
    try:
        load_completely(core_of(network), state, source=f"the core of {core.name}")
    except CheckpointError as error:
        raise CheckpointError(
            f"the core of {core.name} does not fit the recipe's ({error}); give the recipe that it "
            "was trained with"
        ) from error


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
