"""The Gaussian readout with a predictor for each imaging plane."""

import copy

import pytest
import torch

from insilico.errors import UnitsError
from insilico.models.outputs import ShiftedELU
from insilico.models.readouts.cortex import normalize_cortex
from insilico.models.readouts.depth_gaussian import DepthGaussian2d
from insilico.models.readouts.gaussian2d import FullGaussian2d

#: Neurons of three planes, in no order of depth.
DEPTHS_UM = torch.tensor([300.0, 100.0, 200.0, 100.0, 300.0, 300.0, 100.0])


def planes(**options):
    torch.manual_seed(0)
    readout = DepthGaussian2d(3, len(DEPTHS_UM), **({"depth_groups": 3} | options)).double()
    readout._features.data.normal_()
    readout.bias.data.normal_()
    start(readout, positions())
    return readout


def positions():
    generator = torch.Generator().manual_seed(2)
    plane = 1000 * torch.rand(len(DEPTHS_UM), 2, generator=generator, dtype=torch.float64)
    return torch.cat([plane, DEPTHS_UM[:, None]], dim=1)


def start(readout, position_um):
    readout.initialize(position_um=position_um, mean_response=None, inverse=ShiftedELU().inverse)


def one_plane(readout, group):
    """Return a Gaussian readout of one plane's neurons, built by itself."""
    members = torch.nonzero(readout.depth_group == group)[:, 0]
    alone = FullGaussian2d(3, len(members), cortex_axes=readout.source_grid.shape[1]).double()
    alone.mu_transform = copy.deepcopy(readout.mu_transform[group])
    alone._features.data = readout._features.data[..., members]
    alone.bias.data = readout.bias.data[members]
    alone.sigma.data = readout.sigma.data[:, members]
    start(alone, positions()[members])
    return members, alone.eval()


@pytest.mark.parametrize("cortex_axes", [2, 3])
@pytest.mark.parametrize("has_shift", [True, False])
def test_planes_answer_as_separate_readouts_and_neurons_keep_their_order(cortex_axes, has_shift):
    readout = planes(cortex_axes=cortex_axes).eval()
    assert readout.depth_group.tolist() == [2, 0, 1, 0, 2, 2, 0]
    features = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    shift = 0.3 * torch.randn(2, 2, dtype=torch.float64) if has_shift else None
    answer = readout(features, shift=shift)
    for group in range(3):
        members, alone = one_plane(readout, group)
        torch.testing.assert_close(readout.source_grid[members], alone.source_grid)
        torch.testing.assert_close(answer[:, members], alone(features, shift=shift))


def test_asked_neurons_are_those_of_the_whole_population():
    readout, features = planes().eval(), torch.randn(2, 3, 6, 8, dtype=torch.float64)
    neurons = torch.tensor([5, 0, 0, 2])
    torch.testing.assert_close(readout(features, neurons=neurons), readout(features)[:, neurons])


def test_fixed_points_answer_like_the_plain_readout():
    readout, features = planes().eval(), torch.randn(2, 3, 6, 8, dtype=torch.float64)
    neurons, shift = torch.tensor([6, 1, 4]), torch.tensor([0.2, -0.1], dtype=torch.float64)
    points = readout.at_fixed_points((6, 8), neurons=neurons, shift=shift)
    expected = readout(features, neurons=neurons, shift=shift.expand(2, -1))
    cells = points.cells
    window = features[..., cells.rows, cells.columns]
    torch.testing.assert_close(points(cells.take(window)), expected)


def test_points_scatter_in_training():
    readout, features = planes().train(), torch.randn(2, 3, 6, 8, dtype=torch.float64)
    assert not torch.equal(readout(features), readout(features))


def test_planes_may_be_fewer_than_groups():
    readout = planes(depth_groups=5)
    assert readout.depth_group.tolist() == [2, 0, 1, 0, 2, 2, 0]
    readout(torch.randn(2, 3, 6, 8, dtype=torch.float64)).sum().backward()
    assert not readout.mu_transform[4][0].weight.grad.any()
    assert readout.mu_transform[2][0].weight.grad.any()


def test_groups_and_places_come_back_from_the_state():
    readout = planes()
    twin = DepthGaussian2d(3, len(DEPTHS_UM), depth_groups=3).double()
    twin.load_state_dict(readout.state_dict(), strict=True)
    assert torch.equal(twin.depth_group, readout.depth_group)
    assert twin.depth_group.dtype == torch.int64
    torch.testing.assert_close(twin.positions(), readout.positions())


def test_a_plane_of_one_neuron_is_at_its_center():
    readout = planes()
    assert readout.source_grid[2].tolist() == [0, 0]


def test_depths_are_needed():
    readout = DepthGaussian2d(3, 4, depth_groups=2)
    with pytest.raises(UnitsError, match="position_um has no z; give depths, or set the option"):
        start(readout, torch.rand(4, 2))
    with pytest.raises(UnitsError, match="none are given; give position_um"):
        start(readout, None)


def test_more_planes_than_groups_are_refused():
    readout = DepthGaussian2d(3, 7, depth_groups=2)
    with pytest.raises(
        UnitsError, match=r"at 3 depths, and there are 2 groups; set .* depth_groups"
    ):
        start(readout, positions().float())


def test_no_groups_are_refused():
    with pytest.raises(UnitsError, match="depth_groups is 0; give the number of imaging planes"):
        DepthGaussian2d(3, 7, depth_groups=0)


def test_normalized_planes_do_not_see_each_other():
    position_um = positions()
    position_um[DEPTHS_UM == 100, :2] *= 7
    readout = planes()
    before = readout.source_grid.clone()
    start(readout, position_um)
    torch.testing.assert_close(readout.source_grid, before)
    members = DEPTHS_UM == 300
    torch.testing.assert_close(
        readout.source_grid[members], normalize_cortex(position_um[members, :2])
    )
