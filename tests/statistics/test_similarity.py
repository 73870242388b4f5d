"""Similarity against distance: a loop over pairs, the published table, its error, its chance."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from insilico.errors import CatalogError, ShapeError, UnitsError
from insilico.statistics import pairs
from insilico.statistics.similarity import (
    published_similarity_by_distance,
    similarity_by_distance,
)
from insilico.statistics.similarity_shuffle import similarity_shuffle_test

EDGES = {"horizontal_edges_um": [0, 50, 120, 300], "vertical_edges_um": [0, 30, 90]}
EVERYTHING = {"horizontal_edges_um": [0, np.inf], "vertical_edges_um": [0, np.inf]}
#: Means and pairs of mice B, C and E pooled, by d (shared specification, section 5.5).
PUBLISHED_D_UM = np.arange(25, 201, 25)
PUBLISHED_ORIENTATION = [0.1884, 0.1083, 0.0703, 0.0555, 0.0459, 0.0409, 0.0326, 0.0273]
PUBLISHED_DIRECTION = [0.1984, 0.1040, 0.0792, 0.0655, 0.0572, 0.0484, 0.0433, 0.0401]
PUBLISHED_PAIRS = [30575, 244635, 463632, 656049, 825699, 973017, 1097790, 586777]
PUBLISHED_AT_V = {
    ("orientation", 0): [0.386, 0.155, 0.098, 0.070, 0.056, 0.045, 0.036, 0.029],
    ("orientation", 200): [0.055, 0.039, 0.036, 0.034, 0.030, 0.032, 0.023, 0.022],
    ("direction", 0): [0.383, 0.138, 0.092, 0.078, 0.066, 0.053, 0.045, 0.040],
}


def random_neurons(rng, count=60, stimuli=8):
    position = rng.integers([0, 0, 200], [300, 300, 400], size=(count, 3)).astype(float)
    return rng.gamma(2.0, size=(count, stimuli)), position


def plain_pairs(curves, position, mouse=None, other=None):
    """Spell out the definition: a row a pair."""
    other = curves if other is None else other
    mouse = np.zeros(len(curves)) if mouse is None else np.asarray(mouse)
    rows = []
    for i, j in itertools.combinations(range(len(curves)), 2):
        if mouse[i] == mouse[j]:
            x, y, z = position[i] - position[j]
            first = np.corrcoef(curves[i], other[j])[0, 1]
            second = np.corrcoef(curves[j], other[i])[0, 1]
            rows.append((i, j, np.sqrt(x * x + y * y), abs(z), (first + second) / 2))
    return pd.DataFrame(rows, columns=["i", "j", "h", "v", "r"])


def plain_table(every_pair):
    rows = []
    for low, high in itertools.pairwise(EDGES["horizontal_edges_um"]):
        for bottom, top in itertools.pairwise(EDGES["vertical_edges_um"]):
            inside = every_pair[
                every_pair.h.between(low, high, "left") & every_pair.v.between(bottom, top, "left")
            ]
            rows.append((inside.r.mean(), inside.r.std(), len(inside)))
    return np.array(rows).T


@pytest.mark.parametrize("block_pairs", [pairs.BLOCK_PAIRS, 300])
@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("mouse_count", [1, 3])
def test_table_equals_a_plain_loop_over_pairs(monkeypatch, block_pairs, is_split, mouse_count):
    monkeypatch.setattr(pairs, "BLOCK_PAIRS", block_pairs)
    rng = np.random.default_rng(0)
    curves, position = random_neurons(rng)
    mouse = rng.integers(mouse_count, size=60)
    other = curves + rng.gamma(1.0, size=curves.shape) if is_split else None
    table = similarity_by_distance(curves, position, other_curves=other, mouse=mouse, **EDGES)
    mean, sd, count = plain_table(plain_pairs(curves, position, mouse, other))
    np.testing.assert_array_equal(table["pair_count"], count)
    np.testing.assert_allclose(table["mean"], mean, atol=1e-12)
    np.testing.assert_allclose(table["sd"], sd, atol=1e-12)
    np.testing.assert_allclose(table["horizontal_um"], np.repeat([25, 85, 210], 2))
    np.testing.assert_allclose(table["vertical_um"], np.tile([15, 60], 3))


def test_standard_error_is_that_of_leaving_out_one_neuron_at_a_time():
    curves, position = random_neurons(np.random.default_rng(1), count=25)
    table = similarity_by_distance(curves, position, **EVERYTHING)
    left_out = [
        similarity_by_distance(
            np.delete(curves, neuron, axis=0), np.delete(position, neuron, axis=0), **EVERYTHING
        )["mean"].item()
        for neuron in range(25)
    ]
    expected = np.sqrt(24 * np.var(left_out))
    assert table["standard_error"].item() == pytest.approx(expected)
    assert table["neuron_count"].item() == 25


def test_standard_error_over_mice_leaves_out_one_mouse_at_a_time():
    rng = np.random.default_rng(2)
    curves, position = random_neurons(rng)
    mouse = np.repeat(["B", "C", "E"], [15, 20, 25])
    table = similarity_by_distance(curves, position, mouse=mouse, error_source="mice", **EVERYTHING)
    left_out = [
        similarity_by_distance(
            curves[mouse != one], position[mouse != one], mouse=mouse[mouse != one], **EVERYTHING
        )["mean"].item()
        for one in "BCE"
    ]
    assert table["standard_error"].item() == pytest.approx(np.sqrt(2 * np.var(left_out)))
    assert table["error_source"].item() == "mice"


def test_standard_error_is_the_spread_over_recordings_where_that_of_pairs_is_too_small():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(150):
        preference = rng.normal(0, 1.2, (40, 1))
        curves = np.cos(np.radians(np.arange(8) * 45.0) - preference)
        position = rng.uniform(0, 100, (40, 3))
        found.append(similarity_by_distance(curves, position, **EVERYTHING).iloc[0])
    table = pd.DataFrame(found)
    spread = table["mean"].std()
    assert table["standard_error"].mean() == pytest.approx(spread, rel=0.2)
    assert (table["sd"] / np.sqrt(table["pair_count"])).mean() < 0.4 * spread


def test_neurons_without_a_curve_or_a_place_take_only_their_own_pairs_along():
    curves, position = random_neurons(np.random.default_rng(4))
    expected = similarity_by_distance(curves[4:], position[4:], **EDGES)
    curves[0, 3], curves[1], curves[2, 0] = np.nan, 0.7, np.inf
    position[3, 1] = np.nan
    pd.testing.assert_frame_equal(similarity_by_distance(curves, position, **EDGES), expected)


def test_bins_without_pairs_are_rows_without_a_mean():
    curves, position = random_neurons(np.random.default_rng(5), count=4)
    table = similarity_by_distance(
        curves, position, horizontal_edges_um=[0, 1e4, 2e4], vertical_edges_um=[0, 1e4]
    )
    assert table["pair_count"].tolist() == [6, 0]
    assert table.loc[1, ["mean", "sd", "standard_error"]].isna().all()
    alone = similarity_by_distance(curves[:1], position[:1], **EVERYTHING)
    assert alone["pair_count"].tolist() == [0]
    assert similarity_by_distance(curves[:0], position[:0], **EVERYTHING)["mean"].isna().all()


def test_noise_shared_within_trials_is_not_taken_for_signal():
    """Neighbors share noise, not tuning: only means over the same trials look alike."""
    rng = np.random.default_rng(6)
    position = rng.uniform(0, 200, (200, 3))
    group = np.floor(position[:, :2] / 50) @ [4, 1]
    noise = rng.normal(size=(2, 16, 40))[:, group.astype(int)]
    halves = rng.normal(size=(200, 40)) + noise
    edges = {"horizontal_edges_um": [0, 20], "vertical_edges_um": [0, 300]}
    same = similarity_by_distance(halves[0], position, **edges).iloc[0]
    apart = similarity_by_distance(halves[0], position, other_curves=halves[1], **edges).iloc[0]
    assert same["mean"] > 0.2
    assert abs(apart["mean"]) < 4 * apart["standard_error"]
    assert apart["mean"] < 0.1


def published_label(value):
    """Python's own rounding, which is half to even."""
    return round(value)


def test_published_bins_round_half_to_even():
    horizontal = np.array([12.4, 12.5, 12.6, 37.5, 62.5, 174.9, 175.0])
    depth = np.array([0.0, 25.0, 75.0, 125.0, 175.0, 225.0, 0.0])
    position = np.zeros((8, 3))
    position[1:, 0], position[1:, 2] = horizontal, depth
    curves = np.random.default_rng(7).normal(size=(8, 8))
    table = published_similarity_by_distance(curves, position)
    every = plain_pairs(curves, position).query("h < 175")
    every["d_um"] = [25.0 * (published_label(h / 25) + 1) for h in every.h]
    every["v_um"] = [50.0 * published_label(v / 50) for v in every.v]
    expected = every.groupby(["d_um", "v_um"]).r.agg(["mean", "count"])
    found = table.set_index(["d_um", "v_um"]).loc[expected.index]
    np.testing.assert_array_equal(found["pair_count"], expected["count"])
    np.testing.assert_allclose(found["mean"], expected["mean"])
    assert found["pair_count"].sum() == table["pair_count"].sum()


def recorded(folder, kind, mouse):
    """Curves and places of recorded selective neurons: the mask and an index of 0.2 or more."""
    folder = folder / "viv1t" / f"mouse{mouse}"
    if not folder.is_dir():
        pytest.skip(f"the recorded tuning of mouse {mouse} is not among the published data here")
    curves = np.load(folder / "tuning_curve.npy").astype(float)
    index = np.load(folder / ("OSI.npy" if kind == "orientation" else "DSI.npy"))
    chosen = np.load(folder / f"{kind}_selective.npy") & (index >= 0.2)
    if kind == "orientation":
        curves = (curves[:, :4] + curves[:, 4:]) / 2
    return curves[chosen], np.load(folder / "neuron_coordinates.npy")[chosen]


def pool_depths(table):
    table = table[table["pair_count"] > 0]
    weighted = table.assign(total=table["mean"] * table["pair_count"])
    sums = weighted.groupby("d_um")[["total", "pair_count"]].sum()
    return (sums["total"] / sums["pair_count"]).to_numpy(), sums["pair_count"].to_numpy()


@pytest.mark.parametrize("kind", ["orientation", "direction"])
def test_pooled_mice_give_the_published_table(shared_data, kind):
    parts = [recorded(shared_data, kind, mouse) for mouse in "BCE"]
    mouse = np.repeat(list("BCE"), [len(curves) for curves, _ in parts])
    curves, position = (np.concatenate(one) for one in zip(*parts, strict=True))
    table = published_similarity_by_distance(curves, position, mouse=mouse)
    mean, count = pool_depths(table)
    expected = PUBLISHED_ORIENTATION if kind == "orientation" else PUBLISHED_DIRECTION
    np.testing.assert_allclose(mean, expected, rtol=0, atol=5.1e-5)
    if kind == "orientation":
        assert count.tolist() == PUBLISHED_PAIRS
    for (other_kind, v_um), published in PUBLISHED_AT_V.items():
        if other_kind == kind:
            found = table.loc[table["v_um"] == v_um, "mean"]
            np.testing.assert_allclose(found, published, rtol=0, atol=5.1e-4)


@pytest.mark.parametrize("kind", ["orientation", "direction"])
def test_one_mouse_has_its_share_of_the_published_pairs_and_the_published_decay(shared_data, kind):
    """Mouse B alone: 28.9 % of the pairs; means near the pooled ones, by their own error."""
    curves, position = recorded(shared_data, kind, "B")
    assert len(curves) == {"orientation": 3700, "direction": 1882}[kind]
    table = published_similarity_by_distance(curves, position)
    _, count = pool_depths(table)
    assert table["d_um"].unique().tolist() == PUBLISHED_D_UM.tolist()
    if kind == "orientation":
        share = np.array([3700, 4341, 3859]) ** 2
        np.testing.assert_allclose(count / PUBLISHED_PAIRS, share[0] / share.sum(), rtol=0.02)
    plane = table[table["v_um"] == 0]
    published = np.array(PUBLISHED_AT_V[kind, 0])
    near = plane["d_um"].to_numpy() <= 50
    within = (plane["mean"] - published).abs() < 3 * plane["standard_error"]
    assert within[near].all()
    assert np.corrcoef(plane["mean"], published)[0, 1] > 0.99


def test_one_mouse_equals_a_loop_over_its_published_pairs(shared_data):
    curves, position = recorded(shared_data, "orientation", "B")
    curves, position = curves[::10], position[::10]
    every = plain_pairs(curves, position).query("h < 175").dropna()
    d_um = [25.0 * (published_label(h / 25) + 1) for h in every.h]
    v_um = [50.0 * published_label(v / 50) for v in every.v]
    expected = every.assign(d_um=d_um, v_um=v_um).groupby(["d_um", "v_um"]).r
    table = published_similarity_by_distance(curves, position).set_index(["d_um", "v_um"])
    expected = expected.agg(["mean", "count"]).reindex(table.index, fill_value=0)
    np.testing.assert_array_equal(table["pair_count"], expected["count"])
    known = table["pair_count"] > 0
    np.testing.assert_allclose(table["mean"][known], expected["mean"][known], atol=1e-12)


def test_shuffle_table_holds_the_same_means():
    rng = np.random.default_rng(8)
    curves, position = random_neurons(rng)
    other, mouse = rng.gamma(2.0, size=curves.shape), rng.integers(2, size=60)
    options = {"other_curves": other, "mouse": mouse, **EDGES}
    table = similarity_shuffle_test(curves, position, shuffle_count=20, seed=0, **options)
    plain = similarity_by_distance(curves, position, **options)
    np.testing.assert_allclose(table["mean"], plain["mean"])
    np.testing.assert_array_equal(table["pair_count"], plain["pair_count"])


def test_chance_is_the_mean_over_all_pairs():
    rng = np.random.default_rng(9)
    curves, position = random_neurons(rng, count=80)
    curves += 3 * np.cos(np.radians(np.arange(8) * 45.0))
    table = similarity_shuffle_test(curves, position, shuffle_count=400, seed=0, **EDGES)
    everything = similarity_by_distance(curves, position, **EVERYTHING)["mean"].item()
    assert everything > 0.3
    error = table["chance_sd"] / np.sqrt(400)
    assert ((table["chance"] - everything).abs() < 4 * error).all()


def test_shuffle_seed_decides_the_p_values():
    curves, position = random_neurons(np.random.default_rng(10))
    first, again, other = (
        similarity_shuffle_test(curves, position, shuffle_count=50, seed=seed, **EDGES)
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert (first["p_value"] != other["p_value"]).any()


def test_wrong_shapes_edges_and_names_are_refused():
    curves, position = random_neurons(np.random.default_rng(11), count=5)
    with pytest.raises(ShapeError, match="at least two stimuli"):
        similarity_by_distance(curves[:, :1], position, **EDGES)
    with pytest.raises(ShapeError, match="x, y and depth"):
        similarity_by_distance(curves, position[:, :2], **EDGES)
    with pytest.raises(ShapeError, match="one label a value"):
        similarity_by_distance(curves, position, mouse=[1, 2], **EDGES)
    for wrong in ([0], [0, 5, 5], [-1, 5], [0, np.nan]):
        with pytest.raises(UnitsError, match="vertical edges"):
            similarity_by_distance(
                curves, position, horizontal_edges_um=[0, 1], vertical_edges_um=wrong
            )
    with pytest.raises(CatalogError, match="'pairs'"):
        similarity_by_distance(curves, position, error_source="pairs", **EDGES)
    with pytest.raises(CatalogError, match="two or more"):
        similarity_by_distance(curves, position, error_source="mice", **EDGES)
    with pytest.raises(UnitsError, match="0 shuffles"):
        similarity_shuffle_test(curves, position, shuffle_count=0, seed=0, **EDGES)
