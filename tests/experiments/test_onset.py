"""Response onset: planted latencies come back, and neurons without an answer get none."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import insilico
from insilico.errors import ProtocolError, ShapeError, StimulusError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.onset import ARRANGED, ARRANGED_STATUS, STATUS, compare_latencies
from insilico.experiments.protocols import build_protocol
from insilico.results import Responses, Result
from insilico.screen import Screen
from insilico.simulation import SimulatedV1, draw_contextual_population
from insilico.validation.comparison import summarize
from insilico.validation.onset import compare_onset
from insilico.validation.truth import planted_results

QUESTION = find_experiment("onset")


def protocol(name=None, **values):
    return read_protocol(QUESTION.protocol_type, name, overrides=values, experiment="onset")


def earlier(twin, *, answers=None):
    """Earlier results without error; of size only who answers to holes."""
    given = planted_results(twin)
    if answers is not None:
        table = given["direction"].neurons.assign(is_hole_responsive=answers)
        given["size"] = Result("size", {"neurons": table}, xr.Dataset(), {}, {})
    return given


@pytest.fixture(scope="module")
def measured():
    truth = draw_contextual_population(simple_count=6, energy_count=6, screen=Screen(), seed=3)
    twin = SimulatedV1("movie", population=truth)
    given = earlier(twin, answers=(truth["hole_strength"] > 0).to_numpy())
    return twin, given, insilico.run("onset", twin, given=given, jobs=1)


def test_latencies_are_those_of_the_ideal_measurement_within_a_frame(measured):
    twin, _, result = measured
    compared = compare_onset(twin, result)
    assert summarize(compared)["is_met"].all(), summarize(compared).to_string()
    error_s = (compared["recovered"] - compared["planted"]).abs()
    is_latency = compared["quantity"].isin(["center_latency_s", "inverse_latency_s"])
    assert (error_s[is_latency].dropna() <= 1 / 30).all()


def test_holes_are_answered_later_by_the_planted_delay(measured):
    twin, _, result = measured
    delay_s = twin.ground_truth["hole_latency_s"]
    has_hole = (twin.ground_truth["hole_strength"] > 0).to_numpy()
    difference_s = result.neurons["difference_s"]
    assert (difference_s - delay_s)[has_hole].abs().median() <= 1 / 30
    row = result.tables["population"].iloc[0]
    assert row["effect"] == pytest.approx(difference_s.median())
    assert row["ci_low"] <= row["effect"] <= row["ci_high"]
    assert (row["first_count"], row["left_out_count"]) == (has_hole.sum(), (~has_hole).sum())


def test_a_neuron_without_an_answer_to_holes_gets_no_inverse_latency(measured):
    twin, _, result = measured
    table = result.neurons
    has_hole = (twin.ground_truth["hole_strength"] > 0).to_numpy()
    assert table.loc[~has_hole, ["inverse_latency_s", "difference_s"]].isna().all(axis=None)
    assert set(table.loc[~has_hole, "inverse_status"]) <= {"no_response", "no_hole_response"}
    assert set(table.loc[has_hole, "inverse_status"]) == {"ok"}
    assert set(table["status"]) == {"ok"}
    assert table["center_latency_s"].notna().all()


def test_by_its_own_trace_any_response_to_the_hole_counts(measured):
    twin, given, _ = measured
    few = {"neurons": range(6), "given": {k: v for k, v in given.items() if k != "size"}}
    table = insilico.run("onset", twin, overrides={"hole_responses": "own"}, jobs=1, **few).neurons
    is_small = table["inverse_status"] == "no_response"
    share = (table["inverse_peak"] / table["center_peak"]).to_numpy()
    np.testing.assert_array_equal(is_small, share < 0.05)


def test_a_noiseless_twin_has_a_spread_over_phases_and_neither_errors_nor_tests(measured):
    _, _, result = measured
    table = result.neurons
    assert set(table["error_source"]) == {"phases"}
    assert not [name for name in table if name.endswith(("_se", "_p", "_q"))]
    assert "spread_over_phases" in result.arrays
    assert "trace_sem" not in result.arrays
    assert (table["center_latency_spread_s"] > 0).all()
    cells = result.tables["latencies"]
    assert len(cells) == 2 * 8 * 12
    one = cells[(cells["neuron"] == 4) & (cells["arrangement"] == "center")]
    spread_s = table.loc[table["neuron"] == 4, "center_latency_spread_s"].item()
    assert one["latency_s"].std() == pytest.approx(spread_s)


def test_published_rule_waits_for_a_frame_and_is_later(measured):
    twin, given, result = measured
    values = {"movie_phase_count": 5, "direction_deg": (), "lead_s": 1.0}
    published = insilico.run(
        "onset",
        twin,
        protocol="onset-published",
        overrides=values,
        given=given,
        neurons=range(6),
        jobs=1,
    )
    latency_s = published.neurons["center_latency_s"].dropna().to_numpy()
    assert len(latency_s) == 6
    np.testing.assert_allclose(30 * latency_s, np.round(30 * latency_s), atol=1e-9)
    better_s = result.neurons["center_latency_s"].iloc[:6]
    assert np.mean(latency_s - better_s) > 0


def test_published_trials_hold_five_patterns_of_half_a_second():
    stimuli = QUESTION.stimuli(protocol("onset-published"), Screen(), "movie")
    assert (len(stimuli), stimuli.trial_frames, stimuli.pattern_frames) == (16, 75 + 5 * 45, 15)
    first = stimuli.conditions[stimuli.conditions["trial"] == 0]
    assert list(first["onset_frame"]) == [90, 135, 180, 225, 270]
    assert QUESTION.window(protocol("onset-published"), Screen(), "movie") == (75, 300)


def test_places_without_a_receptive_field_are_said_not_guessed(measured):
    twin, given, _ = measured
    table = given["retinotopy"].neurons.copy()
    table.loc[0, "status"] = "unreliable"
    table.loc[1, "x_px"] = 200.0
    lost = given | {
        "retinotopy": dataclasses.replace(given["retinotopy"], tables={"neurons": table})
    }
    options = {"overrides": {"movie_phase_count": 2}, "given": lost, "jobs": 1}
    some = insilico.run("onset", twin, neurons=[0, 1, 2], **options).neurons
    assert list(some["status"])[:2] == ["no_receptive_field", "off_screen"]
    assert some["status"].iloc[2] == "ok"
    assert some["center_latency_s"].notna().tolist() == [False, False, True]
    nobody = insilico.run("onset", twin, neurons=[0, 1], **options)
    assert list(nobody.neurons["status"]) == ["no_receptive_field", "off_screen"]
    assert nobody.tables["population"]["status"].eq("no_data").all()


def test_an_image_twin_is_refused():
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=0)
    with pytest.raises(StimulusError, match=r"onset needs movies, and .* is a model of images"):
        insilico.run("onset", twin)


def test_a_missing_earlier_result_is_named(measured):
    twin, given, _ = measured
    with pytest.raises(ProtocolError, match="onset builds on size"):
        insilico.run("onset", twin, given={k: v for k, v in given.items() if k != "size"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"diameter_deg": 0.0}, "diameter_deg must lie above 0"),
        ({"contrast": 0.0}, "contrast must lie above 0"),
        ({"before_s": 0.0}, "it is the baseline"),
        ({"rise_fraction": 0.0}, "rise_fraction must lie above 0"),
        ({"minimum_share": 2.0}, "minimum_share lies in"),
        ({"window_end_s": 3.0}, "the window must lie within stimulus_s"),
        ({"method": "guess"}, "one of 'rise', 'published'|'rise' or 'published'|rise"),
    ],
)
def test_protocol_values_out_of_range_are_refused(values, message):
    with pytest.raises(ProtocolError, match=message):
        build_protocol(QUESTION.protocol_type, {**protocol().to_dict(), **values})


TIME_S = np.arange(-15, 30) / 30


def recorded(latency_s, height, *, noise, repeats=20, seed=0):
    """Trials of neurons that ramp up at a time, (neuron, arrangement)."""
    count = len(latency_s)
    rise = np.clip((TIME_S - np.asarray(latency_s)[..., None]) / 0.2, 0, 1)
    rise = rise * np.asarray(height)[..., None]
    shown = np.tile(np.arange(2), repeats)
    random = np.random.default_rng(seed)
    values = rise.swapaxes(0, 1)[shown] + noise * random.standard_normal((2 * repeats, count, 45))
    conditions = pd.DataFrame(
        {
            "trial": np.arange(2 * repeats),
            "onset_frame": 75,
            "arrangement": np.array(ARRANGED)[shown],
            "phase_deg": np.repeat(np.arange(repeats) % 4 * 90.0, 2),
        }
    )
    neurons = pd.DataFrame(
        {"mouse": "m", "neuron": range(count), "neuron_id": range(count), "kind": "neuron"}
    )
    return Responses(
        values,
        neurons,
        conditions,
        axes=("trial", "neuron", "frame"),
        first_frame=60,
        source={"type": "recording"},
        has_trial_noise=True,
    )


def analyze(responses, **values):
    return QUESTION.analyze(responses, protocol(**values), screen=Screen())


def test_recorded_trials_give_latencies_with_errors_that_hold():
    count = 60
    latency_s = np.tile([0.1, 0.16], (count, 1))
    result = analyze(recorded(latency_s, np.ones((count, 2)), noise=0.2, repeats=40))
    table = result.neurons
    assert set(table["status"]) == {"ok"}
    assert set(table["error_source"]) == {"trials"}
    assert "trace_sem" in result.arrays
    expected = {"center_latency_s": 0.15, "inverse_latency_s": 0.21, "difference_s": 0.06}
    for name, truth in expected.items():
        assert table[name].mean() == pytest.approx(truth, abs=0.015)
        # The standard error is the spread over neurons of one truth.
        ratio = table[f"{name}_se"].median() / table[name].std()
        assert 0.6 < ratio < 1.7, (name, ratio)
    assert (table["center_q"] <= 0.01).all()


def test_recorded_noise_alone_is_no_response_and_rejects_at_the_nominal_rate():
    nothing = np.zeros((400, 2))
    table = analyze(recorded(nothing, nothing, noise=1.0), bootstrap_count=2).neurons
    assert (table["status"] == "no_response").mean() > 0.99
    for name in ARRANGED:
        assert 0.02 < (table[f"{name}_p"] <= 0.05).mean() < 0.09
        assert (table[f"{name}_q"] <= 0.05).mean() < 0.01


def test_four_presentations_are_not_tested_and_keep_their_status(caplog):
    # The best p-value of four pairs is 1/16.
    few = recorded(np.full((3, 2), 0.1), np.ones((3, 2)), noise=0.02, repeats=4)
    table = analyze(few, bootstrap_count=2).neurons
    assert table[["center_p", "inverse_q"]].isna().all(axis=None)
    assert set(table["status"]) == set(table["inverse_status"]) == {"ok"}
    assert "too few repeats for a test: the center grating was shown 4 times" in caplog.text


def test_neurons_that_answer_one_arrangement_only_say_which():
    height = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    table = analyze(recorded(np.full((4, 2), 0.1), height, noise=0.1, repeats=40)).neurons
    assert list(table["status"]) == ["ok", "hole_only", "no_response", "ok"]
    assert list(table["inverse_status"]) == ["no_response", "ok", "no_response", "ok"]
    assert table["difference_s"].notna().tolist() == [False, False, False, True]
    assert set(table["status"]) <= set(STATUS)
    assert set(table["inverse_status"]) <= set(ARRANGED_STATUS)


def test_recorded_nan_is_a_status():
    responses = recorded(np.full((2, 2), 0.1), np.ones((2, 2)), noise=0.1)
    responses.values[3, 1, 7] = np.nan  # Trial 3 is an inverse grating.
    table = analyze(responses).neurons
    assert list(table["status"]) == ["ok", "ok"]
    assert list(table["inverse_status"]) == ["ok", "not_finite"]
    responses.values[2, 1, 7] = np.nan
    assert list(analyze(responses).neurons["status"]) == ["ok", "not_finite"]


def test_too_short_responses_are_refused_in_a_sentence():
    responses = recorded(np.full((1, 2), 0.1), np.ones((1, 2)), noise=0.1)
    short = dataclasses.replace(responses, values=responses.values[:, :, :30])
    with pytest.raises(ShapeError, match="shorten the window or respond to more frames"):
        analyze(short)


def test_population_without_a_difference_rejects_at_the_nominal_rate():
    random = np.random.default_rng(4)
    rejected = []
    for seed in range(100):
        latency_s = 0.1 + 0.02 * random.standard_normal((2, 25))
        table = pd.DataFrame(
            {"mouse": "m", "center_latency_s": latency_s[0], "inverse_latency_s": latency_s[1]}
        )
        rejected.append(compare_latencies(table, seed=seed)["p_value"] <= 0.05)
    assert (np.mean(rejected, axis=0) <= 0.12).all()


def test_overlapping_samples_are_named_and_come_after_the_paired_test():
    table = pd.DataFrame(
        {"mouse": "m", "center_latency_s": [0.1] * 6, "inverse_latency_s": [0.15] * 6}
    )
    names = list(compare_latencies(table, seed=0)["comparison"])
    assert "same neurons" in names[0]
    assert names[1].startswith("as published")
    assert "samples overlap" in names[1]
