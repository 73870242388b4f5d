"""Tuning figures show the curves, fits and counts of the result."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from insilico.errors import NotFittedError, ShapeError
from insilico.figures.direction import (
    default_rows,
    plot_gallery,
    plot_half_widths,
    plot_index,
    plot_modulation,
    plot_population,
    plot_preferred,
    plot_tuning_curve,
)


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_points_are_the_measured_curve(direction):
    points = lines_of(plot_tuning_curve(direction, 3))["mean response"]
    curve = direction.arrays["tuning_curve"].sel(neuron=3)
    np.testing.assert_allclose(points.get_xdata(), curve["direction_deg"])
    np.testing.assert_allclose(points.get_ydata(), curve)


@pytest.mark.parametrize(("name", "period_deg"), [("direction", 360), ("orientation", 180)])
def test_line_is_the_fit_over_one_period_and_peaks_where_the_table_says(name, period_deg, request):
    result = request.getfixturevalue(name)
    for neuron in result.neurons["neuron"]:
        fit = result.neurons.iloc[result.row(neuron)]
        x, y = lines_of(plot_tuning_curve(result, int(neuron)))["von Mises fit"].get_data()
        assert (x[0], x[-1]) == (0, period_deg)
        preferred_deg = fit[f"fitted_{name}_deg"]
        off_deg = (x[y.argmax()] - preferred_deg + period_deg / 2) % period_deg - period_deg / 2
        assert abs(off_deg) <= 1
        opposite = np.nan_to_num(fit["fit_amplitude_opposite"])
        tail = opposite * np.exp(-2 * fit["fit_concentration"])
        assert y.max() == pytest.approx(fit["fit_baseline"] + fit["fit_amplitude"] + tail, rel=0.01)


def test_ticks_quarter_the_period(direction, orientation):
    assert list(plot_tuning_curve(direction, 0).get_xticks()) == [0, 90, 180, 270, 360]
    assert list(plot_tuning_curve(orientation, 0).get_xticks()) == [0, 45, 90, 135, 180]


def test_axis_of_responses_includes_zero_and_names_units(direction):
    axes = plot_tuning_curve(direction, 0)
    assert axes.get_ylim()[0] <= 0 <= axes.get_ylim()[1]
    units = direction.provenance["output_units"]
    assert axes.get_ylabel() in (f"response ({units} units)", f"response ({units})")


def test_direction_selectivity_is_not_named_where_only_orientations_were_shown(
    direction, orientation
):
    row = direction.neurons.iloc[direction.row(2)]
    title = plot_tuning_curve(direction, 2).get_title()
    assert title == f"neuron 2\nOSI {row['osi']:.2f} · DSI {row['dsi']:.2f}"
    assert "DSI" not in plot_tuning_curve(orientation, 2).get_title()
    titles = [axes.get_title() for axes in plot_population(orientation).axes]
    assert not any("direction" in title for title in titles)


def test_spread_over_phases_is_no_error_bar(direction):
    assert "spread_over_phases" in direction.arrays
    assert plot_tuning_curve(direction, 0).containers == []


def test_standard_error_of_trials_is_an_error_bar(direction):
    sem = 0.1 * direction.arrays["tuning_curve"]
    arrays = direction.arrays.assign(tuning_curve_sem=sem)
    axes = plot_tuning_curve(dataclasses.replace(direction, arrays=arrays), 4)
    bars = axes.containers[0]
    assert bars.get_label() == "mean response ± s.e.m. of trials"
    lengths = [np.ptp(segment[:, 1]) for segment in bars.lines[2][0].get_segments()]
    np.testing.assert_allclose(lengths, 2 * sem.sel(neuron=4))


def test_neuron_without_a_fit_keeps_its_points_and_says_why(direction):
    table = direction.neurons
    table.loc[1, [name for name in table if name.startswith("fit")]] = np.nan
    table.loc[1, "status"] = "no_convergence"
    axes = plot_tuning_curve(direction, 1)
    assert list(lines_of(axes)) == ["mean response"]
    assert axes.get_title().startswith("neuron 1 · no convergence\n")


def test_default_gallery_goes_from_most_to_least_selective(direction):
    table = direction.neurons
    table.loc[3, "status"] = "at_bound"
    rows = default_rows(table)
    assert 3 not in rows
    assert len(rows) == 9
    assert np.all(np.diff(table["osi"].iloc[rows]) <= 0)


def test_gallery_of_an_unknown_neuron_is_refused(direction):
    with pytest.raises(NotFittedError, match="not neuron 99"):
        plot_gallery(direction, [99])


def test_gallery_shares_its_labels_and_its_legend(direction):
    figure = plot_gallery(direction, [1, 2])
    assert [axes.get_xlabel() for axes in figure.axes] == ["", ""]
    assert figure.get_supxlabel() == "direction of motion (deg)"
    assert figure.get_supylabel().startswith("response (")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["von Mises fit", "mean response"]


def test_polar_bars_stand_where_neurons_prefer_and_their_areas_count_them(direction):
    table = direction.neurons
    table["fitted_direction_deg"] = [0, 359, 7, 90, 90, 90, 90, 181, 268, 45]
    table.loc[9, "status"] = "flat"
    axes = plot_preferred(direction)
    bars = {
        round(np.degrees(bar.get_x() + bar.get_width() / 2)) % 360: bar.get_height() ** 2
        for bar in axes.patches
    }
    assert bars == pytest.approx({0: 3, 90: 4, 180: 1, 270: 1})
    assert axes.get_title() == "preferred direction, N = 9"
    assert axes.get_theta_direction() == 1
    assert axes.get_theta_offset() == 0


def test_directions_on_straight_axes_are_refused(direction):
    with pytest.raises(ShapeError, match="projection='polar'"):
        plot_preferred(direction, Figure().subplots())


def test_orientations_are_counted_over_half_a_turn(orientation):
    axes = plot_preferred(orientation)
    assert axes.patches[1].get_data().values.sum() == 10
    assert axes.get_xlim() == (0, 180)
    assert axes.get_title() == "preferred orientation, N = 10"


def test_histograms_count_neurons_with_a_value_whatever_their_status(direction):
    direction.neurons.loc[0, ["status", "dsi"]] = ["silent", np.nan]
    direction.neurons.loc[1, "status"] = "at_bound"
    assert plot_index(direction, "dsi").get_title() == "direction selectivity, N = 9"
    assert plot_index(direction, "osi").get_title() == "orientation selectivity, N = 10"
    assert plot_modulation(direction).patches[1].get_data().values.sum() == 10


def test_missing_half_widths_are_reported(direction):
    direction.neurons.loc[[0, 1], "half_width_deg"] = np.nan
    axes = plot_half_widths(direction)
    assert axes.get_title() == "tuning width, N = 8"
    assert "2 never fall to half" in axes.get_xlabel()


def test_border_of_simple_and_complex_is_marked_at_one(direction):
    assert plot_modulation(direction).lines[0].get_xdata()[0] == 1
