"""Onset figures show the traces, latencies and tests of the result."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.experiments import find_experiment, read_protocol
from insilico.figures.onset import (
    default_rows,
    plot_difference,
    plot_gallery,
    plot_latencies,
    plot_latencies_against_each_other,
    plot_mean_traces,
    plot_population,
    plot_trace,
)
from insilico.results import Responses
from insilico.screen import Screen

TIME_S = np.arange(-15, 30) / 30
SHOWN = np.tile(np.arange(2), 24)


def onset_result(height, *, noise):
    """Neurons that answer a disc after 0.1 s and a hole after 0.15 s, by as much as is said."""
    height = np.asarray(height, float)
    rise = np.clip((TIME_S - np.array([[0.1], [0.15]])) / 0.2, 0, 1)
    values = (height[..., None] * rise)[:, SHOWN].swapaxes(0, 1)
    values = values + noise * np.random.default_rng(0).standard_normal(values.shape)
    conditions = pd.DataFrame(
        {
            "trial": np.arange(len(SHOWN)),
            "onset_frame": 15,
            "arrangement": np.array(["center", "inverse"])[SHOWN],
            "phase_deg": np.arange(len(SHOWN)) // 2 % 4 * 90.0,
        }
    )
    count = len(height)
    neurons = pd.DataFrame(
        {"mouse": "m", "neuron": range(count), "neuron_id": range(count), "kind": "neuron"}
    )
    axes = ("trial", "neuron", "frame")
    responses = Responses(values, neurons, conditions, axes=axes, has_trial_noise=noise > 0)
    question = find_experiment("onset")
    protocol = read_protocol(question.protocol_type, None, experiment="onset")
    return question.analyze(responses, protocol, screen=Screen())


@pytest.fixture(scope="module")
def noisy():
    return onset_result([[1, 1], [2, 1], [1, 0], [0, 0], [1, 0.8]], noise=0.05)


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_traces_and_latencies_are_those_of_the_result(noisy):
    axes = plot_trace(noisy, 1)
    lines = lines_of(axes)
    trace = noisy.arrays["trace"].sel(neuron=1, arrangement="inverse")
    np.testing.assert_allclose(lines["inverse (hole)"].get_xdata(), trace["time_s"])
    np.testing.assert_allclose(lines["inverse (hole)"].get_ydata(), trace)
    row = noisy.neurons.iloc[1]
    x, y = lines["onset, inverse (hole)"].get_data()
    assert (x[0], y[0]) == (row["inverse_latency_s"], row["inverse_threshold"])
    assert len(axes.collections) == 2  # One band of standard errors an arrangement.


def test_a_missing_latency_is_not_marked_and_the_title_says_why(noisy):
    axes = plot_trace(noisy, 2)
    assert "onset, inverse (hole)" not in lines_of(axes)
    assert "no response" in axes.get_title()


def test_the_spread_over_phases_is_not_drawn_as_an_error():
    assert not plot_trace(onset_result([[1, 1]], noise=0), 0).collections


def test_gallery_shows_neurons_with_both_latencies_first(noisy):
    assert set(default_rows(noisy.neurons)) == {0, 1, 4}
    assert isinstance(plot_gallery(noisy, [3]), Figure)
    with pytest.raises(NotFittedError, match="not neuron 9"):
        plot_gallery(noisy, [9])


def test_scatter_holds_the_neurons_with_both_latencies(noisy):
    axes = plot_latencies_against_each_other(noisy)
    points = axes.collections[-1].get_offsets()
    table = noisy.neurons[noisy.neurons["difference_s"].notna()]
    expected = 1000 * table[["center_latency_s", "inverse_latency_s"]].to_numpy()
    np.testing.assert_allclose(points, expected)
    assert "N = 3" in axes.get_title()


def test_the_test_in_the_figure_is_the_one_of_the_table(noisy):
    test = noisy.tables["population"].iloc[0]
    label = plot_difference(noisy).get_xlabel()
    assert f"signed rank p = {test['p_value']:.2g}" in label
    assert "too few" in label


def test_published_test_is_drawn_with_its_flaw(noisy):
    test = noisy.tables["population"].iloc[1]
    label = plot_latencies(noisy).get_xlabel()
    assert f"rank sum p = {test['p_value']:.2g}" in label
    assert "as published, samples overlap" in label


@pytest.mark.parametrize("height", [[[0, 0]], [[1, 0], [1, 0]], [[1, 1]]])
def test_population_of_few_or_silent_neurons_draws(height):
    result = onset_result(height, noise=0.05)
    assert isinstance(plot_population(result), Figure)
    assert plot_mean_traces(result).get_title().endswith(f"N = {int(np.all(height, axis=1).sum())}")
