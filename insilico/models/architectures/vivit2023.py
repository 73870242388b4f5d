"""The first release of ViV1T (Sensorium 2023): movies in, a response a frame and neuron out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.architectures.v1t import StateEntry
from insilico.models.cores.patch_tokens import PatchGrid
from insilico.models.cores.vivit2023 import FirstReleasePosition, FirstReleaseViViTCore
from insilico.models.cores.vivit_blocks import ActivationKind
from insilico.models.outputs import OutputKind
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind
from insilico.variables import MOVIE_BEHAVIOR


@dataclasses.dataclass(frozen=True)
class FirstReleaseViViTOptions(CoreReadoutOptions):
    """What rebuilds a network of this family; the defaults are the five published networks.

    Parameters
    ----------
    patch_px, patch_stride_px, patch_frames, patch_stride_frames : int
        Size and distance of patches; only whole ones are taken. With a stride in time above one
        answers are no longer one a frame: behavior and gaze of the last frames still go with them,
        as in the published code.
    patch_norm, position_encoding, spatial_depth, temporal_depth, is_parallel, scales_by_width, \
token_dropout
        As for :class:`~insilico.models.cores.vivit2023.FirstReleaseViViTCore`.
    state_entry : {"channels", "blocks", "blocks by mouse"}
        Where the behavior and gaze that the core reads enter it; by mouse, each has its own
        networks in the blocks.
    max_frames : int
        Longest movie that positions are learned for.
    width : int
        Channels of a token.
    heads, head_width, feedforward, feedforward_activation, normalizes_queries, \
attention_dropout, feedforward_dropout, drop_path
        As for :class:`~insilico.models.cores.vivit2023_blocks.SequentialBlock`.
    compatibility : bool
        Guess the shape of the feature map from the number of patches, as the published code does;
        see :class:`~insilico.models.cores.vivit2023.FirstReleaseViViTCore`.
    others
        As for :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    ViV1T (first release, github.com/bryanlimy/ViV1T), train.py (defaults) and README.md (blocks in
    parallel, exponential output).
    """

    patch_px: int = 7
    patch_stride_px: int = 2
    patch_frames: int = 25
    patch_stride_frames: int = 1
    patch_norm: bool = True
    max_frames: int = 300
    position_encoding: FirstReleasePosition = "learned"
    width: int = 112
    heads: int = 11
    head_width: int = 48
    feedforward: int = 136
    feedforward_activation: ActivationKind = "gelu"
    spatial_depth: int = 3
    temporal_depth: int = 5
    is_parallel: bool = True
    normalizes_queries: bool = False
    scales_by_width: bool = False
    state_entry: StateEntry = "channels"
    token_dropout: float = 0.1338
    attention_dropout: float = 0.358
    feedforward_dropout: float = 0.0592
    drop_path: float = 0.0505
    compatibility: bool = False
    behavior_names: tuple[str, ...] = MOVIE_BEHAVIOR
    core_reads_gaze: bool = True
    has_shifter: bool = True
    has_state_encoder: bool = True
    output: OutputKind = "exponential"
    initial_sigma: float = 1.0
    initial_position_range: float = 0.2


def _examples() -> dict[str, Example]:
    small = {"height_px": 10, "width_px": 15, "patch_px": 5, "patch_stride_px": 3}
    small |= {"patch_frames": 4, "max_frames": 16, "width": 12, "heads": 2, "head_width": 6}
    small |= {"feedforward": 10, "spatial_depth": 2, "temporal_depth": 2}
    # A map of 2 by 4, which is no number of patches whose shape the published code guesses wrong.
    plain = {"has_state_encoder": False, "output": "elu"}
    sequence = {"is_parallel": False}
    return {
        "as published": (small | {"compatibility": True}, {"mouse-a": 12, "mouse-b": 7}),
        "points": (small | plain | {"core_reads_gaze": False}, {"mouse-a": 12}),
        "in sequence": (
            small
            | plain
            | sequence
            | {"position_encoding": "convolution", "core_reads_gaze": True},
            {"mouse-a": 12},
        ),
        "blocks by mouse": (
            small | {"state_entry": "blocks by mouse", "position_encoding": "joint"},
            {"mouse-a": 12, "mouse-b": 7},
        ),
        "blocks in sequence": (
            small
            | plain
            | sequence
            | {"state_entry": "blocks", "core_reads_gaze": False}
            | {"position_encoding": "learned_sinusoid", "normalizes_queries": True}
            | {"feedforward_activation": "swiglu", "scales_by_width": True},
            {"mouse-a": 12},
        ),
        "stimulus alone": (
            small
            | plain
            | {"behavior_names": (), "core_reads_gaze": False, "has_shifter": False}
            | {"patch_norm": False, "position_encoding": "sinusoid", "readout": "factorized"},
            {"mouse-a": 12},
        ),
    }


@register("vivit2023", options=FirstReleaseViViTOptions, examples=_examples)
class FirstReleaseViViT(CoreReadoutNetwork):
    """Tokens of whole patches, a spatial and a temporal transformer, a readout of every time.

    The readout also reads behavior and gaze. The published five answer with an exponential.

    Parameters
    ----------
    options : FirstReleaseViViTOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    Li et al. 2023, ViV1T, second place of Sensorium 2023 (Turishcheva et al. 2024,
    arXiv:2407.09100); github.com/bryanlimy/ViV1T, src/viv1t/model/model.py.
    """

    kind: Kind = "movie"
    core: FirstReleaseViViTCore
    options: FirstReleaseViViTOptions

    def __init__(self, options: FirstReleaseViViTOptions, neuron_counts: Mapping[str, int]) -> None:
        grid = PatchGrid(
            (options.height_px, options.width_px),
            patch_px=options.patch_px,
            stride_px=options.patch_stride_px,
            patch_frames=options.patch_frames,
            stride_frames=options.patch_stride_frames,
            pads=False,
            max_frames=options.max_frames,
        )
        core = FirstReleaseViViTCore(
            grid,
            channels=options.stimulus_channels,
            behavior_count=options.state_count - 2 * options.core_reads_gaze,
            gaze_count=2 * options.core_reads_gaze,
            width=options.width,
            spatial_depth=options.spatial_depth,
            temporal_depth=options.temporal_depth,
            position_encoding=options.position_encoding,
            patch_norm=options.patch_norm,
            state_enters_blocks=options.state_entry != "channels",
            mice=tuple(neuron_counts) if options.state_entry == "blocks by mouse" else (),
            is_parallel=options.is_parallel,
            scales_by_width=options.scales_by_width,
            token_dropout=options.token_dropout,
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
