"""The shared family of curves: slopes of every shape, exact starts, shapes that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from insilico.fits import decay, frequency_tuning, naka_rushton, size_curves

DIAMETERS_DEG = np.array([0.0, 4, 8, 16, 32, 64])
CONTRASTS = np.array([0.0, 0.1, 0.3, 1.0])
FREQUENCIES = np.array([0.02, 0.05, 0.1, 0.3])
FAMILIES = {
    "disc ratio": size_curves._Tuning("ratio", False).family(DIAMETERS_DEG),
    "disc difference": size_curves._Tuning("difference", False).family(DIAMETERS_DEG),
    "hole ratio": size_curves._Tuning("ratio", True).family(DIAMETERS_DEG),
    "hole difference": size_curves._Tuning("difference", True).family(DIAMETERS_DEG),
    "contrast": naka_rushton._family(CONTRASTS, True),
    "distance": decay._family(np.array([0.0, 25, 50, 100])),
    "plane": frequency_tuning._Plane(FREQUENCIES, 20 * FREQUENCIES, True).family(),
    "spatial": frequency_tuning._Plane(FREQUENCIES, FREQUENCIES[:1], True).family(),
    "no baseline": naka_rushton._family(CONTRASTS, False),
}


def random_parameters(family, count, seed):
    rng = np.random.default_rng(seed)
    low, high = np.array(family.bounds).T
    inside = low + (high - low) * rng.uniform(0.05, 0.95, (count, len(low)))
    linear = rng.uniform(0.5, 3, (count, 1 + family.has_baseline))
    return np.concatenate([inside, linear], axis=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_slopes_are_those_of_the_curve(name):
    family = FAMILIES[name]
    parameters = random_parameters(family, 40, seed=1)
    values, slopes = family.curve(parameters)
    assert slopes.shape == (40, parameters.shape[1], values.shape[1])
    for column in range(parameters.shape[1]):
        step = np.zeros(parameters.shape[1])
        step[column] = 1e-5
        ahead, behind = (family.curve(parameters + sign * step)[0] for sign in (1, -1))
        numeric = (ahead - behind) / 2e-5
        np.testing.assert_allclose(slopes[:, column], numeric, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_curve_of_the_grid_is_a_start_without_residual(name):
    family = FAMILIES[name]
    low, high = family.limits()
    node = np.array([values[len(values) // 2] for values in family.grid])
    parameters = np.concatenate([node, [2.5, -0.7][: 1 + family.has_baseline]])[None]
    curve, _ = family.curve(parameters)
    starts = family.starts(curve, np.ones_like(curve))
    assert ((starts >= low - 1e-12) & (starts <= high + 1e-12)).all()
    residual = [np.abs(family.curve(starts[:, k])[0] - curve).max() for k in range(starts.shape[1])]
    assert min(residual) < 1e-8
