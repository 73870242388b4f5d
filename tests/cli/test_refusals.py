"""A user's mistake is one sentence on stderr and exit code 2, and leaves nothing behind."""

import numpy as np
import pytest
import torch


@pytest.fixture
def npy(tmp_path):
    def save(array, name="stimuli.npy"):
        np.save(tmp_path / name, array)
        return tmp_path / name

    return save


def respond(refused, stimuli, tmp_path, *options, model="simulated-v1-image"):
    sentence = refused("respond", model, stimuli, "--out", tmp_path / "out.npy", *options)
    assert not (tmp_path / "out.npy").exists()
    return sentence


def test_missing_stimulus_file(refused, tmp_path):
    assert "there is no file" in respond(refused, tmp_path / "none.npy", tmp_path)


def test_stimulus_file_that_is_cut_off(refused, npy, tmp_path):
    path = npy(np.zeros((3, 36, 64)))
    path.write_bytes(path.read_bytes()[:200])
    assert "not a whole .npy file" in respond(refused, path, tmp_path)


def test_stimulus_file_that_would_need_pickle(refused, tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "not a whole .npy file" in respond(refused, tmp_path / "objects.npy", tmp_path)


@pytest.mark.parametrize(
    ("stimuli", "expected"),
    [
        (np.zeros((2, 30, 36, 64)), "movie"),
        (np.zeros((2, 36, 65)), "36 x 64"),
        (np.full((2, 36, 64), np.nan), "NaN"),
        (np.zeros((2, 36, 64), int), "dtype int64"),
    ],
)
def test_wrong_stimulus(refused, npy, tmp_path, stimuli, expected):
    assert expected in respond(refused, npy(stimuli), tmp_path)


def test_image_given_to_a_movie_model(refused, npy, tmp_path):
    stimuli = npy(np.zeros((2, 36, 64)))
    assert "image" in respond(refused, stimuli, tmp_path, model="simulated-v1-movie")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--mouse", "Z"], "no mouse 'Z'; it has simulated"),
        (["--neurons", "0:201"], "the mouse has neurons 0 to 199"),
        (["--neurons", "five"], "'five' was not understood"),
        (["--behavior", "missing.npy"], "there is no file missing.npy"),
    ],
)
def test_wrong_choice(refused, npy, tmp_path, options, expected):
    assert expected in respond(refused, npy(np.zeros((2, 36, 64))), tmp_path, *options)


def test_unknown_model(refused, tmp_path):
    sentence = refused("run", "direction", "--model", "sensorium", "--out", tmp_path / "run")
    assert "there is no model and no folder 'sensorium'" in sentence
    assert "sensorium2022-cnn" in sentence
    assert not (tmp_path / "run").exists()


def test_folder_that_is_no_checkpoint(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    arguments = ["run", "direction", "--model", tmp_path / "folder", "--out", tmp_path / "run"]
    assert "model.toml" in refused(*arguments)


def test_output_folder_with_other_files(refused, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    arguments = ["run", "direction", "--model", "simulated-v1-image", "--out", tmp_path]
    assert "no run of insilico" in refused(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_device_that_is_not_there(refused, tmp_path):
    arguments = ["run", "direction", "--model", "simulated-v1-image", "--out", tmp_path / "run"]
    assert "the device 'gpu' cannot be used" in refused(*arguments, "--device", "gpu")
    assert not (tmp_path / "run").exists()


def test_option_that_does_not_exist(refused):
    assert "--nope" in refused("run", "direction", "--nope", "1")


def test_unknown_experiment(refused, tmp_path):
    arguments = ["run", "retina", "--model", "simulated-v1-image", "--out", tmp_path / "run"]
    assert "no experiment 'retina'" in refused(*arguments)


def test_protocol_of_another_experiment(refused, tmp_path):
    arguments = ["run", "retinotopy", "--model", "simulated-v1-image", "--out", tmp_path / "run"]
    assert "is for direction" in refused(*arguments, "--protocol", "direction-published")


def test_missing_protocol(refused, tmp_path):
    arguments = ["run", "direction", "--model", "simulated-v1-image", "--out", tmp_path / "run"]
    assert "cannot be read" in refused(*arguments, "--protocol", "mine.toml")


def test_weights_that_are_missing_foreign_or_dangerous(refused, tmp_path):
    touched = tmp_path / "touched"

    class Danger:
        def __reduce__(self):
            return (open, (str(touched), "w"))

    torch.save({"core": Danger()}, tmp_path / "dangerous.pth")
    (tmp_path / "foreign.pth").write_bytes(b"not weights at all")
    for name in ("missing.pth", "foreign.pth", "dangerous.pth"):
        sentence = refused("models", "import", tmp_path / name, "--out", tmp_path / "out")
        assert name in sentence
    assert not touched.exists()
    assert not (tmp_path / "out").exists()


def test_state_dict_with_a_missing_key(refused, shared_data, tmp_path):
    path = shared_data / "sensorium2022" / "sensorium_ln_model.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    del state["readout.26872-17-20.sigma"]
    torch.save(state, tmp_path / "cut.pth")
    sentence = refused("models", "import", tmp_path / "cut.pth", "--out", tmp_path / "out")
    assert "readout.26872-17-20.sigma" in sentence
