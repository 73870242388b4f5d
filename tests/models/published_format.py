"""Weights and inputs in the published Sensorium 2022 format, the same on every machine."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: Mouse of the published models with behavior and gaze.
PLUS_MOUSE = "27204-5-13"

#: Published files, by what the reference calls them.
PUBLISHED_FILES = {"cnn": "sensorium_sota_model.pth", "ln": "sensorium_ln_model.pth"}

#: Every how many neurons of the published models the reference is kept.
NEURON_STEP = 40


def synthetic_state(
    *, layers: int = 4, neurons: int = 30, channels: int = 4, mouse: str = PLUS_MOUSE, seed: int = 1
) -> dict[str, Tensor]:
    """Random weights under the published names; four channels come with a shifter."""
    rng = np.random.default_rng(seed)
    laplace = [[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]
    arrays = {"core._input_weights_regularizer.laplace.filter": np.array([[laplace]])}
    for layer in range(layers):
        prefix = f"core.features.layer{layer}"
        if layer == 0:
            shapes = {"conv": (64, channels, 9, 9)}
        else:
            shapes = {
                "ds_conv.in_depth_conv": (64, 64, 1, 1),
                "ds_conv.spatial_conv": (64, 1, 7, 7),
                "ds_conv.out_depth_conv": (64, 64, 1, 1),
            }
        for name, shape in shapes.items():
            spread = np.prod(shape[1:]) ** -0.5
            arrays[f"{prefix}.{name}.weight"] = rng.normal(0, spread, shape)
        arrays[f"{prefix}.norm.weight"] = rng.uniform(0.5, 1.5, 64)
        arrays[f"{prefix}.norm.bias"] = rng.normal(0, 0.3, 64)
        arrays[f"{prefix}.norm.running_mean"] = rng.normal(0, 0.3, 64)
        arrays[f"{prefix}.norm.running_var"] = rng.uniform(0.5, 2, 64)
        arrays[f"{prefix}.norm.num_batches_tracked"] = np.array(2765, dtype=np.int64)
    readout = f"readout.{mouse}"
    arrays[f"{readout}.sigma"] = rng.uniform(-0.1, 0.1, (1, neurons, 2, 2))
    arrays[f"{readout}._features"] = rng.normal(0, 0.125, (1, 64, 1, neurons))
    arrays[f"{readout}.bias"] = rng.normal(0, 0.3, neurons)
    arrays[f"{readout}.source_grid"] = rng.uniform(-1, 1, (neurons, 2))
    _add_linear(arrays, f"{readout}.mu_transform.0", (30, 2), rng, 2.0)
    _add_linear(arrays, f"{readout}.mu_transform.2", (2, 30), rng, 0.5)
    if channels > 1:
        for index, shape in {0: (5, 2), 2: (5, 5), 4: (2, 5)}.items():
            _add_linear(arrays, f"shifter.{mouse}.mlp.{index}", shape, rng, 0.7)
    return {
        name: torch.from_numpy(np.asarray(value))
        if value.dtype == np.int64
        else torch.from_numpy(np.asarray(value, np.float32))
        for name, value in arrays.items()
    }


def _add_linear(arrays, name, shape, rng, spread):
    arrays[f"{name}.weight"] = rng.normal(0, spread, shape)
    arrays[f"{name}.bias"] = rng.normal(0, 0.3, shape[0])


def images(seed: int = 2) -> Tensor:
    """Nine standardized images: smooth noise, white noise, gratings, a gradient, a blank."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:36, :64].astype(float)
    frequency = np.hypot(np.fft.fftfreq(36)[:, None], np.fft.fftfreq(64)[None])
    amplitude = 1 / np.maximum(frequency, 1 / 64)
    smooth = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, 36, 64))) * amplitude).real
    smooth /= smooth.std(axis=(1, 2), keepdims=True)
    white = rng.normal(size=(2, 36, 64))
    gratings = [np.sin(2 * np.pi * (x * 0.06 + y * 0.03)), 1.5 * np.sign(np.sin(0.5 * y + 0.3))]
    frames = [*smooth, *white, *gratings, x / 20 - 1.5, np.zeros((36, 64))]
    return torch.from_numpy(np.stack(frames)[:, None].astype(np.float32))


def behavior(seed: int = 3) -> Tensor:
    """Standardized behavior of the nine trials: pupil size, its derivative, running speed."""
    rng = np.random.default_rng(seed)
    values = rng.normal([2.1, 0.05, 0.3], [0.6, 1, 1], (9, 3))
    return torch.from_numpy(values.astype(np.float32))


def pupil_center(seed: int = 4) -> Tensor:
    """Standardized gaze of the nine trials."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(9, 2)).astype(np.float32))
