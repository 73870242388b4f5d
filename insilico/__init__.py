"""insilico: a physiology rig for digital twins of visual cortex.

The names below load on first use, so that importing the package stays cheap.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Responses": "insilico.results",
    "Result": "insilico.results",
    "Screen": "insilico.screen",
    "SimulatedV1": "insilico.simulation",
    "Statistics": "insilico.twin",
    "Stimuli": "insilico.stimuli",
    "Twin": "insilico.twin",
    "ensemble": "insilico.twin",
    "load": "insilico.twin",
    "run": "insilico.experiments",
    "synthesize": "insilico.synthesis",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'insilico' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
