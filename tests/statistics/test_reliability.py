"""Reliability against closed forms and against loops written straight from the formulas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from insilico.errors import ShapeError
from insilico.statistics.reliability import (
    conservative_oracle,
    explainable_variance_fraction,
    oracle_correlation,
    repeat_counts,
    signal_power,
)

MEASURES = (
    oracle_correlation,
    conservative_oracle,
    explainable_variance_fraction,
    signal_power,
)
INDEX = np.array([3, 0, 3, 7, 0, 3, 5, 7, -1, -1])


def make_images(seed=0, *, index=INDEX, neuron_count=4, dtype=np.float32):
    rng = np.random.default_rng(seed)
    signal = rng.gamma(2.0, size=(index.max() + 1, neuron_count))
    return [(signal[i] + rng.normal(size=(1, neuron_count))).astype(dtype) for i in index]


def make_movies(seed=0, *, index=INDEX, neuron_count=4, frames=(30, 30), dtype=np.float32):
    rng = np.random.default_rng(seed)
    signal = rng.gamma(2.0, size=(index.max() + 1, max(frames), neuron_count))
    lengths = rng.integers(frames[0], frames[1] + 1, len(index))
    return [
        (signal[i, :t] + rng.normal(size=(t, neuron_count))).astype(dtype)
        for i, t in zip(index, lengths, strict=True)
    ]


def repeats_of(trials, index, neuron):
    """One list of repeats a stimulus, each a list of floats cut to the common length."""
    groups = {}
    for trial, stimulus in zip(trials, index, strict=True):
        if stimulus >= 0:
            groups.setdefault(int(stimulus), []).append([float(v) for v in trial[:, neuron]])
    groups = {key: value for key, value in groups.items() if len(value) > 1}
    return [
        [repeat[: min(map(len, group))] for repeat in group] for _, group in sorted(groups.items())
    ]


def by_row(groups):
    """One list of repeats a row of each stimulus."""
    return [list(values) for group in groups for values in zip(*group, strict=True)]


def loop_oracle(groups):
    one, other = [], []
    for values in by_row(groups):
        for repeat, value in enumerate(values):
            rest = values[:repeat] + values[repeat + 1 :]
            one.append(value)
            other.append(sum(rest) / len(rest))
    return pearsonr(one, other).statistic


def loop_conservative(groups):
    means = [np.mean(values) for values in by_row(groups)]
    noise = np.mean([np.var(values) for values in by_row(groups)])
    return np.sqrt(np.var(means) / (np.var(means) + noise))


def loop_fev(groups):
    total = np.var([value for values in by_row(groups) for value in values], ddof=1)
    noise = np.mean([np.var(values, ddof=1) for values in by_row(groups)])
    return (total - noise) / total


def loop_power_over_time(groups):
    powers = []
    for group in groups:
        count = len(group)
        of_sum = np.var([sum(frame) for frame in zip(*group, strict=True)], ddof=1)
        of_each = sum(np.var(repeat, ddof=1) for repeat in group)
        powers.append((of_sum - of_each) / (count * (count - 1)))
    return np.mean(powers)


def loop_aligned_power(columns):
    """A13 of the specification, from one list of stimuli a repeat."""
    count = len(columns)
    of_mean = np.var(np.mean(columns, axis=0), ddof=1)
    of_each = np.mean([np.var(column, ddof=1) for column in columns])
    return (count * of_mean - of_each) / (count - 1)


@pytest.mark.parametrize("make", [make_images, make_movies])
@pytest.mark.parametrize(
    ("measure", "loop"),
    [
        (oracle_correlation, loop_oracle),
        (conservative_oracle, loop_conservative),
        (explainable_variance_fraction, loop_fev),
    ],
)
def test_measure_equals_a_loop_over_the_formula(make, measure, loop):
    trials = make()
    expected = [loop(repeats_of(trials, INDEX, neuron)) for neuron in range(4)]
    np.testing.assert_allclose(measure(trials, INDEX), expected, atol=1e-9)


def test_signal_power_of_movies_equals_a_loop_over_the_formula():
    trials = make_movies()
    expected = [loop_power_over_time(repeats_of(trials, INDEX, neuron)) for neuron in range(4)]
    np.testing.assert_allclose(signal_power(trials, INDEX), expected, atol=1e-9)


def test_aligned_signal_power_of_images_equals_the_published_formula():
    index = np.tile(np.arange(6), 3)
    trials = make_images(index=index)
    values = np.stack(trials)[:, 0].reshape(3, 6, 4).astype(float)
    expected = [loop_aligned_power(values[:, :, neuron]) for neuron in range(4)]
    np.testing.assert_allclose(signal_power(trials, index, aligned=True), expected, atol=1e-9)


def test_signal_power_of_images_is_the_published_one_averaged_over_orders():
    index = np.tile(np.arange(3), 2)
    trials = make_images(index=index, neuron_count=1, dtype=np.float64)
    values = np.stack(trials)[:, 0, 0].reshape(2, 3)
    orders = itertools.product(
        [values[:, 0], values[::-1, 0]], *[[c, c[::-1]] for c in values.T[1:]]
    )
    expected = np.mean([loop_aligned_power(np.stack(order, axis=1)) for order in orders])
    assert signal_power(trials, index)[0] == pytest.approx(expected, abs=1e-12)


def test_repeats_of_unequal_length_are_cut_to_their_common_start():
    trials = make_movies(frames=(20, 30))
    assert len({len(trial) for trial in trials}) > 2
    loops = {
        oracle_correlation: loop_oracle,
        explainable_variance_fraction: loop_fev,
        signal_power: loop_power_over_time,
    }
    for measure, loop in loops.items():
        expected = [loop(repeats_of(trials, INDEX, neuron)) for neuron in range(4)]
        np.testing.assert_allclose(measure(trials, INDEX), expected, atol=1e-9)


def test_known_signal_and_noise_variances_are_found():
    # y = signal + noise with variances 2 and 3: FEV 2/5, signal power 2; with R repeats the
    # jackknife reaches 2 / sqrt(5 (2 + 3/(R - 1))), the conservative one sqrt((2 + 3/R) / (2 + 3)).
    rng = np.random.default_rng(1)
    stimulus_count, repeat_count = 4000, 10
    index = np.repeat(np.arange(stimulus_count), repeat_count)
    signal = np.sqrt(2.0) * rng.normal(size=(stimulus_count, 5))
    trials = signal[index] + np.sqrt(3.0) * rng.normal(size=(len(index), 5))
    trials = list(trials[:, None])
    np.testing.assert_allclose(explainable_variance_fraction(trials, index), 0.4, atol=0.02)
    np.testing.assert_allclose(signal_power(trials, index), 2.0, rtol=0.05)
    jackknife = 2 / np.sqrt(5 * (2 + 3 / 9))
    np.testing.assert_allclose(oracle_correlation(trials, index), jackknife, atol=0.02)
    conservative = np.sqrt((2 + 0.3) / 5)
    np.testing.assert_allclose(conservative_oracle(trials, index), conservative, atol=0.02)


def test_neurons_without_noise_are_perfectly_reliable():
    index = np.repeat(np.arange(5), 3)
    trials = [trial for trial in make_movies(index=np.arange(5)) for _ in range(3)]
    np.testing.assert_allclose(oracle_correlation(trials, index), 1.0)
    np.testing.assert_allclose(conservative_oracle(trials, index), 1.0)
    expected = np.mean([np.var(trial.astype(float), axis=0, ddof=1) for trial in trials], axis=0)
    np.testing.assert_allclose(signal_power(trials, index), expected)
    # All repeats are equal, so the total is known up to the one lost degree of freedom.
    np.testing.assert_allclose(explainable_variance_fraction(trials, index), 1.0)


@pytest.mark.parametrize("make", [make_images, make_movies])
@pytest.mark.parametrize("measure", MEASURES)
@given(seed=st.integers(0, 1000))
def test_order_of_trials_does_not_matter(make, measure, seed):
    trials = make(dtype=np.float64)
    order = np.random.default_rng(seed).permutation(len(trials))
    np.testing.assert_allclose(
        measure([trials[trial] for trial in order], INDEX[order]),
        measure(trials, INDEX),
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize("make", [make_images, make_movies])
@pytest.mark.parametrize("measure", MEASURES)
@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10))
def test_scale_and_shift_do_not_matter(make, measure, scale, shift):
    trials = make(dtype=np.float64)
    changed = [scale * (trial + shift) for trial in trials]
    expected = measure(trials, INDEX) * (scale**2 if measure is signal_power else 1)
    np.testing.assert_allclose(measure(changed, INDEX), expected, rtol=1e-6)


@pytest.mark.parametrize("make", [make_images, make_movies])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_constant_neuron_is_nan_and_leaves_others_alone(make, measure, dtype, value):
    trials = make(dtype=dtype)
    expected = measure(trials, INDEX)
    for trial in trials:
        trial[:, 2] = value
    result = measure(trials, INDEX)
    assert np.isnan(result).tolist() == [False, False, True, False]
    np.testing.assert_allclose(result[[0, 1, 3]], expected[[0, 1, 3]])


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("index", [np.arange(10), np.full(10, -1)])
def test_nothing_repeated_is_nan(measure, index):
    assert np.isnan(measure(make_movies(), index)).all()


@pytest.mark.parametrize("measure", [conservative_oracle, explainable_variance_fraction])
def test_a_single_repeated_image_tells_nothing_of_signal(measure):
    assert np.isnan(measure(make_images(index=np.zeros(5, int)), np.zeros(5, int))).all()


def test_repeats_are_counted_by_stimulus_and_unknown_ones_stand_alone():
    assert repeat_counts(INDEX).tolist() == [2, 3, 1, 2, 1, 1]
    assert repeat_counts([]).tolist() == []


def test_aligned_repeats_of_unequal_number_are_refused():
    with pytest.raises(ShapeError, match="2 to 3 repeats cannot be aligned"):
        signal_power(make_images(), INDEX, aligned=True)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("trials", "index", "expected"),
    [
        ([], [], "no trial was given"),
        ([np.zeros((3, 2)), np.zeros((3, 4))], [0, 0], r"a trial of shape \(3, 4\)"),
        ([np.zeros(3), np.zeros(3)], [0, 0], r"give \(row, neuron\)"),
        ([np.zeros((3, 2))] * 2, [0], "1 stimulus indices were given for 2 trials"),
        ([np.zeros((3, 2))] * 2, [0.0, 0.5], "type float64"),
    ],
)
def test_trials_that_do_not_fit_are_refused(measure, trials, index, expected):
    with pytest.raises(ShapeError, match=expected):
        measure(trials, index)
