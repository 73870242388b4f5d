"""Split trials are disjoint, balanced, seeded, and keep selection out of the test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import ShapeError
from insilico.statistics.splits import split_trials


@given(counts=st.lists(st.integers(2, 9), min_size=1, max_size=7), seed=st.integers(0, 1000))
def test_halves_are_disjoint_complete_and_balanced(counts, seed):
    condition = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    split = split_trials(condition, seed=seed)
    both = np.concatenate(split)
    assert np.array_equal(np.sort(both), np.arange(len(condition)))
    halves = [np.bincount(condition[half], minlength=len(counts)) for half in split]
    assert np.abs(halves[0] - halves[1]).max() <= 1
    assert abs(len(split.selection) - len(split.test)) <= 1
    assert all((np.diff(half) > 0).all() for half in split)


def test_rows_of_parameters_are_conditions():
    condition = np.repeat([[1.0, 0.0], [1.0, 90.0], [0.05, 0.0]], 4, axis=0)
    split = split_trials(condition, seed=0)
    for half in split:
        assert np.unique(condition[half], axis=0, return_counts=True)[1].tolist() == [2, 2, 2]


def test_seed_decides_the_split():
    condition = np.repeat(np.arange(4), 10)
    first, again, other = (split_trials(condition, seed=seed).test for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_trial_comes_into_either_half_equally_often():
    condition = np.repeat([0, 1, 2], [3, 4, 5])
    chosen = np.zeros(len(condition))
    for seed in range(2000):
        chosen[split_trials(condition, seed=seed).selection] += 1
    np.testing.assert_allclose(chosen / 2000, 0.5, atol=4 * 0.5 / np.sqrt(2000))


def test_flip_of_noise_vanishes_on_trials_that_did_not_select_it():
    """Neurons picked for a flip between iso and cross show it where they were picked, only."""
    rng = np.random.default_rng(0)
    condition = np.repeat(np.arange(4), 12)  # high iso, high cross, low iso, low cross
    responses = rng.gamma(2.0, size=(len(condition), 4000))

    def flip(trials):
        iso_high, cross_high, iso_low, cross_low = (
            responses[trials[condition[trials] == one]].mean(axis=0) for one in range(4)
        )
        return np.minimum((cross_high - iso_high) / iso_high, (iso_low - cross_low) / cross_low)

    split = split_trials(condition, seed=3)
    selected = flip(split.selection) >= 0.2
    assert selected.sum() > 200
    assert flip(split.selection)[selected].min() >= 0.2
    again = (flip(split.test)[selected] >= 0.2).mean()
    chance = (flip(split.test) >= 0.2).mean()
    assert again == pytest.approx(chance, abs=4 * np.sqrt(chance / selected.sum()))


def test_single_trials_of_a_condition_are_refused():
    with pytest.raises(ShapeError, match="1 of 3 conditions have a single trial"):
        split_trials([0, 0, 1, 1, 2], seed=0)


@pytest.mark.parametrize("condition", [[], np.ones((2, 2, 2)), 3])
def test_what_is_no_list_of_trials_is_refused(condition):
    with pytest.raises(ShapeError, match="a label, or a row of parameters"):
        split_trials(condition, seed=0)
