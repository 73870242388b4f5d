"""The table that 'insilico validate' prints."""

import numpy as np
import pandas as pd
import pytest

import insilico
from insilico.errors import CatalogError
from insilico.experiments import EXPERIMENTS, find_experiment
from insilico.synthesis.protocol import MOTION
from insilico.validation import COMPARISONS, find_comparison, retinotopy, summarize, validate
from insilico.validation.compare import join_results
from insilico.validation.truth import planted_results


@pytest.mark.slow
def test_the_simulated_v1_meets_the_limits_of_fields_and_directions():
    # The others are held to theirs in the tests of each experiment, on fewer neurons.
    validation = validate(experiments=("retinotopy", "direction"), jobs=1)
    assert validation.is_met, validation.summary.to_string()
    counts = validation.summary.groupby("cell_class")["count"].max()
    assert (counts >= 100).all()


def test_a_wrong_instrument_is_caught():
    neurons = pd.DataFrame(
        {
            "kind": "image",
            "cell_class": "simple",
            "experiment": "retinotopy",
            "quantity": np.repeat(["x_px", "y_px", "sigma_major_px", "sigma_minor_px"], 10),
            "neuron": np.tile(np.arange(10), 4),
            "planted": 5.0,
            "recovered": 5.0,
            "status": "ok",
        }
    )
    assert summarize(neurons)["is_met"].all()
    off = neurons.assign(recovered=neurons["recovered"] + 0.6)
    summary = summarize(off).set_index("check")
    assert not summary.loc["center error (px)", "is_met"]
    assert summary.loc["center error (px)", "value"] == pytest.approx(0.6 * np.sqrt(2))
    assert not summary.loc["width error (%)", "is_met"]
    bad = neurons.assign(status="unreliable")
    assert not summarize(bad).set_index("check").loc["status ok (%)", "is_met"]


def test_angles_are_compared_around_the_circle():
    rows = {"kind": "movie", "cell_class": "simple", "experiment": "direction", "status": "ok"}
    values = {
        "dsi": (0.8, 0.8),
        "osi": (0.8, 0.8),
        "preferred_direction_deg": (359.5, 0.5),
        "preferred_orientation_deg": (179.5, 0.5),
        "fitted_direction_deg": (359.5, 2.5),
        "fitted_orientation_deg": (179.5, 2.5),
    }
    neurons = pd.DataFrame(
        [
            {
                **rows,
                "quantity": name,
                "neuron": n,
                "planted": pair[0] + n,
                "recovered": pair[1] + n,
            }
            for name, pair in values.items()
            for n in (0, 1, 2)
        ]
    )
    summary = summarize(neurons).set_index("check")
    assert summary.loc["direction error (deg)", "value"] == pytest.approx(1)
    assert summary.loc["orientation error (deg)", "value"] == pytest.approx(1)
    assert summary.loc["fitted direction error (deg)", "value"] == pytest.approx(3)
    assert summary.loc["fitted orientation error (deg)", "value"] == pytest.approx(3)


def test_truth_does_not_depend_on_which_neurons_are_measured():
    from insilico.validation import compare_retinotopy

    twin = insilico.SimulatedV1("image", simple_count=4, energy_count=4)
    overrides = {"image_count": 100}
    everyone = compare_retinotopy(
        twin, insilico.run("retinotopy", twin, overrides=overrides, jobs=1)
    )
    some = compare_retinotopy(
        twin, insilico.run("retinotopy", twin, overrides=overrides, neurons=[5, 2], jobs=1)
    )
    key = ["neuron", "quantity"]
    merged = some.merge(everyone, on=key, suffixes=("", "_all"))
    np.testing.assert_allclose(merged["planted"], merged["planted_all"], rtol=1e-5)


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_comparison_is_of_what_can_be_measured_and_has_limits_for_trained_twins(name):
    comparison = find_comparison(name)
    assert comparison.experiment == name
    if comparison.measure is None:
        assert name in EXPERIMENTS
        assert set(comparison.kinds) <= set(find_experiment(name).kinds)
    else:
        assert name in MOTION
    assert set(comparison.trained_limits) == set(comparison.limits)


def test_an_experiment_without_truth_is_named():
    with pytest.raises(CatalogError, match="results of 'evaluation' are compared with no truth"):
        find_comparison("evaluation")


def test_what_an_experiment_builds_on_is_measured_before_it_on_the_same_neurons(monkeypatch):
    # How good the receptive fields are is for the limits above, which take much more noise.
    little = {"image": {"image_count": 400}, "movie": {"frame_count": 2000}}
    monkeypatch.setattr(retinotopy, "NOISE", {key: little[key[0]] for key in retinotopy.NOISE})
    steps = []
    validation = validate(
        simple_count=9, energy_count=9, experiments=["surround"], jobs=1, on_step=steps.append
    )
    assert steps[-1] == "movie twin: surround"
    image = [step for step in steps if step.startswith("image")]
    assert [step.split(": ")[1] for step in image] == ["retinotopy"] * 2 + ["direction", "surround"]
    assert set(validation.summary["experiment"]) == {"surround"}
    assert set(validation.summary["kind"]) == {"image", "movie"}
    assert validation.neurons["neuron"].nunique() == 6


def test_parts_of_a_population_are_joined_into_one_table():
    twin = insilico.SimulatedV1("image", simple_count=2, energy_count=2)
    parts = [insilico.run("direction", twin, neurons=[n], jobs=1) for n in (2, 0)]
    assert list(join_results(parts).neurons["neuron"]) == [2, 0]
    assert join_results(parts[:1]) is parts[0]


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_planted_results_say_what_experiments_build_on(kind):
    twin = insilico.SimulatedV1(kind, simple_count=2, energy_count=2)
    planted, truth = planted_results(twin), twin.ground_truth
    np.testing.assert_array_equal(planted["retinotopy"].neurons["x_px"], truth["x_px"])
    direction = planted["direction"].neurons
    assert direction["preferred_direction_deg"].isna().all() == (kind == "image")
    np.testing.assert_array_equal(direction["fitted_orientation_deg"], truth["orientation_deg"])
