"""The Gaussian readout and its fast form at fixed points."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from insilico.errors import ShapeError, UnitsError
from insilico.models.outputs import ShiftedELU
from insilico.models.readouts import readout as base
from insilico.models.readouts.cortex import normalize_cortex
from insilico.models.readouts.gaussian2d import FullGaussian2d
from insilico.models.readouts.points import PointReadout


def free_readout(neurons=6, channels=3, **options):
    readout = FullGaussian2d(channels, neurons, position="free", **options)
    readout._features.data.normal_()
    readout.bias.data.normal_()
    return readout


def test_published_names_and_shapes():
    shapes = {
        name: tuple(value.shape) for name, value in FullGaussian2d(64, 5).state_dict().items()
    }
    assert shapes == {
        "sigma": (1, 5, 2, 2),
        "_features": (1, 64, 1, 5),
        "bias": (5,),
        "source_grid": (5, 2),
        "mu_transform.0.weight": (30, 2),
        "mu_transform.0.bias": (30,),
        "mu_transform.2.weight": (2, 30),
        "mu_transform.2.bias": (2,),
    }


def test_reads_the_cell_that_a_point_lies_on():
    readout = free_readout(neurons=2, channels=1).eval()
    readout._features.data.fill_(1.0)
    readout.bias.data.zero_()
    readout._mu.data = torch.tensor([[[[-1.0, -1.0]], [[1.0, 0.0]]]])
    features = torch.arange(15.0).reshape(1, 1, 3, 5)
    # (x, y) = (-1, -1) is the top left cell; (1, 0) the right end of the middle row.
    assert readout(features).tolist() == [[0.0, 9.0]]


@pytest.mark.parametrize("gauss_type", ["full", "uncorrelated", "isotropic"])
def test_samples_scatter_with_sigma_in_training_and_never_in_evaluation(gauss_type):
    torch.manual_seed(0)
    readout = free_readout(neurons=1, gauss_type=gauss_type)
    readout._mu.data.zero_()
    full = torch.tensor([[[[0.10, 0.05], [0.0, 0.08]]]])
    sigma = {"full": full, "uncorrelated": full[:, :, :1], "isotropic": full[:, :, :1, :1]}
    readout.sigma.data = sigma[gauss_type].clone()
    points = readout.sample(20_000)[:, 0]
    covariance = {
        "full": full[0, 0] @ full[0, 0].T,
        "uncorrelated": torch.diag(full[0, 0, 0] ** 2),
        "isotropic": 0.01 * torch.eye(2),
    }[gauss_type]
    torch.testing.assert_close(torch.cov(points.T), covariance, rtol=0, atol=5e-4)
    features = torch.randn(4, 3, 6, 8)
    assert not torch.equal(readout(features), readout(features))
    readout.eval()
    torch.testing.assert_close(readout(features), readout(features), rtol=0, atol=0)


def test_samples_and_means_stay_on_the_map_and_the_shift_may_leave_it():
    readout = free_readout(neurons=4)
    readout._mu.data.fill_(3.0)
    readout.sigma.data.fill_(2.0)
    assert readout.positions().abs().max() == 1
    assert readout.sample(50).abs().max() == 1
    away = readout.eval()(torch.ones(2, 3, 6, 8), shift=torch.full((2, 2), 5.0))
    torch.testing.assert_close(away, readout.bias.expand(2, -1))


def test_asked_neurons_are_those_of_the_whole_population():
    readout = FullGaussian2d(3, 7).eval()
    readout.source_grid.uniform_(-1, 1)
    readout._features.data.normal_()
    features, neurons = torch.randn(2, 3, 6, 8), torch.tensor([5, 0, 0, 3])
    torch.testing.assert_close(readout(features, neurons=neurons), readout(features)[:, neurons])


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 7), st.floats(0.2, 4))
@settings(max_examples=60, deadline=None)
def test_fixed_points_answer_as_grid_sample_on_and_off_the_map(seed, height, width, spread):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, 2, height, width, generator=generator, dtype=torch.float64)
    positions = spread * torch.randn(20, 2, generator=generator, dtype=torch.float64)
    positions[:3] = torch.tensor([[-1.0, 1.0], [1.0, 1.0], [0.0, -1.0]])
    weights = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    bias = torch.randn(20, generator=generator, dtype=torch.float64)
    points = PointReadout(positions, weights, bias, map_shape=(height, width))
    grid = positions[None, :, None].expand(3, -1, -1, -1)
    sampled = F.grid_sample(features, grid, align_corners=True)[..., 0]
    expected = torch.einsum("tcn,nc->tn", sampled, weights) + bias
    cells = points.cells
    answer = points(cells.take(features[..., cells.rows, cells.columns]))
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)


def test_no_neurons_are_answered_by_nothing():
    empty = torch.zeros(0, 2)
    points = PointReadout(empty, torch.zeros(0, 3), torch.zeros(0), map_shape=(4, 5))
    assert points(torch.zeros(2, 3, 0)).shape == (2, 0)


def test_cortex_is_centered_and_divided_by_one_number():
    position_um = torch.tensor([[0.0, 10.0], [100.0, 10.0], [200.0, 40.0]])
    expected = torch.tensor([[-1.0, -0.1], [0.0, -0.1], [1.0, 0.2]])
    torch.testing.assert_close(normalize_cortex(position_um), expected)


def test_neurons_at_one_place_are_centered_and_stay_finite():
    assert normalize_cortex(torch.full((3, 2), 7.0)).tolist() == [[0.0, 0.0]] * 3


def test_start_takes_cortical_x_and_y_and_the_inverse_of_the_response():
    readout = FullGaussian2d(3, 3)
    position_um = torch.tensor([[0.0, 10.0, 5.0], [100.0, 10.0, -900.0], [200.0, 40.0, 0.0]])
    mean_response = torch.tensor([0.5, 3.0, 0.0])
    readout.initialize(
        position_um=position_um, mean_response=mean_response, inverse=ShiftedELU().inverse
    )
    torch.testing.assert_close(readout.source_grid, normalize_cortex(position_um[:, :2]))
    silent = math.log(0.01)
    torch.testing.assert_close(readout.bias.data, torch.tensor([math.log(0.5), 2.0, silent]))


def test_start_without_cortical_positions_is_refused_where_they_are_needed():
    readout = FullGaussian2d(3, 4)
    with pytest.raises(UnitsError, match="give position_um, or set the option position"):
        readout.initialize(position_um=None, mean_response=None, inverse=ShiftedELU().inverse)
    free_readout().initialize(position_um=None, mean_response=None, inverse=ShiftedELU().inverse)
    readout.source_grid.normal_()
    before = readout.source_grid.clone()
    readout.initialize(position_um=None, mean_response=None, inverse=ShiftedELU().inverse)
    assert torch.equal(readout.source_grid, before)


def test_free_points_that_an_update_carried_off_the_map_come_back_and_keep_learning():
    torch.manual_seed(0)
    readout = free_readout(initial_sigma=1e-6).train()
    readout._mu.data.fill_(1.7)
    readout.sigma.data.zero_()
    readout(torch.randn(2, 3, 6, 8)).sum().backward()
    assert readout._mu.detach().unique().tolist() == [1]
    assert readout._mu.grad.abs().min() > 0


@pytest.mark.parametrize("at_once", [1, 4])
def test_neurons_read_in_parts_answer_and_learn_the_same(at_once, monkeypatch):
    readout = free_readout().train()
    features = torch.randn(2, 3, 6, 8, requires_grad=True)
    results = []
    for limit in (base.VALUES_AT_ONCE, at_once * 2 * 3):
        monkeypatch.setattr(base, "VALUES_AT_ONCE", limit)
        torch.manual_seed(3)
        answer = readout(features)
        wanted = (features, readout._mu, readout.sigma, readout._features)
        results.append((answer, *torch.autograd.grad(answer.square().sum(), wanted)))
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole)


def test_three_axes_are_divided_by_one_number_and_predict_with_depth():
    readout = FullGaussian2d(3, 3, cortex_axes=3)
    position_um = torch.tensor([[0.0, 10.0, 0.0], [100.0, 10.0, 400.0], [200.0, 40.0, 800.0]])
    readout.initialize(position_um=position_um, mean_response=None, inverse=ShiftedELU().inverse)
    expected = torch.tensor([[-0.25, -0.025, -1.0], [0.0, -0.025, 0.0], [0.25, 0.05, 1.0]])
    torch.testing.assert_close(readout.source_grid, expected)
    hidden, answer = readout.mu_transform[0], readout.mu_transform[2]
    drive = F.elu(expected @ hidden.weight.T + hidden.bias)
    torch.testing.assert_close(
        readout.positions(), torch.tanh(drive @ answer.weight.T + answer.bias)
    )


def test_three_axes_need_depths():
    readout = FullGaussian2d(3, 4, cortex_axes=3)
    with pytest.raises(UnitsError, match="from 3 cortical coordinates, and position_um has 2"):
        readout.initialize(
            position_um=torch.rand(4, 2), mean_response=None, inverse=ShiftedELU().inverse
        )


def test_start_of_the_movie_networks_is_reached_by_options():
    torch.manual_seed(0)
    readout = FullGaussian2d(
        4, 2000, position="free", initial_sigma=1.0, initial_position_range=0.2
    )
    for values, largest in ((readout.sigma, 1.0), (readout._mu, 0.2)):
        assert 0.99 * largest < values.max() <= largest
        assert -largest <= values.min() < -0.99 * largest
        assert values.mean().abs() < 0.05 * largest
    assert readout._features.unique().tolist() == [0.25]


def with_state_encoder(**options):
    torch.manual_seed(0)
    readout = FullGaussian2d(3, 5, position="free", state_count=4, **options).double().eval()
    for parameter in readout.parameters():
        parameter.data.normal_()
    return readout


def test_state_encoder_adds_one_vector_to_the_features_of_every_neuron():
    readout = with_state_encoder()
    features = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    state = torch.randn(2, 4, dtype=torch.float64)
    names = {name for name in readout.state_dict() if name.startswith("state_encoder.")}
    assert names == {f"state_encoder.{i}.{part}" for i in (0, 1, 4) for part in ("weight", "bias")}
    own = {name: value.detach() for name, value in readout.named_parameters()}
    answer = readout(features, state=state)
    for trial in range(2):
        hidden = own["state_encoder.0.weight"] @ state[trial] + own["state_encoder.0.bias"]
        hidden = (hidden - hidden.mean()) / (hidden.var(correction=0) + 1e-5).sqrt()
        hidden = hidden * own["state_encoder.1.weight"] + own["state_encoder.1.bias"]
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        added = own["state_encoder.4.weight"] @ hidden + own["state_encoder.4.bias"]
        for neuron in range(5):
            point = own["_mu"][:, neuron : neuron + 1].clamp(-1, 1)
            sampled = F.grid_sample(features[trial : trial + 1], point, align_corners=True)
            read = sampled[0, :, 0, 0] + added.tanh()
            expected = read @ own["_features"][0, :, 0, neuron] + own["bias"][neuron]
            torch.testing.assert_close(answer[trial, neuron], expected)
    neurons = torch.tensor([4, 4, 1])
    some = readout(features, state=state, neurons=neurons)
    torch.testing.assert_close(some, answer[:, neurons])


def test_start_takes_what_a_state_of_zeros_adds_from_the_bias():
    readout = with_state_encoder(state_dropout=0.5).train()
    mean_response = torch.linspace(0.2, 2, 5, dtype=torch.float64)
    readout.initialize(position_um=None, mean_response=mean_response, inverse=ShiftedELU().inverse)
    assert readout.state_encoder.training
    nothing = torch.zeros(1, 3, 6, 8, dtype=torch.float64)
    value = readout.eval()(nothing, state=torch.zeros(1, 4, dtype=torch.float64))
    torch.testing.assert_close(ShiftedELU()(value)[0], mean_response)


def test_state_is_needed_where_it_is_read_and_has_one_row_a_trial():
    readout, features = with_state_encoder(), torch.zeros(2, 3, 6, 8, dtype=torch.float64)
    with pytest.raises(UnitsError, match="reads behavior and gaze; give its state"):
        readout(features)
    with pytest.raises(ShapeError, match=r"state has shape \(2, 3\).*\(2, 4\)"):
        readout(features, state=torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    "options",
    [{"position": "nowhere"}, {"gauss_type": "round"}, {"cortex_axes": 4}],
    ids=["position", "gauss_type", "cortex_axes"],
)
def test_unknown_kinds_are_refused(options):
    with pytest.raises(UnitsError, match="give"):
        FullGaussian2d(3, 4, **options)


def test_wrong_shapes_are_refused():
    readout = free_readout().eval()
    with pytest.raises(ShapeError, match="4 channels"):
        readout(torch.zeros(2, 4, 6, 8))
    with pytest.raises(ShapeError, match=r"one \(x, y\) a trial"):
        readout(torch.zeros(2, 3, 6, 8), shift=torch.zeros(1, 2))
