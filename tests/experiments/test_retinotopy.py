"""Receptive fields: known neurons are recovered, null neurons are not, mistakes are refused.

Those of movie twins are held to the same limits in tests/validation/test_compare.py.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import insilico
from insilico.errors import ProtocolError, ShapeError, UnitsError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.field_fits import STATUS, choose_map
from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.screen import Screen
from insilico.validation import compare_retinotopy, summarize


@pytest.fixture(scope="module")
def image_twin():
    return insilico.SimulatedV1("image", simple_count=12, energy_count=12, seed=3)


@pytest.fixture(scope="module")
def image_result(image_twin):
    return insilico.run("retinotopy", image_twin, overrides={"image_count": 2000}, jobs=1)


def check(twin, result, name, cell_class):
    summary = summarize(compare_retinotopy(twin, result))
    rows = summary[(summary["check"] == name) & (summary["cell_class"] == cell_class)]
    return rows["value"].item()


@pytest.mark.parametrize("cell_class", ["simple", "energy"])
def test_centers_and_widths_are_recovered_from_images(image_twin, image_result, cell_class):
    assert check(image_twin, image_result, "center error (px)", cell_class) <= 0.3
    assert check(image_twin, image_result, "width error (%)", cell_class) <= 10


def test_simple_cells_use_the_linear_map_and_energy_cells_the_energy_map(image_twin, image_result):
    used = image_result.neurons["map_used"]
    wanted = image_twin.ground_truth["cell_class"].map({"simple": "linear", "energy": "energy"})
    assert (used == wanted).mean() >= 0.95


def test_standard_errors_cover_the_true_center(image_twin, image_result):
    values = compare_retinotopy(image_twin, image_result)
    wide = values[values["quantity"] == "x_px"].set_index("neuron")
    error = (wide["recovered"] - wide["planted"]).abs()
    z = error / image_result.neurons.set_index("neuron")["x_px_se"]
    # The median of |z| is 0.67 for errors that are normal and have the stated size.
    for used in ("linear", "energy"):
        assert 0.2 < np.median(z[(image_result.neurons["map_used"] == used).to_numpy()]) < 1.4
    assert set(image_result.neurons["error_source"]) == {"halves"}


def test_degrees_agree_with_the_screen(image_twin, image_result):
    table = image_result.neurons
    x_deg, y_deg = image_twin.screen().position_deg(table["x_px"], table["y_px"])
    np.testing.assert_allclose(table["x_deg"], x_deg)
    np.testing.assert_allclose(table["y_deg"], y_deg)
    step = 1e-3
    moved, _ = image_twin.screen().position_deg(table["x_px"] + step, table["y_px"])
    expected_se = (moved - x_deg) / step * table["x_px_se"]
    np.testing.assert_allclose(table["x_deg_se"], expected_se, rtol=1e-3)


class Unrelated(torch.nn.Module):
    """Answers that have nothing to do with where light falls; the last neuron's never varies."""

    def forward(self, stimulus):
        total = stimulus.double().sum((1, 2, 3))[:, None]
        neuron = torch.arange(60.0, dtype=torch.float64)
        # A sinusoid far faster than the spread of the total scrambles it.
        answers = torch.sin(1e3 * (neuron + 1) * total)
        answers[:, -1] = 1.0
        return answers.float()


def test_neurons_without_a_field_are_unreliable_or_silent_but_keep_their_rows():
    twin = insilico.Twin(
        Unrelated(), statistics=insilico.Statistics(stimulus_mean=127.0, stimulus_std=60.0)
    )
    table = insilico.run("retinotopy", twin, overrides={"image_count": 600}, jobs=1).neurons
    assert len(table) == 60
    assert table["status"].iloc[-1] == "silent"
    assert (table["status"].iloc[:-1] == "unreliable").mean() >= 0.95
    assert set(table["status"]) <= set(STATUS)
    assert table.loc[table["status"] == "unreliable", "x_px"].isna().all()


def test_the_map_is_chosen_by_reliability_and_by_what_it_explains():
    protocol = read_protocol(RetinotopyProtocol, None, experiment="retinotopy")
    linear, energy = (
        SimpleNamespace(reliability=np.array(reliability), explained=np.array(explained))
        for reliability, explained in (
            ([0.5, 0.1, 0.1, np.nan, 0.4, 0.4], [0.7, 0.0, 0.0, np.nan, 0.10, 0.10]),
            ([0.9, 0.5, 0.2, 0.5, 0.8, 0.2], [0.1, 0.2, 0.0, 0.2, 0.03, 0.03]),
        )
    )
    expected = ["linear", "energy", "none", "energy", "energy", "linear"]
    assert list(choose_map(linear, energy, protocol)) == expected


def test_what_the_maps_explain_has_a_closed_form():
    # A half-rectified Gaussian drive of variance 1: covariance 1/2 with the drive, variance
    # (1 - 1/pi) / 2; an energy unit with the same filter explains 1 / (2 pi) of that.
    twin = insilico.SimulatedV1("image", simple_count=30, energy_count=30)
    table = insilico.run("retinotopy", twin, overrides={"image_count": 6000}, jobs=1).neurons
    is_simple = (twin.ground_truth["cell_class"] == "simple").to_numpy()
    simple, energy = table[is_simple], table[~is_simple]
    assert simple["linear_explained"].median() == pytest.approx(np.pi / (2 * (np.pi - 1)), abs=0.03)
    assert (simple["energy_explained"] < 0.2 * simple["linear_explained"]).all()
    assert energy["linear_explained"].abs().max() < 0.15
    assert (energy["energy_explained"] > 0.03).all()
    assert set(simple["map_used"]) == {"linear"}
    assert set(energy["map_used"]) == {"energy"}


def test_a_reliability_goal_stops_the_measurement_early(image_twin):
    overrides = {"image_count": 20000, "reliability_goal": 0.3}
    result = insilico.run("retinotopy", image_twin, overrides=overrides, jobs=1)
    assert result.provenance["trials"] < 20000
    better = result.neurons[["linear_reliability", "energy_reliability"]].max(axis=1)
    assert better.median() >= 0.3


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_analyzing_a_twins_responses_gives_what_running_gives(kind):
    twin = insilico.SimulatedV1(kind, simple_count=4, energy_count=0, seed=3)
    overrides = {"image_count": 500, "frame_count": 1000}
    run = insilico.run("retinotopy", twin, overrides=overrides, jobs=1)
    question = find_experiment("retinotopy")
    protocol = read_protocol(
        question.protocol_type, None, overrides=overrides, experiment="retinotopy"
    )
    # All frames of each trial, of which the analysis takes those with a whole history.
    responses = twin.respond(question.stimuli(protocol, twin.screen(), kind))
    again = question.analyze(responses, protocol, screen=twin.screen())
    np.testing.assert_allclose(again.neurons["x_px"], run.neurons["x_px"], rtol=1e-3)


def test_responses_that_miss_frames_of_the_noise_are_refused():
    twin = insilico.SimulatedV1("movie", simple_count=1, energy_count=0)
    question = find_experiment("retinotopy")
    protocol = read_protocol(
        question.protocol_type, None, overrides={"frame_count": 400}, experiment="retinotopy"
    )
    stimuli = question.stimuli(protocol, twin.screen(), "movie")
    responses = twin.respond(stimuli, window=(69, 240))
    with pytest.raises(ShapeError, match="retinotopy needs frames 69 to 300"):
        question.analyze(responses, protocol, screen=twin.screen())


def test_a_short_movie_measurement_still_has_two_halves():
    question = find_experiment("retinotopy")
    protocol = read_protocol(
        question.protocol_type, None, overrides={"frame_count": 200}, experiment="retinotopy"
    )
    assert len(question.stimuli(protocol, Screen(), "movie")) == 2


def test_the_published_estimator_is_less_reliable_without_centering(image_twin):
    """Centering is why 2,000 images suffice: without it the same data give a poorer map."""
    from insilico.stimuli import white_noise

    noise = white_noise(image_twin.screen(), seed=[5], trials=range(2000))
    simple = (image_twin.ground_truth["cell_class"] == "simple").to_numpy()
    responses = image_twin.respond(noise, input_units="gray", neurons=simple).values
    pixels = noise.reshape(2000, -1) / 255

    def split_half(responses, pixels):
        first, second = (responses[half::2].T @ pixels[half::2] for half in (0, 1))
        return np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)])

    plain = split_half(responses, pixels)
    centered = split_half(responses - responses.mean(0), pixels - pixels.mean(0))
    assert centered > 1.3 * plain


def test_a_twin_that_does_not_know_gray_levels_is_refused():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36 * 64, 2))
    with pytest.raises(UnitsError, match="no stimulus statistics"):
        insilico.run("retinotopy", insilico.Twin(module))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"image_counts": 5}, "no key 'image_counts'"),
        ({"image_count": "many"}, "image_count is 'many'; give a whole number"),
        ({"noise_levels": "pink"}, "noise_levels is 'pink'"),
        ({"lag_s": 5.0}, "noise_s must be more than twice lag_s"),
    ],
)
def test_protocol_mistakes_are_named(image_twin, overrides, message):
    with pytest.raises(ProtocolError, match=message):
        insilico.run("retinotopy", image_twin, overrides=overrides)
