"""Hardware: one process here; several are in tests/cli/test_train_interrupted.py."""

import pytest
import torch
from torch import nn

from insilico.errors import UnitsError
from insilico.training.hardware import add_up, start_fabric, sum_gradients


class TwoProcesses:
    """Stands for a fabric whose other process holds the same values."""

    world_size = 2

    def all_reduce(self, values, reduce_op):
        assert reduce_op == "sum"
        return 2 * values


def test_one_process_changes_nothing(fabric):
    values = torch.arange(3.0)
    assert add_up(fabric, values) is values
    layer = nn.Linear(2, 1)
    sum_gradients(fabric, layer.parameters())
    assert layer.weight.grad is None


def test_gradients_add_up_and_missing_ones_count_as_zero():
    layer = nn.Linear(2, 1)
    layer.weight.grad = torch.tensor([[1.0, -3.0]])
    sum_gradients(TwoProcesses(), layer.parameters())
    assert layer.weight.grad.tolist() == [[2.0, -6.0]]
    assert layer.bias.grad.tolist() == [0.0]
    # Each has its own memory: clipping one must not change the other.
    layer.weight.grad.zero_()
    assert layer.bias.grad.untyped_storage().data_ptr() != layer.weight.grad.data_ptr()


def test_an_unknown_device_is_told():
    with pytest.raises(UnitsError, match="abacus"):
        start_fabric("abacus")


def test_bfloat16_computes_in_bfloat16_and_keeps_weights():
    chosen = start_fabric("cpu", precision="bfloat16")
    layer = nn.Linear(2, 1)
    with chosen.autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32
