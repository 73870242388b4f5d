"""Cached recordings without files: blocks on the screen, and neurons that answer one of them."""

import numpy as np
import pandas as pd
import pytest

from insilico.models.mouse import Statistics, neurons_table
from insilico.recordings.cache import CachedRecording
from insilico.recordings.recording import Recording
from insilico.screen import Screen
from insilico.training.hardware import start_fabric
from insilico.training.recipe import TrainingOptions, TrainingRecipe

SCREEN = Screen(width_px=32, height_px=18)
FRAMES = 30

OPTIONS = {
    "sensorium2022": {
        "height_px": 18,
        "width_px": 32,
        "layers": 2,
        "hidden_channels": 4,
        "input_kernel": 5,
        "hidden_kernel": 3,
        "momentum": 0.1,
    },
    "factorized3d": {
        "height_px": 18,
        "width_px": 32,
        "channels": (4, 4),
        "spatial_kernels": (5, 3),
        "temporal_kernels": (3, 3),
        "spatial_strides": (2, 1),
        "pad_input": False,
        "momentum": 0.1,
    },
}


def make_cached(mouse="mouse-1", *, kind="image", neurons=6, train=24, validation=8, **changes):
    """Return a recording of random stimuli, every trial given once."""
    screen = changes.get("screen", SCREEN)
    random = np.random.default_rng([len(mouse), sum(map(ord, mouse)), neurons])
    lengths = np.full(train + validation, 1 if kind == "image" else FRAMES)
    rows = int(lengths.sum())
    height, width = screen.shape
    blocks = random.integers(0, 256, (rows, 1, 3, 4), np.uint8)
    stimulus = blocks[
        ..., (np.arange(height) * 3 // height)[:, None], np.arange(width) * 4 // width
    ]
    # Every neuron looks at the same block, so that little training finds it.
    drive = blocks[:, 0, 1, 1, None] / 128.0 + 0.1
    responses = (drive * random.uniform(1, 4, neurons)).astype(np.float32)
    behavior_names = changes.get("behavior_names", ("pupil_size", "running_speed"))
    behavior = random.gamma(2, 1, (rows, len(behavior_names))).astype(np.float32)
    pupil = random.normal(5, 2, (rows, 2)).astype(np.float32)
    shown = slice(0, int(lengths[:train].sum()))
    behavior_std = behavior[shown].std(0)
    statistics = Statistics(
        stimulus_mean=float(stimulus[shown].mean()),
        stimulus_std=float(stimulus[shown].std()),
        response_std=responses[shown].std(0),
        behavior_mean=behavior[shown].mean(0) / behavior_std,
        behavior_std=behavior_std,
        pupil_mean=pupil[shown].mean(0),
        pupil_std=pupil[shown].std(0),
    )
    trials = pd.DataFrame(
        {
            "trial": np.arange(len(lengths)),
            "tier": ["train"] * train + ["validation"] * validation,
            "stimulus_type": kind,
            "stimulus_index": np.arange(len(lengths)),
            "frame_count": lengths,
            "has_responses": True,
        }
    )
    place = random.uniform(-200, 200, (3, neurons))
    recording = Recording(
        mouse=mouse,
        kind=kind,
        layout="sensorium2022" if kind == "image" else "sensorium2023",
        source=f"{mouse} of a test",
        screen=screen,
        neurons=neurons_table(neurons, x_um=place[0], y_um=place[1], z_um=place[2]),
        trials=trials,
        read=None,
        behavior_names=behavior_names,
        has_pupil=True,
    )
    return CachedRecording(
        recording=recording,
        folder=None,
        trials=trials,
        stimulus=stimulus,
        responses=responses,
        behavior=behavior,
        pupil_center=pupil,
        first_row=np.concatenate([[0], np.cumsum(lengths)[:-1]]),
        statistics=statistics,
        response_mean=responses[shown].mean(0),
        content_sha256=changes.get("content_sha256", f"{mouse}-{neurons}"),
    )


def make_recipe(architecture="sensorium2022", options=None, **training):
    """Return a recipe for a network that trains in a second."""
    from insilico.models import registry

    kind = registry.find_architecture(architecture).options
    settings = {"batch_size": 8, "epochs": 3, "burn_in_frames": 10, "learning_rate": 0.02}
    return TrainingRecipe(
        name="test",
        architecture=architecture,
        options=kind(**{**OPTIONS[architecture], **(options or {})}),
        training=TrainingOptions(**{**settings, **training}),
    )


@pytest.fixture(scope="session")
def fabric():
    return start_fabric("cpu")


@pytest.fixture(scope="session")
def cached():
    return make_cached


@pytest.fixture(scope="session")
def recipe():
    return make_recipe
