"""What a recording's drifting-Gabor and Gaussian-dot movies showed when.

Conditions come from the published metadata where these describe a movie, and from the movie itself
otherwise: Gabors by their correlation with the published bank of 72, dots by their center.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from insilico.errors import RecordingError
from insilico.recordings.metadata import known_trials, published_features, require_metadata
from insilico.recordings.recording import Recording
from insilico.recordings.repeats import SAME_LEVELS, StimulusMatcher
from insilico.screen import Screen
from insilico.stimuli.dots import HALF_HEIGHT_SD
from insilico.stimuli.gabors import (
    BLOCK_FRAMES,
    FREQUENCIES,
    drifting_gabors,
    gabor_bank,
    gabor_spatial_frequency_cpd,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: A block is taken for the Gabor it resembles most from this correlation on (ours; the published
#: extraction takes any, and stores none).
MINIMUM_CORRELATION = 0.5
#: A frame whose levels stay this close to its median shows no dot (ours).
BLANK_LEVELS = 8.0
#: A dot that moves further than this from one frame to the next is another dot (ours).
MOVED_PX = 0.5
#: A dot is looked at where it exceeds this share of its height (ours).
DOT_SHARE = 0.2

#: What the status of a presented pattern means.
STATUS = {
    "ok": "known",
    "blank": "nothing was shown",
    "unlike_bank": f"no Gabor of the bank correlates by {MINIMUM_CORRELATION} or more",
    "clipped": "the dot's center lies off the screen",
}


def presented_gabors(
    recording: Recording,
    *,
    metadata: Path | None = None,
    minimum_correlation: float = MINIMUM_CORRELATION,
) -> pd.DataFrame:
    """Return the drifting Gabors that a recording presented, one row a block of 25 frames.

    Parameters
    ----------
    recording : Recording
        Of movies.
    metadata : Path, optional
        Folder of the published metadata; ``meta`` of the recording is searched as well.
    minimum_correlation : float
        With which a block of a movie is taken for a Gabor of the bank.

    Returns
    -------
    DataFrame, one row a block
        ``trial`` (of the recording), ``movie`` (equal where the same one was shown again),
        ``onset_frame``, ``frame_count``, ``status`` (a key of :data:`STATUS`), ``direction_deg`` (0
        rightward motion, 90 upward), ``wavelength`` (half screen heights),
        ``spatial_frequency_cpd``, ``frequency`` and its place among the published ones,
        ``frequency_level`` (0 to 2; only the order is to be trusted), ``correlation`` with the bank
        (NaN from metadata) and ``conditions_from`` ("metadata" or "movie").

    Raises
    ------
    RecordingError
        If a file is damaged, or published parameters change within a block.

    References
    ----------
    Blocks, bank and parameters: ViV1T-closed-loop, tuning_direction/extract_gabor_features.py,
    whose angle is 180 degrees off ours. Changed: a minimum correlation, and the correlation is
    kept.
    """

    def from_metadata(features: FloatArray) -> pd.DataFrame:
        return _published_gabors(features, recording)

    def from_movie(frames: FloatArray) -> pd.DataFrame:
        return extract_gabors(frames, recording.screen, minimum_correlation=minimum_correlation)

    table = _presented(recording, "drifting_gabor", metadata, (from_metadata, from_movie))
    if len(table):
        known = np.searchsorted(FREQUENCIES, table["frequency"].to_numpy(float) - 1e-6)
        table["frequency_level"] = np.where(table["frequency"].notna(), known, -1)
        frequency_cpd = gabor_spatial_frequency_cpd(recording.screen, table["wavelength"])
        # Metadata are in single precision: equal wavelengths must stay equal.
        table["spatial_frequency_cpd"] = frequency_cpd.round(4)
    return table


def presented_dots(recording: Recording, *, metadata: Path | None = None) -> pd.DataFrame:
    """Return the Gaussian dots that a recording presented, one row a dot.

    Parameters
    ----------
    recording : Recording
        Of movies.
    metadata : Path, optional
        As for :func:`presented_gabors`.

    Returns
    -------
    DataFrame, one row a dot
        ``trial``, ``movie``, ``onset_frame``, ``frame_count``, ``status``, ``x_px``, ``y_px``
        (center, pixels from the top left, y down), ``radius_px`` (at half height), ``polarity`` (1
        white, -1 black) and ``conditions_from``.

    Raises
    ------
    RecordingError
        If a file is damaged.

    References
    ----------
    ViV1T-closed-loop, tuning_retinotopy/extract_gaussian_dot_features.py. Changed: the center is
    weighted by intensity, dots at an edge are not pulled inward, and blank frames are told.
    """
    extractors = (_published_dots, extract_dots)
    return _presented(recording, "gaussian_dots", metadata, extractors)


def extract_gabors(
    frames: FloatArray, screen: Screen, *, minimum_correlation: float = MINIMUM_CORRELATION
) -> pd.DataFrame:
    """Tell which Gabors a movie shows.

    Parameters
    ----------
    frames : array, shape (frame, y, x)
        Gray levels.
    screen : Screen
        Of the same pixels.
    minimum_correlation : float
        As for :func:`presented_gabors`.

    Returns
    -------
    DataFrame, one row a whole block of 25 frames
        ``onset_frame``, ``frame_count``, ``status``, ``direction_deg``, ``wavelength``,
        ``frequency``, ``correlation``.
    """
    bank = gabor_bank()
    filters = drifting_gabors(
        screen,
        direction_deg=bank["direction_deg"],
        wavelength=bank["wavelength"],
        frequency=bank["frequency"],
    )
    count = len(frames) // BLOCK_FRAMES
    blocks = np.asarray(frames[: count * BLOCK_FRAMES], np.float64).reshape(count, -1)
    correlation = _unit_rows(blocks) @ _unit_rows(filters.reshape(len(bank), -1)).T
    best = correlation.argmax(axis=1)
    highest = correlation[np.arange(count), best]
    is_blank = np.ptp(blocks, axis=1) < BLANK_LEVELS
    status = np.where(highest >= minimum_correlation, "ok", "unlike_bank")
    table = bank.iloc[best].reset_index(drop=True)
    table = table.assign(correlation=highest, status=np.where(is_blank, "blank", status))
    table.loc[table["status"] != "ok", list(bank)] = np.nan
    table.insert(0, "onset_frame", BLOCK_FRAMES * np.arange(count))
    table.insert(1, "frame_count", BLOCK_FRAMES)
    return table


def extract_dots(frames: FloatArray) -> pd.DataFrame:
    """Tell which dots a movie shows.

    Parameters
    ----------
    frames : array, shape (frame, y, x)
        Gray levels: at most one dot a frame, on an even background.

    Returns
    -------
    DataFrame, one row a dot
        ``onset_frame``, ``frame_count``, ``status``, ``x_px``, ``y_px``, ``radius_px``,
        ``polarity``.
    """
    measured: list[tuple[float, ...]] = []
    for number, frame in enumerate(np.asarray(frames, np.float64)):
        if number and np.abs(frame - frames[number - 1]).max() <= SAME_LEVELS:
            measured.append(measured[-1])
        else:
            measured.append(_measure_dot(frame))
    return _dot_runs(np.array(measured).reshape(-1, 4), frames.shape[1:])


def _presented(
    recording: Recording,
    stimulus_type: str,
    metadata: Path | None,
    extractors: tuple[Callable[[FloatArray], pd.DataFrame], Callable[[FloatArray], pd.DataFrame]],
) -> pd.DataFrame:
    """Return the patterns of all trials of a type; every movie is looked at once."""
    if recording.kind != "movie":
        return pd.DataFrame()
    require_metadata(recording, metadata)
    trials = known_trials(recording, metadata)
    shown = trials[(trials["stimulus_type"] == stimulus_type) & (trials["tier"] != "none")]
    features = published_features(recording, stimulus_type, trials=trials, metadata=metadata)
    from_metadata, from_movie = extractors
    known: dict[int, pd.DataFrame] = {}
    # Movies without an index of their own are numbered after those that have one.
    matcher = StimulusMatcher(first=int(trials["stimulus_index"].max()) + 1)
    tables = []
    for trial, index in zip(shown["trial"], shown["stimulus_index"], strict=True):
        movie, frames = int(index), None
        if movie < 0:
            frames = recording.read(int(trial)).stimulus
            movie = matcher.index_of(np.moveaxis(frames, 0, 1))
        if movie not in known:
            if int(trial) in features:
                table = from_metadata(features[int(trial)]).assign(conditions_from="metadata")
            else:
                frames = recording.read(int(trial)).stimulus if frames is None else frames
                table = from_movie(frames.mean(axis=0)).assign(conditions_from="movie")
            known[movie] = table
        tables.append(known[movie].assign(trial=int(trial), movie=movie))
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables, ignore_index=True)
    return table[["trial", "movie", *(name for name in table if name not in ("trial", "movie"))]]


def _published_gabors(features: FloatArray, recording: Recording) -> pd.DataFrame:
    """Translate published parameters of each frame into blocks."""
    count = len(features) // BLOCK_FRAMES
    blocks = features[: count * BLOCK_FRAMES].reshape(count, BLOCK_FRAMES, 3)
    if (blocks != blocks[:, :1]).any():
        raise RecordingError(
            f"the published Gabors of {recording.source} change within blocks of {BLOCK_FRAMES} "
            "frames; fetch the metadata again"
        )
    # Single precision as published: 0.18 must be the 0.18 of the bank.
    direction, wavelength, frequency = blocks[:, 0].T.round(4)
    return pd.DataFrame(
        {
            "onset_frame": BLOCK_FRAMES * np.arange(count),
            "frame_count": BLOCK_FRAMES,
            "direction_deg": (direction + 180) % 360,
            "wavelength": wavelength,
            "frequency": frequency,
            "correlation": np.nan,
            "status": "ok",
        }
    )


def _published_dots(features: FloatArray) -> pd.DataFrame:
    """Translate published parameters of each frame into dots."""
    values = features.copy()
    values[:, 3] = 1 - 2 * features[:, 3]
    return _dot_runs(values, None)


def _measure_dot(frame: FloatArray) -> tuple[float, float, float, float]:
    """Return x, y, radius and polarity of the dot in a frame, all NaN where there is none."""
    deviation = frame - np.median(frame)
    if np.abs(deviation).max() < BLANK_LEVELS:
        return np.nan, np.nan, np.nan, np.nan
    polarity = float(np.sign(deviation.flat[np.abs(deviation).argmax()]))
    height = np.abs(deviation).max()
    patches, _ = ndimage.label(polarity * deviation > DOT_SHARE * height)
    rows, columns = np.nonzero(patches == patches.flat[(polarity * deviation).argmax()])
    weight = polarity * deviation[rows, columns]
    is_inside = min(rows.min(), columns.min()) > 0
    is_inside &= rows.max() < frame.shape[0] - 1 and columns.max() < frame.shape[1] - 1
    if is_inside or len(rows) < 6:
        x, y = (np.average(axis, weights=weight) for axis in (columns, rows))
        area = float((weight > height / 2).sum())
        return float(x), float(y), float(np.sqrt(area / np.pi)), polarity
    return (*_extend_dot(columns, rows, weight), polarity)


def _extend_dot(
    columns: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], weight: FloatArray
) -> tuple[float, float, float]:
    """Return center and radius of a dot that an edge cuts off.

    The logarithm of a Gaussian is a parabola, of which any piece tells the vertex.
    """
    design = np.stack([np.ones(len(rows)), columns, rows, columns**2 + rows**2], axis=1)
    # An error of one level weighs as much as the dot is high there, in logarithms.
    values = np.linalg.lstsq(design * weight[:, None], np.log(weight) * weight, rcond=None)[0]
    _, across, down, bend = values
    if not bend < 0:
        return np.nan, np.nan, np.nan
    radius = HALF_HEIGHT_SD * np.sqrt(-0.5 / bend)
    return float(-0.5 * across / bend), float(-0.5 * down / bend), float(radius)


def _dot_runs(values: FloatArray, shape: tuple[int, ...] | None) -> pd.DataFrame:
    """Join frames with the same dot; x, y, radius and polarity of each frame."""
    place = np.nan_to_num(values[:, [0, 1, 3]], nan=-1e3)
    is_new = np.abs(np.diff(place, axis=0)).max(axis=1) > MOVED_PX
    onset = np.concatenate([[0], np.flatnonzero(is_new) + 1])
    x, y, radius, polarity = values[onset].T
    status = np.where(np.isnan(x), np.where(np.isnan(polarity), "blank", "clipped"), "ok")
    if shape is not None:
        with np.errstate(invalid="ignore"):
            is_off = (np.abs(2 * x - shape[1] + 1) > shape[1]) | (
                np.abs(2 * y - shape[0] + 1) > shape[0]
            )
        status = np.where(is_off, "clipped", status)
    return pd.DataFrame(
        {
            "onset_frame": onset,
            "frame_count": np.diff(onset, append=len(values)),
            "x_px": x,
            "y_px": y,
            "radius_px": radius,
            "polarity": polarity,
            "status": status,
        }
    )


def _unit_rows(values: FloatArray) -> FloatArray:
    """Center rows and scale them to length 1; constant ones become 0."""
    centered = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centered, axis=1, keepdims=True)
    return centered / np.where(length > 0, length, 1)
