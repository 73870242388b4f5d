"""The simulated V1 as a twin that also knows the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from insilico.models.mouse import Mouse, Statistics
from insilico.screen import Screen
from insilico.simulation.contextual import draw_contextual_population
from insilico.simulation.network import SimulatedV1Network
from insilico.simulation.population import draw_population
from insilico.stimuli.stimuli import Kind
from insilico.twin.twin import Twin

#: Gray levels to standardized units: 0 on the gray screen, and a spread near that of the recorded
#: movies (57-60 levels; ViV1T-closed-loop, viv1t/data/metadata/statistics).
STIMULUS_STD = 60.0


class SimulatedV1(Twin):
    """A noiseless population of simple and energy cells, asked like any twin.

    Parameters
    ----------
    kind : {"image", "movie"}
        What it is shown.
    simple_count, energy_count : int
        Number of cells of each class.
    screen : Screen, optional
        The Sensorium monitor when left out.
    seed : int
        The same seed gives the same neurons, as an image and as a movie twin.
    population : DataFrame, optional
        Parameters of the neurons, in place of neurons drawn from the counts and the seed.
    contextual : bool
        Draw neurons with surrounds, answers to holes and a map over cortex, by
        :func:`insilico.simulation.draw_contextual_population`. Left aside where a population is
        given.
    device, precision
        As for :class:`insilico.Twin`.

    Examples
    --------
    >>> import insilico
    >>> twin = insilico.SimulatedV1("movie", simple_count=3, energy_count=2)
    >>> twin.ground_truth[["cell_class", "direction_deg"]].shape
    (5, 2)
    """

    def __init__(
        self,
        kind: Kind = "movie",
        *,
        simple_count: int = 100,
        energy_count: int = 100,
        screen: Screen | None = None,
        seed: int = 0,
        population: pd.DataFrame | None = None,
        contextual: bool = False,
        device: str | torch.device = "auto",
        precision: str = "float32",
    ) -> None:
        screen = screen or Screen()
        origin: dict[str, object] = {"population": "given"}
        name = f"simulated-v1-{kind}"
        if population is None:
            counts = {"simple_count": simple_count, "energy_count": energy_count}
            draw = draw_contextual_population if contextual else draw_population
            population = draw(**counts, screen=screen, seed=seed)
            origin = {"seed": seed, **counts}
            name = f"simulated-v1-context-{kind}" if contextual else name
        known_to_all = ["neuron", "neuron_id", "kind", "x_um", "y_um", "z_um"]
        statistics = Statistics(
            stimulus_mean=float(screen.gray),
            stimulus_std=STIMULUS_STD,
            response_std=np.ones(len(population)),
            sources={"stimulus": "defined by the simulation", "response": "defined as 1"},
        )
        mouse = Mouse("simulated", screen, population[known_to_all], statistics)
        super().__init__(
            SimulatedV1Network(population, screen=screen, kind=kind),
            mice={mouse.name: mouse},
            name=name,
            provenance={"architecture": name.removesuffix(f"-{kind}"), **origin},
            device=device,
            precision=precision,
        )
        self._population = population

    @property
    def ground_truth(self) -> pd.DataFrame:
        """Every parameter of every neuron, one row each."""
        return self._population.copy()
