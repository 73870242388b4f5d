import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import insilico
from insilico.errors import ShapeError, UnitsError
from insilico.models.mouse import Statistics
from insilico.screen import Screen
from insilico.stimuli import Stimuli
from insilico.twin import Twin

SCREEN = Screen(width_px=4, height_px=3, width_cm=4.0, height_cm=3.0)


class Movie(nn.Module):
    """Every neuron sums the screen; the first ``lost`` frames are dropped."""

    def __init__(self, lost=0):
        super().__init__()
        self.lost = lost

    def forward(self, stimulus):
        trace = stimulus.sum((1, 3, 4))[:, None, self.lost :]
        return trace * torch.arange(1.0, 4.0)[:, None]


class Stateful(nn.Module):
    """Adds the sums of behavior and gaze to every neuron."""

    def forward(self, stimulus, behavior, pupil_center=None):
        gaze = 0 if pupil_center is None else pupil_center.sum(1, keepdim=True)
        return stimulus.mean((1, 2, 3))[:, None] + behavior.sum(1, keepdim=True) + gaze


class Answers(nn.Module):
    """Answers whatever it was told to."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, stimulus):
        return self.answer


def test_image_module_becomes_a_twin_in_three_lines():
    module = nn.Sequential(nn.Flatten(), nn.Linear(36 * 64, 5))
    twin = insilico.Twin(module)
    responses = twin.respond(np.zeros((3, 36, 64)))

    assert responses.values.shape == (3, 5)
    np.testing.assert_allclose(responses.values[0], module[1].bias.detach())
    assert list(responses.neurons["neuron"]) == [0, 1, 2, 3, 4]
    assert twin.kind == "image"


@pytest.mark.parametrize("lost", [0, 4])
def test_movie_module_becomes_a_twin_and_keeps_its_first_frame(lost):
    twin = Twin(Movie(lost), kind="movie", screen=SCREEN, device="cpu")
    movie = np.random.default_rng(0).random((2, 9, 3, 4), np.float32)
    responses = twin.respond(movie)
    assert responses.first_frame == lost
    expected = movie.sum((2, 3))[:, None, lost:] * np.arange(1, 4)[:, None]
    np.testing.assert_allclose(responses.values, expected, rtol=1e-5)


def test_module_that_reads_behavior_and_gaze_gets_them():
    twin = Twin(Stateful(), screen=SCREEN, behavior_names=["arousal", "speed"], device="cpu")
    assert twin.behavior_names == ("arousal", "speed")
    assert twin.uses_pupil
    values = twin.respond(
        np.zeros((2, 3, 4)),
        behavior=np.array([[1.0, 2.0], [3.0, 4.0]]),
        pupil_center=np.array([10.0, 20.0]),
    ).values
    np.testing.assert_allclose(values[:, 0], [33, 37])


def test_module_says_how_its_input_relates_to_gray_levels():
    module = Answers(None)
    module.forward = lambda stimulus: stimulus.mean((2, 3))
    twin = Twin(
        module, screen=SCREEN, statistics=Statistics(stimulus_mean=0, stimulus_std=1), device="cpu"
    )
    levels = np.full((2, 3, 4), 200, np.uint8)
    np.testing.assert_allclose(twin.respond(levels).values, 200)


def test_own_module_answers_stimuli():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    twin = Twin(module, screen=SCREEN, statistics=Statistics(stimulus_mean=127, stimulus_std=60))
    conditions = pd.DataFrame({"trial": [0, 1], "onset_frame": 0})
    stimuli = Stimuli(
        "image", SCREEN, conditions, lambda rows: np.full((len(rows), 3, 4), 127, np.uint8)
    )
    responses = twin.respond(stimuli)
    np.testing.assert_allclose(responses.values[1], module[1].bias.detach())
    assert responses.conditions is stimuli.conditions


def test_module_is_asked_in_evaluation_mode():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Dropout(0.5))
    twin = Twin(module.train(), screen=SCREEN)
    images = np.ones((1, 3, 4))
    np.testing.assert_array_equal(twin.respond(images).values, twin.respond(images).values)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (torch.zeros(1, 3, 4, 5), "image", r"shape \(1, 3, 4, 5\); .* return \(trial, neuron\)"),
        (torch.zeros(3), "image", r"shape \(3,\)"),
        (torch.zeros(2, 3), "image", r"shape \(2, 3\)"),
        (torch.zeros(1, 3), "movie", r"must return \(trial, neuron, frame\)"),
        (torch.zeros(1, 3, 61), "movie", "no more frames than it was shown"),
        ((torch.zeros(1, 3), None), "image", "returned a tuple; return one tensor"),
    ],
)
def test_module_that_answers_with_another_shape_is_refused(answer, kind, message):
    with pytest.raises(ShapeError, match=message):
        Twin(Answers(answer), kind=kind, screen=SCREEN)


def test_module_whose_behavior_is_not_named_is_refused():
    with pytest.raises(ShapeError, match="needs behavior, and none was named; name its variables"):
        Twin(Stateful(), screen=SCREEN)


def test_behavior_that_the_module_does_not_take_is_refused():
    with pytest.raises(ShapeError, match="names speed, and the module's forward has no parameter"):
        Twin(Movie(), kind="movie", screen=SCREEN, behavior_names=("speed",))


def test_unknown_kind_is_refused():
    with pytest.raises(UnitsError, match="kind is 'video'; give 'image' or 'movie'"):
        Twin(Movie(), kind="video")
