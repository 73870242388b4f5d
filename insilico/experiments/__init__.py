"""Experiments: one file a question, each from a protocol to a result."""

from insilico.experiments.experiment import EXPERIMENTS, Experiment, find_experiment
from insilico.experiments.protocols import read_protocol
from insilico.experiments.runner import run

__all__ = ["EXPERIMENTS", "Experiment", "find_experiment", "read_protocol", "run"]
