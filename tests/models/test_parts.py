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
    (part,) = run(
        lambda value: seen.append(1) or value.exp(), [(torch.ones(2, requires_grad=True),)]
    )
    part.sum().backward()
    assert len(seen) == 1 + is_again


@pytest.fixture
def _two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_cores")
def test_cores_that_work_on_parts_of_their_own_give_the_same_answers_and_gradients():
    inputs = torch.arange(24.0).reshape(6, 4).requires_grad_()
    scale = torch.tensor(2.0, requires_grad=True)
    fixed = torch.ones(4)

    def part(row, factor, offset, power):
        return (row * factor + offset).sin() ** power

    calls = [(inputs[row : row + 2], scale, fixed, 2) for row in range(5)]
    found = {}
    for is_frozen in (False, True):
        _, run = plan_parts(9, 600, CPU, checkpoints=False, is_frozen=is_frozen)
        answer = torch.cat(run(part, calls))
        found[is_frozen] = (answer, *torch.autograd.grad(answer.square().sum(), [inputs, scale]))
    for one, other in zip(found[False], found[True], strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("_two_cores")
def test_cores_that_work_on_parts_of_their_own_leave_all_cores_to_everybody_else():
    with torch.inference_mode():
        _, run = plan_parts(9, 600, CPU, checkpoints=False)
        threads = run(lambda: torch.tensor(torch.get_num_threads()), [()] * 9)
        answers = run(lambda value: value + 1, [(torch.ones(1),)] * 9)
    assert {int(count) for count in threads} == {1}
    assert all(answer.is_inference() for answer in answers)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("_two_cores")
def test_mistake_in_one_part_is_raised():
    def fail(value):
        raise ValueError(value)

    _, run = plan_parts(9, 600, CPU, checkpoints=False, is_frozen=True)
    with pytest.raises(ValueError, match="1"):
        run(fail, [(1,), (2,)])
