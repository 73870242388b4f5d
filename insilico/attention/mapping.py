"""Where a twin looks: attention rolled out, drawn on pixels and measured, trial by trial."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

import insilico
from insilico.attention import pixels
from insilico.attention.arrays import Arrays, Drawn, join, stored, temporal_bias
from insilico.attention.asking import Asked, ask, demand_attention, state_units
from insilico.attention.shown import ShownTrials
from insilico.errors import StimulusError, UnitsError
from insilico.progress import progress_bar
from insilico.results import Result
from insilico.twin.twin import Twin

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Frames at the start of a movie that are left out (ViV1T-closed-loop, misc/extract_attention.py).
BURN_IN_FRAMES = 50
#: Name of the result.
ATTENTION = "attention"


def map_attention(
    twin: Twin,
    shown: ShownTrials | Sequence[ShownTrials],
    *,
    burn_in_frames: int = BURN_IN_FRAMES,
    compatibility: bool = False,
    progress: bool = False,
    command: str = "",
) -> Result:
    """Show trials to a twin, and map what its answers draw from.

    Attention is followed back through all blocks (attention rollout): for images from the class
    token, for each frame of a movie from all patches alike. An ensemble gives the mean over its
    members.

    Parameters
    ----------
    twin : Twin
        Of an architecture with attention.
    shown : ShownTrials or sequence of ShownTrials
        What :func:`~insilico.attention.shown.recorded_trials` or
        :func:`~insilico.attention.shown.given_trials` return, one a mouse.
    burn_in_frames : int
        Frames at the start of each movie that are left out.
    compatibility : bool
        Scale as the published code does: grids of images are stretched over the whole image, so
        that patches at the border are drawn where they do not lie (see
        :func:`~insilico.attention.pixels.interpolate`) and centers are those of the pixels drawn;
        and attention in time is scaled before the burn-in is left out, when its first frames
        outshine all others.
    progress : bool
        Show a progress bar.
    command : str
        What the user typed, for the record.

    Returns
    -------
    Result
        ``tables["attention"]``, one row a trial and for movies a frame: ``mouse``, ``trial`` and
        what else is known of it, ``frame`` and ``time_s``; ``center_x_px``, ``center_y_px`` (from
        the top left, y down) and ``center_x_deg``, ``center_y_deg`` (from the center of the screen,
        y up), the center of mass over patches of the attention above its lowest; ``spread_x_deg``
        and ``spread_y_deg``, its standard deviation about that; ``entropy_bits`` of the shares;
        ``lowest_relative`` and ``highest_relative``, the attention of the least and the most
        attended patch relative to the mean over patches, 1 where all are attended alike;
        ``temporal_attention``, how much of all attention a frame gets, from 0 to 1 over the frames
        of its trial; ``pupil_x``, ``pupil_y`` and behavior as recorded; and ``status``, "ok" or
        "constant_map" where no patch is favored: then its center is that of all patches.

        ``arrays``: ``map`` (trial[, frame], y, x), for images the attention from its lowest, 0, to
        its highest, 1, and for movies by the largest of each frame; ``relative`` of the same shape,
        the attention of patches by their mean, which figures draw (see
        :func:`~insilico.attention.pixels.draw_between`), NaN where no patch is near; ``share``
        (trial[, frame], row, column) of each patch as it was rolled out, together less than one
        where tokens that are no patches have the rest; ``stimulus`` in gray levels; for movies
        ``temporal_share`` of all frames, and ``temporal_uniform``, what it would be were all frames
        attended alike. Under a causal mask both fall with time by construction: early frames are
        seen by more. Movies that end before the longest are 0 from ``frame_count`` on, and NaN in
        ``relative``. Each array has its unit among its attributes.

    Raises
    ------
    CheckpointError
        If the twin has no attention, or members of an ensemble have other patches.
    StimulusError
        If no movie is longer than the burn-in.
    UnitsError
        If the burn-in is negative.
    MouseError, ShapeError, RecordingError
        If the trials do not fit the twin.

    References
    ----------
    Abnar and Zuidema 2020, "Quantifying attention flow in transformers"; V1T,
    src/v1t/utils/attention_rollout.py and misc/center_of_attention_maps.py; ViV1T-closed-loop,
    viv1t/utils/attention_rollout.py and misc/extract_attention.py (which computes no centers: those
    of movies are ours).
    """
    started = time.monotonic()
    if burn_in_frames < 0:
        raise UnitsError(f"a burn-in of {burn_in_frames} frames; give 0 or more")
    parts = [shown] if isinstance(shown, ShownTrials) else list(shown)
    demand_attention(twin)
    drawn: list[Drawn] = []
    skipped = 0
    total = sum(len(part) for part in parts)
    with progress_bar("attention", total, shown=progress) as advance:
        for part in parts:
            for asked in ask(twin, part):
                if (one := _draw(asked, burn_in_frames, compatibility=compatibility)) is not None:
                    drawn.append(one)
                skipped += one is None
                advance(1, label=f"attention {part.mouse}")
    if not drawn:
        raise StimulusError(
            f"none of {total} movies goes on after the burn-in of {burn_in_frames} frames; show "
            "longer ones, or give fewer --burn-in-frames"
        )
    is_movie = twin.kind == "movie"
    arrays = join(drawn, is_movie=is_movie, compatibility=compatibility)
    return Result(
        ATTENTION,
        {ATTENTION: pd.concat([one.table for one in drawn], ignore_index=True)},
        arrays,
        {
            "burn_in_frames": burn_in_frames if is_movie else 0,
            "compatibility": compatibility,
            "behavior": _describe(parts, "behavior"),
            "pupil_center": _describe(parts, "pupil_center"),
        },
        {
            "package": f"insilico {insilico.__version__}",
            "model": twin.name,
            "kind": twin.kind,
            "weights": dict(twin.provenance),
            "members": twin.member_count,
            "shown": [dict(part.source) for part in parts],
            "screens": {part.mouse: twin.screen(part.mouse).to_dict() for part in parts},
            "state_units": state_units(twin, parts),
            "skipped_trials": skipped,
            "temporal_bias": temporal_bias(arrays),
            "command": command,
            "seconds": round(time.monotonic() - started, 2),
        },
    )


def _draw(asked: Asked, burn_in_frames: int, *, compatibility: bool) -> Drawn | None:
    """Draw and measure one trial; None for a movie that ends within the burn-in."""
    if asked.frame is None:
        maps, centers = _draw_image(asked, compatibility=compatibility)
        columns = _columns(asked, asked.share, centers, at=())
        arrays: Arrays = {
            "map": maps,
            "relative": _draw_relative(asked, asked.share),
            "share": asked.share,
            "stimulus": asked.picture,
        }
        return Drawn(pd.DataFrame(columns, index=[0]), stored(arrays), asked.places)
    kept = asked.frame >= burn_in_frames
    if not kept.any():
        return None
    frame, share = asked.frame[kept], asked.share[kept]
    scaled = pixels.scale_to_range(share)
    centers = pixels.measure_centers(scaled, *_places(asked), asked.screen)
    columns = _columns(asked, share, centers, at=(frame,))
    arrays = {
        "map": pixels.fold(share, asked.places, asked.screen.shape),
        "relative": _draw_relative(asked, share),
        "share": share,
        "stimulus": asked.picture[frame],
    }
    if asked.temporal is not None and asked.temporal_uniform is not None:
        shares = asked.temporal
        columns["temporal_attention"] = (
            _to_range(shares)[kept] if compatibility else _to_range(shares[kept])
        )
        arrays |= {"temporal_share": shares[kept], "temporal_uniform": asked.temporal_uniform[kept]}
    return Drawn(pd.DataFrame(columns), stored(arrays), asked.places)


def _draw_image(asked: Asked, *, compatibility: bool) -> tuple[FloatArray, pixels.MapCenters]:
    """Return the map (y, x) of an image, and where it lies."""
    scaled, shape = pixels.scale_to_range(asked.share), asked.screen.shape
    if compatibility:
        maps = pixels.stretch(scaled[None], shape)[0]
        x_px, y_px = (np.arange(size, dtype=float) for size in reversed(shape))
        return maps, pixels.measure_centers(maps, x_px, y_px, asked.screen)
    maps = pixels.interpolate(scaled[None], asked.places, shape, asked.moved_px[None])[0]
    return maps, pixels.measure_centers(scaled, *_places(asked), asked.screen)


def _draw_relative(asked: Asked, share: FloatArray) -> FloatArray:
    """Return what is drawn of maps, by one rule for images and movies."""
    relative, shape = pixels.relative_to_even(share), asked.screen.shape
    return pixels.draw_between(relative, asked.places, shape, asked.moved_px)


def _places(asked: Asked) -> tuple[FloatArray, FloatArray]:
    """Return x of every column of patches, and y of every row, in this trial."""
    y_px, x_px = asked.places.centers_px()
    return x_px + asked.moved_px[1], y_px + asked.moved_px[0]


def _columns(
    asked: Asked, share: FloatArray, centers: pixels.MapCenters, *, at: tuple[IntArray, ...]
) -> dict[str, Any]:
    """Return the columns of the rows of one trial, ``at`` some of its frames."""
    columns: dict[str, Any] = dict(asked.labels)
    if at:
        columns |= {"frame": at[0], "time_s": at[0] / asked.screen.frame_rate_hz}
    names = ("x_px", "y_px", "x_deg", "y_deg")
    columns |= {f"center_{name}": getattr(centers, name) for name in names}
    columns |= {name: getattr(centers, name) for name in ("spread_x_deg", "spread_y_deg")}
    columns["entropy_bits"] = pixels.entropy_bits(share)
    relative = pixels.relative_to_even(share)
    columns["lowest_relative"] = relative.min(axis=(-2, -1))
    columns["highest_relative"] = relative.max(axis=(-2, -1))
    columns |= {name: trace[at] for name, trace in asked.traces.items()}
    columns["status"] = np.where(pixels.is_constant(share), "constant_map", "ok")
    return columns


def _to_range(values: FloatArray) -> FloatArray:
    """Scale from the lowest, 0, to the highest, 1; what is constant is 1."""
    return pixels.scale_to_range(values[None])[0]


def _describe(parts: Sequence[ShownTrials], name: str) -> Any:
    """Return the state that trials were shown in, for the protocol."""
    states = [getattr(part, name) for part in parts]
    state = states[0] if states else None
    if state is None:
        return "of each trial"
    return state if isinstance(state, str) else np.asarray(state).tolist()
