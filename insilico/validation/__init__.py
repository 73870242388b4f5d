"""Is the instrument right? Every experiment on the simulated V1, planted against recovered."""

from insilico.validation.compare import (
    Validation,
    compare_direction,
    compare_retinotopy,
    compare_trained,
    compare_with_truth,
    summarize,
    validate,
)

__all__ = [
    "Validation",
    "compare_direction",
    "compare_retinotopy",
    "compare_trained",
    "compare_with_truth",
    "summarize",
    "validate",
]
