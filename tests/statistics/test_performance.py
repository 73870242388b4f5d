"""Performance against SciPy, closed forms and loops written straight from the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from insilico.errors import CatalogError, ShapeError
from insilico.statistics import performance
from insilico.statistics.performance import (
    correlation,
    correlation_to_average,
    feve,
    fraction_oracle,
    normalized_correlation,
    poisson_loss,
    single_trial_correlation,
)
from insilico.statistics.reliability import oracle_correlation

INDEX = np.array([0, 1, 2, 0, 1, 2, 0, 1, -1, 3])
WITH_REPEATS = ("correlation_to_average", "normalized_correlation", "feve")
SCALE_FREE = ("correlation", "single_trial_correlation", *WITH_REPEATS)


def make(*, rows=(25, 25), seed=0, neuron_count=4, dtype=np.float32):
    """Predicted and recorded trials, somewhat alike; ``rows`` is the range of their lengths."""
    rng = np.random.default_rng(seed)
    signal = rng.gamma(2.0, size=(5, rows[1], neuron_count))
    lengths = rng.integers(rows[0], rows[1] + 1, len(INDEX))
    predicted, recorded = [], []
    for stimulus, length in zip(INDEX, lengths, strict=True):
        shown = signal[stimulus, :length]
        # Predictions differ between repeats, as they do for a model that reads behavior.
        predicted.append((shown + 0.5 * rng.random(shown.shape)).astype(dtype))
        recorded.append((shown + rng.normal(size=shown.shape)).astype(dtype))
    return predicted, recorded


def measure(name, predicted, recorded, **options):
    arguments = (predicted, recorded, INDEX) if name in WITH_REPEATS else (predicted, recorded)
    return getattr(performance, name)(*arguments, **options)


def groups_of(trials, neuron):
    """(repeat, row) arrays of every repeated stimulus, of one neuron."""
    groups = []
    for stimulus in (0, 1, 2):
        chosen = [trials[t][:, neuron].astype(float) for t in np.flatnonzero(stimulus == INDEX)]
        length = min(map(len, chosen))
        groups.append(np.array([trial[:length] for trial in chosen]))
    return groups


def by_neuron(loop, predicted, recorded):
    return [
        loop(groups_of(predicted, neuron), groups_of(recorded, neuron))
        for neuron in range(recorded[0].shape[1])
    ]


@pytest.mark.parametrize("rows", [(1, 1), (25, 25), (15, 25)])
def test_correlation_equals_scipy_over_all_rows(rows):
    predicted, recorded = make(rows=rows)
    expected = [
        pearsonr(a, b).statistic
        for a, b in zip(
            np.concatenate(predicted).T.astype(float),
            np.concatenate(recorded).T.astype(float),
            strict=True,
        )
    ]
    np.testing.assert_allclose(correlation(predicted, recorded), expected, atol=1e-9)


@pytest.mark.parametrize("rows", [(25, 25), (15, 25)])
def test_single_trial_correlation_of_movies_is_the_mean_of_that_of_each_trial(rows):
    predicted, recorded = make(rows=rows)
    expected = [
        np.mean(
            [
                pearsonr(p[:, neuron].astype(float), y[:, neuron].astype(float)).statistic
                for p, y in zip(predicted, recorded, strict=True)
            ]
        )
        for neuron in range(4)
    ]
    np.testing.assert_allclose(single_trial_correlation(predicted, recorded), expected, atol=1e-9)


def test_single_trial_correlation_of_images_is_over_trials():
    predicted, recorded = make(rows=(1, 1))
    expected = correlation(predicted, recorded)
    np.testing.assert_array_equal(single_trial_correlation(predicted, recorded), expected)
    movies = make()
    np.testing.assert_array_equal(
        single_trial_correlation(*movies, over="trials"), correlation(*movies)
    )


@pytest.mark.parametrize("rows", [(25, 25), (15, 25)])
def test_correlation_to_average_of_movies_equals_a_loop(rows):
    predicted, recorded = make(rows=rows)

    def loop(predicted, recorded):
        return np.mean(
            [
                pearsonr(p.mean(axis=0), y.mean(axis=0)).statistic
                for p, y in zip(predicted, recorded, strict=True)
            ]
        )

    expected = by_neuron(loop, predicted, recorded)
    np.testing.assert_allclose(
        correlation_to_average(predicted, recorded, INDEX), expected, atol=1e-9
    )


@pytest.mark.parametrize(("rows", "over"), [((1, 1), None), ((25, 25), "stimuli")])
def test_correlation_to_average_of_images_is_over_stimuli(rows, over):
    predicted, recorded = make(rows=rows)

    def loop(predicted, recorded):
        p = np.concatenate([group.mean(axis=0) for group in predicted])
        y = np.concatenate([group.mean(axis=0) for group in recorded])
        return pearsonr(p, y).statistic

    expected = by_neuron(loop, predicted, recorded)
    result = correlation_to_average(predicted, recorded, INDEX, over=over)
    np.testing.assert_allclose(result, expected, atol=1e-9)


@pytest.mark.parametrize("compatibility", [False, True])
def test_normalized_correlation_of_movies_equals_a_loop_over_the_formula(compatibility):
    predicted, recorded = make(rows=(15, 25))

    def loop(predicted, recorded):
        values = []
        for p, y in zip(predicted, recorded, strict=True):
            count, length = y.shape
            p, mean = p.mean(axis=0), y.mean(axis=0)
            covariance = sum((mean - mean.mean()) * (p - p.mean())) / (length - 1)
            of_each = sum(np.var(repeat, ddof=1) for repeat in y)
            power = (np.var(y.sum(axis=0), ddof=1) - of_each) / (count * (count - 1))
            values.append(covariance / (np.sqrt(np.var(p, ddof=1) * power) + 1e-8))
        return np.mean(values)

    expected = by_neuron(loop, predicted, recorded)
    result = normalized_correlation(predicted, recorded, INDEX, compatibility=compatibility)
    np.testing.assert_allclose(result, expected, atol=1e-7)


def test_normalized_correlation_of_images_is_the_one_to_average_over_its_ceiling():
    rng = np.random.default_rng(3)
    index = np.tile(np.arange(20), 4)
    shown = rng.gamma(2.0, size=(20, 1, 4))
    recorded = [shown[i] + rng.normal(size=(1, 4)) for i in index]
    predicted = [shown[i] + 0.3 * rng.normal(size=(1, 4)) for i in index]
    y = np.stack(recorded)[:, 0].reshape(4, 20, 4)
    of_mean = y.mean(axis=0).var(axis=0, ddof=1)
    power = (4 * of_mean - y.var(axis=1, ddof=1).mean(axis=0)) / 3
    to_average = correlation_to_average(predicted, recorded, index)
    np.testing.assert_allclose(
        normalized_correlation(predicted, recorded, index, aligned=True),
        to_average / np.sqrt(power / of_mean),
        atol=1e-9,
    )
    noise = y.var(axis=0, ddof=1).mean(axis=0) / 4
    np.testing.assert_allclose(
        normalized_correlation(predicted, recorded, index),
        to_average / np.sqrt((of_mean - noise) / of_mean),
        atol=1e-9,
    )


@pytest.mark.parametrize("rows", [(1, 1), (15, 25)])
def test_feve_equals_a_loop_over_the_formula(rows):
    predicted, recorded = make(rows=rows)

    def loop(predicted, recorded):
        errors = np.concatenate(
            [((p - y) ** 2).ravel() for p, y in zip(predicted, recorded, strict=True)]
        )
        noise = np.mean([np.var(row, ddof=1) for group in recorded for row in group.T])
        total = np.var(np.concatenate([group.ravel() for group in recorded]), ddof=1)
        return 1 - (np.mean(errors) - noise) / (total - noise) if total > noise else np.nan

    expected = by_neuron(loop, predicted, recorded)
    np.testing.assert_allclose(feve(predicted, recorded, INDEX), expected, atol=1e-9)


def test_poisson_loss_equals_the_formula_in_both_reductions():
    predicted, recorded = make(rows=(15, 25))
    losses = [
        np.float64(p) + 1e-8 - (np.float64(y) + 1e-8) * np.log(np.float64(p) + 1e-8)
        for p, y in zip(predicted, recorded, strict=True)
    ]
    np.testing.assert_allclose(
        poisson_loss(predicted, recorded), np.concatenate(losses).mean(axis=0), atol=1e-9
    )
    np.testing.assert_allclose(
        poisson_loss(predicted, recorded, reduction="trial"),
        np.mean([loss.sum(axis=0) for loss in losses], axis=0),
        atol=1e-9,
    )


def test_poisson_loss_is_least_at_the_rate_and_nan_for_negative_predictions():
    recorded = [np.full((50, 3), 2.0)]
    losses = poisson_loss([np.tile([1.9, 2.0, 2.1], (50, 1))], recorded)
    assert np.argmin(losses) == 1
    assert losses[1] == pytest.approx(2 - 2 * np.log(2), abs=1e-7)
    with_negative = poisson_loss([np.tile([-1.0, 0.0, 2.0], (50, 1))], recorded)
    assert np.isnan(with_negative).tolist() == [True, False, False]


def test_model_that_knows_the_signal_reaches_the_closed_forms():
    # y = s + e with variances 2 and 3: single trials sqrt(2/5), the mean of ten sqrt(2/2.3); the
    # normalized correlation and FEVE are 1, and half the amplitude leaves 1 - 1/4 of the variance.
    rng = np.random.default_rng(4)
    index = np.repeat(np.arange(4000), 10)
    signal = np.sqrt(2.0) * rng.normal(size=(4000, 1, 5))
    recorded = [signal[i] + np.sqrt(3.0) * rng.normal(size=(1, 5)) for i in index]
    predicted = [signal[i] for i in index]
    np.testing.assert_allclose(correlation(predicted, recorded), np.sqrt(0.4), atol=0.02)
    np.testing.assert_allclose(
        correlation_to_average(predicted, recorded, index), np.sqrt(2 / 2.3), atol=0.01
    )
    np.testing.assert_allclose(normalized_correlation(predicted, recorded, index), 1.0, atol=0.02)
    np.testing.assert_allclose(feve(predicted, recorded, index), 1.0, atol=0.03)
    half = [trial / 2 for trial in predicted]
    np.testing.assert_allclose(feve(half, recorded, index), 0.75, atol=0.03)


def test_feve_of_the_mean_response_is_zero_on_many_trials():
    rng = np.random.default_rng(5)
    index = np.repeat(np.arange(2000), 5)
    recorded = list(rng.normal(size=(2000, 1, 3))[index] + rng.normal(size=(10000, 1, 3)))
    mean = np.concatenate(recorded).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(feve([mean] * 10000, recorded, index), 0.0, atol=1e-3)


def test_fraction_oracle_is_the_slope_through_zero():
    rng = np.random.default_rng(6)
    oracle = rng.random(500)
    assert fraction_oracle(0.8 * oracle, oracle) == pytest.approx(0.8, abs=1e-12)
    r = 0.7 * oracle + 0.1 * rng.normal(size=500)
    slope = np.linalg.lstsq(oracle[:, None], r, rcond=None)[0][0]
    assert fraction_oracle(r, oracle) == pytest.approx(slope, abs=1e-12)


def test_fraction_oracle_leaves_out_what_is_not_known():
    assert fraction_oracle([0.4, np.nan, 0.1], [0.5, 0.5, np.nan]) == pytest.approx(0.8)
    assert np.isnan(fraction_oracle([np.nan], [0.5]))
    assert np.isnan(fraction_oracle([0.3], [0.0]))
    with pytest.raises(ShapeError, match="one of each a neuron"):
        fraction_oracle([0.3], [0.1, 0.2])


def test_model_that_repeats_the_oracle_has_a_fraction_of_one():
    _, recorded = make()
    trials = [recorded[t] for t in np.flatnonzero((INDEX >= 0) & (INDEX < 3))]
    index = INDEX[(INDEX >= 0) & (INDEX < 3)]
    oracle = []
    for position, stimulus in enumerate(index):
        others = [t for t in np.flatnonzero(index == stimulus) if t != position]
        oracle.append(np.mean([trials[t].astype(float) for t in others], axis=0))
    reached = correlation(oracle, trials)
    np.testing.assert_allclose(reached, oracle_correlation(trials, index), atol=1e-9)
    assert fraction_oracle(reached, oracle_correlation(trials, index)) == pytest.approx(1.0)


@pytest.mark.parametrize("rows", [(1, 1), (25, 25)])
@pytest.mark.parametrize("name", SCALE_FREE)
@given(scale=st.floats(1e-6, 1e6))
def test_units_do_not_matter(rows, name, scale):
    predicted, recorded = make(rows=rows, dtype=np.float64)
    result = measure(
        name, [scale * trial for trial in predicted], [scale * trial for trial in recorded]
    )
    expected = measure(name, predicted, recorded)
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["correlation", "single_trial_correlation", *WITH_REPEATS[:2]])
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_correlations_ignore_scale_and_shift_of_the_prediction(name, scale, shift):
    predicted, recorded = make(dtype=np.float64)
    result = measure(name, [scale * (trial + shift) for trial in predicted], recorded)
    np.testing.assert_allclose(result, measure(name, predicted, recorded), atol=1e-7)


@pytest.mark.parametrize("rows", [(1, 1), (15, 25)])
@pytest.mark.parametrize("name", [*SCALE_FREE, "poisson_loss"])
def test_order_of_trials_does_not_matter(rows, name):
    predicted, recorded = make(rows=rows)
    order = np.random.default_rng(7).permutation(len(INDEX))
    arguments = [[predicted[t] for t in order], [recorded[t] for t in order]]
    if name in WITH_REPEATS:
        arguments.append(INDEX[order])
    result = getattr(performance, name)(*arguments)
    np.testing.assert_allclose(result, measure(name, predicted, recorded), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
@pytest.mark.parametrize("rows", [(1, 1), (15, 25)])
@pytest.mark.parametrize("name", SCALE_FREE)
def test_constant_response_is_nan_and_leaves_others_alone(rows, name, value, dtype):
    predicted, recorded = make(rows=rows, dtype=dtype)
    expected = measure(name, predicted, recorded)
    for trial in recorded:
        trial[:, 1] = value
    result = measure(name, predicted, recorded)
    assert np.isnan(result[1])
    np.testing.assert_allclose(result[[0, 2, 3]], expected[[0, 2, 3]])


@pytest.mark.parametrize("rows", [(1, 1), (15, 25)])
@pytest.mark.parametrize("name", ["correlation", "single_trial_correlation", *WITH_REPEATS[:2]])
def test_constant_prediction_is_nan_for_correlations(rows, name):
    predicted, recorded = make(rows=rows)
    for trial in predicted:
        trial[:] = 0.3
    assert np.isnan(measure(name, predicted, recorded)).all()


def test_silent_trial_is_left_out_or_counts_as_zero_as_published():
    predicted, recorded = make()
    recorded[0][:, 2] = 0
    by_trial = [
        pearsonr(p[:, 2].astype(float), y[:, 2].astype(float)).statistic
        for p, y in zip(predicted[1:], recorded[1:], strict=True)
    ]
    result = single_trial_correlation(predicted, recorded)[2]
    assert result == pytest.approx(np.mean(by_trial), abs=1e-9)
    published = single_trial_correlation(predicted, recorded, compatibility=True)[2]
    assert published == pytest.approx(np.sum(by_trial) / len(recorded), abs=1e-6)


def test_published_threshold_of_signal_power_depends_on_units_and_ours_does_not():
    predicted, recorded = make(dtype=np.float64)
    small = [0.003 * trial for trial in recorded]
    arguments = (predicted, small, INDEX)
    assert np.isnan(normalized_correlation(*arguments, compatibility=True)).all()
    np.testing.assert_allclose(
        normalized_correlation(*arguments), normalized_correlation(predicted, recorded, INDEX)
    )


def test_neuron_without_signal_has_no_normalized_correlation():
    predicted, recorded = make(rows=(25, 25))
    rng = np.random.default_rng(8)
    # Repeats that are each other's negative have a negative signal power.
    for stimulus in (0, 1, 2):
        trials = np.flatnonzero(stimulus == INDEX)
        noise = rng.normal(size=(len(trials), 25))
        noise -= noise.mean(axis=0)
        for trial, values in zip(trials, noise, strict=True):
            recorded[trial][:, 0] = values
    assert np.isnan(normalized_correlation(predicted, recorded, INDEX)[0])
    assert np.isnan(feve(predicted, recorded, INDEX)[0])


@pytest.mark.parametrize("rows", [(1, 1), (15, 25)])
@pytest.mark.parametrize("name", WITH_REPEATS)
def test_nothing_repeated_is_nan(rows, name):
    result = getattr(performance, name)(*make(rows=rows), np.arange(10))
    assert np.isnan(result).all()


@pytest.mark.parametrize("name", [*SCALE_FREE, "poisson_loss"])
def test_predictions_of_other_trials_are_refused(name):
    predicted, recorded = make()
    with pytest.raises(ShapeError, match="9 for 10"):
        measure(name, predicted[1:], recorded)
    with pytest.raises(ShapeError, match=r"shape \(24, 4\) for one of \(25, 4\)"):
        measure(name, [predicted[0][1:], *predicted[1:]], recorded)


def test_unknown_reduction_is_refused():
    with pytest.raises(CatalogError, match="choose 'row' or 'trial'"):
        poisson_loss(*make(), reduction="sum")
