"""What every registered architecture promises."""

import copy
import dataclasses

import pytest
import torch

from insilico.errors import CatalogError, CheckpointError, MouseError, ShapeError, UnitsError
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from insilico.models.mouse import Mouse, neurons_table
from insilico.screen import Screen

TRIALS = 5
FRAMES = 12


def networks():
    """Return the example networks; each has its own random weights, whatever else is registered."""
    found = {}
    examples = registry.example_networks()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        while example := next(examples, None):
            name, network = example
            scramble(network)
            for mouse, count in network.neuron_counts.items():
                network.initialize_readout(
                    mouse, position_um=in_two_planes(count), mean_response=None
                )
            found[name] = network.eval()
            torch.manual_seed(11)
    return found


def in_two_planes(count):
    """Return cortical positions (neuron, 3), micrometers, at two depths."""
    position_um = 100 * torch.rand(count, 3)
    position_um[:, 2] = 100 * (torch.arange(count) % 2)
    return position_um


def scramble(network):
    """Move everything away from its starting value, so that no term is silently zero."""
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif ".regression." in name:
            # Affine views of the image: moved as far as the rest, they would look past it.
            value.add_(0.01 * torch.randn(value.shape))
        elif value.is_floating_point():
            value.add_(0.2 * torch.randn(value.shape))
        if name.startswith("shifter.") or ".mu_transform." in name:
            value.mul_(0.5)  # so that receptive fields stay on the map


NETWORKS = networks()


@pytest.fixture(params=NETWORKS)
def network(request):
    """A network of all tests: one that changes it takes a copy, which is as long as to ask it."""
    return NETWORKS[request.param]


def inputs(network, trials=TRIALS, seed=5):
    """Return a random stimulus and the keywords that go with it."""
    generator = torch.Generator().manual_seed(seed)
    frames = (FRAMES,) if network.kind == "movie" else ()
    size = network.options.height_px, network.options.width_px
    stimulus = torch.randn(trials, network.channels, *frames, *size, generator=generator)
    state = {}
    if network.behavior_names:
        names = len(network.behavior_names)
        state["behavior"] = torch.randn(trials, names, *frames, generator=generator)
    if network.uses_pupil:
        state["pupil_center"] = torch.randn(trials, 2, *frames, generator=generator)
    return stimulus, state


def test_every_mouse_answers_with_its_neurons(network):
    stimulus, state = inputs(network)
    for mouse, count in network.neuron_counts.items():
        answer = network(stimulus, mouse=mouse, **state)
        assert answer.shape[:2] == (TRIALS, count)
        assert torch.isfinite(answer).all()
        assert answer.transpose(0, 1).flatten(1).std(dim=1).min() > 0
        if network.kind == "movie":
            assert answer.shape[2] == network.response_frames(FRAMES) > 1


def test_gradients_reach_every_trial_of_the_stimulus(network):
    network = copy.deepcopy(network)
    stimulus, state = inputs(network)
    stimulus.requires_grad_()
    network(stimulus, mouse=next(iter(network.neuron_counts)), **state).sum().backward()
    assert stimulus.grad.flatten(1).abs().amax(dim=1).min() > 0


def test_gradients_reach_every_parameter_in_training(network):
    network = copy.deepcopy(network)
    stimulus, state = inputs(network)
    network.train()
    for mouse in network.neuron_counts:
        network(stimulus, mouse=mouse, **state).square().sum().backward()
    unreached = {name for name, value in network.named_parameters() if value.grad is None}
    assert unreached == {f"core.{name}" for name in network.core.idle_parameters}


def test_evaluation_is_deterministic_and_one_trial_is_as_in_a_batch(network):
    stimulus, state = inputs(network)
    mouse = next(iter(network.neuron_counts))
    whole = network(stimulus, mouse=mouse, **state)
    again = network(stimulus, mouse=mouse, **state)
    torch.testing.assert_close(whole, again, rtol=0, atol=0)
    last = {name: value[-1:] for name, value in state.items()}
    alone = network(stimulus[-1:], mouse=mouse, **last)
    torch.testing.assert_close(alone, whole[-1:], rtol=1e-5, atol=1e-5)


def test_asked_neurons_are_those_of_the_whole_population(network):
    stimulus, state = inputs(network)
    for mouse, count in network.neuron_counts.items():
        neurons = torch.randperm(count, generator=torch.Generator().manual_seed(3))[: count // 2]
        whole = network(stimulus, mouse=mouse, **state)
        some = network(stimulus, mouse=mouse, neurons=neurons, **state)
        torch.testing.assert_close(some, whole[:, neurons], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_prepared_network_answers_like_the_plain_one(network, seed):
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    trials = (1, 12)[seed]
    stimulus, state = inputs(network, trials=trials, seed=seed)
    for mouse, count in network.neuron_counts.items():
        size = int(torch.randint(1, count + 1, (), generator=generator))
        neurons = torch.randint(0, count, (size,), generator=generator)
        gaze = None
        if network.uses_pupil:
            gaze = 2 * torch.randn(2, generator=generator)
            shape = state["pupil_center"].shape
            state["pupil_center"] = gaze.reshape(1, 2, *[1] * (len(shape) - 2)).expand(shape)
        plain_stimulus = stimulus.clone().requires_grad_()
        fast_stimulus = stimulus.clone().requires_grad_()
        plain = network(plain_stimulus, mouse=mouse, neurons=neurons, **state)
        predict = network.prepare(mouse, neurons=neurons, pupil_center=gaze)
        fast = predict(fast_stimulus, state.get("behavior"))
        spread = plain.detach().std(correction=0).item() + 1
        torch.testing.assert_close(fast, plain, rtol=0, atol=1e-5 * spread)
        plain.square().sum().backward()
        fast.square().sum().backward()
        tallest = plain_stimulus.grad.abs().max().item()
        torch.testing.assert_close(
            fast_stimulus.grad, plain_stimulus.grad, rtol=0, atol=1e-4 * tallest
        )


@pytest.mark.parametrize("name", ["sensorium2022: cnn", "factorized3d: cnn"])
def test_prepared_network_in_training_mode_still_draws_points(name):
    network = copy.deepcopy(NETWORKS[name]).train()
    stimulus, _ = inputs(network)
    predict = network.prepare("mouse-a", neurons=torch.arange(3))
    assert not torch.equal(predict(stimulus, None), predict(stimulus, None))


def test_autocast_rounds_the_core_alone(network):
    stimulus, state = inputs(network)
    mouse = next(iter(network.neuron_counts))
    neurons = torch.tensor([3, 0])
    gaze = None
    if network.uses_pupil:
        gaze = torch.tensor([0.3, -0.2])
        shape = state["pupil_center"].shape
        state["pupil_center"] = gaze.reshape(1, 2, *[1] * (len(shape) - 2)).expand(shape)
    with torch.no_grad():
        exact = network(stimulus, mouse=mouse, neurons=neurons, **state)
        with torch.autocast("cpu", torch.bfloat16):
            plain = network(stimulus, mouse=mouse, neurons=neurons, **state)
            predict = network.prepare(mouse, neurons=neurons, pupil_center=gaze)
            fast = predict(stimulus, state.get("behavior"))
    for rounded in (plain, fast):
        assert rounded.dtype == torch.float32
        deviation = (rounded - exact).square().mean().sqrt()
        assert deviation < 0.05 * exact.std()
        # Numbers of eight bits would show that responses were rounded.
        assert not torch.equal(rounded, rounded.bfloat16().float())


def test_state_dict_round_trip(network):
    twin = registry.build(architecture_of(network), network.options, network.neuron_counts).eval()
    twin.load_state_dict(network.state_dict(), strict=True)
    stimulus, state = inputs(network)
    mouse = next(iter(network.neuron_counts))
    expected = network(stimulus, mouse=mouse, **state)
    torch.testing.assert_close(twin(stimulus, mouse=mouse, **state), expected, rtol=0, atol=0)


def test_checkpoint_round_trip(network, tmp_path):
    mice = {
        name: Mouse(name, Screen(), neurons_table(count))
        for name, count in network.neuron_counts.items()
    }
    saved = Checkpoint("example", architecture_of(network), network.options, network, mice)
    save_checkpoint(saved, tmp_path / "folder")
    before = torch.get_rng_state()
    loaded = load_checkpoint(tmp_path / "folder")
    assert torch.equal(torch.get_rng_state(), before)
    assert not loaded.network.training
    assert loaded.weights_sha256 == saved.weights_sha256
    assert loaded.options == saved.options
    stimulus, state = inputs(network)
    for mouse in mice:
        torch.testing.assert_close(
            loaded.network(stimulus, mouse=mouse, **state),
            network(stimulus, mouse=mouse, **state),
            rtol=0,
            atol=0,
        )


def test_wrong_inputs_are_refused(network):
    stimulus, state = inputs(network)
    mouse = next(iter(network.neuron_counts))
    with pytest.raises(MouseError, match="no mouse 'nobody'"):
        network(stimulus, mouse="nobody", **state)
    with pytest.raises(ShapeError, match="takes"):
        network(stimulus[..., :-1], mouse=mouse, **state)
    with pytest.raises(ShapeError, match="takes"):
        network(stimulus[:, 0], mouse=mouse, **state)
    for name, value in state.items():
        rest = {other: state[other] for other in state if other != name}
        with pytest.raises(UnitsError, match=name):
            network(stimulus, mouse=mouse, **rest)
        with pytest.raises(ShapeError, match=r"trial|rows"):
            network(stimulus, mouse=mouse, **rest, **{name: value[:, :1]})


def test_zero_drive_gives_the_mean_response_that_the_readout_started_from(network):
    network = copy.deepcopy(network)
    for mouse, count in network.neuron_counts.items():
        highest = 0.9 if network.options.output == "sigmoid" else 2.5
        mean_response = torch.linspace(0.05, highest, count, dtype=torch.float64)
        network.initialize_readout(
            mouse, position_um=in_two_planes(count).double(), mean_response=mean_response
        )
        nothing = torch.zeros(2, network.neck.output_channels, *network.map_shape)
        at_rest = torch.zeros(2, len(network.behavior_names) + 2)
        answer = network.output[mouse](network.readout[mouse](nothing, state=at_rest))
        expected = mean_response.float().expand(2, -1)
        torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-6)


def test_readout_start_refuses_other_neurons_and_values_that_are_not_finite(network):
    network = copy.deepcopy(network)
    mouse, count = next(iter(network.neuron_counts.items()))
    position_um, mean_response = torch.rand(count, 2), torch.ones(count)
    with pytest.raises(ShapeError, match=r"mean_response .* one row"):
        network.initialize_readout(mouse, position_um=position_um, mean_response=mean_response[1:])
    with pytest.raises(UnitsError, match=r"mean_response .* not finite"):
        network.initialize_readout(mouse, position_um=position_um, mean_response=mean_response / 0)
    with pytest.raises(MouseError, match="nobody"):
        network.initialize_readout("nobody", position_um=None, mean_response=None)


def test_regularizers_are_positive_and_pull_on_the_weights(network):
    network = copy.deepcopy(network)
    for mouse in network.neuron_counts:
        penalties = network.regularizers(mouse)
        assert penalties.keys() == {"core", "readout"}
        for part, penalty in penalties.items():
            assert penalty.ndim == 0
            assert 0 < penalty < torch.inf
            network.zero_grad()
            penalty.backward()
            pulled = {n for n, p in network.named_parameters() if p.grad is not None}
            assert pulled
            prefix = "core." if part == "core" else f"readout.{mouse}."
            assert all(name.startswith(prefix) for name in pulled)


def test_frozen_core_keeps_its_buffers(network):
    network = copy.deepcopy(network)
    stimulus, state = inputs(network)
    network.train()
    network.core.eval()
    before = {name: value.clone() for name, value in network.core.named_buffers()}
    network(stimulus, mouse=next(iter(network.neuron_counts)), **state)
    for name, value in network.core.named_buffers():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_recomputed_activations_change_nothing_but_memory(network):
    network = copy.deepcopy(network)
    stimulus, state = inputs(network)
    mouse = next(iter(network.neuron_counts))
    network.train()
    recomputed = copy.deepcopy(network)
    recomputed.checkpoints_activations = True
    answers = []
    for one in (network, recomputed):
        torch.manual_seed(7)
        answers.append(one(stimulus, mouse=mouse, **state))
        answers[-1].square().sum().backward()
    torch.testing.assert_close(answers[0], answers[1], rtol=0, atol=0)
    twins = zip(network.named_parameters(), recomputed.parameters(), strict=True)
    for (name, plain), again in twins:
        if f".{mouse}." in name or name.startswith("core."):
            torch.testing.assert_close(again.grad, plain.grad, rtol=1e-5, atol=1e-5, msg=name)
    for plain, again in zip(network.buffers(), recomputed.buffers(), strict=True):
        torch.testing.assert_close(again, plain, rtol=0, atol=0)


def test_recomputation_keeps_less_of_the_core_until_backward():
    network = copy.deepcopy(NETWORKS["factorized3d: cnn"]).train()
    stimulus, _ = inputs(network)
    kept = []
    for checkpoints in (False, True):
        network.checkpoints_activations = checkpoints
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda value, sizes=sizes: sizes.append(value.numel()) or value, lambda value: value
        ):
            network(stimulus, mouse="mouse-a")
        kept.append(sum(sizes))
    assert kept[1] < 0.5 * kept[0]


def test_unknown_architecture_is_refused_with_the_known_ones():
    with pytest.raises(CatalogError, match="sensorium2022"):
        registry.build("perceptron", {}, {"a": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 4}, "no key 'layer'; did you mean 'layers'"),
        ({"layers": 4.5}, "sensorium2022's layers is 4.5; give a whole number"),
        ({"is_linear": 1}, "is_linear is 1; give true or false"),
        ({"behavior_names": "running_speed"}, "behavior_names is 'running_speed'; give a list"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(CheckpointError, match=message):
        registry.build("sensorium2022", options, {"a": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": [8, "many"]}, "channels is 'many'"),
        ({"channels": 8}, "channels is 8; give a list of whole numbers"),
        ({"readout": "nearest"}, "one of gaussian, factorized, pooled"),
        ({"readout": "factorized", "has_shifter": True}, "cannot move with the gaze"),
    ],
)
def test_wrong_options_of_movie_networks_are_refused_by_name(options, message):
    with pytest.raises(CheckpointError, match=message):
        registry.build("factorized3d", options, {"a": 1})


def test_options_survive_a_round_trip_through_plain_tables(network):
    table = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(network.options).items()
    }
    assert registry.parse_options(architecture_of(network), table) == network.options


def architecture_of(network):
    return next(
        name
        for name, found in registry.architectures().items()
        if isinstance(network.options, found.options)
    )
