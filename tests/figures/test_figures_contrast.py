"""Figures of contrast responses show the curves, fits and medians of the result."""

import functools

import numpy as np
import pytest
from battery import quick_result

from insilico.errors import NotFittedError
from insilico.figures.contrast import (
    plot_contrast_response,
    plot_contrasts,
    plot_exponents,
    plot_gallery,
    plot_population,
)


@functools.cache
def result_of(kind="image"):
    return quick_result("contrast", kind)


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_points_are_the_measured_curve_over_the_contrast_shown():
    result = result_of()
    neuron = int(result.neurons["neuron"].iloc[2])
    axes = plot_contrast_response(result, neuron)
    points = lines_of(axes)["mean response"]
    np.testing.assert_allclose(points.get_xdata(), result.arrays["shown_contrast"])
    np.testing.assert_allclose(points.get_ydata(), result.arrays["response"].sel(neuron=neuron))
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "contrast shown"


def test_semi_saturation_is_marked_where_the_curve_is_halfway_up():
    result = result_of()
    row = result.neurons[result.neurons["status"] == "ok"].iloc[0]
    lines = lines_of(plot_contrast_response(result, int(row["neuron"])))
    marked = lines["semi-saturation"].get_xdata()[0]
    assert marked == pytest.approx(row["semi_saturation_contrast"])
    x, y = lines["Naka–Rushton fit"].get_data()
    assert np.interp(marked, x, y) == pytest.approx(row["baseline"] + row["r_max"] / 2, rel=0.01)


def test_spread_over_phases_is_no_error_bar():
    assert plot_contrast_response(result_of(), 0).containers == []


def test_neuron_without_a_fit_keeps_its_points_and_says_why():
    result = result_of()
    table = result.neurons.copy()
    table.loc[1, ["semi_saturation_contrast", "r_max", "exponent", "baseline"]] = np.nan
    table.loc[1, "status"] = "constant_fit"
    changed = type(result)(
        result.experiment,
        {**result.tables, "neurons": table},
        result.arrays,
        result.protocol,
        result.provenance,
    )
    axes = plot_contrast_response(changed, 1)
    assert "Naka–Rushton fit" not in lines_of(axes)
    assert axes.get_title() == "neuron 1 · constant fit"


def test_medians_are_those_of_the_table():
    result = result_of("movie")
    medians = result.tables["population"].set_index("quantity")["median"]
    for axes, name in (
        (plot_contrasts(result, "semi_saturation_contrast"), "semi_saturation_contrast"),
        (plot_exponents(result), "exponent"),
    ):
        markers = [line for line in axes.lines if line.get_marker() == "v"]
        assert markers[0].get_xdata()[0] == pytest.approx(medians[name])
        assert f"median {medians[name]:.2f}" in axes.get_xlabel()


def test_population_and_gallery_draw_what_they_hold():
    assert len(plot_population(result_of()).axes) == 6
    assert len(plot_gallery(result_of(), [0, 1, 2]).axes) == 3
    with pytest.raises(NotFittedError, match="not neuron 99"):
        plot_gallery(result_of(), [99])
