"""Attention rollout, and where the patches lie that it tells of."""

import numpy as np
import pytest
import torch

from insilico.errors import CheckpointError, MouseError, ShapeError
from insilico.models import registry
from insilico.models.attention_maps import Attentive, PatchPlaces
from insilico.models.rollout import draw_evenly, draw_from, roll_out, uniform_attention

ATTENTIVE = [
    name
    for name, network in registry.example_networks()
    if isinstance(getattr(network, "core", None), Attentive)
]


def example(name):
    family, _, which = name.partition(": ")
    torch.manual_seed(3)
    return registry.build(family, *registry.find_architecture(family).examples()[which]).eval()


def ask(network, *, trials=2, frames=8, seed=0):
    """Return a stimulus and a state for a network, and its attention maps."""
    torch.manual_seed(seed)
    time = (frames,) if network.kind == "movie" else ()
    size = network.options.height_px, network.options.width_px
    stimulus = torch.randn(trials, network.channels, *time, *size)
    behavior = torch.randn(trials, len(network.behavior_names), *time)
    state = {"behavior": behavior, "pupil_center": torch.randn(trials, 2, *time)}
    mouse = next(iter(network.neuron_counts))
    with torch.no_grad():
        return stimulus, state, network.attention_maps(stimulus, mouse=mouse, **state)


def test_rollout_of_two_blocks_and_three_tokens_is_that_by_hand():
    first = torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5], [0, 0, 1]])
    lower = torch.zeros(3, 3)  # a second head that never has the largest weight
    second = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    attention = torch.stack([torch.stack([first, lower]), torch.stack([second, lower])])[None]
    # By hand: M1 = [[1,0,0], [0,.75,.25], [0,0,1]], M2 = ½ [[1,0,1], [1,1,0], [0,1,1]].
    expected = torch.tensor([[0.5, 0, 0.5], [0.5, 0.375, 0.125], [0, 0.375, 0.625]])
    torch.testing.assert_close(roll_out(attention)[0], expected)


def test_largest_weight_over_heads_is_followed():
    heads = torch.tensor([[[1.0, 0], [1, 0]], [[0, 1.0], [0, 1]]])
    # max over heads is all ones: M = [[2,1], [1,2]] / 3.
    expected = torch.tensor([[2.0, 1], [1, 2]]) / 3
    torch.testing.assert_close(roll_out(heads[None, None])[0], expected)


def test_what_readers_draw_is_their_rows_of_the_rollout():
    torch.manual_seed(0)
    attention = torch.randn(4, 3, 2, 6, 6, dtype=torch.float64).softmax(dim=-1)
    readers = torch.rand(6, dtype=torch.float64)
    whole = roll_out(attention)
    torch.testing.assert_close(draw_from(attention, readers), readers @ whole)
    torch.testing.assert_close(draw_evenly(attention), whole.mean(dim=1))
    torch.testing.assert_close(whole.sum(dim=-1), torch.ones(4, 6, dtype=torch.float64))


def test_attention_that_favors_no_token_is_drawn_evenly_unless_it_is_causal():
    like = torch.zeros(1)
    free = draw_evenly(uniform_attention(5, is_causal=False, like=like))[0]
    torch.testing.assert_close(free, torch.full((5,), 0.2))
    causal = draw_evenly(uniform_attention(5, is_causal=True, like=like))[0]
    assert (causal.diff() < 0).all()
    # Token 4 is seen by itself alone, M = (1/5 + 1) / 2, and one reader in five.
    torch.testing.assert_close(causal[4], torch.tensor(1.2 / 2 / 5))


def test_architectures_with_attention_are_the_transformers():
    families = {name.partition(":")[0] for name in ATTENTIVE}
    assert {"vivit", "vivit2023", "v1t", "v1t_movie", "cct"} <= families
    assert not {"sensorium2022", "factorized3d"} & families


@pytest.mark.parametrize("name", ATTENTIVE)
def test_every_transformer_tells_the_share_of_each_patch_and_time(name):
    network = example(name)
    stimulus, _, maps = ask(network)
    assert maps.spatial.shape[0] == 2
    assert maps.spatial.shape[-2:] == maps.places.shape
    assert (maps.spatial >= 0).all()
    total = maps.spatial.sum(dim=(-2, -1))
    assert ((total > 0.01) & (total < 1 + 1e-5)).all()
    times = maps.spatial.shape[1:-2]
    assert len(times) == (network.kind == "movie")
    if network.kind == "movie":
        assert len(maps.last_frame) == times[0]
        assert maps.last_frame[-1] < stimulus.shape[2]
        assert maps.last_frame[0] >= network.core.lost_frames
    if maps.temporal is not None:
        assert maps.temporal.shape == (2, *times)
        torch.testing.assert_close(maps.temporal.sum(dim=1), torch.ones(2))
        torch.testing.assert_close(maps.temporal_uniform.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("name", ATTENTIVE)
def test_maps_of_a_trial_do_not_depend_on_the_others(name):
    network = example(name)
    stimulus, state, together = ask(network)
    mouse = next(iter(network.neuron_counts))
    alone = {key: value[1:] for key, value in state.items()}
    with torch.no_grad():
        second = network.attention_maps(stimulus[1:], mouse=mouse, **alone)
    torch.testing.assert_close(second.spatial, together.spatial[1:])


@pytest.mark.parametrize("name", ["v1t: images alone", "cct: no positions", "v1t_movie: behavior"])
def test_patch_lies_where_the_pixels_do_that_its_token_is_made_of(name):
    network = example(name)
    core, places = network.core, network.core.places
    for row, column in ((0, 0), (1, 2), (places.shape[0] - 1, places.shape[1] - 1)):
        reached = np.zeros(core.image_px)
        for seed in range(12):  # a pooled token takes the largest of several: not always all pixels
            torch.manual_seed(seed)
            image = torch.randn(1, network.channels, *core.image_px, requires_grad=True)
            token = core.leading_tokens + row * places.shape[1] + column
            core.embed(image)[0, token].square().sum().backward()
            reached += image.grad[0].abs().sum(dim=0).numpy()
        assert_is_patch(reached > 0, places, row, column)


def test_patches_of_padded_movies_lie_where_their_pixels_do():
    network = example("vivit: relative rotary scale")
    core, places = network.core, ask(network)[2].places
    for row, column in ((0, 0), (1, 2), (places.shape[0] - 1, places.shape[1] - 1)):
        movie = torch.randn(1, 1, 6, *core.grid.frame_px, requires_grad=True)
        state = torch.randn(1, network.options.state_count, 6)
        core.embedding(movie, state)[0, 4, row * places.shape[1] + column].sum().backward()
        reached = movie.grad[0, 0].abs().sum(dim=0).numpy()
        assert_is_patch(reached > 0, places, row, column)


def assert_is_patch(reached, places, row, column):
    for axis, index in ((0, row), (1, column)):
        pixels = np.arange(reached.shape[axis])
        center = places.first_px[axis] + index * places.stride_px[axis]
        inside = np.abs(pixels - center) <= (places.side_px[axis] - 1) / 2
        np.testing.assert_array_equal(reached.any(axis=1 - axis), inside)


def test_time_belongs_to_the_last_frame_that_its_patch_reaches():
    network = example("vivit: temporal stride")
    _, _, maps = ask(network, frames=12)
    core = network.core
    for time, last in enumerate(maps.last_frame):
        movie = torch.randn(1, 1, 12, *core.grid.frame_px, requires_grad=True)
        state = torch.randn(1, network.options.state_count, 12)
        core.embedding(movie, state)[0, time].square().sum().backward()
        reached = movie.grad[0, 0].abs().sum(dim=(1, 2)).numpy()
        assert np.flatnonzero(reached).max() == last


@pytest.mark.parametrize("name", ["v1t: crop that learns to move", "v1t: behavior and gaze"])
def test_maps_of_a_crop_are_placed_on_the_image(name):
    network = example(name)
    if network.cropper.shifter is not None:
        torch.manual_seed(1)
        for parameter in network.cropper.shifter.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    rows, columns = network.options.height_px, network.options.width_px
    gaze = torch.tensor([[0.0, 0.0], [0.4, -0.5]])
    # What is shown at each pixel is where it lies.
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    for axis, positions in enumerate((y, x)):
        image = positions.float().expand(2, 1, -1, -1)
        mouse = next(iter(network.neuron_counts))
        with torch.no_grad():
            behavior = torch.zeros(2, len(network.behavior_names))
            seen = network._enter(image, behavior, gaze, mouse=mouse)[:, 0]
            maps = network.attention_maps(image, mouse=mouse, behavior=behavior, pupil_center=gaze)
        core_places = network.core.places
        middle = (np.array(core_places.shape) // 2).tolist()
        core_px = [
            int(first + index * stride)
            for first, index, stride in zip(
                core_places.first_px, middle, core_places.stride_px, strict=True
            )
        ]
        fraction = core_places.first_px[axis] + middle[axis] * core_places.stride_px[axis]
        step = 1 if axis == 0 else 0
        here = seen[:, core_px[0], core_px[1]]
        beyond = seen[:, core_px[0] + step, core_px[1] + 1 - step]
        shown_at = here + (fraction - core_px[axis]) * (beyond - here)
        placed = maps.places.centers_px()[axis][middle[axis]]
        moved = 0.0 if maps.moved_px is None else maps.moved_px[:, axis]
        torch.testing.assert_close(
            shown_at, torch.full((2,), placed).float() + moved, atol=0.01, rtol=0
        )
    assert (maps.moved_px is None) == ("gaze" in name)


def test_places_on_a_larger_image_keep_their_middle():
    places = PatchPlaces((2, 3), (1.5, 1.5), (2.0, 2.0), (4.0, 4.0)).on((4.0, 4.0), (1.5, 1.5))
    y_px, x_px = places.centers_px()
    # The center of four pixels of 4 x 4 larger ones: 1.5 → 7.5 on the larger grid.
    np.testing.assert_allclose(y_px, [7.5, 15.5])
    np.testing.assert_allclose(x_px, [7.5, 15.5, 23.5])
    assert places.side_px == (16.0, 16.0)


def test_core_without_attention_is_refused_by_name():
    name = next(iter(registry.find_architecture("sensorium2022").examples()))
    network = example(f"sensorium2022: {name}")
    with pytest.raises(CheckpointError, match="the core Stacked2dCore has no attention"):
        ask(network)


def test_wrong_mouse_and_wrong_size_are_refused():
    network = example("v1t: images alone")
    with pytest.raises(MouseError, match="no mouse 'nobody'"):
        network.attention_maps(torch.zeros(1, 1, 24, 40), mouse="nobody")
    with pytest.raises(ShapeError, match="the network takes"):
        network.attention_maps(torch.zeros(1, 1, 24, 41), mouse="mouse-a")
