"""Parameters of a simulated population: one row a neuron, everything that defines its answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insilico.errors import UnitsError
from insilico.screen import Screen

#: Cortical sheet that is imaged, micrometers on a side: the spans of the Sensorium 2023 mice
#: (ViV1T-closed-loop, viv1t/data/metadata: x and y spans of about 615).
FIELD_OF_VIEW_UM = 615.0

#: Retinotopy: degrees of visual field per micrometer of cortex along x and y, and the scatter of
#: receptive-field centers about the map. Our choice, of the order of mouse V1, so that one field of
#: view covers a part of the screen, as in the recordings.
MAGNIFICATION_DEG_PER_UM = (0.09, 0.06)
CENTER_SCATTER_DEG = 4.0

#: Ranges of the drawn parameters, uniform in between (frequencies: uniform in their logarithm).
#: Spatial frequencies and temporal frequencies bracket the published grating, 0.04 cycles per
#: degree at 2 Hz (ViV1T-closed-loop, viv1t/utils/stimulus.py).
RANGES = {
    "spatial_frequency_cpd": (0.025, 0.05),
    "temporal_frequency_hz": (1.5, 4.0),
    # Standard deviations of the envelope in cycles of the carrier: along the axis of motion, and
    # along the bars. Simple cells of V1 have few subfields.
    "sigma_along_cycles": (0.25, 0.40),
    "sigma_across_cycles": (0.25, 0.50),
    # 1 is a Gaussian envelope, more is flatter on top with steeper flanks. It varies so that no
    # analysis filter is ever the generator itself.
    "envelope_exponent": (0.8, 1.4),
    # 0 answers both directions alike; 1 has no null subunit, and answers the null direction with
    # what the short temporal filter lets through: an index of 0.2 to 0.8, not 1.
    "selectivity": (0.0, 1.0),
    "latency_s": (0.03, 0.10),
    "gain": (0.5, 2.0),
}


def draw_population(
    *, simple_count: int, energy_count: int, screen: Screen, seed: int
) -> pd.DataFrame:
    """Draw the neurons of a simulated mouse.

    Parameters
    ----------
    simple_count, energy_count : int
        Number of rectified simple cells and of energy cells.
    screen : Screen
        Receptive-field centers fall on it.
    seed : int
        The table is a function of the arguments alone.

    Returns
    -------
    DataFrame, one row a neuron, classes interleaved
        ``neuron``, ``neuron_id``, ``kind`` and ``cell_class`` ("simple" or "energy"); cortical
        ``x_um``, ``y_um``, ``z_um``; receptive field ``x_deg``, ``y_deg``, ``x_px``, ``y_px``;
        ``direction_deg`` (preferred direction of motion) and ``orientation_deg``;
        ``spatial_frequency_cpd``, ``temporal_frequency_hz``, ``sigma_along_px``,
        ``sigma_across_px`` (of the envelope, along the axis of motion and along the bars),
        ``envelope_exponent``, ``phase_deg``, ``selectivity``, ``latency_s``, ``gain``.

    Raises
    ------
    UnitsError
        If there is no neuron to draw.
    """
    count = simple_count + energy_count
    if min(simple_count, energy_count) < 0 or count == 0:
        raise UnitsError(
            f"a population of {simple_count} simple and {energy_count} energy cells was asked "
            "for; give counts of 0 or more, not both 0"
        )
    random = np.random.default_rng([seed, 1])
    cell_class = np.repeat(["simple", "energy"], [simple_count, energy_count])
    drawn = {name: _draw(random, name, count) for name in RANGES}
    period_px = 1 / screen.cycles_per_px(drawn["spatial_frequency_cpd"])
    direction_deg = random.uniform(0, 360, count)
    return pd.DataFrame(
        {
            "neuron": np.arange(count),
            "neuron_id": np.arange(count),
            "kind": "neuron",
            "cell_class": random.permutation(cell_class),
            **_places(random, count, screen),
            "direction_deg": direction_deg,
            "orientation_deg": direction_deg % 180,
            "spatial_frequency_cpd": drawn["spatial_frequency_cpd"],
            "temporal_frequency_hz": drawn["temporal_frequency_hz"],
            "sigma_along_px": drawn["sigma_along_cycles"] * period_px,
            "sigma_across_px": drawn["sigma_across_cycles"] * period_px,
            "envelope_exponent": drawn["envelope_exponent"],
            "phase_deg": random.uniform(0, 360, count),
            "selectivity": drawn["selectivity"],
            "latency_s": drawn["latency_s"],
            "gain": drawn["gain"],
        }
    )


def _draw(random: np.random.Generator, name: str, count: int) -> np.ndarray[Any, Any]:
    low, high = RANGES[name]
    if name.endswith(("_cpd", "_hz")):
        return np.exp(random.uniform(np.log(low), np.log(high), count))
    return random.uniform(low, high, count)


def _places(random: np.random.Generator, count: int, screen: Screen) -> dict[str, Any]:
    """Put cells on the cortical sheet, and their receptive fields on the screen by retinotopy."""
    half = FIELD_OF_VIEW_UM / 2
    x_um, y_um = random.uniform(-half, half, (2, count))
    scatter = CENTER_SCATTER_DEG * random.standard_normal((2, count))
    x_px, y_px = screen.position_px(
        MAGNIFICATION_DEG_PER_UM[0] * x_um + scatter[0],
        MAGNIFICATION_DEG_PER_UM[1] * y_um + scatter[1],
    )
    # A margin keeps most of every receptive field on the screen.
    x_px = np.clip(x_px, 6, screen.width_px - 7)
    y_px = np.clip(y_px, 6, screen.height_px - 7)
    x_deg, y_deg = screen.position_deg(x_px, y_px)
    return {
        "x_um": x_um,
        "y_um": y_um,
        # Planes 25 micrometers apart, as in the Sensorium 2023 recordings.
        "z_um": random.choice(np.arange(200.0, 450.0, 25.0), count),
        "x_deg": x_deg,
        "y_deg": y_deg,
        "x_px": x_px,
        "y_px": y_px,
    }
