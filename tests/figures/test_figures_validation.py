"""Planted against recovered: one panel a quantity, angles on their circle."""

import numpy as np
import pandas as pd
import pytest

from insilico.errors import NotFittedError
from insilico.figures.validation import period_of, plot_beside, plot_validation, wrap_to
from insilico.results import Result


def rows_of(quantity, planted, recovered, *, kind="image", cell_class="simple"):
    return pd.DataFrame(
        {
            "kind": kind,
            "cell_class": cell_class,
            "quantity": quantity,
            "neuron": np.arange(len(planted)),
            "planted": planted,
            "recovered": recovered,
        }
    )


def points_of(axes, label):
    (points,) = (group for group in axes.collections if group.get_label() == label)
    return np.asarray(points.get_offsets())


def test_points_are_the_planted_and_recovered_values_by_class_and_kind():
    rows = pd.concat(
        [
            rows_of("x_px", [1.0, 2.0], [1.1, 2.1]),
            rows_of("x_px", [3.0, 4.0], [3.1, np.nan], kind="movie", cell_class="energy"),
        ]
    )
    (axes,) = plot_validation(rows).axes
    np.testing.assert_allclose(points_of(axes, "simple, image"), [[1, 1.1], [2, 2.1]])
    np.testing.assert_allclose(points_of(axes, "energy, movie"), [[3, 3.1]])
    assert axes.get_title() == "x (px)\nN = 3"


def test_identity_line_spans_the_panel():
    (axes,) = plot_validation(rows_of("osi", [0.1, 0.9], [0.2, 0.8])).axes
    x, y = axes.lines[0].get_data()
    assert list(x) == list(y)
    assert axes.get_xlim() == axes.get_ylim() == (x[0], x[-1])


def test_every_quantity_has_a_panel_in_order():
    names = ["x_px", "sigma_major_px", "preferred_direction_deg", "osi", "dsi", "f1_f0"]
    rows = pd.concat([rows_of(name, [0.1, 0.2], [0.1, 0.2]) for name in names])
    titles = [" ".join(axes.get_title().split("\n")[:-1]) for axes in plot_validation(rows).axes]
    assert titles == [
        "x (px)",
        "sigma major (px)",
        "preferred direction (deg)",
        "OSI",
        "DSI",
        "f1 f0",
    ]


@pytest.mark.parametrize(
    ("quantity", "planted", "recovered", "drawn"),
    [
        ("preferred_direction_deg", 359.0, 1.0, 361.0),
        ("preferred_direction_deg", 2.0, 358.0, -2.0),
        ("fitted_orientation_deg", 178.0, 1.0, 181.0),
        ("x_px", 2.0, 358.0, 358.0),
    ],
)
def test_angles_are_drawn_near_the_planted_ones(quantity, planted, recovered, drawn):
    wrapped = wrap_to(np.array([recovered]), np.array([planted]), period_deg=period_of(quantity))
    assert wrapped[0] == pytest.approx(drawn)


def test_angles_of_neurons_that_hardly_prefer_any_are_gray():
    rows = pd.concat(
        [
            rows_of("dsi", [0.1, 0.5], [0.1, 0.5]),
            rows_of("preferred_direction_deg", [10.0, 20.0], [100.0, 20.0]),
        ]
    )
    _, axes = plot_validation(rows, selective=0.3).axes
    np.testing.assert_allclose(points_of(axes, "simple, image"), [[20, 20]])
    np.testing.assert_allclose(points_of(axes, "planted index below 0.3"), [[10, 100]])


def test_what_is_said_of_angles_is_no_angle():
    assert period_of("direction_similarity_length_um") is None
    rows = pd.concat(
        [
            rows_of("osi", [0.1], [0.1]),
            rows_of("orientation_similarity_at_distance", [0.3], [-0.2]),
        ]
    )
    _, axes = plot_validation(rows).axes
    np.testing.assert_allclose(points_of(axes, "simple, image"), [[0.3, -0.2]])


def test_long_titles_are_broken_before_they_meet():
    quantity = "preferred_temporal_frequency_hz"
    (axes,) = plot_validation(rows_of(quantity, [1.0, 2.0], [1.0, 2.0])).axes
    assert axes.get_title() == "preferred temporal\nfrequency (Hz)\nN = 2"


def test_nothing_to_draw_is_refused():
    with pytest.raises(NotFittedError, match="validate first"):
        plot_validation(rows_of("osi", [], []))


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_neurons_stand_above_their_twin(result_folders, kind):
    results = {
        name: Result.load(result_folders[name, kind]) for name in ("retinotopy", "direction")
    }
    figure = plot_beside(results, results)
    panels = np.array(figure.axes).reshape(4, -1)
    assert panels.shape == (4, 4)
    labels = [axes.get_ylabel().split("\n")[0] for axes in panels[:, 0]]
    assert labels == ["neuron", "twin"] * 2
    for upper, lower in ((0, 1), (2, 3)):
        assert [a.get_title() for a in panels[upper]] == [a.get_title() for a in panels[lower]]
    assert len(plot_beside(results, results, neurons=[3]).axes) == 4
    with pytest.raises(NotFittedError, match="99"):
        plot_beside(results, results, neurons=[99])
