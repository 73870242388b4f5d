"""Two runs beside each other: planted agreement and difference, one set of neurons, refusals."""

import numpy as np
import pandas as pd
import pytest
from planted_runs import planted_curves, write_run

from insilico import Result
from insilico.comparison import compare_runs
from insilico.errors import NotFittedError, RunFolderError
from insilico.screen import Screen

FIELD = 3.0 + np.arange(60) / 20


def quantity(result, name, experiment="direction"):
    table = result.tables["quantities"]
    return table[(table["experiment"] == experiment) & (table["quantity"] == name)].iloc[0]


def compare(first, second, **options):
    return compare_runs(first, second, **{"draws": 200, **options})


@pytest.fixture
def pair(tmp_path):
    """Two runs; fields of the second are half as wide again."""
    first = write_run(tmp_path / "first", planted_curves(60), sigma_px=FIELD)
    second = write_run(
        tmp_path / "second", planted_curves(60, shift_deg=45), source="b", sigma_px=1.5 * FIELD
    )
    return first, second


def test_planted_turn_of_all_preferences_is_found(pair):
    result = compare(*pair)
    turn = quantity(result, "fitted_direction_deg")
    assert turn["median_difference"] == pytest.approx(45, abs=0.5)
    assert turn["ci_low"] <= 45.5
    assert turn["ci_high"] >= 44.5
    assert turn["correlation"] > 0.99
    shares = result.tables["preference_shares"].query("kind == 'direction' and mouse == 'all'")
    assert shares.set_index("difference_deg")["share"].idxmax() == 45
    assert shares["share"].sum() == pytest.approx(1)
    assert shares["chance"].sum() == pytest.approx(1)


def test_equal_runs_agree_in_everything(tmp_path):
    curves = planted_curves(30)
    first = write_run(tmp_path / "first", curves)
    second = write_run(tmp_path / "second", curves, source="b")
    result = compare(first, second)
    # Planted peaks have one width, and values that are all equal have no correlation.
    table = result.tables["quantities"]
    shown = table[~table["quantity"].isin(["f1_f0", "half_width_deg"])]
    np.testing.assert_allclose(shown["correlation"], 1)
    assert (shown["median_difference"] == 0).all()
    assert (result.neurons["direction_curve_correlation"] > 0.999).all()


def test_extents_are_full_angles_of_four_standard_deviations(pair):
    result = compare(*pair, experiments=["retinotopy"], filters=["ok"])
    row = quantity(result, "extent_major_deg", "retinotopy")
    expected = Screen().diameter_deg(2 * FIELD)
    assert row["median_reference"] == pytest.approx(np.median(expected))
    published_half = np.degrees(np.arctan(2 * FIELD * Screen().cm_per_px / 15))
    np.testing.assert_allclose(expected, 2 * published_half)
    assert row["p_value"] < 1e-6
    assert row["median_difference"] > 0


def test_extents_of_each_mouse_are_those_of_its_own_monitor(tmp_path):
    screens = {"near": Screen(distance_cm=10.0), "far": Screen(distance_cm=30.0)}
    for side in ("first", "second"):
        for mouse, screen in screens.items():
            write_run(
                tmp_path / side / mouse,
                planted_curves(20),
                mouse=mouse,
                source=side,
                sigma_px=FIELD[:20],
                screen=screen,
            )
    result = compare(
        tmp_path / "first", tmp_path / "second", experiments=["retinotopy"], filters=["ok"]
    )
    values = result.tables["values"].query("quantity == 'extent_major_deg'")
    for mouse, screen in screens.items():
        shown = values[values["mouse"] == mouse].sort_values("neuron")
        for side in ("reference", "other"):
            np.testing.assert_allclose(shown[side], screen.diameter_deg(2 * FIELD[:20]))


def test_decays_of_similarity_are_told_apart_only_where_they_differ(tmp_path):
    distance_um = np.arange(25, 800, 50.0)
    noise = 0.004 * np.random.default_rng(5).normal(size=(3, len(distance_um)))
    lengths_um = {"reference": 100, "alike": 100, "wider": 300}
    runs = {}
    for own, (name, length_um) in zip(noise, lengths_um.items(), strict=True):
        means = 0.1 + 0.2 * np.exp(-distance_um / length_um) + own
        # A bin without pairs has no mean.
        planted = {**dict(zip(distance_um, means, strict=True)), 900.0: np.nan}
        curves = planted_curves(20)
        runs[name] = write_run(tmp_path / name, curves, source=name, similarity=planted)
    rows = {}
    for name in ("alike", "wider"):
        result = compare(runs["reference"], runs[name])
        saved = Result.load(result.save(tmp_path / f"compared-{name}")).tables["population"]
        rows[name] = saved.query("test == 'likelihood_ratio'").iloc[0]
        assert (saved["test"] == "likelihood_ratio").sum() == 1
    assert rows["alike"]["p_value"] > 0.05
    assert rows["wider"]["p_value"] == pytest.approx(1 / 201)
    assert 1 / rows["wider"]["reference_rate_per_um"] == pytest.approx(100, rel=0.1)
    assert 1 / rows["wider"]["other_rate_per_um"] == pytest.approx(300, rel=0.1)
    assert rows["wider"]["left_out_count"] == 2
    assert rows["wider"]["neuron_filter"] == "osi >= 0.2"


def test_every_table_is_of_the_same_neurons(pair):
    result = compare(*pair)
    passing = int((result.neurons["status"] == "ok").sum())
    assert 0 < passing <= len(result.neurons)
    assert set(result.tables["quantities"]["passing_count"]) == {passing}
    assert result.tables["filter"]["neuron_count"].iloc[-1] == passing
    for name in ("preference_pairs", "preference_shares", "aligned_curves"):
        assert set(result.tables[name]["neuron_count"]) == {passing}, name
    tests = result.tables["population"].query("error_source == 'neurons'")
    assert set(tests["neuron_count"]) == {passing}
    assert result.tables["values"].groupby("quantity")["is_counted"].sum().unique() == [passing]


def test_recorded_run_is_the_reference_and_its_test_decides(tmp_path):
    q_value = np.where(np.arange(20) < 12, 0.001, 0.5)
    columns = {"dsi_q": q_value, "dsi": 0.5}
    recorded = write_run(tmp_path / "r", planted_curves(20), source="recorded", columns=columns)
    predicted = write_run(tmp_path / "p", planted_curves(20))
    result = compare(predicted, recorded, filters=["selective"])
    assert result.provenance["reference"]["label"] == "recorded"
    assert "q ≤ 0.05" in result.provenance["filter"]
    np.testing.assert_array_equal(result.neurons["status"] == "ok", q_value < 0.05)
    assert np.isfinite(result.arrays["direction_curve_sem"].sel(side="reference")).all()


def test_neurons_that_fail_are_kept_with_the_rule_they_fail(tmp_path):
    bad = np.where(np.arange(20) < 5, "silent", "ok")
    first = write_run(tmp_path / "a", planted_curves(20))
    second = write_run(tmp_path / "b", planted_curves(20), source="b", columns={"status": bad})
    result = compare(first, second, filters=["ok", "direction.osi>=0.01"])
    assert list(result.neurons["status"][:5]) == ["direction ok"] * 5
    assert len(result.neurons) == 20
    assert list(result.tables["filter"]["neuron_count"]) == [20, 15, 15]


def test_runs_are_matched_by_neuron_and_not_by_row(tmp_path):
    curves = planted_curves(20)
    first = write_run(tmp_path / "a", curves)
    second = write_run(tmp_path / "b", curves, source="b")
    stored = Result.load(second / "direction")
    order = np.random.default_rng(0).permutation(20)
    table = stored.neurons.iloc[order].reset_index(drop=True)
    arrays = stored.arrays.isel(neuron=order)
    Result("direction", {"neurons": table}, arrays, stored.protocol, stored.provenance).save(
        second / "direction"
    )
    result = compare(first, second, filters=["all"])
    assert (result.neurons["direction_curve_correlation"] > 0.999).all()
    assert quantity(result, "dsi")["median_difference"] == 0


def test_result_loads_again(pair, tmp_path):
    result = compare(*pair)
    loaded = Result.load(result.save(tmp_path / "saved"))
    assert loaded.experiment == "comparison"
    assert set(loaded.tables) == set(result.tables)
    pd.testing.assert_frame_equal(loaded.neurons, result.neurons, check_dtype=False)
    assert loaded.provenance["filter"] == result.provenance["filter"]


def test_same_seed_gives_same_numbers(pair):
    first, second = compare(*pair), compare(*pair)
    pd.testing.assert_frame_equal(first.neurons, second.neurons)
    pd.testing.assert_frame_equal(first.tables["quantities"], second.tables["quantities"])


def test_differences_of_protocols_are_recorded(tmp_path):
    first = write_run(tmp_path / "a", planted_curves(9))
    second = write_run(tmp_path / "b", planted_curves(9), source="b")
    path = second / "direction" / "protocol.toml"
    path.write_text(path.read_text().replace("contrast = 1.0", "contrast = 0.5"))
    differences = compare(first, second).provenance["protocols_differ_in"]
    assert differences == {"direction": {"contrast": [1.0, 0.5]}}


def test_one_mouse_under_two_names_is_matched_when_told(tmp_path):
    first = write_run(tmp_path / "a", planted_curves(9), mouse="one")
    second = write_run(tmp_path / "b", planted_curves(9), mouse="two", source="b")
    with pytest.raises(NotFittedError, match="--same-mouse"):
        compare(first, second)
    assert len(compare(first, second, is_same_mouse=True).neurons) == 9


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        (["sellective"], "did you mean 'selective'"),
        (["direction.osy>=0.3"], "did you mean 'osi'"),
        (["size.osi>=0.3"], "size, which is not compared"),
        (["direction.osi>=high"], "compares numbers with 'high'"),
        (["direction.osi>=2"], "no neuron passes the filter"),
    ],
)
def test_wrong_filters_are_refused(pair, filters, sentence):
    with pytest.raises(NotFittedError, match=sentence):
        compare(*pair, filters=filters)


def test_what_cannot_be_compared_is_refused(tmp_path):
    first = write_run(tmp_path / "a", planted_curves(9))
    with pytest.raises(RunFolderError, match="given twice"):
        compare(first, tmp_path / "." / "a")
    with pytest.raises(RunFolderError, match="no run folder"):
        compare(first, tmp_path / "nothing")
    other = write_run(tmp_path / "b", planted_curves(9), neuron_id=np.arange(9) + 7)
    with pytest.raises(NotFittedError, match=r"neuron 0 is 100 in .* and 7 in"):
        compare(first, other)
    with pytest.raises(NotFittedError, match="no finished size; run it first: insilico run size"):
        compare(first, other, experiments=["size"])
    with pytest.raises(NotFittedError, match="did you mean 'direction'"):
        compare(first, other, experiments=["directions"])
    with pytest.raises(NotFittedError, match="about pairs of neurons"):
        compare(first, other, experiments=["similarity"])


def test_damaged_and_unfinished_runs_are_refused(tmp_path):
    first = write_run(tmp_path / "a", planted_curves(9))
    damaged = write_run(tmp_path / "b", planted_curves(9))
    (damaged / "run.json").write_text("{")
    with pytest.raises(RunFolderError, match="damaged"):
        compare(first, damaged)
    unfinished = write_run(tmp_path / "c", planted_curves(9))
    record = unfinished / "run.json"
    record.write_text(record.read_text().replace('"finished"', '"running"'))
    with pytest.raises(RunFolderError, match="no finished experiment"):
        compare(first, unfinished)
