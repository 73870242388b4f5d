"""Checkpoint folders: whole, intact, or refused by name."""

import dataclasses
import errno
import shutil
import tomllib

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import tomli_w
import torch

from insilico.errors import CatalogError, CheckpointError
from insilico.models import checkpoint as checkpoint_module
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.screen import SCREENS

SMALL = {"hidden_channels": 2, "layers": 2, "height_px": 12, "width_px": 14}


def small_checkpoint(mouse="26872-17-20", neurons=3):
    options = registry.parse_options("sensorium2022", SMALL)
    network = registry.build("sensorium2022", options, {mouse: neurons}).eval()
    statistics = Statistics(
        stimulus_mean=113.5,
        stimulus_std=1 / 3,
        response_std=np.arange(1.0, 1 + neurons) / 7,
        behavior_mean=np.array([2.1, 0.05, 0.1]),
        sources={"stimulus": "assumed: for a test", "response": "measured"},
    )
    table = neurons_table(neurons, x_um=np.linspace(-1, 1, neurons), area=["V1"] * neurons)
    mice = {mouse: Mouse(mouse, SCREENS["rochefort"], table, statistics)}
    origin = {"file": "made-up.pth", "license": "MIT"}
    return Checkpoint("small", "sensorium2022", options, network, mice, origin)


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(small_checkpoint(), tmp_path / "small")
    return tmp_path / "small"


def edit_model(folder, **values):
    path = folder / "model.toml"
    path.write_text(tomli_w.dumps(tomllib.loads(path.read_text()) | values))


def test_everything_that_is_known_comes_back(tmp_path):
    saved = small_checkpoint()
    save_checkpoint(saved, tmp_path / "deep" / "small")
    loaded = load_checkpoint(tmp_path / "deep" / "small")
    for name in ("name", "architecture", "options", "origin", "weights_sha256"):
        assert getattr(loaded, name) == getattr(saved, name)
    (before,), (after,) = saved.mice.values(), loaded.mice.values()
    assert after.screen == before.screen
    assert after.name == before.name
    pd.testing.assert_frame_equal(after.neurons, before.neurons)
    for field in dataclasses.fields(Statistics):
        one, other = getattr(before.statistics, field.name), getattr(after.statistics, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(other, one)
        else:
            assert other == one
    for name, value in saved.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value)


def test_only_the_documented_files_are_written(folder):
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    mouse = "mice/26872-17-20"
    assert files == {"model.safetensors", "model.toml", f"{mouse}.toml", f"{mouse}.parquet"}
    assert list(folder.parent.iterdir()) == [folder]


def test_hash_of_the_weights_is_that_of_the_file_and_survives_a_change_of_precision(folder):
    loaded = load_checkpoint(folder)
    before = loaded.weights_sha256
    loaded.network.double()
    assert loaded.weights_sha256 == before
    assert before == tomllib.loads((folder / "model.toml").read_text())["weights_sha256"]


def test_existing_folder_is_never_overwritten(folder):
    before = (folder / "model.toml").read_bytes()
    with pytest.raises(CheckpointError, match="exists already"):
        save_checkpoint(small_checkpoint(neurons=5), folder)
    assert (folder / "model.toml").read_bytes() == before


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def fail(mouse, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "_write_mouse", fail)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_checkpoint(small_checkpoint(), tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_nothing_half_written(tmp_path, monkeypatch):
    def interrupt(mouse, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint_module, "_write_mouse", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(small_checkpoint(), tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(small_checkpoint(), tmp_path / "file" / "small")


def test_mouse_whose_name_is_a_path_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot name a file"):
        save_checkpoint(small_checkpoint(mouse="up/down"), tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_mice_of_another_network_are_refused():
    whole = small_checkpoint()
    with pytest.raises(CheckpointError, match="have neurons"):
        dataclasses.replace(whole, mice={})


def test_missing_folder_and_file_in_its_place_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "nowhere")
    (tmp_path / "weights.pth").write_bytes(b"weights")
    with pytest.raises(CheckpointError, match="insilico models import"):
        load_checkpoint(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["model.toml", "model.safetensors", "mice"])
def test_folder_without_a_part_is_no_checkpoint_and_the_part_is_named(folder, name):
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(CheckpointError, match=f"no checkpoint: it has no {name}"):
        load_checkpoint(folder)


@pytest.mark.parametrize("suffix", ["toml", "parquet"])
def test_missing_mouse_file_is_named(folder, suffix):
    (folder / "mice" / f"26872-17-20.{suffix}").unlink()
    with pytest.raises(CheckpointError, match=rf"26872-17-20\.{suffix} is missing"):
        load_checkpoint(folder)


def test_damaged_parts_are_refused(folder):
    (folder / "mice" / "26872-17-20.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(CheckpointError, match="parquet is missing or damaged"):
        load_checkpoint(folder)
    (folder / "mice" / "26872-17-20.toml").write_text("screen = [")
    with pytest.raises(CheckpointError, match="toml is damaged"):
        load_checkpoint(folder)
    (folder / "model.toml").write_text("name = ")
    with pytest.raises(CheckpointError, match="toml is damaged"):
        load_checkpoint(folder)


def test_mouse_file_with_a_wrong_entry_is_refused(folder):
    path = folder / "mice" / "26872-17-20.toml"
    text = path.read_text()
    path.write_text(text.replace("gray = 127", "grey = 127"))
    with pytest.raises(CheckpointError, match="grey"):
        load_checkpoint(folder)
    path.write_text(text.replace("stimulus_std", "stimulus_spread"))
    with pytest.raises(CheckpointError, match="stimulus_spread"):
        load_checkpoint(folder)


@pytest.mark.parametrize("change", ["cut off", "tampered"])
def test_changed_weights_are_refused(folder, change):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data[:-100] if change == "cut off" else data)
    with pytest.raises(CheckpointError, match="cut off or was changed"):
        load_checkpoint(folder)


def rewrite_weights(folder, state):
    data = state if isinstance(state, bytes) else safetensors.torch.save(state)
    (folder / "model.safetensors").write_bytes(data)
    edit_model(folder, weights_sha256=checkpoint_module._sha256(data))


def test_weights_of_another_network_are_refused_and_every_key_is_named(folder):
    state = safetensors.torch.load((folder / "model.safetensors").read_bytes())
    state["readout.26872-17-20.bias"] = torch.zeros(4)
    state["surplus"] = state.pop("core.features.layer1.norm.bias")
    rewrite_weights(folder, state)
    with pytest.raises(CheckpointError) as refusal:
        load_checkpoint(folder)
    sentence = str(refusal.value)
    assert "core.features.layer1.norm.bias is missing" in sentence
    assert "surplus is unexpected" in sentence
    assert "readout.26872-17-20.bias has shape (4,) instead of (3,)" in sentence


def test_file_that_holds_no_weights_is_refused(folder):
    rewrite_weights(folder, b"no safetensors at all")
    with pytest.raises(CheckpointError, match="holds no weights"):
        load_checkpoint(folder)


def test_foreign_model_file_is_refused(folder):
    edit_model(folder, surprise=1)
    with pytest.raises(CheckpointError, match="surprise"):
        load_checkpoint(folder)
    edit_model(folder, format=99)
    with pytest.raises(CheckpointError, match="format 99"):
        load_checkpoint(folder)


def test_unknown_architecture_is_refused(folder):
    edit_model(folder, architecture="perceptron")
    with pytest.raises(CatalogError, match="perceptron"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("architecture", 3),
        ("weights_sha256", 3),
        ("mice", 3),
        ("mice", [3]),
        ("mice", ["../../elsewhere"]),
        ("options", []),
    ],
)
def test_model_file_with_another_kind_of_value_is_refused(folder, key, value):
    edit_model(folder, **{key: value})
    with pytest.raises(CheckpointError, match=rf"was changed: {key} is not what a checkpoint has"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["model.toml", "model.safetensors"])
def test_folder_in_the_place_of_a_file_is_refused(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(CheckpointError, match=rf"is no checkpoint: it has no {name}"):
        load_checkpoint(folder)
