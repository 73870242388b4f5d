"""What V1T was compared with: other cores behind the same cropper, readout and shifters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.models.architectures.cropped_image import CroppedImageNetwork, CroppedImageOptions
from insilico.models.architectures.v1t import SMALL, SMALL_IMAGE, TransformerOptions
from insilico.models.cores.cct import CompactTransformerCore, TokenPositions
from insilico.models.cores.linear import LinearImageCore
from insilico.models.cores.stacked2d import Stacked2dCore
from insilico.models.cores.stn import SpatialTransformerCore
from insilico.models.registry import Example, register
from insilico.variables import IMAGE_BEHAVIOR

_ONE, _TWO = {"mouse-a": 12}, {"mouse-a": 12, "mouse-b": 7}
_LARGER_IMAGE = {"height_px": 40, "width_px": 56, "core_height_px": 20, "core_width_px": 28}


@dataclasses.dataclass(frozen=True)
class CompactTransformerOptions(TransformerOptions, CroppedImageOptions):
    """What rebuilds a compact convolutional transformer.

    Parameters
    ----------
    positions
        As for :class:`~insilico.models.cores.cct.CompactTransformerCore`.
    compatibility : bool
        Reproduce what the published code does: the guessed grid (24 by 24 where it is 18 by 32),
        and logits scaled by the width of all heads together instead of one.
    others
        As for :class:`~insilico.models.architectures.v1t.TransformerOptions` and
        :class:`~insilico.models.architectures.cropped_image.CroppedImageOptions`.

    References
    ----------
    V1T, train.py and src/v1t/models/core/cct.py.
    """

    behavior_names: tuple[str, ...] = IMAGE_BEHAVIOR
    core_reads_gaze: bool = True
    token_width: int = 160
    positions: TokenPositions = "sine"


def _compact_examples() -> dict[str, Example]:
    small = SMALL | SMALL_IMAGE | {"heads": 2, "token_width": 8}
    return {
        "behavior and gaze": (small, _TWO),
        "learned positions": (
            small | {"positions": "learned", "state_entry": "channels", "drop_path": 0.3},
            _ONE,
        ),
        "no positions": (
            small
            | {"positions": "none", "behavior_names": ()}
            | {"core_reads_gaze": False, "has_shifter": False},
            _ONE,
        ),
        "by mouse, as published": (
            small | {"state_entry": "blocks by mouse", "compatibility": True, "has_shifter": False},
            _TWO,
        ),
    }


@register("cct", options=CompactTransformerOptions, examples=_compact_examples)
class CompactTransformer(CroppedImageNetwork):
    """A compact convolutional transformer behind the cropper of V1T.

    Parameters
    ----------
    options : CompactTransformerOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    V1T, src/v1t/models/core/cct.py.
    """

    options: CompactTransformerOptions
    core: CompactTransformerCore

    def __init__(
        self, options: CompactTransformerOptions, neuron_counts: Mapping[str, int]
    ) -> None:
        core = CompactTransformerCore(
            options.stimulus_channels,
            image_px=options.core_px,
            patch_px=options.patch_px,
            stride_px=options.stride_px,
            token_width=options.token_width,
            blocks=options.blocks,
            heads=options.heads,
            feedforward=options.feedforward,
            positions=options.positions,
            token_dropout=options.token_dropout,
            block_dropout=options.block_dropout,
            drop_path=options.drop_path,
            compatibility=options.compatibility,
            **options.state_arguments(options.state_count, tuple(neuron_counts)),
        )
        super().__init__(options, core, neuron_counts)


@dataclasses.dataclass(frozen=True)
class SpatialTransformerOptions(CroppedImageOptions):
    """What rebuilds a spatial transformer; behavior that it reads enters as channels.

    Parameters
    ----------
    channels, layers, dropout
        As for :class:`~insilico.models.cores.stn.SpatialTransformerCore`.
    others
        As for :class:`~insilico.models.architectures.cropped_image.CroppedImageOptions`.

    References
    ----------
    V1T, train.py.
    """

    channels: int = 63
    layers: int = 7
    dropout: float = 0.1135


def _spatial_examples() -> dict[str, Example]:
    small = _LARGER_IMAGE | {"channels": 4, "layers": 3}
    return {
        "images alone": (small, _TWO),
        "behavior": (small | {"behavior_names": IMAGE_BEHAVIOR, "has_shifter": False}, _ONE),
    }


@register("stn", options=SpatialTransformerOptions, examples=_spatial_examples)
class SpatialTransformer(CroppedImageNetwork):
    """A spatial transformer network behind the cropper of V1T.

    Parameters
    ----------
    options : SpatialTransformerOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    V1T, src/v1t/models/core/stn.py.
    """

    options: SpatialTransformerOptions
    core: SpatialTransformerCore

    def __init__(
        self, options: SpatialTransformerOptions, neuron_counts: Mapping[str, int]
    ) -> None:
        core = SpatialTransformerCore(
            options.stimulus_channels,
            image_px=options.core_px,
            state_count=options.state_count,
            channels=options.channels,
            layers=options.layers,
            dropout=options.dropout,
        )
        super().__init__(options, core, neuron_counts)


@dataclasses.dataclass(frozen=True)
class Stacked2dOptions(CroppedImageOptions):
    """What rebuilds the convolutional baseline of V1T; behavior that it reads enters as channels.

    It is the core of Sensorium 2022 with biases in the depth-separable layers, behind the cropper.

    Parameters
    ----------
    layers, is_linear, hidden_channels, input_kernel, hidden_kernel, momentum, dropout
        As for :class:`~insilico.models.cores.stacked2d.Stacked2dCore`.
    others
        As for :class:`~insilico.models.architectures.cropped_image.CroppedImageOptions`.

    References
    ----------
    V1T, train.py and src/v1t/models/core/stacked2d.py.
    """

    layers: int = 4
    is_linear: bool = False
    hidden_channels: int = 64
    input_kernel: int = 9
    hidden_kernel: int = 7
    momentum: float = 0.9
    dropout: float = 0.0


def _stacked_examples() -> dict[str, Example]:
    small = _LARGER_IMAGE | {"hidden_channels": 4, "input_kernel": 5, "hidden_kernel": 3}
    behavior = {"behavior_names": IMAGE_BEHAVIOR, "has_shifter": False, "is_linear": True}
    return {
        "images alone": (small | {"dropout": 0.2}, _TWO),
        "linear, with behavior": (small | behavior, _ONE),
    }


@register("stacked2d", options=Stacked2dOptions, examples=_stacked_examples)
class Stacked2d(CroppedImageNetwork):
    """Stacked convolutions behind the cropper of V1T.

    Parameters
    ----------
    options : Stacked2dOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    V1T, src/v1t/models/core/stacked2d.py.
    """

    options: Stacked2dOptions
    core: Stacked2dCore

    def __init__(self, options: Stacked2dOptions, neuron_counts: Mapping[str, int]) -> None:
        core = Stacked2dCore(
            options.stimulus_channels + options.state_count,
            hidden_channels=options.hidden_channels,
            input_kernel=options.input_kernel,
            hidden_kernel=options.hidden_kernel,
            layers=options.layers,
            is_linear=options.is_linear,
            momentum=options.momentum,
            separable_bias=True,
            dropout=options.dropout,
        )
        super().__init__(options, core, neuron_counts)


def _linear_examples() -> dict[str, Example]:
    small = {"height_px": 24, "width_px": 40, "core_height_px": 6, "core_width_px": 10}
    return {
        "images alone": (small, _TWO),
        "behavior": (
            small | {"behavior_names": IMAGE_BEHAVIOR, "readout": "flat"} | {"has_shifter": False},
            _ONE,
        ),
    }


@register("linear_image", options=CroppedImageOptions, examples=_linear_examples)
class LinearImage(CroppedImageNetwork):
    """One linear map of all pixels behind the cropper of V1T.

    Parameters
    ----------
    options : CroppedImageOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    V1T, src/v1t/models/core/linear.py.
    """

    core: LinearImageCore

    def __init__(self, options: CroppedImageOptions, neuron_counts: Mapping[str, int]) -> None:
        core = LinearImageCore(
            options.stimulus_channels, image_px=options.core_px, state_count=options.state_count
        )
        super().__init__(options, core, neuron_counts)
