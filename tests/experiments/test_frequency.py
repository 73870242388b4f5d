"""Frequency tuning: peaks of simulated neurons come back, and limits are called limits."""

import numpy as np
import pandas as pd
import pytest

import insilico
from insilico.errors import ProtocolError, ShapeError, UnitsError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.frequency import (
    AXES,
    FIT_STATUS,
    STATUS,
    measure_frequency_tuning,
    summarize_population,
)
from insilico.experiments.protocols import build_protocol
from insilico.results import Responses
from insilico.screen import Screen
from insilico.simulation import SimulatedV1, draw_contextual_population
from insilico.validation.comparison import summarize
from insilico.validation.frequency import compare_frequency
from insilico.validation.truth import planted_results

QUESTION = find_experiment("frequency")


def protocol(**values):
    return read_protocol(QUESTION.protocol_type, None, overrides=values, experiment="frequency")


@pytest.fixture(scope="module", params=["image", "movie"])
def measured(request):
    truth = draw_contextual_population(simple_count=6, energy_count=6, screen=Screen(), seed=1)
    # All prefer one direction, so that they share their stimuli and the test is short.
    truth = truth.assign(direction_deg=90.0, orientation_deg=90.0)
    twin = SimulatedV1(request.param, population=truth)
    return twin, insilico.run("frequency", twin, given=planted_results(twin), jobs=1)


def test_preferred_frequencies_are_those_of_the_dense_measurement(measured):
    twin, result = measured
    summary = summarize(compare_frequency(twin, result))
    assert summary["is_met"].all(), summary.to_string()
    is_error = summary["check"].str.endswith("frequency error (%)")
    assert is_error.sum() == (2 if twin.kind == "image" else 4)
    assert (summary.loc[is_error, "value"] <= 10).all()


def test_images_have_no_temporal_frequency_and_movies_do(measured):
    twin, result = measured
    table = result.neurons
    about_time = ["preferred_temporal_frequency_hz", "speed_exponent", "preferred_speed_deg_s"]
    if twin.kind == "image":
        assert table[about_time].isna().all(axis=None)
        assert list(result.arrays["temporal_frequency_hz"]) == [0.0]
    else:
        assert table.loc[table["fit_status"] == "ok", about_time].notna().all(axis=None)
    assert table["response_to_gray"].abs().max() < 1e-5


def test_a_noiseless_twin_has_errors_of_the_fit_alone(measured):
    _, result = measured
    table = result.neurons
    assert set(table["error_source"]) == {"fit"}
    assert "preferred_spatial_frequency_cpd_se" not in table
    assert not [name for name in table if name.endswith(("_p", "_q"))]
    assert "spread_over_phases" in result.arrays
    assert set(table["status"]) <= set(STATUS)
    assert set(table["fit_status"]) <= set(FIT_STATUS)


def test_every_combination_is_a_row_of_the_surfaces(measured):
    twin, result = measured
    rows = result.tables["surfaces"]
    count = 7 * (1 if twin.kind == "image" else 6)
    assert len(rows) == 12 * count
    one = rows[rows["neuron"] == 5].set_index(list(AXES))["response"]
    surface = result.arrays["response"].sel(neuron=5)
    for (spatial, temporal), response in one.items():
        assert surface.sel(
            spatial_frequency_cpd=spatial, temporal_frequency_hz=temporal
        ) == pytest.approx(response)


def test_the_mean_holds_whole_cycles_at_every_frequency_of_the_protocol():
    # A rectified sinusoid has all even harmonics; its mean is 1/pi whatever the frequency. What is
    # left at 5 Hz is its sampling by six frames a cycle.
    values, screen = protocol(), Screen()
    first, stop = values.window(screen)
    time_s = np.arange(first, stop) / screen.frame_rate_hz
    phases = np.arange(values.movie_phase_count) / values.movie_phase_count
    for frequency in values.temporal_frequency_hz:
        cycles = frequency * time_s + phases[:, None]
        assert np.maximum(np.cos(2 * np.pi * cycles), 0).mean() == pytest.approx(
            1 / np.pi, rel=0.025
        )


def test_discs_are_shown_at_receptive_fields_that_are_found_or_nothing_is():
    truth = draw_contextual_population(simple_count=2, energy_count=1, screen=Screen(), seed=2)
    twin = SimulatedV1("image", population=truth)
    given = planted_results(twin)
    table = given["retinotopy"].neurons
    table.loc[0, "status"] = "unreliable"
    angles = [name for name in given["direction"].neurons if name.endswith("_deg")]
    given["direction"].neurons.loc[1, angles] = np.nan
    values = {"is_full_field": False, "centers": "neuron"}
    result = insilico.run("frequency", twin, overrides=values, given=given, jobs=1)
    assert list(result.neurons["status"])[:2] == ["no_receptive_field", "no_preference"]
    assert result.neurons["status"].iloc[2] in ("ok", "at_bound")
    assert result.neurons.loc[:1, "preferred_spatial_frequency_cpd"].isna().all()
    full = QUESTION.stimuli(protocol(), Screen(), "image").conditions
    assert set(full["arrangement"]) == {"iso"}


def test_a_result_it_builds_on_is_named():
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=0)
    with pytest.raises(ProtocolError, match="frequency builds on direction"):
        insilico.run("frequency", twin)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"spatial_frequency_cpd": (0.02, 0.04)}, "holds two values"),
        ({"spatial_frequency_cpd": (0.04,)}, "three spatial_frequency_cpd or more"),
        ({"temporal_frequency_hz": (4.0, 2.0, 1.0)}, "must rise"),
        ({"temporal_frequency_hz": (0.0, 1.0, 2.0)}, "from above 0"),
        ({"contrast": 0.0}, "contrast must lie above 0"),
        ({"bootstrap_count": 1}, "bootstrap_count must be 2 or more"),
    ],
)
def test_protocol_values_out_of_range_are_refused(values, message):
    with pytest.raises(ProtocolError, match=message):
        build_protocol(QUESTION.protocol_type, {**protocol().to_dict(), **values})


def test_a_grating_finer_than_the_pixels_is_refused():
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=0)
    finest = {"spatial_frequency_cpd": (0.05, 0.1, 0.2), "direction_deg": (0.0,)}
    with pytest.raises(UnitsError, match=r"the pixels of this screen show at most 0\.148"):
        insilico.run("frequency", twin, overrides=finest)


SPATIAL, TEMPORAL = np.array([0.015, 0.03, 0.06, 0.12]), np.array([0.5, 1.0, 2.0, 4.0, 8.0])


def recorded(height, *, noise, repeats=10, seed=0):
    """Trials of neurons with a Gaussian surface about 0.04 cycles per degree and 2 Hz."""
    shape = np.exp(-0.5 * np.log2(SPATIAL / 0.04)[:, None] ** 2 - 0.5 * np.log2(TEMPORAL / 2) ** 2)
    grid = np.stack(np.meshgrid(SPATIAL, TEMPORAL, indexing="ij"), axis=-1).reshape(-1, 2)
    shown = np.tile(np.arange(len(grid)), repeats)
    random = np.random.default_rng(seed)
    evoked = shape.reshape(-1)[shown, None] * np.asarray(height)
    # A second of gray, and two of a grating.
    values = noise * random.standard_normal((len(shown), len(height), 90))
    values[:, :, 30:] += evoked[:, :, None]
    conditions = pd.DataFrame(
        {"trial": np.arange(len(shown)), "onset_frame": 30, **dict(zip(AXES, grid[shown].T))}  # noqa: B905
    )
    count = len(height)
    neurons = pd.DataFrame(
        {"mouse": "m", "neuron": range(count), "neuron_id": range(count), "kind": "neuron"}
    )
    axes = ("trial", "neuron", "frame")
    source = {"type": "recording"}
    return Responses(values, neurons, conditions, axes=axes, source=source, has_trial_noise=True)


def analyze(responses, **values):
    return QUESTION.analyze(responses, protocol(**values), screen=Screen())


def test_recorded_trials_give_peaks_with_errors_that_hold():
    result = analyze(recorded(np.ones(40), noise=1.0))
    table = result.neurons
    assert set(table["status"]) == {"ok"}
    assert set(table["error_source"]) == {"trials"}
    assert "response_sem" in result.arrays
    for name, truth in (
        ("preferred_spatial_frequency_cpd", 0.04),
        ("preferred_temporal_frequency_hz", 2.0),
        ("fitted_spatial_frequency_cpd", 0.04),
        ("fitted_temporal_frequency_hz", 2.0),
    ):
        assert table[name].median() == pytest.approx(truth, rel=0.05)
        # The standard error is the spread over neurons of one truth.
        ratio = table[f"{name}_se"].median() / table[name].std()
        assert 0.5 < ratio < 2.0, (name, ratio)
    assert (table["response_q"] <= 0.01).all()


def test_recorded_noise_alone_rejects_at_the_nominal_rate():
    table = analyze(recorded(np.zeros(250), noise=1.0, repeats=3), bootstrap_count=2).neurons
    assert 0.02 < (table["response_p"] <= 0.05).mean() < 0.09
    assert (table["response_q"] <= 0.05).mean() < 0.01
    assert (table["fit_status"] == "ok").mean() < 0.5


def test_silent_constant_and_missing_responses_are_statuses():
    surface = np.zeros((3, 4, 5))
    surface[1] = 3.0
    surface[2, 1, 1] = np.nan
    found = measure_frequency_tuning(surface, SPATIAL, TEMPORAL, gray=np.zeros(3))
    assert list(found["status"]) == ["flat", "flat", "not_finite"]
    assert list(found["fit_status"]) == ["flat", "flat", "not_finite"]


def test_a_combination_that_was_not_shown_is_missing_not_zero():
    responses = recorded(np.ones(2), noise=0.1, repeats=3)
    shown = responses.conditions["spatial_frequency_cpd"] != 0.12
    shown |= responses.conditions["temporal_frequency_hz"] != 8
    conditions = responses.conditions[shown].assign(trial=np.arange(shown.sum()))
    some = Responses(
        responses.values[shown.to_numpy()],
        responses.neurons,
        conditions.reset_index(drop=True),
        axes=responses.axes,
        has_trial_noise=True,
    )
    result = analyze(some)
    assert set(result.neurons["status"]) == {"not_finite"}
    assert np.isnan(result.arrays["response"]).sum() == 2


def test_responses_without_frequencies_are_refused_in_a_sentence():
    responses = recorded(np.ones(1), noise=0.1, repeats=2)
    without = responses.conditions.drop(columns="temporal_frequency_hz")
    bare = Responses(
        responses.values, responses.neurons, without, axes=responses.axes, has_trial_noise=True
    )
    with pytest.raises(ShapeError, match="no column 'temporal_frequency_hz'"):
        analyze(bare)


def test_population_tests_reject_at_the_nominal_rate_without_an_effect():
    random = np.random.default_rng(5)
    rejected = []
    for seed in range(40):
        table = pd.DataFrame({"mouse": "m", "status": "ok", "fit_status": ["ok"] * 20})
        for name in ("preferred_spatial_frequency_cpd", "preferred_temporal_frequency_hz"):
            table[name] = 2 ** random.standard_normal(20)
        table["speed_exponent"] = random.standard_normal(20)
        others = set(QUESTION.summary_columns) | {"spatial_cutoff_cpd", "temporal_cutoff_hz"}
        for name in (others | {"preferred_speed_deg_s"}) - set(table):
            table[name] = 1.0
        rows = summarize_population(table, seed=seed).set_index("quantity")
        p_value = rows["p_value"].dropna()
        assert len(p_value) == 2
        rejected.append(p_value <= 0.05)
    assert (np.mean(rejected, axis=0) <= 0.15).all()
