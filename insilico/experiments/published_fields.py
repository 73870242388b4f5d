"""Receptive fields as the published analysis makes them of the same responses, quirks included."""

from __future__ import annotations

import warnings
from typing import Any

import joblib
import numpy as np
import pandas as pd
from scipy import optimize

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Columns of a published fit, in the order of the model's parameters.
PARAMETERS = ("amplitude", "center_x", "center_y", "sigma_x", "sigma_y", "theta", "offset")
#: Where every fit starts: the middle of a screen of 36 x 64 pixels, and wide.
START = (3.0, 32.0, 18.0, 10.0, 10.0, 0.0, 10.0)
#: Standard deviation of the noise that is added to every map before the fit.
ADDED_NOISE = 0.2
#: Share of neurons whose largest widths, along each axis, are called bad fits.
WIDEST_SHARE = 0.05


def fit_published(maps: FloatArray, *, seed: int, jobs: int = 1) -> pd.DataFrame:
    """Fit maps as published: rectified z-scores, with noise, from one start, without bounds.

    Parameters
    ----------
    maps : float array, shape (neuron, y, x)
        As :meth:`~insilico.experiments.noise_sums.NoiseSums.published_maps` returns them.
    seed : int
        Of the added noise: one image of it, the same for all neurons, as where the published fits
        run in parallel.
    jobs : int
        Processes.

    Returns
    -------
    DataFrame, one row a neuron
        :data:`PARAMETERS`, pixels from the top left and radians; widths of either sign, as they
        come out. NaN where the fit failed.

    References
    ----------
    ViV1T-closed-loop, tuning_retinotopy/fit_aRFs.py.
    """
    noise = ADDED_NOISE * np.random.default_rng(seed).standard_normal(maps.shape[1:])
    spread = maps.std(axis=(1, 2), keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (maps - maps.mean(axis=(1, 2), keepdims=True)) / spread
    rows = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(_fit_one)(np.abs(of_one) + noise) for of_one in z
    )
    return pd.DataFrame(rows, columns=list(PARAMETERS), dtype=float)


def published_table(fits: pd.DataFrame, neurons: pd.DataFrame) -> pd.DataFrame:
    """Call the widest fits bad, as published.

    Parameters
    ----------
    fits : DataFrame, one row a neuron
        Of all neurons, as :func:`fit_published` returns them.
    neurons : DataFrame
        Who they are.

    Returns
    -------
    DataFrame, one row a neuron
        ``mouse``, ``neuron``, ``bad_fit``, and the parameters as float32, NaN in what was called
        too wide: the 5 % of largest ``sigma_x`` and of largest ``sigma_y``, failed fits counted
        among them, and negative ones among the smallest. With fewer than 20 neurons none is called
        so; the original then drops all.
    """
    fits = fits.copy()
    count = int(WIDEST_SHARE * len(fits))
    order = {width: np.argsort(fits[width].to_numpy()) for width in ("sigma_x", "sigma_y")}
    for width, ranked in order.items():
        # NaN sorts last.
        fits.loc[fits.index[ranked[len(fits) - count :]], width] = np.nan
    known = neurons[["mouse", "neuron"]].reset_index(drop=True)
    bad = fits.isna().any(axis=1)
    return pd.concat([known.assign(bad_fit=bad), fits.astype(np.float32)], axis=1)


def _fit_one(data: FloatArray) -> tuple[float, ...]:
    failed = (np.nan,) * len(PARAMETERS)
    if not np.isfinite(data).all():
        return failed
    rows, columns = np.indices(data.shape)
    places = np.stack([columns.ravel(), rows.ravel()])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", optimize.OptimizeWarning)
            found, _ = optimize.curve_fit(_gaussian, places, data.ravel(), p0=START)
    except (RuntimeError, optimize.OptimizeWarning):
        return failed  # The evaluation limit, or a covariance that cannot be estimated.
    return tuple(float(value) for value in found)


def _gaussian(
    places: FloatArray,
    amplitude: float,
    x: float,
    y: float,
    sigma_x: float,
    sigma_y: float,
    theta: float,
    offset: float,
) -> FloatArray:
    dx, dy = places[0] - x, places[1] - y
    u = dx * np.cos(theta) - dy * np.sin(theta)
    v = dx * np.sin(theta) + dy * np.cos(theta)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        bell = np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / sigma_y) ** 2))
        return np.asarray(offset + amplitude * bell)
