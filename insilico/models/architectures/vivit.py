"""ViV1T: movies in, a response a frame and neuron out, through a factorized transformer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.cores.norms import NormKind
from insilico.models.cores.patch_tokens import PatchGrid
from insilico.models.cores.position_encoding import PositionKind
from insilico.models.cores.vivit import ViViTCore
from insilico.models.cores.vivit_blocks import ActivationKind
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind
from insilico.variables import MOVIE_BEHAVIOR


@dataclasses.dataclass(frozen=True)
class ViViTOptions(CoreReadoutOptions):
    """What rebuilds a network of this family; the defaults are the published ViV1T.

    Parameters
    ----------
    patch_px, patch_stride_px : int
        Side of a patch, and distance between neighbors; half the stride has four times the tokens.
    patch_frames, patch_stride_frames : int
        The same in time.
    pads : bool
        Whether zeros around frames, and in front of a movie, let every frame be answered.
    patch_norm : bool
        Whether patches are normalized before they are mapped to tokens.
    max_frames : int
        Longest movie that positions are learned for; rotary positions are centered on it.
    position_encoding : str
        What tells tokens where and when they are: "rotary" turns queries and keys, other kinds add
        learned vectors or waves; see
        :class:`~insilico.models.cores.position_encoding.PositionEncoding`.
    width : int
        Channels of a token.
    heads, head_width, feedforward : int
        Heads, channels of each, hidden channels of the feed-forward part.
    feedforward_activation : {"none", "tanh", "elu", "relu", "gelu", "silu", "swiglu"}
        Of the feed-forward part.
    spatial_depth : int
        Blocks over the patches of a frame.
    temporal_depth : int
        Blocks over the times of a patch.
    registers : int
        Learned tokens beside the patches of a frame, and beside the times of a patch.
    is_causal : bool
        Whether a frame sees only itself and earlier ones.
    norm : {"layernorm", "rmsnorm", "dyt"}
        Kind of all normalizations in the core.
    normalizes_queries : bool
        Whether queries and keys are normalized.
    token_dropout : float
        Probability of a whole token to be dropped in training.
    attention_dropout, feedforward_dropout : float
        Of an element of the heads' output, and of a hidden channel.
    drop_path : float
        Of a whole branch of a block, for one frame or one patch.
    core_activation : str
        After the last block.
    compatibility : bool
        Scale rotary queries and keys as the published code does; see
        :class:`~insilico.models.cores.vivit_blocks.RotaryEmbedding`. Weights that were trained so
        need it.
    others
        As for :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    ViV1T-closed-loop, train.py (all defaults), viv1t/model/core/vivit.py; causal attention and gaze
    in the core as in the command of its README.
    """

    patch_px: int = 7
    patch_stride_px: int = 2
    patch_frames: int = 13
    patch_stride_frames: int = 1
    pads: bool = True
    patch_norm: bool = True
    max_frames: int = 300
    position_encoding: PositionKind = "rotary"
    width: int = 112
    heads: int = 2
    head_width: int = 80
    feedforward: int = 224
    feedforward_activation: ActivationKind = "relu"
    spatial_depth: int = 14
    temporal_depth: int = 14
    registers: int = 24
    is_causal: bool = True
    norm: NormKind = "layernorm"
    normalizes_queries: bool = False
    token_dropout: float = 0.17
    attention_dropout: float = 0.04
    feedforward_dropout: float = 0.21
    drop_path: float = 0.43
    core_activation: ActivationKind = "none"
    compatibility: bool = False
    behavior_names: tuple[str, ...] = MOVIE_BEHAVIOR
    core_reads_gaze: bool = True
    has_shifter: bool = True
    initial_sigma: float = 1.0
    initial_position_range: float = 0.2


def _examples() -> dict[str, Example]:
    small = {"height_px": 10, "width_px": 14, "patch_px": 5, "patch_stride_px": 3}
    small |= {"patch_frames": 4, "max_frames": 16, "width": 12, "heads": 2, "head_width": 6}
    small |= {"feedforward": 10, "spatial_depth": 2, "temporal_depth": 2, "registers": 2}
    still = {"behavior_names": (), "core_reads_gaze": False, "has_shifter": False}
    return {
        "as published": (small | {"compatibility": True}, {"mouse-a": 12, "mouse-b": 7}),
        "relative rotary scale": (small, {"mouse-a": 12}),
        "not causal": (small | {"is_causal": False, "norm": "rmsnorm"}, {"mouse-a": 12}),
        "joint positions": (
            small | {"position_encoding": "joint", "norm": "dyt", "normalizes_queries": True},
            {"mouse-a": 12},
        ),
        "learned positions": (
            small | {"position_encoding": "learned", "feedforward_activation": "swiglu"},
            {"mouse-a": 12},
        ),
        "waves": (
            small | {"position_encoding": "learned_sinusoid", "core_activation": "tanh"},
            {"mouse-a": 12},
        ),
        "not padded, stimulus alone": (
            small | still | {"pads": False, "position_encoding": "sinusoid", "registers": 0},
            {"mouse-a": 12},
        ),
        "plain convolution": (
            small | {"patch_norm": False, "position_encoding": "sincos_rotary"},
            {"mouse-a": 12},
        ),
        "temporal stride": (
            small
            | {"patch_stride_frames": 2, "position_encoding": "learned_rotary", "max_frames": 12},
            {"mouse-a": 12},
        ),
        "without positions": (small | still | {"position_encoding": "none"}, {"mouse-a": 12}),
    }


@register("vivit", options=ViViTOptions, examples=_examples)
class ViViT(CoreReadoutNetwork):
    """Tokens of space-time patches, a spatial and a temporal transformer, a readout of every frame.

    Parameters
    ----------
    options : ViViTOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    Li et al. 2025, ViV1T; repository bryanlimy/ViV1T-closed-loop, viv1t/model/model.py.
    """

    kind: Kind = "movie"
    core: ViViTCore
    options: ViViTOptions

    def __init__(self, options: ViViTOptions, neuron_counts: Mapping[str, int]) -> None:
        grid = PatchGrid(
            (options.height_px, options.width_px),
            patch_px=options.patch_px,
            stride_px=options.patch_stride_px,
            patch_frames=options.patch_frames,
            stride_frames=options.patch_stride_frames,
            pads=options.pads,
            max_frames=options.max_frames,
        )
        core = ViViTCore(
            grid,
            channels=options.stimulus_channels,
            state_count=options.state_count,
            width=options.width,
            spatial_depth=options.spatial_depth,
            temporal_depth=options.temporal_depth,
            registers=options.registers,
            is_causal=options.is_causal,
            position_encoding=options.position_encoding,
            patch_norm=options.patch_norm,
            norm=options.norm,
            token_dropout=options.token_dropout,
            activation=options.core_activation,
            compatibility=options.compatibility,
            heads=options.heads,
            head_width=options.head_width,
            feedforward=options.feedforward,
            feedforward_activation=options.feedforward_activation,
            normalizes_queries=options.normalizes_queries,
            attention_dropout=options.attention_dropout,
            feedforward_dropout=options.feedforward_dropout,
            drop_path=options.drop_path,
        )
        super().__init__(options, core, neuron_counts)
