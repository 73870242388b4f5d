"""Tokens of patches against a plain cut, normalize and map."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from insilico.errors import ShapeError
from insilico.models.cores import patch_tokens
from insilico.models.cores.patch_tokens import PatchEmbedding, PatchGrid

GRIDS = {
    "padded": PatchGrid((9, 12), patch_px=5, stride_px=2, patch_frames=3, max_frames=8),
    "whole patches": PatchGrid((9, 12), patch_px=4, stride_px=3, patch_frames=3, pads=False),
    "stride in time": PatchGrid((8, 8), patch_px=3, stride_px=2, patch_frames=4, stride_frames=2),
    "one frame": PatchGrid((8, 9), patch_px=3, stride_px=1, patch_frames=1, pads=False),
}


def embedding(grid, *, state_count=2, norm="layernorm", channels=2):
    torch.manual_seed(4)
    made = PatchEmbedding(grid, channels=channels, state_count=state_count, width=6, norm=norm)
    for value in made.parameters():
        value.data += 0.3 * torch.randn(value.shape)
    return made.double()


def movie(grid, *, state_count=2, channels=2, frames=8):
    random = torch.Generator().manual_seed(2)
    stimulus = torch.randn(2, channels, frames, *grid.frame_px, generator=random).double()
    state = torch.randn(2, state_count, frames, generator=random).double() + 1
    return stimulus, state if state_count else None


def plain(made, stimulus, state):
    """Cut every patch of stimulus and spread-out state, normalize it, map it."""
    grid = made.grid
    if state is not None:
        planes = state[..., None, None].expand(-1, -1, -1, *grid.frame_px)
        stimulus = torch.cat([stimulus, planes], dim=1)
    padded = F.pad(stimulus, (*grid.margins, grid.leading_frames, 0))
    rows, columns = grid.shape
    tokens = torch.stack(
        [
            made.linear(
                made.norm(
                    padded[
                        :,
                        :,
                        t * grid.stride_frames : t * grid.stride_frames + grid.patch_frames,
                        y * grid.stride_px : y * grid.stride_px + grid.patch_px,
                        x * grid.stride_px : x * grid.stride_px + grid.patch_px,
                    ].flatten(1)
                )
            )
            for t, y, x in itertools.product(
                range(grid.frames(stimulus.shape[2])), range(rows), range(columns)
            )
        ],
        dim=1,
    )
    return tokens.unflatten(1, (-1, rows * columns))


@pytest.mark.parametrize("norm", ["layernorm", "rmsnorm", "dyt", None])
@pytest.mark.parametrize("state_count", [0, 2])
@pytest.mark.parametrize("name", GRIDS)
def test_tokens_and_gradients_are_those_of_whole_patches(name, state_count, norm, monkeypatch):
    monkeypatch.setattr(patch_tokens, "CPU_VALUES", 700)
    grid = GRIDS[name]
    made = embedding(grid, state_count=state_count, norm=norm)
    stimulus, state = movie(grid, state_count=state_count)
    stimulus.requires_grad_()
    gradients = []
    answers = []
    for answer in (made, lambda *inputs: plain(made, *inputs)):
        made.zero_grad()
        stimulus.grad = None
        answers.append(answer(stimulus, state))
        answers[-1].square().sum().backward()
        gradients.append([stimulus.grad, *(value.grad for value in made.parameters())])
    torch.testing.assert_close(*answers, rtol=1e-9, atol=1e-9)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def test_a_uniform_patch_without_a_state_has_no_variance_and_keeps_its_token_in_float32():
    grid = GRIDS["whole patches"]
    made = embedding(grid, state_count=0).float()
    stimulus = torch.full((1, 2, 3, *grid.frame_px), 1.7)
    expected = plain(made.double(), stimulus.double(), None).float()
    torch.testing.assert_close(made.float()(stimulus), expected, rtol=0, atol=1e-5)


def test_no_more_patches_are_held_than_asked(monkeypatch):
    grid = GRIDS["padded"]
    made = embedding(grid)
    stimulus, _ = movie(grid)
    monkeypatch.setattr(patch_tokens, "CPU_VALUES", 1)
    spans = made.spans(stimulus)
    assert spans == [slice(time, time + 1) for time in range(grid.frames(8))]
    monkeypatch.setattr(patch_tokens, "CPU_VALUES", 1 << 30)
    assert made.spans(stimulus) == [slice(0, grid.frames(8))]


def test_published_grid_of_the_closed_loop_study():
    grid = PatchGrid((36, 64))
    assert grid.shape == (18, 32)
    assert grid.margins == (2, 3, 2, 3)
    assert grid.leading_frames == 12
    assert grid.frames(300) == 300
    assert grid.frames(1) == 1


def test_published_grid_without_zeros():
    grid = PatchGrid((36, 64), pads=False)
    assert grid.shape == (15, 29)
    assert grid.margins == (0, 0, 0, 0)
    assert grid.frames(300) == 288
    assert grid.frames(12) == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [({"stride_px": 0}, "at least one pixel"), ({"patch_px": 40, "pads": False}, "do not fit")],
)
def test_impossible_grids_are_refused(values, message):
    with pytest.raises(ShapeError, match=message):
        PatchGrid((36, 64), **values)
