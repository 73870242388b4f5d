import numpy as np
import pandas as pd
import pytest

from insilico.simulation.responses import (
    RESPONSE_STD,
    SMALLEST_GAIN,
    behavioral_gain,
    calcium_kernel,
    calibrate,
    draw_response,
    draw_response_model,
    expected_response,
    filter_trace,
)

COUNT = 40


@pytest.fixture(scope="module")
def model():
    return draw_response_model(pd.DataFrame({"neuron": range(COUNT)}), reliability=0.4, seed=0)


@pytest.fixture(scope="module")
def rates():
    """Rates of test trials that differ in level and in liveliness between neurons."""
    random = np.random.default_rng(0)
    power = random.uniform(1, 3, (COUNT, 1))
    return [np.abs(random.standard_normal((COUNT, 400))) ** power for _ in range(30)]


def row_correlation(first, second):
    return np.array([np.corrcoef(*pair)[0, 1] for pair in zip(first, second, strict=True)])


def drawn(rates, kernel, calibration, repeat):
    return np.concatenate(
        [
            draw_response(rate, kernel=kernel, calibration=calibration, seed=[repeat, trial])
            for trial, rate in enumerate(rates)
        ],
        axis=1,
    )


@pytest.mark.parametrize("reliability", [0.2, 0.4, 0.45, 0.8])
def test_reliabilities_have_the_asked_mean_and_spread_over_neurons(reliability):
    table = draw_response_model(
        pd.DataFrame({"neuron": range(100)}), reliability=reliability, seed=1
    )
    assert table["reliability"].mean() == pytest.approx(reliability, abs=0.003)
    assert 0.07 < table["reliability"].std() < 0.14


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_every_neuron_reaches_its_reliability_and_its_spread(kind, model, rates):
    kernel = calcium_kernel(kind, 30.0)
    calibration = calibrate(rates, kernel=kernel, population=model)
    expected = np.concatenate(
        [expected_response(rate, kernel=kernel, calibration=calibration) for rate in rates], axis=1
    )
    first, second = (drawn(rates, kernel, calibration, repeat) for repeat in (0, 1))
    obtained = row_correlation(expected, first)
    np.testing.assert_allclose(obtained, model["reliability"], atol=0.06)
    assert obtained.mean() == pytest.approx(0.4, abs=0.01)
    # Independent repeats share the signal alone: they correlate with the square.
    repeats = row_correlation(first, second)
    assert repeats.mean() == pytest.approx((model["reliability"] ** 2).mean(), abs=0.01)
    spread = np.median(first.std(1) / model["response_std"])
    assert spread == pytest.approx(1, abs=0.05)
    assert 0.5 * RESPONSE_STD < np.median(first.std(1)) < 2 * RESPONSE_STD


def test_mean_of_many_trials_is_the_expected_response(model):
    kernel = calcium_kernel("movie", 30.0)
    rate = np.abs(np.random.default_rng(1).standard_normal((COUNT, 50)))
    calibration = calibrate([rate], kernel=kernel, population=model)
    expected = expected_response(rate, kernel=kernel, calibration=calibration)
    trials = [
        draw_response(rate, kernel=kernel, calibration=calibration, seed=[n]) for n in range(1500)
    ]
    error = (np.mean(trials, axis=0) - expected) / (np.std(trials, axis=0) / np.sqrt(1500))
    assert np.abs(error.mean()) < 0.1
    assert error.std() == pytest.approx(1, abs=0.15)


def test_responses_are_never_negative_and_mostly_near_nothing(model, rates):
    kernel = calcium_kernel("movie", 30.0)
    calibration = calibrate(rates, kernel=kernel, population=model)
    response = drawn(rates, kernel, calibration, 0)
    assert response.min() >= 0
    assert np.median(np.median(response, axis=1) / response.std(1)) < 0.5
    assert np.median(response.max(1) / response.std(1)) > 6


def test_calcium_decays_exponentially_and_images_have_none():
    kernel = calcium_kernel("movie", 30.0)
    assert kernel.sum() == pytest.approx(1)
    assert kernel[4] / kernel[0] == pytest.approx(np.exp(-4 / 30 / 0.12))
    impulse = np.zeros((1, 30))
    impulse[0, 5] = 1
    trace = filter_trace(impulse, kernel)[0]
    np.testing.assert_allclose(trace[5 : 5 + len(kernel)], kernel[:25], atol=1e-12)
    np.testing.assert_allclose(trace[:5], 0, atol=1e-12)
    np.testing.assert_array_equal(filter_trace(impulse, calcium_kernel("image", 30.0)), impulse)


def test_gain_rises_with_running_by_the_planted_amount_and_is_bounded(model):
    dilation, speed = np.full(3, 48.0), np.array([0.0, 1.0, 1e9])
    gain = behavioral_gain(model, dilation, speed)
    np.testing.assert_allclose(gain[:, 0], 1)
    np.testing.assert_allclose(gain[:, 1], 1 + model["running_gain"] / 2)
    np.testing.assert_allclose(gain[:, 2], 1 + model["running_gain"])
    extreme = behavioral_gain(model.assign(running_gain=-5.0), dilation, speed)
    assert extreme.min() == SMALLEST_GAIN


def test_neuron_that_never_answers_has_noise_and_no_nan(model):
    rates = [np.zeros((COUNT, 20))]
    kernel = calcium_kernel("movie", 30.0)
    calibration = calibrate(rates, kernel=kernel, population=model)
    response = draw_response(rates[0], kernel=kernel, calibration=calibration, seed=[0])
    assert np.all(np.isfinite(response))
    assert response.min() >= 0
