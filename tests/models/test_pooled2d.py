"""The pooled readout: one point at several scales."""

import numpy as np
import pytest
import torch

from insilico.errors import ShapeError
from insilico.models.readouts.pooled2d import PointPooled2d


def random_readout(**options):
    torch.manual_seed(0)
    readout = PointPooled2d(2, 5, map_shape=(11, 14), **options).double()
    for parameter in readout.parameters():
        parameter.data.normal_()
    return readout


def random_features(trials=2):
    return torch.randn(trials, 2, 11, 14, dtype=torch.float64, generator=torch.manual_seed(1))


@pytest.mark.parametrize(("steps", "kernel"), [(2, 3), (0, 3), (1, 4), (3, 2)])
@pytest.mark.parametrize("has_shift", [True, False])
def test_value_is_read_at_the_same_point_of_every_average(steps, kernel, has_shift):
    readout = random_readout(pool_steps=steps, pool_kernel=kernel).eval()
    features = random_features()
    shift = 0.4 * torch.randn(2, 2, dtype=torch.float64) if has_shift else None
    answer = readout(features, shift=shift).detach().numpy()
    points = np.clip(readout.grid.detach().numpy()[0, :, 0], -1, 1)
    weights = readout.features.detach().numpy()[0, :, 0].reshape(steps + 1, 2, 5)
    expected = np.zeros((2, 5))
    for trial, neuron in np.ndindex(2, 5):
        x, y = points[neuron] + (0 if shift is None else shift.numpy()[trial])
        maps = features[trial].numpy()
        value = readout.bias[neuron].item()
        for scale in range(steps + 1):
            if scale:
                maps = average(maps, kernel)
            value += sum(
                weights[scale, channel, neuron] * bilinear(maps[channel], y, x)
                for channel in range(2)
            )
        expected[trial, neuron] = value
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-12)


def average(maps, size):
    rows, columns = maps.shape[1] // size, maps.shape[2] // size
    squares = maps[:, : rows * size, : columns * size].reshape(-1, rows, size, columns, size)
    return squares.mean(axis=(2, 4))


def bilinear(plane, y, x):
    height, width = plane.shape
    row, column = (y + 1) / 2 * (height - 1), (x + 1) / 2 * (width - 1)
    return sum(
        max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j)) * plane[i, j]
        for i, j in np.ndindex(height, width)
    )


def test_published_names_and_shapes():
    state = PointPooled2d(64, 5, map_shape=(28, 56)).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes == {"grid": (1, 5, 1, 2), "features": (1, 192, 1, 5), "bias": (5,)}


def test_points_that_an_update_carried_off_the_map_come_back_and_keep_learning():
    readout = random_readout().train()
    readout.grid.data.fill_(1.7)
    readout(random_features()).sum().backward()
    assert readout.grid.detach().unique().tolist() == [1]
    assert readout.grid.grad.abs().min() > 0


def test_evaluation_changes_no_parameter():
    readout = random_readout().eval()
    readout.grid.data.fill_(1.7)
    readout(random_features())
    assert readout.grid.detach().unique().tolist() == [1.7]
    assert readout.positions().detach().unique().tolist() == [1]


def test_regularizer_is_the_sum_of_absolute_weights():
    readout = random_readout()
    assert readout.regularizer().item() == pytest.approx(
        np.abs(readout.features.detach().numpy()).sum()
    )


@pytest.mark.parametrize("options", [{"pool_steps": 3}, {"pool_kernel": 4}, {"pool_steps": -1}])
def test_impossible_pooling_is_refused(options):
    with pytest.raises(ShapeError, match="11 by 14 cells cannot be pooled"):
        PointPooled2d(2, 5, map_shape=(11, 14), **options)


def test_wrong_inputs_are_refused():
    readout = random_readout()
    with pytest.raises(ShapeError, match="3 channels"):
        readout(torch.zeros(2, 3, 11, 14))
    with pytest.raises(ShapeError, match=r"one \(x, y\) a trial"):
        readout(random_features(), shift=torch.zeros(1, 2))
