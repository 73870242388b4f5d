"""Predictions of recorded trials."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from insilico.statistics.performance import correlation
from insilico.training.data import MouseData
from insilico.training.prediction import StreamedCorrelation, predict_trials
from insilico.training.start import build_network


@pytest.mark.parametrize("architecture", ["sensorium2022", "factorized3d"])
def test_rows_are_what_the_network_answers(cached, recipe, architecture):
    is_movie = architecture == "factorized3d"
    recording = cached(kind="movie" if is_movie else "image", train=4, validation=70)
    network, mice = build_network(recipe(architecture), {"mouse-1": recording})
    positions = recording.trials_of("validation")
    found = list(predict_trials(network, mice["mouse-1"], positions, burn_in_frames=9))
    assert network.training
    assert [trial.position for trial in found] == positions.tolist()
    batch = mice["mouse-1"].batch(positions[-1:])
    with torch.no_grad():
        answer = network.eval()(batch.stimulus, mouse="mouse-1").numpy()[0]
    last = found[-1]
    if is_movie:
        assert last.first_frame == 9
        np.testing.assert_allclose(last.predicted, answer[:, 9 - 4 :].T, atol=1e-5)
        np.testing.assert_array_equal(last.recorded, batch.responses[0, :, 9:].T)
    else:
        np.testing.assert_allclose(last.predicted[0], answer, atol=1e-5)
        np.testing.assert_array_equal(last.recorded[0], batch.responses[0])


def test_frames_without_an_answer_are_left_out(cached, recipe):
    recording = cached(kind="movie", train=2, validation=2)
    network, mice = build_network(recipe("factorized3d"), {"mouse-1": recording})
    trial = next(predict_trials(network, mice["mouse-1"], np.array([2])))
    assert trial.first_frame == 4  # two temporal kernels of 3 frames
    assert trial.predicted.shape == trial.recorded.shape == (26, 6)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_streamed_correlation_is_that_of_all_rows_together(seed, lengths):
    random = np.random.default_rng(seed)
    pieces = [(random.normal(50, 2, (n, 4)), random.normal(-3, 5, (n, 4))) for n in (*lengths, 5)]
    streamed = StreamedCorrelation()
    for piece in pieces:
        streamed.add(*piece)
    plain = correlation([one for one, _ in pieces], [two for _, two in pieces])
    np.testing.assert_allclose(streamed.value(), plain, atol=1e-9)


def test_constant_traces_have_no_correlation():
    streamed = StreamedCorrelation()
    random = np.random.default_rng(0)
    for _ in range(3):
        streamed.add(np.full((50, 2), 1.7, np.float32), random.normal(size=(50, 2)))
    assert np.isnan(streamed.value()).all()
    assert (streamed.value(constant_prediction=0.0) == 0).all()
    silent = StreamedCorrelation()
    for _ in range(3):
        silent.add(random.normal(size=(50, 2)), np.full((50, 2), 1.7, np.float32))
    assert np.isnan(silent.value(constant_prediction=0.0)).all()


def test_evaluation_leaves_every_module_in_the_mode_it_was_in(cached, recipe):
    recording = cached()
    network, mice = build_network(recipe(), {"mouse-1": recording})
    network.train()
    network.core.eval()
    list(predict_trials(network, mice["mouse-1"], np.array([1])))
    assert network.training
    assert not network.core.training
    assert MouseData(recording).kind == "image"
