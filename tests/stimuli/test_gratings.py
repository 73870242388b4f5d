import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import UnitsError
from insilico.screen import Screen
from insilico.stimuli import drifting_grating, static_grating

SCREEN = Screen()
PUBLISHED = {"spatial_frequency_cpd": 0.04, "temporal_frequency_hz": 2.0, "frame_count": 15}


def published_level(x, y, t, *, theta_deg, contrast, phase_deg):
    """One pixel of the published formula, written out in plain Python."""
    kappa = 2 * math.pi * 0.04 * (2 * math.degrees(math.atan(56.5 / 64 * 0.5 / 15)))
    theta = math.radians(theta_deg)
    space = kappa * ((x - 32) * math.cos(theta) - (y - 18) * math.sin(theta))
    wave = math.cos(space + 2 * math.pi * 2 / 30 * t + math.radians(phase_deg))
    return math.trunc(127.5 * (1 + contrast * wave))


@given(
    direction_deg=st.integers(0, 359),
    phase_deg=st.integers(0, 359),
    contrast=st.sampled_from([0.05, 0.5, 1.0]),
    x=st.integers(0, 63),
    y=st.integers(0, 35),
    t=st.integers(0, 14),
)
def test_every_level_is_that_of_the_published_formula(direction_deg, phase_deg, contrast, x, y, t):
    frames = drifting_grating(
        SCREEN, direction_deg=direction_deg, phase_deg=phase_deg, contrast=contrast, **PUBLISHED
    )
    expected = published_level(
        x, y, t, theta_deg=(direction_deg + 180) % 360, contrast=contrast, phase_deg=phase_deg
    )
    exact = drifting_grating(
        SCREEN,
        direction_deg=direction_deg,
        phase_deg=phase_deg,
        contrast=contrast,
        dtype=np.float64,
        **PUBLISHED,
    )[t, y, x]
    # Where the value is an integer but for rounding, truncation may go either way.
    if abs(exact - round(exact)) > 1e-9:
        assert frames[t, y, x] == expected
    assert abs(int(frames[t, y, x]) - expected) <= 1


@pytest.mark.parametrize("direction_deg", [0, 45, 90, 135, 180, 225, 270, 315])
def test_grating_moves_in_its_direction(direction_deg):
    """Track the phase of the grating's own frequency from frame to frame."""
    frames = drifting_grating(SCREEN, direction_deg=direction_deg, dtype=np.float64, **PUBLISHED)
    right = np.arange(64)
    up = -np.arange(36)[:, None]
    radians_per_px = 2 * np.pi * SCREEN.cycles_per_px(0.04)
    angle = np.radians(direction_deg)
    carrier = np.exp(-1j * radians_per_px * (right * np.cos(angle) + up * np.sin(angle)))
    window = np.hanning(36)[:, None] * np.hanning(64)
    phase = np.unwrap(np.angle(np.einsum("tyx,yx->t", frames - 127.5, carrier * window)))
    # A wave that moves along +s is cos(k s - w t): the phase falls by a full turn in 15 frames.
    np.testing.assert_allclose(np.diff(phase), -2 * np.pi / 15, atol=0.02)


def test_direction_0_shifts_the_bars_to_the_right_by_the_published_speed():
    frames = drifting_grating(SCREEN, direction_deg=0, dtype=np.float64, **PUBLISHED)
    speed_px = 0.494
    np.testing.assert_allclose(
        np.interp(np.arange(10, 50) + 2 * speed_px, np.arange(64), frames[2, 18]),
        frames[0, 18, 10:50],
        atol=12,  # linear interpolation of a sine
    )


def test_grating_comes_back_after_its_published_period_of_15_frames():
    frames = drifting_grating(
        SCREEN, direction_deg=30, dtype=np.float64, **{**PUBLISHED, "frame_count": 16}
    )
    np.testing.assert_allclose(frames[15], frames[0], atol=1e-9)


@pytest.mark.parametrize(("contrast", "low", "high"), [(1.0, 0, 255), (0.05, 121, 133)])
def test_levels_span_the_published_range(contrast, low, high):
    frames = drifting_grating(
        SCREEN, direction_deg=np.arange(0, 360, 15), contrast=contrast, **PUBLISHED
    )
    assert (frames.min(), frames.max()) == (low, high)
    assert frames.dtype == np.uint8


def test_uint8_levels_are_the_truncated_floating_ones():
    exact = drifting_grating(SCREEN, direction_deg=20, dtype=np.float64, **PUBLISHED)
    shown = drifting_grating(SCREEN, direction_deg=20, **PUBLISHED)
    np.testing.assert_array_equal(shown, np.trunc(exact))


def test_parameters_broadcast_and_match_single_gratings():
    directions, phases = np.array([[0.0], [77.0]]), np.array([0.0, 90.0, 200.0])
    together = drifting_grating(SCREEN, direction_deg=directions, phase_deg=phases, **PUBLISHED)
    assert together.shape == (2, 3, 15, 36, 64)
    alone = drifting_grating(SCREEN, direction_deg=77.0, phase_deg=200.0, **PUBLISHED)
    np.testing.assert_array_equal(together[1, 2], alone)


def test_static_grating_is_the_first_frame_of_the_drifting_one():
    still = static_grating(
        SCREEN, orientation_deg=70, spatial_frequency_cpd=0.04, phase_deg=33, contrast=0.7
    )
    drifting = drifting_grating(SCREEN, direction_deg=70, phase_deg=33, contrast=0.7, **PUBLISHED)
    np.testing.assert_array_equal(still, drifting[0])


def test_orientation_0_draws_vertical_bars():
    frame = static_grating(SCREEN, orientation_deg=0, spatial_frequency_cpd=0.04)
    assert np.ptp(frame, axis=0).max() == 0
    assert np.ptp(frame, axis=1).min() > 200


def test_another_screen_keeps_cycles_per_degree():
    far = Screen(width_cm=51.0, height_cm=29.0, distance_cm=20.0)
    frame = static_grating(far, orientation_deg=0, spatial_frequency_cpd=0.04, dtype=np.float64)
    period_px = 1 / (0.04 * far.degrees_per_px)
    np.testing.assert_allclose(
        frame[0], 127.5 * (1 + np.cos(2 * np.pi * (np.arange(64) - 32) / period_px)), atol=1e-9
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spatial_frequency_cpd": 0}, "spatial_frequency_cpd is 0; give cycles per degree"),
        ({"spatial_frequency_cpd": [0.04, math.inf]}, "spatial_frequency_cpd is"),
        ({"temporal_frequency_hz": -2}, "use direction_deg to reverse the motion"),
        ({"temporal_frequency_hz": math.nan}, "temporal_frequency_hz is nan"),
        ({"contrast": 1.01}, "contrast is 1.01; give a number from 0 to 1"),
        ({"contrast": math.nan}, "contrast is nan"),
        ({"frame_count": 0}, "frame_count is 0; give at least 1"),
        ({"direction_deg": math.nan}, "give finite degrees"),
        ({"phase_deg": math.inf}, "give finite degrees"),
    ],
)
def test_impossible_grating_is_refused(change, message):
    with pytest.raises(UnitsError, match=message):
        drifting_grating(SCREEN, **{"direction_deg": 0, **PUBLISHED, **change})
