"""Center and surround: whether the surround suppresses, and whether its orientation matters.

A grating in a disc on the receptive field is shown alone (center), continued over the whole screen
(iso), with a surround at right angles (cross, turned by +90 and -90 degrees, averaged), and with a
surround of reversed contrast (shift), at several contrasts. Movie models see the gratings drift;
image models see them still, at several phases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from insilico.errors import ShapeError
from insilico.experiments.averaging import (
    average_presentations,
    baseline_of,
)
from insilico.experiments.experiment import Accumulator, Setting
from insilico.experiments.grating_experiment import GratingExperiment
from insilico.experiments.gratings import (
    GratingProtocol,
    combine,
)
from insilico.experiments.modulation import ARRANGED, Arranged
from insilico.experiments.protocols import require
from insilico.experiments.surround_tables import STATUS, surround_tables
from insilico.stimuli.stimuli import Kind

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: Both turns of a cross surround, degrees. The published analysis draws one at random.
TURNS = (90.0, -90.0)
#: Columns of conditions without which nothing can be analyzed.
NEEDED = ("arrangement", "diameter_deg", "contrast")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurroundProtocol(GratingProtocol):
    """Values of ``experiments/surround.toml``; the file explains each.

    Parameters
    ----------
    contrast : tuple of float
        Of center and surround alike, above 0 to 1. The highest and the lowest are compared.
    diameter_deg : tuple of float
        Full visual angles of the disc.
    index_diameter_deg : float
        The one of them that the neurons table is about.
    flip_threshold : float
        A neuron flips where cross exceeds iso by this share of it at the highest contrast, and iso
        exceeds cross by this share of it at the lowest.
    shuffle_count : int
        Of the tests over trials, where trials repeat.
    """

    contrast: tuple[float, ...]
    diameter_deg: tuple[float, ...]
    index_diameter_deg: float
    flip_threshold: float
    shuffle_count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.contrast) > 0, "name at least one contrast")
        require(all(0 < c <= 1 for c in self.contrast), "contrasts must lie above 0, up to 1")
        require(len(set(self.contrast)) == len(self.contrast), "name each contrast once")
        require(all(0 < d < 180 for d in self.diameter_deg), "diameters must lie from 0 to 180 deg")
        require(
            self.index_diameter_deg in self.diameter_deg,
            "index_diameter_deg must be one of diameter_deg",
        )
        require(self.flip_threshold >= 0, "flip_threshold must be 0 or more")
        require(self.shuffle_count >= 1, "shuffle_count must be 1 or more")

    def patterns(self, kind: Kind) -> pd.DataFrame:
        """Return one row a pattern; iso has no disc and is shown once a contrast.

        Images begin with a blank, a disc of no size; movies have gray before each pattern.
        """
        discs: dict[str, Sequence[Any]] = {
            "contrast": self.contrast,
            "diameter_deg": self.diameter_deg,
        }
        parts = [
            combine({"arrangement": ["iso"], "contrast": self.contrast, "diameter_deg": [0.0]}),
            combine({"arrangement": ["center", "shift"], **discs}),
            *(
                combine({"arrangement": ["cross"], **discs, "surround_turn_deg": [t]})
                for t in TURNS
            ),
        ]
        if kind == "image":
            blank: dict[str, Sequence[Any]] = {
                "arrangement": ["center"],
                "contrast": [0.0],
                "diameter_deg": [0.0],
            }
            parts.insert(0, combine(blank))
        patterns = pd.concat(parts, ignore_index=True)
        return patterns.assign(surround_turn_deg=patterns["surround_turn_deg"].fillna(0.0))


class Surround(GratingExperiment[SurroundProtocol]):
    """Contextual modulation of a center by iso, cross and shifted surrounds.

    References
    ----------
    Keller, Dipoppa, Roth, Caudill, Ingrosso, Miller & Scanziani 2020, doi
    10.1016/j.neuron.2020.11.013. Stimuli and index: ViV1T-closed-loop,
    tuning_contextual_modulation/predict_grating.py and estimate_contextual_modulation.py; the flip:
    visualize_contrast_difference.py. Baselines, errors, and tests over trials are not from there.
    """

    name = "surround"
    protocol_type = SurroundProtocol
    summary_columns = ("cmi_high", "cmi_low", "iso_suppression_high", "cross_suppression_high")
    statuses = STATUS
    quick: ClassVar[Mapping[str, Any]] = {
        "centers": "screen",
        "direction_deg": (90.0,),
        "movie_phase_count": 1,
        "image_phase_count": 4,
        "lead_s": 0.5,
    }

    def conclude(
        self, accumulator: Accumulator, setting: Setting[SurroundProtocol]
    ) -> tuple[dict[str, pd.DataFrame], xr.Dataset]:
        """Average presentations, and measure how arrangements differ."""
        presentations, conditions = self.presented(accumulator, setting)
        responses = presentations.collected("mean")
        conditions = tidy_conditions(conditions, setting.protocol)
        is_blank = (conditions["contrast"] == 0).to_numpy()
        shown, patterned = conditions[~is_blank].reset_index(drop=True), responses[~is_blank]
        averages = average_presentations(
            patterned,
            shown,
            ["contrast", "diameter_deg", "arrangement"],
            has_trial_noise=setting.has_trial_noise,
        )
        baseline = baseline_of(presentations, responses[is_blank], setting)
        tables = surround_tables(setting, averages, baseline, (patterned, shown))
        setting.on_done(len(setting.neurons))
        return tables, _arrays(Arranged.of(averages, baseline), setting)


def tidy_conditions(conditions: pd.DataFrame, protocol: SurroundProtocol) -> pd.DataFrame:
    """Return conditions as the analysis reads them, whoever made the stimuli.

    Parameters
    ----------
    conditions : DataFrame, one row a presentation
        At least ``arrangement``, ``diameter_deg`` and ``contrast``.
    protocol : SurroundProtocol
        Says which diameter the indices are about.

    Returns
    -------
    DataFrame
        Iso without a disc, blanks of contrast 0, and a direction, phase and surround everywhere.

    Raises
    ------
    ShapeError
        If a column, an arrangement or the diameter is missing.
    """
    if missing := [name for name in NEEDED if name not in conditions]:
        raise ShapeError(
            f"the conditions of the responses lack {', '.join(missing)}; give one row a "
            f"presentation with {', '.join(NEEDED)}"
        )
    tidy = conditions.reset_index(drop=True)
    is_iso = tidy["arrangement"] == "iso"
    is_empty = (tidy["arrangement"] == "center") & (tidy["diameter_deg"] == 0)
    tidy["diameter_deg"] = tidy["diameter_deg"].where(~is_iso, 0.0)
    tidy["contrast"] = tidy["contrast"].where(~is_empty, 0.0)
    at_diameter = tidy[is_iso | (tidy["diameter_deg"] == protocol.index_diameter_deg)]
    if lacking := sorted({"center", "iso", "cross"} - set(at_diameter["arrangement"])):
        raise ShapeError(
            f"the conditions show no {' and no '.join(lacking)} at {protocol.index_diameter_deg:g} "
            "deg; set index_diameter_deg to a diameter that was shown with center, iso and cross"
        )
    for name in ("direction_deg", "phase_deg"):
        tidy[name] = tidy[name].fillna(0.0) if name in tidy else 0.0
    if "surround_direction_deg" not in tidy:
        tidy["surround_direction_deg"] = tidy["direction_deg"]
    unturned = (tidy["arrangement"] != "cross") | tidy["surround_direction_deg"].isna()
    own = tidy["direction_deg"]
    if "surround_phase_deg" in tidy:
        has_phase = (tidy["arrangement"] == "cross") & tidy["surround_phase_deg"].notna()
        phase = tidy["surround_phase_deg"].where(has_phase, tidy["phase_deg"])
        tidy["surround_phase_deg"] = phase.astype(float)
    return tidy.assign(surround_direction_deg=tidy["surround_direction_deg"].where(~unturned, own))


def _arrays(arranged: Arranged, setting: Setting[SurroundProtocol]) -> xr.Dataset:
    """Return the responses on their grid, and their error by its honest name."""
    axes = ("neuron", "contrast", "diameter_deg", "arrangement")
    error = "response_sem" if setting.has_trial_noise else "spread_over_phases"
    return xr.Dataset(
        {
            "response": (axes, arranged.response),
            error: (axes, arranged.error),
            "baseline": ("neuron", arranged.baseline),
        },
        coords={
            "neuron": setting.neurons["neuron"].to_numpy(),
            "contrast": arranged.contrast,
            "diameter_deg": arranged.diameter_deg,
            "arrangement": list(ARRANGED),
        },
    )
