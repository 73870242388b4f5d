import numpy as np
import pytest

from insilico.simulation.behavior import (
    DILATION_RANGE,
    GAZE_MEAN,
    GAZE_STD,
    arousal,
    dilation_score,
    draw_session,
)

RATE_HZ = 30.0


@pytest.fixture(scope="module")
def session():
    """Two hours."""
    return draw_session(seed=[0], sample_count=int(7200 * RATE_HZ), rate_hz=RATE_HZ)


def test_mouse_rests_most_of_the_time_and_runs_in_bouts(session):
    is_running = session.speed > 0.5
    assert 0.05 < is_running.mean() < 0.4
    assert np.median(session.speed) < 0.02
    assert session.speed.min() >= 0
    assert 5 < session.speed.max() < 40
    onsets = np.sum(np.diff(is_running.astype(int)) == 1)
    bout_s = is_running.sum() / RATE_HZ / onsets
    assert 2 < bout_s < 15


def test_pupil_follows_running(session):
    assert 40 < session.dilation.mean() < 56
    assert 8 < session.dilation.std() < 15
    assert session.dilation.min() >= DILATION_RANGE[0]
    assert session.dilation.max() <= DILATION_RANGE[1]
    assert np.corrcoef(session.dilation, arousal(session.speed))[0, 1] > 0.3


def test_gaze_jumps_rarely_and_drifts_slowly_about_its_mean(session):
    np.testing.assert_allclose(session.gaze.mean(1), GAZE_MEAN, atol=1.0)
    np.testing.assert_allclose(session.gaze.std(1), GAZE_STD, rtol=0.15)
    step = np.abs(np.diff(session.gaze[0]))
    jumps = step > 2
    assert 0.05 < jumps.sum() / 7200 < 0.25
    assert np.median(step) < 0.3


def test_effects_of_behavior_are_bounded():
    speed = np.array([0.0, 1.0, 1e9])
    np.testing.assert_allclose(arousal(speed), [0, 0.5, 1])
    score = dilation_score(np.array([0.0, 48.0, 1e9]))
    assert score[1] == 0
    assert np.all(np.abs(score) <= 1)


def test_sessions_are_a_function_of_their_seed():
    first, again, other = (
        draw_session(seed=[n], sample_count=900, rate_hz=RATE_HZ) for n in (0, 0, 1)
    )
    for name in ("dilation", "speed", "gaze"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert np.any(first.gaze != other.gaze)
