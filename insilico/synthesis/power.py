"""The power of stimuli at every frequency, as tensors: differentiable, a batch at a time."""

from __future__ import annotations

import torch
from torch import Tensor

#: Added to the power of a frame before the logarithm (ViV1T-closed-loop,
#: most_exciting_stimulus/estimate_natural_stimuli_spectrum.py).
POWER_FLOOR = 1e-8
#: A band counts as at most this much weaker than nature, 3 decades: rounding to 8 bits alone puts
#: about as much into the finest band of a movie of natural contrast.
SHARE_FLOOR = 1e-3
#: Variance, in squared gray levels, below which a stimulus has no spectrum to speak of.
BLANK_VARIANCE = 1e-4


def frame_log_power(frames: Tensor) -> Tensor:
    """Return the logarithm of the power of every frame, as published.

    Parameters
    ----------
    frames : float tensor, shape (…, y, x)
        Gray levels.

    Returns
    -------
    float tensor, shape (…, y, x // 2 + 1)
        ``ln(|F|^2 + 1e-8)`` with ``F`` the unitary Fourier transform of the frame; the other half
        mirrors this one.

    References
    ----------
    ViV1T-closed-loop, most_exciting_stimulus/estimate_natural_stimuli_spectrum.py.
    """
    return (_squared(torch.fft.rfft2(frames, norm="ortho")) + POWER_FLOOR).log()


def band_power(
    stimulus: Tensor, space: Tensor, time: Tensor, members: tuple[Tensor, Tensor]
) -> Tensor:
    """Return the power of stimuli in every band, seen through a taper.

    Parameters
    ----------
    stimulus : float tensor, shape (stimulus, frame, y, x)
        Gray levels.
    space : float tensor, shape (1 or stimulus, 1, y, x)
        Taper over space.
    time : float tensor, shape (frame, 1, 1)
        Taper over frames.
    members : (float tensor, float tensor)
        ``spatial`` and ``temporal`` of :class:`~insilico.synthesis.octaves.OctaveBands`.

    Returns
    -------
    float tensor, shape (stimulus, temporal band, spatial band)
        Squared gray levels; the sum over bands is the variance over the taper squared.
    """
    spatial, temporal = members
    window = space * time
    total = window.sum((-3, -2, -1), keepdim=True)
    mean = (stimulus * window).sum((-3, -2, -1), keepdim=True) / total
    half = torch.fft.rfftn((stimulus - mean) * window, dim=(-3, -2, -1))
    by_space = _squared(half).flatten(-2) @ spatial
    scale = window.square().sum((-3, -2, -1)) * window[0].numel()
    return temporal.T @ by_space / scale[:, None, None]


def shape_distance(power: Tensor, log_share: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return how far the shape of a spectrum is from another's, total powers made equal.

    Parameters
    ----------
    power : float tensor, shape (stimulus, temporal band, spatial band)
        Squared gray levels.
    log_share : float tensor, shape ([stimulus,] temporal band, spatial band)
        log10 of the shares that each band should have.
    counted : bool tensor, shape ([stimulus,] 1, spatial band), optional
        Bands that count; all do without it.

    Returns
    -------
    float tensor, shape (stimulus,)
        Root mean square over bands of the difference in log10 power: decades.
    """
    expected = 10**log_share
    share = power / (power.sum((-2, -1), keepdim=True) + BLANK_VARIANCE)
    ratio = (share + SHARE_FLOOR * expected) / ((1 + SHARE_FLOOR) * expected)
    squared = ratio.log10().square()
    if counted is None:
        mean = squared.mean((-2, -1))
    else:
        weights = counted.to(squared).expand_as(squared)
        mean = (squared * weights).sum((-2, -1)) / weights.sum((-2, -1))
    return (mean + torch.finfo(mean.dtype).tiny).sqrt()  # a slope also where both are the same


def _squared(coefficients: Tensor) -> Tensor:
    return torch.view_as_real(coefficients).square().sum(-1)
