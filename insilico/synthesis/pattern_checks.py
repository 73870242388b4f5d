"""What the bytes of stimuli say, before any twin is asked: range, place, flicker, spectrum."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insilico.errors import StimulusError
from insilico.screen import Screen
from insilico.synthesis.entries import Entry
from insilico.synthesis.levels import Levels, measure_levels
from insilico.synthesis.octaves import mirror_weights, space_taper, time_taper
from insilico.synthesis.penalties import FEWEST_PIXELS, spectrum_distance
from insilico.synthesis.power import BLANK_VARIANCE, band_power
from insilico.synthesis.regions import BoolArray, FloatArray
from insilico.synthesis.spectra import CHUNK_PIXELS, NaturalSpectrum

#: Flicker that may disturb, in hertz, both ends included: the band that the specification of the
#: closed loop names. A screen of 30 Hz shows up to 15.
FLICKER_HZ = (8.0, 20.0)
#: Waves shorter than this are fine: beyond half of the highest frequency that pixels carry along
#: the axes, where enlarging to the monitor alters a pattern most, and where stripes and
#: checkerboards lie that a network likes and no optics shows a mouse.
FINE_PERIOD_PX = 4.0
#: Spectrum distance, in decades, beyond which a stimulus is off the distribution of an ideal
#: natural spectrum. 95 % of dead-leaves images lie within 0.55 and of such movies within 1.03, half
#: of white noise images beyond 1.15.
OFF_DISTRIBUTION_DECADES = 1.0
#: Energy nearer than this to the center of a receptive field counts as near; a choice.
NEAR_PX = 8.0


def as_movie(entry: Entry) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the bytes of a stimulus (frame, y, x); an image is one frame long."""
    return entry.frames if entry.frames.ndim == 3 else entry.frames[None]


def is_still(entry: Entry) -> bool:
    """Whether a stimulus is an image, or a movie of equal frames."""
    frames = as_movie(entry)
    return bool((frames == frames[:1]).all())


def level_columns(entries: Sequence[Entry], levels: Levels) -> pd.DataFrame:
    """Measure luminance, contrast and saturation of the bytes inside each region.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli.
    levels : Levels
        Whose ``lowest`` and ``highest`` are those of the monitor.

    Returns
    -------
    DataFrame, one row a stimulus
        ``luminance_level`` and ``rms_level`` in gray levels, and ``saturated_fraction``, the share
        of pixels and frames at the lowest or highest level.
    """
    lowest, highest = np.rint([levels.lowest, levels.highest])
    rows = []
    for entry in entries:
        inside = entry.frames[..., entry.region.mask]
        is_saturated = (inside <= lowest) | (inside >= highest)
        rows.append((*measure_levels(entry.frames, entry.region), is_saturated.mean()))
    names = ["luminance_level", "rms_level", "saturated_fraction"]
    return pd.DataFrame(np.array(rows, float).reshape(-1, len(names)), columns=names)


def frequency_columns(entries: Sequence[Entry], screen: Screen) -> pd.DataFrame:
    """Measure how much of each stimulus flickers, and how much is as fine as the pixels.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli.
    screen : Screen
        Where they are shown.

    Returns
    -------
    DataFrame, one row a stimulus
        ``flicker_share``, of the power of changes over time inside the region (each pixel about its
        own mean, Hann's window over frames) that at :data:`FLICKER_HZ`; 0 where nothing changes.
        ``fine_share``, of the power inside the region (about the mean, tapered to its edges) that
        of waves shorter than :data:`FINE_PERIOD_PX`; 0 where it is uniform.
    """
    flicker = _in_batches(entries, functools.partial(_flicker_share, screen=screen))
    fine = _in_batches(entries, functools.partial(_fine_share, screen=screen))
    return pd.DataFrame({"flicker_share": flicker, "fine_share": fine})


def spectrum_columns(
    entries: Sequence[Entry], references: Sequence[NaturalSpectrum]
) -> pd.DataFrame:
    """Measure how far the spectrum of each stimulus is from nature's.

    Parameters
    ----------
    entries : sequence of Entry
        The stimuli.
    references : sequence of NaturalSpectrum
        Still stimuli are compared with that of images (one frame), moving ones with that of movies
        of as many frames.

    Returns
    -------
    DataFrame, one row a stimulus
        ``spectrum_distance``, inside the region, in decades (see
        :class:`~insilico.synthesis.penalties.SpectrumDistance`); NaN in regions too small for a
        spectrum. ``off_distribution``, whether it is larger than for 95 % of the natural windows
        that the reference was measured on, or than :data:`OFF_DISTRIBUTION_DECADES` if that is
        ideal; false where the distance is NaN.

    Raises
    ------
    StimulusError
        If a stimulus has as many frames as no reference.
    """
    by_count = {reference.frame_count: reference for reference in references}
    counts = np.array([1 if is_still(entry) else len(entry.frames) for entry in entries], int)
    if lacking := sorted(set(counts.tolist()) - set(by_count)):
        known = ", ".join(map(str, sorted(by_count))) or "no number"
        raise StimulusError(
            f"stimuli of {lacking[0]} different frames are to be compared with natural spectra of "
            f"{known} of frames; give one of as many frames, 1 for still stimuli"
        )
    has_spectrum = [np.count_nonzero(entry.region.mask) >= FEWEST_PIXELS for entry in entries]
    distance, limit = np.full(len(entries), np.nan), np.full(len(entries), np.nan)
    for count, reference in by_count.items():
        rows = np.flatnonzero((counts == count) & has_spectrum)
        p95 = reference.distance_p95
        limit[rows] = p95 if np.isfinite(p95) else OFF_DISTRIBUTION_DECADES
        part = [entries[row] for row in rows.tolist()]
        distance[rows] = _in_batches(part, _distance_from(reference))
    return pd.DataFrame({"spectrum_distance": distance, "off_distribution": distance > limit})


def center_share(
    entry: Entry,
    x_px: float,
    y_px: float,
    *,
    radius_px: float = NEAR_PX,
    gray_level: float | None = None,
) -> float:
    """Return how much of the energy of a stimulus lies near the center of a receptive field.

    Parameters
    ----------
    entry : Entry
        The stimulus.
    x_px, y_px : float
        The center, from the top left.
    radius_px : float
        Pixels whose center is nearer than this, or as near, are near.
    gray_level : float, optional
        Energy is the squared deviation from it. Left out, it is the stimulus's own mean inside its
        region, so that a luminance other than gray does not count as a pattern all over the screen.

    Returns
    -------
    float
        Of the energy in the region, over all frames, the near part: 0 to 1, NaN for a uniform
        stimulus or an unknown center.
    """
    mask = entry.region.mask
    frames = entry.frames.astype(np.float64)
    mean = frames[..., mask].mean() if gray_level is None else gray_level
    energy = np.where(mask, (frames - mean) ** 2, 0)
    y, x = np.indices(mask.shape)
    distance = np.hypot(x - x_px, y - y_px)
    total = energy.sum()
    if total == 0 or np.isnan(distance).any():
        return float("nan")
    return float(energy[..., distance <= radius_px].sum() / total)


Share = Callable[[Tensor, Sequence[Entry]], Tensor]


def _in_batches(entries: Sequence[Entry], share: Share) -> FloatArray:
    """Return one number a stimulus (stimulus,), found for some of equal length at a time."""
    values = np.full(len(entries), np.nan)
    for rows in _batches(entries):
        part = [entries[row] for row in rows]
        frames = torch.from_numpy(np.stack([_distinct(entry) for entry in part])).double()
        values[rows] = share(frames, part).numpy()
    return values


def _batches(entries: Sequence[Entry]) -> Iterator[list[int]]:
    """Yield rows of stimuli with equally many frames, so many that memory is no matter."""
    shapes = [_distinct(entry).shape for entry in entries]
    for shape in dict.fromkeys(shapes):
        rows = [row for row, other in enumerate(shapes) if other == shape]
        step = max(1, CHUNK_PIXELS // int(np.prod(shape)))
        yield from (rows[start : start + step] for start in range(0, len(rows), step))


def _distinct(entry: Entry) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the frames (frame, y, x) that differ: one of a still stimulus."""
    return as_movie(entry)[:1] if is_still(entry) else as_movie(entry)


def _distance_from(reference: NaturalSpectrum) -> Share:
    def distance(frames: Tensor, entries: Sequence[Entry]) -> Tensor:
        masks = np.stack([entry.region.mask for entry in entries])
        return spectrum_distance(frames, reference, masks)

    return distance


def _flicker_share(frames: Tensor, entries: Sequence[Entry], screen: Screen) -> Tensor:
    count = frames.shape[1]
    frequency_hz = np.abs(np.fft.fftfreq(count)) * screen.frame_rate_hz
    is_flicker = (frequency_hz >= FLICKER_HZ[0]) & (frequency_hz <= FLICKER_HZ[1])
    temporal = torch.from_numpy(np.stack([is_flicker, ~is_flicker], 1).astype(float))
    changes = frames - frames.mean(1, keepdim=True)
    power = band_power(
        changes,
        _space(entries, lambda mask: mask.astype(float)),
        torch.from_numpy(time_taper(count))[:, None, None],
        (_half(screen)[:, None], temporal),
    )
    return _ratio(power[:, 0, 0], power[:, :, 0].sum(1))


def _fine_share(frames: Tensor, entries: Sequence[Entry], screen: Screen) -> Tensor:
    height, width = screen.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)).ravel()
    is_fine = frequency > 1 / FINE_PERIOD_PX
    members = _half(screen)[:, None] * torch.from_numpy(np.stack([is_fine, ~is_fine], 1))
    count = frames.shape[1]
    power = band_power(
        frames,
        _space(entries, space_taper),
        torch.ones(count, 1, 1, dtype=torch.float64),
        (members, torch.ones(count, 1, dtype=torch.float64)),
    )
    return _ratio(power[:, 0, 0], power[:, 0].sum(1))


def _space(entries: Sequence[Entry], taper: Callable[[BoolArray], FloatArray]) -> Tensor:
    """Return tapers (stimulus, 1, y, x); stimuli of one region share theirs."""
    masks = [entry.region.mask for entry in entries]
    tapers = {mask.tobytes(): taper(mask) for mask in {m.tobytes(): m for m in masks}.values()}
    return torch.from_numpy(np.stack([tapers[mask.tobytes()] for mask in masks]))[:, None]


def _half(screen: Screen) -> Tensor:
    """Return how many coefficients each one of a half spectrum stands for."""
    return torch.from_numpy(np.tile(mirror_weights(screen.width_px), screen.height_px))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > BLANK_VARIANCE, part / whole.clamp_min(BLANK_VARIANCE), 0.0)
