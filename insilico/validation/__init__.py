"""Is the instrument right? Every experiment on the simulated V1, planted against recovered."""

from insilico.validation.compare import (
    Validation,
    compare_trained,
    compare_with_truth,
    validate,
)
from insilico.validation.comparison import COMPARISONS, Comparison, find_comparison, summarize
from insilico.validation.direction import compare_direction
from insilico.validation.retinotopy import compare_retinotopy

__all__ = [
    "COMPARISONS",
    "Comparison",
    "Validation",
    "compare_direction",
    "compare_retinotopy",
    "compare_trained",
    "compare_with_truth",
    "find_comparison",
    "summarize",
    "validate",
]
