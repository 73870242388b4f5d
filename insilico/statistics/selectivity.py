"""Orientation and direction selectivity of tuning curves, by vector sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from insilico.errors import ShapeError, UnitsError

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]

#: Turns of the response vector per turn of the direction.
HARMONIC = {"direction": 1, "orientation": 2}
#: Directions may deviate this much from even spacing, degrees; wider than float32 rounding of 360.
SPACING_TOLERANCE_DEG = 1e-3
#: A vector sum shorter than this fraction of the summed responses is rounding: no preference.
RESULTANT_TOLERANCE = 1e-12


def orientation_selectivity_index(tuning_curve: ArrayLike, direction_deg: ArrayLike) -> FloatArray:
    """Orientation selectivity, one minus the circular variance of the responses over orientation.

    ``|sum(r * exp(2i * theta))| / sum(r)``: 0 for equal responses, 1 for a single orientation. This
    is not the contrast (preferred - orthogonal) / (preferred + orthogonal).

    Parameters
    ----------
    tuning_curve : float array, shape (..., direction)
        Mean responses, not negative, arbitrary units.
    direction_deg : float array, shape (direction,)
        Degrees, evenly spaced over 360 or, as orientations, over 180; any order and sense.

    Returns
    -------
    float array, shape (...)
        In [0, 1]. NaN where a response is NaN, infinite or negative or all are zero: with negative
        responses the ratio has no bound, so rectify them first if they mean "no response".

    Raises
    ------
    ShapeError
        If the last axis of the curve has not one entry per direction.
    UnitsError
        If the directions are not evenly spaced, which would bias the index.

    References
    ----------
    ViV1T-closed-loop, tuning_direction/estimate_selectivity_indexes.py. Changed: curves with
    negative responses give NaN.
    """
    return _selectivity(tuning_curve, direction_deg, HARMONIC["orientation"])


def direction_selectivity_index(tuning_curve: ArrayLike, direction_deg: ArrayLike) -> FloatArray:
    """Direction selectivity, one minus the circular variance of the responses over direction.

    ``|sum(r * exp(i * theta))| / sum(r)``: 0 for equal responses to opposite directions, 1 for a
    single direction.

    Parameters
    ----------
    tuning_curve : float array, shape (..., direction)
        Mean responses, not negative, arbitrary units.
    direction_deg : float array, shape (direction,)
        Degrees, evenly spaced over 360; any order and sense.

    Returns
    -------
    float array, shape (...)
        In [0, 1]; NaN as in :func:`orientation_selectivity_index`.

    Raises
    ------
    ShapeError
        If the last axis of the curve has not one entry per direction.
    UnitsError
        If the directions are not evenly spaced over 360 degrees, which would bias the index.

    References
    ----------
    ViV1T-closed-loop, tuning_direction/estimate_selectivity_indexes.py. Changed: curves with
    negative responses give NaN.
    """
    return _selectivity(tuning_curve, direction_deg, HARMONIC["direction"])


def preferred_direction_deg(tuning_curve: ArrayLike, direction_deg: ArrayLike) -> FloatArray:
    """Angle of the summed response vector over direction.

    Parameters
    ----------
    tuning_curve : float array, shape (..., direction)
        Mean responses; negative ones are allowed, they pull to the opposite direction.
    direction_deg : float array, shape (direction,)
        Degrees, evenly spaced over 360.

    Returns
    -------
    float array, shape (...)
        In [0, 360); NaN where a response is not finite or the vectors cancel.

    Raises
    ------
    ShapeError, UnitsError
        As :func:`direction_selectivity_index`.
    """
    return _preferred(tuning_curve, direction_deg, HARMONIC["direction"])


def preferred_orientation_deg(tuning_curve: ArrayLike, direction_deg: ArrayLike) -> FloatArray:
    """Half the angle of the summed response vector over doubled directions.

    Parameters
    ----------
    tuning_curve : float array, shape (..., direction)
        Mean responses; negative ones are allowed, they pull to the orthogonal orientation.
    direction_deg : float array, shape (direction,)
        Degrees, evenly spaced over 360 or over 180.

    Returns
    -------
    float array, shape (...)
        The direction modulo 180, in [0, 180); NaN where a response is not finite or the vectors
        cancel.

    Raises
    ------
    ShapeError, UnitsError
        As :func:`orientation_selectivity_index`.
    """
    return _preferred(tuning_curve, direction_deg, HARMONIC["orientation"])


def check_even_spacing(direction_deg: FloatArray, harmonic: int) -> None:
    """Refuse directions over which equal responses would not cancel.

    Parameters
    ----------
    direction_deg : float array, shape (direction,)
        Degrees.
    harmonic : int
        1 for direction, 2 for orientation: directions are taken modulo 360 / harmonic.

    Raises
    ------
    UnitsError
        If they are not evenly spaced, or not all equally often there.
    """
    period = 360.0 / harmonic
    # Round to the tolerance before wrapping, so that 359.9999 and 0 are the same direction.
    steps = np.round(np.asarray(direction_deg, float) / SPACING_TOLERANCE_DEG)
    wrapped = steps % round(period / SPACING_TOLERANCE_DEG) * SPACING_TOLERANCE_DEG
    distinct, counts = np.unique(wrapped, return_counts=True)
    gaps = np.diff(distinct, append=distinct[:1] + period)
    is_even = (
        len(distinct) >= 2
        and bool(np.isfinite(gaps).all())
        and bool((np.abs(gaps - period / len(distinct)) <= 3 * SPACING_TOLERANCE_DEG).all())
        and len(set(counts.tolist())) == 1
    )
    if not is_even:
        raise UnitsError(
            f"directions {np.array2string(np.asarray(direction_deg), threshold=12)} are not evenly "
            f"spaced over {period:g} degrees; a selectivity index needs at least two evenly spaced "
            "ones, all equally often, so present or select such a set"
        )


def _vector_sum(
    tuning_curve: ArrayLike, direction_deg: ArrayLike, harmonic: int
) -> tuple[FloatArray, ComplexArray]:
    """Responses in double precision and their vector sum over the last axis."""
    responses, direction = np.asarray(tuning_curve, float), np.asarray(direction_deg, float)
    if direction.ndim != 1 or responses.ndim < 1 or responses.shape[-1:] != direction.shape:
        raise ShapeError(
            f"a tuning curve of shape {responses.shape} with directions of shape "
            f"{direction.shape}; give (..., direction) and one direction per column"
        )
    check_even_spacing(direction, harmonic)
    with np.errstate(invalid="ignore"):
        return responses, responses @ np.exp(1j * harmonic * np.radians(direction))


def _selectivity(tuning_curve: ArrayLike, direction_deg: ArrayLike, harmonic: int) -> FloatArray:
    responses, vector = _vector_sum(tuning_curve, direction_deg, harmonic)
    total = responses.sum(axis=-1)
    is_defined = np.isfinite(responses).all(axis=-1) & (responses >= 0).all(axis=-1) & (total > 0)
    return np.where(is_defined, np.abs(vector) / np.where(is_defined, total, 1.0), np.nan)


def _preferred(tuning_curve: ArrayLike, direction_deg: ArrayLike, harmonic: int) -> FloatArray:
    responses, vector = _vector_sum(tuning_curve, direction_deg, harmonic)
    is_defined = np.isfinite(responses).all(axis=-1) & (
        np.abs(vector) > RESULTANT_TOLERANCE * np.abs(responses).sum(axis=-1)
    )
    angle = np.degrees(np.angle(np.where(is_defined, vector, 1.0))) / harmonic
    # A tiny negative angle wraps to the full period in floating point: wrap twice.
    return np.where(is_defined, angle % (360.0 / harmonic) % (360.0 / harmonic), np.nan)
