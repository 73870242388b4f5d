"""Permutation test against its definition, its null and planted tuning."""

from __future__ import annotations

import numpy as np
import pytest

import insilico.statistics.permutation as permutation
from insilico.errors import CatalogError, ShapeError, UnitsError
from insilico.statistics.permutation import selectivity_permutation_test
from insilico.statistics.selectivity import (
    direction_selectivity_index,
    orientation_selectivity_index,
)

EIGHT_DEG = np.arange(8) * 45.0
INDEX = {
    "orientation": orientation_selectivity_index,
    "direction": direction_selectivity_index,
}


def plain_test(responses, direction, index, shuffle_count, seed):
    """Spell out the definition: shuffle labels, average, compute the index, count."""
    rng = np.random.default_rng(seed)

    def compute(labels):
        means = [responses[labels == angle].mean(axis=0) for angle in EIGHT_DEG]
        return INDEX[index](np.stack(means, axis=-1), EIGHT_DEG)

    observed = compute(direction)
    reached = np.zeros(responses.shape[1])
    for _ in range(shuffle_count):
        labels = direction[rng.permutation(len(direction))]
        reached += compute(labels) >= observed * (1 - 1e-10)
    return observed, (reached + 1) / (shuffle_count + 1)


@pytest.mark.parametrize("index", ["orientation", "direction"])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("block_numbers", [permutation.BLOCK_NUMBERS, 1000])
def test_result_equals_a_plain_loop(monkeypatch, index, balanced, block_numbers):
    monkeypatch.setattr(permutation, "BLOCK_NUMBERS", block_numbers)
    rng = np.random.default_rng(0)
    direction = (
        np.repeat(EIGHT_DEG, 4) if balanced else np.repeat(EIGHT_DEG, [2, 3, 5, 2, 4, 6, 2, 3])
    )
    responses = rng.gamma(2.0, size=(len(direction), 12))
    expected = plain_test(responses, direction, index, 60, seed=5)
    result = selectivity_permutation_test(
        responses, direction, index=index, shuffle_count=60, seed=5
    )
    np.testing.assert_allclose(result.observed, expected[0])
    np.testing.assert_array_equal(result.p_value, expected[1])


@pytest.mark.parametrize("index", ["orientation", "direction"])
def test_untuned_neurons_are_rejected_at_the_nominal_rate(index):
    rng = np.random.default_rng(1)
    neuron_count, rejected = 400, []
    # Neurons of one call share the shuffles, so independence comes from several calls.
    for seed in range(5):
        direction = rng.permutation(np.repeat(EIGHT_DEG, [5, 7, 6, 5, 8, 5, 6, 7]))
        responses = rng.gamma(2.0, size=(len(direction), neuron_count))
        result = selectivity_permutation_test(
            responses, direction, index=index, shuffle_count=199, seed=seed
        )
        rejected.append(result.p_value <= 0.05)
    rate, count = np.mean(rejected), 5 * neuron_count
    assert abs(rate - 0.05) < 4 * np.sqrt(0.05 * 0.95 / count)


def test_tuned_neuron_reaches_the_smallest_p_value():
    rng = np.random.default_rng(2)
    direction = np.repeat(EIGHT_DEG, 10)
    tuned = 2 + np.cos(np.radians(direction - 40)) + np.cos(2 * np.radians(direction - 40)) * 0.9
    responses = np.stack([tuned, np.ones_like(tuned)], axis=1)
    responses += rng.uniform(0, 0.2, responses.shape)
    for index in ("orientation", "direction"):
        result = selectivity_permutation_test(
            responses, direction, index=index, shuffle_count=999, seed=0
        )
        assert result.p_value[0] == 1 / 1000
        assert result.p_value[1] > 1 / 1000


def test_ties_count_as_reached():
    """A single responding trial gives the same index wherever its label goes."""
    direction = np.repeat(EIGHT_DEG, 3)
    responses = np.zeros((24, 2))
    responses[7, 0] = responses[13, 1] = 0.3
    result = selectivity_permutation_test(responses, direction, shuffle_count=50, seed=0)
    assert result.p_value.tolist() == [1.0, 1.0]


def test_same_seed_gives_the_same_answer_for_any_set_of_neurons():
    rng = np.random.default_rng(3)
    direction = np.repeat(EIGHT_DEG, 5)
    responses = rng.gamma(1.0, size=(40, 30))
    everyone = selectivity_permutation_test(responses, direction, shuffle_count=100, seed=9)
    some = selectivity_permutation_test(responses[:, 7:11], direction, shuffle_count=100, seed=9)
    np.testing.assert_array_equal(some.p_value, everyone.p_value[7:11])
    other = selectivity_permutation_test(responses, direction, shuffle_count=100, seed=10)
    assert (other.p_value != everyone.p_value).any()


def test_neuron_without_an_index_is_nan_and_leaves_the_others_alone():
    rng = np.random.default_rng(4)
    direction = np.repeat(EIGHT_DEG, 4)
    responses = rng.gamma(2.0, size=(32, 4))
    clean = selectivity_permutation_test(responses[:, [3]], direction, shuffle_count=50, seed=0)
    responses[0, 0] = np.nan
    responses[:, 1] = 0.0
    responses[:4, 2] = -1.0
    result = selectivity_permutation_test(responses, direction, shuffle_count=50, seed=0)
    assert np.isnan(result.observed).tolist() == [True, True, True, False]
    assert np.isnan(result.p_value).tolist() == [True, True, True, False]
    assert result.p_value[3] == clean.p_value[0]


def test_single_trials_of_a_direction_are_refused():
    direction = np.r_[np.repeat(EIGHT_DEG, 3), 0.0][2:]
    with pytest.raises(ShapeError, match=r"rarest direction has 1 trial"):
        selectivity_permutation_test(np.ones((16, 2)), np.r_[EIGHT_DEG, EIGHT_DEG[:7], 0], seed=0)
    assert selectivity_permutation_test(np.ones((23, 2)), direction, seed=0).observed.shape == (2,)


def test_mismatched_lengths_are_refused():
    with pytest.raises(ShapeError, match="one direction per trial"):
        selectivity_permutation_test(np.ones((16, 2)), np.repeat(EIGHT_DEG, 3), seed=0)


def test_uneven_directions_are_refused():
    with pytest.raises(UnitsError, match="not evenly spaced"):
        selectivity_permutation_test(np.ones((6, 2)), np.repeat([0, 45, 90], 2), seed=0)


def test_unknown_index_is_refused():
    with pytest.raises(CatalogError, match="'speed'"):
        selectivity_permutation_test(
            np.ones((16, 2)), np.repeat(EIGHT_DEG, 2), index="speed", seed=0
        )


def test_no_shuffles_are_refused():
    with pytest.raises(UnitsError, match="0 shuffles"):
        selectivity_permutation_test(
            np.ones((16, 2)), np.repeat(EIGHT_DEG, 2), shuffle_count=0, seed=0
        )
