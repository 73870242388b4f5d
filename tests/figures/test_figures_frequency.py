"""Frequency figures show the responses, fits, peaks and tests of the result."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from insilico.errors import NotFittedError
from insilico.experiments import find_experiment, read_protocol
from insilico.figures.frequency import (
    default_rows,
    plot_bandwidths,
    plot_curve,
    plot_gallery,
    plot_population,
    plot_preferred,
    plot_preferred_pairs,
    plot_speed_exponents,
    plot_surface,
)
from insilico.results import Responses
from insilico.screen import Screen

SPATIAL, TEMPORAL = np.array([0.015, 0.03, 0.06, 0.12]), np.array([0.5, 1.0, 2.0, 4.0, 8.0])


def frequency_result(peaks, *, temporal=TEMPORAL, noise=0.0):
    """Neurons with Gaussian surfaces about (cycles per degree, Hz); None is a silent one."""
    grid = np.stack(np.meshgrid(SPATIAL, temporal, indexing="ij"), axis=-1).reshape(-1, 2)
    shown = np.tile(np.arange(len(grid)), 4)
    axes_count = 2 if len(temporal) > 1 else 1
    rates = np.zeros((len(grid), len(peaks)))
    for neuron, peak in enumerate(peaks):
        if peak is not None:
            octaves = np.log2(grid[:, :axes_count] / np.array(peak[:axes_count]))
            rates[:, neuron] = np.exp(-0.5 * (octaves**2).sum(axis=1))
    noises = noise * np.random.default_rng(0).standard_normal((len(shown), len(peaks), 90))
    names = ["spatial_frequency_cpd", "temporal_frequency_hz"]
    conditions = pd.DataFrame(grid[shown], columns=names)
    conditions = conditions.assign(trial=np.arange(len(shown)), onset_frame=30)
    count = len(peaks)
    neurons = pd.DataFrame(
        {"mouse": "m", "neuron": range(count), "neuron_id": range(count), "kind": "neuron"}
    )
    values = rates[shown][:, :, None] * (np.arange(90) >= 30) + noises
    axes = ("trial", "neuron", "frame")
    responses = Responses(values, neurons, conditions, axes=axes, has_trial_noise=noise > 0)
    question = find_experiment("frequency")
    protocol = read_protocol(question.protocol_type, None, experiment="frequency")
    return question.analyze(responses, protocol, screen=Screen())


PEAKS = [(0.03, 2.0), (0.05, 1.0), (0.04, 4.0), (0.06, 2.5), None, (0.4, 2.0)]


@pytest.fixture(scope="module")
def noisy():
    return frequency_result(PEAKS, noise=0.1)


@pytest.fixture(scope="module")
def spatial_only():
    return frequency_result(PEAKS, temporal=np.zeros(1))


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_heat_map_peak_and_contours_are_those_of_the_result(noisy):
    axes = plot_surface(noisy, 1)
    surface = noisy.arrays["response"].sel(neuron=1)
    np.testing.assert_allclose(axes.collections[0].get_array(), surface.T)
    x, y = lines_of(axes)["peak"].get_data()
    row = noisy.neurons.iloc[1]
    assert x[0] == row["preferred_spatial_frequency_cpd"]
    assert y[0] == row["preferred_temporal_frequency_hz"]
    contour = axes.collections[1].get_paths()[-1].vertices.mean(axis=0)
    assert np.log2(contour[0] / row["fitted_spatial_frequency_cpd"]) == pytest.approx(0, abs=0.15)


def test_a_neuron_without_a_peak_shows_its_responses_and_says_why():
    axes = plot_surface(frequency_result([(0.03, 2.0), None]), 1)
    assert "peak" not in lines_of(axes)
    assert "flat" in axes.get_title()


def test_curve_of_still_gratings_has_no_errors_without_noise(spatial_only):
    lines = lines_of(plot_curve(spatial_only, 0))
    curve = spatial_only.arrays["response"].sel(neuron=0).to_numpy()[:, 0]
    np.testing.assert_allclose(lines["mean response"].get_ydata(), curve)
    fitted = lines["Gaussian fit"]
    top = fitted.get_xdata()[fitted.get_ydata().argmax()]
    assert top == pytest.approx(spatial_only.neurons["fitted_spatial_frequency_cpd"][0], rel=0.05)


def test_gallery_shows_measured_neurons_and_refuses_others(noisy, spatial_only):
    assert set(default_rows(noisy.neurons)) == set(np.flatnonzero(noisy.neurons["status"] == "ok"))
    for result in (noisy, spatial_only):
        assert isinstance(plot_gallery(result, [0]), Figure)
    with pytest.raises(NotFittedError, match="not neuron 17"):
        plot_gallery(noisy, [17])


def test_numbers_in_the_population_are_those_of_the_table(noisy):
    ok = (noisy.neurons["status"] == "ok").sum()
    rows = noisy.tables["population"].set_index("quantity")
    axes = plot_preferred(noisy, "spatial_frequency_cpd")
    assert f"N = {ok}" in axes.get_title()
    assert f"median {rows.loc['preferred_spatial_frequency_cpd', 'value']:.2g}" in axes.get_xlabel()
    label = plot_preferred_pairs(noisy).get_xlabel()
    assert f"p = {rows.loc['correlation of the preferred frequencies', 'p_value']:.2g}" in label
    label = plot_speed_exponents(noisy).get_xlabel()
    assert f"p = {rows.loc['speed_exponent', 'p_value']:.2g}" in label
    assert "never fall to half" in plot_bandwidths(noisy).get_xlabel()


@pytest.mark.parametrize("peaks", [[None], [(0.03, 2.0)], [None, (0.4, 2.0)]])
@pytest.mark.parametrize("temporal", [TEMPORAL, np.zeros(1)])
def test_population_of_few_or_silent_neurons_draws(peaks, temporal):
    result = frequency_result(peaks, temporal=temporal)
    assert isinstance(plot_population(result), Figure)
    assert isinstance(plot_gallery(result), Figure)
