import numpy as np
import pytest

from insilico.experiments.reverse_correlation import (
    EnergyFeatures,
    GaborBank,
    LaggedCovariance,
    combine_components,
    component_weights,
    smooth,
)
from insilico.screen import Screen

SCREEN = Screen()
SMALL = Screen(width_px=8, height_px=6, width_cm=8.0, height_cm=6.0, distance_cm=8.0)
SHAPE = SCREEN.shape


@pytest.fixture
def trials():
    """Four movies: features of 9 frames, responses of two neurons to the last 7; three lags."""
    random = np.random.default_rng(0)
    features = random.standard_normal((4, 9, 5)).astype(np.float32)
    responses = (features[:, 1:8, :2] + 0.5).transpose(0, 2, 1)  # the feature one frame before
    noise = random.standard_normal(responses.shape)
    return features, (responses + 0.3 * noise).astype(np.float32)


@pytest.fixture
def filled(trials):
    features, responses = trials
    covariance = LaggedCovariance(5, 2, 3)
    covariance.add(0, features[0::2], responses[0::2])
    covariance.add(1, features[1::2], responses[1::2])
    return covariance


def expected_correlation(features, responses, lag):
    """Correlation by numpy of responses with the features some frames before."""
    window = features[:, 2 - lag : 9 - lag].reshape(-1, 5)
    flat = responses.transpose(0, 2, 1).reshape(-1, 2)
    return np.corrcoef(flat.T, window.T)[:2, 2:]


@pytest.mark.parametrize("halves", [(0, 1), (0,), (1,)])
def test_correlations_equal_those_of_numpy_at_every_lag_and_half(trials, filled, halves):
    rows = sorted(row for half in halves for row in range(half, 4, 2))
    features, responses = (values[rows] for values in trials)
    correlations = filled.correlations(halves)
    assert correlations.shape == (2, 3, 5)
    for lag in range(3):
        expected = expected_correlation(features, responses, lag)
        np.testing.assert_allclose(correlations[:, lag], expected, atol=1e-5)


def test_planted_lag_and_feature_are_found(filled):
    correlations = np.abs(filled.correlations())
    for neuron in range(2):
        best = np.unravel_index(correlations[neuron].argmax(), (3, 5))
        assert best == (1, neuron)


def test_some_neurons_correlate_as_they_do_among_all(filled):
    some = filled.correlations(neurons=np.array([1]))
    np.testing.assert_array_equal(some, filled.correlations()[[1]])


def test_sums_do_not_depend_on_the_batches(trials, filled):
    features, responses = trials
    single = LaggedCovariance(5, 2, 3)
    for trial in range(4):
        single.add(trial % 2, features[[trial]], responses[[trial]])
    np.testing.assert_allclose(single.correlations(), filled.correlations(), atol=1e-5)
    assert single.sample_count == filled.sample_count == 28


def test_spread_of_the_responses_is_that_of_numpy(trials, filled):
    expected = trials[1].transpose(1, 0, 2).reshape(2, -1).std(1)
    np.testing.assert_allclose(filled.response_spread(), expected, rtol=1e-5)


def test_restored_sums_go_on_bit_by_bit(trials, filled):
    features, responses = trials
    restored = LaggedCovariance(5, 2, 3)
    restored.restore({name: values.copy() for name, values in filled.state().items()})
    for covariance in (filled, restored):
        covariance.add(0, features, responses)
    for name, values in filled.state().items():
        np.testing.assert_array_equal(restored.state()[name], values)
    np.testing.assert_array_equal(restored.correlations(), filled.correlations())


@pytest.mark.parametrize("level", [0.0, 0.1, 7.7])
def test_neuron_or_feature_that_never_varies_correlates_with_nothing(level):
    random = np.random.default_rng(0)
    features = random.standard_normal((50, 1, 3)).astype(np.float32)
    features[:, :, 2] = level
    responses = np.stack([np.full(50, level), features[:, 0, 0]], 1)[:, :, None]
    covariance = LaggedCovariance(3, 2)
    covariance.add(0, features, responses.astype(np.float32))
    correlations = covariance.correlations()[:, 0]
    np.testing.assert_array_equal(correlations[0], 0)
    np.testing.assert_allclose(correlations[1, [0, 2]], [1, 0], atol=1e-6)
    assert covariance.response_spread()[0] == 0


def test_filters_have_unit_norm_and_are_blind_to_uniform_light():
    bank = GaborBank(SCREEN, (0.03, 0.06), orientation_count=3, stride_px=4)
    filters = bank.filters()
    assert filters.shape == (bank.filter_count, np.prod(bank.grid_shape), 36 * 64)
    np.testing.assert_allclose(np.linalg.norm(filters, axis=2), 1, rtol=1e-5)
    assert np.abs(filters.sum(2)).max() < 1e-4


def test_grid_of_the_bank_is_centered_on_the_screen():
    bank = GaborBank(SCREEN, (0.04,), stride_px=5)
    for axis, center in zip((bank.x_px, bank.y_px), SCREEN.center_px, strict=True):
        assert axis.mean() == pytest.approx(center)
        np.testing.assert_array_equal(np.diff(axis), 5)
        assert axis[0] >= 0


def test_filter_of_a_grating_answers_it_most_where_orientation_and_frequency_agree():
    bank = GaborBank(SCREEN, (0.03, 0.06), orientation_count=4, stride_px=8)
    x = np.arange(64) - 31.5
    frequency = float(SCREEN.cycles_per_px(0.06))
    bars = np.tile(np.cos(2 * np.pi * frequency * x), (36, 1)).reshape(1, -1)
    energy = EnergyFeatures(bank)(bars.astype(np.float32)).reshape(2, 4, -1).mean(2)
    assert np.unravel_index(energy.argmax(), energy.shape) == (1, 0)


def test_energy_is_the_squared_modulus_of_the_filters_answers():
    bank = GaborBank(SMALL, (0.04,), orientation_count=2, stride_px=2)
    pixels = np.random.default_rng(0).standard_normal((3, 48)).astype(np.float32)
    expected = np.abs(pixels @ bank.filters().reshape(-1, 48).T) ** 2
    np.testing.assert_allclose(EnergyFeatures(bank)(pixels), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(EnergyFeatures(bank)(-pixels), expected, rtol=1e-4, atol=1e-5)


def noisy_halves(components, noise, neurons=60, seed=0):
    random = np.random.default_rng(seed)
    signal = np.stack(components).reshape(1, len(components), -1)
    shape = (neurons, len(components), signal.shape[-1])
    return [(signal + noise * random.standard_normal(shape)).astype(np.float32) for _ in range(2)]


def combine(halves, *, is_signed=True, shape=SHAPE):
    return combine_components(
        (halves[0] + halves[1]) / 2, halves, shape=shape, smoothing_px=1.0, is_signed=is_signed
    )


@pytest.fixture(scope="module")
def blob():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.exp(-((x - 30) ** 2 + (y - 18) ** 2) / 18)


@pytest.mark.parametrize("is_signed", [True, False])
@pytest.mark.parametrize("component_count", [1, 10])
def test_unrelated_maps_have_no_reliability(component_count, is_signed):
    nothing = [np.zeros(SHAPE)] * component_count
    reliability = combine(noisy_halves(nothing, 1.0, neurons=120), is_signed=is_signed).reliability
    rate = (reliability > 0.15).mean()
    print(f"{component_count} components: {reliability.mean():+.3f}, above 0.15: {rate:.1%}")
    # 120 neurons of standard deviation 0.05: the standard error is 0.005.
    assert abs(reliability.mean()) < 0.02
    assert reliability.std() == pytest.approx(0.05, abs=0.015)
    assert rate < 0.03


def test_clear_map_is_reliable_and_comes_back(blob):
    maps = combine(noisy_halves([0.2 * blob, blob, 0.5 * blob], 0.1))
    assert maps.reliability.min() > 0.9
    np.testing.assert_allclose(maps.weights.mean(0), [0.2, 1, 0.5], atol=0.05)
    correlation = np.corrcoef(maps.values.mean(0).ravel(), blob.ravel())[0, 1]
    assert correlation > 0.99


def test_map_is_reliable_when_lags_of_opposite_sign_are_equally_strong(blob):
    """Noise decides in each half which lag leads; that must not turn one half's map over."""
    assert combine(noisy_halves([blob, -blob], 0.15)).reliability.min() > 0.8


def test_signed_components_are_subtracted_and_energies_are_not(blob):
    components = np.stack([blob, -0.8 * blob]).reshape(1, 2, -1)
    signed, energy = (
        component_weights(components, shape=SHAPE, smoothing_px=1.0, is_signed=is_signed)
        for is_signed in (True, False)
    )
    np.testing.assert_allclose(signed, [[1, -0.8]], atol=1e-6)
    np.testing.assert_allclose(energy, [[1, 0]])


def test_silent_neuron_has_finite_weights():
    weights = component_weights(
        np.zeros((1, 3, 48)), shape=SMALL.shape, smoothing_px=1.0, is_signed=True
    )
    np.testing.assert_array_equal(weights, 0)


def test_blur_keeps_the_sum_of_a_map_and_zero_blur_keeps_the_map(blob):
    maps = blob[None]
    assert smooth(maps, 0) is maps
    assert smooth(maps, 1.5).sum() == pytest.approx(maps.sum(), rel=1e-6)
    assert smooth(maps, 1.5).max() < maps.max()


def test_energy_maps_of_unrelated_responses_have_no_reliability():
    """Neighboring filters overlap, so chance agrees more often than between pixels."""
    random = np.random.default_rng(0)
    bank = GaborBank(SCREEN, (0.03, 0.042, 0.06))
    energy_of = EnergyFeatures(bank)
    covariance = LaggedCovariance(bank.filter_count * int(np.prod(bank.grid_shape)), 100)
    for half in (0, 1):
        noise = random.standard_normal((500, 36 * 64)).astype(np.float32)
        responses = random.standard_normal((500, 100, 1)).astype(np.float32)
        covariance.add(half, energy_of(noise)[:, None] - 1, responses)
    halves = [
        covariance.correlations((half,)).reshape(100, bank.filter_count, -1) for half in (0, 1)
    ]
    maps = combine_components(
        covariance.correlations().reshape(100, bank.filter_count, -1),
        halves,
        shape=bank.grid_shape,
        smoothing_px=0.5,
        is_signed=False,
    )
    print(f"mean {maps.reliability.mean():+.3f}, sd {maps.reliability.std():.3f}")
    assert abs(maps.reliability.mean()) < 0.04
    assert (maps.reliability > 0.3).mean() < 0.03
