"""Galleries draw the chosen neurons once each, with shared labels and one legend."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.figures.galleries import (
    draw_gallery,
    gallery_rows,
    neuron_title,
    plot_means,
    ranked_rows,
    show_zero,
    spread_over_ranks,
)
from insilico.results import Result


def result_of(count):
    table = pd.DataFrame({"neuron": 10 + np.arange(count), "status": "ok"})
    return Result("size", {"neurons": table}, None, {}, {})


def draw_one(result, neuron, axes):
    axes.plot([0, 1], [0, neuron], label="line")
    axes.set(title=str(neuron), xlabel="own", ylabel="own")
    return axes


def gallery(count, **options):
    result = result_of(count)
    labels = {"xlabel": "shared x", "ylabel": "shared y", "panel_height_in": 1.0}
    return draw_gallery(result, np.arange(count), draw_one, **labels, **options)


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_gallery_has_a_panel_a_neuron_and_labels_for_all(count):
    figure = gallery(count)
    assert [axes.get_title() for axes in figure.axes] == [str(10 + n) for n in range(count)]
    assert {axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes} == {""}
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("shared x", "shared y")
    assert figure.legends == []


def test_legend_names_what_all_panels_share_once():
    legend = gallery(6, legend_columns=4).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["line"]


def test_gallery_of_strangers_or_of_nobody_is_refused():
    with pytest.raises(NotFittedError, match="not neuron 3"):
        gallery_rows(result_of(2), [3], np.arange(2))
    with pytest.raises(NotFittedError, match="name at least one"):
        gallery_rows(result_of(2), [], np.arange(2))
    assert list(gallery_rows(result_of(2), [11, 10], np.arange(2))) == [1, 0]


def test_ranked_rows_are_those_with_status_ok_unless_there_are_none():
    table = pd.DataFrame({"status": ["ok", "silent", "ok"], "value": [0.1, 0.9, 0.5]})
    assert list(ranked_rows(table, "value")) == [2, 0]
    assert list(ranked_rows(table, "value", count=1)) == [2]
    assert list(ranked_rows(table.assign(status="silent"), "value")) == [1, 2, 0]


def test_spread_covers_best_and_worst_and_puts_missing_values_last():
    values = np.array([0.2, 0.9, np.nan, 0.5, 0.1])
    assert list(values[spread_over_ranks(values[[0, 1, 3, 4]], 2)[:1]]) == [0.9]
    chosen = spread_over_ranks(values, 3)
    assert chosen[0] == 1
    assert chosen[-1] == 2
    assert len(spread_over_ranks(values, 12)) == 5


def test_spread_never_repeats_a_neuron():
    for count in range(1, 14):
        chosen = spread_over_ranks(np.arange(13.0), count)
        assert len(set(chosen)) == count


def test_error_bars_are_drawn_only_where_errors_are_known():
    bare, with_errors = Figure().subplots(2)
    plot_means(bare, [0, 1], [2, 3], None)
    assert bare.containers == []
    plot_means(with_errors, [0, 1], [2, 3], [0.5, 1.0])
    bars = with_errors.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([np.ptp(bar[:, 1]) for bar in bars], [1.0, 2.0])


@pytest.mark.parametrize("values", [(2, 3), (-3, -2), (-1, 1)])
def test_axis_of_responses_holds_zero_and_all_values(values):
    axes = Figure().subplots()
    axes.plot(values)
    show_zero(axes)
    low, high = axes.get_ylim()
    assert low <= min(0, *values)
    assert high >= max(0, *values)


@pytest.mark.parametrize(
    ("status", "facts", "title"),
    [
        ("ok", ("OSI 0.5", ""), "neuron 7\nOSI 0.5"),
        ("at_bound", (), "neuron 7 · at bound"),
        ("at_bound", ("a", "b"), "neuron 7 · at bound\na · b"),
    ],
)
def test_title_names_the_neuron_its_status_and_what_is_known(status, facts, title):
    assert neuron_title(pd.Series({"neuron": 7, "status": status}), *facts) == title
