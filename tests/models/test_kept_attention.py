"""What attention answered once is not computed again, and changes no gradient."""

import pytest
import torch
import torch.nn.functional as F

from insilico.models.cores import kept_attention, parts
from insilico.models.cores.kept_attention import attend, keeping, reusing, size_bytes


@pytest.fixture
def heads():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 2, 40, 16, generator=generator) for _ in range(3)]


@pytest.mark.parametrize("is_causal", [False, True])
def test_reused_answers_give_the_gradients_of_plain_attention(heads, is_causal):
    answers = []
    with torch.no_grad(), keeping(answers):
        kept = [attend(*heads, is_causal=is_causal), attend(*reversed(heads))]
    leaves = [part.clone().requires_grad_() for part in heads]
    with reusing(answers):
        again = [attend(*leaves, is_causal=is_causal), attend(*reversed(leaves))]
        beyond = attend(*leaves)
    plain = F.scaled_dot_product_attention(*leaves, is_causal=is_causal)

    assert size_bytes(answers) >= 2 * plain.nbytes
    assert kept[0].equal(plain)
    assert again[0].equal(plain)
    assert again[1].equal(kept[1])
    assert beyond.equal(F.scaled_dot_product_attention(*leaves))
    found = torch.autograd.grad(again[0].square().sum(), leaves)
    wanted = torch.autograd.grad(plain.square().sum(), leaves)
    assert all(one.equal(other) for one, other in zip(found, wanted, strict=True))


def test_reused_answers_are_not_computed(heads):
    answers = []
    with torch.no_grad(), keeping(answers):
        attend(*heads)
    changed = [(answers[0][0] + 1, *answers[0][1:])]
    with reusing(changed):
        assert attend(*heads).equal(answers[0][0] + 1)
    # Outside it is computed as ever, and nothing more is kept.
    assert attend(*heads).equal(answers[0][0])
    assert len(answers) == 1


@pytest.mark.parametrize(("kept_bytes", "reused"), [(-1, {0}), (0, {1, 2}), (1 << 30, {3})])
def test_parts_give_the_same_gradients_however_much_of_them_is_kept(
    heads, kept_bytes, reused, monkeypatch
):
    monkeypatch.setattr(parts, "KEPT_BYTES", kept_bytes)
    answered, calls = kept_attention._Answered.apply, []

    def spy(*given):
        calls.append(1)
        return answered(*given)

    monkeypatch.setattr(kept_attention._Answered, "apply", spy)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        leaf = heads[0].clone().requires_grad_()
        each = [(leaf[row : row + 1],) for row in range(3)]
        _, run = parts.plan_parts(9, 600, torch.device("cpu"), checkpoints=False, is_frozen=True)
        answer = torch.cat(run(lambda part: attend(part, part.cos(), part.sin()), each))
        (found,) = torch.autograd.grad(answer.square().sum(), leaf)
    finally:
        torch.set_num_threads(before)

    assert len(calls) in reused
    plain = F.scaled_dot_product_attention(leaf, leaf.cos(), leaf.sin())
    torch.testing.assert_close(answer, plain)
    torch.testing.assert_close(found, torch.autograd.grad(plain.square().sum(), leaf)[0])
    with pytest.raises(RuntimeError, match="second time"):
        answer.sum().backward()
