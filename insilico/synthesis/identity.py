"""The name of a stimulus: a hash of its bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from insilico.errors import ShapeError

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

#: How much of the hash of a stimulus is its id.
ID_DIGITS = 16


def stimulus_digest(frames: ByteArray) -> str:
    """Return the SHA-256 of a stimulus: of its shape, as "30x36x64" and a line feed, and its bytes.

    Parameters
    ----------
    frames : uint8 array, shape ([frame,] y, x)
        Gray levels 0-255; the hash is of their rows one after another.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    ShapeError
        If it is not one stimulus of bytes.
    """
    frames = np.asarray(frames)
    if frames.ndim not in (2, 3) or frames.dtype != np.uint8:
        raise ShapeError(
            f"a stimulus of shape {frames.shape} and type {frames.dtype} was given; give uint8 "
            "gray levels of shape (y, x) or (frame, y, x)"
        )
    shape = "x".join(str(length) for length in frames.shape)
    return hashlib.sha256(f"{shape}\n".encode() + frames.tobytes()).hexdigest()


def stimulus_id(frames: ByteArray) -> str:
    """Return the name of a stimulus: the first 16 digits of its :func:`stimulus_digest`."""
    return stimulus_digest(frames)[:ID_DIGITS]
