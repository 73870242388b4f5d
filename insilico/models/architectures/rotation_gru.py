"""The recurrent baseline: frames through turning kernels, then a GRU; a response a frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.cores.rotation_gru import RotationGRUCore
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind
from insilico.variables import MOVIE_BEHAVIOR


@dataclasses.dataclass(frozen=True)
class RotationGRUOptions(CoreReadoutOptions):
    """What rebuilds a network of this family.

    The defaults are the core of the closed-loop study, which is that of the Sensorium 2023
    benchmark too; there a demonstration has recurrent kernels of 7.

    Parameters
    ----------
    filters, rotations, input_kernel, hidden_kernel, layers, is_linear, pad_input, momentum, \
gru_channels, gru_input_kernel, gru_kernel, sparsity_ratio
        As for :class:`~insilico.models.cores.rotation_gru.RotationGRUCore`.
    others
        As for :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/gru_baseline.py; sensorium_2023,
    notebooks/benchmarks_training.ipynb and models_demo.ipynb.
    """

    filters: int = 8
    rotations: int = 8
    input_kernel: int = 9
    hidden_kernel: int = 7
    layers: int = 4
    is_linear: bool = False
    pad_input: bool = False
    momentum: float = 0.9
    gru_channels: int = 64
    gru_input_kernel: int = 9
    gru_kernel: int = 9
    sparsity_ratio: float = 1000.0


def _examples() -> dict[str, Example]:
    small = {"height_px": 12, "width_px": 16, "filters": 2, "rotations": 4, "input_kernel": 5}
    small |= {"hidden_kernel": 3, "layers": 2, "gru_channels": 5, "gru_input_kernel": 3}
    small |= {"gru_kernel": 3}
    state = {"behavior_names": MOVIE_BEHAVIOR, "has_shifter": True}
    return {
        "behavior and gaze": (small | state, {"mouse-a": 12, "mouse-b": 7}),
        "without recurrence": (
            small | state | {"gru_channels": 0, "layers": 3, "core_reads_gaze": True},
            {"mouse-a": 12},
        ),
        "linear": (small | {"is_linear": True, "pad_input": True}, {"mouse-a": 12}),
    }


@register("rotation_gru", options=RotationGRUOptions, examples=_examples)
class RotationGRU(CoreReadoutNetwork):
    """Rotation-equivariant convolutions of each frame, a convolutional GRU, and readouts.

    Parameters
    ----------
    options : RotationGRUOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/gru_baseline.py; sensorium_2023,
    sensorium/models/make_model.py.
    """

    kind: Kind = "movie"
    core: RotationGRUCore
    options: RotationGRUOptions

    def __init__(self, options: RotationGRUOptions, neuron_counts: Mapping[str, int]) -> None:
        core = RotationGRUCore(
            options.stimulus_channels + options.state_count,
            filters=options.filters,
            rotations=options.rotations,
            input_kernel=options.input_kernel,
            hidden_kernel=options.hidden_kernel,
            layers=options.layers,
            is_linear=options.is_linear,
            pad_input=options.pad_input,
            momentum=options.momentum,
            gru_channels=options.gru_channels,
            gru_input_kernel=options.gru_input_kernel,
            gru_kernel=options.gru_kernel,
            sparsity_ratio=options.sparsity_ratio,
        )
        super().__init__(options, core, neuron_counts)
