"""Every test that ships: null data reject at the nominal rate, a planted effect far more often.

A test stays below the upper end of the central 99.9 % of the binomial distribution of its number of
data sets, and above the lower end where its p-values are fine enough to reach the level.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from insilico.statistics.conditions import condition_difference_test
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.statistics.paired import compare_paired, compare_unpaired, compare_with_zero
from insilico.statistics.permutation import (
    correlation_permutation_test,
    selectivity_permutation_test,
)
from insilico.statistics.similarity_shuffle import similarity_shuffle_test
from insilico.statistics.splits import split_trials

EIGHT_DEG = np.arange(8) * 45.0
LEVELS = (0.05, 0.2)


def check_nominal(p_value, *, is_exact=True):
    """Hold the rates to the binomial distribution; tests that are not exact may be below."""
    p_value = np.asarray(p_value)
    assert np.isfinite(p_value).all()
    for level in LEVELS:
        low, high = stats.binom.ppf([5e-4, 1 - 5e-4], len(p_value), level)
        rejected = (p_value <= level).sum()
        assert rejected <= high, f"{rejected} of {len(p_value)} at {level}"
        assert rejected >= low or not is_exact, f"{rejected} of {len(p_value)} at {level}"


def check_powerful(p_value, *, power=0.5):
    assert (np.asarray(p_value) <= 0.05).mean() >= power


def calcium_like(rng, shape, mean=1.0):
    """Skewed responses with many near zero, as deconvolved calcium signals are."""
    return rng.gamma(0.4, size=shape) * mean


# Selectivity: direction labels without meaning, and shuffled identities of trials.


def selectivity_p_values(index, *, modulation=0.0, conditions=None):
    rng = np.random.default_rng(1)
    found = []
    for seed in range(4):
        direction = rng.permutation(np.repeat(EIGHT_DEG, [9, 8, 7, 9, 6, 8, 9, 7]))
        harmonic = 2 if index == "orientation" else 1
        gain = 1 + modulation * np.cos(harmonic * np.radians(direction - 30))[:, None]
        responses = calcium_like(rng, (len(direction), 300)) * gain
        condition = None
        if conditions:
            # The condition matters a lot, and comes with some directions more than with others.
            condition = (rng.random(len(direction)) < 0.3 + 0.4 * (direction < 180)).astype(int)
            responses *= 1 + 3 * condition[:, None]
        test = selectivity_permutation_test(
            responses, direction, index=index, shuffle_count=199, seed=seed, condition=condition
        )
        found.append(test.p_value)
    return np.concatenate(found)


@pytest.mark.parametrize("index", ["orientation", "direction"])
@pytest.mark.parametrize("conditions", [None, 2])
def test_selectivity_of_untuned_neurons_is_nominal(index, conditions):
    check_nominal(selectivity_p_values(index, conditions=conditions))


@pytest.mark.parametrize("index", ["orientation", "direction"])
def test_selectivity_of_tuned_neurons_is_found(index):
    check_powerful(selectivity_p_values(index, modulation=0.9))


# Correlation of traces: slow signals that have nothing to do with each other.


def correlation_p_values(shared):
    rng = np.random.default_rng(2)
    trial = np.repeat(np.arange(15), 20)
    found = []
    for seed in range(400):
        one, two, common = np.cumsum(rng.normal(size=(3, 15, 20)), axis=2).reshape(3, -1)
        test = correlation_permutation_test(
            one + shared * common, two + shared * common, trial=trial, shuffle_count=99, seed=seed
        )
        found.append(test.p_value)
    return found


def test_correlation_of_unrelated_slow_traces_is_nominal():
    check_nominal(correlation_p_values(0.0))


def test_correlation_of_related_traces_is_found():
    check_powerful(correlation_p_values(1.5))


# Conditions over trials.


def condition_p_values(*, is_paired, effect=1.0, alternative="two-sided", counts=(12, 12)):
    rng = np.random.default_rng(3)
    found = []
    for seed in range(4):
        # Paired trials share a state of the animal; neurons differ in how strongly they respond.
        gain = rng.gamma(1.0, size=300)
        state = rng.gamma(4.0, size=(max(counts), 1)) if is_paired else 1.0
        first = calcium_like(rng, (counts[0], 300), effect) * gain * state
        second = calcium_like(rng, (counts[1], 300)) * gain * state
        test = condition_difference_test(
            first,
            second,
            is_paired=is_paired,
            alternative=alternative,
            shuffle_count=199,
            seed=seed,
        )
        found.append(test.p_value)
    return np.concatenate(found)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize(
    ("is_paired", "counts"), [(True, (12, 12)), (False, (12, 12)), (False, (6, 20))]
)
def test_equal_conditions_differ_at_the_nominal_rate(is_paired, counts, alternative):
    check_nominal(condition_p_values(is_paired=is_paired, counts=counts, alternative=alternative))


@pytest.mark.parametrize("is_paired", [True, False])
def test_responses_above_blank_are_found(is_paired):
    p_value = condition_p_values(
        is_paired=is_paired, effect=8.0, alternative="greater", counts=(24, 24)
    )
    check_powerful(p_value)


def test_equal_means_with_unequal_variances_differ_at_about_the_nominal_rate():
    """Few noisy responses against many quiet blanks: a plain mean difference rejects too often."""
    rng = np.random.default_rng(4)
    first, second = rng.normal(0, 4, (15, 1200)), rng.normal(0, 1, (45, 1200))
    test = condition_difference_test(first, second, shuffle_count=199, seed=0)
    rate = (test.p_value <= 0.05).mean()
    assert 0.03 < rate < 0.08
    both = np.concatenate([first, second])
    plain = np.array([both[rng.permutation(60)[:15]].sum(axis=0) for _ in range(199)])
    plain_p = ((np.abs(plain) >= np.abs(first.sum(axis=0))).sum(axis=0) + 1) / 200
    assert (plain_p <= 0.05).mean() > 0.15


def test_neurons_picked_and_tested_on_separate_trials_reject_at_the_nominal_rate():
    """The strongest of untuned neurons: picked and tested on the same trials they pass."""
    rng = np.random.default_rng(5)
    condition = np.repeat([0, 1], 24)
    responses = calcium_like(rng, (48, 6000))
    split = split_trials(condition, seed=0)

    def parts(trials):
        return [responses[trials[condition[trials] == one]] for one in (1, 0)]

    def difference(trials):
        one, two = parts(trials)
        return one.mean(axis=0) - two.mean(axis=0)

    strongest = np.argsort(difference(split.selection))[-600:]
    honest = condition_difference_test(
        *(part[:, strongest] for part in parts(split.test)),
        alternative="greater",
        shuffle_count=199,
        seed=0,
    )
    check_nominal(honest.p_value)
    circular = condition_difference_test(
        *(part[:, strongest] for part in parts(split.selection)),
        alternative="greater",
        shuffle_count=199,
        seed=0,
    )
    assert (circular.p_value <= 0.05).mean() > 0.25


def test_neurons_passed_by_false_discovery_control_are_rare_on_null_data():
    p_value = condition_p_values(is_paired=False)
    # With nothing to find, any discovery is false: at most a share q of families has one.
    families = [false_discovery_q_values(part) for part in p_value.reshape(100, 12)]
    any_found = sum((part <= 0.2).any() for part in families)
    assert any_found <= stats.binom.ppf(1 - 5e-4, 100, 0.2)


# Comparisons over neurons.


def comparison_p_values(kind, *, effect=0.0, count=25):
    rng = np.random.default_rng(6)
    found = []
    # SciPy lists all signs of a few tied values, which is slow.
    for seed in range(100 if kind == "ties" and count < 14 else 500):
        options = {"draws": 1, "seed": seed}
        noise = rng.laplace(size=(2, count))
        if kind == "paired":
            level = rng.gamma(1.0, size=count) * 5
            test = compare_paired(level + noise[0] + effect, level + noise[1], **options)
        elif kind == "zero":
            test = compare_with_zero(noise[0] + effect, **options)
        elif kind == "ties":
            test = compare_paired(*np.round([noise[0] + effect, noise[1]]), **options)
        else:
            test = compare_unpaired(noise[0] + effect, noise[1, 5:], **options)
        found.append(test.p_value)
    return found


@pytest.mark.parametrize("kind", ["paired", "zero", "ties", "unpaired"])
@pytest.mark.parametrize("count", [9, 60])
def test_populations_without_a_difference_are_told_apart_at_the_nominal_rate(kind, count):
    # Ranks of a few neurons take few values, which can only make a test milder.
    check_nominal(comparison_p_values(kind, count=count), is_exact=count > 9)


@pytest.mark.parametrize("kind", ["paired", "zero", "ties", "unpaired"])
def test_populations_with_a_difference_are_told_apart(kind):
    check_powerful(comparison_p_values(kind, effect=1.2))


# Similarity against distance: shuffled identities.


def similarity_p_values(*, map_um=None, pair_p_values=None):
    """Neurons that lie more densely in one corner, and mostly prefer about one direction."""
    rng = np.random.default_rng(7)
    found = []
    for seed in range(200):
        position = rng.uniform(0, 150, (60, 3))
        position[:30, :2] = rng.normal(40, 15, (30, 2))
        preference = rng.normal(0, 1.0, 60)
        if map_um:
            preference += 3 * np.sin(position[:, 0] / map_um)
        curves = 1 + np.cos(np.radians(EIGHT_DEG) - preference[:, None])
        curves += rng.normal(0, 0.5, curves.shape)
        table = similarity_shuffle_test(
            curves,
            position,
            horizontal_edges_um=[0, 40, 300],
            vertical_edges_um=[0, 200],
            shuffle_count=99,
            seed=seed,
        )
        found.append(table["p_value"].to_numpy())
        if pair_p_values is not None:
            i, j = np.triu_indices(60, 1)
            similarity = np.corrcoef(curves)[i, j]
            is_near = np.linalg.norm((position[i] - position[j])[:, :2], axis=1) < 40
            pair_p_values.append(
                stats.mannwhitneyu(similarity[is_near], similarity[~is_near]).pvalue
            )
    return np.array(found)


def test_similarity_without_a_map_passes_chance_at_the_nominal_rate_where_pairs_do_not():
    over_pairs = []
    for p_value in similarity_p_values(pair_p_values=over_pairs).T:
        check_nominal(p_value)
    assert (np.array(over_pairs) <= 0.05).mean() > 0.2


def test_similarity_of_a_map_is_found():
    check_powerful(similarity_p_values(map_um=40)[:, 0])
