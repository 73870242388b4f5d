"""Profiles of similarity: what bins say, all depths together, and errors that hang together."""

import numpy as np
import pytest

from insilico.statistics.similarity import (
    published_similarity_by_distance,
    similarity_by_distance,
)
from insilico.statistics.similarity_profile import similarity_profile

EDGES = {"horizontal_edges_um": [0, 50, 120, 300], "vertical_edges_um": [0, 30, 90]}


def random_neurons(seed=0, count=80):
    rng = np.random.default_rng(seed)
    position = rng.integers([0, 0, 200], [300, 300, 400], size=(count, 3)).astype(float)
    return rng.gamma(2.0, size=(count, 8)), position


def test_bins_and_all_depths_together_are_those_of_the_table_of_pairs():
    curves, position = random_neurons()
    table = similarity_profile(curves, position, **EDGES).table
    apart = similarity_by_distance(curves, position, **EDGES)
    keys = ["horizontal_low_um", "vertical_low_um"]
    both = table[~table["is_pooled"]].merge(apart, on=keys)
    together = similarity_by_distance(curves, position, **{**EDGES, "vertical_edges_um": [0, 90]})
    pooled = table[table["is_pooled"]].merge(together, on=keys)
    assert len(both) == 6
    assert len(pooled) == 3
    for matched in (both, pooled):
        for column in ("mean", "sd", "standard_error", "pair_count", "neuron_count"):
            np.testing.assert_allclose(matched[f"{column}_x"], matched[f"{column}_y"], rtol=1e-9)


def test_the_diagonal_of_the_covariance_is_the_squared_standard_error():
    profile = similarity_profile(*random_neurons(1), **EDGES)
    error = profile.table["standard_error"].to_numpy().reshape(3, 3)
    np.testing.assert_allclose(np.diagonal(profile.covariance, axis1=1, axis2=2), error**2)


def test_covariance_is_that_of_leaving_out_one_neuron_at_a_time():
    curves, position = random_neurons(2, count=30)
    edges = {**EDGES, "vertical_edges_um": [0, np.inf]}
    covariance = similarity_profile(curves, position, **edges).covariance[-1]
    left = []
    for one in range(30):
        rest = np.arange(30) != one
        left.append(similarity_by_distance(curves[rest], position[rest], **edges)["mean"])
    deviation = np.array(left) - np.mean(left, axis=0)
    np.testing.assert_allclose(covariance, deviation.T @ deviation * 29 / 30, rtol=0.01)


def test_published_bins_keep_their_labels_and_say_what_they_hold():
    curves, position = random_neurons(3)
    table = similarity_profile(curves, position, is_published=True, **EDGES).table
    published = published_similarity_by_distance(curves, position)
    both = table[~table["is_pooled"]].merge(published, on=["d_um", "v_um"])
    assert len(both) == len(published)
    np.testing.assert_allclose(both["mean_x"], both["mean_y"])
    first = table[table["d_um"] == 25].iloc[0]
    assert (first["horizontal_low_um"], first["horizontal_high_um"]) == (0, 12.5)
    last = table[table["d_um"] == 200].iloc[0]
    assert (last["horizontal_low_um"], last["horizontal_high_um"]) == (162.5, 175)


def test_evenly_spread_pairs_lie_above_the_center_of_their_bin():
    rng = np.random.default_rng(4)
    radius = 25 * np.sqrt(rng.uniform(size=20000))
    table = similarity_profile(
        *random_neurons(), horizontal_edges_um=[0, 25, 50], vertical_edges_um=[0, 50]
    ).table
    assert table["even_horizontal_um"].iloc[0] == pytest.approx(radius.mean(), rel=0.01)


def test_a_bin_of_one_pair_has_a_mean_and_no_error():
    curves, _ = random_neurons(5, count=4)
    position = np.array([[0, 0, 200], [30, 0, 200], [200, 0, 200], [280, 0, 200]], float)
    profile = similarity_profile(curves, position, **EDGES)
    first = profile.table.iloc[0]
    assert first["pair_count"] == 1
    assert first["mean"] == pytest.approx(np.corrcoef(curves[:2])[0, 1])
    assert np.isnan(first["standard_error"])
    assert np.isnan(profile.covariance[0, 0]).all()
    assert np.isfinite(profile.covariance[0, 2, 2])
