"""Attention over the stimulus, and its center against the pupil's: what is drawn is the result."""

import dataclasses

import numpy as np
import pytest

from insilico.errors import NotFittedError
from insilico.figures.attention import (
    MOST_MICE,
    overlay_colors,
    plot_gaze,
    plot_gaze_axis,
    plot_maps,
    plot_overlay,
    plot_trace,
)
from insilico.results import Result
from insilico.screen import Screen


@pytest.fixture
def gaze(result_folders):
    return Result.load(result_folders["attention_gaze", "movie"])


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def test_map_is_drawn_over_its_stimulus_with_its_center(image_attention):
    axes = plot_overlay(image_attention, 3)
    stimulus, over = axes.get_images()
    np.testing.assert_array_equal(stimulus.get_array(), image_attention.arrays["stimulus"][3])
    np.testing.assert_array_equal(over.get_array(), image_attention.arrays["map"][3])
    assert over.get_clim() == (0, 1)
    (cross,) = axes.get_lines()
    row = image_attention.tables["attention"].iloc[3]
    np.testing.assert_allclose(cross.get_xdata(), row["center_x_px"])
    np.testing.assert_allclose(cross.get_ydata(), row["center_y_px"])
    assert axes.get_title() == "mouse-a, trial 3"


def test_axes_are_in_degrees(image_attention):
    axes = plot_overlay(image_attention, 0)
    screen = Screen()
    labels = [float(label.get_text().replace("−", "-")) for label in axes.get_xticklabels()]
    np.testing.assert_allclose(screen.position_deg(axes.get_xticks(), 0)[0], labels, atol=1e-6)
    assert axes.get_xlabel() == "azimuth (deg)"


def test_stimulus_shows_through_where_attention_is_low():
    colors = overlay_colors()(np.linspace(0, 1, 5))
    assert colors[0, 3] == 0
    assert (np.diff(colors[:, 3]) > 0).all()
    lightness = colors[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_constant_map_says_so(image_attention):
    table = image_attention.tables["attention"].assign(status="constant_map")
    flat = dataclasses.replace(image_attention, tables={"attention": table})
    assert plot_overlay(flat, 0).get_title() == "mouse-a, trial 0 · constant map"


def test_images_of_the_figure_are_spread_over_the_trials(image_attention):
    titles = [axes.get_title() for axes in panels(plot_maps(image_attention))]
    assert titles == [f"mouse-a, trial {trial}" for trial in (0, 1, 2, 4, 5, 6)]
    assert len(panels(plot_maps(image_attention, [2, 5]))) == 2


def test_movies_show_frames_and_below_them_time_in_seconds(movie_attention):
    figure = plot_maps(movie_attention, [2])
    *frames, trace = panels(figure)
    assert [axes.get_title() for axes in frames] == [
        f"{t / 30:.2f} s" for t in (40, 44, 48, 51, 55)
    ]
    shown = frames[1].get_images()[1].get_array()
    np.testing.assert_array_equal(shown, movie_attention.arrays["map"].isel(trial=2).sel(frame=44))
    assert trace.get_xlabel() == "time in the movie (s)"
    assert frames[0].get_ylabel() == "mouse-a, trial 2\nelevation (deg)"


def test_trace_is_that_of_the_table_beside_uniform_attention(movie_attention):
    axes = plot_trace(movie_attention, 1, marked=(45,))
    mark, attention, uniform = axes.get_lines()
    rows = movie_attention.tables["attention"].query("trial == 1")
    np.testing.assert_array_equal(attention.get_xdata(), rows["time_s"])
    np.testing.assert_array_equal(attention.get_ydata(), rows["temporal_attention"])
    assert mark.get_xdata()[0] == pytest.approx(45 / 30)
    # Causal attention falls with time by construction.
    assert (np.diff(uniform.get_ydata()) < 0).all()
    assert uniform.get_ydata()[[0, -1]].tolist() == [1, 0]
    assert uniform.get_label() == "were all frames attended alike"


def test_color_scale_has_a_label(image_attention, movie_attention):
    for result in (image_attention, movie_attention):
        (bar,) = [axes for axes in plot_maps(result).axes if axes.get_label() == "<colorbar>"]
        assert bar.get_ylabel().startswith("attention (")


def test_trials_that_are_not_there_are_refused(image_attention):
    for trials in ([7], [-1], []):
        with pytest.raises(NotFittedError, match="holds trials 0 to 6"):
            plot_maps(image_attention, trials)


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
