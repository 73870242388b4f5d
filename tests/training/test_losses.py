"""Every loss against its formula in plain loops; the scale of a mouse against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import RecipeError, ShapeError
from insilico.training.losses import EPSILON, LOSSES, dataset_scale

SHAPES = [(6, 3), (4, 3, 5)]


def batch(shape, *, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": dtype}
    return torch.rand(shape, **draw) + 0.05, torch.rand(shape, **draw) * 2


def pearson_by_neuron(predicted, recorded):
    """NumPy's correlation of every neuron over its trials and frames."""
    rows = [np.moveaxis(v.numpy(), 1, -1).reshape(-1, v.shape[1]) for v in (predicted, recorded)]
    return [np.corrcoef(rows[0][:, n], rows[1][:, n])[0, 1] for n in range(rows[0].shape[1])]


def in_plain_loops(name, predicted, recorded):
    pairs = list(zip(predicted.flatten().tolist(), recorded.flatten().tolist(), strict=True))
    shifted = [(p + EPSILON, y + EPSILON) for p, y in pairs]
    poisson = sum(p - y * math.log(p) for p, y in shifted)
    distance = sum(1 - r for r in pearson_by_neuron(predicted, recorded))
    return {
        "poisson": poisson,
        "poisson_mean": poisson / len(pairs),
        "mse": sum((p - y) ** 2 for p, y in pairs) / len(pairs),
        "log_mse": sum((math.log(p) - math.log(y)) ** 2 for p, y in shifted) / len(pairs),
        "correlation": distance,
        "gamma": sum(y / p + math.log(p) for p, y in shifted),
        "poisson_correlation": poisson + 1000 * distance,
    }[name]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_its_formula(name, shape):
    predicted, recorded = batch(shape)
    loss = LOSSES[name](predicted, recorded)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(in_plain_loops(name, predicted, recorded), rel=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_the_formula(name):
    predicted, recorded = batch((4, 3, 5))
    predicted.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: LOSSES[name](values, recorded), predicted)


@pytest.mark.parametrize("name", LOSSES)
def test_hardest_responses_leave_loss_and_gradient_finite(name):
    # Silent neurons, silent predictions, noise below 0, all in float32.
    recorded = torch.tensor([[0.0, 0.0, 5.0, -0.7], [0.0, 0.0, 0.0, 3.0]])
    predicted = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 2.0, 0.0, 1e-30]], requires_grad=True)
    loss = LOSSES[name](predicted, recorded)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(predicted.grad).all()


@pytest.mark.parametrize("name", ["poisson", "poisson_mean", "log_mse", "gamma"])
def test_negative_responses_count_as_zero(name):
    predicted, recorded = batch((6, 3))
    recorded = recorded - 1
    assert (recorded < 0).any()
    assert LOSSES[name](predicted, recorded) == LOSSES[name](predicted, recorded.clamp(min=0))


def test_poisson_loss_is_least_where_the_prediction_is_the_mean_response():
    recorded = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    means = torch.linspace(0.5, 4, 351, dtype=torch.float64)
    losses = [float(LOSSES["poisson"](mean.expand(3, 1), recorded)) for mean in means]
    assert float(means[int(np.argmin(losses))]) == pytest.approx(2.0, abs=0.006)


def test_neuron_that_is_constant_in_a_batch_has_no_correlation():
    predicted, recorded = batch((6, 3))
    recorded[:, 1] = 0.25
    expected = 3 - sum(pearson_by_neuron(predicted[:, [0, 2]], recorded[:, [0, 2]]))
    assert float(LOSSES["correlation"](predicted, recorded)) == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_predictions_in_bf16_are_summed_in_float32(name):
    predicted, recorded = batch((40, 30), dtype=torch.float32)
    halved = predicted.bfloat16()
    loss = LOSSES[name](halved, recorded)
    assert loss.dtype == torch.float32
    assert loss == LOSSES[name](halved.float(), recorded)


@pytest.mark.parametrize("name", LOSSES)
def test_uneven_shapes_are_refused_rather_than_broadcast(name):
    with pytest.raises(ShapeError, match=r"\(6, 3, 1\) and recorded ones \(6, 3, 4\); crop"):
        LOSSES[name](torch.ones(6, 3, 1), torch.ones(6, 3, 4))


def test_root_rule_is_the_root_of_the_batches_of_a_mouse():
    counts = {"A": 400, "B": 100}
    assert dataset_scale("sqrt", trial_counts=counts, mouse="A", batch_size=4) == 10
    assert dataset_scale("sqrt", trial_counts=counts, mouse="B", batch_size=4) == 5


@given(
    st.dictionaries(st.text(min_size=1), st.integers(1, 10_000), min_size=1, max_size=6),
    st.integers(1, 64),
)
def test_balanced_rule_gives_every_mouse_the_same_say_in_an_epoch(counts, batch_size):
    # Whatever is summed over a mouse's trials gets the same weight for every mouse.
    scales = {
        mouse: dataset_scale("balanced", trial_counts=counts, mouse=mouse, batch_size=batch_size)
        for mouse in counts
    }
    expected = sum(counts.values()) / len(counts) ** 2 / batch_size
    for mouse, count in counts.items():
        assert scales[mouse] * count == pytest.approx(expected)


def test_no_rule_leaves_the_loss_alone():
    assert dataset_scale("none", trial_counts={"A": 7}, mouse="A", batch_size=3) == 1


def test_unknown_rule_is_refused():
    with pytest.raises(RecipeError, match="'linear' of the loss is not known; choose one of sqrt"):
        dataset_scale("linear", trial_counts={"A": 7}, mouse="A", batch_size=3)
