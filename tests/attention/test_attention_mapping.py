"""Maps of twins whose attention is known, with the animal's state or one's own stimuli."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from attending import (
    IMAGE,
    MOUSE,
    SCREEN,
    looking_at_images,
    looking_at_movies,
    make_recording,
    make_twin,
)

import insilico
from insilico import Result, Statistics
from insilico.attention import given_trials, map_attention, recorded_trials
from insilico.attention.asking import attentive_architectures
from insilico.attention.pixels import stretch
from insilico.errors import (
    CheckpointError,
    MouseError,
    RecordingError,
    ShapeError,
    StimulusError,
    UnitsError,
)
from insilico.stimuli.stimuli import Stimuli


def images(count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 12, 20)).astype(np.uint8)


def movies(count=2, frames=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, frames, 12, 20)).astype(np.uint8)


def table_of(result):
    return result.tables["attention"]


@pytest.mark.parametrize("patch", [0, 7, 14])
def test_patch_that_is_attended_is_where_the_map_lies(patch):
    twin = looking_at_images(patch)
    result = map_attention(twin, given_trials(twin, images()))
    row, column = divmod(patch, 5)
    x_px, y_px = 4 * column + 1.5, 4 * row + 1.5
    table = table_of(result)
    np.testing.assert_allclose(table["center_x_px"], x_px, atol=1e-4)
    np.testing.assert_allclose(table["center_y_px"], y_px, atol=1e-4)
    # By hand: pixels of 2 cm at 20 cm, from the middle of 20 x 12.
    np.testing.assert_allclose(
        table["center_x_deg"], np.degrees(np.arctan((x_px - 9.5) * 2 / 20)), atol=1e-3
    )
    np.testing.assert_allclose(
        table["center_y_deg"], np.degrees(np.arctan((5.5 - y_px) * 2 / 20)), atol=1e-3
    )
    np.testing.assert_allclose(table[["spread_x_deg", "spread_y_deg"]], 0, atol=0.2)
    assert (table["status"] == "ok").all()
    maps = result.arrays["map"].to_numpy()
    assert np.unravel_index(maps[0].argmax(), maps[0].shape)[0] in range(4 * row, 4 * row + 4)
    # Half of the class token comes past the attention; the patch has the other half.
    np.testing.assert_allclose(result.arrays["share"][:, row, column], 0.5, atol=1e-4)


def test_patch_of_a_crop_that_moves_with_the_gaze_is_placed_on_the_image():
    twin = looking_at_images(0, center_crop=0.8, has_image_shifter=True)
    (shifter,) = twin.networks[0].cropper.shifter.values()
    with torch.no_grad():
        for parameter in shifter.parameters():
            parameter.zero_()
        last = list(shifter.parameters())[-1]
        last.copy_(torch.atanh(torch.tensor([0.5, -1 / 3])))  # of what the crop leaves free
    result = map_attention(twin, given_trials(twin, images()))
    # By hand: 16 x 9 points from 0.1 to 0.9 of the centers of 20 x 12 pixels, seen as 20 x 12; the
    # first patch is centered on 1.5 of these. Free is a fifth of half of the image.
    steps = np.array([0.8 * 19 / 15, 0.8 * 11 / 8])
    scale = steps * np.array([16 / 20, 9 / 12])
    first = np.array([1.9, 1.1]) + (scale - steps) / 2
    expected = first + 1.5 * scale + np.array([0.5, -1 / 3]) * 0.2 * np.array([9.5, 5.5])
    found = table_of(result)[["center_x_px", "center_y_px"]].to_numpy()
    np.testing.assert_allclose(found, np.tile(expected, (3, 1)), atol=1e-3)
    maps = result.arrays["map"].to_numpy()[0]
    assert maps[round(expected[1]), round(expected[0])] > 0.8


@pytest.mark.parametrize("patch", [0, 33, 59])
def test_patch_that_is_attended_in_every_frame_is_where_the_map_lies(patch):
    twin = looking_at_movies(patch)
    result = map_attention(twin, given_trials(twin, movies()), burn_in_frames=52)
    row, column = divmod(patch, 10)
    table = table_of(result)
    # Patches of 5 px at every second pixel, padded by one in front.
    np.testing.assert_allclose(table["center_x_px"], 2 * column + 1, atol=1e-3)
    np.testing.assert_allclose(table["center_y_px"], 2 * row + 1, atol=1e-3)
    assert list(table["frame"]) == [*range(52, 60)] * 2
    np.testing.assert_allclose(table["time_s"], table["frame"] / 30)
    maps = result.arrays["map"].to_numpy()
    assert maps.shape == (2, 8, 12, 20)
    top, left = max(2 * row - 1, 0), max(2 * column - 1, 0)
    inside = maps[..., top : 2 * row + 4, left : 2 * column + 4]
    np.testing.assert_allclose(maps.max(axis=(-2, -1)), 1)
    np.testing.assert_allclose(inside.max(axis=(-2, -1)), 1)


def test_attention_without_preference_is_a_constant_map():
    twin = make_twin("v1t", IMAGE)
    torch.nn.init.zeros_(twin.networks[0].core.blocks[0].attention.queries_keys_values.weight)
    result = map_attention(twin, given_trials(twin, images()))
    table = table_of(result)
    assert set(table["status"]) == {"constant_map"}
    np.testing.assert_allclose(result.arrays["map"], 1)
    np.testing.assert_allclose(table["center_x_px"], 9.5)
    np.testing.assert_allclose(table["center_y_deg"], 0, atol=1e-9)
    np.testing.assert_allclose(table["entropy_bits"], np.log2(15), rtol=1e-6)


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_relative_attention_is_that_of_patches_by_their_mean(image_twin, movie_twin, kind):
    twin = image_twin if kind == "image" else movie_twin
    result = map_attention(twin, given_trials(twin, images() if kind == "image" else movies()))
    share = result.arrays["share"].to_numpy().astype(float)
    relative = share / share.mean(axis=(-2, -1), keepdims=True)
    table = table_of(result)
    for name, found in (("lowest", relative.min((-2, -1))), ("highest", relative.max((-2, -1)))):
        np.testing.assert_allclose(table[f"{name}_relative"], found.ravel(), rtol=1e-5)
    drawn = result.arrays["relative"].to_numpy()
    assert drawn.shape == result.arrays["map"].shape
    assert np.nanmax(drawn) <= relative.max() + 1e-5
    assert np.nanmin(drawn) >= relative.min() - 1e-5
    assert np.isfinite(drawn).mean() > 0.5


def test_every_array_says_what_it_holds_and_in_which_unit(image_twin, movie_twin, tmp_path):
    for twin, stimuli in ((image_twin, images()), (movie_twin, movies())):
        result = map_attention(twin, given_trials(twin, stimuli))
        arrays = Result.load(result.save(tmp_path / twin.kind)).arrays
        for name in set(arrays.variables) - {"mouse"}:
            assert {"long_name", "units"} <= set(arrays[name].attrs), name
        assert arrays["relative"].attrs["units"] == "times even attention"


def test_units_of_gaze_and_behavior_are_those_given(image_twin):
    gaze = np.zeros((3, 2))
    for units, stimuli, found in (
        ("standardized", images().astype(float) / 50, "standardized"),
        ("gray", images(), "recorded"),
        (None, images(), "recorded"),
    ):
        shown = given_trials(image_twin, stimuli, pupil_center=gaze, input_units=units)
        assert map_attention(image_twin, shown).provenance["state_units"] == found
    recorded = recorded_trials(image_twin, make_recording("image"))
    assert map_attention(image_twin, recorded).provenance["state_units"] == "recorded"


def test_ensemble_gives_the_mean_of_its_members():
    twins = [looking_at_images(patch) for patch in (5, 9)]
    joined = insilico.ensemble(twins)
    result = map_attention(joined, given_trials(joined, images()))
    share = result.arrays["share"].to_numpy()
    np.testing.assert_allclose(share[:, 1, [0, 4]], 0.25, atol=1e-4)
    np.testing.assert_allclose(table_of(result)["center_x_px"], 9.5, atol=1e-3)
    assert result.provenance["members"] == 2


def test_members_with_other_patches_have_no_mean():
    joined = insilico.ensemble([looking_at_images(3), make_twin("v1t", IMAGE | {"stride_px": 2})])
    with pytest.raises(CheckpointError, match="members of the ensemble cut the stimulus"):
        map_attention(joined, given_trials(joined, images()))


def test_trials_are_shown_with_the_animals_own_state(image_twin):
    recording = make_recording("image", trials=6)
    shown = recorded_trials(image_twin, recording, tiers=("validation", "test"))
    result = map_attention(image_twin, shown)
    trials = [recording.read(number) for number in range(6)]
    behavior = np.stack([trial.behavior[[0, 2]] / [10.0, 2.0] for trial in trials])
    gaze = np.stack([(trial.pupil_center - [150, 140]) / [5, 6] for trial in trials])
    stimulus = (np.stack([trial.stimulus for trial in trials]) - 110.0) / 50.0
    with torch.inference_mode():
        expected = image_twin.networks[0].attention_maps(
            torch.tensor(stimulus).float(),
            mouse=MOUSE,
            behavior=torch.tensor(behavior).float(),
            pupil_center=torch.tensor(gaze).float(),
        )
    np.testing.assert_allclose(result.arrays["share"], expected.spatial, rtol=1e-4)
    table = table_of(result)
    np.testing.assert_allclose(table["pupil_y"], [trial.pupil_center[1] for trial in trials])
    np.testing.assert_allclose(table["running_speed"], [trial.behavior[2] for trial in trials])
    np.testing.assert_array_equal(
        result.arrays["stimulus"], np.stack([trial.stimulus[0] for trial in trials])
    )
    assert result.protocol["pupil_center"] == "of each trial"


def test_state_may_be_the_same_in_all_trials_and_is_still_reported_as_recorded(image_twin):
    recording = make_recording("image")
    own = map_attention(image_twin, recorded_trials(image_twin, recording))
    mean = map_attention(
        image_twin,
        recorded_trials(image_twin, recording, pupil_center="mean", behavior=np.array([40.0, 1.0])),
    )
    assert not np.allclose(own.arrays["share"], mean.arrays["share"], rtol=1e-3)
    np.testing.assert_array_equal(table_of(own)["pupil_x"], table_of(mean)["pupil_x"])
    assert mean.protocol["pupil_center"] == "mean"
    assert mean.protocol["behavior"] == [40.0, 1.0]


def test_frames_keep_their_own_gaze_and_movies_their_length(movie_twin):
    recording = make_recording("movie", trials=4, frames=(56, 60))
    result = map_attention(movie_twin, recorded_trials(movie_twin, recording))
    table = table_of(result)
    assert table.groupby("trial")["frame"].agg(["min", "max"]).to_numpy().tolist() == [
        [50, 55],
        [50, 59],
    ]
    recorded = np.concatenate([recording.read(n).pupil_center[0, 50:] for n in (0, 1)])
    np.testing.assert_allclose(table["pupil_x"], recorded)
    assert result.arrays["frame_count"].to_numpy().tolist() == [56, 60]
    assert (result.arrays["map"].isel(trial=0).sel(frame=slice(56, None)) == 0).all()
    relative = result.arrays["relative"].isel(trial=0)
    assert np.isnan(relative.sel(frame=slice(56, None))).all()
    assert np.isfinite(relative.sel(frame=55)).any()
    assert np.isfinite(result.arrays["map"]).all()
    assert not table.isna().any(axis=None)


def test_attention_in_time_runs_from_0_to_1_over_the_frames_kept(movie_twin):
    shown = given_trials(movie_twin, movies())
    result = map_attention(movie_twin, shown, burn_in_frames=20)
    scaled = table_of(result).groupby("trial")["temporal_attention"].agg(["min", "max"])
    np.testing.assert_allclose(scaled, [[0, 1], [0, 1]])
    whole = map_attention(movie_twin, shown, burn_in_frames=0)
    np.testing.assert_allclose(whole.arrays["temporal_share"].sum("frame"), 1, rtol=1e-5)
    published = map_attention(movie_twin, shown, burn_in_frames=20, compatibility=True)
    late = table_of(whole).query("frame >= 20")["temporal_attention"]
    np.testing.assert_allclose(table_of(published)["temporal_attention"], late)
    assert late.max() < 0.9


def test_bias_of_causal_attention_in_time_is_stated(movie_twin):
    result = map_attention(movie_twin, given_trials(movie_twin, movies()), burn_in_frames=0)
    assert "falls with time by construction" in result.provenance["temporal_bias"]
    uniform = result.arrays["temporal_uniform"].to_numpy()
    assert (np.diff(uniform, axis=1) < 0).all()
    torch.nn.init.zeros_(movie_twin.networks[0].core.temporal.blocks[0].fused.weight)
    torch.nn.init.zeros_(movie_twin.networks[0].core.temporal.blocks[1].fused.weight)
    even = map_attention(movie_twin, given_trials(movie_twin, movies()), burn_in_frames=0)
    np.testing.assert_allclose(even.arrays["temporal_share"], uniform, rtol=1e-4)


def test_images_have_no_bias_in_time(image_twin):
    assert (
        map_attention(image_twin, given_trials(image_twin, images())).provenance["temporal_bias"]
        is None
    )


def test_published_scaling_stretches_the_grid_over_the_image(image_twin):
    shown = given_trials(image_twin, images())
    ours, published = (
        map_attention(image_twin, shown, compatibility=compatibility)
        for compatibility in (False, True)
    )
    share = ours.arrays["share"].to_numpy().astype(float)
    low, high = share.min(axis=(1, 2), keepdims=True), share.max(axis=(1, 2), keepdims=True)
    expected = stretch((share - low) / (high - low), (12, 20))
    np.testing.assert_allclose(published.arrays["map"], expected, atol=1e-5)
    mass = expected / expected.sum(axis=(1, 2), keepdims=True)
    center = (mass.sum(axis=1) * np.arange(20)).sum(axis=1)
    np.testing.assert_allclose(table_of(published)["center_x_px"], center, rtol=1e-5)
    assert not np.allclose(table_of(ours)["center_x_px"], center, rtol=1e-3)


def test_stimuli_are_drawn_when_they_are_needed(image_twin):
    frames = images(5).astype(float)
    conditions = {"trial": np.arange(5), "onset_frame": 0}
    stimuli = Stimuli("image", SCREEN, pd.DataFrame(conditions), lambda rows: frames[rows["trial"]])
    lazy = map_attention(image_twin, given_trials(image_twin, stimuli))
    array = map_attention(image_twin, given_trials(image_twin, images(5)))
    np.testing.assert_allclose(lazy.arrays["map"], array.arrays["map"], atol=1e-6)
    assert list(table_of(lazy)["trial"]) == [0, 1, 2, 3, 4]
    assert "pupil_x" not in table_of(lazy)


def test_own_stimuli_may_come_with_a_gaze_for_each_trial(image_twin):
    gaze = np.array([[150.0, 140.0], [160.0, 130.0], [150.0, 140.0]])
    same = np.repeat(images(1), 3, axis=0)
    result = map_attention(
        image_twin, given_trials(image_twin, same, pupil_center=gaze, input_units="gray")
    )
    np.testing.assert_array_equal(table_of(result)["pupil_x"], gaze[:, 0])
    share = result.arrays["share"].to_numpy()
    np.testing.assert_allclose(share[0], share[2], rtol=1e-5)
    assert not np.allclose(share[0], share[1], rtol=1e-3)


def test_model_without_statistics_takes_standardized_stimuli():
    twin = make_twin("v1t", IMAGE, statistics=Statistics(behavior_mean=np.zeros(2)))
    shown = given_trials(twin, np.random.default_rng(0).standard_normal((2, 12, 20)))
    result = map_attention(twin, shown)
    assert abs(float(result.arrays["stimulus"].mean()) - 127) < 10


def test_movies_that_end_within_the_burn_in_are_counted_or_refused(movie_twin):
    recording = make_recording("movie", trials=6, frames=(40, 60))
    result = map_attention(movie_twin, recorded_trials(movie_twin, recording))
    assert set(table_of(result)["trial"]) == {1, 3}
    assert result.provenance["skipped_trials"] == 2
    with pytest.raises(StimulusError, match="none of 2 movies goes on after the burn-in of 50"):
        map_attention(movie_twin, given_trials(movie_twin, movies(frames=50)))
    with pytest.raises(UnitsError, match="a burn-in of -1 frames"):
        map_attention(movie_twin, given_trials(movie_twin, movies()), burn_in_frames=-1)


def test_result_comes_back_from_disk_as_it_was(movie_twin, tmp_path):
    result = map_attention(
        movie_twin, recorded_trials(movie_twin, make_recording("movie")), command="typed"
    )
    loaded = Result.load(result.save(tmp_path / "attention"))
    np.testing.assert_array_equal(loaded.arrays["map"], result.arrays["map"])
    assert loaded.tables["attention"].equals(result.tables["attention"])
    assert loaded.provenance["command"] == "typed"
    assert loaded.provenance["screens"][MOUSE] == SCREEN.to_dict()


def test_twin_without_attention_is_refused_with_those_that_have(image_twin):
    for twin, name in (
        (insilico.SimulatedV1("image", simple_count=1, energy_count=1), "simulated-v1"),
        (
            insilico.Twin(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2304, 2))),
            "Module",
        ),
    ):
        with pytest.raises(CheckpointError) as refusal:
            map_attention(twin, [])
        assert f"is of the architecture {name}" in str(refusal.value)
        assert "cct, v1t, v1t_movie, vivit" in str(refusal.value)
    assert "sensorium2022" not in attentive_architectures()


def test_recordings_that_do_not_fit_are_refused(image_twin, movie_twin):
    recording = make_recording("image")
    cases = [
        (movie_twin, {}, RecordingError, "holds images and my vivit is shown movies"),
        (image_twin, {"mouse": "B"}, MouseError, "no mouse 'B'"),
        (image_twin, {"screen": insilico.Screen()}, RecordingError, "frames of 36 x 64 px"),
        (image_twin, {"has_pupil": False}, RecordingError, "with the mean gaze: --pupil mean"),
        (
            image_twin,
            {"behavior_names": ("pupil_size",)},
            RecordingError,
            "reads running_speed, and recordings/mouse-a has pupil_size",
        ),
    ]
    for twin, changes, error, message in cases:
        with pytest.raises(error, match=message):
            recorded_trials(twin, dataclasses.replace(recording, **changes))


def test_trials_that_are_not_there_are_refused(image_twin):
    recording = make_recording("image")
    for options, message in (
        ({"tiers": ("live_main",)}, "no trials of the tier 'live_main'; its tiers are validation"),
        ({"trials": "0:7"}, "have trials 0 to 5; name some of these"),
        ({"trials": "-1"}, "have trials 0 to 5"),
        ({"trials": "3:3"}, "the trials 3:3 were asked for"),
        ({"trials": "some"}, "the trial selection 'some' was not understood"),
    ):
        with pytest.raises(RecordingError, match=message):
            recorded_trials(image_twin, recording, **options)
    assert list(recorded_trials(image_twin, recording, trials="1,4:6").labels["trial"]) == [1, 4, 5]


def test_states_of_the_wrong_shape_are_refused(image_twin):
    with pytest.raises(ShapeError, match=r"behavior has shape \(6, 2\); trials of a recording"):
        recorded_trials(image_twin, make_recording("image"), behavior=np.zeros((6, 2)))
    with pytest.raises(ShapeError, match=r"pupil_center has shape \(2, 2\), and 3 trials"):
        given_trials(image_twin, images(3), pupil_center=np.zeros((2, 2)))
    with pytest.raises(ShapeError, match=r"behavior has shape \(3, 4\)"):
        given_trials(image_twin, images(3), behavior=np.zeros((3, 4)))
    with pytest.raises(UnitsError, match="behavior 'asleep' is unknown"):
        map_attention(image_twin, given_trials(image_twin, images(3), behavior="asleep"))
