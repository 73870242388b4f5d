"""Objectives are numbers over neurons that compose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insilico.errors import NeuronError, ProtocolError
from insilico.synthesis.objectives import Objective, difference, neuron, population

some_weights = st.dictionaries(
    st.integers(0, 9), st.floats(0.5, 4).flatmap(lambda x: st.sampled_from([x, -x])), min_size=1
)


def weigh(objective, responses):
    """Return the weighted sum that an objective is."""
    return sum(weight * responses[index] for index, weight in objective.weights.items())


@given(first=some_weights, second=some_weights, factor=st.floats(0.5, 3))
def test_sums_and_multiples_are_those_of_the_responses(first, second, factor):
    responses = np.random.default_rng(0).uniform(1, 2, 10)
    a, b = Objective(first, name="a"), Objective(second, name="b")
    if any(first.get(index, 0) + factor * second.get(index, 0) for index in {*first, *second}):
        added = a + factor * b
        assert weigh(added, responses) == pytest.approx(
            weigh(a, responses) + factor * weigh(b, responses)
        )
        assert added.name == f"a + {factor:g} b"
    if any(first.get(index, 0) - second.get(index, 0) for index in {*first, *second}):
        taken = a - b
        assert weigh(taken, responses) == pytest.approx(weigh(a, responses) - weigh(b, responses))
        assert taken.name == "a - b"
    assert weigh(b * factor, responses) == weigh(factor * b, responses)


def test_operands_stay_what_they_are():
    a, b = neuron(3), neuron(7)
    _ = a + 0.5 * b - a * 0.25, -a

    assert (dict(a.weights), a.goal, a.name) == ({3: 1.0}, "excite", "neuron 3")
    assert dict(b.weights) == {7: 1.0}


def test_minus_turns_the_goal_and_twice_turns_it_back():
    inhibited = -neuron(3)

    assert (inhibited.goal, inhibited.sign, dict(inhibited.weights)) == ("inhibit", -1.0, {3: 1.0})
    assert (-inhibited).goal == "excite"
    assert inhibited.inhibiting().goal == neuron(3).inhibiting().goal == "inhibit"


def test_one_neuron_is_named_and_several_are_not():
    assert neuron(3).neuron == 3
    assert (2 * neuron(3)).neuron == 3
    assert population([3, 4]).neuron == -1


def test_population_is_the_mean_or_as_weighted():
    assert dict(population([2, 5, 7]).weights) == pytest.approx({2: 1 / 3, 5: 1 / 3, 7: 1 / 3})
    assert dict(population(range(2), [0.2, 0.8]).weights) == {0: 0.2, 1: 0.8}
    assert population([2, 5]).name == "population of 2"
    assert population([2, 5], name="upper").name == "upper"


def test_difference_is_of_the_means_of_two_groups():
    groups = difference([1, 2], [3, 4, 5, 6])

    assert dict(groups.weights) == {1: 0.5, 2: 0.5, 3: -0.25, 4: -0.25, 5: -0.25, 6: -0.25}
    assert groups.name == "2 neurons against 4"


def test_numbers_of_numpy_are_numbers():
    index, weight = np.int64(3), np.float32(0.5)

    assert neuron(index).name == "neuron 3"
    assert dict(population([index], [weight]).weights) == {3: 0.5}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Objective({}), NeuronError, "gives no neuron a weight"),
        (lambda: Objective({1: 0.0}), NeuronError, "gives no neuron a weight"),
        (lambda: neuron(3) - neuron(3), NeuronError, "gives no neuron a weight"),
        (lambda: population([]), NeuronError, "gives no neuron a weight"),
        (lambda: population([1, 1]), NeuronError, "names a neuron twice"),
        (lambda: population([1, 2], [1.0]), NeuronError, "1 weights .* population of 2"),
        (lambda: population([1, 2], [1.0, np.nan]), ProtocolError, "not all finite"),
        (lambda: neuron(1, "please"), ProtocolError, "the goal is 'please'; give one of excite"),
        (lambda: neuron(1) + -neuron(2), ProtocolError, "cannot be added"),
        (lambda: Objective({1: 1.0}, function=max) + neuron(2), ProtocolError, "cannot be added"),
    ],
)
def test_what_is_no_objective_is_refused_in_a_sentence(make, error, words):
    with pytest.raises(error, match=words) as caught:
        make()
    assert ". " not in str(caught.value)


def test_identity_tells_functions_apart_and_knows_the_same_one_again():
    def of(function):
        return Objective({1: 1.0}, name="own", function=function).identity

    assert of(lambda own: own[:, 0]) == of(lambda own: own[:, 0])
    assert of(lambda own: own[:, 0]) != of(lambda own: own[:, 1])
    assert of(lambda own: own[:, 0]) != of(None)
    assert neuron(1).identity != neuron(2).identity != (-neuron(2)).identity
