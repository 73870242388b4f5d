"""Published run folders: read as they were written, or refused in one sentence."""

import datetime

import numpy as np
import pytest
import torch
import yaml
from run_folders import OPTIONS, write_run

from insilico.errors import CheckpointError
from insilico.models.importers.run_folder import is_run_folder, read_run_folder, release
from insilico.models.weights import file_sha256

RELEASES = tuple(OPTIONS)


def change(path, **options):
    args = yaml.safe_load((path / "args.yaml").read_text())
    (path / "args.yaml").write_text(yaml.safe_dump(args | options))
    return path


def assert_one_sentence(message):
    assert "\n" not in message
    assert ". " not in message.replace("… ", "")


@pytest.mark.parametrize("kind", RELEASES)
def test_run_folder_of_every_release_is_read_and_recognized(tmp_path, kind):
    run = read_run_folder(write_run(tmp_path / "run", kind))
    assert release(run) == kind
    assert run.mice == ("A", "L")
    assert run.info == {"epoch": 12, "best_correlation": 0.25}
    assert run.state["readouts.A.bias"].shape == (6,)
    assert run.weights_path.parent == tmp_path / "run" / "ckpt"
    assert run.weights_sha256 == file_sha256(run.weights_path)


def test_published_run_folders_are_read(shared_data):
    run = read_run_folder(shared_data / "viv1t" / "small_published_format")
    assert release(run) == "closed_loop"
    assert run.mice == ("A", "L")
    assert run.option("adam_eps", float) == 1e-8
    np.testing.assert_array_equal(run.neuron_index("L"), np.arange(25))
    run = read_run_folder(shared_data / "v1t" / "small_published_format")
    assert release(run) == "v1t"
    assert run.mice == ("A", "C")
    assert run.info["epoch"] == 3


def test_numbers_as_names_of_mice_become_texts(tmp_path):
    path = write_run(tmp_path / "run", "v1t", mice={2: 3, 3: 4})
    run = read_run_folder(path)
    assert run.mice == ("2", "3")
    assert run.args["mouse_ids"] == ["2", "3"]
    assert run.args["output_shapes"]["2"] == [3, 300]


def test_mice_come_from_mouse_ids_where_shapes_are_not_written(tmp_path):
    path = write_run(tmp_path / "run", mice={"2": 3}, output_shapes=None, mouse_ids=[2])
    assert read_run_folder(path).mice == ("2",)
    with pytest.raises(CheckpointError, match=r"the mice 5 and .* of 2;"):
        read_run_folder(change(path, mouse_ids=[5]))


def test_missing_info_is_not_made_up(tmp_path):
    path = write_run(tmp_path / "run")
    (path / "ckpt" / "info.yaml").write_text("epoch: null\nbest_corr: text\n")
    assert read_run_folder(path).info == {}
    (path / "ckpt" / "info.yaml").unlink()
    assert read_run_folder(path).info == {}


def test_compiled_weights_have_their_plain_names(tmp_path):
    state = {"readouts.A.bias": torch.zeros(6), "core._orig_mod.norm._orig_mod.bias": torch.ones(2)}
    run = read_run_folder(write_run(tmp_path / "run", mice={"A": 6}, state=state))
    assert list(run.state) == ["readouts.A.bias", "core.norm.bias"]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("1e-05", float, 1e-5),
        (3, float, 3.0),
        (3, int, 3),
        (3.0, int, 3),
        ("7", int, 7),
        (True, bool, True),
        (1, bool, True),
        (0, bool, False),
        ("vivit", str, "vivit"),
        ([1, 2], list, [1, 2]),
        ({"a": 1}, dict, {"a": 1}),
        (None, float, None),
    ],
)
def test_options_are_of_the_kind_that_is_asked_for(tmp_path, value, kind, expected):
    run = read_run_folder(write_run(tmp_path / "run", option=value))
    found = run.option("option", kind, default=None)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "arrived"),
    [
        ("two", int, "'two'"),
        (2.5, int, "2.5"),
        (True, int, "True"),
        (True, float, "True"),
        (2, bool, "2"),
        (3, str, "3"),
        (False, str, "False"),
        ("A", list, "'A'"),
        ([1, [2], 3], dict, "a list of 3"),
        (None, float, "null"),
        (datetime.date(2024, 1, 2), str, "datetime.date"),
        (10**400, float, "1000000"),
    ],
)
def test_option_of_another_kind_is_refused(tmp_path, value, kind, arrived):
    run = read_run_folder(write_run(tmp_path / "run", option=value))
    with pytest.raises(CheckpointError, match=f"option: {arrived}.*of type {kind.__name__}") as no:
        run.option("option", kind)
    assert "args.yaml" in str(no.value)


def test_missing_option_is_refused_unless_it_has_a_default(tmp_path):
    run = read_run_folder(write_run(tmp_path / "run"))
    assert run.option("nothing", int, default=4) == 4
    assert run.option("nothing", int, default=None) is None
    with pytest.raises(
        CheckpointError, match=r"args\.yaml has no option 'nothing', a value .* int"
    ):
        run.option("nothing", int)


def test_index_of_neurons_is_what_the_run_says(tmp_path):
    path = write_run(tmp_path / "run", neuron_idx={"A": [1, 4, 9], "L": "all"})
    run = read_run_folder(path)
    assert run.neuron_index("A").tolist() == [1, 4, 9]
    assert run.neuron_index("B") is None
    with pytest.raises(CheckpointError, match="neuron_idx: 'all' for mouse L"):
        run.neuron_index("L")
    assert read_run_folder(change(path, neuron_idx=None)).neuron_index("A") is None


def test_run_folder_is_told_from_other_folders(tmp_path):
    path = write_run(tmp_path / "run")
    assert is_run_folder(path)
    (path / "args.yaml").unlink()
    assert is_run_folder(path)
    assert not is_run_folder(tmp_path)
    assert not is_run_folder(path / "ckpt" / "model.pt")


def test_options_that_contradict_the_weights_are_refused(tmp_path):
    for kind, other in (("closed_loop", "v1t"), ("v1t", "first_release"), ("v1t", "closed_loop")):
        path = write_run(tmp_path / f"{kind} as {other}", kind)
        args = OPTIONS[other] | {"mouse_ids": ["A", "L"]}
        (path / "args.yaml").write_text(yaml.safe_dump(args))
        with pytest.raises(CheckpointError, match=f"has options of {other} and .* is of {kind};"):
            release(read_run_folder(path))
    (path / "args.yaml").write_text("mouse_ids: [A, L]\n")
    with pytest.raises(CheckpointError, match="options of no known release"):
        release(read_run_folder(path))


def no_folder(path):
    return path / "other"


def no_options(path):
    (path / "args.yaml").unlink()
    return path


def folder_of_runs(path):
    return path.parent


def file_instead(path):
    return path / "args.yaml"


def no_weights(path):
    (path / "ckpt" / "model.pt").unlink()
    return path


def two_weights(path):
    (path / "ckpt" / "model_state.pt").write_bytes(b"")
    return path


def other_mice(path):
    return change(path, output_shapes={"A": [6, 300], "B": [4, 300]})


def cut_off(path):
    weights = path / "ckpt" / "model.pt"
    weights.write_bytes(weights.read_bytes()[:500])
    return path


def pointer(path):
    (path / "ckpt" / "model.pt").write_text("version https://git-lfs.github.com/spec/v1\n")
    return path


def web_page(path):
    (path / "ckpt" / "model.pt").write_text("<!doctype html><title>404</title>")
    return path


def empty(path):
    (path / "ckpt" / "model.pt").write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_folder, r"run folder .*other does not exist"),
        (no_options, r"has no args\.yaml, which holds the options .*; get the whole run folder"),
        (folder_of_runs, r"holds 1 run folders \(run\); give one of them"),
        (file_instead, r"args\.yaml is a file, a run folder was expected"),
        (no_weights, r"neither ckpt/model\.pt nor ckpt/model_state\.pt"),
        (two_weights, r"both model\.pt and model_state\.pt"),
        (other_mice, r"args\.yaml is of the mice A, B and .*model\.pt of A, L;"),
        (cut_off, "is cut off"),
        (pointer, "Git LFS pointer"),
        (web_page, "a web page"),
        (empty, "it is empty"),
    ],
)
def test_incomplete_run_folder_is_refused(tmp_path, spoil, message):
    path = spoil(write_run(tmp_path / "run"))
    with pytest.raises(CheckpointError, match=message) as refusal:
        read_run_folder(path)
    assert_one_sentence(str(refusal.value).replace(str(tmp_path), ""))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds null, options by name were expected"),
        (b"- 1\n- 2\n", r"holds \[1, 2\]"),
        (b"<html>\n<p>404</p></html>", "holds '<html>"),
        (b"a: [", "is damaged: it is no YAML"),
        (b"a: \x00", "is damaged"),
        (b"\xff\xfe\xff", "is damaged"),
        (b"a: 2023-13-45", "is damaged"),
        (b"[" * 5000, "is damaged"),
        (b"1: 2", "no options of a run by name"),
        (b"version: https://git-lfs.github.com/spec/v1\nsize: 3", "no options of a run by name"),
        (
            b"a: !!python/object/apply:os.getcwd []",
            "no plain value .*python/object/apply:os.getcwd",
        ),
        (b"a: !!python/name:os.getcwd ''", "no plain value"),
        (b"a: !mine 3", "no plain value .*!mine"),
    ],
)
def test_damaged_options_are_refused(tmp_path, content, message):
    path = write_run(tmp_path / "run")
    (path / "args.yaml").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as refusal:
        read_run_folder(path)
    assert_one_sentence(str(refusal.value).replace(str(tmp_path), ""))


def test_weights_without_mice_or_with_unsafe_ones_are_refused(tmp_path):
    state = {"output_module.weight": torch.zeros(1)}
    path = write_run(tmp_path / "ensemble", state=state)
    with pytest.raises(CheckpointError, match=r"no readout of a mouse .*'output_module\.weight'"):
        read_run_folder(path)
    path = write_run(tmp_path / "unsafe", mice={"../A": 3})
    with pytest.raises(CheckpointError, match="no readout of a mouse"):
        read_run_folder(path)
    path = write_run(tmp_path / "path", mice={"a/b": 3})
    with pytest.raises(CheckpointError, match="mouse 'a/b', which cannot name a file"):
        read_run_folder(path)


def nested(text="x", levels=9):
    """Return a list that YAML writes in a few lines and that holds 9 ** levels texts."""
    value = [text] * 9
    for _ in range(levels - 1):
        value = [value] * 9
    return value


@pytest.mark.parametrize(
    ("options", "ask", "arrived"),
    [
        ({"output_shapes": {"A": 6, "L": [4, 300]}}, "neuron_counts", "output_shapes: 6 for mouse"),
        ({"output_shapes": {"A": [], "L": [4, 300]}}, "neuron_counts", r"output_shapes: \[\]"),
        ({"output_shapes": {"A": [0], "L": [4]}}, "neuron_counts", r"output_shapes: \[0\]"),
        ({"input_shapes": {"video": [36, 64]}}, "movie_shape", r"video: \[36, 64\], channels"),
        ({"input_shapes": {"video": nested()}}, "movie_shape", "video: a list of 9"),
        ({"input_shape": [1, 36]}, "image_shape", r"input_shape: \[1, 36\]"),
        ({"input_shape": [1, 36, -64]}, "image_shape", r"input_shape: \[1, 36, -64\]"),
    ],
)
def test_shapes_that_are_none_are_refused(tmp_path, options, ask, arrived):
    run = read_run_folder(write_run(tmp_path / "run", **options))
    with pytest.raises(CheckpointError, match=arrived) as refusal:
        getattr(run, ask)
    assert_one_sentence(str(refusal.value))


def test_shapes_are_read(tmp_path):
    run = read_run_folder(write_run(tmp_path / "run", input_shape=[2, 144, 256]))
    assert run.neuron_counts == {"A": 6, "L": 4}
    assert run.movie_shape == (1, 300, 36, 64)
    assert run.image_shape == (2, 144, 256)


@pytest.mark.parametrize("value", [0, -1, 1.5, None])
def test_counts_that_are_not_positive_are_refused(tmp_path, value):
    run = read_run_folder(write_run(tmp_path / "run", width=value))
    with pytest.raises(CheckpointError, match="width: "):
        run.count("width")


def test_lists_that_unfold_without_end_are_not_written_out(tmp_path):
    path = write_run(tmp_path / "run", version=nested(), mouse_ids=["A", "L", nested()])
    assert read_run_folder(path).mice == ("A", "L")


def test_numbers_of_info_that_are_not_finite_are_left_out(tmp_path):
    path = write_run(tmp_path / "run")
    (path / "ckpt" / "info.yaml").write_text("epoch: .inf\nbest_corr: .nan\n")
    assert read_run_folder(path).info == {}


@pytest.mark.parametrize(
    "value",
    [
        torch.eye(6).to_sparse(),
        torch.zeros(6, device="meta"),
        torch.zeros(1).expand(10**6, 10**6),
    ],
    ids=["sparse", "without numbers", "expanded"],
)
def test_tensors_without_numbers_on_disk_are_refused(tmp_path, value):
    path = write_run(tmp_path / "run", mice={"A": 6}, state={"readouts.A.bias": value})
    with pytest.raises(CheckpointError, match=r"'readouts\.A\.bias' as no plain array") as refusal:
        read_run_folder(path)
    assert_one_sentence(str(refusal.value).replace(str(path), ""))
