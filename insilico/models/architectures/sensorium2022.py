"""The encoding models of the Sensorium 2022 competition: images in, one response a neuron out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.cores.stacked2d import Stacked2dCore
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind
from insilico.variables import IMAGE_BEHAVIOR


@dataclasses.dataclass(frozen=True)
class Sensorium2022Options(CoreReadoutOptions):
    """What rebuilds a network of this family; the defaults are the published CNN.

    Parameters
    ----------
    layers, is_linear, hidden_channels, input_kernel, hidden_kernel, depth_separable, pad_input, \
momentum
        As for :class:`~insilico.models.cores.stacked2d.Stacked2dCore`.
    others
        As for :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    sensorium, models/models.py and notebooks/model_tutorial.
    """

    layers: int = 4
    is_linear: bool = False
    hidden_channels: int = 64
    input_kernel: int = 9
    hidden_kernel: int = 7
    depth_separable: bool = True
    pad_input: bool = False
    momentum: float = 0.9


def _examples() -> dict[str, Example]:
    small = {"hidden_channels": 8, "input_kernel": 5, "hidden_kernel": 3, "height_px": 18}
    small |= {"width_px": 32, "layers": 3}
    state = {"behavior_names": IMAGE_BEHAVIOR, "has_shifter": True}
    return {
        "cnn": (small, {"mouse-a": 12}),
        "linear": (small | {"is_linear": True, "layers": 2}, {"mouse-a": 12}),
        "cnn with behavior and gaze": (
            small | state,
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "free positions": (
            small | {"position": "free", "gauss_type": "isotropic", "initial_position_range": 1.0},
            {"mouse-a": 12},
        ),
        "two colors": (small | {"stimulus_channels": 2}, {"mouse-a": 12}),
        "factorized readout": (
            small | {"readout": "factorized", "behavior_names": IMAGE_BEHAVIOR},
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "pooled readout": (
            small | {"readout": "pooled", "has_shifter": True},
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "depth and three axes": (
            small
            | state
            | {"readout": "depth_gaussian", "depth_groups": 3, "cortex_axes": 3}
            | {"shifter_reads": "behavior and gaze"},
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "state encoder": (
            small | state | {"has_state_encoder": True, "output": "softplus"},
            {"mouse-a": 12},
        ),
        "attention readout": (
            small | {"readout": "attention", "key_channels": 6, "output": "exponential"},
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "convolutional readout": (
            small | {"readout": "convolutional", "readout_groups": 4, "output": "sigmoid"},
            {"mouse-a": 13},
        ),
        "linear readout": (small | {"readout": "linear", "output": "identity"}, {"mouse-a": 12}),
        "flat readout": (small | {"readout": "flat"}, {"mouse-a": 12}),
        "dense readout": (small | {"readout": "dense"}, {"mouse-a": 12, "mouse-b": 1}),
    }


@register("sensorium2022", options=Sensorium2022Options, examples=_examples)
class Sensorium2022(CoreReadoutNetwork):
    """Convolutional core, Gaussian readout, and where asked behavior channels and a gaze shifter.

    The response is ``ELU(z) + 1`` of the readout's value. Names of parameters and buffers are those
    of the published files: ``core.…``, ``readout.<mouse>.…``, ``shifter.<mouse>.…``.

    Parameters
    ----------
    options : Sensorium2022Options
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    Willeke et al. 2022, "The Sensorium competition on predicting large-scale mouse primary visual
    cortex activity"; sensorium, models/models.py; neuralpredictors 0.3.0, layers/encoders.
    """

    kind: Kind = "image"

    core: Stacked2dCore
    options: Sensorium2022Options

    def __init__(self, options: Sensorium2022Options, neuron_counts: Mapping[str, int]) -> None:
        core = Stacked2dCore(
            options.stimulus_channels + options.state_count,
            hidden_channels=options.hidden_channels,
            input_kernel=options.input_kernel,
            hidden_kernel=options.hidden_kernel,
            layers=options.layers,
            is_linear=options.is_linear,
            depth_separable=options.depth_separable,
            pad_input=options.pad_input,
            momentum=options.momentum,
        )
        super().__init__(options, core, neuron_counts)
