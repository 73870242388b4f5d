"""Statistics, coordinates and screens of published mice: found, or said what supplies them."""

import dataclasses
import zipfile

import numpy as np
import pytest
from run_folders import (
    ship_statistics,
    statistics_of,
    write_metadata,
    write_recording,
    write_run,
)

from insilico.errors import CheckpointError, RecordingError
from insilico.models.importers.run_folder import read_run_folder
from insilico.models.importers.statistics import find_statistics
from insilico.recordings import cache_recording, open_recording
from insilico.screen import SCREENS

#: Folders of the recordings of mice A of V1T and of ViV1T.
STATIC_A = "static21067-10-18-GrayImageNet-94c6ff995dac583098847cfecd43e7b6"
DYNAMIC_A = "dynamic29156-11-10-Video-8744edeac3b4d1ce16b680916b5267ce"
DYNAMIC_B = "dynamic29228-2-10-Video-8744edeac3b4d1ce16b680916b5267ce"


@pytest.fixture
def run_of(tmp_path):
    """Write and read a run folder."""

    def build(release="closed_loop", **options):
        return read_run_folder(write_run(tmp_path / "run", release, **options))

    return build


def shipped(root, mouse, values):
    """Write metadata as ViV1T-closed-loop ships them."""
    place = root / "statistics" / f"mouse{mouse}"
    return write_metadata(place, root / "neuron_coordinates" / f"mouse{mouse}.npy", values)


def by_mouse(root, mouse, values):
    """Write metadata with a folder a mouse."""
    place = root / f"mouse{mouse}"
    return write_metadata(place / "statistics", place / "neuron_coordinates.npy", values)


def assert_standardized(statistics, values):
    """Hold statistics to what the published transforms divide by."""
    stored = {name: {k: np.float64(v) for k, v in of.items()} for name, of in values.items()}
    assert statistics.stimulus_mean == stored["video"]["mean"]
    assert statistics.stimulus_std == stored["video"]["std"]
    std = stored["response"]["std"]
    np.testing.assert_array_equal(statistics.response_std, np.maximum(std, 0.01 * std.mean()))
    behavior = stored["behavior"]
    np.testing.assert_array_equal(statistics.behavior_std, behavior["std"])
    np.testing.assert_allclose(statistics.behavior_mean, behavior["mean"] / behavior["std"])
    np.testing.assert_array_equal(statistics.pupil_mean, stored["pupil_center"]["mean"])
    np.testing.assert_array_equal(statistics.pupil_std, stored["pupil_center"]["std"])


@pytest.mark.parametrize("layout", [shipped, by_mouse])
@pytest.mark.parametrize("place", [".", "metadata", "viv1t/data/metadata"])
def test_metadata_are_found_in_every_layout(tmp_path, run_of, layout, place):
    values = layout(tmp_path / "got" / place, "A", statistics_of(6))
    mouse = find_statistics(run_of(), "A", 6, statistics=tmp_path / "got")
    assert_standardized(mouse.statistics, values)
    assert mouse.name == "A"
    assert mouse.neurons["z_um"].tolist() == [2, 5, 8, 11, 14, 17]
    assert mouse.neurons["neuron_id"].tolist() == [0, 1, 2, 3, 4, 5]
    for what in ("stimulus", "response", "behavior", "pupil"):
        assert mouse.statistics.is_measured(what)
        assert "mouseA" in mouse.statistics.sources[what]


def test_folder_of_the_mouse_itself_may_be_given(tmp_path, run_of):
    values = by_mouse(tmp_path, "A", statistics_of(6))
    mouse = find_statistics(run_of(), "A", 6, statistics=tmp_path / "mouseA")
    assert_standardized(mouse.statistics, values)


@pytest.mark.parametrize("place", [".", "metadata"])
def test_metadata_beside_the_run_are_found(run_of, place):
    run = run_of()
    values = shipped(run.path / place, "L", statistics_of(4))
    assert_standardized(find_statistics(run, "L", 4).statistics, values)
    assert find_statistics(run, "A", 6).statistics.stimulus_std is None


def test_metadata_that_are_given_win_over_those_beside_the_run(tmp_path, run_of):
    run = run_of()
    shipped(run.path, "A", statistics_of(6, seed=1))
    values = shipped(tmp_path / "given", "A", statistics_of(6, seed=2))
    found = find_statistics(run, "A", 6, statistics=tmp_path / "given")
    assert_standardized(found.statistics, values)


def test_real_metadata_give_the_published_transforms(shared_data, run_of):
    run = run_of(mice={"B": 7928})
    mouse = find_statistics(run, "B", 7928, statistics=shared_data / "viv1t")
    folder = shared_data / "viv1t" / "mouseB"
    positions = np.load(folder / "neuron_coordinates.npy")
    np.testing.assert_array_equal(mouse.neurons[["x_um", "y_um", "z_um"]].to_numpy(), positions)
    std = np.load(folder / "statistics" / "response" / "std.npy")
    threshold = 0.01 * np.mean(std)
    precision = np.ones_like(std) / threshold
    precision[std > threshold] = 1 / std[std > threshold]
    np.testing.assert_allclose(mouse.statistics.response_std, 1 / precision, rtol=3e-7)
    assert mouse.statistics.stimulus_mean == pytest.approx(80.65392, rel=1e-6)
    assert mouse.statistics.stimulus_std == pytest.approx(59.745533, rel=1e-6)
    np.testing.assert_allclose(
        mouse.statistics.behavior_mean, [48.20309 / 11.954042, 0.29840624 / 1.2298609], rtol=1e-6
    )
    assert mouse.screen == SCREENS["sensorium"]


def test_floor_of_the_responses_is_that_of_all_neurons_before_some_are_chosen(tmp_path, run_of):
    values = statistics_of(8)
    values["response"]["std"] = np.float32([0, 1e-4, 10, 20, 0.14, 5, 5, 5])
    shipped(tmp_path, "A", values)
    run = run_of(mice={"A": 3}, neuron_idx={"A": [0, 3, 4]}, limit_neurons=3)
    mouse = find_statistics(run, "A", 3, statistics=tmp_path)
    floor = 0.01 * np.float64(values["response"]["std"]).mean()
    np.testing.assert_allclose(mouse.statistics.response_std, [floor, 20, 0.14], rtol=1e-7)
    assert mouse.neurons["neuron_id"].tolist() == [0, 3, 4]
    assert mouse.neurons["x_um"].tolist() == [0, 9, 12]
    chosen = find_statistics(
        run, "A", 3, statistics=tmp_path, neuron_index=np.array([2, 1, 7])
    ).statistics.response_std
    np.testing.assert_allclose(chosen, [10, floor, 5], rtol=1e-7)


def test_without_any_place_the_sources_say_what_supplies_statistics(run_of):
    mouse = find_statistics(run_of(), "L", 4)
    statistics = mouse.statistics
    known = dataclasses.asdict(statistics)
    assert all(value is None for name, value in known.items() if name != "sources")
    reason = "unknown: give --statistics FOLDER or --data RECORDING when importing"
    assert {statistics.sources[what] for what in ("stimulus", "response", "behavior")} == {reason}
    assert statistics.sources["pupil"].startswith("assumed: the standardized gaze has mean 0")
    assert list(mouse.neurons) == ["neuron", "neuron_id", "kind"]


def test_mouse_that_a_folder_lacks_stays_unknown_and_says_so(tmp_path, run_of):
    shipped(tmp_path / "metadata", "A", statistics_of(6))
    mouse = find_statistics(run_of(), "L", 4, statistics=tmp_path / "metadata")
    assert mouse.statistics.stimulus_std is None
    assert "metadata has nothing of mouse L; give" in mouse.statistics.sources["stimulus"]


@pytest.mark.parametrize(
    ("release", "mouse", "screen"),
    [
        ("closed_loop", "A", SCREENS["sensorium"]),
        ("closed_loop", "K", SCREENS["rochefort"]),
        ("first_release", "J", SCREENS["sensorium"]),
        ("v1t", "K", dataclasses.replace(SCREENS["sensorium"], width_px=256, height_px=144)),
        ("closed_loop", "mine", SCREENS["sensorium"]),
    ],
)
def test_screen_is_that_of_the_published_mouse_in_pixels_of_the_input(
    run_of, release, mouse, screen
):
    found = find_statistics(run_of(release, mice={mouse: 2}), mouse, 2)
    assert found.screen == screen
    is_published = release != "v1t" and mouse != "mine"
    assert found.statistics.sources["screen"].startswith("published") == is_published


def test_cropped_movies_have_a_smaller_screen(run_of):
    mouse = find_statistics(run_of(center_crop=0.5), "A", 6)
    assert (mouse.screen.width_cm, mouse.screen.height_cm) == (56.5 / 2, 31.8 / 2)
    assert mouse.screen.shape == (36, 64)
    assert "central 0.5" in mouse.statistics.sources["screen"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"input_shapes": {"video": [1, 300, 36, 36]}},
            "36 x 36 pixels, which does not fit the sc",
        ),
        ({"input_shapes": {}}, "video: null, channels, frames, rows and columns"),
        ({"input_shapes": {"video": [36, "64"]}}, r"video: \[36, '64'\], channels"),
        ({"center_crop": 0}, "center_crop: 0.0, a fraction above 0"),
    ],
)
def test_input_that_fits_no_screen_is_refused(run_of, options, message):
    with pytest.raises(CheckpointError, match=message):
        find_statistics(run_of(**options), "A", 6)


@pytest.mark.parametrize("as_zip", [False, True])
def test_recording_of_movies_is_measured_as_its_cache_measures_it(tmp_path, run_of, as_zip):
    path = write_recording(tmp_path / "data" / DYNAMIC_A)
    recording = open_recording(path)
    expected = cache_recording(recording, folder=tmp_path / "cache").statistics
    if as_zip:
        with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
            for file in path.rglob("*.npy"):
                archive.write(file, file.relative_to(path.parent))
        path = path.rename(tmp_path / "unpacked")
    write_recording(tmp_path / "data" / DYNAMIC_B, seed=1)
    mouse = find_statistics(run_of(), "A", 6, data=tmp_path / "data")
    for field in dataclasses.fields(expected):
        if field.name != "sources":
            found = getattr(mouse.statistics, field.name)
            np.testing.assert_allclose(found, getattr(expected, field.name), rtol=1e-12)
    assert mouse.neurons["neuron_id"].tolist() == [100, 101, 102, 103, 104, 105]
    positions = ["x_um", "y_um", "z_um"]
    np.testing.assert_array_equal(mouse.neurons[positions], recording.neurons[positions])
    assert "measured on 3 training trials" in mouse.statistics.sources["response"]


def test_recording_without_a_published_name_is_matched_by_its_neurons(tmp_path, run_of):
    write_recording(tmp_path / "data" / "first", neuron_count=4)
    write_recording(tmp_path / "data" / "second", neuron_count=6)
    run = run_of()
    assert len(find_statistics(run, "A", 6, data=tmp_path / "data").statistics.response_std) == 6
    assert len(find_statistics(run, "L", 4, data=tmp_path / "data").statistics.response_std) == 4
    write_recording(tmp_path / "data" / "third", neuron_count=6)
    assert find_statistics(run, "A", 6, data=tmp_path / "data").statistics.response_std is None


def test_recording_is_not_matched_by_neurons_that_two_mice_have(tmp_path, run_of):
    write_recording(tmp_path / "data" / "one", neuron_count=6)
    with pytest.raises(CheckpointError, match="no recording of mouse A nor of any other mouse"):
        find_statistics(run_of(mice={"A": 6, "L": 6}), "A", 6, data=tmp_path / "data")


def test_folder_adds_statistics_and_recording_adds_neuron_ids(tmp_path, run_of):
    values = shipped(tmp_path / "metadata", "A", statistics_of(6))
    write_recording(tmp_path / "data" / DYNAMIC_A)
    mouse = find_statistics(
        run_of(), "A", 6, statistics=tmp_path / "metadata", data=tmp_path / "data"
    )
    assert_standardized(mouse.statistics, values)
    assert mouse.neurons["neuron_id"].tolist() == [100, 101, 102, 103, 104, 105]
    assert mouse.neurons["x_um"].tolist() == [0, 3, 6, 9, 12, 15]


@pytest.mark.parametrize("as_zip", [False, True])
def test_recording_of_images_gives_the_statistics_that_v1t_used(tmp_path, run_of, as_zip):
    path = write_recording(tmp_path / "data" / STATIC_A, kind="image", shape=(144, 256))
    values = ship_statistics(path, statistics_of(6, variable_count=3))
    if as_zip:
        with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
            for file in path.rglob("*.npy"):
                archive.write(file, file.relative_to(path.parent))
        path.rename(tmp_path / "unpacked")
    mouse = find_statistics(run_of("v1t"), "A", 6, data=tmp_path / "data")
    assert_standardized(mouse.statistics, values)
    assert mouse.screen.shape == (144, 256)
    assert "ships" in mouse.statistics.sources["stimulus"]


@pytest.mark.parametrize("mouse", ["2", "A"])
def test_recording_of_images_without_statistics_leaves_only_reduced_images_unknown(
    tmp_path, run_of, mouse
):
    write_recording(tmp_path / STATIC_A, kind="image", shape=(144, 256))
    run = run_of("v1t", mice={mouse: 6})
    statistics = find_statistics(run, mouse, 6, data=tmp_path / STATIC_A).statistics
    assert statistics.stimulus_std is None
    assert "(36, 64) pixels, the network sees (144, 256)" in statistics.sources["stimulus"]
    assert statistics.response_std.shape == (6,)
    assert statistics.behavior_std.shape == (3,)


def test_recording_of_small_images_is_measured(tmp_path, run_of):
    path = write_recording(tmp_path / "static25311-10-26-ColorImageNet-10", kind="image")
    run = run_of("v1t", mice={"static25311-10-26": 6}, input_shape=[1, 36, 64])
    statistics = find_statistics(run, "static25311-10-26", 6, data=path).statistics
    images = np.concatenate([np.load(path / f"data/images/{n}.npy").ravel() for n in range(3)])
    assert statistics.stimulus_std == pytest.approx(images.std(), rel=1e-9)


def test_letters_of_images_and_of_movies_are_other_mice(tmp_path, run_of):
    write_recording(tmp_path / "data" / DYNAMIC_A, neuron_count=6)
    write_recording(tmp_path / "data" / STATIC_A, kind="image", neuron_count=3)
    run = run_of("v1t", mice={"A": 3}, input_shape=[1, 36, 64])
    mouse = find_statistics(run, "A", 3, data=tmp_path / "data")
    assert str(STATIC_A) in mouse.statistics.sources["response"]


def test_state_that_was_not_recorded_is_said_to_be(tmp_path, run_of):
    path = write_recording(tmp_path / STATIC_A, kind="image", shape=(144, 256))
    for folder in ("behavior", "pupil_center"):
        for file in (path / "data" / folder).iterdir():
            np.save(file, np.zeros_like(np.load(file)))
    values = statistics_of(6, variable_count=3)
    for name in ("behavior", "pupil_center"):
        values[name] = {key: np.zeros_like(value) for key, value in values[name].items()}
    ship_statistics(path, values)
    statistics = find_statistics(run_of("v1t"), "A", 6, data=path).statistics
    assert statistics.response_std is not None
    assert statistics.behavior_std is None
    assert statistics.sources["behavior"].endswith("has no behavior")
    assert statistics.sources["pupil"].endswith("has no gaze")


def test_raw_values_are_described_without_any_statistics(run_of):
    run = run_of(transform_input=0, transform_output=0, core_behavior_mode=0, shifter_mode=0)
    statistics = find_statistics(run, "A", 6).statistics
    assert (statistics.stimulus_mean, statistics.stimulus_std) == (0, 1)
    assert statistics.response_std.tolist() == [1] * 6
    assert set(statistics.sources) == {"stimulus", "response", "screen"}


def test_ranges_are_described_where_a_factor_can(tmp_path, run_of):
    values = statistics_of(6)
    values["response"]["min"] = np.float32([0, 0, -1e-8, 0, 0, 0])
    shipped(tmp_path, "A", values)
    run = run_of(transform_input=2, transform_output=2, core_behavior_mode=0, shifter_mode=0)
    statistics = find_statistics(run, "A", 6, statistics=tmp_path).statistics
    low, high = np.float64(values["video"]["min"]), np.float64(values["video"]["max"])
    assert (statistics.stimulus_mean, statistics.stimulus_std) == (low, high - low)
    np.testing.assert_allclose(statistics.response_std, values["response"]["max"], rtol=1e-6)
    np.save(tmp_path / "statistics/mouseA/response/min.npy", np.float32([-0.5] * 6))
    statistics = find_statistics(run, "A", 6, statistics=tmp_path).statistics
    assert statistics.response_std is None
    assert "which no factor undoes" in statistics.sources["response"]


@pytest.mark.parametrize("mode", [0, 2])
@pytest.mark.parametrize("option", ["core_behavior_mode", "shifter_mode"])
def test_states_that_were_not_standardized_are_refused(run_of, mode, option):
    modes = {"core_behavior_mode": 0, "shifter_mode": 0} | {option: 1}
    run = run_of(transform_input=mode, **modes)
    with pytest.raises(CheckpointError, match=rf"not standardized \(transform_input: {mode}\)"):
        find_statistics(run, "A", 6)


@pytest.mark.parametrize("name", ["transform_input", "transform_output"])
def test_unknown_transform_is_refused(run_of, name):
    with pytest.raises(CheckpointError, match=f"{name}: 3, 0 to 2 was expected"):
        find_statistics(run_of(**{name: 3}), "A", 6)


def test_first_release_says_why_it_has_no_common_scale(tmp_path, run_of):
    shipped(tmp_path, "A", statistics_of(6))
    mouse = find_statistics(run_of("first_release"), "A", 6, statistics=tmp_path)
    assert mouse.neurons["x_um"].tolist() == [0, 3, 6, 9, 12, 15]
    known = dataclasses.asdict(mouse.statistics)
    assert all(value is None for name, value in known.items() if name != "sources")
    sources = mouse.statistics.sources
    assert (
        "each pixel of each frame by its own statistics (transform_mode: 2)" in sources["stimulus"]
    )
    assert "gray levels have no common scale" in sources["stimulus"]
    assert "recorded units have no common scale" in sources["response"]
    assert sources["pupil"].startswith("unknown: the run standardized behavior and gaze otherwise")


def test_first_release_scales_behavior_where_its_mode_does(tmp_path, run_of):
    values = shipped(tmp_path, "A", statistics_of(6))
    run = run_of("first_release", transform_mode=3)
    statistics = find_statistics(run, "A", 6, statistics=tmp_path).statistics
    assert statistics.stimulus_std is None
    np.testing.assert_array_equal(statistics.behavior_std, values["behavior"]["std"])
    np.testing.assert_array_equal(statistics.pupil_std, values["pupil_center"]["std"])


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("response/std", np.ones(7), "are of 7 neurons of mouse A, the run has 6"),
        ("response/std", np.ones(5), "are of 5 neurons of mouse A, the run has 6"),
        ("response/std", np.zeros(6), "spread of a response is 0"),
        ("response/std", [1, 1, 1, 1, 1, -1.0], "spread of a response is -1"),
        ("response/std", [1, 1, 1, 1, 1, np.nan], "std.npy has 1 of 6 values that are not finite"),
        ("video/std", 0.0, "spread of the stimulus is 0"),
        ("video/mean", np.nan, "video/mean.npy has 1 of 1 values that are not finite"),
        ("video/mean", [1.0, 2.0], r"mean of stimulus .* has shape \(2,\) instead of 1 value;"),
        ("behavior/std", [1.0, 0.0], "spread of behavior is 0"),
        ("behavior/mean", [1.0, 2.0, 3.0], r"has shape \(3,\) instead of 2 values;"),
        ("pupil_center/std", [0.0, 1.0], "spread of gaze is 0"),
        ("pupil_center/std", ["a", "b"], "holds no numbers"),
        ("video/std", None, r"video/std\.npy is missing; get the whole folder"),
    ],
)
def test_statistics_that_cannot_be_right_are_refused(tmp_path, run_of, file, values, message):
    shipped(tmp_path, "A", statistics_of(6))
    path = tmp_path / "statistics" / "mouseA" / f"{file}.npy"
    if values is None:
        path.unlink()
    else:
        np.save(path, values)
    with pytest.raises(CheckpointError, match=message):
        find_statistics(run_of(), "A", 6, statistics=tmp_path)


def test_damaged_files_of_statistics_are_refused(tmp_path, run_of):
    shipped(tmp_path, "A", statistics_of(6))
    path = tmp_path / "statistics" / "mouseA" / "video" / "std.npy"
    path.write_bytes(path.read_bytes()[:-2])
    run = run_of()
    with pytest.raises(CheckpointError, match=r"std\.npy is cut off"):
        find_statistics(run, "A", 6, statistics=tmp_path)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(CheckpointError, match="objects are never loaded"):
        find_statistics(run, "A", 6, statistics=tmp_path)


def test_coordinates_of_other_neurons_are_refused(tmp_path, run_of):
    shipped(tmp_path, "A", statistics_of(6))
    run = run_of()
    place = tmp_path / "neuron_coordinates" / "mouseA.npy"
    np.save(place, np.zeros((7, 3)))
    with pytest.raises(CheckpointError, match=r"neurons in .* are of 7 neurons of mouse A"):
        find_statistics(run, "A", 6, statistics=tmp_path)
    np.save(place, np.zeros((6, 2)))
    with pytest.raises(CheckpointError, match=r"has shape \(6, 2\), \(neuron, 3\) was expected"):
        find_statistics(run, "A", 6, statistics=tmp_path)


def test_wrong_arguments_are_refused(tmp_path, run_of):
    run = run_of(limit_neurons=6, neuron_idx={"A": [0, 2, 4, 6, 8, 10], "L": [0, 1, 2]})
    with pytest.raises(CheckpointError, match=r"no mouse 'Z'; its mice are A, L"):
        find_statistics(run, "Z", 6)
    with pytest.raises(CheckpointError, match=r"lists 3 neurons of mouse L .* weights of 4"):
        find_statistics(run, "L", 4)
    shipped(tmp_path / "few", "A", statistics_of(8))
    with pytest.raises(
        CheckpointError, match="are of 8 neurons of mouse A, the run has at least 11"
    ):
        find_statistics(run, "A", 6, statistics=tmp_path / "few")
    with pytest.raises(CheckpointError, match="nowhere does not exist; give --statistics a path"):
        find_statistics(run, "A", 6, statistics=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="nowhere does not exist; give --data a path"):
        find_statistics(run, "A", 6, data=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"no statistics/mouseA nor of any .* \(A, L\); give"):
        find_statistics(run, "A", 6, statistics=tmp_path / "empty")
    with pytest.raises(RecordingError, match="holds no recording"):
        find_statistics(run, "A", 6, data=tmp_path / "empty")


def test_recording_with_other_neurons_than_its_name_promises_is_refused(tmp_path, run_of):
    write_recording(tmp_path / DYNAMIC_A, neuron_count=5)
    with pytest.raises(CheckpointError, match="are of 5 neurons of mouse A, the run has 6"):
        find_statistics(run_of(), "A", 6, data=tmp_path / DYNAMIC_A)


def test_two_recordings_of_one_mouse_are_refused(tmp_path, run_of):
    write_recording(tmp_path / "data" / DYNAMIC_A)
    write_recording(tmp_path / "data" / "mouseA")
    with pytest.raises(CheckpointError, match="are both of mouse A; give --data the one"):
        find_statistics(run_of(), "A", 6, data=tmp_path / "data")
