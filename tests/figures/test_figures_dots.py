"""Figures of dots hold the numbers of the result."""

import numpy as np
import pytest

from insilico.figures.dots import (
    plot_gallery,
    plot_latency,
    plot_map,
    plot_population,
    plot_test,
)
from insilico.figures.style import new_axes
from insilico.results import Result


@pytest.fixture
def dots(result_folders):
    return Result.load(result_folders["dots", "movie"])


def as_recorded(result):
    """The result as of a recording, with a test."""
    count = len(result.neurons)
    table = result.neurons.assign(responsive_p=np.linspace(0.01, 1, count), responsive_q=0.5)
    return Result(
        "dots",
        {**result.tables, "neurons": table},
        result.arrays,
        result.protocol,
        result.provenance,
    )


@pytest.mark.parametrize("name", ["combined", "white", "black"])
def test_a_panel_shows_the_map_and_the_fitted_center(dots, name):
    row = int(np.flatnonzero(dots.neurons["status"] == "ok")[0])
    axes = plot_map(dots, int(dots.neurons["neuron"].iloc[row]), dots=name)
    shown = axes.get_images()[0].get_array()
    np.testing.assert_array_equal(shown, dots.arrays[f"{name}_map"][row])
    fit = dots.neurons.iloc[row]
    line = axes.containers[0].lines[0]
    assert line.get_xdata()[0] == fit["x_px"]
    assert line.get_ydata()[0] == fit["y_px"]


def test_the_gallery_has_three_maps_a_neuron(dots):
    first = [int(neuron) for neuron in dots.neurons["neuron"][:3]]
    figure = plot_gallery(dots, first)
    assert len(figure.axes) == 9
    assert [axes.get_title(loc="left") for axes in figure.axes[1:3]] == ["black", "combined"]


def test_the_latency_that_was_used_is_marked(dots):
    axes = plot_latency(dots, new_axes(None))
    used = dots.tables["latency"].query("is_used")
    marked = axes.lines[1].get_xdata()
    assert list(marked) == [1000 * used["latency_s"].item()]


def test_a_test_over_trials_has_a_panel_of_its_own(dots):
    without = len(plot_population(dots).axes)
    assert len(plot_population(as_recorded(dots)).axes) == without + 1
    axes = plot_test(as_recorded(dots), new_axes(None))
    assert axes.get_title() == f"test over trials, N = {len(dots.neurons)}"
