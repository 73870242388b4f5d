"""Still against moving: a figure from the two commands that share a run folder."""

import json
import shutil

import pytest

from insilico.cli.motion import save_motion
from insilico.synthesis.stimulus_set import StimulusSet

MODEL = ["--model", "simulated-v1-movie", "--neurons", "0:2"]
QUICK = ["steps=4", "ramp_steps=2", "lead_s=0.1", "controls=[]"]


def generate(insilico, what, out, *changes):
    options = [part for change in (*QUICK, *changes) for part in ("--set", change)]
    done = insilico("generate", what, *MODEL, *options, "--out", out)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def both(insilico, tmp_path_factory, rough_figures):
    """Return a run folder with still and then longer moving stimuli."""
    out = tmp_path_factory.mktemp("motion") / "run"
    generate(insilico, "mei", out, "pattern_s=0.2")
    assert not (out / "mei" / "figures" / "motion.png").exists()
    generate(insilico, "mev", out, "pattern_s=0.3")
    return out


@pytest.fixture
def run(both, tmp_path):
    """Return a copy of that run folder, without its figures."""
    copy = tmp_path / "run"
    shutil.copytree(both, copy, ignore=shutil.ignore_patterns("figures"))
    return copy


def test_the_second_of_both_kinds_gets_the_figure(both):
    assert (both / "mev" / "figures" / "motion.png").stat().st_size > 1000
    assert not (both / "mei" / "figures" / "motion.png").exists()


def test_the_first_gets_it_when_its_command_is_given_again(insilico, run):
    generate(insilico, "mei", run, "pattern_s=0.2")
    assert (run / "mei" / "figures" / "motion.png").exists()


def test_a_set_under_way_is_not_drawn(run, capsys):
    record = json.loads((run / "run.json").read_text())
    record["experiments"]["mei"]["state"] = "running"
    (run / "run.json").write_text(json.dumps(record))
    save_motion(StimulusSet.load(run / "mev"), run)
    assert not (run / "mev" / "figures").exists()
    assert capsys.readouterr().err == ""


def test_stimuli_of_other_contrast_are_not_drawn_and_it_is_said(insilico, run):
    shutil.rmtree(run / "mev")
    done = generate(insilico, "mev", run, "pattern_s=0.3", "rms_level=5")
    assert "differ in rms_level" in done.stderr
    assert not (run / "mev" / "figures" / "motion.png").exists()


def test_a_damaged_set_beside_it_keeps_nothing_from_the_new_one(insilico, run):
    (run / "mei" / "stimuli.npy").write_bytes(b"nothing")
    done = generate(insilico, "mev", run, "pattern_s=0.3")
    assert "no figure of still against moving stimuli: " in done.stderr
    assert "2 stimuli for 2 targets" in done.stdout
