"""Answers of the code that the published weights were trained with; a script for maintainers.

    pip install neuralpredictors==0.3.0
    python tests/models/reference/make_sensorium2022.py FOLDER_WITH_PUBLISHED_PTH_FILES

writes ``sensorium2022.npz`` beside this file. Nothing of insilico is imported.
"""

from __future__ import annotations

import collections
import collections.abc
import sys
import types
from pathlib import Path

import numpy as np
import torch

# neuralpredictors 0.3.0 was written for a Python that still had this name, and imports torchvision
# for a core that is not used here.
collections.Iterable = collections.abc.Iterable
sys.modules.setdefault("torchvision", types.ModuleType("torchvision"))

from neuralpredictors.layers.cores import Stacked2dCore  # noqa: E402
from neuralpredictors.layers.encoders import FiringRateEncoder  # noqa: E402
from neuralpredictors.layers.readouts import (  # noqa: E402
    FullGaussian2d,
    MultiReadoutSharedParametersBase,
)
from neuralpredictors.layers.shifters import MLPShifter  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))

import published_format as published  # noqa: E402


def reference_network(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Build the published configuration around a state dict, and load it strictly."""
    mouse = next(key.split(".")[1] for key in state if key.startswith("readout."))
    layers = 1 + max(int(key.split(".")[2][5:]) for key in state if ".layer" in key)
    channels = state["core.features.layer0.conv.weight"].shape[1]
    neurons = len(state[f"readout.{mouse}.bias"])
    core = Stacked2dCore(
        input_channels=channels,
        hidden_channels=64,
        input_kern=9,
        hidden_kern=7,
        layers=layers,
        linear=layers == 3,
        gamma_input=6.3831,
        input_regularizer="LaplaceL2norm",
        laplace_padding=None,
        use_avg_reg=False,
        bias=False,
        momentum=0.9,
        pad_input=False,
        stack=-1,
        depth_separable=True,
    )
    readout = MultiReadoutSharedParametersBase(
        in_shape_dict={mouse: (64, 28, 56)},
        n_neurons_dict={mouse: neurons},
        base_readout=FullGaussian2d,
        bias=True,
        init_mu_range=0.3,
        init_sigma=0.1,
        gamma_readout=0.0076,
        gauss_type="full",
        grid_mean_predictor={
            "hidden_layers": 1,
            "hidden_features": 30,
            "final_tanh": True,
        },
        grid_mean_predictor_type="cortex",
        source_grids={mouse: state[f"readout.{mouse}.source_grid"].numpy()},
    )
    shifter = None
    if channels > 1:
        shifter = MLPShifter([mouse], input_channels=2, hidden_channels_shifter=5, shift_layers=3)
    network = FiringRateEncoder(core, readout, shifter=shifter)
    network.load_state_dict(state, strict=True)
    return network.eval()


def plus_inputs(images: torch.Tensor) -> torch.Tensor:
    """Append behavior as constant channels, as the published data loader does."""
    channels = published.behavior()[:, :, None, None].expand(-1, -1, *images.shape[2:])
    return torch.cat([images, channels], dim=1)


def main(folder: Path) -> None:
    """Compute and save every reference answer."""
    images = published.images()
    arrays = {}
    for name, file in published.PUBLISHED_FILES.items():
        state = torch.load(folder / file, map_location="cpu", weights_only=True)
        mouse = next(key.split(".")[1] for key in state if key.startswith("readout."))
        with torch.no_grad():
            answers = reference_network(state)(images, data_key=mouse).numpy()
        arrays[f"{name}_some"] = answers[:, :: published.NEURON_STEP]
        arrays[f"{name}_max"] = answers.max(axis=1)
        arrays[f"{name}_mean"] = answers.mean(axis=1, dtype=np.float64)
    for name, layers in (("plus_cnn", 4), ("plus_ln", 3)):
        network = reference_network(published.synthetic_state(layers=layers))
        with torch.no_grad():
            arrays[name] = network(
                plus_inputs(images),
                data_key=published.PLUS_MOUSE,
                pupil_center=published.pupil_center(),
            ).numpy()
    np.savez_compressed(Path(__file__).with_name("sensorium2022.npz"), **arrays)
    for name, values in arrays.items():
        print(name, values.shape, float(values.min()), float(values.max()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
