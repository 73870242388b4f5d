"""Twins that are small enough to know by heart."""

import numpy as np
import pytest
import torch

from insilico.models.mouse import Mouse, Statistics, neurons_table
from insilico.models.network import Network, select_neurons
from insilico.screen import Screen
from insilico.twin import Twin

SCREEN = Screen(width_px=4, height_px=3, width_cm=4.0, height_cm=3.0)
NEURONS = 5


class LinearNetwork(Network):
    """Weighted sums of pixels, plus behavior and gaze; movies lose their first two frames."""

    def __init__(self, kind="image", *, reads_state=False, mice=("a",), seed=0):
        super().__init__()
        self.kind = kind
        self.behavior_names = ("pupil_size", "running_speed") if reads_state else ()
        self.uses_pupil = reads_state
        self._mice = mice
        generator = torch.Generator().manual_seed(seed)
        weights = torch.randn(NEURONS, 1, *SCREEN.shape, generator=generator, dtype=torch.float64)
        self.register_buffer("weights", weights)

    @property
    def neuron_counts(self):
        return dict.fromkeys(self._mice, NEURONS)

    def response_frames(self, frame_count):
        return frame_count - 2

    def forward(self, stimulus, *, mouse, neurons=None, behavior=None, pupil_center=None):
        answer = torch.einsum("bc...yx,ncyx->bn...", stimulus, self.weights)
        if behavior is not None:
            answer = answer + (behavior[:, :1] + 10 * behavior[:, 1:])
        if pupil_center is not None:
            answer = answer + (100 * pupil_center[:, :1] + 1000 * pupil_center[:, 1:])
        if self.kind == "movie":
            answer = answer[..., 2:]
        return select_neurons(answer, neurons, axis=1)


@pytest.fixture
def make_twin():
    """Build a twin of a linear network; statistics apply to all its mice."""

    def build(kind="image", *, statistics=None, mice=("a",), reads_state=False, seed=0, **options):
        network = LinearNetwork(kind, reads_state=reads_state, mice=mice, seed=seed)
        known = {
            name: Mouse(name, SCREEN, neurons_table(NEURONS), statistics or Statistics())
            for name in mice
        }
        options = {"device": "cpu", "precision": "float64", **options}
        return Twin(network, mice=known, **options)

    return build


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (6, *SCREEN.shape))


@pytest.fixture
def movies():
    return np.random.default_rng(1).uniform(0, 255, (3, 7, *SCREEN.shape))


@pytest.fixture
def full_statistics():
    """Everything measured."""
    return Statistics(
        stimulus_mean=100.0,
        stimulus_std=50.0,
        response_std=np.arange(1.0, NEURONS + 1),
        behavior_mean=np.array([3.0, 0.5]),
        behavior_std=np.array([10.0, 4.0]),
        pupil_mean=np.array([30.0, 20.0]),
        pupil_std=np.array([3.0, 2.0]),
    )
