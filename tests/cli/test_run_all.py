"""'insilico run all': dependency order, what is skipped and why, and the page of a run."""

import contextlib
import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import pytest

from insilico.cli.gallery import page
from insilico.cli.run import _overrides_by_experiment, _questions, run
from insilico.errors import (
    CatalogError,
    ProtocolError,
    RecordingError,
    StimulusError,
    UnitsError,
)
from insilico.experiments import EXPERIMENTS, find_experiment, read_protocol
from insilico.experiments.battery import plan_battery
from insilico.experiments.recorded import unanswered
from insilico.recordings import open_recording
from insilico.simulation import SimulationOptions, write_recordings

#: Values with which the whole battery of an image twin takes seconds.
QUICK = [
    f"{name}.{key}={json.dumps(value)}"
    for name in EXPERIMENTS
    for key, value in find_experiment(name).quick.items()
]


@dataclasses.dataclass(frozen=True)
class Question:
    """As much of an experiment as a battery asks for."""

    name: str
    needs: tuple = ()
    kinds: tuple = ("image", "movie")

    def requires(self, protocol, kind):
        return self.needs


def plan(*questions, kind="movie", **options):
    return plan_battery(questions, {q.name: None for q in questions}, kind, **options)


class Page(HTMLParser):
    """Tags of a page, and whether each that must be closed is."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.pictures = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        if tag == "img":
            self.pictures.append(values["src"])
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def save_nothing_much(figure, folder, name):
    """Write files where figures belong; that each is drawn is for other tests."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "pdf"):
        (folder / f"{name}.{suffix}").write_bytes(b"a figure")


@pytest.fixture(scope="module")
def battery(tmp_path_factory):
    """A run of everything on three neurons of an image twin, what it printed, and it once more."""
    out = tmp_path_factory.mktemp("all") / "run"
    told, warned = io.StringIO(), io.StringIO()

    def again():
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(told),
            contextlib.redirect_stderr(warned),
        ):
            patch.setattr("insilico.cli.saving.save_figure", save_nothing_much)
            run(["all"], model="simulated-v1-image", neurons="0:3", out=out, set_=QUICK, jobs=1)

    again()
    return out, told.getvalue(), warned.getvalue(), again


def test_experiments_come_after_those_they_build_on():
    first, second, third = Question("c", ("b",)), Question("b", ("a",)), Question("a")
    battery = plan(first, second, third)
    assert [question.name for question in battery.experiments] == ["a", "b", "c"]
    assert battery.skipped == {}


def test_independent_experiments_keep_their_order():
    names = [q.name for q in plan(*map(Question, "zax")).experiments]
    assert names == ["z", "a", "x"]


def test_what_builds_on_the_unanswerable_is_skipped_with_the_reason():
    stills = Question("stills", kinds=("image",))
    chain = (Question("last", ("next",)), Question("next", ("stills",)), stills, Question("free"))
    battery = plan(*chain)
    assert [question.name for question in battery.experiments] == ["free"]
    assert battery.skipped == {
        "stills": "it needs images",
        "next": "it builds on stills",
        "last": "it builds on next",
    }


def test_what_was_not_asked_for_may_be_in_the_run_folder():
    assert [q.name for q in plan(Question("size", ("retinotopy",))).experiments] == ["size"]


def test_the_shipped_experiments_have_an_order():
    questions = [find_experiment(name) for name in EXPERIMENTS]
    protocols = {q.name: read_protocol(q.protocol_type, None, experiment=q.name) for q in questions}
    for kind in ("image", "movie"):
        battery = plan_battery(questions, protocols, kind)
        names = [question.name for question in battery.experiments]
        assert set(names) | set(battery.skipped) == set(EXPERIMENTS)
        for question in battery.experiments:
            needed = question.requires(protocols[question.name], kind)
            assert all(names.index(other) < names.index(question.name) for other in needed)


def test_all_stands_for_every_experiment_once():
    assert [q.name for q in _questions(["direction", "all"])] == list(EXPERIMENTS)
    assert [q.name for q in _questions(["size", "direction", "size"])] == ["size", "direction"]


def test_mistyped_names_are_guessed():
    with pytest.raises(CatalogError, match="did you mean 'retinotopy'"):
        _questions(["retinotpy"])
    questions = [find_experiment(name) for name in ("retinotopy", "direction")]
    with pytest.raises(ProtocolError, match="did you mean 'image_count'"):
        _overrides_by_experiment(questions, ["image_cuont=5"])
    with pytest.raises(ProtocolError, match="'directon' is not run; did you mean 'direction'"):
        _overrides_by_experiment(questions, ["directon.seed=5"])
    with pytest.raises(ProtocolError, match="the protocol of direction has no such key"):
        _overrides_by_experiment(questions, ["direction.image_count=5"])


def test_value_for_one_experiment_wins_over_that_for_all():
    questions = [find_experiment(name) for name in ("retinotopy", "direction")]
    chosen = _overrides_by_experiment(questions, ["direction.seed=8", "seed=7"])
    assert chosen == {"retinotopy": {"seed": 7}, "direction": {"seed": 8}}


def test_run_all_answers_what_an_image_twin_can_and_says_what_not(battery):
    out, told, warned, _ = battery
    record = json.loads((out / "run.json").read_text())
    finished = {
        name for name, entry in record["experiments"].items() if entry["state"] == "finished"
    }
    skipped = set(re.findall(r"^skipped (\w+): ", warned, flags=re.MULTILINE))
    assert finished | skipped == set(EXPERIMENTS)
    assert {"retinotopy", "direction", "size", "surround"} <= finished
    assert "skipped onset: it needs movies" in warned
    for name in finished:
        assert f"{name}: 3 neurons" in told


def test_the_page_has_a_section_an_experiment_with_its_pictures(battery):
    out, told, _, _ = battery
    text = (out / "gallery.html").read_text(encoding="utf-8")
    assert str(out / "gallery.html") in told
    parsed = Page(text)
    assert parsed.open == []
    record = json.loads((out / "run.json").read_text())
    assert set(parsed.ids) == set(record["experiments"])
    pictures = sum(len(list((out / name / "figures").glob("*.png"))) for name in parsed.ids)
    assert len(parsed.pictures) == pictures
    assert all(source.startswith("data:image/png;base64,") for source in parsed.pictures)
    assert "script" not in parsed.tags
    assert "onset: it needs movies" in text
    assert "Protocol: " in text
    for link in re.findall(r'href="([^"#]+)"', text):
        assert (out / link).exists()


def test_the_same_command_again_leaves_the_page_alone(battery):
    out, _, _, again = battery
    before = (out / "gallery.html").stat().st_mtime_ns
    again()
    assert (out / "gallery.html").stat().st_mtime_ns == before


def test_missing_dependency_names_the_command(tmp_path):
    with pytest.raises(ProtocolError, match=r"on retinotopy and .*: insilico run retinotopy dir"):
        run(["size"], model="simulated-v1-image", neurons="0:2", out=tmp_path / "run")


def test_page_escapes_what_it_shows():
    text = page({"model": "<b>&", "mouse": "m", "neuron_count": 2}, [], [], {"size": "a < b"})
    assert "<b>&" not in text
    assert "size: a &lt; b" in text


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    """A recording of movies, with published Gabors and dots."""
    few = {"train_trials": 1, "validation_stimuli": 0, "test_stimuli": 2, "final_stimuli": 0}
    options = SimulationOptions(mice=1, neurons=6, seed=2, repeats=4, **few)
    folder = tmp_path_factory.mktemp("recorded") / "out"
    return write_recordings(folder, options=options)[0].folder


def test_run_all_of_a_recording_runs_what_it_answers(movies, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("insilico.cli.saving.save_figures", lambda result, folder: None)
    lacking = unanswered(open_recording(movies))
    assert not {"direction", "dots"} & set(lacking)
    assert "drifting_gabor" in lacking["retinotopy"]
    fewer = [f"{name}.shuffle_count=50" for name in ("direction", "dots")]
    run(["all"], recording=movies, out=tmp_path / "run", set_=fewer, jobs=1)
    told = capsys.readouterr().err
    text = (tmp_path / "run" / "gallery.html").read_text(encoding="utf-8")
    assert {"direction", "dots"} <= set(Page(text).ids)
    assert {name for name in lacking if f"skipped {name}: " in told} == set(lacking)


def test_run_all_of_a_recording_goes_on_after_a_refusal(movies, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("insilico.cli.saving.save_figures", lambda result, folder: None)
    late = ["direction.latency_s=12", "dots.shuffle_count=19"]
    run(["all"], recording=movies, out=tmp_path / "run", set_=late, jobs=1)
    assert "skipped direction: no pattern of the" in capsys.readouterr().err
    text = (tmp_path / "run" / "gallery.html").read_text(encoding="utf-8")
    assert "dots" in Page(text).ids


def test_where_nothing_is_answered_there_is_one_sentence_and_no_page(movies, tmp_path):
    late = ["latency_s=12"]
    with pytest.raises(RecordingError, match="answers none of the 9 experiments asked for"):
        run(["all"], recording=movies, out=tmp_path / "run", set_=late, jobs=1)
    assert not (tmp_path / "run" / "gallery.html").exists()


def test_run_all_of_a_recording_of_images_is_refused(recordings, tmp_path):
    with pytest.raises(RecordingError, match="answers none of the 9 experiments asked for"):
        run(["all"], recording=recordings / "mouse-1", out=tmp_path / "run", jobs=1)
    assert not (tmp_path / "run").exists()


def test_one_experiment_by_name_is_refused_and_not_skipped(movies, tmp_path):
    with pytest.raises(RecordingError, match="no pattern of the"):
        run(["direction"], recording=movies, out=tmp_path / "run", set_=["latency_s=12"], jobs=1)


@pytest.mark.parametrize("kind", [ProtocolError, RecordingError, UnitsError])
def test_run_all_of_a_twin_goes_on_after_a_refusal(tmp_path, monkeypatch, capsys, kind):
    def refuse(name, *args, **options):
        raise kind(f"{name} does not fit")

    monkeypatch.setattr("insilico.run", refuse)
    with pytest.raises(StimulusError, match="answers none of the 9 experiments asked for"):
        run(["all"], model="simulated-v1-image", neurons="0:2", out=tmp_path / "run", jobs=1)
    told = capsys.readouterr().err
    assert "skipped retinotopy: retinotopy does not fit" in told
    assert "skipped size: it builds on direction and retinotopy" in told
    with pytest.raises(ProtocolError, match="jobs is 0"):
        run(["all"], model="simulated-v1-image", neurons="0:2", out=tmp_path / "run", jobs=0)
