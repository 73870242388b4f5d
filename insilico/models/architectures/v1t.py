"""V1T: a vision transformer of images, and the same of every frame of a movie."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from insilico.errors import CheckpointError
from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.architectures.cropped_image import CroppedImageNetwork, CroppedImageOptions
from insilico.models.cores.image_patches import PatchKind
from insilico.models.cores.vit import VisionTransformerCore
from insilico.models.cores.vit_blocks import AttentionDropout
from insilico.models.registry import Example, register
from insilico.stimuli.stimuli import Kind
from insilico.variables import IMAGE_BEHAVIOR, MOVIE_BEHAVIOR

#: Where the state that a core reads enters it: as constant channels after the stimulus, in every
#: block, or there by a network of each mouse.
StateEntry = Literal["channels", "blocks", "blocks by mouse"]


@dataclasses.dataclass(frozen=True)
class TransformerOptions:
    """What the core of every image transformer has; the defaults are published V1T.

    Parameters
    ----------
    state_entry : {"channels", "blocks", "blocks by mouse"}
        Where the behavior and gaze that the core reads enter it; by mouse, each has its own
        behavior networks.
    patch_px, stride_px, token_width, blocks, heads, feedforward, token_dropout, block_dropout, \
drop_path
        As for :class:`~insilico.models.cores.vit.VisionTransformerCore`.
    compatibility : bool
        Lay tokens out as the published code does: on a grid that it guesses from their number,
        which scrambles features in space for strides that make the guess wrong (see
        :func:`~insilico.models.cores.image_patches.guess_grid`).
    """

    state_entry: StateEntry = "blocks"
    patch_px: int = 8
    stride_px: int = 1
    token_width: int = 155
    blocks: int = 4
    heads: int = 4
    feedforward: int = 488
    token_dropout: float = 0.0229
    block_dropout: float = 0.2544
    drop_path: float = 0.0
    compatibility: bool = False

    def state_arguments(self, state_count: int, mice: tuple[str, ...]) -> dict[str, Any]:
        """Return what a core is told of its state.

        Parameters
        ----------
        state_count : int
            Variables that it reads.
        mice : tuple of str
            All mice.

        Raises
        ------
        CheckpointError
            If there is no such entry.
        """
        entries = ("channels", "blocks", "blocks by mouse")
        if self.state_entry not in entries:
            raise CheckpointError(
                f"the option state_entry is {self.state_entry!r}; give one of {', '.join(entries)}"
            )
        return {
            "state_count": state_count,
            "state_enters_blocks": self.state_entry != "channels",
            "mice": mice if self.state_entry == "blocks by mouse" else (),
        }


@dataclasses.dataclass(frozen=True)
class VisionTransformerOptions(TransformerOptions):
    """What the core of V1T has, for images or for frames.

    Parameters
    ----------
    patches, local_attention, has_bias
        As for :class:`~insilico.models.cores.vit.VisionTransformerCore`.
    others
        As for :class:`TransformerOptions`.
    """

    patches: PatchKind = "linear"
    local_attention: bool = False
    has_bias: bool = True

    def build_core(
        self,
        channels: int,
        *,
        image_px: tuple[int, int],
        state_count: int,
        mice: tuple[str, ...],
        attention_dropout: AttentionDropout,
    ) -> VisionTransformerCore:
        """Build the core.

        Parameters
        ----------
        channels : int
            Stimulus channels.
        image_px : (int, int)
            Rows and columns of the images that enter.
        state_count : int
            Variables of behavior and gaze that it reads.
        mice : tuple of str
            All mice.
        attention_dropout : {"weights", "values"}
            What is dropped inside the attention.
        """
        return VisionTransformerCore(
            channels,
            image_px=image_px,
            patches=self.patches,
            patch_px=self.patch_px,
            stride_px=self.stride_px,
            token_width=self.token_width,
            blocks=self.blocks,
            heads=self.heads,
            feedforward=self.feedforward,
            local_attention=self.local_attention,
            has_bias=self.has_bias,
            token_dropout=self.token_dropout,
            block_dropout=self.block_dropout,
            drop_path=self.drop_path,
            attention_dropout=attention_dropout,
            compatibility=self.compatibility,
            **self.state_arguments(state_count, mice),
        )


@dataclasses.dataclass(frozen=True)
class V1TOptions(VisionTransformerOptions, CroppedImageOptions):
    """What rebuilds V1T; the defaults are the model published for Sensorium 2022.

    That of Franke 2022 has ``stimulus_channels`` 2, ``height_px`` 36 and ``width_px`` 64.

    Parameters
    ----------
    all
        As for :class:`VisionTransformerOptions` and
        :class:`~insilico.models.architectures.cropped_image.CroppedImageOptions`.

    References
    ----------
    V1T, train.py and README.md.
    """

    behavior_names: tuple[str, ...] = IMAGE_BEHAVIOR
    core_reads_gaze: bool = True


@dataclasses.dataclass(frozen=True)
class V1TMovieOptions(VisionTransformerOptions, CoreReadoutOptions):
    """What rebuilds V1T of single frames, a baseline of the closed-loop study.

    Parameters
    ----------
    all
        As for :class:`VisionTransformerOptions` and
        :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/v1t.py and viv1t/model/readout.
    """

    behavior_names: tuple[str, ...] = MOVIE_BEHAVIOR
    has_shifter: bool = True
    initial_sigma: float = 1.0
    initial_position_range: float = 0.2


#: A transformer small enough for the contract suite.
SMALL = {"token_width": 8, "heads": 2, "feedforward": 12, "blocks": 2, "patch_px": 4}
#: An image for it, and what the core sees of that.
SMALL_IMAGE = {"height_px": 24, "width_px": 40, "core_height_px": 12, "core_width_px": 20}


def _image_examples() -> dict[str, Example]:
    small = SMALL | SMALL_IMAGE | {"stride_px": 2}
    one, two = {"mouse-a": 12}, {"mouse-a": 12, "mouse-b": 7}
    no_state = {"behavior_names": (), "core_reads_gaze": False, "has_shifter": False}
    moved = {"center_crop": 0.8, "has_image_shifter": True}
    return {
        "behavior and gaze": (small, two),
        "images alone": (small | no_state | {"patches": "convolution"}, one),
        "behavior as channels": (small | {"state_entry": "channels", "patches": "shifted"}, one),
        "behavior by mouse": (
            small | {"state_entry": "blocks by mouse", "patches": "normalized"},
            two,
        ),
        "behavior without gaze": (
            small | {"core_reads_gaze": False, "has_shifter": False, "drop_path": 0.3},
            one,
        ),
        "local attention without biases": (
            small | {"local_attention": True, "has_bias": False, "stride_px": 4},
            one,
        ),
        "crop that moves": (
            small | moved | {"image_shifter_reads": "behavior and gaze"},
            two,
        ),
        "crop that learns to move": (small | no_state | moved | {"crop_sampling": "bilinear"}, one),
        "two colors at one size": (
            small | {"stimulus_channels": 2, "height_px": 12, "width_px": 20},
            one,
        ),
        "guessed grid": (
            small | {"compatibility": True, "position": "free", "core_height_px": 14},
            one,
        ),
    }


@register("v1t", options=V1TOptions, examples=_image_examples)
class V1T(CroppedImageNetwork):
    """A crop of the screen, patches, blocks that behavior and gaze enter, and a Gaussian readout.

    Parameters
    ----------
    options : V1TOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    Li et al. 2023, "V1T: large-scale mouse V1 response prediction using a vision transformer",
    arXiv:2302.03023; V1T, src/v1t/models/model.py.
    """

    options: V1TOptions
    core: VisionTransformerCore

    def __init__(self, options: V1TOptions, neuron_counts: Mapping[str, int]) -> None:
        core = options.build_core(
            options.stimulus_channels,
            image_px=options.core_px,
            state_count=options.state_count,
            mice=tuple(neuron_counts),
            attention_dropout="weights",
        )
        super().__init__(options, core, neuron_counts)


def _movie_examples() -> dict[str, Example]:
    small = SMALL | {"height_px": 12, "width_px": 20, "stride_px": 4}
    return {
        "behavior": (small, {"mouse-a": 12, "mouse-b": 7}),
        "behavior and gaze": (
            small | {"core_reads_gaze": True, "drop_path": 0.3, "has_shifter": False},
            {"mouse-a": 12},
        ),
        "behavior as channels": (
            small | {"state_entry": "channels", "local_attention": True, "compatibility": True},
            {"mouse-a": 12},
        ),
        "movies alone": (
            small | {"behavior_names": (), "has_shifter": False, "readout": "factorized"},
            {"mouse-a": 12},
        ),
    }


@register("v1t_movie", options=V1TMovieOptions, examples=_movie_examples)
class V1TMovie(CoreReadoutNetwork):
    """V1T of every frame on its own: no memory, and no crop.

    Dropout inside the attention acts on what the heads answer, where V1T of images drops weights of
    the softmax.

    Parameters
    ----------
    options : V1TMovieOptions
        Architecture.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.

    References
    ----------
    ViV1T-closed-loop, viv1t/model/core/v1t.py.
    """

    kind: Kind = "movie"
    options: V1TMovieOptions
    core: VisionTransformerCore

    def __init__(self, options: V1TMovieOptions, neuron_counts: Mapping[str, int]) -> None:
        core = options.build_core(
            options.stimulus_channels,
            image_px=(options.height_px, options.width_px),
            state_count=options.state_count,
            mice=tuple(neuron_counts),
            attention_dropout="values",
        )
        # A trial has hundreds of images; the core takes them a few at a time.
        core.trials_at_once = 1
        super().__init__(options, core, neuron_counts)
