"""The attention readout: neurons look for their key on the feature map."""

import math

import numpy as np
import pytest
import torch

from insilico.errors import ShapeError, UnitsError
from insilico.models.readouts import readout as base
from insilico.models.readouts.attention import Attention, KeyValueNeck, positional_code

CHANNELS, WIDTH, NEURONS, MAP = 8, 5, 7, (3, 4)


def random_pair(**options):
    """Return a neck and a readout with random weights, in double precision."""
    torch.manual_seed(0)
    neck = KeyValueNeck(CHANNELS, map_shape=MAP, key_channels=WIDTH, **options).double().eval()
    readout = Attention(neck.output_channels, NEURONS).double()
    for parameter in (*neck.parameters(), *readout.parameters()):
        parameter.data.normal_()
    return neck, readout


def random_features(trials=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(trials, CHANNELS, *MAP, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("compatibility", "width"), [(False, WIDTH), (True, CHANNELS)])
def test_value_is_the_weighted_mean_of_values_under_a_softmax_of_keys(compatibility, width):
    neck, readout = random_pair(compatibility=compatibility)
    features = random_features()
    answer = readout(neck(features)).detach().numpy()
    key_weight, value_weight = np.split(neck.to_key_value.weight.detach().numpy(), 2)
    query, weight = readout.neuron_query.detach().numpy(), readout.features.detach().numpy()
    expected = np.zeros((2, NEURONS))
    for trial, neuron in np.ndindex(2, NEURONS):
        likeness, worth = [], []
        for row, column in np.ndindex(*MAP):
            coded = features[trial, :, row, column].numpy() + code_of(row, column)
            likeness.append(query[:, neuron] @ (key_weight @ coded) / math.sqrt(width))
            worth.append(weight[:, neuron] @ (value_weight @ coded))
        share = np.exp(likeness) / np.exp(likeness).sum()
        expected[trial, neuron] = share @ worth + readout.bias[neuron].item()
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-6)


def code_of(row, column):
    code = []
    for coordinate in (row, column):
        for pair in range(CHANNELS // 4):
            angle = coordinate * 10_000 ** (-2 * pair / (CHANNELS // 2))
            code += [math.sin(angle), math.cos(angle)]
    return np.array(code)


@pytest.mark.parametrize("channels", [8, 5, 6, 1])
def test_positions_have_codes_of_their_own_for_any_number_of_channels(channels):
    code = positional_code(channels, (3, 4))
    assert code.shape == (channels, 3, 4)
    assert code.abs().max() <= 1
    if channels > 4:
        distances = torch.cdist(code.flatten(1).T, code.flatten(1).T)
        assert (distances + torch.eye(12)).min() > 0.1


def test_code_is_not_in_the_state():
    assert list(KeyValueNeck(8, map_shape=MAP).state_dict()) == ["to_key_value.weight"]


def test_neuron_with_a_sharp_query_reads_one_position():
    readout = Attention(2, 1)
    readout.neuron_query.data.fill_(1000.0)
    readout.features.data.fill_(1.0)
    keys_and_values = torch.stack([torch.eye(3), torch.arange(9.0).reshape(3, 3)])[None]
    keys_and_values[0, 0, 1, 1] = 2.0
    assert readout(keys_and_values).tolist() == [[4.0]]


def test_neuron_without_a_query_reads_the_mean():
    readout = Attention(2, 1)
    readout.neuron_query.data.zero_()
    readout.features.data.fill_(2.0)
    keys_and_values = torch.stack([torch.randn(3, 3), torch.arange(9.0).reshape(3, 3)])[None]
    torch.testing.assert_close(readout(keys_and_values), torch.tensor([[8.0]]))


@pytest.mark.parametrize("at_once", [1, 3])
def test_neurons_read_in_parts_answer_and_learn_the_same(at_once, monkeypatch):
    neck, readout = random_pair()
    features = random_features().requires_grad_()
    sizes = []
    attend = torch.Tensor.softmax
    monkeypatch.setattr(
        torch.Tensor, "softmax", lambda x, **k: sizes.append(x.numel()) or attend(x, **k)
    )
    results = []
    for limit in (base.VALUES_AT_ONCE, at_once * 2 * 12):
        monkeypatch.setattr(base, "VALUES_AT_ONCE", limit)
        answer = readout(neck(features))
        wanted = (features, readout.neuron_query, readout.features, neck.to_key_value.weight)
        results.append((answer, *torch.autograd.grad(answer.square().sum(), wanted)))
    assert sizes[0] == NEURONS * 2 * 12
    assert max(sizes[1:]) == at_once * 2 * 12
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole)


def test_dropout_acts_in_training_alone():
    neck, _ = random_pair(dropout=0.5)
    features = random_features()
    torch.testing.assert_close(neck(features), neck(features), rtol=0, atol=0)
    neck.train()
    assert not torch.equal(neck(features), neck(features))


def test_regularizer_is_the_sum_of_absolute_value_weights():
    _, readout = random_pair()
    expected = np.abs(readout.features.detach().numpy()).sum()
    assert readout.regularizer().item() == pytest.approx(expected)


def test_wrong_inputs_are_refused():
    neck, readout = random_pair()
    with pytest.raises(ShapeError, match="9 channels"):
        neck(torch.zeros(2, 9, *MAP))
    with pytest.raises(ShapeError, match=r"map is \(4, 3\); the readout has weights for \(3, 4\)"):
        neck(torch.zeros(2, 8, 4, 3))
    with pytest.raises(ShapeError, match="8 channels; the readout has weights for 10"):
        readout(torch.zeros(2, 8, *MAP))
    with pytest.raises(UnitsError, match="the attention readout cannot shift"):
        readout(neck(random_features()), shift=torch.zeros(2, 2))
