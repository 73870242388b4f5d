"""Recordings of static images: Sensorium 2022 (gray) and Franke 2022 (ultraviolet and green)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from insilico.errors import RecordingError
from insilico.recordings.faults import FaultList
from insilico.recordings.npy import Array
from insilico.recordings.recording import Layout, Recording, Trial
from insilico.recordings.source import Source
from insilico.recordings.tables import (
    IntArray,
    read_ids,
    read_neurons,
    read_screen,
    read_tiers,
    rename_tiers,
)
from insilico.recordings.trials import TrialFiles, find_files, first_shape
from insilico.screen import SCREENS
from insilico.variables import IMAGE_BEHAVIOR

#: Tiers keep their names.
TIER_NAMES = {tier: tier for tier in ("train", "validation", "test", "final_test", "none")}

#: Which image each trial showed (V1T, src/v1t/data.py).
IMAGE_ID_FILES = (
    "meta/trials/frame_image_id.npy",
    "meta/trials/colorframeprojector_image_id.npy",
)

#: Size at which Sensorium 2022 publishes its images; its models see a quarter of it.
PUBLISHED_SHAPE = (144, 256)


@dataclasses.dataclass(frozen=True)
class ImageReader:
    """Reads one presentation of an image.

    Parameters
    ----------
    files : TrialFiles
        Where the trials lie.
    shape : tuple of int
        Channels, rows and columns on disk.
    """

    files: TrialFiles
    shape: tuple[int, int, int]

    def __call__(self, trial: int) -> Trial:
        """Read a trial.

        Raises
        ------
        RecordingError
            If a file is missing, damaged, of another shape or holds what is not finite; the message
            tells of all files of the trial.
        """
        files, faults = self.files, FaultList()
        files.demand_trial(trial)
        values: dict[str, Array] = {}
        with faults.noting():
            image = files.numbers("stimulus", trial, shape=self.shape, axes="channel, y, x")
            values["stimulus"] = to_network_size(files.levels(trial, image))
        with faults.noting():
            values["responses"] = self._responses(trial)
        for signal, length in (("behavior", len(IMAGE_BEHAVIOR)), ("pupil_center", 2)):
            if signal in files.folders:
                with faults.noting():
                    recorded = files.numbers(signal, trial, shape=(length,), axes="variable")
                    values[signal] = files.finite(signal, trial, recorded)
        faults.raise_any()
        return Trial(**values)

    def _responses(self, trial: int) -> Array:
        count = self.files.neuron_count
        if self.files.tiers[trial] in self.files.withheld:
            return np.zeros(count, np.float32)
        values = self.files.numbers("responses", trial, shape=(count,), axes="neuron")
        return self.files.responses(trial, values)


def open_images(source: Source, *, mouse: str) -> Recording:
    """Open a recording of static images.

    Images of 144 x 256 are read at 36 x 64; other sizes stay as they are.

    Parameters
    ----------
    source : Source
        Its files.
    mouse : str
        Name of the mouse.

    Raises
    ------
    RecordingError
        If a table is missing, damaged or does not fit the others; the message tells of all.
    """
    faults = FaultList()
    with faults.noting():
        tiers = rename_tiers(source, read_tiers(source), TIER_NAMES)
    with faults.noting():
        neurons = read_neurons(source, response_axes=1)
    faults.raise_any()
    with faults.noting():
        stimulus_index = _image_index(source, len(tiers))
    files = find_files(
        source, tiers=tuple(tiers), neuron_count=len(neurons), stimulus_folder="data/images"
    )
    with faults.noting():
        shape = _image_shape(files)
        rows, columns = (36, 64) if shape[1:] == PUBLISHED_SHAPE else shape[1:]
        screen = read_screen(source, default=SCREENS["sensorium"], shape=(rows, columns))
    faults.raise_any()
    layout: Layout = "franke2022" if shape[0] == 2 else "sensorium2022"
    return Recording(
        mouse=mouse,
        kind="image",
        layout=layout,
        source=source.path,
        screen=screen,
        neurons=neurons,
        trials=pd.DataFrame(
            {
                "trial": np.arange(len(tiers)),
                "tier": tiers,
                "stimulus_type": "image",
                "stimulus_index": stimulus_index,
            }
        ),
        read=ImageReader(files, shape),
        channel_names=("uv", "green") if shape[0] == 2 else ("gray",),
        behavior_names=IMAGE_BEHAVIOR if "behavior" in files.folders else (),
        has_pupil="pupil_center" in files.folders,
    )


def to_network_size(image: Array) -> Array:
    """Reduce a published image of 144 x 256 to the 36 x 64 pixels that networks see.

    Parameters
    ----------
    image : uint8 or float32 array, shape (channel, y, x)
        Gray levels.

    Returns
    -------
    array, shape (channel, y / 4, x / 4)
        The mean of the central 2 x 2 of each block of 4 x 4 pixels, float32; images of other sizes
        as they are.

    References
    ----------
    neuralpredictors, data/transforms.py: bilinear interpolation by 0.25 without anti-aliasing,
    of which this is the closed form.
    """
    if image.shape[1:] != PUBLISHED_SHAPE:
        return image
    total = np.zeros((image.shape[0], 36, 64), np.float32)
    for row in (1, 2):
        for column in (1, 2):
            total += image[:, row::4, column::4]
    return total / np.float32(4)


def _image_shape(files: TrialFiles) -> tuple[int, int, int]:
    channels, rows, columns = first_shape(files, "stimulus", 3)
    if channels not in (1, 2):
        raise RecordingError(
            f"the images of {files.source.path} have {channels} channels; give (1, y, x) for gray "
            "or (2, y, x) for ultraviolet and green"
        )
    return channels, rows, columns


def _image_index(source: Source, trial_count: int) -> IntArray:
    for member in IMAGE_ID_FILES:
        if member in source.sizes:
            return read_ids(source, member, trial_count)
    return np.full(trial_count, -1)
