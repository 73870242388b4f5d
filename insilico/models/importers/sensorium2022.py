"""Weights of the Sensorium 2022 baselines, as the competition published them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.architectures.sensorium2022 import Sensorium2022
from insilico.models.checkpoint import Checkpoint
from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.models.recipes import Recipe
from insilico.models.weights import load_completely
from insilico.screen import SCREENS

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Published variants by number of layers and whether behavior and gaze enter (A10 of the
#: competition's model_tutorial notebooks: the linear model has three layers, the CNN four).
VARIANTS = {
    (4, False): "sensorium2022-cnn",
    (3, False): "sensorium2022-ln",
    (4, True): "sensorium2022plus-cnn",
    (3, True): "sensorium2022plus-ln",
}

#: Axis that counts neurons, by the last part of a readout's key.
_NEURON_AXES = {"sigma": 1, "_features": 3, "bias": 0, "source_grid": 0}

_FIRST_KERNEL = "core.features.layer0.conv.weight"


def recognize(state: Mapping[str, Tensor]) -> str | None:
    """Return the zoo entry whose structure a state dict resembles most, or None.

    Parameters
    ----------
    state : mapping of str to tensor
        Contents of a file. Single keys may be wrong: loading names them later.
    """
    layers = {
        match[1] for key in state if (match := re.match(r"core\.features\.layer(\d+)\.", key))
    }
    if not layers or not _mice(state):
        return None
    kernel = state.get(_FIRST_KERNEL)
    has_behavior = kernel is not None and kernel.ndim == 4 and kernel.shape[1] > 1
    has_shifter = any(key.startswith("shifter.") for key in state)
    return VARIANTS.get((1 + max(map(int, layers)), has_behavior or has_shifter))


def convert(
    state: Mapping[str, Tensor],
    recipe: Recipe,
    *,
    name: str,
    origin: Mapping[str, Any],
    source: str,
) -> Checkpoint:
    """Make a checkpoint of a state dict in the published format.

    Parameters
    ----------
    state : mapping of str to tensor
        Contents of the file.
    recipe : Recipe
        Architecture, and what is assumed because the file does not carry it.
    name : str
        Name of the checkpoint.
    origin : mapping
        Where the weights come from.
    source : str
        Path of the file, for messages.

    Returns
    -------
    Checkpoint
        One mouse for each readout. Its neurons table has ``cortex_x`` and ``cortex_y``: positions
        in the cortex, centered and divided by the largest distance; micrometers are not in the
        file.

    Raises
    ------
    CheckpointError
        If a key is missing, unexpected, or of another shape or dtype; the keys are named.
    """
    counts = {mouse: _neuron_count(state, mouse) for mouse in _mice(state)}
    if not counts:
        raise CheckpointError(
            f"{source} has no readout.<mouse>.bias or its like; give a file of the Sensorium 2022 "
            "baselines"
        )
    options = registry.parse_options(recipe.architecture, recipe.options)
    with torch.random.fork_rng(devices=[]):
        network = Sensorium2022(options, counts)
    load_completely(network, state, source=source)
    statistics = _statistics(network, recipe)
    mice = {
        mouse: Mouse(
            mouse,
            SCREENS[recipe.assumptions().screen],
            _neurons(state[f"readout.{mouse}.source_grid"]),
            statistics,
        )
        for mouse in counts
    }
    return Checkpoint(name, recipe.architecture, options, network.eval(), mice, origin)


def _mice(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the mice, each of which has at least one key that counts its neurons."""
    parts = [key.split(".") for key in state if key.startswith("readout.")]
    return list(dict.fromkeys(p[1] for p in parts if len(p) == 3 and p[2] in _NEURON_AXES))


def _neuron_count(state: Mapping[str, Tensor], mouse: str) -> int:
    """Return the number of neurons on which most keys agree, so a single wrong one can be named."""
    votes: Counter[int] = Counter()
    for name, axis in _NEURON_AXES.items():
        value = state.get(f"readout.{mouse}.{name}")
        if value is not None and value.ndim > axis:
            votes[value.shape[axis]] += 1
    return votes.most_common(1)[0][0] if votes else 0


def _neurons(source_grid: Tensor) -> pd.DataFrame:
    cortex_x, cortex_y = source_grid.double().numpy().T
    return neurons_table(len(source_grid), cortex_x=cortex_x, cortex_y=cortex_y)


def _statistics(network: Sensorium2022, recipe: Recipe) -> Statistics:
    assumed = recipe.assumptions()
    sources = {
        "stimulus": f"assumed: {assumed.stimulus_reason}",
        "screen": f"assumed: {assumed.screen_reason}",
    }
    behavior_mean = None
    if network.behavior_names:
        behavior_mean = input_means(network)[network.channels :]
        sources["behavior"] = (
            "assumed: mean of the standardized behavior, solved from the batch-normalization "
            "statistics of the first layer"
        )
    if network.uses_pupil:
        sources["pupil"] = "assumed: the standardized gaze has mean 0 by its definition"
    return Statistics(
        stimulus_mean=assumed.stimulus_mean,
        stimulus_std=assumed.stimulus_std,
        behavior_mean=behavior_mean,
        sources=sources,
    )


def input_means(network: Sensorium2022) -> FloatArray:
    """Recover the mean of each input channel over the training images, about.

    Batch normalization kept the mean of each feature of the first layer. A convolution without
    bias maps constant channels ``m`` to ``Σ_c m_c Σ_k W_ck``, so the means of the channels follow
    by least squares; what the kernels' shape adds averages out over natural images.

    Parameters
    ----------
    network : Sensorium2022
        Filled with published weights.

    Returns
    -------
    float array, shape (channel,)
        The image first, then behavior, standardized.
    """
    layer = network.core.features.get_submodule("layer0")
    gains = layer.get_parameter("conv.weight").detach().double().sum(dim=(2, 3)).numpy()
    means = layer.get_buffer("norm.running_mean").double().numpy()
    solution: FloatArray = np.linalg.lstsq(gains, means)[0]
    return solution
