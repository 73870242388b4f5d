"""Center and surround: modulation is recovered, flips are found in noise, and null data are not."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest

import insilico
from insilico.errors import ProtocolError, ShapeError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.flips import FLIP_STATUS, Flips, is_flip
from insilico.experiments.modulation import Pairs, pair_presentations
from insilico.experiments.surround import tidy_conditions
from insilico.results import Responses, Result
from insilico.screen import Screen
from insilico.simulation import draw_contextual_population
from insilico.validation.comparison import summarize
from insilico.validation.surround import compare_surround
from insilico.validation.truth import planted_results

SHORT = {"lead_s": 0.5, "movie_phase_count": 1}
ARRANGED = ("center", "iso", "cross", "shift")


@functools.cache
def measured(kind):
    count = {"image": 16, "movie": 6}[kind]
    population = draw_contextual_population(
        simple_count=count, energy_count=count, screen=Screen(), seed=3
    )
    twin = insilico.SimulatedV1(kind, population=population)
    given = planted_results(twin)
    return twin, insilico.run("surround", twin, overrides=SHORT, given=given, jobs=1)


def protocol_of(**values):
    question = find_experiment("surround")
    return read_protocol(
        question.protocol_type, None, experiment="surround", overrides={**SHORT, **values}
    )


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_modulation_by_iso_and_cross_surrounds_is_recovered(kind):
    twin, result = measured(kind)
    summary = summarize(compare_surround(twin, result))
    assert summary["is_met"].all(), summary.to_string()
    assert (summary["count"] > 0).all()


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_neurons_made_to_flip_with_contrast_are_those_that_do(kind):
    twin, result = measured(kind)
    planted = (twin.ground_truth["facilitation"] > 0).to_numpy()
    assert (result.neurons["is_flip"] == planted).mean() > 0.85


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_a_noiseless_twin_gets_no_p_values_of_single_neurons(kind):
    _, result = measured(kind)
    table = result.neurons
    assert not {"flip_p", "flip_q", "cross_iso_high_p", "cross_iso_low_q"} & set(table)
    assert table["cmi_high_se"].isna().all()
    assert table["cmi_high_spread"].notna().all() == (kind == "image")  # movies: one phase
    assert set(table["flip_status"]) == {"noiseless"}
    assert set(table["error_source"]) == {"phases"}
    assert result.tables["flips"]["p_value"].isna().all()
    assert {"response", "spread_over_phases", "baseline"} <= set(result.arrays)


def test_population_is_tested_over_neurons_with_an_effect_and_its_interval():
    _, result = measured("image")
    tests = result.tables["population"].set_index(["comparison", "contrast"])
    row = tests.loc[("center - cross", 1.0)]
    counted = result.neurons[result.neurons["status"] == "ok"]
    assert row["neuron_count"] == len(counted)
    assert row["effect"] == pytest.approx((counted["center_high"] - counted["cross_high"]).median())
    assert row["ci_low"] <= row["effect"] <= row["ci_high"]
    assert 0 < row["p_value"] < 0.01


def test_iso_is_shown_once_a_contrast_and_serves_every_diameter():
    question, screen = find_experiment("surround"), Screen()
    protocol = protocol_of(diameter_deg=[10.0, 20.0, 40.0])
    shown = question.stimuli(protocol, screen, "movie").conditions
    counts = shown.groupby("arrangement").size()
    assert counts.to_dict() == {"center": 6, "cross": 12, "iso": 2, "shift": 6}
    assert sorted(shown["surround_turn_deg"].unique()) == [-90, 0, 90]
    twin = measured("movie")[0]
    options = {"given": planted_results(twin), "jobs": 1, "neurons": [0, 1]}
    result = insilico.run("surround", twin, protocol=protocol, **options)
    iso = result.arrays["response"].sel(arrangement="iso")
    assert iso.sizes["diameter_deg"] == 3
    assert (iso.std("diameter_deg") == 0).all()
    table = result.tables["conditions"]
    assert len(table) == 2 * 2 * (1 + 3 * 3)
    assert set(table.loc[table["arrangement"] == "iso", "diameter_deg"]) == {0.0}


def test_published_protocol_shows_what_was_published():
    question = find_experiment("surround")
    name = "surround-published"
    protocol = read_protocol(question.protocol_type, name, experiment="surround")
    stimuli = question.stimuli(protocol, Screen(), "movie")
    center = stimuli.conditions.query("arrangement == 'center'")
    assert len(center) == 2 * 5 * 2 * 12
    assert list(np.unique(center["direction_deg"])) == [90, 270]
    assert stimuli.trial_frames == 60 + 4 * 60
    assert stimuli.pattern_frames == 30
    first, stop = question.window(protocol, Screen(), "movie")
    assert (first, stop) == (60, 60 + 3 * 60 + 45)


def test_images_get_one_blank_and_its_response_is_the_baseline():
    stimuli = find_experiment("surround").stimuli(protocol_of(), Screen(), "image")
    blank = stimuli.conditions.query("contrast == 0")
    assert len(blank) == 1
    assert (stimuli.render(range(int(blank["trial"].iloc[0]) + 1))[-1] == Screen().gray).all()


def test_neurons_without_a_place_keep_a_row_and_nothing_else():
    twin, _ = measured("image")
    given = planted_results(twin)
    fields = given["retinotopy"].neurons
    fields.loc[0, ["status", "x_px"]] = ["unreliable", np.nan]
    fields.loc[1, "x_px"] = 1000.0
    options = {"given": given, "overrides": SHORT, "jobs": 1}
    table = insilico.run("surround", twin, neurons=[0, 1, 2], **options).neurons
    assert list(table["status"]) == ["no_receptive_field", "off_screen", "ok"]
    assert table["cmi_high"].isna().tolist() == [True, True, False]
    assert list(table["flip_status"]) == ["not_measured", "not_measured", "noiseless"]
    nobody = insilico.run("surround", twin, neurons=[0, 1], **options)
    assert len(nobody.neurons) == 2
    assert len(nobody.tables["conditions"]) == 16


def recorded(rates, *, repeats=12, noise=1.0, seed=0, neuron_count=40, phases=4):
    """Responses as a recording has them: every arrangement at two contrasts, with trial noise.

    ``rates`` gives the mean response by contrast and arrangement.
    """
    rows = [
        (contrast, name, 45.0 * phase, turn)
        for contrast in (0.05, 1.0)
        for name in ARRANGED
        for phase in range(phases)
        for turn in ((90.0, 270.0) if name == "cross" else (0.0,))
    ] * repeats
    columns = ["contrast", "arrangement", "phase_deg", "surround_direction_deg"]
    shown = pd.DataFrame(rows, columns=columns)
    onset, trial = 15, np.arange(len(shown))
    shown = shown.assign(trial=trial, onset_frame=onset, direction_deg=0.0, diameter_deg=20.0)
    mean = np.array(
        [
            rates[c][ARRANGED.index(n)]
            for c, n in zip(shown.contrast, shown.arrangement, strict=True)
        ]
    )
    random = np.random.default_rng(seed)
    drawn = mean[:, None] + noise * random.standard_normal((len(shown), neuron_count))
    values = np.ones((len(shown), neuron_count, onset + 30))
    values[:, :, onset:] = drawn[:, :, None]
    names = {"mouse": "m", "neuron": np.arange(neuron_count), "kind": "neuron"}
    neurons = pd.DataFrame(names).assign(neuron_id=np.arange(neuron_count))
    return Responses(
        values,
        neurons,
        shown,
        axes=("trial", "neuron", "frame"),
        source={"type": "recording"},
        has_trial_noise=True,
    )


def analyze(responses, **values):
    return find_experiment("surround").analyze(
        responses, protocol_of(shuffle_count=200, **values), screen=Screen()
    )


FLIPPING = {0.05: (3, 4, 2, 2), 1.0: (8, 3, 6, 3)}
EQUAL = {0.05: (3, 3, 3, 3), 1.0: (8, 4, 4, 4)}


def test_flips_in_noisy_trials_are_confirmed_on_the_other_half():
    result = analyze(recorded(FLIPPING))
    table = result.neurons
    assert (table["flip_status"] == "confirmed").mean() > 0.9
    assert (table["flip_q"].dropna() >= table["flip_p"].dropna()).all()
    shares = result.tables["flips"].set_index("threshold").loc[0.2]
    assert shares["p_value"] == pytest.approx(1 / 201)
    assert shares["null_share"] < 0.05
    assert shares["confirmed_share"] > 0.9
    assert (table["cross_iso_high_q"] < 0.05).all()


def test_standard_errors_over_trials_are_those_of_the_noise():
    result = analyze(recorded(FLIPPING, noise=0.5, neuron_count=200))
    assert set(result.neurons["error_source"]) == {"trials"}
    sem = result.arrays["response_sem"].sel(arrangement="iso", contrast=1.0).mean()
    # Four phases of twelve trials.
    assert float(sem) == pytest.approx(0.5 / np.sqrt(48), rel=0.05)
    index = result.neurons["cmi_high"]
    assert result.neurons["cmi_high_se"].mean() == pytest.approx(index.std(), rel=0.2)


def test_without_an_effect_neurons_are_rarely_called_anything():
    result = analyze(recorded(EQUAL, neuron_count=400, seed=1))
    p_value = result.neurons["cross_iso_high_p"]
    assert 0.02 < (p_value <= 0.05).mean() < 0.09
    assert p_value.mean() == pytest.approx(0.5, abs=0.06)
    assert (result.neurons["flip_status"] == "confirmed").mean() <= 0.005


def test_a_flip_needs_both_contrasts_whatever_the_other_shows():
    """The least favorable null: a sure effect at high contrast, none at low contrast."""
    half_true = {0.05: (3, 3, 3, 3), 1.0: (8, 3, 6, 3)}
    result = analyze(recorded(half_true, neuron_count=2000, seed=2, repeats=6, noise=2.0))
    tested = result.neurons["flip_p"].dropna()
    assert len(tested) > 200
    assert 0.02 < (tested <= 0.05).mean() < 0.08


def test_share_of_flips_in_null_data_is_what_exchanged_trials_show():
    p_values = []
    for seed in range(20):
        data = recorded(EQUAL, neuron_count=60, seed=seed, repeats=4, phases=3, noise=2.0)
        shares = analyze(data).tables["flips"].set_index("threshold").loc[0.2]
        assert shares["share"] == pytest.approx(shares["null_share"], abs=0.2)
        p_values.append(shares["p_value"])
    assert np.mean(np.array(p_values) <= 0.05) <= 0.2
    assert 0.25 < np.mean(p_values) < 0.75


def test_too_few_repeats_are_said_and_not_tested():
    result = analyze(recorded(FLIPPING, repeats=1))
    assert set(result.neurons["flip_status"]) == {"too_few_repeats"}
    assert result.neurons[["flip_p", "cross_iso_high_p"]].isna().all(axis=None)
    assert set(FLIP_STATUS) >= set(result.neurons["flip_status"])


def test_conditions_that_lack_what_is_compared_are_refused():
    data = recorded(FLIPPING, repeats=1, neuron_count=1)
    with pytest.raises(ShapeError, match="lack arrangement; give one row"):
        tidy_conditions(data.conditions.drop(columns="arrangement"), protocol_of())
    without = data.conditions.query("arrangement != 'iso'")
    with pytest.raises(ShapeError, match="show no iso at 20 deg; set index_diameter_deg"):
        tidy_conditions(without, protocol_of())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index_diameter_deg": 30.0}, "index_diameter_deg must be one of diameter_deg"),
        ({"contrast": [0.0, 1.0]}, "contrasts must lie above 0"),
        ({"contrast": []}, "name at least one contrast"),
        ({"diameter_deg": [200.0], "index_diameter_deg": 200.0}, "diameters must lie"),
        ({"flip_threshold": -0.1}, "flip_threshold must be 0 or more"),
    ],
)
def test_protocol_that_does_not_hold_together_is_refused(change, message):
    with pytest.raises(ProtocolError, match=message):
        protocol_of(**change)


def test_surround_without_receptive_fields_says_what_to_run():
    twin, _ = measured("image")
    with pytest.raises(ProtocolError, match="run first: insilico run retinotopy direction,"):
        insilico.run("surround", twin, jobs=1)


def test_one_contrast_leaves_the_low_columns_missing():
    twin, _ = measured("image")
    values = {**SHORT, "contrast": [1.0]}
    options = {"overrides": values, "given": planted_results(twin), "jobs": 1}
    result = insilico.run("surround", twin, neurons=[0, 1, 2], **options)
    assert result.neurons["cmi_low"].isna().all()
    assert set(result.neurons["flip_status"]) == {"one_contrast"}
    assert set(result.tables["population"]["contrast"]) == {1.0}


def test_silent_and_unresponsive_neurons_are_told_apart():
    flat = recorded({0.05: (1, 1, 1, 1), 1.0: (1, 2, 3, 1)}, noise=0, neuron_count=1, repeats=1)
    assert list(analyze(flat).neurons["status"]) == ["unresponsive"]
    silent = recorded({0.05: (0,) * 4, 1.0: (0,) * 4}, noise=0, neuron_count=1, repeats=1)
    assert list(analyze(silent).neurons["status"]) == ["silent"]


def test_index_above_the_baseline_subtracts_the_gray_before():
    table = analyze(recorded({0.05: (3, 3, 3, 3), 1.0: (8, 3, 5, 3)}, noise=0)).neurons
    # The gray before evokes 1.
    assert table["baseline"].to_numpy() == pytest.approx(1)
    assert table["cmi_high"].to_numpy() == pytest.approx(2 / 8)
    assert table["cmi_above_baseline_high"].to_numpy() == pytest.approx(2 / 6)
    assert table["iso_suppression_high"].to_numpy() == pytest.approx(1 - 2 / 7)
    assert table["cross_suppression_high"].to_numpy() == pytest.approx(1 - 4 / 7)


def test_every_pair_holds_both_turns_of_a_cross_surround():
    data = recorded(FLIPPING, repeats=3, neuron_count=1, noise=0)
    turn = data.conditions["surround_direction_deg"].to_numpy(float)[:, None]
    pairs = pair_presentations(turn, data.conditions, contrast=1.0, diameter_deg=20.0)
    assert len(pairs.kind) == 4 * 3
    np.testing.assert_allclose(pairs.cross, 180)
    np.testing.assert_allclose(pairs.iso, 0)


def test_pairs_within_directions_where_phases_were_drawn_at_random():
    data = recorded(FLIPPING, repeats=6, neuron_count=1)
    random = np.random.default_rng(0)
    shown = data.conditions.assign(phase_deg=random.uniform(0, 360, len(data.conditions)))
    responses = data.values[:, :, -1]
    pairs = pair_presentations(responses, shown, contrast=1.0, diameter_deg=20.0)
    assert len(pairs.kind) == 4 * 6
    assert set(pairs.kind) == {0}


def test_a_flip_is_a_share_of_the_smaller_response():
    high, low = (
        (np.array([1.0, 1.0, 0.0, -1.0]), np.array([1.21, 1.19, 0.1, 1.0])),
        (
            np.array([1.21, 1.21, 0.1, 1.0]),
            np.array([1.0, 1.0, 0.0, 0.5]),
        ),
    )
    assert list(is_flip(high, low, 0.2)) == [True, False, True, False]


def test_result_of_noisy_trials_survives_saving(tmp_path):
    result = analyze(recorded(FLIPPING, repeats=3, neuron_count=4))
    again = Result.load(result.save(tmp_path / "surround"))
    pd.testing.assert_frame_equal(again.tables["flips"], result.tables["flips"])
    pd.testing.assert_frame_equal(again.neurons, result.neurons)


def test_neurons_with_a_missing_response_are_not_tested():
    random = np.random.default_rng(0)
    iso, cross = random.standard_normal((2, 12, 3))
    iso[3, 1] = np.nan
    pairs = Pairs(np.zeros(12, int), iso, cross)
    low = Pairs(np.zeros(12, int), cross[:, ::-1], cross)
    options = {"threshold": 0.2, "shuffle_count": 50, "seed": 1, "has_trial_noise": True}
    table = Flips(pairs, low, **options).neurons
    assert table["flip_status"].iloc[1] == "not_measured"


@pytest.mark.parametrize("name", ["surround_phase_deg", "temporal_frequency_hz"])
def test_presentations_with_a_missing_value_are_counted(name):
    data = recorded(FLIPPING, repeats=3, neuron_count=4)
    phases = data.conditions["phase_deg"] + 90
    is_cross = data.conditions["arrangement"] == "cross"
    expected = analyze(data)
    partly = data.conditions.assign(**{name: phases.where(is_cross)})
    result = analyze(dataclasses.replace(data, conditions=partly))
    pd.testing.assert_frame_equal(result.tables["conditions"], expected.tables["conditions"])
    pd.testing.assert_frame_equal(result.neurons, expected.neurons)
