"""Looking inside a twin: where its attention lies on the stimulus, and whether it follows the eye.

``map_attention`` shows trials of a recording, or stimuli of one's own, to a twin with attention;
``relate_to_gaze`` asks whether its maps follow the animal's gaze, as in the poster of V1T. That
needs no torch, so the names below load on first use.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "ShownTrials": "insilico.attention.shown",
    "given_trials": "insilico.attention.shown",
    "map_attention": "insilico.attention.mapping",
    "recorded_trials": "insilico.attention.shown",
    "relate_to_gaze": "insilico.attention.gaze",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'insilico.attention' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
