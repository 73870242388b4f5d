"""Choices of neurons on tables made up so that the right list is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from insilico.errors import (
    NeuronError,
    NotFittedError,
    ProtocolError,
    RunFolderError,
    ShapeError,
    UnitsError,
)
from insilico.results import Result
from insilico.screen import SCREENS, Screen
from insilico.stimuli.shapes import disc
from insilico.synthesis.choice import STATUS, Choice, ChoiceRule, choose, population_weights
from insilico.synthesis.placing import disc_coverage
from insilico.synthesis.ranking import rank_neurons

SCREEN = Screen()
LENIENT = ChoiceRule(
    least_trial_reliability=-1, least_prediction_correlation=-1, least_field_reliability=-1
)


def make_neurons(count, mouse="A"):
    neuron = np.arange(count)
    return pd.DataFrame({"mouse": mouse, "neuron": neuron, "neuron_id": 100 + neuron})


def make_reliability(trial, prediction, mouse="A"):
    count = len(trial)
    return make_neurons(count, mouse).assign(
        trial_reliability=np.asarray(trial, float),
        prediction_correlation=np.asarray(prediction, float),
    )


def make_fields(count=None, *, status="ok", x_px=32.0, y_px=18.0, linear=0.9, **changes):
    """A retinotopy result; what is given as a list is per neuron."""
    lists = [value for value in (status, x_px, y_px, linear) if isinstance(value, list)]
    table = make_neurons(count or len(lists[0])).drop(columns="neuron_id")
    table = table.assign(
        status=status,
        x_px=x_px,
        y_px=y_px,
        linear_reliability=linear,
        energy_reliability=0.5,
        map_used="linear",
        r2=0.7,
    ).assign(**changes)
    provenance = {"screen": SCREEN.to_dict()}
    return Result("retinotopy", {"neurons": table}, xr.Dataset(), {"seed": 1}, provenance)


def make_sizes(preferred, status):
    table = make_neurons(len(preferred)).assign(preferred_size_deg=preferred, status=status)
    return Result("size", {"neurons": table}, xr.Dataset(), {"seed": 1}, {})


def names(choice):
    return choice.chosen["neuron"].tolist()


# Ranks


def test_average_ranks_of_two_measures_are_added():
    reliability = make_reliability([0.5, 0.4, 0.3, 0.2], [0.6, 0.9, 0.7, 0.65])
    choice = choose(make_neurons(4), screen=SCREEN, reliability=reliability, rule=LENIENT)
    # Ranks 1 2 3 4 and 4 1 2 3.
    assert choice.table["rank_sum"].tolist() == [5, 3, 5, 7]
    assert names(choice) == [1, 0, 2, 3]
    assert choice.table["rank"].tolist() == [2, 1, 3, 4]
    assert choice.settings["ranked_by"] == ["trial_reliability", "prediction_correlation"]


def test_equal_values_share_the_mean_of_their_ranks_whatever_their_index():
    reliability = make_reliability([0.5, 0.5, 0.5, 0.9], [0.3, 0.4, 0.5, 0.2])
    choice = choose(make_neurons(4), screen=SCREEN, reliability=reliability, rule=LENIENT)
    # Ordinal ranks would give 2, 3, 4 in the first measure, and a tie of all three.
    assert choice.table["rank_sum"].tolist() == [6, 5, 4, 5]
    assert names(choice) == [2, 3, 1, 0]


def test_ties_go_to_trial_reliability_then_to_the_receptive_field_then_to_the_table():
    reliability = make_reliability([0.4, 0.5, 0.3, 0.3, 0.3], [0.6, 0.5, 0.3, 0.3, 0.3])
    fields = make_fields(linear=[0.5, 0.5, 0.6, 0.9, 0.6])
    choice = choose(
        make_neurons(5), screen=SCREEN, reliability=reliability, fields=fields, rule=LENIENT
    )
    assert names(choice) == [1, 0, 3, 2, 4]
    backwards = make_neurons(5).iloc[::-1]
    again = choose(backwards, screen=SCREEN, reliability=reliability, fields=fields, rule=LENIENT)
    assert names(again) == [1, 0, 3, 4, 2]


def test_neuron_of_unknown_reliability_has_no_rank_and_moves_nobodys():
    known = make_reliability([0.5, 0.4, 0.3], [0.5, 0.6, 0.7])
    with_gap = make_reliability([0.5, 0.4, 0.3, 0.9], [0.5, 0.6, 0.7, np.nan])
    full = choose(make_neurons(4), screen=SCREEN, reliability=with_gap, rule=LENIENT)
    part = choose(make_neurons(3), screen=SCREEN, reliability=known, rule=LENIENT)
    assert names(full) == names(part) == [0, 1, 2]
    assert full.table["rank_sum"].tolist()[:3] == part.table["rank_sum"].tolist()
    lost = full.table.iloc[3]
    assert (lost["status"], lost["is_chosen"]) == ("not_known", False)
    assert np.isnan(lost["rank_sum"])
    assert np.isnan(lost["rank"])
    # A row that the recording does not have is as unknown.
    fewer = choose(make_neurons(4), screen=SCREEN, reliability=known, rule=LENIENT)
    assert fewer.table["status"].tolist() == ["chosen"] * 3 + ["not_known"]


def test_gates_and_discs_do_not_reorder_the_neurons_that_stay():
    rng = np.random.default_rng(0)
    reliability = make_reliability(rng.uniform(0, 1, 60), rng.uniform(0, 1, 60))
    fields = make_fields(x_px=rng.uniform(0, 63, 60).tolist(), y_px=rng.uniform(0, 35, 60).tolist())
    options = {"screen": SCREEN, "reliability": reliability, "fields": fields}
    loose = choose(make_neurons(60), rule=dataclasses.replace(LENIENT, least_coverage=0), **options)
    tight = choose(make_neurons(60), rule=ChoiceRule(), **options)
    stay = set(names(tight))
    assert 5 < len(stay) < 60
    assert [neuron for neuron in names(loose) if neuron in stay] == names(tight)


def test_without_a_recording_the_reliability_of_the_fitted_map_ranks():
    fields = make_fields(linear=[0.6, 0.9, 0.4], map_used=["linear", "energy", "linear"])
    choice = choose(make_neurons(3), screen=SCREEN, fields=fields, rule=LENIENT)
    assert choice.table["field_reliability"].tolist() == [0.6, 0.5, 0.4]
    assert names(choice) == [0, 1, 2]
    assert choice.table["trial_reliability"].isna().all()


def test_results_without_a_reliability_rank_by_what_the_fit_explains():
    table = make_fields(2).neurons[["mouse", "neuron", "status", "x_px", "y_px"]]
    dots = Result("dots", {"neurons": table.assign(r2=[0.4, 0.8])}, xr.Dataset(), {}, {})
    assert names(choose(make_neurons(2), screen=SCREEN, fields=dots)) == [1, 0]


def test_ranking_without_a_known_value_orders_as_the_table():
    table = pd.DataFrame({"one": [np.nan, np.nan], "field_reliability": [np.nan, np.nan]})
    rank_sum, place = rank_neurons(table, ["one"])
    assert np.isnan(rank_sum).all()
    assert place.tolist() == [0, 1]


# Gates


def test_every_gate_leaves_out_its_neuron_and_says_why():
    reliability = make_reliability(
        [0.5, 0.05, 0.5, 0.5, 0.5, 0.5, np.nan], [0.5, 0.5, 0.1, 0.5, 0.5, 0.5, 0.5]
    )
    fields = make_fields(
        status=["ok", "ok", "ok", "poor_fit", "off_screen", "ok", "ok"],
        x_px=[32.0, 32.0, 32.0, 32.0, 80.0, 0.0, 32.0],
        linear=[0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.2],
    )
    choice = choose(make_neurons(7), screen=SCREEN, reliability=reliability, fields=fields)
    assert choice.table["status"].tolist() == [
        "chosen",
        "low_trial_reliability",
        "low_prediction_correlation",
        "bad_fit",
        "off_screen",
        "low_coverage",
        "not_known",
    ]
    assert set(choice.table["status"]) <= set(STATUS)
    reasons = choice.table["reason"]
    assert reasons[0] == "passes every gate, as 1 of 7 do"
    assert reasons[1] == "its trial reliability is 0.05, below 0.1"
    assert "poor_fit" in reasons[3]
    assert "below 0.9" in reasons[5]
    # Every fault is named, not only the first.
    assert "field reliability is 0.2, below 0.3" in reasons[6]
    assert choice.table["rank"].notna().sum() == 1


def test_thresholds_are_met_by_equal_values():
    reliability = make_reliability([0.1], [0.2])
    assert names(choose(make_neurons(1), screen=SCREEN, reliability=reliability)) == [0]


def test_count_takes_the_best_and_says_of_the_others_that_they_pass():
    reliability = make_reliability([0.5, 0.4, 0.3], [0.5, 0.4, 0.3])
    choice = choose(make_neurons(3), screen=SCREEN, reliability=reliability, count=2)
    assert names(choice) == [0, 1]
    assert choice.table["status"].tolist() == ["chosen", "chosen", "passed"]
    assert (
        choice.table["reason"][2] == "passes every gate, and the 2 that were asked for are better"
    )
    assert choice.table["rank"].tolist() == [1, 2, 3]


def test_fewer_than_the_count_is_told_in_the_statement():
    reliability = make_reliability([0.5, 0.0], [0.5, 0.4])
    choice = choose(make_neurons(2), screen=SCREEN, reliability=reliability, count=30)
    assert names(choice) == [0]
    assert choice.statement == (
        "1 of 2 neurons are chosen (of 30 wanted), ordered by trial reliability and prediction "
        "correlation: 1 chosen, 1 low_trial_reliability"
    )


def test_no_neuron_passing_says_how_many_failed_what_and_how_far_to_lower():
    reliability = make_reliability([0.05, 0.0873, 0.03, 0.9], [0.5, 0.5, 0.1, 0.9])
    fields = make_fields(status=["ok", "ok", "ok", "silent"])
    with pytest.raises(NotFittedError) as caught:
        choose(make_neurons(4), screen=SCREEN, reliability=reliability, fields=fields)
    message = str(caught.value)
    assert "none of the 4 neurons" in message
    assert "1 bad_fit, 3 low_trial_reliability, 1 low_prediction_correlation" in message
    assert message.endswith("lower least_trial_reliability below 0.087")
    assert "\n" not in message


def test_no_neuron_passing_two_gates_at_once_names_the_one_that_most_fail():
    reliability = make_reliability([0.9, 0.05, 0.05], [0.1, 0.9, 0.9])
    with pytest.raises(NotFittedError, match=r"lower least_trial_reliability$"):
        choose(make_neurons(3), screen=SCREEN, reliability=reliability)


def test_no_neuron_with_a_receptive_field_asks_for_more_measurements():
    with pytest.raises(NotFittedError, match=r"2 bad_fit\); measure more of them"):
        choose(make_neurons(2), screen=SCREEN, fields=make_fields(2, status="unreliable"))


# Places


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
@pytest.mark.parametrize("diameter_deg", [8.0, 10.0, 20.0, 60.0])
def test_coverage_is_the_share_of_the_pixels_of_the_disc(screen, diameter_deg):
    centers = np.array([[32, 18], [0, 0], [63, 35], [60, 18], [32, 2], [5, 33]])
    margin = 80
    wide = dataclasses.replace(
        screen,
        width_px=64 + 2 * margin,
        height_px=36 + 2 * margin,
        width_cm=screen.width_cm * (64 + 2 * margin) / 64,
        height_cm=screen.height_cm * (36 + 2 * margin) / 36,
    )
    expected = []
    for x, y in centers:
        whole = disc(wide, diameter_deg=diameter_deg, center_px=(x + margin, y + margin))
        expected.append(whole[margin:-margin, margin:-margin].sum() / whole.sum())
    found = disc_coverage(screen, *centers.T, diameter_deg=diameter_deg)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.min() < 0.7 < found.max()


def test_published_discs_are_whole_in_the_middle_and_a_quarter_in_the_corner():
    # 25 pixels, of which a corner shows the center, 2 x 2 neighbors along the edges, and 4 inside.
    found = disc_coverage(SCREEN, [32, 0, np.nan], [18, 0, 18], diameter_deg=20.0)
    np.testing.assert_allclose(found, [1, 9 / 25, np.nan])


@pytest.mark.parametrize(("x_px", "covered"), [(3.0, 1.0), (2.0, 1.0), (1.0, 0.8), (0.0, 0.6)])
def test_disc_near_the_edge_passes_as_far_as_the_rule_allows(x_px, covered):
    # The disc of 20 degrees is 5 pixels wide in every row.
    options = {"screen": SCREEN, "fields": make_fields(1, x_px=x_px)}
    choice = choose(make_neurons(1), rule=ChoiceRule(least_coverage=covered), **options)
    assert choice.table["coverage"][0] == pytest.approx(covered)
    with pytest.raises(NotFittedError, match=r"1 low_coverage\); lower least_coverage below"):
        choose(
            make_neurons(1),
            rule=ChoiceRule(least_coverage=1.0),
            **options | {"fields": make_fields(1, x_px=min(x_px, 1.0))},
        )


def test_bad_fit_never_gets_the_center_of_the_screen():
    fields = make_fields(
        status=["ok", "silent", "off_screen"], x_px=[10.4, np.nan, 90.0], y_px=[17.6, np.nan, 18.0]
    )
    table = choose(make_neurons(3), screen=SCREEN, fields=fields, rule=LENIENT).table
    assert table[["x_px", "y_px"]].iloc[0].tolist() == [10, 18]
    assert table[["x_px", "y_px", "coverage"]].iloc[1:].isna().all(axis=None)


def test_center_that_rounding_moves_off_the_screen_is_off_the_screen():
    fields = make_fields(x_px=[63.5, 63.4], linear=[0.9, 0.9])
    rule = dataclasses.replace(LENIENT, least_coverage=0.3)
    table = choose(make_neurons(2), screen=SCREEN, fields=fields, rule=rule).table
    assert table["status"].tolist() == ["off_screen", "chosen"]


def test_disc_is_of_the_preferred_size_where_that_is_known():
    sizes = make_sizes([12.0, 70.0, np.nan, 0.0], ["ok", "at_bound", "silent", "ok"])
    table = choose(
        make_neurons(4), screen=SCREEN, fields=make_fields(4), sizes=sizes, diameter_deg=25.0
    ).table
    assert table["diameter_deg"].tolist() == [12, 25, 25, 25]
    assert table["diameter_source"].tolist() == ["size", "default", "default", "default"]


def test_fields_of_another_screen_are_refused():
    with pytest.raises(NotFittedError, match=r"width_cm = 56\.5, and this one has 51"):
        choose(make_neurons(1), screen=SCREENS["rochefort"], fields=make_fields(1))


def test_fields_that_lack_a_neuron_are_refused():
    with pytest.raises(ProtocolError, match="lacks 2 of the 4 neurons"):
        choose(make_neurons(4), screen=SCREEN, fields=make_fields(2))


@pytest.mark.parametrize("diameter_deg", [0.0, -5.0, 180.0, np.nan])
def test_diameter_out_of_range_is_refused(diameter_deg):
    with pytest.raises(UnitsError, match="above 0, below 180"):
        choose(make_neurons(1), screen=SCREEN, fields=make_fields(1), diameter_deg=diameter_deg)


# Named neurons


@pytest.fixture
def named_fields():
    """Neuron 3 has no fit, and neuron 5 looks at the edge."""
    x_px = [32.0] * 5 + [0.0] + [32.0] * 3
    return make_fields(status=["ok"] * 3 + ["poor_fit"] + ["ok"] * 5, x_px=x_px)


def test_named_bad_fit_is_refused_in_one_sentence(named_fields):
    with pytest.raises(NotFittedError) as caught:
        choose(make_neurons(9), screen=SCREEN, fields=named_fields, named=[3, 5, 8])
    message = str(caught.value)
    assert message.startswith("2 of the 3 named neurons cannot be stimulated")
    assert "neuron 3: it has no usable receptive field (poor_fit)" in message
    assert "neuron 5: its coverage is 0.6, below 0.9" in message
    assert message.endswith(
        "leave them out, or let on_bad_fit (--bad-fits) be 'flag' or 'leave_out'"
    )
    assert "neuron 8" not in message


def test_named_bad_fit_is_flagged_and_comes_last(named_fields):
    rule = ChoiceRule(on_bad_fit="flag")
    choice = choose(make_neurons(9), screen=SCREEN, fields=named_fields, named=[3, 5, 8], rule=rule)
    assert names(choice) == [8, 3, 5]
    assert choice.chosen["status"].tolist() == ["chosen", "flagged", "flagged"]
    assert choice.chosen["reason"][1].startswith("it has no usable receptive field")
    assert choice.settings["named"] == [3, 5, 8]


def test_named_bad_fit_is_left_out(named_fields):
    rule = ChoiceRule(on_bad_fit="leave_out")
    options = {"screen": SCREEN, "fields": named_fields, "rule": rule}
    choice = choose(make_neurons(9), named=[3, 5, 8], **options)
    assert names(choice) == [8]
    assert choice.table["status"].tolist() == ["bad_fit", "low_coverage", "chosen"]
    with pytest.raises(NotFittedError, match="none of the 2 neurons"):
        choose(make_neurons(9), named=[3, 5], **options)


def test_named_neuron_that_is_only_unreliable_is_chosen_and_flagged():
    reliability = make_reliability([0.01, 0.5, np.nan], [0.5, 0.5, 0.5])
    choice = choose(make_neurons(3), screen=SCREEN, reliability=reliability, named=[2, 0, 1])
    assert names(choice) == [1, 0, 2]
    assert choice.table["status"].tolist() == ["flagged", "flagged", "chosen"]
    assert choice.table["reason"][2] == "was named and passes every gate"


def test_bad_fits_are_left_out_of_a_rank_whatever_the_rule_says_of_named_ones(named_fields):
    choice = choose(
        make_neurons(9), screen=SCREEN, fields=named_fields, rule=ChoiceRule(on_bad_fit="flag")
    )
    assert not {3, 5} & set(names(choice))


def test_named_neurons_need_neither_recording_nor_fields():
    choice = choose(make_neurons(9), screen=SCREEN, named=[8, 2])
    assert names(choice) == [8, 2]
    assert choice.table["coverage"].isna().all()
    assert "the order they were named" in choice.statement


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"named": [9]}, "neuron 9 was named, and the table has 4 neurons from 0 to 3"),
        ({"named": [1, 1]}, "each once"),
        ({"named": []}, "name one or more"),
        ({"named": [0.5]}, "name one or more"),
        ({"named": [1], "count": 1}, "not both"),
        ({"count": 0}, "1 or more"),
    ],
)
def test_selections_that_make_no_sense_are_refused(options, message):
    with pytest.raises(NeuronError, match=message):
        choose(make_neurons(4), screen=SCREEN, fields=make_fields(4), **options)


def test_nothing_to_rank_by_is_refused():
    with pytest.raises(NotFittedError, match="give one of the two, or name neurons"):
        choose(make_neurons(4), screen=SCREEN, count=2)


def test_tables_that_do_not_tell_neurons_apart_are_refused():
    neurons = make_neurons(3)
    with pytest.raises(NeuronError, match="lacks the column 'mouse'"):
        choose(neurons.drop(columns="mouse"), screen=SCREEN, named=[1])
    with pytest.raises(NeuronError, match="1 of them repeat"):
        choose(neurons.assign(neuron=[0, 1, 1]), screen=SCREEN, named=[1])
    with pytest.raises(NeuronError, match="0 rows"):
        choose(neurons.iloc[:0], screen=SCREEN, fields=make_fields(1))
    both = pd.concat([neurons, make_neurons(3, "B")])
    with pytest.raises(NeuronError, match="of the mice A, B were named"):
        choose(both, screen=SCREEN, named=[1])


def test_reliabilities_of_others_are_refused():
    neurons, reliability = make_neurons(2), make_reliability([0.5, 0.5], [0.5, 0.5])
    for table, message in (
        (reliability.drop(columns="trial_reliability"), "lack the column 'trial_reliability'"),
        (pd.concat([reliability, reliability]), "several rows of one neuron"),
        (reliability.assign(mouse="B"), "of none of the 2 neurons"),
    ):
        with pytest.raises(NotFittedError, match=message):
            choose(neurons, screen=SCREEN, reliability=table)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"least_coverage": -0.1}, "least_coverage is -0.1; give a number from 0 to 1"),
        ({"least_trial_reliability": np.nan}, "least_trial_reliability is nan"),
        ({"least_prediction_correlation": 1.5}, "from -1 to 1"),
        ({"on_bad_fit": "leave out"}, "give one of refuse, flag, leave_out"),
    ],
)
def test_rules_out_of_range_are_refused(values, message):
    with pytest.raises(ProtocolError, match=message):
        ChoiceRule(**values)


# On disk


def make_choice():
    neurons = make_neurons(4).assign(area=["V1", "V1", None, "LM"], x_um=[1.0, np.nan, 3.0, 4.0])
    reliability = make_reliability([0.5, 0.4, np.nan, 0.3], [0.6, 0.9, 0.7, 0.65])
    fields = make_fields(status=["ok", "ok", "ok", "poor_fit"])
    options = {"reliability": reliability, "fields": fields, "count": 1}
    return choose(neurons, screen=SCREEN, rule=ChoiceRule(least_coverage=0.5), **options)


def test_saved_choice_comes_back_with_list_rule_and_reasons(tmp_path):
    choice = make_choice()
    loaded = Choice.load(choice.save(tmp_path / "choice"))
    pd.testing.assert_frame_equal(
        loaded.table, choice.table, check_dtype=False, check_column_type=False
    )
    assert names(loaded) == names(choice)
    assert (loaded.rule, loaded.settings) == (choice.rule, choice.settings)
    assert loaded.digest == choice.digest
    assert loaded.statement == choice.statement
    assert loaded.provenance["given"] == choice.provenance["given"]
    assert set(loaded.provenance["given"]) == {"retinotopy", "reliability"}


def test_list_can_be_read_without_any_program(tmp_path):
    lines = (make_choice().save(tmp_path / "choice") / "choice.txt").read_text().splitlines()
    assert lines[0].startswith("1 of 4 neurons are chosen")
    assert [line.split("\t")[1:4] for line in lines[3:]] == [
        ["1", "1", "chosen"],
        ["0", "2", "passed"],
        ["2", "", "not_known"],
        ["3", "", "bad_fit"],
    ]


def test_frozen_choice_is_kept_and_another_refused(tmp_path):
    choice, folder = make_choice(), tmp_path / "choice"
    choice.save(folder)
    written = (folder / "neurons.parquet").stat().st_mtime_ns
    assert make_choice().save(folder) == folder
    assert (folder / "neurons.parquet").stat().st_mtime_ns == written
    other = dataclasses.replace(choice, rule=ChoiceRule())
    with pytest.raises(RunFolderError, match="a frozen list is not replaced"):
        other.save(folder)
    assert Choice.load(folder).rule == choice.rule


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="holds no choice of neurons"):
        make_choice().save(tmp_path)
    with pytest.raises(RunFolderError, match="holds no choice of neurons"):
        make_choice().save(tmp_path / "notes.txt")
    with pytest.raises(RunFolderError, match="not a complete result folder"):
        Choice.load(tmp_path / "nowhere")
    make_fields(1).save(tmp_path / "retinotopy")
    with pytest.raises(RunFolderError, match="a retinotopy result and no choice"):
        Choice.load(tmp_path / "retinotopy")


def test_table_of_an_earlier_choice_can_be_chosen_from_again():
    choice = make_choice()
    again = choose(choice.table, screen=SCREEN, named=[1])
    assert list(again.table) == list(choice.table)
    assert again.table["area"].tolist() == ["V1"]
    assert again.table["trial_reliability"].isna().all()


# Weights


def test_population_weights_are_positive_correlations_of_usable_neurons():
    weights = population_weights([0.2, 0.6, -0.4, np.nan, 0.9], [True, True, True, True, False])
    np.testing.assert_allclose(weights, [0.25, 0.75, 0, 0, 0])


def test_unknown_correlation_of_one_neuron_leaves_the_others_their_weights():
    weights = population_weights([np.nan, np.inf, 0.5], np.ones(3, bool))
    assert weights.tolist() == [0, 0, 1]


@pytest.mark.parametrize("correlation", [[-0.1, 0.0], [np.nan, 0.5]])
def test_population_without_a_predicted_neuron_has_no_weights(correlation):
    with pytest.raises(NotFittedError, match="none of the 1 usable of 2 neurons"):
        population_weights(correlation, [True, False])


def test_weights_of_mismatched_arrays_are_refused():
    for usable in ([True], [1, 1]):
        with pytest.raises(ShapeError, match="one truth value a neuron"):
            population_weights([0.1, 0.2], usable)
