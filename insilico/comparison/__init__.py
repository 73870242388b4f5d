"""Two runs beside each other: two models, or predicted against recorded."""

from insilico.comparison.compare import COMPARISON, compare_runs
from insilico.comparison.sides import Side, read_side

__all__ = ["COMPARISON", "Side", "compare_runs", "read_side"]
