"""'insilico train': recordings and a recipe in; a twin, a log and a figure out."""

import dataclasses
import json

import pandas as pd
import pytest
from safetensors.numpy import load_file

import insilico as package
from insilico.cli import train as cli
from insilico.models.architectures.sensorium2022 import Sensorium2022Options
from insilico.training.loop import Training
from insilico.training.recipe import TrainingOptions

pytestmark = pytest.mark.usefixtures("rough_figures")


@pytest.fixture(scope="module")
def options(recordings, small_recipe, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return ["train", small_recipe, "--data", recordings, "--cache", cache, "--device", "cpu"]


@pytest.fixture(scope="module")
def run(insilico, options, tmp_path_factory):
    """A finished run on the first mouse, and what the command printed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    done = insilico(*options, "--out", out, "--mouse", "mouse-1", "--set", "epochs=2")
    assert done.returncode == 0, done.stderr
    size, pace = done.stderr.splitlines()[:2]
    assert size.startswith("small: ")
    assert " 1 mouse with 10 neurons, 240 training trials, 30 steps an epoch, on cpu" in size
    assert " s a step, about " in pace
    return out, done.stdout


def test_a_run_leaves_a_twin_its_recipe_its_log_and_its_figure(run, recordings):
    out, text = run
    assert {path.name for path in out.iterdir()} == {
        "run.json", "recipe.toml", "state.pt", "log.csv", "log.jsonl", "checkpoint", "figures",
    }  # fmt: skip
    log = pd.read_csv(out / "log.csv")
    assert list(log["epoch"]) == [1, 2]
    assert (out / "figures/training.png").stat().st_size > 5_000
    twin = package.load(out, device="cpu")
    assert (twin.kind, twin.mice) == ("image", ("mouse-1",))
    best = log["validation_correlation"].max()
    assert f"validation correlation {best:.3f} after epoch" in text
    assert f"insilico evaluate {out} --data {recordings} --out {out} --mouse mouse-1" in text
    record = json.loads((out / "run.json").read_text())
    assert record["recipe"]["training"]["epochs"] == 2
    assert "--mouse mouse-1" in record["command"]


def test_evaluate_takes_the_run_folder(insilico, run, recordings, options, tmp_path):
    out, _ = run
    cache = options[options.index("--cache") + 1]
    where = ["--mouse", "mouse-1", "--cache", cache, "--out", tmp_path / "evaluation"]
    done = insilico("evaluate", out, "--data", recordings, *where)
    assert done.returncode == 0, done.stderr
    assert "single trial" in done.stdout


def test_another_mouse_trains_on_the_frozen_core(insilico, run, options, tmp_path):
    core, out = run[0], tmp_path / "day-1"
    other = ["--mouse", "mouse-2", "--core", core, "--freeze", "core", "--set", "epochs=1"]
    done = insilico(*options, "--out", out, *other)
    assert done.returncode == 0, done.stderr
    trained, new = (load_file(folder / "checkpoint/model.safetensors") for folder in (core, out))
    same = [name for name in trained if name.startswith("core.")]
    assert same
    assert all((trained[name] == new[name]).all() for name in same)
    assert package.load(out, device="cpu").mice == ("mouse-2",)


def test_explain_tells_every_key_that_counts_with_its_value_and_meaning(insilico, small_recipe):
    done = insilico("train", small_recipe, "--explain", "--set", "learning_rate=0.25")
    assert done.returncode == 0, done.stderr
    table, last = done.stdout.split("Left out, since the readout gaussian and the modulator none ")
    for kind in (TrainingOptions, Sensorium2022Options):
        for field in dataclasses.fields(kind):
            assert (f".{field.name} " in table) != (f"{field.name}," in last.replace(".", ","))
    assert ".initial_sigma " in table
    assert "pool_kernel," in last
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("training.learning_rate "))
    assert line.split()[1] == "0.25"
    assert "Of readouts, shifters, and the core" in line


def test_explain_shows_all_keys_where_no_network_can_be_built(insilico, small_recipe):
    done = insilico("train", small_recipe, "--explain", "--set", "readout=attention")
    assert done.returncode == 0, done.stderr
    for field in dataclasses.fields(Sensorium2022Options):
        assert f"options.{field.name} " in done.stdout
    assert "no network can be built: the attention readout cannot move with" in done.stdout


def test_explain_fits_the_terminal(monkeypatch, insilico, small_recipe):
    monkeypatch.setattr(cli, "terminal_width", lambda: 80)
    lines = insilico("train", small_recipe, "--explain").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "Too narrow for: takes." in lines


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["--set", "learning_rat=1"], "the recipe has no key 'learning_rat'; did you mean 'learn"),
        (["--set", "learning_rate=fast"], "learning_rate is 'fast'"),
        (["--set", "loss=possion"], "did you mean 'poisson'"),
        (["--set", "hidden_channels=0"], "a core needs at least one layer, one channel"),
        (["--set", "learning_rate"], "key=value"),
        (["--freeze", "core"], "--freeze core needs a trained core; name it with --core"),
        (["--mouse", "mouse-9"], "mouse-9"),
        (["--set", "learning_rate=nan"], "learning_rate is nan; give a finite number"),
        (["--core", "simulated-v1-image"], "has never seen a recording and has no weights"),
        (["--core", "nowhere"], "no model and no folder 'nowhere'"),
        (["--set", "behavior_names=['heart_rate']"], "heart_rate"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_no_folder(refused, options, tmp_path, extra, expected):
    assert expected in refused(*options, "--out", tmp_path / "run", *extra)
    assert not (tmp_path / "run").exists()


def test_a_recipe_needs_recordings_and_a_folder(refused, small_recipe, tmp_path):
    assert "--data is missing" in refused("train", small_recipe, "--out", tmp_path / "run")
    assert "--out is missing" in refused("train", small_recipe, "--data", tmp_path)
    assert "no 'nothing' among the models" in refused("train", "nothing")


def test_a_core_of_another_shape_is_refused(refused, run, options, tmp_path):
    changed = ["--core", run[0], "--set", "hidden_channels=6"]
    sentence = refused(*options, "--out", tmp_path / "run", *changed)
    assert "the core of small has other options than the recipe, hidden_channels 8 " in sentence
    assert sentence.endswith(" or add --set hidden_channels=8")


def test_a_stopped_run_says_whether_an_epoch_is_kept(refused, options, tmp_path, monkeypatch):
    original, out = Training.train_epoch, tmp_path / "run"
    last_epoch = 0

    def stop_after_it(run, **on_step):
        if run.epoch == last_epoch:
            raise KeyboardInterrupt
        return original(run, **on_step)

    monkeypatch.setattr(Training, "train_epoch", stop_after_it)
    sentence = refused(*options, "--out", out)
    assert "stopped before the first epoch ended, so nothing of it is kept" in sentence
    assert "with --resume starts anew" in sentence
    last_epoch = 1
    sentence = refused(*options, "--out", out, "--resume")
    assert "stopped; finished epochs are kept" in sentence
    assert "with --resume continues" in sentence


def test_a_run_is_not_continued_with_another_recipe_or_without_resume(refused, run, options):
    same = [*options, "--out", run[0], "--mouse", "mouse-1"]
    assert "add --resume" in refused(*same, "--set", "epochs=2")
    changed = refused(*same, "--resume", "--set", "epochs=2", "--set", "seed=1")
    assert "its recipe.training.seed is 0, now 1" in changed
