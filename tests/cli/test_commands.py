"""Every command does what its help says, on simulated neurons and on imported weights."""

import json
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import insilico as package
from insilico.cli.run import _overrides_by_experiment
from insilico.cli.tables import format_table
from insilico.errors import ProtocolError
from insilico.experiments import find_experiment

FEW = ["--set", "image_count=400", "--set", "orientation_count=8"]


@pytest.fixture(scope="module")
def small_run(insilico, tmp_path_factory):
    """A run folder of a few simulated neurons, and what the command printed."""
    out = tmp_path_factory.mktemp("run") / "run"
    command = ["run", "retinotopy", "direction", "--model", "simulated-v1-image", "--out", out]
    done = insilico(*command, "--neurons", "0:6", "--jobs", 1, *FEW)
    assert done.returncode == 0, done.stderr
    return out, done.stdout, command


def test_help_lists_every_command(insilico):
    text = insilico("--help").stdout
    for command in ("demo", "models", "respond", "run", "validate"):
        assert command in text


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from insilico.cli.app import app; app('--help', exit_on_error=False)\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'scipy', 'lmfit', 'xarray'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    code = code.replace("app('--help', exit_on_error=False)", "app.help_print()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stdout


def test_run_saves_tables_arrays_protocol_provenance_and_figures(small_run):
    out, text, _ = small_run
    for experiment in ("retinotopy", "direction"):
        names = {path.name for path in (out / experiment).iterdir()}
        assert names == {
            "neurons.parquet", "arrays.nc", "protocol.toml", "provenance.json", "figures",
        }  # fmt: skip
        figures = {path.name for path in (out / experiment / "figures").iterdir()}
        assert figures == {"gallery.png", "gallery.pdf", "population.png", "population.pdf"}
        assert f"{experiment}: 6 neurons" in text
    assert list(pd.read_parquet(out / "direction" / "neurons.parquet")["neuron"]) == list(range(6))
    record = json.loads((out / "run.json").read_text())
    assert {entry["state"] for entry in record["experiments"].values()} == {"finished"}
    assert "simulated-v1-image" in record["command"]


def test_the_same_command_again_changes_nothing(insilico, small_run):
    out, _, command = small_run
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    done = insilico(*command, "--neurons", "0:6", "--jobs", 1, *FEW)
    assert done.returncode == 0
    assert "finished already" in done.stderr
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert after == before


def test_other_neurons_in_the_same_folder_are_refused(refused, small_run):
    _, _, command = small_run
    sentence = refused(*command, "--neurons", "0:7", *FEW)
    assert "holds another run" in sentence
    assert "neuron_count" in sentence


def test_respond_writes_what_the_twin_answers(insilico, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 36, 64), np.uint8)
    np.save(tmp_path / "images.npy", images)
    done = insilico(
        "respond", "simulated-v1-image", tmp_path / "images.npy", "--out", tmp_path / "r.npy",
        "--neurons", "3,1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = package.load("simulated-v1-image").respond(images, neurons=[3, 1]).values
    np.testing.assert_array_equal(np.load(tmp_path / "r.npy"), expected)
    assert "(3, 2), recorded units" in done.stdout


def test_models_list_and_show_name_the_published_models(insilico):
    listed = insilico("models", "list").stdout
    for name in ("sensorium2022-cnn", "sensorium2022plus-ln", "7,776", "7,538", "mouse V1", "MIT"):
        assert name in listed
    assert "assumed" in insilico("models", "show", "sensorium2022-cnn").stdout


def test_published_weights_import_and_run(insilico, shared_data, tmp_path, monkeypatch):
    monkeypatch.setattr("insilico.cli.saving.save_figures", lambda result, folder: None)
    weights = shared_data / "sensorium2022" / "sensorium_sota_model.pth"
    done = insilico("models", "import", weights, "--out", tmp_path / "cnn")
    assert done.returncode == 0, done.stderr
    assert "576,376 parameters" in done.stdout
    assert "7,776 neurons" in done.stdout
    assert "assumed" in done.stdout
    run = insilico(
        "run", "direction", "--model", tmp_path / "cnn", "--out", tmp_path / "run",
        "--neurons", "0:20",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "assumed" in run.stderr
    provenance = json.loads((tmp_path / "run" / "direction" / "provenance.json").read_text())
    assert provenance["stimulus_statistics"]["source"].startswith("assumed")


#: The command line in a process that waits after its first noise images, to be stopped there.
WAITING = """
import time
from insilico.cli import main, saving
from insilico.experiments import run_folder, runner
save_state = run_folder.Parts.save_state
def save_state_and_wait(parts, *state):
    is_first = not (parts.folder / "state.npz").exists()
    save_state(parts, *state)
    if is_first and parts.folder.name == "retinotopy":
        print("measuring", flush=True)
        time.sleep(120)
run_folder.Parts.save_state = save_state_and_wait
runner.SAVE_EVERY_S = 0
saving.save_figures = lambda result, folder: None
main()
"""


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_continues(
    insilico, tmp_path, monkeypatch
):
    monkeypatch.setattr("insilico.cli.saving.save_figures", lambda result, folder: None)
    out = tmp_path / "run"
    command = ["run", "direction", "retinotopy", "--model", "simulated-v1-image", "--out", out]
    command += ["--neurons", "0:4", "--jobs", "1", "--set", "image_count=2000"]
    errors = start_and_stop(command)
    assert "Traceback" not in errors
    assert "the same command continues" in errors
    assert (out / "direction" / "neurons.parquet").exists()
    with np.load(out / "parts" / "retinotopy" / "state.npz") as stored:
        assert 0 < stored["__progress__"][0] < 2000
    done = insilico(*command)
    assert done.returncode == 0, done.stderr
    assert "direction is finished already" in done.stderr
    assert (out / "retinotopy" / "neurons.parquet").exists()
    assert not (out / "parts").exists()


def start_and_stop(command):
    """Start a run, press Ctrl-C once it has measured a part of it, and return what it says."""
    code = [sys.executable, "-c", WAITING, *map(str, command)]
    with subprocess.Popen(
        code, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        lines = iter(process.stdout.readline, "")
        assert any(line == "measuring\n" for line in lines), process.stderr.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    return errors


def test_overrides_go_to_the_experiments_that_have_the_key():
    questions = [find_experiment(name) for name in ("retinotopy", "direction")]
    chosen = _overrides_by_experiment(questions, ["image_count=5", "seed=7", "contrast=0.5"])
    assert chosen == {
        "retinotopy": {"image_count": 5, "seed": 7},
        "direction": {"seed": 7, "contrast": 0.5},
    }
    with pytest.raises(ProtocolError, match=r"counts: no protocol has that key; .* lists"):
        _overrides_by_experiment(questions, ["counts=5"])


def test_tables_align_and_keep_numbers_readable():
    text = format_table(["name", "value"], [("a", 1234567), ("long name", 5)])
    assert text.splitlines() == [
        "name           value",
        "--------------------",
        "a          1,234,567",
        "long name          5",
    ]
