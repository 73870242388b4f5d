"""Numbers that each neuron has on both sides: how they agree, and how they differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from insilico.comparison.filters import Selection, Tables
from insilico.comparison.sides import KEYS
from insilico.experiments.experiment import find_experiment
from insilico.screen import Screen
from insilico.statistics.circular import circular_correlation, wrapped_difference
from insilico.statistics.correlation import correlate_rows
from insilico.statistics.false_discovery import false_discovery_q_values
from insilico.statistics.paired import compare_with_zero

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A column of a neurons table that is compared.

    Attributes
    ----------
    column : str
        Its name.
    words, unit : str
        As a figure shows it.
    period_deg : float, optional
        Of an angle.
    is_log : bool
        Whether ratios matter, and not differences: then values are compared in octaves.
    """

    column: str
    words: str
    unit: str = ""
    period_deg: float | None = None
    is_log: bool = False


#: What is compared, by experiment. An experiment that is not here is compared by what the command
#: line sums it up by.
QUANTITIES: Mapping[str, tuple[Quantity, ...]] = {
    "retinotopy": (
        Quantity("x_deg", "azimuth", "deg"),
        Quantity("y_deg", "elevation", "deg"),
        Quantity("sigma_major_deg", "field SD, major", "deg"),
        Quantity("sigma_minor_deg", "field SD, minor", "deg"),
        Quantity("extent_major_deg", "extent (±2 SD), major", "deg"),
        Quantity("extent_minor_deg", "extent (±2 SD), minor", "deg"),
    ),
    "direction": (
        Quantity("osi", "OSI"),
        Quantity("dsi", "DSI"),
        Quantity("fitted_direction_deg", "preferred direction", "deg", 360.0),
        Quantity("fitted_orientation_deg", "preferred orientation", "deg", 180.0),
        Quantity("half_width_deg", "tuning half width", "deg"),
        Quantity("f1_f0", "F1/F0"),
    ),
    "dots": (
        Quantity("x_deg", "azimuth (dots)", "deg"),
        Quantity("y_deg", "elevation (dots)", "deg"),
        Quantity("sigma_major_deg", "field SD (dots), major", "deg"),
        Quantity("sigma_minor_deg", "field SD (dots), minor", "deg"),
        Quantity("ssi", "spatial selectivity"),
    ),
    "size": (
        Quantity("preferred_size_deg", "preferred size", "deg"),
        Quantity("suppression_index", "suppression index"),
        Quantity("inverse_preferred_size_deg", "preferred hole", "deg"),
        Quantity("inverse_tuning_index", "inverse tuning index"),
    ),
    "surround": (
        Quantity("cmi_high", "CMI, high contrast"),
        Quantity("cmi_low", "CMI, low contrast"),
        Quantity("iso_suppression_high", "iso suppression, high"),
        Quantity("cross_suppression_high", "cross suppression, high"),
    ),
    "contrast": (
        Quantity("semi_saturation_contrast", "semi-saturation contrast", is_log=True),
        Quantity("half_maximum_contrast", "contrast at half maximum", is_log=True),
        Quantity("exponent", "contrast exponent"),
    ),
    "frequency": (
        Quantity("preferred_spatial_frequency_cpd", "spatial frequency", "cpd", None, True),
        Quantity("preferred_temporal_frequency_hz", "temporal frequency", "Hz", None, True),
        Quantity("spatial_bandwidth_octaves", "spatial bandwidth", "octaves"),
        Quantity("temporal_bandwidth_octaves", "temporal bandwidth", "octaves"),
        Quantity("speed_exponent", "speed exponent"),
    ),
    "onset": (
        Quantity("center_latency_s", "latency, classical", "s"),
        Quantity("inverse_latency_s", "latency, hole", "s"),
        Quantity("difference_s", "hole − classical", "s"),
    ),
}


def quantities_of(experiment: str) -> tuple[Quantity, ...]:
    """Return what is compared of an experiment."""
    if experiment in QUANTITIES:
        return QUANTITIES[experiment]
    names = find_experiment(experiment).summary_columns
    return tuple(Quantity(name, name.replace("_", " ")) for name in names)


def with_extents(table: pd.DataFrame, screen: Screen) -> pd.DataFrame:
    """Add the full extent of fitted fields, from -2 to +2 standard deviations, degrees.

    References
    ----------
    V1T, misc/plot_aRFs.ipynb and main_figure.ipynb, print ``atan(2σ·cm per px/15)``, half of this
    angle, as the size in degrees.
    """
    extents = {
        f"extent_{axis}_deg": screen.diameter_deg(2 * table[f"sigma_{axis}_px"].abs())
        for axis in ("major", "minor")
        if f"sigma_{axis}_px" in table
    }
    return table.assign(**extents)


def center_distances(
    sides: tuple[pd.DataFrame, pd.DataFrame],
    keys: pd.DataFrame,
    is_counted: np.ndarray[Any, np.dtype[np.bool_]],
) -> pd.DataFrame:
    """Return how far apart the two receptive fields of each neuron are, one row a neuron.

    Returns
    -------
    DataFrame
        ``mouse``, ``neuron``, ``is_counted`` and ``center_distance_deg``, by Pythagoras on azimuth
        and elevation.
    """
    one, two = sides
    apart = (two[["x_deg", "y_deg"]] - one[["x_deg", "y_deg"]]).to_numpy(float)
    distance = np.hypot(apart[:, 0], apart[:, 1])
    return keys[KEYS].assign(is_counted=is_counted, center_distance_deg=distance)


def values_of_both(tables: Tables, keys: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Return every compared value of every matched neuron.

    Parameters
    ----------
    tables : mapping of str to (DataFrame, DataFrame)
        Neurons tables by experiment, of the reference and of the other side; rows match.
    keys : DataFrame
        ``mouse`` and ``neuron`` of these rows.
    selection : Selection
        Which neurons count.

    Returns
    -------
    DataFrame, one row a neuron and quantity
        ``mouse``, ``neuron``, ``experiment``, ``quantity``, ``reference``, ``other``,
        ``difference`` (other minus reference: of angles the short way around, of ``is_log``
        quantities in octaves) and ``is_counted``.
    """
    parts = []
    for experiment, (reference, other) in tables.items():
        for quantity in quantities_of(experiment):
            if quantity.column in reference and quantity.column in other:
                one, two = (t[quantity.column].to_numpy(float) for t in (reference, other))
                parts.append(
                    keys[KEYS].assign(
                        experiment=experiment,
                        quantity=quantity.column,
                        reference=one,
                        other=two,
                        difference=difference_of(quantity, one, two),
                        is_counted=selection.passes,
                    )
                )
    return pd.concat(parts, ignore_index=True)


def difference_of(quantity: Quantity, reference: FloatArray, other: FloatArray) -> FloatArray:
    """Return other minus reference in the terms of a quantity; NaN where there is none."""
    if quantity.period_deg is not None:
        return wrapped_difference(other, reference, period=quantity.period_deg)
    if quantity.is_log:
        return _octaves(other) - _octaves(reference)
    return np.asarray(other - reference, float)


def compare_quantities(
    values: pd.DataFrame, *, confidence: float, draws: int, seed: int
) -> pd.DataFrame:
    """Sum up how each quantity agrees over the neurons that count.

    Parameters
    ----------
    values : DataFrame
        Of :func:`values_of_both`.
    confidence, draws, seed
        Of the bootstrap intervals.

    Returns
    -------
    DataFrame, one row a quantity
        ``neuron_count`` with a value on both sides, ``correlation`` (Pearson's; of angles that of
        Fisher and Lee; of ``is_log`` quantities of logarithms), ``rank_correlation`` (Spearman's,
        not of angles), medians of both sides (not of angles), ``median_difference`` with its
        interval over neurons, ``median_absolute_difference``, Wilcoxon's signed-rank test of the
        differences, and ``q_value`` over all quantities.
    """
    rows = []
    counted = values[values["is_counted"]]
    for number, ((experiment, column), part) in enumerate(
        counted.groupby(["experiment", "quantity"], sort=False)
    ):
        quantity = next(one for one in quantities_of(str(experiment)) if one.column == column)
        known = part[part["difference"].notna()]
        mouse = known["mouse"] if len(set(known["mouse"])) > 1 else None
        test = compare_with_zero(
            known["difference"],
            mouse=mouse,
            confidence=confidence,
            draws=draws,
            seed=[seed, number],
        )
        rows.append(
            {
                "experiment": experiment,
                "quantity": column,
                "words": quantity.words,
                "unit": quantity.unit,
                "difference_unit": "octaves" if quantity.is_log else quantity.unit,
                "period_deg": quantity.period_deg,
                "is_log": quantity.is_log,
                "neuron_count": len(known),
                "passing_count": len(part),
                **_agreement(quantity, known),
                "median_difference": test.effect,
                "ci_low": test.ci_low,
                "ci_high": test.ci_high,
                "median_absolute_difference": float(known["difference"].abs().median()),
                "test": test.test,
                "statistic": test.statistic,
                "p_value": test.p_value,
                "status": test.status,
                "error_source": test.error_source,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(q_value=false_discovery_q_values(table["p_value"]))


def _agreement(quantity: Quantity, known: pd.DataFrame) -> dict[str, float]:
    one, two = known["reference"].to_numpy(float), known["other"].to_numpy(float)
    if quantity.period_deg is not None:
        return {
            "correlation": circular_correlation(one, two, period=quantity.period_deg),
            "rank_correlation": np.nan,
            "median_reference": np.nan,
            "median_other": np.nan,
        }
    ranks = [np.asarray(pd.Series(side).rank(), float) for side in (one, two)]
    scaled = (_octaves(one), _octaves(two)) if quantity.is_log else (one, two)
    return {
        "correlation": _correlate(*scaled),
        "rank_correlation": _correlate(ranks[0], ranks[1]),
        "median_reference": float(np.median(one)) if len(one) else np.nan,
        "median_other": float(np.median(two)) if len(two) else np.nan,
    }


def _correlate(one: FloatArray, two: FloatArray) -> float:
    return float(correlate_rows(one[None], two[None])[0]) if len(one) > 1 else np.nan


def _octaves(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log2(np.where(values > 0, values, 1)), np.nan)
