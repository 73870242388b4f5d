"""What a stimulus pays for being unlike nature: its spectrum, as published and corrected; texture.

Everything here is a function of gray levels, one number a stimulus, and differentiable.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from insilico.errors import ShapeError, StimulusError, UnitsError
from insilico.synthesis.octaves import (
    BoolArray,
    FloatArray,
    mirror_weights,
    space_taper,
    time_taper,
    unresolved_bands,
)
from insilico.synthesis.power import band_power, frame_log_power, shape_distance
from insilico.synthesis.spectra import NaturalSpectrum

#: Added to the generated spectrum under the logarithm (ViV1T-closed-loop,
#: most_exciting_stimulus/single_neuron/generate_center_surround.py).
KL_FLOOR = 1e-8
#: Fewest pixels that have a spectrum: those of the smallest disc in use, 10 degrees on the
#: published screens.
FEWEST_PIXELS = 9
#: Steps well below this many gray levels count by their square: half of what 8 bits tell apart.
SMOOTH_LEVELS = 0.5


def published_kl(stimulus: Tensor | ArrayLike, reference: NaturalSpectrum) -> Tensor:
    """Return the published distance of stimuli from natural spectra.

    It is mostly one of mean level and contrast: the mean level holds 88 % of the natural
    distribution. It is spatial only, and scores all that is shown, fixed parts included.
    :class:`SpectrumDistance` does better.

    Parameters
    ----------
    stimulus : array or tensor, shape (stimulus[, frame], y, x)
        Gray levels 0-255 as shown, of any number of frames.
    reference : NaturalSpectrum
        Its ``log_power`` is used.

    Returns
    -------
    float tensor, shape (stimulus,)
        ``sum(p ln(p / (q + 1e-8)))``, in nats: ``p`` is the softmax of the reference and ``q`` that
        of the stimulus's logarithmic power, averaged over frames.

    Raises
    ------
    ShapeError
        If the stimuli do not have the pixels of the reference.

    References
    ----------
    ViV1T-closed-loop, most_exciting_stimulus/single_neuron/generate_center_surround.py.
    """
    frames = _gray_levels(stimulus, reference.screen.shape)
    if frames.ndim == 3:
        frames = frames[:, None]
    log_power = frame_log_power(frames).mean(1).flatten(1)
    natural, twice = (torch.as_tensor(x).to(log_power) for x in _half_distribution(reference))
    total = (log_power + twice.log()).logsumexp(1, keepdim=True)
    shown = (log_power - total).exp()
    return torch.xlogy(natural, natural / twice).sum() - (shown + KL_FLOOR).log() @ natural


class SpectrumDistance(torch.nn.Module):
    """How far the shape of a stimulus's spectrum is from nature's, in decades.

    Power is summed over joint octaves of spatial frequency (all orientations alike) and, for
    movies, temporal frequency, after the mean was removed and the edges tapered; then total power
    is made equal to nature's, so that contrast plays no part, and the root mean square over bands
    of the difference in log10 power is taken. A band counts as at most 3 decades below nature.

    What does not change from step to step is computed here once.

    Parameters
    ----------
    reference : NaturalSpectrum
        Of images for still stimuli, of movies for moving ones.
    masks : bool array, shape ([stimulus,] y, x), optional
        Where stimuli are looked at, such as ``region.mask``; the whole screen without it. Pixels
        that are fixed should not be scored.

    Raises
    ------
    ShapeError
        If a mask does not have the pixels of the reference.
    StimulusError
        If a mask has too few pixels for a spectrum.

    References
    ----------
    Ours; it answers the known weaknesses of :func:`published_kl`. Natural power per octave: Field
    1987, doi 10.1364/JOSAA.4.002379.
    """

    space: Tensor
    time: Tensor
    spatial: Tensor
    temporal: Tensor
    merged: Tensor
    log_share: Tensor
    counted: Tensor

    def __init__(self, reference: NaturalSpectrum, masks: BoolArray | None = None) -> None:
        super().__init__()
        self.reference = reference
        bands = reference.bands
        shape = reference.screen.shape
        # Neurons and restarts share masks, and a mask takes time.
        unique, which = np.unique(_each(masks, shape), axis=0, return_inverse=True)
        prepared = [_prepare(reference, mask) for mask in unique]
        space, merged, log_share, counted = (
            np.stack(arrays)[which.ravel()] for arrays in zip(*prepared, strict=True)
        )
        self.register_buffer("space", torch.as_tensor(space)[:, None])
        self.register_buffer("merged", torch.as_tensor(merged))
        self.register_buffer("log_share", torch.as_tensor(log_share))
        self.register_buffer("counted", torch.as_tensor(counted))
        time = time_taper(reference.frame_count)[:, None, None]
        self.register_buffer("time", torch.as_tensor(time))
        self.register_buffer("spatial", torch.as_tensor(bands.spatial))
        self.register_buffer("temporal", torch.as_tensor(bands.temporal))
        self.float()

    def forward(self, stimulus: Tensor | ArrayLike) -> Tensor:
        """Return the distance of stimuli.

        Parameters
        ----------
        stimulus : array or tensor, shape (stimulus[, frame], y, x)
            Gray levels 0-255; frames as in the reference, as many stimuli as masks unless there is
            one mask.

        Returns
        -------
        float tensor, shape (stimulus,)
            Decades, 0 or more; 3 for a blank.

        Raises
        ------
        ShapeError
            If the shape is another.
        """
        frames = self._frames(stimulus)
        power = band_power(
            frames,
            self.space.to(frames),
            self.time.to(frames),
            (self.spatial.to(frames), self.temporal.to(frames)),
        )
        merged = power @ self.merged.to(frames)
        return shape_distance(merged, self.log_share.to(frames), self.counted.to(frames.device))

    def _frames(self, stimulus: Tensor | ArrayLike) -> Tensor:
        count, masks = self.reference.frame_count, len(self.space)
        levels = _gray_levels(stimulus, self.reference.screen.shape)
        frames = levels[:, None] if levels.ndim == 3 else levels
        if frames.shape[1] != count or masks not in (1, len(frames)):
            raise ShapeError(
                f"stimuli of shape {tuple(levels.shape)} arrived for {masks} masks and a natural "
                f"spectrum of {count} frames; give as many frames, and one mask or one a stimulus"
            )
        return frames


def spectrum_distance(
    stimulus: Tensor | ArrayLike, reference: NaturalSpectrum, masks: BoolArray | None = None
) -> Tensor:
    """Return how far the shapes of stimuli's spectra are from nature's, in decades.

    Parameters
    ----------
    stimulus : array or tensor, shape (stimulus[, frame], y, x)
        Gray levels 0-255; frames as in the reference.
    reference : NaturalSpectrum
        Of images for still stimuli, of movies for moving ones.
    masks : bool array, shape ([stimulus,] y, x), optional
        Where stimuli are looked at; the whole screen without it.

    Returns
    -------
    float tensor, shape (stimulus,)
        Decades, 0 or more; see :class:`SpectrumDistance`, which is faster where it is asked again
        and again with masks.

    Raises
    ------
    ShapeError
        If shapes do not fit each other.
    StimulusError
        If a mask has too few pixels for a spectrum.
    """
    prepared = _on_screen(reference) if masks is None else SpectrumDistance(reference, masks)
    return prepared(stimulus)


def total_variation(
    stimulus: Tensor | ArrayLike,
    masks: BoolArray | None = None,
    *,
    time_weight: float = 1.0,
    smooth_levels: float = SMOOTH_LEVELS,
) -> Tensor:
    """Return the mean step from pixel to pixel, and from frame to frame.

    Parameters
    ----------
    stimulus : array or tensor, shape (stimulus[, frame], y, x)
        Gray levels 0-255.
    masks : bool array, shape ([stimulus,] y, x), optional
        Only steps between two pixels in here count; all do without it.
    time_weight : float
        What a step from frame to frame counts against one from pixel to pixel, 0 or more.
    smooth_levels : float
        Steps ``d`` count ``sqrt(d^2 + smooth_levels^2) - smooth_levels``, so that there is a slope
        everywhere; gray levels, > 0.

    Returns
    -------
    float tensor, shape (stimulus,)
        Mean over horizontal steps, plus mean over vertical ones, plus ``time_weight`` times the
        mean over steps from frame to frame: gray levels per pixel (and frame). 0 if uniform.

    Raises
    ------
    ShapeError
        If masks do not fit the stimuli.
    UnitsError
        If a number is out of range.

    References
    ----------
    Rudin, Osher & Fatemi 1992, doi 10.1016/0167-2789(92)90242-F, here along each axis on its own;
    for most exciting images, as Bashivan, Kar & DiCarlo 2019, doi 10.1126/science.aav9436.
    """
    if not (smooth_levels > 0 and time_weight >= 0):
        raise UnitsError(
            f"total variation was asked for with smooth_levels {smooth_levels!r} and time_weight "
            f"{time_weight!r}; give more than 0, and 0 or more"
        )
    levels = _gray_levels(stimulus)
    frames = levels[:, None] if levels.ndim == 3 else levels
    each = torch.as_tensor(np.stack(list(_each(masks, tuple(frames.shape[-2:])))))
    if len(each) not in (1, len(frames)):
        raise ShapeError(
            f"{len(each)} masks arrived for {len(frames)} stimuli; give one, or one a stimulus"
        )
    inside = each.to(frames)[:, None].expand(len(each), *frames.shape[1:])
    total = frames.new_zeros(len(frames))
    for axis, weight in ((3, 1.0), (2, 1.0), (1, time_weight)):
        if frames.shape[axis] > 1:
            total = total + weight * _mean_step(frames, inside, axis, smooth_levels)
    return total


def _mean_step(frames: Tensor, inside: Tensor, axis: int, smooth_levels: float) -> Tensor:
    length = frames.shape[axis] - 1
    counted = inside.narrow(axis, 0, length) * inside.narrow(axis, 1, length)
    size = (frames.diff(dim=axis).square() + smooth_levels**2).sqrt() - smooth_levels
    # A mask of single pixels has no steps, hence no variation.
    return (size * counted).sum((1, 2, 3)) / counted.sum((1, 2, 3)).clamp(min=1)


@functools.lru_cache(maxsize=8)
def _on_screen(reference: NaturalSpectrum) -> SpectrumDistance:
    return SpectrumDistance(reference)


@functools.lru_cache(maxsize=8)
def _half_distribution(reference: NaturalSpectrum) -> tuple[FloatArray, FloatArray]:
    """Return the natural distribution over a half spectrum, and how many each entry stands for."""
    height, width = reference.screen.shape
    whole = np.exp(reference.log_power - reference.log_power.max()).reshape(height, width)
    twice = np.tile(mirror_weights(width), height)
    return (whole / whole.sum())[:, : width // 2 + 1].ravel() * twice, twice


def _prepare(
    reference: NaturalSpectrum, mask: BoolArray
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any], BoolArray]:
    """Return the taper, which bands become one, the natural shares, and which bands count."""
    if np.count_nonzero(mask) < FEWEST_PIXELS:
        raise StimulusError(
            f"a region of {np.count_nonzero(mask)} pixels was to be compared with natural "
            f"spectra; give {FEWEST_PIXELS} or more"
        )
    first = unresolved_bands(mask, reference.bands)
    band = np.arange(reference.log_share.shape[-1])
    merged = np.eye(len(band))[np.maximum(band, first)]
    counted = band >= first
    share = np.where(counted, 10 ** reference.log_share_in(mask) @ merged, 1.0)
    return space_taper(mask), merged, np.log10(share), counted[None]


def _each(masks: BoolArray | None, shape: tuple[int, ...]) -> BoolArray:
    """Return masks (1 or stimulus, y, x)."""
    if masks is None:
        return np.ones((1, *shape), bool)
    each = np.asarray(masks) > 0
    if each.ndim not in (2, 3) or each.shape[-2:] != shape:
        raise ShapeError(
            f"masks of shape {each.shape} arrived; give ([stimulus,] y, x) with the {shape} pixels "
            "of the screen"
        )
    return each if each.ndim == 3 else each[None]


def _gray_levels(stimulus: Tensor | ArrayLike, shape: tuple[int, ...] | None = None) -> Tensor:
    """Return stimuli as floating-point tensors, (stimulus[, frame], y, x)."""
    levels = torch.as_tensor(stimulus)
    if levels.ndim not in (3, 4) or (shape is not None and tuple(levels.shape[-2:]) != shape):
        pixels = "" if shape is None else f" with the {shape} pixels of the natural spectrum"
        raise ShapeError(
            f"stimuli of shape {tuple(levels.shape)} arrived; give (stimulus[, frame], y, x)"
            f"{pixels}"
        )
    return levels if levels.is_floating_point() else levels.float()
