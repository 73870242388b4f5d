"""From responses to single dots to maps of the screen: averages, latency, spread and a test."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import ShapeError
from insilico.screen import Screen
from insilico.statistics.permutation import TIE_TOLERANCE
from insilico.stimuli.dots import dot_profiles

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Maps by name: from the maps of white and of black dots.
MAPS = ("combined", "signed", "white", "black")
#: Steps of the coarse maps of the test, in standard deviations of the smoothing: finer ones say the
#: same again (ours).
COARSE_STEP_SD = 1.0
#: Patterns of a map that are weaker than this share of the strongest are noise of rounding.
WEAKEST_PATTERN = 1e-6


@dataclasses.dataclass(frozen=True)
class ShownDots:
    """The distinct dots, and which presentation showed which.

    Attributes
    ----------
    table : DataFrame, one row a dot
        ``x_px``, ``y_px``, ``radius_px``, ``polarity`` and ``count``, its presentations.
    dot : int array, shape (presentation,)
        Row of the table.
    """

    table: pd.DataFrame
    dot: IntArray

    def average(self, responses: FloatArray, chosen: Any = None) -> FloatArray:
        """Return the mean response to each dot over all, or some, of its presentations.

        Parameters
        ----------
        responses : float array, shape (presentation, …)
            As collected.
        chosen : bool array, shape (presentation,), optional
            Presentations to average.

        Returns
        -------
        float array, shape (dot, …)
            NaN for a dot without presentations.
        """
        rows = np.arange(len(self.dot)) if chosen is None else np.flatnonzero(chosen)
        order = rows[np.argsort(self.dot[rows], kind="stable")]
        counts = np.bincount(self.dot[rows], minlength=len(self.table))
        is_shown = counts > 0
        mean = np.full((len(self.table), *responses.shape[1:]), np.nan)
        if is_shown.any():
            starts = (np.cumsum(counts) - counts)[is_shown]
            sums = np.add.reduceat(responses[order], starts, axis=0)
            mean[is_shown] = sums / counts[is_shown].reshape(-1, *[1] * (responses.ndim - 1))
        return mean


def tell_dots(conditions: pd.DataFrame) -> ShownDots:
    """Tell the distinct dots: by movie and onset where movies repeat, else by what they are.

    Raises
    ------
    ShapeError
        If there are not at least three dots of each polarity.
    """
    parameters = ["x_px", "y_px", "radius_px", "polarity"]
    keys = ["movie", "onset_frame"] if "movie" in conditions else parameters
    grouped = conditions.reset_index(drop=True).groupby(keys, sort=True)
    table = grouped[parameters].first().reset_index(drop=True)
    table["count"] = grouped.size().to_numpy()
    fewest = min(int((table["polarity"] == polarity).sum()) for polarity in (1, -1))
    if fewest < 3:
        raise ShapeError(
            f"a map of the screen from {fewest} dots of one polarity was asked for; show at least "
            "three white and three black ones"
        )
    return ShownDots(table, np.asarray(grouped.ngroup(), np.int64))


@dataclasses.dataclass(frozen=True)
class MapGrid:
    """The part of the screen that dots covered, pixel by pixel.

    Attributes
    ----------
    x_px, y_px : float array, shape (x,), (y,)
        Centers, pixels from the top left.
    """

    x_px: FloatArray
    y_px: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        return len(self.y_px), len(self.x_px)


def covered_grid(dots: pd.DataFrame, *, step_px: float = 1.0) -> MapGrid:
    """Return the grid between the outermost dots."""
    axes = []
    for name in ("x_px", "y_px"):
        first, last = np.ceil(dots[name].min()), np.floor(dots[name].max())
        axes.append(np.arange(first, last + 1e-9, step_px))
    return MapGrid(*axes)


def smoothing_weights(dots: pd.DataFrame, grid: MapGrid, *, smoothing_px: float) -> FloatArray:
    """Return what each dot counts at each place: weights fall off as a Gaussian and sum to 1.

    A weighted mean does not take a crowd of dots for a response, as a sum would.

    Returns
    -------
    float array, shape (place, dot)
        Places row by row.
    """
    x, y = (axis.ravel() for axis in np.meshgrid(grid.x_px, grid.y_px))
    squared = (x[:, None] - dots["x_px"].to_numpy()) ** 2
    squared += (y[:, None] - dots["y_px"].to_numpy()) ** 2
    # The nearest dot decides where all are far: subtracting it keeps weights from vanishing.
    squared -= squared.min(axis=1, keepdims=True)
    weights = np.exp(-squared / (2 * smoothing_px**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def map_dots(
    responses: FloatArray, dots: pd.DataFrame, grid: MapGrid, *, smoothing_px: float
) -> dict[str, FloatArray]:
    """Map the responses to dots.

    Parameters
    ----------
    responses : float array, shape (dot, neuron)
        Mean response to each.
    dots : DataFrame, one row a dot
        As :attr:`ShownDots.table`.
    grid : MapGrid
        Where.
    smoothing_px : float
        Standard deviation of the weights.

    Returns
    -------
    dict of str to float array, shape (neuron, y, x)
        "white" and "black", the mean response to dots there; "combined", the mean of both; and
        "signed", half of white minus black.
    """
    maps = {}
    for name, polarity in (("white", 1), ("black", -1)):
        chosen = (dots["polarity"] == polarity).to_numpy()
        weights = smoothing_weights(dots[chosen], grid, smoothing_px=smoothing_px)
        maps[name] = (weights @ responses[chosen]).T.reshape(-1, *grid.shape)
    combined = (maps["white"] + maps["black"]) / 2
    return {"combined": combined, "signed": (maps["white"] - maps["black"]) / 2, **maps}


def latency_profile(mean: FloatArray) -> FloatArray:
    """Return how much of the responses tells dots apart, lag by lag.

    Parameters
    ----------
    mean : float array, shape (dot, neuron, lag)
        Mean response to each dot.

    Returns
    -------
    float array, shape (lag,)
        Variance over dots, each neuron's divided by its sum over lags, averaged over neurons; noise
        adds the same at every lag. NaN where no neuron varies.
    """
    variance = mean.var(axis=0)
    total = variance.sum(axis=1, keepdims=True)
    usable = np.isfinite(total[:, 0]) & (total[:, 0] > 0)
    if not usable.any():
        return np.full(mean.shape[2], np.nan)
    return np.asarray((variance[usable] / total[usable]).mean(axis=0))


def spatial_selectivity(responses: FloatArray, dots: pd.DataFrame, screen: Screen) -> FloatArray:
    """Return the spatial selectivity index of the responses to some dots.

    ``-log(det S)``, with ``S`` the covariance of screen positions, each axis from 0 to 1, weighted
    by the mean dot that made the neuron respond.

    Parameters
    ----------
    responses : float array, shape (dot, neuron)
        0 or more, arbitrary units.
    dots : DataFrame, one row a dot
        As :attr:`ShownDots.table`.
    screen : Screen
        Of which each pixel has its own position.

    Returns
    -------
    float array, shape (neuron,)
        Higher for smaller fields; NaN where responses are negative, or zero throughout.

    References
    ----------
    ViV1T-closed-loop, tuning_retinotopy/estimate_spatial_tuning.py, after Wang et al. 2023.
    Changed: there a pixel is given the position of another, because a grid of (x, y) meets a map of
    (y, x); and the mean over dots stands for that over frames.
    """
    profiles = dot_profiles(screen, **{name: dots[name] for name in ("x_px", "y_px", "radius_px")})
    total = responses.sum(axis=0)
    is_defined = np.isfinite(total) & (total > 0) & (responses >= 0).all(axis=0)
    weight = np.where(is_defined, responses, 0).T @ profiles.reshape(len(dots), -1)
    weight /= np.where(is_defined, weight.sum(axis=1), 1)[:, None]
    rows, columns = np.indices(screen.shape)
    places = np.stack(
        [columns.ravel() / (screen.width_px - 1), rows.ravel() / (screen.height_px - 1)]
    )
    mean = weight @ places.T
    squares = weight @ (places[:, None] * places).reshape(4, -1).T
    covariance = squares.reshape(-1, 2, 2) - mean[:, :, None] * mean[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        index = -np.log(np.linalg.det(covariance))
    return np.where(is_defined & np.isfinite(index), index, np.nan)


def responsiveness_test(
    responses: FloatArray,
    conditions: pd.DataFrame,
    *,
    smoothing_px: float,
    shuffle_count: int,
    seed: int,
) -> FloatArray:
    """Test whether a neuron's responses depend on where dots are, by exchanging whole trials.

    The power of the maps of both polarities is compared with that of maps for which trials were
    dealt to the movies at random: whatever is the same in all movies, such as a slow decay over the
    trial, stays as it is. ``p = (k + 1) / (shuffle_count + 1)``. Of several lags each neuron's
    largest power counts, observed and shuffled alike, so that a latency that was chosen on the same
    trials needs no correction.

    Parameters
    ----------
    responses : float array, shape (presentation, neuron, lag)
        To each presented dot, at every lag that was tried.
    conditions : DataFrame, one row a presentation
        ``trial``, ``movie``, ``onset_frame`` and the parameters of the dot. The first dot of one
        movie stands for the first of another, and so on.
    smoothing_px : float
        Of the maps.
    shuffle_count : int
        Shuffles, the same for all neurons.
    seed : int
        Of the shuffles.

    Returns
    -------
    float array, shape (neuron,)
        In [1 / (shuffle_count + 1), 1]; NaN for neurons with a response that is not finite, and for
        all where fewer than two movies were shown.

    References
    ----------
    The published analysis takes a preferred place whose z-score over about 18 places exceeds 2.33
    as a response (ViV1T-closed-loop, tuning_retinotopy/estimate_receptive_fields.py), which noise
    does often. The correction by one: Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.
    """
    if "movie" not in conditions or conditions["movie"].nunique() < 2:
        return np.full(responses.shape[1], np.nan)
    by_trial, movie, dots = _line_up(responses, conditions)
    usable = np.isfinite(by_trial).all(axis=(0, 1, 3))
    patterns = _map_patterns(dots, smoothing_px)
    random = np.random.default_rng([seed, 5])
    trials = np.arange(len(by_trial))
    orders = [trials, *(random.permutation(trials) for _ in range(shuffle_count))]
    power = np.zeros((len(orders), int(usable.sum())))
    for lag in range(by_trial.shape[3]):
        at_lag = _dealt_power(by_trial[:, :, usable, lag], movie, patterns, orders)
        np.maximum(power, at_lag, out=power)
    reached = (power[1:] >= power[0] * (1 - TIE_TOLERANCE)).sum(axis=0)
    p_value = np.full(responses.shape[1], np.nan)
    p_value[usable] = (reached + 1) / (shuffle_count + 1)
    return p_value


def _dealt_power(
    by_trial: FloatArray, movie: IntArray, patterns: FloatArray, orders: Sequence[IntArray]
) -> FloatArray:
    """Return the power of maps (order, neuron) for which trials were dealt to the movies."""
    trials, slots, neurons = by_trial.shape
    flat = by_trial.reshape(trials, -1)
    # What all movies share is no map.
    flat = flat - flat.mean(axis=0)
    numbers, shown = np.unique(movie, return_inverse=True)
    dealt = (shown == np.arange(len(numbers))[:, None]).astype(float)
    dealt /= dealt.sum(axis=1, keepdims=True)
    power = np.empty((len(orders), neurons))
    for row, order in enumerate(orders):
        mean = (dealt[:, order] @ flat).reshape(len(numbers) * slots, neurons)
        power[row] = np.square(patterns @ mean).sum(axis=0)
    return power


def _line_up(
    responses: FloatArray, conditions: pd.DataFrame
) -> tuple[FloatArray, IntArray, pd.DataFrame]:
    """Return responses (trial, dot of the trial, neuron, lag), each trial's movie, and the dots."""
    table = conditions.reset_index(drop=True)
    place = table.groupby("trial").cumcount()
    slots = int(table.groupby("trial").size().min())
    kept = table[place < slots].sort_values(["trial", "onset_frame"], kind="stable")
    lined = responses[kept.index.to_numpy()].reshape(-1, slots, *responses.shape[1:])
    first = kept.groupby("trial").head(1)
    dots = kept[kept["trial"].isin(first.drop_duplicates("movie")["trial"])]
    dots = dots.sort_values(["movie", "onset_frame"], kind="stable").reset_index(drop=True)
    return lined, first["movie"].to_numpy(), dots


def _map_patterns(dots: pd.DataFrame, smoothing_px: float) -> FloatArray:
    """Return few rows whose squared products with responses sum to the power of the maps."""
    grid = covered_grid(dots, step_px=COARSE_STEP_SD * smoothing_px)
    parts = []
    for polarity in (1, -1):
        chosen = (dots["polarity"] == polarity).to_numpy()
        weights = np.zeros((grid.shape[0] * grid.shape[1], len(dots)))
        weights[:, chosen] = smoothing_weights(dots[chosen], grid, smoothing_px=smoothing_px)
        # The deviation of a map from its mean over the dots of this polarity.
        weights -= chosen / chosen.sum()
        parts.append(weights)
    _, strength, patterns = np.linalg.svd(np.concatenate(parts), full_matrices=False)
    is_strong = strength**2 > WEAKEST_PATTERN * strength[0] ** 2
    return np.asarray(strength[is_strong, None] * patterns[is_strong])
