from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from insilico.simulation import draw_map, draw_population
from insilico.simulation.maps import expected_similarity, map_correlation, pair_distances

#: Bins of horizontal distance, micrometers.
EDGES_UM = [0, 40, 80, 160, 320]


def measured_and_planted(population, *, harmonic, is_same_depth, **options):
    """Mean similarity of preferences by horizontal distance, over mice, and what was planted."""
    horizontal, vertical = pair_distances(population)
    column = (vertical < 1) if is_same_depth else (vertical > 150)
    planted = expected_similarity(
        map_correlation(horizontal, vertical, **options), harmonic=harmonic
    )
    found = []
    for seed in range(32):
        angle = np.radians(draw_map(population, seed=seed, **options)["direction_deg"].to_numpy())
        found.append(np.cos(harmonic * (angle[:, None] - angle)))
    similarity = np.mean(found, axis=0)
    pair = np.triu(np.ones_like(column), 1) & column
    masks = [pair & (horizontal >= a) & (horizontal < b) for a, b in pairwise(EDGES_UM)]
    return np.array([[values[mask].mean() for mask in masks] for values in (similarity, planted)])


@pytest.fixture(scope="module")
def sheet(screen):
    return draw_population(simple_count=150, energy_count=150, screen=screen, seed=2)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("harmonic", [1, 2])
def test_expected_similarity_is_that_of_samples(correlation, harmonic):
    random = np.random.default_rng(0)
    first, noise = (random.standard_normal((2, 200_000)) * [[1], [1j]] for _ in range(2))
    first, noise = first.sum(0), noise.sum(0)
    second = correlation * first + np.sqrt(1 - correlation**2) * noise
    similarity = np.cos(harmonic * (np.angle(first) - np.angle(second))).mean()
    assert expected_similarity(correlation, harmonic=harmonic) == pytest.approx(
        similarity, abs=0.01
    )


def test_neurons_at_one_place_of_a_perfect_map_prefer_the_same():
    place = pd.DataFrame({"x_um": [0.0, 0.0], "y_um": [0.0, 0.0], "z_um": [200.0, 200.0]})
    drawn = draw_map(place, seed=0, strength=1.0)
    assert drawn["direction_deg"].iloc[0] == pytest.approx(drawn["direction_deg"].iloc[1])
    assert expected_similarity(1.0) == pytest.approx(1)


@pytest.mark.parametrize("harmonic", [1, 2])
def test_similarity_decays_with_distance_as_planted(sheet, harmonic):
    found, planted = measured_and_planted(sheet, harmonic=harmonic, is_same_depth=True)
    np.testing.assert_allclose(found, planted, atol=0.05)
    assert np.all(np.diff(planted) < 0)


def test_similarity_along_a_column_outlasts_that_across_cortex_as_planted(sheet):
    found, planted = measured_and_planted(sheet, harmonic=1, is_same_depth=False)
    np.testing.assert_allclose(found, planted, atol=0.05)
    # More than 150 micrometers deeper, and more than 160 farther.
    across, _ = measured_and_planted(sheet, harmonic=1, is_same_depth=True)
    assert found[0] > 2 * across[3]


def test_a_map_of_strength_0_is_none(sheet):
    found, _ = measured_and_planted(sheet, harmonic=1, is_same_depth=True, strength=0.0)
    np.testing.assert_allclose(found, 0, atol=0.05)


def test_a_map_turns_preferences_alone_and_depends_on_its_seed(sheet):
    first, again, other = (draw_map(sheet, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["direction_deg"], other["direction_deg"])
    changed = [name for name in sheet if not first[name].equals(sheet[name])]
    assert changed == ["direction_deg", "orientation_deg"]
    np.testing.assert_allclose(first["orientation_deg"], first["direction_deg"] % 180)
    # All directions are preferred about equally often.
    counts, _ = np.histogram(
        np.concatenate([draw_map(sheet, seed=seed)["direction_deg"] for seed in range(30)]), 8
    )
    assert counts.min() > 0.75 * counts.max()


def test_planes_are_the_ten_of_the_published_recordings(sheet):
    np.testing.assert_array_equal(np.unique(sheet["z_um"]), np.arange(200, 450, 25))
