"""The figure of an evaluation shows the numbers of its tables, for one mouse or many."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from insilico.errors import NotFittedError
from insilico.figures import draw, figure_names
from insilico.figures.evaluation import (
    first_repeated,
    plot_by_tier,
    plot_explained,
    plot_oracle,
    plot_performance,
)
from insilico.figures.style import style
from insilico.results import Result
from insilico.statistics.performance import fraction_oracle
from insilico.training.summary import METRICS, summarize

GROUPS = [("validation", "movie", 60), ("live_main", "movie", 58), ("live_bonus", "pink_noise", 80)]


def make_result(mice=("A",), *, neuron_count=200, groups=GROUPS, has_repeats=True):
    rng = np.random.default_rng(0)
    tables = []
    for number, mouse in enumerate(mice):
        oracle = rng.beta(2, 3, neuron_count)
        for place, (tier, kind, trials) in enumerate(groups):
            r = (0.9 - 0.1 * place - 0.05 * number) * oracle + 0.05 * rng.normal(size=neuron_count)
            table = pd.DataFrame(
                {
                    "mouse": mouse,
                    "tier": tier,
                    "stimulus_type": kind,
                    "neuron": np.arange(neuron_count),
                    **dict.fromkeys(METRICS, 0.5),
                    "single_trial_correlation": 0.8 * r,
                    "correlation": r,
                    "oracle": oracle,
                    "fev": oracle,
                    "feve": 1 - (1 - r) ** 2,
                    "is_explainable": oracle >= 0.15,
                    "trial_count": trials,
                    "status": "ok",
                }
            )
            if not has_repeats:
                table[["oracle", "fev", "feve"]] = np.nan
                table["is_explainable"] = False
            tables.append(table)
    neurons = pd.concat(tables, ignore_index=True)
    protocol = {"minimum_fev": 0.15, "confidence": 0.95}
    summary = summarize(neurons)
    tables = {"neurons": neurons, "summary": summary}
    return Result("evaluation", tables, xr.Dataset(), protocol, {})


@pytest.fixture(scope="module")
def two_mice():
    return make_result(("A", "mouse-2"))


def test_evaluation_has_one_figure_that_redraws_from_disk(two_mice, tmp_path):
    assert figure_names(two_mice) == ("performance",)
    figure = draw(Result.load(two_mice.save(tmp_path / "evaluation")), "performance")
    for suffix in ("png", "pdf"):
        with style(), io.BytesIO() as file:
            figure.savefig(file, format=suffix, dpi=50)
            assert file.tell() > 1000


@pytest.mark.parametrize("mice", [["A"], list("ABC"), list("ABCDEFGHIJ")])
@pytest.mark.parametrize("neuron_count", [1, 3, 50])
def test_figure_of_any_number_of_mice_and_neurons_draws(mice, neuron_count):
    figure = plot_performance(make_result(mice, neuron_count=neuron_count))
    assert len(figure.axes) == 3
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    with style(), io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=40)
        assert file.getvalue().startswith(b"\x89PNG")


def test_dots_and_lines_are_the_means_and_intervals_of_the_summary(two_mice):
    axes = plot_by_tier(two_mice)
    summary = two_mice.tables["summary"]
    expected = summary[
        (summary["metric"] == "single_trial_correlation") & (summary["mouse"] != "all mice")
    ]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(
        sorted(float(dot.get_ydata()[0]) for dot in dots), sorted(expected["mean"])
    )
    spans = [line.get_ydata() for line in axes.lines if line.get_linewidth() == 1.2]
    np.testing.assert_allclose(
        sorted(map(tuple, spans)), sorted(zip(expected["ci_low"], expected["ci_high"], strict=True))
    )
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["validation\nmovie", "live main\nmovie", "live bonus\npink noise"]
    assert axes.get_title() == "400 neurons; mean with 95% interval over neurons"
    assert axes.get_ylabel() == "single-trial correlation"


def test_slope_is_the_fraction_of_the_oracle(two_mice):
    axes = plot_oracle(two_mice)
    table = two_mice.neurons[two_mice.neurons["tier"] == "validation"]
    lines = axes.lines[-2:]
    names = {"A": "mouse A", "mouse-2": "mouse-2"}
    for (mouse, name), line in zip(names.items(), lines, strict=True):
        part = table[table["mouse"] == mouse]
        expected = fraction_oracle(part["correlation"], part["oracle"])
        x, y = line.get_xydata()[1]
        assert y / x == pytest.approx(expected)
        assert line.get_label() == f"{name}: slope {expected:.2f}"
    points = np.concatenate([points.get_offsets() for points in axes.collections])
    np.testing.assert_allclose(points, table[["oracle", "correlation"]])
    low, high = axes.get_xlim()
    assert (low, high) == axes.get_ylim()
    assert low <= points.min() <= points.max() <= high


def test_group_with_first_repeated_trials_is_drawn_unless_another_is_named(two_mice):
    assert first_repeated(two_mice) == ("validation", "movie")
    assert plot_oracle(two_mice).get_title() == "validation, movie; N = 400"
    other = plot_oracle(two_mice, group=("live_bonus", "pink_noise"))
    assert other.get_title() == "live bonus, pink noise; N = 400"
    unrepeated = two_mice.neurons.assign(
        oracle=two_mice.neurons["oracle"].where(two_mice.neurons["tier"] != "validation")
    )
    tables = {**two_mice.tables, "neurons": unrepeated}
    assert first_repeated(dataclasses.replace(two_mice, tables=tables)) == ("live_main", "movie")
    with pytest.raises(NotFittedError, match="no test, movie; it has validation, movie; live_main"):
        plot_oracle(two_mice, group=("test", "movie"))


def test_explained_variance_counts_explainable_neurons_only():
    result = make_result()
    axes = plot_explained(result)
    table = result.neurons[result.neurons["tier"] == "validation"]
    counted = int(table["is_explainable"].sum())
    assert counted < 200
    assert f"{counted} of 200 neurons have FEV ≥ 0.15" in axes.get_xlabel()
    assert sum(axes.patches[-1].get_data().values) == counted


def test_evaluation_without_repeats_has_its_top_panel_only():
    result = make_result(has_repeats=False)
    assert len(plot_performance(result).axes) == 1
    with pytest.raises(NotFittedError, match="no stimulus of this evaluation was repeated"):
        plot_oracle(result)


def test_model_without_any_correlation_still_draws():
    result = make_result()
    neurons = result.neurons.assign(correlation=np.nan, single_trial_correlation=np.nan)
    tables = {"neurons": neurons, "summary": summarize(neurons)}
    figure = plot_performance(dataclasses.replace(result, tables=tables))
    with style(), io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=40)
        assert file.getvalue().startswith(b"\x89PNG")
