"""Gradients of single responses: any network, whatever the plan saves, in any batch."""

import numpy as np
import pytest
import torch
from test_fast_path import GRAY, make_twin
from test_network_contract import NETWORKS

from insilico.twin import ensemble
from insilico.twin.gradients import response_gradients

NEURONS = [2, 0]
LEAD, NOISE, LAGS = 9, 6, 3
#: The first network of one channel of each architecture; that fast gradients are the plain ones is
#: held to all by test_fast_path.
NAMES = {name.split(":")[0]: name for name in reversed(NETWORKS) if NETWORKS[name].channels == 1}
TWINS = {name: make_twin(name) for name in NAMES.values()}


def question(twin, trials=3):
    """Return the frames and the window: noise, in movies after gray."""
    frames = (LEAD + NOISE,) if twin.kind == "movie" else ()
    shape = trials, *frames, *twin.screen(twin.mice[0]).shape
    stimulus = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    if twin.kind == "image":
        return stimulus, None
    stimulus[:, :LEAD] = GRAY
    return stimulus, (LEAD + NOISE - 2, LEAD + NOISE)


def plain_gradients(twin, stimulus, window, neurons=NEURONS):
    """Return gradients (trial, neuron, ...), one trial and one neuron at a time."""
    rows = []
    for trial in stimulus:
        of_trial = []
        for neuron in neurons:
            prepared = twin.prepare(
                twin.mice[0], neurons=[neuron], window=window, is_gray=True, plan="plain"
            )
            shown = torch.from_numpy(trial[None].astype(np.float32)).requires_grad_()
            (gradient,) = torch.autograd.grad(prepared.forward(shown).mean(), shown)
            of_trial.append(gradient[0].numpy())
        rows.append(of_trial)
    gradients = np.array(rows)
    return gradients if twin.kind == "image" else gradients[:, :, -LAGS:]


def prepare(twin, stimulus, window, plan="auto", neurons=NEURONS):
    return twin.prepare(twin.mice[0], neurons=neurons, window=window, is_gray=True, plan=plan)


@pytest.mark.parametrize(
    ("name", "plan"),
    [(name, "auto") for name in TWINS]
    + [(name, "plain") for name in ("sensorium2022: cnn", "vivit: as published")],
)
def test_gradients_are_those_of_the_plain_network(name, plan):
    twin = TWINS[name]
    stimulus, window = question(twin)
    prepared = prepare(twin, stimulus, window, plan)
    found = response_gradients(prepared, stimulus, last_frames=LAGS)
    expected = plain_gradients(twin, stimulus, window)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["sensorium2022: cnn", "vivit: as published"])
def test_small_batches_change_nothing(name, monkeypatch):
    twin = TWINS[name]
    stimulus, window = question(twin)
    prepared = prepare(twin, stimulus, window)
    whole = response_gradients(prepared, stimulus, last_frames=LAGS)
    monkeypatch.setattr("insilico.twin.gradients.GRADIENT_PIXELS", 1)
    done = []
    split = response_gradients(prepared, stimulus, last_frames=LAGS, on_batch=done.append)
    np.testing.assert_allclose(split, whole, atol=1e-4 * np.abs(whole).max())
    assert done == [1, 1, 1]


def test_without_a_limit_all_frames_are_differentiated_by():
    twin = TWINS["factorized3d: cnn"]
    stimulus, window = question(twin)
    prepared = prepare(twin, stimulus, window)
    found = response_gradients(prepared, stimulus)
    assert found.shape == (3, 2, *stimulus.shape[1:])
    limited = response_gradients(prepared, stimulus, last_frames=LAGS)
    np.testing.assert_allclose(found[:, :, -LAGS:], limited, atol=1e-4 * np.abs(found).max())
    # Only what the temporal kernels reach matters: five frames before the window's first.
    assert not found[:, :, : window[0] - 5].any()
    assert found[:, :, window[0] - 5].any()


def test_an_ensemble_has_the_mean_gradient():
    twins = [make_twin("sensorium2022: cnn"), make_twin("sensorium2022: cnn")]
    for weights in twins[1].networks[0].parameters():
        weights.data.mul_(0.7)
    stimulus, window = question(twins[0])
    alone = [response_gradients(prepare(twin, stimulus, window), stimulus) for twin in twins]
    joined = prepare(ensemble(twins), stimulus, window)
    found = response_gradients(joined, stimulus)
    np.testing.assert_allclose(found, np.mean(alone, axis=0), atol=1e-6 * np.abs(alone[0]).max())
    assert np.abs(alone[0] - alone[1]).max() > 0
