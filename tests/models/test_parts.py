"""What passes through the blocks of a transformer together."""

import pytest
import torch

from insilico.models.cores.parts import cut, plan_parts

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("count", "at_once"), [(7, 3), (6, 3), (2, 5), (3, 0), (0, 4)])
def test_slices_are_everything_once_and_in_order(count, at_once):
    spans = cut(count, at_once)
    assert [index for span in spans for index in range(count)[span]] == list(range(count))
    assert all(0 < span.stop - span.start <= max(1, at_once) for span in spans)


def test_gpu_that_computes_again_takes_smaller_parts_and_only_with_gradients():
    whole, _ = plan_parts(300, 600, GPU, checkpoints=False)
    again, _ = plan_parts(300, 600, GPU, checkpoints=True)
    with torch.no_grad():
        forward, _ = plan_parts(300, 600, GPU, checkpoints=True)
    assert len(whole) == len(forward) == 1
    assert len(again) > 4


@pytest.mark.parametrize(
    ("count", "checkpoints", "is_again"), [(1, False, False), (1, True, True), (9, False, True)]
)
def test_cpu_computes_again_several_parts_or_where_asked(count, checkpoints, is_again):
    seen = []
    _, run = plan_parts(count, 600, CPU, checkpoints=checkpoints)
    run(
        lambda value: seen.append(1) or value.exp(), torch.ones(2, requires_grad=True)
    ).sum().backward()
    assert len(seen) == 1 + is_again
