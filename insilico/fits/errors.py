"""Standard errors of fits to maps whose neighboring values share noise.

A least-squares fit takes the noise of every pixel as independent. The values of an energy map are
not: neighboring filters look at the same pixels, and the fit's own standard errors come out half as
large as the errors that are made. Here the noise itself is measured, as half the difference of the
maps from two halves of the trials, and seen through the fit's own estimator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import fft

from insilico.fits.gaussian import GAUSSIAN_PARAMETERS, evaluate_gaussian

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Step of the numerical slopes: pixels for lengths, degrees for the angle, and the same fraction of
#: the amplitude for amplitude and offset. Small against every width that can be fitted (0.3 px).
STEP = 1e-3


def errors_from_halves(fit: pd.DataFrame, half_difference: FloatArray) -> pd.DataFrame:
    """Return standard errors of Gaussian fits from the noise that two halves do not share.

    To first order a fit moves by ``K n`` when the noise ``n`` is added to its map, with ``K =
    (J'J)^-1 J'`` and ``J`` the slopes of the fitted Gaussian. Noise is alike everywhere on the
    screen, so the mean square of ``K n`` over all displacements of the noise estimates the squared
    standard error, with as many samples as the screen has independent places.

    Parameters
    ----------
    fit : DataFrame, one row a neuron
        As :func:`insilico.fits.gaussian.fit_gaussians` returns it.
    half_difference : float array, shape (neuron, y, x)
        Half of the first half's map minus the second half's: it has the noise of the mean of both.

    Returns
    -------
    DataFrame, one row a neuron
        Columns of :data:`~insilico.fits.gaussian.GAUSSIAN_PARAMETERS` with ``_se``; NaN where the
        fit has no parameters or its slopes do not determine them.
    """
    columns = [f"{name}_se" for name in GAUSSIAN_PARAMETERS]
    errors = pd.DataFrame(np.nan, index=fit.index, columns=columns)
    usable = fit[list(GAUSSIAN_PARAMETERS)].notna().all(axis=1).to_numpy()
    if not usable.any():
        return errors
    shape = half_difference.shape[1:]
    slopes = _slopes(fit[usable], shape)
    gram = np.einsum("npyx,nqyx->npq", slopes, slopes)
    kernels = np.einsum("npq,nqyx->npyx", np.linalg.pinv(gram, hermitian=True), slopes)
    noise = half_difference[usable]
    noise = noise - noise.mean((1, 2), keepdims=True)
    power = np.abs(fft.fft2(noise)) ** 2
    for parameter, column in enumerate(columns):
        # Parseval: the mean square over all displacements needs no transform back.
        gain = np.abs(fft.fft2(kernels[:, parameter])) ** 2
        mean_square = (power * gain).sum((1, 2)) / (shape[0] * shape[1]) ** 2
        errors.loc[usable, column] = np.sqrt(mean_square)
    return errors


def _slopes(fit: pd.DataFrame, shape: tuple[int, ...]) -> FloatArray:
    """Return the slope of each neuron's Gaussian by each parameter (neuron, parameter, y, x)."""
    slopes = []
    for name in GAUSSIAN_PARAMETERS:
        scale = fit["amplitude"].abs() if name in ("amplitude", "offset") else 1.0
        step = STEP * scale
        ahead, behind = (
            evaluate_gaussian(fit.assign(**{name: fit[name] + sign * step}), (shape[0], shape[1]))
            for sign in (1, -1)
        )
        width = np.broadcast_to(np.asarray(2 * step, float), len(fit))
        slopes.append((ahead - behind) / width[:, None, None])
    return np.stack(slopes, axis=1)
