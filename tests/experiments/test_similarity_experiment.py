"""Similarity over cortex: planted decays are recovered, random preferences show none."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import insilico
from insilico.errors import NotFittedError, ProtocolError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.experiment import Setting
from insilico.experiments.recorded import analyze_recording
from insilico.experiments.similarity_pairs import column_table
from insilico.experiments.similarity_tuning import read_tuning
from insilico.recordings import open_recording
from insilico.results import Responses, Result
from insilico.screen import Screen
from insilico.simulation import SimulationOptions, write_recordings
from insilico.simulation.maps import (
    draw_map,
    expected_similarity,
    map_correlation,
    pair_distances,
)

ANGLE_DEG = np.arange(8) * 45.0


def cortex(count, seed, *, side_um=400.0):
    """Neurons at random places in ten planes, with random preferred directions."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "mouse": "m",
            "neuron": np.arange(count),
            "neuron_id": np.arange(count),
            "kind": "neuron",
            "x_um": rng.uniform(0, side_um, count),
            "y_um": rng.uniform(0, side_um, count),
            "z_um": rng.choice(np.arange(200.0, 450.0, 25.0), count),
            "direction_deg": rng.uniform(0, 360, count),
        }
    )


def measured_direction(population, *, harmonic=1, noise=0.0, columns=None):
    """A direction result of curves that are cosines about the preferred direction."""
    rng = np.random.default_rng(len(population))
    angle = np.radians(ANGLE_DEG - population["direction_deg"].to_numpy()[:, None])
    curve = 2 + np.cos(harmonic * angle) + noise * rng.standard_normal(angle.shape)
    table = population[["mouse", "neuron"]].assign(
        status="ok",
        osi=0.5,
        dsi=0.5,
        preferred_direction_deg=population["direction_deg"],
        preferred_orientation_deg=population["direction_deg"] % 180,
        **(columns or {}),
    )
    arrays = xr.Dataset(
        {
            "tuning_curve": (("neuron", "direction_deg"), curve),
            "condition_mean": (("neuron", "condition"), curve),
        },
        coords={
            "direction_deg": ANGLE_DEG,
            "condition_direction_deg": ("condition", ANGLE_DEG),
            "neuron": population["neuron"].to_numpy(),
        },
    )
    return Result("direction", {"neurons": table}, arrays, {}, {})


def protocol_of(name=None, **overrides):
    kind = find_experiment("similarity").protocol_type
    return read_protocol(kind, name, overrides=overrides, experiment="similarity")


def conclude(population, direction, **overrides):
    """Tables and arrays of similarity."""
    question = find_experiment("similarity")
    protocol = protocol_of(overrides.pop("protocol", None), shuffle_count=99, **overrides)
    neurons = population.drop(columns="direction_deg", errors="ignore")
    setting = Setting(protocol, "movie", Screen(), neurons, {"direction": direction})
    assert question.sites(setting) == []
    return question.conclude(question.accumulator(setting), setting)


def test_similarity_by_distance_is_that_of_the_planted_map():
    measured, expected = [], []
    for seed in range(6):
        population = draw_map(cortex(250, seed), seed=seed)
        tables, _ = conclude(population, measured_direction(population))
        pairs = tables["pairs"]
        rows = pairs[(pairs["measure"] == "direction_similarity") & ~pairs["is_pooled"]]
        horizontal, vertical = pair_distances(population)
        similarity = expected_similarity(map_correlation(horizontal, vertical))
        upper = np.triu(np.ones_like(similarity, bool), 1)
        expected.append(
            [
                similarity[
                    upper
                    & (horizontal >= row.horizontal_low_um)
                    & (horizontal < row.horizontal_high_um)
                    & (vertical >= row.vertical_low_um)
                    & (vertical < row.vertical_high_um)
                ].mean()
                for row in rows.itertuples()
            ]
        )
        measured.append(rows["mean"])
    measured, expected = np.mean(measured, axis=0), np.mean(expected, axis=0)
    assert np.corrcoef(measured, expected)[0, 1] > 0.95
    assert np.abs(measured - expected).mean() < 0.05


def test_the_decay_of_a_fine_map_has_its_planted_length():
    lengths, errors = [], []
    for seed in range(5):
        population = draw_map(
            cortex(600, seed, side_um=500.0), seed=seed, length_um=40.0, depth_length_um=1e4
        )
        fits = conclude(population, measured_direction(population))[0]["fits"]
        fit = fits[(fits["measure"] == "direction_similarity") & fits["is_pooled"]].iloc[0]
        assert fit["status"] == "ok"
        lengths.append(fit["length_um"])
        errors.append(fit["length_um_se"])
    distance = np.array([16.7, 39, 63, 88, 113, 138, 163, 188, 213])
    planted = expected_similarity(map_correlation(distance, 0, length_um=40.0))
    slope = np.polyfit(distance[:4], np.log(planted[:4]), 1)[0]
    assert np.mean(lengths) == pytest.approx(-1 / slope, rel=0.25)
    assert 0.3 < np.std(lengths, ddof=1) / np.mean(errors) < 4


def test_random_preferences_reject_at_the_nominal_rate():
    p = []
    protocol = protocol_of(shuffle_count=99)
    for seed in range(60):
        population = cortex(120, 100 + seed, side_um=150.0)
        direction = measured_direction(population, harmonic=2)
        tuning = read_tuning(direction, population, protocol)
        del tuning.measures["signal_correlation"]  # The same curves once more.
        p.append(column_table(tuning, protocol)["p_value"])
    rate = (np.array(p) <= 0.05).mean()
    assert 0.01 <= rate <= 0.1


def test_a_map_is_found_in_close_pairs():
    population = draw_map(cortex(300, 1, side_um=300.0), seed=1)
    tables, _ = conclude(population, measured_direction(population, harmonic=2))
    assert (tables["columns"]["p_value"] <= 0.05).all()
    assert (tables["columns"]["mean"] > tables["columns"]["chance"]).all()


def test_neighbor_similarity_is_the_mean_over_the_neighbors():
    population = cortex(40, 2, side_um=150.0)
    tables, arrays = conclude(population, measured_direction(population))
    place = population[["x_um", "y_um"]].to_numpy()
    distance = np.linalg.norm(place[:, None] - place, axis=2)
    cosine = np.cos(np.radians(np.subtract.outer(*[population["direction_deg"].to_numpy()] * 2)))
    is_near = (distance <= 50) & ~np.eye(40, dtype=bool)
    expected = np.where(is_near, cosine, 0).sum(axis=1) / is_near.sum(axis=1)
    neurons = tables["neurons"]
    np.testing.assert_array_equal(neurons["neighbor_count"], is_near.sum(axis=1))
    np.testing.assert_allclose(neurons["neighbor_direction_similarity"], expected, atol=1e-9)
    nearest = np.where(is_near, distance, np.inf)
    first = arrays["neighbor_row"].to_numpy()[:, 0]
    np.testing.assert_array_equal(first, nearest.argmin(axis=1))
    np.testing.assert_allclose(arrays["neighbor_distance_um"][:, 0], nearest.min(axis=1))


def test_one_filter_holds_for_every_table():
    population = cortex(60, 3)
    q_value = np.linspace(0, 0.1, 60)
    tests = {"osi_p": q_value / 2, "osi_q": q_value}
    direction = measured_direction(population, harmonic=2, columns=tests)
    tables, _ = conclude(population, direction)
    selected = int((q_value <= 0.05).sum())
    for name, table in tables.items():
        assert set(table["neuron_filter"]) == {"osi_q <= 0.05"}, name
        assert set(table["selected_neurons"]) == {selected}, name
    assert list(tables["neurons"]["status"] == "ok") == list(q_value <= 0.05)
    assert tables["selectivity"].groupby("coordinate")["selected_count"].sum().eq(selected).all()
    pooled = conclude(population, direction, horizontal_edges_um=[0, 50, 100, 200, 999])[0]["pairs"]
    pooled = pooled[pooled["is_pooled"]].groupby("measure")["pair_count"].sum()
    assert (pooled == selected * (selected - 1) // 2).all()


def test_neurons_without_index_or_place_are_rows_that_say_so():
    population = cortex(20, 4)
    population.loc[3, "z_um"] = np.nan
    direction = measured_direction(population)
    direction.neurons.loc[5, ["osi", "dsi"]] = np.nan
    direction.neurons.loc[7, "osi"] = 0.1
    status = conclude(population, direction)[0]["neurons"]["status"]
    assert [status[row] for row in (3, 5, 7, 8)] == [
        "no_position",
        "no_index",
        "not_selective",
        "ok",
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_neurons_give_tables_without_numbers(count):
    population = cortex(count, 5)
    tables, _ = conclude(population, measured_direction(population))
    assert set(tables["fits"]["status"]) == {"too_few_distances"}
    assert len(tables["neurons"]) == count
    assert tables["population"]["p_value"].isna().any()


def test_selectivity_that_grows_with_depth_is_found():
    population = cortex(200, 6)
    direction = measured_direction(population)
    direction.neurons["osi"] = 0.3 + (population["z_um"] - 200) / 1000
    tables, _ = conclude(population, direction)
    tests = tables["population"].set_index("what")
    assert tests.loc["osi along z_um", "p_value"] < 1e-6
    assert tests.loc["osi along x_um", "p_value"] > 0.001
    planes = tables["selectivity"].query("coordinate == 'z_um'")
    assert list(planes["mean_um"]) == list(np.arange(200.0, 450.0, 25.0))
    np.testing.assert_allclose(planes["osi_mean"], 0.3 + (planes["mean_um"] - 200) / 1000)


def noisy_trials(population, *, shared, repeats=6, seed=0):
    """Trials of untuned neurons: one noise for all neurons of a trial, weaker with distance."""
    rng = np.random.default_rng(seed)
    direction_deg = np.tile(ANGLE_DEG, repeats)
    horizontal, _ = pair_distances(population)
    covariance = np.exp(-horizontal / 50) * shared + np.eye(len(population)) * (1.001 - shared)
    noise = rng.standard_normal((len(direction_deg), len(population)))
    noise = noise @ np.linalg.cholesky(covariance).T
    conditions = pd.DataFrame(
        {
            "trial": np.arange(len(direction_deg)),
            "onset_frame": 0,
            "direction_deg": direction_deg,
            "spatial_frequency_cpd": 0.04,
            "temporal_frequency_hz": 2.0,
        }
    )
    return Responses(
        np.repeat((10 + noise)[:, :, None], 60, axis=2),
        population.drop(columns="direction_deg"),
        conditions,
        axes=("trial", "neuron", "frame"),
        source={"type": "recording"},
        has_trial_noise=True,
    )


def analyze_noise(population, **overrides):
    question = find_experiment("direction")
    protocol = read_protocol(question.protocol_type, None, experiment="direction")
    protocol = dataclasses.replace(protocol, lead_s=0.0, shuffle_count=50)
    responses = noisy_trials(population, shared=0.8)
    direction = question.analyze(responses, protocol, screen=Screen())
    similarity = find_experiment("similarity")
    chosen = protocol_of(**{"shuffle_count": 99, "test_level": 1.0, **overrides})
    return similarity.analyze(responses, chosen, screen=Screen(), given={"direction": direction})


def test_noise_that_neurons_share_passes_for_similarity_unless_trials_are_split():
    population = cortex(80, 7, side_um=150.0)
    split = analyze_noise(population).tables["columns"]
    whole = analyze_noise(population, split_trials=False).tables["columns"]
    assert set(split["trials"]) == {"halves"}
    assert set(whole["trials"]) == {"all"}
    assert (whole["mean"] > 0.3).all()
    assert (split["mean"].abs() < 0.2).all()


def test_repeated_trials_bring_their_tests_along():
    result = analyze_noise(cortex(30, 8))
    assert {"osi_p", "osi_q", "dsi_p", "dsi_q"} <= set(result.neurons)
    assert set(result.neurons["neuron_filter"]) == {"osi_q <= 1"}


def test_neurons_without_places_are_refused_in_one_sentence():
    twin = insilico.SimulatedV1("image", simple_count=2, energy_count=2)
    direction = insilico.run("direction", twin, jobs=1)
    table = direction.neurons.drop(columns=["x_um", "y_um", "z_um"])
    with pytest.raises(NotFittedError, match="the neurons have no cortical coordinates, and"):
        conclude(table, direction)
    with pytest.raises(NotFittedError, match="the neurons have x_um and y_um, and similarity"):
        conclude(table.assign(x_um=1.0, y_um=2.0, z_um=np.nan), direction)


def test_still_images_cannot_select_by_direction():
    twin = insilico.SimulatedV1("image", simple_count=2, energy_count=2)
    direction = insilico.run("direction", twin, jobs=1)
    with pytest.raises(ProtocolError, match=r"selected_by is 'dsi', .* give selected_by=osi"):
        insilico.run(
            "similarity",
            twin,
            given={"direction": direction},
            overrides={"selected_by": "dsi"},
            jobs=1,
        )


def test_a_direction_result_of_an_earlier_version_is_refused():
    population = cortex(5, 9)
    direction = measured_direction(population)
    old = dataclasses.replace(direction, arrays=direction.arrays.drop_vars("condition_mean"))
    with pytest.raises(NotFittedError, match="run direction again in a new folder"):
        conclude(population, old)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"horizontal_edges_um": [0, 50, 25, 75, 100]}, "horizontal_edges_um must be two or more"),
        ({"horizontal_edges_um": [0, 50, 100]}, "give five or more horizontal_edges_um"),
        ({"test_level": 0.0}, "test_level lies in"),
        ({"neighbor_um": 0.0}, "neighbor_um must be above 0"),
    ],
)
def test_protocols_that_do_not_hold_together_are_refused(overrides, message):
    with pytest.raises(ProtocolError, match=message):
        conclude(cortex(3, 0), measured_direction(cortex(3, 0)), **overrides)


def test_the_recorded_mouse_has_the_published_neurons_and_decay(shared_data):
    folder = shared_data / "viv1t" / "mouseB"
    curve = np.load(folder / "tuning_curve.npy").astype(float)
    place = np.load(folder / "neuron_coordinates.npy").astype(float)
    population = pd.DataFrame(dict(zip(("x_um", "y_um", "z_um"), place.T, strict=True)))
    population = population.assign(mouse="B", neuron=np.arange(len(place)), neuron_id=0, kind="")
    tests = {
        f"{index}_p": np.where(np.load(folder / f"{name}_selective.npy"), 0.0, 1.0)
        for index, name in (("osi", "orientation"), ("dsi", "direction"))
    }
    tests |= {f"{name}_q": values for name, values in (("osi", 1.0), ("dsi", 1.0))}
    direction = measured_direction(population.assign(direction_deg=0.0), columns=tests)
    for index in ("OSI", "DSI"):
        direction.neurons[index.lower()] = np.load(folder / f"{index}.npy").astype(float)
    for name in ("tuning_curve", "condition_mean"):
        direction.arrays[name].values[:] = curve
    tables, _ = conclude(
        population, direction, protocol="similarity-published", column_edges_um=[0, 15]
    )
    assert set(tables["pairs"]["selected_neurons"]) == {3700}
    pairs = tables["pairs"].query("measure == 'orientation_similarity'")
    near = pairs[~pairs["is_pooled"] & (pairs["v_um"] == 0)].set_index("d_um")["mean"]
    # Of three mice together .386, .155, .098, …, .036 at 175: one of them is not far.
    np.testing.assert_allclose(
        near[[25.0, 50.0, 75.0, 175.0]], [0.386, 0.155, 0.098, 0.036], atol=0.05
    )
    fit = tables["fits"].query("measure == 'orientation_similarity' and is_pooled").iloc[0]
    assert fit["status"] == "ok"
    assert 5 < fit["length_um"] < 60


def test_a_recording_is_answered_from_its_direction_result(tmp_path):
    few = {"train_trials": 1, "validation_stimuli": 0, "test_stimuli": 1, "final_stimuli": 0}
    options = SimulationOptions(mice=1, neurons=12, repeats=4, **few)
    recording = open_recording(write_recordings(tmp_path / "out", options=options)[0].folder)
    few_shuffles = {"shuffle_count": 19}
    with pytest.raises(ProtocolError, match=r"similarity builds on direction, .* this recording"):
        analyze_recording("similarity", recording)
    run = tmp_path / "run"
    analyze_recording("direction", recording, overrides=few_shuffles, out=run)
    overrides = {**few_shuffles, "test_level": 1.0}
    result = analyze_recording("similarity", recording, overrides=overrides, out=run)
    assert len(result.neurons) == 12
    assert set(result.tables["pairs"]["trials"]) == {"halves"}
    assert result.provenance["source"]["type"] == "recording"
