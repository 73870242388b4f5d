"""From shares of patches to pixels, against plain folding and known places."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from insilico import Screen
from insilico.attention import pixels
from insilico.models.attention_maps import PatchPlaces
from insilico.models.cores.patch_tokens import PatchGrid

V1T = PatchPlaces((29, 57), (3.5, 3.5), (1.0, 1.0), (8.0, 8.0))
SHAPE = (36, 64)


def places_of(grid):
    left, _, top, _ = grid.margins
    middle, stride, side = (grid.patch_px - 1) / 2, float(grid.stride_px), float(grid.patch_px)
    return PatchPlaces(grid.shape, (middle - top, middle - left), (stride, stride), (side, side))


def plain_fold(share, grid):
    """Fold as published: sum patches on the padded canvas, divide by coverage, crop, by the top."""
    left, right, top, bottom = grid.margins
    height, width = grid.frame_px
    canvas = height + top + bottom, width + left + right
    values = torch.tensor(share).view(1, 1, -1).expand(1, grid.patch_px**2, -1)
    kernel = {"kernel_size": grid.patch_px, "stride": grid.stride_px}
    total = F.fold(values, canvas, **kernel)
    coverage = F.fold(torch.ones_like(values), canvas, **kernel)
    covered = torch.where(coverage > 0, total / coverage.clamp(min=1), 0.0)
    frame = covered[0, 0, top : top + height, left : left + width]
    return (frame / frame.max()).numpy()


def one_patch(places, row, column):
    share = np.zeros(places.shape)
    share[row, column] = 1
    return share


@given(
    side=st.integers(1, 9),
    stride=st.integers(1, 6),
    pads=st.booleans(),
    height=st.integers(9, 20),
    width=st.integers(9, 30),
)
def test_frames_are_folded_as_published(side, stride, pads, height, width):
    grid = PatchGrid((height, width), patch_px=side, stride_px=stride, pads=pads)
    share = np.random.default_rng(side).random(grid.shape)
    folded = pixels.fold(share[None], places_of(grid), (height, width))[0]
    np.testing.assert_allclose(folded, plain_fold(share, grid), atol=1e-12)


def test_single_patch_is_folded_to_one_over_its_coverage():
    grid = PatchGrid(SHAPE)
    places = places_of(grid)
    everywhere = np.ones((1, *places.shape))
    np.testing.assert_allclose(pixels.fold(everywhere, places, SHAPE), 1)
    coverage = np.zeros(SHAPE)
    for top in range(-2, 34, 2):
        for left in range(-2, 62, 2):
            coverage[max(top, 0) : top + 7, max(left, 0) : left + 7] += 1
    for row, column in ((0, 0), (5, 9), (17, 31)):
        folded = pixels.fold(one_patch(places, row, column)[None], places, SHAPE)[0]
        mask = np.zeros(SHAPE)
        top, left = 2 * row - 2, 2 * column - 2
        mask[max(top, 0) : top + 7, max(left, 0) : left + 7] = 1
        expected = mask / coverage
        np.testing.assert_allclose(folded, expected / expected.max())


def test_pixels_that_no_patch_covers_are_zero():
    places = PatchPlaces((1, 2), (1.0, 1.0), (4.0, 4.0), (3.0, 3.0))
    folded = pixels.fold(np.ones((1, 1, 2)), places, (5, 8))[0]
    np.testing.assert_array_equal(folded[:3, [0, 1, 2, 4, 5, 6]], 1)
    assert folded.sum() == 18


@pytest.mark.parametrize(("row", "column"), [(0, 0), (14, 28), (28, 56), (3, 50)])
def test_patch_alone_is_centered_on_itself_in_pixels_and_degrees(row, column):
    screen = Screen()
    y_px, x_px = V1T.centers_px()
    found = pixels.measure_centers(one_patch(V1T, row, column), x_px, y_px, screen)
    assert (found.x_px, found.y_px) == (column + 3.5, row + 3.5)
    # By hand: 56.5 cm over 64 px at 15 cm, from the middle of the screen.
    x_cm, y_cm = (column + 3.5 - 31.5) * 56.5 / 64, (17.5 - row - 3.5) * 56.5 / 64
    assert found.x_deg == pytest.approx(np.degrees(np.arctan(x_cm / 15)))
    assert found.y_deg == pytest.approx(np.degrees(np.arctan(y_cm / 15)))
    assert (found.spread_x_deg, found.spread_y_deg) == (0, 0)


def test_patch_alone_is_drawn_about_its_center():
    for row, column in ((10, 20), (14, 28)):
        drawn = pixels.interpolate(one_patch(V1T, row, column)[None], V1T, SHAPE, np.zeros((1, 2)))
        mass = drawn[0] / drawn.sum()
        assert (mass.sum(axis=0) @ np.arange(64)) == pytest.approx(column + 3.5)
        assert (mass.sum(axis=1) @ np.arange(36)) == pytest.approx(row + 3.5)


def test_values_stand_at_the_centers_of_patches_and_go_on_to_the_border():
    places = PatchPlaces((2, 3), (1.0, 2.0), (2.0, 3.0), (3.0, 3.0))
    values = np.arange(6.0).reshape(2, 3)
    drawn = pixels.interpolate(values[None], places, (5, 11), np.zeros((1, 2)))[0]
    np.testing.assert_allclose(drawn[1, [2, 5, 8]], values[0])
    np.testing.assert_allclose(drawn[3, [2, 5, 8]], values[1])
    np.testing.assert_allclose(drawn[2, [2, 5, 8]], values.mean(axis=0))
    np.testing.assert_allclose(drawn[0], drawn[1])
    np.testing.assert_allclose(drawn[:, 10], drawn[:, 8])


def test_patches_that_a_trial_moves_are_drawn_there():
    values = np.random.default_rng(0).random((1, *V1T.shape))
    still = pixels.interpolate(values, V1T, SHAPE, np.zeros((1, 2)))[0]
    moved = pixels.interpolate(values, V1T, SHAPE, np.array([[2.0, -3.0]]))[0]
    np.testing.assert_allclose(moved[10:30, 10:50], still[8:28, 13:53])


def test_published_stretch_is_bilinear_and_misplaces_the_border():
    values = np.random.default_rng(1).random((2, *V1T.shape))
    stretched = pixels.stretch(values, SHAPE)
    plain = F.interpolate(torch.tensor(values)[:, None], SHAPE, mode="bilinear")[:, 0].numpy()
    np.testing.assert_allclose(stretched[:, 2:-2, 2:-2], plain[:, 2:-2, 2:-2], atol=1e-12)
    corner = pixels.stretch(one_patch(V1T, 0, 0)[None], SHAPE)[0]
    assert np.unravel_index(corner.argmax(), SHAPE) == (0, 0)  # the patch lies at (3.5, 3.5)


def test_two_patches_alike_are_spread_by_half_their_distance():
    screen = Screen()
    x_px = np.array([21.5, 31.5, 41.5])
    mass = np.array([[1.0, 0, 1]])
    found = pixels.measure_centers(mass, x_px, np.array([17.5]), screen)
    assert found.x_px == 31.5
    reach = np.degrees(np.arctan(10 * 56.5 / 64 / 15))
    assert found.spread_x_deg == pytest.approx(reach)
    assert found.spread_y_deg == 0


def test_entropy_counts_patches():
    assert pixels.entropy_bits(one_patch(V1T, 3, 3)) == 0
    assert pixels.entropy_bits(np.full((4, 4), 0.01)) == pytest.approx(4)
    half = np.zeros((2, 4, 4))
    half[:, 0] = 3.0
    np.testing.assert_allclose(pixels.entropy_bits(half), 2)


def test_constant_maps_are_one_everywhere_and_are_told():
    rounding = 0.01 * (1 + 1e-7 * np.random.default_rng(0).standard_normal((4, 5)))
    both = np.stack([rounding, one_patch(V1T, 0, 0)[:4, :5]])
    np.testing.assert_array_equal(pixels.is_constant(both), [True, False])
    scaled = pixels.scale_to_range(both)
    np.testing.assert_array_equal(scaled[0], 1)
    assert (scaled[1].min(), scaled[1].max()) == (0, 1)


def test_map_of_one_row_of_patches_is_drawn():
    places = PatchPlaces((1, 2), (2.0, 1.0), (1.0, 2.0), (5.0, 3.0))
    drawn = pixels.interpolate(np.array([[[0.0, 1.0]]]), places, (5, 4), np.zeros((1, 2)))[0]
    np.testing.assert_allclose(drawn, np.tile([0, 0, 0.5, 1], (5, 1)))


def test_relative_attention_is_1_where_all_patches_are_alike_whatever_other_tokens_hold():
    np.testing.assert_allclose(pixels.relative_to_even(np.full((2, 3, 4), 0.5 / 12)), 1)
    share = np.array([[0.1, 0.2], [0.05, 0.05]])
    np.testing.assert_allclose(pixels.relative_to_even(share), [[1, 2], [0.5, 0.5]])


def test_patches_at_the_border_are_drawn_no_larger_than_others():
    places = PatchPlaces((2, 3), (4.0, 5.0), (2.0, 4.0), (8.0, 8.0))
    values = np.arange(6.0).reshape(2, 3)
    drawn = pixels.draw_between(values, places, (12, 20), np.zeros(2))
    rows, columns = (np.flatnonzero(np.isfinite(drawn).any(axis=axis)) for axis in (1, 0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (3, 7, 3, 15)
    np.testing.assert_allclose(drawn[4, [5, 9, 13]], values[0])
    np.testing.assert_allclose(drawn[6, [5, 9, 13]], values[1])
    np.testing.assert_allclose(drawn[5, 7], values[:, :2].mean())
    moved = pixels.draw_between(values, places, (12, 20), np.array([1.0, -2.0]))
    np.testing.assert_allclose(moved[4:9, 1:14], drawn[3:8, 3:16])


def test_single_patch_is_drawn_at_its_own_size():
    places = PatchPlaces((1, 1), (2.0, 3.0), (4.0, 4.0), (3.0, 3.0))
    drawn = pixels.draw_between(np.ones((5, 1, 1)), places, (8, 8), np.zeros(2))
    assert np.isfinite(drawn).sum() == 5 * 9
    assert np.isfinite(drawn[:, 1:4, 2:5]).all()
