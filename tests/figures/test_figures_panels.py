"""Histograms that count everybody, points, medians, status bars and round degrees."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from insilico.figures.maps import label_degrees, round_degrees
from insilico.figures.panels import (
    draw_identity,
    median_text,
    plot_histogram,
    plot_points,
    plot_status,
    upper_limit,
)
from insilico.screen import Screen


def counts_of(axes):
    """Totals of the outlines; each histogram is a filled shape and an outline."""
    return [patch.get_data().values.sum() for patch in axes.patches[1::2]]


def histogram(groups, **options):
    axes = Figure().subplots()
    plot_histogram(axes, groups, bin_count=10, title="size", xlabel="size (deg)", **options)
    return axes


def test_histogram_counts_all_values_but_missing_ones():
    axes = histogram({"size": [0.1, 0.5, np.nan, 0.9, np.inf]}, limits=(0, 1))
    assert counts_of(axes) == [3]
    assert axes.get_title() == "size, N = 3"
    assert axes.get_xlabel() == "size (deg)"


def test_values_beyond_the_axis_are_counted_in_the_last_bin_and_reported():
    axes = histogram({"size": [0.1, 0.5, 3.0, 7.0]}, limits=(0, 1))
    assert counts_of(axes) == [4]
    assert axes.patches[1].get_data().values[-1] == 2
    assert "2 beyond, in the outermost bins" in axes.get_xlabel()


def test_several_groups_have_their_numbers_in_the_legend_and_share_bins():
    axes = histogram({"major": [0.1, 0.2], "minor": [0.3]}, limits=(0, 1), remark="by eye")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "major, N = 2",
        "minor, N = 1",
    ]
    np.testing.assert_array_equal(*(patch.get_data().edges for patch in axes.patches[1::2]))
    assert axes.get_xlabel().endswith("\nby eye")


def test_histogram_of_nothing_says_so():
    assert histogram({"size": [np.nan]}, limits=(0, 1)).get_title() == "size, N = 0"


def test_axis_leaves_out_the_widest_half_percent_only():
    values = np.append(np.full(999, 3.0), 1000.0)
    assert upper_limit(values, step=2) == 4
    assert upper_limit([np.nan], step=2) == 2


def test_status_bars_count_every_neuron(retinotopy):
    retinotopy.tables["neurons"]["status"] = ["silent"] * 3 + ["ok"] * 2 + ["at_bound"] * 5
    axes = plot_status(retinotopy, Figure().subplots())
    assert [bar.get_width() for bar in axes.patches] == [2, 5, 3]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ok", "at bound", "silent"]
    assert [text.get_text() for text in axes.texts] == ["2 (20.0%)", "5 (50.0%)", "3 (30.0%)"]


def test_triangles_stand_at_the_medians_in_the_colors_of_the_groups():
    axes = histogram({"a": [0.1, 0.2], "b": [0.7]}, limits=(0, 1), medians=[0.15, 0.7])
    assert [line.get_xdata()[0] for line in axes.lines] == [0.15, 0.7]
    outlines = [patch.get_edgecolor()[:3] for patch in axes.patches[1::2]]
    assert [to_rgb(line.get_color()) for line in axes.lines] == outlines


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((np.nan, np.nan, np.nan), "no neuron"),
        ((0.5, np.nan, np.nan), "median 0.50"),
        ((0.5, 0.25, 1.0), "median 0.50 [0.25, 1.00]"),
    ],
)
def test_median_is_written_with_its_interval_as_far_as_known(row, text):
    assert median_text(dict(zip(("median", "ci_low", "ci_high"), row, strict=True))) == text


def test_errors_of_points_lie_along_their_own_axes():
    axes = Figure().subplots()
    plot_points(axes, [1.0], [2.0], errors=([0.1], [0.5]))
    across, along = axes.containers[0].lines[2]
    np.testing.assert_allclose(np.ptp(across.get_segments()[0], axis=0), [0.2, 0])
    np.testing.assert_allclose(np.ptp(along.get_segments()[0], axis=0), [0, 1.0])
    np.testing.assert_allclose(axes.collections[-1].get_offsets(), [[1.0, 2.0]])


def test_identity_line_runs_from_corner_to_corner():
    axes = Figure().subplots()
    draw_identity(axes, -1, 3)
    assert axes.get_xlim() == axes.get_ylim() == (-1, 3)
    assert axes.get_aspect() == 1
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[-1, -1], [3, 3]])


@pytest.mark.parametrize("low", [-47.3, -3.1, 0.0, 21.8])
@pytest.mark.parametrize("width", [4.0, 33.0, 75.0, 124.0])
def test_round_degrees_lie_within_and_are_few(low, width):
    ticks = round_degrees(low, low + width, 4)
    assert 1 <= len(ticks) <= 4
    assert ticks.min() >= low
    assert ticks.max() <= low + width


def test_degrees_stand_on_the_pixels_where_they_belong():
    screen = Screen()
    axes = Figure().subplots()
    axes.set(xlim=(-0.5, 63.5), ylim=(35.5, -0.5))
    label_degrees(axes, screen)
    for tick, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        written = float(text.get_text().replace("\N{MINUS SIGN}", "-"))
        assert screen.position_deg(tick, 0)[0] == pytest.approx(written)
    for tick, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        written = float(text.get_text().replace("\N{MINUS SIGN}", "-"))
        assert screen.position_deg(0, tick)[1] == pytest.approx(written)
    # Elevation rises upward: towards lower rows of the image.
    assert np.all(np.diff(axes.get_yticks()) < 0)
