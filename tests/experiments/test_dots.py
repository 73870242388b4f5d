"""Dots: centers are recovered from twins and from noisy recordings, and nobody is dropped."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import insilico
from insilico.errors import ProtocolError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.dots import STATUS, DotsProtocol
from insilico.results import Responses
from insilico.screen import Screen
from insilico.validation import summarize
from insilico.validation.dots import compare_dots

SCREEN = Screen()


def protocol(**values):
    return dataclasses.replace(read_protocol(DotsProtocol, None, experiment="dots"), **values)


@pytest.fixture(scope="module", params=["image", "movie"])
def measured(request):
    twin = insilico.SimulatedV1(request.param, simple_count=15, energy_count=15, seed=5)
    return twin, insilico.run("dots", twin, jobs=1)


def test_centers_are_recovered(measured):
    twin, result = measured
    summary = summarize(compare_dots(twin, result))
    assert summary["is_met"].all(), summary.to_string()


def test_energy_cells_answer_both_polarities_alike_and_simple_cells_do_not(measured):
    twin, result = measured
    energy = (twin.ground_truth["cell_class"] == "energy").to_numpy()
    np.testing.assert_allclose(result.neurons["polarity_index"][energy], 0, atol=0.02)
    signed = np.abs(result.arrays["signed_map"].to_numpy()).max(axis=(1, 2))
    combined = np.abs(result.arrays["combined_map"].to_numpy()).max(axis=(1, 2))
    assert np.all(signed[energy] < 0.05 * combined[energy])
    assert np.all(signed[~energy] > 0.3 * combined[~energy])


def test_a_noiseless_twin_gets_no_p_values(measured):
    _, result = measured
    assert not [name for name in result.neurons if name.endswith(("_p", "_q"))]
    assert set(result.neurons["error_source"]) == {"fit"}
    assert set(result.neurons["status"]) <= set(STATUS)
    assert set(result.tables["fits"]["map"]) == {"combined", "white", "black"}
    assert result.tables["latency"]["is_used"].sum() == 1


def test_movies_show_each_dot_between_gray_in_the_protocols_time():
    question = find_experiment("dots")
    values = protocol(spacing_px=8.0)
    stimuli = question.stimuli(values, SCREEN, "movie")
    frames = stimuli.render(range(1))[0].astype(int)
    is_gray = (frames == SCREEN.gray).all(axis=(1, 2))
    assert is_gray[:60].all()
    first = stimuli.conditions["onset_frame"][0]
    assert not is_gray[first : first + 9].any()
    assert is_gray[first + 9 : first + 18].all()
    counts = stimuli.conditions.groupby(["x_px", "y_px"])["polarity"].agg(["size", "sum"])
    assert (counts["size"] == 2).all()
    assert (counts["sum"] == 0).all()


def noisy(*, noise, repeats=8, neurons=30, seed=0, field=True):
    """Responses to three movies of dots; each neuron has a field, or none at all."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(14, 48, neurons), random.uniform(11, 25, neurons)
    rows, values = [], []
    movies = [
        (random.uniform(8, 55, 34), random.uniform(7, 28, 34), np.arange(34) % 2 * 2 - 1)
        for _ in range(3)
    ]
    for trial, movie in enumerate(random.permutation(np.arange(3).repeat(repeats))):
        dot_x, dot_y, polarity = movies[movie]
        distance = (dot_x[:, None] - x) ** 2 + (dot_y[:, None] - y) ** 2
        drive = field * np.exp(-distance / (2 * 25))
        trace = np.zeros((34 * 9 + 20, neurons))
        # A latency of four frames.
        trace[4 : 4 + 34 * 9] = drive.repeat(9, axis=0)
        values.append(2 + trace + noise * random.standard_normal(trace.shape))
        rows += [
            (trial, movie, 9 * slot, *dot)
            for slot, dot in enumerate(zip(dot_x, dot_y, polarity, strict=True))
        ]
    names = ["trial", "movie", "onset_frame", "x_px", "y_px", "polarity"]
    table = pd.DataFrame({"mouse": "m", "neuron": np.arange(neurons), "kind": "neuron"})
    responses = Responses(
        np.stack(values).transpose(0, 2, 1),
        table,
        pd.DataFrame(rows, columns=names).assign(radius_px=4.75),
        axes=("trial", "neuron", "frame"),
        source={"type": "recording"},
        has_trial_noise=True,
    )
    return responses, x, y


def analyze(responses, **values):
    recorded = read_protocol(
        DotsProtocol, "dots-recorded", experiment="dots", overrides={"shuffle_count": 199, **values}
    )
    return find_experiment("dots").analyze(responses, recorded, screen=SCREEN)


def test_noisy_trials_give_centers_errors_latency_and_tests():
    responses, x, y = noisy(noise=1.0)
    result = analyze(responses)
    table = result.neurons
    is_ok = (table["status"] == "ok").to_numpy()
    assert is_ok.mean() > 0.8
    error = np.hypot(table["x_px"] - x, table["y_px"] - y)[is_ok]
    assert np.median(error) < 1.5
    assert set(table["error_source"]) == {"halves"}
    assert table["x_px_se"][is_ok].between(0.05, 3).all()
    assert (table["responsive_q"][is_ok] <= 0.05).all()
    latency = result.tables["latency"].query("is_used")["latency_s"].item()
    assert latency == pytest.approx(4 / 30, abs=1.5 / 30)


def test_neurons_without_a_field_are_unresponsive_and_keep_their_row():
    responses, _, _ = noisy(noise=1.0, field=False, neurons=60)
    table = analyze(responses).neurons
    assert len(table) == 60
    assert (table["status"] == "unresponsive").mean() >= 0.95
    assert np.mean(table["responsive_p"] <= 0.05) <= 0.15


def test_a_latency_can_be_stated():
    responses, _, _ = noisy(noise=1.0, neurons=4)
    latency = analyze(responses, latency_s=0.1).tables["latency"]
    assert latency["latency_s"].tolist() == [pytest.approx(0.1)]


def test_silent_and_broken_neurons_keep_their_rows():
    responses, _, _ = noisy(noise=0.5, neurons=3)
    responses.values[:, 0] = 0
    responses.values[1, 1, 50] = np.nan
    table = analyze(responses).neurons
    assert table["status"].tolist() == ["silent", "not_finite", "ok"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"spacing_px": 0.0}, "spacing_px must be above 0"),
        ({"contrast": 1.5}, r"contrast lies in \(0, 1\]"),
        ({"latency_s": -0.1}, "latency_s must be 0 or more"),
        ({"maximum_q": 1.0}, r"maximum_q lies in \(0, 1\)"),
    ],
)
def test_values_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ProtocolError, match=message):
        protocol(**values)


def test_a_margin_that_leaves_no_grid_is_refused():
    with pytest.raises(ProtocolError, match="must leave two dots on each axis"):
        find_experiment("dots").stimuli(protocol(margin_px=17.0), SCREEN, "image")


def test_a_latency_chosen_by_few_neurons_makes_noise_no_more_significant():
    """One-frame windows tell most lags apart, so the best of them stands out by chance."""
    p_values = [
        analyze(
            noisy(noise=1.0, field=False, neurons=5, repeats=3, seed=seed)[0],
            shuffle_count=99,
            latest_s=0.65,
            window_s=1 / 30,
        ).neurons["responsive_p"]
        for seed in range(30)
    ]
    p_value = np.concatenate(p_values)
    assert np.mean(p_value <= 0.05) <= 0.08
    assert p_value.mean() == pytest.approx(0.5, abs=0.06)
