"""Figures of similarity draw the tables, and hold up where there is little to draw."""

import dataclasses

import numpy as np
import pytest

from insilico.errors import NotFittedError
from insilico.figures.similarity import (
    plot_columns,
    plot_gallery,
    plot_neighbors,
    plot_population,
    plot_similarity,
)
from insilico.figures.similarity_cortex import plot_cortex, plot_preference_map
from insilico.results import Result


@pytest.fixture
def similarity(result_folders):
    return Result.load(result_folders["similarity", "movie"])


def test_lines_are_the_means_of_every_depth_difference(similarity):
    axes = plot_similarity(similarity, "direction_similarity")
    table = similarity.tables["pairs"]
    table = table[(table["measure"] == "direction_similarity") & (table["pair_count"] > 0)]
    apart = table[~table["is_pooled"]]
    drawn = {bars.get_label(): bars.lines[0].get_ydata(orig=False) for bars in axes.containers}
    assert len(drawn) == apart["vertical_low_um"].nunique()
    for low, line in apart.groupby("vertical_low_um"):
        label = f"{low:g}\N{EN DASH}{line['vertical_high_um'].iloc[0]:g}"
        np.testing.assert_allclose(drawn[label], line["mean"])
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted[0].get_ydata()[0] == pytest.approx(table["chance"].iloc[0])


def test_larger_depth_differences_are_lighter(similarity):
    axes = plot_similarity(similarity, "direction_similarity")
    lightness = [np.mean(bars.lines[0].get_color()[:3]) for bars in axes.containers]
    assert (np.diff(lightness) > 0).all()


def test_stars_are_where_the_table_has_them(similarity):
    population = similarity.tables["population"].copy()
    is_shuffle = population["test"] == "shuffled_places"
    first = is_shuffle & (population["measure"] == "orientation_similarity")
    population.loc[is_shuffle, "q_value"] = 1.0
    columns = similarity.tables["columns"].fillna({"mean": 0.0})
    population.loc[population.index[first][1], "q_value"] = 0.01
    tables = {**similarity.tables, "population": population, "columns": columns}
    axes = plot_columns(dataclasses.replace(similarity, tables=tables))
    stars = [text for text in axes.texts if text.get_text() == "*"]
    assert len(stars) == 1
    assert stars[0].xy[0] == pytest.approx(1, abs=0.4)


def test_neighbors_are_drawn_beside_their_neuron(similarity):
    neurons = similarity.neurons
    arrays = similarity.arrays.copy(deep=True)
    arrays["neighbor_row"].values[0] = [3, 5] + [-1] * 6
    arrays["neighbor_direction_similarity"].values[0] = [0.5, -0.5] + [np.nan] * 6
    result = dataclasses.replace(similarity, arrays=arrays)
    axes = plot_neighbors(result, int(neurons["neuron"].iloc[0]))
    shape = arrays["curve_shape"].to_numpy()
    for line, row in zip(axes.lines, (3, 5, 0), strict=True):
        np.testing.assert_allclose(line.get_ydata(), shape[row])


def test_maps_show_the_selected_neurons_where_they_are(similarity):
    axes = plot_preference_map(similarity)
    selected = similarity.neurons[similarity.neurons["is_selected"]]
    places = axes.collections[0].get_offsets()
    np.testing.assert_allclose(places, selected[["x_um", "y_um"]])
    assert "µm" in axes.texts[0].get_text()


@pytest.mark.parametrize("plot", [plot_gallery, plot_population, plot_cortex])
def test_a_population_without_a_selected_neuron_can_be_drawn(similarity, plot):
    neurons = similarity.neurons.assign(
        status="not_selective", is_selected=False, neighbor_orientation_similarity=np.nan
    )
    pairs = similarity.tables["pairs"].assign(pair_count=0, mean=np.nan, standard_error=np.nan)
    fits = similarity.tables["fits"].assign(status="too_few_distances")
    tables = {**similarity.tables, "neurons": neurons, "pairs": pairs, "fits": fits}
    assert plot(dataclasses.replace(similarity, tables=tables)).axes


def test_a_neuron_that_is_not_there_is_refused(similarity):
    with pytest.raises(NotFittedError, match="99"):
        plot_gallery(similarity, [99])
