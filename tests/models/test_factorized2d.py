"""The factorized readout: a mask in space, a weight for each channel."""

import numpy as np
import pytest
import torch

from insilico.errors import ShapeError, UnitsError
from insilico.models.readouts import readout as base
from insilico.models.readouts.factorized2d import FullFactorized2d


def random_readout(neurons=5, channels=3, **options):
    torch.manual_seed(0)
    readout = FullFactorized2d(channels, neurons, map_shape=(4, 6), **options).double()
    for parameter in readout.parameters():
        parameter.data.normal_()
    return readout


def random_features(trials=2):
    return torch.randn(trials, 3, 4, 6, dtype=torch.float64, generator=torch.manual_seed(1))


@pytest.mark.parametrize("normalize_masks", [True, False])
def test_value_is_the_sum_under_the_mask_weighted_by_channel(normalize_masks):
    readout = random_readout(normalize_masks=normalize_masks)
    features = random_features()
    answer = readout(features).detach().numpy()
    masks, weights, bias = (
        parameter.detach().numpy()
        for parameter in (readout.spatial, readout._features, readout.bias)
    )
    expected = np.zeros((2, 5))
    for trial, neuron in np.ndindex(2, 5):
        mask = masks[neuron]
        if normalize_masks:
            mask = mask / (np.linalg.norm(mask) + 1e-6)
        for channel, y, x in np.ndindex(3, 4, 6):
            drive = mask[y, x] * features[trial, channel, y, x].item()
            expected[trial, neuron] += weights[neuron, channel] * drive
        expected[trial, neuron] += bias[neuron]
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-12)


def test_published_names_and_shapes():
    state = FullFactorized2d(64, 5, map_shape=(4, 6)).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes == {"spatial": (5, 4, 6), "_features": (5, 64), "bias": (5,)}


def test_weights_start_as_noise_of_the_asked_size():
    torch.manual_seed(0)
    readout = FullFactorized2d(50, 50, map_shape=(8, 8), initial_noise=0.01)
    assert readout.spatial.std().item() == pytest.approx(0.01, rel=0.1)
    assert readout._features.std().item() == pytest.approx(0.01, rel=0.1)


def test_regularizer_adds_neurons_up_instead_of_coupling_them():
    readout = random_readout(neurons=4, normalize_masks=False)
    singles = []
    for neuron in range(4):
        masks, weights = readout.spatial[neuron].abs().sum(), readout._features[neuron].abs().sum()
        singles.append((masks * weights).item())
    assert readout.regularizer().item() == pytest.approx(sum(singles))


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_neurons_read_in_parts_answer_the_same(at_once, monkeypatch):
    readout, features = random_readout(), random_features().requires_grad_()
    whole = readout(features)
    (whole_gradient,) = torch.autograd.grad(whole.square().sum(), features)
    monkeypatch.setattr(base, "VALUES_AT_ONCE", at_once * 2 * 3)
    parts = readout(features)
    (parts_gradient,) = torch.autograd.grad(parts.square().sum(), features)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(parts_gradient, whole_gradient)


def test_wrong_inputs_are_refused():
    readout = random_readout()
    with pytest.raises(ShapeError, match="4 channels"):
        readout(torch.zeros(2, 4, 4, 6))
    with pytest.raises(ShapeError, match=r"map is \(6, 4\); the readout has masks of \(4, 6\)"):
        readout(torch.zeros(2, 3, 6, 4))
    with pytest.raises(UnitsError, match="cannot shift"):
        readout(random_features(), shift=torch.zeros(2, 2))
