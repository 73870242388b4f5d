import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import UnitsError
from insilico.screen import SCREENS, Screen

#: Screens of square pixels, of any size, at any distance.
screens = st.builds(
    lambda width_px, height_px, pixel_cm, distance_cm: Screen(
        width_px, height_px, width_px * pixel_cm, height_px * pixel_cm, distance_cm
    ),
    st.integers(1, 300),
    st.integers(1, 300),
    st.floats(0.05, 2),
    st.floats(5, 100),
)


@pytest.mark.parametrize(("name", "expected"), [("sensorium", 3.37112), ("rochefort", 2.28258)])
def test_degrees_per_pixel_equal_the_published_table(name, expected):
    assert SCREENS[name].degrees_per_px == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sensorium", [1.487, 2.996, 4.553, 6.184, 7.923, 9.810, 11.897, 14.257, 16.991]),
        ("rochefort", [2.196, 4.425, 6.725, 9.135, 11.703, 14.490, 17.574, 21.060, 25.098]),
    ],
)
def test_disc_radii_equal_the_published_table(name, expected):
    diameters = np.arange(10, 100, 10)
    np.testing.assert_allclose(SCREENS[name].radius_px(diameters), expected, atol=5.1e-4)


def test_spatial_frequency_in_pixels_equals_the_published_value():
    assert Screen().cycles_per_px(0.04) == pytest.approx(0.134845, abs=5e-7)


def test_position_in_degrees_is_zero_at_the_center_and_positive_to_the_upper_right():
    screen = Screen()
    assert screen.position_deg(*screen.center_px) == (0, 0)
    x_deg, y_deg = screen.position_deg(screen.width_px - 1, 0)
    assert x_deg > 0
    assert y_deg > 0


def test_edges_of_the_screen_lie_at_half_the_published_angles():
    x_deg, y_deg = Screen().position_deg(63.5, -0.5)
    assert 2 * x_deg == pytest.approx(124.1, abs=0.05)
    assert 2 * y_deg == pytest.approx(93.3, abs=0.05)


@given(screens, st.floats(-500, 500), st.floats(-500, 500))
def test_position_round_trips_between_pixels_and_degrees(screen, x_px, y_px):
    back = screen.position_px(*screen.position_deg(x_px, y_px))
    np.testing.assert_allclose(back, (x_px, y_px), rtol=1e-6, atol=1e-6)


@given(screens, st.floats(0, 179))
def test_size_round_trips_between_degrees_and_pixels(screen, diameter_deg):
    back = screen.diameter_deg(screen.radius_px(diameter_deg))
    assert back == pytest.approx(diameter_deg, abs=1e-9)


def test_contains_takes_the_outer_halves_of_the_outermost_pixels():
    screen = Screen()
    np.testing.assert_array_equal(
        screen.contains([-0.5, -0.51, 63.5, 63.51, np.nan], [0, 0, 35.5, 0, 0]),
        [True, False, True, False, False],
    )


def test_durations_become_the_nearest_number_of_frames():
    assert [Screen().frames(seconds) for seconds in (0, 0.8333, 2)] == [0, 25, 60]


def test_screen_survives_a_round_trip_through_plain_values():
    screen = Screen(width_cm=51.0, height_cm=29.0, distance_cm=20.0, frame_rate_hz=60.0, gray=100)
    assert Screen.from_dict(screen.to_dict()) == screen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distance_cm": 0}, "distance_cm is 0; give a positive"),
        ({"width_px": -1}, "width_px is -1"),
        ({"frame_rate_hz": math.inf}, "frame_rate_hz is inf"),
        ({"width_cm": math.nan}, "width_cm is nan"),
        ({"gray": 256}, "gray is 256; give a level from 0 to 255"),
        ({"width_cm": 60.0}, "pixels must be square"),
    ],
)
def test_impossible_screen_is_refused(changes, message):
    with pytest.raises(UnitsError, match=message):
        dataclasses.replace(Screen(), **changes)


@pytest.mark.parametrize("diameter_deg", [-1, 180, math.nan])
def test_impossible_diameter_is_refused(diameter_deg):
    with pytest.raises(UnitsError, match="give 0 or more, below 180"):
        Screen().radius_px(diameter_deg)


@pytest.mark.parametrize("x_deg", [90, -135])
def test_position_behind_the_screen_is_refused(x_deg):
    with pytest.raises(UnitsError, match="a flat screen ends before 90 degrees"):
        Screen().position_px(x_deg, 0)


@pytest.mark.parametrize("duration_s", [-0.1, math.nan, math.inf])
def test_impossible_duration_is_refused(duration_s):
    with pytest.raises(UnitsError, match="give a finite number, 0 or more"):
        Screen().frames(duration_s)


def test_unknown_field_of_a_screen_is_named():
    with pytest.raises(UnitsError, match=r"no field \['colour'\]"):
        Screen.from_dict({"colour": 3})
