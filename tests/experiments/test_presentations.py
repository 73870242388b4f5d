"""Presentations: measures are collected over blocks and sites without spare copies."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from insilico.experiments.experiment import Block
from insilico.experiments.presentations import Measure, Presentations, every_frame

TRIALS, NEURONS, FRAMES = 40, 50, 30


def filled(dtype, sites=(slice(None),)):
    """Return presentations of random responses in four blocks a site, and the responses."""
    setting = SimpleNamespace(neurons=pd.DataFrame({"neuron": range(NEURONS)}), kind="movie")
    measures = {"trace": Measure(0, FRAMES, reduce=every_frame), "mean": Measure(0, FRAMES)}
    presentations = Presentations(setting, measures)
    values = np.random.default_rng(0).random((TRIALS, NEURONS, FRAMES)).astype(dtype)
    for site, rows in enumerate(sites):
        chosen = np.arange(NEURONS)[rows]
        for first in range(0, TRIALS, 10):
            trials = range(first, first + 10)
            shown = pd.DataFrame({"trial": trials, "onset_frame": 0})
            part = values[first : first + 10][:, chosen]
            presentations.add(Block(trials, shown, lambda: None, part, site=site, rows=chosen))
    return presentations, values


def test_blocks_and_sites_are_put_in_their_places():
    presentations, values = filled(np.float32, (slice(0, 20), slice(25, None)))
    collected = presentations.collected("trace")
    np.testing.assert_array_equal(collected[:, :20], values[:, :20])
    np.testing.assert_array_equal(collected[:, 25:], values[:, 25:])
    assert np.isnan(collected[:, 20:25]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_measures_are_kept_as_precisely_as_responses_came(dtype):
    presentations, _ = filled(dtype)
    state = presentations.state()
    assert state["0/measure/trace"].dtype == state["0/measure/mean"].dtype == dtype
    assert presentations.collected("mean").dtype == np.float64


def test_collecting_takes_little_more_than_what_is_collected():
    presentations, values = filled(np.float64)
    tracemalloc.start()
    presentations.collected("trace")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * values.nbytes
