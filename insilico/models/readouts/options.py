"""Readouts by name, and their options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from insilico.errors import CheckpointError
from insilico.models.readouts.factorized2d import FullFactorized2d
from insilico.models.readouts.gaussian2d import FullGaussian2d, GaussType
from insilico.models.readouts.pooled2d import PointPooled2d
from insilico.models.readouts.readout import Readout

ReadoutKind = Literal["gaussian", "factorized", "pooled"]


@dataclasses.dataclass(frozen=True)
class ReadoutOptions:
    """Which readout, and the options of all of them.

    Parameters
    ----------
    readout : {"gaussian", "factorized", "pooled"}
        Kind of readout.
    position, gauss_type, predictor_hidden_units, initial_sigma
        As for :class:`~insilico.models.readouts.gaussian2d.FullGaussian2d`.
    initial_position_range : float
        Points of the Gaussian readout with free positions and of the pooled readout start
        uniformly within plus and minus this; the map is 2 wide.
    normalize_masks, initial_noise
        As for :class:`~insilico.models.readouts.factorized2d.FullFactorized2d`.
    pool_steps, pool_kernel
        As for :class:`~insilico.models.readouts.pooled2d.PointPooled2d`.
    """

    readout: ReadoutKind = "gaussian"
    position: Literal["cortex", "free"] = "cortex"
    gauss_type: GaussType = "full"
    predictor_hidden_units: int = 30
    initial_sigma: float = 0.1
    initial_position_range: float = 0.3
    normalize_masks: bool = True
    initial_noise: float = 1e-3
    pool_steps: int = 2
    pool_kernel: int = 3

    @property
    def readout_reads_state(self) -> bool:
        """Whether behavior and gaze enter the readout."""
        return False


class Neck(nn.Module):
    """What all mice's readouts share, between the core and them; nothing, by default.

    Parameters
    ----------
    channels : int
        Feature channels of the core.

    Attributes
    ----------
    output_channels : int
        Channels that the readouts see.
    is_identity : bool
        Whether features pass unchanged.
    """

    is_identity: bool = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.output_channels = channels

    def forward(self, features: Tensor) -> Tensor:
        """Return the map (row, channel, y, x) that readouts see."""
        return features


def build_neck(options: ReadoutOptions, channels: int, *, map_shape: tuple[int, int]) -> Neck:
    """Build what all mice's readouts of one kind share.

    Parameters
    ----------
    options : ReadoutOptions
        Which kind, and its options.
    channels : int
        Feature channels of the core.
    map_shape : (int, int)
        Rows and columns of the feature map.
    """
    return Neck(channels)


def build_readout(
    options: ReadoutOptions,
    channels: int,
    neuron_count: int,
    *,
    map_shape: tuple[int, int],
    state_count: int = 0,
) -> Readout:
    """Build one mouse's readout.

    Parameters
    ----------
    options : ReadoutOptions
        Which kind, and its options.
    channels : int
        Feature channels of the core.
    neuron_count : int
        Number of neurons.
    map_shape : (int, int)
        Rows and columns of the feature map.
    state_count : int
        Variables of behavior and gaze, for readouts that read them.

    Raises
    ------
    CheckpointError
        If there is no such kind.
    """
    if options.readout not in _READOUTS:
        raise CheckpointError(
            f"the option readout is {options.readout!r}; give one of {', '.join(_READOUTS)}"
        )
    return _READOUTS[options.readout](options, channels, neuron_count, map_shape)


def _gaussian(
    options: ReadoutOptions, channels: int, neuron_count: int, map_shape: tuple[int, int]
) -> Readout:
    return FullGaussian2d(
        channels,
        neuron_count,
        position=options.position,
        gauss_type=options.gauss_type,
        predictor_hidden_units=options.predictor_hidden_units,
        initial_sigma=options.initial_sigma,
        initial_position_range=options.initial_position_range,
    )


def _factorized(
    options: ReadoutOptions, channels: int, neuron_count: int, map_shape: tuple[int, int]
) -> Readout:
    return FullFactorized2d(
        channels,
        neuron_count,
        map_shape=map_shape,
        normalize_masks=options.normalize_masks,
        initial_noise=options.initial_noise,
    )


def _pooled(
    options: ReadoutOptions, channels: int, neuron_count: int, map_shape: tuple[int, int]
) -> Readout:
    return PointPooled2d(
        channels,
        neuron_count,
        map_shape=map_shape,
        pool_steps=options.pool_steps,
        pool_kernel=options.pool_kernel,
        initial_position_range=options.initial_position_range,
    )


_READOUTS: dict[str, Callable[[ReadoutOptions, int, int, tuple[int, int]], Readout]] = {
    "gaussian": _gaussian,
    "factorized": _factorized,
    "pooled": _pooled,
}
