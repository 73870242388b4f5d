"""Frequency tuning against planted separable and speed-tuned neurons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insilico.errors import ShapeError, UnitsError
from insilico.fits.curves import CURVE_STATUS
from insilico.fits.frequency_tuning import (
    FREQUENCY_COLUMNS,
    SPEED_EXPONENT_RANGE,
    evaluate_frequency_tuning,
    fit_frequency_tuning,
)

SPATIAL_CPD = 0.01 * 2.0 ** np.arange(6)
TEMPORAL_HZ = 0.5 * 2.0 ** np.arange(5)
PARAMETERS = FREQUENCY_COLUMNS[:-1]


def planted(count, seed):
    rng = np.random.default_rng(seed)
    spatial = 2 ** rng.uniform(np.log2(0.02), np.log2(0.16), count)
    temporal = 2 ** rng.uniform(0, 2, count)
    # The width along the ridge; the section through the peak is what the table holds.
    along, across = rng.uniform(1.3, 3, count), rng.uniform(1.5, 3, count)
    exponent = rng.uniform(0, 1, count)
    return pd.DataFrame(
        {
            "preferred_spatial_frequency_cpd": spatial,
            "preferred_temporal_frequency_hz": temporal,
            "spatial_bandwidth_octaves": 1 / np.sqrt(along**-2 + (exponent / across) ** 2),
            "temporal_bandwidth_octaves": across,
            "speed_exponent": exponent,
            "preferred_speed_deg_s": temporal / spatial,
            "amplitude": rng.uniform(1, 5, count),
            "baseline": rng.normal(0, 1, count),
        }
    )


def test_noise_free_planes_are_recovered_exactly():
    truth = planted(150, 1)
    responses = evaluate_frequency_tuning(truth, SPATIAL_CPD, TEMPORAL_HZ)
    fit = fit_frequency_tuning(responses, SPATIAL_CPD, TEMPORAL_HZ)
    assert fit["status"].eq("ok").all()
    for name in PARAMETERS:
        np.testing.assert_allclose(fit[name], truth[name], rtol=1e-5, atol=1e-6, err_msg=name)
    again = evaluate_frequency_tuning(fit, SPATIAL_CPD, TEMPORAL_HZ)
    np.testing.assert_allclose(again, responses, atol=1e-6)


def test_noisy_parameters_scatter_as_their_errors_say():
    truth = planted(500, 2)
    responses = evaluate_frequency_tuning(truth, SPATIAL_CPD, TEMPORAL_HZ)
    noise = 0.04 * np.ptp(responses, axis=(1, 2))[:, None, None]
    responses += noise * np.random.default_rng(3).standard_normal(responses.shape)
    fit = fit_frequency_tuning(responses, SPATIAL_CPD, TEMPORAL_HZ)
    inside = fit["status"].eq("ok")
    assert inside.mean() > 0.95
    for name in PARAMETERS:
        z = np.abs((fit[name] - truth[name]) / fit[f"{name}_se"])[inside]
        assert 0.60 < (z < 1).mean() < 0.75, name
        assert 0.90 < (z < 2).mean() < 0.98, name


def test_bandwidths_are_where_the_section_has_fallen_to_half():
    row = planted(1, 4).iloc[0]
    for axis in ("spatial", "temporal"):
        octaves = row[f"{axis}_bandwidth_octaves"] / 2
        spatial, temporal = row.iloc[0], row.iloc[1]
        if axis == "spatial":
            spatial = spatial * 2**octaves
        else:
            temporal = temporal * 2**octaves
        value = evaluate_frequency_tuning(row, [spatial], [temporal])[0, 0]
        assert value == pytest.approx(row["baseline"] + row["amplitude"] / 2)


def test_speed_tuned_neuron_keeps_its_speed_and_a_separable_one_its_frequency():
    fine = 2.0 ** np.linspace(-2, 5, 400)
    for exponent in (0.0, 1.0):
        row = planted(1, 5).assign(speed_exponent=exponent, spatial_bandwidth_octaves=1.0).iloc[0]
        spatial = row["preferred_spatial_frequency_cpd"] * np.array([1.0, 2.0])
        best = fine[evaluate_frequency_tuning(row, spatial, fine).argmax(axis=1)]
        assert best[1] / best[0] == pytest.approx(2**exponent, rel=0.02)


@pytest.mark.parametrize("axis", ["spatial", "temporal"])
def test_single_value_along_an_axis_leaves_a_curve_over_the_other(axis):
    truth = planted(40, 6)
    if axis == "spatial":
        grids = SPATIAL_CPD, TEMPORAL_HZ[:1]
        truth["preferred_temporal_frequency_hz"] = TEMPORAL_HZ[0]
    else:
        grids = SPATIAL_CPD[:1], TEMPORAL_HZ
        truth["preferred_spatial_frequency_cpd"] = SPATIAL_CPD[0]
    responses = evaluate_frequency_tuning(truth, *grids)
    fit = fit_frequency_tuning(responses, *grids)
    assert fit["status"].eq("ok").all()
    tuned = [name for name in PARAMETERS if name.startswith((f"preferred_{axis}", axis))]
    for name in (*tuned, "amplitude", "baseline"):
        np.testing.assert_allclose(fit[name], truth[name], rtol=1e-5, atol=1e-6, err_msg=name)
    untold = set(PARAMETERS) - {*tuned, "amplitude", "baseline"}
    assert fit[sorted(untold)].isna().all(axis=None)
    np.testing.assert_allclose(evaluate_frequency_tuning(fit, *grids), responses, atol=1e-6)


def test_preference_outside_the_measured_range_is_at_bound():
    truth = planted(20, 7).assign(preferred_spatial_frequency_cpd=0.4)
    responses = evaluate_frequency_tuning(truth, SPATIAL_CPD, TEMPORAL_HZ)
    fit = fit_frequency_tuning(responses, SPATIAL_CPD, TEMPORAL_HZ)
    assert fit["status"].eq("at_bound").all()
    assert (fit["preferred_spatial_frequency_cpd"] > SPATIAL_CPD[-1]).all()


def test_curve_that_cannot_be_fitted_is_a_row_with_a_status():
    responses = evaluate_frequency_tuning(planted(3, 8), SPATIAL_CPD, TEMPORAL_HZ)
    responses[1], responses[2, 1, 1] = 0.1, np.nan
    fit = fit_frequency_tuning(responses, SPATIAL_CPD, TEMPORAL_HZ)
    assert fit["status"].tolist() == ["ok", "flat", "not_finite"]
    assert fit.drop(columns="status").iloc[1:].isna().all(axis=None)
    assert fit_frequency_tuning(responses[:0], SPATIAL_CPD, TEMPORAL_HZ).empty


@given(arrays(float, (2, 6, 1), elements=st.floats(-10, 10, width=32)))
def test_any_finite_curve_is_fitted_within_its_bounds(responses):
    fit = fit_frequency_tuning(responses, SPATIAL_CPD, TEMPORAL_HZ[:1])
    assert set(fit["status"]) <= set(CURVE_STATUS)
    fitted = fit[fit["status"].isin(["ok", "at_bound"])]
    assert fitted["preferred_spatial_frequency_cpd"].between(0.00499, 0.6401).all()
    assert fitted["spatial_bandwidth_octaves"].between(0.999, 20.001).all()


@given(st.floats(0.01, 100), st.integers(0, 1000))
def test_units_of_the_responses_do_not_matter(scale, seed):
    responses = evaluate_frequency_tuning(planted(1, seed), SPATIAL_CPD, TEMPORAL_HZ)
    first = fit_frequency_tuning(responses, SPATIAL_CPD, TEMPORAL_HZ)
    second = fit_frequency_tuning(scale * responses, SPATIAL_CPD, TEMPORAL_HZ)
    for name in PARAMETERS[:6]:
        np.testing.assert_allclose(second[name], first[name], rtol=1e-4, atol=1e-5)
    assert second["speed_exponent"].between(*SPEED_EXPONENT_RANGE).all()


@pytest.mark.parametrize(
    ("spatial", "temporal", "error", "message"),
    [
        (SPATIAL_CPD, TEMPORAL_HZ[:4], ShapeError, "neuron, spatial, temporal"),
        (SPATIAL_CPD - 0.01, TEMPORAL_HZ, UnitsError, "above 0"),
        (SPATIAL_CPD, TEMPORAL_HZ[::-1], UnitsError, "increasing"),
    ],
)
def test_impossible_frequencies_are_refused(spatial, temporal, error, message):
    with pytest.raises(error, match=message):
        fit_frequency_tuning(np.ones((2, 6, 5)), spatial, temporal)


def test_too_few_frequencies_are_refused():
    with pytest.raises(ShapeError, match="6 spatial and 2 temporal frequencies"):
        fit_frequency_tuning(np.ones((2, 6, 2)), SPATIAL_CPD, TEMPORAL_HZ[:2])
    with pytest.raises(ShapeError, match="3 combinations of frequencies; this curve has 4"):
        fit_frequency_tuning(np.ones((2, 3, 1)), SPATIAL_CPD[:3], TEMPORAL_HZ[:1])
