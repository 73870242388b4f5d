"""Published weight files: recognized and imported completely, or refused by name."""

import collections
import datetime
import zipfile

import numpy as np
import published_format as published
import pytest
import torch

from insilico.errors import CatalogError, CheckpointError
from insilico.models.importers import import_weights
from insilico.models.importers.sensorium2022 import input_means
from insilico.screen import SCREENS

MOUSE = published.PLUS_MOUSE


@pytest.fixture
def save(tmp_path):
    def write(content, name="weights.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return write


def ordered(state):
    return collections.OrderedDict(state)


@pytest.mark.parametrize(
    ("layers", "channels", "entry"),
    [
        (4, 1, "sensorium2022-cnn"),
        (3, 1, "sensorium2022-ln"),
        (4, 4, "sensorium2022plus-cnn"),
        (3, 4, "sensorium2022plus-ln"),
    ],
)
def test_every_published_variant_is_recognized_by_its_keys(save, layers, channels, entry):
    state = published.synthetic_state(layers=layers, channels=channels)
    checkpoint = import_weights(save(ordered(state), "my-network.pth"))
    assert checkpoint.origin["zoo_entry"] == entry
    assert checkpoint.name == "my-network"
    assert "not the published one" in checkpoint.origin["recognized_by"]
    assert checkpoint.options.layers == layers
    assert checkpoint.options.is_linear == (layers == 3)
    assert checkpoint.network.uses_pupil == (channels == 4)
    assert not checkpoint.network.training
    for name, value in checkpoint.network.state_dict().items():
        assert torch.equal(value, state[name])


def test_published_files_are_recognized_by_their_hash(shared_data):
    folder = shared_data / "sensorium2022"
    for name, file in published.PUBLISHED_FILES.items():
        checkpoint = import_weights(folder / file)
        assert checkpoint.name == f"sensorium2022-{name}"
        assert checkpoint.origin["license"] == "MIT"
        assert checkpoint.network.neuron_counts == {"26872-17-20": 7776}


def test_named_entry_overrides_recognition(save):
    state = published.synthetic_state(layers=4, channels=1)
    path = save(ordered(state))
    assert import_weights(path, name="sensorium2022-cnn").name == "sensorium2022-cnn"
    with pytest.raises(CheckpointError, match="layer3"):
        import_weights(path, name="sensorium2022-ln")
    with pytest.raises(CatalogError, match="did you mean 'sensorium2022-cnn'"):
        import_weights(path, name="sensorium2022-cn")


def test_mouse_knows_what_the_file_knows_and_what_is_assumed(save):
    state = published.synthetic_state(layers=4)
    mouse = import_weights(save(ordered(state))).mice[MOUSE]
    grid = state[f"readout.{MOUSE}.source_grid"].double().numpy()
    np.testing.assert_array_equal(mouse.neurons[["cortex_x", "cortex_y"]].to_numpy(), grid)
    assert mouse.screen == SCREENS["sensorium"]
    assert mouse.statistics.stimulus_mean == 113.52469635
    assert mouse.statistics.stimulus_std == 64.55815125
    assert mouse.statistics.response_std is None
    assert mouse.statistics.behavior_std is None
    assert not mouse.statistics.is_measured("stimulus")
    assert all(source.startswith("assumed") for source in mouse.statistics.sources.values())


def test_mean_behavior_is_solved_from_batch_normalization(save):
    state = published.synthetic_state(layers=3)
    planted = torch.tensor([-0.05, 2.15, 0.05, 0.0])
    kernels = state["core.features.layer0.conv.weight"]
    state["core.features.layer0.norm.running_mean"] = kernels.sum(dim=(2, 3)) @ planted
    checkpoint = import_weights(save(ordered(state)))
    np.testing.assert_allclose(input_means(checkpoint.network), planted, atol=1e-6)
    solved = checkpoint.mice[MOUSE].statistics.behavior_mean
    np.testing.assert_allclose(solved, planted[1:], atol=1e-6)


def test_every_single_missing_key_is_named(save):
    state = published.synthetic_state(layers=3)
    for key in state:
        path = save(ordered({name: value for name, value in state.items() if name != key}))
        with pytest.raises(CheckpointError) as refusal:
            import_weights(path)
        assert f"{key} is missing" in str(refusal.value)
        assert "unexpected" not in str(refusal.value)


def test_every_single_misshaped_key_is_named(save):
    state = published.synthetic_state(layers=3)
    for key, value in state.items():
        wrong = torch.cat([value, value]) if value.ndim else value[None]
        with pytest.raises(CheckpointError) as refusal:
            import_weights(save(ordered(state | {key: wrong})))
        found = f"{key} has shape {tuple(wrong.shape)} instead of {tuple(value.shape)}"
        assert found in str(refusal.value)
        assert str(refusal.value).count("has shape") == 1


@pytest.mark.parametrize(
    ("key", "value", "phrase"),
    [
        ("core.features.layer4x.conv.bias", torch.zeros(64), "is unexpected"),
        ("core.features.layer1.ds_conv.spatial_conv.bias", torch.zeros(64), "is unexpected"),
        (f"readout.{MOUSE}.bias", torch.zeros(30, dtype=torch.float64), "torch.float64 instead"),
        (f"readout.{MOUSE}.bias", torch.full((30,), torch.nan), "not finite"),
        (f"readout.{MOUSE}.bias", torch.zeros(31), "(31,) instead of (30,)"),
    ],
)
def test_extra_or_wrong_key_is_named(save, key, value, phrase):
    state = published.synthetic_state(layers=4) | {key: value}
    with pytest.raises(CheckpointError) as refusal:
        import_weights(save(ordered(state)))
    assert key in str(refusal.value)
    assert phrase in str(refusal.value)


def test_many_mismatches_are_counted_not_listed(save):
    state = published.synthetic_state(layers=4)
    kept = {
        name: value for name, value in state.items() if not name.startswith("core.features.layer2")
    }
    with pytest.raises(CheckpointError, match=r"and 3 more$"):
        import_weights(save(ordered(kept)))


def test_weights_of_something_else_are_refused(save):
    with pytest.raises(CheckpointError, match="no known format"):
        import_weights(save(torch.nn.Linear(3, 4).state_dict()))
    with pytest.raises(CheckpointError, match="no known format"):
        import_weights(save({}))


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (torch.zeros(3), "a Tensor"),
        ([torch.zeros(3)], "a list"),
        ({"model": {"weight": torch.zeros(3)}}, "entry 'model' is a dict"),
        ({3: torch.zeros(3)}, "entry 3 is a Tensor"),
    ],
)
def test_what_is_no_state_dict_is_refused(save, content, phrase):
    with pytest.raises(CheckpointError, match=phrase):
        import_weights(save(content))


class TouchesFile:
    """What a malicious file would hold: unpickling it calls a function of its choice."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_code_in_a_file_is_never_run(save, tmp_path):
    trap = tmp_path / "trap"
    path = save({"weight": torch.zeros(3), "trap": TouchesFile(trap)})
    with pytest.raises(CheckpointError, match="pickled objects"):
        import_weights(path)
    assert not trap.exists()


def test_live_objects_are_refused(save):
    with pytest.raises(CheckpointError, match="pickled objects"):
        import_weights(save({"made": datetime.date(2022, 6, 1)}))
    with pytest.raises(CheckpointError, match="pickled objects"):
        import_weights(save(torch.nn.Linear(3, 4)))


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        import_weights(tmp_path / "nothing.pth")
    with pytest.raises(CheckpointError, match=r"has no args\.yaml, .* get the whole run folder"):
        import_weights(tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x80\x04N."])
def test_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cut off or no PyTorch weight file"):
        import_weights(path)


def test_other_zip_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="no PyTorch weight file"):
        import_weights(tmp_path / "weights.pth")


def test_truncated_and_damaged_files_are_refused(save):
    path = save(ordered(published.synthetic_state(layers=3)))
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="cut off"):
        import_weights(path)
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="is damaged in its part"):
        import_weights(path)
