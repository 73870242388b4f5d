"""Every figure of every experiment: drawn from disk, without torch, in one style."""

import ast
import functools
import io
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from insilico.errors import CatalogError
from insilico.experiments import EXPERIMENTS, find_experiment
from insilico.figures import FIGURES, draw, figure_names
from insilico.figures.style import cycle_color, style
from insilico.results import Result

#: Everything with figures that is measured here; evaluation and training have files of their own.
KINDS = ("image", "movie")
RESULTS = (*EXPERIMENTS, "attention", "attention_gaze")

CASES = [
    (experiment, kind, name)
    for experiment in RESULTS
    for kind in (find_experiment(experiment).kinds if experiment in EXPERIMENTS else KINDS)
    for name in FIGURES.get(experiment, {"missing": ""})
]


def test_every_experiment_has_figures():
    assert set(EXPERIMENTS) <= set(FIGURES)
    assert all({"gallery", "population"} <= set(FIGURES[name]) for name in EXPERIMENTS)


@pytest.fixture(scope="module")
def drawn(result_folders):
    """Return a function that draws a figure of a result from disk, each figure once."""

    @functools.cache
    def figure(experiment, kind, name):
        return draw(Result.load(result_folders[experiment, kind]), name)

    return figure


@pytest.mark.parametrize(("experiment", "kind", "name"), CASES)
def test_figure_draws_from_a_loaded_result(drawn, experiment, kind, name):
    figure = drawn(experiment, kind, name)
    assert isinstance(figure, Figure)
    assert figure.axes
    # Those of movie twins are saved below, as bitmaps and where torch cannot be imported.
    if kind == "image" or (experiment, "image", name) not in CASES:
        with style(), io.BytesIO() as file:
            figure.savefig(file, format="pdf", dpi=50)
            assert file.tell() > 1000


@pytest.mark.parametrize(("experiment", "kind", "name"), CASES)
def test_panels_with_numbers_on_their_axes_say_what_they_are(drawn, experiment, kind, name):
    figure = drawn(experiment, kind, name)
    for axes in figure.axes:
        is_shared = figure.get_supxlabel() != "" and axes.get_label() != "<colorbar>"
        shows_numbers = len(axes.get_xticks()) > 0 and axes.xaxis.get_visible()
        if shows_numbers and not is_shared and axes.get_label() != "<colorbar>":
            assert axes.get_xlabel(), axes.get_title()
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel()


def test_figure_that_does_not_exist_is_refused(direction):
    with pytest.raises(CatalogError, match="no figure 'spiral'; it has gallery, population"):
        draw(direction, "spiral")


def test_experiment_without_figures_has_no_names(direction):
    other = Result("heartbeat", direction.tables, direction.arrays, {}, {})
    assert figure_names(other) == ()
    with pytest.raises(CatalogError, match="it has none"):
        draw(other, "gallery")


def test_saved_results_redraw_where_torch_cannot_be_imported(result_folders, tmp_path):
    script = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("torch is not installed", name=name)
sys.meta_path.insert(0, NoTorch())
import insilico
from insilico.figures import draw, figure_names
from insilico.figures.style import style
for folder in sys.argv[2:]:
    result = insilico.Result.load(folder)
    for name in figure_names(result):
        with style():
            draw(result, name).savefig(f"{sys.argv[1]}/{result.experiment}-{name}.png", dpi=40)
assert not {"torch", "matplotlib.pyplot"} & set(sys.modules)
"""
    folders = [result_folders[experiment, "movie"] for experiment in RESULTS]
    root = Path(__file__).resolve().parents[2]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path), *map(str, folders)],
        check=True,
        cwd=root,
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{experiment}-{name}.png" for experiment in RESULTS for name in FIGURES[experiment]
    }


def test_naming_figures_does_not_import_matplotlib():
    script = "import sys, insilico.figures; assert 'matplotlib' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root)


def test_style_overrides_personal_settings_and_leaves_them_as_they_were():
    with mpl.rc_context({"axes.spines.top": True, "font.size": 20, "lines.linestyle": ":"}):
        with style():
            assert not mpl.rcParams["axes.spines.top"]
            assert mpl.rcParams["font.size"] == 7
            assert mpl.rcParams["lines.linestyle"] == "-"
            assert mpl.rcParams["savefig.dpi"] == 300
            assert cycle_color(0) == "#0072b2"
        assert mpl.rcParams["font.size"] == 20


def test_text_of_vector_figures_stays_text(direction):
    figure = draw(direction, "gallery")
    with style(), io.StringIO() as file:
        figure.savefig(file, format="svg")
        assert "direction of motion (deg)" in file.getvalue()


def imported(node):
    """Names of the modules that code imports when it runs, at any depth."""
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield node.module or ""
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def test_package_imports_matplotlib_in_its_figures_only():
    package = Path(__file__).resolve().parents[2] / "insilico"
    users = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
        if name.partition(".")[0] == "matplotlib"
    }
    assert users == {"figures"}
