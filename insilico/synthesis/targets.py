"""For whom stimuli are made, and where on the screen."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from insilico.errors import NeuronError, NotFittedError, ProtocolError
from insilico.screen import Screen
from insilico.synthesis.objectives import Goal, Objective, neuron, population
from insilico.synthesis.protocol import SynthesisProtocol
from insilico.synthesis.regions import Region, center_disc, full_field, surround


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A neuron or population that stimuli are made for.

    Parameters
    ----------
    objective : Objective
        What of it is driven.
    x_px, y_px : float
        Center of its receptive field; NaN where it is not known or not needed.
    diameter_deg : float
        Of its disc.
    status : str
        "ok", or what is wrong with its receptive field.
    """

    objective: Objective
    x_px: float = math.nan
    y_px: float = math.nan
    diameter_deg: float = math.nan
    status: str = "ok"

    @property
    def has_center(self) -> bool:
        """Whether it has a place on the screen."""
        return math.isfinite(self.x_px) and math.isfinite(self.y_px)

    @property
    def exciting(self) -> Objective:
        """Its objective, with the goal to excite."""
        return dataclasses.replace(self.objective, goal="excite")

    def toward(self, goal: Goal) -> Objective:
        """Return its objective; the opposite one where the goal of a protocol is to inhibit."""
        return self.objective if goal == "excite" else -self.objective

    def region(self, name: str, protocol: SynthesisProtocol, screen: Screen) -> Region:
        """Return where its stimuli are free.

        Raises
        ------
        NotFittedError
            If a disc is asked for, and it has no place on the screen.
        StimulusError
            If the disc lies off the screen.
        """
        if name == "full":
            region = full_field(screen)
            return dataclasses.replace(region, center_px=(self.x_px, self.y_px))
        if not self.has_center:
            raise NotFittedError(
                f"{self.objective.name} has no receptive field on the screen to put a disc on "
                f"(status {self.status!r}); leave it out, or generate with region=full"
            )
        place = (self.x_px, self.y_px)
        border = protocol.border_deg
        if name == "center":
            return center_disc(screen, place, self.diameter_deg, border_deg=border)
        return surround(
            screen,
            place,
            self.diameter_deg,
            outer_diameter_deg=protocol.outer_deg,
            border_deg=border,
        )


def make_targets(
    chosen: pd.DataFrame,
    *,
    objectives: Sequence[Objective] = (),
    is_population: bool = False,
    weights: Mapping[int, float] | None = None,
) -> list[Target]:
    """Return for whom stimuli are made: objectives of one's own, all neurons at once, or each.

    Parameters
    ----------
    chosen : DataFrame
        As for :func:`single_targets`.
    objectives : sequence of Objective
        Each is placed where the neurons lie that it gives a weight.
    is_population : bool
        Whether one stimulus is made for all neurons together.
    weights : mapping of int to float, optional
        Of a population, by neuron.

    Raises
    ------
    NeuronError
        If a neuron of the population has no weight, or no neuron of an objective was chosen.
    ProtocolError
        If two objectives have the same name, or one has none.
    """
    if objectives:
        targets = [_objective_target(objective, chosen) for objective in objectives]
    elif is_population:
        targets = [population_target(chosen, weights)]
    else:
        targets = single_targets(chosen)
    names = [target.objective.name for target in targets]
    if len(set(names)) < len(names) or not all(names):
        raise ProtocolError(
            "objectives must have different names, as tables know them by these; give each one"
        )
    return targets


def _objective_target(objective: Objective, chosen: pd.DataFrame) -> Target:
    """Place an objective where its own neurons lie."""
    weighted = [index for index, weight in objective.weights.items() if weight]
    own = chosen[chosen["neuron"].isin(weighted)]
    if own.empty:
        raise NeuronError(
            f"none of the neurons of objective {objective.name!r} was chosen; give neurons with a "
            "usable receptive field, or generate with region=full"
        )
    place = single_targets(own)[0] if len(own) == 1 else population_target(own)
    return dataclasses.replace(place, objective=objective)


def single_targets(chosen: pd.DataFrame) -> list[Target]:
    """Return one target a neuron.

    Parameters
    ----------
    chosen : DataFrame
        Columns ``neuron``, ``x_px``, ``y_px``, ``diameter_deg`` and ``field_status``, as
        :attr:`insilico.synthesis.choice.Choice.chosen` has them, the most important first.
    """
    return [
        Target(
            neuron(int(row["neuron"])),
            float(row["x_px"]),
            float(row["y_px"]),
            float(row["diameter_deg"]),
            "ok" if row["field_status"] in ("ok", "") else str(row["field_status"]),
        )
        for row in chosen.to_dict("records")
    ]


def population_target(
    chosen: pd.DataFrame, weights: Mapping[int, float] | None = None, *, name: str = ""
) -> Target:
    """Return one target for all chosen neurons.

    Its center is the mean of theirs, rounded to a pixel, as published (ViV1T-closed-loop,
    population/generate_center_surround_population.py); its disc has their median diameter.

    Parameters
    ----------
    chosen : DataFrame
        As for :func:`single_targets`.
    weights : mapping of int to float, optional
        By neuron; equal ones that sum to 1 when left out.
    name : str
        How tables call it.

    Raises
    ------
    NeuronError
        If a neuron has no weight.
    """
    neurons = chosen["neuron"].astype(int).tolist()
    if weights is not None:
        check_weights(neurons, weights)
    values = None if weights is None else [weights[index] for index in neurons]
    placed = chosen[np.isfinite(chosen["x_px"]) & np.isfinite(chosen["y_px"])]
    return Target(
        population(neurons, values, name=name),
        float(np.round(placed["x_px"].mean())),
        float(np.round(placed["y_px"].mean())),
        float(placed["diameter_deg"].median() if len(placed) else chosen["diameter_deg"].median()),
    )


def check_weights(neurons: Sequence[int], weights: Mapping[int, float]) -> None:
    """Refuse weights of a population that lack a neuron.

    Raises
    ------
    NeuronError
        If they do.
    """
    if missing := set(neurons) - set(weights):
        raise NeuronError(
            f"the population has no weight for neuron {min(missing)}; give one for each neuron, or "
            "leave the weights out"
        )
