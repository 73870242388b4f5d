"""Do two curves decay alike with distance: exponentials fitted jointly against separately."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from insilico.errors import ShapeError
from insilico.statistics.checks import check_count

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

#: What two separate fits have more than a joint one: amplitude, rate, baseline and variance.
DEGREES_OF_FREEDOM = 4
#: Distances at which a curve must have been measured: one more than the parameters of its mean.
MINIMUM_DISTANCES = 4
#: Rates that can be told from a straight line and from a single step, per range and per smallest
#: distance between points.
RATE_RANGE = (0.05, 10.0)
#: Rates tried, of observed and simulated curves alike: steps of 2 % over three decades.
RATE_COUNT = 400
#: Residuals below this fraction of a curve's variation are rounding.
RESIDUAL_FLOOR = 1e-14
#: Simulated gains that equal the observed one but for rounding count as reaching it.
TIE_TOLERANCE = 1e-9

#: What each value of ``status`` says about a comparison.
DECAY_STATUS = {
    "ok": "both curves decay",
    "flat": "a curve does not decay: its amplitude is 0 and its rate means nothing",
    "constant": "a curve has one value at all distances: there is no variance to compare; p is NaN",
}


class Decay(NamedTuple):
    """``amplitude * exp(-rate * distance) + baseline`` and what it leaves."""

    #: float: 0 or more, in the unit of the curve.
    amplitude: float
    #: float: per µm; 1 / rate is the space constant. NaN where the amplitude is 0.
    rate_per_um: float
    #: float: in the unit of the curve.
    baseline: float
    #: float: root of the mean squared residual, in the unit of the curve.
    residual_sd: float


@dataclasses.dataclass(frozen=True)
class DecayComparison:
    """Two decays and the test of their being one."""

    #: Decay: of the first curve alone.
    first: Decay
    #: Decay: of the second curve alone.
    second: Decay
    #: Decay: of all points.
    joint: Decay
    #: float: twice the gain in log-likelihood of fitting separately, 0 or more.
    statistic: float
    #: float: share of simulated pairs of curves with one decay that gain as much; the one to use.
    p_value: float
    #: float: from the chi-squared distribution, which holds for many points only.
    asymptotic_p_value: float
    #: int: of the chi-squared distribution.
    degrees_of_freedom: int
    #: int: points of the first curve.
    first_count: int
    #: int: points of the second curve.
    second_count: int
    #: str: one of :data:`DECAY_STATUS`.
    status: str

    def to_row(self) -> dict[str, float | int | str]:
        """Return the comparison as a row of a table; fits become ``first_amplitude`` and so on."""
        row: dict[str, float | int | str] = {}
        for name in ("first", "second", "joint"):
            row |= {f"{name}_{key}": value for key, value in getattr(self, name)._asdict().items()}
        rest = [field.name for field in dataclasses.fields(self)][3:]
        return row | {name: getattr(self, name) for name in rest}


def compare_decays(
    first_distance_um: ArrayLike,
    first_values: ArrayLike,
    second_distance_um: ArrayLike,
    second_values: ArrayLike,
    *,
    draws: int = 1000,
    seed: int | Sequence[int],
) -> DecayComparison:
    """Test whether two curves share one exponential decay, by the ratio of likelihoods.

    Each fit has its own residual variance: fitting separately takes amplitude, rate, baseline and
    variance once more, so the test has four degrees of freedom. Curves of eight distances are far
    from many points, and the chi-squared p-value is then several times too small; ``p_value`` comes
    from simulated curves instead.

    Parameters
    ----------
    first_distance_um, second_distance_um : float array, shape (point,)
        Distances, µm; at least four different ones each.
    first_values, second_values : float array, shape (point,)
        Mean similarity at each distance, such as one point a distance and mouse.
    draws : int
        Simulated pairs of curves; the smallest p-value is ``1 / (draws + 1)``.
    seed : int or sequence of int
        Of the simulations.

    Returns
    -------
    DecayComparison

    Raises
    ------
    ShapeError
        If distances and values do not match, are not finite, or there are too few distances.
    UnitsError
        If ``draws`` is below 1.

    References
    ----------
    ViV1T-closed-loop, tuning_direction/visualize_tuning_similarity.py: same model and statistic,
    fitted with a penalty on the parameters, which we leave out because a likelihood ratio needs the
    maximum. Simulated null (parametric bootstrap): Davison & Hinkley 1997, Bootstrap Methods and
    their Application, section 4.2.3. Elimination of the linear parameters: Golub & Pereyra 1973,
    doi:10.1137/0710036.
    """
    check_count(draws, "simulated curves")
    curves = [
        _check_curve(first_distance_um, first_values, "first"),
        _check_curve(second_distance_um, second_values, "second"),
    ]
    distances = [curves[0][0], curves[1][0], np.concatenate([curve[0] for curve in curves])]
    values = [curves[0][1], curves[1][1], np.concatenate([curve[1] for curve in curves])]
    rates = _rates(distances[2])
    fits = [_fit(distance, one, rates) for distance, one in zip(distances, values, strict=True)]
    is_constant = any(np.ptp(curve) == 0 for _, curve in curves)
    observed, p_value = np.nan, np.nan
    if not is_constant:
        observed = float(_gain(distances, values[2][None], rates)[0])
        null = _simulate(fits[2], distances[2], draws=draws, seed=seed)
        reached = int((_gain(distances, null, rates) >= observed * (1 - TIE_TOLERANCE)).sum())
        p_value = (reached + 1) / (draws + 1)
    is_flat = min(fits[0].amplitude, fits[1].amplitude) <= 0
    return DecayComparison(
        first=fits[0],
        second=fits[1],
        joint=fits[2],
        statistic=observed,
        p_value=p_value,
        asymptotic_p_value=float(stats.chi2.sf(observed, DEGREES_OF_FREEDOM)),
        degrees_of_freedom=DEGREES_OF_FREEDOM,
        first_count=len(values[0]),
        second_count=len(values[1]),
        status="constant" if is_constant else "flat" if is_flat else "ok",
    )


def _check_curve(
    distance_um: ArrayLike, values: ArrayLike, name: str
) -> tuple[FloatArray, FloatArray]:
    distance, curve = np.asarray(distance_um, float), np.asarray(values, float)
    if distance.ndim != 1 or curve.shape != distance.shape:
        raise ShapeError(
            f"the {name} curve has distances of shape {distance.shape} and values of shape "
            f"{curve.shape}; give one value a distance"
        )
    if not (np.isfinite(distance).all() and np.isfinite(curve).all()):
        raise ShapeError(f"the {name} curve has points that are not finite; leave them out")
    if len(np.unique(distance)) < MINIMUM_DISTANCES:
        raise ShapeError(
            f"the {name} curve has {len(np.unique(distance))} different distances; an exponential "
            f"decay needs at least {MINIMUM_DISTANCES}"
        )
    return distance, curve


def _rates(distance_um: FloatArray) -> FloatArray:
    """Return the rates to try, per µm."""
    distinct = np.unique(distance_um)
    low, high = RATE_RANGE[0] / np.ptp(distinct), RATE_RANGE[1] / np.diff(distinct).min()
    return np.geomspace(low, high, RATE_COUNT)


def _residual_powers(distance_um: FloatArray, curves: FloatArray, rates: FloatArray) -> FloatArray:
    """Return what the best amplitude and baseline leave of each curve, shape (curve, rate)."""
    # Distances from the nearest: else a steep decay has nothing left to scale.
    shape = np.exp(-rates[:, None] * (distance_um - distance_um.min()))
    shape -= shape.mean(axis=1, keepdims=True)
    centered = curves - curves.mean(axis=1, keepdims=True)
    projection = np.maximum(centered @ shape.T, 0.0)
    power = (centered**2).sum(axis=1)[:, None]
    explained: FloatArray = projection**2 / (shape**2).sum(axis=1)
    return np.maximum(power - explained, RESIDUAL_FLOOR * power)


def _gain(distances: list[FloatArray], curves: FloatArray, rates: FloatArray) -> FloatArray:
    """Return twice the gain in log-likelihood of separate fits, shape (curve,)."""
    split = len(distances[0])
    parts = [curves[:, :split], curves[:, split:], curves]
    one, two, both = (
        part.shape[1] * np.log(_residual_powers(distance, part, rates).min(axis=1) / part.shape[1])
        for distance, part in zip(distances, parts, strict=True)
    )
    gain: FloatArray = np.maximum(both - one - two, 0.0)
    return gain


def _fit(distance_um: FloatArray, values: FloatArray, rates: FloatArray) -> Decay:
    """Return the decay that leaves least, its rate refined between those tried."""
    best = int(_residual_powers(distance_um, values[None], rates)[0].argmin())

    def left(log_rate: float) -> float:
        rate = np.exp(np.array([log_rate]))
        return float(_residual_powers(distance_um, values[None], rate)[0, 0])

    ends = np.log(rates[[max(best - 1, 0), min(best + 1, len(rates) - 1)]])
    refined = optimize.minimize_scalar(
        left, bounds=(float(ends[0]), float(ends[1])), method="bounded", options={"xatol": 1e-9}
    )
    rate = float(np.exp(refined.x))
    shape = np.exp(-rate * distance_um)
    centered = np.exp(-rate * (distance_um - distance_um.min()))
    centered -= centered.mean()
    slope = float(centered @ values / (centered @ centered))
    residual_sd = float(np.sqrt(refined.fun / len(values)))
    if slope <= 0:
        return Decay(0.0, float("nan"), float(values.mean()), residual_sd)
    amplitude = slope * float(np.exp(rate * distance_um.min()))
    baseline = float(values.mean() - amplitude * shape.mean())
    return Decay(amplitude, rate, baseline, residual_sd)


def _simulate(
    joint: Decay, distance_um: FloatArray, *, draws: int, seed: int | Sequence[int]
) -> FloatArray:
    """Return curves that follow one decay, with normal noise of its residual variance."""
    mean = np.full(len(distance_um), joint.baseline)
    if joint.amplitude > 0:
        mean += joint.amplitude * np.exp(-joint.rate_per_um * distance_um)
    # Three parameters took their part of the variance.
    sd = joint.residual_sd * np.sqrt(len(mean) / (len(mean) - 3))
    noise = np.random.default_rng(seed).normal(size=(draws, len(mean)))
    return mean + sd * noise
