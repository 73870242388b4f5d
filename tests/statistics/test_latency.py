"""Latencies are those of known ramps, whatever their size, and noise alone has none."""

import numpy as np
import pytest

from insilico.errors import ShapeError, UnitsError
from insilico.statistics.latency import LATENCY_STATUS, rise_latency, z_latency

TIME_S = np.arange(-15, 30) / 30


def ramp(latency_s, rise_s=0.2, *, height=1.0, baseline=0.0):
    """A straight rise from the latency on, then a plateau."""
    return baseline + height * np.clip((TIME_S - latency_s) / rise_s, 0, 1)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("latency_s", [0.0, 0.041, 0.2])
def test_crossing_of_a_ramp_is_found_between_frames(fraction, latency_s):
    found = rise_latency(ramp(latency_s), TIME_S, end_s=1.0, fraction=fraction)
    # Only the corners of the ramp fall between frames.
    assert found.latency_s == pytest.approx(latency_s + 0.2 * fraction, abs=0.034)
    middle = rise_latency(ramp(0.1), TIME_S, end_s=1.0, fraction=0.5)
    assert middle.latency_s == pytest.approx(0.2, abs=1e-9)


def test_latency_depends_on_neither_size_nor_baseline():
    traces = np.stack([ramp(0.1), ramp(0.1, height=1e-3), ramp(0.1, height=5, baseline=-20)])
    latency_s = rise_latency(traces, TIME_S, end_s=1.0, fraction=0.25).latency_s
    np.testing.assert_allclose(latency_s, 0.15)


def test_table_of_what_a_latency_rests_on():
    found = rise_latency(ramp(0.1, height=4, baseline=2), TIME_S, end_s=1.0, fraction=0.25)
    assert (found.baseline, found.baseline_sd, found.peak, found.threshold) == (2, 0, 6, 3)


def test_what_has_no_latency_says_why():
    traces = np.stack(
        [
            ramp(0.1),
            np.zeros(45),
            ramp(0.1, height=-1, baseline=2),
            ramp(0.1, height=1e-4, baseline=1),
            ramp(-0.2),
            np.where(TIME_S > 0.5, np.nan, 1.0),
        ]
    )
    found = rise_latency(traces, TIME_S, end_s=1.0, fraction=0.25)
    expected = ["ok", "no_response", "no_response", "no_response", "before_onset", "not_finite"]
    assert list(found.status) == expected
    assert set(expected) == set(LATENCY_STATUS)
    np.testing.assert_array_equal(np.isfinite(found.latency_s), found.status == "ok")


def test_a_response_that_is_smaller_than_asked_for_is_none():
    traces = np.stack([ramp(0.1), ramp(0.1, height=0.1)])
    found = rise_latency(traces, TIME_S, end_s=1.0, fraction=0.25, minimum_rise=[[0.5], [0.5]])
    assert found.status.tolist() == [["ok", "no_response"], ["ok", "no_response"]]


def test_a_response_after_the_window_does_not_count():
    found = rise_latency(ramp(0.6), TIME_S, end_s=0.5, fraction=0.25)
    assert found.status == "no_response"


def test_noise_alone_has_no_latency_and_a_clear_response_keeps_its_own():
    noise = 0.05 * np.random.default_rng(0).standard_normal((2000, 45))
    options = {"end_s": 1.0, "fraction": 0.25, "minimum_sd": 3.0}
    assert np.mean(rise_latency(noise, TIME_S, **options).status == "ok") < 0.005
    found = rise_latency(noise + ramp(0.1, height=2), TIME_S, **options)
    assert (found.status == "ok").all()
    # The peak of a noisy plateau lies above it, so the threshold is met a little late.
    assert np.median(found.latency_s) == pytest.approx(0.15, abs=0.01)


def test_z_latency_is_the_published_rule():
    random = np.random.default_rng(1)
    traces = np.stack([ramp(0.1) + 0.1, ramp(0.2, height=0.6)])[
        None
    ] + 0.05 * random.standard_normal((50, 2, 45))
    found = z_latency(traces, TIME_S, end_s=1.0)
    for neuron in range(50):
        joined = np.concatenate(traces[neuron])
        z = (traces[neuron] - joined.mean()) / joined.std()
        for arrangement in range(2):
            frames = np.flatnonzero(z[arrangement, 15:] >= 1)
            expected = frames[0] / 30 if len(frames) else np.nan
            assert found.latency_s[neuron, arrangement] == pytest.approx(expected, nan_ok=True)


def test_z_latency_of_a_constant_is_missing():
    found = z_latency(np.ones((1, 2, 45)), TIME_S, end_s=1.0)
    assert found.status.tolist() == [["no_response", "no_response"]]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"fraction": 0.0}, UnitsError, "give one above 0, at most 1"),
        ({"end_s": 0.0}, UnitsError, "give an end after the onset"),
        ({"time_s": TIME_S[:-1]}, ShapeError, "give one time a frame"),
        ({"time_s": TIME_S + 0.5}, ShapeError, "a baseline needs at least two"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(values, error, message):
    values = {"time_s": TIME_S, "end_s": 1.0, "fraction": 0.5} | values
    with pytest.raises(error, match=message):
        rise_latency(np.zeros(45), values.pop("time_s"), **values)
