"""Figures of size tuning show what the tables hold."""

import numpy as np
import pytest

from insilico.errors import NotFittedError
from insilico.figures.size import (
    default_rows,
    plot_curves,
    plot_gallery,
    plot_inverse_tuning,
    plot_mean_curves,
    plot_population,
    plot_preferred_sizes,
)
from insilico.results import Result


@pytest.fixture(params=["image", "movie"])
def size(result_folders, request):
    return Result.load(result_folders["size", request.param])


def labeled(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def test_line_is_the_fit_and_the_triangle_stands_at_its_peak(size):
    table = size.neurons
    row = int(np.flatnonzero(table["status"] == "ok")[0])
    axes = plot_curves(size, int(table["neuron"].iloc[row]))
    diameter_deg, fitted = labeled(axes, "classical, fit").get_data()
    preferred = table["preferred_size_deg"].iloc[row]
    assert diameter_deg[np.argmax(fitted)] == pytest.approx(preferred, abs=0.5)
    assert labeled(axes, "classical, preferred").get_xdata()[0] == pytest.approx(preferred)
    baseline = float(size.arrays["baseline"][row])
    assert fitted[0] == pytest.approx(baseline, abs=1e-6)
    assert fitted.max() - baseline == pytest.approx(table["peak_response"].iloc[row], rel=1e-3)


def test_points_are_the_responses_at_the_sizes_drawn_and_bars_are_named(size):
    row = int(np.flatnonzero(size.neurons["status"] == "ok")[0])
    axes = plot_curves(size, int(size.neurons["neuron"].iloc[row]))
    _, labels = axes.get_legend_handles_labels()
    assert "classical ± SD over phases" in labels
    points = axes.containers[0].lines[0]
    np.testing.assert_allclose(points.get_xdata(), size.arrays["shown_diameter_deg"])
    np.testing.assert_allclose(points.get_ydata(), size.arrays["response"][row, 0])


def test_neuron_without_a_fit_is_drawn_with_its_status(size):
    lost = size.neurons.index[size.neurons["status"] == "no_receptive_field"]
    axes = plot_curves(size, int(size.neurons["neuron"].iloc[lost[0]]))
    assert "no receptive field" in axes.get_title()
    assert not [line for line in axes.get_lines() if "fit" in str(line.get_label())]


def test_gallery_shows_those_with_holes_first_and_refuses_strangers(size):
    rows = default_rows(size.neurons)
    holes = size.neurons["is_hole_responsive"].to_numpy()[rows]
    assert len(set(rows)) == len(rows)
    assert list(holes) == sorted(holes, reverse=True)
    with pytest.raises(NotFittedError, match="not neuron 99"):
        plot_gallery(size, [99])


def test_mean_curves_are_those_of_the_table(size):
    axes = plot_mean_curves(size, "all")
    curves = size.tables["population_curves"].query("group == 'all' and arrangement == 'center'")
    drawn = axes.containers[0].lines[0]
    np.testing.assert_allclose(drawn.get_ydata(), curves["mean"].to_numpy(float))
    assert axes.get_title() == f"all fitted, N = {int(curves['count'].max())}"


def test_tests_in_the_figure_are_rows_of_the_table(size):
    population = size.tables["population"].set_index("comparison")
    sizes = population.loc["preferred size (deg), inverse - classical, hole-responsive"]
    label = plot_preferred_sizes(size).get_xlabel()
    if sizes["status"] == "no_data":
        assert "p =" not in label
    else:
        assert f"p = {sizes['p_value']:.2g}, N = {sizes['first_count']}" in label
        assert f"{sizes['effect']:+.2g} deg" in label
    assert "0 disc, 1 hole" in plot_inverse_tuning(size).get_xlabel()


def test_population_of_nobody_still_draws(size):
    table = size.neurons.assign(status="no_receptive_field", is_hole_responsive=False)
    table["preferred_size_deg"] = np.nan
    tables = {**size.tables, "neurons": table}
    nobody = Result("size", tables, size.arrays, size.protocol, size.provenance)
    figure = plot_population(nobody)
    assert any("N = 0" in axes.get_title() for axes in figure.axes)
    assert plot_gallery(nobody).axes
