"""Optimizers against their formulas, schedules against closed forms, both across the disk."""

import io
import math

import numpy as np
import pytest
import torch
from torch import nn

from insilico.errors import RecipeError, TrainingError
from insilico.training.optimization import (
    OPTIMIZERS,
    SCHEDULES,
    Schedule,
    build_optimizer,
    learning_rates,
    set_mode,
)


class Toy(nn.Module):
    """A core and a readout, as small as they can be."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.core = nn.Linear(4, 5)
        self.readout = nn.ModuleDict({"A": nn.Linear(5, 3), "B": nn.Linear(5, 2)})

    def forward(self, inputs, mouse):
        return self.readout[mouse](torch.tanh(self.core(inputs)))


def backward(network, step, *, mice=("A", "B")):
    inputs = torch.randn(6, 4, generator=torch.Generator().manual_seed(step))
    network.zero_grad()
    for mouse in mice:
        (network(inputs, mouse) - inputs[:, :1]).square().sum().backward()


def train(network, optimizer, schedule, steps):
    set_mode(optimizer, training=True)
    for step in steps:
        backward(network, step)
        schedule.step(optimizer)
        optimizer.step()
    set_mode(optimizer, training=False)


def saved_and_loaded(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def build(network, name, **options):
    return build_optimizer(
        network, name=name, **{"learning_rate": 0.02, "weight_decay": 0.1} | options
    )


def schedule_of(name, **options):
    return Schedule(name, **{"patience_epochs": 3, "total_steps": 40} | options)


# Parameter groups


def test_core_and_rest_have_their_own_rates_and_decays():
    network = Toy()
    core, rest = build(
        network, "adamw", core_learning_rate=0.002, core_weight_decay=0.0
    ).param_groups
    assert (core["name"], core["lr"], core["weight_decay"]) == ("core", 0.002, 0.0)
    assert (rest["name"], rest["lr"], rest["weight_decay"]) == ("rest", 0.02, 0.1)
    assert {id(p) for p in core["params"]} == {id(p) for p in network.core.parameters()}
    assert {id(p) for p in rest["params"]} == {id(p) for p in network.readout.parameters()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_core_takes_the_common_rate_and_decay_unless_told(name):
    for group in build(Toy(), name).param_groups:
        assert (group["lr"], group["initial_lr"], group["weight_decay"]) == (0.02, 0.02, 0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_core_does_not_move(name):
    network = Toy()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = build(network, name, is_core_frozen=True)
    train(network, optimizer, schedule_of("constant"), range(3))
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith("core.")
    assert list(learning_rates(optimizer)) == ["rest"]


def test_parameters_without_gradient_are_left_out():
    network = Toy()
    network.readout["A"].requires_grad_(False)
    _, rest = build(network, "adam").param_groups
    assert {id(p) for p in rest["params"]} == {id(p) for p in network.readout["B"].parameters()}


def test_nothing_to_train_is_refused():
    network = Toy()
    network.readout.requires_grad_(False)
    with pytest.raises(TrainingError, match="no parameter of the network is left to train"):
        build(network, "adam", is_core_frozen=True)


def test_unknown_optimizer_is_refused():
    with pytest.raises(RecipeError, match="'sgd' is not known; choose one of adam, adamw"):
        build(Toy(), "sgd")


# Steps against formulas


def adam_by_hand(weights, gradients, *, rate, decay, betas, is_decoupled):
    """Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), in float64."""
    mean = square = np.zeros_like(weights)
    for k, gradient in enumerate(gradients, start=1):
        used = gradient + (0 if is_decoupled else decay * weights)
        mean = betas[0] * mean + (1 - betas[0]) * used
        square = betas[1] * square + (1 - betas[1]) * used**2
        scaled = np.sqrt(square / (1 - betas[1] ** k)) + 1e-8
        weights = weights * (1 - rate * decay) if is_decoupled else weights
        weights = weights - rate * mean / (1 - betas[0] ** k) / scaled
    return weights


def schedule_free_by_hand(start, gradient_at, steps, *, rate, decay, betas, warmup_steps):
    """The published recursion on y and z, and its average x."""
    y, z, square, weight_sum, largest = start, start, np.zeros_like(start), 0.0, 0.0
    for k in range(steps):
        lr = rate * min(1.0, (k + 1) / warmup_steps)
        largest = max(largest, lr)
        gradient = gradient_at(y)
        square = betas[1] * square + (1 - betas[1]) * gradient**2
        scaled = gradient / (np.sqrt(square / (1 - betas[1] ** (k + 1))) + 1e-8) + decay * y
        weight_sum += largest**2
        c = largest**2 / weight_sum
        y = (1 - c) * y + c * z + lr * (betas[0] * (1 - c) - 1) * scaled
        z = z - lr * scaled
    return y, y + (1 - 1 / betas[0]) * (z - y)


class Bowl(nn.Module):
    """A quadratic bowl in two dimensions, in float64."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.tensor([3.0, -2.0], dtype=torch.float64))

    def descend(self, optimizer, schedule, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            (self.place * torch.tensor([1.0, 10.0])).square().sum().backward()
            schedule.step(optimizer)
            optimizer.step()


def bowl_gradient(place):
    return 2 * np.array([1.0, 100.0]) * place


@pytest.mark.parametrize("warmup_steps", [1, 7])
def test_schedule_free_steps_are_the_published_recursion(warmup_steps):
    bowl = Bowl()
    options = {"weight_decay": 0.02, "betas": (0.9, 0.99), "warmup_steps": warmup_steps}
    optimizer = build(bowl, "adamw_schedulefree", **options)
    schedule = schedule_of("constant", warmup_steps=warmup_steps)
    set_mode(optimizer, training=True)
    bowl.descend(optimizer, schedule, 30)
    y, x = schedule_free_by_hand(
        np.array([3.0, -2.0]),
        bowl_gradient,
        30,
        rate=0.02,
        decay=0.02,
        betas=(0.9, 0.99),
        warmup_steps=warmup_steps,
    )
    np.testing.assert_allclose(bowl.place.detach().numpy(), y, rtol=1e-9)
    set_mode(optimizer, training=False)
    np.testing.assert_allclose(bowl.place.detach().numpy(), x, rtol=1e-9)
    set_mode(optimizer, training=True)
    np.testing.assert_allclose(bowl.place.detach().numpy(), y, rtol=1e-9)


def test_evaluated_weights_are_the_mean_of_what_plain_steps_reach():
    # Without warm-up; z is the base sequence of the paper, and x its running mean.
    bowl = Bowl()
    optimizer = build(bowl, "adamw_schedulefree", weight_decay=0.0)
    schedule = schedule_of("constant")
    base = []
    set_mode(optimizer, training=True)
    for _ in range(12):
        bowl.descend(optimizer, schedule, 1)
        base.append(optimizer.state[bowl.place]["z"].numpy().copy())
    set_mode(optimizer, training=False)
    np.testing.assert_allclose(bowl.place.detach().numpy(), np.mean(base, axis=0), rtol=1e-12)


@pytest.mark.parametrize(("name", "is_decoupled"), [("adam", False), ("adamw", True)])
def test_adam_steps_are_the_published_recursion(name, is_decoupled):
    bowl = Bowl()
    optimizer = build(bowl, name, betas=(0.8, 0.95))
    gradients, schedule = [], schedule_of("constant")
    for _ in range(20):
        gradients.append(bowl_gradient(bowl.place.detach().numpy()))
        bowl.descend(optimizer, schedule, 1)
    expected = adam_by_hand(
        np.array([3.0, -2.0]),
        gradients,
        rate=0.02,
        decay=0.1,
        betas=(0.8, 0.95),
        is_decoupled=is_decoupled,
    )
    np.testing.assert_allclose(bowl.place.detach().numpy(), expected, rtol=1e-9)


def test_schedule_free_reports_the_rate_of_its_warm_up():
    bowl = Bowl()
    optimizer = build(bowl, "adamw_schedulefree", warmup_steps=4)
    set_mode(optimizer, training=True)
    bowl.descend(optimizer, schedule_of("constant", warmup_steps=4), 3)
    assert learning_rates(optimizer)["rest"] == pytest.approx(0.02 * 3 / 4)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_other_optimizers_have_one_set_of_weights(name):
    network = Toy()
    optimizer = build(network, name)
    train(network, optimizer, schedule_of("constant"), range(2))
    before = [p.clone() for p in network.parameters()]
    set_mode(optimizer, training=True)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))


def test_mode_reaches_an_optimizer_that_fabric_has_wrapped():
    from lightning_fabric import Fabric

    networks = [Toy(), Toy()]
    plain = build(networks[0], "adamw_schedulefree")
    fabric = Fabric(accelerator="cpu", devices=1)
    _, wrapped = fabric.setup(networks[1], build(networks[1], "adamw_schedulefree"))
    for network, optimizer in zip(networks, [plain, wrapped], strict=True):
        train(network, optimizer, schedule_of("constant"), range(3))
    for ours, theirs in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(ours, theirs)
    assert learning_rates(plain) == learning_rates(wrapped)


# Across the disk


@pytest.mark.parametrize(
    ("optimizer_name", "schedule_name"),
    [(o, s) for o in OPTIMIZERS for s in SCHEDULES if s == "constant" or "free" not in o],
)
def test_training_loaded_midway_goes_on_to_the_bit(optimizer_name, schedule_name):
    def fresh():
        network = Toy()
        optimizer = build(network, optimizer_name, core_learning_rate=0.01, warmup_steps=5)
        return network, optimizer, schedule_of(schedule_name, warmup_steps=5)

    scores = [0.1, 0.3, 0.2, 0.2, 0.2, 0.25, 0.4, 0.1]

    def epochs(parts, numbers):
        for epoch in numbers:
            train(*parts, range(4 * epoch, 4 * epoch + 4))
            parts[2].after_epoch(scores[epoch])

    through, first, second = fresh(), fresh(), fresh()
    epochs(through, range(8))
    epochs(first, range(6))
    for saved, loaded in zip(first, second, strict=True):
        loaded.load_state_dict(saved_and_loaded(saved.state_dict()))
    epochs(second, range(6, 8))
    for ours, theirs in zip(through[0].parameters(), second[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert learning_rates(through[1]) == learning_rates(second[1])
    assert through[2].state_dict() == second[2].state_dict()


# Learning rates


def rates(schedule, count, *, largest=1.0):
    network = Bowl()
    optimizer = build(network, "adam", learning_rate=largest)
    found = []
    for _ in range(count):
        schedule.step(optimizer)
        found.append(learning_rates(optimizer)["rest"])
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_rise_linearly_in_the_warm_up(name):
    assert rates(schedule_of(name, warmup_steps=4), 4) == [0.25, 0.5, 0.75, 1.0]


def test_constant_rates_stay():
    assert set(rates(schedule_of("constant"), 60)) == {1.0}


def test_cosine_falls_from_the_largest_to_the_least_rate_and_stays():
    schedule = schedule_of("cosine", warmup_steps=10, total_steps=30, minimum_learning_rate=0.1)
    found = rates(schedule, 40)
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]
    assert found[10:30] == pytest.approx(expected)
    assert found[10] == 1.0
    assert found[30:] == pytest.approx([0.1] * 10)


def test_no_rate_falls_below_the_least_unless_it_began_there():
    schedule = schedule_of("plateau", patience_epochs=1, minimum_learning_rate=0.2)
    schedule.after_epoch(0.5)
    assert rates(schedule, 1) == [1.0]
    assert schedule.after_epoch(0.4) == "reduce"
    assert rates(schedule, 1) == pytest.approx([0.3])
    assert schedule.after_epoch(0.4) == "reduce"
    assert rates(schedule, 1) == [0.2]
    assert rates(schedule, 1, largest=0.05) == [0.05]


def test_schedule_free_optimizer_refuses_a_schedule():
    optimizer = build(Toy(), "adamw_schedulefree")
    with pytest.raises(RecipeError, match=r"'plateau' does not go with .* choose schedule 'con"):
        schedule_of("plateau").step(optimizer)


# Stopping


def decisions(schedule, scores):
    return [schedule.after_epoch(score) for score in scores]


def test_plateau_reduces_twice_and_stops_at_the_published_epoch():
    schedule = schedule_of("plateau", patience_epochs=5, learning_rate_decays=2)
    found = decisions(schedule, [0.5] + [0.4] * 15)
    changes = {epoch: what for epoch, what in enumerate(found, start=1) if what != "continue"}
    assert changes == {6: "reduce", 11: "reduce", 16: "stop"}
    assert (schedule.best_epoch, schedule.best_score) == (1, 0.5)


@pytest.mark.parametrize("name", ["constant", "cosine"])
def test_other_schedules_stop_at_the_first_plateau(name):
    found = decisions(schedule_of(name, patience_epochs=3), [0.1, 0.2, 0.1, 0.2, 0.1])
    assert found == ["continue"] * 4 + ["stop"]


def test_new_best_starts_the_patience_anew_but_not_the_reductions():
    schedule = schedule_of("plateau", patience_epochs=2, learning_rate_decays=1)
    found = decisions(schedule, [0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.1])
    assert found == ["continue", "continue", "reduce", *["continue"] * 3, "stop"]


def test_best_is_strictly_greater_by_the_tolerance():
    schedule = schedule_of("constant", patience_epochs=9, minimum_improvement=0.125)
    found = []
    for score in [-3.0, -3.0, -2.875, -2.5, float("nan"), -2.5]:
        schedule.after_epoch(score)
        found.append(schedule.is_best)
    assert found == [True, False, False, True, False, False]
    assert (schedule.best_score, schedule.best_epoch) == (-2.5, 4)


def test_negative_correlation_is_still_a_best():
    schedule = schedule_of("plateau")
    assert not schedule.is_best
    schedule.after_epoch(-0.2)
    assert schedule.is_best


def test_run_without_any_score_stops_as_there_is_nothing_to_restore():
    schedule = schedule_of("plateau", patience_epochs=2)
    assert decisions(schedule, [float("nan")] * 2) == ["continue", "stop"]
    assert (schedule.best_epoch, schedule.best_score) == (0, -math.inf)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("linear", {}, "'linear' is not known; choose one of constant, plateau, cosine"),
        ("constant", {"patience_epochs": 0}, "patience_epochs is 0; give 1 or more"),
        ("plateau", {"factor": 0.0}, "above 0, up to 1"),
        ("cosine", {"total_steps": None}, "takes None steps in all, and warmup_steps is 0"),
        ("cosine", {"warmup_steps": 40}, "takes 40 steps in all, and warmup_steps is 40"),
    ],
)
def test_impossible_schedule_is_refused(name, options, message):
    with pytest.raises(RecipeError, match=message):
        schedule_of(name, **options)
