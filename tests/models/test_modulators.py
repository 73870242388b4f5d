"""Modulators: what recent values, behavior and gaze change before the output."""

import dataclasses
import math

import pytest
import torch

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.modulators.modulator import Modulator
from insilico.models.modulators.options import MODULATORS, ModulatorOptions
from insilico.models.readouts import readout as base

NEURONS, BEHAVIORS, FRAMES = 5, 2, 9

#: Each kind, and what can be changed about it.
VARIANTS = {
    "mlp": {"modulator": "mlp"},
    "mlp of 3 frames": {"modulator": "mlp", "modulator_history_frames": 3},
    "mlp of history": {"modulator": "mlp", "modulator_reads_state": "nothing"},
    "mlp of state": {"modulator": "mlp", "modulator_reads_history": False},
    "mlp of behavior": {"modulator": "mlp", "modulator_reads_state": "behavior"},
    "gru": {"modulator": "gru"},
    "gru of 3 units": {"modulator": "gru", "modulator_hidden_units": 3},
    "gru of a unit a neuron": {"modulator": "gru", "modulator_hidden_units": 0},
    "window": {"modulator": "window"},
    "window of the present": {"modulator": "window", "modulator_history_frames": 0},
    "linear": {"modulator": "linear"},
    "linear of identity": {"modulator": "linear", "modulator_activation": "identity"},
    "linear of sigmoid": {"modulator": "linear", "modulator_activation": "sigmoid"},
}


def build(name="mlp", **options):
    torch.manual_seed(0)
    options = ModulatorOptions(**(VARIANTS[name] | options))
    modulator = MODULATORS[options.modulator](options, NEURONS, BEHAVIORS).double().eval()
    for parameter in modulator.parameters():
        parameter.data.normal_()
    return modulator


def inputs(trials=3):
    generator = torch.Generator().manual_seed(1)
    value = torch.randn(trials, NEURONS, FRAMES, dtype=torch.float64, generator=generator)
    state = torch.randn(trials, BEHAVIORS + 2, FRAMES, dtype=torch.float64, generator=generator)
    return value, state


def past(series, frame, count):
    """Return ``count`` values up to a frame, oldest first, zeros before there were any."""
    return torch.stack(
        [
            series[at] if at >= 0 else torch.zeros_like(series[0])
            for at in range(frame - count + 1, frame + 1)
        ]
    )


def gelu(drive):
    return drive * (1 + torch.erf(drive / math.sqrt(2))) / 2


def affine(layer, entries):
    return layer.weight @ entries + layer.bias


def mlp_by_loop(modulator, value, state):
    answer = torch.empty_like(value)
    for trial, neuron, frame in torch.cartesian_prod(*map(torch.arange, value.shape)):
        own = value[trial, neuron]
        y = own[frame]
        if modulator.reads_history:
            network = modulator.history
            hidden = gelu(affine(network.hidden, past(own, frame - 1, network.frames)))
            y = y * torch.sigmoid(affine(network.answer, hidden)[0])
        if modulator.state_width:
            hidden = gelu(
                affine(modulator.state_hidden, state[trial, : modulator.state_width, frame])
            )
            y = y + torch.tanh(affine(modulator.state_answer, hidden)[neuron])
        answer[trial, neuron, frame] = y
    return answer


def gru_by_loop(modulator, value, state):
    cell, answer = modulator.cell, torch.empty_like(value)
    for trial in range(len(value)):
        hidden = torch.zeros(cell.hidden_size, dtype=value.dtype)
        for frame in range(value.shape[2]):
            x = value[trial, :, frame]
            drive = x + torch.tanh(affine(modulator.state_drive, state[trial, :, frame]))
            seen = (cell.weight_ih @ drive + cell.bias_ih).chunk(3)
            kept = (cell.weight_hh @ hidden + cell.bias_hh).chunk(3)
            reset, update = (torch.sigmoid(seen[gate] + kept[gate]) for gate in (0, 1))
            new = torch.tanh(seen[2] + reset * kept[2])
            hidden = (1 - update) * new + update * hidden
            answer[trial, :, frame] = x + torch.tanh(affine(modulator.answer, hidden))
    return answer


def window_by_loop(modulator, value, state):
    network, answer = modulator.window, torch.empty_like(value)
    for trial, neuron, frame in torch.cartesian_prod(*map(torch.arange, value.shape)):
        series = [value[trial, neuron], *state[trial]]
        window = torch.cat([past(one, frame, network.frames) for one in series])
        hidden = gelu(affine(network.hidden, window))
        added = torch.tanh(affine(network.answer, hidden)[0])
        answer[trial, neuron, frame] = value[trial, neuron, frame] + added
    return answer


def linear_by_loop(modulator, value, state):
    answer = torch.empty_like(value)
    for trial, neuron, frame in torch.cartesian_prod(*map(torch.arange, value.shape)):
        drive = modulator.state_weight.weight[neuron] @ state[trial, :, frame]
        answer[trial, neuron, frame] = value[trial, neuron, frame] + modulator.activation(drive)
    return answer


LOOPS = {
    "mlp": mlp_by_loop,
    "gru": gru_by_loop,
    "window": window_by_loop,
    "linear": linear_by_loop,
}


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_answer_is_that_of_the_formula_frame_by_frame(name):
    modulator, (value, state) = build(name), inputs()
    expected = LOOPS[name.split()[0]](modulator, value, state)
    torch.testing.assert_close(modulator(value, state), expected)


@pytest.mark.parametrize("name", VARIANTS)
def test_later_frames_change_nothing_and_earlier_ones_only_within_the_history(name):
    modulator, (value, state) = build(name), inputs()
    value.requires_grad_()
    state.requires_grad_()
    frame = 7
    modulator(value, state)[..., frame].sum().backward()
    reach = {"mlp": 5, "window": 5, "linear": 0, "gru": FRAMES}[name.split()[0]]
    reach = VARIANTS[name].get("modulator_history_frames", reach)
    if name == "mlp of state":
        reach = 0
    for gradient in (value.grad, state.grad):
        if gradient is not None:
            assert not gradient[..., frame + 1 :].any()
            assert not gradient[..., : max(0, frame - reach)].any()
    seen = value.grad.abs().amax(dim=(0, 1)) > 0
    assert seen[max(0, frame - reach) : frame + 1].all()


@pytest.mark.parametrize("name", VARIANTS)
def test_asked_neurons_are_those_of_the_whole_population(name):
    modulator, (value, state) = build(name), inputs()
    for neurons in (torch.tensor([4, 0, 0]), torch.tensor([], dtype=torch.int64)):
        given = value if modulator.mixes_neurons else value[:, neurons]
        some = modulator(given, state, neurons=neurons)
        torch.testing.assert_close(some, modulator(value, state)[:, neurons])


@pytest.mark.parametrize("name", VARIANTS)
def test_only_a_recurrent_network_mixes_neurons(name):
    modulator, (value, state) = build(name), inputs()
    value.requires_grad_()
    modulator(value, state)[:, 0].sum().backward()
    assert value.grad[:, 1:].any() == modulator.mixes_neurons == (name.split()[0] == "gru")


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_reach_every_parameter(name):
    modulator, (value, state) = build(name), inputs()
    modulator.train()(value, state).square().sum().backward()
    assert all(parameter.grad.any() for parameter in modulator.parameters())


@pytest.mark.parametrize("name", ["mlp of history", "window"])
@pytest.mark.parametrize("at_once", [1, 2])
def test_neurons_modulated_in_parts_answer_and_learn_the_same(name, at_once, monkeypatch):
    modulator, (value, state) = build(name), inputs()
    value.requires_grad_()
    values_a_neuron = 3 * FRAMES * (15 if name == "window" else 5)
    results = []
    for limit in (base.VALUES_AT_ONCE, at_once * values_a_neuron):
        monkeypatch.setattr(base, "VALUES_AT_ONCE", limit)
        answer = modulator(value, state)
        wanted = (value, *modulator.parameters())
        results.append((answer, *torch.autograd.grad(answer.square().sum(), wanted)))
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("mlp of history", "modulator_history_dropout"),
        ("mlp of state", "modulator_state_dropout"),
        ("gru", "modulator_state_dropout"),
        ("window", "modulator_history_dropout"),
    ],
)
def test_dropout_acts_in_training_alone(name, option):
    modulator, (value, state) = build(name, **{option: 0.5}), inputs()
    torch.testing.assert_close(modulator(value, state), modulator(value, state), rtol=0, atol=0)
    modulator.train()
    assert not torch.equal(modulator(value, state), modulator(value, state))


def test_published_sizes():
    shapes = {}
    for kind, builder in MODULATORS.items():
        modulator = builder(ModulatorOptions(modulator=kind), 7, 2)
        shapes[kind] = {name: tuple(v.shape) for name, v in modulator.named_parameters()}
    assert shapes == {
        "mlp": {
            "history.hidden.weight": (5, 5),
            "history.hidden.bias": (5,),
            "history.answer.weight": (1, 5),
            "history.answer.bias": (1,),
            "state_hidden.weight": (4, 4),
            "state_hidden.bias": (4,),
            "state_answer.weight": (7, 4),
            "state_answer.bias": (7,),
        },
        "gru": {
            "state_drive.weight": (7, 4),
            "state_drive.bias": (7,),
            "cell.weight_ih": (48, 7),
            "cell.weight_hh": (48, 16),
            "cell.bias_ih": (48,),
            "cell.bias_hh": (48,),
            "answer.weight": (7, 16),
            "answer.bias": (7,),
        },
        "window": {
            "window.hidden.weight": (15, 30),
            "window.hidden.bias": (15,),
            "window.answer.weight": (1, 15),
            "window.answer.bias": (1,),
        },
        "linear": {"state_weight.weight": (7, 4)},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modulator_activation": "relu"}, "modulator_activation is 'relu'; give one of identity"),
        ({"modulator_hidden_units": -1}, "modulator_hidden_units is -1; give 1 or more, or 0"),
        ({"modulator_history_frames": 0}, "no frames; raise modulator_history_frames"),
        ({"modulator_reads_state": "gaze"}, "modulator_reads_state is 'gaze'; give one of nothing"),
        (
            {"modulator_reads_state": "nothing", "modulator_reads_history": False},
            "nothing to read; set modulator_reads_history",
        ),
    ],
)
def test_impossible_options_are_refused(options, message):
    kinds = {"activation": "linear", "hidden_units": "gru"}
    kind = kinds.get(next(iter(options)).removeprefix("modulator_"), "mlp")
    with pytest.raises(CheckpointError, match=message):
        MODULATORS[kind](ModulatorOptions(modulator=kind, **options), 5, 2)


class Counting(Modulator):
    """Says how many neurons it was given the values of."""

    mixes_neurons = True

    def forward(self, value, state, *, neurons=None):
        total = value.sum(dim=1, keepdim=True).expand(-1, len(neurons), -1)
        return total + state.sum(dim=1, keepdim=True)


def test_network_reads_all_neurons_for_a_modulator_that_mixes_them(monkeypatch):
    monkeypatch.setitem(MODULATORS, "gru", lambda options, neurons, behaviors: Counting())
    options = registry.find_architecture("factorized3d").examples()["behavior and gaze"][0]
    options = {**options, "output": "identity"}
    network = registry.build("factorized3d", {**options, "modulator": "gru"}, {"a": 12}).eval()
    plain = registry.build("factorized3d", options, {"a": 12}).eval()
    plain.load_state_dict(network.state_dict(), strict=True)
    stimulus, behavior = torch.randn(2, 1, 8, 18, 32), torch.randn(2, 2, 8)
    gaze = torch.randn(2)
    everywhere = gaze[:, None].expand(2, 2, 8)
    state = {"mouse": "a", "behavior": behavior, "pupil_center": everywhere}
    values = plain(stimulus, **state)
    frames = values.shape[2]
    moved = behavior[..., -frames:].sum(dim=1, keepdim=True) + gaze.sum()
    expected = (values.sum(dim=1, keepdim=True) + moved).expand(-1, 2, -1)
    neurons = torch.tensor([7, 3])
    torch.testing.assert_close(network(stimulus, neurons=neurons, **state), expected)
    predict = network.prepare("a", neurons=neurons, pupil_center=gaze)
    torch.testing.assert_close(predict(stimulus, behavior), expected, rtol=1e-5, atol=1e-5)


def test_modulator_of_an_image_network_is_refused():
    with pytest.raises(CheckpointError, match="set modulator to 'none' for a network of images"):
        registry.build("sensorium2022", {"modulator": "mlp"}, {"a": 1})


def test_defaults_are_the_published_ones():
    assert dataclasses.asdict(ModulatorOptions()) == {
        "modulator": "none",
        "modulator_history_frames": 5,
        "modulator_history_dropout": 0.0,
        "modulator_reads_history": True,
        "modulator_reads_state": "behavior and gaze",
        "modulator_state_dropout": 0.0,
        "modulator_hidden_units": 16,
        "modulator_activation": "tanh",
    }
