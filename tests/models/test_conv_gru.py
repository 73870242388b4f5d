"""The convolutional GRU is what its formula says, whatever it is fed with."""

import numpy as np
import pytest
import torch

from insilico.errors import ShapeError
from insilico.models.cores.conv_gru import ConvGRU, recur


def random_unit(seed=0):
    torch.manual_seed(seed)
    unit = ConvGRU(3, 4, input_kernel=5, hidden_kernel=3).double()
    for parameter in unit.parameters():
        parameter.data.normal_(std=0.3)
    return unit


def convolve(image, convolution):
    """Correlate (channel, y, x) with zeros outside, one output value after the other."""
    kernels, bias = (value.detach().numpy() for value in convolution.parameters())
    side = kernels.shape[-1]
    padded = np.pad(image, ((0, 0), *2 * ((side // 2, side // 2),)))
    answer = np.empty((len(kernels), *image.shape[1:]))
    for channel, y, x in np.ndindex(answer.shape):
        window = padded[:, y : y + side, x : x + side]
        answer[channel, y, x] = (window * kernels[channel]).sum() + bias[channel]
    return answer


def test_states_are_those_of_a_literal_loop():
    unit = random_unit()
    features = torch.randn(2, 3, 5, 6, 7, dtype=torch.float64)
    states = unit(features).detach().numpy()
    assert states.shape == (2, 4, 5, 6, 7)
    for trial in range(2):
        hidden = np.zeros((4, 6, 7))
        for frame in range(5):
            image = features[trial, :, frame].numpy()
            update, reset = (
                1 / (1 + np.exp(-convolve(image, inner) - convolve(hidden, outer)))
                for inner, outer in (
                    (unit.update_input, unit.update_hidden),
                    (unit.reset_input, unit.reset_hidden),
                )
            )
            candidate = np.tanh(
                convolve(image, unit.candidate_input)
                + convolve(reset * hidden, unit.candidate_hidden)
            )
            hidden = (1 - update) * hidden + update * candidate
            np.testing.assert_allclose(states[trial, :, frame], hidden, rtol=0, atol=1e-12)


def test_a_movie_in_parts_goes_on_where_it_was():
    unit = random_unit()
    features = torch.randn(2, 3, 9, 6, 7, dtype=torch.float64)
    parts = features.split([4, 1, 4], dim=2)
    in_parts = recur(unit, parts, lambda layer, function, *inputs: function(*inputs))
    torch.testing.assert_close(in_parts, unit(features), rtol=0, atol=1e-13)


def test_new_unit_has_no_bias_and_xavier_weights():
    unit = ConvGRU(8, 16, input_kernel=9, hidden_kernel=7)
    for name, parameter in unit.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            outputs, inputs, *kernel = parameter.shape
            expected = (2 / ((inputs + outputs) * np.prod(kernel))) ** 0.5
            assert parameter.std().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("sizes", [{"input_kernel": 4}, {"hidden_kernel": 2}, {"hidden_kernel": 0}])
def test_impossible_recurrent_units_are_refused(sizes):
    with pytest.raises(ShapeError, match="odd kernels"):
        ConvGRU(3, 4, **({"input_kernel": 3, "hidden_kernel": 3} | sizes))
