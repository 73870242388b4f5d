"""'insilico compare': tables and figures of two runs, and one sentence where there is none."""

import sys
from pathlib import Path

import numpy as np
import pytest

from insilico import Result
from insilico.cli.compare import compare, format_comparison
from insilico.errors import RunFolderError
from insilico.figures import draw, figure_names
from insilico.figures.comparison import plot_curves

sys.path.insert(0, str(Path(__file__).parents[1]))
from planted_runs import planted_curves, write_run

pytestmark = pytest.mark.usefixtures("rough_figures")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders of 24 neurons as recorded and as predicted, and their comparison."""
    folder = tmp_path_factory.mktemp("compare")
    sigma_px = 3.0 + np.arange(24) / 10
    columns = {"dsi_q": 0.001, "osi_q": 0.001}
    recorded = write_run(
        folder / "recorded",
        planted_curves(24),
        source="recorded",
        columns=columns,
        sigma_px=sigma_px,
    )
    predicted = write_run(
        folder / "predicted",
        planted_curves(24, concentration=2, shift_deg=10),
        sigma_px=1.3 * sigma_px,
    )
    return recorded, predicted


@pytest.fixture(scope="module")
def compared(runs):
    recorded, predicted = runs
    out = recorded.parent / "comparison"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("insilico.cli.saving.save_figures", lambda result, folder: None)
        compare(predicted, recorded, out=out)
    return Result.load(out)


def test_the_command_prints_agreement_and_says_where_files_are(insilico, runs, tmp_path):
    done = insilico("compare", *runs, "--out", tmp_path / "c", "--experiments", "direction")
    assert done.returncode == 0, done.stderr
    assert "reference: recorded, other: a-model" in done.stdout
    assert "neurons: status ok in both runs in direction; DSI ≥ 0.2 with q ≤ 0.05" in done.stdout
    assert "preferred direction (deg)" in done.stdout
    assert {path.stem for path in (tmp_path / "c" / "figures").iterdir()} == {
        "quantities",
        "direction",
    }


def test_saved_comparison_redraws_every_figure(compared):
    result = compared
    assert figure_names(result) == ("quantities", "direction", "fields")
    for name in figure_names(result):
        assert draw(result, name).axes


def test_text_and_panels_name_the_same_number_of_neurons(compared):
    result = compared
    passing = int((result.neurons["status"] == "ok").sum())
    assert f"selective {passing}" in format_comparison(result)
    for name in figure_names(result):
        figure = draw(result, name)
        titles = [axes.get_title() for axes in figure.axes]
        counted = [title for title in titles if "N = " in title]
        assert len(counted) >= 6
        assert all(f"N = {passing}" in title for title in counted), name


def test_panels_show_the_tables(compared):
    result = compared
    figure = draw(result, "direction")
    shares = result.tables["preference_shares"].query("kind == 'direction' and mouse == 'all'")
    bars = next(axes for axes in figure.axes if axes.get_title().startswith("preference, N"))
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(heights, 100 * shares["share"])


def test_legend_gives_the_reference_its_color(compared):
    result = compared
    axes = plot_curves(result, 0)
    label_of = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    # What was recorded has error bars, and comes first as the reference, in black.
    recorded = label_of["recorded (reference)"]
    assert recorded.lines[0].get_color() == "black"
    assert recorded.has_yerr
    assert label_of["a-model (other)"].get_color() != "black"


def test_another_comparison_replaces_an_earlier_one_and_nothing_else(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("insilico.cli.saving.save_figures", lambda result, folder: None)
    recorded, predicted = runs
    compare(recorded, predicted, out=tmp_path / "c", experiments=["direction"])
    compare(recorded, predicted, out=tmp_path / "c", filter_=["all"])
    assert Result.load(tmp_path / "c").protocol["filter"] == ["all"]
    with pytest.raises(RunFolderError, match="holds no comparison"):
        compare(recorded, predicted, out=predicted / "direction")
    assert Result.load(predicted / "direction").experiment == "direction"


def test_mistakes_are_one_sentence(refused, runs, tmp_path):
    recorded, predicted = runs
    assert "given twice" in refused("compare", recorded, recorded, "--out", tmp_path / "c")
    sentence = refused("compare", recorded, predicted, "--filter", "direction.osi>=3")
    assert "no neuron passes the filter" in sentence
    assert "--experiments" in sentence
    assert not (tmp_path / "c").exists()
