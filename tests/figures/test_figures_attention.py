"""Attention over the stimulus and in time: what is drawn is the result."""

import dataclasses

import numpy as np
import pytest

from insilico.errors import NotFittedError
from insilico.figures.attention import plot_maps, plot_overlay, plot_trace
from insilico.figures.overlays import LEAST_LIMIT, MOST_LIMIT, relative_scale
from insilico.screen import Screen


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def test_map_is_drawn_over_its_stimulus_with_its_center(image_attention):
    axes = plot_overlay(image_attention, 3)
    stimulus, over = axes.get_images()
    np.testing.assert_array_equal(stimulus.get_array(), image_attention.arrays["stimulus"][3])
    np.testing.assert_array_equal(over.get_array(), image_attention.arrays["relative"][3])
    low, high = over.get_clim()
    assert low * high == pytest.approx(1)
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


def with_range(result, lowest, highest):
    table = result.tables["attention"].assign(lowest_relative=lowest, highest_relative=highest)
    return dataclasses.replace(result, tables={"attention": table})


def test_stimulus_shows_through_where_attention_is_even():
    scale = relative_scale(0.4, 2.0)
    opacity = scale.colors(scale.norm([0.4, 0.7, 1, 1 / 0.7, 2.5]))[:, 3]
    assert opacity[2] < 0.15
    assert (np.diff(opacity[:3]) < 0).all()
    np.testing.assert_allclose(opacity, opacity[::-1])
    assert scale.colors(np.ma.masked_invalid([np.nan]))[0, 3] == 0


@pytest.mark.parametrize(
    ("lowest", "highest", "limit"),
    [(0.4, 2.0, 2.5), (0.5, 3.0, 3.0), (0.98, 1.02, LEAST_LIMIT), (0.0, 60.0, MOST_LIMIT)],
)
def test_scale_is_as_wide_to_both_sides_of_even(lowest, highest, limit):
    scale = relative_scale(lowest, highest)
    assert (scale.norm.vmin, scale.norm.vmax) == pytest.approx((1 / limit, limit))
    assert scale.norm(1.0) == pytest.approx(0.5)
    assert scale.extend == ("both" if limit == MOST_LIMIT else "neither")
    assert 1.0 in scale.ticks
    assert 1 / limit <= min(scale.ticks) < max(scale.ticks) <= limit


def test_brightness_of_the_stimulus_hardly_changes_strong_colors(image_attention):
    stimulus, over = plot_overlay(image_attention, 3).get_images()
    beneath = stimulus.cmap(stimulus.norm([0.0, 255.0]))[:, 0]
    assert 0 < np.ptp(beneath) < 0.3
    assert np.ptp(beneath) * (1 - over.cmap(1.0)[3]) < 0.02


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_all_panels_have_the_scale_of_the_color_bar(image_attention, movie_attention, kind):
    result = image_attention if kind == "image" else movie_attention
    figure = plot_maps(result)
    limits = {axes.get_images()[1].get_clim() for axes in panels(figure) if axes.get_images()}
    (bar,) = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert len(limits) == 1
    assert bar.get_ylim() == pytest.approx(limits.pop())
    assert bar.get_ylabel().replace("\n", " ") == "attention (times that of even attention)"


def test_color_bar_label_of_one_row_is_not_cut(image_attention):
    figure = plot_maps(image_attention, [0])
    figure.canvas.draw()
    (bar,) = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    box = bar.yaxis.label.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= figure.bbox.height


def test_titles_of_the_first_row_of_frames_stay_off_the_edge(movie_attention):
    figure = plot_maps(movie_attention)
    figure.canvas.draw()
    box = panels(figure)[0].title.get_window_extent()
    assert figure.bbox.height - box.y1 > 0.03 * figure.dpi


def test_map_within_a_tenth_of_even_attention_says_so(image_attention):
    assert plot_overlay(with_range(image_attention, 0.95, 1.05), 0).get_title() == (
        "mouse-a, trial 0 · nearly even"
    )
    assert "even" not in plot_overlay(with_range(image_attention, 0.85, 1.05), 0).get_title()


def test_published_scaling_is_drawn_as_published(image_attention):
    published = dataclasses.replace(image_attention, protocol={"compatibility": True})
    _, over = plot_overlay(published, 3).get_images()
    np.testing.assert_array_equal(over.get_array(), published.arrays["map"][3])
    assert over.get_clim() == (0, 1)
    figure = plot_maps(published)
    (bar,) = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert "as published" in bar.get_ylabel()


def test_result_without_relative_maps_is_refused(image_attention):
    old = dataclasses.replace(image_attention, arrays=image_attention.arrays.drop_vars("relative"))
    with pytest.raises(NotFittedError, match="map the attention again"):
        plot_maps(old)


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
    np.testing.assert_array_equal(
        shown, movie_attention.arrays["relative"].isel(trial=2).sel(frame=44)
    )
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
    assert uniform.get_label() == "if all frames counted alike"


def test_marks_of_the_first_and_last_frame_lie_within_the_axis(movie_attention):
    axes = plot_trace(movie_attention, 1, marked=(40, 55))
    left, right = axes.get_xlim()
    assert left < 40 / 30
    assert right > 55 / 30


def test_legend_lies_above_the_marks(movie_attention):
    figure = plot_maps(movie_attention)
    figure.canvas.draw()
    (trace,) = [axes for axes in panels(figure) if axes.get_legend() is not None]
    assert trace.get_legend().get_window_extent().y0 >= trace.bbox.y1 - 1


def test_trials_that_are_not_there_are_refused(image_attention):
    for trials in ([7], [-1], []):
        with pytest.raises(NotFittedError, match="holds trials 0 to 6"):
            plot_maps(image_attention, trials)
