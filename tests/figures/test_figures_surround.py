"""Figures of surrounds show the responses, indices and tests of the result."""

import functools

import numpy as np
import pytest
from battery import quick_result

from insilico.errors import NotFittedError
from insilico.figures.surround import (
    plot_arrangements,
    plot_contrasts,
    plot_flips,
    plot_gallery,
    plot_index,
    plot_iso_against_cross,
    plot_population,
    plot_suppression,
)


@functools.cache
def result_of(kind="image"):
    return quick_result("surround", kind)


def points(axes, index=0):
    return np.asarray(axes.containers[index].lines[0].get_ydata(), float)


def test_points_are_mean_responses_at_both_contrasts():
    result = result_of()
    axes = plot_arrangements(result, 3)
    shown = result.arrays["response"].sel(neuron=3, diameter_deg=20.0)
    np.testing.assert_allclose(points(axes), shown.sel(contrast=1.0))
    right = axes.figure.axes[1]
    np.testing.assert_allclose(points(right), shown.sel(contrast=0.05))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(shown["arrangement"].values)


def test_both_axes_have_zero_at_one_height():
    axes = plot_arrangements(result_of(), 2)
    heights = [
        side.transAxes.inverted().transform(side.transData.transform((0, 0)))[1]
        for side in axes.figure.axes
    ]
    assert heights[0] == pytest.approx(heights[1])


def test_spread_of_a_twin_is_called_what_it_is():
    for side in plot_arrangements(result_of(), 0).figure.axes:
        label = side.get_legend_handles_labels()[1][-1]
        assert "s.d. over phases" in label
        assert "s.e.m." not in label


def test_scatter_has_every_counted_neuron_on_its_side_of_the_identity():
    result = result_of()
    counted = result.neurons[result.neurons["status"] == "ok"]
    axes = plot_iso_against_cross(result)
    assert f"N = {len(counted)}" in axes.get_title()
    cross, iso = np.asarray(axes.collections[0].get_offsets()).T
    is_above = (counted["cmi_high"] < 0).to_numpy()
    # Those beyond the border stand on it.
    is_inside = np.maximum(iso, cross) < max(iso.max(), cross.max())
    assert is_inside.sum() > 5
    np.testing.assert_array_equal((iso > cross)[is_inside], is_above[is_inside])


def test_histogram_marks_the_median_of_the_table():
    result = result_of()
    tests = result.tables["population"].query("comparison == 'cmi' and contrast == 1.0")
    markers = [line for line in plot_index(result).lines if line.get_marker() == "v"]
    assert markers[0].get_xdata()[0] == pytest.approx(tests["effect"].item())
    p_value = f"p = {tests['p_value'].item():.1g}"
    labels = [text.get_text() for text in plot_index(result).get_legend().get_texts()]
    assert p_value in labels[0]


def test_flips_are_filled_and_counted():
    result = result_of("movie")
    counted = result.neurons[result.neurons["status"] == "ok"]
    labels = plot_contrasts(result).get_legend_handles_labels()[1]
    assert labels[1] == f"flip, {int(counted['is_flip'].sum())}"


def test_a_twin_has_no_chance_level_of_flips():
    labels = plot_flips(result_of()).get_legend_handles_labels()[1]
    assert labels == ["observed"]


def test_boxes_stand_for_three_surrounds_at_each_contrast():
    result = result_of()
    axes = plot_suppression(result)
    assert len(axes.patches) == 6
    counted = result.neurons[result.neurons["status"] == "ok"]
    low, high = counted["cross_suppression_high"].quantile([0.25, 0.75])
    box = axes.patches[1]
    assert [box.get_y(), box.get_y() + box.get_height()] == pytest.approx([low, high])


def test_population_and_gallery_say_how_many():
    figure = plot_population(result_of("movie"))
    assert "status of 10 neurons" in figure.axes[-1].get_title()
    gallery = plot_gallery(result_of("movie"), [1, 2])
    assert len(gallery.axes) == 4


def test_gallery_of_an_unknown_neuron_is_refused():
    with pytest.raises(NotFittedError, match="not neuron 99"):
        plot_gallery(result_of(), [99])
