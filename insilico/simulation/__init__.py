"""A simulated V1 whose every answer is known: parameters in a table, responses like any twin's."""

from insilico.simulation.contextual import draw_contextual_population
from insilico.simulation.ground_truth import (
    allowed_correlation,
    population_twin,
    read_ground_truth,
    shipped_truth,
)
from insilico.simulation.maps import draw_map
from insilico.simulation.network import SimulatedV1Network
from insilico.simulation.normalization import draw_normalization
from insilico.simulation.plan import SimulationOptions
from insilico.simulation.population import draw_population
from insilico.simulation.simulated_v1 import SimulatedV1
from insilico.simulation.writer import write_recordings

__all__ = [
    "SimulatedV1",
    "SimulatedV1Network",
    "SimulationOptions",
    "allowed_correlation",
    "draw_contextual_population",
    "draw_map",
    "draw_normalization",
    "draw_population",
    "population_twin",
    "read_ground_truth",
    "shipped_truth",
    "write_recordings",
]
