"""Most exciting stimuli: made by gradient, found by search, controlled, and kept as sets.

The names below load on first use, as some need torch and some do not.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "ChoiceRule": "insilico.synthesis.choice",
    "Levels": "insilico.synthesis.levels",
    "Objective": "insilico.synthesis.objectives",
    "Region": "insilico.synthesis.regions",
    "Selection": "insilico.synthesis.generate",
    "Sources": "insilico.synthesis.generate",
    "StimulusSet": "insilico.synthesis.stimulus_set",
    "difference": "insilico.synthesis.objectives",
    "neuron": "insilico.synthesis.objectives",
    "population": "insilico.synthesis.objectives",
    "synthesize": "insilico.synthesis.generate",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'insilico.synthesis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
