"""What a network in training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint
from insilico.models.network import Network
from insilico.models.weights import load_completely
from insilico.training.checks import check_core, check_lengths
from insilico.training.data import MouseData
from insilico.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from insilico.recordings.cache import CachedRecording


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
        If the core is of another network, or was trained at another frame rate.
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
        check_lengths(recipe, network, name, data)
    if core is not None:
        check_core(recipe, mice, core)
        _load_core(network, core)
    return network, mice


def _positions(data: MouseData) -> torch.Tensor | None:
    neurons = data.mouse.neurons
    if not {"x_um", "y_um"} <= set(neurons):
        return None
    axes = [axis for axis in ("x_um", "y_um", "z_um") if axis in neurons]
    return torch.tensor(neurons[axes].to_numpy(np.float32))


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
