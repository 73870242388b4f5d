"""Scripts of figures/: panels of published figures from saved runs of any model."""

import importlib
import sys
from pathlib import Path

import pytest
from battery import quick_result
from planted_runs import finish, planted_curves, write_run

from insilico.errors import NotFittedError, RunFolderError
from insilico.experiments.run_folder import RunFolder
from insilico.figures.style import style

FOLDER = Path(__file__).parents[2] / "figures"


@pytest.fixture
def script(monkeypatch):
    """Import a script by name, and return what draws its figure."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        return importlib.import_module(name).draw

    yield load
    for name in [path.stem for path in FOLDER.glob("*.py")]:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of ten simulated neurons."""
    path = tmp_path_factory.mktemp("published") / "run"
    folder = RunFolder.open(path, {"model": "simulated", "mouse": "m"}, command="a test")
    for name in ("retinotopy", "direction", "size", "surround", "onset"):
        finish(folder, quick_result(name, "movie"))
    return path


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.axison]


def test_direction_of_one_run_and_of_two(script, tmp_path):
    draw = script("vivit_figure2")
    first = write_run(tmp_path / "a", planted_curves(20))
    second = write_run(tmp_path / "b", planted_curves(20, shift_deg=20), source="b")
    with style():
        assert any("preferred direction, N = 20" in text for text in titles(draw([first])))
        assert any("direction curves, N = " in text for text in titles(draw([first, second])))


def test_size_onset_and_surround_of_a_run(script, run):
    with style():
        figure = script("vivit_figure3")([run])
        figure.canvas.draw()
    shown = titles(figure)
    for panel in ("all fitted", "same neurons", "iso and cross", "modulation index"):
        assert any(panel in text for text in shown), panel


def test_population_surround_of_a_run(script, run, capsys):
    with style():
        figure = script("vivit_figure4")([run])
    assert any("flips, N = " in text for text in titles(figure))
    assert "the centers of this run are those of the screen" in capsys.readouterr().err


def test_fields_of_a_run(script, run):
    with style():
        figure = script("vivit_figure7")([run])
    count = (quick_result("retinotopy", "movie").neurons["status"] == "ok").sum()
    assert f"centers, N = {count}" in titles(figure)


def test_missing_results_are_noted_or_refused(script, tmp_path, capsys):
    path = tmp_path / "run"
    folder = RunFolder.open(path, {"model": "simulated", "mouse": "m"}, command="a test")
    finish(folder, quick_result("onset", "movie"))
    with style():
        figure = script("vivit_figure3")([path])
    assert len(titles(figure)) == 2
    assert "left out: needs insilico run size" in capsys.readouterr().err
    with pytest.raises(NotFittedError, match="run insilico run retinotopy"):
        script("vivit_figure7")([path])
    with pytest.raises(NotFittedError, match="give two"):
        script("v1t_poster")([path])
    with pytest.raises(RunFolderError, match="no run folder"):
        script("vivit_figure4")([tmp_path / "nothing"])
