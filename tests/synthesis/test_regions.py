"""Regions are where stimuli may differ from what is seen beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import ShapeError, StimulusError, UnitsError
from insilico.screen import Screen
from insilico.stimuli.shapes import disc
from insilico.synthesis.regions import Region, center_disc, full_field, surround

SCREEN = Screen()
places = st.tuples(st.floats(0, 63), st.floats(0, 35))


def distance_px(center_px):
    y, x = np.mgrid[: SCREEN.height_px, : SCREEN.width_px]
    return np.hypot(x - round(center_px[0]), y - round(center_px[1]))


@given(place=places, diameter_deg=st.floats(8, 80))
def test_hard_disc_is_the_published_one_about_the_nearest_pixel(place, diameter_deg):
    region = center_disc(SCREEN, place, diameter_deg)

    center = tuple(float(round(value)) for value in place)
    wanted = disc(SCREEN, diameter_deg=diameter_deg, center_px=center)
    np.testing.assert_array_equal(region.weights, wanted)
    np.testing.assert_array_equal(region.mask, wanted > 0)
    assert region.center_px == center


@given(place=places, diameter_deg=st.floats(10, 60), border_deg=st.sampled_from([0.0, 4.0, 12.0]))
def test_disc_and_surround_share_the_screen(place, diameter_deg, border_deg):
    inside = center_disc(SCREEN, place, diameter_deg, border_deg=border_deg)
    outside = surround(SCREEN, place, diameter_deg, border_deg=border_deg)

    np.testing.assert_allclose(inside.weights + outside.weights, 1, atol=1e-12)


def test_tapered_border_falls_as_a_raised_cosine_inside_the_edge():
    region = center_disc(SCREEN, (32, 18), 60.0, border_deg=15.0)

    depth_deg = 30.0 - SCREEN.diameter_deg(distance_px((32, 18))) / 2
    assert (region.weights[depth_deg >= 15.0] == 1).all()
    assert (region.weights[depth_deg <= 0] == 0).all()
    border = (depth_deg > 0) & (depth_deg < 15.0)
    cosine = (1 - np.cos(np.pi * depth_deg[border] / 15.0)) / 2
    np.testing.assert_allclose(region.weights[border], cosine, atol=1e-12)


def test_annulus_ends_where_its_outer_disc_does():
    ring = surround(SCREEN, (30, 16), 20.0, outer_diameter_deg=60.0)

    inner, outer = (center_disc(SCREEN, (30, 16), size).mask for size in (20.0, 60.0))
    np.testing.assert_array_equal(ring.mask, outer & ~inner)
    assert (ring.name, ring.inner_diameter_deg, ring.outer_diameter_deg) == ("annulus", 20, 60)
    assert surround(SCREEN, (30, 16), 20.0).name == "surround"


def test_disc_at_the_edge_keeps_what_lies_on_the_screen():
    corner = center_disc(SCREEN, (0, 0), 30.0)

    assert corner.mask[0, 0]
    assert 0.2 < corner.mask.sum() / center_disc(SCREEN, (32, 18), 30.0).mask.sum() < 0.4


def test_full_field_has_no_background_left():
    content = np.random.default_rng(0).uniform(0, 255, SCREEN.shape)

    np.testing.assert_array_equal(full_field(SCREEN).compose(content), content)


@pytest.mark.parametrize("border_deg", [0.0, 10.0])
def test_background_is_seen_where_the_weights_are_0_and_mixed_in_below_1(border_deg):
    fixed = np.random.default_rng(0).uniform(0, 255, SCREEN.shape)
    region = center_disc(SCREEN, (20, 20), 30.0, border_deg=border_deg).around(fixed)

    shown = region.compose(np.full(SCREEN.shape, 200.0))

    np.testing.assert_array_equal(shown[~region.mask], fixed[~region.mask])
    np.testing.assert_allclose(shown - fixed, region.weights * (200.0 - fixed), atol=1e-9)


def test_still_content_on_a_moving_background_moves():
    fixed = np.random.default_rng(0).uniform(0, 255, (4, *SCREEN.shape))
    region = surround(SCREEN, (20, 20), 30.0).around(fixed)

    shown = region.compose(np.zeros(SCREEN.shape))

    assert shown.shape == fixed.shape
    np.testing.assert_array_equal(shown[:, ~region.mask], fixed[:, ~region.mask])
    assert (shown[:, region.mask] == 0).all()


@pytest.mark.parametrize("place", [(-1.0, 5.0), (64.0, 5.0), (3.0, 36.2), (np.nan, 5.0)])
def test_center_off_the_screen_is_refused_with_the_place(place):
    with pytest.raises(StimulusError, match=rf"x = {place[0]:.1f}, y = {place[1]:.1f} px lies off"):
        center_disc(SCREEN, place, 20.0)


def test_region_without_a_pixel_is_refused():
    with pytest.raises(StimulusError, match="'surround' at x = 32, y = 18 px, 170 to inf deg"):
        surround(SCREEN, (32, 18), 170.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: center_disc(SCREEN, (3, 3), 0.0), "from 0 to 0 deg"),
        (lambda: surround(SCREEN, (3, 3), 40.0, outer_diameter_deg=40.0), "from 40 to 40 deg"),
        (lambda: center_disc(SCREEN, (3, 3), 20.0, border_deg=-1.0), "border of -1 deg"),
        (lambda: surround(SCREEN, (3, 3), -5.0, outer_diameter_deg=40.0), "from -5 to 40 deg"),
        (lambda: center_disc(SCREEN, (3, 3), np.nan), "from 0 to nan deg"),
    ],
)
def test_sizes_out_of_range_are_refused(make, words):
    with pytest.raises(UnitsError, match=words):
        make()


def test_weights_and_background_of_different_screens_are_refused():
    with pytest.raises(ShapeError, match=r"\(3, 4\) and its background \(4, 3\)"):
        Region("mine", np.ones((3, 4)), np.ones((4, 3)))
