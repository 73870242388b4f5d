import dataclasses
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from insilico.errors import NotFittedError, RunFolderError, ShapeError
from insilico.results import Responses, Result


def neurons(count=3):
    return pd.DataFrame({"mouse": "m", "neuron": 2 * np.arange(count), "kind": "neuron"})


@pytest.fixture
def result():
    table = neurons().assign(
        status=["ok", "silent", "ok"], x_deg=[1.5, np.nan, -3.0], is_on_screen=[True, False, True]
    )
    arrays = xr.Dataset(
        {"map": (("neuron", "y_px"), np.arange(6, dtype=np.float32).reshape(3, 2))},
        coords={"neuron": [0, 2, 4], "y_px": [0, 1]},
        attrs={"width_cm": 56.5, "gray": 127},
    )
    arrays["map"].attrs["units"] = "correlation"
    return Result(
        experiment="retinotopy",
        tables={"neurons": table, "conditions": pd.DataFrame({"trial": [0, 1]})},
        arrays=arrays,
        protocol={"seed": 3, "source": "Müller 2020, 40°", "bank_frequency_cpd": [0.03, 0.06]},
        provenance={"model": "m", "weights": {"sha256": "ab"}, "experiment": "mine"},
    )


def test_result_survives_saving_and_loading(result, tmp_path):
    loaded = Result.load(result.save(tmp_path / "run" / "retinotopy"))
    assert loaded.experiment == "retinotopy"
    assert list(loaded.tables) == ["neurons", "conditions"]
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(loaded.tables[name], table)
    xr.testing.assert_identical(loaded.arrays, result.arrays)
    assert loaded.arrays["map"].dtype == np.float32
    assert loaded.protocol == result.protocol
    assert {**loaded.provenance, "experiment": "mine"} == result.provenance


def test_saving_again_replaces_the_result(result, tmp_path):
    result.save(tmp_path / "r")
    Result("direction", {"neurons": neurons(1)}, xr.Dataset(), {}, {}).save(tmp_path / "r")
    loaded = Result.load(tmp_path / "r")
    assert loaded.experiment == "direction"
    assert list(loaded.tables) == ["neurons"]


def test_saved_result_loads_without_torch(result, tmp_path):
    folder = result.save(tmp_path / "r")
    program = (
        "import sys; from insilico.results import Result; "
        f"Result.load({str(folder)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_folder_with_other_content_is_not_replaced(result, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="holds no result, so it is not replaced"):
        result.save(tmp_path)
    with pytest.raises(RunFolderError, match="holds no result, so it is not replaced"):
        result.save(tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_full_disk_is_one_sentence_and_leaves_the_old_result(result, tmp_path, monkeypatch):
    result.save(tmp_path / "r")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(RunFolderError, match=r"retinotopy .* No space left on device; free space"):
        result.save(tmp_path / "r")
    with pytest.raises(RunFolderError, match="No space left"):
        result.save(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert Result.load(tmp_path / "r").experiment == "retinotopy"


def test_place_that_cannot_be_written_is_one_sentence(result, tmp_path, monkeypatch):
    def read_only(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", read_only)
    with pytest.raises(RunFolderError, match="Permission denied; free space or choose another"):
        result.save(tmp_path / "r")


def test_result_under_a_file_is_one_sentence(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="could not be written"):
        result.save(tmp_path / "file" / "r")


@pytest.mark.parametrize(
    "name",
    ["provenance.json", "protocol.toml", "arrays.nc", "neurons.parquet", "conditions.parquet"],
)
def test_missing_file_is_named(result, tmp_path, name):
    folder = result.save(tmp_path / "r")
    (folder / name).unlink()
    with pytest.raises(RunFolderError, match=f"not a complete result folder .*{name}"):
        Result.load(folder)


@pytest.mark.parametrize("content", [b"", b"\x00\xff not what it was", b"[]", b'{"format": "x"}'])
@pytest.mark.parametrize("name", ["provenance.json", "arrays.nc", "neurons.parquet"])
def test_damaged_file_is_one_sentence(result, tmp_path, name, content):
    folder = result.save(tmp_path / "r")
    (folder / name).write_bytes(content)
    with pytest.raises(RunFolderError, match=r"damaged file .*; run the experiment again"):
        Result.load(folder)


def test_damaged_protocol_is_one_sentence(result, tmp_path):
    folder = result.save(tmp_path / "r")
    (folder / "protocol.toml").write_text("seed = ")
    with pytest.raises(RunFolderError, match="damaged file"):
        Result.load(folder)


def test_truncated_file_is_one_sentence(result, tmp_path):
    folder = result.save(tmp_path / "r")
    for name in ("arrays.nc", "neurons.parquet"):
        path = folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RunFolderError, match="damaged file"):
            Result.load(folder)
        path.write_bytes(whole)


def test_result_of_a_newer_package_is_refused(result, tmp_path):
    folder = result.save(tmp_path / "r")
    record = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(RunFolderError, match="newer insilico; update"):
        Result.load(folder)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="not a complete result folder"):
        Result.load(tmp_path / "nowhere")


def test_row_is_found_by_the_index_in_the_mouse(result):
    assert result.row(4) == 2
    with pytest.raises(NotFittedError, match="retinotopy result holds 3 neurons, but not neuron 1"):
        result.row(1)


AXES = {
    ("trial", "neuron"): (5, 3),
    ("trial", "neuron", "frame"): (5, 3, 7),
    ("member", "trial", "neuron"): (2, 5, 3),
    ("member", "trial", "neuron", "frame"): (2, 5, 3, 7),
}


@pytest.mark.parametrize("axes", AXES)
def test_responses_accept_every_documented_order_of_axes(axes):
    responses = Responses(np.zeros(AXES[axes]), neurons(), axes=axes)
    assert responses.kind == ("movie" if axes[-1] == "frame" else "image")


@pytest.mark.parametrize("axes", AXES)
def test_responses_of_other_neurons_than_in_the_table_are_refused(axes):
    shape = [4 if name == "neuron" else size for name, size in zip(axes, AXES[axes], strict=True)]
    with pytest.raises(ShapeError, match="hold 4 neurons, and the neurons table 3"):
        Responses(np.zeros(shape), neurons(), axes=axes)


def test_responses_with_an_unnamed_axis_are_refused():
    with pytest.raises(ShapeError, match="name one axis for each number"):
        Responses(np.zeros((5, 3, 7)), neurons())


def test_digest_survives_saving_and_tells_contents_apart(result, tmp_path):
    mixed = result.neurons.assign(note=["a", None, "b"], number=pd.array([1, None, 2], "Int64"))
    # Tables that were put together from parts have numbers in columns of objects.
    mixed = mixed.assign(r2=pd.Series([0.5, None, 1], dtype=object), lost=None)
    result = dataclasses.replace(result, tables={**result.tables, "neurons": mixed})
    assert Result.load(result.save(tmp_path / "r")).digest == result.digest
    moved = {**result.tables, "neurons": mixed.assign(x_deg=[1.5, np.nan, -3.1])}
    others = [
        dataclasses.replace(result, tables=moved),
        dataclasses.replace(result, tables={"neurons": mixed}),
        dataclasses.replace(result, protocol={**result.protocol, "seed": 4}),
    ]
    assert len({result.digest, *(other.digest for other in others)}) == 4
    assert dataclasses.replace(result, provenance={"seconds": 3}).digest == result.digest
