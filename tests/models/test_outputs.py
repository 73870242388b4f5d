"""Output functions and their inverses."""

import math

import pytest
import torch

from insilico.models.outputs import OUTPUTS, Softplus

RESPONSES = torch.tensor([0.02, 0.3, 0.98])


@pytest.mark.parametrize("kind", OUTPUTS)
def test_inverse_undoes_the_output(kind):
    output = OUTPUTS[kind]().double()
    answered = output(output.inverse(RESPONSES.double()))
    torch.testing.assert_close(answered, RESPONSES.double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "value", "response"),
    [
        ("elu", 2.0, 3.0),
        ("elu", -1.0, math.exp(-1)),
        ("identity", -1.5, -1.5),
        ("exponential", 0.5, math.exp(0.5)),
        ("softplus", 0.0, math.log(2)),
        ("softplus", 30.0, 30.0),
        ("sigmoid", 1.0, 1 / (1 + math.exp(-1))),
    ],
)
def test_output_has_its_closed_form(kind, value, response):
    answered = OUTPUTS[kind]()(torch.tensor([value], dtype=torch.float64))
    assert answered.item() == pytest.approx(response, rel=1e-7)


def test_softplus_has_a_learned_sharpness_and_finite_gradients_far_out():
    output = Softplus()
    output.log_beta.data.fill_(math.log(2))
    value = torch.tensor([0.0, 1.0, 500.0], requires_grad=True)
    response = output(value)
    expected = torch.tensor([math.log(2) / 2, math.log1p(math.exp(2)) / 2, 500.0])
    torch.testing.assert_close(response, expected)
    response.sum().backward()
    torch.testing.assert_close(value.grad, torch.sigmoid(2 * value.detach()))
    assert torch.isfinite(output.log_beta.grad)


@pytest.mark.parametrize("kind", sorted(set(OUTPUTS) - {"identity"}))
def test_a_silent_neuron_starts_from_a_finite_value(kind):
    assert torch.isfinite(OUTPUTS[kind]().inverse(torch.zeros(1))).all()
