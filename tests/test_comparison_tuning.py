"""Tuning curves of two runs: the panels 2B-2D, without their quirks."""

import numpy as np
import pytest
from planted_runs import DIRECTIONS, planted_curves, write_run
from scipy.stats import wilcoxon

from insilico.comparison import compare_runs
from insilico.comparison.tuning import Curves, measure_curves


def compare(first, second, **options):
    return compare_runs(first, second, **{"draws": 200, **options})


def population(result, comparison):
    table = result.tables["population"]
    return table[table["comparison"] == comparison].iloc[0]


def test_planted_correlation_stands_out_from_shuffled_curves(tmp_path):
    rng = np.random.default_rng(5)
    curves = planted_curves(40)
    noisy = curves + 0.2 * rng.normal(size=curves.shape)
    result = compare(
        write_run(tmp_path / "a", curves),
        write_run(tmp_path / "b", noisy, source="b"),
        filters=["all"],
    )
    expected = [np.corrcoef(one, two)[0, 1] for one, two in zip(curves, noisy, strict=True)]
    np.testing.assert_allclose(result.neurons["direction_curve_correlation"], expected)
    assert population(result, "direction curve correlation - shuffled")["p_value"] < 1e-6


def test_unrelated_curves_stand_out_at_the_nominal_rate():
    p_values = []
    for seed in range(200):
        values = np.stack([planted_curves(40, seed=2 * seed + side) for side in (0, 1)])
        curves = Curves("direction", DIRECTIONS, values, np.full(values.shape, np.nan))
        measured = measure_curves(curves, seed=seed)
        pair = (measured[f"direction_curve_correlation{end}"] for end in ("", "_shuffled"))
        p_values.append(wilcoxon(*pair).pvalue)
    # A binomial count of 200 at 5 % exceeds 20 once in a thousand times.
    assert np.sum(np.array(p_values) < 0.05) <= 20


def test_broader_tuning_is_found_without_its_peak(tmp_path):
    first = write_run(tmp_path / "a", planted_curves(40, concentration=6))
    second = write_run(tmp_path / "b", planted_curves(40, concentration=2), source="b")
    result = compare(first, second, filters=["all"])
    aligned = result.tables["aligned_curves"].query("kind == 'direction' and mouse == 'all'")
    assert (aligned.query("angle_deg == 0")["mean"] == 1).all()
    test = population(result, "direction curve off the peak, neurons: other - reference")
    assert test["effect"] > 0.05
    assert test["p_value"] < 1e-6
    # Eight angles: seven beside the peak, each once. Four orientations: three.
    for kind, count in (("direction", 7), ("orientation", 3)):
        name = f"{kind} curve off the peak, mice x angles: other - reference"
        assert population(result, name)["neuron_count"] == count


def test_equal_widths_differ_in_no_test(tmp_path):
    curves = planted_curves(30)
    result = compare(
        write_run(tmp_path / "a", curves),
        write_run(tmp_path / "b", 2 * curves, source="b"),
        filters=["all"],
    )
    tests = result.tables["population"]
    assert (tests[tests["comparison"].str.contains("off the peak")]["p_value"] == 1).all()


def test_difference_that_a_mouse_lacks_is_zero_in_the_mean_over_mice(tmp_path):
    sources = {"a": 0.0, "b": 90.0}
    for source, shift in sources.items():
        for mouse, turn in (("one", 0.0), ("two", shift)):
            curves = planted_curves(10, shift_deg=turn)
            write_run(tmp_path / source / mouse, curves, mouse=mouse, source=source)
    result = compare(tmp_path / "a", tmp_path / "b", filters=["all"])
    shares = result.tables["preference_shares"].query("kind == 'direction'")
    by_mouse = shares.pivot_table(index="mouse", columns="difference_deg", values="share")
    assert by_mouse.loc["one", 90] == 0
    assert by_mouse.loc["two", 90] > 0.9
    assert by_mouse.loc["all", 90] == pytest.approx(by_mouse.loc[["one", "two"], 90].mean())
    assert by_mouse.loc["all"].sum() == pytest.approx(1)
    aligned = result.tables["aligned_curves"]
    assert set(aligned[aligned["mouse"] == "all"]["error_source"]) == {"mice"}
    assert len(result.neurons) == 20


def test_curves_are_compared_at_common_angles(tmp_path):
    fine = np.arange(16) * 22.5
    first = write_run(tmp_path / "a", planted_curves(20))
    second = write_run(
        tmp_path / "b", planted_curves(20, angle_deg=fine), source="b", angle_deg=fine
    )
    result = compare(first, second, filters=["all"])
    np.testing.assert_array_equal(result.arrays["direction_deg"], DIRECTIONS)
    assert (result.neurons["direction_curve_correlation"] > 0.999).all()


def test_image_model_is_compared_by_orientation_alone(tmp_path):
    movie = planted_curves(20)
    still = movie.reshape(20, 2, 4).mean(axis=1)
    first = write_run(tmp_path / "a", movie)
    options = {"kind": "orientation", "angle_deg": DIRECTIONS[:4]}
    second = write_run(tmp_path / "b", still, source="b", **options)
    result = compare(first, second)
    assert "direction_curve" not in result.arrays
    assert "OSI" in result.provenance["filter"]
    assert (result.neurons["orientation_curve_correlation"] > 0.999).all()
    quantities = result.tables["quantities"].set_index("quantity")
    assert quantities.loc["dsi", "neuron_count"] == 0
    assert quantities.loc["dsi", "status"] == "no_data"


def test_angles_without_overlap_leave_only_the_numbers(tmp_path):
    other = DIRECTIONS + 10
    first = write_run(tmp_path / "a", planted_curves(20))
    second = write_run(
        tmp_path / "b", planted_curves(20, angle_deg=other), source="b", angle_deg=other
    )
    result = compare(first, second)
    assert "aligned_curves" not in result.tables
    assert len(result.tables["quantities"])


def test_silent_and_missing_curves_count_nowhere(tmp_path):
    curves = planted_curves(20)
    broken = curves.copy()
    broken[0], broken[1, 3] = 0.0, np.nan
    result = compare(
        write_run(tmp_path / "a", curves),
        write_run(tmp_path / "b", broken, source="b"),
        filters=["all"],
    )
    correlation = result.neurons["direction_curve_correlation"]
    assert correlation[:2].isna().all()
    assert correlation[2:].notna().all()
    test = population(result, "direction curve correlation - shuffled")
    assert test["neuron_count"] == 18
    assert test["left_out_count"] == 2
