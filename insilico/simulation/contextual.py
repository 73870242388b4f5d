"""Neurons with everything that acts from beyond the receptive field, and a map over cortex."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.screen import Screen
from insilico.simulation.maps import draw_map
from insilico.simulation.normalization import FULL_CONTRAST
from insilico.simulation.population import draw_population

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

#: Ranges of the drawn parameters, uniform in between (sizes and contrasts: in their logarithm).
#: They are ours: receptive fields from the smallest that pixels of 3.4 degrees show, with effects
#: clear enough that an experiment which misses them is at fault.
CONTEXT_RANGES = {
    # Geometric mean of the envelope's standard deviations, and their ratio (across to along).
    "receptive_field_px": (1.0, 3.4),
    "aspect": (1.0, 1.5),
    # Michelson contrast at which a grating on the receptive field is half saturated.
    "semisaturation": (0.15, 0.6),
    # Share of the answer that a full-contrast grating all over the surround takes away.
    "suppression": (0.2, 0.85),
    "surround_sigma_px": (5.5, 9.0),
    "surround_selectivity": (0.4, 1.0),
    "facilitation": (2.5, 4.5),
    "hole_strength": (1.0, 1.5),
    "hole_latency_s": (0.03, 0.08),
}
#: What is narrower for neurons whose effect would otherwise drown: those that flip with contrast
#: have receptive fields that a disc of 20 degrees fills, and answers to holes exceed those to a
#: full field, which the surround suppresses.
HOLE_RANGES = {
    "receptive_field_px": (1.0, 2.2),
    "suppression": (0.55, 0.85),
    "surround_sigma_px": (6.5, 9.0),
}
FLIP_RANGES = {
    "receptive_field_px": (1.0, 1.6),
    "suppression": (0.7, 0.85),
    "surround_selectivity": (0.85, 1.0),
}
#: Shares of neurons that flip with contrast, that answer to holes, and, of those that do neither,
#: that have no suppressive surround. The first two are independent: a ninth does both.
FLIP_SHARE = HOLE_SHARE = 1 / 3
UNSUPPRESSED_SHARE = 0.35


def draw_contextual_population(
    *, simple_count: int, energy_count: int, screen: Screen, seed: int
) -> pd.DataFrame:
    """Draw neurons with surrounds, answers to holes, and a map of direction.

    Parameters
    ----------
    simple_count, energy_count, screen, seed
        As for :func:`insilico.simulation.draw_population`.

    Returns
    -------
    DataFrame, one row a neuron
        The columns of :func:`insilico.simulation.draw_population`, with directions from
        :func:`insilico.simulation.draw_map` and smaller receptive fields, those of
        :func:`insilico.simulation.draw_normalization`, and

        - ``surround_selectivity``: share of the surround that takes part only where its
          orientation is that of the center, 0 to 1;
        - ``facilitation``: largest relative gain of the answer by a weak surround, at low contrast;
          0 for neurons that do not flip;
        - ``hole_strength``: answer to contrast around a gray receptive field, relative to that to
          a grating on it; 0 for neurons without;
        - ``hole_latency_s``: by how much that answer is later than the one to a grating on the
          receptive field, whose latency is ``latency_s``.

        :mod:`insilico.simulation.neighborhood` has the formulas.

    Raises
    ------
    UnitsError
        If there is no neuron to draw.
    """
    population = draw_population(
        simple_count=simple_count, energy_count=energy_count, screen=screen, seed=seed
    )
    population = draw_map(population, seed=seed)
    random = np.random.default_rng([seed, 8])
    count = len(population)
    flips, has_hole = _choose(random, count, FLIP_SHARE), _choose(random, count, HOLE_SHARE)
    drawn = _draw(random, flips, has_hole)
    contrast_gain = 1 / (drawn["semisaturation"] * FULL_CONTRAST)
    return population.assign(
        sigma_along_px=drawn["receptive_field_px"] / np.sqrt(drawn["aspect"]),
        sigma_across_px=drawn["receptive_field_px"] * np.sqrt(drawn["aspect"]),
        contrast_gain=contrast_gain,
        surround_strength=_surround_strength(population, contrast_gain, drawn["suppression"]),
        surround_sigma_px=drawn["surround_sigma_px"],
        surround_selectivity=drawn["surround_selectivity"],
        facilitation=np.where(flips, drawn["facilitation"], 0.0),
        hole_strength=np.where(has_hole, drawn["hole_strength"], 0.0),
        hole_latency_s=np.where(has_hole, drawn["hole_latency_s"], 0.0),
    )


def _surround_strength(
    population: pd.DataFrame, contrast_gain: FloatArray, suppression: FloatArray
) -> FloatArray:
    """Return the strength with which full contrast in the ring takes away so much of the answer."""
    exponent = np.where(population["cell_class"] == "energy", 2, 1)
    center = 1 + (contrast_gain * FULL_CONTRAST) ** exponent
    ring = center * suppression / (1 - suppression)
    return np.asarray(ring ** (1 / exponent) / FULL_CONTRAST)


def _choose(random: np.random.Generator, count: int, share: float) -> BoolArray:
    """Return which neurons are chosen: exactly the share, to the nearest neuron."""
    return random.permutation(np.arange(count) < round(share * count))


def _draw(
    random: np.random.Generator, flips: BoolArray, has_hole: BoolArray
) -> dict[str, FloatArray]:
    """Draw every parameter, each neuron's within the ranges of what it does."""
    drawn = {}
    for name, (low, high) in CONTEXT_RANGES.items():
        lows, highs = np.full(len(flips), low), np.full(len(flips), high)
        for chosen, ranges in ((has_hole, HOLE_RANGES), (flips, FLIP_RANGES)):
            if name in ranges:
                lows[chosen], highs[chosen] = ranges[name]
        if name in ("receptive_field_px", "semisaturation"):
            drawn[name] = np.exp(random.uniform(np.log(lows), np.log(highs)))
        else:
            drawn[name] = random.uniform(lows, highs)
    is_spared = random.uniform(size=len(flips)) < UNSUPPRESSED_SHARE
    drawn["suppression"][is_spared & ~flips & ~has_hole] = 0
    return drawn
