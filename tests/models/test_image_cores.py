"""Cores of V1T and its baselines: attention, patches, views, and what dropout drops."""

import numpy as np
import pytest
import torch

from insilico.errors import CheckpointError, ShapeError
from insilico.models import registry
from insilico.models.cores import image_transformer
from insilico.models.cores.cct import CompactTransformerCore, sine_positions
from insilico.models.cores.image_patches import (
    NormalizedPatches,
    guess_grid,
    patch_grid,
    with_diagonal_shifts,
)
from insilico.models.cores.linear import LinearImageCore, PixelwiseCore
from insilico.models.cores.stacked2d import Stacked2dCore
from insilico.models.cores.stn import SpatialTransformerCore
from insilico.models.cores.vit import VisionTransformerCore
from insilico.models.cores.vit_blocks import BlockSizes, SelfAttention, TransformerBlock

SIZES = {"width": 6, "heads": 3, "head_width": 4, "scale": 0.5, "feedforward": 10}
SMALL = {"image_px": (12, 20), "patch_px": 4, "stride_px": 2, "token_width": 8, "heads": 2}
SMALL |= {"feedforward": 12, "blocks": 2}


def attention(**changes):
    torch.manual_seed(1)
    module = SelfAttention(BlockSizes(**(SIZES | changes)))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return module.eval()


def by_hand(module, tokens, *, scales, is_local):
    """Attention as its formula says, head by head and token by token."""
    normed = module.norm(tokens)[0]
    queries, keys, values = module.queries_keys_values(normed).chunk(3, dim=1)
    answers = []
    for head, scale in enumerate(scales):
        own = slice(head * module.head_width, (head + 1) * module.head_width)
        rows = []
        for token in range(len(normed)):
            logits = scale * (keys[:, own] @ queries[token, own])
            if is_local:
                logits[token] = -torch.inf
            rows.append(torch.softmax(logits, 0) @ values[:, own])
        answers.append(torch.stack(rows))
    return module.project(torch.cat(answers, dim=1))


@pytest.mark.parametrize("is_local", [False, True])
@pytest.mark.parametrize("head_width", [4, 70])
def test_attention_follows_its_formula(is_local, head_width):
    """Heads of 70 channels are padded; the others are not."""
    module = attention(is_local=is_local, head_width=head_width)
    tokens = torch.randn(1, 5, 6)
    with torch.no_grad():
        if is_local:
            module.scale.copy_(torch.tensor([0.1, 0.2, 0.3]))
        scales = [0.1, 0.2, 0.3] if is_local else [0.5] * 3
        expected = by_hand(module, tokens, scales=scales, is_local=is_local)
        torch.testing.assert_close(module(tokens)[0], expected, rtol=1e-4, atol=1e-4)
        some = torch.tensor([4, 1])
        torch.testing.assert_close(module(tokens, some)[0], expected[some], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("is_local", [False, True])
def test_weights_of_attention_are_those_that_its_answers_used(is_local):
    module = attention(is_local=is_local)
    tokens = torch.randn(2, 5, 6)
    with torch.no_grad():
        weights = module.weights(tokens)
        values = module.queries_keys_values(module.norm(tokens))[..., 24:]
        answers = weights @ values.unflatten(2, (3, 4)).transpose(1, 2)
        expected = module.project(answers.transpose(1, 2).flatten(2))
        torch.testing.assert_close(module(tokens), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 5))
    if is_local:
        assert weights.diagonal(dim1=-2, dim2=-1).abs().max() == 0


@pytest.mark.parametrize("kind", ["weights", "values"])
def test_dropout_of_weights_and_of_values_leave_different_marks(kind):
    """All tokens have the value 1: with weights dropped, what is left of their sum differs."""
    module = attention(dropout=0.5, attention_dropout=kind, heads=1, head_width=6).train()
    with torch.no_grad():
        module.norm.weight.zero_()
        module.norm.bias.fill_(1)
        module.queries_keys_values.weight[12:] = torch.eye(6)
        module.project.weight.copy_(torch.eye(6))
        module.project.bias.zero_()
        seen = module(torch.randn(8, 400, 6))
    assert seen.mean().item() == pytest.approx(1, abs=0.05)
    kept = seen[seen > 0]
    if kind == "values":
        # Dropped here and after the projection: what is left was scaled twice by two.
        torch.testing.assert_close(kept, torch.full_like(kept, 4.0), rtol=1e-4, atol=0)
    else:
        assert kept.mean().item() == pytest.approx(2, abs=0.05)
        assert kept.std() > 0.05


def test_drop_path_leaves_out_whole_branches_of_an_image():
    torch.manual_seed(0)
    block = TransformerBlock(BlockSizes(**SIZES), drop_path=0.5).train()
    tokens = torch.randn(200, 5, 6)
    with torch.no_grad():
        passed = (block(tokens) == tokens).flatten(1)
    whole = passed.all(dim=1)
    assert 0.1 < whole.float().mean() < 0.45
    assert not passed[~whole].any(dim=1).all()


def test_behavior_reaches_every_token_and_only_its_own_image():
    core = VisionTransformerCore(1, **SMALL, state_count=2).eval()
    images, state = torch.randn(2, 1, 12, 20), torch.zeros(2, 2)
    with torch.no_grad():
        for block in core.blocks:
            block.behavior.networks["shared"][2].weight.mul_(50)
        quiet = core(images, state)
        state[1] = 1
        moved = core(images, state)
    assert torch.equal(quiet[0], moved[0])
    assert (quiet[1] - moved[1]).abs().amin(dim=0).min() > 0


def test_movie_is_answered_frame_by_frame():
    core = VisionTransformerCore(2, **SMALL, state_count=3).eval()
    movie, state = torch.randn(2, 2, 7, 12, 20), torch.randn(2, 3, 7)
    with torch.no_grad():
        whole = core(movie, state)
        assert whole.shape == (2, 8, 7, 5, 9)
        for frame in range(7):
            alone = core(movie[:, :, frame], state[:, :, frame])
            torch.testing.assert_close(whole[:, :, frame], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_movie", [False, True])
def test_images_answered_in_parts_are_answered_alike(is_movie, monkeypatch):
    core = VisionTransformerCore(1, **SMALL, state_count=2).eval()
    stimulus = torch.randn(3, 1, *[5] * is_movie, 12, 20)
    state = torch.randn(3, 2, *[5] * is_movie)
    whole = core(stimulus, state)
    passes = []
    embed = core.embed
    monkeypatch.setattr(core, "embed", lambda images: passes.append(len(images)) or embed(images))
    monkeypatch.setattr(image_transformer, "CPU_TOKENS", 2 * core.token_count)
    parts = core(stimulus, state)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    assert passes == ([2] * 7 + [1] if is_movie else [2, 1])


@pytest.mark.parametrize("compatibility", [False, True])
def test_window_is_part_of_the_map(compatibility):
    for core in (
        VisionTransformerCore(1, **(SMALL | {"image_px": (14, 20)}), compatibility=compatibility),
        CompactTransformerCore(1, **SMALL, compatibility=compatibility),
    ):
        images = torch.randn(2, 1, *core.image_px)
        core.eval()
        rows, columns = core.output_shape(*core.image_px)
        with torch.no_grad():
            window = core.forward_window(images, rows=slice(1, rows - 1), columns=slice(-2, None))
            expected = core(images)[..., 1:-1, -2:]
        torch.testing.assert_close(window, expected, rtol=1e-5, atol=1e-6)
        for odd in (slice(2, 2), slice(0, 4, 2)):
            with pytest.raises(ShapeError, match="empty or has a step"):
                core.forward_window(images, rows=odd, columns=slice(0, columns))


@pytest.mark.parametrize(
    ("patches", "shape"), [(1653, (29, 57)), (120, (10, 12)), (576, (24, 24)), (7, (1, 7))]
)
def test_grid_is_guessed_as_published(patches, shape):
    assert guess_grid(patches) == shape


def test_shifted_copies_move_as_they_say():
    image = torch.zeros(1, 1, 7, 9)
    image[..., 3, 4] = 1
    shifted = with_diagonal_shifts(image, 2)
    places = [plane.nonzero().tolist()[0] for plane in shifted[0]]
    assert places == [[3, 4], [5, 6], [5, 2], [1, 6], [1, 2]]
    assert torch.equal(with_diagonal_shifts(image, 0), image.expand(1, 5, 7, 9))


def test_normalized_patches_do_not_see_contrast():
    patches = NormalizedPatches(2, 5, patch_px=4, stride_px=4)
    images = torch.randn(1, 2, 8, 8)
    torch.testing.assert_close(patches(images), patches(3 * images + 2), rtol=1e-3, atol=1e-3)


def test_kinds_of_patches_start_from_their_own_weights():
    spreads = {}
    for kind in ("linear", "convolution"):
        torch.manual_seed(0)
        core = VisionTransformerCore(1, image_px=(36, 64), patches=kind)
        spreads[kind] = core.patches.convolution.weight.std().item()
    assert spreads["linear"] == pytest.approx((1 / 64 / 3) ** 0.5, rel=0.05)
    assert spreads["convolution"] == pytest.approx((2 / 64) ** 0.5, rel=0.05)


def test_blocks_start_from_small_weights_and_no_biases():
    core = VisionTransformerCore(1, image_px=(36, 64), state_count=5)
    for block in core.blocks:
        for module in block.modules():
            if isinstance(module, torch.nn.Linear):
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.15)
                assert module.bias is None or module.bias.abs().max() == 0
    local = VisionTransformerCore(1, **SMALL, local_attention=True).blocks[0].attention
    assert torch.equal(local.scale, torch.full((2,), 8**-0.5))


def test_sine_positions_follow_their_formula():
    table = sine_positions(600, 12)
    for token in (0, 1, 37, 599):
        for channel in range(12):
            angle = token / 10_000 ** (2 * (channel // 2) / 12)
            expected = np.cos(angle) if channel % 2 else np.sin(angle)
            assert table[token, channel].item() == pytest.approx(expected, abs=1e-4)


def test_compact_transformer_scales_by_one_head_unless_compatible():
    for compatibility, width in ((False, 2), (True, 4)):
        core = CompactTransformerCore(1, **SMALL, compatibility=compatibility)
        assert core.blocks[0].attention.fixed_scale == pytest.approx(width**-0.5)


def test_drop_path_of_a_compact_transformer_rises_to_its_rate():
    core = CompactTransformerCore(1, **(SMALL | {"blocks": 4}), drop_path=0.3)
    rates = [block.drop_path.probability for block in core.blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])


def test_spatial_transformer_starts_by_seeing_the_image_itself():
    core = SpatialTransformerCore(1, image_px=(20, 28), channels=3).eval()
    images = torch.randn(2, 1, 20, 28)
    torch.testing.assert_close(core.view(images), images, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        core.regression[3].bias.copy_(torch.tensor([-1.0, 0, 0, 0, 1, 0]))
        torch.testing.assert_close(core.view(images), images.flip(3), rtol=1e-4, atol=1e-5)


def test_spatial_transformer_drops_channels_after_all_layers_but_the_last():
    core = SpatialTransformerCore(1, image_px=(20, 28), channels=3, layers=4)
    assert [hasattr(layer, "dropout") for layer in core.layers] == [True, True, True, False]


def test_stacked_core_drops_channels_between_its_first_and_last_layer():
    core = Stacked2dCore(1, layers=4, hidden_channels=3, dropout=0.2, separable_bias=True)
    assert [hasattr(layer, "dropout") for layer in core.features] == [False, True, True, False]
    assert [name for name, _ in core.named_parameters() if "conv.bias" in name][:3] == [
        "features.layer1.ds_conv.in_depth_conv.bias",
        "features.layer1.ds_conv.spatial_conv.bias",
        "features.layer1.ds_conv.out_depth_conv.bias",
    ]


def test_linear_cores_are_linear_in_what_they_are_given():
    image_core = LinearImageCore(2, image_px=(4, 5), state_count=1)
    movie_core = PixelwiseCore(2, image_px=(4, 5), state_count=1)
    for core, frames in ((image_core, ()), (movie_core, (3,))):
        first, second = torch.randn(2, 2, 2, *frames, 4, 5)
        state, other = torch.randn(2, 2, 1, *frames)
        rest = core(torch.zeros_like(first), torch.zeros_like(state))
        both = core(first + second, state + other) - rest
        apart = core(first, state) + core(second, other) - 2 * rest
        assert both.shape == (2, 3, *frames, 4, 5)
        torch.testing.assert_close(both, apart, rtol=1e-4, atol=1e-4)


def test_pixelwise_core_scales_and_offsets_each_pixel():
    core = PixelwiseCore(1, image_px=(4, 5))
    movie = torch.randn(2, 1, 3, 4, 5)
    expected = torch.stack([frame * core.gain + core.offset for frame in movie.unbind(2)], dim=2)
    torch.testing.assert_close(core(movie), expected)


@pytest.mark.parametrize("name", ["v1t", "cct", "stn", "linear_image", "linear_movie"])
def test_penalty_is_the_sum_of_all_absolute_weights(name):
    small = {"height_px": 20, "width_px": 24}
    if name != "linear_movie":
        small |= {"core_height_px": 20, "core_width_px": 24}
    core = registry.build(name, small, {"a": 2}).core
    expected = sum(parameter.abs().sum() for parameter in core.parameters())
    torch.testing.assert_close(core.regularizer(), expected)


@pytest.mark.parametrize(
    ("architecture", "options", "error", "message"),
    [
        ("v1t", {"patches": "round"}, CheckpointError, "did you mean|give one of linear"),
        ("v1t", {"state_entry": "everywhere"}, CheckpointError, "one of channels, blocks"),
        ("v1t", {"patch_px": 40}, ShapeError, "patches of 40 px .* do not fit"),
        ("v1t", {"stride_px": 0}, ShapeError, "from 1"),
        ("cct", {"positions": "cosine"}, CheckpointError, "one of sine, learned, none"),
        ("cct", {"heads": 13}, ShapeError, "13 heads share token_width // heads = 12"),
        ("cct", {"patch_px": 80}, ShapeError, "kernels of 80 px"),
        ("stn", {"core_height_px": 17}, ShapeError, "at least 18 x 18 px"),
        ("stn", {"layers": 0}, ShapeError, "at least one layer"),
    ],
)
def test_impossible_options_are_refused(architecture, options, error, message):
    with pytest.raises(error, match=message):
        registry.build(architecture, options, {"a": 2})


def test_patches_count_from_the_first_pixel():
    assert patch_grid((36, 64), patch_px=8, stride_px=4) == (8, 15)
    assert patch_grid((8, 8), patch_px=8, stride_px=3) == (1, 1)
