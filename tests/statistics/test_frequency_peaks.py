"""Peaks and widths of smooth surfaces are found between the frequencies that were shown."""

import numpy as np
import pytest

from insilico.errors import ShapeError
from insilico.statistics.frequency_peaks import PEAK_COLUMNS, frequency_peaks

SPATIAL = np.array([0.01, 0.0155, 0.024, 0.0375, 0.058, 0.09, 0.14])
TEMPORAL = np.array([0.5, 1.0, 2.0, 3.0, 5.0, 8.0])


def gaussian(log_peak, width_octaves, frequencies):
    sd = width_octaves / (2 * np.sqrt(2 * np.log(2)))
    return np.exp(-0.5 * ((np.log2(frequencies) - log_peak) / sd) ** 2)


def surface(spatial, temporal, widths=(2.0, 2.5), baseline=0.0):
    return (
        baseline
        + gaussian(np.log2(spatial), widths[0], SPATIAL)[:, None]
        * gaussian(np.log2(temporal), widths[1], TEMPORAL)
    )[None]


def peaks(values, floor=0.0):
    return frequency_peaks(values, SPATIAL, TEMPORAL, floor=np.full(len(values), floor)).iloc[0]


@pytest.mark.parametrize("spatial", [0.02, 0.031, 0.045, 0.07])
@pytest.mark.parametrize("temporal", [1.2, 2.4, 4.0])
def test_peak_and_widths_of_a_gaussian_are_found(spatial, temporal):
    found = peaks(surface(spatial, temporal, widths=(1.8, 2.4), baseline=0.3), floor=0.3)
    assert found["preferred_spatial_frequency_cpd"] == pytest.approx(spatial, rel=0.02)
    assert found["preferred_temporal_frequency_hz"] == pytest.approx(temporal, rel=0.06)
    assert found["preferred_speed_deg_s"] == pytest.approx(temporal / spatial, rel=0.07)
    # Half a bandwidth above the peak lies within the frequencies shown, but not always below it.
    assert found["spatial_cutoff_cpd"] == pytest.approx(spatial * 2**0.9, rel=0.03)
    if np.isfinite(found["spatial_bandwidth_octaves"]):
        assert found["spatial_bandwidth_octaves"] == pytest.approx(1.8, abs=0.1)
    if np.isfinite(found["temporal_bandwidth_octaves"]):
        assert found["temporal_bandwidth_octaves"] == pytest.approx(2.4, abs=0.15)
    assert not found["is_at_end"]


def test_tuning_that_falls_steeply_has_its_peak_where_it_is():
    # f exp(-f / 3): a slow rise and a steep fall about 3 Hz.
    temporal = TEMPORAL * np.exp(-TEMPORAL / 3)
    values = gaussian(np.log2(0.04), 2.0, SPATIAL)[:, None] * temporal
    found = peaks(values[None])
    assert found["preferred_temporal_frequency_hz"] == pytest.approx(3.0, rel=0.02)


def test_a_side_that_never_falls_to_half_has_no_width():
    found = peaks(surface(0.013, 2.4, widths=(2.0, 2.5)))
    assert np.isnan(found["spatial_bandwidth_octaves"])
    assert found["spatial_cutoff_cpd"] == pytest.approx(0.026, rel=0.03)
    assert np.isfinite(found["temporal_bandwidth_octaves"])


@pytest.mark.parametrize(("spatial", "temporal"), [(0.005, 2.0), (0.3, 2.0), (0.04, 20.0)])
def test_a_peak_outside_is_said_to_be_at_the_end(spatial, temporal):
    assert peaks(surface(spatial, temporal))["is_at_end"]


def test_neurons_are_independent_and_nan_stays_with_its_own():
    values = np.concatenate([surface(0.02, 1.5), surface(0.06, 4.0), surface(0.03, 2.0)])
    values[2, 3, 3] = np.nan
    table = frequency_peaks(values, SPATIAL, TEMPORAL, floor=np.zeros(3))
    alone = frequency_peaks(values[1:2], SPATIAL, TEMPORAL, floor=np.zeros(1))
    np.testing.assert_allclose(table.iloc[1].to_numpy(float), alone.iloc[0].to_numpy(float))
    assert table.loc[2, list(PEAK_COLUMNS)].isna().all()


def test_one_axis_alone_is_measured_alone():
    values = gaussian(np.log2(0.033), 2.0, SPATIAL)[None, :, None]
    found = frequency_peaks(values, SPATIAL, np.ones(1), floor=np.zeros(1)).iloc[0]
    assert found["preferred_spatial_frequency_cpd"] == pytest.approx(0.033, rel=0.02)
    assert np.isnan(found["preferred_temporal_frequency_hz"])
    assert np.isnan(found["preferred_speed_deg_s"])


def test_what_cannot_be_measured_is_refused_in_a_sentence():
    with pytest.raises(ShapeError, match=r"give \(neuron, spatial, temporal\)"):
        frequency_peaks(np.zeros((2, 3)), SPATIAL, TEMPORAL, floor=np.zeros(2))
    with pytest.raises(ShapeError, match="give three"):
        frequency_peaks(np.zeros((2, 7, 2)), SPATIAL, TEMPORAL[:2], floor=np.zeros(2))
