"""Image networks whose core sees a crop of the screen, at another size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from insilico.models.architectures.core_readout import CoreReadoutNetwork, CoreReadoutOptions
from insilico.models.attention_maps import AttentionMaps
from insilico.models.cores.core import Core
from insilico.models.cropper import CropSampling, ImageCropper
from insilico.stimuli.stimuli import Kind


@dataclasses.dataclass(frozen=True)
class CroppedImageOptions(CoreReadoutOptions):
    """What every network of the V1T study has before its core.

    The defaults are those of the Sensorium 2022 recordings: images of 144 by 256 px, of which the
    core sees all, at 36 by 64 px. Recordings of Franke 2022 have two stimulus channels of 36 by 64
    px, and are not resized.

    Parameters
    ----------
    core_height_px, core_width_px : int
        Size at which the core sees the image.
    center_crop : float
        Height and width of the image that the core sees, of the whole; in (0, 1].
    has_image_shifter : bool
        Whether gaze moves what is cut out, as far as the crop leaves room.
    image_shifter_reads : {"gaze", "behavior and gaze"}
        What that shifter is computed from.
    crop_sampling : {"nearest", "bilinear"}
        How pixels are cut out. "nearest" is as published, and gives the image shifter no gradient:
        take "bilinear" to train one.
    others
        As for :class:`~insilico.models.architectures.core_readout.CoreReadoutOptions`.

    References
    ----------
    V1T, train.py and src/v1t/models/image_cropper.py (``resize_image``, ``center_crop``,
    ``shift_mode`` 0 to 4).
    """

    height_px: int = 144
    width_px: int = 256
    has_shifter: bool = True
    core_height_px: int = 36
    core_width_px: int = 64
    center_crop: float = 1.0
    has_image_shifter: bool = False
    image_shifter_reads: Literal["gaze", "behavior and gaze"] = "gaze"
    crop_sampling: CropSampling = "nearest"

    @property
    def core_px(self) -> tuple[int, int]:
        """Rows and columns of the image that the core sees."""
        return self.core_height_px, self.core_width_px

    @property
    def image_shifter_inputs(self) -> int:
        """Number of variables that move the crop; 0 where nothing does."""
        if not self.has_image_shifter:
            return 0
        reads_behavior = self.image_shifter_reads == "behavior and gaze"
        return 2 + reads_behavior * len(self.behavior_names)


class CroppedImageNetwork(CoreReadoutNetwork):
    """A cropper, then core, readout and output of each mouse.

    Names of parameters are those of :class:`CoreReadoutNetwork`, and ``cropper.shifter.<mouse>.…``.

    Parameters
    ----------
    options : CroppedImageOptions
        Architecture.
    core : Core
        Already built, for images of ``options.core_px``.
    neuron_counts : mapping of str to int
        Number of neurons by mouse; a name has no period.
    """

    kind: Kind = "image"
    options: CroppedImageOptions

    def __init__(
        self, options: CroppedImageOptions, core: Core, neuron_counts: Mapping[str, int]
    ) -> None:
        super().__init__(options, core, neuron_counts)
        self.uses_pupil = self.uses_pupil or options.has_image_shifter
        self.cropper = ImageCropper(
            (options.height_px, options.width_px),
            options.core_px,
            mice=tuple(neuron_counts),
            center_crop=options.center_crop,
            shifter_inputs=options.image_shifter_inputs,
            sampling=options.crop_sampling,
        )

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the core's feature map."""
        return self.core.output_shape(*self.options.core_px)

    @property
    def frame_sizes(self) -> tuple[tuple[int, int], ...]:
        """Where all of an image is shown: its own size, and that at which the core sees it."""
        whole = self.options.height_px, self.options.width_px
        return (whole, self.options.core_px) if self.cropper.shows_all else ()

    def _enter(
        self, stimulus: Tensor, behavior: Tensor | None, gaze: Tensor | None, *, mouse: str
    ) -> Tensor:
        """Return the part of the image that the core is shown."""
        seen: Tensor = self.cropper(stimulus, self._moved_by(behavior, gaze), mouse=mouse)
        return seen

    def _leave(
        self,
        maps: AttentionMaps,
        frame_px: tuple[int, int],
        behavior: Tensor | None,
        gaze: Tensor | None,
        *,
        mouse: str,
    ) -> AttentionMaps:
        """Return maps of that part as maps of the image."""
        if self.cropper.shows_all and frame_px == self.options.core_px:
            return maps
        scale, offset_px = self.cropper.place_px()
        moved_px = self.cropper.moved_px(self._moved_by(behavior, gaze), mouse=mouse)
        places = maps.places.on(scale, offset_px)
        return dataclasses.replace(maps, places=places, moved_px=moved_px)

    def _moved_by(self, behavior: Tensor | None, gaze: Tensor | None) -> Tensor | None:
        """Return what the image shifter reads, if there is one."""
        if behavior is None or gaze is None:
            return gaze
        reads_behavior = self.options.image_shifter_reads == "behavior and gaze"
        return torch.cat([behavior, gaze], dim=1) if reads_behavior else gaze
