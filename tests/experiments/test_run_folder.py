import json
import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from insilico.errors import RunFolderError
from insilico.experiments.run_folder import Parts, RunFolder, fingerprint, has_finished
from insilico.results import Result

IDENTITY = {"model": "m", "mouse": "a", "weights": {"sha256": "ab"}}
PROTOCOL = {"experiment": "size", "seed": 1, "sizes_deg": [10.0, 20.0]}


def result(value=1.0):
    table = pd.DataFrame({"neuron": [0, 1], "status": "ok", "size_deg": [value, 2.0]})
    return Result("size", {"neurons": table}, xr.Dataset(), PROTOCOL, {"model": "m"})


def start(path, identity=IDENTITY):
    return RunFolder.open(path, identity, command="insilico run size")


def test_finished_experiment_is_found_again(tmp_path):
    folder = start(tmp_path / "run")
    assert folder.finished("size", PROTOCOL) is None
    folder.parts("size", PROTOCOL)
    assert start(tmp_path / "run").finished("size", PROTOCOL) is None
    folder.finish(result(7.0))
    found = start(tmp_path / "run").finished("size", PROTOCOL)
    assert found.neurons["size_deg"].tolist() == [7.0, 2.0]


def test_what_is_under_way_is_not_finished(tmp_path):
    folder = start(tmp_path)
    assert not has_finished(tmp_path, "size")
    folder.parts("size", PROTOCOL)
    assert not has_finished(tmp_path, "size")
    folder.finish(result())
    assert has_finished(tmp_path, "size")


def test_record_says_what_was_asked(tmp_path):
    start(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["identity"] == IDENTITY
    assert record["command"] == "insilico run size"


def test_finishing_clears_the_parts_of_this_experiment_only(tmp_path):
    folder = start(tmp_path / "run")
    for name in ("size", "onset"):
        folder.parts(name, PROTOCOL).save_state({"sum": np.zeros(2)}, 3, is_finished=False)
    folder.finish(result())
    assert not (tmp_path / "run" / "parts" / "size").exists()
    assert (tmp_path / "run" / "parts" / "onset" / "state.npz").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mouse": "b"}, "holds another run: its mouse differ"),
        ({"mouse": "b", "model": "n"}, "its model and mouse differ; give a new folder to --out"),
        ({"neurons": [1]}, "its neurons differ"),
    ],
)
def test_another_run_is_refused_and_what_differs_is_named(tmp_path, change, message):
    start(tmp_path / "run")
    with pytest.raises(RunFolderError, match=message):
        start(tmp_path / "run", {**IDENTITY, **change})


def test_another_protocol_is_refused_and_what_differs_is_named(tmp_path):
    folder = start(tmp_path / "run")
    parts = folder.parts("size", PROTOCOL)
    # Nothing kept yet: a corrected protocol may take its place.
    folder.parts("size", {**PROTOCOL, "seed": 7})
    folder.parts("size", PROTOCOL)
    parts.save_state({"sum": np.zeros(3)}, 1, is_finished=False)
    other = {**PROTOCOL, "seed": 2, "goal": 0.5}
    for ask in (folder.parts, folder.finished):
        with pytest.raises(RunFolderError, match="size with another protocol: goal, seed differ"):
            ask("size", other)


def test_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="holds files that are no run of insilico"):
        start(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_empty_folder_and_hidden_files_are_accepted(tmp_path):
    (tmp_path / ".DS_Store").write_text("")
    start(tmp_path)
    assert (tmp_path / "run.json").exists()


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written"):
        start(tmp_path / "run")


def test_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def read_only(descriptor):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "fsync", read_only)
    with pytest.raises(RunFolderError, match=r"cannot be written \(Read-only file system\)"):
        start(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "{}"])
def test_damaged_record_is_refused(tmp_path, content):
    start(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"run.json is damaged; give a new folder"):
        start(tmp_path / "run")


def test_state_comes_back_bit_by_bit(tmp_path):
    random = np.random.default_rng(0)
    state = {
        "sum": random.standard_normal((2, 3)),
        "product": random.standard_normal(4).astype(np.float32),
        "empty": np.zeros(0),
    }
    Parts(tmp_path).save_state(state, 12, is_finished=True)
    restored, trial_count, is_finished = Parts(tmp_path).load_state()
    assert (trial_count, is_finished) == (12, True)
    assert set(restored) == set(state)
    for name, values in state.items():
        assert restored[name].dtype == values.dtype
        np.testing.assert_array_equal(restored[name], values)


def test_later_state_replaces_the_earlier_one_whole(tmp_path):
    Parts(tmp_path).save_state({"sum": np.zeros(2)}, 1, is_finished=False)
    Parts(tmp_path).save_state({"sum": np.ones(2)}, 2, is_finished=False)
    assert Parts(tmp_path).load_state()[1] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


# numpy leaves a truncated archive open when it gives up on it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", ["truncated", "garbage", "foreign"])
def test_damaged_state_is_refused(tmp_path, damage):
    Parts(tmp_path).save_state({"sum": np.arange(1000.0)}, 1, is_finished=False)
    path = tmp_path / "state.npz"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "garbage":
        path.write_bytes(b"not what it was")
    else:
        np.savez(path, sum=np.zeros(3))
    with pytest.raises(RunFolderError, match=r"is damaged .*; delete it to measure from the start"):
        Parts(tmp_path).load_state()


def test_table_that_was_finished_is_not_computed_again(tmp_path):
    table = pd.DataFrame({"status": ["ok", "silent"], "x_px": [1.0, np.nan]})
    pd.testing.assert_frame_equal(Parts(tmp_path).keep("fits", lambda: table), table)
    pd.testing.assert_frame_equal(Parts(tmp_path).keep("fits", pytest.fail), table)


def test_nothing_is_kept_where_there_is_no_folder():
    parts = Parts(None)
    parts.save_state({"sum": np.zeros(2)}, 1, is_finished=False)
    assert parts.load_state() is None
    assert parts.keep("fits", lambda: "computed") == "computed"


def test_fingerprint_follows_the_content_and_not_the_order():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


@pytest.mark.parametrize("is_finished", [True, False])
def test_what_was_built_on_another_result_is_refused_and_that_one_is_named(tmp_path, is_finished):
    folder = start(tmp_path / "run")
    given = {"retinotopy": "ab", "direction": "cd"}
    parts = folder.parts("size", PROTOCOL, given)
    kept = "run/parts/size"
    if is_finished:
        folder.finish(result())
        kept = "run/size"
    else:
        parts.save_state({"sum": np.zeros(3)}, 1, is_finished=False)
    again = start(tmp_path / "run")
    assert (again.finished("size", PROTOCOL, given) is not None) == is_finished
    for ask in (again.finished, again.parts):
        with pytest.raises(
            RunFolderError, match=f"{kept} builds on retinotopy as .* delete .*{kept}"
        ):
            ask("size", PROTOCOL, {**given, "retinotopy": "xy"})
        with pytest.raises(RunFolderError, match="builds on direction and retinotopy as it was"):
            ask("size", PROTOCOL)
