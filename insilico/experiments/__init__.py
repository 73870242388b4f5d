"""Experiments: one file a question, each from a protocol to a result.

Analysis knows no torch; ``run``, which asks a twin, is loaded on first use.
"""

from typing import Any

from insilico.experiments.experiment import EXPERIMENTS, Experiment, find_experiment
from insilico.experiments.protocols import read_protocol

__all__ = ["EXPERIMENTS", "Experiment", "find_experiment", "read_protocol", "run"]


def __getattr__(name: str) -> Any:
    if name != "run":
        raise AttributeError(f"module 'insilico.experiments' has no attribute {name!r}")
    from insilico.experiments.runner import run

    return run
