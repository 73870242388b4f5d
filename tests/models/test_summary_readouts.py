"""Readouts that weight one summary of the map: convolutional, linear, flat and dense."""

import math

import numpy as np
import pytest
import torch

from insilico.errors import CheckpointError, ShapeError, UnitsError
from insilico.models.outputs import ShiftedELU
from insilico.models.readouts.convolutional import GroupedConvolution
from insilico.models.readouts.dense import Dense
from insilico.models.readouts.flat import FlatLinear
from insilico.models.readouts.linear import SpatialMaxLinear

CHANNELS, MAP = 6, (3, 4)


def build(kind, neurons, **options):
    if kind in (FlatLinear, Dense):
        options["map_shape"] = MAP
    return kind(CHANNELS, neurons, **options)


def random_readout(kind, neurons=7, **options):
    torch.manual_seed(0)
    readout = build(kind, neurons, **options).double().eval()
    for parameter in readout.parameters():
        parameter.data.normal_()
    return readout


def random_features(trials=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(trials, CHANNELS, *MAP, dtype=torch.float64, generator=generator)


def numbers(parameter):
    return parameter.detach().numpy()


EVERY_KIND = pytest.mark.parametrize(
    "kind", [GroupedConvolution, SpatialMaxLinear, FlatLinear, Dense]
)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("neurons", [7, 6, 2, 1])
def test_convolution_weights_the_mean_of_the_channels_of_the_group(groups, neurons):
    readout = random_readout(GroupedConvolution, neurons, groups=groups)
    features = random_features()
    # The published form: outputs that fill all groups, of which the first are the neurons.
    outputs = math.ceil(neurons / groups) * groups
    convolution = torch.nn.Conv1d(CHANNELS, outputs, 1, groups=groups).double()
    convolution.weight.data[:neurons, :, 0] = readout.weight.data
    convolution.bias.data[:neurons] = readout.bias.data
    expected = convolution(features.mean(dim=(2, 3))[:, :, None])[:, :neurons, 0]
    torch.testing.assert_close(readout(features), expected)


def test_linear_weights_the_largest_value_of_each_channel():
    readout = random_readout(SpatialMaxLinear)
    features = random_features()
    highest = features.numpy().reshape(2, CHANNELS, -1).max(axis=2)
    expected = highest @ numbers(readout.weight).T + numbers(readout.bias)
    np.testing.assert_allclose(readout(features).detach().numpy(), expected, rtol=0, atol=1e-12)


def test_flat_weights_every_cell_in_the_order_of_channel_row_and_column():
    readout = random_readout(FlatLinear)
    features = random_features()
    weight = numbers(readout.weight).reshape(7, CHANNELS, *MAP)
    expected = np.einsum("tcyx,ncyx->tn", features.numpy(), weight) + numbers(readout.bias)
    np.testing.assert_allclose(readout(features).detach().numpy(), expected, rtol=0, atol=1e-12)


def test_dense_weights_hidden_units_of_a_gelu():
    readout = random_readout(Dense)
    features = random_features()
    drive = features.numpy().reshape(2, -1) @ numbers(readout.hidden.weight).T
    drive = drive + numbers(readout.hidden.bias)
    assert drive.shape[1] == 7 // 2
    erf = np.vectorize(math.erf)
    units = drive * (1 + erf(drive / math.sqrt(2))) / 2
    expected = units @ numbers(readout.weight).T + numbers(readout.bias)
    np.testing.assert_allclose(readout(features).detach().numpy(), expected, rtol=0, atol=1e-12)


def test_dense_has_a_hidden_unit_for_a_single_neuron():
    assert build(Dense, 1)(torch.randn(2, CHANNELS, *MAP)).shape == (2, 1)


@EVERY_KIND
def test_asked_neurons_are_those_of_the_whole_population(kind):
    readout, features = random_readout(kind), random_features()
    neurons = torch.tensor([5, 0, 0, 3])
    some = readout(features, neurons=neurons)
    torch.testing.assert_close(some, readout(features)[:, neurons])
    assert readout(features, neurons=neurons[:0]).shape == (2, 0)


@EVERY_KIND
def test_start_answers_nothing_with_the_mean_response(kind):
    readout = random_readout(kind, neurons=3)
    mean_response = torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)
    output = ShiftedELU()
    readout.initialize(position_um=None, mean_response=mean_response, inverse=output.inverse)
    answer = output(readout(torch.zeros(1, CHANNELS, *MAP, dtype=torch.float64)))[0]
    torch.testing.assert_close(answer, mean_response)


@EVERY_KIND
def test_weights_start_as_those_of_a_linear_layer(kind):
    torch.manual_seed(0)
    readout = build(kind, 400)
    bound = readout.weight.shape[1] ** -0.5
    assert 0.95 * bound < readout.weight.abs().max() <= bound
    assert readout.weight.mean().abs() < 0.1 * bound
    assert not readout.bias.any()


@EVERY_KIND
def test_regularizer_is_the_sum_of_absolute_weights(kind):
    readout = random_readout(kind)
    weights = [value for name, value in readout.named_parameters() if name.endswith("weight")]
    expected = sum(np.abs(numbers(value)).sum() for value in weights)
    assert len(weights) == (2 if kind is Dense else 1)
    assert readout.regularizer().item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", [GroupedConvolution, Dense])
def test_dropout_acts_in_training_alone(kind):
    readout, features = random_readout(kind, dropout=0.5), random_features()
    torch.testing.assert_close(readout(features), readout(features), rtol=0, atol=0)
    readout.train()
    assert not torch.equal(readout(features), readout(features))


@EVERY_KIND
def test_wrong_inputs_are_refused(kind):
    readout = random_readout(kind)
    with pytest.raises(ShapeError, match="5 channels; the readout has weights for 6"):
        readout(torch.zeros(2, 5, *MAP, dtype=torch.float64))
    with pytest.raises(UnitsError, match=f"the {readout.called} readout cannot shift"):
        readout(random_features(), shift=torch.zeros(2, 2))


@pytest.mark.parametrize("kind", [FlatLinear, Dense])
def test_another_map_is_refused(kind):
    with pytest.raises(ShapeError, match=r"map is \(4, 3\); the readout has weights for \(3, 4\)"):
        random_readout(kind)(torch.zeros(2, CHANNELS, 4, 3, dtype=torch.float64))


@pytest.mark.parametrize("groups", [4, 0, 7])
def test_groups_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(CheckpointError, match=f"readout_groups is {groups}.*6 feature channels"):
        build(GroupedConvolution, 7, groups=groups)
