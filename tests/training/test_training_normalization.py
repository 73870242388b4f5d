"""Running statistics: the mean over the units of a step, and measured anew at other weights."""

import pytest
import torch
from torch import nn

from insilico.training.normalization import StepStatistics, refresh_statistics


def batches(count, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(50, 3, generator=random) * (k + 1) + k for k in range(count)]


def run_step(network, units, *, reduce=lambda values: values, weight=None):
    statistics = StepStatistics(network)
    with statistics.step(reduce) as after_unit:
        for unit in units:
            network(unit)
            after_unit(weight or 1 / len(units))


def test_one_unit_updates_as_batch_normalization_does():
    plain, watched = nn.BatchNorm1d(3, momentum=0.7), nn.BatchNorm1d(3, momentum=0.7)
    (unit,) = batches(1)
    plain(unit)
    run_step(watched, [unit])
    torch.testing.assert_close(watched.running_mean, plain.running_mean)
    torch.testing.assert_close(watched.running_var, plain.running_var)


def test_several_units_count_alike_in_any_order():
    units = batches(3)
    layers = [nn.BatchNorm1d(3, momentum=0.9) for _ in range(2)]
    run_step(layers[0], units)
    run_step(layers[1], units[::-1])
    torch.testing.assert_close(layers[0].running_mean, layers[1].running_mean)
    expected = 0.9 * torch.stack([unit.mean(0) for unit in units]).mean(0)
    torch.testing.assert_close(layers[0].running_mean, expected)


def test_processes_that_share_a_step_agree_with_one():
    units = batches(3)
    one, first, second = (nn.BatchNorm1d(3, momentum=0.5) for _ in range(3))
    run_step(one, units)
    seen = []
    run_step(second, units[1::2], reduce=lambda v: seen.append(v.clone()) or v, weight=1 / 3)
    others = iter(seen)
    run_step(first, units[0::2], reduce=lambda v: v + next(others), weight=1 / 3)
    torch.testing.assert_close(first.running_mean, one.running_mean)
    torch.testing.assert_close(first.running_var, one.running_var)
    assert first.num_batches_tracked == one.num_batches_tracked == 1


def test_layers_that_do_not_learn_are_left_alone():
    network = nn.Sequential(nn.BatchNorm1d(3).eval(), nn.BatchNorm1d(3, affine=False))
    before = network[0].running_mean.clone()
    run_step(network, batches(2))
    assert torch.equal(network[0].running_mean, before)
    assert not torch.equal(network[1].running_mean, torch.zeros(3))


def test_refreshed_statistics_are_the_mean_over_batches():
    layer, units = nn.BatchNorm1d(3, momentum=0.7), batches(4)
    layer.running_mean.fill_(99)
    refresh_statistics(layer, [lambda unit=unit: layer(unit) for unit in units])
    means = torch.stack([unit.mean(0) for unit in units])
    variances = torch.stack([unit.var(0) for unit in units])
    torch.testing.assert_close(layer.running_mean, means.mean(0))
    torch.testing.assert_close(layer.running_var, variances.mean(0))
    assert layer.momentum == pytest.approx(0.7)
