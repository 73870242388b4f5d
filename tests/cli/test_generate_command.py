"""'insilico generate': a set on disk, refusals in one sentence, runs that stop and go on."""

import datetime
import json
import shutil
import tomllib

import numpy as np
import pandas as pd
import pytest

import insilico as package
from insilico.cli.generate import _seconds
from insilico.cli.selection import tell_idle
from insilico.errors import ProtocolError
from insilico.synthesis.making import Batch
from insilico.synthesis.stimulus_set import StimulusSet, reload_frames

QUICK = ["--set", "steps=12", "--set", "ramp_steps=6"]
IMAGES = ["--model", "simulated-v1-image", "--neurons", "0:3", *QUICK]
MOVIES = ["--model", "simulated-v1-movie", "--neurons", "0:1", *QUICK, "--set", "pattern_s=0.3"]


@pytest.fixture(scope="module")
def natural(tmp_path_factory):
    """Return a folder of natural images."""
    folder = tmp_path_factory.mktemp("natural")
    images = np.random.default_rng(0).integers(0, 256, (20, 36, 64), np.uint8)
    np.save(folder / "images.npy", images)
    return folder


@pytest.fixture(scope="module")
def made(insilico, tmp_path_factory, natural):
    """Return a run folder with images, and what the command said."""
    out = tmp_path_factory.mktemp("run") / "mei"
    return out, insilico("generate", "mei", *IMAGES, "--natural", natural, "--out", out)


def test_a_set_has_stimuli_a_manifest_a_table_previews_and_figures(made):
    out, finished = made
    assert finished.returncode == 0, finished.stderr
    stimuli = StimulusSet.load(out / "mei")
    classes = stimuli.table["stimulus_class"].value_counts().to_dict()
    assert classes == {"exciting": 3, "grating": 3, "natural": 3, "noise": 3, "swap": 3}
    files = {path.name for path in (out / "mei").iterdir()}
    assert {"stimuli.npy", "manifest.json", "table.csv", "previews", "figures", "choice"} <= files
    assert json.loads((out / "run.json").read_text())["experiments"]["mei"]["state"] == "finished"
    assert (out / "mei" / "figures" / "gallery.png").stat().st_size > 10_000
    assert "15 stimuli for 3 targets" in finished.stdout


def test_what_was_saved_gives_the_response_that_was_reported(made):
    stimuli = StimulusSet.load(made[0] / "mei")
    twin = package.load("simulated-v1-image")
    responses = twin.respond(stimuli.frames, neurons="0:3").values
    own = responses[np.arange(len(stimuli)), stimuli.table["neuron"]]
    np.testing.assert_allclose(own, stimuli.table["response"], rtol=1e-5, atol=1e-6)


def test_luminance_and_contrast_of_all_classes_match_within_a_gray_level(made):
    table = StimulusSet.load(made[0] / "mei").table
    assert table["luminance_level"].sub(127).abs().max() < 1
    assert table["rms_level"].sub(10).abs().max() < 1


def test_the_same_command_again_makes_nothing(made, insilico, natural):
    out, _ = made
    before = (out / "mei" / "manifest.json").stat().st_mtime_ns
    again = insilico("generate", "mei", *IMAGES, "--natural", natural, "--out", out)
    assert again.returncode == 0
    assert (out / "mei" / "manifest.json").stat().st_mtime_ns == before


def test_another_protocol_in_the_same_folder_is_refused(made, refused, natural):
    out, _ = made
    options = ["--natural", natural, "--out", out, "--set", "rms_level=20"]
    assert "rms_level differ" in refused("generate", "mei", *IMAGES, *options)


def test_movies_are_lossless_files(insilico, tmp_path):
    ran = insilico("generate", "mev", *MOVIES, "--set", "controls=['noise']", "--out", tmp_path)
    assert ran.returncode == 0, ran.stderr
    stimuli = StimulusSet.load(tmp_path / "mev")
    assert stimuli.frames.shape == (2, 9, 36, 64)
    np.testing.assert_array_equal(reload_frames(tmp_path / "mev"), stimuli.frames)


def test_a_stopped_run_goes_on_and_ends_with_the_same_set(insilico, tmp_path, monkeypatch):
    command = ["generate", "mev", *MOVIES, "--set", "controls=[]"]
    assert insilico(*command, "--out", tmp_path / "whole").returncode == 0
    step, count = Batch._step, iter(range(100))

    def stop_after_some(batch):
        if next(count) == 5:
            raise KeyboardInterrupt
        step(batch)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "_step", stop_after_some)
        stopped = insilico(*command, "--out", tmp_path / "parts")
    assert stopped.returncode == 2
    assert "the same command continues" in stopped.stderr
    assert list((tmp_path / "parts" / "parts" / "mev").glob("*.npz"))
    assert insilico(*command, "--out", tmp_path / "parts").returncode == 0
    whole, parts = (StimulusSet.load(tmp_path / name / "mev") for name in ("whole", "parts"))
    assert whole.ids == parts.ids
    assert not (tmp_path / "parts" / "parts").exists()


def test_discs_get_receptive_fields_that_are_measured_first(insilico, tmp_path):
    options = ["--set", "region=center", "--set", "controls=[]", "--out", tmp_path]
    best = ["--best", 2, "--rule", "least_field_reliability=0.1"]
    ran = insilico("generate", "mei", *IMAGES, *options, *best)
    assert ran.returncode == 0, ran.stderr
    choice = pd.read_parquet(tmp_path / "mei" / "choice" / "neurons.parquet")
    assert choice["is_chosen"].sum() == 2
    rule = tomllib.loads((tmp_path / "mei" / "choice" / "protocol.toml").read_text())
    assert rule["least_field_reliability"] == 0.1
    assert (tmp_path / "retinotopy" / "neurons.parquet").exists()
    table = StimulusSet.load(tmp_path / "mei").table
    assert set(table["region"]) == {"center"}
    assert table["rms_level"].sub(10).abs().max() < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "rms_level=200"], "rms_level is 200"),
        (["--set", "rms_levl=20"], "did you mean 'rms_level'"),
        (["--set", "color=20"], "no key 'color'; experiments/mei.toml lists its keys"),
        (["--minutes", "0"], "--minutes is 0"),
        (["--minutes", "1", "--by", "07:00"], "give one of the two"),
        (["--by", "25:99"], "give a time of day such as 07:00"),
        (["--set", "region=surround", "--set", "surround_center=natural"], "none was given"),
        (["--fields", "nowhere"], "holds no retinotopy"),
        (["--natural", "nowhere"], "nowhere, where natural images or movies were to be, does not"),
        (["--transfer", "simulated-image-cnn"], "mouse"),
    ],
)
def test_mistakes_are_one_sentence(refused, tmp_path, options, message):
    assert message in refused("generate", "mei", *IMAGES, *options, "--out", tmp_path / "run")


def test_one_group_against_another_is_a_stimulus_of_their_difference(insilico, tmp_path):
    options = ["--against", "5,6", "--set", "controls=[]", "--out", tmp_path]
    ran = insilico("generate", "mei", *IMAGES, *options)
    assert ran.returncode == 0, ran.stderr
    stimuli = StimulusSet.load(tmp_path / "mei")
    assert stimuli.table["target"].tolist() == ["3 neurons against 2"]
    responses = package.load("simulated-v1-image").respond(stimuli.frames, neurons="0:7").values
    difference = responses[:, :3].mean(1) - responses[:, 5:7].mean(1)
    np.testing.assert_allclose(difference, stimuli.table["response"], rtol=1e-4, atol=1e-5)


def test_a_population_is_weighted_as_a_file_says(insilico, tmp_path):
    weights = tmp_path / "weights.csv"
    weights.write_text("neuron, weight, note\n1,0.5,a\n0,2,b\n2,-1,c\n40,9,another\n")
    options = ["--population", "--weights", weights, "--set", "controls=[]"]
    ran = insilico("generate", "mei", *IMAGES, *options, "--out", tmp_path / "run")
    assert ran.returncode == 0, ran.stderr
    stimuli = StimulusSet.load(tmp_path / "run" / "mei")
    responses = package.load("simulated-v1-image").respond(stimuli.frames, neurons="0:3").values
    weighted = responses @ np.array([2, 0.5, -1])
    np.testing.assert_allclose(weighted, stimuli.table["response"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--neurons", "0:3", "--against", "5", "--best", "2"], "--against and --best were both"),
        (["--neurons", "0:3", "--against", "5", "--population"], "--against and --population"),
        (["--against", "5"], "--against was given without --neurons"),
        (["--neurons", "0:3", "--against", "2,5"], "neuron 2 is in both --neurons and --against"),
        (["--neurons", "0:3", "--against", "5000"], "names a neuron that does not exist"),
        (["--neurons", "0:3", "--weights", "weights.csv"], "--weights was given without"),
        (["--best", "0"], "--best is 0; give 1 or more"),
        (["--rule", "least_coverage"], "--rule 'least_coverage' was not understood; write key="),
        (
            ["--rule", "least_covrage=1"],
            "no such threshold; did you mean 'least_coverage'? its keys are least_coverage, least_",
        ),
        (["--rule", "on_bad_fit=flag"], "--rule on_bad_fit: there is no such threshold"),
        (["--rule", "least_coverage=much"], "--rule's least_coverage is 'much'; give a number"),
        (["--rule", "least_coverage=-1"], "least_coverage is -1.0; give a number from 0 to 1"),
    ],
)
def test_groups_that_make_no_sense_are_refused(refused, tmp_path, options, message):
    command = ["generate", "mei", "--model", "simulated-v1-image", *options]
    assert message in refused(*command, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_damaged_set_is_made_again_once_its_folder_is_deleted_as_told(
    insilico, refused, tmp_path
):
    command = ["generate", "mei", *IMAGES, "--set", "controls=[]", "--out", tmp_path]
    assert insilico(*command).returncode == 0
    (tmp_path / "mei" / "traces.npy").write_bytes(b"damaged")
    assert f"delete the folder {tmp_path / 'mei'} and generate the set again" in refused(*command)
    shutil.rmtree(tmp_path / "mei")
    assert insilico(*command).returncode == 0
    assert len(StimulusSet.load(tmp_path / "mei")) == 3


def test_what_is_wrong_with_neurons_is_told_before_natural_images_are_read(insilico, tmp_path):
    command = ["generate", "mei", "--model", "simulated-image-cnn", "--mouse", "mouse-1"]
    command += ["--natural", "nowhere"]
    unknown = insilico(*command, "--neurons", "5000", "--out", tmp_path / "run")
    assert "names a neuron that does not exist" in unknown.stderr
    assert "validation correlation" in unknown.stderr
    assert "errors below" not in unknown.stderr
    many = insilico(*command, "--neurons", "0:3", "--best", 5, "--out", tmp_path / "run")
    assert "--best is 5, and only 3 neurons come into question" in many.stderr
    assert "nowhere" in many.stderr


def test_lines_tell_how_far_it_is_where_nobody_watches(insilico, tmp_path, monkeypatch):
    monkeypatch.setattr("insilico.progress.LINE_EVERY_S", 0.0)
    ran = insilico("generate", "mei", *IMAGES, "--set", "controls=[]", "--out", tmp_path)
    assert ran.returncode == 0, ran.stderr
    lines = [line for line in ran.stderr.splitlines() if " of 12 (" in line]
    assert lines[0] == "making stimuli (full): 1 of 12 (8%) after 0 min"
    assert 5 <= len(lines) <= 10


def test_thresholds_that_nothing_asks_for_are_told(capsys):
    recorded, field = "least_trial_reliability=0", "least_coverage=0.5"
    tell_idle([recorded, field], best=None, recording=None, region="full")
    told = capsys.readouterr().err
    assert "--rule least_trial_reliability changes nothing here" in told
    assert "--rule least_coverage changes nothing here" in told
    tell_idle([field], best=None, recording=None, region="center")
    tell_idle([field], best=3, recording=None, region="full")
    tell_idle([recorded], best=3, recording="folder", region="full")
    assert not capsys.readouterr().err
    # Trials rank in place of receptive fields.
    tell_idle([field], best=3, recording="folder", region="full")
    assert "--rule least_coverage changes nothing here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "weights.csv cannot be read (No such file or directory)"),
        ("", "cannot be read (No columns to parse"),
        ("neuron,share\n0,1\n", "have no column weight; give a CSV file with the columns"),
        ("neuron,weight\n0,1,2\n", "more values than its header has names"),
        ("neuron,weight\n0,1\n1,nan\n2,1\n", "the weight of neuron 1 in"),
        ("neuron,weight\n0,1\n1,inf\n2,1\n", "is inf; give a finite number"),
        ("neuron,weight\n0,1\n1,much\n2,1\n", "is much; give a finite number"),
        ("neuron,weight\n0,1\n1.5,1\n2,1\n", "a weight for neuron 1.5, which does not exist"),
        ("neuron,weight\n0,1\n-1,1\n2,1\n", "a weight for neuron -1, which does not exist"),
        ("neuron,weight\n0,1\n1,1\n1,2\n", "has two weights for neuron 1"),
        ("neuron,weight\n0,1\n2,1\n", "the population has no weight for neuron 1"),
        ("neuron,weight\n0,0\n1,0\n2,0\n", "gives no neuron a weight other than 0"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(refused, tmp_path, content, message):
    path = tmp_path / "weights.csv"
    if content is not None:
        path.write_text(content)
    options = ["--population", "--weights", path, "--out", tmp_path / "run"]
    assert message in refused("generate", "mei", *IMAGES, *options)


def test_movies_of_a_model_of_images_are_refused(refused, tmp_path):
    assert "a model of images" in refused("generate", "mev", *IMAGES, "--out", tmp_path / "run")


def test_time_until_a_time_of_day_is_less_than_a_day():
    soon = datetime.datetime.now().astimezone() + datetime.timedelta(minutes=90)
    assert _seconds(None, soon.strftime("%H:%M")) == pytest.approx(90 * 60, abs=61)
    past = datetime.datetime.now().astimezone() - datetime.timedelta(minutes=90)
    assert _seconds(None, past.strftime("%H:%M")) == pytest.approx(22.5 * 3600, abs=61)
    assert _seconds(1.5, None) == 90
    with pytest.raises(ProtocolError, match="give one of the two"):
        _seconds(1.0, "07:00")
