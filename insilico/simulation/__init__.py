"""A simulated V1 whose every answer is known: parameters in a table, responses like any twin's."""

from insilico.simulation.network import SimulatedV1Network
from insilico.simulation.population import draw_population
from insilico.simulation.simulated_v1 import SimulatedV1

__all__ = ["SimulatedV1", "SimulatedV1Network", "draw_population"]
