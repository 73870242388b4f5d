"""Small results of every experiment, and of attention, as they come back from disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from battery import quick_result

import insilico
from insilico.attention import given_trials, map_attention, relate_to_gaze
from insilico.experiments import EXPERIMENTS
from insilico.models import registry
from insilico.results import Result

#: Experiments whose figures are looked at closely, on neurons without surrounds.
SMALL = {
    "retinotopy": {"image_count": 1000, "frame_count": 1500},
    "direction": {},
    "dots": {"spacing_px": 6.0, "radius_px": 3.5, "smoothing_px": 3.0},
}
SMALL_TRANSFORMERS = {
    "image": {
        "height_px": 36,
        "width_px": 64,
        "stride_px": 4,
        "token_width": 8,
        "blocks": 2,
        "heads": 2,
        "feedforward": 8,
        "behavior_names": ("pupil_size", "running_speed"),
    },
    "movie": {
        "patch_stride_px": 6,
        "patch_frames": 3,
        "max_frames": 60,
        "width": 8,
        "heads": 2,
        "head_width": 4,
        "feedforward": 8,
        "spatial_depth": 2,
        "temporal_depth": 2,
        "registers": 2,
    },
}


class Folders(dict[tuple[str, str], Path]):
    """Folders of saved results by experiment and kind of twin, measured when they are asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def __missing__(self, key: tuple[str, str]) -> Path:
        experiment, kind = key
        for result in results_of(experiment, kind):
            self[result.experiment, kind] = result.save(self.root / kind / result.experiment)
        return self[key]


@pytest.fixture(scope="session")
def result_folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Return the folders of saved results, measured once a session."""
    return Folders(tmp_path_factory.mktemp("results"))


def results_of(experiment: str, kind: str) -> tuple[Result, ...]:
    """Return small results of an experiment, with others that come along."""
    if experiment in SMALL:
        twin = insilico.SimulatedV1(kind, simple_count=5, energy_count=5)
        return (insilico.run(experiment, twin, overrides=SMALL[experiment], jobs=1),)
    if experiment in EXPERIMENTS:
        return (quick_result(experiment, kind),)
    return attention_results(kind)


def attention_results(kind: str) -> tuple[Result, Result]:
    """Return where a small transformer with random weights looks, and how that follows a gaze."""
    architecture = {"image": "v1t", "movie": "vivit"}[kind]
    torch.manual_seed(0)
    frames = (56,) if kind == "movie" else ()
    network = registry.build(architecture, SMALL_TRANSFORMERS[kind], {"mouse-a": 2})
    for name, parameter in network.core.named_parameters():
        if "queries_keys_values" in name or "fused" in name:
            torch.nn.init.normal_(parameter, std=0.7)
    twin = insilico.Twin(network, statistics=insilico.Statistics(behavior_mean=np.zeros(2)))
    rng = np.random.default_rng(0)
    stimuli = rng.standard_normal((7, *frames, 36, 64))
    gaze = rng.standard_normal((7, 2, *frames))
    shown = given_trials(twin, stimuli, pupil_center=gaze)
    maps = map_attention(twin, shown, burn_in_frames=40)
    return maps, relate_to_gaze(maps, shuffle_count=99, draws=50)


@pytest.fixture
def retinotopy(result_folders: Folders) -> Result:
    return Result.load(result_folders["retinotopy", "image"])


@pytest.fixture
def image_attention(result_folders: Folders) -> Result:
    return Result.load(result_folders["attention", "image"])


@pytest.fixture
def movie_attention(result_folders: Folders) -> Result:
    return Result.load(result_folders["attention", "movie"])


@pytest.fixture
def direction(result_folders: Folders) -> Result:
    return Result.load(result_folders["direction", "movie"])


@pytest.fixture
def orientation(result_folders: Folders) -> Result:
    return Result.load(result_folders["direction", "image"])
