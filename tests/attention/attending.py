"""Small twins whose attention is known, and recordings in memory to show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from insilico import Screen, Statistics, Twin
from insilico.models import registry
from insilico.models.mouse import Mouse, neurons_table
from insilico.recordings.recording import Recording, Trial

SCREEN = Screen(width_px=20, height_px=12, width_cm=40, height_cm=24, distance_cm=20)
MOUSE = "mouse-a"
NAMES = ("pupil_size", "running_speed")
STATISTICS = Statistics(
    stimulus_mean=110.0,
    stimulus_std=50.0,
    response_std=np.ones(4),
    behavior_mean=np.array([4.0, 0.5]),
    behavior_std=np.array([10.0, 2.0]),
    pupil_mean=np.array([150.0, 140.0]),
    pupil_std=np.array([5.0, 6.0]),
)
SIZE = {"height_px": 12, "width_px": 20, "behavior_names": NAMES}
#: One block and one head each: patches of 4 px side by side, or of 5 px that overlap.
IMAGE = {
    "patch_px": 4,
    "stride_px": 4,
    "token_width": 16,
    "feedforward": 4,
    "blocks": 1,
    "heads": 1,
}
IMAGE |= {"core_height_px": 12, "core_width_px": 20}
MOVIE = {"patch_px": 5, "patch_stride_px": 2, "patch_frames": 3, "max_frames": 90}
MOVIE |= {"width": 60, "heads": 1, "head_width": 60, "feedforward": 4, "registers": 2}
MOVIE |= {"spatial_depth": 1, "temporal_depth": 1, "position_encoding": "learned"}


def make_twin(architecture, options, *, statistics=STATISTICS):
    torch.manual_seed(0)
    network = registry.build(architecture, SIZE | options, {MOUSE: 4})
    mouse = Mouse(MOUSE, SCREEN, neurons_table(4), statistics)
    provenance = {"architecture": architecture}
    return Twin(
        network, mice={MOUSE: mouse}, name=f"my {architecture}", provenance=provenance, device="cpu"
    )


def looking_at_images(patch, **options):
    """Return a twin of images whose class token attends to one patch, whatever is shown."""
    twin = make_twin("v1t", IMAGE | options)
    core = twin.networks[0].core
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.zero_()
        count = len(core.positions)  # the class token, then 3 x 5 patches
        core.positions.copy_(10 * torch.eye(count))
        core.blocks[0].attention.norm.weight.fill_(1)
        queries, keys, _ = core.blocks[0].attention.queries_keys_values.weight.chunk(3)
        queries[1 + patch, 0] = 100  # of the class token, towards the patch's position
        keys.copy_(torch.eye(count))
    return twin


def looking_at_movies(patch):
    """Return a twin of movies whose patches all attend to one patch, whatever is shown."""
    twin = make_twin("vivit", MOVIE)
    core = twin.networks[0].core
    count = core.grid.shape[0] * core.grid.shape[1]
    assert count == MOVIE["width"]
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.zero_()
        core.positions.space.copy_(10 * torch.eye(count))
        block = core.spatial.blocks[0]
        block.norm.weight.fill_(1)
        block.norm.bias.fill_(1)
        queries, keys = block.fused.weight[: 2 * count].chunk(2)
        queries[patch] = 10  # of every token
        keys.copy_(torch.eye(count))
    return twin


def make_recording(kind, *, trials=8, frames=(60,), seed=0, **changes):
    """Return a recording of the twins' mouse in memory; movies differ in length."""
    rng = np.random.default_rng(seed)

    def draw(trial):
        time = () if kind == "image" else (frames[trial % len(frames)],)
        return Trial(
            rng.integers(0, 256, (1, *time, 12, 20)).astype(np.uint8),
            np.zeros((4, *time), np.float32),
            (np.array([40.0, 0.2, 1.0]).reshape(3, *[1] * len(time)) + rng.random((3, *time))),
            (np.array([150.0, 140.0]).reshape(2, *[1] * len(time)) + rng.normal(0, 5, (2, *time))),
        )

    shown = [draw(trial) for trial in range(trials)]
    table = pd.DataFrame({"trial": np.arange(trials), "tier": "validation"})
    table.loc[trials - 2 :, "tier"] = "test"
    table = table.assign(stimulus_type=kind, stimulus_index=np.arange(trials))
    fields = {
        "mouse": MOUSE,
        "kind": kind,
        "layout": "sensorium2023",
        "source": Path("recordings/mouse-a"),
        "screen": SCREEN,
        "neurons": neurons_table(4),
        "trials": table,
        "read": lambda number: shown[number],
        # In another order than the twin reads, and with one more.
        "behavior_names": ("pupil_size", "pupil_change", "running_speed"),
        "has_pupil": True,
    }
    return Recording(**(fields | changes))
