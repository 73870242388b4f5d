"""Controls of a stimulus: as bright, as contrasted and as large, yet not made for its neuron.

A control differs from its stimulus in one thing. Noise keeps the spectrum and loses the shape;
swapped stimuli keep what stimuli of the set look like and lose the neuron. Gratings and natural
images, the other controls, are searched for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft

from insilico.errors import StimulusError
from insilico.synthesis.entries import Entry
from insilico.synthesis.levels import TOLERANCE_LEVELS, Levels, measure_levels
from insilico.synthesis.regions import BoolArray, FloatArray

Float32Array = np.ndarray[Any, np.dtype[np.float32]]

#: What a control keeps of the details of its stimulus.
KEPT_DETAILS = ("x_px", "y_px", "restart")
#: A stimulus whose standard deviation inside its region is below this many gray levels is blank:
#: that of one gray level in one pixel of 400.
BLANK_RMS_LEVEL = 0.05
#: Contrast that levels can have, as a fraction of that of black and white pixels alone.
LARGEST_CONTRAST = 0.999
#: What the status of a control can say.
STATUS = {
    "ok": "luminance and contrast match to one gray level",
    "levels_differ": "luminance or contrast does not match, as clipping or place left too little",
    "blank": "the stimulus that it controls is uniform",
}


def noise_control(entry: Entry, levels: Levels, seed: int | Sequence[int]) -> Entry:
    """Return noise with the spectrum, luminance, contrast and aperture of a stimulus.

    Parameters
    ----------
    entry : Entry
        What is controlled.
    levels : Levels
        Range of the monitor; luminance and contrast are those of the stimulus as it is shown.
    seed : int or sequence of int
        The noise is a function of it.

    Returns
    -------
    Entry
        Of class "noise". Over the full field its amplitude spectrum is that of the stimulus; for
        movies over space and time together, so what stands still gives noise that does. Within a
        smaller region the noise is drawn in the rectangle around it and cut out, which blurs the
        spectrum by about the width of the region's own. ``status`` is one of :data:`STATUS`;
        ``details`` has ``seed``.

    Notes
    -----
    The spectrum is not imposed again after cutting. A pattern confined to a small region is all but
    determined by its amplitudes, and repeating the two turns the noise back into its stimulus: ten
    rounds over the whole screen raised the response of an energy unit to noise in a disc of 30 deg
    from 0.6 to 0.97 of its response to the Gabor itself.

    References
    ----------
    Theiler et al. 1992, doi 10.1016/0167-2789(92)90102-S: surrogates with the same amplitudes and
    random phases; here over space and time together.
    """
    details = {"seed": seed if isinstance(seed, int) else tuple(seed)}
    own = _own_levels(entry, levels)
    if own is None:
        return _control(entry, "noise", entry.frames, details, "blank")
    pattern = _deviation(entry, entry.region.mask)
    luminance = own.luminance_level or 0.0
    content = luminance + _shuffled(pattern, entry.region.mask, seed)
    return _finished(entry, "noise", content, own, details)


def swap_control(
    entry: Entry, donors: Sequence[Entry], levels: Levels, *, seed: int | Sequence[int]
) -> Entry:
    """Return the stimulus of another neuron, moved to where this neuron sees best.

    Parameters
    ----------
    entry, levels
        As for :func:`noise_control`.
    donors : sequence of Entry
        Stimuli to choose from, such as all of a set. Those of the same class, region and duration
        that share no neuron with the stimulus count.
    seed : int or sequence of int
        Which donor it is.

    Returns
    -------
    Entry
        As :func:`swap_controls`.

    Raises
    ------
    StimulusError
        If there is no donor.
    """
    return swap_controls([entry], donors, levels, seeds=[seed])[0]


def swap_controls(
    entries: Sequence[Entry],
    donors: Sequence[Entry],
    levels: Levels,
    *,
    seeds: Sequence[int | Sequence[int]],
) -> list[Entry]:
    """Return the stimuli of other neurons, each moved to where its new neuron sees best.

    The donor is drawn from that half of the others whose amplitude spectrum is least correlated
    with the stimulus's own, so that it is not one of the same tuning by chance. Spectra know
    neither place nor phase: a Gabor in quadrature, to which a complex cell responds as well, counts
    as the same.

    Parameters
    ----------
    entries, donors, levels
        As for :func:`swap_control`.
    seeds : sequence of int or of sequences of int
        One a stimulus.

    Returns
    -------
    list of Entry
        One a stimulus, of class "swap". Moved by whole pixels from the center of the donor's region
        to that of the stimulus's own (of a full field: from ``x_px``, ``y_px`` in the details of
        one to those of the other; as it is where they are unknown). What the donor leaves free has
        its mean level. ``status`` is one of :data:`STATUS`; ``details`` has ``donor_neuron``,
        ``donor_target``, ``shift_x_px``, ``shift_y_px`` and ``seed``.

    Raises
    ------
    StimulusError
        If a stimulus has no donor.
    """
    spectra = [_spectrum(donor) for donor in donors]
    return [
        _swapped(entry, donors[_choose(entry, donors, spectra, seed)], levels, seed)
        for entry, seed in zip(entries, seeds, strict=True)
    ]


def has_donor(entry: Entry, donors: Sequence[Entry]) -> bool:
    """Whether any of some stimuli can be swapped for one."""
    return any(_is_donor(entry, donor) for donor in donors)


def _swapped(entry: Entry, donor: Entry, levels: Levels, seed: Any) -> Entry:
    shift = _shift(donor, entry)
    details = {
        "donor_neuron": donor.objective.neuron,
        "donor_target": donor.objective.name,
        "shift_x_px": shift[0],
        "shift_y_px": shift[1],
        "seed": seed if isinstance(seed, int) else tuple(seed),
    }
    own = _own_levels(entry, levels)
    if own is None:
        return _control(entry, "swap", entry.frames, details, "blank")
    luminance = own.luminance_level or 0.0
    moved = luminance + moved_by(_deviation(donor, donor.region.mask), shift)
    return _finished(entry, "swap", moved, own, details)


def moved_by(pattern: FloatArray, shift_px: tuple[int, int]) -> FloatArray:
    """Return a pattern moved by whole pixels, 0 where nothing arrives.

    Parameters
    ----------
    pattern : float array, shape ([frame,] y, x)
        Deviations from a mean.
    shift_px : (x, y)
        To the right and down.
    """
    moved = np.zeros_like(pattern)
    (to_y, from_y), (to_x, from_x) = (
        _overlap(length, by)
        for length, by in zip(pattern.shape[-2:], (shift_px[1], shift_px[0]), strict=True)
    )
    moved[..., to_y, to_x] = pattern[..., from_y, from_x]
    return moved


def _overlap(length: int, by: int) -> tuple[slice, slice]:
    """Return where pixels of a line arrive, and where they come from."""
    kept = max(length - abs(by), 0)
    to, start = max(by, 0), max(-by, 0)
    return slice(to, to + kept), slice(start, start + kept)


def _shift(donor: Entry, entry: Entry) -> tuple[int, int]:
    """Return whole pixels (x, y) from the place of one stimulus to that of another."""
    places = np.array([_place(donor), _place(entry)])
    if not np.isfinite(places).all():
        return 0, 0
    x, y = np.rint(places[1] - places[0]).astype(int).tolist()
    return x, y


def _place(entry: Entry) -> tuple[float, float]:
    """Return the center (x, y) of a stimulus, or NaN."""
    if np.isfinite(entry.region.center_px).all():
        return entry.region.center_px
    x, y = (float(entry.details.get(name, np.nan)) for name in ("x_px", "y_px"))
    return x, y


def _is_donor(entry: Entry, donor: Entry) -> bool:
    is_alike = (donor.stimulus_class, donor.region.name, donor.frames.shape) == (
        entry.stimulus_class,
        entry.region.name,
        entry.frames.shape,
    )
    return is_alike and entry.objective.weights.keys().isdisjoint(donor.objective.weights)


def _choose(
    entry: Entry, donors: Sequence[Entry], spectra: Sequence[Float32Array], seed: Any
) -> int:
    """Return the row of one of the half of the donors that are least like a stimulus."""
    rows = [row for row, donor in enumerate(donors) if _is_donor(entry, donor)]
    if not rows:
        raise StimulusError(
            f"none of {len(donors)} stimuli can be swapped for that of {entry.objective.name!r}; "
            "generate stimuli of the same class, region and duration for other neurons, or leave "
            "out the control 'swap'"
        )
    likeness = np.stack([spectra[row] for row in rows]) @ _spectrum(entry)
    unlike = np.argsort(likeness, kind="stable")[: -(-len(rows) // 2)]
    return rows[unlike[np.random.default_rng(seed).integers(len(unlike))]]


def _spectrum(entry: Entry) -> Float32Array:
    """Return the amplitude spectrum of a stimulus (coefficient,), mean 0 and length 1."""
    pattern = _deviation(entry, entry.region.mask).astype(np.float32)
    # A coefficient and its mirror image are alike, and one of them is enough to compare.
    spectrum = np.abs(scipy.fft.rfftn(pattern)).ravel()
    centered = spectrum - spectrum.mean()
    return np.asarray(centered / max(float(np.linalg.norm(centered)), 1e-12), np.float32)


def _shuffled(pattern: FloatArray, mask: BoolArray, seed: int | Sequence[int]) -> FloatArray:
    """Return a pattern with the amplitudes of another in the rectangle around a region."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = (..., slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part = pattern[box]
    # Phases of real noise are those of a real pattern: opposite at opposite frequencies.
    noise = scipy.fft.rfftn(np.random.default_rng(seed).standard_normal(part.shape))
    amplitude = np.abs(scipy.fft.rfftn(part))
    shuffled = np.zeros_like(pattern)
    shuffled[box] = scipy.fft.irfftn(amplitude * noise / np.abs(noise), s=part.shape)
    return shuffled


def _deviation(entry: Entry, mask: BoolArray) -> FloatArray:
    """Return gray levels less their mean in a region, 0 beside it."""
    frames = entry.frames.astype(np.float64)
    return np.where(mask, frames - frames[..., mask].mean(), 0.0)


def _own_levels(entry: Entry, levels: Levels) -> Levels | None:
    """Return the levels that a stimulus has; None for a uniform one."""
    luminance, rms = measure_levels(entry.frames, entry.region)
    if rms < BLANK_RMS_LEVEL:
        return None
    free = dataclasses.replace(levels, luminance_level=luminance, rms_level=None)
    return dataclasses.replace(free, rms_level=min(rms, LARGEST_CONTRAST * free.largest_rms_level))


def _finished(
    entry: Entry, name: str, content: FloatArray, levels: Levels, details: dict[str, Any]
) -> Entry:
    """Return a control as it is shown."""
    frames = levels.finish(content, entry.region)
    wanted = measure_levels(entry.frames, entry.region)
    differ = np.abs(np.subtract(wanted, measure_levels(frames, entry.region)))
    status = "ok" if (differ <= TOLERANCE_LEVELS).all() else "levels_differ"
    return _control(entry, name, frames, details, status)


def _control(entry: Entry, name: str, frames: Any, details: dict[str, Any], status: str) -> Entry:
    kept = {key: entry.details[key] for key in KEPT_DETAILS if key in entry.details}
    return Entry(frames, entry.objective, entry.region, name, status, {**kept, **details})
