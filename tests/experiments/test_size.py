"""Size tuning: planted surrounds and answers to holes are found, and noise is told from them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import insilico
from insilico.errors import ProtocolError, ShapeError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.size import SizeProtocol, check_sizes
from insilico.experiments.size_curves import (
    hole_responses,
    inverse_tuning_index,
    shown_diameters,
)
from insilico.experiments.size_population import compare_population
from insilico.experiments.size_tables import INVERSE_STATUS, STATUS
from insilico.fits.size_curves import evaluate_hole_curve, evaluate_size_curve
from insilico.results import Responses, Result
from insilico.screen import SCREENS, Screen
from insilico.simulation import draw_contextual_population
from insilico.validation import summarize
from insilico.validation.size import compare_size
from insilico.validation.truth import planted_results

SIZE = find_experiment("size")


def protocol_with(**changes):
    return read_protocol(SizeProtocol, None, overrides=changes, experiment="size")


@pytest.fixture(scope="module", params=["image", "movie"])
def measured(request):
    population = draw_contextual_population(simple_count=7, energy_count=7, screen=Screen(), seed=1)
    twin = insilico.SimulatedV1(request.param, population=population)
    return twin, insilico.run("size", twin, given=planted_results(twin), jobs=1)


def test_preferred_size_suppression_and_holes_are_recovered(measured):
    summary = summarize(compare_size(*measured))
    assert summary["is_met"].all(), summary.to_string()
    assert {"hole recall (%)", "suppression index"} <= set(summary["check"])


def test_neurons_are_asked_where_they_look_and_in_their_direction(measured):
    twin, result = measured
    truth, table = twin.ground_truth, result.neurons
    np.testing.assert_array_equal(table["shown_x_px"], truth["x_px"].round())
    angle, period = ("orientation", 180) if twin.kind == "image" else ("direction", 360)
    off = (table["shown_direction_deg"] - truth[f"{angle}_deg"] + period / 2) % period - period / 2
    assert off.abs().max() <= 22.5
    # The largest whole disc about the middle of the Sensorium screen is as high as the screen.
    assert table["whole_until_deg"].max() <= 93.3


def test_holes_are_larger_than_discs_and_their_index_says_who_wins(measured):
    _, result = measured
    table = result.neurons
    holes = table["is_hole_responsive"]
    assert (table["inverse_preferred_size_deg"] > table["preferred_size_deg"])[holes].all()
    assert table.loc[~holes, "inverse_preferred_size_deg"].isna().all()
    assert (table.loc[~holes, "inverse_status"] == "no_hole_response").all()
    index = table["inverse_tuning_index"]
    assert index.dropna().between(0, 1).all()
    assert index[holes].min() > index[~holes].max()


def test_a_noiseless_twin_has_errors_of_fits_and_no_tests(measured):
    _, result = measured
    assert set(result.neurons["error_source"]) == {"fit"}
    assert not [name for name in result.neurons if name.endswith(("_p", "_q"))]
    assert "spread_over_phases" in result.arrays
    assert "response_sem" not in result.arrays
    assert result.neurons.loc[result.neurons["status"] == "ok", "preferred_size_deg_se"].gt(0).all()


def test_tests_over_neurons_are_rows_of_a_table(measured):
    population = measured[1].tables["population"].set_index("comparison")
    sizes = population.loc["preferred size (deg), inverse - classical, hole-responsive"]
    count = measured[1].neurons["is_hole_responsive"].sum()
    assert sizes["first_count"] == count
    # All prefer larger holes: the smallest p-value there is.
    assert sizes["p_value"] == pytest.approx(2.0 ** (1 - count))
    assert sizes["ci_low"] > 0


def test_population_curves_are_normalized_to_the_best_disc(measured):
    twin, result = measured
    curves = result.tables["population_curves"]
    center = curves[(curves["arrangement"] == "center") & (curves["group"] == "all")]
    assert center["mean"].iloc[0] == pytest.approx(0, abs=1e-6)
    assert 0.6 < center["mean"].max() <= 1
    assert (curves[curves["group"] == "all"]["count"] == len(twin.ground_truth)).all()


def test_published_rules_stand_beside_ours_with_their_quirks(measured):
    _, result = measured
    published, response = result.tables["published"], result.arrays["response"].to_numpy()
    best = result.arrays["diameter_deg"].to_numpy()[response[:, 0].argmax(axis=1)]
    np.testing.assert_array_equal(published["classic_preference_deg"], best)
    classical, inverse = response[:, 0], response[:, 1]
    z = (classical - classical.mean(1, keepdims=True)) / classical.std(1, keepdims=True)
    tuned = (z >= 1.98).any(1) & (z[:, 0] < 1.98)
    np.testing.assert_array_equal(published["classic_tuned"], tuned)
    assert not (published["inverse_tuned"] & ~published["classic_tuned"]).any()
    hole, disc = inverse.max(1) - inverse[:, 0], classical.max(1) - inverse[:, 0]
    known = hole + disc > 0
    index = (hole / np.where(known, hole + disc, np.nan))[known]
    np.testing.assert_allclose(published["inverse_tuning_index"][known], index, rtol=1e-6)


def test_models_of_the_curve_agree_on_what_it_shows(measured):
    twin, result = measured
    if twin.kind == "movie":
        pytest.skip("one kind is enough")
    other = insilico.run(
        "size",
        twin,
        overrides={"fit_model": "difference"},
        given=planted_results(twin),
        jobs=1,
    )
    clear = (result.neurons["suppression_index"] > 0.3) & (other.neurons["status"] == "ok")
    assert clear.sum() >= 5
    ratio = other.neurons["preferred_size_deg"] / result.neurons["preferred_size_deg"]
    assert abs(np.median(ratio[clear]) - 1) < 0.15
    assert set(other.neurons["status"]) <= set(STATUS)


def test_neurons_without_a_place_are_rows_that_say_so():
    twin = insilico.SimulatedV1("image", simple_count=4, energy_count=0)
    given = planted_results(twin)
    fields = given["retinotopy"].neurons.copy()
    fields.loc[0, "status"] = "unreliable"
    fields.loc[1, "x_px"] = -9.0
    given["retinotopy"] = dataclasses.replace(given["retinotopy"], tables={"neurons": fields})
    table = insilico.run("size", twin, given=given, jobs=1, overrides=SIZE.quick).neurons
    assert list(table["status"][:2]) == ["no_receptive_field", "off_screen"]
    assert list(table["inverse_status"][:2]) == ["no_receptive_field", "off_screen"]
    assert table["status"].isin(["ok", "at_bound"])[2:].all()
    assert table["preferred_size_deg"][:2].isna().all()
    assert not table["is_hole_responsive"][:2].any()
    nobody = insilico.run("size", twin, given=given, neurons=[0, 1], jobs=1, overrides=SIZE.quick)
    assert list(nobody.neurons["status"]) == ["no_receptive_field", "off_screen"]


def test_a_disc_larger_than_the_screen_is_refused(tmp_path):
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=0)
    sizes = [0.0, 10.0, 20.0, 30.0, 50.0, 130.0]
    with pytest.raises(ProtocolError, match=r"130 deg was asked for, and the screen is 124\.\d by"):
        insilico.run("size", twin, overrides={"diameter_deg": sizes}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    # The other laboratory's screen is 104 by 72 degrees: what it cuts is told by whole_until_deg.
    check_sizes(protocol_with().diameter_deg, SCREENS["rochefort"])


def test_discs_of_the_same_pixels_are_refused():
    with pytest.raises(ProtocolError, match=r"discs of 5 and 6 deg draw the same pixels, of 3\.4"):
        check_sizes((0.0, 5.0, 6.0, 20.0, 30.0, 40.0), Screen())


def test_sizes_are_those_of_the_pixels_drawn():
    shown = shown_diameters(Screen(), [0.0, 10.0, 20.0, 90.0])
    pixels = np.array([0, 9, 25, 889])  # counted in the published stimuli
    np.testing.assert_allclose(shown, Screen().diameter_deg(np.sqrt(pixels / np.pi)), rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"diameter_deg": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]}, "0 first"),
        ({"diameter_deg": [0.0, 10.0, 5.0, 20.0, 30.0, 40.0]}, "must increase"),
        ({"diameter_deg": [0.0, 10.0, 20.0]}, "6 or more"),
        ({"contrast": 0.0}, "contrast must lie above 0"),
        ({"fit_model": "parabola"}, "fit_model"),
        ({"field_share": 1.5}, "field_share"),
        ({"bootstrap_count": 1}, "bootstrap_count"),
    ],
)
def test_protocols_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ProtocolError, match=message):
        protocol_with(**changes)


def test_a_hole_counts_only_where_the_field_lies_in_it():
    disc = [0.0, 0.2, 0.6, 1.0, 0.8]
    evoked = np.array(
        [
            [disc, [0.3, 0.9, 0.2, 0.1, 0.0]],  # the small hole leaves the field uncovered
            [disc, [0.3, 0.2, 0.5, 0.7, 0.1]],
            [disc, [0.8, 0.1, 0.5, 0.7, 0.1]],  # no hole beats the full field
            [[0.0] * 5, [0.0, 1.0, 1.0, 1.0, 1.0]],  # no disc evokes anything to compare with
        ]
    )
    holes = hole_responses(evoked, field_share=0.5)
    np.testing.assert_array_equal(holes.best, [2, 3, 3, 0])
    np.testing.assert_allclose(holes.share, [-0.1, 0.4, -0.1, np.nan])


def test_index_stays_between_0_and_1_where_the_published_one_does_not():
    curves = np.array(
        [
            [[0, 1.0, 0.5], [0.5, 1.0, 0.2]],  # as far above the full field
            [[0, 0.2, 0.3], [0.5, 0.9, 0.2]],  # full field beats every disc
            [[0, 0.2, 0.3], [0.5, 0.4, 0.2]],  # and every hole
        ]
    )
    np.testing.assert_allclose(inverse_tuning_index(curves), [0.5, 1.0, np.nan])


# What recordings have: repeated trials with noise.

CURVE = {
    "gain": 4.0,
    "suppression_strength": 2.0,
    "center_width_deg": 12.0,
    "surround_width_deg": 45.0,
    "baseline": 0.0,
}


def recording(*, neurons=3, repeats=3, noise=0.3, has_holes=True, is_null=False, seed=0):
    """Noisy responses to the default stimuli as images: neuron 0 has answers to holes."""
    protocol = protocol_with(
        centers="screen",
        direction_deg=[90.0],
        image_phase_count=4,
        bootstrap_count=20,
        shuffle_count=200,
    )
    shown = SIZE.stimuli(protocol, Screen(), "image").conditions
    blank = shown[shown["contrast"] == 0]
    one = pd.concat([shown, blank, blank, blank], ignore_index=True)
    conditions = pd.concat([one] * repeats, ignore_index=True)
    conditions["trial"] = np.arange(len(conditions))
    diameter = shown_diameters(Screen(), conditions["diameter_deg"])
    disc = evaluate_size_curve(CURVE, diameter)
    hole = evaluate_hole_curve({**CURVE, "suppression_strength": 6.0}, diameter)
    is_disc = (conditions["arrangement"] == "center").to_numpy()
    outside = disc[np.argmax(diameter)] * np.exp(-diameter / 15)
    rate = np.empty((len(conditions), neurons))
    for neuron in range(neurons):
        answers = has_holes and neuron == 0
        rate[:, neuron] = np.where(is_disc, disc, hole if answers else outside)
    if is_null:
        rate[:] = 0
    rng = np.random.default_rng(seed)
    values = 2.0 + rate + noise * rng.standard_normal(rate.shape)
    table = pd.DataFrame(
        {
            "mouse": "m",
            "neuron": np.arange(neurons),
            "neuron_id": np.arange(neurons),
            "kind": "neuron",
        }
    )
    responses = Responses(
        values,
        table,
        conditions,
        units="recorded",
        source={"type": "recording"},
        has_trial_noise=True,
    )
    return responses, protocol


@pytest.fixture(scope="module")
def recorded():
    responses, protocol = recording()
    return SIZE.analyze(responses, protocol, screen=Screen())


def test_noisy_trials_are_tested_and_errors_are_over_trials(recorded):
    table = recorded.neurons
    assert list(table["status"]) == ["ok"] * 3
    assert list(table["is_hole_responsive"]) == [True, False, False]
    assert list(table["inverse_status"]) == ["ok", "no_hole_response", "no_hole_response"]
    assert set(table["error_source"]) == {"trials"}
    assert (table["response_q"] <= 0.05).all()
    assert (table["suppression_q"] <= 0.05).all()
    assert table["hole_q"].iloc[0] <= 0.05 < table["hole_q"].iloc[1:].min()
    assert "response_sem" in recorded.arrays


def test_preferred_size_lies_within_three_standard_errors_of_the_planted(recorded):
    dense = np.linspace(1, 90, 8901)
    planted = dense[evaluate_size_curve(CURVE, dense).argmax()]
    table = recorded.neurons
    error = (table["preferred_size_deg"] - planted).abs()
    assert (error <= 3 * table["preferred_size_deg_se"]).all()
    assert (table["preferred_size_deg_se"] < 5).all()


def test_noise_alone_responds_to_nothing():
    responses, protocol = recording(neurons=300, is_null=True, noise=1.0, seed=3)
    protocol = dataclasses.replace(protocol, bootstrap_count=2)
    table = SIZE.analyze(responses, protocol, screen=Screen()).neurons
    for name in ("response_p", "suppression_p"):
        assert 0.01 <= (table[name] <= 0.05).mean() <= 0.095, name
    # The larger of two p-values rejects less often than either.
    assert (table["hole_p"] <= 0.05).mean() <= 0.05
    assert table["status"].isin(["no_response", "silent"]).mean() >= 0.99
    assert not table["is_hole_responsive"].any()


def test_too_few_repeats_are_measured_and_not_tested(caplog):
    responses, protocol = recording(repeats=1)
    conditions = responses.conditions
    first = conditions[conditions["phase_deg"] == 0].drop_duplicates(
        ["arrangement", "diameter_deg"]
    )
    few = dataclasses.replace(
        responses,
        values=responses.values[first.index],
        conditions=first.assign(trial=range(len(first))),
    )
    table = SIZE.analyze(few, protocol, screen=Screen()).neurons
    assert "response_p" not in table
    assert set(table["error_source"]) == {"fit"}
    assert "too few repeats for a test: the rarest size was shown 1 times" in caplog.text


def test_eight_presentations_of_each_size_leave_the_fits_alone(caplog):
    # The best p-value of the four pairs in the test half is 1/16.
    responses, protocol = recording(repeats=2)
    assert list(SIZE.analyze(responses, protocol, screen=Screen()).neurons["status"]) == ["ok"] * 3
    assert "the rarest size was shown 8 times" in caplog.text


def test_a_missing_q_value_does_not_overrule_the_status(monkeypatch):
    def untested(curves, protocol):
        return {name: np.full(3, np.nan) for name in ("response_q", "hole_q")}

    monkeypatch.setattr("insilico.experiments.size_tables.trial_tests", untested)
    responses, protocol = recording()
    table = SIZE.analyze(responses, protocol, screen=Screen()).neurons
    assert list(table["status"]) == ["ok"] * 3
    assert table["is_hole_responsive"].iloc[0]


def test_rejected_fits_to_holes_are_not_compared(measured):
    table = measured[1].neurons.copy()
    holes = table.index[table["is_hole_responsive"]]
    table.loc[holes, "inverse_status"] = "ok"
    table.loc[holes[:2], "inverse_status"] = ["poor_fit", "at_bound"]
    table.loc[holes, "inverse_preferred_size_deg"] = 40.0
    table.loc[holes, "inverse_peak_response"] = 1.0
    rows = compare_population(table, seed=0).set_index("comparison")
    name = "preferred {}, inverse - classical, hole-responsive"
    assert rows.loc[name.format("size (deg)"), "first_count"] == len(holes) - 2
    assert rows.loc[name.format("response"), "first_count"] == len(holes) - 1
    # Their index is chosen by what it would be tested on.
    assert [label for label in rows.index if "index" in label] == [
        "inverse tuning index - 0.5, all"
    ]


def test_responses_without_holes_or_columns_are_refused():
    responses, protocol = recording()
    discs = responses.conditions["arrangement"] == "center"
    partly = dataclasses.replace(
        responses,
        values=responses.values[discs],
        conditions=responses.conditions[discs].assign(trial=range(int(discs.sum()))),
    )
    with pytest.raises(ShapeError, match="11 sizes of discs and 0 of holes, and no full field; 4"):
        SIZE.analyze(partly, protocol, screen=Screen())
    nameless = responses.conditions.drop(columns="diameter_deg")
    with pytest.raises(ShapeError, match="conditions of the responses lack diameter_deg"):
        SIZE.analyze(dataclasses.replace(responses, conditions=nameless), protocol, screen=Screen())


def test_silent_flat_and_broken_neurons_have_their_status():
    responses, protocol = recording(neurons=4, noise=0.05)
    values = responses.values.copy()
    values[:, 1] = 5.0
    values[:, 2] = 4 - values[:, 2]  # suppressed by every disc
    values[7, 3] = np.nan
    result = SIZE.analyze(
        dataclasses.replace(responses, values=values, has_trial_noise=False),
        protocol,
        screen=Screen(),
    )
    assert list(result.neurons["status"]) == ["ok", "silent", "silent", "not_finite"]
    assert set(result.neurons["inverse_status"]) <= set(INVERSE_STATUS)


def test_a_saved_result_is_the_same(recorded, tmp_path):
    again = Result.load(recorded.save(tmp_path / "size"))
    for name, table in recorded.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_surrounds_that_are_missing_in_some_rows_change_nothing(recorded):
    responses, protocol = recording()
    conditions = responses.conditions.copy()
    is_disc = conditions["arrangement"] == "center"
    conditions.loc[is_disc, ["surround_direction_deg", "surround_phase_deg"]] = np.nan
    partly = dataclasses.replace(responses, conditions=conditions)
    table = SIZE.analyze(partly, protocol, screen=Screen()).neurons
    pd.testing.assert_frame_equal(table, recorded.neurons)
