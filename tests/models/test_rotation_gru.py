"""The recurrent baseline: turning kernels, then a GRU."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insilico.errors import ShapeError
from insilico.models.architectures.rotation_gru import RotationGRU, RotationGRUOptions
from insilico.models.cores import conv_gru
from insilico.models.cores.hermite import hermite_basis
from insilico.models.cores.rotation_gru import RotationGRUCore
from insilico.models.network import count_parameters
from insilico.variables import MOVIE_BEHAVIOR

SMALL = {"filters": 3, "rotations": 4, "input_kernel": 5, "hidden_kernel": 3, "layers": 3}
SMALL |= {"gru_channels": 4, "gru_input_kernel": 3, "gru_kernel": 3}


def small_core(seed=0, channels=1, **options):
    torch.manual_seed(seed)
    core = RotationGRUCore(channels, **(SMALL | options)).double()
    for name, value in core.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif "norm" in name and value.is_floating_point():
            value.add_(0.2 * torch.randn_like(value))
    return core.eval()


def test_default_core_has_the_published_number_of_parameters():
    options = RotationGRUOptions(behavior_names=MOVIE_BEHAVIOR)
    learned = count_parameters(RotationGRU(options, {"a": 1}).core)
    computed = 0
    for kernel in (9, 7, 7, 7):
        basis = hermite_basis(kernel)
        computed += basis.functions.size + basis.rotations(8).size
    assert learned == 2_035_192
    assert learned + computed == 2_101_252


def test_default_core_sees_whole_kernels_and_answers_every_frame():
    network = RotationGRU(RotationGRUOptions(), {"a": 1})
    assert network.map_shape == (28, 56)
    assert network.response_frames(1) == 1


@pytest.mark.parametrize("pad_input", [True, False])
@pytest.mark.parametrize("rotations", [4, 8])
def test_turning_the_movie_by_90_degrees_turns_the_map_and_moves_the_orientations(
    pad_input, rotations
):
    core = small_core(gru_channels=0, rotations=rotations, pad_input=pad_input)
    movie = torch.randn(2, 1, 3, 15, 15, dtype=torch.float64)
    plain = core(movie).unflatten(1, (rotations, 3))
    turned = core(movie.rot90(1, (-2, -1))).unflatten(1, (rotations, 3))
    expected = plain.rot90(1, (-2, -1)).roll(rotations // 4, dims=1)
    # The Hermite functions are held in single precision.
    torch.testing.assert_close(turned, expected, rtol=0, atol=4e-6)
    assert (turned - plain).abs().max() > 0.1


def test_movies_in_parts_answer_as_whole_ones(monkeypatch):
    core = small_core(channels=3)
    movie, state = torch.randn(2, 1, 7, 12, 14).double(), torch.randn(2, 2, 7).double()
    whole = core(movie, state)
    core.train()
    whole_in_training = core(movie, state)
    core.load_state_dict(small_core(channels=3).state_dict())
    monkeypatch.setattr(conv_gru, "FRAMES_AT_ONCE", 3)
    torch.testing.assert_close(core.eval()(movie, state), whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(core.train()(movie, state), whole_in_training, rtol=0, atol=1e-13)


def test_a_frame_is_answered_from_the_frames_up_to_it():
    core = small_core()
    movie = torch.randn(1, 1, 6, 10, 10, dtype=torch.float64, requires_grad=True)
    core(movie)[:, :, 3].sum().backward()
    seen = movie.grad.abs().amax(dim=(0, 1, 3, 4)) > 0
    assert seen.tolist() == [True] * 4 + [False] * 2


def test_there_is_no_bend_after_the_last_layer_and_none_at_all_in_a_linear_core():
    bends = [
        [isinstance(layer.nonlinearity, torch.nn.ELU) for layer in core.features]
        for core in (small_core(), small_core(is_linear=True))
    ]
    assert bends == [[True, True, False], [False] * 3]


@st.composite
def windows(draw):
    spans = []
    core = small_core(
        seed=draw(st.integers(0, 99)),
        channels=2,
        gru_channels=draw(st.sampled_from([0, 2])),
        pad_input=draw(st.booleans()),
    )
    for size in core.output_shape(13, 15):
        start = draw(st.integers(0, size - 1))
        spans.append(slice(start, draw(st.integers(start + 1, size))))
    return core, spans


@given(windows())
@settings(max_examples=25, deadline=None)
def test_window_is_that_part_of_the_map(case):
    core, (rows, columns) = case
    movie, state = torch.randn(2, 1, 4, 13, 15).double(), torch.randn(2, 1, 4).double()
    with torch.no_grad():
        whole = core(movie, state)
        window = core.forward_window(movie, state, rows=rows, columns=columns)
    assert whole.shape[-2:] == core.output_shape(13, 15)
    torch.testing.assert_close(window, whole[..., rows, columns], rtol=0, atol=1e-12)


def test_window_without_recurrence_computes_only_the_pixels_that_reach_it():
    core = small_core(gru_channels=0)
    movie = torch.randn(1, 1, 2, 20, 20, dtype=torch.float64, requires_grad=True)
    core.forward_window(movie, rows=slice(8, 9), columns=slice(5, 6)).sum().backward()
    seen = (movie.grad != 0).any(dim=2)[0, 0].nonzero()
    assert seen.amin(dim=0).tolist() == [6, 3]
    assert seen.amax(dim=0).tolist() == [14, 11]


def test_regularizer_is_roughness_and_the_mean_length_of_later_kernels():
    core = small_core(sparsity_ratio=10.0)
    first, *later = (layer.convolution.kernels() for layer in core.features)
    rough = torch.nn.functional.conv2d(
        first.flatten(0, 1)[:, None],
        torch.tensor([[[[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]]]).double(),
        padding=1,
    )
    lengths = [kernels.flatten(2).norm(dim=2).mean() for kernels in later]
    expected = rough.square().sum() / first.square().sum() + 10 * sum(lengths) / 2
    torch.testing.assert_close(core.regularizer(), expected)
    assert small_core(layers=1).regularizer() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "at least one layer"),
        ({"gru_channels": -1}, "no negative number"),
        ({"input_kernel": 8}, "odd kernel"),
        ({"gru_kernel": 4}, "odd kernels"),
    ],
)
def test_impossible_recurrent_cores_are_refused(options, message):
    with pytest.raises(ShapeError, match=message):
        small_core(**options)


def test_too_small_a_movie_is_refused():
    with pytest.raises(ShapeError, match="too small for a kernel of 5 px"):
        small_core().output_shape(4, 20)
