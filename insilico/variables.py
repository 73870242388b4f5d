"""Behavioral variables of the published recordings, in the order of their rows and channels."""

from __future__ import annotations

#: Of images (sensorium, notebooks/dataset_tutorial/README.md).
IMAGE_BEHAVIOR = ("pupil_size", "pupil_size_derivative", "running_speed")

#: Of movies (ViV1T-closed-loop, data/README.md).
MOVIE_BEHAVIOR = ("pupil_size", "running_speed")
