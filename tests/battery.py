"""Every experiment on small simulated twins, in seconds: what contracts of results and figures use.

What an experiment builds on is run first, as a scientist would run it; one whose receptive field is
not found in so little noise is a neuron that cannot be asked, and results must hold such neurons.
"""

import functools

import insilico
from insilico.experiments import EXPERIMENTS, find_experiment, read_protocol
from insilico.screen import Screen
from insilico.simulation import draw_contextual_population

#: Experiments and the kinds of twin that can answer them.
CASES = [(name, kind) for name in EXPERIMENTS for kind in find_experiment(name).kinds]


@functools.cache
def small_twin(kind):
    """Return ten neurons with surrounds and answers to holes."""
    population = draw_contextual_population(simple_count=5, energy_count=5, screen=Screen(), seed=0)
    return insilico.SimulatedV1(kind, population=population)


def quick_protocol(name):
    """Return an experiment's default protocol with the values that take seconds."""
    question = find_experiment(name)
    return read_protocol(
        question.protocol_type, None, overrides=dict(question.quick), experiment=name
    )


def required(name, kind):
    """Return the names of the results an experiment builds on."""
    return find_experiment(name).requires(quick_protocol(name), kind)


def run_quickly(name, kind, **options):
    """Run an experiment on the small twin, with what it builds on."""
    given = {needed: quick_result(needed, kind) for needed in required(name, kind)}
    protocol = quick_protocol(name)
    return insilico.run(name, small_twin(kind), protocol=protocol, given=given, jobs=1, **options)


@functools.cache
def quick_result(name, kind):
    """Return the result of an experiment on the small twin; measured once."""
    return run_quickly(name, kind)
