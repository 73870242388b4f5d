"""Gratings in a disc, around a disc, and in both: what center-surround experiments show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import StimulusError
from insilico.screen import Screen
from insilico.stimuli.gratings import drifting_grating
from insilico.stimuli.shapes import disc

#: What lies inside and outside of the disc: the grating, gray, the surround's own grating, or the
#: grating with black and white exchanged (spec of ViV1T-closed-loop, viv1t/utils/stimulus.py).
ARRANGEMENTS = {
    "center": ("grating", "gray"),
    "inverse": ("gray", "grating"),
    "iso": ("grating", "grating"),
    "cross": ("grating", "surround"),
    "shift": ("grating", "reversed"),
}

#: Columns of a table of patches. The last two are read for "cross" alone.
PATCH_COLUMNS = (
    "arrangement",
    "x_px",
    "y_px",
    "diameter_deg",
    "direction_deg",
    "spatial_frequency_cpd",
    "temporal_frequency_hz",
    "phase_deg",
    "contrast",
    "surround_direction_deg",
    "surround_phase_deg",
)


def grating_patches(
    screen: Screen, patches: pd.DataFrame, *, frame_count: int | None = None
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Draw gratings arranged about discs with hard edges.

    Parameters
    ----------
    screen : Screen
        Where they are shown.
    patches : DataFrame, one row a patch
        Columns :data:`PATCH_COLUMNS`: one of :data:`ARRANGEMENTS`, the disc's center in pixels and
        its full visual angle (0 is no disc), and the grating as for
        :func:`~insilico.stimuli.gratings.drifting_grating`.
    frame_count : int, optional
        Frames of a drifting grating; without it the gratings are still and
        ``temporal_frequency_hz`` is not read.

    Returns
    -------
    uint8 array, shape (patch[, frame], y, x)
        Gray levels 0-255.

    Raises
    ------
    StimulusError
        If an arrangement is unknown.
    UnitsError
        If a size, frequency or contrast is out of range.

    References
    ----------
    ViV1T-closed-loop, viv1t/utils/stimulus.py: hard edges, the same phase inside and outside of an
    iso pattern, and 255 minus the grating around a shifted one. Keller, Roth & Scanziani 2020,
    doi 10.1038/s41586-020-2319-4 (inverse); Keller et al. 2020, doi 10.1016/j.neuron.2020.08.018
    (iso, cross).
    """
    if unknown := sorted(set(patches["arrangement"]) - set(ARRANGEMENTS)):
        raise StimulusError(
            f"the arrangement {unknown[0]!r} is unknown; give one of {', '.join(ARRANGEMENTS)}"
        )
    shape = screen.shape if frame_count is None else (frame_count, *screen.shape)
    drawn = np.full((len(patches), *shape), screen.gray, np.uint8)
    grating = _gratings(screen, patches, frame_count)
    is_cross = (patches["arrangement"] == "cross").to_numpy()
    surround = np.empty_like(grating[:0])
    if is_cross.any():
        around = patches[is_cross].assign(
            direction_deg=patches["surround_direction_deg"],
            phase_deg=patches["surround_phase_deg"],
        )
        surround = _gratings(screen, around, frame_count)
    next_surround = iter(surround)
    for row, patch in enumerate(patches.itertuples(index=False)):
        parts = {"gray": drawn[row].copy(), "grating": grating[row], "reversed": 255 - grating[row]}
        if patch.arrangement == "cross":
            parts["surround"] = next(next_surround)
        inside = disc(
            screen,
            diameter_deg=float(patch.diameter_deg),  # type: ignore[arg-type]
            center_px=(float(patch.x_px), float(patch.y_px)),  # type: ignore[arg-type]
        )
        names = ARRANGEMENTS[str(patch.arrangement)]
        drawn[row] = np.where(inside, parts[names[0]], parts[names[1]])
    return drawn


def _gratings(
    screen: Screen, patches: pd.DataFrame, frame_count: int | None
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    is_still = frame_count is None
    frames = drifting_grating(
        screen,
        direction_deg=patches["direction_deg"],
        spatial_frequency_cpd=patches["spatial_frequency_cpd"],
        temporal_frequency_hz=0.0 if is_still else patches["temporal_frequency_hz"],
        phase_deg=patches["phase_deg"],
        contrast=patches["contrast"],
        frame_count=frame_count or 1,
    )
    return frames[:, 0] if is_still else frames
