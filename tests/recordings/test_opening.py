"""Every layout is recognized, from a folder and from its zip, and means the same."""

import numpy as np
import pytest

from insilico.errors import RecordingError
from insilico.recordings import open_recording, open_recordings
from insilico.recordings.tables import mouse_name
from insilico.screen import SCREENS

LAYOUTS = ("sensorium2022", "franke2022", "sensorium2023", "rochefort")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", ["folder", "zip", "nested zip", "nested folder"])
def test_trials_are_those_written_in_every_layout_and_form(write_recording, tmp_path, layout, form):
    written = write_recording(layout)
    path = written.path
    if form == "zip":
        path = written.zip(tmp_path / f"{written.path.name}.zip")
    elif form == "nested zip":
        path = written.zip(tmp_path / "download.zip", inside=f"{written.path.name}/")
    elif form == "nested folder":
        (tmp_path / "outer").mkdir()
        path = written.path.rename(tmp_path / "outer" / written.path.name).parent
    recording = open_recording(path)
    assert recording.layout == layout
    assert recording.kind == written.kind
    for trial, tier in enumerate(written.tiers):
        if tier == "none":
            continue
        read, stimulus = recording.read(trial), written.stimulus[trial]
        if written.kind == "movie":
            assert np.array_equal(read.stimulus[0], np.moveaxis(stimulus, -1, 0))
        elif layout == "franke2022":
            assert np.array_equal(read.stimulus, stimulus)
        assert np.array_equal(read.responses, written.responses[trial].astype(np.float32))
        assert np.array_equal(read.behavior, written.behavior[trial].astype(np.float32))
        assert np.array_equal(read.pupil_center, written.pupil_center[trial].astype(np.float32))
        assert read.responses.dtype == read.behavior.dtype == np.float32


@pytest.mark.parametrize(
    ("folder", "mouse"),
    [
        ("static21067-10-18-GrayImageNet-94c6ff995dac", "21067-10-18"),
        ("dynamic29156-11-10-Video-8744edea", "29156-11-10"),
        ("VIPcre232_FOV1_day1", "VIPcre232_FOV1_day1"),
        ("my mouse (2)", "my_mouse_2"),
        ("../..", "mouse"),
        ("dynamic", "dynamic"),
    ],
)
def test_mouse_is_named_as_its_folder(folder, mouse):
    assert mouse_name(folder) == mouse


def test_given_name_replaces_that_of_the_folder(write_recording):
    assert open_recording(write_recording("rochefort").path, mouse="L").mouse == "L"


def test_name_that_cannot_name_a_file_is_refused(write_recording):
    with pytest.raises(RecordingError, match="'a/b' was given to a mouse"):
        open_recording(write_recording("rochefort").path, mouse="a/b")


def test_sensorium_tiers_are_renamed_without_being_cut(write_recording):
    # 'oracle' fits a width of six characters, 'validation' does not.
    written = write_recording("sensorium2023", tiers=["train", "oracle", "none"])
    assert open_recording(written.path).trials["tier"].tolist() == ["train", "validation", "none"]


def test_tiers_as_bytes_are_read(write_recording):
    written = write_recording("sensorium2023")
    before = open_recording(written.path).trials["tier"].tolist()
    written.save("trials/tiers", np.array(written.tiers, "S16"))
    assert open_recording(written.path).trials["tier"].tolist() == before


def test_unknown_tier_is_refused_with_those_known(write_recording):
    written = write_recording("sensorium2022", tiers=["train", "testing"])
    with pytest.raises(RecordingError, match=r"'testing'.*train, validation, test"):
        open_recording(written.path)


def test_tiers_of_two_layouts_are_refused(write_recording):
    written = write_recording("rochefort", tiers=["oracle", "live_main"])
    with pytest.raises(RecordingError, match="mixes tiers"):
        open_recording(written.path)


def test_tiers_as_numbers_are_refused(write_recording):
    written = write_recording("rochefort")
    written.save("trials/tiers", np.arange(len(written.tiers)))
    with pytest.raises(RecordingError, match="as a text"):
        open_recording(written.path)


def test_neurons_are_where_the_microscope_found_them(write_recording):
    written = write_recording("sensorium2022")
    written.save("neurons/area", np.array(["V1"] * 4 + ["LM"]))
    neurons = open_recording(written.path).neurons
    assert neurons["neuron_id"].tolist() == [100, 101, 102, 103, 104]
    assert neurons[["x_um", "y_um", "z_um"]].to_numpy().tolist()[1] == [3.0, 4.0, 5.0]
    assert neurons["area"].tolist() == ["V1"] * 4 + ["LM"]


def test_neurons_are_counted_from_responses_where_no_table_says(write_recording):
    written = write_recording("rochefort", neurons=7)
    (written.path / "meta/neurons/unit_ids.npy").unlink()
    assert open_recording(written.path).neurons["neuron_id"].tolist() == list(range(7))


def test_coordinates_of_other_neurons_are_refused(write_recording):
    written = write_recording("rochefort")
    written.save("neurons/cell_motor_coordinates", np.zeros((4, 3)))
    with pytest.raises(RecordingError, match=r"cell_motor_coordinates.npy has shape \(4, 3\)"):
        open_recording(written.path)


def test_several_faulty_tables_are_all_told(write_recording):
    written = write_recording("rochefort")
    written.save("trials/stimulus_ids", np.zeros(3))
    written.save("trials/video_ids", np.zeros(4))
    with pytest.raises(RecordingError, match="and 1 more") as told:
        open_recording(written.path)
    first, second = told.value.faults
    assert "stimulus_ids" in first
    assert "video_ids" in second


@pytest.mark.parametrize(
    ("layout", "screen"), [("sensorium2023", "sensorium"), ("rochefort", "rochefort")]
)
def test_screen_is_that_of_the_layout(write_recording, layout, screen):
    assert open_recording(write_recording(layout).path).screen == SCREENS[screen]


def test_screen_file_overrides_the_layout(write_recording):
    written = write_recording("rochefort")
    text = "distance_cm = 12.5\nframe_rate_hz = 60.0\n"
    (written.path / "meta/screen.toml").write_text(text)
    recording = open_recording(written.path)
    assert (recording.screen.distance_cm, recording.screen.width_cm) == (12.5, 51.0)
    assert recording.rate_hz["responses"] == 60.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("distance_cm = ", "is no TOML"),
        ("distance = 10", "no key 'distance'; did you mean 'distance_cm'"),
        ("distance_cm = 'far'", "distance_cm is 'far'; give a number"),
        ("distance_cm = -1", "not possible"),
        ("distance_cm = 1" + "0" * 400, "not possible"),
        ("width_px = 128\nheight_px = 72", "72 x 128 px, the stimuli have 36 x 64"),
        ("a = " + "[" * 5000, "is no TOML"),
        ("# " + "x" * 200_000, "at most"),
    ],
)
def test_damaged_screen_file_is_refused(write_recording, text, sentence):
    written = write_recording("rochefort")
    (written.path / "meta/screen.toml").write_text(text)
    with pytest.raises(RecordingError, match=sentence):
        open_recording(written.path)


def test_pixels_that_are_not_square_on_the_screen_are_refused(write_recording):
    written = write_recording("rochefort")
    for trial in range(len(written.tiers)):
        np.save(written.file("stimulus", trial), np.zeros((36, 36, 5), np.uint8))
    with pytest.raises(RecordingError, match="square"):
        open_recording(written.path)


@pytest.mark.parametrize("layout", ["sensorium2022", "sensorium2023"])
@pytest.mark.parametrize("how", ["zeroed", "missing"])
def test_behavior_that_was_not_recorded_is_absent(write_recording, layout, how):
    written = write_recording(layout)
    for signal in ("behavior", "pupil_center"):
        for trial in range(len(written.tiers)):
            file = written.file(signal, trial)
            np.save(file, 0 * np.load(file)) if how == "zeroed" else file.unlink()
    recording = open_recording(written.path)
    assert recording.behavior_names == ()
    assert not recording.has_pupil
    assert recording.read(0).behavior is None


def test_stimuli_are_known_for_a_published_mouse(write_recording):
    written = write_recording(
        "sensorium2023", tiers=["oracle", "live_test_bonus", "final_test_bonus"]
    )
    assert open_recording(written.path).trials["stimulus_type"].tolist() == [
        "movie",
        "pink_noise",
        "unknown",
    ]


def test_stimulus_and_video_ids_are_read(write_recording):
    written = write_recording("rochefort", tiers=["train", "live_main", "live_main", "none"])
    written.save("trials/stimulus_ids", np.array([0, 4, 5, -1]))
    written.save("trials/video_ids", np.array([7.0, 2.0, 2.0, np.nan]))
    trials = open_recording(written.path).trials
    assert trials["stimulus_type"].tolist() == [
        "movie",
        "drifting_gabor",
        "flashed_image",
        "unknown",
    ]
    assert trials["stimulus_index"].tolist() == [7, 2, 2, -1]
    assert trials["stimulus_index"].dtype == np.int64


def test_unknown_stimulus_id_is_refused(write_recording):
    written = write_recording("rochefort", tiers=["train", "train"])
    written.save("trials/stimulus_ids", np.array([0, 6]))
    with pytest.raises(RecordingError, match="stimulus id 6"):
        open_recording(written.path)


@pytest.mark.parametrize(
    ("layout", "name"),
    [("sensorium2022", "frame_image_id"), ("franke2022", "colorframeprojector_image_id")],
)
def test_image_ids_tell_repeats(write_recording, layout, name):
    written = write_recording(layout, tiers=["test"] * 3)
    written.save(f"trials/{name}", np.array([31, 4, 31]))
    assert open_recording(written.path).trials["stimulus_index"].tolist() == [31, 4, 31]


def test_image_ids_may_be_texts(write_recording):
    written = write_recording("sensorium2022", tiers=["test"] * 3)
    written.save("trials/frame_image_id", np.array(["b", "a", "b"]))
    assert open_recording(written.path).trials["stimulus_index"].tolist() == [1, 0, 1]


def test_folder_of_recordings_opens_sorted_by_mouse(write_recording, tmp_path):
    for layout in LAYOUTS[::-1]:
        write_recording(layout)
    (tmp_path / "notes.txt").write_text("not a recording")
    mice = ["21067-10-18", "25311-10-26", "29156-11-10", "VIPcre232_FOV1_day1"]
    assert list(open_recordings(tmp_path)) == mice
    assert list(open_recordings(tmp_path, mice=mice[1:3])) == mice[1:3]


def test_one_recording_opens_as_a_folder_of_one(write_recording):
    assert list(open_recordings(write_recording("rochefort").path)) == ["VIPcre232_FOV1_day1"]


def test_recording_nested_alone_opens_as_a_folder_of_one(write_recording, tmp_path):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    written = write_recording("sensorium2023", folder=inner)
    recordings = open_recordings(tmp_path / "outer", mice=["29156-11-10"])
    assert list(recordings) == [open_recording(tmp_path / "outer").mouse]
    assert recordings["29156-11-10"].source == written.path
    write_recording("rochefort", folder=tmp_path / "outer" / "another")
    for opening in (open_recording, open_recordings):
        with pytest.raises(RecordingError):
            opening(tmp_path / "outer")


def test_folder_is_read_where_its_zip_lies_beside_it(write_recording, tmp_path):
    written = write_recording("sensorium2023")
    written.zip(tmp_path / f"{written.path.name}.zip")
    (recording,) = open_recordings(tmp_path).values()
    assert recording.source == written.path


def test_mouse_is_found_in_a_zip_of_another_name(write_recording, tmp_path):
    written = write_recording("sensorium2023")
    (tmp_path / "zips").mkdir()
    written.zip(tmp_path / "zips" / "download.zip", inside=f"{written.path.name}/")
    assert list(open_recordings(tmp_path / "zips", mice=["29156-11-10"])) == ["29156-11-10"]


def test_two_recordings_of_one_mouse_are_refused(write_recording, tmp_path):
    write_recording("sensorium2023")
    write_recording("sensorium2023", name="dynamic29156-11-10-Again")
    with pytest.raises(RecordingError, match="both of mouse 29156-11-10"):
        open_recordings(tmp_path)


def test_mouse_that_is_not_there_is_refused_with_those_that_are(write_recording, tmp_path):
    write_recording("sensorium2023")
    with pytest.raises(RecordingError, match="no mouse 'X'; its mice are 29156-11-10"):
        open_recordings(tmp_path, mice=["X"])


def test_path_without_recording_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="there is no"):
        open_recording(tmp_path / "missing")
    with pytest.raises(RecordingError, match="not a recording"):
        open_recording(tmp_path)
    with pytest.raises(RecordingError, match="holds no recording"):
        open_recordings(tmp_path)


def test_recording_with_images_and_videos_is_refused(write_recording):
    written = write_recording("rochefort")
    (written.path / "data/images").mkdir()
    np.save(written.path / "data/images/0.npy", np.zeros((1, 36, 64)))
    with pytest.raises(RecordingError, match="both images and videos"):
        open_recording(written.path)


def test_trial_that_is_not_there_is_refused(write_recording):
    recording = open_recording(write_recording("sensorium2023").path)
    with pytest.raises(RecordingError, match="has no trial 99"):
        recording.read(99)
    with pytest.raises(RecordingError, match="tier 'none'"):
        recording.read(10)
