"""The transformer core of ViV1T: its blocks, its parts, and what it may not see."""

import pytest
import torch

from insilico.errors import ShapeError
from insilico.models import registry
from insilico.models.cores import parts
from insilico.models.cores.position_encoding import sincos_2d, sinusoid
from insilico.models.cores.vivit_blocks import ParallelBlock, RotaryEmbedding

SMALL = {
    "height_px": 10, "width_px": 14, "patch_px": 5, "patch_stride_px": 3, "patch_frames": 4,
    "max_frames": 16, "width": 12, "heads": 2, "head_width": 6, "feedforward": 10,
    "spatial_depth": 2, "temporal_depth": 2, "registers": 3,
}  # fmt: skip


def network(**options):
    torch.manual_seed(3)
    made = registry.build("vivit", SMALL | options, {"a": 9})
    for value in made.parameters():
        value.data += 0.2 * torch.randn(value.shape)
    return made.eval()


def inputs(frames=12, trials=2):
    random = torch.Generator().manual_seed(1)
    return {
        "stimulus": torch.randn(trials, 1, frames, 10, 14, generator=random),
        "behavior": torch.randn(trials, 2, frames, generator=random),
        "pupil_center": torch.randn(trials, 2, frames, generator=random),
    }


def answer(made, values):
    return made(values["stimulus"], mouse="a", **{k: values[k] for k in list(values)[1:]})


@pytest.mark.parametrize("tokens", [1, 50])
@pytest.mark.parametrize("is_causal", [True, False])
def test_parts_add_up_to_the_whole(tokens, is_causal, monkeypatch):
    made, values = network(is_causal=is_causal), inputs()
    values["stimulus"].requires_grad_()
    results = []
    for at_once in (tokens, 1 << 20):
        monkeypatch.setattr(parts, "CPU_TOKENS", at_once)
        made.zero_grad()
        values["stimulus"].grad = None
        responses = answer(made, values)
        responses.square().sum().backward()
        gradient = made.core.spatial.blocks[0].fused.weight.grad
        results.append((responses.detach(), gradient, values["stimulus"].grad))
        with torch.no_grad():
            torch.testing.assert_close(answer(made, values), responses.detach())
    for part, whole in zip(*results, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-4)


def test_causal_answers_do_not_see_later_frames_and_others_do():
    for is_causal in (True, False):
        made, values = network(is_causal=is_causal), inputs()
        before = answer(made, values)[..., :7]
        for value in values.values():
            value[:, :, 7:] += 1
        change = (answer(made, values)[..., :7] - before).abs().max()
        assert (change == 0) == is_causal


def test_temporal_registers_count_where_frames_can_see_them_only():
    for is_causal in (True, False):
        made, values = network(is_causal=is_causal), inputs()
        before = answer(made, values)
        made.core.temporal.registers.data += 1
        assert torch.equal(answer(made, values), before) == is_causal
        assert ("temporal.registers" in made.core.idle_parameters) == is_causal


def test_a_window_follows_its_own_patches_through_time():
    core, values = network().core, inputs()
    state = torch.cat([values["behavior"], values["pupil_center"]], dim=1)
    whole = core(values["stimulus"], state)
    window = core.forward_window(values["stimulus"], state, rows=slice(1, 3), columns=slice(0, 4))
    torch.testing.assert_close(window, whole[..., 1:3, 0:4])


def logits(rotary, *, head_width, tokens):
    torch.manual_seed(0)
    query, key = torch.randn(2, head_width)
    pair = torch.stack([query, key])[None, None, :, None].expand(1, tokens, 2, 1, head_width)
    turned = rotary(pair)[0, :, :, 0]
    return turned[:, 0] @ turned[:, 1].T


@pytest.mark.parametrize("is_causal", [True, False])
def test_rotary_positions_count_by_distance_alone(is_causal):
    rotary = RotaryEmbedding(8, 20, is_causal=is_causal, compatibility=False)
    values = logits(rotary, head_width=8, tokens=20)
    for distance in range(-19, 20):
        line = values.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line), rtol=1e-4, atol=1e-4)


def test_published_rotary_positions_count_by_place_too():
    rotary = RotaryEmbedding(8, 300, is_causal=True, compatibility=True)
    values = logits(rotary, head_width=8, tokens=300)
    line = values.diagonal(3)
    assert (line.max() - line.min()) > 0.05 * line.abs().mean()


def test_registers_have_no_position():
    rotary = RotaryEmbedding(8, 20, is_causal=False, compatibility=True)
    heads = torch.randn(2, 9, 2, 1, 8)
    turned = rotary(heads, registers=4)
    torch.testing.assert_close(turned[:, 5:], heads[:, 5:], rtol=0, atol=0)
    assert (turned[:, 1:5] - heads[:, 1:5]).abs().min() > 0


@pytest.mark.parametrize("is_causal", [True, False])
def test_attention_weights_are_those_of_the_fused_kernel(is_causal):
    torch.manual_seed(5)
    block = ParallelBlock(12, heads=2, head_width=6, feedforward=8, is_causal=is_causal)
    block.fused.weight.data.mul_(30)
    tokens = torch.randn(3, 7, 12)
    weights = block.attention(tokens)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, 7))
    query, key, value, _ = block._project(tokens, 0)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=is_causal
    )
    torch.testing.assert_close(weights @ value, expected)
    assert (weights.triu(1).abs().max() == 0) == is_causal


def test_training_drops_tokens_and_paths_and_keeps_their_mean():
    made = network(token_dropout=0.5, drop_path=0.5).train()
    values = inputs(trials=1)
    with torch.no_grad():
        assert not torch.equal(answer(made, values), answer(made, values))
        tokens = torch.ones(200, 50, 4)
        dropped = made.core.token_dropout(tokens)
        kept = made.core.spatial.blocks[0].drop_path(tokens)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[..., :1]).all()
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert (kept == kept[:, :1, :1]).all()
    assert kept.mean().item() == pytest.approx(1, abs=0.25)


def test_learned_positions_refuse_longer_movies():
    made, values = network(position_encoding="learned"), inputs(frames=17)
    with pytest.raises(ShapeError, match=r"17 frames; the network has positions for 16"):
        answer(made, values)


def test_waves_are_sines_and_cosines_of_published_wavelengths():
    waves = sinusoid(50, 8)
    for channel in range(4):
        phase = torch.arange(50) / 10_000 ** (2 * channel / 8)
        torch.testing.assert_close(waves[:, 2 * channel], phase.sin(), rtol=0, atol=1e-5)
        torch.testing.assert_close(waves[:, 2 * channel + 1], phase.cos(), rtol=0, atol=1e-5)
    plane = sincos_2d((3, 5), 8).view(3, 5, 8)
    torch.testing.assert_close(plane[:, :, :4], plane[:1, :, :4].expand(3, -1, -1))
    torch.testing.assert_close(plane[:, :, 4:], plane[:, :1, 4:].expand(-1, 5, -1))
    torch.testing.assert_close(plane[0, :, 0], torch.arange(5.0).sin())
    torch.testing.assert_close(plane[:, 0, 6], torch.arange(3.0).cos())
