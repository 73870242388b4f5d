"""Published weights give the published code's answers."""

from pathlib import Path

import numpy as np
import published_format as published
import pytest
import torch
import torch.nn.functional as F

from insilico.models import registry
from insilico.models.architectures.sensorium2022 import Sensorium2022, Sensorium2022Options
from insilico.models.importers import import_weights
from insilico.models.network import count_parameters
from insilico.models.weights import load_completely
from insilico.models.zoo import read_recipe
from insilico.variables import IMAGE_BEHAVIOR

#: "Must hold" of the published-weights requirement: float32 rounding, and no more.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def reference():
    return np.load(Path(__file__).parent / "reference" / "sensorium2022.npz")


def plus_network(layers):
    state = published.synthetic_state(layers=layers)
    options = Sensorium2022Options(
        layers=layers, is_linear=layers == 3, behavior_names=IMAGE_BEHAVIOR, has_shifter=True
    )
    network = Sensorium2022(options, {published.PLUS_MOUSE: 30})
    load_completely(network, state, source="synthetic weights")
    return network.eval(), state


def relative_difference(answer, expected):
    answer = answer.detach().numpy() if isinstance(answer, torch.Tensor) else answer
    return np.abs(answer - expected).max() / max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", published.PUBLISHED_FILES)
def test_published_weights_answer_as_the_published_code(name, reference, shared_data):
    file = published.PUBLISHED_FILES[name]
    checkpoint = import_weights(shared_data / "sensorium2022" / file)
    (mouse,) = checkpoint.mice
    images = published.images()
    with torch.no_grad():
        plain = checkpoint.network(images, mouse=mouse)
        fast = checkpoint.network.prepare(mouse, neurons=torch.arange(7776))(images, None)
    for answer in (plain, fast):
        some = answer[:, :: published.NEURON_STEP]
        assert relative_difference(some, reference[f"{name}_some"]) <= TOLERANCE
        assert relative_difference(answer.amax(dim=1), reference[f"{name}_max"]) <= TOLERANCE
        assert relative_difference(answer.mean(dim=1), reference[f"{name}_mean"]) <= TOLERANCE


@pytest.mark.parametrize(("name", "layers"), [("plus_cnn", 4), ("plus_ln", 3)])
def test_behavior_and_gaze_enter_as_in_the_published_code(name, layers, reference):
    network, _ = plus_network(layers)
    answer = network(
        published.images(),
        mouse=published.PLUS_MOUSE,
        behavior=published.behavior(),
        pupil_center=published.pupil_center(),
    )
    assert relative_difference(answer, reference[name]) <= TOLERANCE


@pytest.mark.parametrize("layers", [4, 3])
def test_network_equals_the_formulas_in_double_precision(layers):
    network, state = plus_network(layers)
    images, behavior, gaze = (
        value.double()
        for value in (published.images(), published.behavior(), published.pupil_center())
    )
    answer = network.double()(
        images, mouse=published.PLUS_MOUSE, behavior=behavior, pupil_center=gaze
    )
    expected = formulas(state, images, behavior, gaze, is_linear=layers == 3)
    assert relative_difference(answer, expected) <= 1e-12


def formulas(state, images, behavior, gaze, *, is_linear):
    """The whole model, written out once more from its definition, in NumPy where it is simple."""
    state = {name: value.double() for name, value in state.items()}
    mouse = published.PLUS_MOUSE
    maps = torch.cat([images, behavior[:, :, None, None].expand(-1, -1, 36, 64)], dim=1)
    for layer in range(4 if not is_linear else 3):
        prefix = f"core.features.layer{layer}"
        if layer == 0:
            maps = F.conv2d(maps, state[f"{prefix}.conv.weight"])
        else:
            convolution = f"{prefix}.ds_conv"
            mix = state[f"{convolution}.in_depth_conv.weight"][:, :, 0, 0]
            maps = torch.einsum("oc,tcyx->toyx", mix, maps)
            kernels = state[f"{convolution}.spatial_conv.weight"]
            maps = F.conv2d(maps, kernels, padding=3, groups=64)
            mix = state[f"{convolution}.out_depth_conv.weight"][:, :, 0, 0]
            maps = torch.einsum("oc,tcyx->toyx", mix, maps)
        scale = state[f"{prefix}.norm.weight"] / (state[f"{prefix}.norm.running_var"] + 1e-5).sqrt()
        offset = state[f"{prefix}.norm.bias"] - scale * state[f"{prefix}.norm.running_mean"]
        maps = scale[:, None, None] * maps + offset[:, None, None]
        if not is_linear:
            maps = torch.where(maps > 0, maps, maps.exp() - 1)
    shift = gaze
    for index in (0, 2, 4):
        linear = f"shifter.{mouse}.mlp.{index}"
        shift = torch.tanh(shift @ state[f"{linear}.weight"].T + state[f"{linear}.bias"])
    readout = f"readout.{mouse}"
    hidden = state[f"{readout}.source_grid"] @ state[f"{readout}.mu_transform.0.weight"].T
    hidden = hidden + state[f"{readout}.mu_transform.0.bias"]
    hidden = torch.where(hidden > 0, hidden, hidden.exp() - 1)
    mean = hidden @ state[f"{readout}.mu_transform.2.weight"].T
    mean = torch.tanh(mean + state[f"{readout}.mu_transform.2.bias"])
    points = (mean[None] + shift[:, None]).numpy()
    sampled = np.stack([bilinear(m, p) for m, p in zip(maps.numpy(), points, strict=True)])
    weights = state[f"{readout}._features"][0, :, 0].numpy()
    value = np.einsum("tnc,cn->tn", sampled, weights) + state[f"{readout}.bias"].numpy()
    return np.where(value > 0, value, np.exp(value) - 1) + 1


def bilinear(feature_map, points):
    """Read (channel, y, x) at points (neuron, 2), zeros outside, one cell after the other."""
    _, height, width = feature_map.shape
    columns = (points[:, 0] + 1) / 2 * (width - 1)
    rows = (points[:, 1] + 1) / 2 * (height - 1)
    values = np.zeros((len(points), len(feature_map)))
    for neuron, (row, column) in enumerate(zip(rows, columns, strict=True)):
        for y in (int(np.floor(row)), int(np.floor(row)) + 1):
            for x in (int(np.floor(column)), int(np.floor(column)) + 1):
                if 0 <= y < height and 0 <= x < width:
                    weight = (1 - abs(row - y)) * (1 - abs(column - x))
                    values[neuron] += weight * feature_map[:, y, x]
    return values


@pytest.mark.parametrize(
    "name",
    ["sensorium2022-cnn", "sensorium2022-ln", "sensorium2022plus-cnn", "sensorium2022plus-ln"],
)
def test_recipe_builds_the_published_number_of_parameters(name):
    recipe = read_recipe(name)
    network = registry.build(recipe.architecture, recipe.options, {recipe.mouse: recipe.neurons})
    assert count_parameters(network) == recipe.parameters


def test_published_cnn_touches_97_cells_of_its_map(shared_data):
    checkpoint = import_weights(shared_data / "sensorium2022" / "sensorium_sota_model.pth")
    (mouse,) = checkpoint.mice
    network = checkpoint.network
    points = network.readout[mouse].at_fixed_points(network.map_shape, neurons=torch.arange(7776))
    assert network.map_shape == (28, 56)
    assert len(points.cells) == 97
