"""Size tuning: how large a grating excites a neuron best, and whether a hole in one excites it.

A grating in a disc on the receptive field (classical) is shown in several sizes, and so is a
full-field grating with a gray hole of that size (inverse). Movie models see the gratings drift;
image models see them still, at several phases.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import xarray as xr

from insilico.errors import ProtocolError, ShapeError
from insilico.experiments.experiment import Accumulator, Setting
from insilico.experiments.grating_experiment import GratingExperiment
from insilico.experiments.gratings import (
    GratingProtocol,
    combine,
)
from insilico.experiments.protocols import require
from insilico.experiments.sites import Site
from insilico.experiments.size_curves import SizeCurves, collect_curves, shown_diameters
from insilico.experiments.size_tables import STATUS, size_tables
from insilico.screen import Screen
from insilico.stimuli.stimuli import Kind, Stimuli

#: Columns of conditions without which nothing can be analyzed.
NEEDED = ("arrangement", "diameter_deg")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SizeProtocol(GratingProtocol):
    """Values of ``experiments/size.toml``; the file explains each.

    Parameters
    ----------
    diameter_deg : tuple of float
        Full visual angles of the disc and of the hole, from 0: no disc, which is a blank, and no
        hole, which is a full field.
    contrast : float
        Above 0 to 1.
    fit_model : {"ratio", "difference"}
        Of Gaussians; see :mod:`insilico.fits.size_curves`.
    minimum_fit_r2 : float
        Share of a curve's variance that the fit must explain to be called one.
    minimum_hole_share : float
        Least response to a hole, above those to a blank and to the full field, in shares of the
        largest classical response.
    field_share : float
        A hole counts where a disc of its size, or a smaller one, evokes this share of the largest
        classical response: then the receptive field lies in the hole.
    significance_q : float
        False discovery rate at which tests over trials are called, where trials repeat.
    shuffle_count, bootstrap_count : int
        Of tests and of errors over trials, where trials repeat.
    """

    diameter_deg: tuple[float, ...]
    contrast: float
    fit_model: Literal["ratio", "difference"]
    minimum_fit_r2: float
    minimum_hole_share: float
    field_share: float
    significance_q: float
    shuffle_count: int
    bootstrap_count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.diameter_deg
        is_rising = all(low < high for low, high in itertools.pairwise(sizes))
        # A curve has four parameters.
        require(len(sizes) >= 6 and sizes[0] == 0, "diameter_deg needs 6 or more sizes, 0 first")
        require(is_rising and sizes[-1] < 180, "diameter_deg must increase, and stay below 180")
        require(0 < self.contrast <= 1, "contrast must lie above 0, up to 1")
        require(self.minimum_hole_share >= 0, "minimum_hole_share must be 0 or more")
        require(0 < self.field_share <= 1, "field_share must lie above 0, up to 1")
        require(0 < self.significance_q < 1, "significance_q must lie between 0 and 1")
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")
        require(self.bootstrap_count >= 2, "bootstrap_count must be 2 or more")

    def patterns(self, kind: Kind) -> pd.DataFrame:
        """Return one row a pattern.

        A disc of no size is a blank: images begin with it, movies have gray before each pattern.
        """
        sizes = self.diameter_deg
        parts = [
            combine({"arrangement": [name], "diameter_deg": shown, "contrast": [self.contrast]})
            for name, shown in (("center", sizes[1:]), ("inverse", sizes))
        ]
        if kind == "image":
            blank = combine({"arrangement": ["center"], "diameter_deg": [0.0], "contrast": [0.0]})
            parts.insert(0, blank)
        return pd.concat(parts, ignore_index=True)


class Size(GratingExperiment[SizeProtocol]):
    """Classical and inverse size tuning.

    References
    ----------
    Keller, Roth & Scanziani 2020, doi 10.1038/s41586-020-2319-4. Stimuli, window and index:
    ViV1T-closed-loop, tuning_feedbackRF/predict_grating.py and estimate_size_tuning_curve.py. The
    fits, the baselines and the rule for responses to holes are not from there.
    """

    name = "size"
    protocol_type = SizeProtocol
    summary_columns = (
        "preferred_size_deg",
        "suppression_index",
        "inverse_preferred_size_deg",
        "inverse_tuning_index",
    )
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {
        "diameter_deg": (0.0, 10.0, 20.0, 30.0, 50.0, 80.0),
        "movie_phase_count": 2,
        "image_phase_count": 4,
        "lead_s": 0.5,
    }

    def stimuli(
        self, protocol: SizeProtocol, screen: Screen, kind: Kind, site: Site | None = None
    ) -> Stimuli:
        """Return every size of disc and of hole.

        Raises
        ------
        ProtocolError
            If a disc is larger than the screen, or two sizes draw the same pixels.
        """
        check_sizes(protocol.diameter_deg, screen)
        return super().stimuli(protocol, screen, kind, site)

    def conclude(
        self, accumulator: Accumulator, setting: Setting[SizeProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Average presentations into curves, and measure and fit these."""
        presentations, conditions = self.presented(accumulator, setting)
        responses, before = presentations.collected("mean"), None
        if "before" in self.measures(setting):
            before = presentations.collected("before")
        curves = collect_curves(responses, before, tidy_conditions(conditions), setting)
        tables = size_tables(curves, setting)
        setting.on_done(len(setting.neurons))
        return tables, _arrays(curves, setting)


def check_sizes(diameter_deg: tuple[float, ...], screen: Screen) -> None:
    """Refuse discs that the screen cannot show, or cannot tell apart.

    Parameters
    ----------
    diameter_deg : tuple of float
        Increasing full visual angles.
    screen : Screen
        Where they are to be shown.

    Raises
    ------
    ProtocolError
        If a disc is larger than the screen's longer side, or two sizes draw the same pixels.
    """
    width_deg, height_deg = (
        float(screen.diameter_deg(side / 2)) for side in (screen.width_px, screen.height_px)
    )
    if diameter_deg[-1] > max(width_deg, height_deg):
        raise ProtocolError(
            f"a size of {diameter_deg[-1]:g} deg was asked for, and the screen is "
            f"{width_deg:.1f} by {height_deg:.1f} deg; leave out what is larger"
        )
    shown_deg = shown_diameters(screen, diameter_deg)
    for position in np.flatnonzero(np.diff(shown_deg) <= 0)[:1]:
        smaller, larger = diameter_deg[position : position + 2]
        raise ProtocolError(
            f"discs of {smaller:g} and {larger:g} deg draw the same pixels, of "
            f"{screen.degrees_per_px:.2g} deg each; leave one of them out"
        )


def tidy_conditions(conditions: pd.DataFrame) -> pd.DataFrame:
    """Return conditions as the analysis reads them, whoever made the stimuli.

    Parameters
    ----------
    conditions : DataFrame, one row a presentation
        At least ``arrangement`` ("center" or "inverse") and ``diameter_deg``.

    Returns
    -------
    DataFrame
        With a direction and phase everywhere, and without those of surrounds, of which there are
        none.

    Raises
    ------
    ShapeError
        If a column, discs, holes or the full field are missing.
    """
    if missing := [name for name in NEEDED if name not in conditions]:
        raise ShapeError(
            f"the conditions of the responses lack {', '.join(missing)}; give one row a "
            f"presentation with {' and '.join(NEEDED)}"
        )
    tidy = conditions.reset_index(drop=True)
    is_full = (tidy["arrangement"] == "inverse") & (tidy["diameter_deg"] == 0)
    sizes = tidy[tidy["diameter_deg"] > 0].groupby("arrangement")["diameter_deg"].nunique()
    if min(sizes.get("center", 0), sizes.get("inverse", 0)) < 4 or not is_full.any():
        raise ShapeError(
            f"the conditions show {sizes.get('center', 0)} sizes of discs and "
            f"{sizes.get('inverse', 0)} of holes{'' if is_full.any() else ', and no full field'}; "
            "4 of each and a full field (arrangement inverse, diameter_deg 0) are needed"
        )
    for name in ("direction_deg", "phase_deg"):
        tidy[name] = tidy[name].fillna(0.0) if name in tidy else 0.0
    return tidy.drop(columns=["surround_direction_deg", "surround_phase_deg"], errors="ignore")


def _arrays(curves: SizeCurves, setting: Setting[SizeProtocol]) -> xr.Dataset:
    """Return the curves, and their error by its honest name."""
    axes = ("neuron", "arrangement", "diameter_deg")
    error = "response_sem" if setting.has_trial_noise else "spread_over_phases"
    return xr.Dataset(
        {
            "response": (axes, curves.response),
            error: (axes, curves.error),
            "baseline": ("neuron", curves.baseline),
        },
        coords={
            "neuron": setting.neurons["neuron"].to_numpy(),
            "arrangement": ["center", "inverse"],
            "diameter_deg": curves.diameter_deg,
            "shown_diameter_deg": ("diameter_deg", curves.shown_diameter_deg),
        },
    )
