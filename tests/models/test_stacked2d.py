"""The stacked core: a window of its output is exactly that part of the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insilico.errors import ShapeError
from insilico.models.cores.stacked2d import Stacked2dCore


@st.composite
def core_and_window(draw):
    torch.manual_seed(draw(st.integers(0, 1000)))
    core = Stacked2dCore(
        draw(st.integers(1, 3)),
        hidden_channels=4,
        input_kernel=draw(st.sampled_from([1, 3, 5])),
        hidden_kernel=draw(st.sampled_from([1, 3, 5])),
        layers=draw(st.integers(1, 4)),
        is_linear=draw(st.booleans()),
        depth_separable=draw(st.booleans()),
        pad_input=draw(st.booleans()),
    ).double()
    for module in core.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.bias.data.normal_()
    shape = draw(st.integers(6, 14)), draw(st.integers(6, 14))
    spans = []
    for size in core.output_shape(*shape):
        start = draw(st.integers(0, size - 1))
        spans.append(slice(start, draw(st.integers(start + 1, size))))
    stimulus = torch.randn(2, core.features[0][0].in_channels, *shape, dtype=torch.float64)
    return core.eval(), stimulus, spans


@given(core_and_window())
@settings(max_examples=60, deadline=None)
def test_window_is_that_part_of_the_whole_map(case):
    core, stimulus, (rows, columns) = case
    with torch.no_grad():
        whole = core(stimulus)
        window = core.forward_window(stimulus, rows=rows, columns=columns)
    assert whole.shape[-2:] == core.output_shape(*stimulus.shape[-2:])
    torch.testing.assert_close(window, whole[..., rows, columns], rtol=0, atol=1e-12)


def test_window_computes_only_the_pixels_that_reach_it():
    core = Stacked2dCore(1, hidden_channels=2, layers=4).eval()
    stimulus = torch.zeros(1, 1, 36, 64, requires_grad=True)
    core.forward_window(stimulus, rows=slice(14, 15), columns=slice(20, 21)).sum().backward()
    seen = stimulus.grad[0, 0].nonzero()
    field_px = 9 + 6 * 3  # receptive field of the published CNN
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [field_px, field_px]


@pytest.mark.parametrize("rows", [slice(3, 3), slice(0, 4, 2), slice(40, 50)])
def test_empty_or_stepped_window_is_refused(rows):
    core = Stacked2dCore(1, hidden_channels=2).eval()
    with pytest.raises(ShapeError, match="empty or has a step"):
        core.forward_window(torch.zeros(1, 1, 36, 64), rows=rows, columns=slice(0, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_kernel": 8}, "odd"),
        ({"hidden_kernel": 4}, "odd"),
        ({"layers": 0}, "at least one layer"),
        ({"hidden_channels": 0}, "at least one layer"),
    ],
)
def test_impossible_sizes_are_refused(options, message):
    with pytest.raises(ShapeError, match=message):
        Stacked2dCore(1, **options)


def test_regularizer_is_the_laplace_energy_of_the_first_kernels():
    core = Stacked2dCore(1, hidden_channels=1, input_kernel=3, layers=1)
    kernel = torch.zeros(1, 1, 3, 3)
    kernel[0, 0, 1, 1] = 2.0
    core.features.layer0.conv.weight.data.copy_(kernel)
    # A point filtered by the Laplacian is the Laplacian: 4² + 4 · 1² = 20, whatever its height.
    assert core.regularizer().item() == pytest.approx(20.0)
