"""Gradient clipping: the limit, what is clipped, and the way back from disk."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import RecipeError
from insilico.training import clipping
from insilico.training.clipping import GradientClipper

NORMS = st.floats(0, 1e6, allow_nan=False, width=32)


def with_gradient(*values):
    parameter = torch.nn.Parameter(torch.zeros(len(values)))
    parameter.grad = torch.tensor(values)
    return parameter


def saved_and_loaded(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@given(st.lists(NORMS, min_size=1, max_size=40), st.sampled_from([0, 10, 37.5, 50, 100]))
def test_automatic_limit_is_the_percentile_of_all_norms_before(norms, percentile):
    clipper = GradientClipper("auto", percentile)
    assert clipper.limit() == float("inf")
    for count, norm in enumerate(norms, start=1):
        recorded = clipper.clip([with_gradient(norm)])
        assert recorded == norm
        assert clipper.limit() == np.quantile(np.float64(norms[:count]), percentile / 100)


@given(st.lists(NORMS, min_size=5, max_size=30))
def test_automatic_limit_forgets_the_oldest_norms(norms):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clipping, "HISTORY", 4)
        clipper = GradientClipper("auto")
        for norm in norms:
            clipper.clip([with_gradient(norm)])
    assert clipper.limit() == np.quantile(np.float64(norms[-4:]), 0.1)


def test_automatic_mode_clips_to_the_limit_and_remembers_the_norm_before():
    clipper = GradientClipper("auto")
    first, second = with_gradient(3.0, 4.0), with_gradient(0.0, 50.0)
    assert clipper.clip([first]) == 5
    torch.testing.assert_close(first.grad, torch.tensor([3.0, 4.0]))
    assert clipper.clip([second]) == 50
    torch.testing.assert_close(second.grad, torch.tensor([0.0, 5.0]))
    assert clipper.limit() == np.quantile([5, 50], 0.1)


def test_fixed_norm_is_taken_over_all_parameters():
    parameters = [with_gradient(6.0), with_gradient(8.0), torch.nn.Parameter(torch.zeros(2))]
    assert GradientClipper("norm", 5.0).clip(parameters) == 10
    torch.testing.assert_close(parameters[0].grad, torch.tensor([3.0]))
    torch.testing.assert_close(parameters[1].grad, torch.tensor([4.0]))


def test_smaller_gradients_are_left_as_they_are():
    parameter = with_gradient(0.3, 0.4)
    GradientClipper("norm", 5.0).clip([parameter])
    assert torch.equal(parameter.grad, torch.tensor([0.3, 0.4]))


def test_no_clipping_only_measures():
    parameter = with_gradient(3e6, 4e6)
    clipper = GradientClipper("none")
    assert clipper.clip([parameter]) == 5e6
    assert torch.equal(parameter.grad, torch.tensor([3e6, 4e6]))


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_norm_that_is_not_finite_is_reported_and_not_remembered(broken):
    clipper = GradientClipper("auto")
    clipper.clip([with_gradient(2.0)])
    assert not np.isfinite(clipper.clip([with_gradient(broken)]))
    assert clipper.limit() == 2


def test_clipper_loaded_midway_goes_on_to_the_bit(monkeypatch):
    monkeypatch.setattr(clipping, "HISTORY", 20)
    norms = np.random.default_rng(0).lognormal(size=60).astype(np.float32).tolist()
    through, first, second = (GradientClipper("auto") for _ in range(3))
    limits = [(through.clip([with_gradient(norm)]), through.limit()) for norm in norms]
    for norm in norms[:33]:
        first.clip([with_gradient(norm)])
    second.load_state_dict(saved_and_loaded(first.state_dict()))
    assert limits[33:] == [(second.clip([with_gradient(n)]), second.limit()) for n in norms[33:]]


@pytest.mark.parametrize(("mode", "value"), [("norm", 3.0), ("none", None)])
def test_modes_without_memory_survive_the_disk(mode, value):
    state = saved_and_loaded(GradientClipper(mode, value).state_dict())
    clipper = GradientClipper(mode, value)
    clipper.load_state_dict(state)
    assert clipper.limit() == (value or float("inf"))


def test_state_of_another_clipper_is_refused():
    with pytest.raises(RecipeError, match=r"'auto' at 10, but .* 'norm' at 3; resume with"):
        GradientClipper("auto").load_state_dict(GradientClipper("norm", 3.0).state_dict())


@pytest.mark.parametrize(
    ("mode", "value", "message"),
    [
        ("clip", None, "'clip' is not known; choose one of auto, norm, none"),
        ("auto", 101, "percentile 101; give one of 0 to 100"),
        ("norm", None, "got None as the largest norm"),
        ("norm", 0.0, "got 0.0 as the largest norm"),
        ("norm", float("nan"), "got nan as the largest norm"),
    ],
)
def test_impossible_clipping_is_refused(mode, value, message):
    with pytest.raises(RecipeError, match=message):
        GradientClipper(mode, value)
