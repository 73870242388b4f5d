"""Stimuli are placed where the neurons lie that they are made for."""

import numpy as np
import pandas as pd
import pytest

from insilico.errors import NeuronError, ProtocolError
from insilico.synthesis.generate import Selection
from insilico.synthesis.objectives import Objective, difference, neuron, population
from insilico.synthesis.targets import make_targets

CHOSEN = pd.DataFrame(
    {
        "neuron": [4, 7, 9],
        "x_px": [10.25, 20.0, 41.0],
        "y_px": [8.5, 12.0, 31.0],
        "diameter_deg": [20.0, 30.0, 50.0],
        "field_status": ["ok", "ok", "at_bound"],
    }
)


def places(targets):
    return [(target.x_px, target.y_px, target.diameter_deg) for target in targets]


def test_each_neuron_has_its_own_place():
    targets = make_targets(CHOSEN)

    assert [target.objective.neuron for target in targets] == [4, 7, 9]
    assert places(targets) == [(10.25, 8.5, 20.0), (20.0, 12.0, 30.0), (41.0, 31.0, 50.0)]
    assert [target.status for target in targets] == ["ok", "ok", "at_bound"]


def test_population_lies_at_the_rounded_mean_of_its_neurons():
    (target,) = make_targets(CHOSEN, is_population=True)

    assert places([target]) == [(24.0, 17.0, 30.0)]
    np.testing.assert_allclose(list(target.objective.weights.values()), 1 / 3)


def test_each_objective_lies_where_its_own_neurons_do():
    objectives = [
        population([4, 7]),
        -neuron(9),
        Objective({4: 0.0, 7: 2.0}, name="no weight on 4"),
        difference([4], [7, 9]),
    ]

    targets = make_targets(CHOSEN, objectives=objectives)

    assert [target.objective for target in targets] == objectives
    assert places(targets) == [
        (15.0, 10.0, 25.0),
        (41.0, 31.0, 50.0),
        (20.0, 12.0, 30.0),
        (24.0, 17.0, 30.0),
    ]
    assert [target.status for target in targets] == ["ok", "at_bound", "ok", "ok"]


def test_objective_without_a_chosen_neuron_is_refused():
    with pytest.raises(NeuronError, match="none of the neurons of objective 'neuron 5'"):
        make_targets(CHOSEN, objectives=[neuron(5)])


@pytest.mark.parametrize("objectives", [[neuron(4), neuron(4)], [Objective({4: 1.0})]])
def test_objectives_need_names_of_their_own(objectives):
    with pytest.raises(ProtocolError, match="different names"):
        make_targets(CHOSEN, objectives=objectives)


def test_function_alone_is_no_objective():
    with pytest.raises(ProtocolError, match="was given as an objective; give an Objective"):
        Selection(objectives=[lambda responses: responses.sum()])
