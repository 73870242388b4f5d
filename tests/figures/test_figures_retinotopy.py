"""Receptive-field figures show the maps, fits and counts of the result."""

import dataclasses

import numpy as np
import pytest

from insilico.errors import NotFittedError
from insilico.figures.maps import plot_map, screen_of
from insilico.figures.retinotopy import (
    default_rows,
    plot_centers,
    plot_cortex,
    plot_gallery,
    plot_population,
    plot_reliability,
    plot_widths,
)
from insilico.screen import Screen


def first(result, map_used):
    table = result.neurons
    return int(table.loc[table["map_used"] == map_used, "neuron"].iloc[0])


def unfitted(result):
    """The same neurons, had no map been reliable."""
    table = result.neurons.assign(status="unreliable", map_used="none")
    parameters = ["x_px", "y_px", "x_deg", "y_deg", "sigma_major_px", "sigma_major_deg"]
    table[[*parameters, "sigma_minor_px", "sigma_minor_deg", "angle_deg"]] = np.nan
    return dataclasses.replace(result, tables={"neurons": table})


@pytest.mark.parametrize("map_used", ["linear", "energy"])
def test_ellipse_lies_at_one_standard_deviation_of_the_fit(retinotopy, map_used):
    neuron = first(retinotopy, map_used)
    fit = retinotopy.neurons.iloc[retinotopy.row(neuron)]
    ellipse, center = plot_map(retinotopy, neuron).lines
    np.testing.assert_allclose(center.get_xydata()[0], [fit["x_px"], fit["y_px"]])
    distance = np.hypot(*(ellipse.get_xydata() - center.get_xydata()).T)
    assert distance.max() == pytest.approx(fit["sigma_major_px"], rel=0.01)
    assert distance.min() == pytest.approx(fit["sigma_minor_px"], rel=0.01)
    farthest = ellipse.get_xydata()[distance.argmax()] - center.get_xydata()[0]
    # Rows count downward and angles turn upward.
    angle_deg = np.degrees(np.arctan2(-farthest[1], farthest[0]))
    off_deg = (angle_deg - fit["angle_deg"] + 90) % 180 - 90
    assert abs(off_deg) < 3


def test_linear_map_is_drawn_pixel_on_pixel_with_white_at_zero(retinotopy):
    neuron = first(retinotopy, "linear")
    image = plot_map(retinotopy, neuron).images[0]
    shown = retinotopy.arrays["linear_map"].sel(neuron=neuron).to_numpy()
    np.testing.assert_allclose(image.get_array(), shown)
    assert image.get_extent() == [-0.5, 63.5, 35.5, -0.5]
    low, high = image.get_clim()
    assert -low == high == pytest.approx(np.abs(shown).max())


def test_energy_map_is_drawn_where_its_grid_lies(retinotopy):
    neuron = first(retinotopy, "energy")
    image = plot_map(retinotopy, neuron).images[0]
    shown = retinotopy.arrays["energy_map"].sel(neuron=neuron)
    np.testing.assert_allclose(image.get_array(), shown.to_numpy())
    left, right, bottom, top = image.get_extent()
    step = (right - left) / shown.sizes["grid_x_px"]
    centers = left + step * (np.arange(shown.sizes["grid_x_px"]) + 0.5)
    np.testing.assert_allclose(centers, shown["grid_x_px"])
    step = (bottom - top) / shown.sizes["grid_y_px"]
    centers = top + step * (np.arange(shown.sizes["grid_y_px"]) + 0.5)
    np.testing.assert_allclose(centers, shown["grid_y_px"])


def test_panel_shows_the_center_and_stays_on_the_screen(retinotopy):
    screen = screen_of(retinotopy)
    for neuron in retinotopy.neurons["neuron"]:
        fit = retinotopy.neurons.iloc[retinotopy.row(neuron)]
        axes = plot_map(retinotopy, int(neuron))
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        assert left <= fit["x_px"] <= right
        assert top <= fit["y_px"] <= bottom
        assert left >= -0.5
        assert right <= screen.width_px - 0.5
        assert top >= -0.5
        assert bottom <= screen.height_px - 0.5


def test_field_near_the_edge_keeps_the_scale_of_the_others(retinotopy):
    table = retinotopy.neurons
    table.loc[0, ["x_px", "y_px", "sigma_major_px"]] = [1.0, 34.0, 2.0]
    axes = plot_map(retinotopy, int(table["neuron"].iloc[0]))
    assert axes.get_xlim() == (-0.5, 21.5)
    assert axes.get_ylim() == (35.5, 13.5)


def test_neuron_without_a_fit_shows_its_linear_map_on_the_whole_screen(retinotopy):
    axes = plot_map(unfitted(retinotopy), 0)
    assert axes.lines[:] == []
    assert axes.get_xlim() == (-0.5, 63.5)
    reliability = retinotopy.neurons["linear_reliability"].iloc[retinotopy.row(0)]
    assert axes.get_title() == f"neuron 0 · unreliable\nlinear · r = {reliability:.2f}"


def test_gallery_shows_named_neurons_in_order(retinotopy):
    titles = [axes.get_title() for axes in plot_gallery(retinotopy, [7, 2, 5]).axes[:3]]
    assert [title.split("\n")[0] for title in titles] == ["neuron 7", "neuron 2", "neuron 5"]


def test_gallery_of_an_unknown_neuron_is_refused(retinotopy):
    with pytest.raises(NotFittedError, match="not neuron 99"):
        plot_gallery(retinotopy, [0, 99])


def test_gallery_of_no_neuron_is_refused(retinotopy):
    with pytest.raises(NotFittedError, match="name at least one"):
        plot_gallery(retinotopy, [])


def test_default_gallery_takes_both_maps_from_best_to_worst(retinotopy):
    table = retinotopy.neurons
    large = table.loc[np.tile(table.index, 10)].reset_index(drop=True)
    large["neuron"] = np.arange(len(large))
    is_energy = (large["map_used"] == "energy").to_numpy()
    large.loc[is_energy, "energy_reliability"] = np.linspace(0.5, 0.9, is_energy.sum())
    large.loc[large.index[-1], ["status", "energy_reliability"]] = ["at_bound", 0.99]
    rows = default_rows(large)
    assert len(rows) == len(set(rows)) == 12
    used = list(large["map_used"].iloc[rows])
    assert used == ["linear"] * 6 + ["energy"] * 6
    reliability = large["energy_reliability"].iloc[rows[6:]].to_numpy()
    assert np.all(np.diff(reliability) < 0)
    ok = large[(large["status"] == "ok") & is_energy]["energy_reliability"]
    assert reliability[0] == ok.max()
    assert reliability[-1] == ok.min()


def test_default_gallery_fills_up_with_the_map_there_is(retinotopy):
    rows = default_rows(retinotopy.neurons.assign(map_used="linear"))
    assert len(rows) == 10


def test_figures_of_a_population_without_any_fit_still_count_it(retinotopy):
    result = unfitted(retinotopy)
    assert len(plot_gallery(result).axes) == 10 + 1
    panels = plot_population(result).axes
    assert "10 not ok" in {axes.get_title() for axes in panels}


def test_centers_are_those_of_the_table_within_the_outline_of_the_monitor(retinotopy):
    table = retinotopy.neurons
    table.loc[[0, 1, 2], "status"] = ["off_screen", "off_screen", "silent"]
    axes = plot_centers(retinotopy)
    drawn = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(drawn, table.loc[3:, ["x_deg", "y_deg"]].to_numpy())
    assert axes.get_title() == "7 centers · 2 off the screen · 1 not ok"
    outline = axes.patches[0]
    screen = Screen()
    half_width = np.degrees(np.arctan(screen.width_cm / 2 / screen.distance_cm))
    assert outline.get_width() == pytest.approx(2 * half_width)
    assert outline.get_x() == pytest.approx(-half_width)
    assert outline.get_y() == pytest.approx(-outline.get_height() / 2)
    assert axes.get_aspect() == 1


def test_colors_of_centers_are_the_reliability_of_the_map_that_was_used(retinotopy):
    table = retinotopy.neurons
    expected = np.where(
        table["map_used"] == "energy", table["energy_reliability"], table["linear_reliability"]
    )
    points = plot_centers(retinotopy).collections[0]
    np.testing.assert_allclose(points.get_array(), expected)
    assert points.get_clim() == (0, 1)


def test_histograms_count_every_neuron(retinotopy):
    retinotopy.neurons.loc[0, "status"] = "at_bound"
    widths = [patch.get_data().values.sum() for patch in plot_widths(retinotopy).patches[1::2]]
    assert widths == [9, 9]
    axes = plot_reliability(retinotopy)
    assert [patch.get_data().values.sum() for patch in axes.patches[1::2]] == [10, 10]


def test_thresholds_of_the_protocol_are_marked(retinotopy):
    lines = plot_reliability(retinotopy).lines
    assert [line.get_xdata()[0] for line in lines] == [
        retinotopy.protocol["minimum_linear_reliability"],
        retinotopy.protocol["minimum_energy_reliability"],
    ]


def test_cortex_is_drawn_only_where_every_place_is_known(retinotopy):
    titles = {axes.get_title() for axes in plot_population(retinotopy).axes}
    assert {"azimuth, N = 10", "elevation, N = 10"} <= titles
    retinotopy.neurons.loc[0, "x_um"] = np.nan
    titles = {axes.get_title() for axes in plot_population(retinotopy).axes}
    assert not any("azimuth" in title for title in titles)


def test_cortex_is_colored_by_where_neurons_look(retinotopy):
    points = plot_cortex(retinotopy, "elevation").collections[0]
    np.testing.assert_allclose(points.get_array(), retinotopy.neurons["y_deg"])
    np.testing.assert_allclose(points.get_offsets(), retinotopy.neurons[["x_um", "y_um"]])
