"""Readouts by name, and their options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from insilico.errors import CheckpointError
from insilico.models.readouts.attention import Attention, KeyValueNeck
from insilico.models.readouts.convolutional import GroupedConvolution
from insilico.models.readouts.dense import Dense
from insilico.models.readouts.depth_gaussian import DepthGaussian2d
from insilico.models.readouts.factorized2d import FullFactorized2d
from insilico.models.readouts.flat import FlatLinear
from insilico.models.readouts.gaussian2d import FullGaussian2d, GaussType
from insilico.models.readouts.linear import SpatialMaxLinear
from insilico.models.readouts.neck import Neck
from insilico.models.readouts.pooled2d import PointPooled2d
from insilico.models.readouts.readout import Readout

ReadoutKind = Literal[
    "gaussian",
    "factorized",
    "pooled",
    "depth_gaussian",
    "attention",
    "convolutional",
    "linear",
    "flat",
    "dense",
]


@dataclasses.dataclass(frozen=True)
class ReadoutOptions:
    """Which readout, and the options of all of them.

    Parameters
    ----------
    readout : {"gaussian", "factorized", "pooled", "depth_gaussian", "attention", "convolutional", \
"linear", "flat", "dense"}
        Kind of readout.
    position, gauss_type, predictor_hidden_units, initial_sigma, cortex_axes
        As for :class:`~insilico.models.readouts.gaussian2d.FullGaussian2d`.
    initial_position_range : float
        Points of the Gaussian readout with free positions and of the pooled readout start
        uniformly within plus and minus this; the map is 2 wide.
    has_state_encoder : bool
        Whether behavior and gaze add to the features that neurons of a Gaussian readout read.
    depth_groups : int
        As for :class:`~insilico.models.readouts.depth_gaussian.DepthGaussian2d`; there are ten
        imaging planes in the recordings of Sensorium.
    normalize_masks, initial_noise
        As for :class:`~insilico.models.readouts.factorized2d.FullFactorized2d`.
    pool_steps, pool_kernel
        As for :class:`~insilico.models.readouts.pooled2d.PointPooled2d`.
    key_channels, neck_dropout
        Width of keys and values, and dropout before them; see
        :class:`~insilico.models.readouts.attention.KeyValueNeck`.
    readout_groups : int
        Groups of neurons, and of channels, of the convolutional readout; see
        :class:`~insilico.models.readouts.convolutional.GroupedConvolution`.
    readout_dropout : float
        Dropout of the state encoder and of the convolutional readout.
    dense_dropout : float
        Dropout of the dense readout.
    readout_compatibility : bool
        Whether to reproduce a mistake of the published attention readout, which scales keys by the
        width of the core instead of their own.

    References
    ----------
    Defaults: those of each class; ViV1T-closed-loop, train.py: ``readout_emb_dim``,
    ``readout_groups``, ``readout_dropout``.
    """

    readout: ReadoutKind = "gaussian"
    position: Literal["cortex", "free"] = "cortex"
    gauss_type: GaussType = "full"
    predictor_hidden_units: int = 30
    initial_sigma: float = 0.1
    initial_position_range: float = 0.3
    cortex_axes: int = 2
    has_state_encoder: bool = False
    depth_groups: int = 10
    normalize_masks: bool = True
    initial_noise: float = 1e-3
    pool_steps: int = 2
    pool_kernel: int = 3
    key_channels: int = 128
    neck_dropout: float = 0.1
    readout_groups: int = 1
    readout_dropout: float = 0.0
    dense_dropout: float = 0.25
    readout_compatibility: bool = False

    @property
    def readout_reads_state(self) -> bool:
        """Whether behavior and gaze enter the readout."""
        return self.has_state_encoder


@dataclasses.dataclass(frozen=True)
class _Sizes:
    """What a readout has to fit: ``state`` counts the variables of behavior and gaze."""

    channels: int
    neurons: int
    map_shape: tuple[int, int]
    state: int


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
    if options.readout != "attention":
        return Neck(channels)
    return KeyValueNeck(
        channels,
        map_shape=map_shape,
        key_channels=options.key_channels,
        dropout=options.neck_dropout,
        compatibility=options.readout_compatibility,
    )


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
        Channels of the map that the neck returns.
    neuron_count : int
        Number of neurons.
    map_shape : (int, int)
        Rows and columns of the feature map.
    state_count : int
        Variables of behavior and gaze, for readouts that read them.

    Raises
    ------
    CheckpointError
        If there is no such kind, or it cannot have what the options ask of it.
    """
    if options.readout not in _READOUTS:
        raise CheckpointError(
            f"the option readout is {options.readout!r}; give one of {', '.join(_READOUTS)}"
        )
    if options.has_state_encoder and options.readout not in ("gaussian", "depth_gaussian"):
        raise CheckpointError(
            f"the {options.readout} readout has no state encoder; set has_state_encoder to false, "
            "or take a gaussian readout"
        )
    sizes = _Sizes(channels, neuron_count, map_shape, state_count)
    return _READOUTS[options.readout](options, sizes)


def _gaussian(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return FullGaussian2d(
        sizes.channels,
        sizes.neurons,
        position=options.position,
        gauss_type=options.gauss_type,
        predictor_hidden_units=options.predictor_hidden_units,
        initial_sigma=options.initial_sigma,
        initial_position_range=options.initial_position_range,
        cortex_axes=options.cortex_axes,
        state_count=sizes.state if options.has_state_encoder else 0,
        state_dropout=options.readout_dropout,
    )


def _depth_gaussian(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    if options.position != "cortex":
        raise CheckpointError(
            "the depth_gaussian readout predicts positions from the cortex; set position to "
            "'cortex', or take a gaussian readout"
        )
    return DepthGaussian2d(
        sizes.channels,
        sizes.neurons,
        depth_groups=options.depth_groups,
        gauss_type=options.gauss_type,
        predictor_hidden_units=options.predictor_hidden_units,
        initial_sigma=options.initial_sigma,
        cortex_axes=options.cortex_axes,
        state_count=sizes.state if options.has_state_encoder else 0,
        state_dropout=options.readout_dropout,
    )


def _factorized(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return FullFactorized2d(
        sizes.channels,
        sizes.neurons,
        map_shape=sizes.map_shape,
        normalize_masks=options.normalize_masks,
        initial_noise=options.initial_noise,
    )


def _pooled(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return PointPooled2d(
        sizes.channels,
        sizes.neurons,
        map_shape=sizes.map_shape,
        pool_steps=options.pool_steps,
        pool_kernel=options.pool_kernel,
        initial_position_range=options.initial_position_range,
    )


def _attention(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return Attention(sizes.channels, sizes.neurons)


def _convolutional(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return GroupedConvolution(
        sizes.channels,
        sizes.neurons,
        groups=options.readout_groups,
        dropout=options.readout_dropout,
    )


def _linear(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return SpatialMaxLinear(sizes.channels, sizes.neurons)


def _flat(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return FlatLinear(sizes.channels, sizes.neurons, map_shape=sizes.map_shape)


def _dense(options: ReadoutOptions, sizes: _Sizes) -> Readout:
    return Dense(
        sizes.channels, sizes.neurons, map_shape=sizes.map_shape, dropout=options.dense_dropout
    )


_READOUTS: dict[str, Callable[[ReadoutOptions, _Sizes], Readout]] = {
    "gaussian": _gaussian,
    "factorized": _factorized,
    "pooled": _pooled,
    "depth_gaussian": _depth_gaussian,
    "attention": _attention,
    "convolutional": _convolutional,
    "linear": _linear,
    "flat": _flat,
    "dense": _dense,
}
