"""'insilico evaluate' on recordings of simulated mice, with a network that learned nothing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from insilico.errors import CatalogError, CheckpointError
from insilico.models import registry
from insilico.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from insilico.recordings import cache_recordings, open_recordings
from insilico.results import Result
from insilico.simulation import SimulationOptions, write_recordings
from insilico.training.data import MouseData
from insilico.twin.loading import find_checkpoint

pytestmark = pytest.mark.usefixtures("rough_figures")

OPTIONS = SimulationOptions(
    kind="image",
    mice=2,
    neurons=6,
    train_trials=30,
    validation_stimuli=10,
    test_stimuli=8,
    repeats=3,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with recordings, their cache, and a training run whose weights are random."""
    place = tmp_path_factory.mktemp("evaluate")
    write_recordings(place / "data", options=OPTIONS)
    opened = open_recordings(place / "data")
    cached = cache_recordings(opened, folder=place / "cache" / "recordings")
    height, width = next(iter(opened.values())).screen.shape
    options = registry.parse_options(
        "sensorium2022",
        {"hidden_channels": 2, "layers": 2, "height_px": height, "width_px": width},
    )
    network = registry.build("sensorium2022", options, dict.fromkeys(opened, OPTIONS.neurons))
    mice = {
        name: MouseData(
            recording, behavior_names=network.behavior_names, uses_pupil=network.uses_pupil
        ).mouse
        for name, recording in cached.items()
    }
    checkpoint = Checkpoint("random", "sensorium2022", options, network.eval(), mice)
    save_checkpoint(checkpoint, place / "run" / "checkpoint")
    return place


@pytest.fixture(scope="module")
def evaluated(place, insilico):
    out = place / "run"
    done = insilico(
        "evaluate", out, "--data", place / "data", "--out", out, "--predictions",
        "--cache", place / "cache", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_training_run_is_evaluated_in_its_own_folder(evaluated, place):
    out, text = evaluated
    result = Result.load(out / "evaluation")
    mice = sorted(set(result.neurons["mouse"]))
    assert mice == sorted(open_recordings(place / "data"))
    assert {"validation", "test"} <= set(result.neurons["tier"])
    checkpoint = load_checkpoint(out / "checkpoint")
    assert result.provenance["weights"]["weights_sha256"] == checkpoint.weights_sha256
    assert "evaluate" in result.provenance["command"]
    figures = {path.name for path in (out / "evaluation" / "figures").iterdir()}
    assert figures == {"performance.png", "performance.pdf"}
    assert (out / "predictions.h5").is_file()
    for name in (*mice, "all mice", "single trial", "of oracle", "FEVE"):
        assert name in text


def test_table_shows_the_means_of_the_summary(evaluated):
    out, text = evaluated
    summary = Result.load(out / "evaluation").tables["summary"]
    row = summary[(summary["mouse"] == "all mice") & (summary["tier"] == "test")]
    mean = row.loc[row["metric"] == "oracle", "mean"].iloc[0]
    (line,) = [one for one in text.splitlines() if one.startswith("all mice") and " test " in one]
    assert f"{mean:.3g}" in line.split()


def test_evaluation_again_replaces_the_result_and_keeps_to_what_was_asked(
    evaluated, place, insilico
):
    mouse = next(iter(open_recordings(place / "data")))
    done = insilico(
        "evaluate", place / "run" / "checkpoint", "--data", place / "data", "--mouse", mouse,
        "--tier", "test", "--out", place / "other", "--cache", place / "cache",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    neurons = Result.load(place / "other" / "evaluation").neurons
    assert set(neurons["mouse"]) == {mouse}
    assert set(neurons["tier"]) == {"test"}
    assert "all mice" not in done.stdout
    assert not (place / "other" / "predictions.h5").exists()
    whole = Result.load(place / "run" / "evaluation").neurons
    same = whole[(whole["mouse"] == mouse) & (whole["tier"] == "test")]
    np.testing.assert_allclose(neurons["correlation"], same["correlation"], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--mouse", "Z"], "has no mouse 'Z'"),
        (["--tier", "oracle"], "no recording has trials of the tier 'oracle'"),
    ],
)
def test_what_the_recordings_lack_is_one_sentence_and_leaves_nothing(
    evaluated, place, refused, options, expected
):
    arguments = ["evaluate", place / "run", "--data", place / "data", "--out", place / "none"]
    assert expected in refused(*arguments, "--cache", place / "cache", *options)
    assert not (place / "none").exists()


def test_mouse_that_the_model_does_not_have_is_refused_before_it_is_decoded(
    place, refused, tmp_path
):
    first = next(iter(open_recordings(place / "data").values())).source
    shutil.copytree(first, tmp_path / "data" / "stranger")
    arguments = ["evaluate", place / "run", "--data", tmp_path / "data", "--out", tmp_path / "out"]
    sentence = refused(*arguments, "--cache", tmp_path / "cache")
    assert "is of mouse stranger, and random has mouse-1, mouse-2" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("model", "error", "expected"),
    [
        ("nobody", CatalogError, "there is no model and no folder 'nobody'; the models are"),
        ("simulated-v1-image", CatalogError, "has never seen a recording"),
        ("some/where", CheckpointError, "the checkpoint folder some/where does not exist"),
    ],
)
def test_model_that_is_none_is_refused(model, error, expected):
    with pytest.raises(error, match=expected):
        load_checkpoint(find_checkpoint(model))


def test_name_of_a_model_and_of_a_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "sensorium2022-cnn").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CatalogError, match=r"write \./sensorium2022-cnn for the folder"):
        find_checkpoint("sensorium2022-cnn")
