"""Maps from single dots: means and not sums, honest tests, and each pixel with its own place."""

import numpy as np
import pandas as pd
import pytest

from insilico.errors import ShapeError
from insilico.experiments.dot_maps import (
    covered_grid,
    latency_profile,
    map_dots,
    responsiveness_test,
    spatial_selectivity,
    tell_dots,
)
from insilico.screen import Screen
from insilico.stimuli.dots import HALF_HEIGHT_SD

SCREEN = Screen()


def dots_table(x_px, y_px, polarity, radius_px=4.0):
    return pd.DataFrame(
        {"x_px": x_px, "y_px": y_px, "radius_px": radius_px, "polarity": polarity}
    ).astype(float)


def session(*, movies=3, repeats=6, slots=20, seed=0):
    """Return the conditions of trials that repeat movies of dots at random places."""
    random = np.random.default_rng(seed)
    shown = [
        dots_table(
            random.uniform(8, 55, slots),
            random.uniform(7, 28, slots),
            random.permutation(np.arange(slots) % 2 * 2 - 1),
        ).assign(movie=movie, onset_frame=9 * np.arange(slots))
        for movie in range(movies)
    ]
    order = random.permutation(np.arange(movies).repeat(repeats))
    return pd.concat(
        [shown[movie].assign(trial=trial) for trial, movie in enumerate(order)], ignore_index=True
    )


def test_repeats_of_a_movie_are_averaged_dot_by_dot():
    conditions = session(repeats=3)
    shown = tell_dots(conditions)
    assert len(shown.table) == 60
    assert (shown.table["count"] == 3).all()
    mean = shown.average(conditions[["x_px", "y_px"]].to_numpy())
    np.testing.assert_allclose(mean, shown.table[["x_px", "y_px"]])
    first = shown.average(np.ones((180, 1)), np.arange(180) < 20)
    assert np.isfinite(first).sum() == 20


def test_dots_of_one_polarity_are_refused():
    conditions = session().query("polarity == 1")
    with pytest.raises(ShapeError, match="from 0 dots of one polarity"):
        tell_dots(conditions)


def test_crowded_dots_are_not_taken_for_a_response():
    random = np.random.default_rng(0)
    crowd = dots_table(random.normal(20, 2, 200), random.normal(15, 2, 200), 1)
    rest = dots_table(random.uniform(8, 55, 400), random.uniform(7, 28, 400), [1, -1] * 200)
    dots = pd.concat([crowd, rest], ignore_index=True)
    maps = map_dots(np.full((600, 1), 3.0), dots, covered_grid(dots), smoothing_px=2)
    for name in ("combined", "white", "black"):
        np.testing.assert_allclose(maps[name], 3)
    np.testing.assert_allclose(maps["signed"], 0, atol=1e-12)


def test_maps_peak_where_dots_made_a_neuron_respond_and_keep_their_sign():
    x, y, polarity = (axis.ravel() for axis in np.meshgrid(*np.ogrid[8:56:2, 7:29:2], [1, -1]))
    dots = dots_table(x, y, polarity)
    field = np.exp(-((x - 30) ** 2 + (y - 13) ** 2) / 18)
    responses = np.stack([field * (polarity > 0), field * (polarity < 0)], axis=1)
    grid = covered_grid(dots)
    maps = map_dots(responses, dots, grid, smoothing_px=1.0)
    for neuron, sign in ((0, 1), (1, -1)):
        row, column = np.unravel_index(maps["combined"][neuron].argmax(), grid.shape)
        assert (grid.x_px[column], grid.y_px[row]) == (30, 13)
        assert np.sign(maps["signed"][neuron, row, column]) == sign


def test_the_latency_is_where_dots_are_told_apart():
    random = np.random.default_rng(0)
    mean = 0.1 * random.standard_normal((50, 8, 5))
    mean[:, :, 3] += random.standard_normal((50, 8))
    # A neuron without any response decides nothing.
    mean[:, 0] = 0
    assert latency_profile(mean).argmax() == 3
    assert np.isnan(latency_profile(np.zeros((5, 2, 3)))).all()


@pytest.mark.parametrize(("x_px", "y_px"), [(32.0, 18.0), (14.0, 25.0)])
def test_spatial_selectivity_of_one_small_dot_has_a_closed_form(x_px, y_px):
    dots = dots_table([x_px, 50.0], [y_px, 10.0], 1, radius_px=3.0)
    index = spatial_selectivity(np.array([[1.0], [0.0]]), dots, SCREEN)
    sigma = 3.0 / HALF_HEIGHT_SD
    expected = -2 * np.log(sigma / 63) - 2 * np.log(sigma / 35)
    np.testing.assert_allclose(index, expected, rtol=1e-3)


def test_spatial_selectivity_falls_with_the_field_and_is_missing_without_responses():
    dots = dots_table([10, 20, 30, 40], [15, 18, 21, 24], 1)
    responses = np.array(
        [[0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [-1, 1, 1, 1.0]]
    ).T
    index = spatial_selectivity(responses, dots, SCREEN)
    assert index[0] > index[1] > index[2]
    assert np.isnan(index[3:]).all()


def noise_of(conditions, neurons, seed):
    """Responses that decay over the trial, drift between trials, and know no dots."""
    random = np.random.default_rng(seed)
    decay = np.exp(-conditions["onset_frame"].to_numpy() / 60)[:, None]
    drift = random.standard_normal((conditions["trial"].max() + 1, neurons))
    drift = drift[conditions["trial"]]
    return 3 * decay + drift + random.standard_normal((len(conditions), neurons))


def p_values(responses, conditions, shuffle_count=199):
    by_lag = responses if responses.ndim == 3 else responses[..., None]
    return responsiveness_test(
        by_lag, conditions, smoothing_px=3, shuffle_count=shuffle_count, seed=1
    )


def test_more_lags_of_noise_make_nobody_more_significant():
    conditions = session()
    lags = [noise_of(conditions, 400, seed) for seed in range(6)]
    p = p_values(np.stack(lags, axis=2), conditions)
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert p.mean() == pytest.approx(0.5, abs=0.05)


def test_responses_that_know_no_dots_are_rarely_significant():
    conditions = session()
    p = p_values(noise_of(conditions, 400, 0), conditions)
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert p.min() >= 1 / 200


def test_responses_to_dots_are_significant():
    conditions = session()
    distance = (conditions["x_px"] - 30) ** 2 + (conditions["y_px"] - 18) ** 2
    field = 3 * np.exp(-distance / 100).to_numpy()[:, None]
    responses = noise_of(conditions, 50, 0) + field
    assert np.mean(p_values(responses, conditions) <= 0.05) > 0.9


def test_one_movie_cannot_be_tested_and_a_missing_response_is_not():
    conditions = session(movies=1)
    assert np.isnan(p_values(noise_of(conditions, 2, 0), conditions)).all()
    conditions = session()
    responses = noise_of(conditions, 2, 0)
    responses[5, 1] = np.nan
    p = p_values(responses, conditions)
    assert np.isfinite(p[0])
    assert np.isnan(p[1])
