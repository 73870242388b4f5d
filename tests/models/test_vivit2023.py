"""The core of the first release of ViV1T: its frames, its maps, and how it is computed."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from insilico.errors import ShapeError
from insilico.models.architectures.vivit2023 import FirstReleaseViViT, FirstReleaseViViTOptions
from insilico.models.cores import parts, patch_tokens
from insilico.models.network import count_parameters

SMALL = {"height_px": 10, "width_px": 15, "patch_px": 5, "patch_stride_px": 3}
SMALL |= {"patch_frames": 4, "max_frames": 16, "width": 12, "heads": 2, "head_width": 6}
SMALL |= {"feedforward": 10, "spatial_depth": 2, "temporal_depth": 2}


def small_core(seed=0, **options):
    torch.manual_seed(seed)
    core = FirstReleaseViViT(FirstReleaseViViTOptions(**(SMALL | options)), {"a": 2, "b": 3}).core
    for parameter in core.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return core.double().eval()


def movie(trials=2, frames=9, seed=1, height=10, width=15):
    generator = torch.Generator().manual_seed(seed)
    shapes = (trials, 1, frames, height, width), (trials, 4, frames)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(("is_parallel", "parameters"), [(True, 2_916_074), (False, 2_920_746)])
def test_default_core_has_the_published_number_of_parameters(is_parallel, parameters):
    network = FirstReleaseViViT(FirstReleaseViViTOptions(is_parallel=is_parallel), {"a": 1})
    assert count_parameters(network.core) == parameters


def test_default_network_answers_the_last_frames_of_whole_windows():
    network = FirstReleaseViViT(FirstReleaseViViTOptions(), {"a": 1})
    assert network.map_shape == (15, 29)
    assert [network.response_frames(frames) for frames in (24, 25, 300)] == [0, 1, 276]


def test_each_time_is_computed_from_its_window_where_times_do_not_meet():
    core = small_core(temporal_depth=0)
    stimulus, state = (values.requires_grad_() for values in movie())
    core(stimulus, state)[:, :, 2].sum().backward()
    for values in (stimulus, state):
        seen = values.grad.transpose(0, 2).flatten(1).abs().amax(dim=1) > 0
        assert seen.tolist() == [False] * 2 + [True] * 4 + [False] * 3


@pytest.mark.parametrize("state_entry", ["channels", "blocks"])
def test_every_answer_depends_on_every_frame(state_entry):
    core = small_core(state_entry=state_entry)
    stimulus, state = (values.requires_grad_() for values in movie())
    core(stimulus, state)[:, :, 0].square().sum().backward()
    for values in (stimulus, state):
        assert values.grad.transpose(0, 2).flatten(1).abs().amax(dim=1).min() > 0


def test_each_mouse_has_its_own_networks_in_the_blocks_only_where_asked():
    stimulus, state = movie()
    apart = small_core(state_entry="blocks by mouse")
    assert not torch.allclose(apart(stimulus, state, mouse="a"), apart(stimulus, state, mouse="b"))
    shared = small_core(state_entry="blocks")
    torch.testing.assert_close(
        shared(stimulus, state, mouse="a"), shared(stimulus, state, mouse="b"), rtol=0, atol=0
    )


OPTIONS = st.fixed_dictionaries(
    {
        "is_parallel": st.booleans(),
        "state_entry": st.sampled_from(["channels", "blocks"]),
        "position_encoding": st.sampled_from(["learned", "convolution", "sinusoid"]),
        "compatibility": st.booleans(),
        "patch_stride_px": st.sampled_from([3, 4]),
        "patch_stride_frames": st.sampled_from([1, 2]),
        "width_px": st.sampled_from([15, 30]),
    }
)


@given(OPTIONS, st.data())
@settings(max_examples=25, deadline=None)
def test_window_is_that_part_of_the_map(options, data):
    core = small_core(**options)
    stimulus, state = movie(width=options["width_px"])
    spans = []
    for size in core.output_shape(10, options["width_px"]):
        start = data.draw(st.integers(0, size - 1))
        spans.append(slice(start, data.draw(st.integers(start + 1, size))))
    with torch.no_grad():
        whole = core(stimulus, state)
        window = core.forward_window(stimulus, state, rows=spans[0], columns=spans[1])
    assert whole.shape == (2, 12, core.output_frames(9), *core.map_shape)
    torch.testing.assert_close(window, whole[..., spans[0], spans[1]], rtol=0, atol=1e-12)


@given(OPTIONS)
@settings(max_examples=15, deadline=None)
def test_how_much_passes_together_does_not_matter(options):
    core = small_core(**options)
    stimulus, state = movie(width=options["width_px"])
    with torch.no_grad():
        together = core(stimulus, state)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts, "CPU_TOKENS", 1)
            apart = core(stimulus, state)
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-12)


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation makes, and is no view of another."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        answer = function(*arguments, **(keywords or {}))
        for value in tree_leaves(answer):
            if isinstance(value, torch.Tensor):
                stored = value.untyped_storage().nbytes() // value.element_size()
                self.numbers = max(self.numbers, stored)
        return answer


def test_evaluation_holds_one_tensor_of_tokens_and_never_all_patches(monkeypatch):
    monkeypatch.setattr(parts, "CPU_TOKENS", 64)
    monkeypatch.setattr(patch_tokens, "CPU_VALUES", 1 << 10)
    core = small_core(max_frames=60, width_px=60)
    stimulus, state = movie(trials=1, frames=60, width=60)
    with torch.no_grad(), Largest() as largest:
        tokens = core(stimulus, state).numel()
    queries_to_hidden = tokens // 12 * (3 * 12 + 10)
    patches = tokens // 12 * 4 * 25
    assert largest.numbers <= max(1.1 * tokens, stimulus.numel())
    assert min(queries_to_hidden, patches) > 2 * largest.numbers


def test_recomputed_activations_keep_less_and_give_the_same_gradient():
    stimulus, state = movie(frames=16)
    core = small_core()
    gradients, kept = [], []
    for recomputes in (False, True):
        core.checkpoints_activations = recomputes
        asked = copy.deepcopy(stimulus).requires_grad_()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda value, sizes=sizes: sizes.append(value.numel()) or value, lambda value: value
        ):
            answer = core(asked, state)
        gradients.append(torch.autograd.grad(answer.square().sum(), asked)[0])
        kept.append(sum(sizes))
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)
    assert kept[1] < 0.3 * kept[0]


def test_blocks_start_small_and_without_bias():
    torch.manual_seed(0)
    options = FirstReleaseViViTOptions(is_parallel=False, state_entry="blocks")
    core = FirstReleaseViViT(options, {"a": 1}).core
    for name, parameter in [*core.spatial.named_parameters(), *core.temporal.named_parameters()]:
        if parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name
        elif name.endswith("bias"):
            assert not parameter.any(), name


def test_waves_reach_further_than_the_longest_movie_of_training_and_learned_positions_do_not():
    stimulus, state = movie(frames=20)
    waves, learned = small_core(position_encoding="sinusoid"), small_core()
    assert waves(stimulus, state).shape[2] == waves.output_frames(20) == 17
    assert waves.longest_movie == 303
    assert learned.longest_movie == 16
    assert learned.output_frames(16) == 13 < learned.output_frames(17)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_px": 11}, "do not fit frames"),
        ({"patch_stride_px": 0}, "at least one pixel"),
    ],
)
def test_impossible_patches_are_refused(options, message):
    with pytest.raises(ShapeError, match=message):
        small_core(**options)


def test_another_frame_size_is_refused():
    with pytest.raises(ShapeError, match="cuts frames of 10 by 15 px"):
        small_core().output_shape(12, 15)
