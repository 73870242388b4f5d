"""Standard errors from two halves: right for white noise, and right where neighbors share noise."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from insilico.fits.errors import errors_from_halves
from insilico.fits.gaussian import evaluate_gaussian, fit_gaussians

TRUTH = pd.DataFrame(
    {
        "amplitude": [1.0],
        "x_px": [30.3],
        "y_px": [17.6],
        "sigma_major_px": [3.5],
        "sigma_minor_px": [2.0],
        "angle_deg": [35.0],
        "offset": [0.0],
    }
)


def measure(noise_of, count=120):
    """Fit many noisy maps of one field; return the fits and the errors from their halves."""
    random = np.random.default_rng(11)
    field = evaluate_gaussian(TRUTH, (36, 64))
    halves = [field + noise_of(random, count) for _ in range(2)]
    fit = fit_gaussians((halves[0] + halves[1]) / 2)
    return fit, errors_from_halves(fit, (halves[0] - halves[1]) / 2)


def white(random, count):
    return 0.15 * random.standard_normal((count, 36, 64))


def smooth(random, count):
    blurred = ndimage.gaussian_filter(random.standard_normal((count, 36, 64)), (0, 2, 2))
    return 0.08 * blurred / blurred.std()


@pytest.mark.parametrize("noise_of", [white, smooth])
def test_errors_have_the_size_of_the_scatter(noise_of):
    fit, errors = measure(noise_of)
    for name in ("x_px", "y_px", "sigma_major_px", "sigma_minor_px", "amplitude"):
        stated = np.sqrt(np.mean(errors[f"{name}_se"] ** 2))
        assert stated == pytest.approx(fit[name].std(), rel=0.3), name


def test_the_fits_own_errors_are_too_small_where_noise_is_shared():
    fit, errors = measure(smooth)
    assert np.median(errors["x_px_se"] / fit["x_px_se"]) > 1.5


def test_errors_agree_with_the_fits_own_for_white_noise():
    fit, errors = measure(white)
    assert np.median(errors["x_px_se"] / fit["x_px_se"]) == pytest.approx(1, rel=0.1)


def test_a_neuron_without_a_fit_has_no_errors():
    fit = fit_gaussians(np.zeros((2, 36, 64)))
    errors = errors_from_halves(fit, np.ones((2, 36, 64)))
    assert errors.shape == (2, 7)
    assert errors.isna().all(axis=None)
