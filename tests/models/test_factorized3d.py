"""The factorized 3-D CNN answers as its definition, and as fast as that allows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insilico.errors import ShapeError
from insilico.models.architectures.factorized3d import Factorized3d, Factorized3dOptions
from insilico.models.cores.factorized3d import Factorized3dCore
from insilico.models.cores.regularizers import temporal_roughness
from insilico.models.network import count_parameters
from insilico.variables import MOVIE_BEHAVIOR

SMALL = {
    "height_px": 10,
    "width_px": 14,
    "channels": (3, 2),
    "spatial_kernels": (5, 3),
    "temporal_kernels": (3, 2),
    "spatial_strides": (1, 1),
}


def small_network(seed=0, **options):
    torch.manual_seed(seed)
    network = Factorized3d(Factorized3dOptions(**(SMALL | options)), {"a": 4}).double()
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and "filter" not in name:
            value.add_(0.2 * torch.randn_like(value))
    return network.eval()


def random_inputs(trials=2, frames=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"stimulus": (1, frames, 10, 14), "behavior": (2, frames), "pupil_center": (2, frames)}
    return {
        name: torch.randn(trials, *shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize(("is_linear", "parameters"), [(False, 389_776), (True, 389_296)])
def test_default_core_has_the_published_number_of_parameters(is_linear, parameters):
    options = Factorized3dOptions(
        behavior_names=MOVIE_BEHAVIOR, core_reads_gaze=True, is_linear=is_linear
    )
    assert count_parameters(Factorized3d(options, {"a": 1}).core) == parameters


def test_names_are_the_published_ones():
    shapes = {name: tuple(value.shape) for name, value in small_network().core.state_dict().items()}
    assert shapes["features.layer0.conv_spatial.weight"] == (3, 1, 1, 5, 5)
    assert shapes["features.layer0.conv_temporal.bias"] == (3,)
    assert shapes["features.layer1.conv_spatial_1.weight"] == (2, 3, 1, 3, 3)
    assert shapes["features.layer1.conv_temporal_1.weight"] == (2, 2, 2, 1, 1)
    assert shapes["features.layer1.norm.running_var"] == (2,)


@pytest.mark.parametrize(
    ("options", "map_shape"),
    [
        ({}, (10, 14)),
        ({"spatial_strides": (2, 1)}, (5, 7)),
        ({"pad_input": False}, (4, 8)),
        ({"pad_input": False, "spatial_strides": (2, 1)}, (1, 3)),
        ({"is_linear": True}, (10, 14)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_network_equals_its_definition(options, map_shape):
    network = small_network(
        behavior_names=MOVIE_BEHAVIOR, core_reads_gaze=True, has_shifter=True, **options
    )
    inputs = random_inputs()
    answer = network(mouse="a", **inputs)
    assert network.map_shape == map_shape
    assert answer.shape == (2, 4, 4)
    assert network.response_frames(7) == 4
    expected = definition(network, **inputs)
    np.testing.assert_allclose(answer.detach().numpy(), expected, rtol=0, atol=1e-12)


def definition(network, stimulus, behavior, pupil_center):
    """The whole network once more, one output value after the other, in NumPy."""
    options, state = network.options, {n: v.numpy() for n, v in network.state_dict().items()}
    planes = [
        values[:, :, :, None, None].expand(-1, -1, -1, 10, 14)
        for values in (behavior, pupil_center)
    ]
    maps = torch.cat([stimulus, *planes], dim=1).numpy()
    for index in range(2):
        prefix, suffix = f"core.features.layer{index}", f"_{index}" if index else ""
        spatial = state[f"{prefix}.conv_spatial{suffix}.weight"][:, :, 0]
        maps = convolve_space(maps, spatial, options.spatial_strides[index], options.pad_input)
        maps += state[f"{prefix}.conv_spatial{suffix}.bias"][:, None, None, None]
        temporal = state[f"{prefix}.conv_temporal{suffix}.weight"][..., 0, 0]
        frames = maps.shape[2] - temporal.shape[2] + 1
        maps = sum(
            np.einsum("oc,tcfyx->tofyx", temporal[:, :, lag], maps[:, :, lag : lag + frames])
            for lag in range(temporal.shape[2])
        )
        maps += state[f"{prefix}.conv_temporal{suffix}.bias"][:, None, None, None]
        if not options.is_linear:
            scale = state[f"{prefix}.norm.weight"]
            scale = scale / np.sqrt(state[f"{prefix}.norm.running_var"] + 1e-5)
            offset = state[f"{prefix}.norm.bias"] - scale * state[f"{prefix}.norm.running_mean"]
            maps = scale[:, None, None, None] * maps + offset[:, None, None, None]
            maps = np.where(maps > 0, maps, np.expm1(np.minimum(maps, 0)))
    shift = pupil_center.numpy()[:, :, -maps.shape[2] :].transpose(0, 2, 1)
    for index in (0, 2, 4):
        linear = f"shifter.a.mlp.{index}"
        shift = np.tanh(shift @ state[f"{linear}.weight"].T + state[f"{linear}.bias"])
    points = network.readout["a"].positions().detach().numpy()
    weights = state["readout.a._features"][0, :, 0]
    value = np.zeros((len(maps), 4, maps.shape[2]))
    for trial, neuron, frame in np.ndindex(value.shape):
        x, y = points[neuron] + shift[trial, frame]
        read = [bilinear(plane, y, x) for plane in maps[trial, :, frame]]
        value[trial, neuron, frame] = read @ weights[:, neuron] + state["readout.a.bias"][neuron]
    return np.where(value > 0, value, np.expm1(np.minimum(value, 0))) + 1


def convolve_space(maps, kernels, stride, is_padded):
    size = kernels.shape[-1]
    margin = size // 2 if is_padded else 0
    padded = np.pad(maps, ((0, 0), (0, 0), (0, 0), (margin, margin), (margin, margin)))
    rows = (padded.shape[3] - size) // stride + 1
    columns = (padded.shape[4] - size) // stride + 1
    convolved = np.zeros((len(maps), len(kernels), maps.shape[2], rows, columns))
    for row, column in np.ndindex(rows, columns):
        y, x = row * stride, column * stride
        window = padded[..., y : y + size, x : x + size]
        convolved[..., row, column] = np.einsum("tcfyx,ocyx->tof", window, kernels)
    return convolved


def bilinear(plane, y, x):
    height, width = plane.shape
    row, column = (y + 1) / 2 * (height - 1), (x + 1) / 2 * (width - 1)
    total = 0.0
    for i, j in np.ndindex(height, width):
        total += max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j)) * plane[i, j]
    return total


@pytest.mark.parametrize("pad_input", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_traces_enter_as_planes_of_the_stimulus(pad_input, stride):
    torch.manual_seed(0)
    core = Factorized3dCore(
        1,
        trace_count=3,
        channels=(4,),
        spatial_kernels=(5,),
        temporal_kernels=(3,),
        spatial_strides=(stride,),
        pad_input=pad_input,
        is_linear=True,
    ).double()
    stimulus = torch.randn(2, 1, 6, 9, 12, dtype=torch.float64)
    traces = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    spatial, temporal = core.features[0]
    planes = traces[..., None, None].expand(-1, -1, -1, 9, 12)
    plain = temporal(spatial(torch.cat([stimulus, planes], dim=1)))
    fast = core(stimulus, traces)
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-12)
    wanted = (traces, spatial.weight, spatial.bias)
    for gradient, expected in zip(
        torch.autograd.grad(fast.square().sum(), wanted),
        torch.autograd.grad(plain.square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("pad_input", [True, False])
@pytest.mark.parametrize("coding", ["values", "values and differences", "recurrent"])
def test_coded_traces_and_positions_enter_as_planes_of_the_stimulus(pad_input, coding):
    torch.manual_seed(0)
    core = Factorized3dCore(
        1,
        trace_count=3,
        trace_coding=coding,
        position_planes=True,
        channels=(4,),
        spatial_kernels=(5,),
        temporal_kernels=(3,),
        spatial_strides=(2,),
        pad_input=pad_input,
        is_linear=True,
    ).double()
    stimulus = torch.randn(2, 1, 6, 9, 12, dtype=torch.float64)
    state = torch.randn(2, 3, 6, dtype=torch.float64)
    traces = [state]
    if coding == "values and differences":
        before = torch.cat([state[:, :, :1], state[:, :, :-1]], dim=2)
        traces.append((state - before) / 30)
    elif coding == "recurrent":
        traces = [literal_gru(core.traces.gru, state)]
    planes = [values[..., None, None].expand(-1, -1, -1, 9, 12) for values in traces]
    rows = torch.linspace(-1, 1, 9).double()[:, None].expand(2, 1, 6, 9, 12)
    columns = torch.linspace(-1, 1, 12).double().expand(2, 1, 6, 9, 12)
    spatial, temporal = core.features[0]
    plain = temporal(spatial(torch.cat([stimulus, *planes, rows, columns], dim=1)))
    torch.testing.assert_close(core(stimulus, state), plain, rtol=0, atol=1e-7)


def literal_gru(gru, state):
    """Run a gated recurrent unit over (trial, variable, frame), one formula after the other."""
    hidden, states = torch.zeros_like(state[:, :, 0]), []
    for frame in range(state.shape[2]):
        driven = state[:, :, frame] @ gru.weight_ih_l0.T + gru.bias_ih_l0
        recurrent = hidden @ gru.weight_hh_l0.T + gru.bias_hh_l0
        reset, update, new = zip(driven.chunk(3, dim=1), recurrent.chunk(3, dim=1), strict=True)
        update = torch.sigmoid(sum(update))
        candidate = torch.tanh(new[0] + torch.sigmoid(sum(reset)) * new[1])
        hidden = (1 - update) * candidate + update * hidden
        states.append(hidden)
    return torch.stack(states, dim=2)


def test_recurrent_unit_goes_over_the_features_of_the_last_layer():
    network = small_network(gru_channels=5, gru_kernel=3)
    core, stimulus = network.core, random_inputs()["stimulus"]
    plain = small_network()
    assert core.output_channels == network.readout["a"]._features.shape[1] == 5
    features = core.gru(plain.core(stimulus))
    kept = {n: v for n, v in core.state_dict().items() if not n.startswith("gru.")}
    plain.core.load_state_dict(kept)
    assert not torch.equal(core(stimulus), features)
    torch.testing.assert_close(core(stimulus), core.gru(plain.core(stimulus)), rtol=0, atol=0)


@st.composite
def core_and_window(draw):
    torch.manual_seed(draw(st.integers(0, 1000)))
    layers = draw(st.integers(1, 3))
    traces = draw(st.integers(0, 2))
    core = Factorized3dCore(
        1,
        trace_count=traces,
        trace_coding=draw(st.sampled_from(["values", "values and differences", "recurrent"])),
        position_planes=draw(st.booleans()),
        gru_channels=draw(st.sampled_from([0, 0, 2])),
        gru_kernel=3,
        channels=(3,) * layers,
        spatial_kernels=draw(st.tuples(*layers * [st.sampled_from([1, 3, 5])])),
        temporal_kernels=draw(st.tuples(*layers * [st.integers(1, 3)])),
        spatial_strides=draw(st.tuples(*layers * [st.integers(1, 2)])),
        pad_input=draw(st.booleans()),
    ).double()
    for module in core.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    shape = draw(st.integers(29, 34)), draw(st.integers(29, 34))
    spans = []
    for size in core.output_shape(*shape):
        start = draw(st.integers(0, size - 1))
        spans.append(slice(start, draw(st.integers(start + 1, size))))
    stimulus = torch.randn(2, 1, 8, *shape, dtype=torch.float64)
    inputs = (stimulus, torch.randn(2, traces, 8, dtype=torch.float64)) if traces else (stimulus,)
    return core.eval(), inputs, spans


@given(core_and_window())
@settings(max_examples=60, deadline=None)
def test_window_is_that_part_of_the_whole_map(case):
    core, inputs, (rows, columns) = case
    with torch.no_grad():
        whole = core(*inputs)
        window = core.forward_window(*inputs, rows=rows, columns=columns)
    assert whole.shape[-2:] == core.output_shape(*inputs[0].shape[-2:])
    torch.testing.assert_close(window, whole[..., rows, columns], rtol=0, atol=1e-11)


def test_window_computes_only_the_pixels_that_reach_it():
    core = small_network().core
    stimulus = random_inputs()["stimulus"].requires_grad_()
    core.forward_window(stimulus, rows=slice(4, 5), columns=slice(8, 9)).sum().backward()
    seen = (stimulus.grad[0, 0] != 0).any(dim=0).nonzero()
    assert seen.amin(dim=0).tolist() == [1, 5]
    assert seen.amax(dim=0).tolist() == [7, 11]


@pytest.mark.parametrize("rows", [slice(3, 3), slice(0, 4, 2), slice(40, 50)])
def test_empty_or_stepped_window_of_a_movie_is_refused(rows):
    with pytest.raises(ShapeError, match="empty or has a step"):
        small_network().core.forward_window(
            random_inputs()["stimulus"], rows=rows, columns=slice(0, 3)
        )


def test_a_frame_is_answered_from_the_frames_before_it_alone():
    network = small_network()
    stimulus = random_inputs(frames=9)["stimulus"].requires_grad_()
    network(stimulus, mouse="a")[:, :, 2].sum().backward()
    seen = stimulus.grad.abs().amax(dim=(0, 1, 3, 4)) > 0
    assert seen.tolist() == [False] * 2 + [True] * 4 + [False] * 3


def test_training_draws_a_point_for_every_neuron_and_frame():
    network = small_network(is_linear=True, position="free", initial_sigma=0.3)
    still = torch.randn(1, 1, 1, 10, 14, dtype=torch.float64).expand(2, -1, 6, -1, -1)
    torch.testing.assert_close(
        network(still, mouse="a")[:, :, 1:], network(still, mouse="a")[:, :, :-1]
    )
    drawn = network.train()(still, mouse="a")
    assert len(torch.unique(drawn)) == drawn.numel()


def test_too_short_a_movie_is_refused():
    network = small_network()
    assert network.response_frames(3) == 0
    with pytest.raises(ShapeError, match="3 frames; the network takes at least 4"):
        network(random_inputs(frames=3)["stimulus"], mouse="a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_kernels": (5,)}, "spatial_kernels is .* 2 layers"),
        ({"spatial_kernels": (4, 3)}, "odd"),
        ({"temporal_kernels": (3, 0)}, "temporal_kernels is .* numbers from 1"),
        ({"channels": ()}, "at least one layer"),
        ({"pad_input": False, "spatial_kernels": (9, 3)}, "too small"),
    ],
)
def test_impossible_sizes_are_refused(options, message):
    with pytest.raises(ShapeError, match=message):
        small_network(**options)


def test_regularizer_is_spatial_and_a_little_temporal_roughness():
    core = Factorized3dCore(
        1, channels=(1,), spatial_kernels=(3,), temporal_kernels=(3,), spatial_strides=(1,)
    )
    spatial, temporal = core.features[0][:2]
    spatial.weight.data = torch.tensor([[[[[0.0, 0, 0], [0, 2, 0], [0, 0, 0]]]]])
    temporal.weight.data = torch.tensor([0.0, 3.0, 0.0]).reshape(1, 1, 3, 1, 1)
    # A point: 4² + 4 · 1² = 20 in space, 2² + 2 · 1² = 6 in time, whatever its height.
    assert core.regularizer().item() == pytest.approx(20 + 0.001 * 6)


def test_temporal_roughness_is_least_for_slow_and_most_for_alternating_kernels():
    lags = torch.arange(64)
    slow = torch.sin(torch.pi * (lags + 1) / 65)[None, None]
    fast = (slow[0, 0] * (-1.0) ** lags)[None, None]
    assert temporal_roughness(slow) < 1e-4
    assert 16 - 0.05 < temporal_roughness(fast) <= 16


def test_dropout_takes_whole_channels_in_training_only():
    torch.manual_seed(0)
    core = Factorized3dCore(
        1,
        channels=(8, 2),
        spatial_kernels=(3, 1),
        temporal_kernels=(1, 1),
        spatial_strides=(1, 1),
        dropout=0.5,
    )
    assert [name for name, _ in core.named_modules() if "dropout" in name] == [
        "features.layer0.dropout"
    ]
    stimulus = torch.randn(2, 1, 4, 6, 6)
    dropped = core.features[0](stimulus)
    assert 0 < (dropped == 0).flatten(2).all(dim=2).sum() < 16
    core.eval()
    torch.testing.assert_close(core(stimulus), core(stimulus), rtol=0, atol=0)
