"""Where predictions go: one HDF5 file for the user, or a place for as long as they are needed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from insilico.errors import InsilicoError, RunFolderError
from insilico.files import atomic_file
from insilico.models.checkpoint import Checkpoint
from insilico.recordings.cache import CachedRecording
from insilico.training.prediction import TrialPrediction

#: Bytes of one tier that are kept in memory; a larger one lies in a file meanwhile.
MEMORY_BYTES = 512 * 2**20


@contextlib.contextmanager
def open_predictions(
    path: Path | None, checkpoint: Checkpoint, recordings: Mapping[str, CachedRecording]
) -> Iterator[Callable[[str, TrialPrediction], None]]:
    """Write predictions to one HDF5 file, whole or not at all.

    Parameters
    ----------
    path : Path or None
        The file, replaced if it is there; None writes nothing.
    checkpoint : Checkpoint
        Who predicts.
    recordings : mapping of str to CachedRecording
        What is predicted, by mouse.

    Yields
    ------
    callable
        ``keep(mouse, prediction)`` writes the trial to the data set ``/mouse/trial``, with the
        number of the trial's files: (neuron, frame) for movies, (neuron,) for images, float32, in
        recorded units. Attributes of the file: ``model``, ``weights_sha256``, ``units``; of a
        mouse: ``mouse``, ``frame_rate_hz``, ``content_sha256`` of its recording, and a data set
        ``neuron_id``; of a trial: ``tier``, ``stimulus_type``, ``stimulus_index`` and
        ``first_frame``, the frame of the trial that the first one of the data set belongs to.

    Raises
    ------
    RunFolderError
        If the file cannot be written.

    References
    ----------
    ViV1T-closed-loop, predict.py: one such file a mouse, with the trials at its top.
    """
    if path is None:
        yield lambda mouse, made: None
        return
    import h5py

    def keep(mouse: str, made: TrialPrediction) -> None:
        cached = recordings[mouse]
        row = cached.trials.iloc[made.position]
        std = np.asarray(checkpoint.mice[mouse].statistics.response_std, float)
        values = np.asarray(made.predicted * std, np.float32).T
        values = values[:, 0] if cached.recording.kind == "image" else values
        # A little compression is nearly as small as a lot, and ten times faster.
        stored = file[mouse].create_dataset(
            str(row["trial"]), data=values, compression="gzip", compression_opts=1, shuffle=True
        )
        stored.attrs.update(
            tier=row["tier"],
            stimulus_type=row["stimulus_type"],
            stimulus_index=int(row["stimulus_index"]),
            first_frame=made.first_frame,
        )

    try:
        with atomic_file(path) as draft, h5py.File(draft, "w") as file:
            file.attrs.update(
                model=checkpoint.name,
                weights_sha256=checkpoint.weights_sha256,
                units="recorded",
            )
            for name, cached in recordings.items():
                group = file.create_group(name)
                group.attrs.update(
                    mouse=name,
                    frame_rate_hz=cached.recording.screen.frame_rate_hz,
                    content_sha256=cached.content_sha256,
                )
                ids = cached.recording.neurons["neuron_id"].to_numpy()
                group["neuron_id"] = ids.astype(np.int64) if ids.dtype.kind in "iu" else list(ids)
            yield keep
    except OSError as error:
        if isinstance(error, InsilicoError):
            raise
        raise RunFolderError(
            f"the predictions {path} cannot be written ({error.strerror or error}); make room or "
            "choose another folder"
        ) from error


@contextlib.contextmanager
def kept_rows(shape: tuple[int, int], folder: Path) -> Iterator[tuple[Any, Any]]:
    """Lend two float32 arrays, in memory or, where that is much, in a file that goes afterwards."""
    size = 2 * 4 * shape[0] * shape[1]
    if size <= MEMORY_BYTES:
        yield np.empty(shape, np.float32), np.empty(shape, np.float32)
        return
    if (free := shutil.disk_usage(folder).free) < size:
        raise RunFolderError(
            f"predictions of one tier need {size / 1e9:.1f} GB in {folder} for a while and "
            f"{free / 1e9:.1f} GB are free; make room or give another --cache"
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        both = np.memmap(file, np.float32, "w+", shape=(2, *shape))
        yield both[0], both[1]
