"""Responses to discs and holes of several sizes: the curves, and what is read from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from insilico.experiments.averaging import average_presentations
from insilico.experiments.experiment import Setting
from insilico.fits.size_curves import fit_hole_curves, fit_size_curves
from insilico.screen import Screen
from insilico.stimuli.shapes import disc

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: What is less than this share of a neuron's response is no response, or no difference (ours).
EVOKED_SHARE = 0.01
#: The grating in a disc, and around a hole; in this order along an axis.
ARRANGED = ("center", "inverse")
#: From columns of the fits to ours; each of these has a standard error.
CENTER_COLUMNS = {
    "preferred_diameter_deg": "preferred_size_deg",
    "suppression_index": "suppression_index",
    "peak_response": "peak_response",
    "center_width_deg": "center_width_deg",
    "surround_width_deg": "surround_width_deg",
}
INVERSE_COLUMNS = {
    "preferred_diameter_deg": "inverse_preferred_size_deg",
    "suppression_index": "inverse_suppression_index",
    "peak_response": "inverse_peak_response",
    "center_width_deg": "inverse_center_width_deg",
    "surround_width_deg": "inverse_surround_width_deg",
}


@dataclasses.dataclass(frozen=True, eq=False)
class SizeCurves:
    """Mean responses by size, and what they are the means of.

    Attributes
    ----------
    diameter_deg : float array, shape (diameter,)
        As asked for, from 0.
    shown_diameter_deg : float array, shape (diameter,)
        Of the round disc with as many pixels as were drawn.
    response : float array, shape (neuron, 2, diameter)
        To discs and to holes. A disc of no size is the baseline; NaN where a size was not shown.
    error : float array, shape (neuron, 2, diameter)
        With trial noise the standard error of the mean, else the spread over phases.
    baseline : float array, shape (neuron,)
        Response to gray.
    trials : float array, shape (presentation, neuron)
        The response to every presentation.
    gray : float array, shape (presentation, neuron), or None
        Response to the gray before each; None for images and recordings without it.
    conditions : DataFrame, one row a presentation
        What was shown.
    """

    diameter_deg: FloatArray
    shown_diameter_deg: FloatArray
    response: FloatArray
    error: FloatArray
    baseline: FloatArray
    trials: FloatArray
    gray: FloatArray | None
    conditions: pd.DataFrame

    @property
    def evoked(self) -> FloatArray:
        """The responses above the baseline, shape (neuron, 2, diameter)."""
        return self.response - self.baseline[:, None, None]

    def rows(self, arrangement: str, diameter_deg: float) -> IntArray:
        """Return the presentations of one arrangement and size."""
        is_shown = self.conditions["arrangement"] == arrangement
        at_size = self.conditions["diameter_deg"] == diameter_deg
        return np.flatnonzero(is_shown & at_size)


def shown_diameters(screen: Screen, diameter_deg: Sequence[float] | FloatArray) -> FloatArray:
    """Return the sizes of discs as their pixels really cover the screen.

    A disc has a hard edge, so on coarse pixels its area jumps: on the Sensorium monitor one of 10
    degrees, 1.5 pixels in radius, covers 9 pixels, like a round one of 11.4 degrees.

    Parameters
    ----------
    screen : Screen
        Its pixels.
    diameter_deg : sequence of float
        Full visual angles as asked for.

    Returns
    -------
    float array, shape (diameter,)
        Full visual angle of the round disc of as many pixels, before the edge of the screen cuts
        it: discs are centered on whole pixels.
    """
    side = 2 * int(np.ceil(screen.radius_px(np.max(diameter_deg)))) + 1
    # A screen of the same pixels on which the largest disc finds room.
    scale = side / np.array([screen.width_px, screen.height_px])
    roomy = dataclasses.replace(
        screen,
        width_px=side,
        height_px=side,
        width_cm=screen.width_cm * float(scale[0]),
        height_cm=screen.height_cm * float(scale[1]),
    )
    counts = [
        disc(
            roomy,
            diameter_deg=float(angle),
            center_px=(side // 2, side // 2),
        ).sum()
        for angle in diameter_deg
    ]
    return screen.diameter_deg(np.sqrt(np.array(counts) / np.pi))


def collect_curves(
    responses: FloatArray, gray: FloatArray | None, conditions: pd.DataFrame, setting: Setting[Any]
) -> SizeCurves:
    """Average presentations into curves.

    Parameters
    ----------
    responses : float array, shape (presentation, neuron)
        Mean over the window.
    gray : float array, shape (presentation, neuron), or None
        Mean over the gray before each pattern.
    conditions : DataFrame, one row a presentation
        As :func:`insilico.experiments.size.tidy_conditions` returns them.
    setting : Setting
        Of a :class:`~insilico.experiments.size.SizeProtocol`.

    Returns
    -------
    SizeCurves
    """
    keys = ["arrangement", "diameter_deg"]
    averages = average_presentations(
        responses, conditions, keys, has_trial_noise=setting.has_trial_noise
    )
    diameters = np.union1d(averages.levels["diameter_deg"].to_numpy(float), [0.0])
    shape = len(setting.neurons), len(ARRANGED), len(diameters)
    response, error = np.full(shape, np.nan), np.full(shape, np.nan)
    places = np.searchsorted(diameters, averages.levels["diameter_deg"].to_numpy(float))
    for row, arrangement in enumerate(averages.levels["arrangement"]):
        if arrangement in ARRANGED:
            place, at = ARRANGED.index(arrangement), places[row]
            response[:, place, at] = averages.mean[row]
            error[:, place, at] = averages.error[row]
    blank = response[:, 0, 0].copy()
    baseline = blank if gray is None else gray.mean(axis=0)
    # Movies show no blank of their own: the gray before the patterns stands for it.
    response[:, 0, 0] = np.where(np.isnan(blank), baseline, blank)
    return SizeCurves(
        diameters,
        shown_diameters(setting.screen, diameters),
        response,
        error,
        baseline,
        responses,
        gray,
        conditions,
    )


def fit_both(
    evoked: FloatArray, shown_diameter_deg: FloatArray, *, model: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit classical and inverse curves of responses above the baseline.

    Parameters
    ----------
    evoked : float array, shape (neuron, 2, diameter)
        As :attr:`SizeCurves.evoked`.
    shown_diameter_deg : float array, shape (diameter,)
        Of the pixels as drawn.
    model : {"ratio", "difference"}
        Of Gaussians.

    Returns
    -------
    tuple of DataFrame
        As :func:`~insilico.fits.size_curves.fit_size_curves` and
        :func:`~insilico.fits.size_curves.fit_hole_curves` return them.
    """
    options: dict[str, Any] = {"model": model, "baseline": False}
    tables = []
    for place, fit in enumerate((fit_size_curves, fit_hole_curves)):
        # A size that was not shown to anybody is no point of the curve.
        is_shown = ~np.isnan(evoked[:, place]).all(axis=0)
        is_shown = is_shown if is_shown.any() else np.ones_like(is_shown)
        tables.append(fit(evoked[:, place, is_shown], shown_diameter_deg[is_shown], **options))
    return tables[0], tables[1]


@dataclasses.dataclass(frozen=True, eq=False)
class HoleResponses:
    """What holes evoke.

    Attributes
    ----------
    best : int array, shape (neuron,)
        Position of the best hole on the axis of diameters; 0 where no hole counts.
    response : float array, shape (neuron,)
        To that hole, above the baseline.
    share : float array, shape (neuron,)
        What it evokes above both the baseline and the full field, in shares of the largest
        classical response; NaN where there is none.
    """

    best: IntArray
    response: FloatArray
    share: FloatArray


def hole_responses(evoked: FloatArray, *, field_share: float) -> HoleResponses:
    """Find each neuron's best hole.

    A hole counts once the receptive field lies in it, so that the grating around it does not reach
    what a grating alone would excite: from the smallest disc that evokes a given share of the
    largest classical response.

    Parameters
    ----------
    evoked : float array, shape (neuron, 2, diameter)
        As :attr:`SizeCurves.evoked`.
    field_share : float
        Of the largest classical response.

    Returns
    -------
    HoleResponses

    References
    ----------
    Keller, Roth & Scanziani 2020, doi 10.1038/s41586-020-2319-4: a response to the hole that is no
    response to a blank, and larger than that to the full field. The reference code compares
    z-scores over sizes, which measure how peaked a curve is, and asks for no margin over the full
    field.
    """
    classical, inverse = evoked[:, 0], evoked[:, 1]
    largest = np.fmax.reduce(classical, axis=1)
    with np.errstate(invalid="ignore"):
        reaches = classical >= field_share * largest[:, None]
        covers = np.maximum.accumulate(reaches, axis=1) & (largest > 0)[:, None]
    covers[:, 0] = False
    gain = np.where(covers & np.isfinite(inverse), inverse, -np.inf)
    best = gain.argmax(axis=1)
    has_hole = np.isfinite(gain.max(axis=1))
    best = np.where(has_hole, best, 0)
    response = np.where(has_hole, inverse[np.arange(len(best)), best], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.minimum(response, response - inverse[:, 0])
        share = np.where(largest > 0, excess / largest, np.nan)
    return HoleResponses(best, response, share)


def inverse_tuning_index(evoked: FloatArray) -> FloatArray:
    """Return how far holes outdo discs, both measured from the full field.

    Parameters
    ----------
    evoked : float array, shape (neuron, 2, diameter)
        As :attr:`SizeCurves.evoked`.

    Returns
    -------
    float array, shape (neuron,)
        ``(I - F) / ((I - F) + (C - F))`` with the largest responses I to holes and C to discs and
        the full field's F, differences below 0 taken as 0: from 0 (no hole beats the full field)
        to 1 (no disc does); NaN where both together beat it by less than :data:`EVOKED_SHARE` of C.

    References
    ----------
    ViV1T-closed-loop, tuning_feedbackRF/estimate_size_tuning_curve.py, where the index is unbounded
    if the full field beats every disc, and a division by zero if it beats every hole too.
    """
    classical, inverse = (np.fmax.reduce(evoked[:, place, 1:], axis=1) for place in (0, 1))
    full = evoked[:, 1, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        hole, disc_ = np.maximum(inverse - full, 0), np.maximum(classical - full, 0)
        is_defined = hole + disc_ > EVOKED_SHARE * np.abs(classical)
        return np.where(is_defined, hole / (hole + disc_), np.nan)
