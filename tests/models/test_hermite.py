"""Kernels of Hermite functions turn exactly, and layers turn with what they look at."""

import math

import numpy as np
import pytest
import torch
from scipy.special import eval_genlaguerre

from insilico.errors import ShapeError
from insilico.models.cores.hermite import (
    HermiteConvolution,
    RotationBatchNorm,
    hermite_basis,
)


@pytest.mark.parametrize("kernel", [1, 3, 7, 9])
def test_basis_is_laguerre_functions_of_the_radius_times_waves_of_the_angle(kernel):
    basis = hermite_basis(kernel)
    assert len(basis.functions) == kernel * (kernel + 1) // 2
    np.testing.assert_allclose((basis.functions**2).sum(axis=(1, 2)), 1, rtol=1e-12)
    extent = 2 * math.sqrt(kernel) * (1 - 1 / (2 * kernel))
    y, x = np.meshgrid(*[np.linspace(-extent, extent, 2 * kernel)] * 2, indexing="ij")
    squared, angle = x**2 + y**2, np.arctan2(y, x)
    expected = []
    for rank in range(kernel):
        for order in range(rank % 2, rank + 1, 2):
            radial = np.exp(-squared / 4) * squared ** (order / 2)
            radial *= (-1) ** ((rank - order) // 2)
            radial *= eval_genlaguerre((rank - order) // 2, order, squared / 2)
            waves = [np.cos(order * angle), np.sin(order * angle)][: 1 + (order > 0)]
            expected += [radial * wave / np.linalg.norm(radial * wave) for wave in waves]
    np.testing.assert_allclose(basis.functions, expected, rtol=0, atol=1e-10)


def test_rotations_are_a_group_and_the_first_is_the_identity():
    matrices = hermite_basis(5).rotations(8)
    np.testing.assert_allclose(matrices[0], np.eye(15), atol=1e-15)
    for first, second in [(1, 1), (3, 4), (7, 5)]:
        turned_on = matrices[first] @ matrices[second]
        np.testing.assert_allclose(turned_on, matrices[(first + second) % 8], atol=1e-14)


def test_kernels_at_a_quarter_turn_are_those_of_the_start_turned_by_90_degrees():
    torch.manual_seed(0)
    convolution = HermiteConvolution(3, 2, kernel=7, rotations=8, is_first=True).double()
    kernels = convolution.kernels().unflatten(0, (8, 2))
    assert kernels.shape == (8, 2, 3, 7, 7)
    turned = kernels[0].rot90(1, (-2, -1))
    torch.testing.assert_close(kernels[2], turned, rtol=0, atol=1e-6)
    torch.testing.assert_close(kernels[6], kernels[0].rot90(-1, (-2, -1)), rtol=0, atol=1e-6)


def test_kernel_of_a_smooth_pattern_turns_by_45_degrees_too():
    """An oriented pattern of low rank: its axis goes around in steps of 45 degrees."""
    convolution = HermiteConvolution(1, 1, kernel=9, rotations=8, is_first=True).double()
    convolution.coefficients.data.zero_()
    convolution.coefficients.data[1] = 1.0  # first order, cosine: an edge along x
    kernels = convolution.kernels().detach().numpy()[:, 0]
    place = np.arange(9) - 4
    tilts = [np.degrees(np.arctan2((k.T @ place).sum(), (k @ place).sum())) for k in kernels]
    expected = -45.0 * np.arange(8)
    np.testing.assert_allclose((np.asarray(tilts) - expected + 180) % 360 - 180, 0, atol=1e-3)


def test_channels_of_a_later_layer_go_around_as_its_kernel_turns():
    torch.manual_seed(0)
    later = HermiteConvolution(8, 2, kernel=5, rotations=4, is_first=False)
    first = HermiteConvolution(8, 2, kernel=5, rotations=4, is_first=True)
    first.load_state_dict(later.state_dict())
    turned, still = (layer.kernels().unflatten(0, (4, 2)) for layer in (later, first))
    for rotation in range(4):
        for channel in range(8):
            moved = turned[rotation, :, (channel + 2 * rotation) % 8]
            torch.testing.assert_close(moved, still[rotation, :, channel], rtol=0, atol=0)


def test_only_coefficients_are_kept_with_the_weights():
    convolution = HermiteConvolution(3, 2, kernel=9, rotations=8, is_first=True)
    shapes = {name: tuple(value.shape) for name, value in convolution.state_dict().items()}
    assert shapes == {"coefficients": (45, 3, 2)}


def test_batch_normalization_has_one_mean_and_variance_for_all_orientations_of_a_filter():
    torch.manual_seed(0)
    norm = RotationBatchNorm(3, momentum=1.0).double()
    features = 2 + torch.randn(5, 12, 6, 7, dtype=torch.float64)
    by_filter = features.unflatten(1, (4, 3)).transpose(1, 2).flatten(2)
    plain = torch.nn.BatchNorm1d(3, momentum=1.0).double()
    expected = plain(by_filter).unflatten(2, (4, 6, 7)).transpose(1, 2).flatten(1, 2)
    torch.testing.assert_close(norm(features), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)
    expected = plain.eval()(by_filter).unflatten(2, (4, 6, 7)).transpose(1, 2).flatten(1, 2)
    torch.testing.assert_close(norm.eval()(features), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"kernel": 4}, "odd kernel"),
        ({"rotations": 0}, "numbers from 1"),
        ({"is_first": False, "rotations": 4}, "6 channels are no whole number"),
    ],
)
def test_impossible_turning_convolutions_are_refused(sizes, message):
    with pytest.raises(ShapeError, match=message):
        HermiteConvolution(6, 2, **({"kernel": 3, "rotations": 8, "is_first": True} | sizes))
