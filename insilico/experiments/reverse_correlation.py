"""Reverse correlation: maps of what drives a neuron, summed up batch by batch.

Two descriptions of the noise are correlated with the responses: its pixels, which gives the
**linear map**, and the energy of its patches in a bank of Gabor filters, which gives the **energy
map** of cells that answer a pattern and its negative alike. Movies are correlated at several lags.
Both sides are centered: without it the estimate carries the variance of the mean response through
every pixel, and reaches a fraction of the reliability.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from insilico.screen import Screen
from insilico.statistics.correlation import correlate_rows

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclasses.dataclass(frozen=True)
class GaborBank:
    """Pairs of Gabor filters in quadrature on a grid of positions.

    Parameters
    ----------
    screen : Screen
        Pixels.
    frequency_cpd : sequence of float
        Spatial frequencies, cycles per degree.
    orientation_count : int
        Evenly spaced over 180 degrees.
    sigma_cycles : float
        Standard deviation of the round Gaussian envelope, in cycles.
    stride_px : int
        Distance of neighboring positions.
    """

    screen: Screen
    frequency_cpd: Sequence[float]
    orientation_count: int = 4
    sigma_cycles: float = 0.4
    stride_px: int = 2

    @property
    def x_px(self) -> FloatArray:
        """Columns of the grid, centered on the screen."""
        return _grid(self.screen.width_px, self.stride_px)

    @property
    def y_px(self) -> FloatArray:
        """Rows of the grid, centered on the screen."""
        return _grid(self.screen.height_px, self.stride_px)

    @property
    def filter_count(self) -> int:
        """Filters per position."""
        return len(self.frequency_cpd) * self.orientation_count

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of positions."""
        return len(self.y_px), len(self.x_px)

    def filters(self) -> np.ndarray[Any, np.dtype[np.complex64]]:
        """Return the filters, blind to uniform light, of unit norm.

        Returns
        -------
        complex64 array, shape (filter, position, pixel)
            Positions and pixels run row by row.
        """
        y, x = (axis.reshape(-1) for axis in np.indices(self.screen.shape))
        center_y, center_x = np.meshgrid(self.y_px, self.x_px, indexing="ij")
        right = x - center_x.reshape(-1, 1)
        up = center_y.reshape(-1, 1) - y
        filters = []
        for frequency in self.screen.cycles_per_px(np.asarray(self.frequency_cpd)):
            sigma = self.sigma_cycles / frequency
            envelope = np.exp(-0.5 * (right**2 + up**2) / sigma**2)
            envelope /= envelope.sum(1, keepdims=True)
            for turn in range(self.orientation_count):
                angle = np.pi * turn / self.orientation_count
                along = right * np.cos(angle) + up * np.sin(angle)
                gabor = envelope * np.exp(2j * np.pi * frequency * along)
                gabor -= gabor.sum(1, keepdims=True) * envelope
                gabor /= np.linalg.norm(gabor, axis=1, keepdims=True)
                filters.append(gabor.astype(np.complex64))
        return np.stack(filters)


class EnergyFeatures:
    """Energy of images in a Gabor bank."""

    def __init__(self, bank: GaborBank) -> None:
        filters = bank.filters().reshape(-1, bank.screen.width_px * bank.screen.height_px)
        self._real = np.ascontiguousarray(filters.real.T)
        self._imaginary = np.ascontiguousarray(filters.imag.T)

    def __call__(self, pixels: FloatArray) -> FloatArray:
        """Return the squared modulus of each filter's answer.

        Parameters
        ----------
        pixels : float32 array, shape (sample, pixel)

        Returns
        -------
        float32 array, shape (sample, filter x position)
        """
        energy = np.square(pixels @ self._real)
        energy += np.square(pixels @ self._imaginary)
        return energy


class LaggedCovariance:
    """Covariance of features and responses at several lags, in two halves of the trials.

    Parameters
    ----------
    feature_count, neuron_count, lag_count : int
        Sizes; images have one lag.
    """

    def __init__(self, feature_count: int, neuron_count: int, lag_count: int = 1) -> None:
        self.lag_count = lag_count
        self._sums: dict[str, np.ndarray[Any, Any]] = {
            "count": np.zeros(2),
            "product": np.zeros((2, lag_count, neuron_count, feature_count), np.float32),
            "feature": np.zeros((2, lag_count, feature_count)),
            "feature_square": np.zeros((2, lag_count, feature_count)),
            "response": np.zeros((2, neuron_count)),
            "response_square": np.zeros((2, neuron_count)),
        }

    def add(self, half: int, features: FloatArray, responses: FloatArray) -> None:
        """Add trials to one half.

        Parameters
        ----------
        half : {0, 1}
            Which half of the measurement the trials belong to.
        features : float32 array, shape (trial, frame, feature)
            Description of each frame, about centered. Images have one frame.
        responses : float32 array, shape (trial, neuron, frame)
            Responses to the **last** frames of ``features``, about centered: frame counts differ by
            ``lag_count - 1``, so that every response has a feature at every lag.
        """
        frames = responses.shape[2]
        latest = features.shape[1]
        flat = np.ascontiguousarray(responses.transpose(1, 0, 2)).reshape(responses.shape[1], -1)
        sums = self._sums
        for lag in range(self.lag_count):
            window = features[:, latest - lag - frames : latest - lag]
            window = np.ascontiguousarray(window).reshape(-1, features.shape[2])
            sums["product"][half, lag] += flat @ window
            sums["feature"][half, lag] += window.sum(0, dtype=np.float64)
            sums["feature_square"][half, lag] += np.einsum(
                "sf,sf->f", window, window, dtype=np.float64
            )
        sums["count"][half] += flat.shape[1]
        sums["response"][half] += flat.sum(1, dtype=np.float64)
        sums["response_square"][half] += np.einsum("ns,ns->n", flat, flat, dtype=np.float64)

    def correlations(
        self, halves: Sequence[int] = (0, 1), neurons: np.ndarray[Any, Any] | None = None
    ) -> FloatArray:
        """Return the correlation of neurons with every feature at every lag.

        Parameters
        ----------
        halves : sequence of int
            Which halves to take together.
        neurons : int array, shape (neuron,), optional
            Positions of the neurons; all when left out.

        Returns
        -------
        float32 array, shape (neuron, lag, feature)
            Under independence each value has standard deviation 1 / sqrt(samples). 0 for a neuron
            or feature that never varied.
        """
        chosen = list(halves)
        who = slice(None) if neurons is None else neurons
        sums = {
            name: values[chosen].sum(0) for name, values in self._sums.items() if name != "product"
        }
        count = max(sums["count"], 1)
        feature_mean = sums["feature"] / count
        response_mean = (sums["response"] / count)[who]
        feature_sd = _spread(sums["feature_square"] / count, feature_mean)
        response_sd = self.response_spread(halves)[who]
        correlation = sum(self._sums["product"][half][:, who] for half in chosen)
        correlation = correlation / np.float32(count)
        correlation -= (response_mean[:, None] * feature_mean[:, None, :]).astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation /= response_sd[:, None].astype(np.float32)
            correlation /= feature_sd[:, None, :].astype(np.float32)
        np.nan_to_num(correlation, copy=False, nan=0, posinf=0, neginf=0)
        return correlation.transpose(1, 0, 2)

    def response_spread(self, halves: Sequence[int] = (0, 1)) -> FloatArray:
        """Return the standard deviation of each neuron's response; 0 if it never varied."""
        chosen = list(halves)
        count = max(self._sums["count"][chosen].sum(), 1)
        mean = self._sums["response"][chosen].sum(0) / count
        return _spread(self._sums["response_square"][chosen].sum(0) / count, mean)

    @property
    def sample_count(self) -> int:
        """Number of responses summed so far."""
        return int(self._sums["count"].sum())

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return everything summed so far."""
        return dict(self._sums)

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up from what :meth:`state` returned."""
        self._sums = {name: np.array(state[name]) for name in self._sums}


@dataclasses.dataclass(frozen=True)
class Maps:
    """One map a neuron, and how much of it comes back in the other half of the trials.

    Attributes
    ----------
    values : float32 array, shape (neuron, y, x)
        Weighted mean over components.
    weights : float32 array, shape (neuron, component)
        Weight of each lag or lag and filter; the strongest is 1.
    reliability : float array, shape (neuron,)
        Correlation of the two halves' lightly smoothed maps, joined with the weights of one half
        and then of the other, and averaged: a map of noise has reliability 0 on average, however
        many components there were to choose from.
    explained : float array, shape (neuron,)
        Share of the variance of the response that its best filter explains: for the linear map one
        over all pixels and lags, for the energy map one unit of the bank over all lags. Noise adds
        nothing on average, and can make it negative.
    half_difference : float32 array, shape (neuron, y, x)
        Half of the first half's map minus the second half's, both joined with ``weights``: noise
        like that of ``values``, without the receptive field.
    smoothing_px : float
        Blur with which the halves were compared.
    """

    values: FloatArray
    weights: FloatArray
    reliability: FloatArray
    explained: FloatArray
    half_difference: FloatArray
    smoothing_px: float = 0.0


def combine_components(
    components: FloatArray,
    halves: Sequence[FloatArray],
    *,
    shape: tuple[int, int],
    smoothing_px: float,
    is_signed: bool,
    lag_count: int = 1,
) -> Maps:
    """Join each neuron's maps at several lags, or in several filters, into one.

    The component with the most extreme pixel leads; every other one enters with the weight of its
    agreement with the leader where the leader is strong. For a receptive field that is separable in
    space and time these are the weights of least variance; for one that is not (a
    direction-selective cell, whose pattern moves with lag) the map keeps the leader's phase.

    Parameters
    ----------
    components : float array, shape (neuron, component, pixel)
        From all trials.
    halves : two float arrays of that shape
        From each half of the trials.
    shape : (rows, columns)
        Of the maps.
    smoothing_px : float
        Standard deviation of the Gaussian that the leader is found and the halves are compared
        with; the returned map is not smoothed.
    is_signed : bool
        Whether opposite components may be subtracted; energies only add.
    lag_count : int
        Components are this many lags, the filters of each side by side.

    Returns
    -------
    Maps
    """

    def weigh(part: FloatArray) -> FloatArray:
        return component_weights(part, shape=shape, smoothing_px=smoothing_px, is_signed=is_signed)

    def join(part: FloatArray, weights: FloatArray) -> FloatArray:
        return np.einsum("nc,ncp->np", weights, part).reshape(-1, *shape)

    def agreement(weights: FloatArray) -> FloatArray:
        return correlate_rows(*(smooth(join(half, weights), smoothing_px) for half in halves))

    def explained() -> FloatArray:
        # Products of halves: noise adds nothing on average.
        shares = _over_lags(halves[0] * halves[1], lag_count)
        if is_signed:
            return np.asarray(shares.sum(1))  # pixels of noise are independent and add up
        # Units of a bank overlap, and the best counts: that of one half, so that it is not the
        # luckiest of both.
        best = [_over_lags(half * half, lag_count).argmax(1) for half in halves]
        return np.asarray(np.mean([shares[np.arange(len(shares)), unit] for unit in best], axis=0))

    weights = weigh(components)
    reliability = np.mean([agreement(weigh(half)) for half in halves], axis=0)
    first, second = (join(half, weights) for half in halves)
    values, half_difference = join(components, weights), (first - second) / 2
    return Maps(values, weights, reliability, explained(), half_difference, smoothing_px)


def _over_lags(products: FloatArray, lag_count: int) -> FloatArray:
    """Add up (neuron, component, pixel) over lags, in double precision: (neuron, unit)."""
    parts = products.reshape(len(products), lag_count, -1)
    return np.asarray(parts.sum(1, dtype=np.float64))


def component_weights(
    components: FloatArray, *, shape: tuple[int, int], smoothing_px: float, is_signed: bool
) -> FloatArray:
    """Return the weights of :func:`combine_components`, scaled to an absolute maximum of 1."""
    neuron_count, component_count = components.shape[:2]
    if component_count == 1:
        return np.ones((neuron_count, 1), np.float32)
    smoothed = smooth(components.reshape(-1, *shape), smoothing_px).reshape(components.shape)
    strength = np.abs(smoothed) if is_signed else smoothed
    leaders = smoothed[np.arange(neuron_count), strength.max(2).argmax(1)]
    # The half-maximum region keeps the noise of the rest of the screen out of the weights.
    size = np.abs(leaders)
    region = np.where(size >= 0.5 * size.max(1, keepdims=True), leaders, 0)
    weights = np.einsum("ncp,np->nc", smoothed, region)
    if not is_signed:
        weights = np.maximum(weights, 0)
    largest = np.abs(weights).max(1, keepdims=True)
    return np.asarray(weights / np.maximum(largest, np.finfo(np.float32).tiny))


def smooth(maps: FloatArray, sigma_px: float) -> FloatArray:
    """Blur maps of shape (map, y, x) with a Gaussian; the edge goes on beyond the screen."""
    if sigma_px == 0:
        return maps
    return np.asarray(ndimage.gaussian_filter(maps, (0, sigma_px, sigma_px), mode="nearest"))


def _grid(size_px: int, stride_px: int) -> FloatArray:
    count = (size_px - 1) // stride_px + 1
    first = (size_px - 1 - (count - 1) * stride_px) / 2
    return first + stride_px * np.arange(count)


def _spread(mean_square: FloatArray, mean: FloatArray) -> FloatArray:
    return np.sqrt(np.maximum(mean_square - mean**2, 0))
