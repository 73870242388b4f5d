"""Sums of gradients: asking for few neurons costs the memory of few."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd

from insilico.experiments.gradient_sums import GradientSums
from insilico.screen import Screen


def test_maps_of_two_neurons_copy_the_sums_of_no_others():
    protocol = SimpleNamespace(lag_count=lambda screen, kind: 2, smoothing_px=1.0)
    neurons = pd.DataFrame({"neuron": range(2000)})
    setting = SimpleNamespace(neurons=neurons, screen=Screen(), kind="movie", protocol=protocol)
    sums = GradientSums(setting)
    tracemalloc.start()
    sums.maps(np.array([3, 5]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < sums.state()["gradient"].nbytes / 10
