"""Arrays of many trials joined under named axes, each saying what it holds and in which unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from insilico.attention import pixels
from insilico.models.attention_maps import PatchPlaces

Arrays = dict[str, np.ndarray[Any, Any]]

AXES = {
    "map": ("y", "x"),
    "relative": ("y", "x"),
    "share": ("row", "column"),
    "stimulus": ("y", "x"),
}
#: What an array holds, and its unit.
MEANING = {
    "relative": (
        "attention of the patches relative to their mean, linear between their centers; NaN where "
        "no patch is near and after the end of a movie",
        "times even attention",
    ),
    "share": (
        "share of each patch in what the answer draws from; tokens that are no patches have the "
        "rest up to 1",
        "1",
    ),
    "stimulus": ("stimulus, mean over channels", "gray level (0 to 255)"),
    "temporal_share": (
        "share of each frame in what the answers to the whole movie draw from; 1 over all frames, "
        "those of the burn-in included",
        "1",
    ),
    "temporal_uniform": ("temporal_share if all frames counted alike to those that see them", "1"),
    "frame_count": ("frames of the movie up to the last with a map", "frames"),
    "frame": ("frame of the movie, from 0", "frames"),
    "trial": ("number of the trial", "1"),
    "patch_y_px": ("centers of the rows of patches from the top, before gaze moves them", "px"),
    "patch_x_px": ("centers of the columns of patches from the left, likewise", "px"),
}
#: What ``map`` holds, which depends on the kind of model and on the scaling asked for.
MAP_MEANING = {
    ("image", False): "attention from the lowest patch, 0, to the highest, 1, between centers",
    ("image", True): "attention from the lowest patch, 0, to the highest, 1, grid stretched",
    ("movie", False): "mean over the patches that cover a pixel, by the largest of the frame",
    ("movie", True): "mean over the patches that cover a pixel, by the largest of the frame",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """One trial: its rows of the table, and arrays whose first axis, for movies, is these rows."""

    table: pd.DataFrame
    arrays: Arrays
    places: PatchPlaces


def join(drawn: Sequence[Drawn], *, is_movie: bool, compatibility: bool) -> xr.Dataset:
    """Join the arrays of all trials.

    Parameters
    ----------
    drawn : sequence of Drawn
        At least one.
    is_movie : bool
        Whether arrays have an axis of frames. Beyond the end of shorter movies ``relative`` is NaN
        and the rest 0.
    compatibility : bool
        Whether maps are scaled as published.

    Returns
    -------
    Dataset
        Every variable has the attributes ``long_name`` and ``units``.
    """
    y_px, x_px = drawn[0].places.centers_px()
    coordinates: dict[str, Any] = {
        "trial": [int(one.table["trial"].iloc[0]) for one in drawn],
        "mouse": ("trial", [str(one.table["mouse"].iloc[0]) for one in drawn]),
        "patch_y_px": ("row", y_px),
        "patch_x_px": ("column", x_px),
    }
    if is_movie:
        frames = np.unique(np.concatenate([one.table["frame"] for one in drawn]))
        values = _join_movies(drawn, frames)
        coordinates["frame"] = frames
    else:
        values = {
            name: (("trial", *AXES[name]), np.stack([one.arrays[name] for one in drawn]))
            for name in drawn[0].arrays
        }
    joined = xr.Dataset(values, coordinates)
    kind = "movie" if is_movie else "image"
    meaning = {**MEANING, "map": (MAP_MEANING[kind, compatibility], "1")}
    for name in joined.variables:
        if name in meaning:
            joined[name].attrs = dict(zip(("long_name", "units"), meaning[str(name)], strict=True))
    return joined


def stored(arrays: Arrays) -> Arrays:
    """Return arrays as they are kept: pictures as they are, the rest in single precision."""
    return {
        name: values if values.dtype == np.uint8 else values.astype(np.float32)
        for name, values in arrays.items()
    }


def temporal_bias(arrays: xr.Dataset) -> str | None:
    """Return what must be known of attention in time, or None."""
    if "temporal_uniform" not in arrays:
        return None
    uniform = arrays["temporal_uniform"].to_numpy()[0]
    if uniform.max() - uniform.min() <= pixels.CONSTANT_FRACTION * uniform.max():
        return None
    return (
        "attention in time is causal: it falls with time by construction, because early frames are "
        "seen by more; compare it with temporal_uniform"
    )


def _join_movies(
    drawn: Sequence[Drawn], frames: np.ndarray[Any, np.dtype[np.int64]]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, sample in drawn[0].arrays.items():
        shape = (len(drawn), len(frames), *sample.shape[1:])
        joined = np.full(shape, np.nan if name == "relative" else 0, sample.dtype)
        for index, one in enumerate(drawn):
            joined[index, np.searchsorted(frames, one.table["frame"])] = one.arrays[name]
        values[name] = (("trial", "frame", *AXES.get(name, ())), joined)
    values["frame_count"] = ("trial", [int(one.table["frame"].iloc[-1]) + 1 for one in drawn])
    return values
