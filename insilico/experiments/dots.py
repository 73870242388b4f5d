"""Where a neuron responds to single dots, white and black, one place at a time.

Dots with a Gaussian profile appear one after the other, as in the recordings of Sensorium 2023. The
responses to white and to black ones are mapped apart and together; the mean of both is fitted with
a rotated two-dimensional Gaussian.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from insilico.experiments.dot_maps import (
    MAPS,
    MapGrid,
    ShownDots,
    covered_grid,
    latency_profile,
    map_dots,
    responsiveness_test,
    spatial_selectivity,
    tell_dots,
)
from insilico.experiments.experiment import Accumulator, Experiment, Setting
from insilico.experiments.field_fits import fit_in_degrees
from insilico.experiments.presentations import Measure, Presentations, own
from insilico.experiments.protocols import Protocol, require
from insilico.experiments.sites import Site
from insilico.fits.errors import errors_from_halves
from insilico.fits.gaussian import evaluate_gaussian, fit_gaussians
from insilico.screen import Screen
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.stimuli.dots import gaussian_dots
from insilico.stimuli.stimuli import Kind, Stimuli

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Maps that are fitted: the main one first.
FITTED = ("combined", "white", "black")

#: What each value of ``status`` means.
STATUS = {
    "ok": "fitted, within the part of the screen that dots covered",
    "silent": "the response never varied over dots",
    "not_finite": "a response is NaN or infinite",
    "unresponsive": "trials show no response to dots: the q-value is above maximum_q",
    "no_convergence": "the fit did not converge",
    "no_errors": "the fit gave no standard errors",
    "at_bound": "the fit ran into a bound of a width or of the center",
    "poor_fit": "the map has another shape: the fit explains less than minimum_fit_r2",
    "outside": "the fitted center lies outside the part of the screen that dots covered",
}


@dataclasses.dataclass(frozen=True)
class DotsProtocol(Protocol):
    """Values of ``experiments/dots.toml``; the file explains each.

    Parameters
    ----------
    spacing_px, margin_px : float
        Of the grid of dots, and how far it stays from the edge of the screen.
    radius_px : float
        Of a dot, at half height.
    contrast : float
        0 to 1.
    lead_s : float
        Gray before the first dot of a trial.
    dots_per_trial : int
        Dots that follow each other in a movie.
    dot_s, gap_s : float
        Each dot, and gray after it.
    window_s : float
        How long the response to a dot is averaged.
    latest_s : float
        Longest latency that is tried.
    smoothing_px : float
        Standard deviation with which a map averages nearby dots.
    minimum_fit_r2 : float
        Share of a map's variance that the fit must explain.
    shuffle_count : int
        Shuffles of the permutation test.
    maximum_q : float
        Largest q-value of a responsive neuron, where there is a test.
    latency_s : float, optional
        Delay of the window; estimated when left out.
    """

    spacing_px: float
    margin_px: float
    radius_px: float
    contrast: float
    lead_s: float
    dots_per_trial: int
    dot_s: float
    gap_s: float
    window_s: float
    latest_s: float
    smoothing_px: float
    minimum_fit_r2: float
    shuffle_count: int
    maximum_q: float
    latency_s: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("spacing_px", "radius_px", "dot_s", "window_s", "smoothing_px"):
            require(getattr(self, name) > 0, f"{name} must be above 0")
        for name in ("margin_px", "lead_s", "gap_s", "latest_s"):
            require(getattr(self, name) >= 0, f"{name} must be 0 or more")
        require(0 < self.contrast <= 1, "contrast lies in (0, 1]")
        require(self.dots_per_trial >= 1, "dots_per_trial must be 1 or more")
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")
        require(0 < self.maximum_q < 1, "maximum_q lies in (0, 1)")
        require(self.latency_s is None or self.latency_s >= 0, "latency_s must be 0 or more")

    def lags(self, screen: Screen) -> tuple[int, ...]:
        """Return the latencies that are tried, frames."""
        if self.latency_s is not None:
            return (screen.frames(self.latency_s),)
        return tuple(range(screen.frames(self.latest_s) + 1))

    def window(self, screen: Screen) -> tuple[int, int]:
        """Return the frames after a dot's onset that are looked at, the end exclusive."""
        lags = self.lags(screen)
        return lags[0], lags[-1] + max(1, screen.frames(self.window_s))

    def grid_px(self, screen: Screen) -> tuple[FloatArray, FloatArray]:
        """Return the columns and rows of the grid of dots, in the middle of the screen.

        Raises
        ------
        ProtocolError
            If there are not at least two of each.
        """
        axes: list[FloatArray] = []
        for length in (screen.width_px, screen.height_px):
            count = int((length - 1 - 2 * self.margin_px) // self.spacing_px) + 1
            require(count >= 2, "margin_px and spacing_px must leave two dots on each axis")
            steps = np.arange(count, dtype=np.float64) - (count - 1) / 2
            axes.append((length - 1) / 2 + self.spacing_px * steps)
        return axes[0], axes[1]


class Dots(Experiment[DotsProtocol]):
    """Spatial tuning by single dots.

    References
    ----------
    Stimuli: the Gaussian dots of Sensorium 2023, as ViV1T-closed-loop describes them in
    tuning_retinotopy/extract_gaussian_dot_features.py. Unlike estimate_receptive_fields.py and
    estimate_spatial_tuning.py there: both polarities are used, responses follow dots by a latency,
    maps are means and not sums, the test is over trials, and each pixel has its own position.
    """

    name = "dots"
    protocol_type = DotsProtocol
    summary_columns = ("x_deg", "y_deg", "sigma_major_deg", "polarity_index", "ssi")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {"spacing_px": 6.0, "radius_px": 3.5, "smoothing_px": 3.0}

    def stimuli(
        self, protocol: DotsProtocol, screen: Screen, kind: Kind, site: Site | None = None
    ) -> Stimuli:
        """Return a white and a black dot at each place of a grid: an image each, or in movies."""
        columns, rows = protocol.grid_px(screen)
        x, y, polarity = (axis.ravel() for axis in np.meshgrid(columns, rows, [1.0, -1.0]))
        dots = pd.DataFrame(
            {"x_px": x, "y_px": y, "radius_px": protocol.radius_px, "polarity": polarity}
        )
        order = np.random.default_rng([protocol.seed, 13]).permutation(len(dots))
        dots = dots.iloc[order].reset_index(drop=True)

        def draw(shown: pd.DataFrame) -> np.ndarray[Any, Any]:
            levels = gaussian_dots(
                screen,
                x_px=shown["x_px"],
                y_px=shown["y_px"],
                radius_px=shown["radius_px"],
                polarity=shown["polarity"],
                amplitude=protocol.contrast * min(screen.gray, 255 - screen.gray),
            )
            return np.rint(levels).astype(np.uint8)

        if kind == "image":
            conditions = dots.assign(trial=np.arange(len(dots)), onset_frame=0)
            return Stimuli(kind, screen, conditions, draw)
        trial, place = np.divmod(np.arange(len(dots)), protocol.dots_per_trial)
        onset = screen.frames(protocol.lead_s) + place * self._period(protocol, screen)
        pattern_frames = screen.frames(protocol.dot_s)

        def draw_still(shown: pd.DataFrame) -> np.ndarray[Any, Any]:
            return draw(shown)[:, None].repeat(pattern_frames, axis=1)

        last = self.window(protocol, screen, kind)
        return Stimuli(
            kind,
            screen,
            dots.assign(trial=trial, onset_frame=onset),
            draw_still,
            pattern_frames=pattern_frames,
            trial_frames=max(int(onset.max()) + pattern_frames, last[1] if last else 1),
        )

    def window(self, protocol: DotsProtocol, screen: Screen, kind: Kind) -> tuple[int, int] | None:
        """Return the frames from the first dot's window to the last one's."""
        if kind == "image":
            return None
        first, stop = protocol.window(screen)
        lead = screen.frames(protocol.lead_s)
        last = (protocol.dots_per_trial - 1) * self._period(protocol, screen)
        return lead + first, lead + last + stop

    def _period(self, protocol: DotsProtocol, screen: Screen) -> int:
        return screen.frames(protocol.dot_s) + screen.frames(protocol.gap_s)

    def accumulator(self, setting: Setting[DotsProtocol]) -> Presentations:
        """Return an empty list of presentations, with a mean for each latency that is tried."""
        protocol, screen = setting.protocol, setting.screen
        first, stop = protocol.window(screen)
        length = max(1, screen.frames(protocol.window_s))
        lags = [lag - first for lag in protocol.lags(screen)]

        def means(responses: FloatArray, conditions: pd.DataFrame) -> FloatArray:
            if setting.kind == "image":
                return responses
            windows = [responses[..., lag : lag + length] for lag in lags]
            return np.stack([window.mean(axis=2) for window in windows], axis=2)

        return Presentations(setting, {"mean": Measure(first, stop, reduce=means)})

    def conclude(
        self, accumulator: Accumulator, setting: Setting[DotsProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Choose the latency, map the responses, fit and test the maps."""
        presentations = own(accumulator, self.name)
        conditions = presentations.conditions()
        by_lag = presentations.collected("mean")
        shown = tell_dots(conditions)
        latency, lag = _choose_latency(shown, by_lag, setting)
        responses = by_lag[:, :, lag]
        mean = shown.average(responses)
        grid = covered_grid(shown.table)
        maps = map_dots(mean, shown.table, grid, smoothing_px=setting.protocol.smoothing_px)
        noise = _half_difference(shown, responses, grid, setting)
        fits = {name: _fit(maps[name], noise, grid, setting) for name in FITTED}
        p_value = _test(by_lag, conditions, setting)
        table = pd.concat(
            [
                setting.neurons.reset_index(drop=True),
                _neurons(fits["combined"], maps, mean, p_value, shown, grid, setting),
            ],
            axis=1,
        )
        table["error_source"] = "fit" if noise is None else "halves"
        setting.on_done(len(table))
        tables = {
            "neurons": table,
            "fits": _all_fits(fits, setting),
            "dots": shown.table,
            "latency": latency,
        }
        return tables, _arrays(maps, grid, setting)


def _choose_latency(
    shown: ShownDots, by_lag: FloatArray, setting: Setting[DotsProtocol]
) -> tuple[pd.DataFrame, int]:
    """Return what each latency tells of the dots, and the place of the best."""
    share = latency_profile(shown.average(by_lag))
    best = int(np.nanargmax(share)) if np.isfinite(share).any() else 0
    lags = (0,) if setting.kind == "image" else setting.protocol.lags(setting.screen)
    table = pd.DataFrame(
        {
            "latency_s": np.array(lags) / setting.screen.frame_rate_hz,
            "share": share,
            "is_used": np.arange(len(lags)) == best,
        }
    )
    return table, best


def _half_difference(
    shown: ShownDots,
    responses: FloatArray,
    grid: MapGrid,
    setting: Setting[DotsProtocol],
) -> FloatArray | None:
    """Return half the difference of the maps from two halves of the repeats; None without."""
    if not setting.has_trial_noise or shown.table["count"].min() < 2:
        return None
    repeat = pd.Series(shown.dot).groupby(shown.dot).cumcount().to_numpy()
    first, second = (
        map_dots(
            shown.average(responses, repeat % 2 == half),
            shown.table,
            grid,
            smoothing_px=setting.protocol.smoothing_px,
        )["combined"]
        for half in (0, 1)
    )
    return np.asarray((first - second) / 2)


def _fit(
    maps: FloatArray, noise: FloatArray | None, grid: MapGrid, setting: Setting[DotsProtocol]
) -> pd.DataFrame:
    """Fit a Gaussian to each neuron's map; the center is in pixels of the screen."""
    fit = fit_gaussians(maps, jobs=setting.jobs)
    if noise is not None:
        # A neuron whose map is not finite has no fit, and its noise is not looked at.
        errors = errors_from_halves(fit, np.nan_to_num(noise))
        fit = pd.concat([fit.drop(columns=errors.columns), errors], axis=1)
    fit["x_px"] += grid.x_px[0]
    fit["y_px"] += grid.y_px[0]
    is_ok = fit["status"] == "ok"
    is_poor = is_ok & (fit["r2"] < setting.protocol.minimum_fit_r2)
    half = 0.5
    is_inside = fit["x_px"].between(grid.x_px[0] - half, grid.x_px[-1] + half)
    is_inside &= fit["y_px"].between(grid.y_px[0] - half, grid.y_px[-1] + half)
    fit["status"] = np.select(
        [fit["status"] == "constant", is_poor, is_ok & ~is_inside],
        ["silent", "poor_fit", "outside"],
        fit["status"].astype(str),
    )
    return fit


def _test(
    by_lag: FloatArray, conditions: pd.DataFrame, setting: Setting[DotsProtocol]
) -> FloatArray | None:
    """Return the p-value of each neuron over all lags, where trials have noise."""
    if not setting.has_trial_noise:
        return None
    return responsiveness_test(
        by_lag,
        conditions,
        smoothing_px=setting.protocol.smoothing_px,
        shuffle_count=setting.protocol.shuffle_count,
        seed=setting.protocol.seed,
    )


def _neurons(
    fit: pd.DataFrame,
    maps: Mapping[str, FloatArray],
    mean: FloatArray,
    p_value: FloatArray | None,
    shown: ShownDots,
    grid: MapGrid,
    setting: Setting[DotsProtocol],
) -> pd.DataFrame:
    """Return what the main table holds beside the neurons themselves."""
    status = fit["status"].to_numpy(str)
    tested: dict[str, FloatArray] = {}
    if p_value is not None:
        q_value = false_discovery_q_values(p_value)
        tested = {"responsive_p": p_value, "responsive_q": q_value}
        is_silent = np.isin(status, ["silent", "not_finite"])
        is_unresponsive = (q_value > setting.protocol.maximum_q) & ~is_silent
        status = np.where(is_unresponsive, "unresponsive", status)
    white, black = (_height(maps[name], fit, grid) for name in ("white", "black"))
    with np.errstate(divide="ignore", invalid="ignore"):
        polarity = (white - black) / (np.abs(white) + np.abs(black))
    selectivity = {"ssi": spatial_selectivity(mean, shown.table, setting.screen)}
    for name, sign in (("ssi_white", 1), ("ssi_black", -1)):
        chosen = (shown.table["polarity"] == sign).to_numpy()
        selectivity[name] = spatial_selectivity(mean[chosen], shown.table[chosen], setting.screen)
    return pd.DataFrame(
        {
            "status": status,
            **tested,
            **fit_in_degrees(fit, setting.screen),
            **fit.drop(columns="status"),
            "white_amplitude": white,
            "black_amplitude": black,
            "polarity_index": polarity,
            **selectivity,
        }
    )


def _height(maps: FloatArray, fit: pd.DataFrame, grid: MapGrid) -> FloatArray:
    """Return how high the fitted shape of the combined map stands in another map.

    Least squares with an offset of its own: the slope of the map over the shape.
    """
    centered = fit.assign(
        x_px=fit["x_px"] - grid.x_px[0], y_px=fit["y_px"] - grid.y_px[0], amplitude=1.0, offset=0.0
    )
    shape = evaluate_gaussian(centered, grid.shape)
    shape = shape - shape.mean(axis=(1, 2), keepdims=True)
    slope = (shape * maps).sum(axis=(1, 2)) / np.square(shape).sum(axis=(1, 2))
    return np.where(fit["amplitude"].notna(), slope, np.nan)


def _all_fits(fits: Mapping[str, pd.DataFrame], setting: Setting[DotsProtocol]) -> pd.DataFrame:
    """Return the fits of every map, one row a neuron and map."""
    keys = setting.neurons[["mouse", "neuron"]].reset_index(drop=True)
    parts = [pd.concat([keys, fit], axis=1).assign(map=name) for name, fit in fits.items()]
    return pd.concat(parts, ignore_index=True)


def _arrays(
    maps: Mapping[str, FloatArray], grid: MapGrid, setting: Setting[DotsProtocol]
) -> xr.Dataset:
    axes = ("neuron", "y_px", "x_px")
    return xr.Dataset(
        {f"{name}_map": (axes, maps[name].astype(np.float32)) for name in MAPS},
        coords={
            "neuron": setting.neurons["neuron"].to_numpy(),
            "y_px": grid.y_px,
            "x_px": grid.x_px,
        },
        attrs=dict(setting.screen.to_dict()),
    )
