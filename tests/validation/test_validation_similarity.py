"""Similarity held to dense curves and to the planted map."""

import numpy as np
import pytest

import insilico
from insilico.validation.comparison import find_comparison, summarize


@pytest.fixture(scope="module")
def compared():
    twin = insilico.SimulatedV1("image", simple_count=60, energy_count=60, contextual=True, seed=2)
    direction = insilico.run("direction", twin, jobs=1)
    result = insilico.run("similarity", twin, given={"direction": direction}, jobs=1)
    return result, find_comparison("similarity").compare(twin, result)


def test_similarity_of_simulated_neurons_is_recovered(compared):
    summary = summarize(compared[1])
    assert summary["is_met"].all(), summary.to_string()
    assert summary["value"].notna().sum() >= 4


def test_rows_are_of_neurons_and_of_bins_below_zero(compared):
    result, table = compared
    of_neurons = table[table["neuron"] >= 0]
    assert set(of_neurons["neuron"]) == set(result.neurons["neuron"])
    bins = table[table["quantity"] == "orientation_similarity_at_distance"]
    assert len(bins) == 12
    assert bins["neuron"].is_unique


def test_similarities_that_are_wrong_are_told(compared):
    _, table = compared
    shuffled = table.assign(
        recovered=np.random.default_rng(0).permutation(table["recovered"].to_numpy())
    )
    assert not summarize(shuffled)["is_met"].all()
