"""The center of attention against the pupil's: what is drawn is the result."""

import dataclasses
import itertools

import numpy as np
import pytest

from insilico.errors import NotFittedError
from insilico.figures.attention_gaze import MOST_MICE, plot_gaze, plot_gaze_axis
from insilico.results import Result


@pytest.fixture
def gaze(result_folders):
    return Result.load(result_folders["attention_gaze", "movie"])


def test_points_line_and_numbers_are_those_of_the_result(gaze):
    left, right = plot_gaze(gaze).axes
    points = gaze.tables["points"]
    for axes, axis in ((left, "x"), (right, "y")):
        (drawn,) = axes.collections
        expected = points[[f"pupil_{axis}", f"center_{axis}_deg"]].to_numpy()
        np.testing.assert_allclose(drawn.get_offsets(), expected)
        row = gaze.tables["attention_gaze"].set_index("attention").loc[f"center_{axis}_deg"]
        (line,) = axes.get_lines()
        np.testing.assert_allclose(
            line.get_ydata(), row["intercept"] + row["slope"] * np.asarray(line.get_xdata())
        )
        title = axes.get_title().replace("−", "-")
        assert (
            f"r = {row['correlation']:.2f} ({row['ci_low']:.2f} to {row['ci_high']:.2f})" in title
        )
        assert "p = " in title
        assert "n = 7 movies, 112 frames" in title


def test_smallest_p_value_is_a_bound(gaze):
    table = gaze.tables["attention_gaze"].assign(p_value=0.01)
    bound = dataclasses.replace(gaze, tables={**gaze.tables, "attention_gaze": table})
    assert "p ≤ 0.01" in plot_gaze_axis(bound, "mouse-a", "x").get_title()


def test_what_could_not_be_tested_is_said_and_has_no_line(gaze):
    table = gaze.tables["attention_gaze"].assign(status="constant_animal")
    table[["correlation", "p_value", "slope"]] = np.nan
    other = dataclasses.replace(gaze, tables={**gaze.tables, "attention_gaze": table})
    axes = plot_gaze_axis(other, "mouse-a", "y")
    assert axes.get_title().endswith("constant animal")
    assert not axes.get_lines()


def test_few_trials_are_said_in_place_of_a_correlation(gaze):
    table = gaze.tables["attention_gaze"].assign(status="too_few_trials", correlation=1.0)
    few = dataclasses.replace(gaze, tables={**gaze.tables, "attention_gaze": table})
    axes = plot_gaze_axis(few, "mouse-a", "x")
    assert axes.get_title().endswith("too few trials")
    assert "r =" not in axes.get_title()
    assert not axes.get_lines()


@pytest.mark.parametrize("units", ["recorded", "standardized"])
def test_axis_of_the_pupil_is_in_the_units_given(gaze, units):
    given = dataclasses.replace(gaze, provenance={**gaze.provenance, "state_units": units})
    axes = plot_gaze_axis(given, "mouse-a", "y")
    assert axes.get_xlabel() == f"pupil center y ({units} units)"


def test_ticks_of_large_numbers_do_not_overlap(gaze):
    points = gaze.tables["points"].assign(pupil_x=lambda t: 100_000 + 30 * t["pupil_x"])
    large = dataclasses.replace(gaze, tables={**gaze.tables, "points": points})
    figure = plot_gaze(large)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def test_many_mice_are_cut_to_a_page(gaze):
    copies = {}
    for name, table in gaze.tables.items():
        copies[name] = table.loc[table.index.repeat(6)].assign(
            mouse=lambda t: [*"ABCDEF"] * (len(t) // 6)
        )
    many = dataclasses.replace(gaze, tables=copies)
    assert len(plot_gaze(many).axes) == 2 * MOST_MICE
    with pytest.raises(NotFittedError, match="no center_x_deg of mouse Z; it has mice A, B"):
        plot_gaze_axis(many, "Z", "x")
